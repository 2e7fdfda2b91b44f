/* One file of a download, from its rows in the store to the name it gets in the end.
 *
 *   LOADING -> OPENING -> (CHECKING) -> FETCHING -> FINISHING -> DONE      a part file is on record
 *   LOADING -> FETCHING (first look) -> MAKING -> FETCHING -> ...         a new file
 *   LOADING -> FETCHING -> FINISHING -> DONE                              a file of one chunk: no part file
 * at all
 *
 * What a crash leaves: a file row without a part (begin anew), a part on record with the chunk rows that were
 * committed (go on), state "finishing" (finish again, or adopt the final file). See part.h for the disk's
 * side.
 *
 * start_over: another version was met at the only source. The part file stays where it is, its chunk rows
 * go, and the file begins again in a new part file. */
#include "transfer/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void hp_item_set_phase(item_t *self, item_phase_t phase)
{
    static const char *const names[] = {
#define X(name) #name,
        ITEM_PHASES(X)
#undef X
    };
    if (self->phase == phase)
        return;
    hp_log(HP_LOG_DEBUG, "download %lld: %s: %s -> %s", (long long)self->row.download, self->row.path,
           names[self->phase], names[phase]);
    self->phase = phase;
    hp_download_changed(self->download);
}

item_t *hp_item_create(download_t *download, hp_download_file_row_t *row)
{
    item_t *self = hp_alloc(sizeof *self);
    self->download = download;
    self->row = *row;
    *row = (hp_download_file_row_t){0};
    self->fd = -1;
    hp_file_writes_init(&self->writes);
    self->phase = ITEM_LOADING;
    return self;
}

void hp_left_add(left_part_t **list, const char *name, uint64_t device, uint64_t inode)
{
    left_part_t *left = hp_alloc(sizeof *left);
    *left =
        (left_part_t){.next = *list, .name = hp_strdup(name), .identity = {.device = device, .inode = inode}};
    *list = left;
}

void hp_left_free(left_part_t **list)
{
    while (*list != NULL) {
        left_part_t *left = *list;
        *list = left->next;
        free(left->name);
        free(left);
    }
}

void hp_item_close(item_t *self)
{
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
    hp_file_writes_reset(&self->writes);
}

void hp_item_free(item_t *self)
{
    hp_left_free(&self->left);
    hp_item_close(self);
    hp_file_writes_dispose(&self->writes);
    while (self->sources != NULL) {
        source_t *source = self->sources;
        self->sources = source->next;
        hp_source_free(source);
    }
    hp_bitmap_dispose(&self->done);
    hp_bitmap_dispose(&self->taken);
    hp_bitmap_dispose(&self->writing);
    free(self->digests);
    free(self->chunk_sources);
    free(self->manifest);
    free(self->restart_why);
    hp_download_file_row_dispose(&self->row);
    free(self);
}

uint64_t hp_item_chunk_bytes(const item_t *self, uint64_t chunk)
{
    if (self->endless)
        return self->chunk_size;
    return HP_MIN(self->chunk_size, self->size - chunk * self->chunk_size);
}

/* ---- the map ---- */

static void make_map(item_t *self, uint64_t size, uint64_t chunk_size, uint64_t chunks)
{
    hp_bitmap_dispose(&self->done);
    hp_bitmap_dispose(&self->taken);
    hp_bitmap_dispose(&self->writing);
    free(self->digests);
    free(self->chunk_sources);
    self->size = size;
    self->chunk_size = chunk_size;
    self->chunks = chunks;
    self->done_bytes = 0;
    hp_bitmap_init(&self->done, (uint32_t)chunks);
    hp_bitmap_init(&self->taken, (uint32_t)chunks);
    hp_bitmap_init(&self->writing, (uint32_t)chunks);
    self->digests = hp_alloc_array(chunks, HP_SHA256_SIZE);
    self->chunk_sources = hp_alloc_array(chunks, sizeof *self->chunk_sources);
}

static bool is_small(const item_t *self)
{
    return self->size_known && self->size <= self->chunk_size;
}

static void know_size(item_t *self, uint64_t size, uint64_t chunk_size)
{
    make_map(self, size, chunk_size, (size + chunk_size - 1) / chunk_size);
    self->size_known = true;
    self->endless = false;
    self->row.size = (int64_t)size;
    self->row.chunk_size = (int64_t)chunk_size;
    self->manifest_wanted = self->row.root != NULL && size > chunk_size;
}

void hp_item_set_size(item_t *self, uint64_t size)
{
    if (size > INT64_MAX / 2) {
        hp_item_fail(self, HP_E_TOO_LARGE, "The source says that the file is longer than any file can be");
        return;
    }
    know_size(self, size, hp_chunk_size_for(size));
    if (is_small(self)) {
        self->ready = true; /* written in one step at the end */
        return;
    }
    hp_item_set_phase(self, ITEM_MAKING);
    hp_item_make(self);
}

void hp_item_set_endless(item_t *self)
{
    make_map(self, 0, UNKNOWN_CHUNK, HP_CHUNKS_MAX);
    self->endless = true;
    self->size_known = false;
    self->row.size = HP_DB_SIZE_UNKNOWN;
    self->row.chunk_size = UNKNOWN_CHUNK;
    hp_item_set_phase(self, ITEM_MAKING);
    hp_item_make(self);
}

void hp_item_end_seen(item_t *self, lease_t *lease)
{
    uint64_t size = lease->offset, chunks = (size + self->chunk_size - 1) / self->chunk_size;
    self->endless = false;
    self->size_known = true;
    self->size = size;
    self->row.size = (int64_t)size;
    self->chunks = chunks;
    /* The map was made for the largest file: the bits past the end are neither done nor ever looked at again.
     */
    hp_bitmap_t *maps[] = {&self->done, &self->taken, &self->writing};
    for (size_t i = 0; i < HP_COUNT(maps); i++) {
        hp_bitmap_t cut;
        hp_bitmap_init(&cut, (uint32_t)chunks);
        for (uint32_t n = hp_bitmap_next_set(maps[i], 0); n < chunks; n = hp_bitmap_next_set(maps[i], n + 1))
            hp_bitmap_set(&cut, n);
        hp_bitmap_dispose(maps[i]);
        *maps[i] = cut;
    }
    hp_item_save(self, HP_STORE_WRITE_LAZY);
    if (lease->buffer != NULL && lease->buffer->length > 0) {
        hp_item_chunk_ready(self, lease);
        lease->at++;
    }
}

/* ---- rows ---- */

typedef struct save_item {
    item_t *item;
    char *left; /* a part file that is left behind; NULL */
    hp_part_identity_t left_identity;
    hp_download_file_row_t row;
} save_item_t;

static int work_save(hp_db_t *db, void *arg, hp_err_t *err)
{
    return hp_db_download_file_update(db, &((save_item_t *)arg)->row, err);
}

bool hp_item_other_boot(const hp_transfer_t *transfer, const hp_download_file_row_t *row)
{
    return row->boot_id == NULL || strcmp(row->boot_id, transfer->boot_id) != 0;
}

hp_part_identity_t hp_item_identity(const hp_transfer_t *transfer, const hp_download_file_row_t *row)
{
    return (hp_part_identity_t){.device = hp_item_other_boot(transfer, row) ? 0 : row->device,
                                .inode = row->inode};
}

void hp_item_copy_row(const item_t *self, hp_download_file_row_t *to)
{
    const hp_download_file_row_t *from = &self->row;
    *to = *from;
    to->path = hp_strdup(from->path);
    to->source_path = hp_strdup(from->source_path);
    to->state = hp_strdup(from->state);
    to->error = hp_strdup(from->error);
    to->root = from->root != NULL ? hp_strdup(from->root) : NULL;
    to->part = from->part != NULL ? hp_strdup(from->part) : NULL;
    to->boot_id = from->boot_id != NULL ? hp_strdup(from->boot_id) : NULL;
}

static void on_saved(void *arg, int status, const hp_err_t *err)
{
    save_item_t *job = arg;
    item_t *item = job->item;
    if (status != 0)
        hp_download_disk_failed(item->download, status, err);
    hp_download_file_row_dispose(&job->row);
    free(job->left);
    free(job);
    item->busy--;
    hp_transfer_wake(item->download->transfer);
}

void hp_item_save(item_t *self, hp_store_kind_t kind)
{
    save_item_t *job = hp_alloc(sizeof *job);
    job->item = self;
    hp_item_copy_row(self, &job->row);
    self->busy++;
    hp_store_post(self->download->transfer->store, kind, work_save, on_saved, job);
}

static int work_clear(hp_db_t *db, void *arg, hp_err_t *err)
{
    save_item_t *job = arg;
    int rc = hp_db_chunk_clear(db, job->row.id, err);
    if (rc == 0 && job->left != NULL)
        rc = hp_db_download_left_add(db, job->row.id, job->left, job->left_identity.device,
                                     job->left_identity.inode, err);
    if (rc == 0)
        rc = hp_db_download_source_clear(db, job->row.id, err);
    return rc == 0 ? hp_db_download_file_update(db, &job->row, err) : rc;
}

static void clear_chunks(item_t *self, const left_part_t *left)
{
    if (self->chunks > 0)
        make_map(self, self->size, self->chunk_size, self->chunks);
    for (source_t *s = self->sources; s != NULL; s = s->next) {
        free(s->etag);
        s->etag = NULL;
    }
    save_item_t *job = hp_alloc(sizeof *job);
    job->item = self;
    hp_item_copy_row(self, &job->row);
    if (left != NULL) {
        job->left = hp_strdup(left->name);
        job->left_identity = left->identity;
    }
    self->busy++;
    hp_store_post(self->download->transfer->store, HP_STORE_WRITE, work_clear, on_saved, job);
}

void hp_item_clear_chunks(item_t *self)
{
    clear_chunks(self, NULL);
}

/* ---- start ---- */

typedef struct load_item {
    item_t *item;
    int64_t file;
    hp_download_source_row_t *sources;
    size_t source_count;
    left_part_t *left;
    hp_chunk_row_t *chunks;
    size_t chunk_count, chunk_room;
} load_item_t;

static void add_source_row(void *arg, const hp_download_source_row_t *row)
{
    load_item_t *job = arg;
    job->sources = hp_realloc(job->sources, (job->source_count + 1) * sizeof *job->sources);
    job->sources[job->source_count++] = (hp_download_source_row_t){
        .id = row->id,
        .host = hp_strdup(row->host),
        .path = hp_strdup(row->path),
        .etag = row->etag != NULL ? hp_strdup(row->etag) : NULL,
        .set_aside = row->set_aside != NULL ? hp_strdup(row->set_aside) : NULL,
    };
}

static void add_chunk_row(void *arg, const hp_chunk_row_t *row)
{
    load_item_t *job = arg;
    if (job->chunk_count == job->chunk_room) {
        job->chunk_room = HP_MAX(job->chunk_room * 2, (size_t)64);
        job->chunks = hp_realloc(job->chunks, job->chunk_room * sizeof *job->chunks);
    }
    job->chunks[job->chunk_count++] = *row;
}

static void add_left_row(void *arg, const char *part, uint64_t device, uint64_t inode)
{
    (void)device; /* of a boot that nobody noted */
    hp_left_add(&((load_item_t *)arg)->left, part, 0, inode);
}

static int work_load(hp_db_t *db, void *arg, hp_err_t *err)
{
    load_item_t *job = arg;
    int rc = hp_db_download_source_each(db, job->file, add_source_row, job, err);
    if (rc == 0)
        rc = hp_db_download_left_each(db, job->file, add_left_row, job, err);
    return rc == 0 ? hp_db_chunk_each(db, job->file, add_chunk_row, job, err) : rc;
}

static void take_sources(item_t *self, const load_item_t *job)
{
    bool web = self->download->row.order_url != NULL;
    for (size_t i = 0; i < job->source_count; i++) {
        const hp_download_source_row_t *row = &job->sources[i];
        source_t *source = hp_source_get(self, row->host, row->path, web);
        source->id = source->stored_id = row->id;
        if (source->etag == NULL && row->etag != NULL)
            source->etag = hp_strdup(row->etag);
        if (source->set_aside == NULL && row->set_aside != NULL) {
            source->set_aside = hp_strdup(row->set_aside);
            source->code = HP_E_STATUS;
        }
    }
}

static void take_chunks(item_t *self, const load_item_t *job)
{
    for (size_t i = 0; i < job->chunk_count; i++) {
        const hp_chunk_row_t *row = &job->chunks[i];
        if (row->number < 0 || (uint64_t)row->number >= self->chunks)
            continue;
        uint32_t n = (uint32_t)row->number;
        hp_bitmap_set(&self->done, n);
        memcpy(self->digests + (size_t)n * HP_SHA256_SIZE, row->digest, HP_SHA256_SIZE);
        self->chunk_sources[n] = row->source;
        self->done_bytes += hp_item_chunk_bytes(self, n);
    }
}

/* Files of one chunk have no chunk rows: their root is its digest. */
static void take_small(item_t *self)
{
    if (self->chunks == 1 && self->done.count == 0 && self->row.root != NULL &&
        hp_hex_decode(self->row.root, self->digests, HP_SHA256_SIZE) == 0) {
        hp_bitmap_set(&self->done, 0);
        self->done_bytes = self->size;
    }
}

static void on_loaded(void *arg, int status, const hp_err_t *err)
{
    load_item_t *job = arg;
    item_t *self = job->item;
    self->busy--;
    if (status != 0) {
        hp_item_fail(self, status, hp_err_text(err));
    } else if (self->phase == ITEM_LOADING) {
        take_sources(self, job);
        self->left = job->left;
        job->left = NULL;
        hp_item_find_sources(self);
        bool recorded = self->row.part != NULL && self->row.size >= 0 && self->row.chunk_size > 0;
        if (recorded || strcmp(self->row.state, "done") == 0) {
            if (self->row.chunk_size > 0)
                know_size(self, (uint64_t)self->row.size, (uint64_t)self->row.chunk_size);
            else
                know_size(self, (uint64_t)HP_MAX(self->row.size, (int64_t)0), HP_CHUNK_SIZE_MIN);
            take_chunks(self, job);
            if (strcmp(self->row.state, "done") == 0)
                take_small(self);
            hp_item_set_phase(self, ITEM_OPENING);
            hp_item_open(self);
        } else {
            hp_item_set_phase(self, ITEM_FETCHING);
            if (self->row.part != NULL || job->chunk_count > 0) {
                /* The end of an endless body was never seen: nothing of it can be trusted to belong together.
                 */
                free(self->row.part);
                self->row.part = NULL;
                hp_item_clear_chunks(self);
            }
        }
    }
    for (size_t i = 0; i < job->source_count; i++)
        hp_download_source_row_dispose(&job->sources[i]);
    hp_left_free(&job->left);
    free(job->sources);
    free(job->chunks);
    free(job);
    hp_transfer_wake(self->download->transfer);
}

void hp_item_start(item_t *self)
{
    load_item_t *job = hp_alloc(sizeof *job);
    *job = (load_item_t){.item = self, .file = self->row.id};
    self->busy++;
    hp_store_post(self->download->transfer->store, HP_STORE_READ, work_load, on_loaded, job);
}

/* ---- chunks ---- */

typedef struct item_chunk {
    hp_chunk_job_t job;
    item_t *item;
    source_t *source;
    uint32_t chunk;
    unsigned doubts; /* of the source when the chunk came */
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
        hp_download_disk_failed(item->download, status, err);
    } else {
        item->download->disk_failures = 0;
    }
    item->unsaved--;
    item->busy--;
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
    save_chunk_t *save = hp_alloc(sizeof *save);
    *save = (save_chunk_t){
        .item = self,
        .source = chunk->source,
        .row = {.file = self->row.id, .number = n, .source = chunk->source->id, .at = hp_clock_wall_ms()}};
    memcpy(save->row.digest, chunk->job.digest, HP_SHA256_SIZE);
    self->busy++;
    self->unsaved++;
    hp_store_post(self->download->transfer->store, HP_STORE_WRITE_LAZY, work_chunk, on_chunk_saved, save);
}

static void on_chunk(hp_chunk_job_t *job)
{
    item_chunk_t *chunk = HP_CONTAINER(job, item_chunk_t, job);
    item_t *self = chunk->item;
    self->busy--;
    if (chunk->chunk < self->writing.size) {
        hp_bitmap_clear(&self->writing, chunk->chunk);
        hp_bitmap_clear(&self->taken, chunk->chunk);
    }
    if (self->restart_why != NULL) {
        /* Of a version that nobody wants any more. */
    } else if (job->status == 0) {
        record(self, chunk);
    } else if (job->status == HP_E_WRONG_DIGEST) {
        if (chunk->doubts == chunk->source->doubts)
            hp_source_sent_wrong(chunk->source, chunk->chunk);
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
    if (hp_bitmap_get(&self->done, n) || hp_bitmap_get(&self->writing, n) || self->restart_why != NULL) {
        hp_writer_give_back(self->download->transfer->writer, buffer); /* the other lease was first */
        return;
    }
    hp_bitmap_set(&self->writing, n);
    hp_bitmap_set(&self->taken, n);
    if (is_small(self)) {
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
        .doubts = lease->source->doubts,
    };
    self->busy++;
    hp_writer_put(self->download->transfer->writer, &chunk->job);
}

void hp_item_check_complete(item_t *self)
{
    if (self->phase != ITEM_FETCHING || !self->size_known || !self->ready || self->restart_why != NULL ||
        self->done.count < self->chunks || self->writing.count > 0)
        return;
    if (self->size == 0)
        hp_item_finish_small(self, NULL, self->sources);
    else if (!is_small(self) || self->row.part != NULL)
        hp_item_finish(self);
}

/* ---- trouble ---- */

void hp_item_fail(item_t *self, int code, const char *detail)
{
    if (self->phase == ITEM_STOPPED || self->phase == ITEM_FAILED)
        return;
    for (lease_t *lease = self->leases; lease != NULL; lease = lease->next)
        hp_lease_cancel(lease);
    hp_manifest_cancel(self);
    free(self->row.state);
    free(self->row.error);
    self->row.state = hp_strdup("failed");
    self->row.error = hp_strdup(detail);
    hp_item_set_phase(self, ITEM_FAILED);
    hp_item_save(self, HP_STORE_WRITE);
    hp_download_item_failed(self->download, self, code, detail);
}

void hp_item_stop(item_t *self)
{
    if (self->phase == ITEM_STOPPED)
        return;
    for (lease_t *lease = self->leases; lease != NULL; lease = lease->next)
        hp_lease_cancel(lease);
    hp_manifest_cancel(self);
    /* Its size goes into the sums now, and out of them again as the row says it that the next run reads. */
    if (self->phase < ITEM_DONE && self->size_known && self->row.part == NULL)
        hp_item_save(self, HP_STORE_WRITE);
    hp_item_set_phase(self, ITEM_STOPPED);
}

void hp_item_start_over(item_t *self, const char *why)
{
    if (self->restart_why != NULL || self->phase >= ITEM_FINISHING)
        return;
    if (++self->starts_over > STARTS_OVER_MAX) {
        char text[400];
        snprintf(text, sizeof text, "The file at the source is never the same twice: %s", why);
        hp_item_fail(self, HP_E_OTHER_VERSION, text);
        return;
    }
    if (self->download->row.order_root != NULL) {
        hp_item_fail(self, HP_E_OTHER_VERSION, why);
        return;
    }
    self->restart_why = hp_strdup(why);
    for (lease_t *lease = self->leases; lease != NULL; lease = lease->next)
        hp_lease_cancel(lease);
    hp_manifest_cancel(self);
    hp_transfer_wake(self->download->transfer);
}

void hp_item_restart(item_t *self)
{
    char reason[400];
    snprintf(reason, sizeof reason, "%s; it starts over from the beginning", self->restart_why);
    hp_log(HP_LOG_WARN, "download %lld: %s: %s%s%s", (long long)self->row.download, self->row.path, reason,
           self->row.part != NULL ? "; what was there of the old version stays in " : "",
           self->row.part != NULL ? self->row.part : "");
    free(self->restart_why);
    self->restart_why = NULL;
    hp_item_close(self);
    if (self->row.part != NULL)
        hp_left_add(&self->left, self->row.part, self->row.device, self->row.inode);
    const left_part_t *left = self->row.part != NULL ? self->left : NULL;
    free(self->row.part);
    free(self->row.boot_id);
    free(self->manifest);
    self->row.part = self->row.boot_id = NULL;
    if (!self->same_version) {
        free(self->row.root);
        self->row.root = NULL;
    }
    self->same_version = false;
    self->manifest = NULL;
    self->manifest_wanted = false;
    self->ready = self->whole = self->endless = self->size_known = false;
    self->row.size = HP_DB_SIZE_UNKNOWN;
    self->row.chunk_size = 0;
    self->chunks = 0;
    for (source_t *s = self->sources; s != NULL; s = s->next) {
        s->asked = s->manifest_failed = false;
        s->manifest_lost = s->doubts = 0;
        if (s->code == HP_E_OTHER_VERSION || s->code == HP_E_BAD_RANGE) {
            free(s->set_aside); /* for the version that was; it may have the one that is */
            s->set_aside = NULL;
            s->code = 0;
        }
    }
    clear_chunks(self, left);
    make_map(self, 0, HP_CHUNK_SIZE_MIN, 0);
    hp_item_set_phase(self, ITEM_FETCHING);
    hp_download_set_reason(self->download, reason);
}
