/* Files of one chunk: no part file, no chunk rows. A file that has arrived waits in a line; a pool job takes
 * all that wait there, checks and writes them together, and each is committed as done. While the jobs run the
 * line fills again, so that the batches grow with the load: one file alone waits for nobody, and of ten
 * thousand many share one commit of the file system. */
#include "transfer/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/landing.h"

#define BATCH_MAX   128 /* files */
#define BATCHES_MAX 2   /* one computes while the other waits for the disk */

struct hp_small_file {
    hp_small_file_t *next;
    item_t *item;
    source_t *source;
    hp_chunk_buffer_t *buffer; /* NULL: an empty file */
    char *base, *path;
    bool renamed; /* path is not the item's, which the disk does not take */
    uint64_t chunk_size, size;
    int64_t mtime_ms, replaces_ns; /* of the item's row */
    bool executable;
    bool has_expected;
    uint8_t expected[HP_SHA256_SIZE], digest[HP_SHA256_SIZE];
};

typedef struct batch {
    uv_work_t work;
    hp_transfer_t *transfer;
    size_t count;
    hp_small_file_t *files[BATCH_MAX];
    hp_part_small_t parts[BATCH_MAX];
} batch_t;

/* ---- pool ---- */

static int check_digest(hp_small_file_t *file)
{
    if (file->buffer == NULL)
        return 0;
    hp_merkle_chunk_digest(file->buffer->data, file->buffer->length, file->chunk_size, file->size,
                           file->digest);
    bool wrong = file->has_expected && memcmp(file->expected, file->digest, HP_SHA256_SIZE) != 0;
    return wrong ? HP_E_WRONG_DIGEST : 0;
}

static void find_landing(hp_small_file_t *file)
{
    char landing[HP_PATH_MAX + 1];
    file->renamed = hp_landing_path(file->base, file->path, landing);
    if (!file->renamed)
        return;
    free(file->path);
    file->path = hp_strdup(landing);
}

/* The file system has no unnamed files, or the file takes the place of another: the long way, in one go. */
static int write_by_part(const hp_small_file_t *file, hp_part_small_t *part)
{
    char name[HP_NAME_MAX + 1];
    hp_part_identity_t identity;
    int fd = hp_part_create(part->base, part->path, file->item->row.download, name, &identity, &part->err);
    if (fd < 0)
        return fd;
    int rc = hp_write_all_at(fd, part->data, part->length, 0);
    if (rc == -ENOSPC || rc == -EDQUOT)
        rc = HP_E_NO_SPACE;
    if (rc != 0)
        hp_err_set(&part->err, rc, "writing %s: %s", part->path, hp_err_sentence(rc));
    hp_part_set_marks(fd, part->mtime_ms, part->executable);
    if (rc == 0)
        rc = hp_part_replace(fd, part->base, part->path, name, part->length, file->replaces_ns, part->name,
                             &part->err);
    close(fd);
    if (rc != 0)
        hp_part_remove(part->base, part->path, name, &identity, NULL); /* made a moment ago, on no record */
    return rc;
}

static void on_work(uv_work_t *work)
{
    batch_t *self = HP_CONTAINER(work, batch_t, work);
    for (size_t i = 0; i < self->count; i++) {
        hp_small_file_t *file = self->files[i];
        find_landing(file);
        self->parts[i] = (hp_part_small_t){
            .base = file->base,
            .path = file->path,
            .data = file->buffer != NULL ? (const void *)file->buffer->data : "",
            .length = file->buffer != NULL ? file->buffer->length : 0,
            .mtime_ms = file->mtime_ms,
            .executable = file->executable,
            .status = check_digest(file),
        };
        if (self->parts[i].status == 0 && file->replaces_ns != 0)
            self->parts[i].status = -EOPNOTSUPP; /* a link takes nobody's place */
    }
    hp_part_write_small(self->parts, self->count);
    for (size_t i = 0; i < self->count; i++) {
        hp_small_file_t *file = self->files[i];
        hp_part_small_t *part = &self->parts[i];
        if (part->status == -EOPNOTSUPP)
            part->status = write_by_part(file, part);
        if (part->status == 0)
            hp_left_remove(file->item->left, file->base, file->path, file->item->row.download);
    }
}

/* ---- loop ---- */

static void start_batches(hp_transfer_t *transfer);

static void take_result(hp_small_file_t *file, const hp_part_small_t *part)
{
    item_t *item = file->item;
    if (item->chunks > 0) {
        hp_bitmap_clear(&item->writing, 0);
        hp_bitmap_clear(&item->taken, 0);
    }
    if (part->status != 0) {
        if (item->phase != ITEM_FINISHING)
            return; /* it was stopped meanwhile */
        hp_item_set_phase(item, ITEM_FETCHING);
        if (part->status == HP_E_WRONG_DIGEST)
            hp_source_sent_wrong(file->source, 0);
        else
            hp_item_step_failed(item, part->status, &part->err);
        return;
    }
    if (file->renamed)
        hp_download_renamed(item->download, item, file->path);
    item->row.verified = item->size == 0 || file->has_expected;
    if (item->size > 0) {
        char root[65];
        hp_hex_encode(file->digest, sizeof file->digest, root);
        free(item->row.root);
        item->row.root = hp_strdup(root);
        memcpy(item->digests, file->digest, HP_SHA256_SIZE);
        item->chunk_sources[0] = file->source != NULL ? file->source->id : 0;
        hp_bitmap_set(&item->done, 0);
        item->done_bytes = item->size;
        hp_source_delivered(file->source);
    }
    hp_item_commit_done(item, part->name);
}

static void on_after(uv_work_t *work, int status)
{
    batch_t *self = HP_CONTAINER(work, batch_t, work);
    hp_transfer_t *transfer = self->transfer;
    (void)status; /* never cancelled */
    for (size_t i = 0; i < self->count; i++) {
        hp_small_file_t *file = self->files[i];
        item_t *item = file->item;
        hp_pending_drop(&item->pending);
        hp_writer_job_ends(transfer->writer, file->buffer);
        take_result(file, &self->parts[i]);
        free(file->base);
        free(file->path);
        free(file);
    }
    free(self);
    transfer->small.batches--;
    start_batches(transfer);
    hp_transfer_wake(transfer);
}

static void start_batches(hp_transfer_t *transfer)
{
    hp_small_line_t *line = &transfer->small;
    while (line->first != NULL && line->batches < BATCHES_MAX) {
        batch_t *batch = hp_alloc(sizeof *batch);
        batch->transfer = transfer;
        while (line->first != NULL && batch->count < BATCH_MAX) {
            batch->files[batch->count++] = line->first;
            line->first = line->first->next;
        }
        if (line->first == NULL)
            line->last = NULL;
        line->batches++;
        uv_queue_work(transfer->loop, &batch->work, on_work, on_after);
    }
}

void hp_item_finish_small(item_t *self, hp_chunk_buffer_t *buffer, source_t *source)
{
    hp_transfer_t *transfer = self->download->transfer;
    hp_item_set_phase(self, ITEM_FINISHING);
    if (self->row.part != NULL) {
        /* Made while nobody knew how long the file is. */
        hp_left_add(&self->left, self->row.part, self->row.device, self->row.inode);
        free(self->row.part);
        self->row.part = NULL;
    }
    hp_small_file_t *file = hp_alloc(sizeof *file);
    *file = (hp_small_file_t){
        .item = self,
        .source = source,
        .buffer = buffer,
        .base = hp_strdup(self->download->row.base),
        .path = hp_strdup(self->row.path),
        .chunk_size = self->chunk_size,
        .size = self->size,
        .mtime_ms = self->row.mtime_ms,
        .executable = hp_transfer_lets_run(transfer, &self->row),
        .replaces_ns = self->row.replaces_ns,
    };
    file->has_expected = buffer != NULL && self->row.root != NULL &&
                         hp_hex_decode(self->row.root, file->expected, sizeof file->expected) == 0;
    hp_pending_add(&self->pending);
    hp_writer_job_begins(transfer->writer);
    hp_small_line_t *line = &transfer->small;
    if (line->last != NULL)
        line->last->next = file;
    else
        line->first = file;
    line->last = file;
    start_batches(transfer);
}
