#include "hub/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define PIECE ((size_t)256 * 1024) /* bytes of one splice(2), and of a pipe where the kernel grants it */
#define TURNS 8                    /* pieces of one direction before other connections have their turn */

/* One side: its socket, and the pipe that holds what it has sent and the other side has not taken yet. */
typedef struct end {
    uv_poll_t poll;
    hp_hub_pump_t *pump;
    int fd, pipe[2];
    size_t room, held; /* bytes of the pipe in all, and in it now */
    bool full;         /* the pipe took no more: it may run out of pages before it runs out of bytes */
    bool ended, shut;  /* it sent its last byte; it was told that the other has */
    int events;        /* that are watched */
} end_t;

struct hp_pump {
    hp_hub_pump_hooks_t hooks;
    end_t ends[2];
    uint64_t moved_at;
    unsigned open; /* poll handles */
    bool held, cut;
};

static end_t *other(end_t *end)
{
    return &end->pump->ends[end == &end->pump->ends[0]];
}

static void close_end(end_t *end)
{
    close(end->fd);
    if (end->pipe[0] >= 0) {
        close(end->pipe[0]);
        close(end->pipe[1]);
    }
}

static void ignore(void *arg)
{
    (void)arg;
}

static void on_poll_closed(uv_handle_t *handle)
{
    end_t *end = handle->data;
    hp_hub_pump_t *self = end->pump;
    close_end(end);
    if (--self->open > 0)
        return;
    hp_hub_pump_hooks_t hooks = self->hooks;
    free(self);
    hooks.ended(hooks.arg);
}

static void stop(hp_hub_pump_t *self)
{
    if (self->cut)
        return;
    self->cut = true;
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&self->ends[i].poll, on_poll_closed);
}

void hp_hub_pump_cut(hp_hub_pump_t *self)
{
    struct linger drop = {1, 0};
    for (size_t i = 0; i < 2 && !self->cut; i++)
        setsockopt(self->ends[i].fd, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
    stop(self);
}

/* From the socket into the pipe. false: the connection failed. */
static bool fill(end_t *from)
{
    hp_hub_pump_t *self = from->pump;
    size_t want = HP_MIN(from->room - from->held, PIECE);
    if (from->ended || from->full || want == 0)
        return true;
    size_t allowed = self->hooks.take(self->hooks.arg, want);
    self->held = allowed == 0;
    if (allowed == 0)
        return true;
    ssize_t n = splice(from->fd, NULL, from->pipe[1], NULL, allowed, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    int error = errno;
    self->hooks.give_back(self->hooks.arg, allowed - (n > 0 ? (size_t)n : 0));
    if (n > 0)
        from->held += (size_t)n;
    else if (n == 0)
        from->ended = true;
    else
        from->full = from->held > 0;
    return n >= 0 || error == EAGAIN || error == EINTR;
}

/* From the pipe into the other side's socket. false: that connection failed. */
static bool drain(end_t *from)
{
    hp_hub_pump_t *self = from->pump;
    end_t *to = other(from);
    if (from->held > 0) {
        ssize_t n = splice(from->pipe[0], NULL, to->fd, NULL, from->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        from->held -= (size_t)n;
        from->full = false;
        self->moved_at = uv_now(to->poll.loop);
        self->hooks.carried(self->hooks.arg, (size_t)n);
    }
    if (from->held == 0 && from->ended && !to->shut) {
        to->shut = true;
        shutdown(to->fd, SHUT_WR);
    }
    return true;
}

static void on_poll(uv_poll_t *handle, int status, int events);

static void watch(end_t *end)
{
    int events = 0;
    if (!end->ended && !end->full && end->held < end->room && !end->pump->held)
        events |= UV_READABLE;
    if (other(end)->held > 0)
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
static void carry(hp_hub_pump_t *self)
{
    for (size_t side = 0; side < 2; side++)
        for (unsigned turn = 0; turn < TURNS; turn++) {
            end_t *from = &self->ends[side];
            size_t before = from->held;
            uint64_t moved = self->moved_at;
            if (!fill(from) || !drain(from)) {
                hp_hub_pump_cut(self);
                return;
            }
            if (from->held == before && moved == self->moved_at)
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
    (void)events;
    end_t *end = handle->data;
    if (status < 0)
        hp_hub_pump_cut(end->pump);
    else
        carry(end->pump);
}

void hp_hub_pump_go(hp_hub_pump_t *self)
{
    self->held = false;
    if (!self->cut)
        carry(self);
}

bool hp_hub_pump_is_held(const hp_hub_pump_t *self)
{
    return self->held;
}

uint64_t hp_hub_pump_moved_at(const hp_hub_pump_t *self)
{
    return self->moved_at;
}

/* Opens the pipe of one side. 0 or -errno. */
static int open_pipe(end_t *end)
{
    if (pipe2(end->pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        end->pipe[0] = end->pipe[1] = -1;
        return -errno;
    }
    /* Beyond the user's allowance for pipes the kernel keeps the 64 KiB that it gave. */
    fcntl(end->pipe[1], F_SETPIPE_SZ, (int)PIECE);
    int size = fcntl(end->pipe[1], F_GETPIPE_SZ);
    end->room = size > 0 ? (size_t)size : 65536;
    return 0;
}

int hp_hub_pump_create(hp_hub_pump_t **pump, uv_loop_t *loop, const int fds[2],
                       const hp_hub_pump_hooks_t *hooks)
{
    hp_hub_pump_t *self = hp_alloc(sizeof *self);
    int rc = 0;
    self->hooks = *hooks;
    self->moved_at = uv_now(loop);
    for (size_t i = 0; i < 2; i++) {
        end_t *end = &self->ends[i];
        end->pump = self;
        end->fd = fds[i];
        end->pipe[0] = end->pipe[1] = -1;
        if (rc == 0)
            rc = open_pipe(end);
    }
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        rc = uv_poll_init(loop, &self->ends[i].poll, self->ends[i].fd);
        self->ends[i].poll.data = &self->ends[i];
        self->open += rc == 0;
    }
    if (rc == 0) {
        *pump = self;
        watch(&self->ends[0]);
        watch(&self->ends[1]);
        return 0;
    }
    self->hooks.ended = ignore;
    if (self->open == 0) {
        close_end(&self->ends[0]);
        close_end(&self->ends[1]);
        free(self);
    } else { /* the first handle is the loop's already */
        close_end(&self->ends[1]);
        uv_close((uv_handle_t *)&self->ends[0].poll, on_poll_closed);
    }
    return rc;
}
