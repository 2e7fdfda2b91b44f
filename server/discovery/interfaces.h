/* The network interfaces that discovery uses: up, with a carrier, not loopback. Watched through the kernel's
 * route messages (rtnetlink(7)); a burst of changes is told once. Loop thread. */
#ifndef HP_DISCOVERY_INTERFACES_H
#define HP_DISCOVERY_INTERFACES_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

/* One address of an interface. IPv6: the link-local ones only, as the beacon needs them. */
typedef struct hp_interface {
    char name[IF_NAMESIZE];
    unsigned index;
    bool v6;
    bool multicast;
    bool point_to_point;               /* no subnet to scan; see far_ends.h */
    uint32_t address, mask, broadcast; /* IPv4, host byte order; broadcast 0: none */
    uint32_t peer;                     /* IPv4 address of the other end, as it was set; 0: none */
    struct in6_addr address6;
} hp_interface_t;

#define HP_INTERFACES_MAX 256

typedef struct hp_interfaces hp_interfaces_t;

/* changed runs on the loop after the list differs from before, never inside a call. */
int hp_interfaces_create(hp_interfaces_t **interfaces, uv_loop_t *loop, void (*changed)(void *arg), void *arg,
                         hp_err_t *err);
void hp_interfaces_destroy(hp_interfaces_t *interfaces, void (*closed)(void *arg), void *arg);

/* The present list; valid until changed runs. */
const hp_interface_t *hp_interfaces_list(const hp_interfaces_t *interfaces, size_t *count);

#endif
