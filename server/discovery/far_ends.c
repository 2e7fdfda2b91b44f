#include "discovery/far_ends.h"

#include <string.h>

#include "os/routes.h"

#define ROUTES_MAX 256

typedef struct ranges {
    hp_subnet_t *out;
    size_t count;
} ranges_t;

static void add(ranges_t *self, hp_subnet_t range)
{
    if (range.first <= range.last && self->count < HP_FAR_ENDS_MAX)
        self->out[self->count++] = range;
}

static bool has_no_network(const hp_interface_t *interface)
{
    return !interface->v6 && (interface->point_to_point || interface->mask >= 0xfffffffe);
}

static void add_route(ranges_t *self, const hp_interface_t *interface, const hp_route_t *route)
{
    const uint32_t widest = ~0u << (32 - HP_SCAN_PREFIX);
    bool inside = (interface->address & route->mask) == route->destination;
    if (route->mask >= 0xfffffffe)
        add(self, (hp_subnet_t){.first = route->destination, .last = route->destination | ~route->mask});
    else if (inside)
        add(self, hp_subnet_hosts(interface->address, route->mask, false));
    else if ((route->mask & widest) == widest)
        add(self, hp_subnet_hosts(route->destination, route->mask, false));
}

size_t hp_far_ends(const hp_interface_t *interfaces, size_t count, hp_subnet_t out[HP_FAR_ENDS_MAX])
{
    ranges_t ranges = {.out = out};
    hp_route_t routes[ROUTES_MAX];
    size_t route_count = hp_routes_read(routes, ROUTES_MAX);
    for (size_t i = 0; i < count; i++) {
        const hp_interface_t *interface = &interfaces[i];
        if (!has_no_network(interface))
            continue;
        if (interface->peer != 0 && interface->peer != interface->address)
            add(&ranges, (hp_subnet_t){.first = interface->peer, .last = interface->peer});
        if (interface->mask == 0xfffffffe)
            add(&ranges, (hp_subnet_t){.first = interface->address ^ 1, .last = interface->address ^ 1});
        for (size_t r = 0; r < route_count; r++)
            if (strcmp(routes[r].interface, interface->name) == 0)
                add_route(&ranges, interface, &routes[r]);
    }
    return ranges.count;
}
