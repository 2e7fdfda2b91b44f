#include "tunnel/relay.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { CONNECTING, ASKING, WAITING };

static void on_closed(uv_handle_t *handle)
{
    hp_relay_t *self = handle->data;
    hp_pending_drop(&self->handles);
}

static void finish(void *arg)
{
    hp_relay_t *self = arg;
    hp_pending_t *pending = self->pending;
    free(self);
    hp_pending_drop(pending);
}

static void close_handles(hp_relay_t *self)
{
    hp_link_remove(&self->link);
    uv_close((uv_handle_t *)&self->timer, on_closed);
    if (self->fd >= 0)
        uv_close((uv_handle_t *)&self->poll, on_closed);
    hp_pending_when_none(&self->handles, finish, self);
}

void hp_relay_cancel(hp_relay_t *self)
{
    close_handles(self);
    if (self->fd >= 0)
        close(self->fd);
}

static void fail(hp_relay_t *self, int code, const char *reason)
{
    hp_err_t err = {0};
    hp_err_set(&err, code, "%s", reason);
    if (code != HP_E_PROTOCOL && code != HP_E_TIMEOUT)
        hp_err_set(&err, code, "%s: %s", reason, hp_err_sentence(code));
    hp_relay_cancel(self);
    self->done(self->arg, self, -1, &err);
}

static void succeed(hp_relay_t *self)
{
    close_handles(self);
    self->done(self->arg, self, self->fd, NULL);
}

static void on_timeout(uv_timer_t *timer)
{
    hp_relay_t *self = timer->data;
    if (self->fd < 0) /* it could not even begin */
        fail(self, self->phase, "the hub's relay cannot be reached");
    else
        fail(self, HP_E_TIMEOUT,
             self->phase == WAITING ? "the other host did not come to the hub's relay"
                                    : "the hub's relay does not answer");
}

/* Reads no byte beyond the answer. */
static void read_answer(hp_relay_t *self)
{
    while (self->got < sizeof self->answer) {
        ssize_t got = recv(self->fd, self->answer + self->got, sizeof self->answer - self->got, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            fail(self, HP_E_PROTOCOL, "the hub's relay refused the connection");
            return;
        }
        self->got += (size_t)got;
    }
    if (memcmp(self->answer, "OK\r\n", sizeof self->answer) == 0)
        succeed(self);
    else
        fail(self, HP_E_PROTOCOL, "what answers at the hub's relay is none");
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    hp_relay_t *self = poll->data;
    int error = 0;
    socklen_t size = sizeof error;
    (void)events;
    if (self->phase == CONNECTING) {
        getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            fail(self, -error, "the hub's relay cannot be reached");
            return;
        }
        self->phase = ASKING;
    }
    if (self->phase == ASKING) {
        ssize_t put = send(self->fd, self->line + self->sent, self->length - self->sent, MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN) {
            fail(self, -errno, "the hub's relay broke off");
            return;
        }
        self->sent += put > 0 ? (size_t)put : 0;
        if (self->sent < self->length)
            return;
        self->phase = WAITING;
        uv_poll_start(poll, UV_READABLE, on_poll);
        return;
    }
    if (status < 0)
        fail(self, status, "the hub's relay broke off");
    else
        read_answer(self);
}

/* 0 or a negative errno. */
static int begin(hp_relay_t *self, uv_loop_t *loop)
{
    int on = 1;
    self->fd = socket(self->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0)
        return -errno;
    setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int rc = 0;
    if (connect(self->fd, &self->address.any, hp_sockaddr_length(&self->address)) != 0 &&
        errno != EINPROGRESS)
        rc = -errno;
    if (rc == 0)
        rc = uv_poll_init(loop, &self->poll, self->fd);
    if (rc != 0) {
        close(self->fd);
        self->fd = -1;
        return rc;
    }
    hp_pending_add(&self->handles);
    self->poll.data = self;
    uv_poll_start(&self->poll, UV_WRITABLE, on_poll);
    return 0;
}

hp_relay_t *hp_relay_dial(uv_loop_t *loop, const hp_relay_at_t *at, hp_relay_done_fn done, void *arg,
                          hp_pending_t *pending)
{
    hp_relay_t *self = hp_alloc(sizeof *self);
    self->address = at->address;
    self->done = done;
    self->arg = arg;
    self->pending = pending;
    self->length = (size_t)snprintf(self->line, sizeof self->line, "HOSTPAIR-RELAY/1 %.32s\r\n", at->token);
    hp_pending_add(pending);
    uv_timer_init(loop, &self->timer);
    self->timer.data = self;
    hp_pending_add(&self->handles);
    int rc = begin(self, loop);
    if (rc != 0)
        self->phase = rc; /* on_timeout tells it: done never runs inside this call */
    uv_timer_start(&self->timer, on_timeout, rc != 0 ? 0 : HP_RELAY_MS, 0);
    return self;
}
