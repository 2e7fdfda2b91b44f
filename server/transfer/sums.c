/* The sums of a download over its files: what is on record, kept in its row. A file that is under way is not
 * in them; it is added when it is let go. */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct sums {
    int64_t size, unknown, done_bytes, chunks_total, chunks_done, done, failed, verified;
} sums_t;

int64_t hp_row_chunks(const hp_download_file_row_t *row)
{
    if (row->chunk_size <= 0 || row->size < 0)
        return 0;
    return row->size / row->chunk_size + (row->size % row->chunk_size != 0);
}

int64_t hp_row_done_bytes(const hp_download_file_row_t *row, int64_t chunks_done)
{
    int64_t bytes;
    if (__builtin_mul_overflow(chunks_done, row->chunk_size, &bytes))
        bytes = INT64_MAX;
    return HP_MIN(bytes, HP_MAX(row->size, (int64_t)0));
}

static sums_t sums_of(const hp_download_file_row_t *row, int64_t chunks_done)
{
    bool done = strcmp(row->state, "done") == 0;
    sums_t sums = {.unknown = row->size < 0,
                   .size = HP_MAX(row->size, (int64_t)0),
                   .chunks_done = chunks_done,
                   .done = done,
                   .failed = strcmp(row->state, "failed") == 0,
                   .verified = row->verified};
    sums.chunks_total = hp_row_chunks(row);
    if (done) /* files of one chunk have no rows for it */
        sums.chunks_done = sums.chunks_total;
    sums.done_bytes = done ? sums.size : hp_row_done_bytes(row, chunks_done);
    return sums;
}

/* What hosts say may add up to more than a number holds: it wraps around, and comes back when the file's sums
 * are taken away again. */
static void add(int64_t *sum, int64_t value, int64_t sign)
{
    *sum = (int64_t)((uint64_t)*sum + (uint64_t)value * (uint64_t)sign);
}

void hp_sums_add(hp_download_row_t *to, const hp_download_file_row_t *file, int64_t chunks_done, int64_t sign)
{
    sums_t sums = sums_of(file, chunks_done);
    add(&to->size, sums.size, sign);
    add(&to->sizes_unknown, sums.unknown, sign);
    add(&to->done_bytes, sums.done_bytes, sign);
    add(&to->chunks_total, sums.chunks_total, sign);
    add(&to->chunks_done, sums.chunks_done, sign);
    add(&to->files_done, sums.done, sign);
    add(&to->files_failed, sums.failed, sign);
    add(&to->files_verified, sums.verified, sign);
}

/* ---- read again ---- */

typedef struct read_sums {
    download_t *download;
    int64_t id;
    hp_download_row_t row;
} read_sums_t;

static int work_sums(hp_db_t *db, void *arg, hp_err_t *err)
{
    read_sums_t *job = arg;
    return hp_db_download_get(db, job->id, &job->row, err);
}

static void on_sums(void *arg, int status, const hp_err_t *err)
{
    read_sums_t *job = arg;
    download_t *self = job->download;
    hp_download_row_t *to = &self->row, *from = &job->row;
    (void)err; /* tried again */
    self->sums_loading = false;
    self->sums_at = hp_clock_ms() + DISK_LOOK_MS;
    if (status == 0) {
        self->sums_stale = false;
        to->files_total = from->files_total;
        to->files_done = from->files_done;
        to->files_failed = from->files_failed;
        to->files_verified = from->files_verified;
        to->sizes_unknown = from->sizes_unknown;
        to->size = from->size;
        to->done_bytes = from->done_bytes;
        to->chunks_total = from->chunks_total;
        to->chunks_done = from->chunks_done;
        hp_download_changed(self);
    }
    hp_download_row_dispose(from);
    hp_transfer_wake(self->transfer);
    free(job);
}

void hp_sums_read(download_t *self)
{
    if (!self->sums_stale || self->sums_loading || self->items != NULL || !hp_bundle_is_idle(self) ||
        self->files_loading || self->removing || self->transfer->stopping || hp_clock_ms() < self->sums_at)
        return;
    read_sums_t *job = hp_alloc(sizeof *job);
    *job = (read_sums_t){.download = self, .id = self->row.id};
    self->sums_loading = true;
    hp_store_post_counted(self->transfer->store, &self->pending, HP_STORE_READ, work_sums, on_sums, job);
}
