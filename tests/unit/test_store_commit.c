// libs: store db os base
/* The store: what was reported as written is there, whatever fails: jobs, commits, the disk, the process. */
#include "test_store.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_read_that_ends_the_transaction_fails_the_writes_before_it_only),
        TEST(a_write_that_fails_leaves_the_others_alone),
        TEST(a_commit_that_fails_fails_every_write_in_it_and_the_next_one_works),
        TEST(a_database_that_may_not_grow_reports_the_truth),
        TEST(a_full_disk_loses_nothing_that_was_reported),
        TEST(what_was_reported_survives_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
