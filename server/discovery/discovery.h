/* Finding hosts without being told: the interfaces, the scan and the beacon, feeding the registry (hosts.h).
 * Loop thread only.
 *
 *     hp_hosts_create      the registry
 *     hp_discovery_create  opens nothing yet
 *     ... both listeners listen: self->peer_port is known ...
 *     hp_hosts_start
 *     hp_discovery_start
 *     ...
 *     hp_discovery_destroy, then hp_hosts_destroy, each waiting for closed
 */
#ifndef HP_DISCOVERY_DISCOVERY_H
#define HP_DISCOVERY_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/err.h"
#include "base/options.h"
#include "discovery/hosts.h"
#include "discovery/interfaces.h"
#include "discovery/tally.h"

typedef struct hp_discovery hp_discovery_t;

typedef struct hp_discovery_options {
    const char *advertise;     /* NULL or "ADDR[:PORT]": what others are told instead of our own */
    bool everywhere;           /* the peer listener listens on all addresses */
    const hp_strings_t *hosts; /* NULL or "ADDR[:PORT]"s that are tried until each has answered once, then are
                                  hosts like others */
} hp_discovery_options_t;

/* The options are copied; self is read at every use. HP_E_INVALID naming the option that is no address. */
int hp_discovery_create(hp_discovery_t **discovery, uv_loop_t *loop, hp_hosts_t *hosts, const hp_self_t *self,
                        const hp_discovery_options_t *options, hp_err_t *err);
void hp_discovery_start(hp_discovery_t *discovery);
void hp_discovery_destroy(hp_discovery_t *discovery, void (*closed)(void *arg), void *arg);

/* Switches timed scans (at start, every 5 minutes, when the network changes) and the beacon (UDP
 * announcements, sent and received), before the start and while running. Both are off at first. A scan that
 * is under way goes on. */
void hp_discovery_set(hp_discovery_t *discovery, bool scan, bool beacon);

/* A person asks: probes every known host and scans all networks, also when timed scans are off. While a scan
 * runs, the one asked for starts after it. */
void hp_discovery_scan(hp_discovery_t *discovery);

/* Another service of machines in these networks: after each scan whatever accepts a connection at its port is
 * told to opened, by its numeric address. wanted is asked each time. One; before the start; copied. */
typedef struct hp_discovery_also {
    uint16_t port;
    bool (*wanted)(void *arg);
    void (*opened)(void *arg, const char *address);
    void *arg;
} hp_discovery_also_t;
void hp_discovery_scan_also(hp_discovery_t *discovery, const hp_discovery_also_t *also);

/* Calls fn whenever the interfaces or their addresses have changed. One listener. */
void hp_discovery_on_network(hp_discovery_t *discovery, void (*fn)(void *arg), void *arg);

/* What this host offers now: files, their bytes, and the tag of its list as GET /hostpair tells it. When
 * there are other files than before, the beacon tells it soon, else the next time. */
void hp_discovery_set_offer(hp_discovery_t *discovery, uint64_t files, uint64_t bytes, const char *list);

/* Why others cannot reach this host at the address that it would tell them, as far as can be known from here
 * (see container.h), and what to do about it; "" as a rule. Logged once. */
const char *hp_discovery_unreachable(const hp_discovery_t *discovery);

/* Another host has connected to this one at that address: what hp_discovery_unreachable says is wrong, until
 * the network changes. */
void hp_discovery_was_reached(hp_discovery_t *discovery);

/* How hosts are looked for at the moment, and what has come of it. interfaces: one entry an address, valid
 * until the loop goes on. */
typedef struct hp_discovery_view {
    const hp_interface_t *interfaces;
    size_t count;
    const hp_tally_t *tally;
    bool scan, beacon;    /* timed scans and the beacon are on */
    bool everywhere;      /* the peer listener listens on all addresses */
    bool advertised;      /* others are told an address that a person gave */
    const char *own_copy; /* where a host with this one's own key was last met; "" */
} hp_discovery_view_t;
hp_discovery_view_t hp_discovery_view(const hp_discovery_t *discovery);

typedef struct hp_scan_progress {
    bool running;
    size_t done, total; /* addresses of the present or the last scan */
} hp_scan_progress_t;
hp_scan_progress_t hp_discovery_scan_progress(const hp_discovery_t *discovery);

#endif
