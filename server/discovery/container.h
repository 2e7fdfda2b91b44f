/* Whether this hostpair sits in a container on a network that only this machine has, so that what it would
 * tell others as its address is of no use to them.
 *
 * The rule: there is a sign of a container (/.dockerenv, /run/.containerenv, or the variable `container`);
 * every network interface that is up, but loopback, is one end of a virtual cable (a veth pair), so there is
 * no network card; and all of its addresses are private ones. A container with the machine's own network has
 * that one's cards, and one on a macvlan has no cable: neither falls under it. Loop thread; asks the kernel
 * only. */
#ifndef HP_DISCOVERY_CONTAINER_H
#define HP_DISCOVERY_CONTAINER_H

#include <stdbool.h>

/* address: the IPv4 address that others cannot reach. */
bool hp_container_hides(char address[64]);

#endif
