// libs: store db os base
/* What becomes of the store when its file does not stay what it was, or when somebody else holds it. */
#include "test_db_help.h"

#include <pthread.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/db.h"
#include "db/setting.h"
#include "db/statement.h"
#include "store/store.h"

#define GUARD_MS 20000

typedef struct fixture {
    uv_loop_t loop;
    hp_store_t *store;
    char *folder;
    char path[PATH_SIZE]; /* of the database */
    bool closed;
} fixture_t;

typedef struct task {
    const char *name;
    bool done;
    int status;
    char words[400];
} task_t;

static hp_log_entry_t entries[HP_LOG_KEPT];
static uint64_t last_number; /* of the log's lines before this test */

static void open_store(fixture_t *f)
{
    hp_err_t err = {0};
    char data[PATH_SIZE];
    if (hp_store_create(&f->store, &f->loop, path_in(f->folder, "data", data), &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    path_in(f->folder, "data/" HP_DB_FILE, f->path);
}

static void on_closed(void *arg)
{
    ((fixture_t *)arg)->closed = true;
}

static void close_store(fixture_t *f)
{
    f->closed = false;
    hp_store_destroy(f->store, on_closed, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->closed);
    f->store = NULL;
}

static int setup(void **state)
{
    void *folder;
    if (make_folder(&folder) != 0)
        return -1;
    fixture_t *f = hp_alloc(sizeof *f);
    f->folder = folder;
    *state = f;
    hp_log_set_level(HP_LOG_ERROR);
    int count = hp_log_read(0, entries, HP_LOG_KEPT);
    last_number = count > 0 ? entries[count - 1].number : 0;
    return uv_loop_init(&f->loop);
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
    return hp_db_setting_set(db, ((task_t *)arg)->name, "x", err);
}

static void on_done(void *arg, int status, const hp_err_t *err)
{
    task_t *task = arg;
    task->done = true;
    task->status = status;
    snprintf(task->words, sizeof task->words, "%s", hp_err_text(err));
}

static task_t write_one(fixture_t *f, const char *name)
{
    task_t task = {.name = name};
    uint64_t start = hp_clock_ms();
    hp_store_post(f->store, HP_STORE_WRITE, write_setting, on_done, &task);
    while (!task.done) {
        uv_run(&f->loop, UV_RUN_ONCE);
        assert_in_range(hp_clock_ms() - start, 0, GUARD_MS);
    }
    return task;
}

static void assert_written(fixture_t *f, const char *name)
{
    task_t task = write_one(f, name);
    if (task.status != 0)
        fail_msg("%s: %s", name, task.words);
}

/* Whether the lines of this test in the log hold these words. */
static bool was_said(const char *words)
{
    int count = hp_log_read(last_number, entries, HP_LOG_KEPT);
    for (int i = 0; i < count; i++)
        if (strstr(entries[i].text, words) != NULL)
            return true;
    return false;
}

static void wait_until_said(const char *words)
{
    uint64_t start = hp_clock_ms();
    while (!was_said(words)) {
        usleep(20000);
        if (hp_clock_ms() - start > GUARD_MS)
            fail_msg("the log does not say \"%s\"", words);
    }
}

static void assert_settings(const char *path, const char *expected)
{
    sqlite3 *handle;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(handle,
                           "SELECT group_concat(name, ' ') FROM (SELECT name FROM setting ORDER BY name)", -1,
                           &stmt, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), expected);
    sqlite3_finalize(stmt);
    sqlite3_close(handle);
}

static void a_database_that_is_deleted_is_written_anew_with_all_that_was_accepted(void **state)
{
    fixture_t *f = *state;
    open_store(f);
    assert_written(f, "a");
    assert_int_equal(unlink(f->path), 0);
    assert_written(f, "b");
    wait_until_said("was deleted while hostpair runs: it was written anew");
    assert_true(file_exists(f->path));
    assert_written(f, "c");
    close_store(f);
    assert_settings(f->path, "a b c");
}

static void one_that_is_deleted_just_before_the_end_is_there_afterwards(void **state)
{
    fixture_t *f = *state;
    open_store(f);
    assert_written(f, "a");
    assert_int_equal(unlink(f->path), 0);
    assert_written(f, "b");
    close_store(f);
    assert_settings(f->path, "a b");
}

static void a_backup_that_is_put_in_its_place_is_kept_and_said(void **state)
{
    fixture_t *f = *state;
    char backup[PATH_SIZE];
    open_store(f);
    assert_written(f, "a");
    close_store(f);
    copy_file(f->path, path_in(f->folder, "backup", backup));
    open_store(f);
    assert_written(f, "b");
    assert_int_equal(rename(backup, f->path), 0);
    wait_until_said("was replaced by another file while hostpair runs");
    task_t task = write_one(f, "c");
    assert_int_equal(task.status, HP_E_DB);
    assert_contains(task.words, "restart hostpair");
    char wal[PATH_SIZE];
    unlink(path_in(f->folder, "data/" HP_DB_FILE "-wal", wal)); /* as who restores a backup should */
    close_store(f);
    assert_settings(f->path, "a");
}

static void an_emptied_database_is_no_silent_loss(void **state)
{
    fixture_t *f = *state;
    open_store(f);
    assert_written(f, "a");
    assert_int_equal(truncate(f->path, 0), 0);
    wait_until_said("was emptied while hostpair runs");
    task_t task = write_one(f, "b");
    /* Either all of it was still in memory, or writing has ended: never both gone and fine. */
    close_store(f);
    if (task.status == 0)
        assert_settings(f->path, "a b");
    else
        assert_contains(task.words, "restart hostpair");
}

static int fill(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)arg;
    return hp_db_script(db,
                        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80)"
                        " INSERT INTO setting SELECT 'big ' || i, hex(zeroblob(524288)) FROM n",
                        "filling", err);
}

static int empty(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)arg;
    return hp_db_script(db, "DELETE FROM setting WHERE name LIKE 'big %'", "emptying", err);
}

static void space_that_is_free_is_given_back(void **state)
{
    fixture_t *f = *state;
    struct stat before, after;
    hp_err_t err = {0};
    open_store(f);
    assert_written(f, "a");
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, fill, NULL, &err), 0);
    close_store(f);
    assert_int_equal(stat(f->path, &before), 0);
    assert_true(before.st_size > 80 << 20);
    hp_log_set_level(HP_LOG_INFO);
    open_store(f);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, empty, NULL, &err), 0);
    wait_until_said("gave back");
    assert_written(f, "b");
    assert_int_equal(stat(f->path, &after), 0);
    print_message("%lld bytes, then %lld\n", (long long)before.st_size, (long long)after.st_size);
    assert_true(after.st_size < 1 << 20);
    close_store(f);
    assert_settings(f->path, "a b");
}

typedef struct holder {
    const char *path;
    unsigned ms;
    pthread_t thread;
    sqlite3 *handle;
} holder_t;

static void *hold(void *arg)
{
    holder_t *self = arg;
    usleep(self->ms * 1000);
    sqlite3_exec(self->handle, "COMMIT", NULL, NULL, NULL);
    return NULL;
}

static void another_program_that_holds_it_for_long_is_waited_for(void **state)
{
    fixture_t *f = *state;
    open_store(f);
    assert_written(f, "a");
    holder_t holder = {.path = f->path, .ms = 6500};
    hp_log_set_level(HP_LOG_WARN);
    assert_int_equal(sqlite3_open(f->path, &holder.handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder.handle,
                                  "BEGIN IMMEDIATE; INSERT INTO setting VALUES ('by hand', 'x')", NULL, NULL,
                                  NULL),
                     SQLITE_OK);
    uint64_t start = hp_clock_ms();
    assert_int_equal(pthread_create(&holder.thread, NULL, hold, &holder), 0);
    assert_written(f, "b");
    assert_in_range(hp_clock_ms() - start, 5500, GUARD_MS);
    assert_true(was_said("another program holds the database"));
    pthread_join(holder.thread, NULL);
    sqlite3_close(holder.handle);
    close_store(f);
    assert_settings(f->path, "a b by hand");
}

static int die_with_a_journal(void *folder)
{
    fixture_t f = {.folder = folder};
    if (uv_loop_init(&f.loop) != 0)
        return 1;
    open_store(&f);
    assert_written(&f, "a");
    kill(getpid(), SIGKILL);
    return 1;
}

static void a_journal_that_is_missing_after_a_crash_is_said(void **state)
{
    fixture_t *f = *state;
    char wal[PATH_SIZE];
    int status = in_child(die_with_a_journal, f->folder, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(unlink(path_in(f->folder, "data/" HP_DB_FILE "-wal", wal)), 0);
    open_store(f);
    assert_true(was_said("is missing, though hostpair was not ended in order"));
    close_store(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_database_that_is_deleted_is_written_anew_with_all_that_was_accepted),
        TEST(one_that_is_deleted_just_before_the_end_is_there_afterwards),
        TEST(a_backup_that_is_put_in_its_place_is_kept_and_said),
        TEST(an_emptied_database_is_no_silent_loss),
        TEST(space_that_is_free_is_given_back),
        TEST(another_program_that_holds_it_for_long_is_waited_for),
        TEST(a_journal_that_is_missing_after_a_crash_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
