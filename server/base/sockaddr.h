/* An IPv4 or IPv6 address with its port, in the kernel's form. */
#ifndef HP_BASE_SOCKADDR_H
#define HP_BASE_SOCKADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
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

/* The same address, without regard to the port. */
static inline bool hp_sockaddr_same_host(const hp_sockaddr_t *a, const hp_sockaddr_t *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family != AF_INET6)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0 &&
           a->v6.sin6_scope_id == b->v6.sin6_scope_id;
}

/* In network byte order. */
static inline in_port_t hp_sockaddr_port(const hp_sockaddr_t *address)
{
    return address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port;
}

static inline bool hp_sockaddr_equal(const hp_sockaddr_t *a, const hp_sockaddr_t *b)
{
    return hp_sockaddr_same_host(a, b) && hp_sockaddr_port(a) == hp_sockaddr_port(b);
}

#endif
