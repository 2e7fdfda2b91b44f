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

static void empty_stock(hp_writer_t *self)
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
    empty_stock(self);
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
        empty_stock(self); /* of another size: it only takes the room */
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

static bool may_go_direct(const hp_chunk_job_t *job)
{
    return job->writes->direct_fd >= 0 && !job->cached && job->offset % HP_WRITER_ALIGN == 0 &&
           job->buffer->length % HP_WRITER_ALIGN == 0;
}

static int write_in_turn(hp_chunk_job_t *job)
{
    hp_file_writes_t *writes = job->writes;
    uv_mutex_lock(&writes->lock);
    int rc = hp_write_all_at(job->fd, job->buffer->data, job->buffer->length, job->offset);
    writes->unsent += job->buffer->length;
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

static int write_chunk(hp_chunk_job_t *job)
{
    int rc = -EINVAL;
    if (may_go_direct(job))
        rc = hp_write_all_at(job->writes->direct_fd, job->buffer->data, job->buffer->length, job->offset);
    /* EINVAL: the file system wants another alignment, here or after a short write. */
    return rc == -EINVAL ? write_in_turn(job) : rc;
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
