/* The loop's side. One queue in, one queue out. The loop appends jobs to `posted`; the store thread takes
 * them one by one, and puts them into `finished`, from where an async handle brings them back to the loop.
 */
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/internal.h"
#include "store/lock.h"

hp_store_job_t *hp_store_take_first(hp_list_t *list)
{
    hp_link_t *link = hp_list_take_first(list);
    return link != NULL ? HP_CONTAINER(link, hp_store_job_t, link) : NULL;
}

void hp_store_set_error(hp_store_job_t *job, int status, const hp_err_t *err)
{
    job->status = status;
    if (status == 0)
        return;
    if (job->err == NULL)
        job->err = hp_alloc(sizeof *job->err);
    *job->err = *err;
    job->err->code = status;
}

static void call_done(hp_store_t *self, hp_store_job_t *job)
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
    for (hp_store_job_t *job; (job = hp_store_take_first(&finished)) != NULL;)
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

static hp_store_job_t *make_job(hp_store_kind_t kind, hp_store_work_fn work, hp_store_done_fn done, void *arg)
{
    hp_store_job_t *job = hp_alloc(sizeof *job);
    job->kind = kind;
    job->work = work;
    job->done = done;
    job->arg = arg;
    if (kind == HP_STORE_WRITE_LAZY)
        job->due = hp_clock_ms() + HP_STORE_LAZY_MS - HP_STORE_COMMIT_EARLY_MS;
    return job;
}

static void post(hp_store_t *self, hp_store_job_t *job)
{
    uv_mutex_lock(&self->mutex);
    hp_list_add(&self->posted, &job->link);
    uv_cond_signal(&self->wake);
    uv_mutex_unlock(&self->mutex);
}

void hp_store_post_counted(hp_store_t *self, hp_pending_t *pending, hp_store_kind_t kind,
                           hp_store_work_fn work, hp_store_done_fn done, void *arg)
{
    hp_store_job_t *job = make_job(kind, work, done, arg);
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
    hp_store_set_error(job, hp_err_set(&err, UV_ECANCELED, "hostpair is stopping"), &err);
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
    hp_store_job_t *job = make_job(kind == HP_STORE_WRITE_LAZY ? HP_STORE_WRITE : kind, work, NULL, arg);
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
        hp_db_on_busy(self->db, hp_store_on_busy, self);
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
    must(uv_thread_create(&self->thread, hp_store_run, self), "thread");
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
