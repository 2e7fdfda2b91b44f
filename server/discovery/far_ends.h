/* Who is at the other end of interfaces that have no network of their own to scan: the peer address, the
 * other one of a /31 (RFC 3021), and where the routes of a VPN lead. Loop thread; asks the kernel, no disk.
 */
#ifndef HP_DISCOVERY_FAR_ENDS_H
#define HP_DISCOVERY_FAR_ENDS_H

#include "discovery/interfaces.h"
#include "path/address.h"

#define HP_FAR_ENDS_MAX 256

/* Ranges to scan, at most HP_FAR_ENDS_MAX; returns how many. A route to more than a /20 counts as the /20
 * round the interface's own address, and not at all where that lies elsewhere. */
size_t hp_far_ends(const hp_interface_t *interfaces, size_t count, hp_subnet_t out[HP_FAR_ENDS_MAX]);

#endif
