/* Asks the router to open a UDP port: PCP (RFC 6887), then NAT-PMP (RFC 6886), then UPnP (IGD), whichever it
 * speaks.
 *
 * Invariants
 * 1. Routers are slow and the libraries block: all of it runs in the pool, one job at a time.
 * 2. A lease is renewed at half of its time, and given back at the end; a router that cannot open the port is
 * asked again after HP_PORTMAP_AGAIN_MS.
 * 3. Loop thread only. */
#ifndef HP_TUNNEL_PORTMAP_H
#define HP_TUNNEL_PORTMAP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/pending.h"
#include "base/sockaddr.h"

#define HP_PORTMAP_LEASE_S  3600
#define HP_PORTMAP_AGAIN_MS 600000

typedef struct hp_portmap hp_portmap_t;

/* opened runs when the router opens the port, and when it opens another one. pending counts it until it is
 * gone. */
hp_portmap_t *hp_portmap_create(uv_loop_t *loop, uint16_t port, void (*opened)(void *arg), void *arg,
                                hp_pending_t *pending);
/* Gives the port back, in the pool, and frees itself then. */
void hp_portmap_destroy(hp_portmap_t *self);

/* The address that is open towards this host. False: there is none, or not yet. */
bool hp_portmap_address(const hp_portmap_t *self, hp_sockaddr_t *out);

#endif
