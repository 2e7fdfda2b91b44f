#include "share/pass.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "db/shared_place.h"
#include "pool/pool.h"
#include "share/away.h"

#define JOBS_MAX    2   /* batches in the store at a time */
#define STORE_BUSY  64  /* jobs of all kinds in the store from which on it is left alone */
#define BUSY_MS     20  /* how long */
#define SWEEP_PATHS 256 /* paths that are swept in one store job, unless it removes so many rows: */
#define SWEEP_ROWS  1000

/* Bits by row number, in pages that are made when the first bit in them is set. */
#define PAGE_BITS ((int64_t)1 << 18)
typedef struct seen {
    uint64_t **pages;
    size_t count;
} seen_t;

typedef enum { WALKING, ASKING, SWEEPING, SAVING, TIDYING } phase_t;

/* What is to be removed. */
typedef struct gone {
    char *path;
    bool file; /* there is a file at path now: its row stays, only what was below it goes */
    bool none; /* there is nothing to list at path now */
} gone_t;

struct hp_pass {
    hp_share_t *share;
    hp_pass_order_t order;
    hp_pass_done_fn done;
    void *arg;
    hp_walk_t *walk;
    hp_walk_folder_t expected[HP_PLACE_FOLDERS];
    uv_timer_t timer; /* while the store is busy */
    phase_t phase;
    bool working, waiting;            /* a step is in the pool; the timer runs */
    bool more;                        /* the walk is not over */
    unsigned jobs;                    /* in the store */
    seen_t seen;                      /* the store thread's, while a job is there; as the next */
    hp_pathset_t empty;               /* folders that were met */
    bool unmounted[HP_PLACE_FOLDERS]; /* looks so; the store thread's as seen */
    hp_left_out_t left;               /* found by this walk */
    HP_ARRAY(gone_t) gone;
    size_t gone_next;
    char *gone_after; /* where the sweep of gone[gone_next] goes on */
    uint64_t began;
    hp_pass_report_t report;
};

/* A batch in the store. */
typedef struct job {
    hp_pass_t *pass;
    size_t count;
    hp_shared_change_t change;
    hp_share_totals_t totals;
    hp_walk_item_t files[];
} job_t;

static void next(hp_pass_t *self);

/* ---- rows that were met; store thread ---- */

static void see(seen_t *seen, int64_t id)
{
    size_t page = (size_t)(id / PAGE_BITS), bit = (size_t)(id % PAGE_BITS);
    if (page >= seen->count) {
        seen->pages = hp_realloc(seen->pages, (page + 1) * sizeof(uint64_t *));
        memset(seen->pages + seen->count, 0, (page + 1 - seen->count) * sizeof(uint64_t *));
        seen->count = page + 1;
    }
    if (seen->pages[page] == NULL)
        seen->pages[page] = hp_alloc_array(PAGE_BITS / 64, sizeof(uint64_t));
    seen->pages[page][bit / 64] |= UINT64_C(1) << bit % 64;
}

static bool was_seen(const seen_t *seen, int64_t id)
{
    size_t page = (size_t)(id / PAGE_BITS), bit = (size_t)(id % PAGE_BITS);
    return page < seen->count && seen->pages[page] != NULL &&
           (seen->pages[page][bit / 64] >> bit % 64 & 1) != 0;
}

static bool stays(void *arg, int64_t id, const char *path)
{
    const hp_pass_t *self = arg;
    const char *below;
    return was_seen(&self->seen, id) || hp_walk_troubled(self->walk, path) ||
           self->report.missing[hp_place_find(self->share->place, path, &below)];
}

static bool folder_stays(void *arg, const char *path)
{
    const hp_pass_t *self = arg;
    const char *below;
    return hp_pathset_has(&self->empty, path) || hp_walk_troubled(self->walk, path) ||
           self->report.missing[hp_place_find(self->share->place, path, &below)];
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    hp_pass_t *self = handle->data;
    hp_share_t *share = self->share;
    hp_walk_destroy(self->walk);
    for (size_t i = 0; i < self->gone.count; i++)
        free(self->gone.items[i].path);
    for (size_t i = 0; i < self->order.gone_folder_count; i++)
        free(self->order.gone_folders[i]);
    for (size_t i = 0; i < self->seen.count; i++)
        free(self->seen.pages[i]);
    hp_array_dispose(&self->gone);
    hp_left_out_dispose(&self->left);
    hp_pathset_dispose(&self->empty);
    free(self->order.gone_folders);
    free(self->seen.pages);
    free(self->gone_after);
    self->report.ms = hp_clock_ms() - self->began;
    self->done(self->arg, &self->report);
    free(self);
    hp_pending_drop(&share->pending);
}

/* The walk was whole: what it left out is what there is now at the paths that it looked at. */
static void take_left_out(hp_pass_t *self)
{
    hp_left_out_t *known = &self->share->left_out;
    uint64_t before[HP_LEFT_COUNT];
    bool cut = hp_left_out_is_cut(known);
    memcpy(before, known->counts, sizeof before);
    for (size_t i = 0; i < self->gone.count && known->kept.count > 0; i++)
        hp_left_out_forget(known, self->gone.items[i].path);
    if (self->order.everything)
        hp_left_out_dispose(known);
    hp_left_out_join(known, &self->left);
    self->report.unsure = cut && self->gone.count > 0 && !self->order.everything;
    if (memcmp(before, known->counts, sizeof before) != 0)
        hp_share_changed(self->share);
}

static void end(hp_pass_t *self)
{
    self->report.walk = *hp_walk_report(self->walk);
    if (self->report.status == 0 && !self->report.away && !self->report.walk.broken)
        take_left_out(self);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
}

static void fail(hp_pass_t *self, int status, const hp_err_t *err)
{
    if (self->report.status != 0)
        return;
    self->report.status = status;
    if (err != NULL)
        self->report.err = *err;
}

/* ---- walking ---- */

static size_t folder_length(const char *path)
{
    return (size_t)(hp_path_name(path) - path);
}

static int put_batch(hp_db_t *db, void *arg, hp_err_t *err)
{
    job_t *job = arg;
    const char *filled = ""; /* a path in the folder that was last found not to be empty */
    int rc = 0;
    for (size_t i = 0; i < job->count && rc == 0; i++) {
        const hp_walk_item_t *file = &job->files[i];
        int64_t id;
        if (file->kind == HP_WALK_EMPTY) {
            if (job->pass->empty.count < HP_SHARED_FOLDERS_MAX) {
                rc = hp_shared_folder_put(db, file->path, &job->change, err);
                hp_pathset_add(&job->pass->empty, file->path);
            }
            continue;
        }
        if (folder_length(file->path) != folder_length(filled) ||
            strncmp(file->path, filled, folder_length(filled)) != 0)
            rc = hp_shared_folder_filled(db, filled = file->path, &job->change, err);
        if (rc == 0)
            rc = hp_shared_put(db, file->path, &file->identity, file->executable, &id, &job->change, err);
        if (rc == 0 && file->twins)
            rc = hp_shared_put_twins(db, &file->identity, file->executable, &job->change, err);
        if (rc == 0)
            see(&job->pass->seen, id);
    }
    if (rc == 0)
        rc = hp_shared_commit(db, &job->change, err);
    return rc == 0 ? hp_share_read_totals(db, &job->totals, err) : rc;
}

static void on_job_done(void *arg, int status, const hp_err_t *err)
{
    job_t *job = arg;
    hp_pass_t *self = job->pass;
    self->jobs--;
    if (status == 0) {
        self->report.changed = self->report.changed || job->change.rows > 0;
        hp_share_set_totals(self->share, &job->totals);
        if (job->change.unhashed)
            hp_hashing_wake(self->share->hashing);
    } else {
        fail(self, status, err);
    }
    for (size_t i = 0; i < job->count; i++)
        free(job->files[i].path);
    free(job);
    next(self);
}

static void post(hp_pass_t *self, job_t *job, hp_store_work_fn work)
{
    job->pass = self;
    self->jobs++;
    hp_store_post(self->share->store, HP_STORE_WRITE, work, on_job_done, job);
}

static void add_gone(hp_pass_t *self, hp_walk_item_t *item)
{
    *hp_array_add(&self->gone) = (gone_t){.path = hp_strdup(item->path),
                                          .file = item->kind == HP_WALK_FILE,
                                          .none = item->kind == HP_WALK_GONE};
}

static void take_batch(hp_pass_t *self)
{
    size_t count;
    hp_walk_item_t *items = hp_walk_items(self->walk, &count);
    job_t *job = hp_alloc(sizeof *job + count * sizeof *job->files);
    for (size_t i = 0; i < count; i++) {
        hp_walk_item_t *item = &items[i];
        if (item->link && self->order.links->count <= HP_LINKS_MAX)
            hp_pathset_add(self->order.links, item->path);
        else if (item->asked && !item->link)
            hp_pathset_remove(self->order.links, item->path);
        if (item->asked || item->kind == HP_WALK_FOLDER) /* there may have been something else before */
            add_gone(self, item);
        if (item->kind == HP_WALK_LEFT)
            hp_left_out_add(&self->left, item->reason, item->path);
        if (item->kind == HP_WALK_FILE || item->kind == HP_WALK_EMPTY) {
            self->report.files += item->kind == HP_WALK_FILE;
            job->files[job->count++] = *item;
            item->path = NULL;
        }
    }
    if (job->count > 0)
        post(self, job, put_batch);
    else
        free(job);
}

static int step_work(void *arg, hp_err_t *err)
{
    hp_pass_t *self = arg;
    (void)err; /* the code says it all */
    self->more = hp_walk_step(self->walk, &self->share->halted);
    return 0;
}

/* Which of the shared folders are the ones that the order is about. */
static void note_folders(hp_pass_t *self)
{
    const hp_walk_report_t *walk = hp_walk_report(self->walk);
    size_t count = self->share->place->count, missing = 0;
    for (size_t i = 0; i < count; i++) {
        const hp_walk_folder_t *folder = &walk->folders[i];
        if (folder->missing != 0 && (self->order.everything || self->expected[i].inode != 0))
            self->report.missing[i] = true;
        self->report.replaced = self->report.replaced || folder->replaced;
        missing += self->report.missing[i];
    }
    self->report.away = missing == count;
}

static void on_step_done(void *arg, int status, const hp_err_t *err)
{
    hp_pass_t *self = arg;
    (void)err;
    self->working = false;
    note_folders(self);
    if (status != 0)
        fail(self, status, NULL);
    else if (!self->report.away)
        take_batch(self);
    next(self);
}

static void on_timer(uv_timer_t *timer)
{
    hp_pass_t *self = timer->data;
    self->waiting = false;
    next(self);
}

static void go_on_walking(hp_pass_t *self)
{
    if (self->jobs >= JOBS_MAX)
        return;
    if (hp_store_pending(self->share->store) < STORE_BUSY) {
        self->working = true;
        hp_pool_post(self->share->loop, &self->share->pending, step_work, on_step_done, self);
    } else if (self->jobs == 0) {
        self->waiting = true;
        uv_timer_start(&self->timer, on_timer, BUSY_MS, 0);
    }
}

/* ---- sweeping ---- */

static int sweep(hp_db_t *db, void *arg, hp_err_t *err)
{
    job_t *job = arg;
    hp_pass_t *self = job->pass;
    int rc = 0;
    for (int paths = 0; paths < SWEEP_PATHS && job->change.rows < SWEEP_ROWS && rc == 0; paths++) {
        if (self->gone_next == self->gone.count)
            break;
        const gone_t *gone = &self->gone.items[self->gone_next];
        if (self->gone_after == NULL && !gone->file)
            rc = hp_shared_remove(db, gone->path, &job->change, err);
        if (rc == 0 && self->gone_after == NULL)
            rc = hp_shared_folder_sweep(db, gone->path, folder_stays, self, &job->change, err);
        if (rc == 0)
            rc = hp_shared_sweep(db, gone->path, stays, self, &self->gone_after, &job->change, err);
        if (rc != 0 || self->gone_after != NULL)
            break; /* a large folder: the rest of it in a job of its own */
        self->gone_next++;
    }
    if (rc == 0)
        rc = hp_shared_commit(db, &job->change, err);
    return rc == 0 ? hp_share_read_totals(db, &job->totals, err) : rc;
}

/* Another file system in a folder's place, with nothing in it: if files are known in it, most likely the disk
 * is not mounted, and what is known is kept. */
static bool looks_unmounted(const hp_pass_t *self, size_t number)
{
    const hp_share_t *share = self->share;
    const hp_walk_report_t *walk = hp_walk_report(self->walk);
    const hp_walk_folder_t *folder = &walk->folders[number];
    bool complete = number > 0 || share->complete;
    return !hp_walk_troubled(self->walk, share->place->folders[number].name) && folder->inode != 0 &&
           folder->empty && complete && share->folders[number].device != 0 &&
           folder->device != share->folders[number].device;
}

static bool find_unmounted(hp_pass_t *self)
{
    bool any = false;
    for (size_t i = 0; i < self->share->place->count && self->order.everything; i++) {
        self->unmounted[i] = !self->report.missing[i] && looks_unmounted(self, i);
        any = any || self->unmounted[i];
    }
    return any;
}

static int ask(hp_db_t *db, void *arg, hp_err_t *err)
{
    job_t *job = arg;
    hp_pass_t *self = job->pass;
    int rc = 0;
    for (size_t i = 0; i < self->share->place->count && rc == 0; i++) {
        hp_away_t away = {.place = self->share->place}; /* it stays while a pass runs */
        away.missing[i] = true;
        if (self->unmounted[i])
            rc = hp_away_has_rows(db, &away, &self->unmounted[i], err);
    }
    return rc == 0 ? hp_share_read_totals(db, &job->totals, err) : rc;
}

static void note_unmounted(hp_pass_t *self)
{
    size_t count = self->share->place->count, missing = 0;
    for (size_t i = 0; i < count; i++) {
        self->report.missing[i] = self->report.missing[i] || self->unmounted[i];
        missing += self->report.missing[i];
    }
    self->report.away = missing == count;
}

/* ---- saving and tidying ---- */

/* The device that a folder's files were seen on last. */
static uint64_t device_now(const hp_pass_t *self, size_t number)
{
    const hp_walk_folder_t *folder = &hp_walk_report(self->walk)->folders[number];
    bool seen = folder->inode != 0 && !self->report.missing[number] && (number == 0 || !folder->empty);
    return seen ? folder->device : self->share->folders[number].device;
}

static int save(hp_db_t *db, void *arg, hp_err_t *err)
{
    job_t *job = arg;
    const hp_pass_t *self = job->pass;
    const hp_place_t *place = self->share->place; /* it stays while a pass runs */
    bool complete = self->share->complete || !self->report.missing[0];
    int rc = hp_shared_state_save(db, place->folders[0].path, device_now(self, 0), complete, err);
    for (size_t i = 1; i < place->count && rc == 0; i++)
        if (device_now(self, i) != self->share->folders[i].device)
            rc = hp_shared_place_set_device(db, place->folders[i].name, device_now(self, i), err);
    return rc == 0 ? hp_share_read_totals(db, &job->totals, err) : rc;
}

static int tidy_work(void *arg, hp_err_t *err)
{
    hp_pass_t *self = arg;
    (void)err; /* the code says it all */
    if (self->order.everything)
        hp_watch_end_round(self->order.watch);
    else
        hp_watch_forget(self->order.watch, self->order.gone_folders, self->order.gone_folder_count);
    return 0;
}

static void on_tidy_done(void *arg, int status, const hp_err_t *err)
{
    hp_pass_t *self = arg;
    (void)err;
    self->working = false;
    if (status != 0)
        fail(self, status, NULL);
    next(self);
}

/* Of the folders that may be gone, keeps those where nothing was found now. */
static void keep_gone_folders(hp_pass_t *self)
{
    hp_pathset_t none;
    size_t kept = 0;
    hp_pathset_init(&none);
    for (size_t i = 0; i < self->gone.count; i++)
        if (self->gone.items[i].none)
            hp_pathset_add(&none, self->gone.items[i].path);
    for (size_t i = 0; i < self->order.gone_folder_count; i++) {
        char *path = self->order.gone_folders[i];
        if (hp_pathset_has(&none, path))
            self->order.gone_folders[kept++] = path;
        else
            free(path);
    }
    self->order.gone_folder_count = kept;
    hp_pathset_dispose(&none);
}

static bool needs_saving(const hp_pass_t *self)
{
    const hp_share_t *share = self->share;
    bool news = !share->complete && !self->report.missing[0];
    for (size_t i = 0; i < share->place->count; i++)
        news = news || share->folders[i].missing != self->report.missing[i] ||
               share->folders[i].device != device_now(self, i);
    return self->order.everything && news;
}

/* Goes on from where the pass stands, when nothing that it waits for is under way. The only one that changes
 * the phase. */
static void next(hp_pass_t *self)
{
    if (self->working || self->waiting)
        return;
    if (atomic_load(&self->share->halted))
        fail(self, UV_ECANCELED, NULL);
    bool over = self->report.status != 0 || self->report.away;
    if (self->phase == WALKING && self->more && !over) {
        go_on_walking(self);
        return;
    }
    if (self->jobs > 0)
        return;
    if (over) {
        end(self);
        return;
    }
    if (self->phase == WALKING) {
        self->phase = ASKING;
        if (find_unmounted(self)) {
            post(self, hp_alloc(sizeof(job_t)), ask);
            return;
        }
    }
    if (self->phase == ASKING) {
        self->phase = SWEEPING;
        note_unmounted(self);
        if (self->report.away || hp_walk_report(self->walk)->broken) {
            end(self);
            return;
        }
    }
    if (self->phase == SWEEPING) {
        if (self->gone_next < self->gone.count) {
            post(self, hp_alloc(sizeof(job_t)), sweep);
            return;
        }
        self->phase = SAVING;
        if (needs_saving(self)) {
            post(self, hp_alloc(sizeof(job_t)), save);
            return;
        }
    }
    if (self->phase == SAVING) {
        self->phase = TIDYING;
        keep_gone_folders(self);
        if (self->order.watch != NULL && (self->order.everything || self->order.gone_folder_count > 0)) {
            self->working = true;
            hp_pool_post(self->share->loop, &self->share->pending, tidy_work, on_tidy_done, self);
            return;
        }
    }
    end(self);
}

void hp_pass_start(hp_share_t *share, const hp_pass_order_t *order, hp_pass_done_fn done, void *arg)
{
    hp_pass_t *self = hp_alloc(sizeof *self);
    self->share = share;
    self->order = *order;
    self->done = done;
    self->arg = arg;
    self->timer.data = self;
    self->more = true;
    self->began = hp_clock_ms();
    self->walk = hp_walk_create(share->place, order->watch, order->paths, order->count);
    self->order.paths = NULL;
    if (!order->everything) {
        memcpy(self->expected, order->expected, sizeof self->expected);
        hp_walk_expect(self->walk, self->expected);
    }
    if (order->everything && order->watch != NULL)
        hp_watch_begin_round(order->watch);
    hp_pending_add(&share->pending);
    uv_timer_init(share->loop, &self->timer);
    go_on_walking(self);
}
