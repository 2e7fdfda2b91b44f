/* One order: its state, and the files of it that are under way.
 *
 *   QUEUED -> RUNNING -> DONE | FAILED
 *   QUEUED | RUNNING | VERIFYING -> PAUSED -> QUEUED
 *   any but RUNNING -> VERIFYING -> RUNNING | DONE | FAILED      (recheck)
 *
 * hp_download_set_state is the only writer of the state. A state in which nothing runs is entered at once;
 * the items end in the background, and what is to come next (a new run, a removal) waits in
 * hp_download_settle until they are gone. */
#include "transfer/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *hp_download_state_name(hp_download_state_t state)
{
    static const char *const names[] = {
#define X(name, text) text,
        HP_DOWNLOAD_STATES(X)
#undef X
    };
    return names[state];
}

bool hp_download_is_running(const download_t *self)
{
    return self->state == HP_DOWNLOAD_RUNNING || self->state == HP_DOWNLOAD_VERIFYING;
}

void hp_download_changed(download_t *self)
{
    const hp_transfer_hooks_t *hooks = &self->transfer->hooks;
    if (hooks->changed != NULL && !self->removing)
        hooks->changed(hooks->arg, self->row.id);
}

/* ---- rows ---- */

typedef struct save_download {
    download_t *download;
    hp_download_row_t row;
    hp_download_fn done;
    void *arg;
} save_download_t;

static int work_save(hp_db_t *db, void *arg, hp_err_t *err)
{
    return hp_db_download_update(db, &((save_download_t *)arg)->row, err);
}

static void on_saved(void *arg, int status, const hp_err_t *err)
{
    save_download_t *job = arg;
    download_t *self = job->download;
    if (status != 0)
        hp_log(HP_LOG_ERROR, "download %lld: recording its state: %s", (long long)self->row.id,
               hp_err_text(err));
    if (job->done != NULL)
        job->done(job->arg, status, self->row.id, false, err);
    free(job->row.path);
    free(job->row.base);
    free(job->row.state);
    free(job->row.reason);
    free(job->row.error_detail);
    free(job->row.note);
    hp_transfer_wake(self->transfer);
    free(job);
}

void hp_download_save(download_t *self, hp_download_fn done, void *arg)
{
    save_download_t *job = hp_alloc(sizeof *job);
    *job = (save_download_t){.download = self, .row = self->row, .done = done, .arg = arg};
    job->row.path = hp_strdup(self->row.path);
    job->row.base = hp_strdup(self->row.base);
    job->row.state = hp_strdup(hp_download_state_name(self->state));
    job->row.reason = hp_strdup(self->row.reason);
    job->row.error_detail = hp_strdup(self->row.error_detail);
    job->row.note = hp_strdup(self->row.note);
    hp_store_post_counted(self->transfer->store, &self->pending, HP_STORE_WRITE, work_save, on_saved, job);
}

static void set_text(char **text, const char *value)
{
    char *copy = hp_strdup(value); /* value may be *text */
    free(*text);
    *text = copy;
}

static bool has_failed_files(const download_t *self)
{
    for (const item_t *item = self->items; item != NULL; item = item->next)
        if (item->phase == ITEM_FAILED)
            return true;
    return self->row.files_failed > 0;
}

void hp_download_set_state(download_t *self, hp_download_state_t state, const char *reason, int error_code,
                           const char *error_detail)
{
    hp_log(HP_LOG_INFO, "download %lld (%s): %s -> %s%s%s", (long long)self->row.id, self->name,
           hp_download_state_name(self->state), hp_download_state_name(state), reason[0] != '\0' ? ": " : "",
           reason);
    bool final = state == HP_DOWNLOAD_DONE || state == HP_DOWNLOAD_FAILED || state == HP_DOWNLOAD_CANCELLED;
    self->transfer->counts[self->state]--;
    self->transfer->counts[state]++;
    self->state = state;
    hp_transfer_activate(self->transfer, self);
    self->waits = false;
    self->row.finished_at = final ? hp_clock_wall_ms() : 0;
    set_text(&self->row.reason, reason);
    if (error_code != 0 ||
        !has_failed_files(self)) { /* why a file failed stays on record as long as it has */
        self->row.error_code = error_code;
        set_text(&self->row.error_detail, error_detail);
    }
    hp_download_save(self, NULL, NULL);
    hp_download_changed(self);
}

void hp_download_set_reason(download_t *self, const char *reason)
{
    set_text(&self->row.reason, reason);
    hp_download_save(self, NULL, NULL);
    hp_download_changed(self);
}

/* ---- files ---- */

typedef struct load_files {
    download_t *download;
    int64_t id, after;
    bool all; /* done ones as well: a recheck */
    size_t max, count;
    hp_download_file_row_t rows[ITEMS_MAX];
} load_files_t;

static int work_files(hp_db_t *db, void *arg, hp_err_t *err)
{
    load_files_t *job = arg;
    if (job->all)
        return hp_db_download_file_page(db, job->id, job->after, job->rows, job->max, &job->count, err);
    return hp_db_download_file_next(db, job->id, job->after, job->rows, job->max, &job->count, err);
}

item_t *hp_download_take_up(download_t *self, hp_download_file_row_t *row)
{
    hp_sums_add(&self->row, row, row->chunks_done, -1);
    item_t *item = hp_item_create(self, row);
    item_t **end = &self->items;
    while (*end != NULL)
        end = &(*end)->next;
    *end = item;
    self->item_count++;
    hp_item_start(item);
    return item;
}

void hp_download_row_changed(download_t *self, const hp_download_file_row_t *before,
                             const hp_download_file_row_t *after)
{
    hp_sums_add(&self->row, before, before->chunks_done, -1);
    hp_sums_add(&self->row, after, after->chunks_done, 1);
    if (after->chunk_size > self->row.chunk_size)
        self->row.chunk_size = after->chunk_size;
}

void hp_download_count_bytes(download_t *self, source_host_t *host, uint64_t bytes)
{
    hp_transfer_t *transfer = self->transfer;
    uint64_t now = uv_now(transfer->loop);
    hp_bucket_take(&transfer->bucket, bytes);
    hp_bucket_take(&self->bucket, bytes);
    hp_meter_add(&transfer->meter, bytes, now);
    hp_meter_add(&self->meter, bytes, now);
    hp_meter_add(&host->meter, bytes, now);
    transfer->received += bytes;
}

static void on_files(void *arg, int status, const hp_err_t *err)
{
    load_files_t *job = arg;
    download_t *self = job->download;
    self->files_loading = false;
    bool damaged = status == HP_E_DB || status == HP_E_DB_DAMAGED; /* it does not get better by itself */
    if (damaged && hp_download_is_running(self))
        hp_download_stop(self, HP_DOWNLOAD_FAILED, hp_err_text(err), HP_E_DB, hp_err_text(err));
    else if (status != 0)
        hp_download_disk_failed(self, status, err);
    bool wanted = status == 0 && hp_download_is_running(self) && !self->removing && !self->transfer->stopping;
    for (size_t i = 0; i < job->count; i++) {
        hp_download_file_row_t *row = &job->rows[i];
        if (wanted) {
            self->file_after = row->id;
            if (!hp_bundle_takes(self, row))
                hp_download_take_up(self, row);
        }
        hp_download_file_row_dispose(row);
    }
    self->files_ended = wanted && job->count < job->max;
    hp_transfer_wake(self->transfer);
    free(job);
}

static void load_files(download_t *self)
{
    load_files_t *job = hp_alloc(sizeof *job);
    *job = (load_files_t){.download = self,
                          .id = self->row.id,
                          .after = self->file_after,
                          .all = self->recheck,
                          .max = ITEMS_MAX - self->item_count};
    self->files_loading = true;
    hp_store_post_counted(self->transfer->store, &self->pending, HP_STORE_READ, work_files, on_files, job);
}

static void end_run(download_t *self)
{
    if (self->row.files_failed > 0 || self->row.error_code != 0) {
        char reason[500];
        const char *detail = self->row.error_detail[0] != '\0' ? self->row.error_detail
                             : self->row.error_code != 0       ? hp_err_sentence(self->row.error_code)
                                                               : "the reason is not on record";
        if (self->row.folder)
            snprintf(reason, sizeof reason, "%lld of %lld files failed; the last: %s",
                     (long long)self->row.files_failed, (long long)self->row.files_total, detail);
        else
            snprintf(reason, sizeof reason, "%s", detail);
        hp_download_set_state(self, HP_DOWNLOAD_FAILED, reason, self->row.error_code, detail);
    } else {
        hp_download_set_state(self, HP_DOWNLOAD_DONE, "", 0, "");
    }
}

static bool checks(const download_t *self)
{
    if (self->files_loading)
        return true;
    for (const item_t *item = self->items; item != NULL; item = item->next)
        if (item->phase == ITEM_LOADING || item->phase == ITEM_OPENING || item->phase == ITEM_CHECKING)
            return true;
    return false;
}

static void set_waits(download_t *self, bool waits)
{
    if (self->waits == waits)
        return;
    self->waits = waits;
    hp_log(HP_LOG_INFO, "download %lld (%s): %s", (long long)self->row.id, self->name,
           waits ? "waiting for a source" : "has a source again");
    hp_download_changed(self);
}

void hp_download_schedule(download_t *self)
{
    if (!hp_download_is_running(self) || self->removing)
        return;
    bool works = hp_bundle_schedule(self);
    if (!hp_download_is_running(self))
        return;
    if (!self->files_loading && !self->files_ended && self->item_count < ITEMS_MAX / 2 + 1 &&
        self->line.rows.count - self->line.first < ITEMS_MAX / 2)
        load_files(self);
    works |= self->files_loading;
    for (item_t *item = self->items; item != NULL && hp_download_is_running(self); item = item->next)
        works |= hp_item_schedule(item);
    if (!hp_download_is_running(self))
        return;
    if (self->state == HP_DOWNLOAD_VERIFYING && !checks(self) && self->items != NULL) {
        self->recheck = false;
        hp_download_set_state(self, HP_DOWNLOAD_RUNNING, self->row.reason, self->row.error_code,
                              self->row.error_detail);
    } else if (self->state == HP_DOWNLOAD_RUNNING && checks(self) && self->items != NULL) {
        for (const item_t *item = self->items; item != NULL; item = item->next)
            if (item->phase == ITEM_CHECKING) {
                hp_download_set_state(self, HP_DOWNLOAD_VERIFYING, self->row.reason, 0, "");
                break;
            }
    }
    if (self->items == NULL && self->files_ended && hp_bundle_is_idle(self)) {
        if (self->row.folder && !self->folders_made) {
            hp_download_make_folders(self);
            return;
        }
        self->recheck = false;
        end_run(self);
        return;
    }
    bool ending = false; /* items that are through, but not yet gone */
    for (const item_t *item = self->items; item != NULL; item = item->next)
        ending |= item->phase >= ITEM_DONE;
    set_waits(self, !works && !ending && self->items != NULL);
}

bool hp_download_is_back(const download_t *self)
{
    if (!self->waits || !hp_download_is_running(self) || self->removing)
        return false;
    for (const item_t *item = self->items; item != NULL; item = item->next)
        if (hp_item_can_fetch(item))
            return true;
    return false;
}

void hp_download_go_on(download_t *self)
{
    set_waits(self, false);
    hp_download_schedule(self);
}

void hp_download_run(download_t *self)
{
    self->file_after = 0;
    self->files_ended = self->folders_made = false;
    hp_download_set_state(self, self->recheck ? HP_DOWNLOAD_VERIFYING : HP_DOWNLOAD_RUNNING, "", 0, "");
    hp_download_schedule(self);
}

/* ---- the end of a run ---- */

void hp_download_stop(download_t *self, hp_download_state_t state, const char *reason, int error_code,
                      const char *error_detail)
{
    for (item_t *item = self->items; item != NULL; item = item->next)
        hp_item_stop(item);
    hp_bundle_stop(self);
    self->recheck = false;
    hp_download_set_state(self, state, reason, error_code, error_detail);
    hp_transfer_wake(self->transfer);
}

void hp_download_reopen_items(download_t *self)
{
    for (item_t *item = self->items; item != NULL; item = item->next)
        if (strcmp(item->row.state, "failed") == 0)
            set_text(&item->row.state, "open");
}

static void add_note(download_t *self, const char *words)
{
    char *note = hp_sprintf("%s%s%s", self->row.note, self->row.note[0] != '\0' ? "; " : "", words);
    free(self->row.note);
    self->row.note = note;
}

void hp_download_item_done(download_t *self, item_t *item)
{
    hp_retry_reset(&self->disk);
    if (item->maybe_cut && !self->row.folder)
        add_note(self, "The server did not say how long the file is: it may be cut short");
    if (item->grows && !item->row.verified && !self->row.folder)
        add_note(self, "The file grows at the source: this is what it was when the source opened it");
    if (!self->row.folder && strcmp(self->row.path, item->row.path) != 0) {
        set_text(&self->row.path, item->row.path);
        set_text(&self->name, hp_path_name(self->row.path));
    }
    if (!self->row.folder && item->row.root != NULL)
        self->row.root = (free(self->row.root), hp_strdup(item->row.root));
    hp_download_changed(self);
}

void hp_download_item_failed(download_t *self, item_t *item, int code, const char *detail)
{
    hp_log(HP_LOG_WARN, "download %lld: %s failed: %s", (long long)self->row.id, item->row.path, detail);
    self->row.error_code = code;
    char *text =
        self->row.folder ? hp_sprintf("%s: %s", hp_path_name(item->row.path), detail) : hp_strdup(detail);
    set_text(&self->row.error_detail, text);
    free(text);
    hp_download_save(self, NULL, NULL); /* a restart in the middle does not forget why */
    hp_download_changed(self);
}

/* What a person reads of a failure that passes by itself. */
typedef struct trouble {
    int code; /* told in the API */
    const char *words, *outlook;
    bool of_disk; /* all downloads on the same file system have it */
} trouble_t;

static trouble_t trouble_of(int code)
{
    static const char again[] = "it is tried again by itself";
    switch (code) {
    case HP_E_NO_SPACE:
    case -ENOSPC:
    case -EDQUOT:
        return (trouble_t){HP_E_NO_SPACE, "The disk is full", "it goes on by itself when there is room",
                           true};
    case HP_E_NO_DISK:
        return (trouble_t){HP_E_NO_DISK, "The disk is not there", "it goes on by itself when it is back",
                           true};
    case HP_E_DB_DAMAGED:
        return (trouble_t){HP_E_DB_DAMAGED, "The database is damaged",
                           "when hostpair is started again, it keeps what can be read of it and goes on",
                           false};
    case HP_E_DB:
    case HP_E_BUSY: /* another program holds it */
        return (trouble_t){HP_E_DB, "The database cannot be used", again, false};
    case -EMFILE:
    case -ENFILE:
        return (trouble_t){HP_E_BUSY, "Too many files and connections are open", again, false};
    case -ENOMEM:
        return (trouble_t){HP_E_BUSY, "There is not enough memory", again, false};
    default:
        return (trouble_t){HP_E_DISK, "The disk does not work", again, true};
    }
}

/* The disk was pulled out, or the server or program behind it does not answer. */
static bool is_cut_off(int code)
{
    return code == -ENODEV || code == -ENXIO || code == -ENOTCONN || code == -ECONNABORTED ||
           code == -ESTALE || code == -EHOSTDOWN || code == -ESHUTDOWN || code == -ENOLINK;
}

bool hp_download_trouble_passes(int code)
{
    return is_cut_off(code) || code == HP_E_NO_DISK || code == HP_E_NO_SPACE || code == -ENOSPC ||
           code == -EDQUOT || code == -EIO || code == -EROFS || code == -EMFILE || code == -ENFILE ||
           code == -ENOMEM || code == -EINTR || code == -EAGAIN;
}

void hp_download_disk_failed(download_t *self, int code, const hp_err_t *err)
{
    if (!hp_download_is_running(self))
        return;
    self->disk_need = 0;
    for (const item_t *item = self->items; item != NULL; item = item->next)
        if (item->size_known && item->phase < ITEM_DONE)
            self->disk_need += item->ready && item->row.part != NULL ? 0 : item->size;
    trouble_t trouble = trouble_of(code);
    char reason[500];
    snprintf(reason, sizeof reason, "%s (%s); %s", trouble.words, hp_err_text(err), trouble.outlook);
    self->row.disk_wait = true;
    /* A quota, or a full disk under the database, is not seen in the free bytes: later and later. */
    static const hp_retry_policy_t policy = {DISK_LOOK_MS, DISK_WAIT_MAX_MS, HP_RETRY_JITTER};
    /* As soon as there is room, or the disk. */
    bool at_once =
        trouble.code == HP_E_NO_DISK || (trouble.code == HP_E_NO_SPACE && self->disk.failures == 0);
    hp_retry_failed(&self->disk, &policy, hp_clock_ms());
    if (at_once)
        self->disk.at = 0;
    hp_download_stop(self, HP_DOWNLOAD_PAUSED, reason, trouble.code, hp_err_text(err));
    if (trouble.of_disk)
        hp_transfer_disk_failed(self->transfer, self, code, err);
}

void hp_download_write_failed(download_t *self, int code, const hp_err_t *err)
{
    self->sums_stale = true;
    hp_download_disk_failed(self, code, err);
}

void hp_download_settle(download_t *self)
{
    for (item_t **link = &self->items; *link != NULL;) {
        item_t *item = *link;
        if (item->phase < ITEM_DONE || !hp_pending_is_none(&item->pending)) {
            link = &item->next;
            continue;
        }
        *link = item->next;
        self->item_count--;
        bool unread = item->chunks == 0 && item->row.chunks_done > 0; /* it went before its rows were read */
        hp_sums_add(&self->row, &item->row, unread ? item->row.chunks_done : (int64_t)item->done.count, 1);
        if (item->row.chunk_size > self->row.chunk_size)
            self->row.chunk_size = item->row.chunk_size;
        hp_item_free(item);
        hp_download_changed(self);
    }
    hp_sums_read(self);
}

void hp_download_free(download_t *self)
{
    while (self->hosts != NULL) {
        source_host_t *host = self->hosts;
        self->hosts = host->next;
        free(host);
    }
    hp_bundle_stop(self);
    hp_download_row_dispose(&self->row);
    free(self->name);
    free(self->source_infos);
    free(self->header_lines);
    free(self);
}
