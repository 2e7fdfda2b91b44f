#include "tunnel/udp.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "os/udp.h"

enum { TRAINS_AT_ONCE = 32 }; /* received before others on the loop get their turn */

struct hp_udp {
    uv_poll_t poll;
    int fd;
    unsigned references;
    hp_sockaddr_t local;
    hp_udp_events_t events;
    hp_pending_t *pending;
    bool trains; /* GSO works */
    bool full;
    bool closed;
};

/* Received into by whichever socket has its turn: the loop's thread only. */
static uint8_t inbox[HP_UDP_TRAIN_MAX];

static void receive(hp_udp_t *self)
{
    for (int i = 0; i < TRAINS_AT_ONCE && !self->closed; i++) {
        hp_sockaddr_t from;
        size_t segment;
        ssize_t got = hp_udp_receive_train(self->fd, inbox, sizeof inbox, &from, &segment);
        if (got == -EAGAIN)
            return;
        if (got <= 0) /* ICMP errors of earlier datagrams, and empty datagrams */
            continue;
        self->events.train(self->events.arg, self, inbox, (size_t)got, segment, &from);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    hp_udp_t *self = HP_CONTAINER(poll, hp_udp_t, poll);
    hp_udp_addref(self);
    if (status < 0) /* an ICMP error: libuv has stopped polling */
        uv_poll_start(poll, UV_READABLE | (self->full ? UV_WRITABLE : 0), on_poll);
    if ((events & UV_WRITABLE) != 0 && self->full) {
        self->full = false;
        uv_poll_start(poll, UV_READABLE, on_poll);
        self->events.writable(self->events.arg, self);
    }
    if ((events & UV_READABLE) != 0 || status < 0)
        receive(self);
    hp_udp_release(self);
}

int hp_udp_create(hp_udp_t **udp, uv_loop_t *loop, int family, uint16_t port, const hp_udp_events_t *events,
                  hp_pending_t *pending)
{
    int fd = hp_udp_open_fd(family, port);
    if (fd < 0)
        return fd;
    hp_udp_t *self = hp_alloc(sizeof *self);
    socklen_t length = sizeof self->local;
    int rc = getsockname(fd, &self->local.any, &length) == 0 ? uv_poll_init(loop, &self->poll, fd) : -errno;
    if (rc != 0) {
        close(fd);
        free(self);
        return rc;
    }
    self->fd = fd;
    self->references = 1;
    self->events = *events;
    self->pending = pending;
    self->trains = true;
    hp_pending_add(pending);
    if (!hp_udp_ask_trains(fd))
        hp_log(HP_LOG_DEBUG, "tunnel: this system receives UDP datagrams one at a time");
    uv_poll_start(&self->poll, UV_READABLE, on_poll);
    *udp = self;
    return 0;
}

void hp_udp_addref(hp_udp_t *self)
{
    self->references++;
}

static void on_closed(uv_handle_t *handle)
{
    hp_udp_t *self = HP_CONTAINER((uv_poll_t *)handle, hp_udp_t, poll);
    hp_pending_t *pending = self->pending;
    free(self);
    hp_pending_drop(pending);
}

void hp_udp_release(hp_udp_t *self)
{
    if (--self->references > 0)
        return;
    self->closed = true;
    uv_close((uv_handle_t *)&self->poll, on_closed);
    close(self->fd);
}

int hp_udp_family(const hp_udp_t *self)
{
    return self->local.any.sa_family;
}

uint16_t hp_udp_port(const hp_udp_t *self)
{
    return ntohs(self->local.any.sa_family == AF_INET6 ? self->local.v6.sin6_port : self->local.v4.sin_port);
}

const hp_sockaddr_t *hp_udp_local(const hp_udp_t *self)
{
    return &self->local;
}

size_t hp_udp_send(hp_udp_t *self, const hp_sockaddr_t *to, const uint8_t *data, size_t length,
                   size_t segment)
{
    size_t at = 0;
    while (at < length) {
        size_t now = self->trains ? length - at : HP_MIN(segment, length - at);
        int rc = hp_udp_send_train(self->fd, to, data + at, now, segment);
        if (rc == -EAGAIN) {
            self->full = true;
            uv_poll_start(&self->poll, UV_READABLE | UV_WRITABLE, on_poll);
            return at;
        }
        if ((rc == -EIO || rc == -EINVAL || rc == -EOPNOTSUPP) && now > segment) {
            hp_log(HP_LOG_DEBUG, "tunnel: this system sends UDP datagrams one at a time");
            self->trains = false;
            continue;
        }
        at += now;
    }
    return at;
}
