// libs: store db os base
/* The store: the order of jobs, what is synced, its folder and lock, its beginning and end. */
#include "test_store.h"

#include <sys/file.h>

#include "store/lock.h"

/* ---- order ---- */

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

/* ---- power cuts ---- */

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
        TEST(only_what_asks_for_it_is_synced_and_then_before_it_is_reported),
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
