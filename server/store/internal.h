/* What the loop's side of the store and its thread share. */
#ifndef HP_STORE_INTERNAL_H
#define HP_STORE_INTERNAL_H

#include "base/list.h"
#include "db/file.h"
#include "db/db.h"
#include "store/store.h"

/* Kept of a lazy write's time for the commit itself. */
#define HP_STORE_COMMIT_EARLY_MS 50

typedef struct hp_store_job {
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
} hp_store_job_t;

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

/* NULL when there is none. */
hp_store_job_t *hp_store_take_first(hp_list_t *list);
/* status 0: there is no error. */
void hp_store_set_error(hp_store_job_t *job, int status, const hp_err_t *err);

/* ---- worker.c ---- */

/* Any thread: whether to go on waiting for another program that holds the database. */
bool hp_store_on_busy(void *store, unsigned waited_ms);
/* The store thread: until the end was asked for and every job has run. Closes the database. */
void hp_store_run(void *store);

#endif
