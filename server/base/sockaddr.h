/* An IPv4 or IPv6 address with its port, in the kernel's form. */
#ifndef HP_BASE_SOCKADDR_H
#define HP_BASE_SOCKADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

typedef union hp_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} hp_sockaddr_t;

/* The length that the kernel expects beside the address. */
static inline socklen_t hp_sockaddr_length(const hp_sockaddr_t *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

#endif
