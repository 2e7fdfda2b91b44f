#include "hub/door.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/pending.h"
#include "base/sockaddr.h"
#include "hub/relay.h"

#define DOOR_MS     10000 /* for the first byte */
#define SWEEP_MS    1000
#define BACKLOG     1024
#define ENOUGH      2    /* bytes that tell: no method of HTTP begins as the relay's prefix does */
#define CALLERS_MAX 4096 /* connections that have sent nothing yet; the oldest makes room */

typedef struct caller {
    hp_link_t link;
    uv_poll_t poll;
    hp_hub_door_t *door;
    int fd;
    uint64_t since; /* loop ms */
} caller_t;

struct hp_hub_door {
    uv_loop_t *loop;
    hp_hub_door_hooks_t hooks;
    uv_tcp_t tcp;
    uv_timer_t sweep;
    uint16_t port;
    hp_list_t callers; /* oldest first */
    size_t caller_count;
    hp_pending_t pending; /* handles */
    void (*closed)(void *arg);
    void *closed_arg;
};

static void on_caller_closed(uv_handle_t *handle)
{
    caller_t *caller = handle->data;
    hp_hub_door_t *self = caller->door;
    if (caller->fd >= 0)
        close(caller->fd);
    free(caller);
    hp_pending_drop(&self->pending);
}

static void end_caller(caller_t *caller)
{
    hp_link_remove(&caller->link);
    caller->door->caller_count--;
    uv_close((uv_handle_t *)&caller->poll, on_caller_closed);
}

/* The descriptor is watched no more and can be watched by another. */
static void pass_on(caller_t *caller, void (*hook)(void *arg, int fd))
{
    hp_hub_door_t *self = caller->door;
    int fd = caller->fd;
    caller->fd = -1;
    end_caller(caller);
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &(int){1}, sizeof(int));
    hook(self->hooks.arg, fd);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    caller_t *caller = poll->data;
    const hp_hub_door_hooks_t *hooks = &caller->door->hooks;
    char first[ENOUGH];
    (void)events;
    ssize_t n = status == 0 ? recv(caller->fd, first, sizeof first, MSG_PEEK) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        end_caller(caller);
    else if (memcmp(first, HP_HUB_RELAY_PREFIX, (size_t)n) != 0)
        pass_on(caller, hooks->http);
    else if (n == ENOUGH || (events & UV_DISCONNECT) != 0)
        pass_on(caller, hooks->relay);
    else
        setsockopt(caller->fd, SOL_SOCKET, SO_RCVLOWAT, &(int){ENOUGH}, sizeof(int));
}

static void take(hp_hub_door_t *self, int fd)
{
    if (self->caller_count >= CALLERS_MAX)
        end_caller(HP_CONTAINER(hp_list_first(&self->callers), caller_t, link));
    caller_t *caller = hp_alloc(sizeof *caller);
    if (uv_poll_init(self->loop, &caller->poll, fd) != 0) {
        close(fd);
        free(caller);
        return;
    }
    caller->poll.data = caller;
    caller->door = self;
    caller->fd = fd;
    caller->since = uv_now(self->loop);
    hp_list_add(&self->callers, &caller->link);
    self->caller_count++;
    hp_pending_add(&self->pending);
    uv_poll_start(&caller->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

typedef struct {
    uv_tcp_t tcp;
    hp_hub_door_t *door;
} visitor_t;

static void on_visitor_closed(uv_handle_t *handle)
{
    visitor_t *visitor = HP_CONTAINER(handle, visitor_t, tcp);
    hp_hub_door_t *self = visitor->door;
    free(visitor);
    hp_pending_drop(&self->pending);
}

/* libuv accepts into a handle of its own; what is wanted is the descriptor. */
static void on_connection(uv_stream_t *server, int status)
{
    hp_hub_door_t *self = server->data;
    visitor_t *visitor = hp_alloc(sizeof *visitor);
    uv_os_fd_t fd;
    visitor->door = self;
    hp_pending_add(&self->pending);
    uv_tcp_init(self->loop, &visitor->tcp);
    if (status == 0 && uv_accept(server, (uv_stream_t *)&visitor->tcp) == 0 &&
        uv_fileno((uv_handle_t *)&visitor->tcp, &fd) == 0) {
        int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (own >= 0)
            take(self, own);
    }
    uv_close((uv_handle_t *)&visitor->tcp, on_visitor_closed);
}

static void on_sweep(uv_timer_t *timer)
{
    hp_hub_door_t *self = timer->data;
    uint64_t now = uv_now(self->loop);
    HP_LIST_EACH (at, &self->callers) {
        caller_t *caller = HP_CONTAINER(at, caller_t, link);
        if (now - caller->since < DOOR_MS)
            break;
        end_caller(caller);
    }
}

/* ---- life ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    hp_hub_door_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

static void finish(void *arg)
{
    hp_hub_door_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self);
    if (closed != NULL)
        closed(closed_arg);
}

static int bind_at(hp_hub_door_t *self, const char *address, uint16_t port)
{
    hp_sockaddr_t where = {0};
    int rc = uv_ip6_addr(address, port, &where.v6);
    if (rc != 0)
        rc = uv_ip4_addr(address, port, &where.v4);
    if (rc == 0)
        rc = uv_tcp_bind(&self->tcp, &where.any, 0);
    return rc == 0 ? uv_listen((uv_stream_t *)&self->tcp, BACKLOG, on_connection) : rc;
}

static int open_at(hp_hub_door_t **door, uv_loop_t *loop, const char *address, uint16_t port,
                   const hp_hub_door_hooks_t *hooks)
{
    hp_hub_door_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    self->hooks = *hooks;
    hp_list_init(&self->callers);
    uv_tcp_init(loop, &self->tcp);
    uv_timer_init(loop, &self->sweep);
    self->tcp.data = self->sweep.data = self;
    hp_pending_add(&self->pending);
    hp_pending_add(&self->pending);
    int rc = bind_at(self, address, port);
    if (rc != 0) {
        hp_hub_door_destroy(self, NULL, NULL);
        return rc;
    }
    hp_sockaddr_t bound;
    int length = sizeof bound;
    uv_tcp_getsockname(&self->tcp, &bound.any, &length);
    self->port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    uv_timer_start(&self->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    *door = self;
    return 0;
}

int hp_hub_door_create(hp_hub_door_t **door, uv_loop_t *loop, const char *address, uint16_t port,
                       const hp_hub_door_hooks_t *hooks, hp_err_t *err)
{
    int rc = open_at(door, loop, address, port, hooks);
    if (strcmp(address, "::") == 0 && (rc == UV_EAFNOSUPPORT || rc == UV_EADDRNOTAVAIL)) {
        address = "0.0.0.0";
        rc = open_at(door, loop, address, port, hooks);
    }
    return rc == 0 ? 0
                   : hp_err_set(err, rc, "TCP %s port %u cannot be used: %s", address, port, uv_strerror(rc));
}

uint16_t hp_hub_door_port(const hp_hub_door_t *self)
{
    return self->port;
}

void hp_hub_door_destroy(hp_hub_door_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    HP_LIST_EACH (at, &self->callers) {
        end_caller(HP_CONTAINER(at, caller_t, link));
    }
    uv_close((uv_handle_t *)&self->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&self->sweep, on_handle_closed);
    hp_pending_when_none(&self->pending, finish, self);
}
