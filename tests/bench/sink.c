/* A client that throws away what it gets, so that the server alone sets the pace.
 *
 *   sink get PORT PATH CONNECTIONS REQUESTS   asks for PATH so often on each of so many connections at once;
 *                                             prints {"seconds","bytes","requests"}
 *   sink hold PORT PATH CONNECTIONS           asks once on each, prints {"held"}, waits for the end of
 * standard input, prints {"held","open"}: how many the server has kept
 *
 * To 127.0.0.1 only. Bodies are discarded inside the kernel (MSG_TRUNC), so nothing is copied out. Any reply
 * but a 200 with a Content-Length ends it with code 1. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 8192
#define READ_MAX (1 << 20)

typedef struct connection {
    int fd;
    long requests; /* still to be asked */
    bool in_head;
    size_t head_length;
    uint64_t left; /* of the body */
    char head[HEAD_MAX];
} connection_t;

static char request[1024];
static size_t request_length;
static uint64_t bytes, replies;
static int open_connections;

static void die(const char *what)
{
    fprintf(stderr, "sink: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void ask(connection_t *c)
{
    c->in_head = true;
    c->head_length = 0;
    if (send(c->fd, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length)
        die("send");
}

static void open_connection(connection_t *c, int epoll, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("epoll_ctl");
    open_connections++;
}

/* Reads up to the end of the header section; what came of the body with it counts already. */
static void read_head(connection_t *c)
{
    ssize_t n = recv(c->fd, c->head + c->head_length, HEAD_MAX - 1 - c->head_length, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the connection ended inside the header section");
    c->head_length += (size_t)n;
    c->head[c->head_length] = '\0';
    char *end = strstr(c->head, "\r\n\r\n"), *field = strcasestr(c->head, "\r\nContent-Length:");
    if (end == NULL)
        return;
    if (strncmp(c->head, "HTTP/1.1 200 ", 13) != 0 || field == NULL || field > end) {
        fprintf(stderr, "sink: not a 200 with a length: %.*s\n", (int)(end - c->head), c->head);
        exit(1);
    }
    uint64_t length = strtoull(field + 17, NULL, 10), got = (uint64_t)(c->head + c->head_length - end - 4);
    c->in_head = false;
    c->left = length - got;
    bytes += got;
}

static void read_body(connection_t *c)
{
    static char buffer[READ_MAX];
    while (c->left > 0) {
        size_t most = c->left < READ_MAX ? (size_t)c->left : READ_MAX;
        ssize_t n = recv(c->fd, buffer, most, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            die("the connection ended inside the body");
        c->left -= (uint64_t)n;
        bytes += (uint64_t)n;
    }
}

/* Whether this connection has got all its replies. */
static bool go_on(connection_t *c)
{
    if (c->in_head)
        read_head(c);
    if (c->in_head)
        return false;
    read_body(c);
    if (c->left > 0)
        return false;
    replies++;
    if (--c->requests == 0)
        return true;
    ask(c);
    return false;
}

/* Serves events until so many connections have got all their replies. */
static void run(int epoll, int unfinished)
{
    struct epoll_event events[256];
    while (unfinished > 0) {
        int n = epoll_wait(epoll, events, 256, 30000);
        if (n == 0) {
            fprintf(stderr, "sink: nothing came for 30 s\n");
            exit(1);
        }
        for (int i = 0; i < n; i++)
            unfinished -= go_on(events[i].data.ptr);
    }
}

static void count_open(connection_t *connections, int count)
{
    char byte;
    for (int i = 0; i < count; i++)
        if (recv(connections[i].fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0 ||
            (errno != EAGAIN && errno != 0))
            open_connections--;
}

int main(int argc, char **argv)
{
    bool hold = argc == 5 && strcmp(argv[1], "hold") == 0;
    if (!hold && (argc != 6 || strcmp(argv[1], "get") != 0)) {
        fprintf(stderr, "sink get PORT PATH CONNECTIONS REQUESTS | sink hold PORT PATH CONNECTIONS\n");
        return 2;
    }
    int port = atoi(argv[2]), count = atoi(argv[4]);
    int length =
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", argv[3], port);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    connection_t *connections = calloc((size_t)count, sizeof *connections);
    if (length >= (int)sizeof request || connections == NULL || epoll < 0)
        die("start");
    request_length = (size_t)length;
    double start = now();
    for (int i = 0; i < count; i++) {
        connections[i].requests = hold ? 1 : atol(argv[5]);
        open_connection(&connections[i], epoll, (uint16_t)port);
        ask(&connections[i]);
        if (hold) /* one after the other: the listener's queue is short */
            run(epoll, 1);
    }
    if (!hold)
        run(epoll, count);
    double seconds = now() - start;
    if (!hold) {
        printf("{\"seconds\":%.6f,\"bytes\":%llu,\"requests\":%llu}\n", seconds, (unsigned long long)bytes,
               (unsigned long long)replies);
        return 0;
    }
    printf("{\"held\":%d}\n", open_connections);
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0)
        continue;
    errno = 0;
    count_open(connections, count);
    printf("{\"held\":%d,\"open\":%d}\n", count, open_connections);
    return 0;
}
