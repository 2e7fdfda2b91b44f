/* Blocking work off the loop: libuv's threads, with the shape of the store's jobs.
 *
 * Invariants
 * 1. work runs on a thread of the pool, done afterwards on the loop, exactly once each, done never inside
 * hp_pool_post. Jobs of one owner run at the same time and end in any order.
 * 2. arg belongs to the poster; work may use it until it returns, done from then on.
 * 3. A job counts as outstanding in `pending` (which may be NULL) from the post until its done function has
 * returned; pending outlives the job.
 */
#ifndef HP_POOL_POOL_H
#define HP_POOL_POOL_H

#include <uv.h>

#include "base/err.h"
#include "base/pending.h"

/* Pool thread. 0, or a negative code with err filled. */
typedef int (*hp_pool_work_fn)(void *arg, hp_err_t *err);

/* Loop thread. status is the work's result; err has the words for it (code 0 when all is well) and is valid
 * during the call. */
typedef void (*hp_pool_done_fn)(void *arg, int status, const hp_err_t *err);

/* Loop thread. done may be NULL when nobody needs the result. */
void hp_pool_post(uv_loop_t *loop, hp_pending_t *pending, hp_pool_work_fn work, hp_pool_done_fn done,
                  void *arg);

#endif
