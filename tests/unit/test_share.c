// libs: share store db os base
/* What is listed and served, what never is, and what a restart keeps. */
#include "test_share.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static void files_at_any_depth_are_listed_in_byte_order(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_dir(f, "a/deep");
    make_file(f, "a/deep/x", 10, 1);
    make_file(f, "a/b", 20, 1);
    make_file(f, "a-b", 30, 1);
    make_file(f, "B", 40, 1);
    make_file(f, "\xc3\xa4", 50, 1);
    make_file(f, ".hidden", 0, 1);
    make_dir(f, "empty folder");
    start_share(f);
    assert_string_equal(paths(f), ".hidden B a-b a/b a/deep/x \xc3\xa4");
    hp_share_stats_t stats;
    hp_share_get_stats(f->share, &stats);
    assert_int_equal(stats.files, 6);
    assert_int_equal(stats.bytes, 150);
    assert_false(stats.scanning);
    close_share(f);
}

static void rows_carry_size_and_time(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 1234, 1);
    struct timespec times[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1000000000, .tv_nsec = 123456789}};
    assert_int_equal(utimensat(AT_FDCWD, at(f, "x"), times, 0), 0);
    make_file(f, "y", 1, 1);
    times[1] = (struct timespec){.tv_sec = -2, .tv_nsec = 999000000};
    assert_int_equal(utimensat(AT_FDCWD, at(f, "y"), times, 0), 0);
    start_share(f);
    const listing_t *l = list(f);
    assert_int_equal(l->count, 2);
    assert_int_equal(l->rows[0].size, 1234);
    assert_int_equal(l->rows[0].mtime_ms, 1000000000123);
    assert_int_equal(l->rows[1].mtime_ms, -1001);
    close_share(f);
}

static void part_files_odd_names_and_special_files_are_not_listed(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "fine", 10, 1);
    make_file(f, ".movie.mkv.12.hostpair-part", 10, 1);
    make_file(f, "bad\xff", 10, 1);
    make_file(f, "line\nbreak", 10, 1);
    make_dir(f, "bad\xff folder");
    make_file(f, "bad\xff folder/x", 10, 1);
    make_dir(f, ".folder.3.hostpair-part");
    make_file(f, ".folder.3.hostpair-part/x", 10, 1);
    assert_int_equal(mkfifo(at(f, "pipe"), 0644), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.*s/socket", (int)sizeof address.sun_path - 8,
             f->folder);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof address), 0);
    start_share(f);
    assert_string_equal(paths(f), "fine");
    static const char *const never[] = {
        ".movie.mkv.12.hostpair-part", "bad\xff", "line\nbreak", "bad\xff folder/x",
        ".folder.3.hostpair-part/x",   "pipe",    "socket"};
    for (size_t i = 0; i < HP_COUNT(never); i++)
        assert_int_equal(open_status(f, never[i]), HP_E_NOT_FOUND);
    close(s);
    close_share(f);
}

static void a_file_is_opened_with_its_bytes(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_file(f, "a/x", 1000, 7);
    int fd = open(at(f, "hello"), O_WRONLY | O_CREAT, 0644);
    assert_int_equal(write(fd, "hello", 5), 5);
    close(fd);
    start_share(f);
    opened_t o = open_file(f, "hello");
    assert_int_equal(o.status, 0);
    assert_int_equal(o.size, 5);
    assert_string_equal(o.text, "hello");
    assert_int_equal(open_file(f, "a/x").size, 1000);
    close_share(f);
}

static void what_is_no_file_of_the_share_is_not_opened(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_file(f, "a/x", 10, 1);
    start_share(f);
    assert_int_equal(open_status(f, "a"), HP_E_FORBIDDEN);
    static const char *const missing[] = {
        "",         "/",    ".",     "..",   "a/",       "/a/x",     "../shared/a/x",
        "a/../a/x", "a//x", "a/./x", "none", "a/x/more", "a/none/x", "../data/hostpair.db"};
    for (size_t i = 0; i < HP_COUNT(missing); i++)
        if (open_status(f, missing[i]) != HP_E_NOT_FOUND)
            fail_msg("\"%s\" gives %d", missing[i], open_status(f, missing[i]));
    assert_int_equal(open_status(f, at(f, "a/x")), HP_E_NOT_FOUND); /* absolute */
    char *longest = hp_alloc(6000);
    memset(longest, 'x', 5999);
    assert_int_equal(open_status(f, longest), HP_E_NOT_FOUND);
    free(longest);
    close_share(f);
}

static void links_are_listed_and_opened_while_they_stay_inside(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_file(f, "a/x", 1000, 1);
    make_file(f, ".x.1.hostpair-part", 10, 1);
    char *outside = hp_sprintf("%s/outside", f->top);
    int fd = open(outside, O_WRONLY | O_CREAT, 0644);
    assert_int_equal(write(fd, "secret", 6), 6);
    close(fd);
    assert_int_equal(symlink("a/x", at(f, "in")), 0);
    assert_int_equal(symlink("in", at(f, "in2")), 0);
    assert_int_equal(symlink("../outside", at(f, "out")), 0);
    assert_int_equal(symlink(outside, at(f, "absolute")), 0);
    assert_int_equal(symlink("a", at(f, "folder")), 0);
    assert_int_equal(symlink("..", at(f, "a/up")), 0);
    assert_int_equal(symlink("loop", at(f, "loop")), 0);
    assert_int_equal(symlink("nowhere", at(f, "dangling")), 0);
    assert_int_equal(symlink(".x.1.hostpair-part", at(f, "part")), 0);
    assert_int_equal(symlink("/proc/self/environ", at(f, "proc")), 0);
    start_share(f);
    assert_string_equal(paths(f), "a/x in in2");
    const listing_t *l = list(f);
    assert_int_equal(l->rows[1].size, 1000);
    assert_int_equal(open_file(f, "in").size, 1000);
    assert_int_equal(open_file(f, "in2").size, 1000);
    assert_int_equal(open_file(f, "folder/x").size, 1000); /* not listed, but served */
    assert_int_equal(open_status(f, "folder"), HP_E_FORBIDDEN);
    static const char *const never[] = {"out",  "absolute", "loop",           "dangling",
                                        "part", "proc",     "a/up/../outside"};
    for (size_t i = 0; i < HP_COUNT(never); i++)
        assert_int_equal(open_status(f, never[i]), HP_E_NOT_FOUND);
    free(outside);
    close_share(f);
}

typedef struct names {
    bool done;
    int status;
    char *text;
    size_t length;
} names_t;

static void on_names(void *arg, int status, char *text, size_t length)
{
    names_t *n = arg;
    *n = (names_t){.done = true, .status = status, .text = text, .length = length};
}

static void names_are_those_of_the_files_at_the_top(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "b", 1, 1);
    make_file(f, "a c", 1, 1);
    make_file(f, "Z", 0, 1);
    make_file(f, ".x.1.hostpair-part", 10, 1);
    make_dir(f, "folder");
    make_file(f, "folder/x", 10, 1);
    assert_int_equal(symlink("folder/x", at(f, "link")), 0);
    assert_int_equal(symlink("../data/hostpair.db", at(f, "out")), 0);
    start_share(f);
    names_t many[3] = {0};
    for (size_t i = 0; i < 3; i++)
        hp_share_names(f->share, on_names, &many[i]);
    WAIT_FOR(f, many[0].done && many[1].done && many[2].done);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(many[i].status, 0);
        assert_string_equal(many[i].text, "Z\r\na c\r\nb\r\nlink\r\n");
        assert_int_equal(many[i].length, strlen(many[i].text));
        free(many[i].text);
    }
    make_file(f, "new", 1, 1); /* the disk as it is now, not the index */
    names_t now = {0};
    hp_share_names(f->share, on_names, &now);
    WAIT_FOR(f, now.done);
    assert_string_equal(now.text, "Z\r\na c\r\nb\r\nlink\r\nnew\r\n");
    free(now.text);
    close_share(f);
}

static void rows_come_page_by_page(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    for (int i = 0; i < 25; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%02d", i);
        make_file(f, name, (size_t)i, 1);
    }
    start_share(f);
    char after[16] = "";
    size_t seen = 0;
    for (int page = 0; page < 3; page++) {
        listing_t l = {0};
        hp_share_rows(f->share, page > 0 ? after : NULL, 10, on_listing, &l);
        WAIT_FOR(f, l.done);
        assert_int_equal(l.count, page < 2 ? 10 : 5);
        for (size_t i = 0; i < l.count; i++, seen++) {
            char want[16];
            snprintf(want, sizeof want, "f%02zu", seen);
            assert_string_equal(l.rows[i].path, want);
            assert_int_equal(l.rows[i].size, seen);
        }
        snprintf(after, sizeof after, "%.15s", l.rows[l.count - 1].path);
    }
    assert_int_equal(seen, 25);
    close_share(f);
}

static void rows_wait_for_the_first_walk_of_a_new_folder(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 1, 1);
    listing_t l = {0};
    hp_share_rows(f->share, NULL, 10, on_listing, &l);
    for (int i = 0; i < 20; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_false(l.done);
    hp_share_start(f->share);
    WAIT_FOR(f, l.done);
    assert_int_equal(l.status, 0);
    assert_int_equal(l.count, 1);
    close_share(f);
}

static void a_known_folder_answers_before_its_walk(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 1, 1);
    start_share(f);
    uint64_t revision = hp_share_revision(f->share);
    close_share(f);
    open_share(f);
    assert_int_equal(hp_share_revision(f->share), revision);
    assert_string_equal(paths(f), "x"); /* not even started */
    hp_share_stats_t stats;
    hp_share_get_stats(f->share, &stats);
    assert_int_equal(stats.files, 1);
    assert_true(stats.scanning);
    close_share(f);
}

static void what_changed_while_hostpair_was_off_is_found_at_the_start(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_file(f, "a/stays", 10, 1);
    make_file(f, "a/goes", 10, 1);
    make_file(f, "grows", 10, 1);
    start_share(f);
    uint64_t revision = hp_share_revision(f->share);
    close_share(f);
    unlink(at(f, "a/goes"));
    make_file(f, "grows", 20, 1);
    make_file(f, "a/new", 5, 1);
    open_share(f);
    start_share(f);
    assert_string_equal(paths(f), "a/new a/stays grows");
    assert_int_equal(list(f)->rows[2].size, 20);
    assert_true(hp_share_revision(f->share) > revision);
    assert_int_equal(f->share->totals.files, 3);
    assert_int_equal(f->share->totals.bytes, 35);
    close_share(f);
}

static void an_unchanged_share_keeps_its_revision(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 10, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    uint64_t revision = hp_share_revision(f->share);
    restart_share(f);
    assert_int_equal(hp_share_revision(f->share), revision);
    assert_true(all_hashed(f));
    close_share(f);
}

static void another_folder_takes_the_place_of_the_old_one(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "old", 10, 1);
    make_file(f, "both", 10, 2);
    start_share(f);
    uint64_t revision = hp_share_revision(f->share);
    close_share(f);
    char *first = f->folder;
    f->folder = hp_sprintf("%s/other", f->top);
    mkdir(f->folder, 0755);
    make_file(f, "both", 20, 1);
    open_share(f);
    assert_true(hp_share_revision(f->share) > revision);
    start_share(f);
    assert_string_equal(paths(f), "both");
    assert_int_equal(list(f)->rows[0].size, 20);
    assert_int_equal(f->share->totals.files, 1);
    close_share(f);
    free(first);
}

static void the_data_folder_inside_the_share_is_never_seen(void **state)
{
    fixture_t *f = *state;
    free(f->data);
    f->data = hp_sprintf("%s/state/deep", f->folder);
    make_dir(f, "state");
    make_file(f, "state/visible", 10, 1);
    make_file(f, "state/deeper", 10, 1);
    assert_int_equal(symlink("state/deep/hostpair.db", at(f, "link")), 0);
    open_share(f);
    start_share(f);
    assert_string_equal(paths(f), "state/deeper state/visible");
    static const char *const never[] = {"state/deep", "state/deep/hostpair.db", "state/deep/hostpair.db-wal",
                                        "state/deep/hostpair.lock", "link"};
    for (size_t i = 0; i < HP_COUNT(never); i++)
        assert_int_equal(open_status(f, never[i]), HP_E_NOT_FOUND);
    close_share(f);
}

static void the_database_at_the_top_of_the_share_is_never_seen(void **state)
{
    fixture_t *f = *state;
    free(f->data);
    f->data = hp_strdup(f->folder);
    make_file(f, "visible", 10, 1);
    assert_int_equal(mkdir(at(f, "hostpair.own"), 0777), 0);
    make_file(f, "hostpair.own/secret", 10, 2);
    open_share(f);
    start_share(f);
    assert_string_equal(paths(f), "visible");
    assert_int_equal(open_status(f, "hostpair.own/secret"), HP_E_NOT_FOUND);
    assert_int_equal(open_status(f, "hostpair.db"), HP_E_NOT_FOUND);
    assert_int_equal(open_status(f, "hostpair.db-wal"), HP_E_NOT_FOUND);
    close_share(f);
}

static void unreadable_files_are_not_listed(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 10, 1);
    make_file(f, "secret", 10, 1);
    chmod(at(f, "secret"), 0);
    make_dir(f, "closed");
    make_file(f, "closed/x", 10, 1);
    chmod(at(f, "closed"), 0);
    start_share(f);
    assert_string_equal(paths(f), "x");
    assert_int_equal(open_status(f, "secret"), HP_E_NOT_FOUND);
    chmod(at(f, "closed"), 0755);
    close_share(f);
}

static void a_folder_that_cannot_be_made_is_an_error_with_words(void **state)
{
    fixture_t *f = *state;
    hp_err_t err = {0};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(hp_store_create(&f->store, &f->loop, f->data, &err), 0);
    make_file(f, "file", 1, 1);
    char *folder = hp_sprintf("%s/file/shared", f->folder);
    assert_int_equal(hp_share_create(&f->share, &f->loop, f->store, folder, &err), -ENOTDIR);
    assert_non_null(strstr(hp_err_text(&err), folder));
    assert_null(f->share);
    free(folder);
    hp_store_destroy(f->store, on_fixture_closed, f);
    WAIT_FOR(f, f->closed);
    while (uv_run(&f->loop, UV_RUN_DEFAULT) != 0)
        continue;
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void on_cancelled_open(void *arg, int status, const hp_share_file_t *file)
{
    assert_int_equal(status, UV_ECANCELED);
    assert_null(file);
    ++*(int *)arg;
}

static void on_cancelled_rows(void *arg, int status, const hp_share_row_t *rows, size_t count)
{
    assert_int_equal(status, UV_ECANCELED);
    assert_null(rows);
    assert_int_equal(count, 0);
    ++*(int *)arg;
}

static void on_cancelled_names(void *arg, int status, char *text, size_t length)
{
    assert_int_equal(status, UV_ECANCELED);
    assert_null(text);
    assert_int_equal(length, 0);
    ++*(int *)arg;
}

static void on_cancelled_layer(void *arg, int status, uint8_t *digests, size_t count)
{
    assert_int_equal(status, UV_ECANCELED);
    assert_null(digests);
    assert_int_equal(count, 0);
    ++*(int *)arg;
}

static void everything_outstanding_is_called_back_when_the_share_ends(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 100, 1);
    start_share(f);
    char root[65];
    memset(root, 'a', 64);
    root[64] = '\0';
    int calls = 0;
    for (int i = 0; i < 20; i++) {
        hp_share_open(f->share, "x", on_cancelled_open, &calls);
        hp_share_rows(f->share, NULL, 5, on_cancelled_rows, &calls);
        hp_share_names(f->share, on_cancelled_names, &calls);
        read_whole_layer(f->share, root, 0, 16384, on_cancelled_layer, &calls);
    }
    hp_share_destroy(f->share, on_fixture_closed, f);
    WAIT_FOR(f, f->closed);
    assert_int_equal(calls, 80);
    f->closed = false;
    hp_store_destroy(f->store, on_fixture_closed, f);
    WAIT_FOR(f, f->closed);
    while (uv_run(&f->loop, UV_RUN_DEFAULT) != 0)
        continue;
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void a_share_can_end_while_it_walks(void **state)
{
    fixture_t *f = *state;
    for (int i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%d", i);
        make_file(f, name, 1, 1);
    }
    for (int turns = 0; turns < 12; turns++) {
        open_share(f);
        hp_share_start(f->share);
        for (int i = 0; i < turns; i++)
            uv_run(&f->loop, UV_RUN_NOWAIT);
        close_share(f);
    }
    open_share(f);
    start_share(f);
    assert_int_equal(f->share->totals.files, 3000);
    assert_int_equal(f->share->totals.bytes, 3000);
    close_share(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, drop_fixture)

/* Root may read everything, so these run as somebody else, in a process of their own. */
static int run_as_nobody(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unreadable_files_are_not_listed),
    };
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            exit(2);
        exit(cmocka_run_group_tests_name("as nobody", tests, NULL, NULL) != 0);
    }
    int status = 1;
    return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_at_any_depth_are_listed_in_byte_order),
        TEST(rows_carry_size_and_time),
        TEST(part_files_odd_names_and_special_files_are_not_listed),
        TEST(a_file_is_opened_with_its_bytes),
        TEST(what_is_no_file_of_the_share_is_not_opened),
        TEST(links_are_listed_and_opened_while_they_stay_inside),
        TEST(names_are_those_of_the_files_at_the_top),
        TEST(rows_come_page_by_page),
        TEST(rows_wait_for_the_first_walk_of_a_new_folder),
        TEST(a_known_folder_answers_before_its_walk),
        TEST(what_changed_while_hostpair_was_off_is_found_at_the_start),
        TEST(an_unchanged_share_keeps_its_revision),
        TEST(another_folder_takes_the_place_of_the_old_one),
        TEST(the_data_folder_inside_the_share_is_never_seen),
        TEST(the_database_at_the_top_of_the_share_is_never_seen),
        TEST(a_folder_that_cannot_be_made_is_an_error_with_words),
        TEST(everything_outstanding_is_called_back_when_the_share_ends),
        TEST(a_share_can_end_while_it_walks),
    };
    int failed = run_as_nobody();
    return cmocka_run_group_tests(tests, NULL, NULL) + failed;
}
