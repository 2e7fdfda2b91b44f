/* Hashing recorded chunks again: after a power cut, which may have taken what the disk had not
 * written yet, or because a person asked. In the pool, a few
 * chunks a step, so that it can be stopped. */
#include "os/disk.h"
#include "transfer/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_BYTES (64u * 1024 * 1024) /* hashed in one step */

typedef struct check {
    uv_work_t work;
    item_t *item;
    int fd;
    uint32_t *chunks; /* to be read in this step */
    size_t count;
    bool *bad;
    uint32_t next; /* where the step after this one goes on */
    uint32_t damaged;
    uint64_t size, chunk_size;
    const uint8_t *digests;
} check_t;

static bool chunk_is_right(const check_t *self, uint32_t chunk, uint8_t *buffer)
{
    uint64_t offset = (uint64_t)chunk * self->chunk_size;
    size_t length = (size_t)HP_MIN(self->chunk_size, self->size - offset), done = 0;
    hp_disk_uncache(self->fd, offset, length); /* what the disk has */
    while (done < length) {
        ssize_t n = pread(self->fd, buffer + done, length - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false; /* what cannot be read is not there */
        done += (size_t)n;
    }
    uint8_t digest[HP_SHA256_SIZE];
    hp_merkle_chunk_digest(buffer, length, self->chunk_size, self->size, digest);
    return memcmp(digest, self->digests + (size_t)chunk * HP_SHA256_SIZE, HP_SHA256_SIZE) == 0;
}

static void on_work(uv_work_t *work)
{
    check_t *self = HP_CONTAINER(work, check_t, work);
    uint8_t *buffer = hp_alloc(self->chunk_size);
    for (size_t i = 0; i < self->count; i++)
        self->bad[i] = !chunk_is_right(self, self->chunks[i], buffer);
    free(buffer);
}

typedef struct forget {
    item_t *item;
    int64_t file, number;
} forget_t;

static int work_forget(hp_db_t *db, void *arg, hp_err_t *err)
{
    forget_t *job = arg;
    return hp_db_chunk_remove(db, job->file, job->number, err);
}

static void on_forgotten(void *arg, int status, const hp_err_t *err)
{
    forget_t *job = arg;
    item_t *item = job->item;
    hp_pending_drop(&item->pending);
    if (status != 0)
        hp_download_write_failed(item->download, status, err);
    hp_transfer_wake(item->download->transfer);
    free(job);
}

static void forget_chunk(item_t *item, uint32_t chunk)
{
    if (hp_bitmap_clear(&item->done, chunk))
        item->done_bytes -= hp_item_chunk_bytes(item, chunk);
    forget_t *job = hp_alloc(sizeof *job);
    *job = (forget_t){.item = item, .file = item->row.id, .number = chunk};
    hp_pending_add(&item->pending);
    hp_store_post(item->download->transfer->store, HP_STORE_WRITE_LAZY, work_forget, on_forgotten, job);
}

static void check_free(check_t *self)
{
    free(self->chunks);
    free(self->bad);
    free(self);
}

static void finished(item_t *item, uint32_t damaged)
{
    bool final = strcmp(item->row.state, "done") == 0;
    hp_log(damaged > 0 ? HP_LOG_WARN : HP_LOG_INFO,
           "download %lld: %s: checked %llu chunks, %u of them damaged", (long long)item->row.download,
           item->row.path, (unsigned long long)item->done.count + (final ? 0 : damaged), damaged);
    if (final) {
        if (damaged > 0) {
            char text[300];
            snprintf(text, sizeof text, "%u of %llu chunks on the disk are not what was downloaded", damaged,
                     (unsigned long long)item->chunks);
            hp_item_fail(item, HP_E_WRONG_DIGEST, text);
            return;
        }
        hp_item_set_phase(item, ITEM_DONE);
        hp_download_item_done(item->download, item);
        return;
    }
    if (item->alike && item->done.count == 0) { /* nothing in it is ours: it is left alone */
        hp_item_set_phase(item, ITEM_FETCHING);
        hp_item_part_lost(item, "Another file stands in the place of the part file");
        return;
    }
    if (item->alike) {
        item->row.device = item->opened.device;
        item->row.inode = item->opened.inode;
        item->row.born_ns = item->opened.born_ns;
        item->alike = false;
    }
    free(item->row.boot_id);
    item->row.boot_id = hp_strdup(item->download->transfer->boot_id);
    hp_item_save(item, HP_STORE_WRITE);
    item->ready = true;
    hp_item_set_phase(item, ITEM_FETCHING);
}

static void next_step(item_t *item, uint32_t from, uint32_t damaged);

static void on_after(uv_work_t *work, int status)
{
    check_t *self = HP_CONTAINER(work, check_t, work);
    item_t *item = self->item;
    hp_pending_drop(&item->pending);
    if (item->phase == ITEM_CHECKING) {
        bool final = strcmp(item->row.state, "done") == 0;
        for (size_t i = 0; i < self->count; i++) {
            if (status == 0 && !self->bad[i])
                continue;
            self->damaged++;
            if (!final)
                forget_chunk(item, self->chunks[i]);
        }
        hp_download_changed(item->download);
        next_step(item, self->next, self->damaged);
    }
    hp_transfer_wake(item->download->transfer);
    check_free(self);
}

static void next_step(item_t *item, uint32_t from, uint32_t damaged)
{
    uint32_t first = hp_bitmap_next_set(&item->done, from);
    if (first >= item->done.size) {
        finished(item, damaged);
        return;
    }
    size_t max = (size_t)HP_MAX(STEP_BYTES / item->chunk_size, (uint64_t)1);
    check_t *self = hp_alloc(sizeof *self);
    *self = (check_t){.item = item,
                      .fd = item->fd,
                      .damaged = damaged,
                      .size = item->size,
                      .chunk_size = item->chunk_size,
                      .digests = item->digests,
                      .chunks = hp_alloc_array(max, sizeof *self->chunks),
                      .bad = hp_alloc_array(max, sizeof *self->bad)};
    for (uint32_t n = first; n < item->done.size && self->count < max;
         n = hp_bitmap_next_set(&item->done, n + 1)) {
        self->chunks[self->count++] = n;
        self->next = n + 1;
    }
    hp_pending_add(&item->pending);
    uv_queue_work(item->download->transfer->loop, &self->work, on_work, on_after);
}

void hp_item_check(item_t *self)
{
    next_step(self, 0, 0);
}
