#include "tunnel/pump.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/splice.h"

typedef struct end {
    hp_pump_t *pump;
    uv_poll_t poll;
    int fd;
    hp_splice_t out; /* from fd to the other end's */
    hp_splice_state_t state;
    int interest;
} end_t;

struct hp_pump {
    hp_link_t link;
    end_t ends[2];
    unsigned handles;
    bool over;
    void (*ended)(void *arg, hp_pump_t *pump);
    void *arg;
    hp_pending_t *pending;
};

hp_link_t *hp_pump_link(hp_pump_t *self)
{
    return &self->link;
}

hp_pump_t *hp_pump_of(hp_link_t *link)
{
    return HP_CONTAINER(link, hp_pump_t, link);
}

static void on_closed(uv_handle_t *handle)
{
    hp_pump_t *self = HP_CONTAINER((uv_poll_t *)handle, end_t, poll)->pump;
    hp_pending_t *pending = self->pending;
    if (--self->handles > 0)
        return;
    free(self);
    hp_pending_drop(pending);
}

static void finish(hp_pump_t *self, bool cut)
{
    struct linger drop = {1, 0};
    self->over = true;
    hp_link_remove(&self->link);
    for (int i = 0; i < 2; i++) {
        end_t *end = &self->ends[i];
        if (cut)
            setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
        uv_close((uv_handle_t *)&end->poll, on_closed);
        close(end->fd);
        hp_splice_close(&end->out);
    }
}

void hp_pump_destroy(hp_pump_t *self)
{
    finish(self, true);
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* An end is read while its direction waits for bytes, and written while the other direction waits for room.
 */
static void watch(hp_pump_t *self, int which)
{
    end_t *end = &self->ends[which];
    int interest = (end->state == HP_SPLICE_WAIT_SOURCE ? UV_READABLE : 0) |
                   (self->ends[1 - which].state == HP_SPLICE_WAIT_SINK ? UV_WRITABLE : 0);
    if (interest == end->interest)
        return;
    end->interest = interest;
    if (interest != 0)
        uv_poll_start(&end->poll, interest, on_poll);
    else
        uv_poll_stop(&end->poll);
}

static void move(hp_pump_t *self)
{
    bool broken = false;
    for (int i = 0; i < 2 && !broken; i++) {
        end_t *from = &self->ends[i], *to = &self->ends[1 - i];
        if (from->state == HP_SPLICE_DONE)
            continue;
        from->state = hp_splice_move(&from->out, from->fd, to->fd);
        broken = from->state == HP_SPLICE_BROKEN;
        if (from->state == HP_SPLICE_DONE)
            shutdown(to->fd, SHUT_WR);
    }
    if (broken || (self->ends[0].state == HP_SPLICE_DONE && self->ends[1].state == HP_SPLICE_DONE)) {
        void (*ended)(void *arg, hp_pump_t *pump) = self->ended;
        finish(self, broken);
        ended(self->arg, self);
        return;
    }
    watch(self, 0);
    watch(self, 1);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    end_t *end = HP_CONTAINER(poll, end_t, poll);
    (void)events;
    if (status < 0) { /* an error waits in the socket, and libuv has stopped: the move meets it */
        end->interest = 0;
        end->pump->ends[0].state = end->pump->ends[1].state = HP_SPLICE_WAIT_SOURCE;
        struct linger drop = {1, 0};
        setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
    }
    move(end->pump);
}

static int start(hp_pump_t *self, uv_loop_t *loop, end_t *end, int fd)
{
    end->pump = self;
    end->fd = fd;
    end->state = HP_SPLICE_WAIT_SOURCE;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    int rc = hp_splice_open(&end->out);
    if (rc == 0 && (rc = uv_poll_init(loop, &end->poll, fd)) == 0)
        self->handles++;
    return rc;
}

int hp_pump_create(hp_pump_t **pump, uv_loop_t *loop, int a, int b, void (*ended)(void *arg, hp_pump_t *pump),
                   void *arg, hp_pending_t *pending)
{
    hp_pump_t *self = hp_alloc(sizeof *self);
    self->ended = ended;
    self->arg = arg;
    self->pending = pending;
    self->ends[1].out.pipe[0] = self->ends[1].out.pipe[1] = -1;
    int rc = start(self, loop, &self->ends[0], a);
    if (rc == 0)
        rc = start(self, loop, &self->ends[1], b);
    if (rc != 0) {
        hp_splice_close(&self->ends[0].out);
        hp_splice_close(&self->ends[1].out);
        if (self->handles > 0) {
            hp_pending_add(pending);
            uv_close((uv_handle_t *)&self->ends[0].poll, on_closed);
        } else {
            free(self);
        }
        close(a);
        close(b);
        return rc;
    }
    hp_pending_add(pending);
    watch(self, 0);
    watch(self, 1);
    *pump = self;
    return 0;
}
