#include "os/interfaces.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* rtnetlink(7) */
int hp_interface_changes_open(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK,
                                  .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

void hp_interface_changes_read(int fd)
{
    char buffer[16384];
    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0)
        continue;
}

bool hp_interface_is_virtual_cable(const char *name)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    request.ifr_data = (char *)&info;
    bool is_veth = ioctl(fd, SIOCETHTOOL, &request) == 0 && strcmp(info.driver, "veth") == 0;
    close(fd);
    return is_veth;
}

static bool has(const char *name, const char *what)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/class/net/%.32s/%s", name, what);
    return access(path, F_OK) == 0;
}

/* Its hardware type (if_arp.h); -1 unknown. */
static int type_of(const char *name)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), type = -1;
    if (fd < 0)
        return -1;
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ioctl(fd, SIOCGIFHWADDR, &request) == 0)
        type = request.ifr_hwaddr.sa_family;
    close(fd);
    return type;
}

/* sysfs shows the hardware; programs that make bridges and cables for containers name them so. */
hp_interface_kind_t hp_interface_kind(const char *name)
{
    static const char *const containers[] = {"docker", "br-",     "podman", "cni",  "virbr", "lxc",
                                             "lxdbr",  "incusbr", "vnet",   "veth", "cali",  "flannel"};
    int type = type_of(name);
    if (has(name, "wireless") || has(name, "phy80211"))
        return HP_INTERFACE_WIFI;
    if (type == ARPHRD_NONE || type == ARPHRD_PPP || type == ARPHRD_TUNNEL || type == ARPHRD_TUNNEL6 ||
        type == ARPHRD_IPGRE || type == ARPHRD_SIT || has(name, "tun_flags"))
        return HP_INTERFACE_VPN;
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++)
        if (strncmp(name, containers[i], strlen(containers[i])) == 0)
            return HP_INTERFACE_CONTAINER;
    return has(name, "device") ? HP_INTERFACE_WIRED : HP_INTERFACE_VIRTUAL;
}
