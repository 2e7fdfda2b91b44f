// libs: transfer fetch share store db path pool os base
/* Files that are too long for the file system of the downloads folder. FAT takes files of less than 4 GiB;
 * there is none here, so fstatfs(2) and the calls that make a file longer say below what FAT would. */
#include "test_transfer.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "os/disk.h"
#include "transfer/part.h"

#define GIB4 (UINT64_C(1) << 32)

static atomic_bool is_fat;    /* says what it is */
static atomic_ullong longest; /* bytes of the longest file that is taken; 0: any */
static atomic_int refusals;

int fstatfs(int fd, struct statfs *out)
{
    int rc = (int)syscall(SYS_fstatfs, fd, out);
    if (rc == 0 && is_fat)
        out->f_type = MSDOS_SUPER_MAGIC;
    return rc;
}

static bool is_too_long(off_t end)
{
    if (longest == 0 || (uint64_t)end <= longest)
        return false;
    refusals++;
    errno = EFBIG;
    return true;
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    return is_too_long(offset + length) ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int ftruncate(int fd, off_t length)
{
    return is_too_long(length) ? -1 : (int)syscall(SYS_ftruncate, fd, length);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    if (is_too_long(offset + (off_t)length))
        return -1;
    return syscall(SYS_pwrite64, fd, data, length, offset);
}

static void what_the_longest_file_is_depends_on_the_file_system(void **state)
{
    fixture_t *f = *state;
    int fd = open(f->folder, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    assert_true(hp_disk_file_max(fd) == UINT64_MAX);
    is_fat = true;
    assert_true(hp_disk_file_max(fd) == GIB4 - 1);
    close(fd);
    hp_err_t err = {0};
    assert_int_equal(hp_part_takes(f->downloads, GIB4 - 1, &err), 0);
    assert_int_equal(hp_part_takes(f->downloads, GIB4, &err), HP_E_TOO_LARGE);
    assert_string_equal(err.detail,
                        "The file system of the downloads folder cannot hold files of 4 GiB or more; "
                        "choose another downloads folder");
    is_fat = false;
    assert_int_equal(hp_part_takes(f->downloads, GIB4, &err), 0);
    start(f, 1);
}

static bool has_failed(fixture_t *f)
{
    return info_of(f, f->id).state == HP_DOWNLOAD_FAILED;
}

static unsigned files_in(const char *folder)
{
    unsigned count = 0;
    DIR *stream = opendir(folder);
    assert_non_null(stream);
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(stream);
    return count;
}

static void assert_failed_for_its_length(fixture_t *f, const char *words)
{
    wait_until(f, has_failed);
    hp_download_info_t info = info_of(f, f->id);
    assert_int_equal(info.error_code, HP_E_TOO_LARGE);
    assert_non_null(strstr(info.error_detail, words));
    assert_non_null(strstr(info.error_detail, "choose another downloads folder"));
    assert_string_equal(hp_err_slug(info.error_code), "too-large");
}

static void a_file_of_4_gib_is_refused_by_fat_before_a_byte_of_it_is_taken(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    is_fat = true;
    serve(&file, GIB4, 0, false);
    start(f, 1);
    order_url(f, file.url);
    assert_failed_for_its_length(f, "cannot hold files of 4 GiB or more");
    assert_int_equal(info_of(f, f->id).done_bytes, 0);
    assert_int_equal(hp_transfer_bytes(f->transfer), 0);
    assert_int_equal(files_in(f->downloads), 0);
    is_fat = false;
    serve_no_more(f, &file);
}

static void a_shorter_one_is_fetched_there(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    is_fat = true;
    serve(&file, (uint64_t)8 << 20, 0, false);
    start(f, 1);
    order_url(f, file.url);
    wait_until(f, has_finished);
    is_fat = false;
    serve_no_more(f, &file);
}

/* A file system that does not say that it is FAT, as behind FUSE. */
static void a_file_that_cannot_be_made_so_long_fails_with_that_sentence(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    longest = GIB4 - 1;
    serve(&file, GIB4 + 5, 0, false);
    start(f, 1);
    order_url(f, file.url);
    assert_failed_for_its_length(f, "cannot hold files of 4 GiB or more");
    assert_int_equal(hp_transfer_bytes(f->transfer), 0);
    longest = 0;
    serve_no_more(f, &file);
}

static bool a_part_is_asked_for(fixture_t *f)
{
    (void)f;
    return watched->script.waiting > 0;
}

static void a_chunk_that_is_too_far_back_is_not_written_for_ever(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    serve(&file, (uint64_t)24 << 20, 2, false);
    start(f, 1);
    order_url(f, file.url);
    wait_until(f, a_part_is_asked_for);
    refusals = 0;
    longest = 1; /* from now on */
    for (int i = 0; i < file.script.keep; i++)
        uv_sem_post(&file.script.go_on);
    assert_failed_for_its_length(f, "does not take a file of this size");
    assert_in_range(refusals, 1, 24);
    longest = 0;
    serve_no_more(f, &file);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_the_longest_file_is_depends_on_the_file_system),
        T(a_file_of_4_gib_is_refused_by_fat_before_a_byte_of_it_is_taken),
        T(a_shorter_one_is_fetched_there),
        T(a_file_that_cannot_be_made_so_long_fails_with_that_sentence),
        T(a_chunk_that_is_too_far_back_is_not_written_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
