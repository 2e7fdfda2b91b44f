/* Files that stand under the name of one that is wanted, with its size: after a copy, a restore or a sync
 * program their times are others and their content is the same. They are hashed before anything is fetched.
 */
#include "transfer/same.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/pool.h"
#include "transfer/internal.h"

#define STEP_BYTES  (64u * 1024 * 1024) /* hashed in one step */
#define BLOCK_BYTES (1024u * 1024)      /* read at a time; a multiple of a leaf of the tree */

typedef struct same {
    hp_transfer_t *transfer;
    hp_pending_t *pending;
    char *base, *path, *root;
    hp_same_file_t file;
    int fd;
    int64_t mtime_ns; /* before the first byte was read */
    uint64_t at;      /* bytes that are hashed */
    hp_merkle_t tree;
    bool hashing; /* tree is there */
    bool ended, is_same;
    bool (*goes_on)(void *arg);
    hp_same_fn done;
    void *arg;
} same_t;

/* ---- pool ---- */

static int open_file(same_t *self, hp_err_t *err)
{
    uint64_t size;
    int rc = hp_part_look(self->base, self->path, &size, &self->mtime_ns, err);
    if (rc == 0 && size == (uint64_t)self->file.size) {
        self->fd = hp_part_open_final(self->base, self->path, err);
        rc = self->fd < 0 ? self->fd : 0;
    }
    self->ended = self->fd < 0;
    if (self->fd >= 0 && size > 0) {
        hp_merkle_init(&self->tree, size, hp_chunk_size_for(size));
        self->hashing = true;
    }
    return rc != 0 && hp_download_trouble_passes(rc) ? rc : 0;
}

static bool read_block(same_t *self, uint8_t *block, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = pread(self->fd, block + done, length - done, (off_t)(self->at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false; /* what cannot be read is not there */
        done += (size_t)n;
    }
    self->at += length;
    return hp_merkle_add(&self->tree, block, length) == 0;
}

/* After the last byte. */
static bool is_wanted(same_t *self)
{
    struct stat st;
    uint8_t root[HP_SHA256_SIZE];
    char hex[65] = "";
    if (fstat(self->fd, &st) != 0 || st.st_size != self->file.size ||
        (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec != self->mtime_ns)
        return false;
    if (self->hashing && hp_merkle_finish(&self->tree, root) == 0)
        hp_hex_encode(root, sizeof root, hex);
    return self->hashing ? self->root != NULL && strcmp(hex, self->root) == 0 : true;
}

static int work_step(void *arg, hp_err_t *err)
{
    same_t *self = arg;
    int rc = self->fd < 0 ? open_file(self, err) : 0;
    if (rc != 0 || self->ended)
        return rc;
    uint64_t size = (uint64_t)self->file.size, end = HP_MIN(self->at + STEP_BYTES, size);
    uint8_t *block = hp_alloc(BLOCK_BYTES);
    while (self->at < end && !self->ended)
        self->ended = !read_block(self, block, (size_t)HP_MIN(end - self->at, (uint64_t)BLOCK_BYTES));
    free(block);
    if (self->ended || self->at < size)
        return 0;
    self->ended = true;
    self->is_same = is_wanted(self);
    if (self->is_same && self->file.marks)
        hp_part_set_marks(self->fd, self->file.mtime_ms, self->file.executable);
    return 0;
}

/* ---- loop ---- */

static void on_step(void *arg, int status, const hp_err_t *err)
{
    same_t *self = arg;
    if (status == 0 && !self->ended && self->goes_on(self->arg)) {
        hp_pool_post(self->transfer->loop, self->pending, work_step, on_step, self);
        return;
    }
    if (status == 0 && !self->ended)
        status = UV_ECANCELED;
    if (self->fd >= 0)
        close(self->fd);
    self->done(self->arg, status, self->is_same, self->hashing ? self->tree.layer : NULL,
               self->hashing ? self->tree.count : 0, err);
    if (self->hashing)
        hp_merkle_dispose(&self->tree);
    free(self->base);
    free(self->path);
    free(self->root);
    hp_transfer_wake(self->transfer);
    free(self);
}

void hp_same_start(hp_transfer_t *transfer, hp_pending_t *pending, const hp_same_file_t *file,
                   bool (*goes_on)(void *arg), hp_same_fn done, void *arg)
{
    same_t *self = hp_alloc(sizeof *self);
    *self = (same_t){.transfer = transfer,
                     .pending = pending,
                     .base = hp_strdup(file->base),
                     .path = hp_strdup(file->path),
                     .root = file->root != NULL ? hp_strdup(file->root) : NULL,
                     .file = *file,
                     .fd = -1,
                     .goes_on = goes_on,
                     .done = done,
                     .arg = arg};
    self->file.base = self->file.path = self->file.root = NULL;
    hp_pool_post(transfer->loop, pending, work_step, on_step, self);
}

/* ---- a file of a download ---- */

typedef struct save_layer {
    item_t *item;
    int64_t file;
    uint64_t count;
    uint8_t *layer;
} save_layer_t;

static int work_layer(hp_db_t *db, void *arg, hp_err_t *err)
{
    const save_layer_t *job = arg;
    hp_chunk_row_t row = {.file = job->file};
    int rc = 0;
    for (uint64_t n = 0; rc == 0 && n < job->count; n++) {
        row.number = (int64_t)n;
        memcpy(row.digest, job->layer + n * HP_SHA256_SIZE, sizeof row.digest);
        rc = hp_db_chunk_add(db, &row, err);
    }
    return rc;
}

static void on_layer(void *arg, int status, const hp_err_t *err)
{
    save_layer_t *job = arg;
    item_t *item = job->item;
    hp_pending_drop(&item->pending);
    if (status != 0)
        hp_download_write_failed(item->download, status, err);
    hp_transfer_wake(item->download->transfer);
    free(job->layer);
    free(job);
}

/* What a later check of the file compares it with; the root says it of a single chunk. */
static void save_layer(item_t *item, const uint8_t *layer, uint64_t count)
{
    save_layer_t *job = hp_alloc(sizeof *job);
    *job = (save_layer_t){
        .item = item, .file = item->row.id, .count = count, .layer = hp_alloc_array(count, HP_SHA256_SIZE)};
    memcpy(job->layer, layer, count * HP_SHA256_SIZE);
    hp_pending_add(&item->pending);
    hp_store_post(item->download->transfer->store, HP_STORE_WRITE, work_layer, on_layer, job);
}

static bool item_goes_on(void *arg)
{
    const item_t *item = arg;
    return item->phase == ITEM_OPENING;
}

static void on_item_looked(void *arg, int status, bool same, const uint8_t *layer, uint64_t count,
                           const hp_err_t *err)
{
    item_t *item = arg;
    if (item->phase != ITEM_OPENING)
        return;
    if (status != 0) {
        hp_item_step_failed(item, status, err);
        return;
    }
    item->row.replaces_ns = 0;
    if (!same) {
        hp_item_set_phase(item, ITEM_FETCHING);
        return;
    }
    uint64_t size = (uint64_t)item->row.size;
    hp_log(HP_LOG_INFO, "download %lld: %s is here already", (long long)item->row.download, item->row.path);
    hp_item_know_size(item, size, hp_chunk_size_for(size));
    for (uint64_t n = 0; n < count; n++)
        hp_bitmap_set(&item->done, (uint32_t)n);
    if (count > 0)
        memcpy(item->digests, layer, count * HP_SHA256_SIZE);
    item->done_bytes = size;
    item->row.verified = true;
    hp_item_set_phase(item, ITEM_FINISHING);
    if (count > 1)
        save_layer(item, layer, count);
    hp_item_commit_done(item, hp_path_name(item->row.path));
}

void hp_item_look(item_t *self)
{
    const hp_same_file_t file = {.base = self->download->row.base,
                                 .path = self->row.path,
                                 .root = self->row.root,
                                 .size = self->row.size,
                                 .marks = true,
                                 .mtime_ms = self->row.mtime_ms,
                                 .executable = hp_transfer_lets_run(self->download->transfer, &self->row)};
    hp_same_start(self->download->transfer, &self->pending, &file, item_goes_on, on_item_looked, self);
}
