/* What a person does to a download: pause, resume, retry, recheck, change, remove. */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "transfer/url_order.h"
#include "transfer/web_name.h"

static download_t *find_or_refuse(hp_transfer_t *self, int64_t id, hp_download_fn done, void *arg)
{
    download_t *download = hp_transfer_find(self, id);
    if (download == NULL) {
        hp_err_t err = {0};
        hp_err_set(&err, HP_E_NOT_FOUND, "There is no download %lld", (long long)id);
        hp_transfer_refuse(self, &err, done, arg);
    }
    return download;
}

static void refuse_state(download_t *download, const char *verb, hp_download_fn done, void *arg)
{
    hp_err_t err = {0};
    hp_err_set(&err, HP_E_CONFLICT, "Download %lld is %s: it cannot be %s", (long long)download->row.id,
               hp_download_state_name(download->state), verb);
    hp_transfer_refuse(download->transfer, &err, done, arg);
}

static bool can_pause(const download_t *d)
{
    return d->state == HP_DOWNLOAD_QUEUED || hp_download_is_running(d);
}

static void clear_failures(download_t *download)
{
    for (source_host_t *host = download->hosts; host != NULL; host = host->next) {
        hp_retry_reset(&host->retry);
        host->banned = false;
        host->unnamed = 0;
        host->error[0] = '\0';
    }
}

/* A person's pause ends by a person, not by room on the disk. */
static void pause_download(download_t *download)
{
    bool waited = hp_download_waits_for_disk(download);
    download->row.disk_wait = false;
    if (can_pause(download))
        hp_download_stop(download, HP_DOWNLOAD_PAUSED, "", 0, "");
    else if (waited)
        hp_download_set_state(download, HP_DOWNLOAD_PAUSED, "", 0, "");
}

void hp_transfer_pause(hp_transfer_t *self, int64_t id, hp_download_fn done, void *arg)
{
    download_t *download = find_or_refuse(self, id, done, arg);
    if (download == NULL)
        return;
    if (download->state != HP_DOWNLOAD_PAUSED && !can_pause(download)) {
        refuse_state(download, "paused", done, arg);
        return;
    }
    pause_download(download);
    hp_download_save(download, done, arg);
}

static void resume(download_t *download)
{
    download->row.disk_wait = false;
    hp_retry_reset(&download->disk);
    for (source_host_t *host = download->hosts; host != NULL; host = host->next)
        hp_retry_reset(&host->retry);
    hp_download_set_state(download, HP_DOWNLOAD_QUEUED, "", 0, "");
    hp_transfer_wake(download->transfer);
}

void hp_transfer_resume(hp_transfer_t *self, int64_t id, hp_download_fn done, void *arg)
{
    download_t *download = find_or_refuse(self, id, done, arg);
    if (download == NULL)
        return;
    if (download->state == HP_DOWNLOAD_PAUSED) {
        resume(download);
    } else if (!can_pause(download)) {
        refuse_state(download, "resumed", done, arg);
        return;
    }
    hp_download_save(download, done, arg);
}

typedef struct reopen {
    download_t *download;
    int64_t id, failed; /* files that were */
    hp_download_fn done;
    void *arg;
} reopen_t;

static int work_reopen(hp_db_t *db, void *arg, hp_err_t *err)
{
    const reopen_t *job = arg;
    int rc = hp_db_download_file_reopen(db, job->id, err);
    return rc == 0 ? hp_db_download_source_forgive(db, job->id, err) : rc;
}

static void on_reopened(void *arg, int status, const hp_err_t *err)
{
    reopen_t *job = arg;
    download_t *download = job->download;
    hp_transfer_t *self = download->transfer;
    if (status != 0) {
        download->row.files_failed += job->failed;
        hp_download_disk_failed(download, status, err);
    }
    hp_err_t gone = {0};
    if (status == 0 && download->removing) {
        status = hp_err_set(&gone, HP_E_NOT_FOUND, "There is no download %lld", (long long)job->id);
        err = &gone;
    }
    if (job->done != NULL)
        job->done(job->arg, status, job->id, false, err);
    hp_transfer_wake(self);
    free(job);
}

void hp_transfer_retry(hp_transfer_t *self, int64_t id, hp_download_fn done, void *arg)
{
    download_t *download = find_or_refuse(self, id, done, arg);
    if (download == NULL)
        return;
    if (download->state != HP_DOWNLOAD_FAILED && download->state != HP_DOWNLOAD_PAUSED &&
        !hp_download_is_running(download)) {
        refuse_state(download, "tried again", done, arg);
        return;
    }
    clear_failures(download);
    download->takes_page |= download->row.error_code == HP_E_WEB_PAGE;
    download->row.disk_wait = false;
    hp_download_reopen_items(download);
    reopen_t *job = hp_alloc(sizeof *job);
    *job = (reopen_t){
        .download = download, .id = id, .failed = download->row.files_failed, .done = done, .arg = arg};
    download->row.files_failed = 0;
    /* Queued at once, not when the store has answered: what a person asks for meanwhile comes after it. The
     * next run reads the files' rows from the store behind this job. */
    hp_download_stop(download, HP_DOWNLOAD_QUEUED, "", 0, "");
    hp_store_post_counted(self->store, &download->pending, HP_STORE_WRITE, work_reopen, on_reopened, job);
}

/* ---- another URL, another certificate ---- */

typedef struct move {
    download_t *download;
    int64_t id;
    char *url, *certificate; /* NULL: it stays */
    hp_download_fn done;
    void *arg;
} move_t;

static int work_move(hp_db_t *db, void *arg, hp_err_t *err)
{
    const move_t *job = arg;
    char origin[80];
    int rc =
        job->certificate != NULL ? hp_db_download_set_certificate(db, job->id, job->certificate, err) : 0;
    if (rc == 0 && job->url == NULL)
        rc = hp_db_download_source_forgive(db, job->id, err);
    if (rc == 0 && job->url != NULL) {
        hp_web_origin(job->url, origin, sizeof origin);
        rc = hp_db_download_set_url(db, job->id, job->url, err);
        if (rc == 0)
            rc = hp_db_download_source_move(db, job->id, origin, job->url, err);
    }
    return rc == 0 ? hp_db_download_file_reopen(db, job->id, err) : rc;
}

static void on_moved(void *arg, int status, const hp_err_t *err)
{
    move_t *job = arg;
    hp_transfer_t *self = job->download->transfer;
    if (status != 0)
        hp_download_disk_failed(job->download, status, err);
    if (job->done != NULL)
        job->done(job->arg, status, job->id, false, err);
    hp_transfer_wake(self);
    free(job->url);
    free(job->certificate);
    free(job);
}

/* One of an order by URL that has not ended; else NULL, and done is told. */
static download_t *find_movable(hp_transfer_t *self, int64_t id, const char *field, hp_download_fn done,
                                void *arg)
{
    hp_err_t err = {0};
    download_t *download = find_or_refuse(self, id, done, arg);
    if (download == NULL)
        return NULL;
    bool open = can_pause(download) || hp_download_is_running(download) ||
                download->state == HP_DOWNLOAD_PAUSED || download->state == HP_DOWNLOAD_FAILED;
    if (!open) {
        refuse_state(download, "fetched otherwise", done, arg);
        return NULL;
    }
    if (download->row.order_url == NULL) {
        hp_err_set(&err, HP_E_CONFLICT, "%s: download %lld was not ordered by a URL", field, (long long)id);
        hp_transfer_refuse(self, &err, done, arg);
        return NULL;
    }
    return download;
}

/* Takes url and certificate. */
static void move(download_t *download, char *url, char *certificate, hp_download_fn done, void *arg)
{
    hp_transfer_t *self = download->transfer;
    clear_failures(download);
    hp_download_reopen_items(download);
    move_t *job = hp_alloc(sizeof *job);
    *job = (move_t){.download = download,
                    .id = download->row.id,
                    .url = url,
                    .certificate = certificate,
                    .done = done,
                    .arg = arg};
    if (url != NULL) {
        free(download->row.order_url);
        download->row.order_url = hp_strdup(url);
    }
    if (certificate != NULL) {
        free(download->row.order_certificate);
        download->row.order_certificate = hp_strdup(certificate);
    }
    download->row.files_failed = 0;
    /* Queued at once; the next run reads the rows behind this job. */
    hp_download_stop(
        download, download->state == HP_DOWNLOAD_PAUSED ? HP_DOWNLOAD_PAUSED : HP_DOWNLOAD_QUEUED, "", 0, "");
    hp_store_post_counted(self->store, &download->pending, HP_STORE_WRITE, work_move, on_moved, job);
}

void hp_transfer_set_url(hp_transfer_t *self, int64_t id, const char *url, hp_download_fn done, void *arg)
{
    hp_err_t err = {0};
    download_t *download = find_movable(self, id, "url", done, arg);
    if (download == NULL)
        return;
    if (hp_order_check_url(url, &err) != 0)
        hp_transfer_refuse(self, &err, done, arg);
    else
        move(download, hp_strdup(url), NULL, done, arg);
}

void hp_transfer_set_certificate(hp_transfer_t *self, int64_t id, const char *certificate,
                                 hp_download_fn done, void *arg)
{
    hp_err_t err = {0};
    char hex[65];
    download_t *download = find_movable(self, id, "certificate", done, arg);
    if (download == NULL)
        return;
    int rc = hp_url_read_certificate(certificate, hex, &err);
    if (rc == 0 && strncasecmp(download->row.order_url, "https://", 8) != 0)
        rc = hp_err_set(&err, HP_E_INVALID, "certificate: stands only beside an https:// url");
    if (rc != 0)
        hp_transfer_refuse(self, &err, done, arg);
    else
        move(download, NULL, hp_strdup(hex), done, arg);
}

void hp_transfer_recheck(hp_transfer_t *self, int64_t id, hp_download_fn done, void *arg)
{
    download_t *download = find_or_refuse(self, id, done, arg);
    if (download == NULL)
        return;
    if (download->state == HP_DOWNLOAD_CANCELLED) {
        refuse_state(download, "checked", done, arg);
        return;
    }
    if (hp_download_is_running(download))
        hp_download_stop(download, HP_DOWNLOAD_QUEUED, "", 0, "");
    else if (download->state != HP_DOWNLOAD_QUEUED)
        hp_download_set_state(download, HP_DOWNLOAD_QUEUED, "", 0, "");
    download->recheck = true;
    hp_download_save(download, done, arg);
    hp_transfer_wake(self);
}

void hp_transfer_change(hp_transfer_t *self, int64_t id, const int *priority, const uint64_t *limit_bps,
                        hp_download_fn done, void *arg)
{
    download_t *download = find_or_refuse(self, id, done, arg);
    if (download == NULL)
        return;
    if ((priority != NULL && (*priority < -1 || *priority > 1)) ||
        (limit_bps != NULL && *limit_bps > INT64_MAX)) {
        hp_err_t err = {0};
        hp_err_set(&err, HP_E_INVALID, "priority is -1, 0 or 1; limit_bps at most 2^63 - 1");
        hp_transfer_refuse(self, &err, done, arg);
        return;
    }
    if (priority != NULL)
        download->row.priority = *priority;
    if (limit_bps != NULL) {
        download->row.limit_bps = (int64_t)*limit_bps;
        hp_bucket_set(&download->bucket, *limit_bps);
    }
    hp_download_save(download, done, arg);
    hp_download_changed(download);
    hp_transfer_resume_held(self);
}

void hp_transfer_remove(hp_transfer_t *self, int64_t id, bool keep_data, hp_download_fn done, void *arg)
{
    download_t *download = find_or_refuse(self, id, done, arg);
    if (download != NULL)
        hp_download_remove(download, keep_data, done, arg);
}

void hp_transfer_pause_all(hp_transfer_t *self)
{
    for (download_t *d = self->downloads; d != NULL; d = d->next)
        if (!d->removing && (can_pause(d) || hp_download_waits_for_disk(d)))
            pause_download(d);
}

void hp_transfer_resume_all(hp_transfer_t *self)
{
    for (download_t *d = self->downloads; d != NULL; d = d->next)
        if (d->state == HP_DOWNLOAD_PAUSED && !d->removing)
            resume(d);
}
