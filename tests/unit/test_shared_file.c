// libs: db os base
/* The index of the shared folder in the database: roots, layers, what is to be hashed, totals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "db/shared_file.h"

#define NS_PER_MS 1000000
#define NOW       (INT64_C(1800000000) * 1000 * NS_PER_MS)
#define MIB       1048576

static const uint8_t digests[3 * HP_SHARED_ROOT_SIZE] = {1, 2, 3};

static int make(void **state)
{
    hp_db_t *db;
    if (hp_db_open_memory(&db, NULL) != 0 || hp_shared_state_save(db, "/shared", 7, false, NULL) != 0)
        return -1;
    *state = db;
    return 0;
}

static int drop(void **state)
{
    hp_db_close(*state);
    return 0;
}

static hp_shared_identity_t identity(uint64_t inode, uint64_t size, int64_t age_ns)
{
    return (hp_shared_identity_t){
        .device = 7, .inode = inode, .size = size, .mtime_ns = 5, .ctime_ns = NOW - age_ns};
}

static int64_t put(hp_db_t *db, const char *path, hp_shared_identity_t file)
{
    hp_shared_change_t change = {0};
    int64_t id;
    assert_int_equal(hp_shared_put(db, path, &file, false, &id, &change, NULL), 0);
    assert_int_equal(hp_shared_commit(db, &change, NULL), 0);
    return id;
}

static void set_root(hp_db_t *db, hp_shared_identity_t file, uint8_t first)
{
    hp_shared_change_t change = {0};
    uint8_t root[HP_SHARED_ROOT_SIZE] = {first};
    uint64_t count = file.size > MIB ? 3 : 1;
    assert_int_equal(hp_shared_set_root(db, &file, root, MIB, digests, count, &change, NULL), 0);
    assert_int_equal(hp_shared_commit(db, &change, NULL), 0);
}

static void take_away(hp_db_t *db, const char *path)
{
    hp_shared_change_t change = {0};
    assert_int_equal(hp_shared_remove(db, path, &change, NULL), 0);
    assert_int_equal(hp_shared_commit(db, &change, NULL), 0);
}

static void assert_totals(hp_db_t *db, uint64_t files, uint64_t bytes, uint64_t hashed)
{
    hp_shared_state_t totals;
    assert_int_equal(hp_shared_state_load(db, &totals, NULL), 0);
    assert_int_equal(totals.files, files);
    assert_int_equal(totals.bytes, bytes);
    assert_int_equal(totals.hashed_bytes, hashed);
    hp_shared_state_dispose(&totals);
}

static uint64_t revision(hp_db_t *db)
{
    hp_shared_state_t totals;
    assert_int_equal(hp_shared_state_load(db, &totals, NULL), 0);
    hp_shared_state_dispose(&totals);
    return totals.revision;
}

/* The paths to hash next, one after the other with a space between; or the time to wait. */
static const char *unhashed(hp_db_t *db, size_t limit, int64_t now)
{
    static char text[1024];
    hp_shared_rows_t rows;
    int64_t wait;
    size_t used = 0;
    assert_int_equal(
        hp_shared_unhashed(db, limit, now, 50 * NS_PER_MS, INT64_C(2500) * NS_PER_MS, &rows, &wait, NULL), 0);
    snprintf(text, sizeof text, "wait %lld", (long long)wait);
    for (size_t i = 0; i < rows.count; i++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "", rows.items[i].path);
    hp_shared_rows_dispose(&rows);
    return text;
}

static void totals_and_revision_follow_the_rows(void **state)
{
    hp_db_t *db = *state;
    uint64_t before = revision(db);
    hp_shared_identity_t a = identity(1, 100, 1000000001), b = identity(2, 30, 1000000001);
    int64_t id = put(db, "a", a);
    put(db, "b", b);
    assert_totals(db, 2, 130, 0);
    assert_int_equal(revision(db), before + 2);
    assert_int_equal(put(db, "a", a), id); /* the same again changes nothing */
    assert_int_equal(revision(db), before + 2);
    set_root(db, a, 1);
    assert_totals(db, 2, 130, 100);
    put(db, "a", identity(1, 70, 1000000001));
    assert_totals(db, 2, 100, 0);
    take_away(db, "b");
    take_away(db, "never there");
    assert_totals(db, 1, 70, 0);
    assert_int_equal(revision(db), before + 5);
}

static void a_root_belongs_to_exact_bytes(void **state)
{
    hp_db_t *db = *state;
    hp_shared_identity_t a = identity(1, 100, 1000000001);
    uint8_t root[HP_SHARED_ROOT_SIZE];
    put(db, "a", a);
    set_root(db, a, 9);
    assert_int_equal(hp_shared_root_of(db, &a, root, NULL), 0);
    assert_int_equal(root[0], 9);
    for (int i = 0; i < 5; i++) {
        hp_shared_identity_t other = a;
        other.device += i == 0;
        other.inode += i == 1;
        other.size += i == 2;
        other.mtime_ns += i == 3;
        other.ctime_ns += i == 4;
        assert_int_equal(hp_shared_root_of(db, &other, root, NULL), HP_E_NOT_FOUND);
        set_root(db, other, 8); /* for bytes that no row has */
    }
    assert_int_equal(hp_shared_root_of(db, &a, root, NULL), 0);
    assert_int_equal(root[0], 9);
    put(db, "second name", a);
    assert_totals(db, 2, 200, 200);
}

static bool has_layer(hp_db_t *db, uint8_t first)
{
    hp_shared_content_t content;
    uint8_t root[HP_SHARED_ROOT_SIZE] = {first};
    int rc = hp_shared_find(db, root, 0, &content, NULL);
    if (rc != 0) {
        assert_int_equal(rc, HP_E_NOT_FOUND);
        return false;
    }
    assert_int_equal(content.count, 3);
    assert_int_equal(content.chunk_size, MIB);
    uint8_t read[sizeof digests];
    assert_int_equal(hp_shared_layer_read(db, root, 0, 3, read, NULL), 0);
    assert_memory_equal(read, digests, sizeof digests);
    assert_int_equal(hp_shared_layer_read(db, root, 1, 1, read, NULL), 0);
    assert_memory_equal(read, digests + HP_SHARED_ROOT_SIZE, HP_SHARED_ROOT_SIZE);
    assert_int_equal(hp_shared_layer_read(db, root, 2, 2, read, NULL), HP_E_NOT_FOUND);
    hp_shared_content_dispose(&content);
    return true;
}

/* A file of 64 bytes that holds the two top nodes of a larger file's tree. */
static void a_twin_of_another_size_is_another_content(void **state)
{
    hp_db_t *db = *state;
    hp_shared_identity_t large = identity(1, 3 * MIB, 1000000001), twin = identity(2, 64, 1000000001);
    uint8_t root[HP_SHARED_ROOT_SIZE] = {5};
    hp_shared_content_t content;
    put(db, "large", large);
    put(db, "a twin", twin);
    set_root(db, large, 5);
    set_root(db, twin, 5);
    assert_int_equal(hp_shared_find(db, root, 64, &content, NULL), 0);
    assert_string_equal(content.file.path, "a twin");
    assert_int_equal(content.count, 0);
    hp_shared_content_dispose(&content);
    for (uint64_t size = 0; size <= 3 * MIB; size += 3 * MIB) {
        assert_int_equal(hp_shared_find(db, root, size, &content, NULL), 0);
        assert_string_equal(content.file.path, "large");
        assert_int_equal(content.count, 3);
        hp_shared_content_dispose(&content);
    }
    assert_int_equal(hp_shared_find(db, root, 65, &content, NULL), HP_E_NOT_FOUND);
    take_away(db, "large"); /* and its layer with it, though the twin stays */
    assert_int_equal(hp_shared_find(db, root, 0, &content, NULL), 0);
    assert_string_equal(content.file.path, "a twin");
    assert_int_equal(content.count, 0);
    hp_shared_content_dispose(&content);
    put(db, "a twin", identity(2, 3 * MIB, 1000000002));
    set_root(db, twin, 5);
    assert_int_equal(hp_shared_find(db, root, 0, &content, NULL), HP_E_NOT_FOUND);
}

static void a_layer_goes_with_the_last_file_that_has_it(void **state)
{
    hp_db_t *db = *state;
    hp_shared_identity_t a = identity(1, 3 * MIB, 1000000001), b = identity(2, 3 * MIB, 1000000001);
    put(db, "a", a);
    put(db, "b", b);
    set_root(db, a, 5);
    set_root(db, b, 5); /* the same content twice */
    assert_true(has_layer(db, 5));
    take_away(db, "a");
    assert_true(has_layer(db, 5));
    put(db, "b", identity(2, 3 * MIB - 7, 1000000001));
    assert_false(has_layer(db, 5));
    set_root(db, identity(2, 3 * MIB - 7, 1000000001), 6);
    assert_true(has_layer(db, 6));
    put(db, "b2", identity(2, 3 * MIB - 7, 1000000001)); /* moved: the new row comes first */
    take_away(db, "b");
    assert_true(has_layer(db, 6));
    take_away(db, "b2");
    assert_false(has_layer(db, 6));
}

static void the_newest_and_the_smallest_come_first(void **state)
{
    hp_db_t *db = *state;
    put(db, "old-large", identity(1, 1000, INT64_C(9000000001)));
    put(db, "old-small", identity(2, 1, INT64_C(8000000001)));
    put(db, "new-large", identity(3, 900, INT64_C(3000000001)));
    put(db, "middle", identity(4, 500, INT64_C(5000000001)));
    put(db, "empty", identity(5, 0, INT64_C(5000000001)));
    assert_string_equal(unhashed(db, 2, NOW), "new-large old-small");
    assert_string_equal(unhashed(db, 8, NOW), "new-large old-small middle old-large");
    set_root(db, identity(3, 900, INT64_C(3000000001)), 1);
    assert_string_equal(unhashed(db, 2, NOW), "middle old-small");
}

static void put_twins(hp_db_t *db, hp_shared_identity_t file)
{
    hp_shared_change_t change = {0};
    assert_int_equal(hp_shared_put_twins(db, &file, false, &change, NULL), 0);
    assert_int_equal(hp_shared_commit(db, &change, NULL), 0);
}

static void other_names_of_a_file_follow_it(void **state)
{
    hp_db_t *db = *state;
    hp_shared_identity_t before = identity(1, 3 * MIB, INT64_C(9000000001));
    hp_shared_identity_t after = identity(1, 300, INT64_C(8000000001));
    put(db, "a", before);
    put(db, "b", before);
    put(db, "c", before);
    put(db, "other", identity(2, 50, INT64_C(9000000001)));
    set_root(db, before, 1);
    assert_totals(db, 4, 9 * MIB + 50, 9 * MIB);
    put(db, "b", after);
    put_twins(db, after);
    assert_totals(db, 4, 950, 0);
    assert_string_equal(unhashed(db, 8, NOW), "a other");
    set_root(db, after, 2);
    assert_totals(db, 4, 950, 900);
    uint64_t present = revision(db);
    put_twins(db, after); /* nothing is behind */
    assert_int_equal(revision(db), present);
    put(db, "d", identity(1, 300, INT64_C(7000000001))); /* one more name changes the ctime of all */
    put_twins(db, identity(1, 300, INT64_C(7000000001)));
    assert_totals(db, 5, 1250, 0);
}

static void files_that_may_still_change_unseen_are_left_out(void **state)
{
    hp_db_t *db = *state;
    assert_string_equal(unhashed(db, 8, NOW), "wait -1");
    put(db, "fresh", identity(1, 10, 20 * NS_PER_MS + 1));
    put(db, "coarse", identity(2, 10, 1000 * NS_PER_MS)); /* a whole number of 10 ms */
    assert_string_equal(unhashed(db, 8, NOW), "wait 251");
    assert_string_equal(unhashed(db, 8, NOW + 40 * NS_PER_MS), "fresh");
    assert_string_equal(unhashed(db, 8, NOW + INT64_C(1600) * NS_PER_MS), "fresh coarse");
    put(db, "future", identity(3, 10, -INT64_C(3600000000001)));
    assert_string_equal(unhashed(db, 2, NOW), "future");
}

static void what_failed_waits_for_its_time(void **state)
{
    hp_db_t *db = *state;
    hp_shared_identity_t a = identity(1, 10, INT64_C(9000000001));
    hp_shared_identity_t b = identity(2, 20, INT64_C(9000000001));
    put(db, "a", a);
    put(db, "b", b);
    assert_int_equal(hp_shared_set_later(db, "a", &a, NOW / NS_PER_MS + 5000, NULL), 0);
    assert_string_equal(unhashed(db, 8, NOW), "b");
    assert_int_equal(hp_shared_set_later(db, "b", &b, NOW / NS_PER_MS + 3000, NULL), 0);
    assert_string_equal(unhashed(db, 8, NOW), "wait 3000");
    assert_string_equal(unhashed(db, 8, NOW + INT64_C(3000) * NS_PER_MS), "b");
    assert_string_equal(unhashed(db, 8, NOW + INT64_C(5000) * NS_PER_MS), "a b");
}

static void another_file_of_the_same_name_does_not_wait(void **state)
{
    hp_db_t *db = *state;
    hp_shared_identity_t a = identity(1, 10, INT64_C(9000000001));
    put(db, "a", a);
    assert_int_equal(hp_shared_set_later(db, "a", &a, NOW / NS_PER_MS + 5000, NULL), 0);
    put(db, "a", identity(1, 15, INT64_C(8000000001))); /* written to: the same file */
    assert_string_equal(unhashed(db, 8, NOW), "wait 5000");
    put(db, "a", identity(2, 20, INT64_C(9000000001))); /* renamed over it */
    assert_string_equal(unhashed(db, 8, NOW), "a");
    assert_int_equal(hp_shared_set_later(db, "a", &a, NOW / NS_PER_MS + 5000, NULL), 0); /* too late */
    assert_string_equal(unhashed(db, 8, NOW), "a");
}

static bool is_even(void *arg, int64_t id, const char *path)
{
    (void)path;
    ++*(size_t *)arg;
    return id % 2 == 0;
}

static void a_sweep_goes_in_steps_and_stays_below_its_folder(void **state)
{
    hp_db_t *db = *state;
    char path[32];
    size_t asked = 0, calls = 0, kept = 0;
    int64_t ids[12000];
    for (int i = 0; i < 12000; i++) {
        snprintf(path, sizeof path, "a/%05d", i);
        ids[i] = put(db, path, identity((uint64_t)i + 1, 1, INT64_C(9000000001)));
        kept += ids[i] % 2 == 0;
    }
    static const char *const others[] = {"a", "a-b", "a.b/x", "a0", "b/a/x"};
    for (size_t i = 0; i < HP_COUNT(others); i++)
        put(db, others[i], identity(99999 + i, 1, INT64_C(9000000001)));
    char *after = NULL;
    do {
        hp_shared_change_t change = {0};
        assert_int_equal(hp_shared_sweep(db, "a", is_even, &asked, &after, &change, NULL), 0);
        assert_int_equal(hp_shared_commit(db, &change, NULL), 0);
        calls++;
    } while (after != NULL);
    assert_int_equal(asked, 12000);
    assert_true(calls > 1);
    assert_totals(db, kept + HP_COUNT(others), kept + HP_COUNT(others), 0);
    do {
        hp_shared_change_t change = {0};
        assert_int_equal(hp_shared_sweep(db, "", NULL, NULL, &after, &change, NULL), 0);
        assert_int_equal(hp_shared_commit(db, &change, NULL), 0);
    } while (after != NULL);
    assert_totals(db, 0, 0, 0);
}

static void pages_go_on_after_a_path_in_byte_order(void **state)
{
    hp_db_t *db = *state;
    static const char *const paths[] = {"b", "a/b", "a-b", "\xc3\xa4", "B", "a"};
    for (size_t i = 0; i < HP_COUNT(paths); i++)
        put(db, paths[i], identity(i + 1, i, INT64_C(9000000001)));
    static const char *const sorted[] = {"B", "a", "a-b", "a/b", "b", "\xc3\xa4"};
    hp_shared_rows_t rows;
    const char *after = NULL;
    for (size_t i = 0; i < HP_COUNT(sorted); i++) {
        assert_int_equal(hp_shared_page(db, after, 1, &rows, NULL), 0);
        assert_int_equal(rows.count, 1);
        assert_string_equal(rows.items[0].path, sorted[i]);
        hp_shared_rows_dispose(&rows);
        after = sorted[i];
    }
    assert_int_equal(hp_shared_page(db, after, 1, &rows, NULL), 0);
    assert_int_equal(rows.count, 0);
    hp_shared_rows_dispose(&rows);
}

static void the_latest_roots_are_read_in_steps(void **state)
{
    hp_db_t *db = *state;
    char path[32];
    for (int i = 0; i < 25; i++) {
        snprintf(path, sizeof path, "%02d", i);
        hp_shared_identity_t file = identity((uint64_t)i + 1, 10, INT64_C(9000000001));
        put(db, path, file);
        if (i % 2 == 0)
            set_root(db, file, 1);
    }
    int64_t before = INT64_MAX;
    size_t found = 0, calls = 0;
    do {
        hp_shared_rows_t rows;
        assert_int_equal(hp_shared_latest(db, &before, 10, &rows, NULL), 0);
        found += rows.count;
        calls++;
        hp_shared_rows_dispose(&rows);
    } while (before > 0);
    assert_int_equal(found, 13);
    assert_int_equal(calls, 3);
}

static bool is_kept(void *arg, const char *path)
{
    return strcmp(path, arg) == 0;
}

static void put_folder(hp_db_t *db, const char *path)
{
    hp_shared_change_t change = {0};
    assert_int_equal(hp_shared_folder_put(db, path, &change, NULL), 0);
    assert_int_equal(hp_shared_commit(db, &change, NULL), 0);
}

static void assert_folders(hp_db_t *db, const char *expected)
{
    char text[200] = "";
    hp_shared_rows_t rows;
    assert_int_equal(hp_shared_folder_page(db, NULL, 100, &rows, NULL), 0);
    for (size_t i = 0; i < rows.count; i++) {
        strcat(text, rows.items[i].path);
        strcat(text, " ");
    }
    hp_shared_rows_dispose(&rows);
    assert_string_equal(text, expected);
}

static void empty_folders_are_news_once_and_swept_below_a_folder(void **state)
{
    hp_db_t *db = *state;
    assert_int_equal(hp_shared_state_save(db, "/share", 1, true, NULL), 0);
    static const char *const paths[] = {"a", "a/b", "a/c/d", "a.b", "z"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        put_folder(db, paths[i]);
    uint64_t before = revision(db);
    put_folder(db, "a/b");
    assert_int_equal(revision(db), before);
    assert_folders(db, "a.b a/b a/c/d z "); /* what has something in it is not empty */
    hp_shared_change_t change = {0};
    assert_int_equal(hp_shared_folder_sweep(db, "a", is_kept, "a/c/d", &change, NULL), 0);
    assert_int_equal(change.rows, 1);
    assert_folders(db, "a.b a/c/d z ");
    assert_int_equal(hp_shared_folder_sweep(db, "", is_kept, "z", &change, NULL), 0);
    assert_folders(db, "z ");
}

static void a_new_mode_is_news(void **state)
{
    hp_db_t *db = *state;
    hp_shared_identity_t file = identity(1, 10, 0);
    hp_shared_change_t change = {0};
    int64_t id;
    put(db, "run", file);
    assert_int_equal(hp_shared_put(db, "run", &file, true, &id, &change, NULL), 0);
    assert_int_equal(change.rows, 1);
    assert_int_equal(hp_shared_put(db, "run", &file, true, &id, &change, NULL), 0);
    assert_int_equal(change.rows, 1);
    hp_shared_rows_t rows;
    assert_int_equal(hp_shared_page(db, NULL, 10, &rows, NULL), 0);
    assert_int_equal(rows.count, 1);
    assert_true(rows.items[0].executable);
    hp_shared_rows_dispose(&rows);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(totals_and_revision_follow_the_rows),
        TEST(a_root_belongs_to_exact_bytes),
        TEST(a_twin_of_another_size_is_another_content),
        TEST(a_layer_goes_with_the_last_file_that_has_it),
        TEST(the_newest_and_the_smallest_come_first),
        TEST(other_names_of_a_file_follow_it),
        TEST(files_that_may_still_change_unseen_are_left_out),
        TEST(what_failed_waits_for_its_time),
        TEST(another_file_of_the_same_name_does_not_wait),
        TEST(a_sweep_goes_in_steps_and_stays_below_its_folder),
        TEST(pages_go_on_after_a_path_in_byte_order),
        TEST(the_latest_roots_are_read_in_steps),
        TEST(empty_folders_are_news_once_and_swept_below_a_folder),
        TEST(a_new_mode_is_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
