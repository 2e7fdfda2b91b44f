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

/* ---- another URL, other header fields, another certificate ---- */

typedef struct move {
    download_t *download;
    int64_t id;
    char *url;                   /* NULL: it stays */
    char *headers, *certificate; /* from now on; NULL none */
    hp_download_fn done;
    void *arg;
} move_t;

static int work_move(hp_db_t *db, void *arg, hp_err_t *err)
{
    const move_t *job = arg;
    char origin[80];
    int rc = hp_db_download_set_secrets(db, job->id, job->headers, job->certificate, err);
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
    free(job->headers);
    free(job->certificate);
    free(job);
}

/* Whether what was meant for the server of one URL may be sent to that of the other. */
static bool is_same_server(const char *url, const char *other)
{
    size_t size = HP_MAX(strlen(url), strlen(other)) + 1;
    char *one = hp_alloc(size), *two = hp_alloc(size);
    hp_web_origin(url, one, size);
    hp_web_origin(other, two, size);
    bool same = strcasecmp(one, two) == 0;
    free(one);
    free(two);
    return same;
}

static const char *field_of(const hp_download_move_t *to)
{
    return to->url != NULL ? "url" : to->headers != NULL ? "headers" : "certificate";
}

static int check_move(const download_t *download, const hp_download_move_t *to, hp_err_t *err)
{
    char hex[65];
    if (download->row.order_url == NULL)
        return hp_err_set(err, HP_E_CONFLICT, "%s: download %lld was not ordered by a URL", field_of(to),
                          (long long)download->row.id);
    int rc = to->url != NULL ? hp_order_check_url(to->url, err) : 0;
    if (rc == 0 && to->headers != NULL)
        rc = hp_url_check_headers(to->headers, err);
    if (rc == 0 && to->certificate != NULL)
        rc = hp_url_read_certificate(to->certificate, hex, err);
    const char *url = to->url != NULL ? to->url : download->row.order_url;
    if (rc == 0 && to->certificate != NULL && strncasecmp(url, "https://", 8) != 0)
        rc = hp_err_set(err, HP_E_INVALID, "certificate: stands only beside an https:// url");
    return rc;
}

static char *copy(const char *text)
{
    return text != NULL ? hp_strdup(text) : NULL;
}

static void take_secrets(download_t *download, const hp_download_move_t *to)
{
    hp_download_row_t *row = &download->row;
    if (to->url != NULL && !is_same_server(row->order_url, to->url)) {
        free(row->order_headers);
        free(row->order_certificate);
        row->order_headers = row->order_certificate = NULL;
    }
    if (to->headers != NULL) {
        free(row->order_headers);
        row->order_headers = to->headers[0] != '\0' ? hp_strdup(to->headers) : NULL;
    }
    if (to->certificate != NULL) {
        free(row->order_certificate);
        row->order_certificate = hp_alloc(65);
        hp_url_read_certificate(to->certificate, row->order_certificate, NULL); /* checked */
    }
    free(download->header_lines);
    download->header_lines = hp_url_split_headers(row->order_headers);
}

static void move(download_t *download, const hp_download_move_t *to, hp_download_fn done, void *arg)
{
    hp_transfer_t *self = download->transfer;
    clear_failures(download);
    hp_download_reopen_items(download);
    take_secrets(download, to);
    move_t *job = hp_alloc(sizeof *job);
    *job = (move_t){.download = download,
                    .id = download->row.id,
                    .url = copy(to->url),
                    .headers = copy(download->row.order_headers),
                    .certificate = copy(download->row.order_certificate),
                    .done = done,
                    .arg = arg};
    if (to->url != NULL) {
        free(download->row.order_url);
        download->row.order_url = hp_strdup(to->url);
    }
    download->row.files_failed = 0;
    /* Queued at once; the next run reads the rows behind this job. */
    hp_download_stop(
        download, download->state == HP_DOWNLOAD_PAUSED ? HP_DOWNLOAD_PAUSED : HP_DOWNLOAD_QUEUED, "", 0, "");
    hp_store_post_counted(self->store, &download->pending, HP_STORE_WRITE, work_move, on_moved, job);
}

void hp_transfer_move(hp_transfer_t *self, int64_t id, const hp_download_move_t *to, hp_download_fn done,
                      void *arg)
{
    hp_err_t err = {0};
    download_t *download = find_or_refuse(self, id, done, arg);
    if (download == NULL)
        return;
    bool open = can_pause(download) || hp_download_is_running(download) ||
                download->state == HP_DOWNLOAD_PAUSED || download->state == HP_DOWNLOAD_FAILED;
    if (!open)
        refuse_state(download, "fetched otherwise", done, arg);
    else if (check_move(download, to, &err) != 0)
        hp_transfer_refuse(self, &err, done, arg);
    else
        move(download, to, done, arg);
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
