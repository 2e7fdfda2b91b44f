#include "os/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { SOCKET_BUFFER = 4 << 20 }; /* bytes asked for; the kernel gives what its limit allows */

static int set_up(int fd, int family, uint16_t port)
{
    int size = SOCKET_BUFFER, on = 1, probe = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE;
    hp_sockaddr_t any = {0};
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (family == AF_INET6) {
        any.v6.sin6_family = AF_INET6;
        any.v6.sin6_port = htons(port);
        if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0 ||
            setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof probe6) != 0)
            return -errno;
    } else {
        any.v4.sin_family = AF_INET;
        any.v4.sin_port = htons(port);
        if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe) != 0)
            return -errno;
    }
    return bind(fd, &any.any, hp_sockaddr_length(&any)) == 0 ? 0 : -errno;
}

int hp_udp_open_fd(int family, uint16_t port)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int rc = set_up(fd, family, port);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    return fd;
}

bool hp_udp_ask_trains(int fd)
{
    int on = 1;
    return setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0;
}

int hp_udp_send_train(int fd, const hp_sockaddr_t *to, const void *data, size_t length, size_t segment)
{
    union {
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {(void *)data, length};
    struct msghdr message = {
        .msg_name = (void *)to, .msg_namelen = hp_sockaddr_length(to), .msg_iov = &part, .msg_iovlen = 1};
    if (length > segment) {
        uint16_t size = (uint16_t)segment;
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = IPPROTO_UDP;
        header->cmsg_type = UDP_SEGMENT;
        header->cmsg_len = CMSG_LEN(sizeof size);
        memcpy(CMSG_DATA(header), &size, sizeof size);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

ssize_t hp_udp_receive_train(int fd, void *data, size_t size, hp_sockaddr_t *from, size_t *segment)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {data, size};
    struct msghdr message = {.msg_name = from,
                             .msg_namelen = sizeof *from,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got;
    memset(from, 0, sizeof *from);
    do
        got = recvmsg(fd, &message, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    *segment = (size_t)got;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL;
         header = CMSG_NXTHDR(&message, header))
        if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO) {
            int one;
            memcpy(&one, CMSG_DATA(header), sizeof one);
            if (one > 0)
                *segment = (size_t)one;
        }
    return got;
}
