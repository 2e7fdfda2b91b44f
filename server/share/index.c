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
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/beneath.h"
#include "pool/pool.h"
#include "share/away.h"
#include "share/pass.h"

#define DIRTY_MAX    4096  /* changed paths; with more, walking everything is the simpler way */
#define LEFT_TOLD_MS 60000 /* between two lines of the log about what is left out */

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
    hp_walk_folder_t
        folders[HP_PLACE_FOLDERS]; /* as the last walk of everything found them; inode 0: missing */
    hp_walk_folder_t judged[HP_PLACE_FOLDERS]; /* what stood in the place of missing ones then */
    uint64_t walk_ms, walk_ended;
    struct {
        hp_walk_folder_t folders[HP_PLACE_FOLDERS],
            judged[HP_PLACE_FOLDERS]; /* both, for the check's thread */
    } checked;
    bool news; /* the check found a folder that is not as it was */
    bool said_unwatched;
    uint64_t said_left[HP_LEFT_COUNT], said_left_at; /* what the log has told is left out, and when */
    int said_trouble;                                /* and where */
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

/* ---- the folders themselves ---- */

/* The list has become another one without a change of rows, so its revision goes up. */
typedef struct missing {
    hp_share_t *share;
    char *folder;
    uint64_t device;
    bool complete;
    hp_share_totals_t totals;
} missing_t;

static int note_missing(hp_db_t *db, void *arg, hp_err_t *err)
{
    missing_t *job = arg;
    int rc = hp_shared_state_save(db, job->folder, job->device, job->complete, err);
    return rc == 0 ? hp_share_read_totals(db, &job->totals, err) : rc;
}

static void on_missing_noted(void *arg, int status, const hp_err_t *err)
{
    missing_t *job = arg;
    if (status == 0)
        hp_share_set_totals(job->share, &job->totals);
    else
        hp_log(HP_LOG_WARN, "share: %s", hp_err_text(err));
    free(job->folder);
    free(job);
}

static void note_revision(hp_share_t *share)
{
    missing_t *job = hp_alloc(sizeof *job);
    job->share = share;
    job->folder = hp_strdup(share->place->folders[0].path);
    job->device = share->folders[0].device;
    job->complete = share->complete;
    hp_store_post_counted(share->store, &share->pending, HP_STORE_WRITE, note_missing, on_missing_noted, job);
}

/* The folders that a pass found missing. */
static void set_missing(hp_index_t *self, const hp_pass_report_t *report)
{
    hp_share_t *share = self->share;
    bool news = false, all = true;
    for (size_t i = 0; i < share->place->count; i++) {
        const hp_walk_folder_t *walk = &report->walk.folders[i];
        const char *path = share->place->folders[i].path;
        if (!report->missing[i]) {
            all = all && share->folders[i].missing;
            continue;
        }
        self->judged[i] = *walk;
        self->folders[i].inode = 0;
        if (share->folders[i].missing)
            continue;
        share->folders[i].missing = news = true;
        if (walk->missing != 0)
            hp_log(HP_LOG_WARN, "share: %s is not there (%s); nothing in it is offered until it is back",
                   path, hp_err_sentence(walk->missing));
        else
            hp_log(HP_LOG_WARN,
                   "share: %s is an empty folder on another file system than before (is the disk mounted?); "
                   "what is known about its files is kept until there are some",
                   path);
    }
    share->missing = all;
    if (!news)
        return;
    note_revision(share);
    hp_away_count(share);
    hp_share_serve_rows(share);
}

static bool is_empty(int folder)
{
    int fd = hp_beneath_open(folder, "", O_RDONLY | O_DIRECTORY, 0, HP_BENEATH_NO_LINKS);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    bool empty = true;
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return true;
    }
    for (struct dirent *entry; empty && (entry = readdir(dir)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(dir);
    return empty;
}

/* Whether a folder is not as the last walk found it. */
static bool has_news(hp_index_t *self, size_t number)
{
    const hp_place_t *place = self->share->place; /* it stays while this is under way */
    const hp_walk_folder_t *known = &self->checked.folders[number], *judged = &self->checked.judged[number];
    hp_place_at_t at = HP_PLACE_NOWHERE;
    const char *below;
    struct stat st;
    int rc = hp_place_enter(place, &at, place->folders[number].name, &below);
    if (rc == 0 && fstat(at.fd, &st) != 0)
        rc = -errno;
    bool news;
    if (rc != 0)
        news = known->inode != 0 && !hp_place_is_limit(rc);
    else if (known->inode != 0)
        news = known->device != (uint64_t)st.st_dev || known->inode != (uint64_t)st.st_ino;
    else
        news =
            judged->device != (uint64_t)st.st_dev || judged->inode != (uint64_t)st.st_ino || !is_empty(at.fd);
    hp_place_leave(&at);
    return news;
}

static int check_work(void *arg, hp_err_t *err)
{
    hp_index_t *self = arg;
    (void)err; /* the code says it all */
    self->news = false;
    for (size_t i = 0; i < self->share->place->count && !self->news; i++)
        self->news = has_news(self, i);
    return 0;
}

static void on_checked(void *arg, int status, const hp_err_t *err)
{
    hp_index_t *self = arg;
    (void)err;
    hp_share_t *share = self->share;
    self->checking = false;
    check_quiet(self);
    if (status == 0 && !share->closing && !self->paused && self->walk_ended > 0 && self->news)
        hp_index_walk(self);
}

/* What is left out, in the log: once for each change, and not too often. */
static void tell_about_left_out(hp_index_t *self)
{
    const hp_left_out_t *left = hp_share_left_out(self->share);
    uint64_t now = hp_clock_ms();
    if (memcmp(self->said_left, left->counts, sizeof self->said_left) == 0 || self->share->missing ||
        (self->said_left_at != 0 && now - self->said_left_at < LEFT_TOLD_MS))
        return;
    char *sentence = hp_left_out_sentence(left);
    if (hp_left_out_total(left) > 0)
        hp_log(HP_LOG_WARN, "share: %s", sentence);
    else
        hp_log(HP_LOG_INFO, "share: nothing is left out any more");
    free(sentence);
    memcpy(self->said_left, left->counts, sizeof self->said_left);
    self->said_left_at = now;
}

static void on_check_timer(uv_timer_t *timer)
{
    hp_index_t *self = timer->data;
    tell_about_left_out(self);
    if (!self->running && !self->checking) {
        self->checking = true;
        memcpy(self->checked.folders, self->folders, sizeof self->folders);
        memcpy(self->checked.judged, self->judged, sizeof self->judged);
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
    bool news = share->scanning || share->missing || !share->complete, back = false;
    for (size_t i = 0; i < share->place->count; i++) {
        const hp_walk_folder_t *walk = &report->walk.folders[i];
        if (report->missing[i])
            continue;
        if (share->folders[i].missing)
            hp_log(HP_LOG_INFO, "share: %s is back", share->place->folders[i].path);
        back = back || share->folders[i].missing;
        share->folders[i].missing = false;
        self->folders[i] = *walk;
        if (i == 0 || !walk->empty)
            share->folders[i].device = walk->device;
    }
    hp_log(share->scanning ? HP_LOG_INFO : HP_LOG_DEBUG, "share: %llu files found in %.1f s",
           (unsigned long long)report->files, (double)report->ms / 1000);
    share->missing = false;
    share->complete = share->complete || !share->folders[0].missing;
    share->scanning = false;
    if (back) {
        note_revision(share);
        hp_away_count(share);
    }
    if (news || back)
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

/* A walk counts anew what is left out, soon, but for a small part of the time. */
static void plan_recount(hp_index_t *self)
{
    uint64_t delay = HP_MAX((uint64_t)self->share->tuning.recount, 20 * self->walk_ms);
    if (uv_timer_get_due_in(&self->walk_timer) > delay)
        uv_timer_start(&self->walk_timer, on_walk_timer, delay, 0);
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
    bool whole =
        everything && report->status == 0 && !report->away && !report->replaced && !report->walk.broken;
    if (report->status != 0)
        hp_log(HP_LOG_WARN, "share: the files cannot be indexed: %s", hp_err_text(&report->err));
    set_missing(self, report);
    if (report->replaced)
        self->everything = true;
    tell_about_watches(self, &report->walk);
    tell_about_trouble(self, &report->walk);
    tell_about_left_out(self);
    if (everything) {
        self->walk_ms = report->ms;
        self->walk_ended = hp_clock_ms();
        if (whole)
            note_walked(self, report);
    }
    if (everything || report->status != 0 || report->walk.trouble != 0)
        plan_walk(self, report);
    else if (report->walk.unwatched != 0 &&
             uv_timer_get_due_in(&self->walk_timer) > self->share->tuning.walk_blind)
        plan_walk(self, report);
    if (report->unsure)
        plan_recount(self);
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
        .expected = self->folders,
    };
    if (!self->everything && self->share->missing)
        return; /* no folder is there: what is in it will be looked at when it is back */
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
    memset(self->folders, 0, sizeof self->folders);
    memset(self->judged, 0, sizeof self->judged);
    self->walk_ms = self->walk_ended = 0;
    self->said_unwatched = false;
    self->said_left_at = 0;
    hp_left_out_dispose(&self->share->left_out);
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
