#include "os/routes.h"

#include <inttypes.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>

/* proc(5), /proc/net/route: hexadecimal numbers as the memory of this machine holds them. */
size_t hp_routes_read(hp_route_t *out, size_t max)
{
    FILE *file = fopen("/proc/net/route", "re");
    char line[256];
    size_t count = 0;
    if (file == NULL)
        return 0;
    while (count < max && fgets(line, sizeof line, file) != NULL) {
        hp_route_t *route = &out[count];
        uint32_t destination, gateway, mask;
        unsigned flags;
        if (sscanf(line, "%15s %" SCNx32 " %" SCNx32 " %x %*s %*s %*s %" SCNx32, route->interface,
                   &destination, &gateway, &flags, &mask) != 5 ||
            gateway != 0 || mask == 0 || (flags & RTF_UP) == 0 || (flags & RTF_REJECT) != 0)
            continue;
        route->destination = ntohl(destination);
        route->mask = ntohl(mask);
        count++;
    }
    fclose(file);
    return count;
}
