// libs: db os base
#include "test_db_help.h"

#include "db/db.h"
#include "db/schema.h"
#include "db/setting.h"
#include "db/statement.h"

static hp_db_t *open_ok(const char *path)
{
    hp_db_t *db;
    hp_err_t err = {0};
    if (hp_db_open(path, &db, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    return db;
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
    assert_int_equal(sqlite3_prepare_v2(hp_db_handle(db), sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static void set(hp_db_t *db, const char *name, const char *value)
{
    hp_err_t err = {0};
    if (hp_db_setting_set(db, name, value, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
}

/* "" when it is not set. */
static void assert_setting(hp_db_t *db, const char *name, const char *expected)
{
    char *value = NULL;
    hp_err_t err = {0};
    int rc = hp_db_setting_get(db, name, &value, &err);
    assert_true(rc == 0 || rc == HP_E_NOT_FOUND);
    assert_string_equal(value != NULL ? value : "", expected);
    free(value);
}

static void assert_private(const char *path, const char *ending)
{
    struct stat st;
    char name[PATH_SIZE];
    snprintf(name, sizeof name, "%s%s", path, ending);
    assert_int_equal(stat(name, &st), 0);
    if ((st.st_mode & 0777) != 0600)
        fail_msg("%s has mode %o", name, st.st_mode & 0777);
}

/* A database of ours that is closed. */
static void make_database(const char *path)
{
    hp_db_t *db = open_ok(path);
    set(db, "kept", "yes");
    hp_db_close(db);
}

/* Opening is refused, with these words, and the file is byte for byte what it was. */
static void assert_refused(const char *path, int code, const char *words)
{
    size_t before_size, after_size;
    char *before = read_whole(path, &before_size);
    hp_db_t *db = (hp_db_t *)1;
    hp_err_t err = {0};
    int rc = hp_db_open(path, &db, &err);
    if (rc != code)
        fail_msg("%d (%s), expected %d", rc, hp_err_text(&err), code);
    assert_int_equal(err.code, code);
    assert_null(db);
    assert_contains(hp_err_text(&err), path);
    assert_contains(hp_err_text(&err), words);
    char *after = read_whole(path, &after_size);
    assert_int_equal(before == NULL, after == NULL);
    if (before != NULL) {
        assert_int_equal(before_size, after_size);
        assert_memory_equal(before, after, before_size);
    }
    free(before);
    free(after);
}

static void assert_nothing_beside(const char *path)
{
    char other[PATH_SIZE];
    const char *endings[] = {"-wal", "-shm", "-journal"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(other, sizeof other, "%s%s", path, endings[i]);
        if (file_exists(other))
            fail_msg("%s was made", other);
    }
}

static void a_new_database_has_the_settings_that_the_design_asks_for(void **state)
{
    char path[PATH_SIZE];
    hp_db_t *db = open_ok(path_in(*state, "new.db", path));
    assert_int_equal(number(db, "PRAGMA application_id"), HP_DB_APPLICATION_ID);
    assert_int_equal(number(db, "PRAGMA user_version"), hp_schema_latest.version);
    assert_int_equal(number(db, "PRAGMA synchronous"), 1);
    assert_int_equal(number(db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(number(db, "PRAGMA temp_store"), 2);
    assert_int_equal(number(db, "PRAGMA secure_delete"), 0);
    assert_int_equal(number(db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
    assert_int_equal(number(db,
                            "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
                            " AND NOT strict AND name NOT LIKE 'sqlite_%'"),
                     0);
    hp_db_close(db);
}

static void rows_are_there_after_closing_and_opening(void **state)
{
    char path[PATH_SIZE];
    make_database(path_in(*state, "a.db", path));
    assert_nothing_beside(path);
    hp_db_t *db = open_ok(path);
    assert_setting(db, "kept", "yes");
    hp_db_close(db);
}

static void nobody_else_may_read_what_is_in_it(void **state)
{
    char path[PATH_SIZE];
    mode_t old = umask(0);
    hp_db_t *db = open_ok(path_in(*state, "private.db", path));
    set(db, "secret", "yes");
    assert_private(path, "");
    assert_private(path, "-wal");
    assert_private(path, "-shm");
    hp_db_close(db);
    /* One that was copied here, readable for all. */
    assert_int_equal(chmod(path, 0644), 0);
    db = open_ok(path);
    set(db, "secret", "still");
    assert_private(path, "");
    assert_private(path, "-wal");
    assert_private(path, "-shm");
    hp_db_close(db);
    umask(old);
}

static void an_empty_file_becomes_a_database(void **state)
{
    char path[PATH_SIZE];
    write_whole(path_in(*state, "empty.db", path), "", 0);
    make_database(path);
}

static void a_newer_version_is_refused_with_both_numbers(void **state)
{
    char path[PATH_SIZE], words[60];
    make_database(path_in(*state, "newer.db", path));
    hp_db_t *db = open_ok(path);
    run(db, "PRAGMA user_version = 4711");
    hp_db_close(db);
    assert_refused(path, HP_E_DB_NEWER, "version 4711");
    snprintf(words, sizeof words, "up to version %d", hp_schema_latest.version);
    assert_refused(path, HP_E_DB_NEWER, words);
    assert_nothing_beside(path);
}

static void a_newer_version_that_is_still_in_the_journal_is_refused_and_kept(void **state)
{
    char path[PATH_SIZE], wal[PATH_SIZE], copy[PATH_SIZE], copy_wal[PATH_SIZE];
    make_database(path_in(*state, "live.db", path));
    hp_db_t *db = open_ok(path);
    run(db, "PRAGMA user_version = 4711");
    copy_file(path, path_in(*state, "copy.db", copy));
    copy_file(path_in(*state, "live.db-wal", wal), path_in(*state, "copy.db-wal", copy_wal));
    hp_db_close(db);

    size_t before, after;
    free(read_whole(copy_wal, &before));
    assert_true(before > 0);
    assert_refused(copy, HP_E_DB_NEWER, "version 4711");
    char *data = read_whole(copy_wal, &after);
    assert_non_null(data);
    free(data);
    assert_int_equal(before, after);
}

static void a_database_of_another_program_is_refused(void **state)
{
    char path[PATH_SIZE];
    sqlite3 *other;
    assert_int_equal(sqlite3_open(path_in(*state, "other.db", path), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "CREATE TABLE t (a); PRAGMA application_id = 42", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(other);
    assert_refused(path, HP_E_DB_FOREIGN, "another program (application id 42)");
    assert_nothing_beside(path);
}

static void what_is_no_database_is_refused(void **state)
{
    char path[PATH_SIZE], text[5000];
    memset(text, 'x', sizeof text);
    write_whole(path_in(*state, "text.db", path), text, sizeof text);
    assert_refused(path, HP_E_DB_DAMAGED, "not a database");
    assert_nothing_beside(path);

    write_whole(path_in(*state, "short.db", path), text, 20);
    assert_refused(path, HP_E_DB_DAMAGED, "not a database");

    assert_int_equal(mkdir(path_in(*state, "folder.db", path), 0700), 0);
    assert_refused(path, HP_E_DB, "opening it");
    assert_refused(path_in(*state, "missing/a.db", path), HP_E_DB, "No such file or directory");
}

static void a_damaged_header_is_refused(void **state)
{
    char path[PATH_SIZE];
    size_t size = 0;
    make_database(path_in(*state, "damaged.db", path));
    char *data = read_whole(path, &size);
    data[16] = 3; /* the page size is no power of two any more */
    write_whole(path, data, size);
    assert_refused(path, HP_E_DB_DAMAGED, "not a database");

    data[16] = 16;
    memset(data + 60, 0, 4); /* the version */
    write_whole(path, data, size);
    assert_refused(path, HP_E_DB_DAMAGED, "its version is 0");
    free(data);
}

static void a_damaged_table_is_reported_with_the_statement(void **state)
{
    char path[PATH_SIZE];
    make_database(path_in(*state, "lost.db", path));
    hp_db_t *db = open_ok(path);
    run(db, "DROP TABLE setting");
    hp_db_close(db);
    hp_err_t err = {0};
    assert_int_equal(hp_db_open(path, &db, &err), HP_E_DB_DAMAGED);
    assert_null(db);
    assert_contains(hp_err_text(&err), "setting.get: no such table: setting");
}

/* As somebody whom permissions bind. */
static int open_without_rights(void *path)
{
    if (geteuid() == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
        return 2;
    hp_db_t *db = NULL;
    hp_err_t err = {0};
    int rc = hp_db_open(path, &db, &err);
    fprintf(stderr, "%s\n", hp_err_text(&err));
    hp_db_close(db);
    return rc == HP_E_DB ? 0 : 1;
}

static void assert_no_rights(const char *folder, const char *path, const char *words)
{
    char errors[PATH_SIZE];
    size_t size = 0;
    assert_int_equal(in_child(open_without_rights, (void *)path, path_in(folder, "errors", errors)), 0);
    char *text = read_whole(errors, &size);
    text[size - 1] = '\0';
    assert_contains(text, path);
    assert_contains(text, words);
    free(text);
}

static void missing_rights_are_told(void **state)
{
    char folder[PATH_SIZE], path[PATH_SIZE], fresh[PATH_SIZE];
    assert_int_equal(chmod(*state, 0755), 0);
    assert_int_equal(mkdir(path_in(*state, "closed", folder), 0755), 0);
    make_database(path_in(folder, "a.db", path));
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(chmod(folder, 0555), 0);
    assert_no_rights(*state, path, "its folder cannot be written (Permission denied)");
    assert_no_rights(*state, path_in(folder, "new.db", fresh),
                     "its folder cannot be written (Permission denied)");
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(chmod(path, 0444), 0);
    assert_no_rights(*state, path, "it cannot be read and written (Permission denied)");
    assert_int_equal(chmod(path, 0000), 0);
    assert_no_rights(*state, path, "it cannot be read and written (Permission denied)");
}

/* Keeps a transaction with uncommitted pages in the journal open, and dies. */
static int die_in_transaction(void *path)
{
    hp_db_t *db;
    if (hp_db_open(path, &db, NULL) != 0 || hp_db_begin(db, NULL) != 0)
        return 1;
    if (hp_db_script(db, "PRAGMA cache_size = 1", "cache", NULL) != 0)
        return 1;
    char name[20], value[2000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "lost %d", i);
        if (hp_db_setting_set(db, name, value, NULL) != 0)
            return 1;
    }
    kill(getpid(), SIGKILL);
    return 1;
}

static void a_transaction_that_was_killed_leaves_nothing(void **state)
{
    char path[PATH_SIZE];
    make_database(path_in(*state, "killed.db", path));
    int status = in_child(die_in_transaction, path, NULL);
    assert_true(WIFSIGNALED(status));
    hp_db_t *db = open_ok(path);
    assert_int_equal(number(db, "SELECT count(*) FROM setting"), 1);
    assert_setting(db, "kept", "yes");
    hp_db_close(db);
}

static void transactions_and_savepoints_nest(void **state)
{
    (void)state;
    hp_db_t *db;
    hp_err_t err = {0};
    assert_int_equal(hp_db_open_memory(&db, &err), 0);
    assert_false(hp_db_in_transaction(db));
    assert_int_equal(hp_db_begin(db, &err), 0);
    set(db, "outer", "1");
    assert_int_equal(hp_db_savepoint(db, &err), 0);
    set(db, "middle", "1");
    assert_int_equal(hp_db_savepoint(db, &err), 0);
    set(db, "inner", "1");
    hp_db_revert(db);
    assert_int_equal(hp_db_release(db, &err), 0);
    assert_true(hp_db_in_transaction(db));
    assert_int_equal(hp_db_commit(db, &err), 0);
    assert_setting(db, "outer", "1");
    assert_setting(db, "middle", "1");
    assert_setting(db, "inner", "");

    assert_int_equal(hp_db_begin(db, &err), 0);
    set(db, "outer", "2");
    hp_db_rollback(db);
    hp_db_rollback(db);
    assert_setting(db, "outer", "1");
    hp_db_close(db);
}

static void a_full_disk_is_told_as_such(void **state)
{
    char path[PATH_SIZE], value[20000];
    hp_db_t *db = open_ok(path_in(*state, "full.db", path));
    set(db, "kept", "yes");
    char pragma[60];
    snprintf(pragma, sizeof pragma, "PRAGMA max_page_count = %d", (int)number(db, "PRAGMA page_count") + 1);
    run(db, pragma);
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    hp_err_t err = {0};
    assert_int_equal(hp_db_setting_set(db, "big", value, &err), HP_E_NO_SPACE);
    assert_contains(hp_err_text(&err), "setting.set: database or disk is full");
    assert_setting(db, "kept", "yes");
    run(db, "PRAGMA max_page_count = 100000");
    set(db, "big", value);
    assert_setting(db, "big", value);
    hp_db_close(db);
}

static void a_broken_rule_of_a_table_is_told_with_the_statement(void **state)
{
    (void)state;
    hp_db_t *db;
    hp_err_t err = {0};
    assert_int_equal(hp_db_open_memory(&db, &err), 0);
    run(db, "CREATE TEMP TRIGGER no BEFORE INSERT ON setting BEGIN SELECT RAISE(ABORT, 'not today'); END");
    assert_int_equal(hp_db_setting_set(db, "a", "b", &err), HP_E_DB);
    assert_string_equal(hp_err_text(&err), "setting.set: not today");
    hp_db_close(db);
}

static void a_second_connection_that_writes_is_waited_for(void **state)
{
    char path[PATH_SIZE];
    hp_db_t *db = open_ok(path_in(*state, "busy.db", path));
    sqlite3 *other;
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_busy_timeout(hp_db_handle(db), 50);
    hp_err_t err = {0};
    assert_int_equal(hp_db_begin(db, &err), HP_E_BUSY);
    assert_contains(hp_err_text(&err), "begin: database is locked");
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(hp_db_begin(db, &err), 0);
    assert_int_equal(hp_db_commit(db, &err), 0);
    hp_db_close(db);
}

static off_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* Commits about 100 KiB. */
static void commit_pages(hp_db_t *db, int number_of_it)
{
    static char value[100000];
    char name[20];
    memset(value, 'v', sizeof value - 1);
    snprintf(name, sizeof name, "%d", number_of_it % 10);
    set(db, name, "");
    set(db, name, value);
}

static void a_long_journal_goes_back_into_the_file(void **state)
{
    char path[PATH_SIZE], wal[PATH_SIZE];
    hp_db_t *db = open_ok(path_in(*state, "long.db", path));
    path_in(*state, "long.db-wal", wal);
    hp_err_t err = {0};
    for (int i = 0; i < 60; i++) {
        commit_pages(db, i);
        assert_int_equal(hp_db_tidy(db, true, &err), 0);
    }
    assert_in_range(size_of(wal), 5 << 20, 9 << 20); /* grows while others wait */
    off_t before = size_of(wal);
    for (int i = 0; i < 200; i++) {
        commit_pages(db, i);
        assert_int_equal(hp_db_tidy(db, false, &err), 0);
    }
    assert_in_range(size_of(wal), 1, before + 300000); /* and begins anew when they do not */
    for (int i = 0; i < 900; i++) {
        commit_pages(db, i);
        assert_int_equal(hp_db_tidy(db, true, &err), 0);
    }
    assert_in_range(size_of(wal), 1, 40 << 20);
    hp_db_close(db);
}

static void a_journal_that_another_process_reads_is_kept(void **state)
{
    char path[PATH_SIZE];
    hp_db_t *db = open_ok(path_in(*state, "read.db", path));
    set(db, "first", "row");
    sqlite3 *other;
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN; SELECT * FROM setting", NULL, NULL, NULL), SQLITE_OK);
    hp_err_t err = {0};
    for (int i = 0; i < 100; i++) {
        commit_pages(db, i);
        assert_int_equal(hp_db_tidy(db, false, &err), 0);
    }
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(hp_db_checkpoint(db, &err), 0);
    char wal[PATH_SIZE];
    assert_int_equal(size_of(path_in(*state, "read.db-wal", wal)), 0);
    assert_setting(db, "first", "row");
    hp_db_close(db);
}

/* ---- mistakes in the code abort ---- */

static const hp_sql_t *setting_get(void)
{
    return &hp_sql_setting.items[0];
}

static int bind_unknown(void *db)
{
    HP_QUERY(q, db, setting_get());
    hp_query_bind_int(&q, ":nmae", 1);
    return 0;
}

static int leave_unbound(void *db)
{
    HP_QUERY(q, db, setting_get());
    hp_query_row(&q);
    return 0;
}

static int use_twice(void *db)
{
    HP_QUERY(q, db, setting_get());
    HP_QUERY(r, db, setting_get());
    return 0;
}

static int use_unlisted(void *db)
{
    static const hp_sql_t stray = {"stray.get", "SELECT 1"};
    HP_QUERY(q, db, &stray);
    return 0;
}

static int read_beyond(void *db)
{
    HP_QUERY(q, db, setting_get());
    hp_query_bind_text(&q, ":name", "a");
    return hp_query_one(&q, NULL) == 0 ? (int)hp_query_int(&q, 1) : 0;
}

static void mistakes_in_the_code_abort_with_the_statements_name(void **state)
{
    static const struct {
        int (*fn)(void *db);
        const char *words;
    } mistakes[] = {
        {bind_unknown, "statement setting.get: has no parameter :nmae"},
        {leave_unbound, "statement setting.get: runs without a value for :name"},
        {use_twice, "statement setting.get: is used again while it runs"},
        {use_unlisted, "statement stray.get: is in none of the lists"},
        {read_beyond, "statement setting.get: is asked for a column that it does not have"},
    };
    char errors[PATH_SIZE];
    hp_db_t *db;
    assert_int_equal(hp_db_open_memory(&db, NULL), 0);
    set(db, "a", "b");
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        int status = in_child(mistakes[i].fn, db, path_in(*state, "errors", errors));
        size_t size = 0;
        char *text = read_whole(errors, &size);
        assert_true(size > 0);
        text[size - 1] = '\0';
        assert_contains(text, mistakes[i].words);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        free(text);
    }
    hp_db_close(db);
}

static void a_query_that_is_left_early_can_be_used_again(void **state)
{
    (void)state;
    hp_db_t *db;
    assert_int_equal(hp_db_open_memory(&db, NULL), 0);
    set(db, "a", "b");
    for (int i = 0; i < 2; i++) {
        HP_QUERY(q, db, setting_get());
        hp_query_bind_text(&q, ":name", "a");
        assert_true(hp_query_row(&q));
        assert_string_equal(hp_query_text(&q, 0), "b");
    }
    hp_db_close(db);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(a_new_database_has_the_settings_that_the_design_asks_for),
        TEST(rows_are_there_after_closing_and_opening),
        TEST(nobody_else_may_read_what_is_in_it),
        TEST(an_empty_file_becomes_a_database),
        TEST(a_newer_version_is_refused_with_both_numbers),
        TEST(a_newer_version_that_is_still_in_the_journal_is_refused_and_kept),
        TEST(a_database_of_another_program_is_refused),
        TEST(what_is_no_database_is_refused),
        TEST(a_damaged_header_is_refused),
        TEST(a_damaged_table_is_reported_with_the_statement),
        TEST(missing_rights_are_told),
        TEST(a_transaction_that_was_killed_leaves_nothing),
        TEST(transactions_and_savepoints_nest),
        TEST(a_full_disk_is_told_as_such),
        TEST(a_broken_rule_of_a_table_is_told_with_the_statement),
        TEST(a_second_connection_that_writes_is_waited_for),
        TEST(a_long_journal_goes_back_into_the_file),
        TEST(a_journal_that_another_process_reads_is_kept),
        TEST(mistakes_in_the_code_abort_with_the_statements_name),
        TEST(a_query_that_is_left_early_can_be_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
