/* A queue of downloads with its store and fetcher, a port where nobody listens, one that takes connections
 * and says nothing, and a server with a file of zeros. */
#ifndef TEST_TRANSFER_H
#define TEST_TRANSFER_H

#include "test_db_help.h"
#include "test_fetch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
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

static inline int open_port(char url[64], bool listens)
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

static inline int set_up(void **state)
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

static inline void close_next(void *arg)
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

static inline int tear_down(void **state)
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

static inline void start(fixture_t *f, unsigned running)
{
    hp_err_t err = {0};
    hp_transfer_settings_t settings = {
        .downloads_folder = f->downloads, .running_downloads = running, .connections_per_source = 2};
    assert_int_equal(hp_transfer_create(&f->transfer, &f->loop, f->store, f->fetcher, &settings, &err), 0);
    hp_transfer_start(f->transfer);
}

static inline void on_answer(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    fixture_t *f = arg;
    (void)existing, (void)err;
    f->answered++;
    f->status = status;
    f->id = id;
}

/* Lets the loop run until fn is true. */
static inline void wait_until(fixture_t *f, bool (*fn)(fixture_t *f))
{
    uint64_t end = hp_clock_ms() + GUARD_MS;
    while (!fn(f)) {
        assert_true(hp_clock_ms() < end);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static inline bool is_answered(fixture_t *f)
{
    return f->answered > 0;
}

static inline int64_t order_url(fixture_t *f, const char *url)
{
    f->answered = 0;
    hp_transfer_add(f->transfer, &(hp_download_order_t){.url = url}, on_answer, f);
    wait_until(f, is_answered);
    assert_int_equal(f->status, 0);
    return f->id;
}

static inline hp_download_info_t info_of(fixture_t *f, int64_t id)
{
    hp_download_info_t info;
    assert_int_equal(hp_transfer_get(f->transfer, id, &info), 0);
    return info;
}

static inline bool is_waiting(const hp_download_info_t *info)
{
    return info->state == HP_DOWNLOAD_RUNNING && strncmp(info->reason, "Waiting for a source", 20) == 0;
}

static inline size_t count_waiting(fixture_t *f)
{
    size_t count = 0;
    hp_download_info_t info;
    for (size_t i = 0; hp_transfer_get_at(f->transfer, i, &info) == 0; i++)
        count += is_waiting(&info);
    return count;
}

static inline bool first_runs(fixture_t *f)
{
    return info_of(f, f->id).state == HP_DOWNLOAD_RUNNING;
}

/* ---- a server with a file of zeros ---- */

typedef struct script {
    uint64_t size;
    atomic_int heads;         /* replies that have begun, but for the first look's */
    atomic_int waiting;       /* requests that are kept waiting */
    int keep;                 /* how many requests after the first look are kept waiting, without a head */
    bool cut;                 /* they are cut then */
    _Atomic uint64_t longest; /* range asked for after them */
    uv_sem_t go_on;           /* posted for each of them */
} script_t;

static inline bool send_zeros(int fd, uint64_t length)
{
    static const char zeros[65536];
    bool fine = true;
    for (; fine && length > 0; length -= HP_MIN(length, sizeof zeros))
        fine = send_all(fd, zeros, HP_MIN(length, sizeof zeros));
    return fine;
}

static inline bool send_range(const script_t *script, int fd, unsigned long long first,
                              unsigned long long last)
{
    last = HP_MIN(last, (unsigned long long)script->size - 1);
    char *head = hp_sprintf("HTTP/1.1 206 Partial Content\r\nETag: \"1\"\r\nContent-Length: %llu\r\n"
                            "Content-Range: bytes %llu-%llu/%llu\r\n\r\n",
                            last + 1 - first, first, last, (unsigned long long)script->size);
    bool fine = send_text(fd, head) && send_zeros(fd, last + 1 - first);
    free(head);
    return fine;
}

static inline void serve_ranges(server_t *server, int fd, int number)
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

static served_file_t *watched; /* what was served last, by the conditions below */

static inline void serve(served_file_t *file, uint64_t size, int keep, bool cut)
{
    watched = file;
    file->script = (script_t){.size = size, .keep = keep, .cut = cut};
    assert_int_equal(uv_sem_init(&file->script.go_on, 0), 0);
    server_start(&file->server, serve_ranges, &file->script);
    snprintf(file->url, sizeof file->url, "http://127.0.0.1:%u/f", file->server.port);
}

static inline void serve_no_more(fixture_t *f, served_file_t *file)
{
    for (int i = 0; i < file->script.keep; i++)
        uv_sem_post(&file->script.go_on);
    close_next(f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    server_stop(&file->server);
    uv_sem_destroy(&file->script.go_on);
}

static inline bool has_finished(fixture_t *f)
{
    return info_of(f, f->id).state == HP_DOWNLOAD_DONE;
}

#endif
