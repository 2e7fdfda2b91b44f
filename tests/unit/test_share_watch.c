// libs: share store db os base
/* What changes on the disk while the share runs, and what becomes of the list. */
#include "test_share.h"

#include <dirent.h>
#include <sys/resource.h>

#include "base/log.h"

static uint64_t last_log_line(void)
{
    static hp_log_entry_t entries[HP_LOG_KEPT];
    int count = hp_log_read(0, entries, HP_LOG_KEPT);
    return count > 0 ? entries[count - 1].number : 0;
}

static bool was_logged(uint64_t after, const char *words)
{
    static hp_log_entry_t entries[HP_LOG_KEPT];
    int count = hp_log_read(after, entries, HP_LOG_KEPT);
    for (int i = 0; i < count; i++)
        if (strstr(entries[i].text, words) != NULL)
            return true;
    return false;
}

static void a_new_file_appears_and_a_removed_one_goes(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    start_share(f);
    assert_string_equal(paths(f), "");
    uint64_t revision = hp_share_revision(f->share);
    make_file(f, "x", 10, 1);
    WAIT_FOR(f, lists(f, "x") && hp_share_revision(f->share) > revision);
    WAIT_FOR(f, f->changes > 0);
    revision = hp_share_revision(f->share);
    unlink(at(f, "x"));
    WAIT_FOR(f, f->share->totals.files == 0);
    assert_string_equal(paths(f), "");
    assert_true(hp_share_revision(f->share) > revision);
    assert_int_equal(f->share->totals.bytes, 0);
    assert_int_equal(f->share->totals.hashed_bytes, 0);
    close_share(f);
}

static void a_renamed_file_has_its_new_name(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_file(f, "x", 10, 1);
    start_share(f);
    rename(at(f, "x"), at(f, "y"));
    WAIT_FOR(f, lists(f, "y"));
    rename(at(f, "y"), at(f, "a/y"));
    WAIT_FOR(f, lists(f, "a/y"));
    rename(at(f, "a/y"), at(f, ".y.1.hostpair-part")); /* to a name that is never listed */
    WAIT_FOR(f, lists(f, ""));
    rename(at(f, ".y.1.hostpair-part"), at(f, "y"));
    WAIT_FOR(f, lists(f, "y"));
    close_share(f);
}

static uint64_t size_of(fixture_t *f, size_t row)
{
    const listing_t *l = list(f);
    return row < l->count ? l->rows[row].size : UINT64_MAX;
}

static void a_file_that_grows_or_is_cut_has_its_new_size(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 10, 1);
    start_share(f);
    int fd = open(at(f, "x"), O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "12345", 5), 5);
    WAIT_FOR(f, size_of(f, 0) == 15); /* also while it is still open */
    assert_int_equal(ftruncate(fd, 3), 0);
    WAIT_FOR(f, size_of(f, 0) == 3);
    close(fd);
    assert_int_equal(truncate(at(f, "x"), 0), 0);
    WAIT_FOR(f, size_of(f, 0) == 0 && f->share->totals.bytes == 0);
    close_share(f);
}

static void new_folders_are_seen_with_all_that_is_in_them(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    start_share(f);
    make_dir(f, "a");
    make_dir(f, "a/b");
    make_file(f, "a/b/x", 1, 1);
    WAIT_FOR(f, lists(f, "a/b/x"));
    make_file(f, "a/b/y", 1, 1);
    make_file(f, "a/z", 1, 1);
    WAIT_FOR(f, lists(f, "a/b/x a/b/y a/z"));
    make_dir(f, "a/b/c");
    make_file(f, "a/b/c/x", 1, 1);
    WAIT_FOR(f, lists(f, "a/b/c/x a/b/x a/b/y a/z"));
    close_share(f);
}

static void a_moved_folder_takes_its_files_along(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_dir(f, "a/b");
    make_dir(f, "c");
    make_file(f, "a/b/x", 1, 1);
    make_file(f, "a/y", 1, 1);
    start_share(f);
    rename(at(f, "a"), at(f, "c/a"));
    WAIT_FOR(f, lists(f, "c/a/b/x c/a/y"));
    make_file(f, "c/a/b/new", 1, 1); /* still watched, under its new path */
    WAIT_FOR(f, lists(f, "c/a/b/new c/a/b/x c/a/y"));
    make_dir(f, "a"); /* another folder at the old path */
    make_file(f, "a/x", 1, 1);
    WAIT_FOR(f, lists(f, "a/x c/a/b/new c/a/b/x c/a/y"));
    unlink(at(f, "c/a/y"));
    WAIT_FOR(f, lists(f, "a/x c/a/b/new c/a/b/x"));
    close_share(f);
}

static void a_folder_that_is_moved_out_is_not_watched_any_more(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_dir(f, "a/b");
    make_file(f, "a/b/x", 1, 1);
    make_file(f, "y", 1, 1);
    start_share(f);
    char *away = hp_sprintf("%s/away", f->top);
    assert_int_equal(rename(at(f, "a"), away), 0);
    WAIT_FOR(f, lists(f, "y"));
    char *inside = hp_sprintf("%s/b/new", away);
    int fd = open(inside, O_WRONLY | O_CREAT, 0644);
    close(fd);
    make_file(f, "z", 1, 1);
    WAIT_FOR(f, lists(f, "y z"));
    assert_int_equal(rename(away, at(f, "back")), 0);
    WAIT_FOR(f, lists(f, "back/b/new back/b/x y z"));
    free(inside);
    free(away);
    close_share(f);
}

static void files_and_folders_can_take_each_others_place(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_dir(f, "a/b");
    make_file(f, "a/b/x", 1, 1);
    make_file(f, "c", 1, 1);
    start_share(f);
    unlink(at(f, "a/b/x"));
    rmdir(at(f, "a/b"));
    rmdir(at(f, "a"));
    make_file(f, "a", 5, 1);
    unlink(at(f, "c"));
    make_dir(f, "c");
    make_file(f, "c/x", 1, 1);
    WAIT_FOR(f, lists(f, "a c/x") && f->share->totals.files == 2);
    assert_int_equal(f->share->totals.bytes, 6);
    close_share(f);
}

static void a_large_folder_comes_and_goes(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "zz", 1, 1);
    start_share(f);
    make_dir(f, "many");
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "many/%d", i);
        make_file(f, name, 1, 1);
    }
    WAIT_FOR(f, f->share->totals.files == 1001);
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "many/%d", i);
        unlink(at(f, name));
    }
    rmdir(at(f, "many"));
    WAIT_FOR(f, f->share->totals.files == 1);
    assert_string_equal(paths(f), "zz");
    close_share(f);
}

static void a_large_folder_that_is_moved_out_goes_at_once(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "zz", 1, 1);
    make_dir(f, "many");
    for (int i = 0; i < 1500; i++) {
        char name[32];
        snprintf(name, sizeof name, "many/%d", i);
        make_file(f, name, 1, 1);
    }
    start_share(f);
    assert_int_equal(f->share->totals.files, 1501);
    char *away = hp_sprintf("%s/away", f->top);
    assert_int_equal(rename(at(f, "many"), away), 0);
    WAIT_FOR(f, f->share->totals.files == 1);
    assert_string_equal(paths(f), "zz");
    free(away);
    close_share(f);
}

static void links_follow_what_happens_to_their_targets(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_file(f, "a/x", 10, 1);
    assert_int_equal(symlink("a/x", at(f, "link")), 0);
    assert_int_equal(symlink("a/later", at(f, "waits")), 0);
    start_share(f);
    assert_string_equal(paths(f), "a/x link");
    make_file(f, "a/x", 25, 1);
    WAIT_FOR(f, lists(f, "a/x link") && size_of(f, 1) == 25);
    make_file(f, "a/later", 5, 1);
    WAIT_FOR(f, lists(f, "a/later a/x link waits"));
    unlink(at(f, "a/x"));
    WAIT_FOR(f, lists(f, "a/later waits"));
    assert_int_equal(open_status(f, "link"), HP_E_NOT_FOUND);
    unlink(at(f, "waits"));
    WAIT_FOR(f, lists(f, "a/later"));
    make_file(f, "waits", 1, 1);
    WAIT_FOR(f, lists(f, "a/later waits"));
    unlink(at(f, "waits"));
    assert_int_equal(symlink("../outside", at(f, "waits")), 0);
    WAIT_FOR(f, lists(f, "a/later"));
    close_share(f);
}

static void a_missing_folder_lists_nothing_and_forgets_nothing(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_dir(f, "a");
    make_file(f, "a/x", 100000, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    uint64_t revision = hp_share_revision(f->share);
    char *away = hp_sprintf("%s/away", f->top);
    assert_int_equal(rename(f->folder, away), 0);
    WAIT_FOR(f, f->share->missing && hp_share_revision(f->share) > revision);
    assert_string_equal(paths(f), "");
    hp_share_stats_t stats;
    hp_share_get_stats(f->share, &stats);
    assert_int_equal(stats.files, 0);
    assert_int_equal(open_status(f, "a/x"), HP_E_NOT_FOUND);
    revision = hp_share_revision(f->share);
    f->share->tuning.settle = f->share->tuning.settle_coarse = 3600000; /* no hashing from here on */
    assert_int_equal(rename(away, f->folder), 0);
    WAIT_FOR(f, lists(f, "a/x") && hp_share_revision(f->share) > revision);
    assert_string_equal(listed_root(f, "a/x"), root_on_disk(f, "a/x"));
    make_file(f, "a/new", 1, 1); /* it is watched again */
    WAIT_FOR(f, lists(f, "a/new a/x"));
    free(away);
    close_share(f);
}

static void a_folder_that_another_one_replaces_is_read_anew(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "old", 10, 1);
    start_share(f);
    char *away = hp_sprintf("%s/away", f->top), *other = hp_sprintf("%s/other", f->top);
    mkdir(other, 0755);
    assert_int_equal(rename(f->folder, away), 0);
    assert_int_equal(rename(other, f->folder), 0);
    make_file(f, "new", 10, 1);
    WAIT_FOR(f, lists(f, "new"));
    make_file(f, "newer", 10, 1);
    WAIT_FOR(f, lists(f, "new newer"));
    free(away);
    free(other);
    close_share(f);
}

static void an_emptied_folder_is_empty(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 10, 1);
    start_share(f);
    close_share(f);
    unlink(at(f, "x"));
    open_share(f);
    start_share(f);
    assert_string_equal(paths(f), "");
    assert_false(f->share->missing);
    close_share(f);
}

static int set_device(hp_db_t *db, void *arg, hp_err_t *err)
{
    const fixture_t *f = arg;
    return hp_shared_state_save(db, f->folder, 1, true, err);
}

/* As if the rows had been found on another file system, which is not mounted now. */
static void an_empty_folder_on_another_file_system_forgets_nothing(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 10, 1);
    start_share(f);
    close_share(f);
    char *away = hp_sprintf("%s/away", f->top);
    assert_int_equal(rename(at(f, "x"), away), 0);
    open_share(f);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, set_device, f, NULL), 0);
    close_share(f);
    open_share(f);
    hp_share_start(f->share);
    WAIT_FOR(f, f->share->missing);
    assert_string_equal(paths(f), "");
    assert_int_equal(f->share->totals.files, 1);
    assert_int_equal(rename(away, at(f, "x")), 0);
    WAIT_FOR(f, lists(f, "x"));
    assert_false(f->share->missing);
    free(away);
    close_share(f);
}

static void with_too_few_watches_walks_find_what_changed(void **state)
{
    fixture_t *f = *state;
    uint64_t lines = last_log_line();
    open_share(f);
    f->share->tuning.watches = 2;
    f->share->tuning.walk_blind = 100;
    make_dir(f, "a");
    make_dir(f, "a/b");
    make_dir(f, "a/b/c");
    make_file(f, "a/b/c/x", 1, 1);
    start_share(f);
    make_file(f, "a/b/c/y", 1, 1);
    WAIT_FOR(f, lists(f, "a/b/c/x a/b/c/y"));
    assert_true(was_logged(lines, "fs.inotify.max_user_watches"));
    unlink(at(f, "a/b/c/x"));
    WAIT_FOR(f, lists(f, "a/b/c/y"));
    make_file(f, "top", 1, 1); /* what is watched is seen at once all the same */
    WAIT_FOR(f, lists(f, "a/b/c/y top"));
    close_share(f);
}

static void more_changes_than_can_be_remembered_lead_to_a_walk(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    f->share->tuning.debounce = 1000; /* so that they all come together */
    start_share(f);
    for (int i = 0; i < 4200; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%d", i);
        make_file(f, name, 1, 1);
    }
    WAIT_FOR(f, f->share->totals.files == 4200);
    close_share(f);
}

static void lost_events_lead_to_a_walk(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "a", 1, 1);
    make_file(f, "b", 1, 1);
    start_share(f);
    /* More events than the kernel keeps (fs.inotify.max_queued_events), and none like the one before it. */
    long most = 16384;
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    if (limit != NULL) {
        if (fscanf(limit, "%ld", &most) != 1 || most > 200000)
            most = 200000;
        fclose(limit);
    }
    int a = open(at(f, "a"), O_WRONLY), b = open(at(f, "b"), O_WRONLY);
    for (long i = 0; i < most; i++)
        assert_int_equal(pwrite(i % 2 == 0 ? a : b, "xy", 2, 0), 2);
    close(a);
    close(b);
    make_file(f, "lost", 1, 1);
    WAIT_FOR(f, lists(f, "a b lost") && size_of(f, 0) == 2 && size_of(f, 1) == 2);
    close_share(f);
}

/* The descriptor that the next open would give. */
static int next_descriptor(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static void a_walk_without_descriptors_forgets_nothing(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    f->share->tuning.watches = 0; /* so that only the walk that follows by itself finds the new file */
    make_dir(f, "a");
    make_dir(f, "a/b");
    make_dir(f, "a/b/c");
    make_file(f, "a/b/c/x", 1, 1);
    make_file(f, "y", 1, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    struct rlimit usual, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    low = usual;
    low.rlim_cur = (rlim_t)next_descriptor() + 3; /* the folder and two levels */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    uint64_t lines = last_log_line();
    hp_index_walk(f->share->index);
    WAIT_FOR(f, was_logged(lines, "cannot be read: Too many open files"));
    low.rlim_cur = (rlim_t)0; /* none at all */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    hp_index_walk(f->share->index);
    WAIT_FOR(f, was_logged(lines, "the folder cannot be read: Too many open files"));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    assert_false(f->share->missing);
    assert_string_equal(paths(f), "a/b/c/x y");
    assert_int_equal(f->share->totals.files, 2);
    make_file(f, "z", 1, 1);
    WAIT_FOR(f, lists(f, "a/b/c/x y z"));
    close_share(f);
}

static void changes_are_told_at_most_four_times_a_second(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    f->share->tuning.change = 250;
    start_share(f);
    f->changes = 0;
    uint64_t began = hp_clock_ms();
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%d", i);
        make_file(f, name, 1, 1);
        WAIT_FOR(f, f->share->totals.files == (uint64_t)i + 1);
    }
    uint64_t ms = hp_clock_ms() - began;
    assert_in_range(f->changes, 1, ms / 250 + 2);
    close_share(f);
}

/* ---- any changes ---- */

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All that is to be listed, read from the disk with the means of the C library. */
static void read_disk(const fixture_t *f, const char *below, char **found, size_t *count)
{
    DIR *dir = opendir(at(f, below));
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = hp_sprintf("%s%s%s", below, below[0] != '\0' ? "/" : "", entry->d_name);
        struct stat st;
        assert_int_equal(lstat(at(f, path), &st), 0);
        char *target = S_ISLNK(st.st_mode) ? realpath(at(f, path), NULL) : NULL;
        bool listed = S_ISREG(st.st_mode);
        if (target != NULL) /* the folder itself lies behind no link */
            listed = strncmp(target, at(f, ""), strlen(f->folder) + 1) == 0 && stat(target, &st) == 0 &&
                     S_ISREG(st.st_mode);
        else if (S_ISDIR(st.st_mode))
            read_disk(f, path, found, count);
        if (listed)
            found[(*count)++] = path;
        else
            free(path);
        free(target);
    }
    closedir(dir);
}

/* As paths() has it. */
static const char *disk_paths(const fixture_t *f)
{
    static char text[8192];
    char *found[64];
    size_t count = 0, used = 0;
    read_disk(f, "", found, &count);
    qsort(found, count, sizeof *found, compare_text);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "", found[i]);
        free(found[i]);
    }
    return text;
}

static void change_something(const fixture_t *f)
{
    static const char *const folders[] = {"", "p/", "p/q/", "r/"};
    char a[32], b[32];
    snprintf(a, sizeof a, "%s%c", folders[random() % 4], (int)('p' + random() % 5));
    snprintf(b, sizeof b, "%s%c", folders[random() % 4], (int)('p' + random() % 5));
    int rc = 0; /* many of these fail, which is fine */
    switch (random() % 6) {
    case 0:
        rc = mkdir(at(f, a), 0755);
        break;
    case 1:
    case 2:
        rc = open(at(f, a), O_WRONLY | O_CREAT | O_APPEND, 0644);
        if (rc >= 0) {
            assert_int_equal(write(rc, "x", 1), 1);
            close(rc);
        }
        break;
    case 3:
        rc = remove(at(f, a));
        break;
    case 4:
        rc = rename(at(f, a), at(f, b));
        break;
    default:
        rc = symlink(b, at(f, a));
    }
    (void)rc;
}

static void after_any_changes_the_list_is_what_the_disk_says(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    start_share(f);
    srandom(1);
    for (int i = 0; i < 1000; i++) {
        change_something(f);
        if (random() % 8 == 0)
            uv_run(&f->loop, UV_RUN_NOWAIT);
        if (i % 100 == 99) {
            WAIT_FOR(f, lists(f, disk_paths(f)));
            WAIT_FOR(f, all_hashed(f));
        }
    }
    WAIT_FOR(f, list(f)->count == f->share->totals.files);
    uint64_t files = f->share->totals.files, bytes = f->share->totals.bytes;
    restart_share(f); /* a walk of everything */
    assert_true(lists(f, disk_paths(f)));
    assert_int_equal(f->share->totals.files, files);
    assert_int_equal(f->share->totals.bytes, bytes);
    close_share(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, drop_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_appears_and_a_removed_one_goes),
        TEST(a_renamed_file_has_its_new_name),
        TEST(a_file_that_grows_or_is_cut_has_its_new_size),
        TEST(new_folders_are_seen_with_all_that_is_in_them),
        TEST(a_moved_folder_takes_its_files_along),
        TEST(a_folder_that_is_moved_out_is_not_watched_any_more),
        TEST(files_and_folders_can_take_each_others_place),
        TEST(a_large_folder_comes_and_goes),
        TEST(a_large_folder_that_is_moved_out_goes_at_once),
        TEST(links_follow_what_happens_to_their_targets),
        TEST(a_missing_folder_lists_nothing_and_forgets_nothing),
        TEST(a_folder_that_another_one_replaces_is_read_anew),
        TEST(an_emptied_folder_is_empty),
        TEST(an_empty_folder_on_another_file_system_forgets_nothing),
        TEST(with_too_few_watches_walks_find_what_changed),
        TEST(more_changes_than_can_be_remembered_lead_to_a_walk),
        TEST(lost_events_lead_to_a_walk),
        TEST(a_walk_without_descriptors_forgets_nothing),
        TEST(changes_are_told_at_most_four_times_a_second),
        TEST(after_any_changes_the_list_is_what_the_disk_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
