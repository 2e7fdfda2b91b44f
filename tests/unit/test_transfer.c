// libs: transfer fetch share store db path pool os base
/* The queue: which downloads run, and what people do to them at awkward moments. Nothing is downloaded here:
 * the sources are a port where nobody listens, one that takes connections and says nothing, and a server that
 * says how long its files are and then no more. */
#include "test_db_help.h"
#include "test_fetch.h"

#include <fcntl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/download.h"
#include "transfer/reader.h"
#include "transfer/transfer.h"

#define GUARD_MS 20000 /* a test that waits longer has failed */
#define HOST     "0123456789abcdef0123456789abcdef"
#define ROOT     HOST HOST

typedef struct fixture {
    uv_loop_t loop;
    hp_store_t *store;
    hp_fetcher_t *fetcher;
    hp_transfer_t *transfer;
    char *folder, *downloads;
    int dead, silent; /* sockets: bound and not listening; listening, but nobody accepts */
    char dead_url[64], silent_url[64];
    unsigned answered;
    int status; /* of the last answer */
    int64_t id;
    uv_sem_t hold; /* what the store's thread waits for while it is held */
} fixture_t;

static int open_port(char url[64], bool listens)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0 || (listens && listen(fd, 64) != 0))
        return -1;
    snprintf(url, 64, "http://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

static int set_up(void **state)
{
    void *folder;
    if (make_folder(&folder) != 0)
        return -1;
    fixture_t *f = hp_alloc(sizeof *f);
    f->folder = folder;
    f->downloads = hp_sprintf("%s/downloads", f->folder);
    *state = f;
    hp_log_set_level(HP_LOG_ERROR);
    f->dead = open_port(f->dead_url, false);
    f->silent = open_port(f->silent_url, true);
    hp_err_t err = {0};
    char *data = hp_sprintf("%s/data", f->folder);
    int rc = uv_sem_init(&f->hold, 0);
    rc = rc == 0 ? uv_loop_init(&f->loop) : rc;
    rc = rc == 0 ? hp_store_create(&f->store, &f->loop, data, &err) : rc;
    rc = rc == 0 ? hp_fetcher_create(&f->fetcher, &f->loop, &err) : rc;
    free(data);
    return rc == 0 && f->dead >= 0 && f->silent >= 0 ? 0 : -1;
}

static void close_next(void *arg)
{
    fixture_t *f = arg;
#define CLOSE(part, destroy)                                                                                 \
    if (f->part != NULL) {                                                                                   \
        void *handle = f->part;                                                                              \
        f->part = NULL;                                                                                      \
        destroy(handle, close_next, f);                                                                      \
        return;                                                                                              \
    }
    CLOSE(transfer, hp_transfer_destroy)
    CLOSE(fetcher, hp_fetcher_destroy)
    CLOSE(store, hp_store_destroy)
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    close_next(f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    int rc = uv_loop_close(&f->loop);
    uv_sem_destroy(&f->hold);
    close(f->dead);
    close(f->silent);
    void *folder = f->folder;
    free(f->downloads);
    free(f);
    return rc == 0 ? remove_folder(&folder) : rc;
}

static void start(fixture_t *f, unsigned running)
{
    hp_err_t err = {0};
    hp_transfer_settings_t settings = {
        .downloads_folder = f->downloads, .running_downloads = running, .connections_per_source = 2};
    assert_int_equal(hp_transfer_create(&f->transfer, &f->loop, f->store, f->fetcher, &settings, &err), 0);
    hp_transfer_start(f->transfer);
}

static void set_connections(fixture_t *f, unsigned connections)
{
    hp_transfer_settings_t settings = {
        .downloads_folder = f->downloads, .running_downloads = 1, .connections_per_source = connections};
    assert_int_equal(hp_transfer_set(f->transfer, &settings, NULL), 0);
}

static void on_answer(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    fixture_t *f = arg;
    (void)existing, (void)err;
    f->answered++;
    f->status = status;
    f->id = id;
}

/* Lets the loop run until fn is true. */
static void wait_until(fixture_t *f, bool (*fn)(fixture_t *f))
{
    uint64_t end = hp_clock_ms() + GUARD_MS;
    while (!fn(f)) {
        assert_true(hp_clock_ms() < end);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static bool is_answered(fixture_t *f)
{
    return f->answered > 0;
}

static int64_t order_url(fixture_t *f, const char *url)
{
    f->answered = 0;
    hp_transfer_add(f->transfer, &(hp_download_order_t){.url = url}, on_answer, f);
    wait_until(f, is_answered);
    assert_int_equal(f->status, 0);
    return f->id;
}

static hp_download_info_t info_of(fixture_t *f, int64_t id)
{
    hp_download_info_t info;
    assert_int_equal(hp_transfer_get(f->transfer, id, &info), 0);
    return info;
}

static bool is_waiting(const hp_download_info_t *info)
{
    return info->state == HP_DOWNLOAD_RUNNING && strncmp(info->reason, "Waiting for a source", 20) == 0;
}

static size_t count_waiting(fixture_t *f)
{
    size_t count = 0;
    hp_download_info_t info;
    for (size_t i = 0; hp_transfer_get_at(f->transfer, i, &info) == 0; i++)
        count += is_waiting(&info);
    return count;
}

static bool all_wait(fixture_t *f)
{
    return count_waiting(f) == hp_transfer_count(f->transfer);
}

static bool first_runs(fixture_t *f)
{
    return info_of(f, f->id).state == HP_DOWNLOAD_RUNNING;
}

static bool first_has_a_peer_that_failed(fixture_t *f)
{
    hp_download_info_t info = info_of(f, f->id);
    return info.source_count == 1 && info.sources[0].error[0] != '\0';
}

/* ---- the store's thread, held ---- */

static int work_hold(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)db, (void)err;
    uv_sem_wait(&((fixture_t *)arg)->hold);
    return 0;
}

static void hold_store(fixture_t *f)
{
    hp_store_post(f->store, HP_STORE_READ, work_hold, NULL, f);
}

/* ---- what people do, one thing after the other, faster than the store answers ---- */

static void a_retry_that_is_resumed_at_once_runs(void **state)
{
    fixture_t *f = *state;
    start(f, 3);
    int64_t id = order_url(f, f->dead_url);
    wait_until(f, all_wait);
    f->answered = 0;
    hold_store(f);
    hp_transfer_retry(f->transfer, id, on_answer, f);
    hp_transfer_resume(f->transfer, id, on_answer, f);
    wait_until(f, first_runs);
    uv_sem_post(&f->hold);
    wait_until(f, is_answered);
    wait_until(f, first_has_a_peer_that_failed); /* it does what a running one does */
    assert_int_equal(info_of(f, id).state, HP_DOWNLOAD_RUNNING);
}

static bool are_both_answered(fixture_t *f)
{
    return f->answered == 2;
}

static void a_retry_that_is_paused_at_once_is_paused(void **state)
{
    fixture_t *f = *state;
    start(f, 3);
    int64_t id = order_url(f, f->dead_url);
    wait_until(f, all_wait);
    f->answered = 0;
    hp_transfer_retry(f->transfer, id, on_answer, f);
    hp_transfer_pause(f->transfer, id, on_answer, f);
    wait_until(f, are_both_answered);
    assert_int_equal(info_of(f, id).state, HP_DOWNLOAD_PAUSED);
}

static int work_insert_done(hp_db_t *db, void *arg, hp_err_t *err)
{
    fixture_t *f = arg;
    hp_download_row_t row = {.base = f->downloads,
                             .path = (char *)"f",
                             .order_root = (char *)ROOT,
                             .state = (char *)"done",
                             .reason = (char *)"",
                             .created_at = 1};
    int rc = hp_db_download_insert(db, &row, err);
    f->id = row.id;
    hp_download_file_row_t file = {.download = row.id,
                                   .path = (char *)"f (1)", /* the stop came before the download's row knew */
                                   .source_path = (char *)"",
                                   .state = (char *)"done",
                                   .size = 1,
                                   .root = (char *)ROOT,
                                   .chunk_size = 1 << 20};
    return rc == 0 ? hp_db_download_file_insert(db, &file, err) : rc;
}

static void put_done(fixture_t *f)
{
    hp_err_t err = {0};
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, work_insert_done, f, &err), 0);
}

/* A finished download is in the store alone until somebody asks for it. */
static void load(fixture_t *f, int64_t id)
{
    hp_download_info_t info;
    assert_int_equal(hp_transfer_get(f->transfer, id, &info), HP_E_NOT_FOUND);
    f->answered = 0;
    hp_transfer_load(f->transfer, id, on_answer, f);
    wait_until(f, is_answered);
    assert_int_equal(f->status, 0);
    f->answered = 0;
}

static void a_file_is_where_its_row_says_after_a_crash_between_two_commits(void **state)
{
    fixture_t *f = *state;
    put_done(f);
    start(f, 1);
    load(f, f->id);
    char *path = hp_transfer_final_path(f->transfer, f->id), *expected = hp_sprintf("%s/f (1)", f->downloads);
    assert_string_equal(path, expected);
    free(path);
    free(expected);
}

static void an_order_for_what_is_just_being_removed_does_not_bring_it_back(void **state)
{
    fixture_t *f = *state;
    put_done(f);
    start(f, 1);
    load(f, f->id);
    char *path = hp_transfer_final_path(f->transfer, f->id);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    free(path);
    hp_transfer_remove(f->transfer, f->id, false, NULL, NULL);
    hp_transfer_add(f->transfer, &(hp_download_order_t){.root = ROOT}, on_answer, f);
    wait_until(f, is_answered);
    assert_int_equal(f->status, HP_E_NOT_FOUND); /* no host has it */
    assert_int_equal(hp_transfer_count(f->transfer), 0);
}

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

/* ---- runs of chunks, from a server with a file of zeros ---- */

typedef struct script {
    uint64_t size;
    atomic_int heads;         /* replies that have begun, but for the first look's */
    atomic_int waiting;       /* requests that are kept waiting */
    int keep;                 /* how many requests after the first look are kept waiting, without a head */
    bool cut;                 /* they are cut then */
    _Atomic uint64_t longest; /* range asked for after them */
    uv_sem_t go_on;           /* posted for each of them */
} script_t;

static bool send_zeros(int fd, uint64_t length)
{
    static const char zeros[65536];
    bool fine = true;
    for (; fine && length > 0; length -= HP_MIN(length, sizeof zeros))
        fine = send_all(fd, zeros, HP_MIN(length, sizeof zeros));
    return fine;
}

static bool send_range(const script_t *script, int fd, unsigned long long first, unsigned long long last)
{
    last = HP_MIN(last, (unsigned long long)script->size - 1);
    char *head = hp_sprintf("HTTP/1.1 206 Partial Content\r\nETag: \"1\"\r\nContent-Length: %llu\r\n"
                            "Content-Range: bytes %llu-%llu/%llu\r\n\r\n",
                            last + 1 - first, first, last, (unsigned long long)script->size);
    bool fine = send_text(fd, head) && send_zeros(fd, last + 1 - first);
    free(head);
    return fine;
}

static void serve_ranges(server_t *server, int fd, int number)
{
    script_t *script = (script_t *)(uintptr_t)server->script;
    char request[4096];
    (void)number;
    while (read_request(server, fd, request, sizeof request)) {
        unsigned long long first = 0, last = 0;
        const char *range = strstr(request, "Range: bytes=");
        if (range == NULL || sscanf(range, "Range: bytes=%llu-%llu", &first, &last) != 2)
            return;
        bool is_first_look = first == 0 && last == (4 << 20) - 1;
        if (!is_first_look && script->heads++ < script->keep) {
            script->waiting++;
            uv_sem_wait(&script->go_on);
            script->waiting--;
            if (script->cut)
                return;
        }
        if (script->heads > script->keep && last + 1 - first > script->longest)
            script->longest = last + 1 - first;
        if (!send_range(script, fd, first, last) || is_first_look)
            return; /* so that every connection after it is a new one: a lost old one is replaced at once */
    }
}

typedef struct served_file {
    server_t server;
    script_t script;
    char url[80];
} served_file_t;

static void serve(served_file_t *file, uint64_t size, int keep, bool cut)
{
    file->script = (script_t){.size = size, .keep = keep, .cut = cut};
    assert_int_equal(uv_sem_init(&file->script.go_on, 0), 0);
    server_start(&file->server, serve_ranges, &file->script);
    snprintf(file->url, sizeof file->url, "http://127.0.0.1:%u/f", file->server.port);
}

static void serve_no_more(fixture_t *f, served_file_t *file)
{
    for (int i = 0; i < file->script.keep; i++)
        uv_sem_post(&file->script.go_on);
    close_next(f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    server_stop(&file->server);
    uv_sem_destroy(&file->script.go_on);
}

static bool has_60_mib(fixture_t *f)
{
    return info_of(f, f->id).done_bytes == (uint64_t)60 << 20;
}

static bool has_finished(fixture_t *f)
{
    return info_of(f, f->id).state == HP_DOWNLOAD_DONE;
}

static void a_run_whose_tail_was_taken_over_does_not_get_it_back(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    serve(&file, (uint64_t)64 << 20, 1, false);
    start(f, 1);
    order_url(f, file.url);
    wait_until(f,
               has_60_mib); /* the other connection has taken over all but the last four chunks of the run */
    assert_int_equal(file.script.waiting, 1);
    uv_sem_post(&file.script.go_on);
    wait_until(f, has_finished);
    assert_int_equal(hp_transfer_bytes(f->transfer), (uint64_t)64 << 20); /* nothing came twice */
    serve_no_more(f, &file);
}

static served_file_t *watched; /* by the conditions below */

static bool eight_are_waiting(fixture_t *f)
{
    (void)f;
    return watched->script.waiting == 8;
}

static bool a_ninth_has_come(fixture_t *f)
{
    (void)f;
    return watched->script.heads > 8;
}

static void connections_that_are_lost_together_count_as_one_failure(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    serve(watched = &file, (uint64_t)64 << 20, 8, true);
    start(f, 1);
    set_connections(f, 8);
    order_url(f, file.url);
    wait_until(f, eight_are_waiting);
    uint64_t before = hp_clock_ms();
    for (int i = 0; i < 8; i++)
        uv_sem_post(&file.script.go_on);
    wait_until(f, a_ninth_has_come);
    assert_in_range(hp_clock_ms() - before, 400, 10000); /* 0.5 s, and not the 30 s of eight in a row */
    serve_no_more(f, &file);
}

static bool a_part_is_asked_for(fixture_t *f)
{
    (void)f;
    return watched->script.waiting == 2;
}

static void a_file_whose_chunks_are_longer_than_the_first_look_is_fetched(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    is_sparse = true;
    serve(watched = &file, (uint64_t)300 << 30, 2, true);
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

/* ---- readers ---- */

static void on_no_read(void *arg, int status, const void *data, size_t length)
{
    (void)data, (void)length;
    *(int *)arg = status;
}

static bool two_are_waiting(fixture_t *f)
{
    (void)f;
    return watched->script.waiting == 2;
}

static bool is_settled(fixture_t *f)
{
    return watched->script.waiting == 0 && watched->script.heads >= 4 && info_of(f, f->id).chunks_done > 8;
}

static void runs_are_long_again_when_nobody_reads_along_any_more(void **state)
{
    fixture_t *f = *state;
    served_file_t file;
    serve(watched = &file, (uint64_t)256 << 20, 2, true);
    start(f, 1);
    int64_t id = order_url(f, file.url);
    wait_until(f, two_are_waiting);
    hp_reader_t *content;
    hp_reader_info_t info;
    int status = 0;
    assert_int_equal(hp_reader_open(f->transfer, id, &content, &info, NULL), 0);
    hp_reader_read(content, (uint64_t)200 << 20, 4096, on_no_read, &status);
    uv_run(&f->loop, UV_RUN_NOWAIT); /* it is wanted from now on */
    uv_run(&f->loop, UV_RUN_NOWAIT);
    hp_reader_close(content);
    assert_int_equal(status, UV_ECANCELED);
    uv_sem_post(&file.script.go_on);
    uv_sem_post(&file.script.go_on);
    wait_until(f, is_settled);
    assert_true(file.script.longest > (uint64_t)8 << 20);
    serve_no_more(f, &file);
}

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

/* ---- places ---- */

static void host_is(fixture_t *f, const char *url, bool online)
{
    hp_endpoint_t endpoint;
    assert_int_equal(hp_endpoint_parse_url(url, 0, &endpoint, NULL), 0);
    hp_transfer_host(f->transfer, HOST, "attic", &endpoint, 1, true, online);
}

static void count_states(fixture_t *f, size_t *running, size_t *queued)
{
    hp_download_info_t info;
    *running = *queued = 0;
    for (size_t i = 0; hp_transfer_get_at(f->transfer, i, &info) == 0; i++) {
        *running += info.state == HP_DOWNLOAD_RUNNING && !is_waiting(&info);
        *queued += info.state == HP_DOWNLOAD_QUEUED;
    }
}

static bool none_waits(fixture_t *f)
{
    return count_waiting(f) == 0;
}

static void when_a_host_is_back_no_more_run_than_may(void **state)
{
    fixture_t *f = *state;
    start(f, 2);
    host_is(f, f->dead_url, false);
    for (unsigned i = 0; i < 6; i++) {
        char path[8];
        snprintf(path, sizeof path, "%u", i);
        f->answered = 0;
        hp_download_order_t order = {.host = HOST, .path = path, .priority = i == 4 ? 1 : 0};
        hp_transfer_add(f->transfer, &order, on_answer, f);
        wait_until(f, is_answered);
    }
    wait_until(f, all_wait);
    host_is(f, f->silent_url, true);
    wait_until(f, none_waits);
    size_t running, queued;
    count_states(f, &running, &queued);
    assert_int_equal(running, 2);
    assert_int_equal(queued, 4);
    assert_int_equal(info_of(f, 5).state, HP_DOWNLOAD_RUNNING); /* the most urgent */
    assert_int_equal(info_of(f, 1).state, HP_DOWNLOAD_RUNNING); /* the oldest */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_retry_that_is_resumed_at_once_runs),
        T(a_retry_that_is_paused_at_once_is_paused),
        T(a_file_is_where_its_row_says_after_a_crash_between_two_commits),
        T(an_order_for_what_is_just_being_removed_does_not_bring_it_back),
        T(what_waits_for_room_goes_on_by_itself),
        T(what_waits_for_room_stays_paused_when_a_person_pauses_all),
        T(what_waits_for_room_stays_paused_when_a_person_pauses_it),
        T(what_waits_for_room_is_found_among_many_that_run),
        T(of_two_that_are_paused_by_one_disk_the_one_with_its_room_goes_on),
        T(a_run_whose_tail_was_taken_over_does_not_get_it_back),
        T(connections_that_are_lost_together_count_as_one_failure),
        T(a_file_whose_chunks_are_longer_than_the_first_look_is_fetched),
        T(a_part_file_is_on_record_before_its_first_byte_also_after_a_power_cut),
        T(a_file_under_its_name_is_on_record_as_complete_also_after_a_power_cut),
        T(after_a_sync_that_failed_the_chunks_are_hashed_again),
        T(runs_are_long_again_when_nobody_reads_along_any_more),
        T(a_disk_that_says_it_has_room_and_does_not_is_tried_less_and_less),
        T(when_a_host_is_back_no_more_run_than_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
