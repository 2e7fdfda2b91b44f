#include "os/neighbours.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

typedef struct request {
    struct nlmsghdr header;
    struct ndmsg body;
    struct rtattr attribute;
    uint8_t address[16];
} request_t;

static bool ask(int fd, const request_t *request)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    return sendto(fd, request, request->header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) ==
           (ssize_t)request->header.nlmsg_len;
}

static bool take_address(const struct rtattr *attribute, const struct ndmsg *body, hp_sockaddr_t *out)
{
    *out = (hp_sockaddr_t){0};
    if (body->ndm_family == AF_INET && RTA_PAYLOAD(attribute) == 4) {
        out->v4.sin_family = AF_INET;
        memcpy(&out->v4.sin_addr, RTA_DATA(attribute), 4);
        uint32_t ip = ntohl(out->v4.sin_addr.s_addr);
        return ip >> 28 < 0xe && ip >> 24 != 127 && ip != 0;
    }
    if (body->ndm_family != AF_INET6 || RTA_PAYLOAD(attribute) != 16)
        return false;
    out->v6.sin6_family = AF_INET6;
    memcpy(&out->v6.sin6_addr, RTA_DATA(attribute), 16);
    const struct in6_addr *ip = &out->v6.sin6_addr;
    if (IN6_IS_ADDR_LINKLOCAL(ip))
        out->v6.sin6_scope_id = (uint32_t)body->ndm_ifindex;
    return !IN6_IS_ADDR_MULTICAST(ip) && !IN6_IS_ADDR_LOOPBACK(ip) && !IN6_IS_ADDR_UNSPECIFIED(ip);
}

static bool take(const struct nlmsghdr *header, hp_neighbour_t *out)
{
    const struct ndmsg *body = NLMSG_DATA(header);
    if (header->nlmsg_type != RTM_NEWNEIGH || header->nlmsg_len < NLMSG_LENGTH(sizeof *body))
        return false;
    *out = (hp_neighbour_t){.index = (unsigned)body->ndm_ifindex,
                            .usable = (body->ndm_state & USABLE) != 0,
                            .waiting = (body->ndm_state & NUD_INCOMPLETE) != 0};
    long left = (long)header->nlmsg_len - (long)NLMSG_LENGTH(sizeof *body);
    const struct rtattr *attribute = (const struct rtattr *)((const char *)body + NLMSG_ALIGN(sizeof *body));
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
        if (attribute->rta_type == NDA_DST)
            return take_address(attribute, body, &out->address);
    return false;
}

static int open_socket(void)
{
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
}

size_t hp_neighbours_read(hp_neighbour_t *out, size_t max)
{
    const request_t request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg)),
                                          .nlmsg_type = RTM_GETNEIGH,
                                          .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                                          .nlmsg_seq = 1},
                               .body = {.ndm_family = AF_UNSPEC}};
    _Alignas(struct nlmsghdr) char buffer[32768];
    int fd = open_socket();
    size_t count = 0;
    if (fd < 0)
        return 0;
    bool more = ask(fd, &request);
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

void hp_neighbours_forget(const hp_neighbour_t *neighbours, size_t count)
{
    int fd = open_socket();
    bool go_on = fd >= 0;
    for (size_t i = 0; go_on && i < count; i++) {
        bool v6 = neighbours[i].address.any.sa_family == AF_INET6;
        size_t length = v6 ? 16 : 4;
        request_t request = {
            .header = {.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof(struct ndmsg)) + RTA_LENGTH(length)),
                       .nlmsg_type = RTM_DELNEIGH,
                       .nlmsg_flags = NLM_F_REQUEST},
            .body = {.ndm_family = v6 ? AF_INET6 : AF_INET, .ndm_ifindex = (int)neighbours[i].index},
            .attribute = {.rta_len = (unsigned short)RTA_LENGTH(length), .rta_type = NDA_DST}};
        memcpy(request.address,
               v6 ? (const void *)&neighbours[i].address.v6.sin6_addr
                  : (const void *)&neighbours[i].address.v4.sin_addr,
               length);
        char answer[256];
        go_on = ask(fd, &request) && recv(fd, answer, sizeof answer, 0) < 0; /* only a refusal is answered */
    }
    if (fd >= 0)
        close(fd);
}
