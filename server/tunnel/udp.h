/* A UDP socket on the loop, for one family and all addresses.
 *
 * Invariants
 * 1. Loop thread only; callbacks run from the loop's poll phase, never inside a call of this module.
 * 2. Datagrams go out as trains (GSO) and come in as trains (GRO) where the kernel can; where it refuses,
 * each one by itself, and the socket does not ask again.
 * 3. An error that concerns one datagram (too long, no route, refused) is its loss, as on any network.
 * 4. Counted: the last release closes it, and no callback runs from then on. */
#ifndef HP_TUNNEL_UDP_H
#define HP_TUNNEL_UDP_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/pending.h"
#include "base/sockaddr.h"

typedef struct hp_udp hp_udp_t;

typedef struct hp_udp_events {
    /* Datagrams of segment bytes from one sender, the last of which may be shorter; valid during the call. */
    void (*train)(void *arg, hp_udp_t *udp, const uint8_t *data, size_t length, size_t segment,
                  const hp_sockaddr_t *from);
    /* After -EAGAIN of hp_udp_send: there is room again. */
    void (*writable)(void *arg, hp_udp_t *udp);
    void *arg;
} hp_udp_events_t;

/* 0 or a negative code. pending counts the socket until libuv has let go of it. */
int hp_udp_create(hp_udp_t **udp, uv_loop_t *loop, int family, uint16_t port, const hp_udp_events_t *events,
                  hp_pending_t *pending);
void hp_udp_addref(hp_udp_t *self);
void hp_udp_release(hp_udp_t *self);

int hp_udp_family(const hp_udp_t *self);
uint16_t hp_udp_port(const hp_udp_t *self);
/* The bound address: unspecified, with the port. */
const hp_sockaddr_t *hp_udp_local(const hp_udp_t *self);

/* Sends datagrams of segment bytes (the last may be shorter). Returns how many bytes are dealt with: all of
 * them, or fewer when the socket is full, which writable() then ends. */
size_t hp_udp_send(hp_udp_t *self, const hp_sockaddr_t *to, const uint8_t *data, size_t length,
                   size_t segment);

#endif
