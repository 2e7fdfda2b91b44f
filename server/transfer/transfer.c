/* The queue: which downloads run, the turn of the loop in which work is handed out, the tick, start and end.
 */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

#include "os/boot.h"
#include "os/home.h"

#define THROTTLE_MS 10 /* leases that a limit holds are looked at so often */

/* ---- finding ---- */

download_t *hp_transfer_find(const hp_transfer_t *self, int64_t id)
{
    for (download_t *download = self->downloads; download != NULL; download = download->next)
        if (download->row.id == id && !download->removing)
            return download;
    return NULL;
}

void hp_transfer_activate(hp_transfer_t *self, download_t *download)
{
    if (download->active)
        return;
    download->active = true;
    download->next_active = self->active;
    self->active = download;
}

/* Removes downloads that do nothing from the active list: a turn looks at that list alone. */
static void drop_inactive(hp_transfer_t *self)
{
    for (download_t **link = &self->active; *link != NULL;) {
        download_t *d = *link;
        bool rests = !hp_download_is_running(d) && d->state != HP_DOWNLOAD_QUEUED && d->items == NULL &&
                     hp_bundle_is_idle(d) && !d->files_loading && !d->removing && !d->sums_stale &&
                     !hp_download_waits_for_disk(d);
        if (rests) {
            d->active = false;
            *link = d->next_active;
        } else {
            link = &d->next_active;
        }
    }
}

void hp_transfer_unlink(hp_transfer_t *self, download_t *download)
{
    self->cursor = NULL;
    for (download_t **link = &self->active; *link != NULL; link = &(*link)->next_active)
        if (*link == download) {
            *link = download->next_active;
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
        return d->items == NULL && hp_bundle_is_idle(d) && !d->files_loading && !d->sums_stale;
    return hp_download_is_back(d);
}

/* A download that waits for a source takes no place among the running ones. When its source is back it needs
 * a place, and is queued if there is none. */
static void fill_places(hp_transfer_t *self)
{
    self->running = 0;
    for (const download_t *d = self->active; d != NULL; d = d->next_active)
        self->running += hp_download_is_running(d) && !d->waits;
    while (self->running < self->running_max) {
        download_t *next = NULL;
        for (download_t *d = self->active; d != NULL; d = d->next_active)
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
        self->running += hp_download_is_running(next) && !next->waits;
    }
    for (download_t *d = self->active; d != NULL; d = d->next_active)
        if (wants_place(d) && d->state != HP_DOWNLOAD_QUEUED)
            hp_download_stop(d, HP_DOWNLOAD_QUEUED, "", 0, "");
}

static void on_handle_closed(uv_handle_t *handle)
{
    hp_transfer_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

static void finish(void *arg)
{
    hp_transfer_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    while (self->downloads != NULL) {
        download_t *d = self->downloads;
        self->downloads = d->next;
        hp_download_free(d);
    }
    hp_transfer_free_hosts(self);
    hp_kept_drop_all(self);
    hp_writer_destroy(self->writer);
    free(self->folder);
    free(self);
    if (closed != NULL)
        closed(closed_arg);
}

static void maybe_closed(hp_transfer_t *self)
{
    if (!self->stopping || !hp_pending_is_none(&self->pending))
        return;
    for (const download_t *d = self->downloads; d != NULL; d = d->next)
        if (d->items != NULL || !hp_pending_is_none(&d->pending))
            return;
    uv_handle_t *handles[] = {(uv_handle_t *)&self->tick, (uv_handle_t *)&self->throttle,
                              (uv_handle_t *)&self->turn};
    for (size_t i = 0; i < HP_COUNT(handles); i++) {
        handles[i]->data = self;
        hp_pending_add(&self->pending);
        uv_close(handles[i], on_handle_closed);
    }
    hp_pending_when_none(&self->pending, finish, self);
}

static void on_turn(uv_idle_t *turn)
{
    hp_transfer_t *self = HP_CONTAINER(turn, hp_transfer_t, turn);
    uv_idle_stop(turn);
    self->turn_wanted = false;
    for (download_t *d = self->active, *next; d != NULL; d = next) {
        next = d->next_active;
        hp_download_settle(d);
        if (!self->stopping && !hp_download_is_back(d)) /* those need a place first */
            hp_download_schedule(d);
    }
    if (!self->stopping && self->started)
        fill_places(self);
    hp_reader_wake(self);
    for (download_t *d = self->active, *next; d != NULL; d = next) {
        next = d->next_active;
        hp_download_continue_removal(d);
    }
    drop_inactive(self);
    hp_transfer_drop_ended(self);
    maybe_closed(self);
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
    for (download_t *d = self->active; d != NULL; d = d->next_active)
        for (item_t *item = d->items; item != NULL; item = item->next)
            for (lease_t *lease = item->leases; lease != NULL; lease = lease->next)
                if (lease->held && count++ >= first && count <= end)
                    fn(lease);
    return count;
}

void hp_transfer_resume_held(hp_transfer_t *self)
{
    for (download_t *d = self->active; d != NULL; d = d->next_active)
        hp_bundle_resume_held(d);
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

/* ---- the tick ---- */

static void on_tick(uv_timer_t *timer)
{
    hp_transfer_t *self = HP_CONTAINER(timer, hp_transfer_t, tick);
    bool runs = false;
    for (download_t *d = self->active; d != NULL; d = d->next_active)
        if (hp_download_is_running(d)) {
            hp_download_changed(d);
            runs = true;
        }
    hp_transfer_tell_waiting(self);
    if (uv_now(self->loop) - self->disk_looked_at >= DISK_LOOK_MS)
        hp_transfer_look_at_disks(self);
    hp_kept_drop_old(self);
    if (!runs)
        hp_writer_empty_stock(self->writer);
    if (self->ticks++ % PARTS_TICKS == 0)
        hp_transfer_look_at_parts(self);
    hp_transfer_wake(self);
}

/* ---- start and end ---- */

void hp_transfer_set_hooks(hp_transfer_t *self, const hp_transfer_hooks_t *hooks)
{
    self->hooks = *hooks;
}

bool hp_transfer_lets_run(const hp_transfer_t *self, const hp_download_file_row_t *row)
{
    return self->keeps_executable && row->executable;
}

int hp_transfer_set(hp_transfer_t *self, const hp_transfer_settings_t *settings, hp_err_t *err)
{
    bool other = self->folder == NULL || strcmp(self->folder, settings->downloads_folder) != 0;
    int rc = other ? hp_home_prepare(settings->downloads_folder, 0777) : 0;
    if (rc == HP_E_NO_DISK)
        hp_log(HP_LOG_WARN, "the disk of the downloads folder %s is not there; downloads wait for it",
               settings->downloads_folder);
    else if (rc != 0)
        return hp_err_set(err, rc, "The downloads folder %s cannot be made: %s", settings->downloads_folder,
                          hp_err_sentence(rc));
    char *folder = hp_strdup(settings->downloads_folder);
    free(self->folder);
    self->folder = folder;
    self->running_max = HP_MAX(settings->running_downloads, 1u);
    self->connections = HP_MAX(settings->connections_per_source, 1u);
    hp_bucket_set(&self->bucket, settings->down_limit_bps);
    self->plain_content = settings->plain_content;
    self->keeps_executable = settings->keeps_executable;
    if (!self->plain_content)
        hp_plain_stop(self);
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

static void add_count(void *arg, const char *state, int64_t count)
{
    hp_transfer_count_loaded(arg, state, count);
}

static int work_load(hp_db_t *db, void *arg, hp_err_t *err)
{
    int rc = hp_db_download_counts(db, add_count, arg, err);
    return rc == 0 ? hp_db_download_unfinished(db, add_row, arg, err) : rc;
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
    hp_transfer_look_at_disks(self);
    hp_transfer_wake(self);
}

void hp_transfer_destroy(hp_transfer_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    self->stopping = true;
    self->hooks = (hp_transfer_hooks_t){0};
    uv_timer_stop(&self->tick);
    uv_timer_stop(&self->throttle);
    for (download_t *d = self->active; d != NULL; d = d->next_active) {
        for (item_t *item = d->items; item != NULL; item = item->next)
            hp_item_stop(item);
        hp_bundle_stop(d);
    }
    hp_transfer_wake(self);
}
