/* One queue in, one queue out. The loop appends jobs to `posted`; the store thread takes them one by one, and
 * puts them into `finished`, from where an async handle brings them back to the loop.
 *
 * Writes are gathered in a group: one transaction, begun by the first of them. It is committed at once when
 * the queue is empty and somebody waits for a write that is not lazy; HP_STORE_WRITE_MS after such a write
 * ran when the queue does not become empty; and COMMIT_EARLY_MS before the oldest lazy write's time is up,
 * busy or not. Where the queue is longer than that time, writes are late already when they run: they still
 * share commits, of GROUP_MIN_MS, or the queue would only become longer.
 *
 * The writes of a group are finished together after the commit. Reads are finished as soon as they ran; they
 * run inside the open transaction, on the same connection, so they see the writes before them.
 *
 * What ends a group other than a commit: a commit that fails, or a statement that makes SQLite roll back the
 * whole transaction (full disk, I/O error). Then every write of the group fails with that error, and the next
 * write begins a new one.
 *
 * A crash leaves the groups that were committed, whole; done functions have reported nothing else.
 */
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/file.h"
#include "db/db.h"
#include "os/thread.h"
#include "store/lock.h"

#define COMMIT_EARLY_MS 50                /* kept of a lazy write's time for the commit itself */
#define GROUP_MIN_MS    HP_STORE_WRITE_MS /* while jobs wait, a transaction gathers at least so long */
#define GROUP_MAX       8192              /* writes in one transaction */
#define SYNC_MS         1000              /* of other writes a power cut takes those of about so long */
#define LOOK_MS         1000              /* so often the database's file is looked at */
#define SPACE_FREE      (16 << 20) /* bytes that are free in the file before it is written anew without them */
#define SPACE_PAUSE_MS  10000      /* so often it is looked at */
#define BUSY_TOLD_MS    1000       /* another program holds the database for so long: it is said */
#define BUSY_MAX_MS     60000      /* then writes fail */
#define BUSY_END_MS     500        /* the same when hostpair is to end */

typedef struct job {
    hp_link_t link;
    hp_store_kind_t kind;
    hp_store_work_fn work;
    hp_store_done_fn done;
    void *arg;
    hp_pending_t *pending; /* NULL: the poster does not count */
    uint64_t due;          /* of a write's commit: hp_clock_ms; set when posted (lazy) or when it ran */
    int status;
    hp_err_t *err;  /* the words of status; NULL when it is 0 */
    bool *finished; /* run_now waits for it; NULL for others */
} job_t;

struct hp_store {
    uv_loop_t *loop;
    uv_async_t async;
    uv_thread_t thread;
    unsigned pending; /* loop thread */
    bool destroying;  /* loop thread */
    void (*closed)(void *arg);
    void *closed_arg;

    uv_mutex_t mutex; /* guards from here ... */
    uv_cond_t wake;   /* the store thread: something was posted, or it is to end */
    uv_cond_t waited; /* run_now: its job is finished */
    hp_list_t posted, finished;
    bool ending; /* no more jobs will come */
    bool ended;  /* the store thread touches nothing any more */
    /* ... to here */

    hp_db_t *db; /* from here on the store thread's, once it runs */
    hp_list_t group;
    size_t group_size;
    uint64_t begun;     /* the group, hp_clock_ms */
    uint64_t due;       /* when the group must be committed */
    bool awaited;       /* the group has a write that is not lazy */
    bool synced;        /* the group has a write that is to be synced */
    uint64_t synced_at; /* the journal, hp_clock_ms */
    bool unsynced;      /* there were commits since */
    hp_db_file_t file;
    uint64_t space_at;  /* when what is free in the file is looked at next, hp_clock_ms */
    int64_t unused;     /* bytes that were free then */
    uint64_t looked_at; /* the file, hp_clock_ms */
    bool marked;        /* as damaged */
    hp_err_t broken;    /* why nothing is written any more; code 0: it is */
    int lock_fd;
};

static job_t *take_first(hp_list_t *list)
{
    hp_link_t *link = hp_list_take_first(list);
    return link != NULL ? HP_CONTAINER(link, job_t, link) : NULL;
}

static void set_error(job_t *job, int status, const hp_err_t *err)
{
    job->status = status;
    if (status == 0)
        return;
    if (job->err == NULL)
        job->err = hp_alloc(sizeof *job->err);
    *job->err = *err;
    job->err->code = status;
}

/* ---- store thread ---- */

/* The next start sets it aside. What can still be read and written is, until then. */
static void note_damage(hp_store_t *self, const hp_err_t *err)
{
    if (self->marked)
        return;
    self->marked = true;
    hp_db_file_mark(self->file.path);
    hp_log(HP_LOG_ERROR,
           "the database %s is damaged (%s): restart hostpair, which then sets it aside and goes on with "
           "what can be read of it",
           self->file.path, hp_err_text(err));
}

static bool is_ending(hp_store_t *self)
{
    uv_mutex_lock(&self->mutex);
    bool ending = self->ending;
    uv_mutex_unlock(&self->mutex);
    return ending;
}

static bool on_busy(void *arg, unsigned waited_ms)
{
    hp_store_t *self = arg;
    if (waited_ms == BUSY_TOLD_MS)
        hp_log(HP_LOG_WARN, "another program holds the database %s: hostpair waits for it", self->file.path);
    return waited_ms < (is_ending(self) ? BUSY_END_MS : BUSY_MAX_MS);
}

static void finish(hp_store_t *self, hp_list_t *jobs)
{
    if (hp_list_is_empty(jobs))
        return;
    uv_mutex_lock(&self->mutex);
    for (job_t *job; (job = take_first(jobs)) != NULL;) {
        if (job->finished != NULL) {
            *job->finished = true;
            uv_cond_signal(&self->waited);
        } else {
            hp_list_add(&self->finished, &job->link);
        }
    }
    uv_mutex_unlock(&self->mutex);
    uv_async_send(&self->async);
}

static void finish_one(hp_store_t *self, job_t *job)
{
    hp_list_t one;
    hp_list_init(&one);
    hp_list_add(&one, &job->link);
    finish(self, &one);
}

/* Every write of the group failed: its transaction is gone. */
static void fail_group(hp_store_t *self, int status, const hp_err_t *err)
{
    if (self->group_size > 1)
        hp_log(HP_LOG_WARN, "database: %zu writes failed together: %s", self->group_size, hp_err_text(err));
    HP_LIST_EACH (at, &self->group) {
        job_t *job = HP_CONTAINER(at, job_t, link);
        if (job->status == 0)
            set_error(job, status, err);
    }
    finish(self, &self->group);
}

static bool is_busy(hp_store_t *self)
{
    uv_mutex_lock(&self->mutex);
    bool busy = !hp_list_is_empty(&self->posted);
    uv_mutex_unlock(&self->mutex);
    return busy;
}

static bool is_sync_due(const hp_store_t *self, uint64_t now)
{
    return self->unsynced && now >= self->synced_at + SYNC_MS;
}

/* With the writes of the group that was committed just now, if there is one. */
static void sync_journal(hp_store_t *self)
{
    hp_err_t err = {0};
    int rc = hp_db_sync(self->db, &err);
    if (rc != 0)
        hp_log(HP_LOG_WARN, "database: its journal may not survive a power cut: %s", hp_err_text(&err));
    self->unsynced = false; /* a sync that failed is not made better by another one */
    self->synced_at = hp_clock_ms();
    if (rc == 0)
        return;
    HP_LIST_EACH (at, &self->group) {
        job_t *job = HP_CONTAINER(at, job_t, link);
        if (job->kind == HP_STORE_WRITE_SYNCED && job->status == 0)
            set_error(job, rc, &err);
    }
}

static void commit_group(hp_store_t *self)
{
    hp_err_t err = {0};
    int rc = hp_db_commit(self->db, &err);
    if (rc == HP_E_DB_DAMAGED)
        note_damage(self, &err);
    if (rc != 0) {
        hp_db_rollback(self->db);
        fail_group(self, rc, &err);
        return;
    }
    self->unsynced = true;
    if (self->synced || is_sync_due(self, hp_clock_ms()))
        sync_journal(self);
    finish(self, &self->group);
    if (hp_db_tidy(self->db, is_busy(self), &err) != 0)
        hp_log(HP_LOG_WARN, "database: its journal grows: %s", hp_err_text(&err));
}

/* After a job: SQLite may have rolled back the whole transaction, for a read that failed as well. */
static void check_group(hp_store_t *self, const hp_err_t *err)
{
    if (hp_list_is_empty(&self->group) || hp_db_in_transaction(self->db))
        return;
    hp_err_t lost = err->code != 0 ? *err : (hp_err_t){.code = HP_E_DB};
    fail_group(self, lost.code, &lost);
}

static void run_read(hp_store_t *self, job_t *job)
{
    hp_err_t err = {0};
    int64_t before = hp_db_total_changes(self->db);
    set_error(job, job->work(self->db, job->arg, &err), &err);
    if (job->status == HP_E_DB_DAMAGED)
        note_damage(self, &err);
    if (hp_db_total_changes(self->db) != before) {
        hp_log(HP_LOG_ERROR,
               "store: a read changed the database"); /* a mistake in the code: nobody would commit it */
        abort();
    }
    finish_one(self, job);
    check_group(self, &err);
}

/* Runs the job in a savepoint. Its status is set. */
static void run_in_part(hp_store_t *self, job_t *job)
{
    hp_err_t err = {0};
    int rc = hp_db_savepoint(self->db, &err);
    if (rc == 0) {
        rc = job->work(self->db, job->arg, &err);
        if (rc == 0)
            rc = hp_db_release(self->db, &err);
        if (rc != 0)
            hp_db_revert(self->db);
    }
    if (rc == HP_E_DB_DAMAGED)
        note_damage(self, &err);
    set_error(job, rc, &err);
}

static void run_write(hp_store_t *self, job_t *job)
{
    hp_err_t err = {0};
    if (hp_list_is_empty(&self->group)) {
        int rc = self->broken.code;
        if (rc != 0)
            err = self->broken;
        else
            rc = hp_db_begin(self->db, &err);
        if (rc != 0) {
            set_error(job, rc, &err);
            finish_one(self, job);
            return;
        }
        self->group_size = 0;
        self->awaited = self->synced = false;
        self->begun = hp_clock_ms();
        self->due = UINT64_MAX;
    }
    run_in_part(self, job);
    hp_list_add(&self->group, &job->link);
    self->group_size++;
    if (!hp_db_in_transaction(self->db)) {
        check_group(self, job->err != NULL ? job->err : &err);
        return;
    }
    if (job->kind != HP_STORE_WRITE_LAZY) {
        self->awaited = true;
        self->synced |= job->kind == HP_STORE_WRITE_SYNCED;
        job->due = hp_clock_ms() + HP_STORE_WRITE_MS;
    }
    self->due = HP_MIN(self->due, job->due);
}

static bool is_commit_due(const hp_store_t *self, uint64_t now)
{
    if (self->group_size >= GROUP_MAX)
        return true;
    return now >= self->due && (hp_list_is_empty(&self->posted) || now >= self->begun + GROUP_MIN_MS);
}

/* Nothing goes on in a file that nobody will find again: what was deleted is written anew; where that is not
 * to be, or somebody put another file there, nothing is written any more. */
static void look_at_file(hp_store_t *self)
{
    hp_err_t err = {0}, failure = {0};
    self->looked_at = hp_clock_ms();
    if (self->broken.code != 0)
        return;
    hp_db_file_state_t state = hp_db_file_look(&self->file, &err);
    if (state == HP_DB_FILE_FINE)
        return;
    if (state == HP_DB_FILE_GONE && hp_db_file_restore(&self->file, &self->db, &failure) == 0) {
        hp_db_on_busy(self->db, on_busy, self);
        self->unsynced = false;
        hp_log(HP_LOG_ERROR, "%s: it was written anew from what hostpair still had open, nothing is lost",
               hp_err_text(&err));
        return;
    }
    if (failure.code != 0)
        hp_err_set(&self->broken, HP_E_DB, "%s, and cannot be written anew (%s): restart hostpair",
                   hp_err_text(&err), hp_err_text(&failure));
    else
        self->broken = err;
    hp_log(HP_LOG_ERROR, "%s. Until then nothing is written down", hp_err_text(&self->broken));
}

/* A file that is mostly free (a host's huge list has gone) is written anew without what is free, as soon as
 * nobody waits for the store. What is copied is less than what was free. */
static void give_back_space(hp_store_t *self)
{
    hp_err_t err = {0};
    int64_t used, unused;
    uint64_t now = hp_clock_ms();
    if (self->broken.code != 0 || now < self->space_at || is_busy(self) ||
        hp_db_space(self->db, &used, &unused, &err) != 0)
        return;
    self->space_at = now + SPACE_PAUSE_MS;
    bool steady = unused == self->unused; /* else rows are being removed: there will be more */
    self->unused = unused;
    if (!steady || unused < SPACE_FREE || unused < used)
        return;
    if (hp_db_file_restore(&self->file, &self->db, &err) != 0) {
        hp_log(HP_LOG_WARN, "database: %lld MiB of it are free, but cannot be given back: %s",
               (long long)(unused >> 20), hp_err_text(&err));
        return;
    }
    hp_db_on_busy(self->db, on_busy, self);
    self->unsynced = false;
    hp_log(HP_LOG_INFO, "database: gave back %lld MiB, %lld MiB are left", (long long)(unused >> 20),
           (long long)(used >> 20));
}

static bool is_look_due(const hp_store_t *self, uint64_t now)
{
    return now >= self->looked_at + LOOK_MS;
}

/* What is to be done when nobody asks for anything, hp_clock_ms. */
static uint64_t next_look(const hp_store_t *self)
{
    uint64_t look = self->looked_at + LOOK_MS, sync = self->synced_at + SYNC_MS;
    return self->unsynced ? HP_MIN(look, sync) : look;
}

/* The next job, or NULL when the group is to be committed or (with no group) the journal synced, the file
 * looked at or the thread ended. */
static job_t *next_job(hp_store_t *self)
{
    job_t *job = NULL;
    uv_mutex_lock(&self->mutex);
    while (true) {
        bool gathering = !hp_list_is_empty(&self->group);
        uint64_t now = hp_clock_ms();
        if (gathering ? is_commit_due(self, now) : is_sync_due(self, now) || is_look_due(self, now))
            break;
        job = take_first(&self->posted);
        if (job != NULL || self->ending || (gathering && self->awaited))
            break;
        if (gathering)
            uv_cond_timedwait(&self->wake, &self->mutex, (self->due - now) * 1000000);
        else
            uv_cond_timedwait(&self->wake, &self->mutex, (next_look(self) - now) * 1000000);
    }
    uv_mutex_unlock(&self->mutex);
    return job;
}

static void close_database(hp_store_t *self)
{
    hp_err_t err = {0};
    look_at_file(self);
    if (self->broken.code != 0) {
        hp_db_abandon(self->db);
    } else if (hp_db_checkpoint(self->db, &err) != 0) {
        hp_log(HP_LOG_WARN, "database: what is in its journal stays there until the next start: %s",
               hp_err_text(&err));
        hp_db_close(self->db);
    } else {
        hp_db_close(self->db);
        hp_store_lock_clean(self->lock_fd);
    }
    hp_db_file_dispose(&self->file);
    close(self->lock_fd);
}

static void run_thread(void *arg)
{
    hp_store_t *self = arg;
    hp_thread_set_name("hostpair-store");
    while (true) {
        job_t *job = next_job(self);
        if (job != NULL && job->kind == HP_STORE_READ)
            run_read(self, job);
        else if (job != NULL)
            run_write(self, job);
        else if (!hp_list_is_empty(&self->group))
            commit_group(self);
        else if (is_sync_due(self, hp_clock_ms()))
            sync_journal(self);
        else if (is_look_due(self, hp_clock_ms())) {
            look_at_file(self);
            give_back_space(self);
        } else
            break;
    }
    close_database(self);
    uv_mutex_lock(&self->mutex);
    self->ended = true;
    uv_mutex_unlock(&self->mutex);
    uv_async_send(&self->async);
}

/* ---- loop thread ---- */

static void call_done(hp_store_t *self, job_t *job)
{
    static const hp_err_t fine = {0};
    if (--self->pending == 0 && !self->destroying)
        uv_unref((uv_handle_t *)&self->async);
    if (job->done != NULL)
        job->done(job->arg, job->status, job->err != NULL ? job->err : &fine);
    else if (job->status != 0 && job->status != UV_ECANCELED)
        hp_log(HP_LOG_WARN, "database: a write that nobody waits for failed: %s", hp_err_text(job->err));
    hp_pending_t *pending = job->pending;
    free(job->err);
    free(job);
    if (pending != NULL)
        hp_pending_drop(pending);
}

/* Calls back what is finished by now; what becomes finished meanwhile sends the async handle again. Whether
 * the thread has ended. */
static bool deliver(hp_store_t *self)
{
    uv_mutex_lock(&self->mutex);
    hp_list_t finished;
    hp_list_init(&finished);
    hp_list_take_all(&finished, &self->finished);
    bool ended = self->ended;
    uv_mutex_unlock(&self->mutex);
    for (job_t *job; (job = take_first(&finished)) != NULL;)
        call_done(self, job);
    return ended;
}

static void on_closed(uv_handle_t *handle)
{
    hp_store_t *self = handle->data;
    while (self->pending > 0) /* posted by the last done functions */
        deliver(self);
    uv_cond_destroy(&self->waited);
    uv_cond_destroy(&self->wake);
    uv_mutex_destroy(&self->mutex);
    void (*closed)(void *arg) = self->closed;
    void *arg = self->closed_arg;
    free(self);
    if (closed != NULL)
        closed(arg);
}

static void on_async(uv_async_t *handle)
{
    hp_store_t *self = handle->data;
    if (deliver(self)) {
        uv_thread_join(&self->thread);
        uv_close((uv_handle_t *)handle, on_closed);
    }
}

static job_t *make_job(hp_store_kind_t kind, hp_store_work_fn work, hp_store_done_fn done, void *arg)
{
    job_t *job = hp_alloc(sizeof *job);
    job->kind = kind;
    job->work = work;
    job->done = done;
    job->arg = arg;
    if (kind == HP_STORE_WRITE_LAZY)
        job->due = hp_clock_ms() + HP_STORE_LAZY_MS - COMMIT_EARLY_MS;
    return job;
}

static void post(hp_store_t *self, job_t *job)
{
    uv_mutex_lock(&self->mutex);
    hp_list_add(&self->posted, &job->link);
    uv_cond_signal(&self->wake);
    uv_mutex_unlock(&self->mutex);
}

void hp_store_post_counted(hp_store_t *self, hp_pending_t *pending, hp_store_kind_t kind,
                           hp_store_work_fn work, hp_store_done_fn done, void *arg)
{
    job_t *job = make_job(kind, work, done, arg);
    job->pending = pending;
    if (pending != NULL)
        hp_pending_add(pending);
    if (self->pending++ == 0)
        uv_ref((uv_handle_t *)&self->async);
    if (!self->destroying) {
        post(self, job);
        return;
    }
    hp_err_t err;
    set_error(job, hp_err_set(&err, UV_ECANCELED, "hostpair is stopping"), &err);
    uv_mutex_lock(&self->mutex);
    hp_list_add(&self->finished, &job->link);
    uv_mutex_unlock(&self->mutex);
    uv_async_send(&self->async);
}

void hp_store_post(hp_store_t *self, hp_store_kind_t kind, hp_store_work_fn work, hp_store_done_fn done,
                   void *arg)
{
    hp_store_post_counted(self, NULL, kind, work, done, arg);
}

unsigned hp_store_pending(const hp_store_t *self)
{
    return self->pending;
}

int hp_store_run_now(hp_store_t *self, hp_store_kind_t kind, hp_store_work_fn work, void *arg, hp_err_t *err)
{
    bool finished = false;
    job_t *job = make_job(kind == HP_STORE_WRITE_LAZY ? HP_STORE_WRITE : kind, work, NULL, arg);
    job->finished = &finished;
    post(self, job);
    uv_mutex_lock(&self->mutex);
    while (!finished)
        uv_cond_wait(&self->waited, &self->mutex);
    uv_mutex_unlock(&self->mutex);
    int status = job->status;
    if (status != 0 && err != NULL)
        *err = *job->err;
    free(job->err);
    free(job);
    return status;
}

static bool is_there(const char *path, const char *ending)
{
    char *name = hp_sprintf("%s%s", path, ending);
    bool there = access(name, F_OK) == 0;
    free(name);
    return there;
}

/* A process that did not end in order leaves the journal with its last writes. */
static void miss_journal(const char *path, bool clean)
{
    if (!clean && is_there(path, "") && !is_there(path, "-wal") && !is_there(path, "-journal"))
        hp_log(HP_LOG_ERROR,
               "the journal of the database (%s-wal) is missing, though hostpair was not ended in order: "
               "unless another "
               "program has opened the database since, what was written last is lost",
               path);
}

static int open_folder(hp_store_t *self, const char *data_folder, hp_err_t *err)
{
    bool clean = true;
    int rc = hp_make_folder(data_folder, 0700);
    if (rc != 0)
        return hp_err_set(err, rc, "making the data folder %s: %s", data_folder, hp_err_sentence(rc));
    rc = hp_store_lock(data_folder, &clean, err);
    if (rc < 0)
        return rc;
    self->lock_fd = rc;
    char *path = hp_sprintf("%s/%s", data_folder, HP_DB_FILE);
    miss_journal(path, clean);
    rc = hp_db_file_open(path, &self->db, err);
    if (rc == 0) {
        hp_db_file_init(&self->file, path);
        hp_db_on_busy(self->db, on_busy, self);
    } else {
        close(self->lock_fd);
    }
    free(path);
    return rc;
}

static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    hp_log(HP_LOG_ERROR, "store: %s: %s", what, uv_strerror(rc));
    abort(); /* no memory, or no threads to be had */
}

int hp_store_create(hp_store_t **store, uv_loop_t *loop, const char *data_folder, hp_err_t *err)
{
    hp_store_t *self = hp_alloc(sizeof *self);
    int rc = open_folder(self, data_folder, err);
    if (rc != 0) {
        free(self);
        *store = NULL;
        return rc;
    }
    self->loop = loop;
    hp_list_init(&self->posted);
    hp_list_init(&self->finished);
    hp_list_init(&self->group);
    must(uv_mutex_init(&self->mutex), "mutex");
    must(uv_cond_init(&self->wake), "condition");
    must(uv_cond_init(&self->waited), "condition");
    must(uv_async_init(loop, &self->async, on_async), "async handle");
    self->async.data = self;
    uv_unref((uv_handle_t *)&self->async);
    must(uv_thread_create(&self->thread, run_thread, self), "thread");
    *store = self;
    return 0;
}

void hp_store_destroy(hp_store_t *self, void (*closed)(void *arg), void *arg)
{
    self->destroying = true;
    self->closed = closed;
    self->closed_arg = arg;
    uv_ref((uv_handle_t *)&self->async);
    uv_mutex_lock(&self->mutex);
    self->ending = true;
    uv_cond_signal(&self->wake);
    uv_mutex_unlock(&self->mutex);
}
