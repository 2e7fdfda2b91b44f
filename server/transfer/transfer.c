/* The queue: which downloads run, what is known of hosts, what people order, and the tick. */
#include "transfer/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "os/boot.h"

#define THROTTLE_MS 10 /* leases that a limit holds are looked at so often */
#define DISK_LOOKS  64 /* folders whose file system is looked at in one go */

/* ---- finding ---- */

download_t *hp_transfer_find(const hp_transfer_t *self, int64_t id)
{
    for (download_t *download = self->downloads; download != NULL; download = download->next)
        if (download->row.id == id && !download->removing)
            return download;
    return NULL;
}

known_host_t *hp_transfer_known(const hp_transfer_t *self, const char *id)
{
    for (known_host_t *host = self->hosts; host != NULL; host = host->next)
        if (strcmp(host->id, id) == 0)
            return host;
    return NULL;
}

void hp_transfer_enliven(hp_transfer_t *self, download_t *download)
{
    if (download->live)
        return;
    download->live = true;
    download->next_live = self->live;
    self->live = download;
}

static bool waits_for_disk(const download_t *d)
{
    return d->row.disk_wait && d->state == HP_DOWNLOAD_PAUSED;
}

/* Takes those that rest off the list of the living, so that a turn does not look at every download there ever
 * was. */
static void drop_resting(hp_transfer_t *self)
{
    for (download_t **link = &self->live; *link != NULL;) {
        download_t *d = *link;
        bool rests = !hp_download_active(d) && d->state != HP_DOWNLOAD_QUEUED && d->items == NULL &&
                     !d->files_loading && !d->removing && !waits_for_disk(d);
        if (rests) {
            d->live = false;
            *link = d->next_live;
        } else {
            link = &d->next_live;
        }
    }
}

void hp_transfer_unlink(hp_transfer_t *self, download_t *download)
{
    self->cursor = NULL;
    for (download_t **link = &self->live; *link != NULL; link = &(*link)->next_live)
        if (*link == download) {
            *link = download->next_live;
            break;
        }
    for (download_t **link = &self->downloads; *link != NULL; link = &(*link)->next)
        if (*link == download) {
            *link = download->next;
            self->count--;
            return;
        }
}

/* ---- the turn ---- */

static bool before(const download_t *a, const download_t *b)
{
    if (a->row.priority != b->row.priority)
        return a->row.priority > b->row.priority;
    return a->row.id < b->row.id;
}

static bool wants_place(const download_t *d)
{
    if (d->removing)
        return false;
    if (d->state == HP_DOWNLOAD_QUEUED)
        return d->items == NULL && !d->files_loading;
    return hp_download_is_back(d);
}

/* Rule 10: what waits for a source takes no place. When its source is back it needs one like the others, and
 * is queued where there is none. */
static void fill_places(hp_transfer_t *self)
{
    self->running = 0;
    for (const download_t *d = self->live; d != NULL; d = d->next_live)
        self->running += hp_download_active(d) && !d->waits;
    while (self->running < self->running_max) {
        download_t *next = NULL;
        for (download_t *d = self->live; d != NULL; d = d->next_live)
            if (wants_place(d) && (next == NULL || before(d, next)))
                next = d;
        if (next == NULL)
            return;
        if (next->state == HP_DOWNLOAD_QUEUED) {
            hp_download_run(next);
        } else {
            hp_download_go_on(next);
            if (next->waits)
                return; /* not yet, after all: the next turn sees */
        }
        self->running += hp_download_active(next) && !next->waits;
    }
    for (download_t *d = self->live; d != NULL; d = d->next_live)
        if (wants_place(d) && d->state != HP_DOWNLOAD_QUEUED)
            hp_download_stop(d, HP_DOWNLOAD_QUEUED, "", 0, "");
}

static void on_turn(uv_idle_t *turn)
{
    hp_transfer_t *self = HP_CONTAINER(turn, hp_transfer_t, turn);
    uv_idle_stop(turn);
    self->turn_wanted = false;
    for (download_t *d = self->live, *next; d != NULL; d = next) {
        next = d->next_live;
        hp_download_settle(d);
        if (!self->stopping && !hp_download_is_back(d)) /* those need a place first */
            hp_download_schedule(d);
    }
    if (!self->stopping && self->started)
        fill_places(self);
    hp_content_wake(self);
    for (download_t *d = self->live, *next; d != NULL; d = next) {
        next = d->next_live;
        hp_download_continue_removal(d);
    }
    drop_resting(self);
    hp_transfer_maybe_closed(self);
}

void hp_transfer_wake(hp_transfer_t *self)
{
    if (self->turn_wanted)
        return;
    self->turn_wanted = true;
    uv_idle_start(&self->turn, on_turn);
}

/* Calls fn for each held lease from number first on, up to number end; returns how many there are. */
static size_t each_held(hp_transfer_t *self, size_t first, size_t end, void (*fn)(lease_t *lease))
{
    size_t count = 0;
    for (download_t *d = self->live; d != NULL; d = d->next_live)
        for (item_t *item = d->items; item != NULL; item = item->next)
            for (lease_t *lease = item->leases; lease != NULL; lease = lease->next)
                if (lease->held && count++ >= first && count <= end)
                    fn(lease);
    return count;
}

void hp_transfer_resume_held(hp_transfer_t *self)
{
    size_t held = each_held(self, 0, 0, NULL);
    if (held == 0)
        return;
    /* Under a limit only those that come first get something: every time another one does. */
    size_t first = self->held_turn++ % held;
    each_held(self, first, held, hp_lease_resume);
    each_held(self, 0, first, hp_lease_resume); /* these still stand before the ones that went on */
}

static void on_room(void *arg)
{
    hp_transfer_resume_held(arg);
}

static void on_throttle(uv_timer_t *timer)
{
    hp_transfer_resume_held(HP_CONTAINER(timer, hp_transfer_t, throttle));
}

void hp_transfer_throttle(hp_transfer_t *self)
{
    if (!uv_is_active((uv_handle_t *)&self->throttle))
        uv_timer_start(&self->throttle, on_throttle, THROTTLE_MS, 0);
}

/* ---- disks ---- */

typedef struct disk_look {
    uv_work_t work;
    hp_transfer_t *transfer;
    size_t count;
    struct disk_folder {
        char *base;
        uint64_t bytes, device;
        int status;
    } folders[DISK_LOOKS]; /* the first is the downloads folder of now */
} disk_look_t;

static void on_disk_work(uv_work_t *work)
{
    disk_look_t *job = HP_CONTAINER(work, disk_look_t, work);
    for (size_t i = 0; i < job->count; i++) {
        struct disk_folder *folder = &job->folders[i];
        folder->status = hp_part_free_bytes(folder->base, &folder->bytes, &folder->device);
    }
}

static struct disk_folder *find_folder(disk_look_t *job, const char *base)
{
    for (size_t i = 0; i < job->count; i++)
        if (strcmp(job->folders[i].base, base) == 0)
            return &job->folders[i];
    return NULL;
}

/* The others on its file system are given what is left. */
static void promise_room(disk_look_t *job, const download_t *d)
{
    for (size_t i = 0; i < job->count; i++)
        if (job->folders[i].device == d->device)
            job->folders[i].bytes -= HP_MIN(job->folders[i].bytes, d->disk_need);
}

static void on_disk_looked(uv_work_t *work, int status)
{
    disk_look_t *job = HP_CONTAINER(work, disk_look_t, work);
    hp_transfer_t *self = job->transfer;
    self->jobs--;
    self->disk_looking = false;
    if (status == 0 && job->folders[0].status == 0)
        self->free_bytes = job->folders[0].bytes;
    for (download_t *d = self->live; d != NULL; d = d->next_live) {
        struct disk_folder *folder = find_folder(job, d->row.base);
        if (status != 0 || folder == NULL || folder->status != 0)
            continue;
        d->device = folder->device;
        if (waits_for_disk(d) && hp_clock_ms() >= d->disk_at &&
            folder->bytes >= HP_MAX(d->disk_need, (uint64_t)DISK_MARGIN)) {
            promise_room(job, d);
            d->row.disk_wait = false;
            hp_download_set_state(d, HP_DOWNLOAD_QUEUED, "There is room on the disk again", 0, "");
        }
    }
    for (size_t i = 0; i < job->count; i++)
        free(job->folders[i].base);
    hp_transfer_wake(self);
    free(job);
}

static void look_at_disks(hp_transfer_t *self)
{
    if (self->disk_looking || self->stopping)
        return;
    disk_look_t *job = hp_alloc(sizeof *job);
    job->transfer = self;
    job->folders[job->count++].base = hp_strdup(self->folder);
    for (const download_t *d = self->live; d != NULL && job->count < DISK_LOOKS; d = d->next_live)
        if ((hp_download_active(d) || waits_for_disk(d)) && find_folder(job, d->row.base) == NULL)
            job->folders[job->count++].base = hp_strdup(d->row.base);
    self->disk_looking = true;
    self->disk_looked_at = uv_now(self->loop);
    self->jobs++;
    uv_queue_work(self->loop, &job->work, on_disk_work, on_disk_looked);
}

/* A new download's device is known at the next look. */
static bool is_on_same_disk(const download_t *a, const download_t *b)
{
    return (a->device != 0 && a->device == b->device) || strcmp(a->row.base, b->row.base) == 0;
}

void hp_transfer_disk_full(hp_transfer_t *self, const download_t *first, bool full, const hp_err_t *err)
{
    for (download_t *d = self->live; d != NULL; d = d->next_live)
        if (d != first && hp_download_active(d) && is_on_same_disk(d, first))
            hp_download_disk_failed(d, full ? HP_E_NO_SPACE : HP_E_DISK, err);
}

/* ---- the tick ---- */

static bool wants(const download_t *download, const char *host)
{
    if (!hp_download_active(download) && download->state != HP_DOWNLOAD_QUEUED)
        return false;
    if (download->row.order_host != NULL && strcmp(download->row.order_host, host) == 0)
        return true;
    for (const peer_t *peer = download->peers; peer != NULL; peer = peer->next)
        if (strcmp(peer->id, host) == 0 && !peer->banned)
            return true;
    return false;
}

static void tell_waiting(hp_transfer_t *self)
{
    if (self->hooks.waiting == NULL)
        return;
    for (known_host_t *host = self->hosts; host != NULL; host = host->next) {
        bool waited = false;
        for (const download_t *d = self->live; d != NULL && !waited && !host->online; d = d->next_live)
            waited = wants(d, host->id);
        if (waited != host->waited) {
            host->waited = waited;
            self->hooks.waiting(self->hooks.arg, host->id, waited);
        }
    }
}

static void on_tick(uv_timer_t *timer)
{
    hp_transfer_t *self = HP_CONTAINER(timer, hp_transfer_t, tick);
    for (download_t *d = self->live; d != NULL; d = d->next_live)
        if (hp_download_active(d))
            hp_download_changed(d);
    tell_waiting(self);
    if (uv_now(self->loop) - self->disk_looked_at >= DISK_LOOK_MS)
        look_at_disks(self);
    hp_transfer_wake(self);
}

/* ---- hosts ---- */

static void drop_urls(known_host_t *host)
{
    for (size_t i = 0; i < host->url_count; i++)
        free(host->urls[i]);
    free(host->urls);
    host->urls = NULL;
    host->url_count = 0;
}

/* A host is back: what waited for it is tried at once, and so are hash trees that did not come. */
static void forget_failures(hp_transfer_t *self, const char *id)
{
    for (download_t *d = self->live; d != NULL; d = d->next_live) {
        for (peer_t *peer = d->peers; peer != NULL; peer = peer->next)
            if (strcmp(peer->id, id) == 0) {
                peer->failures = 0;
                peer->retry_at = 0;
                peer->url_index = 0;
            }
        for (item_t *item = d->items; item != NULL; item = item->next)
            for (source_t *source = item->sources; source != NULL; source = source->next)
                if (strcmp(source->peer->id, id) == 0) {
                    source->manifest_failed = false;
                    source->manifest_lost = 0;
                }
    }
}

void hp_transfer_host(hp_transfer_t *self, const char *id, const char *name, const char *const *urls,
                      size_t count, bool online)
{
    known_host_t *host = hp_transfer_known(self, id);
    if (host == NULL) {
        host = hp_alloc(sizeof *host);
        snprintf(host->id, sizeof host->id, "%s", id);
        host->next = self->hosts;
        self->hosts = host;
    }
    snprintf(host->name, sizeof host->name, "%s", name);
    if (online && !host->online)
        forget_failures(self, id);
    host->online = online;
    drop_urls(host);
    host->urls = hp_alloc_array(count, sizeof *host->urls);
    for (size_t i = 0; i < count; i++)
        host->urls[i] = hp_strdup(urls[i]);
    host->url_count = count;
    hp_transfer_wake(self);
}

void hp_transfer_host_listed(hp_transfer_t *self, const char *host)
{
    (void)host; /* its list may name any content that is wanted */
    for (download_t *d = self->live; d != NULL; d = d->next_live)
        for (item_t *item = d->items; item != NULL && hp_download_active(d); item = item->next)
            if (item->phase > ITEM_LOADING && item->phase < ITEM_FINISHING && item->row.root != NULL)
                hp_item_find_sources(item);
}

void hp_transfer_host_removed(hp_transfer_t *self, const char *id)
{
    for (known_host_t **link = &self->hosts; *link != NULL; link = &(*link)->next)
        if (strcmp((*link)->id, id) == 0) {
            known_host_t *host = *link;
            *link = host->next;
            drop_urls(host);
            free(host);
            break;
        }
    hp_transfer_wake(self);
}

void hp_transfer_set_hooks(hp_transfer_t *self, const hp_transfer_hooks_t *hooks)
{
    self->hooks = *hooks;
}

/* ---- what people do ---- */

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
    return d->state == HP_DOWNLOAD_QUEUED || hp_download_active(d);
}

static void forgive(download_t *download)
{
    for (peer_t *peer = download->peers; peer != NULL; peer = peer->next) {
        peer->failures = 0;
        peer->retry_at = 0;
        peer->banned = false;
        peer->error[0] = '\0';
    }
}

/* A person's pause ends by a person, not by room on the disk. */
static void pause_download(download_t *download)
{
    bool waited = waits_for_disk(download);
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
    download->disk_failures = 0;
    for (peer_t *peer = download->peers; peer != NULL; peer = peer->next)
        peer->retry_at = peer->failures = 0;
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
    download->jobs--;
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
        !hp_download_active(download)) {
        refuse_state(download, "tried again", done, arg);
        return;
    }
    forgive(download);
    download->row.disk_wait = false;
    hp_download_reopen_items(download);
    reopen_t *job = hp_alloc(sizeof *job);
    *job = (reopen_t){
        .download = download, .id = id, .failed = download->row.files_failed, .done = done, .arg = arg};
    download->row.files_failed = 0;
    /* Queued at once, not when the store has answered: what a person asks for meanwhile comes after it. The
     * next run reads the files' rows from the store behind this job. */
    hp_download_stop(download, HP_DOWNLOAD_QUEUED, "", 0, "");
    download->jobs++;
    hp_store_post(self->store, HP_STORE_WRITE, work_reopen, on_reopened, job);
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
    if (hp_download_active(download))
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
        if (!d->removing && (can_pause(d) || waits_for_disk(d)))
            pause_download(d);
}

void hp_transfer_resume_all(hp_transfer_t *self)
{
    for (download_t *d = self->downloads; d != NULL; d = d->next)
        if (d->state == HP_DOWNLOAD_PAUSED && !d->removing)
            resume(d);
}

/* ---- life ---- */

int hp_transfer_set(hp_transfer_t *self, const hp_transfer_settings_t *settings, hp_err_t *err)
{
    int rc = hp_make_folder(settings->downloads_folder, 0755);
    if (rc != 0)
        return hp_err_set(err, rc, "The downloads folder %s cannot be made: %s", settings->downloads_folder,
                          hp_err_sentence(rc));
    char *folder = hp_strdup(settings->downloads_folder);
    free(self->folder);
    self->folder = folder;
    self->running_max = HP_MAX(settings->running_downloads, 1u);
    self->connections = HP_MAX(settings->connections_per_source, 1u);
    hp_bucket_set(&self->bucket, settings->down_limit_bps);
    if (self->started) {
        self->disk_looked_at = 0;
        hp_transfer_resume_held(self);
        hp_transfer_wake(self);
    }
    return 0;
}

static void add_row(void *arg, const hp_download_row_t *row)
{
    hp_download_from_row(arg, row);
}

static int work_load(hp_db_t *db, void *arg, hp_err_t *err)
{
    return hp_db_download_each(db, add_row, arg, err);
}

int hp_transfer_create(hp_transfer_t **transfer, uv_loop_t *loop, hp_store_t *store, hp_fetcher_t *fetcher,
                       const hp_transfer_settings_t *settings, hp_err_t *err)
{
    hp_transfer_t *self = hp_alloc(sizeof *self);
    *self = (hp_transfer_t){.loop = loop, .store = store, .fetcher = fetcher};
    int rc = hp_transfer_set(self, settings, err);
    if (rc == 0 && (rc = hp_boot_id(self->boot_id)) != 0)
        hp_err_set(err, rc, "The kernel's boot id cannot be read: %s", hp_err_sentence(rc));
    /* The store's thread fills the list while this one waits. */
    if (rc == 0)
        rc = hp_store_run_now(store, HP_STORE_READ, work_load, self, err);
    if (rc != 0) {
        while (self->downloads != NULL) {
            download_t *d = self->downloads;
            hp_transfer_unlink(self, d);
            hp_download_free(d);
        }
        free(self->folder);
        free(self);
        return rc;
    }
    self->writer = hp_writer_create(loop, on_room, self);
    uv_timer_init(loop, &self->tick);
    uv_timer_init(loop, &self->throttle);
    uv_idle_init(loop, &self->turn);
    *transfer = self;
    return 0;
}

void hp_transfer_start(hp_transfer_t *self)
{
    self->started = true;
    uv_timer_start(&self->tick, on_tick, TICK_MS, TICK_MS);
    look_at_disks(self);
    hp_transfer_wake(self);
}

static void on_handle_closed(uv_handle_t *handle)
{
    hp_transfer_t *self = handle->data;
    if (--self->handles > 0)
        return;
    while (self->downloads != NULL) {
        download_t *d = self->downloads;
        self->downloads = d->next;
        hp_download_free(d);
    }
    while (self->hosts != NULL) {
        known_host_t *host = self->hosts;
        self->hosts = host->next;
        drop_urls(host);
        free(host);
    }
    hp_writer_destroy(self->writer);
    free(self->folder);
    void (*closed)(void *arg) = self->closed;
    void *arg = self->closed_arg;
    free(self);
    if (closed != NULL)
        closed(arg);
}

void hp_transfer_maybe_closed(hp_transfer_t *self)
{
    if (!self->stopping || self->handles > 0 || self->jobs > 0)
        return;
    for (const download_t *d = self->downloads; d != NULL; d = d->next)
        if (d->items != NULL || d->jobs > 0)
            return;
    uv_handle_t *handles[] = {(uv_handle_t *)&self->tick, (uv_handle_t *)&self->throttle,
                              (uv_handle_t *)&self->turn};
    for (size_t i = 0; i < HP_COUNT(handles); i++) {
        handles[i]->data = self;
        self->handles++;
        uv_close(handles[i], on_handle_closed);
    }
}

void hp_transfer_destroy(hp_transfer_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    self->stopping = true;
    self->hooks = (hp_transfer_hooks_t){0};
    uv_timer_stop(&self->tick);
    uv_timer_stop(&self->throttle);
    for (download_t *d = self->live; d != NULL; d = d->next_live)
        for (item_t *item = d->items; item != NULL; item = item->next)
            hp_item_stop(item);
    hp_transfer_wake(self);
}
