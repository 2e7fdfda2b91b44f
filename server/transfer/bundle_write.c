/* What has arrived of bundles: read, checked, written and put on record, all that waits at a time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive/reader.h"
#include "transfer/bundle.h"

#define BATCH_FILES 512u /* of one pool job, which holds a descriptor for each */
#define BATCHES_MAX 2u   /* one computes while the other waits for the disk */

typedef struct bundle_batch {
    uv_work_t work;
    hp_transfer_t *transfer;
    bundle_t *bundles;
    size_t count; /* of files in all */
    hp_part_small_t *parts;
} bundle_batch_t;

static item_t *ask_alone(bundle_t *self, bundle_file_t *file)
{
    return hp_download_take_up(self->download, &file->row);
}

/* Asked elsewhere if there is somebody, else once more: the file may have been rewritten while it was sent.
 */
static void sent_wrong(bundle_t *self, bundle_file_t *file)
{
    source_host_t *host = self->host;
    hp_log(HP_LOG_WARN, "download %lld: %s sent bytes with a wrong hash in a bundle: %s",
           (long long)self->download->row.id, host->id, file->row.path);
    snprintf(host->error, sizeof host->error, "It sent bytes with a wrong hash");
    item_t *item = ask_alone(self, file);
    source_t *source = hp_source_get(item, host->id, item->row.source_path);
    source->digest_errors++;
    source->retry_at = hp_clock_ms() + BACKOFF_FIRST_MS;
}

/* ---- on record ---- */

/* The row as it is when the file is done. Its texts are the file's. */
static hp_download_file_row_t done_row(const bundle_file_t *file)
{
    hp_download_file_row_t row = file->row;
    row.state = (char *)"done";
    row.error = (char *)"";
    row.chunk_size = HP_CHUNK_SIZE_MIN;
    row.verified = file->root == NULL;
    if (file->root != NULL)
        row.root = file->root;
    if (file->path != NULL)
        row.path = file->path;
    return row;
}

/* Whether nothing but its state is to be written. */
static bool is_plain(const bundle_file_t *file)
{
    return file->done && file->path == NULL && file->root == NULL;
}

/* Rows of a folder were made in its order, and come so: most of a bundle is one run of ids. */
static int work_commit(hp_db_t *db, void *arg, hp_err_t *err)
{
    bundle_t *self = arg;
    int rc = 0;
    for (size_t i = 0, next; i < self->count && rc == 0; i = next) {
        const bundle_file_t *file = &self->files[i];
        next = i + 1;
        if (!file->done)
            continue;
        if (!is_plain(file)) {
            hp_download_file_row_t row = done_row(file);
            rc = hp_db_download_file_update(db, &row, err);
            continue;
        }
        while (next < self->count && is_plain(&self->files[next]) &&
               self->files[next].row.id == self->files[next - 1].row.id + 1)
            next++;
        rc = hp_db_download_files_done(db, file->row.download, file->row.id, self->files[next - 1].row.id,
                                       HP_CHUNK_SIZE_MIN, err);
    }
    return rc;
}

static void on_commit(void *arg, int status, const hp_err_t *err)
{
    bundle_t *self = arg;
    download_t *download = self->download;
    if (status != 0)
        hp_download_write_failed(download, status, err);
    for (size_t i = 0; i < self->count && status == 0; i++) {
        if (!self->files[i].done)
            continue;
        hp_download_file_row_t row = done_row(&self->files[i]);
        hp_download_row_changed(download, &self->files[i].row, &row);
        self->host->bytes += (uint64_t)row.size;
    }
    if (status == 0)
        hp_retry_reset(&download->disk);
    hp_download_changed(download);
    hp_bundle_destroy(self);
}

/* ---- in the pool: read, checked, written ---- */

/* Against the root in its row; where there is none, what it is is kept. An empty file has none. */
static int check(bundle_file_t *file, const void *bytes, uint64_t size)
{
    uint8_t expected[HP_SHA256_SIZE], digest[HP_SHA256_SIZE];
    if (size == 0)
        return 0;
    hp_merkle_chunk_digest(bytes, size, HP_CHUNK_SIZE_MIN, size, digest);
    if (file->row.root == NULL) {
        file->root = hp_alloc(2 * sizeof digest + 1);
        hp_hex_encode(digest, sizeof digest, file->root);
        return 0;
    }
    bool right = hp_hex_decode(file->row.root, expected, sizeof expected) == 0 &&
                 memcmp(expected, digest, sizeof digest) == 0;
    return right ? 0 : HP_E_WRONG_DIGEST;
}

/* One file of the tar. *at: the first of the bundle's files that may still come, in the order asked for. */
static int take_file(bundle_t *self, hp_part_small_t *parts, hp_archive_reader_t *reader,
                     const hp_archive_file_t *found, size_t *at)
{
    size_t i = *at;
    while (i < self->count && strcmp(self->files[i].row.source_path, found->name) != 0)
        i++;
    if (i == self->count) {
        char name[160];
        hp_utf8_printable(found->name, strlen(found->name), name, sizeof name);
        return hp_err_set(&self->err, HP_E_PROTOCOL, "a file is in it that was not asked for: %s", name);
    }
    *at = i + 1;
    if (found->size != (uint64_t)self->files[i].row.size) {
        parts[i].status = HP_E_OTHER_VERSION; /* it has changed: what follows is asked for again */
        self->cut = true;
        return HP_E_OTHER_VERSION;
    }
    const void *bytes = "";
    int rc = found->size > 0 ? hp_archive_reader_bytes(reader, found, &bytes, &self->err) : 0;
    if (rc != 0) {
        *at = i;
        return rc;
    }
    parts[i].data = bytes;
    parts[i].length = (size_t)found->size;
    parts[i].status = check(&self->files[i], bytes, found->size);
    return 0;
}

/* Leaves a status with each file: 0 it is here and right; NOT_FOUND left out; ECONNRESET it did not come that
 * far; PROTOCOL what comes is no bundle; or what is wrong with the file. */
static void read_bundle(bundle_t *self, hp_part_small_t *parts)
{
    hp_archive_reader_t *reader = NULL;
    hp_archive_file_t found;
    size_t at = 0;
    for (size_t i = 0; i < self->count; i++)
        parts[i] = (hp_part_small_t){.base = self->base,
                                     .path = self->files[i].row.path,
                                     .mtime_ms = self->files[i].row.mtime_ms,
                                     .executable = self->files[i].executable,
                                     .status = HP_E_NOT_FOUND};
    int rc = 0;
    if (self->buffer != NULL && self->buffer->length > 0)
        rc = hp_archive_reader_create(&reader, self->buffer->data, self->buffer->length, &self->err);
    while (rc == 0 && reader != NULL && (rc = hp_archive_reader_next(reader, &found, &self->err)) > 0)
        rc = take_file(self, parts, reader, &found, &at);
    hp_archive_reader_destroy(reader);
    if (self->cut)
        self->err = (hp_err_t){0}; /* the end is missing: that it makes no sense says nothing */
    for (size_t i = at; i < self->count && (rc != 0 || self->cut); i++)
        parts[i].status = self->cut ? UV_ECONNRESET : HP_E_PROTOCOL;
}

static void on_work(uv_work_t *work)
{
    bundle_batch_t *self = HP_CONTAINER(work, bundle_batch_t, work);
    size_t at = 0;
    for (bundle_t *bundle = self->bundles; bundle != NULL; bundle = bundle->next_arrived) {
        read_bundle(bundle, self->parts + at);
        at += bundle->count;
    }
    hp_part_write_small(self->parts, self->count);
}

/* ---- what became of it ---- */

static void set_done(bundle_file_t *file, const hp_part_small_t *part)
{
    const char *old = hp_path_name(file->row.path);
    file->done = true;
    if (strcmp(old, part->name) != 0)
        file->path = hp_sprintf("%.*s%s", (int)(old - file->row.path), file->row.path, part->name);
}

static void take_result(bundle_t *self, bundle_file_t *file, const hp_part_small_t *part)
{
    download_t *download = self->download;
    if (part->status == 0) {
        set_done(file, part);
        return;
    }
    if (!hp_download_is_running(download) || download->removing || download->transfer->stopping)
        return; /* its row is as it was */
    if (part->status == UV_ECONNRESET) {
        hp_bundle_ask_again(self, file);
    } else if (part->status == HP_E_WRONG_DIGEST) {
        sent_wrong(self, file);
    } else if (hp_download_trouble_passes(part->status)) {
        hp_download_disk_failed(download, part->status, &part->err);
    } else {
        download->line.unfit |= part->status == -EOPNOTSUPP;
        ask_alone(self, file);
    }
}

static void take_results(bundle_t *self, const hp_part_small_t *parts)
{
    download_t *download = self->download;
    bool any = false;
    if (self->err.code != 0)
        hp_bundle_spoil(self);
    for (size_t i = 0; i < self->count; i++) {
        take_result(self, &self->files[i], &parts[i]);
        any |= self->files[i].done;
    }
    if (!any) {
        hp_bundle_destroy(self);
        return;
    }
    self->host->retry.failures = 0;
    hp_store_post(download->transfer->store, HP_STORE_WRITE, work_commit, on_commit, self);
}

static void start_batches(hp_transfer_t *transfer);

static void on_after(uv_work_t *work, int status)
{
    bundle_batch_t *self = HP_CONTAINER(work, bundle_batch_t, work);
    hp_transfer_t *transfer = self->transfer;
    size_t at = 0;
    (void)status; /* never cancelled */
    for (bundle_t *bundle = self->bundles, *next; bundle != NULL; bundle = next) {
        size_t count = bundle->count;
        next = bundle->next_arrived;
        hp_writer_job_ends(transfer->writer, bundle->buffer);
        bundle->buffer = NULL;
        take_results(bundle, self->parts + at);
        at += count;
    }
    free(self->parts);
    free(self);
    transfer->writing_bundles--;
    start_batches(transfer);
    hp_transfer_wake(transfer);
}

static void start_batches(hp_transfer_t *transfer)
{
    while (transfer->arrived != NULL && transfer->writing_bundles < BATCHES_MAX) {
        bundle_batch_t *batch = hp_alloc(sizeof *batch);
        *batch = (bundle_batch_t){.transfer = transfer};
        bundle_t **end = &batch->bundles;
        while (transfer->arrived != NULL &&
               (batch->count == 0 || batch->count + transfer->arrived->count <= BATCH_FILES)) {
            bundle_t *bundle = transfer->arrived;
            transfer->arrived = bundle->next_arrived;
            bundle->next_arrived = NULL;
            batch->count += bundle->count;
            *end = bundle;
            end = &bundle->next_arrived;
            hp_writer_job_begins(transfer->writer);
        }
        batch->parts = hp_alloc_array(batch->count, sizeof *batch->parts);
        transfer->writing_bundles++;
        uv_queue_work(transfer->loop, &batch->work, on_work, on_after);
    }
}

void hp_bundle_arrive(bundle_t *self)
{
    hp_transfer_t *transfer = self->download->transfer;
    bundle_t **end = &transfer->arrived;
    while (*end != NULL)
        end = &(*end)->next_arrived;
    *end = self;
    start_batches(transfer);
}
