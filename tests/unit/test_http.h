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

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/http.h"
#include "identity/identity.h"
#include "secure/secure.h"

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
    SSL *ssl;   /* with TLS; its wire: */
    BIO *in, *out;
    struct client *next;
} client_t;

static client_t *clients;

/* ---- TLS: a program that defines TEST_TLS runs the same tests over it ---- */

#ifdef TEST_TLS
static const bool with_tls = true;
#else
static const bool with_tls = false;
#endif

/* A host with a key. */
typedef struct host {
    char folder[64];
    hp_identity_t *identity;
    hp_secure_t *secure;
} host_t;

static host_t server_host;
static SSL_CTX *client_context; /* of clients without a certificate */

static inline void host_make(host_t *host)
{
    char path[100];
    strcpy(host->folder, "/tmp/hostpair-http-XXXXXX");
    assert_non_null(mkdtemp(host->folder));
    assert_int_equal(hp_identity_open(&host->identity, host->folder, NULL), 0);
    assert_int_equal(hp_secure_create(&host->secure, host->identity, NULL), 0);
    snprintf(path, sizeof path, "%s/%s", host->folder, HP_IDENTITY_FILE);
    unlink(path);
    rmdir(host->folder);
}

static inline void host_dispose(host_t *host)
{
    hp_secure_destroy(host->secure);
    hp_identity_destroy(host->identity);
    *host = (host_t){0};
}

static inline const hp_secure_t *secure_server(void)
{
    if (server_host.secure == NULL) {
        host_make(&server_host);
        client_context = SSL_CTX_new(TLS_client_method());
    }
    return server_host.secure;
}

static inline void client_use_tls(client_t *c, SSL_CTX *context)
{
    c->ssl = SSL_new(context);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_connect_state(c->ssl);
    if (c->ssl == NULL || c->in == NULL || c->out == NULL)
        abort();
}

static inline void client_add(client_t *c, const char *piece, size_t n)
{
    if (c->length + n >= c->capacity) {
        c->capacity = 2 * (c->length + n) + 1;
        c->data = hp_realloc(c->data, c->capacity);
    }
    memcpy(c->data + c->length, piece, n);
    c->length += n;
    c->data[c->length] = '\0';
}

/* What came from the wire: decrypted, where there is TLS. */
static inline void client_got(client_t *c, const char *piece, size_t n)
{
    char plain[16384];
    int got;
    if (c->ssl == NULL) {
        client_add(c, piece, n);
        return;
    }
    BIO_write(c->in, piece, (int)n);
    if (!SSL_is_init_finished(c->ssl))
        SSL_do_handshake(c->ssl);
    while (SSL_is_init_finished(c->ssl) && (got = SSL_read(c->ssl, plain, sizeof plain)) > 0)
        client_add(c, plain, (size_t)got);
    ERR_clear_error();
}

static inline void read_client(client_t *c)
{
    char piece[65536];
    while (c->fd >= 0 && c->reads && !c->ended) {
        ssize_t n = recv(c->fd, piece, sizeof piece, MSG_DONTWAIT);
        if (n > 0) {
            client_got(c, piece, (size_t)n);
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

static inline void client_send_bytes(client_t *c, const char *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = send(c->fd, bytes + done, length - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno != EAGAIN)
            fail_msg("send: %s", strerror(errno));
        turn();
    }
}

/* What TLS has to say. */
static inline void client_flush(client_t *c)
{
    char *bytes;
    long length = BIO_get_mem_data(c->out, &bytes);
    char *copy = memcpy(hp_alloc((size_t)length + 1), bytes, (size_t)length);
    (void)BIO_reset(c->out);
    client_send_bytes(c, copy, (size_t)length);
    free(copy);
}

static inline void client_shake_hands(client_t *c)
{
    SSL_do_handshake(c->ssl);
    client_flush(c);
    wait_until(SSL_is_init_finished(c->ssl) || c->ended);
    client_flush(c);
    ERR_clear_error();
}

/* receive_buffer 0: the kernel's default. No byte is sent yet. */
static inline client_t *client_connect(int receive_buffer)
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

/* A client that did not come by the port, as from a tunnel. buffer: of the listener's end; 0: as large as
 * usual */
static inline client_t *serve_pair(const hp_who_t *who, int buffer)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    if (buffer > 0)
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    client_t *c = hp_alloc(sizeof *c);
    *c = (client_t){.fd = pair[1], .reads = true, .data = hp_strdup(""), .next = clients};
    clients = c;
    hp_http_serve_fd(listener, pair[0], who);
    return c;
}

static inline client_t *client_open_with(int receive_buffer)
{
    client_t *c = client_connect(receive_buffer);
    if (with_tls) {
        client_use_tls(c, client_context);
        client_shake_hands(c);
    }
    return c;
}

static inline client_t *client_open(void)
{
    return client_open_with(0);
}

static inline void client_send(client_t *c, const char *text)
{
    if (c->ssl == NULL) {
        client_send_bytes(c, text, strlen(text));
        return;
    }
    assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), strlen(text));
    client_flush(c);
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
    if (with_tls)
        options.secure = secure_server();
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
        SSL_free(c->ssl);
        free(c->data);
        free(c);
    }
    if (server_host.secure != NULL) {
        host_dispose(&server_host);
        SSL_CTX_free(client_context);
        client_context = NULL;
    }
    uv_run(&loop, UV_RUN_NOWAIT);
    return uv_loop_close(&loop);
}

#endif
