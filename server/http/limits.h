/* How many connections each address has. Not shared between threads. */
#ifndef HP_HTTP_LIMITS_H
#define HP_HTTP_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define HP_LIMITS_BUCKETS 1024

/* An address without its port; an IPv4 address inside IPv6 counts as IPv4. All zero: not an internet address.
 */
typedef struct hp_ip {
    uint8_t bytes[16];
} hp_ip_t;

typedef struct hp_limits_entry hp_limits_entry_t;
typedef struct hp_limits {
    hp_limits_entry_t *buckets[HP_LIMITS_BUCKETS];
} hp_limits_t;

hp_ip_t hp_ip_of(const struct sockaddr *address);
bool hp_ip_is_loopback(const hp_ip_t *ip);

/* Counts one more, unless max are counted already: false. max 0: no limit. */
bool hp_limits_add(hp_limits_t *self, const hp_ip_t *ip, unsigned max);
void hp_limits_remove(hp_limits_t *self, const hp_ip_t *ip);
void hp_limits_dispose(hp_limits_t *self);

/* Raises the soft limit of open descriptors to the hard one, once; returns it. */
size_t hp_limits_raise_descriptors(void);

#endif
