/* The kernel's neighbour table: who answered to ARP or neighbour discovery lately. */
#ifndef HP_DISCOVERY_NEIGHBOURS_H
#define HP_DISCOVERY_NEIGHBOURS_H

#include <stddef.h>

#include "discovery/address.h"

/* Reads it through rtnetlink(7), which answers at once: no disk, no waiting. At most max, usable ones only
 * (no failed or incomplete entries, no loopback), link-local IPv6 with its interface; ports are 0. Returns
 * how many; 0 also when it cannot be read. */
size_t hp_neighbours_read(hp_sockaddr_t *out, size_t max);

#endif
