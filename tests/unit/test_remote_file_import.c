// libs: db os base
/* The file lists of other hosts in the database: how a list comes, replaces an older one, and goes. */
#include "test_remote_file.h"

#include "db/host.h"

static void sweep_all(hp_db_t *db)
{
    for (bool more = true; more;)
        ok(hp_remote_sweep(db, &more, &err));
}

static int64_t rows_of(hp_db_t *db, const char *table)
{
    char sql[200];
    sqlite3_stmt *stmt;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_prepare_v2(hp_db_handle(db), sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return count;
}

static void a_new_list_takes_the_place_of_the_old_one_at_once(void **state)
{
    hp_db_t *db = *state;
    hp_remote_import_t *import;
    hp_remote_list_t list;
    import_list(db, HOST, F("old", 1));
    const hp_remote_entry_t fresh[] = {F("new", 2), F("newer", 3)};
    ok(hp_remote_import_begin(db, HOST, HP_REMOTE_FILES_MAX, &import, &err));
    ok(hp_remote_import_add(db, import, fresh, 2, &err));
    assert_walk(db, "old(1) ", .folder = "");
    publish(db, import, "\"2\"");
    assert_walk(db, "new(2) newer(3) ", .folder = "");
    ok(hp_remote_list_get(db, HOST, &list, &err));
    assert_string_equal(list.etag, "\"2\"");
    assert_int_equal(list.files, 2);
    assert_int_equal(list.bytes, 5);
    assert_int_equal(rows_of(db, "remote_file"), 3);
    sweep_all(db);
    assert_int_equal(rows_of(db, "remote_file"), 2);
    assert_int_equal(rows_of(db, "remote_list"), 1);
    assert_walk(db, "new(2) newer(3) ", .folder = "");
}

static void a_list_that_was_not_finished_leaves_the_old_one(void **state)
{
    hp_db_t *db = *state;
    hp_remote_import_t *import;
    import_list(db, HOST, F("old", 1));
    const hp_remote_entry_t fresh[] = {F("new", 2)};
    ok(hp_remote_import_begin(db, HOST, HP_REMOTE_FILES_MAX, &import, &err));
    ok(hp_remote_import_add(db, import, fresh, 1, &err));
    ok(hp_remote_import_abandon(db, import, &err));
    sweep_all(db);
    assert_walk(db, "old(1) ", .folder = "");
    assert_int_equal(rows_of(db, "remote_file"), 1);
    /* One that a crash cut off. */
    ok(hp_remote_import_begin(db, HOST, HP_REMOTE_FILES_MAX, &import, &err));
    ok(hp_remote_import_add(db, import, fresh, 1, &err));
    ok(hp_remote_list_recover(db, &err));
    sweep_all(db);
    assert_walk(db, "old(1) ", .folder = "");
    assert_int_equal(rows_of(db, "remote_file"), 1);
    ok(hp_remote_import_abandon(db, import, &err));
}

/* Adds files one by one until one is refused; how many were taken. */
static int64_t add_until_refused(hp_db_t *db, hp_remote_import_t *import, char *(*path_of)(int number),
                                 int count, hp_err_t *err)
{
    int64_t taken = 0;
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        char *path = path_of(i);
        hp_remote_entry_t entry = {.path = path, .size = 1, .mtime = HP_REMOTE_NO_TIME};
        rc = hp_remote_import_add(db, import, &entry, 1, err);
        taken += rc == 0;
        free(path);
    }
    return taken;
}

static char *short_path(int number)
{
    return hp_sprintf("%08d", number);
}

/* 15 folders, each with a long name of its own. */
static char *long_path(int number)
{
    char path[4000] = "";
    for (int i = 0; i < 15; i++) {
        size_t used = strlen(path);
        snprintf(path + used, sizeof path - used, "%08d-%02d-%0*d/", number, i, 230, 0);
    }
    return hp_sprintf("%sx", path);
}

static void a_list_is_given_up_where_it_is_larger_than_it_may_be(void **state)
{
    hp_db_t *db = *state;
    hp_remote_import_t *import;
    hp_err_t many = {0}, text = {0};
    import_list(db, HOST, F("old", 1));
    ok(hp_remote_import_begin(db, HOST, 500, &import, &err));
    assert_int_equal(add_until_refused(db, import, short_path, 1000, &many), 500);
    assert_int_equal(many.code, HP_E_TOO_LARGE);
    assert_non_null(strstr(many.detail, "more than 500 files"));
    ok(hp_remote_import_abandon(db, import, &err));
    /* Few files, but 27 KiB of folder names each. */
    ok(hp_remote_import_begin(db, HOST, 10000, &import, &err));
    int64_t taken = add_until_refused(db, import, long_path, 10000, &text);
    print_message("%lld files with long names\n", (long long)taken);
    assert_in_range(taken, 300, 1000);
    assert_int_equal(text.code, HP_E_TOO_LARGE);
    ok(hp_remote_import_abandon(db, import, &err));
    sweep_all(db);
    assert_walk(db, "old(1) ", .folder = "");
    assert_int_equal(rows_of(db, "remote_folder"), 1);
}

static void a_forgotten_host_leaves_nothing(void **state)
{
    static const char *const tables[] = {"remote_list", "remote_folder", "remote_file",
                                         "remote_root", "remote_names",  "remote_keys"};
    hp_db_t *db = *state;
    enum { COUNT = 7000 };
    hp_remote_entry_t *entries = hp_alloc_array(COUNT, sizeof *entries);
    char(*paths)[40] = hp_alloc_array(COUNT, sizeof *paths);
    for (int i = 0; i < COUNT; i++) {
        snprintf(paths[i], sizeof paths[i], "folder %03d/file %05d", i / 20, i);
        entries[i] = (hp_remote_entry_t)F(paths[i], i);
        set_root(&entries[i], (unsigned char)i);
        memcpy(entries[i].root + 2, &i, sizeof i);
    }
    import_all(db, HOST, entries, COUNT);
    import_list(db, OTHER, F("stays", 1));
    assert_int_equal(rows_of(db, "remote_root"), COUNT);
    assert_int_equal(rows_of(db, "remote_names"), COUNT / HP_REMOTE_BATCH + 1);
    ok(hp_remote_list_forget(db, HOST, &err));
    hp_remote_page_t page;
    hp_err_t why = {0};
    assert_int_equal(hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST, .limit = 1}, &page, &why),
                     HP_E_NOT_FOUND);
    sweep_all(db);
    for (size_t i = 0; i < HP_COUNT(tables); i++)
        if (rows_of(db, tables[i]) != (strcmp(tables[i], "remote_root") != 0))
            fail_msg("%s has %lld rows", tables[i], (long long)rows_of(db, tables[i]));
    free(entries);
    free(paths);
}

static void what_is_listed_twice_or_too_deep_or_too_large_does_no_harm(void **state)
{
    hp_db_t *db = *state;
    char deep[600] = "";
    for (int i = 0; i < 150; i++)
        strcat(deep, "d/");
    strcat(deep, "x");
    import_list(db, HOST, F("b/1", 1), F("a/1", 1), F("b/1", 99), F("a/1", 99), F("b/1", 99), F(deep, 1),
                F("huge1", INT64_C(1) << 61), F("huge2", INT64_C(1) << 61), F("huge3", INT64_C(1) << 61));
    assert_walk(db, "a/(1,1) b/(1,1) huge1(2305843009213693952) huge2(-1) huge3(-1) ", .folder = "");
    assert_int_equal(rows_of(db, "remote_file"), 5);
}

/* ---- against a plain model ---- */

static void sums_of_folders_are_right_for_any_order_of_the_list(void **state)
{
    hp_db_t *db = *state;
    enum { COUNT = 5000 };
    static hp_remote_entry_t entries[COUNT];
    static char paths[COUNT][60];
    unsigned seed = 3;
    int64_t files[700] = {0}, bytes[700] = {0};
    for (int i = 0; i < COUNT; i++) {
        int folder = rand_r(&seed) % 700; /* more than are kept in memory */
        snprintf(paths[i], sizeof paths[i], "f%03d/sub%d/%d", folder, rand_r(&seed) % 3, i);
        entries[i] = (hp_remote_entry_t)F(paths[i], i);
        files[folder]++;
        bytes[folder] += i;
    }
    import_all(db, HOST, entries, COUNT);
    hp_remote_page_t page;
    ok(hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST, .limit = 1000}, &page, &err));
    assert_int_equal(page.next == NULL, true);
    for (size_t i = 0; i < page.folder_count; i++) {
        int folder = atoi(page.folders[i].path + 1);
        assert_int_equal(page.folders[i].files, files[folder]);
        assert_int_equal(page.folders[i].bytes, bytes[folder]);
    }
    hp_remote_page_dispose(&page);
    ok(hp_remote_page_read(db, &(hp_remote_query_t){.host = HOST, .folder = "f000", .limit = 10}, &page,
                           &err));
    assert_int_equal(page.folders_total, page.folder_count);
    hp_remote_page_dispose(&page);
}

static void hosts_are_kept_with_their_addresses(void **state)
{
    hp_db_t *db = *state;
    hp_host_row_t row = {.id = HOST,
                         .name = "näme",
                         .found_by = "scan",
                         .instance = "i",
                         .protocol = 1,
                         .files = -1,
                         .bytes = 7,
                         .first_seen = 1,
                         .last_seen = 2,
                         .address_count = 2};
    row.addresses[0] = (hp_host_row_address_t){.address = "10.0.0.1", .port = 9000, .answered_at = 5};
    row.addresses[1] = (hp_host_row_address_t){.address = "fe80::1%eth0", .port = 65535, .answered_at = 6};
    ok(hp_host_save(db, &row, &err));
    row.first_seen = 99;
    row.last_seen = 3;
    ok(hp_host_save(db, &row, &err));
    hp_host_row_t *rows;
    size_t count;
    ok(hp_host_load(db, &rows, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].name, "näme");
    assert_int_equal(rows[0].files, -1);
    assert_int_equal(rows[0].bytes, 7);
    assert_int_equal(rows[0].first_seen, 1);
    assert_int_equal(rows[0].last_seen, 3);
    assert_int_equal(rows[0].address_count, 2);
    assert_string_equal(rows[0].addresses[0].address, "fe80::1%eth0"); /* answered last */
    assert_int_equal(rows[0].addresses[0].port, 65535);
    free(rows);
    row.address_count = 1;
    ok(hp_host_save(db, &row, &err));
    assert_int_equal(rows_of(db, "host_address"), 1);
    ok(hp_host_remove(db, HOST, &err));
    assert_int_equal(rows_of(db, "host"), 0);
    assert_int_equal(rows_of(db, "host_address"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_db, close_db)
    const struct CMUnitTest tests[] = {
        T(a_new_list_takes_the_place_of_the_old_one_at_once),
        T(a_list_that_was_not_finished_leaves_the_old_one),
        T(a_list_is_given_up_where_it_is_larger_than_it_may_be),
        T(a_forgotten_host_leaves_nothing),
        T(what_is_listed_twice_or_too_deep_or_too_large_does_no_harm),
        T(sums_of_folders_are_right_for_any_order_of_the_list),
        T(hosts_are_kept_with_their_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
