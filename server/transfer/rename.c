/* A file from a URL gets its name when its server answers: from Content-Disposition, else from the URL that
 * the redirects led to. The name that was reserved at the order stands until then. */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

#include "transfer/web_name.h"

typedef struct rename_job {
    item_t *item;
    char *to; /* folder below base; NULL */
    char name[HP_NAME_MAX + 1];
    char *path; /* that is reserved */
    char *note; /* about it; NULL */
} rename_job_t;

static int work_rename(hp_db_t *db, void *arg, hp_err_t *err)
{
    rename_job_t *job = arg;
    hp_download_row_t row;
    int64_t id = job->item->row.download;
    int rc = hp_db_download_get(db, id, &row, err);
    if (rc != 0)
        return rc;
    rc = hp_order_reserve_name(db, row.base, job->to, job->name, &job->path, &job->note, err);
    if (rc == 0) {
        free(row.path);
        row.path = hp_strdup(job->path);
        free(row.note);
        row.note = hp_strdup(job->note != NULL ? job->note : "");
        rc = hp_db_download_update(db, &row, err);
    }
    hp_download_row_dispose(&row);
    return rc;
}

static void set_path(item_t *item, const char *path, const char *note)
{
    download_t *download = item->download;
    char **texts[] = {&item->row.path, &download->row.path};
    for (size_t i = 0; i < HP_COUNT(texts); i++) {
        free(*texts[i]);
        *texts[i] = hp_strdup(path);
    }
    free(download->row.note);
    download->row.note = hp_strdup(note);
    free(download->name);
    download->name = hp_strdup(hp_path_name(path));
}

static void on_renamed(void *arg, int status, const hp_err_t *err)
{
    rename_job_t *job = arg;
    item_t *item = job->item;
    item->naming = false;
    hp_pending_drop(&item->pending);
    if (status == 0) {
        set_path(item, job->path, job->note != NULL ? job->note : "");
        hp_item_save(item, HP_STORE_WRITE);
        hp_download_save(item->download, NULL, NULL);
        hp_download_changed(item->download);
    } else {
        /* It keeps the name that the URL gave. */
        hp_log(HP_LOG_WARN, "download %lld: the name %s: %s", (long long)item->row.download, job->name,
               hp_err_text(err));
    }
    hp_transfer_resume_held(item->download->transfer);
    hp_item_check_complete(item);
    hp_transfer_wake(item->download->transfer);
    free(job->to);
    free(job->path);
    free(job->note);
    free(job);
}

/* "name (2).ext" was reserved for "name.ext". */
static bool is_name_of(const item_t *item, const char *name)
{
    const char *own = hp_path_name(item->row.path);
    char candidate[HP_NAME_MAX + 1];
    for (unsigned n = 0; n < 100; n++) {
        hp_path_candidate(name, n, candidate);
        if (strcmp(candidate, own) == 0)
            return true;
    }
    return false;
}

int hp_item_take_web_name(item_t *self, const hp_fetch_head_t *head, hp_err_t *err)
{
    download_t *download = self->download;
    char name[HP_NAME_MAX + 1];
    bool told =
        hp_web_name_of_disposition(head->content_disposition, name) || hp_web_name_of_url(head->url, name);
    if (!told)
        hp_web_name_of_url(download->row.order_url, name);
    if (!download->takes_page && !hp_web_is_attachment(head->content_disposition) &&
        hp_web_is_page(head->content_type, name))
        return hp_err_set(err, HP_E_WEB_PAGE,
                          "The address leads to a web page, not to a file; try again to save the page");
    if (self->named || self->row.part != NULL || is_name_of(self, name))
        return 0;
    self->named = self->naming = true;
    rename_job_t *job = hp_alloc(sizeof *job);
    size_t folder = (size_t)(hp_path_name(self->row.path) - self->row.path);
    *job = (rename_job_t){.item = self};
    if (folder > 0)
        job->to = hp_sprintf("%.*s", (int)folder - 1, self->row.path);
    memcpy(job->name, name, sizeof name);
    hp_pending_add(&self->pending);
    hp_store_post(download->transfer->store, HP_STORE_WRITE, work_rename, on_renamed, job);
    return 0;
}
