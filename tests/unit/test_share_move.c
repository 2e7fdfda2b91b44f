// libs: share store db os base
/* Another folder is shared while everything runs. */
#include "test_share.h"

#define MIB ((size_t)1 << 20)

typedef struct moved {
    bool done;
    int status;
    char words[400];
} moved_t;

static void on_moved(void *arg, int status, const hp_err_t *err)
{
    moved_t *moved = arg;
    assert_false(moved->done);
    moved->done = true;
    moved->status = status;
    snprintf(moved->words, sizeof moved->words, "%s", status != 0 ? hp_err_text(err) : "");
}

static moved_t move_to(fixture_t *f, const char *folder)
{
    moved_t moved = {0};
    assert_int_equal(hp_share_set_folder(f->share, folder, on_moved, &moved), 0);
    assert_false(moved.done);
    WAIT_FOR(f, moved.done);
    return moved;
}

/* The fixture's helpers look into the new folder from now on. */
static void look_into(fixture_t *f, const char *folder)
{
    free(f->folder);
    f->folder = hp_strdup(folder);
}

static void another_folder_takes_the_place_of_the_first(void **state)
{
    fixture_t *f = *state;
    char *other = hp_sprintf("%s/other/deep", f->top);
    open_share(f);
    make_file(f, "old", 3 * MIB, 1);
    make_file(f, "both", 100, 2);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    uint64_t revision = hp_share_revision(f->share);

    assert_int_equal(move_to(f, other).status, 0); /* made */
    assert_string_equal(hp_share_folder(f->share), other);
    assert_true(hp_share_revision(f->share) > revision);
    WAIT_FOR(f, is_idle(f));
    assert_null(listed_root(f, "old"));
    assert_int_equal(open_file(f, "old").status, HP_E_NOT_FOUND);

    look_into(f, other);
    make_file(f, "new", 2 * MIB, 3); /* it is watched */
    make_file(f, "both", 200, 4);
    WAIT_FOR(f, is_hashed(f, "new") && is_hashed(f, "both"));
    assert_string_equal(listed_root(f, "both"), root_on_disk(f, "both"));
    assert_int_equal(open_file(f, "new").status, 0);
    hp_share_stats_t stats;
    hp_share_get_stats(f->share, &stats);
    assert_int_equal(stats.files, 2);
    assert_int_equal(stats.bytes, 2 * MIB + 200);

    restart_share(f);
    WAIT_FOR(f, all_hashed(f));
    hp_share_get_stats(f->share, &stats);
    assert_int_equal(stats.files, 2);
    close_share(f);
    free(other);
}

/* The folder's own move, and back again: nothing is read twice. */
static void files_that_moved_along_keep_their_roots(void **state)
{
    fixture_t *f = *state;
    char *other = hp_sprintf("%s/other", f->top), *first = hp_strdup(f->folder);
    open_share(f);
    make_file(f, "a", 3 * MIB, 1);
    make_file(f, "b", 5000, 2);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    f->share->tuning.settle = f->share->tuning.settle_coarse = 3600000; /* nothing is hashed any more */
    for (int turn = 0; turn < 3; turn++) {
        const char *to = turn % 2 == 0 ? other : first;
        assert_int_equal(rename(f->folder, to), 0);
        assert_int_equal(move_to(f, to).status, 0);
        look_into(f, to);
        WAIT_FOR(f, is_idle(f));
        assert_true(all_hashed(f));
        assert_string_equal(listed_root(f, "a"), root_on_disk(f, "a"));
    }
    close_share(f);
    free(other);
    free(first);
}

static void a_folder_that_cannot_be_used_changes_nothing(void **state)
{
    fixture_t *f = *state;
    char *below_file = hp_sprintf("%s/a/b", f->folder), *first = hp_strdup(f->folder);
    open_share(f);
    make_file(f, "a", 100, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    uint64_t revision = hp_share_revision(f->share);
    moved_t moved = move_to(f, below_file);
    assert_true(moved.status < 0);
    assert_non_null(strstr(moved.words, below_file));
    assert_string_equal(hp_share_folder(f->share), first);
    assert_int_equal(hp_share_revision(f->share), revision);
    assert_int_equal(move_to(f, first).status, 0); /* it is that one already */
    assert_int_equal(hp_share_revision(f->share), revision);
    make_file(f, "c", 100, 2);
    WAIT_FOR(f, is_hashed(f, "c"));
    close_share(f);
    free(first);
    free(below_file);
}

static void one_change_at_a_time(void **state)
{
    fixture_t *f = *state;
    char *other = hp_sprintf("%s/other", f->top);
    open_share(f);
    start_share(f);
    moved_t moved = {0};
    assert_int_equal(hp_share_set_folder(f->share, other, on_moved, &moved), 0);
    assert_int_equal(hp_share_set_folder(f->share, f->folder, on_moved, &moved), HP_E_BUSY);
    WAIT_FOR(f, moved.done);
    assert_int_equal(moved.status, 0);
    assert_int_equal(move_to(f, f->folder).status, 0);
    close_share(f);
    free(other);
}

/* Whatever is under way: a walk, hashing of a large file, readers. */
static void the_change_comes_in_the_middle_of_everything(void **state)
{
    fixture_t *f = *state;
    char *other = hp_sprintf("%s/other", f->top), *first = hp_strdup(f->folder);
    for (int i = 0; i < 2000; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%d", i);
        make_file(f, name, 1, 1);
    }
    make_file(f, "a large", 60 * MIB, 2);
    for (int turns = 0; turns < 40; turns += 3) {
        open_share(f);
        hp_share_start(f->share);
        for (int i = 0; i < turns; i++)
            uv_run(&f->loop, UV_RUN_ONCE);
        assert_int_equal(move_to(f, other).status, 0);
        WAIT_FOR(f, is_idle(f));
        hp_share_stats_t stats;
        hp_share_get_stats(f->share, &stats);
        assert_int_equal(stats.files, 0);
        assert_int_equal(move_to(f, first).status, 0);
        WAIT_FOR(f, is_idle(f));
        hp_share_get_stats(f->share, &stats);
        assert_int_equal(stats.files, 2001);
        close_share(f);
    }
    open_share(f);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    assert_string_equal(listed_root(f, "a large"), root_on_disk(f, "a large"));
    close_share(f);
    free(other);
    free(first);
}

static void the_share_can_end_in_the_middle_of_the_change(void **state)
{
    fixture_t *f = *state;
    char *other = hp_sprintf("%s/other", f->top);
    make_file(f, "x", 5 * MIB, 1);
    for (int turns = 0; turns < 16; turns++) {
        open_share(f);
        start_share(f);
        moved_t moved = {0};
        assert_int_equal(hp_share_set_folder(f->share, turns % 2 == 0 ? other : f->folder, on_moved, &moved),
                         0);
        for (int i = 0; i < turns; i++)
            uv_run(&f->loop, UV_RUN_NOWAIT);
        close_share(f);
        assert_true(moved.done);
    }
    free(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, drop_fixture)
    const struct CMUnitTest tests[] = {
        TEST(another_folder_takes_the_place_of_the_first),
        TEST(files_that_moved_along_keep_their_roots),
        TEST(a_folder_that_cannot_be_used_changes_nothing),
        TEST(one_change_at_a_time),
        TEST(the_change_comes_in_the_middle_of_everything),
        TEST(the_share_can_end_in_the_middle_of_the_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
