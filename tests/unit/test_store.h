/* A store with its loop, jobs that tell what became of them, and the syncs of its journal, counted. */
#ifndef TEST_STORE_H
#define TEST_STORE_H

#include "test_db_help.h"

#include <stdatomic.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/db.h"
#include "db/setting.h"
#include "db/statement.h"
#include "store/store.h"

#define GUARD_MS 20000 /* a test that waits longer has failed */

/* ---- a store with its loop, and jobs that tell what became of them ---- */

typedef struct fixture {
    uv_loop_t loop;
    hp_store_t *store;
    char *folder;
    bool closed;
    int done_count; /* counts the done functions: job_t.order */
} fixture_t;

typedef struct task {
    fixture_t *fixture;
    char name[32];
    const char *value;
    int fail_with; /* after writing */
    bool done;
    int order, status;
    uint64_t posted_ms, done_ms;
    char words[400];
    int64_t count; /* result of a read */
} task_t;

static inline int setup(void **state)
{
    void *folder;
    if (make_folder(&folder) != 0)
        return -1;
    fixture_t *f = hp_alloc(sizeof *f);
    f->folder = folder;
    *state = f;
    hp_log_set_level(HP_LOG_ERROR);
    return uv_loop_init(&f->loop);
}

static inline void on_closed(void *arg)
{
    ((fixture_t *)arg)->closed = true;
}

static inline void open_store(fixture_t *f)
{
    hp_err_t err = {0};
    char data[PATH_SIZE];
    if (hp_store_create(&f->store, &f->loop, path_in(f->folder, "data", data), &err) != 0)
        fail_msg("%s", hp_err_text(&err));
}

static inline void close_store(fixture_t *f)
{
    f->closed = false;
    hp_store_destroy(f->store, on_closed, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->closed);
    f->store = NULL;
}

static inline int teardown(void **state)
{
    fixture_t *f = *state;
    if (f->store != NULL)
        close_store(f);
    int rc = uv_loop_close(&f->loop);
    void *folder = f->folder;
    rc |= remove_folder(&folder);
    free(f);
    return rc;
}

static inline int write_setting(hp_db_t *db, void *arg, hp_err_t *err)
{
    task_t *task = arg;
    int rc = hp_db_setting_set(db, task->name, task->value, err);
    return rc != 0 || task->fail_with == 0 ? rc : hp_err_set(err, task->fail_with, "on purpose");
}

static inline void count_one(void *arg, const char *name, const char *value)
{
    (void)name, (void)value;
    ++*(int64_t *)arg;
}

static inline int count_settings(hp_db_t *db, void *arg, hp_err_t *err)
{
    task_t *task = arg;
    task->count = 0;
    return hp_db_setting_each(db, count_one, &task->count, err);
}

static inline void on_done(void *arg, int status, const hp_err_t *err)
{
    task_t *task = arg;
    assert_false(task->done);
    assert_int_equal(err->code, status);
    task->done = true;
    task->order = ++task->fixture->done_count;
    task->status = status;
    task->done_ms = hp_clock_ms();
    snprintf(task->words, sizeof task->words, "%s", hp_err_text(err));
}

static inline void post_as(fixture_t *f, task_t *task, hp_store_kind_t kind, hp_store_work_fn work)
{
    task->fixture = f;
    task->posted_ms = hp_clock_ms();
    hp_store_post(f->store, kind, work, on_done, task);
}

static inline void post_write(fixture_t *f, task_t *task, hp_store_kind_t kind, int number)
{
    snprintf(task->name, sizeof task->name, "setting %d", number);
    if (task->value == NULL)
        task->value = "x";
    post_as(f, task, kind, write_setting);
}

static inline void run_until(fixture_t *f, const bool *flag)
{
    uint64_t start = hp_clock_ms();
    while (!*flag) {
        if (uv_run(&f->loop, UV_RUN_ONCE) == 0 && !*flag)
            fail_msg("the loop has nothing more to wait for");
        if (hp_clock_ms() - start > GUARD_MS)
            fail_msg("it took too long");
    }
}

static inline int read_nothing(hp_db_t *db, void *arg, hp_err_t *err)
{
    task_t task = {0};
    (void)arg;
    return count_settings(db, &task, err);
}

/* ---- power cuts ---- */

static atomic_int journal_syncs;
static atomic_bool sync_fails;

static inline int sync_fd(int fd)
{
    char link[64], path[PATH_SIZE];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    if (strstr(path, HP_DB_FILE "-wal") == NULL)
        return 0;
    journal_syncs++;
    errno = EIO;
    return sync_fails ? -1 : 0;
}

/* What SQLite calls in this program. */
__attribute__((visibility("default"))) int fsync(int fd)
{
    return sync_fd(fd);
}
__attribute__((visibility("default"))) int fdatasync(int fd)
{
    return sync_fd(fd);
}

#endif
