#include "discovery/container.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/interfaces.h"
#include "path/address.h"

static bool in_container(void)
{
    const char *named = getenv("container"); /* systemd's convention; podman and LXC set it, too */
    return (named != NULL && named[0] != '\0') || access("/.dockerenv", F_OK) == 0 ||
           access("/run/.containerenv", F_OK) == 0;
}

/* Whether all that is up is of the hidden kind; the first IPv4 address goes to address. */
static bool all_hidden(const struct ifaddrs *all, char address[64])
{
    address[0] = '\0';
    for (const struct ifaddrs *entry = all; entry != NULL; entry = entry->ifa_next) {
        int family = entry->ifa_addr != NULL ? entry->ifa_addr->sa_family : AF_UNSPEC;
        if ((entry->ifa_flags & IFF_LOOPBACK) != 0 || (entry->ifa_flags & IFF_UP) == 0 ||
            (family != AF_INET && family != AF_INET6))
            continue;
        if (!hp_interface_is_virtual_cable(entry->ifa_name))
            return false;
        hp_sockaddr_t own = {0};
        memcpy(&own, entry->ifa_addr, family == AF_INET6 ? sizeof own.v6 : sizeof own.v4);
        if (hp_address_scope(&own) == HP_SCOPE_GLOBAL)
            return false;
        if (family == AF_INET && address[0] == '\0')
            inet_ntop(AF_INET, &own.v4.sin_addr, address, 64);
    }
    return address[0] != '\0';
}

bool hp_container_hides(char address[64])
{
    struct ifaddrs *all = NULL;
    if (!in_container() || getifaddrs(&all) != 0)
        return false;
    bool hidden = all_hidden(all, address);
    freeifaddrs(all);
    return hidden;
}
