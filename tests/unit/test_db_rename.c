// libs: db base
/* A host's id changes: everything that an older hostpair knew of it is there under the new one. */
#include "test_db_help.h"

#include "base/mem.h"
#include "db/db.h"
#include "db/download.h"
#include "db/host.h"
#include "db/message.h"
#include "db/remote_file.h"
#include "db/rename.h"
#include "db/schema.h"
#include "db/self.h"
#include "db/statement.h"

#define OWN "00112233445566778899aabbccddeeff"
#define OLD "ffeeddccbbaa99887766554433221100" /* Anna of the fixture */
#define NEW "0123456789abcdef0123456789abcdef"

#define assert_ok(call)                                                                                      \
    do {                                                                                                     \
        hp_err_t err = {0};                                                                                  \
        int result = (call);                                                                                 \
        if (result != 0)                                                                                     \
            fail_msg("%s: %d %s", #call, result, hp_err_text(&err));                                         \
    } while (0)

static void run(hp_db_t *db, const char *sql)
{
    hp_err_t err = {0};
    if (hp_db_script(db, sql, "test", &err) != 0)
        fail_msg("%s", hp_err_text(&err));
}

static void assert_value(hp_db_t *db, const char *sql, const char *expected)
{
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v2(hp_db_handle(db), sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(hp_db_handle(db)));
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    if (strcmp(text != NULL ? text : "NULL", expected) != 0)
        fail_msg("%s: \"%s\", expected \"%s\"", sql, text, expected);
    sqlite3_finalize(stmt);
}

/* The database that the first release left, brought up to date. */
static int open_fixture(void **state)
{
    static char path[PATH_SIZE];
    void *folder;
    hp_db_t *db;
    hp_err_t err = {0};
    size_t size;
    hp_schema_t first = {.version = 1,
                         .tables = hp_schema_latest.migrations,
                         .table_count = 1,
                         .migrations = hp_schema_latest.migrations};
    if (make_folder(&folder) != 0)
        return -1;
    path_in(folder, "old.db", path);
    if (hp_db_open_schema(path, &first, &db, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    char *sql = read_whole(HP_SOURCE_DIR "/tests/unit/fixtures/001.sql", &size);
    char *text = hp_strndup(sql, size);
    run(db, text);
    free(text);
    free(sql);
    hp_db_close(db);
    if (hp_db_open(path, &db, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    remove_folder(&folder); /* the open file lives on */
    *state = db;
    return 0;
}

static int close_fixture(void **state)
{
    hp_db_close(*state);
    return 0;
}

/* No column of any table holds the text. */
static void assert_nowhere(hp_db_t *db, const char *id, const char *but)
{
    sqlite3_stmt *columns;
    assert_int_equal(
        sqlite3_prepare_v2(hp_db_handle(db),
                           "SELECT t.name, c.name FROM pragma_table_list t, pragma_table_xinfo(t.name) c"
                           " WHERE t.schema = 'main' AND c.type = 'TEXT' AND t.name NOT LIKE 'sqlite%'",
                           -1, &columns, NULL),
        SQLITE_OK);
    int looked = 0;
    while (sqlite3_step(columns) == SQLITE_ROW) {
        char *name = hp_sprintf("%s.%s", (const char *)sqlite3_column_text(columns, 0),
                                (const char *)sqlite3_column_text(columns, 1));
        char *query = hp_sprintf("SELECT count(*) FROM \"%s\" WHERE \"%s\" = '%s'",
                                 (const char *)sqlite3_column_text(columns, 0),
                                 (const char *)sqlite3_column_text(columns, 1), id);
        if (strcmp(name, but) != 0)
            assert_value(db, query, "0");
        looked++;
        free(query);
        free(name);
    }
    sqlite3_finalize(columns);
    assert_true(looked > 30);
}

static void everything_of_a_host_follows_its_new_id(void **state)
{
    hp_db_t *db = *state;
    char host[80];
    assert_ok(hp_db_host_rename(db, OLD, NEW, &err));
    assert_nowhere(db, OLD, "host_alias.alias");
    assert_ok(hp_db_host_by_alias(db, OLD, host, sizeof host, &err));
    assert_string_equal(host, NEW);
    assert_int_equal(hp_db_host_by_alias(db, NEW, host, sizeof host, NULL), HP_E_NOT_FOUND);

    assert_value(db, "SELECT name || ' ' || found_by || ' ' || first_seen FROM host WHERE id = '" NEW "'",
                 "Anna beacon 1700000000000");
    assert_value(db, "SELECT count(*) FROM host_address WHERE host = '" NEW "'", "2");
    assert_value(db, "SELECT count(*) FROM host", "2");
    hp_remote_file_t file;
    assert_ok(hp_remote_file_find(db, NEW, "films/film.mp4", &file, &err));
    assert_int_equal(file.size, 5242880);
    hp_remote_file_dispose(&file);
    hp_download_row_t row;
    assert_ok(hp_db_download_get(db, 2, &row, &err));
    assert_string_equal(row.order_host, NEW);
    assert_int_equal(row.chunks_done, 2);
    hp_download_row_dispose(&row);
    assert_value(
        db, "SELECT s.host FROM chunk c JOIN download_source s ON s.id = c.source WHERE c.number = 4", NEW);
    assert_value(db, "SELECT text FROM message WHERE host = '" NEW "'", "你好");
    assert_value(db, "SELECT count(*) FROM message WHERE recipient = '" NEW "'", "1");
    assert_value(db, "SELECT group_concat(state, ' ') FROM message_delivery WHERE host = '" NEW "'",
                 "delivered failed");
    assert_value(db, "SELECT count(*) FROM pragma_foreign_key_check", "0");
}

static void two_that_are_one_host_become_one(void **state)
{
    hp_db_t *db = *state;
    run(db,
        "UPDATE host SET blocked = 1 WHERE id = '" OLD "';"
        "INSERT INTO host (id, name, protocol, found_by, instance, first_seen, last_seen)"
        " VALUES ('" NEW "', 'Anna now', 1, 'scan', '', 1700000000500, 1700000000600);"
        "INSERT INTO host_address (host, address, port, answered_at) VALUES"
        " ('" NEW "', '10.0.0.7', 9000, 1700000000600), ('" NEW "', '10.0.0.70', 9000, 1700000000550);"
        "INSERT INTO remote_list (id, host, state, files, bytes, fetched_at)"
        " VALUES (2, '" NEW "', 'shown', 0, 0, 1700000000600);"
        "INSERT INTO download_source (id, file, host, path) VALUES (3, 2, '" NEW "', 'films/film.mp4');"
        "INSERT INTO chunk (file, number, digest, source) SELECT 2, 1, digest, 3 FROM chunk WHERE number = 0;"
        "INSERT INTO message (id, uid, host, name, recipient, incoming, text, sent_at, received_at) VALUES"
        " (4, 'u1', '" NEW "', 'Anna', '" OWN "', 1, 'the same again', 1, 2),"
        " (5, 'u9', '" NEW "', 'Anna', '" OWN "', 1, 'another', 1, 2);"
        "INSERT INTO message_delivery (message, host, state, at) VALUES (2, '" NEW "', 'queued', 1);");
    assert_ok(hp_db_host_rename(db, OLD, NEW, &err));
    assert_nowhere(db, OLD, "host_alias.alias");
    assert_value(
        db,
        "SELECT name || ' ' || blocked || ' ' || first_seen || ' ' || last_seen FROM host WHERE id = '" NEW
        "'",
        "Anna now 1 1700000000000 1700000000600");
    assert_value(
        db,
        "SELECT group_concat(address || ' ' || answered_at, ', ') FROM host_address WHERE host = '" NEW "'",
        "10.0.0.7 1700000000600, 10.0.0.70 1700000000550, fe80::1%eth0 1700000000090");
    assert_value(db, "SELECT group_concat(id || ' ' || state, ', ') FROM remote_list", "1 dropped, 2 shown");
    assert_value(db, "SELECT group_concat(number || ' ' || source, ', ') FROM chunk", "0 3, 1 3, 4 3");
    assert_value(db, "SELECT count(*) FROM download_source WHERE file = 2", "1");
    assert_value(
        db, "SELECT group_concat(text, ', ') FROM (SELECT text FROM message WHERE incoming = 1 ORDER BY id)",
        "the same again, another");
    assert_value(db, "SELECT state FROM message_delivery WHERE message = 2 AND host = '" NEW "'",
                 "delivered");
    assert_value(db, "SELECT count(*) FROM pragma_foreign_key_check", "0");
}

static void ids_that_change_again_lead_to_the_last(void **state)
{
    hp_db_t *db = *state;
    char host[80];
    assert_ok(hp_db_host_rename(db, OLD, NEW, &err));
    assert_ok(hp_db_host_rename(db, NEW, "abcdefabcdefabcdefabcdefabcdefab", &err));
    assert_ok(hp_db_host_by_alias(db, OLD, host, sizeof host, &err));
    assert_string_equal(host, "abcdefabcdefabcdefabcdefabcdefab");
    /* Back again: an id that a host has is nobody's former one. */
    assert_ok(hp_db_host_rename(db, "abcdefabcdefabcdefabcdefabcdefab", OLD, &err));
    assert_int_equal(hp_db_host_by_alias(db, OLD, host, sizeof host, NULL), HP_E_NOT_FOUND);
    assert_value(db, "SELECT group_concat(alias || ' ' || host) FROM host_alias WHERE alias = '" NEW "'",
                 NEW " " OLD);
    assert_ok(hp_db_host_rename(db, OLD, OLD, &err));
    assert_ok(
        hp_db_host_rename(db, "11111111111111111111111111111111", "22222222222222222222222222222222", &err));
    assert_value(db, "SELECT count(*) FROM host WHERE id LIKE '2%'", "0");
    /* A host that is forgotten takes its former ids with it. */
    assert_ok(hp_host_remove(db, OLD, &err));
    assert_value(db, "SELECT count(*) FROM host_alias", "0");
}

static void a_list_that_is_being_built_takes_the_place_of_the_old_one_under_the_new_id(void **state)
{
    hp_db_t *db = *state;
    hp_remote_import_t *import;
    hp_remote_entry_t entry = {.path = "new.txt", .size = 3, .mtime = HP_REMOTE_NO_TIME};
    bool done = false;
    assert_ok(hp_remote_import_begin(db, OLD, HP_REMOTE_FILES_MAX, &import, &err));
    assert_ok(hp_remote_import_add(db, import, &entry, 1, &err));
    assert_ok(hp_db_host_rename(db, OLD, NEW, &err));
    while (!done)
        assert_ok(hp_remote_import_publish(db, import, NULL, 1, &done, &err));
    assert_ok(hp_remote_import_abandon(db, import, &err));
    assert_value(db, "SELECT group_concat(host || ' ' || files) FROM remote_list WHERE state = 'shown'",
                 NEW " 1");
}

static void a_rename_that_fails_changes_nothing(void **state)
{
    hp_db_t *db = *state;
    run(db,
        "CREATE TRIGGER no BEFORE UPDATE ON message_delivery BEGIN SELECT raise(ABORT, 'not today'); END");
    hp_err_t err = {0};
    assert_int_equal(hp_db_host_rename(db, OLD, NEW, &err), HP_E_DB);
    assert_contains(hp_err_text(&err), "not today");
    assert_nowhere(db, NEW, "");
    assert_value(db, "SELECT count(*) FROM message WHERE host = '" OLD "'", "1");
}

static void the_own_id_changes_with_the_own_messages(void **state)
{
    hp_db_t *db = *state;
    hp_db_self_t first = {.id = "99999999999999999999999999999999"}, self;
    assert_ok(hp_db_self_load(db, &first, &self, &err));
    assert_string_equal(self.former_id, "");
    assert_ok(hp_db_self_rename(db, NEW, &err));
    assert_ok(hp_db_self_rename(db, NEW, &err));
    assert_nowhere(db, OWN, "self.former_id");
    assert_ok(hp_db_self_load(db, &first, &self, &err));
    assert_string_equal(self.id, NEW);
    assert_string_equal(self.former_id, OWN);
    assert_value(db, "SELECT count(*) FROM message WHERE host = '" NEW "' AND incoming = 0", "2");
    assert_value(db, "SELECT count(*) FROM message WHERE recipient = '" NEW "' AND incoming = 1", "1");
}

static void a_proven_key_and_a_pairing_stay_with_a_host(void **state)
{
    hp_db_t *db = *state;
    hp_host_row_t row = {.id = NEW, .name = "Bert", .found_by = "beacon", .files = -1, .bytes = -1}, *rows;
    size_t count;
    assert_ok(hp_host_save(db, &row, &err));
    assert_int_equal(hp_host_set_paired(db, NEW, 5, NULL), HP_E_DB); /* nobody knows who that is */
    row.has_fingerprint = row.proven = true;
    memset(row.fingerprint, 7, sizeof row.fingerprint);
    assert_ok(hp_host_save(db, &row, &err));
    assert_ok(hp_host_set_paired(db, NEW, 1700000000700, &err));
    row.has_fingerprint = row.proven = false; /* seen by something that knows nothing of it */
    assert_ok(hp_host_save(db, &row, &err));
    assert_ok(hp_host_load(db, &rows, &count, &err));
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].id, NEW) != 0)
            continue;
        found = true;
        assert_true(rows[i].has_fingerprint && rows[i].proven);
        assert_int_equal(rows[i].fingerprint[31], 7);
        assert_int_equal(rows[i].paired_at, 1700000000700);
    }
    assert_true(found);
    free(rows);
    hp_err_t other = {0};
    row.has_fingerprint = true;
    row.fingerprint[0] = 8;
    assert_int_equal(hp_host_save(db, &row, &other), HP_E_CONFLICT);
    assert_contains(hp_err_text(&other), "another key");
    assert_ok(hp_host_set_paired(db, NEW, 0, &err));
    assert_value(db, "SELECT paired_at IS NULL FROM host WHERE id = '" NEW "'", "1");
    assert_int_equal(hp_host_set_paired(db, "nobody", 0, NULL), HP_E_NOT_FOUND);
}

static void that_a_host_has_still_to_hear_of_the_end_of_its_pairing_is_kept(void **state)
{
    hp_db_t *db = *state;
    hp_host_row_t row = {
        .id = NEW, .name = "Bert", .found_by = "beacon", .has_fingerprint = true, .proven = true};
    assert_ok(hp_host_save(db, &row, &err));
    assert_ok(hp_host_set_paired(db, NEW, 1700000000700, &err));
    assert_ok(hp_host_set_unpaired(db, NEW, 1700000000800, &err));
    assert_value(
        db, "SELECT paired_at IS NULL AND unpaired_at = 1700000000800 FROM host WHERE id = '" NEW "'", "1");
    assert_ok(hp_host_save(db, &row, &err)); /* seen again */
    assert_value(db, "SELECT unpaired_at FROM host WHERE id = '" NEW "'", "1700000000800");
    assert_ok(hp_host_set_paired(db, NEW, 0, &err)); /* it has heard */
    assert_value(db, "SELECT unpaired_at IS NULL FROM host WHERE id = '" NEW "'", "1");
    assert_int_equal(hp_host_set_unpaired(db, "nobody", 1, NULL), HP_E_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)
    const struct CMUnitTest tests[] = {
        TEST(everything_of_a_host_follows_its_new_id),
        TEST(two_that_are_one_host_become_one),
        TEST(ids_that_change_again_lead_to_the_last),
        TEST(a_list_that_is_being_built_takes_the_place_of_the_old_one_under_the_new_id),
        TEST(a_rename_that_fails_changes_nothing),
        TEST(the_own_id_changes_with_the_own_messages),
        TEST(a_proven_key_and_a_pairing_stay_with_a_host),
        TEST(that_a_host_has_still_to_hear_of_the_end_of_its_pairing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
