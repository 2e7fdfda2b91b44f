/* Removing a download: the rows of its parts are read, the parts removed in the pool, then the rows. */
#include "transfer/internal.h"

#include <stdlib.h>

typedef struct removal {
    download_t *download;
    int64_t id, after;
    bool keep; /* what is there of an unfinished file, for the next order of the same */
    bool kept; /* there was something */
    uv_work_t work;
    char *base;
    size_t count;
    hp_download_file_row_t rows[ITEMS_MAX];
    left_part_t *left[ITEMS_MAX];
    left_part_t **filling;
    hp_err_t err;
} removal_t;

static void next_parts(removal_t *job);

static int work_remove(hp_db_t *db, void *arg, hp_err_t *err)
{
    removal_t *job = arg;
    int rc = job->keep ? hp_db_download_keep(db, job->id, &job->kept, err) : 0;
    return rc == 0 && !job->kept ? hp_db_download_remove(db, job->id, err) : rc;
}

static void on_removed(void *arg, int status, const hp_err_t *err)
{
    removal_t *job = arg;
    download_t *self = job->download;
    hp_transfer_t *transfer = self->transfer;
    hp_pending_drop(&self->pending); /* it is freed here */
    int64_t id = self->row.id;
    hp_download_fn done = self->removed;
    void *done_arg = self->removed_arg;
    if (status == 0) {
        hp_log(HP_LOG_INFO, "download %lld (%s): removed", (long long)id, self->name);
        transfer->counts[self->state]--;
        if (!job->kept)
            hp_kept_drop_download(transfer, id);
        hp_transfer_unlink(transfer, self);
        hp_download_free(self);
        if (transfer->hooks.removed != NULL)
            transfer->hooks.removed(transfer->hooks.arg, id);
    } else {
        self->removing = false;
        hp_log(HP_LOG_ERROR, "download %lld: removing it: %s", (long long)id, hp_err_text(err));
    }
    if (done != NULL)
        done(done_arg, status, id, false, err);
    free(job->base);
    free(job);
    hp_transfer_wake(transfer);
}

static void remove_rows(removal_t *job)
{
    hp_pending_add(&job->download->pending);
    hp_store_post(job->download->transfer->store, HP_STORE_WRITE_SYNCED, work_remove, on_removed, job);
}

static void on_parts_work(uv_work_t *work)
{
    removal_t *job = HP_CONTAINER(work, removal_t, work);
    for (size_t i = 0; i < job->count; i++) {
        const hp_download_file_row_t *row = &job->rows[i];
        hp_part_identity_t identity = hp_item_identity(job->download->transfer, row);
        if (row->part != NULL && hp_part_remove(job->base, row->path, row->part, &identity, &job->err) != 0)
            hp_log(HP_LOG_WARN, "download %lld: %s", (long long)job->id, hp_err_text(&job->err));
        for (const left_part_t *left = job->left[i]; left != NULL; left = left->next)
            if (hp_part_remove(job->base, row->path, left->name, &left->identity, &job->err) != 0)
                hp_log(HP_LOG_WARN, "download %lld: %s", (long long)job->id, hp_err_text(&job->err));
    }
}

/* Lets go of the page of rows that was worked on. */
static void drop_rows(removal_t *job)
{
    for (size_t i = 0; i < job->count; i++) {
        job->after = job->rows[i].id;
        hp_download_file_row_dispose(&job->rows[i]);
        hp_left_free(&job->left[i]);
    }
}

static void on_parts_removed(uv_work_t *work, int status)
{
    removal_t *job = HP_CONTAINER(work, removal_t, work);
    (void)status; /* never cancelled */
    hp_pending_drop(&job->download->pending);
    drop_rows(job);
    if (job->count < ITEMS_MAX)
        remove_rows(job);
    else
        next_parts(job);
}

static void add_left(void *arg, const char *part, uint64_t device, uint64_t inode)
{
    (void)device; /* of a boot that nobody noted */
    hp_left_add(((removal_t *)arg)->filling, part, 0, inode);
}

static int work_parts(hp_db_t *db, void *arg, hp_err_t *err)
{
    removal_t *job = arg;
    int rc = hp_db_download_file_unfinished(db, job->id, job->after, job->rows, ITEMS_MAX, &job->count, err);
    for (size_t i = 0; rc == 0 && i < job->count; i++) {
        job->filling = &job->left[i];
        rc = hp_db_download_left_each(db, job->rows[i].id, add_left, job, err);
    }
    return rc;
}

static void on_parts(void *arg, int status, const hp_err_t *err)
{
    removal_t *job = arg;
    if (status != 0) {
        drop_rows(job);
        on_removed(job, status, err);
        return;
    }
    uv_queue_work(job->download->transfer->loop, &job->work, on_parts_work, on_parts_removed);
}

static void next_parts(removal_t *job)
{
    hp_pending_add(&job->download->pending);
    hp_store_post(job->download->transfer->store, HP_STORE_READ, work_parts, on_parts, job);
}

/* Called by the transfer when its items are gone and no job points at it. */
static void begin_removal(download_t *self)
{
    removal_t *job = hp_alloc(sizeof *job);
    *job = (removal_t){.download = self, .id = self->row.id, .base = hp_strdup(self->row.base)};
    job->keep = self->keep_data && self->state == HP_DOWNLOAD_CANCELLED;
    if (self->keep_data)
        remove_rows(job);
    else
        next_parts(job);
}

void hp_download_remove(download_t *self, bool keep_data, hp_download_fn done, void *arg)
{
    self->keep_data = keep_data;
    self->removed = done;
    self->removed_arg = arg;
    if (self->state != HP_DOWNLOAD_DONE && self->state != HP_DOWNLOAD_CANCELLED)
        hp_download_stop(self, HP_DOWNLOAD_CANCELLED, "", 0, "");
    self->removing = true;
    hp_transfer_activate(self->transfer, self);
    hp_transfer_wake(self->transfer);
}

void hp_download_continue_removal(download_t *self)
{
    if (self->removing && self->items == NULL && hp_bundle_is_idle(self) &&
        hp_pending_is_none(&self->pending))
        begin_removal(self);
}
