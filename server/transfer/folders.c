/* The empty folders of a folder that was ordered. They are on no record of the download: when its files are
 * through, those that the host lists now are made, and then it is done. */
#include "transfer/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "db/remote_file.h"
#include "pool/pool.h"
#include "base/landing.h"

typedef struct folders {
    download_t *download;
    char *base, *path; /* of the download */
    char *host, *folder;
    hp_remote_files_t list;
    size_t failed; /* could not be made; why the last could not: */
    hp_err_t err;
    int trouble; /* a code that passes by itself: the rest was not tried */
} folders_t;

static void folders_free(folders_t *self)
{
    hp_remote_files_dispose(&self->list);
    free(self->base);
    free(self->path);
    free(self->host);
    free(self->folder);
    free(self);
}

/* Where a folder of the host lands below base; NULL when it can land nowhere. */
static char *landing_of(const char *path, const char *folder, const char *there)
{
    size_t skip = strlen(folder);
    const char *rest = there + skip + (skip > 0 && there[skip] == '/');
    char *full = rest[0] != '\0' ? hp_sprintf("%s/%s", path, rest) : hp_strdup(path);
    if (hp_path_check(full, strlen(full), NULL) == 0)
        return full;
    free(full);
    return NULL;
}

static int list_folders(hp_db_t *db, const char *host, const char *folder, hp_remote_files_t *list,
                        hp_err_t *err)
{
    if (host != NULL && folder != NULL)
        return hp_remote_empty_below(db, host, folder, NULL, HP_REMOTE_EMPTY_MAX, list, err);
    *list = (hp_remote_files_t){0};
    return 0;
}

int hp_order_count_missing_folders(hp_db_t *db, const hp_download_row_t *row, int64_t *count, hp_err_t *err)
{
    hp_remote_files_t list;
    *count = 0;
    int rc = list_folders(db, row->order_host, row->order_path, &list, err);
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        char landing[HP_PATH_MAX + 1], *full = landing_of(row->path, row->order_path, list.items[i].path);
        bool is_free = false;
        if (full != NULL) {
            hp_landing_path(row->base, full, landing);
            if (hp_part_is_free(row->base, landing, &is_free, NULL) == 0)
                *count += is_free;
        }
        free(full);
    }
    hp_remote_files_dispose(&list);
    return rc;
}

/* ---- the pool ---- */

static void make(folders_t *self, const char *there)
{
    hp_err_t err = {0};
    char landing[HP_PATH_MAX + 1], *full = landing_of(self->path, self->folder, there);
    int rc = HP_E_BAD_NAME;
    if (full != NULL) {
        hp_landing_path(self->base, full, landing);
        rc = hp_part_make_folder(self->base, landing, &err);
    } else {
        hp_err_set(&err, rc, "the path of the folder is too long");
    }
    free(full);
    if (rc == 0)
        return;
    self->err = err;
    if (hp_download_trouble_passes(rc))
        self->trouble = rc;
    else
        self->failed++;
}

static int work_make(void *arg, hp_err_t *err)
{
    folders_t *self = arg;
    (void)err;
    for (size_t i = 0; i < self->list.count && self->trouble == 0; i++)
        make(self, self->list.items[i].path);
    return 0;
}

/* ---- the loop ---- */

static void on_made(void *arg, int status, const hp_err_t *err)
{
    folders_t *self = arg;
    download_t *download = self->download;
    (void)status;
    (void)err; /* each folder has its own */
    download->folders_making = false;
    if (self->trouble != 0) {
        hp_download_disk_failed(download, self->trouble, &self->err);
    } else {
        download->folders_made = true;
        if (self->failed > 0) {
            hp_log(HP_LOG_WARN, "download %lld: %zu empty folders could not be made; the last: %s",
                   (long long)download->row.id, self->failed, hp_err_text(&self->err));
            free(download->row.note);
            download->row.note = hp_sprintf("%zu empty folders could not be made; the last: %s", self->failed,
                                            hp_err_text(&self->err));
        }
    }
    hp_transfer_wake(download->transfer);
    folders_free(self);
}

static int work_list(hp_db_t *db, void *arg, hp_err_t *err)
{
    folders_t *self = arg;
    return list_folders(db, self->host, self->folder, &self->list, err);
}

static void on_listed(void *arg, int status, const hp_err_t *err)
{
    folders_t *self = arg;
    download_t *download = self->download;
    if (status == 0 && self->list.count > 0 && hp_download_is_running(download) && !download->removing &&
        !download->transfer->stopping) {
        hp_pool_post(download->transfer->loop, &download->pending, work_make, on_made, self);
        return;
    }
    download->folders_making = false;
    download->folders_made = status == 0 && self->list.count == 0;
    if (status != 0)
        hp_download_disk_failed(download, status, err);
    hp_transfer_wake(download->transfer);
    folders_free(self);
}

void hp_download_make_folders(download_t *self)
{
    if (self->folders_making)
        return;
    folders_t *job = hp_alloc(sizeof *job);
    const char *host = self->row.order_host;
    *job = (folders_t){
        .download = self,
        .base = hp_strdup(self->row.base),
        .path = hp_strdup(self->row.path),
        .host = host != NULL ? hp_strdup(hp_transfer_host_id(self->transfer, host)) : NULL,
        .folder = self->row.order_path != NULL ? hp_strdup(self->row.order_path) : NULL,
    };
    self->folders_making = true;
    hp_store_post_counted(self->transfer->store, &self->pending, HP_STORE_READ, work_list, on_listed, job);
}
