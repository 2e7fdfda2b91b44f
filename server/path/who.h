/* Who sent a request, as a value: every request of the peer listener has one.
 *
 * An id is there only when a TLS handshake of this very connection, or a tunnel with the same proof, showed
 * that the client holds the key of that id. Everything that asks "who is this" asks for the id, and falls
 * back to the address only for a client without one. */
#ifndef HP_PATH_WHO_H
#define HP_PATH_WHO_H

#include <stdbool.h>
#include <stdint.h>

#include "path/endpoint.h"

typedef enum {
    HP_WAY_LAN,     /* TCP, from this network or one that is routed to it */
    HP_WAY_DIRECT,  /* a tunnel */
    HP_WAY_RELAYED, /* through a hub */
} hp_way_t;

typedef struct hp_who {
    char id[HP_PEER_ID_SIZE];                 /* "": not proven */
    uint8_t fingerprint[HP_FINGERPRINT_SIZE]; /* zero while id is "" */
    hp_way_t way;
    bool encrypted;   /* TLS or a tunnel */
    char address[64]; /* numeric, with the zone of a link-local one; as others show it where there is none */
    uint16_t port;
} hp_who_t;

/* "lan", "direct", "relayed": as the API has it. */
const char *hp_way_name(hp_way_t way);

/* Whether both are the same client: the same id, or the same address where neither has one. */
bool hp_who_same(const hp_who_t *a, const hp_who_t *b);

#endif
