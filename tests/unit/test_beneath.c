// libs: os base
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/beneath.h"
#include "base/file.h"
#include "base/mem.h"

static char root[64];
static int folder = -1;

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    char inner[128];
    strcpy(root, "/tmp/hostpair-test-XXXXXX");
    if (mkdtemp(root) == NULL)
        return -1;
    snprintf(inner, sizeof inner, "%s/in", root);
    if (mkdir(inner, 0700) != 0)
        return -1;
    write_file("secret", "secret");
    write_file("in/file", "text");
    folder = open(inner, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

static int open_read(const char *path, hp_beneath_links_t links)
{
    int fd = hp_beneath_open(folder, path, O_RDONLY, 0, links);
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? 0 : fd;
}

static void a_file_in_the_folder_is_opened_and_not_inherited(void **state)
{
    (void)state;
    int fd = hp_beneath_open(folder, "file", O_RDONLY, 0, HP_BENEATH_NO_LINKS);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    assert_int_equal(open_read("missing", HP_BENEATH_LINKS), -ENOENT);
}

static void the_empty_path_is_the_folder_itself(void **state)
{
    (void)state;
    struct stat a, b;
    assert_int_equal(fstat(folder, &a), 0);
    const char *const names[] = {"", "."};
    for (size_t i = 0; i < HP_COUNT(names); i++) {
        int fd = hp_beneath_open(folder, names[i], O_RDONLY | O_DIRECTORY, 0, HP_BENEATH_LINKS);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &b), 0);
        assert_int_equal(a.st_ino, b.st_ino);
        close(fd);
    }
}

static void no_path_leads_out_of_the_folder(void **state)
{
    (void)state;
    assert_int_equal(symlinkat("../secret", folder, "up"), 0);
    assert_int_equal(symlinkat("/etc/passwd", folder, "absolute"), 0);
    assert_int_equal(symlinkat("..", folder, "parent"), 0);
    const char *const out[] = {"../secret", "/etc/passwd", "x/../../secret", "..",
                               "up",        "absolute",    "parent/secret"};
    assert_int_equal(mkdirat(folder, "x", 0700), 0);
    for (size_t i = 0; i < HP_COUNT(out); i++) {
        print_message("%s\n", out[i]);
        assert_int_equal(open_read(out[i], HP_BENEATH_LINKS), -EXDEV);
        assert_in_range(-open_read(out[i], HP_BENEATH_NO_LINKS), HP_MIN(EXDEV, ELOOP), HP_MAX(EXDEV, ELOOP));
    }
}

static void a_link_inside_the_folder_is_followed_only_when_links_are(void **state)
{
    (void)state;
    assert_int_equal(symlinkat("file", folder, "same"), 0);
    assert_int_equal(open_read("same", HP_BENEATH_LINKS), 0);
    assert_int_equal(open_read("same", HP_BENEATH_NO_LINKS), -ELOOP);
}

static void a_new_file_gets_its_mode(void **state)
{
    (void)state;
    struct stat st;
    int fd = hp_beneath_open(folder, "new", O_CREAT | O_EXCL | O_RDWR, 0600, HP_BENEATH_NO_LINKS);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    close(fd);
    assert_int_equal(hp_beneath_open(folder, "new", O_CREAT | O_EXCL | O_RDWR, 0600, HP_BENEATH_NO_LINKS),
                     -EEXIST);
}

static void folders_are_made_all_the_way_down_and_again(void **state)
{
    (void)state;
    struct stat st;
    for (int i = 0; i < 2; i++) {
        int fd = hp_beneath_make_folders(folder, "a/b/c", 0700);
        assert_true(fd >= 0);
        assert_int_equal(fstatat(fd, "../../../file", &st, 0), 0);
        close(fd);
    }
    assert_int_equal(fstatat(folder, "a/b/c", &st, 0), 0);
    assert_true(S_ISDIR(st.st_mode));
    int fd = hp_beneath_make_folders(folder, "", 0700);
    assert_true(fd >= 0);
    close(fd);
}

static void folders_are_never_made_outside(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(symlinkat("..", folder, "parent"), 0);
    assert_int_equal(hp_beneath_make_folders(folder, "../made", 0700), -EXDEV);
    assert_int_equal(hp_beneath_make_folders(folder, "parent/made", 0700), -ELOOP);
    assert_int_equal(hp_beneath_make_folders(folder, "/tmp", 0700), -EXDEV);
    assert_int_equal(hp_beneath_make_folders(folder, "file/made", 0700), -ENOTDIR);
    assert_int_equal(fstatat(folder, "../made", &st, 0), -1);
}

static void make_folder_works_like_mkdir_p(void **state)
{
    (void)state;
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s//p/q//r/", root);
    assert_int_equal(hp_make_folder(path, 0700), 0);
    assert_int_equal(hp_make_folder(path, 0700), 0);
    assert_int_equal(stat(path, &st), 0);
    snprintf(path, sizeof path, "%s/secret", root);
    assert_int_equal(hp_make_folder(path, 0700), -ENOTDIR);
    snprintf(path, sizeof path, "%s/secret/x", root);
    assert_int_equal(hp_make_folder(path, 0700), -ENOTDIR);
    assert_int_equal(hp_make_folder("/", 0700), 0);
    assert_int_equal(hp_make_folder("", 0700), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_in_the_folder_is_opened_and_not_inherited),
        TEST(the_empty_path_is_the_folder_itself),
        TEST(no_path_leads_out_of_the_folder),
        TEST(a_link_inside_the_folder_is_followed_only_when_links_are),
        TEST(a_new_file_gets_its_mode),
        TEST(folders_are_made_all_the_way_down_and_again),
        TEST(folders_are_never_made_outside),
        TEST(make_folder_works_like_mkdir_p),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
