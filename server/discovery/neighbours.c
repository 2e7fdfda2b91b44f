#include "discovery/neighbours.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

static int ask(int fd)
{
    struct {
        struct nlmsghdr header;
        struct ndmsg body;
    } request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg)),
                   .nlmsg_type = RTM_GETNEIGH,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                   .nlmsg_seq = 1},
        .body = {.ndm_family = AF_UNSPEC},
    };
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent =
        sendto(fd, &request, request.header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel);
    return sent == (ssize_t)request.header.nlmsg_len ? 0 : -1;
}

static bool take(const struct nlmsghdr *header, hp_sockaddr_t *out)
{
    const struct ndmsg *body = NLMSG_DATA(header);
    if (header->nlmsg_type != RTM_NEWNEIGH || header->nlmsg_len < NLMSG_LENGTH(sizeof *body) ||
        (body->ndm_state & USABLE) == 0)
        return false;
    long left = (long)header->nlmsg_len - (long)NLMSG_LENGTH(sizeof *body);
    const struct rtattr *attribute = (const struct rtattr *)((const char *)body + NLMSG_ALIGN(sizeof *body));
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        if (attribute->rta_type != NDA_DST)
            continue;
        *out = (hp_sockaddr_t){0};
        if (body->ndm_family == AF_INET && RTA_PAYLOAD(attribute) == 4) {
            out->v4.sin_family = AF_INET;
            memcpy(&out->v4.sin_addr, RTA_DATA(attribute), 4);
            return ntohl(out->v4.sin_addr.s_addr) >> 28 < 0xe && ntohl(out->v4.sin_addr.s_addr) >> 24 != 127;
        }
        if (body->ndm_family == AF_INET6 && RTA_PAYLOAD(attribute) == 16) {
            out->v6.sin6_family = AF_INET6;
            memcpy(&out->v6.sin6_addr, RTA_DATA(attribute), 16);
            if (IN6_IS_ADDR_LINKLOCAL(&out->v6.sin6_addr))
                out->v6.sin6_scope_id = (uint32_t)body->ndm_ifindex;
            return !IN6_IS_ADDR_MULTICAST(&out->v6.sin6_addr) && !IN6_IS_ADDR_LOOPBACK(&out->v6.sin6_addr) &&
                   !IN6_IS_ADDR_UNSPECIFIED(&out->v6.sin6_addr);
        }
    }
    return false;
}

size_t hp_neighbours_read(hp_sockaddr_t *out, size_t max)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    size_t count = 0;
    if (fd < 0)
        return 0;
    bool more = ask(fd) == 0;
    _Alignas(struct nlmsghdr) char buffer[32768];
    while (more) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0)
            break;
        unsigned left = (unsigned)got;
        for (const struct nlmsghdr *header = (const struct nlmsghdr *)buffer; NLMSG_OK(header, left);
             header = NLMSG_NEXT(header, left)) {
            if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR)
                more = false;
            else if (count < max)
                count += take(header, &out[count]);
        }
    }
    close(fd);
    return count;
}
