// libs: store db os base
#include "test_db_help.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/db.h"
#include "db/schema.h"
#include "db/setting.h"
#include "db/statement.h"
#include "store/lock.h"
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

static int setup(void **state)
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

static void on_closed(void *arg)
{
    ((fixture_t *)arg)->closed = true;
}

static void open_store(fixture_t *f)
{
    hp_err_t err = {0};
    char data[PATH_SIZE];
    if (hp_store_create(&f->store, &f->loop, path_in(f->folder, "data", data), &err) != 0)
        fail_msg("%s", hp_err_text(&err));
}

static void close_store(fixture_t *f)
{
    f->closed = false;
    hp_store_destroy(f->store, on_closed, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->closed);
    f->store = NULL;
}

static int teardown(void **state)
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

static int write_setting(hp_db_t *db, void *arg, hp_err_t *err)
{
    task_t *task = arg;
    int rc = hp_db_setting_set(db, task->name, task->value, err);
    return rc != 0 || task->fail_with == 0 ? rc : hp_err_set(err, task->fail_with, "on purpose");
}

static void count_one(void *arg, const char *name, const char *value)
{
    (void)name, (void)value;
    ++*(int64_t *)arg;
}

static int count_settings(hp_db_t *db, void *arg, hp_err_t *err)
{
    task_t *task = arg;
    task->count = 0;
    return hp_db_setting_each(db, count_one, &task->count, err);
}

static void on_done(void *arg, int status, const hp_err_t *err)
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

static void post_as(fixture_t *f, task_t *task, hp_store_kind_t kind, hp_store_work_fn work)
{
    task->fixture = f;
    task->posted_ms = hp_clock_ms();
    hp_store_post(f->store, kind, work, on_done, task);
}

static void post_write(fixture_t *f, task_t *task, hp_store_kind_t kind, int number)
{
    snprintf(task->name, sizeof task->name, "setting %d", number);
    if (task->value == NULL)
        task->value = "x";
    post_as(f, task, kind, write_setting);
}

static void run_until(fixture_t *f, const bool *flag)
{
    uint64_t start = hp_clock_ms();
    while (!*flag) {
        if (uv_run(&f->loop, UV_RUN_ONCE) == 0 && !*flag)
            fail_msg("the loop has nothing more to wait for");
        if (hp_clock_ms() - start > GUARD_MS)
            fail_msg("it took too long");
    }
}

/* ---- order and time ---- */

static void a_read_sees_the_writes_before_it_without_waiting_for_their_commit(void **state)
{
    fixture_t *f = *state;
    task_t lazy = {0}, read = {0};
    open_store(f);
    post_write(f, &lazy, HP_STORE_WRITE_LAZY, 1);
    post_as(f, &read, HP_STORE_READ, count_settings);
    assert_int_equal(hp_store_pending(f->store), 2);
    run_until(f, &read.done);
    assert_int_equal(read.count, 1);
    run_until(f, &lazy.done);
    assert_int_equal(read.order, 1);
    assert_int_equal(lazy.order, 2);
    assert_int_equal(lazy.status, 0);
    assert_int_equal(hp_store_pending(f->store), 0);
    assert_int_equal(uv_loop_alive(&f->loop), 0);
}

static void writes_call_back_in_the_order_they_were_posted(void **state)
{
    fixture_t *f = *state;
    task_t tasks[40] = {{0}};
    open_store(f);
    for (int i = 0; i < 40; i++) {
        tasks[i].fail_with = i % 5 == 0 ? HP_E_CONFLICT : 0;
        post_write(f, &tasks[i], i % 3 == 2 ? HP_STORE_WRITE : HP_STORE_WRITE_LAZY, i);
    }
    run_until(f, &tasks[39].done);
    for (int i = 0; i < 40; i++)
        assert_int_equal(tasks[i].order, i + 1);
}

static void a_write_takes_the_lazy_ones_before_it_along(void **state)
{
    fixture_t *f = *state;
    /* The machine may be busy with other things; a write that waits for the lazy one's time always does. */
    uint64_t best = UINT64_MAX;
    open_store(f);
    for (int i = 0; i < 20 && best > HP_STORE_LAZY_MS / 2; i++) {
        task_t lazy = {0}, write = {0};
        post_write(f, &lazy, HP_STORE_WRITE_LAZY, 1);
        post_write(f, &write, HP_STORE_WRITE, 2);
        run_until(f, &write.done);
        assert_true(lazy.done);
        best = HP_MIN(best, write.done_ms - write.posted_ms);
    }
    if (best > HP_STORE_LAZY_MS / 2)
        fail_msg("the write took %d ms at best", (int)best);
}

/* A read that posts itself again until everything in `until` is done, so that the queue is never empty. */
typedef struct load {
    fixture_t *fixture;
    const bool *until;
    bool done;
    int rounds, running;
} load_t;

static int read_nothing(hp_db_t *db, void *arg, hp_err_t *err)
{
    task_t task = {0};
    (void)arg;
    return count_settings(db, &task, err);
}

static void on_load_done(void *arg, int status, const hp_err_t *err)
{
    load_t *load = arg;
    (void)err;
    assert_int_equal(status, 0);
    load->rounds++;
    load->done = *load->until && --load->running == 0;
    if (!*load->until)
        hp_store_post(load->fixture->store, HP_STORE_READ, read_nothing, on_load_done, load);
}

static void writes_are_committed_in_time_while_the_queue_is_never_empty(void **state)
{
    static const struct {
        hp_store_kind_t kind;
        unsigned limit_ms;
    } kinds[] = {{HP_STORE_WRITE_LAZY, HP_STORE_LAZY_MS}, {HP_STORE_WRITE, HP_STORE_WRITE_MS}};
    fixture_t *f = *state;
    open_store(f);
    for (size_t i = 0; i < 2; i++) {
        task_t write = {0};
        load_t load = {.fixture = f, .until = &write.done, .running = 50};
        for (int k = 0; k < load.running; k++)
            hp_store_post(f->store, HP_STORE_READ, read_nothing, on_load_done, &load);
        post_write(f, &write, kinds[i].kind, 1);
        run_until(f, &load.done);
        assert_int_equal(write.status, 0);
        assert_true(load.rounds > 50);
        /* The machine may be busy with other things; a commit that waits for the queue never comes. */
        unsigned took = (unsigned)(write.done_ms - write.posted_ms);
        if (took > kinds[i].limit_ms + 1000)
            fail_msg("took %u ms instead of %u", took, kinds[i].limit_ms);
    }
}

static int count_commit(void *arg)
{
    ++*(int *)arg; /* store thread; read after it has finished the writes */
    return 0;
}

static int watch_commits(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)err;
    sqlite3_commit_hook(hp_db_handle(db), count_commit, arg);
    return 0;
}

static void lazy_writes_share_a_commit(void **state)
{
    fixture_t *f = *state;
    task_t tasks[100] = {{0}};
    int commits = 0;
    open_store(f);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_READ, watch_commits, &commits, NULL), 0);
    for (int i = 0; i < 100; i++)
        post_write(f, &tasks[i], HP_STORE_WRITE_LAZY, i);
    run_until(f, &tasks[0].done);
    for (int i = 0; i < 100; i++)
        assert_true(tasks[i].done);
    assert_int_equal(commits, 1);
}

/* Longer than a lazy write has. */
static int hold_up(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)db, (void)arg, (void)err;
    usleep((HP_STORE_LAZY_MS + 50) * 1000);
    return 0;
}

static void writes_that_are_late_already_still_share_commits(void **state)
{
    fixture_t *f = *state;
    static task_t tasks[1000];
    memset(tasks, 0, sizeof tasks);
    int commits = 0;
    open_store(f);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_READ, watch_commits, &commits, NULL), 0);
    hp_store_post(f->store, HP_STORE_READ, hold_up, NULL, NULL);
    for (int i = 0; i < 1000; i++)
        post_write(f, &tasks[i], HP_STORE_WRITE_LAZY, i);
    run_until(f, &tasks[999].done);
    uint64_t took = tasks[999].done_ms - tasks[0].posted_ms;
    if (commits > 2 + (int)(took / HP_STORE_WRITE_MS))
        fail_msg("%d commits in %d ms", commits, (int)took);
}

/* ---- power cuts ---- */

static atomic_int journal_syncs;
static atomic_bool sync_fails;

static int sync_fd(int fd)
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

static void only_what_asks_for_it_is_synced_and_then_before_it_is_reported(void **state)
{
    fixture_t *f = *state;
    task_t first = {0}, plain = {0}, synced = {0}, failing = {0}, beside = {0};
    open_store(f);
    post_write(f, &first, HP_STORE_WRITE, 0);
    run_until(f, &first.done); /* SQLite syncs the head of a new journal */
    journal_syncs = 0;
    post_write(f, &plain, HP_STORE_WRITE, 1);
    run_until(f, &plain.done);
    assert_int_equal(journal_syncs, 0);
    post_write(f, &synced, HP_STORE_WRITE_SYNCED, 2);
    run_until(f, &synced.done);
    assert_int_equal(synced.status, 0);
    assert_int_equal(journal_syncs, 1);
    task_t now = {.name = "now", .value = "x"};
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE_SYNCED, write_setting, &now, NULL), 0);
    assert_int_equal(journal_syncs, 2);
    sync_fails = true;
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE_SYNCED, write_setting, &now, NULL), HP_E_DB);
    post_write(f, &beside, HP_STORE_WRITE_LAZY, 3);
    post_write(f, &failing, HP_STORE_WRITE_SYNCED, 4);
    run_until(f, &failing.done);
    assert_int_equal(failing.status, HP_E_DB);
    assert_int_equal(beside.status, 0);
    sync_fails = false;
}

/* ---- failures ---- */

static int end_transaction(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)arg;
    hp_db_rollback(db); /* as SQLite does by itself when a page cannot be read */
    return hp_err_set(err, HP_E_DB, "on purpose");
}

static void a_read_that_ends_the_transaction_fails_the_writes_before_it_only(void **state)
{
    fixture_t *f = *state;
    task_t before = {0}, read = {0}, after = {0};
    open_store(f);
    post_write(f, &before, HP_STORE_WRITE_LAZY, 1);
    post_as(f, &read, HP_STORE_READ, end_transaction);
    post_write(f, &after, HP_STORE_WRITE, 2);
    run_until(f, &after.done);
    assert_int_equal(read.status, HP_E_DB);
    assert_int_equal(before.status, HP_E_DB);
    assert_string_equal(before.words, "on purpose");
    assert_int_equal(after.status, 0);
}

static void a_write_that_fails_leaves_the_others_alone(void **state)
{
    fixture_t *f = *state;
    task_t before = {0}, bad = {.fail_with = HP_E_CONFLICT}, after = {0}, read = {0};
    open_store(f);
    post_write(f, &before, HP_STORE_WRITE_LAZY, 1);
    post_write(f, &bad, HP_STORE_WRITE_LAZY, 2);
    post_write(f, &after, HP_STORE_WRITE, 3);
    post_as(f, &read, HP_STORE_READ, count_settings);
    run_until(f, &after.done);
    run_until(f, &read.done);
    assert_int_equal(before.status, 0);
    assert_int_equal(bad.status, HP_E_CONFLICT);
    assert_string_equal(bad.words, "on purpose");
    assert_int_equal(after.status, 0);
    assert_int_equal(read.count, 2);
}

/* Of the rows with these tasks, exactly those are there that were reported as written. */
static void assert_reports_are_true(fixture_t *f, task_t *tasks, int count)
{
    hp_db_t *db;
    char path[PATH_SIZE];
    close_store(f);
    path_in(f->folder, "data/" HP_DB_FILE, path);
    assert_int_equal(hp_db_open(path, &db, NULL), 0);
    for (int i = 0; i < count; i++) {
        char *value = NULL;
        int rc = hp_db_setting_get(db, tasks[i].name, &value, NULL);
        free(value);
        if ((rc == 0) != (tasks[i].status == 0))
            fail_msg("%s: reported %d, reading it gives %d", tasks[i].name, tasks[i].status, rc);
    }
    hp_db_close(db);
}

static char *big_value(size_t size)
{
    char *value = hp_alloc(size + 1);
    memset(value, 'v', size);
    return value;
}

static void a_commit_that_fails_fails_every_write_in_it_and_the_next_one_works(void **state)
{
    fixture_t *f = *state;
    task_t tasks[12] = {{0}};
    char *value = big_value(30000);
    open_store(f);
    post_write(f, &tasks[0], HP_STORE_WRITE, 0);
    run_until(f, &tasks[0].done);

    /* No file may grow past 64 KiB: the pages stay in memory until the commit writes them. */
    struct rlimit old, small = {.rlim_cur = 65536};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 1; i < 10; i++) {
        tasks[i].value = value;
        post_write(f, &tasks[i], i < 9 ? HP_STORE_WRITE_LAZY : HP_STORE_WRITE, i);
    }
    run_until(f, &tasks[9].done);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    for (int i = 1; i < 10; i++) {
        assert_int_equal(tasks[i].status, HP_E_DB);
        assert_contains(tasks[i].words, "commit: disk I/O error (File too large)");
    }

    post_write(f, &tasks[10], HP_STORE_WRITE_LAZY, 10);
    tasks[11].value = value;
    post_write(f, &tasks[11], HP_STORE_WRITE, 11);
    run_until(f, &tasks[11].done);
    assert_int_equal(tasks[10].status, 0);
    assert_int_equal(tasks[11].status, 0);
    assert_reports_are_true(f, tasks, 12);
    free(value);
}

static int limit_pages(hp_db_t *db, void *arg, hp_err_t *err)
{
    char sql[60];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %d", *(int *)arg);
    return hp_db_script(db, sql, "limit", err);
}

static void a_database_that_may_not_grow_reports_the_truth(void **state)
{
    fixture_t *f = *state;
    task_t tasks[4] = {{0}};
    char *value = big_value(3000000);
    int few = 200, many = 1000000;
    open_store(f);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_READ, limit_pages, &few, NULL), 0);
    tasks[1].value = value;
    for (int i = 0; i < 3; i++)
        post_write(f, &tasks[i], i < 2 ? HP_STORE_WRITE_LAZY : HP_STORE_WRITE, i);
    run_until(f, &tasks[2].done);
    assert_int_equal(tasks[1].status, HP_E_NO_SPACE);
    assert_int_equal(tasks[2].status, 0);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_READ, limit_pages, &many, NULL), 0);
    tasks[3].value = value;
    post_write(f, &tasks[3], HP_STORE_WRITE, 3);
    run_until(f, &tasks[3].done);
    assert_int_equal(tasks[3].status, 0);
    assert_reports_are_true(f, tasks, 4);
    free(value);
}

#define CANNOT_MOUNT 77

/* The mount is seen by this process alone, and ends with it. */
static int mount_small_disk(const char *folder)
{
    bool root = geteuid() == 0;
    if (unshare(root ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=1M") != 0)
        return CANNOT_MOUNT;
    return 0;
}

/* Writes rows, three in a group, until the disk is full; makes room; writes on. */
static int fill_disk(void *folder)
{
    if (mount_small_disk(folder) != 0)
        return CANNOT_MOUNT;
    fixture_t f = {.folder = folder};
    assert_int_equal(uv_loop_init(&f.loop), 0);
    char fill[PATH_SIZE], *value = big_value(50000);
    write_whole(path_in(folder, "fill", fill), value, 50000);
    open_store(&f);
    task_t tasks[60] = {{0}};
    int count = 0, failed = 0;
    while (failed < 2) {
        assert_in_range(count, 0, 50);
        for (int i = 0; i < 3; i++, count++) {
            tasks[count].value = value;
            post_write(&f, &tasks[count], i < 2 ? HP_STORE_WRITE_LAZY : HP_STORE_WRITE, count);
        }
        run_until(&f, &tasks[count - 1].done);
        if (tasks[count - 1].status != 0) {
            assert_int_equal(tasks[count - 1].status, HP_E_NO_SPACE);
            assert_contains(tasks[count - 1].words, "database or disk is full");
            failed++;
        }
    }
    assert_true(count > 6);
    assert_int_equal(unlink(fill), 0);
    post_write(&f, &tasks[count], HP_STORE_WRITE, count);
    run_until(&f, &tasks[count].done);
    assert_int_equal(tasks[count].status, 0);
    assert_reports_are_true(&f, tasks, count + 1);
    free(value);
    return 0;
}

static void a_full_disk_loses_nothing_that_was_reported(void **state)
{
    int status = in_child(fill_disk, ((fixture_t *)*state)->folder, NULL);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_MOUNT) {
        print_message("no right to mount a small file system: skipped\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* ---- kill -9 ---- */

typedef struct writer {
    fixture_t fixture;
    int pipe; /* gets the number of each row once it is reported as written */
    uint32_t next;
} writer_t;

typedef struct row {
    writer_t *writer;
    uint32_t number;
} row_t;

static int write_row(hp_db_t *db, void *arg, hp_err_t *err)
{
    char name[32];
    snprintf(name, sizeof name, "row %u", ((row_t *)arg)->number);
    return hp_db_setting_set(db, name, "a row of about the length that a finished chunk has, with its digest",
                             err);
}

static void post_row(writer_t *writer);

static void on_row_done(void *arg, int status, const hp_err_t *err)
{
    row_t *row = arg;
    assert_int_equal(status, 0);
    assert_string_equal(err->detail, "");
    assert_int_equal(write(row->writer->pipe, &row->number, sizeof row->number), sizeof row->number);
    post_row(row->writer);
    free(row);
}

static void post_row(writer_t *writer)
{
    row_t *row = hp_alloc(sizeof *row);
    row->writer = writer;
    row->number = writer->next++;
    hp_store_post(writer->fixture.store, row->number % 7 == 0 ? HP_STORE_WRITE : HP_STORE_WRITE_LAZY,
                  write_row, on_row_done, row);
}

/* Writes until it is killed. */
static int write_on(void *arg)
{
    writer_t *writer = arg;
    assert_int_equal(uv_loop_init(&writer->fixture.loop), 0);
    open_store(&writer->fixture);
    for (int i = 0; i < 200; i++)
        post_row(writer);
    uv_run(&writer->fixture.loop, UV_RUN_DEFAULT);
    return 1;
}

static int64_t number(hp_db_t *db, const char *sql)
{
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(hp_db_handle(db), sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

/* Kills a writer after it has reported `reports` rows, first to first + reports - 1; returns the number after
 * the last reported one. */
static uint32_t kill_a_writer(fixture_t *f, uint32_t first, uint32_t reports)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("CMOCKA_TEST_ABORT", "1", 1);
        close(ends[0]);
        writer_t writer = {.fixture = {.folder = f->folder}, .pipe = ends[1], .next = first};
        _exit(write_on(&writer));
    }
    close(ends[1]);
    uint32_t row, count = 0;
    bool killed = false;
    while (read(ends[0], &row, sizeof row) == (ssize_t)sizeof row) {
        assert_int_equal(row, first + count);
        if (++count >= reports && !killed) {
            assert_int_equal(kill(pid, SIGKILL), 0);
            killed = true;
        }
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return first + count;
}

static void what_was_reported_survives_kill_9(void **state)
{
    fixture_t *f = *state;
    unsigned seed = (unsigned)getpid();
    print_message("seed %u\n", seed);
    uint32_t next = 0;
    for (int round = 0; round < 8; round++) {
        uint32_t reported = kill_a_writer(f, next, 1 + (uint32_t)rand_r(&seed) % 4000);
        char path[PATH_SIZE];
        hp_db_t *db;
        hp_err_t err = {0};
        if (hp_db_open(path_in(f->folder, "data/" HP_DB_FILE, path), &db, &err) != 0)
            fail_msg("%s", hp_err_text(&err));
        assert_int_equal(
            number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
        /* A row that was written and not reported may be there; none may be missing, and none in between. */
        int64_t rows = number(db, "SELECT count(*) FROM setting WHERE name LIKE 'row %'");
        int64_t last =
            number(db, "SELECT max(CAST(substr(name, 5) AS INTEGER)) FROM setting WHERE name LIKE 'row %'");
        if (rows < reported || rows != last + 1)
            fail_msg("reported %u rows, %d are there, the last is %d", reported, (int)rows, (int)last);
        hp_db_close(db);
        next = (uint32_t)rows;
    }
}

/* ---- the folder and its lock ---- */

static void the_data_folder_is_for_its_owner_alone(void **state)
{
    fixture_t *f = *state;
    char path[PATH_SIZE];
    struct stat st;
    task_t task = {.name = "a", .value = "b"};
    open_store(f);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, write_setting, &task, NULL), 0);
    assert_int_equal(stat(path_in(f->folder, "data", path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    const char *files[] = {HP_DB_FILE, HP_DB_FILE "-wal", HP_STORE_LOCK_FILE};
    for (size_t i = 0; i < 3; i++) {
        char name[60];
        snprintf(name, sizeof name, "data/%s", files[i]);
        assert_int_equal(stat(path_in(f->folder, name, path), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
}

static int open_second(void *folder)
{
    hp_store_t *store;
    hp_err_t err = {0};
    uv_loop_t loop;
    if (uv_loop_init(&loop) != 0)
        return 1;
    int rc = hp_store_create(&store, &loop, folder, &err);
    fprintf(stderr, "%s", hp_err_text(&err));
    return rc == HP_E_LOCKED && err.code == HP_E_LOCKED && store == NULL ? 0 : 1;
}

static void a_second_process_is_told_who_uses_the_folder(void **state)
{
    fixture_t *f = *state;
    char data[PATH_SIZE], errors[PATH_SIZE], expected[400];
    open_store(f);
    int status =
        in_child(open_second, path_in(f->folder, "data", data), path_in(f->folder, "errors", errors));
    assert_int_equal(status, 0);
    size_t size;
    char *text = read_whole(errors, &size);
    snprintf(expected, sizeof expected, "another hostpair (process %d) uses the data folder %s",
             (int)getpid(), data);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(text, expected, size);
    free(text);
    close_store(f);
    open_store(f);
}

static void a_refused_database_lets_go_of_the_lock(void **state)
{
    fixture_t *f = *state;
    char data[PATH_SIZE], path[PATH_SIZE];
    hp_db_t *db;
    hp_err_t err = {0};
    open_store(f);
    close_store(f);
    path_in(f->folder, "data/" HP_DB_FILE, path);
    assert_int_equal(hp_db_open(path, &db, &err), 0);
    assert_int_equal(hp_db_script(db, "PRAGMA user_version = 4711", "test", &err), 0);
    hp_db_close(db);
    assert_int_equal(hp_store_create(&f->store, &f->loop, path_in(f->folder, "data", data), &err),
                     HP_E_DB_NEWER);
    assert_null(f->store);
    assert_contains(hp_err_text(&err), "version 4711");
    assert_int_equal(unlink(path), 0);
    open_store(f);
}

static void a_folder_that_cannot_be_made_is_told(void **state)
{
    fixture_t *f = *state;
    char file[PATH_SIZE], below[PATH_SIZE];
    hp_err_t err = {0};
    write_whole(path_in(f->folder, "file", file), "", 0);
    assert_int_equal(hp_store_create(&f->store, &f->loop, path_in(file, "data", below), &err), -ENOTDIR);
    assert_contains(hp_err_text(&err), below);
    assert_contains(hp_err_text(&err), "Not a directory");
}

/* ---- beginning and end ---- */

static void run_now_gives_the_result_before_the_loop_runs(void **state)
{
    fixture_t *f = *state;
    task_t lazy = {0}, read = {0}, bad = {.name = "bad", .value = "x", .fail_with = HP_E_CONFLICT};
    task_t good = {.name = "good", .value = "x"};
    hp_err_t err = {0};
    open_store(f);
    post_write(f, &lazy, HP_STORE_WRITE_LAZY, 1);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE_LAZY, write_setting, &good, &err), 0);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, write_setting, &bad, &err), HP_E_CONFLICT);
    assert_string_equal(hp_err_text(&err), "on purpose");
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_READ, count_settings, &read, &err), 0);
    assert_int_equal(read.count, 2);
    assert_false(lazy.done);
    assert_int_equal(hp_store_pending(f->store), 1);
    run_until(f, &lazy.done);
}

static void on_none(void *arg)
{
    ++*(int *)arg;
}

static void an_owner_is_told_when_the_last_job_that_it_counts_has_ended(void **state)
{
    fixture_t *f = *state;
    hp_pending_t pending = {0};
    task_t tasks[10] = {{0}};
    int told = 0;
    open_store(f);
    for (int i = 0; i < 10; i++) {
        tasks[i].fixture = f;
        hp_store_post_counted(f->store, &pending, i % 2 == 0 ? HP_STORE_READ : HP_STORE_WRITE_LAZY,
                              count_settings, on_done, &tasks[i]);
    }
    assert_int_equal(pending.count, 10);
    hp_pending_when_none(&pending, on_none, &told);
    assert_int_equal(told, 0);
    run_until(f, &tasks[9].done);
    for (int i = 0; i < 10; i++)
        assert_true(tasks[i].done);
    while (told == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(told, 1);
    assert_int_equal(pending.count, 0);
}

static void destroy_finishes_everything_first(void **state)
{
    fixture_t *f = *state;
    static task_t tasks[1000];
    memset(tasks, 0, sizeof tasks);
    open_store(f);
    for (int i = 0; i < 1000; i++)
        post_write(f, &tasks[i], HP_STORE_WRITE_LAZY, i);
    hp_store_destroy(f->store, on_closed, f);
    task_t late = {0};
    post_write(f, &late, HP_STORE_WRITE, 1000);
    assert_false(f->closed);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->closed);
    f->store = NULL;
    for (int i = 0; i < 1000; i++) {
        assert_true(tasks[i].done);
        assert_int_equal(tasks[i].status, 0);
    }
    assert_true(late.done);
    assert_int_equal(late.status, UV_ECANCELED);

    task_t read = {0};
    open_store(f);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_READ, count_settings, &read, NULL), 0);
    assert_int_equal(read.count, 1000);
}

/* Posts another job when it is cancelled, a few times. */
typedef struct stubborn {
    fixture_t *fixture;
    int left;
} stubborn_t;

static void on_stubborn_done(void *arg, int status, const hp_err_t *err)
{
    stubborn_t *self = arg;
    (void)err;
    assert_false(self->fixture->closed);
    assert_true(status == 0 || status == UV_ECANCELED);
    if (self->left-- > 0)
        hp_store_post(self->fixture->store, HP_STORE_READ, read_nothing, on_stubborn_done, self);
}

static void jobs_posted_while_it_closes_are_cancelled_before_closed_is_called(void **state)
{
    fixture_t *f = *state;
    stubborn_t stubborn = {.fixture = f, .left = 20};
    open_store(f);
    hp_store_post(f->store, HP_STORE_READ, read_nothing, on_stubborn_done, &stubborn);
    close_store(f);
    assert_int_equal(stubborn.left, -1);
}

static int write_as_read(void *folder)
{
    fixture_t f = {.folder = folder};
    task_t task = {.name = "a", .value = "b"};
    assert_int_equal(uv_loop_init(&f.loop), 0);
    open_store(&f);
    post_as(&f, &task, HP_STORE_READ, write_setting);
    run_until(&f, &task.done);
    return 0;
}

static void a_read_that_writes_aborts(void **state)
{
    fixture_t *f = *state;
    char errors[PATH_SIZE];
    int status = in_child(write_as_read, f->folder, path_in(f->folder, "errors", errors));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    size_t size;
    char *text = read_whole(errors, &size);
    assert_true(size > 0);
    text[size - 1] = '\0';
    assert_contains(text, "a read changed the database");
    free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_read_sees_the_writes_before_it_without_waiting_for_their_commit),
        TEST(writes_call_back_in_the_order_they_were_posted),
        TEST(a_write_takes_the_lazy_ones_before_it_along),
        TEST(writes_are_committed_in_time_while_the_queue_is_never_empty),
        TEST(lazy_writes_share_a_commit),
        TEST(writes_that_are_late_already_still_share_commits),
        TEST(only_what_asks_for_it_is_synced_and_then_before_it_is_reported),
        TEST(a_read_that_ends_the_transaction_fails_the_writes_before_it_only),
        TEST(a_write_that_fails_leaves_the_others_alone),
        TEST(a_commit_that_fails_fails_every_write_in_it_and_the_next_one_works),
        TEST(a_database_that_may_not_grow_reports_the_truth),
        TEST(a_full_disk_loses_nothing_that_was_reported),
        TEST(what_was_reported_survives_kill_9),
        TEST(the_data_folder_is_for_its_owner_alone),
        TEST(a_second_process_is_told_who_uses_the_folder),
        TEST(a_refused_database_lets_go_of_the_lock),
        TEST(a_folder_that_cannot_be_made_is_told),
        TEST(run_now_gives_the_result_before_the_loop_runs),
        TEST(an_owner_is_told_when_the_last_job_that_it_counts_has_ended),
        TEST(destroy_finishes_everything_first),
        TEST(jobs_posted_while_it_closes_are_cancelled_before_closed_is_called),
        TEST(a_read_that_writes_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
