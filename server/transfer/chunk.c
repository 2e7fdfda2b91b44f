/* A chunk's way from a lease's full buffer to the disk and on record. */
#include "transfer/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct item_chunk {
    hp_chunk_job_t job;
    item_t *item;
    source_t *source;
    uint32_t chunk;
    unsigned digest_errors; /* of the source when the chunk came */
    bool plain;
} item_chunk_t;

typedef struct save_chunk {
    item_t *item;
    const source_t *source;
    hp_chunk_row_t row;
} save_chunk_t;

static int work_chunk(hp_db_t *db, void *arg, hp_err_t *err)
{
    save_chunk_t *job = arg;
    if (job->row.source == 0)
        job->row.source = job->source->stored_id; /* its row was posted before this one */
    return hp_db_chunk_add(db, &job->row, err);
}

static void on_chunk_saved(void *arg, int status, const hp_err_t *err)
{
    save_chunk_t *job = arg;
    item_t *item = job->item;
    if (status != 0) {
        /* On the disk, but not on record: it is fetched again. */
        uint32_t n = (uint32_t)job->row.number;
        if (n < item->done.size && hp_bitmap_clear(&item->done, n))
            item->done_bytes -= hp_item_chunk_bytes(item, n);
        hp_download_write_failed(item->download, status, err);
    } else {
        hp_retry_reset(&item->download->disk);
    }
    item->unsaved--;
    hp_pending_drop(&item->pending);
    free(job);
    hp_item_check_complete(item);
    hp_transfer_wake(item->download->transfer);
}

static void record(item_t *self, const item_chunk_t *chunk)
{
    uint32_t n = chunk->chunk;
    hp_bitmap_set(&self->done, n);
    memcpy(self->digests + (size_t)n * HP_SHA256_SIZE, chunk->job.digest, HP_SHA256_SIZE);
    self->chunk_sources[n] = chunk->source->id != 0 ? chunk->source->id : chunk->source->mark;
    self->done_bytes += hp_item_chunk_bytes(self, n);
    hp_source_delivered(chunk->source);
    hp_item_reserve_more(self);
    save_chunk_t *save = hp_alloc(sizeof *save);
    *save = (save_chunk_t){.item = self,
                           .source = chunk->source,
                           .row = {.file = self->row.id, .number = n, .source = chunk->source->id}};
    memcpy(save->row.digest, chunk->job.digest, HP_SHA256_SIZE);
    hp_pending_add(&self->pending);
    self->unsaved++;
    hp_store_post(self->download->transfer->store, HP_STORE_WRITE_LAZY, work_chunk, on_chunk_saved, save);
}

static void on_chunk(hp_chunk_job_t *job)
{
    item_chunk_t *chunk = HP_CONTAINER(job, item_chunk_t, job);
    item_t *self = chunk->item;
    hp_pending_drop(&self->pending);
    if (chunk->chunk < self->writing.size) {
        hp_bitmap_clear(&self->writing, chunk->chunk);
        hp_bitmap_clear(&self->taken, chunk->chunk);
    }
    if (self->restart_why != NULL) {
        /* Of a version that nobody wants any more. */
    } else if (job->status == 0) {
        record(self, chunk);
    } else if (job->status == HP_E_WRONG_DIGEST && chunk->plain) {
        hp_plain_sent_wrong(chunk->source, chunk->chunk);
    } else if (job->status == HP_E_WRONG_DIGEST) {
        if (chunk->digest_errors == chunk->source->digest_errors)
            hp_source_sent_wrong(chunk->source, chunk->chunk);
    } else if (job->status == -EFBIG) {
        hp_err_t err = {0};
        hp_part_too_long(&err, job->offset + hp_item_chunk_bytes(self, chunk->chunk));
        hp_item_fail(self, HP_E_TOO_LARGE, hp_err_text(&err));
    } else {
        hp_err_t err = {0};
        hp_err_set(&err, job->status, "Writing %s: %s", self->row.path, hp_err_sentence(job->status));
        hp_download_disk_failed(self->download, job->status, &err);
    }
    free(chunk);
    hp_item_check_complete(self);
    hp_download_changed(self->download);
    hp_transfer_wake(self->download->transfer);
}

static const uint8_t *expected_digest(const item_t *self, uint64_t chunk)
{
    return self->manifest != NULL ? self->manifest + chunk * HP_SHA256_SIZE : NULL;
}

void hp_item_chunk_ready(item_t *self, lease_t *lease)
{
    hp_chunk_buffer_t *buffer = lease->buffer;
    uint32_t n = (uint32_t)lease->at;
    lease->buffer = NULL;
    hp_kept_drop(self, n);
    if (hp_bitmap_get(&self->done, n) || hp_bitmap_get(&self->writing, n) || self->restart_why != NULL) {
        hp_writer_give_back(self->download->transfer->writer, buffer); /* the other lease was first */
        return;
    }
    hp_bitmap_set(&self->writing, n);
    hp_bitmap_set(&self->taken, n);
    if (hp_item_is_small(self)) {
        for (lease_t *other = self->leases; other != NULL; other = other->next)
            if (other != lease)
                hp_lease_cancel(other); /* the file does not wait for the slower one */
        hp_item_finish_small(self, buffer, lease->source);
        return;
    }
    item_chunk_t *chunk = hp_alloc(sizeof *chunk);
    *chunk = (item_chunk_t){
        .job = {.buffer = buffer,
                .fd = self->fd,
                .writes = &self->writes,
                .cached = self->streaming,
                .offset = (uint64_t)n * self->chunk_size,
                .chunk_size = self->chunk_size,
                .file_size = self->endless ? UINT64_MAX : self->size,
                .expected = expected_digest(self, n),
                .done = on_chunk},
        .item = self,
        .source = lease->source,
        .chunk = n,
        .digest_errors = lease->source->digest_errors,
        .plain = lease->plain,
    };
    hp_pending_add(&self->pending);
    hp_writer_put(self->download->transfer->writer, &chunk->job);
}

void hp_item_check_complete(item_t *self)
{
    if (self->phase != ITEM_FETCHING || !self->size_known || !self->ready || self->naming ||
        self->restart_why != NULL || self->done.count < self->chunks || self->writing.count > 0)
        return;
    if (self->size == 0)
        hp_item_finish_small(self, NULL, self->sources);
    else if (!hp_item_is_small(self) || self->row.part != NULL)
        hp_item_finish(self);
}
