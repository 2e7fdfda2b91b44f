// libs: os base
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "os/disk.h"
#include "os/folder_watch.h"

static char root[64];
static int folder = -1;

static int set_up(void **state)
{
    (void)state;
    strcpy(root, "/tmp/hostpair-test-XXXXXX");
    if (mkdtemp(root) == NULL)
        return -1;
    folder = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder >= 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    close(folder);
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int make(const char *name, const char *text)
{
    int fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(hp_write_all_at(fd, text, strlen(text), 0), 0);
    return fd;
}

static void assert_holds(const char *name, const char *text)
{
    char read[64] = "";
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(pread(fd, read, sizeof read - 1, 0) >= 0);
    close(fd);
    assert_string_equal(read, text);
}

static void a_file_without_a_name_gets_one_that_is_free(void **state)
{
    (void)state;
    int fd = hp_disk_open_unnamed(folder, 0640);
    if (fd == -EOPNOTSUPP)
        skip();
    assert_true(fd >= 0);
    assert_int_equal(hp_write_all_at(fd, "text", 4, 0), 0);
    close(make("taken", "theirs"));
    hp_disk_begin_sync(fd);
    assert_int_equal(hp_disk_sync_data(fd), 0);
    assert_int_equal(hp_disk_link(fd, folder, "taken"), -EEXIST);
    assert_int_equal(hp_disk_link(fd, folder, "free"), 0);
    assert_int_equal(hp_disk_sync_folder(folder), 0);
    assert_int_equal(hp_disk_sync_all(fd), 0);
    close(fd);
    assert_holds("free", "text");
    assert_holds("taken", "theirs");
}

static void a_new_name_never_replaces_another_file(void **state)
{
    (void)state;
    close(make("old", "mine"));
    close(make("taken", "theirs"));
    assert_int_equal(hp_disk_rename_new(folder, "old", "taken"), -EEXIST);
    assert_holds("taken", "theirs");
    assert_holds("old", "mine");
    assert_int_equal(hp_disk_rename_new(folder, "old", "new"), 0);
    assert_holds("new", "mine");
    assert_int_equal(faccessat(folder, "old", F_OK, 0), -1);
    assert_int_equal(hp_disk_rename_new(folder, "old", "other"), -ENOENT);
}

static void room_is_reserved_or_given_back(void **state)
{
    (void)state;
    struct stat st;
    int fd = make("file", "start");
    assert_int_equal(hp_disk_reserve(fd, 0), 0);
    assert_int_equal(hp_disk_reserve(fd, 100000), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 100000);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, small = {.rlim_cur = 200000};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = hp_disk_reserve(fd, 300000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(rc, -EFBIG);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 100000);
    close(fd);
}

static void bytes_are_read_in_passing(void **state)
{
    (void)state;
    char read[16] = "";
    bool passing = true;
    int fd = make("file", "some text");
    assert_int_equal(hp_disk_read_passing(fd, read, sizeof read, 5, &passing), 4);
    assert_string_equal(read, "text");
    assert_int_equal(hp_disk_read_passing(fd, read, sizeof read, 9, &passing), 0);
    passing = false;
    assert_int_equal(hp_disk_read_passing(fd, read, 4, 0, &passing), 4);
    assert_memory_equal(read, "some", 4);
    assert_int_equal(hp_disk_read_passing(-1, read, 4, 0, &passing), -EBADF);
    hp_disk_uncache(fd, 0, 9);
    close(fd);
}

static void a_changed_file_is_noticed_and_found(void **state)
{
    (void)state;
    struct stat st;
    char path[256], wanted[256], tiny[4];
    int fd = make("file", "some text");
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(hp_disk_is_unchanged(fd, &st));
    assert_int_equal(ftruncate(fd, 3), 0);
    assert_false(hp_disk_is_unchanged(fd, &st));
    assert_false(hp_disk_is_unchanged(-1, &st));
    assert_int_equal(renameat(folder, "file", folder, "moved"), 0);
    assert_int_equal(hp_disk_path_of(fd, path, sizeof path), 0);
    snprintf(wanted, sizeof wanted, "%s/moved", root);
    assert_string_equal(path, wanted);
    assert_int_equal(hp_disk_path_of(fd, tiny, sizeof tiny), -ENAMETOOLONG);
    close(fd);
}

/* ---- what happens in a folder ---- */

typedef struct heard {
    int folder;
    unsigned entries, folders, selves, ends;
    char names[256];
} heard_t;

static void on_event(void *arg, const hp_folder_event_t *event)
{
    heard_t *heard = arg;
    assert_int_equal(event->folder, heard->folder);
    assert_false(event->lost);
    heard->entries += event->name[0] != '\0';
    heard->folders += event->is_folder && event->name[0] != '\0';
    heard->selves += event->is_self;
    heard->ends += event->is_end;
    strncat(heard->names, event->name, sizeof heard->names - strlen(heard->names) - 1);
}

static void what_happens_in_a_folder_is_told(void **state)
{
    (void)state;
    heard_t heard = {0};
    int watch = hp_folder_watch_open();
    assert_true(watch >= 0);
    assert_int_equal(mkdirat(folder, "in", 0700), 0);
    int in = openat(folder, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    heard.folder = hp_folder_watch_add(watch, in);
    assert_true(heard.folder > 0);
    assert_int_equal(hp_folder_watch_add(watch, in), heard.folder);
    assert_false(hp_folder_watch_read(watch, on_event, &heard));
    assert_int_equal(mkdirat(in, "made", 0700), 0);
    assert_true(hp_folder_watch_read(watch, on_event, &heard));
    assert_string_equal(heard.names, "made");
    assert_int_equal(heard.folders, 1);
    close(in);
    assert_int_equal(unlinkat(folder, "in/made", AT_REMOVEDIR), 0);
    assert_int_equal(unlinkat(folder, "in", AT_REMOVEDIR), 0);
    assert_true(hp_folder_watch_read(watch, on_event, &heard));
    assert_int_equal(heard.selves, 1);
    assert_int_equal(heard.ends, 1);
    assert_int_equal(hp_folder_watch_add(watch, -1), -ENOENT);
    close(watch);
}

static void zeros_keep_their_room_until_it_is_given_back(void **state)
{
    (void)state;
    enum { BLOCK = 65536 };
    static uint8_t data[BLOCK], got[BLOCK];
    memset(data, 7, sizeof data);
    int fd = make("sparse", "");
    assert_int_equal(hp_disk_reserve(fd, 16 * BLOCK), 0);
    for (int i = 0; i < 16; i++)
        assert_int_equal(hp_write_all_at(fd, data, BLOCK, (uint64_t)i * BLOCK), 0);
    if (hp_disk_zero(fd, BLOCK, 8 * BLOCK) == -EOPNOTSUPP) {
        close(fd);
        skip();
    }
    struct stat before, after;
    assert_int_equal(hp_disk_sync_data(fd), 0);
    assert_int_equal(fstat(fd, &before), 0);
    assert_true(before.st_blocks * 512 >= 16 * BLOCK);
    hp_disk_release_zeros(fd);
    assert_int_equal(fstat(fd, &after), 0);
    assert_int_equal(after.st_size, 16 * BLOCK);
    assert_true(after.st_blocks * 512 <=
                9 * BLOCK); /* 8 of them, and what the file system takes for itself */
    for (int i = 0; i < 16; i++) {
        memset(data, i >= 1 && i < 9 ? 0 : 7, sizeof data);
        assert_int_equal(pread(fd, got, BLOCK, (off_t)i * BLOCK), BLOCK);
        assert_memory_equal(got, data, BLOCK);
    }
    close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_without_a_name_gets_one_that_is_free),
        TEST(a_new_name_never_replaces_another_file),
        TEST(room_is_reserved_or_given_back),
        TEST(zeros_keep_their_room_until_it_is_given_back),
        TEST(bytes_are_read_in_passing),
        TEST(a_changed_file_is_noticed_and_found),
        TEST(what_happens_in_a_folder_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
