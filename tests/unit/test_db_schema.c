// libs: db os base
/* That every way to the latest version of the database leads to the same tables, and that no step of it can
 * be left half done. */
#include "test_db_schema.h"

#include <glob.h>

/* ---- hostpair's own schema ---- */

static void the_migrations_lead_to_the_same_tables_as_the_schema(void **state)
{
    char path[PATH_SIZE];
    hp_db_t *fresh, *migrated = make_version(path_in(*state, "old.db", path), &hp_schema_latest,
                                             hp_schema_latest.version);
    assert_int_equal(hp_db_open_memory(&fresh, NULL), 0);
    lines_t lines = describe(fresh);
    assert_true(lines.count > 50);
    free_lines(&lines);
    assert_same_tables(fresh, migrated);
    hp_db_close(fresh);
    hp_db_close(migrated);
}

/* The 64-bit FNV-1a hash of a text. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *p = text; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    return hash;
}

/* Databases of a released version are out there as its migration made them: the next one starts from that. */
static void released_migrations_are_never_edited(void **state)
{
    static const struct {
        const char *release;
        uint64_t hash;
    } released[] = {
        {"0.1.0", UINT64_C(0xa67e17749ae618b9)},
    };
    (void)state;
    assert_true(hp_schema_latest.version >= (int)(sizeof released / sizeof *released));
    for (size_t i = 0; i < sizeof released / sizeof *released; i++) {
        const hp_schema_part_t *step = &hp_schema_latest.migrations[i];
        if (hash_of(step->sql) != released[i].hash)
            fail_msg(
                "%s was released with hostpair %s and has changed since (it has %#llx now): add another one",
                step->name, released[i].release, (unsigned long long)hash_of(step->sql));
    }
}

/* A fixture has rows for every table of its version: what no row is in could get lost unseen. */
static void assert_rows_everywhere(hp_db_t *db, const char *fixture)
{
    sqlite3_stmt *tables;
    assert_int_equal(sqlite3_prepare_v2(hp_db_handle(db),
                                        "SELECT name FROM sqlite_schema WHERE type = 'table'"
                                        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
                                        -1, &tables, NULL),
                     SQLITE_OK);
    while (sqlite3_step(tables) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(tables, 0);
        char *query = hp_sprintf("SELECT count(*) > 0 FROM \"%s\"", table);
        sqlite3_stmt *rows;
        assert_int_equal(sqlite3_prepare_v2(hp_db_handle(db), query, -1, &rows, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
        if (sqlite3_column_int(rows, 0) == 0)
            fail_msg("%s has no row for the table %s", fixture, table);
        sqlite3_finalize(rows);
        free(query);
    }
    sqlite3_finalize(tables);
}

static void every_old_version_is_brought_up_to_date_with_its_rows(void **state)
{
    glob_t files;
    assert_int_equal(glob(HP_SOURCE_DIR "/tests/unit/fixtures/*.sql", 0, NULL, &files), 0);
    assert_true(files.gl_pathc >= 1);
    hp_db_t *fresh;
    assert_int_equal(hp_db_open_memory(&fresh, NULL), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        int version = atoi(strrchr(files.gl_pathv[i], '/') + 1);
        assert_in_range(version, 1, hp_schema_latest.version);
        char path[PATH_SIZE], name[20];
        size_t size;
        snprintf(name, sizeof name, "%d.db", version);
        hp_db_t *db = make_version(path_in(*state, name, path), &hp_schema_latest, version);
        char *fixture = read_whole(files.gl_pathv[i], &size);
        assert_non_null(fixture);
        char *sql = hp_strndup(fixture, size);
        free(fixture);
        run(db, sql);
        assert_rows_everywhere(db, files.gl_pathv[i]);
        hp_db_close(db);

        hp_err_t err = {0};
        if (hp_db_open(path, &db, &err) != 0)
            fail_msg("%s", hp_err_text(&err));
        assert_same_tables(fresh, db);
        assert_text(db, "PRAGMA integrity_check", "ok");
        assert_text(db, "SELECT count(*) FROM pragma_foreign_key_check", "0");
        assert_true(check_expectations(db, sql) > 0);
        free(sql);
        hp_db_close(db);
    }
    hp_db_close(fresh);
    globfree(&files);
}

/* What is missing in a schema file, as text; within CREATE TABLE a line that begins with a name in lower case
 * is a column. */
static void add_uncommented(hp_buf_t *out, const hp_schema_part_t *part)
{
    char *sql = hp_strdup(part->sql), *rest = NULL;
    bool inside = false;
    for (char *line = strtok_r(sql, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "CREATE TABLE", 12) == 0) {
            inside = true;
        } else if (inside && line[0] == ')') {
            inside = false;
            if (strstr(line, "STRICT") == NULL)
                hp_buf_printf(out, "%s: a table is not STRICT\n", part->name);
        } else if (inside && islower((unsigned char)line[strspn(line, " ")]) && strstr(line, "-- ") == NULL) {
            hp_buf_printf(out, "%s: no comment beside%s\n", part->name, line);
        }
    }
    if (inside)
        hp_buf_printf(out, "%s: the end of a table is not at the beginning of a line\n", part->name);
    free(sql);
}

static void every_table_is_strict_and_every_column_has_a_comment(void **state)
{
    (void)state;
    hp_buf_t out;
    hp_buf_init(&out, 1 << 16);
    for (size_t i = 0; i < hp_schema_latest.table_count; i++)
        add_uncommented(&out, &hp_schema_latest.tables[i]);
    if (out.length > 0)
        fail_msg("%s", out.data);
    hp_buf_dispose(&out);
}

/* ---- the mechanism, with versions of its own ---- */

static const hp_schema_part_t steps[] = {
    {"001", "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT) STRICT;"
            "CREATE TABLE child (parent INTEGER REFERENCES parent (id), CHECK (parent > 0)) STRICT;"},
    {"002", "ALTER TABLE child ADD COLUMN age INTEGER NOT NULL DEFAULT 7 CHECK (age > 0); CREATE INDEX ages "
            "ON child (age);"},
    {"003",
     "DROP TABLE parent; CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE) STRICT;"
     "INSERT INTO parent (id, name) SELECT parent, 'was ' || parent FROM child GROUP BY parent;"},
};
static const hp_schema_part_t latest_tables[] = {
    {"parent",
     "CREATE TABLE parent (id INTEGER PRIMARY KEY, -- a comment\n name TEXT COLLATE NOCASE) STRICT;"},
    {"child", "CREATE TABLE child (age INTEGER NOT NULL DEFAULT 7\n  CHECK ( age  > 0),"
              " parent INTEGER REFERENCES parent (id) CHECK (parent > 0)) STRICT;"
              "CREATE INDEX ages ON child (age);"},
};
static const hp_schema_t three = {
    .version = 3, .tables = latest_tables, .table_count = 2, .migrations = steps};

static void old_versions_are_migrated_step_by_step(void **state)
{
    char path[PATH_SIZE], fresh_path[PATH_SIZE];
    hp_db_t *fresh = open_schema(path_in(*state, "fresh.db", fresh_path), &three);
    for (int version = 1; version <= 3; version++) {
        char name[20];
        snprintf(name, sizeof name, "%d.db", version);
        hp_db_t *db = make_version(path_in(*state, name, path), &three, version);
        run(db,
            "INSERT INTO parent (id, name) VALUES (5, 'five'); INSERT INTO child (parent) VALUES (5), (5)");
        hp_db_close(db);
        db = open_schema(path, &three);
        assert_text(db, "PRAGMA user_version", "3");
        assert_text(db, "SELECT name FROM parent", version < 3 ? "was 5" : "five");
        assert_text(db, "SELECT sum(age) FROM child", "14");
        assert_text(db, "PRAGMA foreign_keys", "1");
        assert_same_tables(fresh, db);
        hp_db_close(db);
    }
    hp_db_close(fresh);
}

static void the_comparison_finds_every_kind_of_difference(void **state)
{
    static const struct {
        const char *sql, *expected;
    } changes[] = {
        {"ALTER TABLE child ADD COLUMN extra TEXT", "only by migrations/: column child.extra: TEXT\n"},
        {"ALTER TABLE child DROP COLUMN age",
         "only in schema/: column child.age: INTEGER not null default 7\n"},
        {"DROP INDEX ages", "only in schema/: index ages: CREATE INDEX ages ON child (age)\n"},
        {"DROP INDEX ages; CREATE INDEX ages ON child (age) WHERE age > 1",
         "only by migrations/: index on child(age BINARY): c partial\n"},
        {"DROP TABLE parent; CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT) STRICT",
         "only in schema/: column parent.name: collates NOCASE\n"},
        {"DROP TABLE parent; CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE)",
         "only by migrations/: table parent: table\n"},
        {"DROP TABLE child; CREATE TABLE child (age INTEGER NOT NULL DEFAULT 7 CHECK (age > 1),"
         " parent INTEGER REFERENCES parent (id) CHECK (parent > 0)) STRICT; CREATE INDEX ages ON child "
         "(age)",
         "only by migrations/: table child: check (age > 1)\n"},
        {"DROP TABLE child; CREATE TABLE child (age INTEGER NOT NULL DEFAULT 7 CHECK (age > 0),"
         " parent INTEGER CHECK (parent > 0)) STRICT; CREATE INDEX ages ON child (age)",
         "only in schema/: reference child.parent: parent.id on delete NO ACTION on update NO ACTION\n"},
        {"CREATE TRIGGER t AFTER INSERT ON child BEGIN SELECT 1; END",
         "only by migrations/: trigger t: CREATE TRIGGER"},
    };
    char path[PATH_SIZE], name[20];
    hp_db_t *fresh = open_schema(path_in(*state, "fresh.db", path), &three);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        snprintf(name, sizeof name, "%d.db", (int)i);
        hp_db_t *db = open_schema(path_in(*state, name, path), &three);
        run(db, "PRAGMA foreign_keys = OFF");
        run(db, "DROP INDEX ages; CREATE INDEX ages ON child (age)");
        assert_same_tables(fresh, db);
        if (i == 1)
            run(db, "DROP INDEX ages");
        run(db, changes[i].sql);
        char *text = differences(fresh, db);
        assert_contains(text, changes[i].expected);
        free(text);
        hp_db_close(db);
    }
    hp_db_close(fresh);
}

/* Tries to bring a version 1 to 3 by way of this step 2; the words of the failure must be these, and version
 * 1 is left. */
static void assert_step_fails(const char *folder, const char *step, const char *words)
{
    hp_schema_part_t bad[] = {steps[0], {"002-bad.sql", step}, steps[2]};
    hp_schema_t schema = {.version = 3, .tables = latest_tables, .table_count = 2, .migrations = bad};
    char path[PATH_SIZE];
    hp_db_t *db, *first;
    unlink(path_in(folder, "bad.db", path));
    db = make_version(path, &schema, 1);
    run(db, "INSERT INTO parent (id, name) VALUES (5, 'five'); INSERT INTO child (parent) VALUES (5)");
    hp_db_close(db);
    hp_err_t err = {0};
    assert_int_equal(hp_db_open_schema(path, &schema, &db, &err), HP_E_DB);
    assert_null(db);
    assert_contains(hp_err_text(&err), path);
    assert_contains(hp_err_text(&err), "bringing the database from version 1 to 2: ");
    assert_contains(hp_err_text(&err), words);

    hp_schema_t one = {.version = 1, .tables = steps, .table_count = 1, .migrations = steps};
    db = open_schema(path, &one);
    assert_text(db, "PRAGMA user_version", "1");
    assert_text(db, "SELECT name FROM parent", "five");
    first = make_version(path_in(folder, "first.db", path), &three, 1);
    assert_same_tables(first, db);
    hp_db_close(first);
    hp_db_close(db);
}

static void a_step_that_fails_leaves_the_version_before_it(void **state)
{
    assert_step_fails(*state, "CREATE TABLE half (a INTEGER) STRICT; INSERT INTO nowhere VALUES (1);",
                      "002-bad.sql: no such table: nowhere");
    assert_step_fails(*state, "CREATE TABLE half (a INTEGER) STRICT; DELETE FROM parent;",
                      "002-bad.sql leaves rows in child that refer to missing rows of parent");
}

/* Dies in the middle of the step from 1 to 2, with its changes in the journal. */
static int die_in_step(void *path)
{
    hp_schema_t one = {.version = 1, .tables = steps, .table_count = 1, .migrations = steps};
    hp_db_t *db = open_schema(path, &one);
    run(db, "PRAGMA cache_size = 1");
    if (hp_db_begin(db, NULL) != 0)
        return 1;
    run(db, steps[1].sql);
    run(db, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
            " INSERT INTO child (parent) SELECT 5 FROM n");
    kill(getpid(), SIGKILL);
    return 1;
}

static void a_step_that_was_killed_is_done_again(void **state)
{
    char path[PATH_SIZE];
    hp_db_t *db = make_version(path_in(*state, "killed.db", path), &three, 1);
    run(db, "INSERT INTO parent (id, name) VALUES (5, 'five'); INSERT INTO child (parent) VALUES (5)");
    hp_db_close(db);
    int status = in_child(die_in_step, path, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    db = open_schema(path, &three);
    assert_text(db, "PRAGMA user_version", "3");
    assert_text(db, "SELECT count(*) FROM child", "1");
    hp_db_close(db);
}

/* Dies when the tables of a new database are made, before they are committed. */
static int die_in_creation(void *path)
{
    static const hp_schema_part_t none[] = {{"nothing", ""}};
    hp_schema_t empty = {.version = 1, .tables = none, .table_count = 0, .migrations = none};
    hp_db_t *db = open_schema(path, &empty);
    run(db, "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1");
    if (hp_db_begin(db, NULL) != 0)
        return 1;
    run(db, steps[0].sql);
    run(db, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
            " INSERT INTO parent (name) SELECT 'a name of some length ' || i FROM n");
    kill(getpid(), SIGKILL);
    return 1;
}

static void a_hot_rollback_journal_is_played_back_when_opening(void **state)
{
    char path[PATH_SIZE], journal[PATH_SIZE];
    path_in(*state, "new.db", path);
    int status = in_child(die_in_creation, path, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(file_exists(path_in(*state, "new.db-journal", journal)));
    hp_schema_t one = {.version = 1, .tables = steps, .table_count = 1, .migrations = steps};
    hp_db_t *db = open_schema(path, &one);
    assert_text(db, "SELECT count(*) FROM sqlite_schema", "0");
    assert_text(db, "PRAGMA integrity_check", "ok");
    hp_db_close(db);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(the_migrations_lead_to_the_same_tables_as_the_schema),
        TEST(released_migrations_are_never_edited),
        TEST(every_old_version_is_brought_up_to_date_with_its_rows),
        TEST(every_table_is_strict_and_every_column_has_a_comment),
        TEST(old_versions_are_migrated_step_by_step),
        TEST(the_comparison_finds_every_kind_of_difference),
        TEST(a_step_that_fails_leaves_the_version_before_it),
        TEST(a_step_that_was_killed_is_done_again),
        TEST(a_hot_rollback_journal_is_played_back_when_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
