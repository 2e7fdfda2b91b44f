/* What the fetcher's tests share: a small server that says exactly what a test tells it to, lies included,
 * and a request that remembers what happened to it. The server runs in threads of its own with blocking
 * sockets on 127.0.0.1. */
#ifndef HP_TEST_FETCH_H
#define HP_TEST_FETCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "fetch/fetch.h"

#define PATIENCE_MS 30000 /* a test that waits longer for anything has failed */

#define OK "HTTP/1.1 200 OK\r\n"

/* ---- the server ---- */

typedef struct server server_t;
/* Serves one connection, the number-th (from 0); the descriptor is closed when it returns. */
typedef void (*serve_fn)(server_t *server, int fd, int number);

#define CONNECTIONS_MAX 256

struct server {
    int listener;
    uint16_t port;
    serve_fn serve;
    const void *script; /* the test's own */
    pthread_t acceptor;
    pthread_t threads[CONNECTIONS_MAX];
    int fds[CONNECTIONS_MAX]; /* -1 when closed */
    pthread_mutex_t lock;
    atomic_int connections, requests;
    char last_request[8192]; /* under lock */
};

typedef struct served {
    server_t *server;
    int fd, number;
} served_t;

static void *serve_thread(void *arg)
{
    served_t served = *(served_t *)arg;
    free(arg);
    served.server->serve(served.server, served.fd, served.number);
    pthread_mutex_lock(&served.server->lock);
    served.server->fds[served.number] = -1;
    pthread_mutex_unlock(&served.server->lock);
    close(served.fd);
    return NULL;
}

static void *accept_thread(void *arg)
{
    server_t *server = arg;
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL; /* shut down */
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
                   sizeof one); /* a reply in two parts must not wait 40 ms between them */
        int number = server->connections;
        if (number >= CONNECTIONS_MAX) {
            close(fd);
            continue;
        }
        served_t *served = malloc(sizeof *served);
        *served = (served_t){server, fd, number};
        pthread_mutex_lock(&server->lock);
        server->fds[number] = fd;
        pthread_mutex_unlock(&server->lock);
        server->connections++; /* before the reply, after which a test may count them */
        if (pthread_create(&server->threads[number], NULL, serve_thread, served) != 0)
            abort();
    }
}

static inline void server_start_on(server_t *server, serve_fn serve, const void *script,
                                   const struct sockaddr *address, socklen_t length)
{
    memset(server, 0, sizeof *server);
    server->serve = serve;
    server->script = script;
    pthread_mutex_init(&server->lock, NULL);
    server->listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(bind(server->listener, address, length), 0);
    assert_int_equal(listen(server->listener, 128), 0);
    struct sockaddr_storage bound;
    socklen_t bound_length = sizeof bound;
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&bound, &bound_length), 0);
    server->port = ntohs(bound.ss_family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port
                                                    : ((struct sockaddr_in6 *)&bound)->sin6_port);
    assert_int_equal(pthread_create(&server->acceptor, NULL, accept_thread, server), 0);
}

static inline void server_start(server_t *server, serve_fn serve, const void *script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    server_start_on(server, serve, script, (struct sockaddr *)&address, sizeof address);
}

/* Cuts what is open and waits for every thread. */
static inline void server_stop(server_t *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->acceptor, NULL);
    close(server->listener);
    pthread_mutex_lock(&server->lock);
    for (int i = 0; i < server->connections; i++)
        if (server->fds[i] >= 0)
            shutdown(server->fds[i], SHUT_RDWR);
    pthread_mutex_unlock(&server->lock);
    for (int i = 0; i < server->connections; i++)
        pthread_join(server->threads[i], NULL);
    pthread_mutex_destroy(&server->lock);
}

/* Reads one request's header section (and body) into request; false at the end of the connection. */
static inline bool read_request(server_t *server, int fd, char *request, size_t size)
{
    size_t length = 0;
    char *end = NULL;
    while (end == NULL) {
        ssize_t n = length < size - 1 ? recv(fd, request + length, 1, 0) : 0;
        if (n <= 0)
            return false;
        length += (size_t)n;
        request[length] = '\0';
        end = length >= 4 && memcmp(request + length - 4, "\r\n\r\n", 4) == 0 ? request + length : NULL;
    }
    const char *field = strstr(request, "Content-Length: ");
    for (size_t left = field != NULL ? (size_t)atol(field + 16) : 0; left > 0;) {
        ssize_t n = length < size - 1 ? recv(fd, request + length, HP_MIN(left, size - 1 - length), 0) : 0;
        if (n <= 0)
            return false;
        length += (size_t)n;
        left -= (size_t)n;
        request[length] = '\0';
    }
    pthread_mutex_lock(&server->lock);
    snprintf(server->last_request, sizeof server->last_request, "%s", request);
    pthread_mutex_unlock(&server->lock);
    server->requests++;
    return true;
}

static inline bool send_all(int fd, const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        ssize_t n = send(fd, at, length, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

static inline bool send_text(int fd, const char *text)
{
    return send_all(fd, text, strlen(text));
}

/* Waits until the other side closes. */
static inline void wait_for_end(int fd)
{
    char byte;
    while (recv(fd, &byte, 1, 0) > 0)
        continue;
}

/* Makes close() send a reset instead of an orderly end. */
static inline void reset_on_close(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/* ---- the client ---- */

typedef struct client {
    uv_loop_t loop;
    hp_fetcher_t *fetcher;
    bool closed;
} client_t;

static void on_client_closed(void *arg)
{
    *(bool *)arg = true;
}

static inline void client_start(client_t *client)
{
    memset(client, 0, sizeof *client);
    assert_int_equal(uv_loop_init(&client->loop), 0);
    assert_int_equal(hp_fetcher_create(&client->fetcher, &client->loop, NULL), 0);
}

/* Everything is closed and freed, and nothing is left on the loop. */
static inline void client_stop(client_t *client)
{
    hp_fetcher_destroy(client->fetcher, on_client_closed, &client->closed);
    assert_false(client->closed);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    assert_true(client->closed);
    assert_int_equal(uv_loop_close(&client->loop), 0);
}

/* What happened to a request. */
typedef struct outcome {
    hp_fetch_t *fetch;
    int heads, dones, status;
    hp_err_t err;
    hp_fetch_head_t head; /* its text pointers are not valid any more */
    char etag[200], url[300], address[64], retry_after[16], id[100];
    char *body; /* what on_data took */
    size_t length, capacity;
    /* what the test wants to happen */
    int head_answer;         /* of on_head */
    size_t cancel_at;        /* cancel when so many bytes are there; SIZE_MAX: never */
    size_t fail_at;          /* a negative answer from on_data then */
    bool (*hold)(void *arg); /* whether to hold at this call of on_data */
    void *hold_arg;
    bool holding;
    void (*held)(struct outcome *outcome);
} outcome_t;

static inline void outcome_init(outcome_t *outcome)
{
    *outcome = (outcome_t){.cancel_at = SIZE_MAX, .fail_at = SIZE_MAX};
}

static inline void outcome_dispose(outcome_t *outcome)
{
    free(outcome->body);
    outcome->body = NULL;
}

static int on_outcome_head(void *arg, const hp_fetch_head_t *head)
{
    outcome_t *outcome = arg;
    assert_int_equal(outcome->dones, 0);
    outcome->heads++;
    outcome->head = *head;
    snprintf(outcome->etag, sizeof outcome->etag, "%s", head->etag);
    snprintf(outcome->url, sizeof outcome->url, "%s", head->url);
    snprintf(outcome->address, sizeof outcome->address, "%s", head->address);
    snprintf(outcome->id, sizeof outcome->id, "%s", head->hostpair_id);
    return outcome->head_answer;
}

static int on_outcome_data(void *arg, const uint8_t *data, size_t length)
{
    outcome_t *outcome = arg;
    assert_int_equal(outcome->heads, 1);
    assert_int_equal(outcome->dones, 0);
    assert_true(length > 0);
    assert_false(outcome->holding);
    if (outcome->hold != NULL && outcome->hold(outcome->hold_arg)) {
        outcome->holding = true;
        if (outcome->held != NULL)
            outcome->held(outcome);
        return HP_FETCH_HOLD;
    }
    if (outcome->length + length > outcome->capacity) {
        outcome->capacity = HP_MAX(outcome->capacity * 2, outcome->length + length);
        outcome->body = hp_realloc(outcome->body, outcome->capacity);
    }
    memcpy(outcome->body + outcome->length, data, length);
    outcome->length += length;
    if (outcome->length >= outcome->fail_at)
        return HP_E_DISK;
    if (outcome->length >= outcome->cancel_at)
        hp_fetch_cancel(outcome->fetch);
    return 0;
}

static void on_outcome_done(void *arg, int status, const hp_err_t *err)
{
    outcome_t *outcome = arg;
    assert_int_equal(outcome->dones, 0);
    outcome->dones++;
    outcome->status = status;
    outcome->err = *err;
    assert_int_equal(err->code, status);
}

static const hp_fetch_callbacks_t outcome_callbacks = {on_outcome_head, on_outcome_data, on_outcome_done};

static inline void begin(client_t *client, const hp_fetch_options_t *options, outcome_t *outcome)
{
    outcome->fetch = hp_fetch_start(client->fetcher, options, &outcome_callbacks, outcome);
    assert_non_null(outcome->fetch);
    assert_int_equal(outcome->dones, 0);
}

static void on_patience_over(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void on_patience_closed(uv_handle_t *handle)
{
    handle->data = NULL;
}

/* Runs the loop until the condition holds; false when it takes too long. */
static inline bool run_until(client_t *client, bool (*condition)(void *arg), void *arg)
{
    bool over = false;
    uv_timer_t patience;
    uv_update_time(&client->loop);
    uv_timer_init(&client->loop, &patience);
    patience.data = &over;
    uv_timer_start(&patience, on_patience_over, PATIENCE_MS, 0);
    while (!condition(arg) && !over)
        uv_run(&client->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&patience, on_patience_closed);
    while (patience.data != NULL)
        uv_run(&client->loop, UV_RUN_NOWAIT);
    return !over;
}

static inline bool is_done(void *arg)
{
    return ((outcome_t *)arg)->dones > 0;
}

static inline void finish(client_t *client, outcome_t *outcome)
{
    if (!run_until(client, is_done, outcome))
        fail_msg("the request did not end");
}

/* One request from start to end. */
static inline void ask(client_t *client, const hp_fetch_options_t *options, outcome_t *outcome)
{
    begin(client, options, outcome);
    finish(client, outcome);
}

static inline const char *url_of(const server_t *server, const char *path)
{
    static char url[8][300];
    static int next;
    next = (next + 1) % 8;
    snprintf(url[next], sizeof url[next], "http://127.0.0.1:%u%s", server->port, path);
    return url[next];
}

/* The test server as another host. */
static inline const hp_endpoint_t *at(const server_t *server)
{
    static hp_endpoint_t endpoints[8];
    static int next;
    next = (next + 1) % 8;
    assert_int_equal(hp_endpoint_make(&endpoints[next], HP_SCHEME_PLAIN, "127.0.0.1", server->port), 0);
    return &endpoints[next];
}

/* A byte that only fits its place. */
static inline uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16) * 13);
}

/* ---- bodies of any size, made of the pattern ---- */

static inline bool send_pattern(int fd, size_t from, size_t end)
{
    char piece[65536];
    while (from < end) {
        size_t n = HP_MIN(sizeof piece, end - from);
        for (size_t i = 0; i < n; i++)
            piece[i] = (char)pattern(from + i);
        if (!send_all(fd, piece, n))
            return false;
        from += n;
    }
    return true;
}

/* "GET /<size>" gives that many bytes; with "c" before the size in chunks. */
static inline void serve_pattern(server_t *server, int fd, int number)
{
    char request[8192], head[200];
    (void)number;
    while (read_request(server, fd, request, sizeof request)) {
        bool chunked = strncmp(request, "GET /c", 6) == 0;
        size_t size = strtoul(request + (chunked ? 6 : 5), NULL, 10);
        if (!chunked) {
            snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
            if (!send_text(fd, head) || !send_pattern(fd, 0, size))
                return;
            continue;
        }
        bool ok = send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0, n; ok && at < size; at += n) {
            n = HP_MIN((size_t)(1 + (at * 7919) % 70000), size - at);
            snprintf(head, sizeof head, "%zx\r\n", n);
            ok = send_text(fd, head) && send_pattern(fd, at, at + n) && send_text(fd, "\r\n");
        }
        if (!ok || !send_text(fd, "0\r\n\r\n"))
            return;
    }
}

static inline void assert_pattern(const outcome_t *outcome, size_t size)
{
    assert_int_equal(outcome->status, 0);
    assert_int_equal(outcome->length, size);
    for (size_t i = 0; i < size; i++)
        if ((uint8_t)outcome->body[i] != pattern(i))
            fail_msg("byte %zu is %d, expected %d", i, (uint8_t)outcome->body[i], pattern(i));
}

/* ---- waiting and holding ---- */

static inline bool is_holding(void *arg)
{
    return ((outcome_t *)arg)->holding;
}

static inline bool holds_always(void *arg)
{
    (void)arg;
    return true;
}

static inline void run_for(client_t *client, unsigned ms)
{
    bool over = false;
    uv_timer_t timer;
    uv_update_time(&client->loop);
    uv_timer_init(&client->loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_patience_over, ms, 0);
    while (!over)
        uv_run(&client->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, on_patience_closed);
    while (timer.data != NULL)
        uv_run(&client->loop, UV_RUN_NOWAIT);
}

#endif
