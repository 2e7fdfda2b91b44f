/* What a host's own addresses are, as others see them: asks the ports of a hub, and compares what they say.
 *
 * Sends and receives through its caller and is told the time; one thread. Ends by itself, at the latest
 * HP_GATHER_MS after it began; HP_GATHER_SECOND_MS after the first answer the others are not waited for any
 * longer. */
#ifndef HP_TUNNEL_GATHER_H
#define HP_TUNNEL_GATHER_H

#include "tunnel/signalling.h"
#include "tunnel/stun.h"

#define HP_GATHER_MS        1200
#define HP_GATHER_SECOND_MS 250

typedef struct hp_gather_ask {
    hp_sockaddr_t server;
    uint8_t transaction[HP_STUN_TRANSACTION];
    bool answered;
    hp_sockaddr_t mapped;
} hp_gather_ask_t;

typedef struct hp_gather {
    hp_gather_ask_t asks[2 * HP_STUN_PORTS];
    size_t count;
    uint64_t started, answered_at, due; /* ns; answered_at 0: none yet */
    unsigned round;
} hp_gather_t;

typedef void (*hp_gather_send_fn)(void *arg, const hp_sockaddr_t *to, const uint8_t *data, size_t length);

void hp_gather_init(hp_gather_t *self, const hp_sockaddr_t *servers, size_t count, uint64_t now);
/* Sends what is due and returns when to come again; 0: it has ended. */
uint64_t hp_gather_tick(hp_gather_t *self, uint64_t now, hp_gather_send_fn send, void *arg);
/* Whether the answer was one to its questions. */
bool hp_gather_packet(hp_gather_t *self, uint64_t now, const hp_stun_t *stun, const hp_sockaddr_t *from);

/* How the network treats UDP over IPv4 (over IPv6 where no IPv4 server was asked). */
hp_mapping_t hp_gather_mapping(const hp_gather_t *self);

/* Fills candidates of an offer: what the hub sees, an opened port of the router (NULL: none), addresses of
 * the own interfaces. port4, port6: of the sockets, 0 where there is none. */
void hp_gather_candidates(const hp_gather_t *self, hp_offer_t *offer, uint16_t port4, uint16_t port6,
                          const hp_sockaddr_t *opened);

/* Whether an address is in the network of one of this machine's interfaces. */
bool hp_gather_is_near(const hp_sockaddr_t *address);

#endif
