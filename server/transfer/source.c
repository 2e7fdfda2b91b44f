/* Where bytes can come from: the hosts of a download, and one file's
 * place at each. */
#include "transfer/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/remote_file.h"
#include "transfer/web_name.h"

const hp_retry_policy_t hp_transfer_backoff = {BACKOFF_FIRST_MS, BACKOFF_MAX_MS, HP_RETRY_JITTER};

#define SOURCES_MAX 64 /* hosts asked for one content */

const char *hp_source_state_name(hp_source_state_t state)
{
    static const char *const names[] = {
#define X(name, text) text,
        HP_SOURCE_STATES(X)
#undef X
    };
    return names[state];
}

static const hp_source_kind_t *kind_of(const download_t *download, const char *id)
{
    if (download->row.order_url != NULL)
        return &hp_source_web;
    const known_host_t *known = hp_transfer_known(download->transfer, id);
    return known == NULL || known->hostpair ? &hp_source_hostpair : &hp_source_plain;
}

source_host_t *hp_source_host_get(download_t *download, const char *id)
{
    source_host_t **end = &download->hosts;
    for (; *end != NULL; end = &(*end)->next)
        if (strcmp((*end)->id, id) == 0) {
            (*end)->kind = kind_of(download, id); /* the registry may know more by now */
            return *end;
        }
    source_host_t *host = hp_alloc(sizeof *host);
    host->download = download;
    host->kind = kind_of(download, id);
    snprintf(host->id, sizeof host->id, "%s", id);
    *end = host;
    return host;
}

source_t *hp_source_get(item_t *item, const char *host, const char *path)
{
    host = hp_transfer_host_id(item->download->transfer, host);
    source_t **end = &item->sources;
    int64_t mark = -1;
    for (; *end != NULL; end = &(*end)->next, mark--)
        if (strcmp((*end)->host->id, host) == 0 && strcmp((*end)->path, path) == 0)
            return *end;
    source_t *source = hp_alloc(sizeof *source);
    source->item = item;
    source->mark = mark;
    source->host = hp_source_host_get(item->download, host);
    source->path = hp_strdup(path);
    *end = source;
    return source;
}

void hp_source_free(source_t *self)
{
    free(self->path);
    free(self->etag);
    free(self->set_aside);
    free(self);
}

bool hp_source_is_eligible(const source_t *self)
{
    return self->set_aside == NULL && !self->host->banned;
}

bool hp_source_usable(const source_t *self, uint64_t now_ms)
{
    if (!hp_source_is_eligible(self) || now_ms < self->retry_at ||
        !hp_retry_is_due(&self->host->retry, now_ms))
        return false;
    return self->host->kind->is_reachable(self);
}

typedef struct save_source {
    item_t *item;
    source_t *source; /* NULL when it went meanwhile: items free their sources only when nothing is pending,
                         so it does not */
    hp_download_source_row_t row;
} save_source_t;

static int work_save(hp_db_t *db, void *arg, hp_err_t *err)
{
    save_source_t *job = arg;
    int rc = hp_db_download_source_put(db, &job->row, err);
    if (rc == 0)
        job->source->stored_id = job->row.id;
    return rc;
}

/* Chunks may come before the store has told the source's id. */
static void take_id(source_t *self, int64_t id)
{
    item_t *item = self->item;
    for (uint64_t n = 0; self->id == 0 && item->chunk_sources != NULL && n < item->chunks; n++)
        if (item->chunk_sources[n] == self->mark)
            item->chunk_sources[n] = id;
    self->id = id;
}

static void on_saved(void *arg, int status, const hp_err_t *err)
{
    save_source_t *job = arg;
    item_t *item = job->item;
    if (status == 0)
        take_id(job->source, job->row.id);
    else
        hp_log(HP_LOG_ERROR, "download %lld: recording a source: %s", (long long)item->row.download,
               hp_err_text(err));
    hp_download_source_row_dispose(&job->row);
    free(job);
    hp_pending_drop(&item->pending);
    hp_transfer_wake(item->download->transfer);
}

void hp_source_save(source_t *self)
{
    save_source_t *job = hp_alloc(sizeof *job);
    *job = (save_source_t){
        .item = self->item,
        .source = self,
        .row = {.file = self->item->row.id,
                .host = hp_strdup(self->host->id),
                .path = hp_strdup(self->path),
                .etag = self->etag != NULL ? hp_strdup(self->etag) : NULL,
                .set_aside = self->set_aside != NULL ? hp_strdup(self->set_aside) : NULL},
    };
    hp_pending_add(&self->item->pending);
    hp_store_post(self->item->download->transfer->store, HP_STORE_WRITE_LAZY, work_save, on_saved, job);
}

static void cancel_leases(const source_t *self)
{
    for (lease_t *lease = self->item->leases; lease != NULL; lease = lease->next)
        if (lease->source == self)
            hp_lease_cancel(lease);
}

void hp_source_set_aside(source_t *self, int code, const char *why)
{
    if (self->set_aside != NULL)
        return;
    self->set_aside = hp_strdup(why);
    self->code = code;
    snprintf(self->host->error, sizeof self->host->error, "%.*s", (int)hp_utf8_prefix(why, strlen(why), 199),
             why);
    hp_log(HP_LOG_WARN, "download %lld: %s is set aside for %s: %s", (long long)self->item->row.download,
           self->host->id, self->item->row.path, why);
    hp_source_save(self);
    cancel_leases(self);
    hp_download_changed(self->item->download);
}

bool hp_source_has_others(const source_t *self)
{
    for (const source_t *other = self->item->sources; other != NULL; other = other->next)
        if (other != self && hp_source_is_eligible(other))
            return true;
    return false;
}

void hp_source_sent_wrong(source_t *self, uint64_t chunk)
{
    char why[160];
    snprintf(why, sizeof why, "It sent bytes with a wrong hash (chunk %llu)", (unsigned long long)chunk);
    if (self->digest_errors == 0 && !hp_source_has_others(self)) {
        /* Its file may have been rewritten while it was being sent: asked once more, it tells of another
         * version then. What it is sending now is not worth a look. */
        self->digest_errors++;
        cancel_leases(self);
        hp_source_host_failed(self->host, why, -1);
        return;
    }
    self->host->banned = !self->item->download->row.folder;
    hp_source_set_aside(self, HP_E_WRONG_DIGEST, why);
}

void hp_source_delivered(source_t *self)
{
    self->host->retry.failures = 0; /* a pause that has begun goes on: chunks still come from before it */
    if (hp_source_is_eligible(self))
        self->host->error[0] = '\0';
}

void hp_source_host_failed(source_host_t *self, const char *error, int retry_after_s)
{
    snprintf(self->error, sizeof self->error, "%.*s", (int)hp_utf8_prefix(error, strlen(error), 199), error);
    hp_download_changed(self->download);
    uint64_t now = hp_clock_ms();
    self->connected = false;
    if (retry_after_s < 0 && self->retry.failures > 0 && !hp_retry_is_due(&self->retry, now))
        return; /* several connections, lost with one network: that counts once */
    self->endpoint_index++;
    if (retry_after_s < 0)
        hp_retry_failed(&self->retry, &hp_transfer_backoff, now);
    else
        hp_retry_asked_to_wait(&self->retry, &hp_transfer_backoff, now, (uint64_t)retry_after_s * 1000);
}

static bool has_eligible_source(const source_host_t *self)
{
    bool any = false;
    for (const item_t *item = self->download->items; item != NULL; item = item->next)
        for (const source_t *s = item->sources; s != NULL; s = s->next)
            if (s->host == self) {
                if (s->set_aside == NULL)
                    return true;
                any = true;
            }
    return !any;
}

hp_source_state_t hp_source_host_state(const source_host_t *self, uint64_t now_ms)
{
    if (self->banned)
        return HP_SOURCE_BANNED;
    if (self->lease_count > 0)
        return self->connected ? HP_SOURCE_ACTIVE : HP_SOURCE_CONNECTING;
    if (!has_eligible_source(self))
        return HP_SOURCE_FAILED;
    if (hp_download_is_running(self->download)) {
        if (!hp_retry_is_due(&self->retry, now_ms))
            return HP_SOURCE_WAITING;
        const known_host_t *host = hp_transfer_known(self->download->transfer, self->id);
        if (self->kind != &hp_source_web && (host == NULL || !host->online))
            return HP_SOURCE_WAITING;
    } else if (self->download->items == NULL && self->error[0] != '\0') {
        return HP_SOURCE_FAILED; /* so it ended for this source */
    }
    return HP_SOURCE_IDLE;
}

/* ---- other hosts with the same content ---- */

typedef struct find_copies {
    item_t *item;
    char root[65];
    int64_t size;
    hp_remote_files_t files;
} find_copies_t;

static int work_copies(hp_db_t *db, void *arg, hp_err_t *err)
{
    find_copies_t *job = arg;
    return hp_remote_file_by_root(db, job->root, job->size, SOURCES_MAX, &job->files, err);
}

static void on_copies(void *arg, int status, const hp_err_t *err)
{
    find_copies_t *job = arg;
    item_t *item = job->item;
    if (status != 0)
        hp_log(HP_LOG_ERROR, "looking for other sources of %s: %s", item->row.path, hp_err_text(err));
    if (status == 0 && item->phase < ITEM_FINISHING && item->row.root != NULL &&
        strcmp(item->row.root, job->root) == 0) {
        for (size_t i = 0; i < job->files.count; i++) {
            const hp_remote_file_t *file = &job->files.items[i];
            if (!item->size_known || file->size < 0 || (uint64_t)file->size == item->size)
                hp_source_get(item, file->host, file->path);
        }
    }
    hp_remote_files_dispose(&job->files);
    free(job);
    hp_pending_drop(&item->pending);
    hp_transfer_wake(item->download->transfer);
}

void hp_item_find_sources(item_t *item)
{
    const hp_download_row_t *order = &item->download->row;
    if (order->order_url != NULL) {
        char origin[80];
        hp_web_origin(order->order_url, origin, sizeof origin);
        hp_source_get(item, origin, order->order_url);
    } else if (order->order_host != NULL) {
        hp_source_get(item, order->order_host, item->row.source_path);
    }
    if (item->row.root == NULL || order->order_url != NULL)
        return;
    find_copies_t *job = hp_alloc(sizeof *job);
    job->item = item;
    snprintf(job->root, sizeof job->root, "%s", item->row.root);
    job->size = item->size_known ? (int64_t)item->size : item->row.size;
    hp_pending_add(&item->pending);
    hp_store_post(item->download->transfer->store, HP_STORE_READ, work_copies, on_copies, job);
}
