/* A listener and its clients in one loop, for the tests of server/http. The clients are plain sockets on
 * 127.0.0.1 that never block: waiting for a condition runs the loop and reads what has come. */
#ifndef HP_TEST_HTTP_H
#define HP_TEST_HTTP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/http.h"

#define WAIT_MS 10000 /* for any condition; a test that gets there has failed */

static uv_loop_t loop;
static hp_http_listener_t *listener;

typedef struct client {
    int fd;     /* -1 once closed by the test */
    char *data; /* what has come, with NUL */
    size_t length, taken, capacity;
    bool reads; /* false: leaves the bytes in the kernel */
    bool ended; /* the server has closed */
    int error;  /* 0: in order */
    struct client *next;
} client_t;

static client_t *clients;

static inline void read_client(client_t *c)
{
    char piece[65536];
    while (c->fd >= 0 && c->reads && !c->ended) {
        ssize_t n = recv(c->fd, piece, sizeof piece, MSG_DONTWAIT);
        if (n > 0) {
            if (c->length + (size_t)n >= c->capacity) {
                c->capacity = 2 * (c->length + (size_t)n) + 1;
                c->data = hp_realloc(c->data, c->capacity);
            }
            memcpy(c->data + c->length, piece, (size_t)n);
            c->length += (size_t)n;
            c->data[c->length] = '\0';
        } else if (n == 0) {
            c->ended = true;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            c->ended = true;
            c->error = errno;
        }
    }
}

static inline void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    for (client_t *c = clients; c != NULL; c = c->next)
        read_client(c);
    usleep(300);
}

#define wait_until(condition)                                                                                \
    do {                                                                                                     \
        uint64_t end_ = hp_clock_ms() + WAIT_MS;                                                             \
        while (!(condition)) {                                                                               \
            if (hp_clock_ms() > end_)                                                                        \
                fail_msg("waited %d ms for %s", WAIT_MS, #condition);                                        \
            turn();                                                                                          \
        }                                                                                                    \
    } while (0)

static inline void run_for(uint64_t ms)
{
    for (uint64_t end = hp_clock_ms() + ms; hp_clock_ms() < end;)
        turn();
}

/* receive_buffer 0: the kernel's default. */
static inline client_t *client_open_with(int receive_buffer)
{
    client_t *c = hp_alloc(sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(hp_http_port(listener))};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&where, sizeof where), 0);
    c->reads = true;
    c->data = hp_strdup("");
    c->next = clients;
    clients = c;
    return c;
}

static inline client_t *client_open(void)
{
    return client_open_with(0);
}

static inline void client_send(client_t *c, const char *text)
{
    for (size_t length = strlen(text), done = 0; done < length;) {
        ssize_t n = send(c->fd, text + done, length - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno != EAGAIN)
            fail_msg("send: %s", strerror(errno));
        turn();
    }
}

static inline client_t *client_ask(const char *request)
{
    client_t *c = client_open();
    client_send(c, request);
    return c;
}

static inline void client_close(client_t *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static inline void client_reset(client_t *c)
{
    struct linger drop = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
    client_close(c);
}

/* The next whole reply with a Content-Length, waited for; valid until the next call. body may be NULL. */
static inline const char *client_reply(client_t *c, const char **body)
{
    static char *reply;
    const char *end;
    wait_until((end = strstr(c->data + c->taken, "\r\n\r\n")) != NULL || c->ended);
    if (end == NULL)
        fail_msg("the connection ended without a reply: \"%s\"", c->data + c->taken);
    const char *field = strcasestr(c->data + c->taken, "\r\ncontent-length: ");
    size_t head = (size_t)(end + 4 - c->data) - c->taken, length = 0;
    if (field != NULL && field < end)
        length = strtoul(field + 18, NULL, 10);
    wait_until(c->length >= c->taken + head + length || c->ended);
    if (c->length < c->taken + head + length)
        fail_msg("the connection ended inside a reply of %zu bytes", length);
    free(reply);
    reply = memcpy(hp_alloc(head + length + 1), c->data + c->taken, head + length);
    c->taken += head + length;
    if (body != NULL)
        *body = reply + head;
    return reply;
}

static inline int status_of(const char *reply)
{
    return strncmp(reply, "HTTP/1.1 ", 9) == 0 ? atoi(reply + 9) : -1;
}

static inline void assert_has(const char *text, const char *part)
{
    if (strcasestr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%.2000s\"", part, text);
}

static inline void assert_has_not(const char *text, const char *part)
{
    if (strcasestr(text, part) != NULL)
        fail_msg("\"%s\" is in \"%.2000s\"", part, text);
}

static inline void listen_with(hp_http_options_t options)
{
    hp_err_t err = {0};
    options.name = "test";
    options.server = "test/1";
    if (options.body_max == 0)
        options.body_max = 1000;
    int rc = hp_http_listen(&listener, &loop, "127.0.0.1", 0, &options, &err);
    if (rc != 0)
        fail_msg("%s", err.detail);
}

static inline void on_listener_gone(void *arg)
{
    *(bool *)arg = true;
}

static inline void destroy_listener(void)
{
    bool gone = false;
    hp_http_destroy(listener, on_listener_gone, &gone);
    wait_until(gone);
    listener = NULL;
}

static inline int set_up(void **state)
{
    (void)state;
    hp_log_set_level(HP_LOG_ERROR);
    return uv_loop_init(&loop);
}

/* Every test ends with a loop that has nothing left in it. */
static inline int tear_down(void **state)
{
    (void)state;
    if (listener != NULL)
        destroy_listener();
    while (clients != NULL) {
        client_t *c = clients;
        clients = c->next;
        client_close(c);
        free(c->data);
        free(c);
    }
    uv_run(&loop, UV_RUN_NOWAIT);
    return uv_loop_close(&loop);
}

#endif
