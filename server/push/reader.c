#include "push/reader.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "pool/pool.h"

typedef struct {
    uint8_t *data;
    size_t length, used;
} block_t;

struct hp_push_reader {
    uv_loop_t *loop;
    hp_pending_t *pending;
    int fd;
    uint64_t size, asked, taken;
    block_t now, next;
    bool reading, failed, closing;
    uv_timer_t pause; /* the limit lets nothing go; its closing is what frees the reader */
    hp_sender_t sender;
    bool waits; /* somebody was told that there is nothing yet */
    void (*ready)(void *arg);
    void *arg;
};

static void on_pause_closed(uv_handle_t *handle)
{
    hp_push_reader_t *self = handle->data;
    hp_pending_t *pending = self->pending;
    close(self->fd);
    free(self->now.data);
    free(self->next.data);
    free(self);
    hp_pending_drop(pending);
}

static void end(hp_push_reader_t *self)
{
    uv_close((uv_handle_t *)&self->pause, on_pause_closed);
}

static void on_pause_over(uv_timer_t *timer)
{
    hp_push_reader_t *self = timer->data;
    self->ready(self->arg);
}

/* Pool. */
static int work_read(void *arg, hp_err_t *err)
{
    hp_push_reader_t *self = arg;
    size_t want = self->next.length, got = 0;
    while (got < want) {
        ssize_t n = pread(self->fd, self->next.data + got, want - got, (off_t)(self->asked + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return hp_err_set(err, HP_E_DISK, "%s", n < 0 ? strerror(errno) : "the file is shorter now");
        got += (size_t)n;
    }
    return 0;
}

static void read_more(hp_push_reader_t *self);

static void on_read(void *arg, int status, const hp_err_t *err)
{
    hp_push_reader_t *self = arg;
    (void)err;
    self->reading = false;
    if (self->closing) {
        end(self);
        return;
    }
    self->failed = status != 0;
    self->asked += status == 0 ? self->next.length : 0;
    if (status != 0)
        self->next.length = 0;
    if (!self->waits)
        return;
    self->waits = false;
    self->ready(self->arg);
}

static void read_more(hp_push_reader_t *self)
{
    if (self->reading || self->failed || self->asked >= self->size)
        return;
    self->next.length = (size_t)HP_MIN((uint64_t)HP_PUSH_BLOCK, self->size - self->asked);
    self->next.used = 0;
    self->reading = true;
    hp_pool_post(self->loop, self->pending, work_read, on_read, self);
}

hp_push_reader_t *hp_push_reader_create(uv_loop_t *loop, hp_pending_t *pending, hp_send_limit_t *limit,
                                        int fd, uint64_t size, void (*ready)(void *arg), void *arg)
{
    hp_push_reader_t *self = hp_alloc(sizeof *self);
    size_t block = (size_t)HP_MIN((uint64_t)HP_PUSH_BLOCK, size) + 1;
    *self = (hp_push_reader_t){
        .loop = loop, .pending = pending, .fd = fd, .size = size, .ready = ready, .arg = arg};
    self->now.data = hp_alloc(block);
    self->next.data = hp_alloc(block);
    hp_sender_init(&self->sender, limit);
    uv_timer_init(loop, &self->pause);
    self->pause.data = self;
    hp_pending_add(pending);
    read_more(self);
    return self;
}

void hp_push_reader_destroy(hp_push_reader_t *self)
{
    self->closing = true;
    hp_sender_dispose(&self->sender);
    uv_timer_stop(&self->pause);
    if (!self->reading)
        end(self);
}

size_t hp_push_reader_take(hp_push_reader_t *self, void *into, size_t size)
{
    if (self->now.used == self->now.length && !self->reading && self->next.length > 0) {
        block_t empty = self->now;
        self->now = self->next;
        self->next = (block_t){.data = empty.data};
        read_more(self);
    }
    size_t n = HP_MIN(size, self->now.length - self->now.used);
    if (n == 0) {
        self->waits = !self->failed;
        return self->failed ? SIZE_MAX : 0;
    }
    n = hp_sender_take(&self->sender, n);
    if (n == 0) {
        uv_timer_start(&self->pause, on_pause_over, HP_SEND_LIMIT_RETRY_MS, 0);
        return 0;
    }
    memcpy(into, self->now.data + self->now.used, n);
    self->now.used += n;
    self->taken += n;
    return n;
}

uint64_t hp_push_reader_taken(const hp_push_reader_t *self)
{
    return self->taken;
}
