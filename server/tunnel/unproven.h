/* What goes to addresses that a hub or another member has named and that have not answered yet: bounded, so
 * that neither can turn its members against somebody else. Pure but for its memory; loop thread only.
 *
 * Every packet to such an address is counted, whichever host and try it is for. An answer, which nobody can
 * give who does not get the packets, makes its address begin at nothing again. A hub's own relay, at the
 * address where the hub itself was reached, is not counted. */
#ifndef HP_TUNNEL_UNPROVEN_H
#define HP_TUNNEL_UNPROVEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sockaddr.h"

#define HP_UNPROVEN_PACKETS 150  /* a minute, of about 110 bytes, to one address (IPv6: one /64) */
#define HP_UNPROVEN_ALL     5000 /* in 10 s, to all of them */
#define HP_UNPROVEN_CONNECTIONS                                                                              \
    20 /* a minute, to all relays that are not at their hub and never answered                               \
        */

typedef struct hp_unproven hp_unproven_t;

hp_unproven_t *hp_unproven_create(void);
void hp_unproven_destroy(hp_unproven_t *unproven);

/* Whether another datagram may go to this address at hp_clock_ms now; one that may is counted. */
bool hp_unproven_packet(hp_unproven_t *unproven, const hp_sockaddr_t *to, uint64_t now);
/* A request that went there was answered from there. */
void hp_unproven_answered(hp_unproven_t *unproven, const hp_sockaddr_t *from);

/* Whether another connection to a relay at this address may be tried; one that may is counted. */
bool hp_unproven_connection(hp_unproven_t *unproven, const hp_sockaddr_t *to, uint64_t now);
/* A relay answered there, as relays do. */
void hp_unproven_relay(hp_unproven_t *unproven, const hp_sockaddr_t *at);

#endif
