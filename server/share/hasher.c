#include "share/hasher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/disk.h"
#include "os/thread.h"
#include "share/merkle.h"

#define READ_SIZE 1048576  /* read and hashed in one go; fits a core's cache */
#define PIECE     16777216 /* of a large file, before smaller ones get their turn */
#define OPEN_MAX  4        /* files that may stand back at a time */

/* A file that is being hashed. */
typedef struct work {
    hp_shared_row_t row;
    int fd;
    bool passing; /* it is read past the page cache */
    hp_merkle_t tree;
    uint64_t began;
} work_t;

struct hp_hasher {
    const hp_place_t *place;
    void (*ready)(void *arg);
    void *arg;
    void (*closed)(void *arg);
    void *closed_arg;
    uv_async_t async;
    uv_thread_t thread;

    uv_mutex_t mutex; /* guards from here ... */
    uv_cond_t wake;
    hp_shared_rows_t queue;
    size_t next; /* in queue */
    HP_ARRAY(hp_hash_result_t) results;
    bool stop, ended;
    work_t *open[OPEN_MAX]; /* the last is being read, those before stand back; only the thread changes it */
    size_t open_count;
    /* ... to here */

    uint8_t *buffer; /* the thread's */
};

void hp_hash_result_dispose(hp_hash_result_t *result)
{
    free(result->path);
    free(result->digests);
    result->path = NULL;
    result->digests = NULL;
}

static bool same(const hp_shared_identity_t *a, const hp_shared_identity_t *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* ---- the thread ---- */

static bool stopping(hp_hasher_t *self)
{
    uv_mutex_lock(&self->mutex);
    bool stop = self->stop;
    uv_mutex_unlock(&self->mutex);
    return stop;
}

/* 0 when the bytes behind fd are still those of the identity. */
static int check_identity(int fd, const hp_shared_identity_t *identity)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    hp_shared_identity_t now = hp_place_identity(&st);
    return same(&now, identity) ? 0 : HP_E_OTHER_VERSION;
}

/* Of the last of the open files: it is either open or has a result, at any time. */
static void put_result(hp_hasher_t *self, const hp_hash_result_t *result)
{
    uv_mutex_lock(&self->mutex);
    self->open_count--;
    *hp_array_add(&self->results) = *result;
    uv_mutex_unlock(&self->mutex);
    uv_async_send(&self->async);
}

static void free_work(work_t *work)
{
    if (work->fd >= 0)
        close(work->fd);
    hp_merkle_dispose(&work->tree);
    free(work->row.path);
    free(work);
}

/* Ends the last of the open files. */
static void finish(hp_hasher_t *self, int status)
{
    work_t *work = self->open[self->open_count - 1];
    hp_hash_result_t result = {.identity = work->row.identity, .path = work->row.path};
    work->row.path = NULL;
    if (status == 0)
        status = check_identity(work->fd, &result.identity);
    if (status == 0 && hp_merkle_finish(&work->tree, result.root) != 0)
        status = HP_E_OTHER_VERSION;
    if (status == 0) {
        result.chunk_size = work->tree.chunk_size;
        result.count = work->tree.count;
        result.digests = work->tree.layer;
        work->tree.layer = NULL;
    }
    result.status = status;
    result.ms = hp_clock_ms() - work->began;
    put_result(self, &result);
    free_work(work);
}

/* Fills the buffer from the file. The number of bytes, less only at its end, or a negative errno. */
static ssize_t read_some(hp_hasher_t *self, work_t *work)
{
    size_t done = 0;
    while (done < READ_SIZE) {
        ssize_t n = hp_disk_read_passing(work->fd, self->buffer + done, READ_SIZE - done,
                                         work->tree.added + done, &work->passing);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* Goes on with the last of the open files, for one piece. */
static void hash_piece(hp_hasher_t *self)
{
    work_t *work = self->open[self->open_count - 1];
    for (size_t done = 0; done < PIECE && work->tree.added < work->tree.file_size; done += READ_SIZE) {
        if (stopping(self))
            return;
        ssize_t n = read_some(self, work);
        uint64_t left = work->tree.file_size - work->tree.added;
        if (n >= 0 && ((uint64_t)n > left || ((uint64_t)n < left && n < READ_SIZE)))
            n = HP_E_OTHER_VERSION; /* it has grown or shrunk meanwhile */
        if (n >= 0 && hp_merkle_add(&work->tree, self->buffer, (size_t)n) != 0)
            n = HP_E_OTHER_VERSION;
        if (n < 0) {
            finish(self, (int)n);
            return;
        }
    }
    if (work->tree.added == work->tree.file_size)
        finish(self, 0);
}

static void begin(hp_hasher_t *self, work_t *work)
{
    const hp_shared_row_t *row = &work->row;
    struct stat st;
    hp_place_at_t at = HP_PLACE_NOWHERE;
    int status = hp_place_open_file(self->place, &at, row->path, &work->fd, &st);
    hp_place_leave(&at);
    if (status == 0)
        status = check_identity(work->fd, &row->identity);
    if (status != 0)
        finish(self, status);
    else
        hp_merkle_init(&work->tree, row->identity.size, hp_chunk_size_for(row->identity.size));
}

/* Takes the next file from the queue if it is to come before the one that is open; NULL if not. The lock is
 * held. */
static work_t *take(hp_hasher_t *self)
{
    if (self->next == self->queue.count)
        return NULL;
    hp_shared_row_t *first = &self->queue.items[self->next];
    const work_t *top = self->open_count > 0 ? self->open[self->open_count - 1] : NULL;
    if (top != NULL &&
        (self->open_count == OPEN_MAX || first->identity.size >= top->tree.file_size - top->tree.added))
        return NULL;
    work_t *work = hp_alloc(sizeof *work);
    work->row = *first;
    work->fd = -1;
    work->began = hp_clock_ms();
    work->passing = first->identity.size > PIECE;
    first->path = NULL;
    self->next++;
    self->open[self->open_count++] = work;
    return work;
}

static void run(void *arg)
{
    hp_hasher_t *self = arg;
    hp_thread_set_name("hostpair-hasher");
    if (!hp_thread_set_idle())
        hp_log(HP_LOG_DEBUG, "share: hashing does not run at the lowest priority");
    self->buffer = hp_alloc(READ_SIZE);
    while (true) {
        uv_mutex_lock(&self->mutex);
        work_t *taken = self->stop ? NULL : take(self);
        bool emptied = taken != NULL && self->next == self->queue.count;
        bool stop = self->stop;
        if (!stop && self->open_count == 0)
            uv_cond_wait(&self->wake, &self->mutex);
        uv_mutex_unlock(&self->mutex);
        if (emptied)
            uv_async_send(&self->async);
        if (stop)
            break;
        if (taken != NULL)
            begin(self, taken);
        if (self->open_count > 0)
            hash_piece(self);
    }
    while (self->open_count > 0)
        free_work(self->open[--self->open_count]);
    free(self->buffer);
    uv_mutex_lock(&self->mutex);
    self->ended = true;
    uv_mutex_unlock(&self->mutex);
    uv_async_send(&self->async);
}

/* ---- the loop ---- */

static void on_closed(uv_handle_t *handle)
{
    hp_hasher_t *self = handle->data;
    void (*closed)(void *arg) = self->closed;
    void *arg = self->closed_arg;
    hp_shared_rows_dispose(&self->queue);
    for (size_t i = 0; i < self->results.count; i++)
        hp_hash_result_dispose(&self->results.items[i]);
    hp_array_dispose(&self->results);
    uv_cond_destroy(&self->wake);
    uv_mutex_destroy(&self->mutex);
    free(self);
    closed(arg);
}

static void on_async(uv_async_t *async)
{
    hp_hasher_t *self = async->data;
    uv_mutex_lock(&self->mutex);
    bool ended = self->ended, stop = self->stop;
    uv_mutex_unlock(&self->mutex);
    if (ended) {
        uv_thread_join(&self->thread);
        uv_close((uv_handle_t *)async, on_closed);
    } else if (!stop) {
        self->ready(self->arg);
    }
}

int hp_hasher_create(hp_hasher_t **hasher, uv_loop_t *loop, const hp_place_t *place, void (*ready)(void *arg),
                     void *arg)
{
    hp_hasher_t *self = hp_alloc(sizeof *self);
    self->place = place;
    self->ready = ready;
    self->arg = arg;
    if (uv_mutex_init(&self->mutex) != 0 || uv_cond_init(&self->wake) != 0)
        abort();
    int rc = uv_async_init(loop, &self->async, on_async);
    if (rc != 0) {
        uv_cond_destroy(&self->wake);
        uv_mutex_destroy(&self->mutex);
        free(self);
        return rc;
    }
    self->async.data = self;
    uv_unref((uv_handle_t *)&self->async);
    if (uv_thread_create(&self->thread, run, self) != 0)
        abort(); /* no threads to be had */
    *hasher = self;
    return 0;
}

void hp_hasher_destroy(hp_hasher_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    uv_ref((uv_handle_t *)&self->async);
    uv_mutex_lock(&self->mutex);
    self->stop = true;
    uv_cond_signal(&self->wake);
    uv_mutex_unlock(&self->mutex);
}

/* Whether this file is being hashed, or became ready while the store was asked. The lock is held. */
static bool is_known(const hp_hasher_t *self, const hp_shared_identity_t *identity)
{
    for (size_t i = 0; i < self->open_count; i++)
        if (same(&self->open[i]->row.identity, identity))
            return true;
    for (size_t i = 0; i < self->results.count; i++)
        if (same(&self->results.items[i].identity, identity))
            return true;
    return false;
}

bool hp_hasher_give(hp_hasher_t *self, hp_shared_rows_t *rows)
{
    size_t kept = 0;
    uv_mutex_lock(&self->mutex);
    for (size_t i = 0; i < rows->count; i++) {
        if (is_known(self, &rows->items[i].identity))
            free(rows->items[i].path);
        else
            rows->items[kept++] = rows->items[i];
    }
    rows->count = kept;
    hp_shared_rows_dispose(&self->queue);
    self->queue = *rows;
    self->next = 0;
    bool news = kept > 0 || self->results.count > 0;
    uv_cond_signal(&self->wake);
    uv_mutex_unlock(&self->mutex);
    *rows = (hp_shared_rows_t){0};
    return news;
}

bool hp_hasher_is_hungry(hp_hasher_t *self)
{
    uv_mutex_lock(&self->mutex);
    bool hungry = self->next == self->queue.count;
    uv_mutex_unlock(&self->mutex);
    return hungry;
}

hp_hash_result_t *hp_hasher_take(hp_hasher_t *self, size_t *count)
{
    uv_mutex_lock(&self->mutex);
    hp_hash_result_t *results = self->results.items;
    *count = self->results.count;
    self->results.items = NULL;
    self->results.count = self->results.room = 0;
    uv_mutex_unlock(&self->mutex);
    if (*count == 0) {
        free(results);
        return NULL;
    }
    return results;
}
