#include "tunnel/pump.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/own_address.h"
#include "os/splice.h"

#define TURNS 8 /* pieces of one direction before other connections have their turn */

typedef struct end {
    hp_pump_t *pump;
    uv_poll_t poll;
    int fd;
    int events;      /* that are watched */
    hp_splice_t out; /* what it has sent and the other end has not taken yet */
    bool waits;      /* the pipe is full, or nothing came: which, is known when the other end has taken all */
    bool over;       /* nothing comes any more */
    bool failed;     /* its connection was reset */
    bool shut;       /* it was told that the other end's bytes are over */
} end_t;

struct hp_pump {
    hp_pump_hooks_t hooks;
    hp_pending_t *pending;
    end_t ends[2];
    uint64_t moved_at;
    hp_pending_t handles;
    bool held, stopped;
};

static end_t *other(end_t *end)
{
    return &end->pump->ends[end == &end->pump->ends[0]];
}

/* ---- its end ---- */

static void on_closed(uv_handle_t *handle)
{
    hp_pending_drop(&HP_CONTAINER((uv_poll_t *)handle, end_t, poll)->pump->handles);
}

static void finish(void *arg)
{
    hp_pump_t *self = arg;
    hp_pump_hooks_t hooks = self->hooks;
    hp_pending_t *pending = self->pending;
    free(self);
    if (hooks.ended != NULL)
        hooks.ended(hooks.arg);
    hp_pending_drop(pending);
}

static void stop(hp_pump_t *self)
{
    if (self->stopped)
        return;
    self->stopped = true;
    for (unsigned i = 0; i < 2; i++) {
        end_t *end = &self->ends[i];
        if (i < self->handles.count)
            uv_close((uv_handle_t *)&end->poll, on_closed);
        close(end->fd);
        hp_splice_close(&end->out);
    }
    hp_pending_when_none(&self->handles, finish, self);
}

void hp_pump_cut(hp_pump_t *self)
{
    struct linger drop = {1, 0};
    for (unsigned i = 0; i < 2 && !self->stopped; i++)
        setsockopt(self->ends[i].fd, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
    stop(self);
}

bool hp_pump_is_lost(const hp_pump_t *self)
{
    return !self->stopped &&
           (hp_own_address_is_lost(self->ends[0].fd) || hp_own_address_is_lost(self->ends[1].fd));
}

/* ---- its work ---- */

/* From the socket into the pipe. Whether anything came. */
static bool fill(end_t *from)
{
    hp_pump_t *self = from->pump;
    size_t allowed = HP_SPLICE_SIZE;
    if (from->over || from->waits)
        return false;
    if (self->hooks.take != NULL)
        allowed = self->hooks.take(self->hooks.arg, allowed);
    self->held = allowed == 0;
    if (self->held)
        return false;
    ssize_t n = hp_splice_take(&from->out, from->fd, allowed);
    if (self->hooks.give_back != NULL)
        self->hooks.give_back(self->hooks.arg, allowed - (n > 0 ? (size_t)n : 0));
    if (n == -EAGAIN) {
        from->waits = from->out.inside > 0;
        from->over = from->failed && !from->waits;
    } else if (n <= 0) {
        from->over = true;
        from->failed |= n < 0;
    }
    return n > 0;
}

/* From the pipe into the other end's socket. How many bytes; negative: one of the connections has failed. */
static ssize_t drain(end_t *from)
{
    hp_pump_t *self = from->pump;
    end_t *to = other(from);
    ssize_t n = from->out.inside > 0 ? hp_splice_put(&from->out, to->fd) : 0;
    if (n > 0) {
        from->waits = false;
        self->moved_at = uv_now(to->poll.loop);
        if (self->hooks.carried != NULL)
            self->hooks.carried(self->hooks.arg, (size_t)n);
    }
    if (from->over && from->out.inside == 0) {
        if (from->failed)
            return -ECONNRESET;
        if (!to->shut)
            shutdown(to->fd, SHUT_WR);
        to->shut = true;
    }
    return n == -EAGAIN ? 0 : n;
}

static void on_poll(uv_poll_t *handle, int status, int events);

static void watch(end_t *end)
{
    int events = 0;
    if (!end->over && !end->waits && !end->pump->held)
        events |= UV_READABLE;
    if (other(end)->out.inside > 0)
        events |= UV_WRITABLE;
    if (events == end->events)
        return;
    end->events = events;
    if (events != 0)
        uv_poll_start(&end->poll, events, on_poll);
    else
        uv_poll_stop(&end->poll);
}

/* Carries until nothing moves or others are to have their turn. */
static void carry(hp_pump_t *self)
{
    for (unsigned side = 0; side < 2; side++)
        for (unsigned turn = 0; turn < TURNS; turn++) {
            bool came = fill(&self->ends[side]);
            ssize_t went = drain(&self->ends[side]);
            if (went < 0) {
                hp_pump_cut(self);
                return;
            }
            if (!came && went == 0)
                break;
        }
    if (self->ends[0].shut && self->ends[1].shut) {
        stop(self);
        return;
    }
    watch(&self->ends[0]);
    watch(&self->ends[1]);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    end_t *end = HP_CONTAINER(handle, end_t, poll);
    (void)events;
    if (status < 0) { /* an error waits in the socket, and libuv has stopped to watch it */
        end->events = 0;
        end->failed = true;
    }
    carry(end->pump);
}

void hp_pump_go(hp_pump_t *self)
{
    self->held = false;
    if (!self->stopped)
        carry(self);
}

bool hp_pump_is_held(const hp_pump_t *self)
{
    return self->held;
}

uint64_t hp_pump_moved_at(const hp_pump_t *self)
{
    return self->moved_at;
}

/* ---- its beginning ---- */

static int open_end(end_t *end, uv_loop_t *loop)
{
    int rc = hp_splice_open(&end->out);
    if (rc == 0)
        rc = uv_poll_init(loop, &end->poll, end->fd); /* makes it non-blocking */
    if (rc == 0)
        hp_pending_add(&end->pump->handles);
    return rc;
}

int hp_pump_create(hp_pump_t **pump, uv_loop_t *loop, const int fds[2], const hp_pump_hooks_t *hooks,
                   hp_pending_t *pending)
{
    hp_pump_t *self = hp_alloc(sizeof *self);
    self->hooks = *hooks;
    self->pending = pending;
    self->moved_at = uv_now(loop);
    for (unsigned i = 0; i < 2; i++) {
        self->ends[i] = (end_t){.pump = self, .fd = fds[i], .out = {.pipe = {-1, -1}}};
    }
    int rc = open_end(&self->ends[0], loop);
    if (rc == 0)
        rc = open_end(&self->ends[1], loop);
    hp_pending_add(pending);
    if (rc != 0) {
        self->hooks.ended = NULL;
        stop(self);
        return rc;
    }
    watch(&self->ends[0]);
    watch(&self->ends[1]);
    *pump = self;
    return 0;
}
