/* The store thread: jobs, the group of writes that are committed together, and the care for the file.
 *
 * Writes are gathered in a group: one transaction, begun by the first of them. It is committed at once when
 * the queue is empty and somebody waits for a write that is not lazy; HP_STORE_WRITE_MS after such a write
 * ran when the queue does not become empty; and HP_STORE_COMMIT_EARLY_MS before the oldest lazy write's time
 * is up, busy or not. Where the queue is longer than that time, writes are late already when they run: they
 * still share commits, of GROUP_MIN_MS, or the queue would only become longer.
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
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/thread.h"
#include "store/internal.h"
#include "store/lock.h"

#define GROUP_MIN_MS   HP_STORE_WRITE_MS /* while jobs wait, a transaction gathers at least so long */
#define GROUP_MAX      8192              /* writes in one transaction */
#define SYNC_MS        1000              /* of other writes a power cut takes those of about so long */
#define LOOK_MS        1000              /* so often the database's file is looked at */
#define SPACE_FREE     (16 << 20) /* bytes that are free in the file before it is written anew without them */
#define SPACE_PAUSE_MS 10000      /* so often it is looked at */
#define BUSY_TOLD_MS   1000       /* another program holds the database for so long: it is said */
#define BUSY_MAX_MS    60000      /* then writes fail */
#define BUSY_END_MS    500        /* the same when hostpair is to end */

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

bool hp_store_on_busy(void *arg, unsigned waited_ms)
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
    for (hp_store_job_t *job; (job = hp_store_take_first(jobs)) != NULL;) {
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

static void finish_one(hp_store_t *self, hp_store_job_t *job)
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
        hp_store_job_t *job = HP_CONTAINER(at, hp_store_job_t, link);
        if (job->status == 0)
            hp_store_set_error(job, status, err);
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
        hp_store_job_t *job = HP_CONTAINER(at, hp_store_job_t, link);
        if (job->kind == HP_STORE_WRITE_SYNCED && job->status == 0)
            hp_store_set_error(job, rc, &err);
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

static void run_read(hp_store_t *self, hp_store_job_t *job)
{
    hp_err_t err = {0};
    int64_t before = hp_db_total_changes(self->db);
    hp_store_set_error(job, job->work(self->db, job->arg, &err), &err);
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
static void run_in_part(hp_store_t *self, hp_store_job_t *job)
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
    hp_store_set_error(job, rc, &err);
}

static void run_write(hp_store_t *self, hp_store_job_t *job)
{
    hp_err_t err = {0};
    if (hp_list_is_empty(&self->group)) {
        int rc = self->broken.code;
        if (rc != 0)
            err = self->broken;
        else
            rc = hp_db_begin(self->db, &err);
        if (rc != 0) {
            hp_store_set_error(job, rc, &err);
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
        hp_db_on_busy(self->db, hp_store_on_busy, self);
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
    hp_db_on_busy(self->db, hp_store_on_busy, self);
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
static hp_store_job_t *next_job(hp_store_t *self)
{
    hp_store_job_t *job = NULL;
    uv_mutex_lock(&self->mutex);
    while (true) {
        bool gathering = !hp_list_is_empty(&self->group);
        uint64_t now = hp_clock_ms();
        if (gathering ? is_commit_due(self, now) : is_sync_due(self, now) || is_look_due(self, now))
            break;
        job = hp_store_take_first(&self->posted);
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

void hp_store_run(void *arg)
{
    hp_store_t *self = arg;
    hp_thread_set_name("hostpair-store");
    while (true) {
        hp_store_job_t *job = next_job(self);
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
