// libs: share store db os base
/* Files that are set aside for one host: how long they stay, and what ends them. */
#include "share/aside.h"
#include "test_share.h"

#define HOST "00112233445566778899aabbccddeeff"

typedef struct end {
    bool done;
    int status;
} end_t;

static void on_put(void *arg, int status, const hp_share_stored_t *stored, const hp_err_t *err)
{
    (void)stored;
    (void)err;
    *(end_t *)arg = (end_t){.done = true, .status = status};
}

static void on_open(void *arg, int status, const hp_share_file_t *file)
{
    *(end_t *)arg = (end_t){.done = true, .status = status};
    if (status == 0)
        close(file->fd);
}

static int put(fixture_t *f, const char *path)
{
    end_t end = {0};
    hp_share_piece_t piece = {.data = "hello", .length = 5, .total = 5};
    hp_aside_put(f->share, path, &piece, on_put, &end);
    WAIT_FOR(f, end.done);
    return end.status;
}

static int open_as(fixture_t *f, const char *path, const char *host)
{
    end_t end = {0};
    hp_aside_open(f->share, path, host, on_open, &end);
    WAIT_FOR(f, end.done);
    return end.status;
}

/* A set with a file in it: the file's path, malloced. */
static char *set_aside(fixture_t *f)
{
    char id[HP_ASIDE_ID_SIZE];
    int rc = HP_E_BUSY;
    WAIT_FOR(f, (rc = hp_aside_begin(f->share, HOST, id, NULL)) != HP_E_BUSY);
    assert_int_equal(rc, 0);
    char *path = hp_sprintf("%s/a/b", id);
    assert_int_equal(put(f, path), 0);
    return path;
}

/* Whether the set of the path is on the disk. */
static bool is_there(const fixture_t *f, const char *path)
{
    char *full = hp_sprintf("%s/hostpair.aside/%.32s", f->data, path);
    bool found = access(full, F_OK) == 0;
    free(full);
    return found;
}

static void only_its_host_may_open_it(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    start_share(f);
    char *path = set_aside(f);
    assert_int_equal(open_as(f, path, HOST), 0);
    static const char *const others[] = {"", "00112233445566778899aabbccddee00", "0"};
    for (size_t i = 0; i < HP_COUNT(others); i++)
        assert_int_equal(open_as(f, path, others[i]), HP_E_NOT_FOUND);
    char wrong[128];
    static const char *const tails[] = {"", "/", "/a", "/a/", "/a/c", "/../x", "/a/../a/b", "/a//b", "x/a/b"};
    for (size_t i = 0; i < HP_COUNT(tails); i++) {
        snprintf(wrong, sizeof wrong, "%.32s%s", path, tails[i]);
        assert_int_equal(open_as(f, wrong, HOST), HP_E_NOT_FOUND);
    }
    snprintf(wrong, sizeof wrong, "%.31s/a/b", path);
    assert_false(hp_aside_has(f->share, wrong));
    assert_string_equal(paths(f), "");
    close_share(f);
    free(path);
}

static void it_goes_with_the_last_push_that_holds_it(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    start_share(f);
    char *path = set_aside(f);
    char id[HP_ASIDE_ID_SIZE];
    snprintf(id, sizeof id, "%.32s", path);
    hp_aside_hold(f->share, path);
    hp_aside_hold(f->share, path);
    assert_int_equal(put(f, path), HP_E_CONFLICT);
    assert_int_equal(hp_aside_end(f->share, id, NULL), HP_E_CONFLICT);
    hp_aside_drop(f->share, path, false);
    assert_true(hp_aside_has(f->share, path));
    hp_aside_drop(f->share, path, true);
    assert_true(hp_aside_has(f->share, path)); /* it is kept for another try */
    hp_aside_hold(f->share, path);
    hp_aside_drop(f->share, path, false);
    assert_false(hp_aside_has(f->share, path));
    WAIT_FOR(f, !is_there(f, path));
    hp_aside_drop(f->share, path, false); /* it is gone: nothing happens */
    assert_int_equal(hp_aside_end(f->share, id, NULL), HP_E_NOT_FOUND);
    assert_int_equal(put(f, path), HP_E_NOT_FOUND);
    close_share(f);
    free(path);
}

static void what_is_removed_while_a_piece_is_written_is_removed_after_it(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    start_share(f);
    char *path = set_aside(f);
    char id[HP_ASIDE_ID_SIZE];
    snprintf(id, sizeof id, "%.32s", path);
    end_t end = {0};
    hp_share_piece_t piece = {.data = "hello", .length = 5, .total = 9};
    hp_aside_put(f->share, path, &piece, on_put, &end);
    assert_int_equal(hp_aside_end(f->share, id, NULL), 0);
    assert_false(hp_aside_has(f->share, path));
    WAIT_FOR(f, end.done);
    assert_int_equal(end.status, 0);
    WAIT_FOR(f, !is_there(f, path));
    close_share(f);
    free(path);
}

static void what_nobody_uses_goes_after_a_while(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    f->share->tuning.aside_look = 20;
    f->share->tuning.aside_idle = 200;
    start_share(f);
    char *unused = set_aside(f), *held = set_aside(f);
    hp_aside_hold(f->share, held);
    WAIT_FOR(f, !hp_aside_has(f->share, unused) && !is_there(f, unused));
    assert_true(is_there(f, held));
    assert_true(hp_aside_has(f->share, held));
    hp_aside_drop(f->share, held, true);
    WAIT_FOR(f, !is_there(f, held));
    close_share(f);
    free(unused);
    free(held);
}

static void what_a_run_leaves_the_next_one_removes(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    start_share(f);
    char *path = set_aside(f);
    close_share(f);
    assert_true(is_there(f, path));
    open_share(f);
    start_share(f);
    char id[HP_ASIDE_ID_SIZE];
    assert_false(hp_aside_has(f->share, path));
    WAIT_FOR(f, hp_aside_begin(f->share, HOST, id, NULL) == 0);
    assert_false(is_there(f, path));
    close_share(f);
    free(path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, drop_fixture)
    const struct CMUnitTest tests[] = {
        TEST(only_its_host_may_open_it),
        TEST(it_goes_with_the_last_push_that_holds_it),
        TEST(what_is_removed_while_a_piece_is_written_is_removed_after_it),
        TEST(what_nobody_uses_goes_after_a_while),
        TEST(what_a_run_leaves_the_next_one_removes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
