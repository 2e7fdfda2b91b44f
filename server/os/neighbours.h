/* The kernel's neighbour table: who answered to ARP or neighbour discovery lately. Read through rtnetlink(7),
 * which answers at once: no disk, no waiting. */
#ifndef HP_OS_NEIGHBOURS_H
#define HP_OS_NEIGHBOURS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sockaddr.h"

typedef struct hp_neighbour {
    hp_sockaddr_t address; /* port 0; link-local IPv6 with its interface */
    unsigned index;        /* of the interface */
    bool usable;           /* it answered */
    bool waiting;          /* the kernel is still asking */
} hp_neighbour_t;

/* At most max entries, without multicast and loopback. Returns how many; 0 also when the table cannot be
 * read. */
size_t hp_neighbours_read(hp_neighbour_t *out, size_t max);

/* Takes entries out of the table, whose size is limited; without the right to do so (CAP_NET_ADMIN) nothing
 * happens. */
void hp_neighbours_forget(const hp_neighbour_t *neighbours, size_t count);

#endif
