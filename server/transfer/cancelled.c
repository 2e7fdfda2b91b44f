#include "transfer/cancelled.h"

#include <stdlib.h>

#include "transfer/internal.h"

typedef struct kept {
    hp_transfer_t *transfer;
    int64_t id;
    hp_download_row_t row;
    HP_ARRAY(hp_download_row_t) rows;
    void (*each)(void *arg, const hp_download_info_t *info);
    void (*listed)(void *arg, int status, const hp_err_t *err);
    hp_download_fn removed;
    void *arg;
} kept_t;

static void add_row(void *arg, const hp_download_row_t *row)
{
    kept_t *job = arg;
    hp_download_copy_row(row, hp_array_add(&job->rows));
}

static int work_list(hp_db_t *db, void *arg, hp_err_t *err)
{
    return hp_db_download_kept(db, add_row, arg, err);
}

static void on_listed(void *arg, int status, const hp_err_t *err)
{
    kept_t *job = arg;
    for (size_t i = 0; i < job->rows.count; i++) {
        download_t *shown = hp_download_make(job->transfer, &job->rows.items[i]);
        hp_download_info_t info;
        hp_download_fill(shown, &info);
        if (status == 0)
            job->each(job->arg, &info);
        hp_download_free(shown);
        hp_download_row_dispose(&job->rows.items[i]);
    }
    hp_array_dispose(&job->rows);
    job->listed(job->arg, status, err);
    hp_transfer_wake(job->transfer);
    free(job);
}

void hp_transfer_kept(hp_transfer_t *self, void (*each)(void *arg, const hp_download_info_t *info),
                      void (*done)(void *arg, int status, const hp_err_t *err), void *arg)
{
    kept_t *job = hp_alloc(sizeof *job);
    *job = (kept_t){.transfer = self, .each = each, .listed = done, .arg = arg};
    hp_store_post_counted(self->store, &self->pending, HP_STORE_READ, work_list, on_listed, job);
}

/* It is a cancelled download again, which is then removed as any other. */
static int work_unkeep(hp_db_t *db, void *arg, hp_err_t *err)
{
    kept_t *job = arg;
    hp_download_row_t row;
    if (hp_db_download_get(db, job->id, &row, err) == 0) {
        hp_download_row_dispose(&row);
        return hp_err_set(err, HP_E_NOT_FOUND, "Nothing is kept of download %lld, which is in the list",
                          (long long)job->id);
    }
    int rc = hp_db_download_unkeep(db, job->id, "cancelled", "", err);
    return rc == 0 ? hp_db_download_get(db, job->id, &job->row, err) : rc;
}

static void on_unkept(void *arg, int status, const hp_err_t *err)
{
    kept_t *job = arg;
    hp_transfer_t *self = job->transfer;
    if (status != 0) {
        job->removed(job->arg, status, job->id, false, err);
    } else {
        self->counts[HP_DOWNLOAD_CANCELLED]++; /* until it is gone */
        hp_download_remove(hp_download_from_row(self, &job->row), false, job->removed, job->arg);
        hp_download_row_dispose(&job->row);
    }
    hp_transfer_wake(self);
    free(job);
}

void hp_transfer_remove_kept(hp_transfer_t *self, int64_t id, hp_download_fn done, void *arg)
{
    kept_t *job = hp_alloc(sizeof *job);
    *job = (kept_t){.transfer = self, .id = id, .removed = done, .arg = arg};
    hp_store_post_counted(self->store, &self->pending, HP_STORE_WRITE, work_unkeep, on_unkept, job);
}
