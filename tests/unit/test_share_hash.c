// libs: share store db os base
/* Roots: right, kept, and never those of other bytes. */
#include "test_share.h"

#include "share/hasher.h"
#include "share/roots.h"

static void assert_root(fixture_t *f, const char *path)
{
    const char *listed = listed_root(f, path);
    assert_non_null(listed);
    assert_string_equal(listed, root_on_disk(f, path));
    opened_t o = open_file(f, path);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.root, root_on_disk(f, path));
}

static void every_file_gets_its_root(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_file(f, "empty", 0, 1);
    make_file(f, "one", 1, 1);
    make_file(f, "leaf", 16384, 2);
    make_file(f, "a/more", 16385, 3);
    make_file(f, "mib", MIB, 4);
    make_file(f, "large", 3 * MIB + 5, 5);
    make_file(f, "larger", 40 * MIB + 1, 6);
    uint64_t revision = hp_share_revision(f->share);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    assert_true(hp_share_revision(f->share) > revision);
    static const char *const files[] = {"empty", "one", "leaf", "a/more", "mib", "large", "larger"};
    for (size_t i = 0; i < HP_COUNT(files); i++)
        assert_root(f, files[i]);
    hp_share_stats_t stats;
    hp_share_get_stats(f->share, &stats);
    assert_int_equal(stats.hashed_bytes, stats.bytes);
    assert_int_equal(stats.bytes, 1 + 16384 + 16385 + MIB + 3 * MIB + 5 + 40 * MIB + 1);
    close_share(f);
}

static void a_restart_keeps_roots_without_reading_again(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 100000, 1);
    make_file(f, "y", 3 * MIB, 2);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    close_share(f);
    open_share(f);
    stop_hashing(f);
    start_share(f);
    assert_true(all_hashed(f));
    assert_root(f, "x");
    assert_root(f, "y");
    close_share(f);
}

static void changed_bytes_lose_their_root_at_once(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 100000, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    stop_hashing(f);
    char before[65];
    snprintf(before, sizeof before, "%s", open_file(f, "x").root);
    assert_string_equal(before, root_on_disk(f, "x"));
    int fd = open(at(f, "x"), O_WRONLY);
    assert_int_equal(pwrite(fd, "!", 1, 5000), 1);
    assert_string_equal(open_file(f, "x").root, ""); /* whether the index knows it yet or not */
    close(fd);
    WAIT_FOR(f, !is_hashed(f, "x") && f->share->totals.hashed_bytes == 0);
    assert_string_equal(open_file(f, "x").root, "");
    close_share(f);
}

static void a_change_that_hides_its_time_is_seen_all_the_same(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 100000, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    close_share(f);
    struct stat st;
    assert_int_equal(stat(at(f, "x"), &st), 0);
    make_file(f, "x", 100000, 9); /* same size */
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, at(f, "x"), times, 0), 0); /* same mtime */
    open_share(f);
    stop_hashing(f);
    assert_string_equal(open_file(f, "x").root, ""); /* before the walk */
    start_share(f);
    assert_false(is_hashed(f, "x"));
    f->share->tuning.settle = 50;
    f->share->tuning.settle_coarse = 2500;
    hp_hashing_wake(f->share->hashing);
    WAIT_FOR(f, all_hashed(f));
    assert_root(f, "x");
    close_share(f);
}

static void news_that_come_while_the_store_is_asked_are_not_forgotten(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    stop_hashing(f);
    make_file(f, "x", 100000, 1);
    start_share(f);
    hp_hashing_wake(f->share->hashing); /* asks, and will be told to wait for an hour */
    f->share->tuning.settle = f->share->tuning.settle_coarse = 0;
    hp_hashing_wake(f->share->hashing);
    WAIT_FOR(f, all_hashed(f));
    assert_root(f, "x");
    close_share(f);
}

static void moved_folders_and_second_names_keep_their_roots(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_dir(f, "b");
    make_file(f, "a/x", 100000, 1);
    make_file(f, "a/y", 2 * MIB, 2);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    stop_hashing(f);
    assert_int_equal(rename(at(f, "a"), at(f, "b/c")), 0);
    WAIT_FOR(f, lists(f, "b/c/x b/c/y"));
    assert_root(f, "b/c/x");
    assert_root(f, "b/c/y");
    assert_int_equal(symlink("b/c/x", at(f, "link")), 0);
    WAIT_FOR(f, lists(f, "b/c/x b/c/y link"));
    assert_root(f, "link");
    close_share(f);
    assert_int_equal(rename(at(f, "b/c"), at(f, "d")), 0); /* also while hostpair is off */
    open_share(f);
    stop_hashing(f);
    start_share(f);
    assert_string_equal(paths(f), "d/x d/y");
    assert_root(f, "d/x");
    assert_root(f, "d/y");
    close_share(f);
}

/* The kernel tells of a write under the name that it went through, and of a new name nothing but that. */
static void other_names_of_a_file_never_keep_an_old_root(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_dir(f, "b");
    make_file(f, "a/x", 2 * MIB, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    assert_int_equal(link(at(f, "a/x"), at(f, "b/y")), 0);
    WAIT_FOR(f, is_hashed(f, "b/y"));
    assert_root(f, "a/x");
    assert_root(f, "b/y");
    stop_hashing(f);
    make_file(f, "b/y", 3 * MIB, 2);
    WAIT_FOR(f, !is_hashed(f, "b/y") && f->share->totals.bytes == 6 * MIB);
    assert_string_equal(listed_root(f, "a/x"), "");
    f->share->tuning.settle = f->share->tuning.settle_coarse = 0;
    hp_hashing_wake(f->share->hashing);
    WAIT_FOR(f, all_hashed(f));
    assert_root(f, "a/x");
    assert_root(f, "b/y");
    close_share(f);
}

static void a_file_that_changes_while_it_is_hashed_gets_no_wrong_root(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    f->share->tuning.settle = 0;
    f->share->tuning.settle_coarse = 0;
    make_file(f, "x", 48 * MIB, 1);
    start_share(f);
    int fd = open(at(f, "x"), O_WRONLY);
    unsigned found = 0;
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(pwrite(fd, &i, sizeof i, (off_t)(i * 999983u % (48 * MIB - 4))), sizeof i);
        uv_run(&f->loop, UV_RUN_NOWAIT);
        opened_t o = open_file(f, "x");
        if (o.root[0] != '\0') {
            found++;
            assert_string_equal(o.root, root_on_disk(f, "x"));
        }
    }
    print_message("a root in between: %u times\n", found);
    close(fd);
    WAIT_FOR(f, all_hashed(f));
    assert_root(f, "x");
    close_share(f);
}

static void a_file_renamed_over_one_that_is_hashed_does_not_wait_for_it(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    f->share->tuning.settle = f->share->tuning.settle_coarse = 0;
    f->share->tuning.again_least = f->share->tuning.again_most = 3600000;
    make_file(f, "x", 96 * MIB, 1);
    make_file(f, "../other", 96 * MIB, 2);
    char other[65];
    snprintf(other, sizeof other, "%s", root_on_disk(f, "../other"));
    hp_share_start(f->share);
    WAIT_FOR(f, f->share->totals.files == 1);
    WAIT_FOR(f, f->share->roots_loaded && is_idle(f)); /* it is being hashed */
    assert_int_equal(rename(at(f, "../other"), at(f, "x")), 0);
    WAIT_FOR(f, strcmp(listed_root(f, "x"), other) == 0);
    close_share(f);
}

static void small_and_new_files_come_before_a_large_old_one(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    char *large = hp_strdup(at(f, "large"));
    int fd = open(large, O_WRONLY | O_CREAT, 0644);
    assert_int_equal(ftruncate(fd, (off_t)64 << 30), 0); /* a hole, but to be read like any other */
    close(fd);
    start_share(f);
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        make_file(f, name, 50000, (unsigned)i);
        WAIT_FOR(f, is_hashed(f, name));
    }
    assert_false(is_hashed(f, "large"));
    free(large);
    uint64_t began = hp_clock_ms();
    close_share(f); /* does not wait for the large one, which takes 20 s and more to read */
    assert_in_range(hp_clock_ms() - began, 0, 8000);
}

static hp_shared_rows_t row_of(const fixture_t *f, const char *path)
{
    struct stat st;
    assert_int_equal(stat(at(f, path), &st), 0);
    hp_shared_rows_t rows = {.items = hp_alloc(sizeof *rows.items), .count = 1};
    rows.items[0] = (hp_shared_row_t){.path = hp_strdup(path), .identity = hp_place_identity(&st)};
    return rows;
}

static void on_ready(void *arg)
{
    (void)arg;
}

static void what_is_being_hashed_is_not_news(void **state)
{
    fixture_t *f = *state;
    hp_place_t *place;
    hp_hasher_t *hasher;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    make_file(f, "large", 1, 1);
    make_file(f, "small", 1, 1);
    assert_int_equal(truncate(at(f, "large"), (off_t)64 << 30), 0);
    assert_int_equal(hp_place_create(&place, f->folder, NULL, NULL), 0);
    assert_int_equal(hp_hasher_create(&hasher, &f->loop, place, on_ready, NULL), 0);
    hp_shared_rows_t rows = row_of(f, "large");
    assert_true(hp_hasher_give(hasher, &rows));
    WAIT_FOR(f, hp_hasher_is_hungry(hasher));
    rows = row_of(f, "large");
    assert_false(hp_hasher_give(hasher, &rows));
    rows = row_of(f, "small");
    assert_true(hp_hasher_give(hasher, &rows));
    size_t count = 0;
    hp_hash_result_t *results = NULL;
    WAIT_FOR(f, count > 0 || (results = hp_hasher_take(hasher, &count)) != NULL);
    assert_int_equal(count, 1);
    assert_string_equal(results[0].path, "small");
    hp_hash_result_dispose(results);
    free(results);
    hp_hasher_destroy(hasher, on_fixture_closed, f);
    WAIT_FOR(f, f->closed);
    hp_place_release(place);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void a_file_that_cannot_be_read_does_not_stop_the_others(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "gone", 100000, 1);
    make_file(f, "x", 100000, 2);
    f->share->tuning.debounce = 500; /* the index is behind for a while */
    start_share(f);
    unlink(at(f, "gone"));
    WAIT_FOR(f, is_hashed(f, "x"));
    WAIT_FOR(f, lists(f, "x"));
    close_share(f);
}

static void many_small_files_are_all_hashed(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    for (int i = 0; i < 500; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        make_file(f, name, (size_t)i * 40, (unsigned)i);
    }
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    for (int i = 0; i < 500; i += 71) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        assert_string_equal(open_file(f, name).root, root_on_disk(f, name));
    }
    close_share(f);
}

/* ---- roots in memory ---- */

static void memory_keeps_the_roots_that_were_used_last(void **state)
{
    (void)state;
    hp_roots_t roots;
    hp_roots_init(&roots);
    uint8_t root[32] = {0};
    hp_shared_identity_t first = {.device = 1, .inode = 1, .size = 1};
    hp_roots_add(&roots, &first, root);
    for (uint32_t i = 2; i < 3 * HP_ROOTS_MAX; i++) {
        hp_shared_identity_t identity = {.device = 1, .inode = i, .size = 5, .ctime_ns = i};
        memcpy(root, &i, sizeof i);
        hp_roots_add(&roots, &identity, root);
        if (i % 1000 == 0)
            assert_non_null(hp_roots_find(&roots, &first)); /* used all the time */
        assert_int_equal(memcmp(hp_roots_find(&roots, &identity), &i, sizeof i), 0);
    }
    assert_true(roots.forgot);
    hp_shared_identity_t early = {.device = 1, .inode = 2, .size = 5, .ctime_ns = 2};
    assert_null(hp_roots_find(&roots, &early));
    assert_in_range(roots.young.count + roots.old.count, HP_ROOTS_MAX / 2, HP_ROOTS_MAX);
    first.mtime_ns++;
    assert_null(hp_roots_find(&roots, &first));
    hp_roots_dispose(&roots);
}

static void a_root_that_memory_has_lost_is_found_again(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 1000, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    hp_roots_dispose(&f->share->roots);
    f->share->roots.forgot = true;
    opened_t o = open_file(f, "x");
    assert_int_equal(o.status, 0);
    WAIT_FOR(f, open_file(f, "x").root[0] != '\0');
    assert_string_equal(open_file(f, "x").root, root_on_disk(f, "x"));
    close_share(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, drop_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_file_gets_its_root),
        TEST(a_restart_keeps_roots_without_reading_again),
        TEST(changed_bytes_lose_their_root_at_once),
        TEST(a_change_that_hides_its_time_is_seen_all_the_same),
        TEST(news_that_come_while_the_store_is_asked_are_not_forgotten),
        TEST(moved_folders_and_second_names_keep_their_roots),
        TEST(other_names_of_a_file_never_keep_an_old_root),
        TEST(a_file_that_changes_while_it_is_hashed_gets_no_wrong_root),
        TEST(a_file_renamed_over_one_that_is_hashed_does_not_wait_for_it),
        TEST(small_and_new_files_come_before_a_large_old_one),
        TEST(what_is_being_hashed_is_not_news),
        TEST(a_file_that_cannot_be_read_does_not_stop_the_others),
        TEST(many_small_files_are_all_hashed),
        cmocka_unit_test(memory_keeps_the_roots_that_were_used_last),
        TEST(a_root_that_memory_has_lost_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
