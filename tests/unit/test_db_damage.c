// libs: db os base
/* Rows that no hostpair has written, as a broken disk or another program leaves them: what is read of them
 * leads nowhere else, and nobody is trusted for it. (Downloads are in test_db_download.c.) */
#include "test_db_help.h"

#include "base/mem.h"
#include "db/db.h"
#include "db/download.h"
#include "db/group.h"
#include "db/host.h"
#include "db/incoming.h"
#include "db/message.h"
#include "db/self.h"
#include "db/shared_file.h"
#include "db/shared_place.h"
#include "db/statement.h"
#include "db/traffic.h"

#define ID "0123456789abcdef0123456789abcdef"

static hp_err_t err;

/* Past the rules of the tables. */
static void run(hp_db_t *db, const char *sql)
{
    if (sqlite3_exec(hp_db_handle(db), sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(hp_db_handle(db)));
}

static int open_memory(void **state)
{
    hp_db_t *db;
    int rc = hp_db_open_memory(&db, &err);
    if (rc == 0)
        run(db, "PRAGMA ignore_check_constraints = ON");
    *state = db;
    return rc;
}

static int close_memory(void **state)
{
    hp_db_close(*state);
    return 0;
}

static void count_row(void *arg)
{
    ++*(unsigned *)arg;
}

/* ---- hosts ---- */

static void a_host_without_an_id_is_passed_over_and_none_is_paired_unproven(void **state)
{
    hp_db_t *db = *state;
    hp_host_row_t *rows;
    size_t count;
    run(db, "INSERT INTO host (id, name, protocol, found_by, instance, files, bytes, first_seen, last_seen,"
            " fingerprint, proven, paired_at)"
            " VALUES ('" ID "', 'a', 1, 'scan', '', -5, -6, 1, 1, zeroblob(32), 0, 7),"
            " ('', 'b', 1, 'scan', '', 0, 0, 1, 1, NULL, 0, NULL),"
            " ('" ID ID ID "', 'c', 1, 'scan', '', 0, 0, 1, 1, NULL, 0, NULL);"
            "INSERT INTO host_address VALUES ('" ID "', '10.0.0.1', 0, 1), ('" ID "', '10.0.0.2', 70000, 2),"
            " ('" ID "', '10.0.0.3', -65535, 3), ('" ID "', '10.0.0.4', 9000, 4), ('" ID "', '', 9000, 5)");
    assert_int_equal(hp_host_load(db, &rows, &count, &err), 0);
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].id, ID);
    assert_false(rows[0].proven);
    assert_int_equal(rows[0].paired_at, 0);
    assert_int_equal(rows[0].files, -1);
    assert_int_equal(rows[0].bytes, -1);
    assert_int_equal(rows[0].address_count, 1);
    assert_string_equal(rows[0].addresses[0].address, "10.0.0.4");
    free(rows);
}

/* ---- the inbox ---- */

static void on_incoming(void *arg, const hp_db_incoming_t *row)
{
    (void)row;
    count_row(arg);
}

static void on_incoming_file(void *arg, const hp_db_incoming_file_t *row)
{
    (void)row;
    count_row(arg);
}

static void a_transfer_that_would_land_elsewhere_is_passed_over(void **state)
{
    static const char *const changes[] = {
        "folder = '../../etc'", "folder = '/etc'", "folder = ''", "base = 'etc'",     "base = ''",
        "token = ''",           "token = 'x'",     "files = -1",  "state = 'asking'",
    };
    hp_db_t *db = *state;
    unsigned count = 0;
    run(db,
        "INSERT INTO incoming VALUES (1, '" ID "', 'hostpair', 'a', '10.0.0.1', '', '/srv', 'From a',"
        " 'receiving', '', 1, 1, 0), (2, '" ID "', 'hostpair', 'a', '10.0.0.1', '', '', '', 'declined', '',"
        " 1, 1, 2)");
    assert_int_equal(hp_db_incoming_each(db, on_incoming, &count, &err), 0);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < HP_COUNT(changes); i++) {
        char *sql = hp_sprintf("SAVEPOINT whole; UPDATE incoming SET %s WHERE id = 1", changes[i]);
        run(db, sql);
        count = 0;
        assert_int_equal(hp_db_incoming_each(db, on_incoming, &count, &err), 0);
        if (count != 1)
            fail_msg("%s: %u rows", changes[i], count);
        run(db, "ROLLBACK TO whole; RELEASE whole");
        free(sql);
    }
}

static void a_file_that_would_land_elsewhere_is_passed_over(void **state)
{
    static const char *const changes[] = {
        "name = '../a'", "name = ''",     "path = '/etc/passwd'", "part = '../.a.1.hostpair-part'",
        "part = 'a'",    "size = -2",     "received = -1",        "download = -1",
        "number = -1",   "name = 'a//b'",
    };
    hp_db_t *db = *state;
    run(db, "INSERT INTO incoming VALUES (1, '" ID "', 'hostpair', 'a', '10.0.0.1', '', '/srv', 'From a',"
            " 'receiving', '', 1, 1, 0);"
            "INSERT INTO incoming_file VALUES (1, 0, 'x/a', 'k', '', 5, NULL, 1, 0, '', 2,"
            " '.a.1.hostpair-part', 3, 0, 0)");
    for (size_t i = 0; i < HP_COUNT(changes); i++) {
        char *sql = hp_sprintf("SAVEPOINT whole; UPDATE incoming_file SET %s", changes[i]);
        unsigned count = 0;
        assert_int_equal(hp_db_incoming_file_each(db, 1, 10, on_incoming_file, &count, &err), 0);
        assert_int_equal(count, 1);
        run(db, sql);
        count = 0;
        assert_int_equal(hp_db_incoming_file_each(db, 1, 10, on_incoming_file, &count, &err), 0);
        if (count != 0)
            fail_msg("%s: it is read", changes[i]);
        run(db, "ROLLBACK TO whole; RELEASE whole");
        free(sql);
    }
}

/* ---- groups and messages ---- */

static void on_group(void *arg, const hp_db_group_t *row)
{
    (void)row;
    count_row(arg);
}

static void on_member(void *arg, const hp_db_group_member_t *row)
{
    assert_int_equal(row->list_revision, 0);
    count_row(arg);
}

static void groups_and_members_without_their_keys_are_passed_over(void **state)
{
    hp_db_t *db = *state;
    unsigned groups = 0, members = 0;
    run(db, "INSERT INTO member_group VALUES"
            " (1, randomblob(16), 'a', 'h:1', zeroblob(16), zeroblob(16), 1, 'member', 0, 1),"
            " (2, randomblob(16), 'b', 'h:1', zeroblob(20), zeroblob(16), 1, 'member', 0, 1),"
            " (3, randomblob(16), 'c', 'h:1', zeroblob(16), zeroblob(15), 1, 'member', 0, 1);"
            "INSERT INTO group_member VALUES (1, zeroblob(32), '" ID "', zeroblob(32), 'm', -4, '', 1),"
            " (1, zeroblob(31), '" ID "', zeroblob(32), 'm', 0, '', 1),"
            " (1, randomblob(32), 'short', zeroblob(32), 'm', 0, '', 1)");
    assert_int_equal(hp_db_group_each(db, on_group, &groups, &err), 0);
    assert_int_equal(groups, 1);
    assert_int_equal(hp_db_group_member_each(db, 1, on_member, &members, &err), 0);
    assert_int_equal(members, 1);
}

static void on_message(void *arg, const hp_db_message_t *row)
{
    assert_null(row->offer_path);
    assert_null(row->offer_root);
    count_row(arg);
}

static void a_message_offers_nothing_outside_of_the_share(void **state)
{
    hp_db_t *db = *state;
    unsigned count = 0;
    run(db, "INSERT INTO message VALUES"
            " (1, 'u', '" ID "', 'a', 'me', 1, 'hi', '../../etc/passwd', 5, zeroblob(32), 1, 1, 1)");
    assert_int_equal(hp_db_message_each(db, NULL, 0, 10, on_message, &count, &err), 0);
    assert_int_equal(count, 1);
}

/* ---- the share ---- */

static void a_layer_that_does_not_fit_its_file_is_not_used(void **state)
{
    static const char *const layers[] = {
        "3, zeroblob(160)",       "-1048576, zeroblob(160)", "1048577, zeroblob(160)",
        "1048576, zeroblob(128)", "1048576, zeroblob(161)",  "0, zeroblob(160)",
        "8192, zeroblob(19552)",
    };
    static const uint8_t root[HP_SHARED_ROOT_SIZE];
    hp_db_t *db = *state;
    hp_shared_content_t content;
    run(db, "INSERT INTO shared_file VALUES (1, 'a', 5, 6, 5000000, 7, 8, zeroblob(32), 0, 0);"
            "INSERT INTO shared_layer VALUES (zeroblob(32), 1048576, zeroblob(160))");
    assert_int_equal(hp_shared_find(db, root, 0, &content, &err), 0);
    assert_int_equal(content.chunk_size, 1048576);
    assert_int_equal(content.count, 5);
    hp_shared_content_dispose(&content);
    for (size_t i = 0; i < HP_COUNT(layers); i++) {
        char *sql = hp_sprintf("UPDATE shared_layer SET (chunk_size, digests) = (%s)", layers[i]);
        run(db, sql);
        assert_int_equal(hp_shared_find(db, root, 0, &content, &err), 0);
        if (content.chunk_size != 0 || content.count != 0)
            fail_msg("%s: it is used", layers[i]);
        hp_shared_content_dispose(&content);
        free(sql);
    }
}

static void a_shared_folder_has_a_name_and_an_absolute_path(void **state)
{
    hp_db_t *db = *state;
    hp_shared_places_t places = {0};
    run(db,
        "INSERT INTO shared_place VALUES ('music', '/srv/music', 1), ('..', '/etc', 1), ('a/b', '/srv', 1),"
        " ('', '/srv', 1), ('x', 'srv', 1), ('y', '', 1)");
    assert_int_equal(hp_shared_place_list(db, &places, &err), 0);
    assert_int_equal(places.count, 1);
    assert_string_equal(places.items[0].name, "music");
    hp_shared_places_dispose(&places);
}

/* ---- the rest ---- */

static void an_id_that_is_none_is_not_taken(void **state)
{
    hp_db_t *db = *state;
    hp_db_self_t first = {.id = ID, .created_at = 5}, self;
    run(db, "INSERT INTO self VALUES (1, 'x', 7, '../x')");
    assert_int_equal(hp_db_self_load(db, &first, &self, &err), 0);
    assert_string_equal(self.id, ID);
    assert_string_equal(self.former_id, "");
}

static void on_traffic(void *arg, const hp_db_traffic_t *row)
{
    assert_int_equal(row->down_bytes, 0);
    assert_int_equal(row->up_bytes, 9);
    count_row(arg);
}

static void on_chunk(void *arg, const hp_chunk_row_t *row)
{
    assert_int_equal(row->number, 1);
    count_row(arg);
}

static void counts_are_not_negative(void **state)
{
    hp_db_t *db = *state;
    unsigned minutes = 0, chunks = 0;
    run(db,
        "INSERT INTO traffic VALUES (1, -8, 9);"
        "INSERT INTO download VALUES (1, '/srv', 'a', 0, NULL, NULL, NULL, NULL, 'queued', '', 0, '', '', "
        "NULL,"
        " NULL, 0, 0, 0, 1, 0, 0);"
        "INSERT INTO download_file VALUES (1, 1, 'a', 'a', 'open', '', 5000000, NULL, 1048576, 0, 0, NULL,"
        " NULL, NULL, NULL, 0, 0, 0, 0);"
        "INSERT INTO chunk VALUES (1, -1, zeroblob(32), 1), (1, 1, zeroblob(32), 1)");
    assert_int_equal(hp_db_traffic_each(db, 0, on_traffic, &minutes, &err), 0);
    assert_int_equal(minutes, 1);
    assert_int_equal(hp_db_chunk_each(db, 1, on_chunk, &chunks, &err), 0);
    assert_int_equal(chunks, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_memory, close_memory)
    const struct CMUnitTest tests[] = {
        TEST(a_host_without_an_id_is_passed_over_and_none_is_paired_unproven),
        TEST(a_transfer_that_would_land_elsewhere_is_passed_over),
        TEST(a_file_that_would_land_elsewhere_is_passed_over),
        TEST(groups_and_members_without_their_keys_are_passed_over),
        TEST(a_message_offers_nothing_outside_of_the_share),
        TEST(a_layer_that_does_not_fit_its_file_is_not_used),
        TEST(a_shared_folder_has_a_name_and_an_absolute_path),
        TEST(an_id_that_is_none_is_not_taken),
        TEST(counts_are_not_negative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
