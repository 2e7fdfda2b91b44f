/* sock_diag(7): a question about one socket by its two ends, which the kernel answers to everybody. */
#include "os/socket_owner.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS 1000 /* the kernel answers inside of send; this only bounds a wait that should not be */

typedef struct question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
} question_t;

/* Writes the address in its shortest form; IPv4 inside IPv6 becomes IPv4. Returns the family. */
static int put_address(const hp_sockaddr_t *address, __be32 out[4], __be16 *port)
{
    memset(out, 0, 4 * sizeof *out);
    if (address->any.sa_family == AF_INET) {
        *port = address->v4.sin_port;
        memcpy(out, &address->v4.sin_addr, 4);
        return AF_INET;
    }
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    *port = address->v6.sin6_port;
    bool mapped = IN6_IS_ADDR_V4MAPPED(v6);
    memcpy(out, mapped ? &v6->s6_addr[12] : v6->s6_addr, mapped ? 4 : 16);
    return mapped ? AF_INET : AF_INET6;
}

static int ask(int fd, const question_t *question)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent;
    do
        sent = sendto(fd, question, sizeof *question, 0, (struct sockaddr *)&kernel, sizeof kernel);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* The kernel also answers with a listener on that port, and with sockets that no program holds any more;
 * those it ascribes to root. */
static int read_answer(const struct nlmsghdr *header, const question_t *question, uid_t *uid)
{
    if (header->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *error = NLMSG_DATA(header);
        return header->nlmsg_len >= NLMSG_LENGTH(sizeof *error) && error->error < 0 ? error->error : -EPROTO;
    }
    const struct inet_diag_msg *found = NLMSG_DATA(header);
    if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY || header->nlmsg_len < NLMSG_LENGTH(sizeof *found))
        return -EPROTO;
    if (found->id.idiag_sport != question->body.id.idiag_sport ||
        found->id.idiag_dport != question->body.id.idiag_dport || found->idiag_inode == 0)
        return -ENOENT;
    *uid = found->idiag_uid;
    return 0;
}

int hp_os_socket_owner_open(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return -errno;
    struct timeval wait = {.tv_sec = ANSWER_MS / 1000, .tv_usec = ANSWER_MS % 1000 * 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return fd;
}

int hp_os_socket_owner(int asker, const hp_sockaddr_t *local, const hp_sockaddr_t *remote, uid_t *uid)
{
    question_t question = {.header = {.nlmsg_len = sizeof question,
                                      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                                      .nlmsg_flags = NLM_F_REQUEST},
                           .body = {.sdiag_protocol = IPPROTO_TCP,
                                    .idiag_states = ~0u,
                                    .id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}};
    struct inet_diag_sockid *id = &question.body.id;
    int family = put_address(local, id->idiag_src, &id->idiag_sport);
    if (put_address(remote, id->idiag_dst, &id->idiag_dport) != family)
        return -ENOENT; /* no connection has two families */
    question.body.sdiag_family = (uint8_t)family;
    if (asker < 0)
        return asker;
    _Alignas(struct nlmsghdr) char answer[4096];
    while (recv(asker, answer, sizeof answer, MSG_DONTWAIT) >= 0) {
        /* an answer that came after its question had been given up */
    }
    int rc = ask(asker, &question);
    ssize_t n = -1;
    if (rc == 0) {
        do
            n = recv(asker, answer, sizeof answer, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            rc = -errno;
    }
    const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
    if (rc == 0)
        rc = NLMSG_OK(header, (unsigned)n) ? read_answer(header, &question, uid) : -EPROTO;
    return rc;
}
