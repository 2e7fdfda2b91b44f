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

static bool in_container(void)
{
    const char *named = getenv("container"); /* systemd's convention; podman and LXC set it, too */
    return (named != NULL && named[0] != '\0') || access("/.dockerenv", F_OK) == 0 ||
           access("/run/.containerenv", F_OK) == 0;
}

/* RFC 1918, RFC 6598 and link-local. */
static bool is_private_v4(uint32_t address)
{
    return address >> 24 == 10 || address >> 20 == 0xac1 || address >> 16 == 0xc0a8 ||
           address >> 22 == 0x191 || address >> 16 == 0xa9fe;
}

/* Unique local (RFC 4193) and link-local. */
static bool is_private_v6(const struct in6_addr *address)
{
    return (address->s6_addr[0] & 0xfe) == 0xfc || IN6_IS_ADDR_LINKLOCAL(address);
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
        if (family == AF_INET6) {
            if (!is_private_v6(&((const struct sockaddr_in6 *)(const void *)entry->ifa_addr)->sin6_addr))
                return false;
            continue;
        }
        const struct in_addr *v4 = &((const struct sockaddr_in *)(const void *)entry->ifa_addr)->sin_addr;
        if (!is_private_v4(ntohl(v4->s_addr)))
            return false;
        if (address[0] == '\0')
            inet_ntop(AF_INET, v4, address, 64);
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
