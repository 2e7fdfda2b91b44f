/* The store: the one thread that owns the database, and the queue by which the loop uses it.
 *
 * Invariants
 * 1. Only the store thread touches the hp_db_t. Work functions run there, one at a time, in the order they
 * were posted.
 * 2. Every posted job's done function runs exactly once, on the loop thread, never inside a call of these
 * functions; a write's only after its commit returned (or failed). Also at teardown: destroy finishes the
 * queue first, nothing is dropped.
 * 3. Done functions of writes run in the order the writes were posted, whatever their kind; those of reads in
 * the order the reads were posted. A read does not wait for the commit of the writes before it, though it
 * sees them: its done function may run before theirs, and if that commit fails, it has seen what was then
 * taken back.
 * 4. Writes that wait together share one transaction; each runs in its own savepoint, so one that fails
 * leaves the others alone. A failed commit fails every write in it, with the same error; so does a full or
 * broken disk in the middle. The store goes on with the next job: once there is room again, writes succeed
 * again.
 * When the sync of one that is synced fails, it is reported as failed though it is committed.
 * 5. arg belongs to the poster; the work function may use it until it returns, the done function from then
 * on.
 * 6. The database's file is the one that lies in the data folder: one that somebody deletes is written anew
 * within a second or two; where somebody puts another one there, writes fail with a sentence that says so.
 * One that is damaged is set aside at start (db/file.h). A program that holds the database is waited for, for
 * a minute.
 * 7. The loop is kept alive while there are jobs, and only then.
 */
#ifndef HP_STORE_STORE_H
#define HP_STORE_STORE_H

#include <uv.h>

#include "base/err.h"
#include "base/pending.h"

typedef struct hp_db hp_db_t; /* db/db.h, which those need who write jobs */

typedef struct hp_store hp_store_t;

typedef enum {
    HP_STORE_READ,  /* in its turn, without waiting for a commit; it must not write */
    HP_STORE_WRITE, /* committed as soon as the queue is empty, at the latest HP_STORE_WRITE_MS after it ran
                     */
    HP_STORE_WRITE_SYNCED, /* the same, and synced before it is reported: it survives a power cut, and so does
                              what was written before it; of the others the last second may not. For what a
                              person or another host was promised, and what the disk is brought in line with
                            */
    HP_STORE_WRITE_LAZY,   /* committed at the latest HP_STORE_LAZY_MS after it was posted, unless the jobs
                              before it and the commit itself take longer */
} hp_store_kind_t;

#define HP_STORE_WRITE_MS 10
#define HP_STORE_LAZY_MS  250

/* Store thread. 0, or a negative code with err filled: the job's writes are rolled back. */
typedef int (*hp_store_work_fn)(hp_db_t *db, void *arg, hp_err_t *err);

/* Loop thread. status is the work's result, or the commit's error; err has the words for it (code 0 when all
 * is well) and is valid during the call. */
typedef void (*hp_store_done_fn)(void *arg, int status, const hp_err_t *err);

/* Takes the lock in the data folder (made with mode 0700 if missing), opens or makes hostpair.db and starts
 * the thread. Blocks; for start-up. HP_E_LOCKED, HP_E_DB_NEWER, HP_E_DB_FOREIGN, HP_E_DB or a system code,
 * with the words in err. */
int hp_store_create(hp_store_t **store, uv_loop_t *loop, const char *data_folder, hp_err_t *err);

/* Loop thread only. done may be NULL. After destroy was called the work does not run, and done gets
 * UV_ECANCELED. */
void hp_store_post(hp_store_t *store, hp_store_kind_t kind, hp_store_work_fn work, hp_store_done_fn done,
                   void *arg);

/* The same for an owner that counts what it has outstanding: from the post until done has returned. */
void hp_store_post_counted(hp_store_t *store, hp_pending_t *pending, hp_store_kind_t kind,
                           hp_store_work_fn work, hp_store_done_fn done, void *arg);

/* Jobs posted whose done function has not run. A caller that produces many (an import) waits while this is
 * high. */
unsigned hp_store_pending(const hp_store_t *store);

/* Stops taking new jobs, runs the queue to its end, commits, checkpoints, closes and lets go of the lock;
 * then calls closed on the loop, after the last done function. Does not block. */
void hp_store_destroy(hp_store_t *store, void (*closed)(void *arg), void *arg);

/* Runs one job and waits for its end and its commit, and its sync if the kind has one (start-up): 0 or its
 * error. Jobs posted before it run first; their done functions run when the loop does. Loop thread, but never
 * from a callback, and not after destroy. */
int hp_store_run_now(hp_store_t *store, hp_store_kind_t kind, hp_store_work_fn work, void *arg,
                     hp_err_t *err);

#endif
