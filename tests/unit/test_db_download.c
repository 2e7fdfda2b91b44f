// libs: db base
/* What is read of downloads: pages of those that have ended, the sums over their files, and rows that no
 * hostpair has written. */
#include "test_db_help.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "db/db.h"
#include "db/download.h"
#include "db/statement.h"

#define ROOT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define MIB  INT64_C(1048576)

static hp_buf_t text;

static int open_memory(void **state)
{
    hp_log_set_level(HP_LOG_ERROR);
    hp_db_t *db;
    int rc = hp_db_open_memory(&db, NULL);
    hp_buf_init(&text, 1 << 20);
    hp_buf_add_text(&text, "");
    *state = db;
    return rc;
}

static int close_memory(void **state)
{
    hp_db_close(*state);
    hp_buf_dispose(&text);
    return 0;
}

#define assert_ok(call)                                                                                      \
    do {                                                                                                     \
        hp_err_t err = {0};                                                                                  \
        int result = (call);                                                                                 \
        if (result != 0)                                                                                     \
            fail_msg("%s: %d %s", #call, result, hp_err_text(&err));                                         \
    } while (0)

static void assert_written(const char *expected)
{
    assert_string_equal(text.data, expected);
    hp_buf_clear(&text);
    hp_buf_add_text(&text, "");
}

static void run(hp_db_t *db, const char *sql)
{
    hp_err_t err = {0};
    if (hp_db_script(db, sql, "test", &err) != 0)
        fail_msg("%s", hp_err_text(&err));
}

static int64_t add_download(hp_db_t *db, const char *path, bool folder, const char *state)
{
    hp_download_row_t row = {.base = (char[]){"/downloads"},
                             .path = (char *)(uintptr_t)path,
                             .folder = folder,
                             .order_root = (char[]){ROOT},
                             .state = (char *)(uintptr_t)state,
                             .reason = (char[]){""}};
    assert_ok(hp_db_download_insert(db, &row, &err));
    return row.id;
}

static int64_t add_file(hp_db_t *db, int64_t download, const char *path, int64_t size, const char *root)
{
    hp_download_file_row_t row = {.download = download,
                                  .path = (char *)(uintptr_t)path,
                                  .source_path = (char *)(uintptr_t)path,
                                  .state = (char[]){"open"},
                                  .size = size,
                                  .root = (char *)(uintptr_t)root,
                                  .chunk_size = MIB};
    assert_ok(hp_db_download_file_insert(db, &row, &err));
    return row.id;
}

static void set_state(hp_db_t *db, int64_t id, const char *state)
{
    hp_download_row_t row;
    assert_ok(hp_db_download_get(db, id, &row, &err));
    char *old = row.state;
    row.state = (char *)(uintptr_t)state;
    assert_ok(hp_db_download_update(db, &row, &err));
    row.state = old;
    hp_download_row_dispose(&row);
}

static void finish_file(hp_db_t *db, int64_t download)
{
    hp_download_file_row_t row;
    size_t count;
    assert_ok(hp_db_download_file_page(db, download, 0, &row, 1, &count, &err));
    assert_int_equal(count, 1);
    char *old = row.state;
    row.state = (char[]){"done"};
    row.verified = true;
    assert_ok(hp_db_download_file_update(db, &row, &err));
    row.state = old;
    hp_download_file_row_dispose(&row);
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

static void add_id(void *arg, const hp_download_row_t *row)
{
    (void)arg;
    hp_buf_printf(&text, "%lld %s, ", (long long)row->id, row->state);
}

static void add_sums(void *arg, const hp_download_row_t *row)
{
    (void)arg;
    hp_buf_printf(&text,
                  "%s %.4s: %lld files, %lld done, %lld failed, %lld verified, %lld of %lld bytes, %lld of "
                  "%lld chunks\n",
                  row->path, row->root != NULL ? row->root : "-", (long long)row->files_total,
                  (long long)row->files_done, (long long)row->files_failed, (long long)row->files_verified,
                  (long long)row->done_bytes, (long long)row->size, (long long)row->chunks_done,
                  (long long)row->chunks_total);
}

static void add_all_sums(hp_db_t *db)
{
    hp_download_row_t row;
    for (int64_t id = 1; hp_db_download_get(db, id, &row, NULL) == 0; id++) {
        add_sums(NULL, &row);
        hp_download_row_dispose(&row);
    }
}

static void add_count(void *arg, const char *state, int64_t count)
{
    (void)arg;
    hp_buf_printf(&text, "%s %lld, ", state, (long long)count);
}

static void ended_downloads_are_read_in_pages_newest_first(void **state)
{
    static const char *const states[] = {"done",   "queued",    "failed", "done",   "running",
                                         "paused", "cancelled", "done",   "failed", "verifying"};
    hp_db_t *db = *state;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        char name[] = {(char)('a' + i), '\0'};
        add_download(db, name, false, states[i]);
    }
    assert_ok(hp_db_download_unfinished(db, add_id, NULL, &err));
    assert_written("2 queued, 5 running, 6 paused, 10 verifying, ");
    assert_ok(hp_db_download_ended(db, NULL, 0, 3, add_id, NULL, &err));
    assert_written("9 failed, 8 done, 7 cancelled, ");
    assert_ok(hp_db_download_ended(db, NULL, 7, 100, add_id, NULL, &err));
    assert_written("4 done, 3 failed, 1 done, ");
    assert_ok(hp_db_download_ended(db, NULL, 1, 100, add_id, NULL, &err));
    assert_written("");
    assert_ok(hp_db_download_ended(db, "done", 0, 2, add_id, NULL, &err));
    assert_written("8 done, 4 done, ");
    assert_ok(hp_db_download_ended(db, "done", 4, 2, add_id, NULL, &err));
    assert_written("1 done, ");
    assert_ok(hp_db_download_counts(db, add_count, NULL, &err));
    assert_written("cancelled 1, done 3, failed 2, paused 1, queued 1, running 1, verifying 1, ");
}

static void sums_of_ended_downloads_are_kept_and_follow_their_files(void **state)
{
    hp_db_t *db = *state;
    int64_t one = add_download(db, "film.mp4", false, "running");
    int64_t folder = add_download(db, "films", true, "running");
    add_file(db, one, "film (1).mp4", 5 * MIB - 7, ROOT);
    add_file(db, folder, "films/a", 3 * MIB, NULL);
    add_file(db, folder, "films/b", HP_DB_SIZE_UNKNOWN, NULL);
    const char *expected =
        "film (1).mp4 0011: 1 files, 1 done, 0 failed, 1 verified, 5242873 of 5242873 bytes, 5 of 5 chunks\n"
        "films -: 2 files, 1 done, 0 failed, 1 verified, 3145728 of 3145728 bytes, 3 of 3 chunks\n";
    finish_file(db, one);
    finish_file(db, folder);
    add_all_sums(db);
    assert_written(expected);
    assert_int_equal(number(db, "SELECT count(*) FROM download_sum"), 0);
    set_state(db, one, "done");
    set_state(db, folder, "failed");
    assert_int_equal(number(db, "SELECT count(*) FROM download_sum"), 2);
    add_all_sums(db);
    assert_written(expected);

    /* A file changes after all: what was kept does not outlive it. */
    run(db, "UPDATE download_file SET state = 'failed' WHERE path = 'films/b'");
    assert_int_equal(number(db, "SELECT count(*) FROM download_sum"), 1);
    assert_ok(hp_db_download_ended(db, "failed", 0, 9, add_sums, NULL, &err));
    assert_written(
        "films -: 2 files, 1 done, 1 failed, 1 verified, 3145728 of 3145728 bytes, 3 of 3 chunks\n");
    set_state(db, folder, "failed");
    assert_ok(hp_db_download_ended(db, "failed", 0, 9, add_sums, NULL, &err));
    assert_written(
        "films -: 2 files, 1 done, 1 failed, 1 verified, 3145728 of 3145728 bytes, 3 of 3 chunks\n");
    assert_ok(hp_db_download_remove(db, folder, &err));
    assert_ok(hp_db_download_remove(db, one, &err));
    assert_int_equal(number(db, "SELECT count(*) FROM download_sum"), 0);
}

static void sums_of_sizes_that_nobody_has_do_not_overflow(void **state)
{
    hp_db_t *db = *state;
    int64_t id = add_download(db, "huge", true, "done");
    add_file(db, id, "huge/a", INT64_MAX, NULL);
    add_file(db, id, "huge/b", INT64_MAX, NULL);
    run(db, "UPDATE download_file SET state = 'done', chunk_size = 1 << 62");
    set_state(db, id, "done");
    add_all_sums(db);
    assert_written(
        "huge -: 2 files, 2 done, 0 failed, 0 verified, 9223372036854775807 of 9223372036854775807 bytes, "
        "4 of 4 chunks\n");
}

static void a_root_is_found_whatever_the_case_of_its_digits(void **state)
{
    hp_db_t *db = *state;
    int64_t one = add_download(db, "a", false, "running"), found = 0;
    const char *local;
    add_file(db, one, "a", 5, ROOT);
    assert_ok(hp_db_download_find(db, ROOT, 5, NULL, NULL, NULL, false, &found, &err));
    assert_int_equal(found, one);
    assert_ok(hp_db_download_local(db, "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF", 5,
                                   "", "", &local, &err));
    assert_string_equal(local, "downloading");
    assert_int_equal(hp_db_download_local(db, "0011", 5, "", "", &local, NULL), HP_E_INVALID);
}

static void what_has_ended_is_found_by_its_place(void **state)
{
    hp_db_t *db = *state;
    int64_t done = add_download(db, "docs", true, "done"), failed = add_download(db, "docs", true, "failed");
    int64_t file = add_download(db, "file", false, "done"), url = add_download(db, "web", false, "done");
    int64_t found = 0;
    bool known;
    run(db, "UPDATE download SET order_host = 'a', order_path = path WHERE path <> 'web';"
            "UPDATE download SET order_url = 'http://a/web' WHERE path = 'web'");
    assert_ok(hp_db_download_find_ended(db, "a", "docs", true, &found, &err));
    assert_int_equal(found, failed);
    set_state(db, failed, "running");
    assert_ok(hp_db_download_find_ended(db, "a", "docs", true, &found, &err));
    assert_int_equal(found, done);
    assert_int_equal(hp_db_download_find_ended(db, "a", "docs", false, &found, NULL), HP_E_NOT_FOUND);
    assert_int_equal(hp_db_download_find_ended(db, "a", "file", false, &found, NULL), HP_E_NOT_FOUND);
    assert_ok(hp_db_download_find_done(db, "a", "file", NULL, &found, &err));
    assert_int_equal(found, file);
    assert_ok(hp_db_download_find_done(db, NULL, NULL, "http://a/web", &found, &err));
    assert_int_equal(found, url);
    set_state(db, file, "failed");
    assert_int_equal(hp_db_download_find_done(db, "a", "file", NULL, &found, NULL), HP_E_NOT_FOUND);
    assert_ok(hp_db_download_find_ended(db, "a", "file", false, &found, &err));
    assert_int_equal(found, file);
    assert_ok(hp_db_download_path_known(db, "/downloads", "web", &known, &err));
    assert_true(known);
    assert_ok(hp_db_download_path_known(db, "/elsewhere", "web", &known, &err));
    assert_false(known);
}

/* 100,000 ended ones, what a person collects in years: what is done at start, and a page. */
static void ended_downloads_cost_nothing_at_start(void **state)
{
    hp_db_t *db = *state;
    run(db, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
            " INSERT INTO download (base, path, folder, state, reason, error_code, error_detail, disk_wait, "
            "priority,"
            " limit_bps, created_at, finished_at) SELECT '/downloads', 'file ' || i, 0, 'done', '', 0, '', "
            "0, 0, 0, i, i"
            " FROM n;"
            "INSERT INTO download_file (download, path, source_path, state, error, size, chunk_size, "
            "chunks_done, verified)"
            " SELECT id, path, path, 'done', '', 1000, 1048576, 1, 1 FROM download;");
    add_download(db, "new", false, "queued");
    uint64_t began = hp_clock_ms();
    assert_ok(hp_db_download_unfinished(db, add_id, NULL, &err));
    assert_ok(hp_db_download_counts(db, add_count, NULL, &err));
    uint64_t loaded = hp_clock_ms();
    assert_written("100001 queued, done 100000, queued 1, ");
    assert_ok(hp_db_download_ended(db, NULL, 0, 2, add_id, NULL, &err));
    assert_ok(hp_db_download_ended(db, "done", 50000, 2, add_id, NULL, &err));
    uint64_t paged = hp_clock_ms();
    assert_written("100000 done, 99999 done, 49999 done, 49998 done, ");
    print_message("unfinished and counts: %d ms, two pages: %d ms\n", (int)(loaded - began),
                  (int)(paged - loaded));
    assert_in_range(loaded - began, 0, 200);
    assert_in_range(paged - loaded, 0, 50);
}

/* ---- rows that no hostpair has written ---- */

/* Writes past the rules of the tables, as a broken disk or another program does. */
static void damage(hp_db_t *db, const char *sql)
{
    run(db, "PRAGMA ignore_check_constraints = ON");
    run(db, sql);
    run(db, "PRAGMA ignore_check_constraints = OFF");
}

static void damaged_downloads_are_named_and_the_others_read(void **state)
{
    static const struct {
        const char *sql, *words;
    } damages[] = {
        {"UPDATE download SET path = '../../etc/passwd' WHERE id = 2",
         "download 2: its path leads out of the folder"},
        {"UPDATE download SET path = '/etc/passwd' WHERE id = 2",
         "download 2: its path leads out of the folder"},
        {"UPDATE download SET path = '' WHERE id = 2", "download 2: its path leads out of the folder"},
        {"UPDATE download SET base = 'etc' WHERE id = 2", "download 2: its folder is no absolute path"},
        {"UPDATE download SET limit_bps = -5 WHERE id = 2", "download 2: its limit is negative"},
        {"UPDATE download SET state = 'lost', kept = 0 WHERE id = 2", "download 2: its state is none"},
        {"UPDATE download_file SET path = 'a/../../b' WHERE id = 2",
         "download 2: its path leads out of the folder"},
    };
    hp_db_t *db = *state;
    for (int i = 0; i < 3; i++)
        add_file(db, add_download(db, "a", false, "queued"), "a", 5, NULL);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        run(db, "SAVEPOINT whole");
        damage(db, damages[i].sql);
        hp_download_row_t row;
        hp_err_t damaged = {0};
        assert_int_equal(hp_db_download_get(db, 2, &row, &damaged), HP_E_DB);
        assert_contains(hp_err_text(&damaged), damages[i].words);
        assert_ok(hp_db_download_unfinished(db, add_id, NULL, &err));
        assert_written("1 queued, 3 queued, ");
        run(db, "ROLLBACK TO whole; RELEASE whole");
    }
}

static void damaged_files_of_downloads_are_named(void **state)
{
    static const struct {
        const char *sql, *words;
    } damages[] = {
        {"UPDATE download_file SET path = '../x'", "file 1 of download 1: its path leads out of the folder"},
        {"UPDATE download_file SET chunk_size = 1", "file 1 of download 1: its chunk size is none"},
        {"UPDATE download_file SET chunk_size = -1", "file 1 of download 1: its chunk size is none"},
        {"UPDATE download_file SET chunk_size = 1048577", "file 1 of download 1: its chunk size is none"},
        {"UPDATE download_file SET size = 1 << 60", "file 1 of download 1: its chunk size is none"},
        {"UPDATE download_file SET state = 'lost'", "file 1 of download 1: its state is none"},
        {"UPDATE download_file SET size = -9", "file 1 of download 1: its size is negative"},
        {"UPDATE download_file SET part = '../../.bashrc'",
         "file 1 of download 1: the name of its part file is none"},
        {"UPDATE download_file SET part = 'a/.x.1.hostpair-part'",
         "file 1 of download 1: the name of its part file is none"},
        {"UPDATE download_file SET chunks_done = -1",
         "file 1 of download 1: the number of its chunks is negative"},
    };
    hp_db_t *db = *state;
    add_file(db, add_download(db, "a", false, "queued"), "a", 5, NULL);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        run(db, "SAVEPOINT whole");
        damage(db, damages[i].sql);
        hp_download_file_row_t row;
        hp_err_t damaged = {0};
        size_t count = 7;
        assert_int_equal(hp_db_download_file_page(db, 1, 0, &row, 1, &count, &damaged), HP_E_DB);
        assert_int_equal(count, 0);
        assert_contains(hp_err_text(&damaged), damages[i].words);
        run(db, "ROLLBACK TO whole; RELEASE whole");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_memory, close_memory)
    const struct CMUnitTest tests[] = {
        TEST(ended_downloads_are_read_in_pages_newest_first),
        TEST(sums_of_ended_downloads_are_kept_and_follow_their_files),
        TEST(sums_of_sizes_that_nobody_has_do_not_overflow),
        TEST(a_root_is_found_whatever_the_case_of_its_digits),
        TEST(what_has_ended_is_found_by_its_place),
        TEST(ended_downloads_cost_nothing_at_start),
        TEST(damaged_downloads_are_named_and_the_others_read),
        TEST(damaged_files_of_downloads_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
