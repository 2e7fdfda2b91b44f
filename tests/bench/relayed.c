/* Both ends of a relayed connection, so that the hub between them alone sets the pace.
 *
 *   relayed PORT TOKEN TOKEN BYTES    joins at the hub's relay at 127.0.0.1, sends so many bytes from the
 * first end to the second; prints {"seconds","bytes"}
 *
 * What is sent lies in a file in memory and what comes is discarded inside the kernel (MSG_TRUNC), so that
 * nothing is copied here. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE ((size_t)4 << 20)

static void die(const char *what)
{
    fprintf(stderr, "relayed: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int join_at(uint16_t port, const char *token)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char line[64];
    int length = snprintf(line, sizeof line, "HOSTPAIR-RELAY/1 %s\r\n", token);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    if (send(fd, line, (size_t)length, MSG_NOSIGNAL) != length)
        die("send");
    return fd;
}

static void await_ok(int fd)
{
    char answer[4];
    if (recv(fd, answer, sizeof answer, MSG_WAITALL) != sizeof answer || memcmp(answer, "OK\r\n", 4) != 0)
        die("the relay does not join both ends");
}

/* A file of zeros in memory. */
static int make_source(void)
{
    int file = memfd_create("zeros", MFD_CLOEXEC);
    static char zeros[1 << 16];
    if (file < 0)
        die("memfd_create");
    for (size_t at = 0; at < PIECE; at += sizeof zeros)
        if (write(file, zeros, sizeof zeros) != sizeof zeros)
            die("write");
    return file;
}

static void carry(int from, int to, uint64_t bytes)
{
    int file = make_source();
    uint64_t sent = 0, got = 0;
    while (got < bytes) {
        struct pollfd fds[2] = {{.fd = from, .events = sent < bytes ? POLLOUT : 0},
                                {.fd = to, .events = POLLIN}};
        if (poll(fds, 2, 30000) <= 0)
            die("nothing moved for 30 s");
        if (fds[0].revents & POLLOUT) {
            off_t at = (off_t)(sent % PIECE);
            size_t most = PIECE - (size_t)at;
            ssize_t n = sendfile(from, file, &at, most < bytes - sent ? most : (size_t)(bytes - sent));
            if (n < 0 && errno != EAGAIN)
                die("sendfile");
            sent += n > 0 ? (uint64_t)n : 0;
        }
        if (fds[1].revents != 0) {
            ssize_t n = recv(to, NULL, PIECE, MSG_TRUNC | MSG_DONTWAIT);
            if (n == 0 || (n < 0 && errno != EAGAIN))
                die("recv");
            got += n > 0 ? (uint64_t)n : 0;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: relayed PORT TOKEN TOKEN BYTES\n");
        return 2;
    }
    uint16_t port = (uint16_t)atoi(argv[1]);
    uint64_t bytes = strtoull(argv[4], NULL, 10);
    int from = join_at(port, argv[2]), to = join_at(port, argv[3]);
    await_ok(from);
    await_ok(to);
    fcntl(from, F_SETFL, fcntl(from, F_GETFL) | O_NONBLOCK);
    double begun = now();
    carry(from, to, bytes);
    printf("{\"seconds\":%.6f,\"bytes\":%llu}\n", now() - begun, (unsigned long long)bytes);
    return 0;
}
