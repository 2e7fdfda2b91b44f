/* One accepted socket, from accept to its close callback. */
#include "internal.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "secured.h"

#define TLS_HANDSHAKE  0x16 /* the first byte of a TLS connection, and of nothing in HTTP */
#define PAIR_SOCKETS   2u   /* that TLS needs besides the client's */
#define ADDRESS_FACTOR 4u   /* so many times its limit an address may have with all its hosts */

static void destroy(hp_connection_t *self)
{
    if (self->secured != NULL)
        hp_secured_destroy(self->secured);
    free(self);
}

void hp_connection_addref(hp_connection_t *self)
{
    self->handles++;
}

void hp_connection_release(hp_connection_t *self)
{
    hp_http_listener_t *listener = self->listener;
    if (--self->handles > 0)
        return;
    destroy(self);
    hp_pending_drop(&listener->pending);
}

static void on_tcp_closed(uv_handle_t *handle)
{
    hp_connection_release(HP_CONTAINER(handle, hp_connection_t, tcp));
}

static void forget(hp_connection_t *self, bool *counted, const hp_limits_key_t *key)
{
    if (*counted)
        hp_limits_remove(&self->listener->limits, key);
    *counted = false;
}

/* It counts no more. */
static void leave(hp_connection_t *self)
{
    if (self->left)
        return;
    self->left = true;
    h2o_linklist_unlink(&self->all);
    if (h2o_linklist_is_linked(&self->idle))
        h2o_linklist_unlink(&self->idle);
    forget(self, &self->counted, &self->key);
    forget(self, &self->counted_all, &self->key_all);
    self->listener->connection_count--;
    self->listener->sockets -= self->sockets;
}

/* A link-local address means something only on its interface. */
static void add_zone(const struct sockaddr_in6 *v6, char *address, size_t size)
{
    char zone[IF_NAMESIZE];
    size_t used = strlen(address);
    if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) && strchr(address, '%') == NULL &&
        if_indextoname(v6->sin6_scope_id, zone) != NULL)
        snprintf(address + used, size - used, "%%%s", zone);
}

/* h2o has closed the socket of a plain connection; the uv handle follows. */
static void on_socket_closed(void *data)
{
    hp_connection_t *self = data;
    self->socket = NULL;
    leave(self);
}

void hp_connection_close_tcp(hp_connection_t *self)
{
    leave(self);
    uv_close((uv_handle_t *)&self->tcp, on_tcp_closed);
}

static void write_address(hp_connection_t *self, const struct sockaddr_storage *where)
{
    hp_who_t *who = &self->who;
    if (where->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)where;
        uv_ip4_name(v4, who->address, sizeof who->address);
        who->port = ntohs(v4->sin_port);
    } else if (where->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)where;
        uv_ip6_name(v6, who->address, sizeof who->address);
        if (strncmp(who->address, "::ffff:", 7) == 0 && strchr(who->address, '.') != NULL)
            memmove(who->address, who->address + 7, strlen(who->address + 7) + 1);
        add_zone(v6, who->address, sizeof who->address);
        who->port = ntohs(v6->sin6_port);
    } else if (who->address[0] == '\0') {
        memcpy(who->address, "tunnel", sizeof "tunnel");
    }
}

/* Also what it counts as. */
static void read_address(hp_connection_t *self)
{
    struct sockaddr_storage where = {0};
    socklen_t length = sizeof where;
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&self->tcp, &fd) != 0 ||
        getpeername(fd, (struct sockaddr *)&where, &length) != 0)
        where.ss_family = AF_UNSPEC;
    bool internet = where.ss_family == AF_INET || where.ss_family == AF_INET6;
    write_address(self, &where);
    self->exempt = !internet || hp_limits_is_loopback((struct sockaddr *)&where);
    self->key = hp_limits_address(HP_LIMITS_ADDRESS, (struct sockaddr *)&where);
    self->key_all = hp_limits_address(HP_LIMITS_ADDRESS_ALL, (struct sockaddr *)&where);
}

/* Whether TLS has begun to come. */
static bool is_greeting(const hp_connection_t *self)
{
    char first;
    return self->listener->options.secure != NULL &&
           recv(hp_connection_fd(self), &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first == TLS_HANDSHAKE;
}

/* What is said is a kindness; the client sees the end in any case. */
static void refuse(hp_connection_t *self, const char *why)
{
    static const char alert[] = "\x15\x03\x03\x00\x02\x02\x50"; /* fatal, internal error */
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
                               "Connection: close\r\n\r\n";
    uv_buf_t text = is_greeting(self) ? uv_buf_init((char *)alert, sizeof alert - 1)
                                      : uv_buf_init((char *)busy, sizeof busy - 1);
    uv_try_write((uv_stream_t *)&self->tcp, &text, 1);
    hp_connection_log_refused(self, why);
    uv_close((uv_handle_t *)&self->tcp, on_tcp_closed);
}

void hp_connection_log_refused(const hp_connection_t *self, const char *why)
{
    hp_http_listener_t *listener = self->listener;
    uint64_t now = uv_now(listener->loop);
    if (listener->refused_at != 0 && now - listener->refused_at <= 10000)
        return;
    listener->refused_at = now > 0 ? now : 1;
    hp_log(HP_LOG_WARN, "%s: refused a connection from %s: %s", listener->name, self->who.address, why);
}

static bool has_room(const hp_http_listener_t *listener, size_t connections, size_t sockets)
{
    unsigned max = listener->options.connections_max;
    return (max == 0 || listener->connection_count + connections <= max) &&
           listener->sockets + sockets <= listener->sockets_max;
}

/* Whether so many more may be held; connections that were idle for longest make room. */
static bool make_room(hp_http_listener_t *listener, size_t connections, size_t sockets)
{
    while (!has_room(listener, connections, sockets)) {
        size_t before = listener->sockets;
        if (h2o_linklist_is_empty(&listener->idle_connections))
            return false;
        hp_connection_end(H2O_STRUCT_FROM_MEMBER(hp_connection_t, idle, listener->idle_connections.next));
        if (listener->sockets >= before)
            return false;
    }
    return true;
}

/* The kernel's own stuck time-out, for the bytes that are left behind when a connection is closed. */
static void set_user_timeout(hp_connection_t *self)
{
    unsigned timeout = self->listener->options.stuck_ms;
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&self->tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

/* ---- who it is ---- */

static unsigned limit_of(const hp_connection_t *self)
{
    return self->exempt ? 0 : self->listener->options.per_address_max;
}

static bool count_address(hp_connection_t *self)
{
    hp_limits_t *limits = &self->listener->limits;
    self->counted_all = hp_limits_add(limits, &self->key_all, limit_of(self) * ADDRESS_FACTOR);
    self->counted = self->counted_all && hp_limits_add(limits, &self->key, limit_of(self));
    if (!self->counted)
        forget(self, &self->counted_all, &self->key_all);
    return self->counted;
}

/* A host counts as itself from now on. */
static bool count_host(hp_connection_t *self)
{
    forget(self, &self->counted, &self->key);
    self->key = hp_limits_host(self->who.fingerprint);
    self->counted = hp_limits_add(&self->listener->limits, &self->key, limit_of(self));
    return self->counted;
}

bool hp_connection_count_secured(hp_connection_t *self)
{
    hp_http_listener_t *listener = self->listener;
    /* It must not make room by ending itself. */
    h2o_linklist_unlink(&self->idle);
    bool room = make_room(listener, 0, PAIR_SOCKETS);
    h2o_linklist_insert(&listener->idle_connections, &self->idle);
    if (!room) {
        hp_connection_log_refused(self, "there are as many as the limit allows");
        return false;
    }
    self->sockets += PAIR_SOCKETS;
    listener->sockets += PAIR_SOCKETS;
    if (self->who.id[0] == '\0' || count_host(self))
        return true;
    hp_connection_log_refused(self, "that host has as many as the limit allows");
    return false;
}

/* ---- its first bytes ---- */

/* Bytes that have come already. */
static void serve_plain(hp_connection_t *self, const char *first, size_t length)
{
    self->socket = h2o_uv_socket_create((uv_stream_t *)&self->tcp, on_tcp_closed);
    self->socket->on_close.cb = on_socket_closed;
    self->socket->on_close.data = self;
    if (length > 0) {
        h2o_iovec_t room = h2o_buffer_reserve(&self->socket->input, length);
        memcpy(room.base, first, length);
        self->socket->input->size += length;
    }
    h2o_accept(&self->listener->accept, self->socket);
}

static void on_alloc_first(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    hp_http_listener_t *listener = HP_CONTAINER(handle, hp_connection_t, tcp)->listener;
    *buf = uv_buf_init((char *)listener->cipher, HP_CIPHER_BYTES);
}

static void on_first(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    hp_connection_t *self = HP_CONTAINER(stream, hp_connection_t, tcp);
    if (n == 0)
        return;
    uv_read_stop(stream);
    if (n < 0)
        hp_connection_close_tcp(self);
    else if (buf->base[0] == TLS_HANDSHAKE)
        hp_secured_start(self, (const uint8_t *)buf->base, (size_t)n);
    else if (self->who.way != HP_WAY_LAN)
        hp_connection_close_tcp(self); /* nobody speaks in plain through somebody else's machine */
    else
        serve_plain(self, buf->base, (size_t)n);
}

static void serve(hp_connection_t *self)
{
    hp_http_listener_t *listener = self->listener;
    read_address(self);
    if (!make_room(listener, 1, 1)) {
        refuse(self, "there are as many as the limit allows");
        return;
    }
    if (!count_address(self)) {
        refuse(self, "that address has as many as the limit allows");
        return;
    }
    uv_tcp_nodelay(&self->tcp, 1);
    set_user_timeout(self);
    self->id = ++listener->next_id;
    self->since = hp_clock_wall_ms();
    self->sockets = 1;
    listener->sockets++;
    listener->connection_count++;
    h2o_linklist_insert(&listener->connections, &self->all);
    hp_connection_became_idle(self);
    bool proven = self->who.id[0] != '\0';
    if (proven && !count_host(self))
        hp_connection_close_tcp(self);
    else if (proven || listener->options.secure == NULL)
        serve_plain(self, NULL, 0);
    else if (uv_read_start((uv_stream_t *)&self->tcp, on_alloc_first, on_first) != 0)
        hp_connection_close_tcp(self);
}

/* ---- where it comes from ---- */

static hp_connection_t *create(hp_http_listener_t *listener)
{
    hp_connection_t *self = hp_alloc(sizeof *self);
    self->listener = listener;
    self->handles = 1;
    uv_tcp_init(listener->loop, &self->tcp); /* makes no socket yet: cannot fail */
    hp_pending_add(&listener->pending);
    return self;
}

void hp_connection_accept(hp_http_listener_t *listener, uv_stream_t *server)
{
    hp_connection_t *self = create(listener);
    if (uv_accept(server, (uv_stream_t *)&self->tcp) == 0)
        serve(self);
    else
        uv_close((uv_handle_t *)&self->tcp, on_tcp_closed);
}

void hp_http_serve_fd(hp_http_listener_t *listener, int fd, const hp_who_t *who)
{
    hp_connection_t *self = create(listener);
    int rc = uv_tcp_open(&self->tcp, fd);
    self->who = *who;
    if (rc == 0 && !listener->closing) {
        serve(self);
        return;
    }
    if (rc != 0) {
        hp_log(HP_LOG_WARN, "%s: a stream cannot be served: %s", listener->name, uv_strerror(rc));
        close(fd);
    }
    uv_close((uv_handle_t *)&self->tcp, on_tcp_closed);
}

/* ---- its end ---- */

int hp_connection_fd(const hp_connection_t *self)
{
    uv_os_fd_t fd;
    const uv_handle_t *handle = (const uv_handle_t *)&self->tcp;
    return !uv_is_closing(handle) && uv_fileno(handle, &fd) == 0 ? fd : -1;
}

/* Has h2o close its socket: now, if it reads, else with its next write. */
static void end_h2o(hp_connection_t *self)
{
    h2o_socket_t *socket = self->socket;
    if (socket == NULL)
        return;
    if (self->request == NULL && socket->_cb.read != NULL)
        socket->_cb.read(socket, h2o_socket_error_closed); /* as if the client had closed */
    else
        shutdown(h2o_socket_get_fd(socket), SHUT_RDWR);
}

void hp_connection_end(hp_connection_t *self)
{
    if (hp_connection_fd(self) < 0)
        return;
    if (self->socket == NULL && self->secured == NULL) {
        hp_connection_close_tcp(self);
        return;
    }
    bool shaking = self->socket == NULL && !self->cut;
    end_h2o(self);
    if (shaking)
        hp_secured_close(self);
    else if (self->secured != NULL && !self->cut)
        hp_secured_pump(self); /* sees that h2o has closed */
}

void hp_connection_cut(hp_connection_t *self)
{
    int fd = hp_connection_fd(self);
    if (fd < 0 || self->cut)
        return;
    self->cut = true;
    h2o_linklist_unlink(&self->all);
    h2o_linklist_insert(&self->listener->dying, &self->all);
    if (h2o_linklist_is_linked(&self->idle))
        h2o_linklist_unlink(&self->idle);
    struct linger drop = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
    hp_connection_end(self);
    if (self->request != NULL)
        hp_request_abort(self->request);
    if (self->secured != NULL)
        hp_secured_close(self);
}

void hp_connection_make_abrupt(hp_connection_t *self)
{
    struct linger drop = {1, 0};
    if (self->secured != NULL)
        hp_secured_make_abrupt(self);
    else
        setsockopt(hp_connection_fd(self), SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
}

/* ---- what it does ---- */

void hp_connection_became_idle(hp_connection_t *self)
{
    if (self->request != NULL)
        self->listener->busy_count--;
    self->request = NULL;
    self->begun_at = 0;
    self->quiet_since = uv_now(self->listener->loop);
    if (!self->cut && !self->left)
        h2o_linklist_insert(&self->listener->idle_connections, &self->idle);
}

void hp_connection_became_busy(hp_connection_t *self, hp_http_request_t *request)
{
    self->request = request;
    self->listener->busy_count++;
    self->begun_at = 0;
    self->moved_at = uv_now(self->listener->loop);
    self->requests++;
    if (h2o_linklist_is_linked(&self->idle))
        h2o_linklist_unlink(&self->idle);
}

void hp_connection_sent(hp_connection_t *self, size_t body_bytes)
{
    self->bytes_sent += body_bytes;
    self->listener->bytes_sent += body_bytes;
}
