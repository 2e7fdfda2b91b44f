/* The rows of a file: how it is read from the store when it is taken up, and how changes are recorded. */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

#include "transfer/web_name.h"

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
                                .inode = row->inode,
                                .born_ns = row->born_ns};
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
        hp_download_write_failed(item->download, status, err);
    hp_download_file_row_dispose(&job->row);
    free(job->left);
    free(job);
    hp_pending_drop(&item->pending);
    hp_transfer_wake(item->download->transfer);
}

void hp_item_save(item_t *self, hp_store_kind_t kind)
{
    save_item_t *job = hp_alloc(sizeof *job);
    job->item = self;
    hp_item_copy_row(self, &job->row);
    hp_pending_add(&self->pending);
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

void hp_item_replace_rows(item_t *self, const left_part_t *left)
{
    if (self->chunks > 0)
        hp_item_make_map(self, self->size, self->chunk_size, self->chunks);
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
    hp_pending_add(&self->pending);
    hp_store_post(self->download->transfer->store, HP_STORE_WRITE, work_clear, on_saved, job);
}

void hp_item_clear_chunks(item_t *self)
{
    hp_item_replace_rows(self, NULL);
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
    for (size_t i = 0; i < job->source_count; i++) {
        const hp_download_source_row_t *row = &job->sources[i];
        char origin[80]; /* rows of earlier versions have user and password in it */
        if (self->download->row.order_url != NULL)
            hp_web_origin(row->host, origin, sizeof origin);
        source_t *source =
            hp_source_get(self, self->download->row.order_url != NULL ? origin : row->host, row->path);
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

/* Whether the sizes on record can belong to a file that this program has recorded. */
static bool is_possible(const hp_download_file_row_t *row)
{
    uint64_t size = row->size >= 0 ? (uint64_t)row->size : 0, chunk_size = (uint64_t)row->chunk_size;
    bool done = strcmp(row->state, "done") == 0;
    if (row->part == NULL && !done)
        return true; /* nothing was begun */
    if (row->chunk_size == 0 || (done && size == 0))
        return size == 0 || !done;
    return size <= FILE_SIZE_MAX && (chunk_size == hp_chunk_size_for(size) || chunk_size == UNKNOWN_CHUNK);
}

/* The record contradicts itself, as a damaged database does: the file begins anew, and its part file stays
 * until it is done. */
static void drop_record(item_t *self)
{
    hp_log(HP_LOG_ERROR, "download %lld: the record of %s in the database is damaged; it starts over",
           (long long)self->row.download, self->row.path);
    if (self->row.part != NULL)
        hp_left_add(&self->left, self->row.part, self->row.device, self->row.inode);
    const left_part_t *left = self->row.part != NULL ? self->left : NULL;
    free(self->row.part);
    free(self->row.state);
    self->row.part = NULL;
    self->row.state = hp_strdup("open");
    self->row.size = HP_DB_SIZE_UNKNOWN;
    self->row.chunk_size = 0;
    self->row.verified = false;
    hp_item_replace_rows(self, left);
}

static void on_loaded(void *arg, int status, const hp_err_t *err)
{
    load_item_t *job = arg;
    item_t *self = job->item;
    hp_pending_drop(&self->pending);
    if (status != 0) {
        hp_item_fail(self, status, hp_err_text(err));
    } else if (self->phase == ITEM_LOADING) {
        take_sources(self, job);
        self->left = job->left;
        job->left = NULL;
        hp_item_find_sources(self);
        if (!is_possible(&self->row))
            drop_record(self);
        bool recorded = self->row.part != NULL && self->row.size >= 0 && self->row.chunk_size > 0;
        if (recorded || strcmp(self->row.state, "done") == 0) {
            if (self->row.chunk_size > 0)
                hp_item_know_size(self, (uint64_t)self->row.size, (uint64_t)self->row.chunk_size);
            else
                hp_item_know_size(self, (uint64_t)HP_MAX(self->row.size, (int64_t)0), HP_CHUNK_SIZE_MIN);
            take_chunks(self, job);
            if (strcmp(self->row.state, "done") == 0)
                take_small(self);
            hp_item_set_phase(self, ITEM_OPENING);
            hp_item_open(self);
        } else {
            /* The end of a body of unknown length was not seen: nothing of it can be trusted to belong
             * together. Its part file is written again from byte 0. */
            if (self->row.part != NULL || job->chunk_count > 0)
                hp_item_clear_chunks(self);
            bool may_stand = self->row.part == NULL && self->row.replaces_ns == HP_DB_MAY_STAND &&
                             (self->row.size > 0 ? self->row.root != NULL : self->row.size == 0);
            hp_item_set_phase(self, self->row.part != NULL || may_stand ? ITEM_OPENING : ITEM_FETCHING);
            if (self->row.part != NULL)
                hp_item_open(self);
            else if (may_stand)
                hp_item_look(self);
            else
                hp_kept_go_on(self);
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
    hp_pending_add(&self->pending);
    hp_store_post(self->download->transfer->store, HP_STORE_READ, work_load, on_loaded, job);
}
