/* STUN messages (RFC 8489): what a host asks a hub to learn its own address as the internet sees it, and what
 * two hosts send each other to open their routers.
 *
 * Invariants
 * 1. Pure functions without memory of their own; any thread. A message is parsed in place: hp_stun_t points
 *    into the datagram that it was parsed from.
 * 2. Only messages with a correct FINGERPRINT count as STUN. QUIC shares the socket, and its packets cannot
 * be told apart by their first byte (RFC 9287 clears QUIC's fixed bit).
 * 3. Only the first attribute of a kind counts, nothing but FINGERPRINT counts after MESSAGE-INTEGRITY-SHA256
 *    (section 14), and a message whose attributes do not fill its length exactly is refused. */
#ifndef HP_TUNNEL_STUN_H
#define HP_TUNNEL_STUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sockaddr.h"

#define HP_STUN_MAX          548 /* bytes of a message that is sent: fits every IPv4 path unfragmented */
#define HP_STUN_TRANSACTION  12
#define HP_STUN_USERNAME_MAX 128
#define HP_STUN_UNKNOWN_MAX  8

enum {
    HP_STUN_REQUEST = 0x0001, /* Binding, in its classes */
    HP_STUN_SUCCESS = 0x0101,
    HP_STUN_ERROR = 0x0111,
};

typedef struct hp_stun {
    uint16_t type;
    uint8_t transaction[HP_STUN_TRANSACTION];
    char username[HP_STUN_USERNAME_MAX + 1]; /* "": none, or one with a NUL or a longer one */
    bool has_mapped;
    hp_sockaddr_t mapped; /* XOR-MAPPED-ADDRESS, decoded */
    int error;            /* ERROR-CODE, 300 to 699; 0: none */
    /* Attributes that a receiver must understand and this one does not (below 0x8000). */
    uint16_t unknown[HP_STUN_UNKNOWN_MAX];
    size_t unknown_count;
    const uint8_t *data; /* the datagram */
    size_t length;
    size_t integrity; /* where MESSAGE-INTEGRITY-SHA256 begins; 0: there is none */
} hp_stun_t;

/* Whether a datagram is STUN: class and method bits, cookie, length and FINGERPRINT all fit. */
bool hp_stun_is(const uint8_t *data, size_t length);

/* 0, or HP_E_INVALID for what hp_stun_is refuses and for malformed attributes. */
int hp_stun_parse(hp_stun_t *out, const uint8_t *data, size_t length);

/* Whether the message carries a whole MESSAGE-INTEGRITY-SHA256 made with key. Compares in constant time. */
bool hp_stun_verify(const hp_stun_t *self, const void *key, size_t key_length);

/* What to write; the fields that are 0 or NULL are left out. */
typedef struct hp_stun_message {
    uint16_t type;
    const uint8_t *transaction; /* HP_STUN_TRANSACTION bytes */
    const char *username;
    const hp_sockaddr_t *mapped;
    int error;
    const uint16_t *unknown; /* UNKNOWN-ATTRIBUTES, for error 420 */
    size_t unknown_count;
    const void *key; /* adds MESSAGE-INTEGRITY-SHA256 */
    size_t key_length;
} hp_stun_message_t;

/* Writes a message that ends with FINGERPRINT; returns its length. The caller keeps username within
 * HP_STUN_USERNAME_MAX and unknown_count within HP_STUN_UNKNOWN_MAX. */
size_t hp_stun_write(uint8_t out[HP_STUN_MAX], const hp_stun_message_t *message);

/* The answer of a server that only tells addresses, to the datagram in data from client: its length, or 0 for
 * what deserves none. Attributes that must be understood and are not get error 420. The answer is at most 24
 * bytes longer than the question. */
size_t hp_stun_answer(uint8_t out[HP_STUN_MAX], const uint8_t *data, size_t length,
                      const hp_sockaddr_t *client);

#endif
