/* How many connections each client has. Not shared between threads. */
#ifndef HP_HTTP_LIMITS_H
#define HP_HTTP_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define HP_LIMITS_BUCKETS 1024

/* What is counted: the connections of a proven host; those of an address that no host has proven; all of an
 * address, since anybody can make keys. */
typedef enum { HP_LIMITS_HOST, HP_LIMITS_ADDRESS, HP_LIMITS_ADDRESS_ALL } hp_limits_kind_t;

typedef struct hp_limits_key {
    hp_limits_kind_t kind;
    uint8_t bytes[16];
} hp_limits_key_t;

typedef struct hp_limits_entry hp_limits_entry_t;
typedef struct hp_limits {
    hp_limits_entry_t *buckets[HP_LIMITS_BUCKETS];
} hp_limits_t;

/* An address without its port, all zero when it is not an internet address. An IPv4 address inside IPv6
 * counts as IPv4; of IPv6 the first 64 bits count, since a client may have all of the rest. */
hp_limits_key_t hp_limits_address(hp_limits_kind_t kind, const struct sockaddr *address);
/* A host by its fingerprint. */
hp_limits_key_t hp_limits_host(const uint8_t fingerprint[32]);
bool hp_limits_is_loopback(const struct sockaddr *address);

/* Counts one more, unless max are counted already: false. max 0: no limit. */
bool hp_limits_add(hp_limits_t *self, const hp_limits_key_t *key, unsigned max);
void hp_limits_remove(hp_limits_t *self, const hp_limits_key_t *key);
void hp_limits_dispose(hp_limits_t *self);

/* Raises the soft limit of open descriptors to the hard one, once; returns it. */
size_t hp_limits_raise_descriptors(void);

#endif
