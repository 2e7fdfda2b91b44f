/* One accepted socket, from accept to its close callback. */
#include "internal.h"

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

static void on_tcp_closed(uv_handle_t *handle)
{
    hp_connection_t *self = HP_CONTAINER(handle, hp_connection_t, tcp);
    hp_http_listener_t *listener = self->listener;
    free(self);
    hp_listener_release(listener);
}

static void leave(hp_connection_t *self)
{
    h2o_linklist_unlink(&self->all);
    if (h2o_linklist_is_linked(&self->idle))
        h2o_linklist_unlink(&self->idle);
    if (self->counted)
        hp_limits_remove(&self->listener->limits, &self->ip);
    self->listener->connection_count--;
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

/* h2o has closed the socket; the uv handle follows. */
static void on_socket_closed(void *data)
{
    hp_connection_t *self = data;
    self->socket = NULL;
    leave(self);
}

static void read_address(hp_connection_t *self)
{
    struct sockaddr_storage where = {0};
    socklen_t length = sizeof where;
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&self->tcp, &fd) != 0 ||
        getpeername(fd, (struct sockaddr *)&where, &length) != 0)
        where.ss_family = AF_UNSPEC;
    self->ip = hp_ip_of((struct sockaddr *)&where);
    if (where.ss_family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&where;
        uv_ip4_name(v4, self->address, sizeof self->address);
        self->port = ntohs(v4->sin_port);
    } else if (where.ss_family == AF_INET6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&where;
        uv_ip6_name(v6, self->address, sizeof self->address);
        if (strncmp(self->address, "::ffff:", 7) == 0 && strchr(self->address, '.') != NULL)
            memmove(self->address, self->address + 7, strlen(self->address + 7) + 1);
        add_zone(v6, self->address, sizeof self->address);
        self->port = ntohs(v6->sin6_port);
    } else {
        memcpy(self->address, "tunnel", sizeof "tunnel");
    }
}

static void refuse(hp_connection_t *self, const char *why)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
                               "Connection: close\r\n\r\n";
    hp_http_listener_t *listener = self->listener;
    uv_buf_t text = uv_buf_init((char *)busy, sizeof busy - 1);
    uv_try_write((uv_stream_t *)&self->tcp, &text, 1); /* a kindness; the client sees the end in any case */
    uint64_t now = uv_now(listener->loop);
    if (listener->refused_at == 0 || now - listener->refused_at > 10000) {
        listener->refused_at = now > 0 ? now : 1;
        hp_log(HP_LOG_WARN, "%s: refused a connection from %s: %s", listener->name, self->address, why);
    }
    uv_close((uv_handle_t *)&self->tcp, on_tcp_closed);
}

/* Whether one more connection may be held; the one that was idle for longest makes room. */
static bool make_room(hp_http_listener_t *listener)
{
    if (listener->connection_count < listener->options.connections_max)
        return true;
    if (h2o_linklist_is_empty(&listener->idle_connections))
        return false;
    hp_connection_end(H2O_STRUCT_FROM_MEMBER(hp_connection_t, idle, listener->idle_connections.next));
    return listener->connection_count < listener->options.connections_max;
}

/* The kernel's own stuck time-out, for the bytes that are left behind when a connection is closed. */
static void set_user_timeout(hp_connection_t *self)
{
    unsigned timeout = self->listener->options.stuck_ms;
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&self->tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

static void serve(hp_connection_t *self)
{
    hp_http_listener_t *listener = self->listener;
    read_address(self);
    if (!make_room(listener)) {
        refuse(self, "there are as many as the limit allows");
        return;
    }
    unsigned max = hp_ip_is_loopback(&self->ip) || self->port == 0 ? 0 : listener->options.per_address_max;
    if (!hp_limits_add(&listener->limits, &self->ip, max)) {
        refuse(self, "that address has as many as the limit allows");
        return;
    }
    self->counted = true;
    uv_tcp_nodelay(&self->tcp, 1);
    set_user_timeout(self);
    self->id = ++listener->next_id;
    self->since = hp_clock_wall_ms();
    listener->connection_count++;
    h2o_linklist_insert(&listener->connections, &self->all);
    hp_connection_became_idle(self);
    self->socket = h2o_uv_socket_create((uv_stream_t *)&self->tcp, on_tcp_closed);
    self->socket->on_close.cb = on_socket_closed;
    self->socket->on_close.data = self;
    h2o_accept(&listener->accept, self->socket);
}

static hp_connection_t *create(hp_http_listener_t *listener)
{
    hp_connection_t *self = hp_alloc(sizeof *self);
    self->listener = listener;
    uv_tcp_init(listener->loop, &self->tcp); /* makes no socket yet: cannot fail */
    hp_listener_addref(listener);
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

void hp_connection_adopt(hp_http_listener_t *listener, int fd)
{
    hp_connection_t *self = create(listener);
    int rc = uv_tcp_open(&self->tcp, fd);
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

typedef struct {
    void (*fn)(uv_stream_t *stream);
} release_t;

static void on_stream_closed(uv_handle_t *handle)
{
    release_t *release = handle->data;
    void (*fn)(uv_stream_t * stream) = release->fn;
    free(release);
    if (fn != NULL)
        fn((uv_stream_t *)handle);
}

void hp_http_serve_stream(hp_http_listener_t *self, uv_stream_t *stream, void (*free_fn)(uv_stream_t *stream))
{
    uv_os_fd_t fd;
    int own = uv_fileno((uv_handle_t *)stream, &fd) == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    release_t *release = hp_alloc(sizeof *release);
    release->fn = free_fn;
    stream->data = release;
    uv_close((uv_handle_t *)stream, on_stream_closed);
    if (own >= 0)
        hp_connection_adopt(self, own);
    else
        hp_log(HP_LOG_WARN, "%s: a stream cannot be served: it has no socket", self->name);
}

int hp_connection_fd(const hp_connection_t *self)
{
    return self->socket != NULL ? h2o_socket_get_fd(self->socket) : -1;
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
}

void hp_connection_end(hp_connection_t *self)
{
    int fd = hp_connection_fd(self);
    if (fd < 0)
        return;
    if (self->request == NULL && self->socket->_cb.read != NULL)
        self->socket->_cb.read(
            self->socket, h2o_socket_error_closed); /* as if the client had closed: frees the socket now */
    else
        shutdown(fd, SHUT_RDWR); /* h2o's pending write fails */
}

void hp_connection_became_idle(hp_connection_t *self)
{
    if (self->request != NULL)
        self->listener->busy_count--;
    self->request = NULL;
    self->begun_at = 0;
    self->quiet_since = uv_now(self->listener->loop);
    if (!self->cut)
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
