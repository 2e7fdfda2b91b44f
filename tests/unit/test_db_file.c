// libs: db base
/* The database's file: damaged in every place, deleted, emptied, replaced. */
#include "test_db_help.h"

#include <glob.h>

#include "base/log.h"
#include "base/mem.h"
#include "db/db.h"
#include "db/download.h"
#include "db/file.h"
#include "db/host.h"
#include "db/message.h"
#include "db/schema.h"
#include "db/self.h"
#include "db/setting.h"
#include "db/statement.h"

#define OWN  "00112233445566778899aabbccddeeff"
#define PAGE 4096

static int setup(void **state)
{
    hp_log_set_level(HP_LOG_ERROR);
    return make_folder(state);
}

static void run(hp_db_t *db, const char *sql)
{
    hp_err_t err = {0};
    if (hp_db_script(db, sql, "test", &err) != 0)
        fail_msg("%s", hp_err_text(&err));
}

static int64_t number(hp_db_t *db, const char *sql)
{
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v2(hp_db_handle(db), sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(hp_db_handle(db)));
    int64_t value = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    sqlite3_finalize(stmt);
    return value;
}

static hp_db_t *open_ok(const char *path)
{
    hp_db_t *db;
    hp_err_t err = {0};
    if (hp_db_file_open(path, &db, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    return db;
}

/* A database of the first release with its rows, and enough messages for some pages; closed. */
static void make_database(const char *path, int version)
{
    hp_db_t *db;
    size_t size;
    hp_err_t err = {0};
    hp_schema_t schema = {.version = 1,
                          .tables = hp_schema_latest.migrations,
                          .table_count = 1,
                          .migrations = hp_schema_latest.migrations};
    if (hp_db_open_schema(path, &schema, &db, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    char *sql = read_whole(HP_SOURCE_DIR "/tests/unit/fixtures/001.sql", &size),
         *text = hp_strndup(sql, size);
    run(db, text);
    free(text);
    free(sql);
    run(db, "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 399)"
            " INSERT INTO message (id, uid, host, name, recipient, incoming, text, sent_at, received_at)"
            " SELECT i, 'u' || i, 'ffeeddccbbaa99887766554433221100', 'Anna', '" OWN
            "', 1, hex(zeroblob(100)), i, i"
            " FROM n");
    hp_db_close(db);
    if (version > 1)
        hp_db_close(open_ok(path));
}

static char *find_aside(const char *path)
{
    glob_t found;
    char *pattern = hp_sprintf("%s.damaged-*", path), *name = NULL;
    if (glob(pattern, 0, NULL, &found) == 0)
        name = hp_strdup(found.gl_pathv[0]);
    globfree(&found);
    free(pattern);
    return name;
}

static void remove_all(const char *path)
{
    glob_t found;
    char *pattern = hp_sprintf("%s*", path);
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
    globfree(&found);
    free(pattern);
}

static void ignore_download(void *arg, const hp_download_row_t *row)
{
    (void)arg, (void)row;
}

static void ignore_message(void *arg, const hp_db_message_t *message)
{
    (void)arg, (void)message;
}

static void ignore_setting(void *arg, const char *name, const char *value)
{
    (void)arg, (void)name, (void)value;
}

static void ignore_chunk(void *arg, const hp_chunk_row_t *row)
{
    (void)arg, (void)row;
}

/* Reads what hostpair reads at start and later: whatever comes out, it comes out. */
static void read_everything(hp_db_t *db)
{
    hp_db_self_t self, first = {.id = "99999999999999999999999999999999"};
    hp_host_row_t *rows = NULL;
    hp_download_file_row_t file;
    size_t count;
    hp_db_self_load(db, &first, &self, NULL);
    hp_db_setting_each(db, ignore_setting, NULL, NULL);
    hp_db_message_each(db, NULL, 0, 1000, ignore_message, NULL, NULL);
    hp_db_download_unfinished(db, ignore_download, NULL, NULL);
    hp_db_download_ended(db, NULL, 0, 1000, ignore_download, NULL, NULL);
    for (int64_t id = 1; id <= 3; id++) {
        if (hp_db_download_file_page(db, id, 0, &file, 1, &count, NULL) == 0 && count == 1)
            hp_download_file_row_dispose(&file);
        hp_db_chunk_each(db, id, ignore_chunk, NULL, NULL);
    }
    if (hp_host_load(db, &rows, &count, NULL) == 0)
        free(rows);
}

/* Every page overwritten, one after the other, in one of three ways; the first ones in each. */
static void a_database_that_is_damaged_anywhere_is_opened_or_replaced(void **state)
{
    char path[PATH_SIZE];
    size_t size;
    int replaced = 0, tried = 0, with_messages = 0;
    hp_log_set_level(HP_LOG_ERROR - 1);
    make_database(path_in(*state, "hostpair.db", path), 2);
    char *whole = read_whole(path, &size), *damaged = hp_alloc(size);
    assert_true(size > 20 * PAGE);
    for (size_t page = 0; page < size / PAGE; page++) {
        for (int way = 0; way < 3; way++) {
            if (page > 2 && way != (int)(page % 3))
                continue;
            memcpy(damaged, whole, size);
            char *at = damaged + page * PAGE;
            if (way == 0)
                memset(at, 0, PAGE);
            else if (way == 1)
                memset(at + PAGE / 2, 0xff, PAGE / 2);
            else
                for (int i = 0; i < PAGE; i += 97)
                    at[i] = (char)(at[i] ^ 1 << i % 8);
            write_whole(path, damaged, size);
            hp_db_t *db;
            hp_err_t err = {0};
            tried++;
            int rc = hp_db_file_open(path, &db, &err);
            if (rc == HP_E_DB_NEWER || rc == HP_E_DB_FOREIGN) { /* a header that says something else */
                assert_int_equal(page, 0);
                remove_all(path);
                continue;
            }
            if (rc != 0)
                fail_msg("page %d, way %d: %s", (int)page, way, hp_err_text(&err));
            read_everything(db);
            assert_int_equal(hp_db_setting_set(db, "after", "all", &err), 0);
            char *aside = find_aside(path);
            if (aside != NULL) {
                size_t kept_size;
                char *kept = read_whole(aside, &kept_size);
                assert_int_equal(kept_size, size);
                assert_memory_equal(kept, damaged, size);
                free(kept);
                replaced++;
                with_messages += number(db, "SELECT count(*) FROM message") > 100;
                assert_int_equal(
                    number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"),
                    1);
                assert_int_equal(number(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
            }
            free(aside);
            hp_db_close(db);
            remove_all(path);
        }
    }
    print_message("%d damages, %d times replaced, %d of them with most messages\n", tried, replaced,
                  with_messages);
    assert_true(replaced > 10);
    assert_true(with_messages > replaced / 2);
    free(damaged);
    free(whole);
}

static void what_can_be_read_is_in_the_new_one(void **state)
{
    char path[PATH_SIZE];
    size_t size;
    make_database(path_in(*state, "hostpair.db", path), 2);
    hp_db_t *db = open_ok(path);
    int64_t before = number(db, "SELECT count(*) FROM message");
    int64_t page = number(db, "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_message_1'");
    hp_db_close(db);
    char *data = read_whole(path, &size);
    memset(data + (page - 1) * PAGE, 0, PAGE); /* an index: no row is lost */
    write_whole(path, data, size);
    free(data);
    db = open_ok(path);
    assert_int_equal(number(db, "SELECT count(*) FROM message"), before);
    assert_int_equal(number(db, "SELECT count(*) FROM self WHERE id = '" OWN "'"), 1);
    assert_int_equal(number(db, "SELECT count(*) FROM host_address"), 3);
    assert_int_equal(number(db, "SELECT chunks_done FROM download_file WHERE id = 2"), 2);
    assert_int_equal(number(db, "SELECT count(*) FROM chunk"), 2);
    assert_int_equal(number(db, "SELECT count(*) FROM download_sum"), 2);
    assert_int_equal(number(db, "SELECT count(*) FROM remote_list"), 0);
    char *aside = find_aside(path);
    assert_non_null(aside);
    free(aside);
    hp_db_close(db);
}

static void a_damaged_one_of_an_older_version_is_brought_up_to_date(void **state)
{
    char path[PATH_SIZE];
    size_t size;
    make_database(path_in(*state, "hostpair.db", path), 1);
    char *data = read_whole(path, &size);
    write_whole(path, data, size / PAGE / 2 * PAGE);
    free(data);
    hp_db_t *db = open_ok(path);
    assert_int_equal(number(db, "PRAGMA user_version"), hp_schema_latest.version);
    char *aside = find_aside(path);
    assert_non_null(aside);
    free(aside);
    hp_db_close(db);
}

static void what_was_found_damaged_is_set_aside_at_the_next_start(void **state)
{
    char path[PATH_SIZE], mark[PATH_SIZE];
    make_database(path_in(*state, "hostpair.db", path), 2);
    hp_db_file_mark(path);
    hp_db_t *db = open_ok(path);
    assert_int_equal(number(db, "SELECT count(*) FROM self WHERE id = '" OWN "'"), 1);
    assert_false(file_exists(path_in(*state, "hostpair.db.check", mark)));
    hp_db_close(db);
    char *aside = find_aside(path);
    assert_non_null(aside);
    unlink(aside);
    free(aside);
    hp_db_close(open_ok(path)); /* once is enough */
    assert_null(find_aside(path));
}

static void an_emptied_one_with_a_journal_is_set_aside(void **state)
{
    char path[PATH_SIZE], wal[PATH_SIZE], copy[PATH_SIZE], copy_wal[PATH_SIZE];
    make_database(path_in(*state, "live.db", path), 2);
    hp_db_t *db = open_ok(path);
    run(db, "INSERT INTO setting VALUES ('last', 'words')");
    copy_file(path_in(*state, "live.db-wal", wal), path_in(*state, "hostpair.db-wal", copy_wal));
    hp_db_close(db);
    write_whole(path_in(*state, "hostpair.db", copy), "", 0);
    db = open_ok(copy);
    assert_int_equal(number(db, "SELECT count(*) FROM setting"), 0);
    char *aside = find_aside(copy);
    assert_non_null(aside);
    free(aside);
    hp_db_close(db);
}

/* What a crash between two renames leaves. */
static void a_replacement_that_was_broken_off_is_finished(void **state)
{
    char path[PATH_SIZE], other[PATH_SIZE], copy[PATH_SIZE];
    make_database(path_in(*state, "other.db", other), 2);
    path_in(*state, "hostpair.db", path);
    hp_db_t *db = open_ok(path);
    run(db, "INSERT INTO setting VALUES ('which', 'the old one')");
    hp_db_close(db);
    copy_file(other, path_in(*state, "hostpair.db.restored", copy));
    db = open_ok(path);
    assert_int_equal(number(db, "SELECT count(*) FROM setting WHERE name = 'which'"), 0);
    assert_int_equal(number(db, "SELECT count(*) FROM self WHERE id = '" OWN "'"), 1);
    hp_db_close(db);
    char *aside = find_aside(path);
    assert_non_null(aside);
    free(aside);
    /* One that was not whole yet counts for nothing. */
    write_whole(path_in(*state, "hostpair.db.new", copy), "half", 4);
    hp_db_close(open_ok(path));
}

/* ---- while it is used ---- */

static void assert_state(hp_db_file_t *file, hp_db_file_state_t state, const char *words)
{
    hp_err_t err = {0};
    assert_int_equal(hp_db_file_look(file, &err), state);
    if (words != NULL)
        assert_contains(hp_err_text(&err), words);
}

static void what_is_deleted_is_written_anew(void **state)
{
    static const char *const deleted[] = {"hostpair.db", "hostpair.db-wal", NULL};
    char path[PATH_SIZE], name[PATH_SIZE];
    for (int way = 0; way < 3; way++) {
        make_database(path_in(*state, "hostpair.db", path), 2);
        hp_db_t *db = open_ok(path);
        hp_db_file_t file;
        hp_err_t err = {0};
        struct stat st;
        hp_db_file_init(&file, path);
        run(db, "INSERT INTO setting VALUES ('before', 'x')");
        assert_state(&file, HP_DB_FILE_FINE, NULL);
        for (int i = 0; i < 2; i++) /* one of them, or both */
            if (way == i || way == 2)
                assert_int_equal(unlink(path_in(*state, deleted[i], name)), 0);
        run(db, "INSERT INTO setting VALUES ('after', 'x')");
        assert_state(&file, HP_DB_FILE_GONE, "deleted while hostpair runs");
        if (hp_db_file_restore(&file, &db, &err) != 0)
            fail_msg("%s", hp_err_text(&err));
        assert_state(&file, HP_DB_FILE_FINE, NULL);
        run(db, "INSERT INTO setting VALUES ('later', 'x')");
        assert_state(&file, HP_DB_FILE_FINE, NULL);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        hp_db_file_dispose(&file);
        hp_db_close(db);
        db = open_ok(path);
        assert_int_equal(number(db, "SELECT count(*) FROM setting WHERE value = 'x'"), 3);
        assert_int_equal(number(db, "SELECT count(*) FROM message"), 303);
        assert_int_equal(number(db, "PRAGMA application_id"), HP_DB_APPLICATION_ID);
        hp_db_close(db);
        assert_null(find_aside(path));
        remove_all(path);
    }
}

static void another_file_in_its_place_is_left_alone(void **state)
{
    char path[PATH_SIZE], other[PATH_SIZE], old[PATH_SIZE];
    hp_db_t *db = open_ok(path_in(*state, "hostpair.db", path));
    hp_db_file_t file;
    hp_db_file_init(&file, path);
    assert_int_equal(rename(path, path_in(*state, "old.db", old)), 0);
    write_whole(path_in(*state, "hostpair.db", other), "a backup", 8);
    assert_state(&file, HP_DB_FILE_OTHER, "was replaced by another file");
    hp_db_file_dispose(&file);
    hp_db_abandon(db);
    size_t size;
    char *text = read_whole(path, &size);
    assert_memory_equal(text, "a backup", 8);
    free(text);
}

static void an_emptied_one_is_noticed(void **state)
{
    char path[PATH_SIZE];
    make_database(path_in(*state, "hostpair.db", path), 2);
    hp_db_t *db = open_ok(path);
    hp_db_file_t file;
    hp_db_file_init(&file, path);
    assert_int_equal(truncate(path, 0), 0);
    assert_state(&file, HP_DB_FILE_GONE, "was emptied while hostpair runs");
    hp_db_file_dispose(&file);
    hp_db_abandon(db);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(a_database_that_is_damaged_anywhere_is_opened_or_replaced),
        TEST(what_can_be_read_is_in_the_new_one),
        TEST(a_damaged_one_of_an_older_version_is_brought_up_to_date),
        TEST(what_was_found_damaged_is_set_aside_at_the_next_start),
        TEST(an_emptied_one_with_a_journal_is_set_aside),
        TEST(a_replacement_that_was_broken_off_is_finished),
        TEST(what_is_deleted_is_written_anew),
        TEST(another_file_in_its_place_is_left_alone),
        TEST(an_emptied_one_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
