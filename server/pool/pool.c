#include "pool/pool.h"

#include <stdlib.h>

#include "base/mem.h"

typedef struct job {
    uv_work_t work;
    hp_pending_t *pending;
    hp_pool_work_fn run;
    hp_pool_done_fn done;
    void *arg;
    int status;
    hp_err_t err;
} job_t;

static void on_work(uv_work_t *work)
{
    job_t *job = HP_CONTAINER(work, job_t, work);
    job->status = job->run(job->arg, &job->err);
    job->err.code = job->status;
}

static void on_after(uv_work_t *work, int status)
{
    job_t *job = HP_CONTAINER(work, job_t, work);
    hp_pending_t *pending = job->pending;
    if (status != 0)
        job->status = hp_err_set(&job->err, status, "hostpair is being stopped");
    if (job->done != NULL)
        job->done(job->arg, job->status, &job->err);
    free(job);
    if (pending != NULL)
        hp_pending_drop(pending);
}

void hp_pool_post(uv_loop_t *loop, hp_pending_t *pending, hp_pool_work_fn work, hp_pool_done_fn done,
                  void *arg)
{
    job_t *job = hp_alloc(sizeof *job);
    job->pending = pending;
    job->run = work;
    job->done = done;
    job->arg = arg;
    if (pending != NULL)
        hp_pending_add(pending);
    uv_queue_work(loop, &job->work, on_work, on_after); /* fails without a function only */
}
