/* The scan: a TCP connection to every host address of the networks, and a probe where one was accepted. Loop
 * thread.
 *
 * Known hosts are probed first, then the kernel's neighbours are tried, then all other addresses in order. At
 * most HP_SCAN_FLIGHT connections at a time, fewer when the process is short of descriptors; each is given up
 * after HP_SCAN_CONNECT_MS. */
#ifndef HP_DISCOVERY_SCAN_H
#define HP_DISCOVERY_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "discovery/discovery.h"
#include "discovery/hosts.h"
#include "discovery/interfaces.h"
#include "discovery/tally.h"

#define HP_SCAN_FLIGHT     512
#define HP_SCAN_CONNECT_MS 800

typedef struct hp_scan hp_scan_t;

/* finished runs after each scan, never inside a call; may be NULL. Hosts that answer are counted in tally,
 * which outlives the scan. */
hp_scan_t *hp_scan_create(uv_loop_t *loop, hp_hosts_t *hosts, uint16_t port, hp_tally_t *tally,
                          void (*finished)(void *arg), void *arg);

/* A scan for another service, at its port: opened is told the address of whatever accepts a connection. The
 * networks are not gone through once more: what is in them has answered the scan for hosts before it, and is
 * among the kernel's neighbours; these and the far ends are tried. */
hp_scan_t *hp_scan_create_for(uv_loop_t *loop, uint16_t port,
                              void (*opened)(void *arg, const hp_sockaddr_t *address), void *arg);

/* Gives up what is under way, then calls closed. */
void hp_scan_destroy(hp_scan_t *scan, void (*closed)(void *arg), void *arg);

/* Begins a scan of these networks. Not while one runs. person: a person asked for it (hp_hosts_probe_all). */
void hp_scan_begin(hp_scan_t *scan, const hp_interface_t *interfaces, size_t count, bool person);
bool hp_scan_running(const hp_scan_t *scan);
hp_scan_progress_t hp_scan_progress(const hp_scan_t *scan);

#endif
