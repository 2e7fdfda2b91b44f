#include "os/own_address.h"

#include <errno.h>
#include <unistd.h>

#include "base/sockaddr.h"

bool hp_own_address_is_lost(int fd)
{
    hp_sockaddr_t own = {0};
    socklen_t length = sizeof own;
    if (getsockname(fd, &own.any, &length) != 0 ||
        (own.any.sa_family != AF_INET && own.any.sa_family != AF_INET6))
        return false;
    if (own.any.sa_family == AF_INET6)
        own.v6.sin6_port = 0;
    else
        own.v4.sin_port = 0;
    /* What can be bound is an address of this machine (ip(7)). */
    int probe = socket(own.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool lost = probe >= 0 && bind(probe, &own.any, hp_sockaddr_length(&own)) != 0 && errno == EADDRNOTAVAIL;
    if (probe >= 0)
        close(probe);
    return lost;
}
