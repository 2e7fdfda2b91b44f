/* When to look, and at what.
 *
 * Events of the kernel name paths; those of the last moment are gathered and looked at together (a pass).
 * Everything is walked at the start; when events were lost; when the folder was replaced or came back; and
 * from time to time, every hour where all folders are watched, every minute where they are not: too many of
 * them, or a file system that others change unseen.
 *
 * A link shows its target, but what happens to the target is told for the target's path: so after every pass
 * that changed something all links are looked at again. Those to folders are not walked through.
 *
 * A folder that is not there (an unplugged disk, a person who moves things about) lists nothing, and nothing
 * about it is forgotten until it is back: then the walk finds the rows and their hashes, unless the file
 * system has new inode numbers. The same goes for an empty folder on another file system than before, which
 * is what an unmounted disk leaves behind. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pool/pool.h"
#include "share/pass.h"

#define DIRTY_MAX 4096 /* changed paths; with more, walking everything is the simpler way */

struct hp_index {
    hp_share_t *share;
    hp_watch_t *watch; /* NULL: no inotify to be had */
    uv_timer_t look_timer, walk_timer, check_timer;
    bool checking;
    hp_pathset_t dirty, dirty_folders; /* to be looked at; those of them that are or were folders */
    hp_pathset_t links;
    bool everything, links_due; /* to be looked at */
    bool running, running_everything, running_links;
    bool paused;
    unsigned watches_ending;
    void (*idle)(void *arg); /* to be called when nothing is under way any more; NULL */
    void *idle_arg;
    uint64_t device, inode; /* of the folder at the last walk of everything; inode 0: never */
    uint64_t walk_ms, walk_ended;
    uint64_t seen_device, seen_inode; /* by the check */
    int seen_error;
    bool said_unwatched, said_deep;
    int said_trouble; /* and where */
    char said_path[sizeof((hp_walk_report_t *)0)->trouble_path];
};

static void start_pass(hp_index_t *self);
static void check_quiet(hp_index_t *self);

/* ---- what is to be looked at ---- */

static void on_look_timer(uv_timer_t *timer)
{
    start_pass(timer->data);
}

/* A pass soon, with what gathers until then. A walk of everything takes at most half of the time. */
static void start_soon(hp_index_t *self)
{
    if (self->running || self->paused || self->share->closing ||
        uv_is_active((uv_handle_t *)&self->look_timer))
        return;
    uint64_t delay = self->share->tuning.debounce;
    if (self->everything && self->walk_ended > 0) {
        uint64_t rested = hp_clock_ms() - self->walk_ended;
        if (rested < self->walk_ms)
            delay = HP_MAX(delay, self->walk_ms - rested);
    }
    uv_timer_start(&self->look_timer, on_look_timer, delay, 0);
}

void hp_index_walk(hp_index_t *self)
{
    self->everything = true;
    start_soon(self);
}

void hp_index_look(hp_index_t *self, const char *path, bool folder)
{
    if (self->everything) {
        start_soon(self);
        return;
    }
    hp_pathset_add(&self->dirty, path);
    if (folder)
        hp_pathset_add(&self->dirty_folders, path);
    if (self->dirty.count > DIRTY_MAX)
        self->everything = true;
    start_soon(self);
}

static void on_event(void *arg, hp_watch_event_t event, const char *path, bool folder)
{
    hp_index_t *self = arg;
    if (self->share->closing || self->paused)
        return;
    if (event == HP_WATCH_PATH) {
        hp_index_look(self, path, folder);
        return;
    }
    if (event == HP_WATCH_MISSED)
        hp_log(HP_LOG_INFO, "share: too much changed at once; looking at all files");
    hp_index_walk(self);
}

/* ---- the folder itself ---- */

/* The list is empty from now on, so its revision goes up. */
typedef struct missing {
    hp_share_t *share;
    uint64_t device;
    bool complete;
    hp_share_totals_t totals;
} missing_t;

static int note_missing(hp_db_t *db, void *arg, hp_err_t *err)
{
    missing_t *job = arg;
    int rc = hp_shared_state_save(db, job->share->place->folder, job->device, job->complete, err);
    return rc == 0 ? hp_share_read_totals(db, &job->totals, err) : rc;
}

static void on_missing_noted(void *arg, int status, const hp_err_t *err)
{
    missing_t *job = arg;
    if (status == 0)
        hp_share_set_totals(job->share, &job->totals);
    else
        hp_log(HP_LOG_WARN, "share: %s", hp_err_text(err));
    free(job);
}

static void set_missing(hp_index_t *self, const hp_walk_report_t *walk)
{
    hp_share_t *share = self->share;
    self->inode = 0;
    if (share->missing)
        return;
    share->missing = true;
    if (walk->missing != 0)
        hp_log(HP_LOG_WARN, "share: %s is not there (%s); nothing is offered until it is back",
               share->place->folder, hp_err_sentence(walk->missing));
    else
        hp_log(HP_LOG_WARN,
               "share: %s is an empty folder on another file system than before (is the disk mounted?); what "
               "is known "
               "about its files is kept until there are some",
               share->place->folder);
    missing_t *job = hp_alloc(sizeof *job);
    job->share = share;
    job->device = share->device;
    job->complete = share->complete;
    hp_store_post_counted(share->store, &share->pending, HP_STORE_WRITE, note_missing, on_missing_noted, job);
    hp_share_serve_rows(share);
}

static int check_work(void *arg, hp_err_t *err)
{
    hp_index_t *self = arg;
    (void)err; /* the code says it all */
    struct stat st;
    int fd = hp_place_open(self->share->place);
    self->seen_error = fd < 0 ? fd : 0;
    if (fd >= 0) {
        self->seen_error = fstat(fd, &st) == 0 ? 0 : -errno;
        close(fd);
    }
    self->seen_device = self->seen_error == 0 ? (uint64_t)st.st_dev : 0;
    self->seen_inode = self->seen_error == 0 ? (uint64_t)st.st_ino : 0;
    return 0;
}

static void on_checked(void *arg, int status, const hp_err_t *err)
{
    hp_index_t *self = arg;
    (void)err;
    hp_share_t *share = self->share;
    self->checking = false;
    check_quiet(self);
    if (status == 0 && !share->closing && !self->paused && self->inode != 0 &&
        !hp_place_is_limit(self->seen_error) &&
        (self->seen_device != self->device || self->seen_inode != self->inode))
        hp_index_walk(self);
}

static void on_check_timer(uv_timer_t *timer)
{
    hp_index_t *self = timer->data;
    if (self->share->missing) {
        hp_index_walk(self);
    } else if (!self->running && !self->checking) {
        self->checking = true;
        hp_pool_post(self->share->loop, &self->share->pending, check_work, on_checked, self);
    }
}

/* ---- passes ---- */

static void tell_about_watches(hp_index_t *self, const hp_walk_report_t *walk)
{
    if (walk->unwatched == 0 || self->said_unwatched)
        return;
    self->said_unwatched = true;
    if (walk->unwatched == -ENOSPC)
        hp_log(
            HP_LOG_WARN,
            "share: there are more folders than may be watched (%zu are); changes are found by walking "
            "all of them every %u s instead. Raise fs.inotify.max_user_watches (sysctl) to see them at once",
            hp_watch_count(self->watch), self->share->tuning.walk_blind / 1000);
    else
        hp_log(HP_LOG_WARN,
               "share: some folders cannot be watched (%s); changes are found by walking every %u s instead",
               hp_err_sentence(walk->unwatched), self->share->tuning.walk_blind / 1000);
}

static void tell_about_trouble(hp_index_t *self, const hp_walk_report_t *walk)
{
    if (walk->too_deep && !self->said_deep)
        hp_log(HP_LOG_WARN, "share: folders more than %d levels deep are not listed", HP_WALK_DEPTH);
    self->said_deep = walk->too_deep;
    if (walk->trouble != 0 &&
        (walk->trouble != self->said_trouble || strcmp(walk->trouble_path, self->said_path) != 0))
        hp_log(HP_LOG_WARN, "share: %s cannot be read: %s%s",
               walk->trouble_path[0] != '\0' ? walk->trouble_path : "the folder",
               hp_err_sentence(walk->trouble), walk->broken ? "; trying again later" : "");
    self->said_trouble = walk->trouble;
    snprintf(self->said_path, sizeof self->said_path, "%s", walk->trouble_path);
}

/* A walk of everything has come to its end. */
static void note_walked(hp_index_t *self, const hp_pass_report_t *report)
{
    hp_share_t *share = self->share;
    if (share->missing)
        hp_log(HP_LOG_INFO, "share: %s is back", share->place->folder);
    hp_log(share->scanning ? HP_LOG_INFO : HP_LOG_DEBUG, "share: %llu files found in %.1f s",
           (unsigned long long)report->files, (double)report->ms / 1000);
    self->device = share->device = report->walk.device;
    self->inode = report->walk.inode;
    bool news = share->scanning || share->missing || !share->complete;
    share->missing = false;
    share->complete = true;
    share->scanning = false;
    if (news)
        hp_share_changed(share);
    hp_share_serve_rows(share);
    hp_hashing_wake(share->hashing);
}

static void on_walk_timer(uv_timer_t *timer)
{
    hp_index_walk(timer->data);
}

/* When everything is to be walked again, at the latest. */
static void plan_walk(hp_index_t *self, const hp_pass_report_t *report)
{
    const hp_share_tuning_t *tuning = &self->share->tuning;
    const hp_walk_report_t *walk = &report->walk;
    uint64_t delay = tuning->walk;
    if (self->watch == NULL || walk->unwatched != 0 || walk->remote || self->links.count > HP_LINKS_MAX)
        delay = tuning->walk_blind;
    if (report->status != 0 || walk->trouble != 0)
        delay = tuning->retry;
    uv_timer_start(&self->walk_timer, on_walk_timer, HP_MAX(delay, 10 * report->ms), 0);
}

static void on_watch_closed(void *arg)
{
    hp_index_t *self = arg;
    hp_share_t *share = self->share;
    self->watches_ending--;
    check_quiet(self);
    hp_pending_drop(&share->pending);
}

/* Not before the last pass, which uses it, is over. */
static void destroy_watch(hp_index_t *self)
{
    if (self->watch == NULL)
        return;
    hp_pending_add(&self->share->pending);
    self->watches_ending++;
    hp_watch_destroy(self->watch, on_watch_closed, self);
    self->watch = NULL;
}

static void on_pass_done(void *arg, const hp_pass_report_t *report)
{
    hp_index_t *self = arg;
    bool everything = self->running_everything, links = self->running_links;
    self->running = false;
    if (self->share->closing || self->paused) {
        destroy_watch(self);
        check_quiet(self);
        return;
    }
    bool away = report->missing || report->replaced;
    if (report->status != 0)
        hp_log(HP_LOG_WARN, "share: the files cannot be indexed: %s", hp_err_text(&report->err));
    if (report->missing)
        set_missing(self, &report->walk);
    if (report->replaced)
        self->everything = true;
    tell_about_watches(self, &report->walk);
    tell_about_trouble(self, &report->walk);
    if (everything) {
        self->walk_ms = report->ms;
        self->walk_ended = hp_clock_ms();
        if (report->status == 0 && !away && !report->walk.broken)
            note_walked(self, report);
    }
    if (everything || report->status != 0 || report->walk.trouble != 0)
        plan_walk(self, report);
    else if (report->walk.unwatched != 0 &&
             uv_timer_get_due_in(&self->walk_timer) > self->share->tuning.walk_blind)
        plan_walk(self, report);
    self->links_due = self->links_due || (report->changed && !links && self->links.count <= HP_LINKS_MAX);
    if (self->everything || self->dirty.count > 0 || (self->links_due && self->links.count > 0))
        start_soon(self);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void start_pass(hp_index_t *self)
{
    if (self->running || self->paused || self->share->closing)
        return;
    hp_pass_order_t order = {
        .everything = self->everything,
        .watch = self->watch,
        .links = &self->links,
        .device = self->device,
        .inode = self->inode,
    };
    if (!self->everything && self->inode == 0)
        return; /* the folder is missing: what is in it will be looked at when it is back */
    self->running_links = false;
    if (self->everything) {
        order.paths = hp_alloc(sizeof *order.paths);
        order.paths[order.count++] = hp_strdup("");
        hp_pathset_dispose(&self->links); /* they are all met again */
    } else {
        self->running_links = self->dirty.count == 0;
        order.paths = hp_pathset_append(&self->dirty, NULL, &order.count);
        if (self->links_due)
            order.paths = hp_pathset_append(&self->links, order.paths, &order.count);
        order.gone_folders = hp_pathset_append(&self->dirty_folders, NULL, &order.gone_folder_count);
        qsort(order.gone_folders, order.gone_folder_count, sizeof *order.gone_folders, compare_paths);
    }
    self->running = true;
    self->running_everything = self->everything;
    self->everything = self->links_due = false;
    hp_pathset_dispose(&self->dirty);
    hp_pathset_dispose(&self->dirty_folders);
    hp_pass_start(self->share, &order, on_pass_done, self);
}

/* ---- pauses ---- */

static void check_quiet(hp_index_t *self)
{
    if (self->idle == NULL || self->running || self->checking || self->watches_ending > 0)
        return;
    void (*idle)(void *arg) = self->idle;
    self->idle = NULL;
    idle(self->idle_arg);
}

void hp_index_pause(hp_index_t *self, void (*idle)(void *arg), void *arg)
{
    self->paused = true;
    self->idle = idle;
    self->idle_arg = arg;
    uv_timer_stop(&self->look_timer);
    uv_timer_stop(&self->walk_timer);
    uv_timer_stop(&self->check_timer);
    if (!self->running)
        destroy_watch(self);
    check_quiet(self);
}

void hp_index_resume(hp_index_t *self)
{
    hp_pathset_dispose(&self->dirty);
    hp_pathset_dispose(&self->dirty_folders);
    hp_pathset_dispose(&self->links);
    self->links_due = self->paused = false;
    self->device = self->inode = 0;
    self->walk_ms = self->walk_ended = 0;
    self->said_unwatched = self->said_deep = false;
    self->said_trouble = 0;
    hp_index_start(self);
}

/* ---- life ---- */

hp_index_t *hp_index_create(hp_share_t *share)
{
    hp_index_t *self = hp_alloc(sizeof *self);
    self->share = share;
    hp_pathset_init(&self->dirty);
    hp_pathset_init(&self->dirty_folders);
    hp_pathset_init(&self->links);
    uv_timer_t *timers[] = {&self->look_timer, &self->walk_timer, &self->check_timer};
    for (size_t i = 0; i < HP_COUNT(timers); i++) {
        uv_timer_init(share->loop, timers[i]);
        timers[i]->data = self;
    }
    return self;
}

void hp_index_start(hp_index_t *self)
{
    hp_share_t *share = self->share;
    int rc = hp_watch_create(&self->watch, share->loop, on_event, self);
    if (rc != 0)
        hp_log(HP_LOG_WARN,
               "share: changes cannot be watched (%s; fs.inotify.max_user_instances may be too low); they "
               "are found by "
               "walking every %u s instead",
               hp_err_sentence(rc), share->tuning.walk_blind / 1000);
    else
        hp_watch_set_limit(self->watch, share->tuning.watches);
    self->everything = true;
    start_pass(self);
    uv_timer_start(&self->check_timer, on_check_timer, share->tuning.check, share->tuning.check);
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_index_t *self = handle->data;
    hp_pending_drop(&self->share->pending);
}

void hp_index_stop(hp_index_t *self)
{
    uv_timer_t *timers[] = {&self->look_timer, &self->walk_timer, &self->check_timer};
    for (size_t i = 0; i < HP_COUNT(timers); i++) {
        hp_pending_add(&self->share->pending);
        uv_close((uv_handle_t *)timers[i], on_timer_closed);
    }
    if (!self->running)
        destroy_watch(self);
}

void hp_index_free(hp_index_t *self)
{
    hp_pathset_dispose(&self->dirty);
    hp_pathset_dispose(&self->dirty_folders);
    hp_pathset_dispose(&self->links);
    free(self);
}
