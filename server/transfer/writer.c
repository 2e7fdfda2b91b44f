#include "transfer/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "os/disk.h"
#include "share/merkle.h"

struct hp_writer {
    uv_loop_t *loop;
    hp_chunk_buffer_t *stock; /* all of stock_size; last in, first out: the warmest first */
    uint64_t stock_size;
    uint64_t bytes; /* of all buffers, in use or in stock */
    unsigned jobs;  /* in the pool */
    void (*room)(void *arg);
    void *room_arg;
};

hp_writer_t *hp_writer_create(uv_loop_t *loop, void (*room)(void *arg), void *arg)
{
    hp_writer_t *self = hp_alloc(sizeof *self);
    *self = (hp_writer_t){.loop = loop, .room = room, .room_arg = arg};
    return self;
}

void hp_writer_empty_stock(hp_writer_t *self)
{
    while (self->stock != NULL) {
        hp_chunk_buffer_t *buffer = self->stock;
        self->stock = buffer->next;
        self->bytes -= buffer->capacity;
        free(buffer);
    }
}

void hp_writer_destroy(hp_writer_t *self)
{
    hp_writer_empty_stock(self);
    free(self);
}

bool hp_writer_has_room(const hp_writer_t *self, uint64_t chunk_size)
{
    if (self->stock != NULL && self->stock_size == chunk_size)
        return true;
    return self->jobs == 0 || self->bytes + chunk_size <= HP_MAX((uint64_t)HP_WRITER_BYTES, 2 * chunk_size);
}

hp_chunk_buffer_t *hp_writer_take(hp_writer_t *self, uint64_t chunk_size)
{
    hp_chunk_buffer_t *buffer = self->stock;
    if (buffer != NULL && self->stock_size == chunk_size) {
        self->stock = buffer->next;
        buffer->length = 0;
        return buffer;
    }
    if (self->bytes + chunk_size > HP_WRITER_BYTES)
        hp_writer_empty_stock(self); /* of another size: it only takes the room */
    buffer = hp_alloc_aligned(HP_WRITER_ALIGN, HP_WRITER_ALIGN + chunk_size);
    *buffer = (hp_chunk_buffer_t){.capacity = chunk_size, .data = (uint8_t *)buffer + HP_WRITER_ALIGN};
    self->bytes += chunk_size;
    return buffer;
}

void hp_writer_give_back(hp_writer_t *self, hp_chunk_buffer_t *buffer)
{
    if (self->stock == NULL)
        self->stock_size = buffer->capacity;
    if (buffer->capacity == self->stock_size && self->bytes <= HP_WRITER_BYTES) {
        buffer->next = self->stock;
        self->stock = buffer;
    } else {
        self->bytes -= buffer->capacity;
        free(buffer);
    }
}

void hp_file_writes_init(hp_file_writes_t *writes)
{
    *writes = (hp_file_writes_t){.direct_fd = -1};
    if (uv_mutex_init(&writes->lock) != 0)
        abort();
}

void hp_file_writes_set(hp_file_writes_t *writes, int direct_fd)
{
    hp_file_writes_reset(writes);
    writes->direct_fd = direct_fd;
}

void hp_file_writes_reset(hp_file_writes_t *writes)
{
    if (writes->direct_fd >= 0)
        close(writes->direct_fd);
    writes->direct_fd = -1;
}

void hp_file_writes_dispose(hp_file_writes_t *writes)
{
    hp_file_writes_reset(writes);
    uv_mutex_destroy(&writes->lock);
}

/* Bytes of a chunk. */
typedef struct run {
    size_t from, length;
} run_t;

static bool may_go_direct(const hp_chunk_job_t *job, run_t run)
{
    return job->writes->direct_fd >= 0 && !job->cached && (job->offset + run.from) % HP_WRITER_ALIGN == 0 &&
           run.length % HP_WRITER_ALIGN == 0;
}

static int write_in_turn(hp_chunk_job_t *job, run_t run)
{
    hp_file_writes_t *writes = job->writes;
    uv_mutex_lock(&writes->lock);
    int rc = hp_write_all_at(job->fd, job->buffer->data + run.from, run.length, job->offset + run.from);
    writes->unsent += run.length;
    bool send = writes->unsent >= HP_WRITEBACK_BYTES && !writes->sending;
    if (send) {
        writes->unsent = 0;
        writes->sending = true;
    }
    uv_mutex_unlock(&writes->lock);
    if (!send)
        return rc;
    /* Only begins: what goes wrong on the way is told by the sync at the end. */
    hp_disk_begin_sync(job->fd);
    uv_mutex_lock(&writes->lock);
    writes->sending = false;
    uv_mutex_unlock(&writes->lock);
    return rc;
}

static int write_run(hp_chunk_job_t *job, run_t run)
{
    int rc = -EINVAL;
    if (may_go_direct(job, run))
        rc = hp_write_all_at(job->writes->direct_fd, job->buffer->data + run.from, run.length,
                             job->offset + run.from);
    /* EINVAL: the file system wants another alignment, here or after a short write. */
    return rc == -EINVAL ? write_in_turn(job, run) : rc;
}

static bool is_zeros(const hp_chunk_buffer_t *buffer, size_t from)
{
    const uint8_t *at = buffer->data + from;
    size_t length = HP_MIN((size_t)HP_WRITER_ZEROS, buffer->length - from);
    return at[0] == 0 && memcmp(at, at + 1, length - 1) == 0;
}

/* The bytes from `from` on that are all to be written, or all zeros. */
static run_t next_run(const hp_chunk_buffer_t *buffer, size_t from, bool *zeros)
{
    size_t end = from;
    *zeros = is_zeros(buffer, from);
    do
        end += HP_WRITER_ZEROS;
    while (end < buffer->length && is_zeros(buffer, end) == *zeros);
    return (run_t){.from = from, .length = HP_MIN(end, buffer->length) - from};
}

static int write_chunk(hp_chunk_job_t *job)
{
    const hp_chunk_buffer_t *buffer = job->buffer;
    if (job->file_size == UINT64_MAX) /* the file is as long as what was written: zeros have to be */
        return write_run(job, (run_t){.length = buffer->length});
    int rc = 0;
    run_t run = {0};
    for (size_t at = 0; at < buffer->length && rc == 0; at = run.from + run.length) {
        bool zeros;
        run = next_run(buffer, at, &zeros);
        rc = zeros ? hp_disk_zero(job->fd, job->offset + at, run.length) : -EOPNOTSUPP;
        if (rc == -EOPNOTSUPP)
            rc = write_run(job, run);
    }
    return rc;
}

static void on_work(uv_work_t *work)
{
    hp_chunk_job_t *job = HP_CONTAINER(work, hp_chunk_job_t, work);
    const hp_chunk_buffer_t *buffer = job->buffer;
    hp_merkle_chunk_digest(buffer->data, buffer->length, job->chunk_size, job->file_size, job->digest);
    if (job->expected != NULL && memcmp(job->expected, job->digest, HP_SHA256_SIZE) != 0)
        job->status = HP_E_WRONG_DIGEST;
    else
        job->status = write_chunk(job);
}

void hp_writer_job_begins(hp_writer_t *self)
{
    self->jobs++;
}

void hp_writer_job_ends(hp_writer_t *self, hp_chunk_buffer_t *buffer)
{
    self->jobs--;
    if (buffer != NULL)
        hp_writer_give_back(self, buffer);
    self->room(self->room_arg);
}

static void on_after(uv_work_t *work, int status)
{
    hp_chunk_job_t *job = HP_CONTAINER(work, hp_chunk_job_t, work);
    hp_writer_t *self = job->writer;
    hp_chunk_buffer_t *buffer = job->buffer;
    if (status != 0)
        job->status = status;
    job->buffer = NULL;
    job->done(job); /* may free the job */
    hp_writer_job_ends(self, buffer);
}

void hp_writer_put(hp_writer_t *self, hp_chunk_job_t *job)
{
    job->writer = self;
    job->status = 0;
    hp_writer_job_begins(self);
    uv_queue_work(self->loop, &job->work, on_work, on_after);
}
