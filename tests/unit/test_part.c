// libs: transfer fetch share store db path os base
/* The steps of a file on the disk: each can be repeated after a crash, and none takes what is not its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/disk.h"
#include "transfer/part.h"

static int sync_error, syncs;

/* Stands in for the system's. */
int syncfs(int fd)
{
    syncs++;
    if (sync_error == 0)
        return (int)syscall(SYS_syncfs, fd);
    errno = sync_error;
    return -1;
}

typedef struct fixture {
    char base[64];
    char name[HP_NAME_MAX + 1], final_name[HP_NAME_MAX + 1];
    hp_part_identity_t identity;
    hp_part_found_t found;
    uint64_t reserved;
    hp_err_t err;
} fixture_t;

static int set_up(void **state)
{
    static fixture_t fixture;
    memset(&fixture, 0, sizeof fixture);
    snprintf(fixture.base, sizeof fixture.base, "/tmp/hostpair-part-XXXXXX");
    *state = &fixture;
    return mkdtemp(fixture.base) != NULL ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    return nftw(f->base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static char *at(const fixture_t *f, const char *path)
{
    static char text[512];
    snprintf(text, sizeof text, "%s/%s", f->base, path);
    return text;
}

static uint64_t size_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_size;
}

static void put(const fixture_t *f, const char *path, const char *text)
{
    FILE *file = fopen(at(f, path), "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_holds(const fixture_t *f, const char *path, const char *text)
{
    char got[64] = "";
    FILE *file = fopen(at(f, path), "re");
    assert_non_null(file);
    size_t n = fread(got, 1, sizeof got - 1, file);
    got[n] = '\0';
    fclose(file);
    assert_string_equal(got, text);
}

/* What fallocate(2) does in this program: as ext4 on a disk with room for so many bytes, of which it leaves
 * those that it got. */
static off_t room = -1; /* -1: the real one */
int fallocate(int fd, int mode, off_t offset, off_t length)
{
    off_t given = room >= 0 && room < length ? room : length;
    if (syscall(SYS_fallocate, fd, mode, offset, given) != 0)
        return -1;
    if (given == length)
        return 0;
    errno = ENOSPC;
    return -1;
}

static bool no_noreplace; /* the file system knows no RENAME_NOREPLACE */
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    if (!no_noreplace)
        return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    errno = EINVAL;
    return -1;
}

static unsigned folder_syncs;
static int interruptions; /* so many syncs of folders are interrupted by a signal */
int fsync(int fd)
{
    folder_syncs++; /* files are synced by fdatasync(2) */
    if (interruptions > 0) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static int link_error; /* what linkat(2) says; 0: the truth */
int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    if (link_error == 0)
        return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
    errno = link_error;
    return -1;
}

static uint64_t disk_free; /* what fstatvfs(3) says; 0: the truth */
int fstatvfs(int fd, struct statvfs *fs)
{
    struct statfs kernel;
    if (syscall(SYS_fstatfs, fd, &kernel) != 0)
        return -1;
    uint64_t available = kernel.f_bavail * (uint64_t)kernel.f_bsize;
    *fs = (struct statvfs){.f_frsize = 1, .f_bsize = 1, .f_bavail = disk_free > 0 ? disk_free : available};
    return 0;
}

static struct stat stat_of(const fixture_t *f, const char *path)
{
    struct stat st;
    assert_int_equal(stat(at(f, path), &st), 0);
    return st;
}

/* A part file of path with text in it, as a download leaves it. */
static int make_part(fixture_t *f, const char *path, const char *text)
{
    int fd = hp_part_create(f->base, path, 7, f->name, &f->identity, &f->err);
    assert_true(fd >= 0);
    assert_int_equal(hp_part_reserve(fd, strlen(text), 0, &f->reserved, &f->err), 0);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    return fd;
}

static void a_new_file_goes_from_its_part_to_its_name(void **state)
{
    fixture_t *f = *state;
    int fd = make_part(f, "a/b/film.mp4", "hello");
    assert_string_equal(f->name, ".film.mp4.7.hostpair-part");
    assert_int_equal(access(at(f, "a/b/.film.mp4.7.hostpair-part"), F_OK), 0);
    assert_int_equal(
        hp_part_finish(fd, f->base, "a/b/film.mp4", f->name, size_of(fd), f->final_name, &f->err), 0);
    assert_string_equal(f->final_name, "film.mp4");
    assert_holds(f, "a/b/film.mp4", "hello");
    assert_int_equal(access(at(f, "a/b/.film.mp4.7.hostpair-part"), F_OK), -1);
    close(fd);
}

static void a_name_that_was_taken_meanwhile_is_not_replaced(void **state)
{
    fixture_t *f = *state;
    int fd = make_part(f, "x.tar.gz", "new");
    put(f, "x.tar.gz", "old");
    put(f, "x (1).tar.gz", "older");
    assert_int_equal(hp_part_finish(fd, f->base, "x.tar.gz", f->name, size_of(fd), f->final_name, &f->err),
                     0);
    assert_string_equal(f->final_name, "x (2).tar.gz");
    assert_holds(f, "x.tar.gz", "old");
    assert_holds(f, "x (1).tar.gz", "older");
    assert_holds(f, "x (2).tar.gz", "new");
    close(fd);
}

static void a_file_system_that_only_links_replaces_nothing_either(void **state)
{
    fixture_t *f = *state;
    no_noreplace = true;
    put(f, "x", "old");
    int fd = make_part(f, "x", "new");
    /* A crash came between the link and the end of the part's name. */
    char part[512];
    snprintf(part, sizeof part, "%s", at(f, f->name));
    assert_int_equal(link(part, at(f, "x (1)")), 0);
    assert_int_equal(hp_part_finish(fd, f->base, "x", f->name, size_of(fd), f->final_name, &f->err), 0);
    no_noreplace = false;
    assert_string_equal(f->final_name, "x (1)");
    assert_holds(f, "x", "old");
    assert_holds(f, "x (1)", "new");
    assert_int_equal(access(at(f, "x (2)"), F_OK), -1);
    assert_int_equal(access(part, F_OK), -1);
    close(fd);
}

static void a_file_system_that_can_only_rename_replaces_nothing_either(void **state)
{
    fixture_t *f = *state;
    no_noreplace = true;
    link_error = EPERM;
    put(f, "x", "old");
    put(f, "x (1)", ".x.8.hostpair-part"); /* of another file that takes this name now */
    int fd = make_part(f, "x", "new");
    assert_int_equal(hp_part_finish(fd, f->base, "x", f->name, size_of(fd), f->final_name, &f->err), 0);
    assert_string_equal(f->final_name, "x (2)");
    assert_holds(f, "x", "old");
    assert_holds(f, "x (1)", ".x.8.hostpair-part");
    assert_holds(f, "x (2)", "new");
    close(fd);

    /* A crash came after the name was taken. */
    fd = make_part(f, "y", "newer");
    put(f, "y", f->name);
    assert_int_equal(hp_part_finish(fd, f->base, "y", f->name, size_of(fd), f->final_name, &f->err), 0);
    no_noreplace = false;
    link_error = 0;
    assert_string_equal(f->final_name, "y");
    assert_holds(f, "y", "newer");
    close(fd);
}

static void an_empty_part_of_a_crash_is_taken_up(void **state)
{
    fixture_t *f = *state;
    put(f, ".x.7.hostpair-part", "");
    int fd = hp_part_create(f->base, "x", 7, f->name, &f->identity, &f->err);
    assert_true(fd >= 0);
    assert_string_equal(f->name, ".x.7.hostpair-part");
    close(fd);
}

static void a_part_with_bytes_in_it_is_left_alone(void **state)
{
    fixture_t *f = *state;
    put(f, ".x.7.hostpair-part", "somebody's");
    int fd = hp_part_create(f->base, "x", 7, f->name, &f->identity, &f->err);
    assert_true(fd >= 0);
    assert_string_not_equal(f->name, ".x.7.hostpair-part");
    assert_true(hp_path_is_part(f->name));
    assert_holds(f, ".x.7.hostpair-part", "somebody's");
    close(fd);
}

static void the_recorded_part_is_opened_again(void **state)
{
    fixture_t *f = *state;
    close(make_part(f, "x", "12345"));
    int fd = -1;
    assert_int_equal(
        hp_part_open(f->base, "x", f->name, &f->identity, 5, true, &f->found, &fd, f->final_name, &f->err),
        0);
    assert_int_equal(f->found, HP_PART_OPENED);
    assert_true(fd >= 0);
    close(fd);
}

static void a_part_of_another_size_or_file_is_missing(void **state)
{
    fixture_t *f = *state;
    close(make_part(f, "x", "12345"));
    int fd = -1;
    assert_int_equal(
        hp_part_open(f->base, "x", f->name, &f->identity, 6, true, &f->found, &fd, f->final_name, &f->err),
        0);
    assert_int_equal(f->found, HP_PART_MISSING);
    hp_part_identity_t other = {.device = f->identity.device, .inode = f->identity.inode + 1};
    assert_int_equal(
        hp_part_open(f->base, "x", f->name, &other, 5, true, &f->found, &fd, f->final_name, &f->err), 0);
    assert_int_equal(f->found, HP_PART_MISSING);
    assert_int_equal(
        hp_part_open(f->base, "no/x", f->name, &other, 5, true, &f->found, &fd, f->final_name, &f->err), 0);
    assert_int_equal(f->found, HP_PART_MISSING);
    assert_int_equal(fd, -1);
    assert_holds(f, f->name, "12345");
}

static void a_reservation_that_fails_gives_back_what_it_got(void **state)
{
    fixture_t *f = *state;
    int fd = hp_part_create(f->base, "x", 7, f->name, &f->identity, &f->err);
    assert_true(fd >= 0);
    room = 1 << 20;
    assert_int_equal(hp_part_reserve(fd, 4 << 20, 0, &f->reserved, &f->err), HP_E_NO_SPACE);
    assert_int_equal(stat_of(f, f->name).st_size, 0);
    assert_int_equal(stat_of(f, f->name).st_blocks, 0);
    room = -1;
    assert_int_equal(hp_part_reserve(fd, 4 << 20, 0, &f->reserved, &f->err), 0);
    assert_int_equal(stat_of(f, f->name).st_size, 4 << 20);
    close(fd);
}

static void open_part(fixture_t *f, uint64_t size, bool has_chunks, hp_part_found_t expected)
{
    int fd = -1;
    assert_int_equal(hp_part_open(f->base, "x", f->name, &f->identity, size, has_chunks, &f->found, &fd,
                                  f->final_name, &f->err),
                     0);
    assert_int_equal(f->found, expected);
    assert_int_equal(fd >= 0, expected == HP_PART_OPENED);
    if (fd >= 0)
        close(fd);
}

static void a_device_number_of_another_boot_is_not_compared(void **state)
{
    fixture_t *f = *state;
    close(make_part(f, "x", "12345"));
    f->identity.device++;
    open_part(f, 5, true, HP_PART_MISSING);
    f->identity.device = 0;
    open_part(f, 5, true, HP_PART_OPENED);
    f->identity.inode++;
    open_part(f, 5, true, HP_PART_MISSING);
}

static void a_part_that_was_made_later_with_the_same_inode_is_another_one(void **state)
{
    fixture_t *f = *state;
    int fd = hp_part_create(f->base, "f", 1, f->name, &f->identity, &f->err);
    assert_true(fd >= 0);
    close(fd);
    if (f->identity.born_ns == 0)
        skip(); /* the file system does not say when a file was made */
    open_part(f, 0, false, HP_PART_OPENED);
    f->identity.born_ns--;
    open_part(f, 0, false, HP_PART_MISSING);
    assert_int_equal(hp_part_remove(f->base, "f", f->name, &f->identity, &f->err), 0);
    assert_int_equal(access(at(f, f->name), F_OK), 0);
    f->identity.born_ns = 0; /* of a release that did not keep it */
    open_part(f, 0, false, HP_PART_OPENED);
}

static void a_program_may_be_run_as_far_as_the_umask_allows(void **state)
{
    static const struct {
        mode_t mask, plain, program;
    } cases[] = {
        {022, 0644, 0755}, {077, 0600, 0700}, {002, 0664, 0775}, {0133, 0644, 0644}, {0137, 0640, 0640}};
    fixture_t *f = *state;
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        mode_t before = umask(cases[i].mask);
        hp_part_small_t files[2] = {
            {.base = f->base, .path = "plain", .data = "a", .length = 1},
            {.base = f->base, .path = "run", .data = "b", .length = 1, .executable = true}};
        hp_part_write_small(files, 2);
        umask(before);
        struct stat plain, run;
        assert_int_equal(stat(at(f, "plain"), &plain), 0);
        assert_int_equal(stat(at(f, "run"), &run), 0);
        assert_int_equal(plain.st_mode & 07777, cases[i].plain);
        assert_int_equal(run.st_mode & 07777, cases[i].program);
        assert_int_equal(unlink(at(f, "plain")), 0);
        assert_int_equal(unlink(at(f, "run")), 0);
    }
}

static void a_part_that_was_copied_is_opened_for_a_closer_look(void **state)
{
    fixture_t *f = *state;
    hp_part_identity_t seen = {0};
    close(make_part(f, "in/x", "12345"));
    char *part = hp_sprintf("in/%s", f->name);
    assert_int_equal(unlink(at(f, part)), 0);
    assert_int_equal(hp_part_open_alike(f->base, "in/x", f->name, 5, &seen), -ENOENT);
    put(f, part, "12345");
    int fd = hp_part_open_alike(f->base, "in/x", f->name, 5, &seen);
    assert_true(fd >= 0);
    assert_int_equal(seen.inode, stat_of(f, part).st_ino);
    assert_int_equal(hp_part_open_alike(f->base, "in/x", f->name, 5, &seen), -ENOENT); /* somebody has it */
    close(fd);
    assert_int_equal(hp_part_open_alike(f->base, "in/x", f->name, 6, &seen), -ENOENT);
    assert_int_equal(unlink(at(f, part)), 0);
    assert_int_equal(symlink("y", at(f, part)), 0);
    put(f, "in/y", "12345");
    assert_true(hp_part_open_alike(f->base, "in/x", f->name, 5, &seen) < 0);
    free(part);
}

static void a_part_that_is_shorter_than_its_record_holds_no_chunks(void **state)
{
    fixture_t *f = *state;
    close(make_part(f, "x", "12345"));
    for (off_t length = 3; length >= 0; length -= 3) {
        assert_int_equal(truncate(at(f, f->name), length), 0);
        open_part(f, 5, true, HP_PART_MISSING);
        open_part(f, 5, false, HP_PART_OPENED); /* it was being reserved when a crash came */
    }
}

static void a_final_file_whose_part_is_gone_is_found(void **state)
{
    fixture_t *f = *state;
    put(f, "x", "taken");
    int fd = make_part(f, "x", "12345");
    assert_int_equal(hp_part_finish(fd, f->base, "x", f->name, size_of(fd), f->final_name, &f->err), 0);
    close(fd);
    char name[HP_NAME_MAX + 1];
    folder_syncs = 0;
    assert_int_equal(
        hp_part_open(f->base, "x", f->name, &f->identity, 5, true, &f->found, &fd, name, &f->err), 0);
    assert_int_equal(f->found, HP_PART_FINAL);
    assert_string_equal(name, "x (1)");
    assert_int_equal(folder_syncs, 1); /* the crash may have come between the rename and that */
}

static void only_the_recorded_part_is_removed(void **state)
{
    fixture_t *f = *state;
    close(make_part(f, "x", "12345"));
    hp_part_identity_t other = {.device = f->identity.device, .inode = f->identity.inode + 1};
    assert_int_equal(hp_part_remove(f->base, "x", f->name, &other, &f->err), 0);
    assert_holds(f, f->name, "12345");
    assert_int_equal(hp_part_remove(f->base, "x", f->name, &f->identity, &f->err), 0);
    assert_int_equal(access(at(f, f->name), F_OK), -1);
    assert_int_equal(hp_part_remove(f->base, "x", f->name, &f->identity, &f->err), 0);
}

static int write_small(fixture_t *f, const char *path, const char *text)
{
    hp_part_small_t file = {.base = f->base, .path = path, .data = text, .length = strlen(text)};
    hp_part_write_small(&file, 1);
    snprintf(f->final_name, sizeof f->final_name, "%s", file.name);
    return file.status;
}

static void a_small_file_that_is_there_gets_the_time_that_is_wanted(void **state)
{
    fixture_t *f = *state;
    assert_int_equal(write_small(f, "x", "text"), 0);
    hp_part_small_t file = {
        .base = f->base, .path = "x", .data = "text", .length = 4, .mtime_ms = 1234567890123};
    hp_part_write_small(&file, 1);
    struct stat st;
    if (file.status == -EOPNOTSUPP)
        skip();
    assert_int_equal(file.status, 0);
    assert_string_equal(file.name, "x");
    assert_int_equal(stat(at(f, "x"), &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1234567890);
    assert_int_equal(st.st_mtim.tv_nsec, 123000000);
    assert_int_equal(access(at(f, "x (1)"), F_OK), -1);
}

static void a_link_does_not_lead_out_of_the_folder(void **state)
{
    fixture_t *f = *state;
    char outside[] = "/tmp/hostpair-outside-XXXXXX";
    assert_non_null(mkdtemp(outside));
    assert_int_equal(symlink(outside, at(f, "out")), 0);
    int fd = hp_part_create(f->base, "out/x", 7, f->name, &f->identity, &f->err);
    assert_true(fd < 0);
    assert_true(strlen(f->err.detail) > 0);
    assert_true(write_small(f, "out/x", "1") < 0);
    assert_int_equal(rmdir(outside), 0); /* it is empty */
}

static void a_small_file_lands_in_one_step_and_replaces_nothing(void **state)
{
    fixture_t *f = *state;
    int rc = write_small(f, "d/s.txt", "one");
    if (rc == -EOPNOTSUPP)
        skip();
    assert_int_equal(rc, 0);
    assert_string_equal(f->final_name, "s.txt");
    assert_int_equal(write_small(f, "d/s.txt", "two"), 0);
    assert_string_equal(f->final_name, "s (1).txt");
    assert_holds(f, "d/s.txt", "one");
    assert_holds(f, "d/s (1).txt", "two");
    assert_int_equal(write_small(f, "empty", ""), 0);
    assert_holds(f, "empty", "");
}

static void small_files_are_written_together_and_each_has_its_own_end(void **state)
{
    fixture_t *f = *state;
    assert_int_equal(symlink("/", at(f, "away")), 0);
    assert_int_equal(write_small(f, "d/2", "before"), 0);
    hp_part_small_t files[] = {
        {.base = f->base, .path = "d/1", .data = "one", .length = 3},
        {.base = f->base, .path = "d/2", .data = "two", .length = 3},
        {.base = f->base, .path = "away/3", .data = "three", .length = 5},
        {.base = f->base, .path = "d/4", .data = "four", .length = 4, .status = HP_E_WRONG_DIGEST},
        {.base = f->base, .path = "e/e/5", .data = "five", .length = 4},
        {.base = f->base, .path = "6", .data = "", .length = 0},
    };
    hp_part_write_small(files, HP_COUNT(files));
    if (files[0].status == -EOPNOTSUPP)
        skip();
    const int expected[] = {0, 0, -ELOOP, HP_E_WRONG_DIGEST, 0, 0};
    for (size_t i = 0; i < HP_COUNT(files); i++)
        assert_int_equal(files[i].status, expected[i]);
    assert_string_equal(files[1].name, "2 (1)");
    assert_true(strstr(files[2].err.detail, "away") != NULL);
    assert_holds(f, "d/1", "one");
    assert_holds(f, "d/2", "before");
    assert_holds(f, "d/2 (1)", "two");
    assert_holds(f, "e/e/5", "five");
    assert_holds(f, "6", "");
    assert_int_equal(access(at(f, "d/4"), F_OK), -1);
}

enum { MANY = 40 };

static void many_files_are_synced_by_two_calls_and_fail_together(void **state)
{
    fixture_t *f = *state;
    int folder = open(f->base, O_RDONLY | O_DIRECTORY);
    bool together = hp_disk_syncs_all_well(folder);
    close(folder);
    if (!together)
        skip();
    char *paths[MANY];
    hp_part_small_t files[MANY];
    for (size_t i = 0; i < MANY; i++)
        paths[i] = hp_sprintf("m%zu/%zu", i % 3, i);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++) {
            files[i] = (hp_part_small_t){.base = f->base, .path = paths[i], .data = "many", .length = 4};
        }
        files[7].status = HP_E_WRONG_DIGEST;
        syncs = 0;
        sync_error = round == 0 ? EIO : 0;
        hp_part_write_small(files, MANY);
        sync_error = 0;
        assert_int_equal(syncs, 2);
        for (size_t i = 0; i < MANY; i++) {
            assert_int_equal(files[i].status, i == 7 ? HP_E_WRONG_DIGEST : round == 0 ? -EIO : 0);
            if (round == 0) /* nothing has a name that may be lost */
                assert_int_equal(access(at(f, paths[i]), F_OK), -1);
            else if (i != 7)
                assert_holds(f, paths[i], "many");
            if (round > 0 && i != 7) /* what a crash has left is taken for its own */
                assert_string_equal(files[i].name, hp_path_name(paths[i]));
        }
    }
    for (size_t i = 0; i < MANY; i++)
        free(paths[i]);
}

static void a_free_name_is_told_from_a_taken_one(void **state)
{
    fixture_t *f = *state;
    bool is_free = false;
    assert_int_equal(hp_part_is_free(f->base, "x", &is_free, &f->err), 0);
    assert_true(is_free);
    assert_int_equal(symlink("/nowhere", at(f, "x")), 0);
    assert_int_equal(hp_part_is_free(f->base, "x", &is_free, &f->err), 0);
    assert_false(is_free);
    assert_int_equal(hp_part_is_free(f->base, "no/such/x", &is_free, &f->err), 0);
    assert_true(is_free);
}

static void a_sync_that_is_interrupted_after_the_renaming_is_no_failure(void **state)
{
    fixture_t *f = *state;
    int fd = make_part(f, "x", "12345");
    interruptions = 2;
    assert_int_equal(hp_part_finish(fd, f->base, "x", f->name, 5, f->final_name, &f->err), 0);
    assert_int_equal(interruptions, 0);
    assert_holds(f, "x", "12345");
    close(fd);
}

static void a_small_file_that_cannot_be_linked_is_left_to_the_other_way(void **state)
{
    fixture_t *f = *state;
    static const int errors[] = {EPERM, ENOENT, EACCES, EXDEV};
    for (size_t i = 0; i < HP_COUNT(errors); i++) {
        link_error = errors[i];
        int rc = write_small(f, "s.txt", "one");
        link_error = 0;
        assert_int_equal(rc, -EOPNOTSUPP);
    }
    link_error = EIO;
    int rc = write_small(f, "s.txt", "one");
    link_error = 0;
    assert_int_equal(rc, -EIO);
}

static void refuse_to_finish(fixture_t *f, int fd, const char *words)
{
    f->err = (hp_err_t){0};
    assert_int_equal(hp_part_finish(fd, f->base, "x", f->name, 5, f->final_name, &f->err), HP_E_CONFLICT);
    assert_non_null(strstr(f->err.detail, words));
    assert_int_equal(access(at(f, "x"), F_OK), -1); /* nothing got the name */
}

static void what_is_not_the_file_that_was_written_is_not_finished(void **state)
{
    fixture_t *f = *state;
    int fd = make_part(f, "x", "12345");
    assert_int_equal(hp_part_compare(fd, f->base, "x", f->name, &f->err), 0);
    char *own = hp_strdup(f->name);
    assert_int_equal(ftruncate(fd, 3), 0);
    refuse_to_finish(f, fd, "3 bytes long instead of 5");
    assert_int_equal(ftruncate(fd, 5), 0);
    char *part = hp_strdup(at(f, own));
    assert_int_equal(rename(part, at(f, "mine")), 0);
    refuse_to_finish(f, fd, "removed or renamed");
    assert_int_equal(hp_part_compare(fd, f->base, "x", own, &f->err), HP_E_CONFLICT);
    put(f, own, "other");
    refuse_to_finish(f, fd, "replaced");
    assert_int_equal(unlink(part), 0);
    assert_int_equal(symlink("mine", part), 0);
    refuse_to_finish(f, fd, "replaced");
    close(fd);
    free(part);
    free(own);
}

static void a_file_is_reserved_as_its_bytes_arrive(void **state)
{
    fixture_t *f = *state;
    uint64_t mib = 1 << 20, size = 700 * mib;
    int fd = hp_part_create(f->base, "x", 7, f->name, &f->identity, &f->err);
    disk_free = 800 * mib;
    assert_int_equal(hp_part_reserve(fd, size, 0, &f->reserved, &f->err), 0);
    assert_int_equal(f->reserved, 100 * mib);
    assert_int_equal(stat_of(f, f->name).st_size, size);
    assert_in_range((uint64_t)stat_of(f, f->name).st_blocks * 512, 100 * mib, 101 * mib);
    assert_int_equal(hp_part_reserve(fd, size, 60 * mib, &f->reserved, &f->err), 0);
    assert_int_equal(f->reserved, 120 * mib);
    disk_free = 500 * mib; /* the rest cannot fit any more */
    assert_int_equal(hp_part_reserve(fd, size, 60 * mib, &f->reserved, &f->err), HP_E_NO_SPACE);
    disk_free = UINT64_C(1) << 40;
    assert_int_equal(hp_part_reserve(fd, 8 * mib, 0, &f->reserved, &f->err), 0);
    assert_int_equal(f->reserved, 8 * mib); /* a small part of what is free: at once */
    disk_free = 0;
    close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_new_file_goes_from_its_part_to_its_name),
        T(a_name_that_was_taken_meanwhile_is_not_replaced),
        T(a_file_system_that_only_links_replaces_nothing_either),
        T(a_file_system_that_can_only_rename_replaces_nothing_either),
        T(an_empty_part_of_a_crash_is_taken_up),
        T(a_part_with_bytes_in_it_is_left_alone),
        T(the_recorded_part_is_opened_again),
        T(a_part_of_another_size_or_file_is_missing),
        T(a_reservation_that_fails_gives_back_what_it_got),
        T(a_device_number_of_another_boot_is_not_compared),
        T(a_part_that_was_made_later_with_the_same_inode_is_another_one),
        T(a_program_may_be_run_as_far_as_the_umask_allows),
        T(a_part_that_was_copied_is_opened_for_a_closer_look),
        T(a_part_that_is_shorter_than_its_record_holds_no_chunks),
        T(a_final_file_whose_part_is_gone_is_found),
        T(only_the_recorded_part_is_removed),
        T(a_link_does_not_lead_out_of_the_folder),
        T(a_small_file_lands_in_one_step_and_replaces_nothing),
        T(a_sync_that_is_interrupted_after_the_renaming_is_no_failure),
        T(a_small_file_that_cannot_be_linked_is_left_to_the_other_way),
        T(what_is_not_the_file_that_was_written_is_not_finished),
        T(a_file_is_reserved_as_its_bytes_arrive),
        T(a_free_name_is_told_from_a_taken_one),
        T(a_small_file_that_is_there_gets_the_time_that_is_wanted),
        T(small_files_are_written_together_and_each_has_its_own_end),
        T(many_files_are_synced_by_two_calls_and_fail_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
