#include "share/pass.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pool/pool.h"

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

typedef enum { WALKING, SWEEPING, SAVING, TIDYING } phase_t;

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
    uv_timer_t timer; /* while the store is busy */
    phase_t phase;
    bool working, waiting; /* a step is in the pool; the timer runs */
    bool more;             /* the walk is not over */
    unsigned jobs;         /* in the store */
    seen_t seen;           /* the store thread's, while a job is there */
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
    return was_seen(&self->seen, id) || hp_walk_troubled(self->walk, path);
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
    free(self->order.gone_folders);
    free(self->seen.pages);
    free(self->gone_after);
    self->report.ms = hp_clock_ms() - self->began;
    self->done(self->arg, &self->report);
    free(self);
    hp_pending_drop(&share->pending);
}

static void end(hp_pass_t *self)
{
    self->report.walk = *hp_walk_report(self->walk);
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

static int put_batch(hp_db_t *db, void *arg, hp_err_t *err)
{
    job_t *job = arg;
    int rc = 0;
    for (size_t i = 0; i < job->count && rc == 0; i++) {
        const hp_walk_item_t *file = &job->files[i];
        int64_t id;
        rc = hp_shared_put(db, file->path, &file->identity, &id, &job->change, err);
        if (rc == 0 && file->twins)
            rc = hp_shared_put_twins(db, &file->identity, &job->change, err);
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
        if (item->kind == HP_WALK_FILE) {
            job->files[job->count++] = *item;
            item->path = NULL;
        }
    }
    self->report.files += job->count;
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

/* Whether the folder is the one that the order is about. Known from the first step on. */
static bool folder_fits(hp_pass_t *self)
{
    const hp_walk_report_t *walk = hp_walk_report(self->walk);
    if (walk->missing != 0)
        self->report.missing = true;
    else if (walk->broken)
        return true; /* nothing is known about the folder, and nothing will be changed */
    else if (!self->order.everything &&
             (walk->device != self->order.device || walk->inode != self->order.inode))
        self->report.replaced = true;
    return !self->report.missing && !self->report.replaced;
}

static void on_step_done(void *arg, int status, const hp_err_t *err)
{
    hp_pass_t *self = arg;
    (void)err;
    self->working = false;
    if (status != 0)
        fail(self, status, NULL);
    else if (folder_fits(self))
        take_batch(self);
    else
        self->more = false;
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

/* Another file system in the folder's place, with nothing in it: most likely the disk is not mounted. What is
 * known about it is kept. */
static bool looks_unmounted(const hp_pass_t *self)
{
    const hp_share_t *share = self->share;
    const hp_walk_report_t *walk = hp_walk_report(self->walk);
    return self->order.everything && walk->trouble == 0 && walk->empty && share->complete &&
           share->totals.files > 0 && walk->device != share->device;
}

/* ---- saving and tidying ---- */

static int save(hp_db_t *db, void *arg, hp_err_t *err)
{
    job_t *job = arg;
    const hp_share_t *share = job->pass->share; /* its place stays while a pass runs */
    const hp_walk_report_t *walk = hp_walk_report(job->pass->walk);
    int rc = hp_shared_state_save(db, share->place->folder, walk->device, true, err);
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
    const hp_walk_report_t *walk = hp_walk_report(self->walk);
    return self->order.everything && (!share->complete || share->missing || share->device != walk->device);
}

/* Goes on from where the pass stands, when nothing that it waits for is under way. The only one that changes
 * the phase. */
static void next(hp_pass_t *self)
{
    if (self->working || self->waiting)
        return;
    if (atomic_load(&self->share->halted))
        fail(self, UV_ECANCELED, NULL);
    bool over = self->report.status != 0 || self->report.missing || self->report.replaced;
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
        self->phase = SWEEPING;
        self->report.missing = looks_unmounted(self);
        if (self->report.missing || hp_walk_report(self->walk)->broken) {
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
    if (order->everything && order->watch != NULL)
        hp_watch_begin_round(order->watch);
    hp_pending_add(&share->pending);
    uv_timer_init(share->loop, &self->timer);
    go_on_walking(self);
}
