/* The kernel's IPv4 routes that lead out of an interface straight to their destination, without a gateway:
 * what a VPN or a point-to-point link says about who is at its other end. */
#ifndef HP_OS_ROUTES_H
#define HP_OS_ROUTES_H

#include <stddef.h>
#include <stdint.h>

typedef struct hp_route {
    char interface[16];         /* its name */
    uint32_t destination, mask; /* host byte order */
} hp_route_t;

/* At most max of them, without the default route. Returns how many; 0 also when they cannot be read. No disk,
 * no waiting. */
size_t hp_routes_read(hp_route_t *out, size_t max);

#endif
