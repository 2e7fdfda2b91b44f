// libs: transfer fetch share store db path pool os base
/* Downloads and a disk that is full, is wanted by two, lies about its room, fails, or loses its power. */
#include "test_transfer.h"

#include <fcntl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "db/download.h"

/* ---- a full disk ---- */

typedef struct row {
    hp_download_row_t row;
} row_t;

static int work_insert(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_download_row_t *row = &((row_t *)arg)->row;
    int rc = hp_db_download_insert(db, row, err);
    if (rc == 0)
        rc = hp_db_download_update(db, row, err);
    hp_download_file_row_t file = {.download = row->id,
                                   .path = row->path,
                                   .source_path = (char *)"",
                                   .state = (char *)"open",
                                   .size = HP_DB_SIZE_UNKNOWN};
    return rc == 0 ? hp_db_download_file_insert(db, &file, err) : rc;
}

/* A download as a full disk leaves it. Before start(). */
static int64_t put_waiting_for_disk(fixture_t *f, const char *base)
{
    row_t row = {.row = {.base = (char *)base,
                         .path = (char *)"f",
                         .order_url = f->dead_url,
                         .state = (char *)"paused",
                         .reason = (char *)"The disk is full; it goes on by itself when there is room",
                         .error_detail = (char *)"",
                         .error_code = HP_E_NO_SPACE,
                         .disk_wait = true,
                         .created_at = 1}};
    hp_err_t err = {0};
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, work_insert, &row, &err), 0);
    return row.row.id;
}

static bool is_looked_at(fixture_t *f)
{
    return hp_transfer_free_bytes(f->transfer) > 0;
}

static void what_waits_for_room_goes_on_by_itself(void **state)
{
    fixture_t *f = *state;
    f->id = put_waiting_for_disk(f, f->downloads);
    start(f, 3);
    wait_until(f, first_runs);
}

static void what_waits_for_room_stays_paused_when_a_person_pauses_all(void **state)
{
    fixture_t *f = *state;
    int64_t id = put_waiting_for_disk(f, f->downloads);
    start(f, 3);
    hp_transfer_pause_all(f->transfer);
    wait_until(f, is_looked_at);
    hp_download_info_t info = info_of(f, id);
    assert_int_equal(info.state, HP_DOWNLOAD_PAUSED);
    assert_string_equal(info.reason, ""); /* it does not go on by itself any more */
    assert_int_equal(info.error_code, 0);
}

static void what_waits_for_room_stays_paused_when_a_person_pauses_it(void **state)
{
    fixture_t *f = *state;
    int64_t id = put_waiting_for_disk(f, f->downloads);
    start(f, 3);
    hp_transfer_pause(f->transfer, id, on_answer, f);
    wait_until(f, is_looked_at);
    wait_until(f, is_answered);
    hp_download_info_t info = info_of(f, id);
    assert_int_equal(info.state, HP_DOWNLOAD_PAUSED);
    assert_string_equal(info.reason, "");
}

static void what_waits_for_room_is_found_among_many_that_run(void **state)
{
    fixture_t *f = *state;
    char *base = hp_sprintf("%s/disk", f->folder);
    assert_int_equal(symlink("/proc", base), 0); /* no room there, ever */
    int64_t id = put_waiting_for_disk(f, base);
    start(f, 3);
    for (unsigned i = 0; i < 80; i++) {
        char url[80];
        snprintf(url, sizeof url, "%s/%u", f->dead_url, i);
        order_url(f, url);
    }
    f->id = id;
    uint64_t end = hp_clock_ms() + GUARD_MS;
    while (count_waiting(f) < 80) {
        assert_true(hp_clock_ms() < end);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(info_of(f, id).state, HP_DOWNLOAD_PAUSED);
    assert_int_equal(unlink(base), 0);
    assert_int_equal(mkdir(base, 0700), 0);
    wait_until(f, first_runs);
    free(base);
}

/* ---- a disk that two downloads want ---- */

#define LONG ((off_t)40 << 20)

static atomic_int reservations;
static uv_sem_t reservation_goes_on;
static _Atomic off_t free_on_disk = -1; /* what statvfs(2) says in this program; -1: the truth */

static atomic_bool is_over_quota; /* reservations are refused, however much is free */
static atomic_int refusals;
static bool is_sparse;          /* reservations only set the length */
static bool cut_at_reservation; /* see below: power cuts */
static void cut_power(void);

/* While the disk is small: the first reservation takes its time and succeeds, the second finds no room. */
int fallocate(int fd, int mode, off_t offset, off_t length)
{
    int number = free_on_disk >= 0 ? reservations++ : -1;
    if (number == 1) {
        errno = ENOSPC;
        return -1;
    }
    if (number == 0)
        uv_sem_wait(&reservation_goes_on);
    if (is_over_quota) {
        refusals++;
        errno = EDQUOT;
        return -1;
    }
    if (cut_at_reservation)
        cut_power();
    if (is_sparse)
        return ftruncate(fd, offset + length);
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int statvfs(const char *path, struct statvfs *fs)
{
    struct statfs kernel;
    if (syscall(SYS_statfs, path, &kernel) != 0)
        return -1;
    off_t available = (off_t)(kernel.f_bavail * (uint64_t)kernel.f_bsize);
    if (free_on_disk >= 0)
        available = free_on_disk;
    *fs = (struct statvfs){.f_frsize = 1, .f_bsize = 1, .f_bavail = (fsblkcnt_t)available};
    return 0;
}

/* A sparse disk has room for whatever anybody says. */
int fstatvfs(int fd, struct statvfs *fs)
{
    struct statfs kernel;
    if (syscall(SYS_fstatfs, fd, &kernel) != 0)
        return -1;
    uint64_t available = kernel.f_bavail * (uint64_t)kernel.f_bsize;
    *fs =
        (struct statvfs){.f_frsize = 1, .f_bsize = 1, .f_bavail = is_sparse ? UINT64_C(1) << 60 : available};
    return 0;
}

static void serve_heads(server_t *server, int fd, int number)
{
    char request[4096];
    (void)number;
    if (!read_request(server, fd, request, sizeof request))
        return;
    char *head = hp_sprintf("HTTP/1.1 206 Partial Content\r\nETag: \"1\"\r\nContent-Length: 4194304\r\n"
                            "Content-Range: bytes 0-4194303/%lld\r\n\r\n",
                            (long long)LONG);
    send_text(fd, head);
    free(head);
    wait_for_end(fd);
}

static bool one_is_reserving(fixture_t *f)
{
    (void)f;
    return reservations == 1;
}

static bool two_are_paused(fixture_t *f)
{
    return info_of(f, 1).state == HP_DOWNLOAD_PAUSED && info_of(f, 2).state == HP_DOWNLOAD_PAUSED;
}

static bool one_goes_on(fixture_t *f)
{
    return info_of(f, 1).state == HP_DOWNLOAD_RUNNING || info_of(f, 2).state == HP_DOWNLOAD_RUNNING;
}

static void of_two_that_are_paused_by_one_disk_the_one_with_its_room_goes_on(void **state)
{
    fixture_t *f = *state;
    server_t server;
    server_start(&server, serve_heads, NULL);
    assert_int_equal(uv_sem_init(&reservation_goes_on, 0), 0);
    char url[80];
    reservations = 0;
    free_on_disk = (24 << 20); /* what is left when one has its room */
    start(f, 2);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/1", server.port);
    order_url(f, url);
    wait_until(f, one_is_reserving);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/2", server.port);
    order_url(f, url);
    wait_until(f, two_are_paused);
    uv_sem_post(&reservation_goes_on);
    wait_until(f, one_goes_on);
    assert_false(two_are_paused(f));
    free_on_disk = -1;
    close_next(f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    server_stop(&server);
    uv_sem_destroy(&reservation_goes_on);
}

/* ---- a disk with holes ---- */

static bool a_part_is_asked_for(fixture_t *f)
{
    (void)f;
    return watched->script.waiting > 0;
}

static void a_file_whose_chunks_are_longer_than_the_first_look_is_fetched(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    is_sparse = true;
    serve(&file, (uint64_t)300 << 30, 2, true);
    start(f, 1);
    int64_t id = order_url(f, file.url);
    wait_until(f, a_part_is_asked_for);
    hp_download_info_t info = info_of(f, id);
    assert_int_equal(info.state, HP_DOWNLOAD_RUNNING);
    assert_int_equal(info.size, (uint64_t)300 << 30);
    assert_int_equal(info.chunk_size, 8 << 20);
    is_sparse = false;
    serve_no_more(f, &file);
}

/* ---- power cuts and disks that fail ---- */

static const char *db_folder; /* power cuts are tried when it is set */
static char after_cut[512];   /* the folder with what they leave */
static _Atomic off_t journal_synced;

static void copy_up_to(const char *from, const char *to, off_t length)
{
    size_t size = 0;
    char *bytes = read_whole(from, &size);
    FILE *file = fopen(to, "wb");
    assert_non_null(file);
    if (length >= 0 && (size_t)length < size)
        size = (size_t)length;
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    free(bytes);
}

/* What the database is after a power cut now, if it comes at the worst moment. */
static void cut_power(void)
{
    char from[700], to[700];
    snprintf(from, sizeof from, "%s/" HP_DB_FILE, db_folder);
    snprintf(to, sizeof to, "%s/" HP_DB_FILE, after_cut);
    copy_up_to(from, to, -1);
    snprintf(from, sizeof from, "%s/" HP_DB_FILE "-wal", db_folder);
    snprintf(to, sizeof to, "%s/" HP_DB_FILE "-wal", after_cut);
    copy_up_to(from, to, journal_synced);
}

static hp_download_file_row_t row_after_cut(void)
{
    hp_db_t *db;
    hp_download_file_row_t row = {0};
    size_t count = 0;
    char path[700];
    snprintf(path, sizeof path, "%s/" HP_DB_FILE, after_cut);
    assert_int_equal(hp_db_open(path, &db, NULL), 0);
    assert_int_equal(hp_db_download_file_page(db, 1, 0, &row, 1, &count, NULL), 0);
    assert_int_equal(count, 1);
    hp_db_close(db);
    return row;
}

static bool cut_at_rename;
static atomic_int failing_syncs; /* of part files, to come */

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    if (cut_at_rename)
        cut_power();
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

static int sync_one(int fd)
{
    char link[64], path[700];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    struct stat st;
    if (strstr(path, HP_DB_FILE "-wal") != NULL && fstat(fd, &st) == 0)
        journal_synced = st.st_size;
    if (strstr(path, "hostpair-part") != NULL && failing_syncs > 0) {
        failing_syncs--;
        assert_int_equal(pwrite(fd, "lost", 4, 3 << 20), 4); /* a page that the disk did not take */
        errno = EIO;
        return -1;
    }
    return 0;
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    return sync_one(fd);
}
__attribute__((visibility("default"))) int fdatasync(int fd)
{
    return sync_one(fd);
}

static void start_with_power_cuts(fixture_t *f)
{
    db_folder = hp_sprintf("%s/data", f->folder);
    snprintf(after_cut, sizeof after_cut, "%s/after", f->folder);
    assert_int_equal(mkdir(after_cut, 0700), 0);
    start(f, 1);
}

static void power_is_safe(fixture_t *f)
{
    cut_at_reservation = cut_at_rename = false;
    (void)f;
    free((char *)(uintptr_t)db_folder);
    db_folder = NULL;
}

static void a_part_file_is_on_record_before_its_first_byte_also_after_a_power_cut(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    serve(&file, (uint64_t)8 << 20, 0, false);
    cut_at_reservation = true;
    start_with_power_cuts(f);
    order_url(f, file.url);
    wait_until(f, has_finished);
    power_is_safe(f);
    hp_download_file_row_t row = row_after_cut();
    assert_non_null(row.part);
    assert_int_equal(row.size, 8 << 20);
    hp_download_file_row_dispose(&row);
    serve_no_more(f, &file);
}

static void a_file_under_its_name_is_on_record_as_complete_also_after_a_power_cut(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    serve(&file, (uint64_t)8 << 20, 0, false);
    cut_at_rename = true;
    start_with_power_cuts(f);
    order_url(f, file.url);
    wait_until(f, has_finished);
    power_is_safe(f);
    hp_download_file_row_t row = row_after_cut();
    assert_string_equal(row.state, "finishing");
    assert_int_equal(row.chunks_done, 8);
    hp_download_file_row_dispose(&row);
    serve_no_more(f, &file);
}

static bool is_paused(fixture_t *f)
{
    return info_of(f, f->id).state == HP_DOWNLOAD_PAUSED;
}

static void after_a_sync_that_failed_the_chunks_are_hashed_again(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    serve(&file, (uint64_t)8 << 20, 0, false);
    failing_syncs = 1;
    start(f, 1);
    int64_t id = order_url(f, file.url);
    wait_until(f, is_paused);
    assert_int_equal(info_of(f, id).error_code, HP_E_DISK);
    hp_transfer_resume(f->transfer, id, on_answer, f);
    wait_until(f, has_finished);
    char *path = hp_transfer_final_path(f->transfer, id);
    size_t size = 0;
    char *bytes = read_whole(path, &size);
    assert_int_equal(size, 8 << 20);
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            fail_msg("what was lost at %zu was believed", i);
    free(bytes);
    free(path);
    serve_no_more(f, &file);
}

/* ---- a disk that lies about its room ---- */

static bool has_tried_four_times(fixture_t *f)
{
    (void)f;
    return refusals >= 4;
}

static void a_disk_that_says_it_has_room_and_does_not_is_tried_less_and_less(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    serve(&file, (uint64_t)8 << 20, 0, false);
    refusals = 0;
    is_over_quota = true;
    start(f, 1);
    order_url(f, file.url);
    uint64_t before = hp_clock_ms();
    wait_until(f, has_tried_four_times);
    assert_in_range(hp_clock_ms() - before, 5500, GUARD_MS); /* 0, 2 and 4 s between them */
    is_over_quota = false;
    hp_transfer_pause_all(f->transfer);
    hp_transfer_resume_all(f->transfer); /* a person need not wait */
    wait_until(f, has_finished);
    serve_no_more(f, &file);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_waits_for_room_goes_on_by_itself),
        T(what_waits_for_room_stays_paused_when_a_person_pauses_all),
        T(what_waits_for_room_stays_paused_when_a_person_pauses_it),
        T(what_waits_for_room_is_found_among_many_that_run),
        T(of_two_that_are_paused_by_one_disk_the_one_with_its_room_goes_on),
        T(a_file_whose_chunks_are_longer_than_the_first_look_is_fetched),
        T(a_part_file_is_on_record_before_its_first_byte_also_after_a_power_cut),
        T(a_file_under_its_name_is_on_record_as_complete_also_after_a_power_cut),
        T(after_a_sync_that_failed_the_chunks_are_hashed_again),
        T(a_disk_that_says_it_has_room_and_does_not_is_tried_less_and_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
