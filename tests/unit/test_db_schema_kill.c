// libs: db os base
/* That a start which is killed while it brings an old database up to date, before any statement, is made good
 * by the next. */
#include "test_db_schema.h"

#define MOST_STATEMENTS 2000
#define SOME            13 /* every so many is tried; HP_UNIT_KILLS=all tries each, which takes minutes */

static int statements_left; /* of the child */

static int on_statement(unsigned event, void *context, void *statement, void *text)
{
    (void)event, (void)context, (void)statement, (void)text;
    if (--statements_left == 0)
        kill(getpid(), SIGKILL);
    return 0;
}

/* With so small a cache what a statement changes is in the journal before the next one begins. */
static int watch_statements(sqlite3 *handle, char **error, const struct sqlite3_api_routines *api)
{
    (void)error, (void)api;
    sqlite3_exec(handle, "PRAGMA cache_size = 1", NULL, NULL, NULL);
    return sqlite3_trace_v2(handle, SQLITE_TRACE_STMT, on_statement, NULL);
}

static int open_and_die(void *path)
{
    hp_db_t *db;
    sqlite3_auto_extension((void (*)(void))watch_statements);
    if (hp_db_open(path, &db, NULL) != 0)
        return 1;
    hp_db_close(db);
    return 0;
}

/* The oldest version with a row in every table, so that one start runs through all migrations. */
static char *make_oldest(const char *path)
{
    size_t size;
    hp_db_t *db = make_version(path, &hp_schema_latest, 1);
    char *fixture = read_whole(HP_SOURCE_DIR "/tests/unit/fixtures/001.sql", &size);
    assert_non_null(fixture);
    char *sql = hp_strndup(fixture, size);
    free(fixture);
    run(db, sql);
    hp_db_close(db);
    return sql;
}

/* Opens what the killed one left: all migrations are done, all rows are there. Returns the version that the
 * killed one had come to. */
static int check_after_kill(const char *path, const char *fixture, hp_db_t *fresh, int number)
{
    hp_db_t *db;
    hp_err_t err = {0};
    sqlite3 *raw;
    sqlite3_stmt *version;
    assert_int_equal(sqlite3_open_v2(path, &raw, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(raw, "PRAGMA user_version", -1, &version, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(version), SQLITE_ROW);
    int reached = sqlite3_column_int(version, 0);
    sqlite3_finalize(version);
    sqlite3_close(raw);
    if (hp_db_open(path, &db, &err) != 0)
        fail_msg("killed at statement %d, in version %d: %s", number, reached, hp_err_text(&err));
    assert_same_tables(fresh, db);
    assert_text(db, "PRAGMA integrity_check", "ok");
    assert_text(db, "SELECT count(*) FROM pragma_foreign_key_check", "0");
    char *expected = hp_strdup(fixture);
    assert_true(check_expectations(db, expected) > 0);
    free(expected);
    hp_db_close(db);
    return reached;
}

static void a_migration_killed_at_any_statement_is_done_at_the_next_start(void **state)
{
    char oldest[PATH_SIZE], path[PATH_SIZE], beside[PATH_SIZE];
    char *fixture = make_oldest(path_in(*state, "oldest.db", oldest));
    hp_db_t *fresh;
    assert_int_equal(hp_db_open_memory(&fresh, NULL), 0);
    bool killed = true, seen[100] = {false};
    const char *all = getenv("HP_UNIT_KILLS");
    int kills = 0, versions = 0, step = all != NULL && strcmp(all, "all") == 0 ? 1 : SOME;
    for (int n = 1; killed; n += step) {
        assert_true(n < MOST_STATEMENTS);
        path_in(*state, "killed.db", path);
        unlink(path_in(*state, "killed.db-wal", beside));
        unlink(path_in(*state, "killed.db-shm", beside));
        copy_file(oldest, path);
        statements_left = n;
        int status = in_child(open_and_die, path, NULL);
        killed = WIFSIGNALED(status);
        assert_int_equal(killed ? WTERMSIG(status) : WEXITSTATUS(status), killed ? SIGKILL : 0);
        int version = check_after_kill(path, fixture, fresh, n);
        versions += !seen[version];
        seen[version] = true;
        kills += killed;
    }
    print_message("killed at %d statements, in %d versions\n", kills, versions);
    assert_true(kills >= hp_schema_latest.version);
    assert_true(versions > 2);
    hp_db_close(fresh);
    free(fixture);
}

/* In memory, as nothing here is about what a disk keeps: the syncs of some hundred migrations take minutes on
 * one. */
static int make_fast_folder(void **state)
{
    char path[] = "/dev/shm/hostpair-test-XXXXXX";
    *state = mkdtemp(path) != NULL ? strdup(path) : NULL;
    return *state != NULL ? 0 : make_folder(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_migration_killed_at_any_statement_is_done_at_the_next_start,
                                        make_fast_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
