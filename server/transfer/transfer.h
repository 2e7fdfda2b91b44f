/* Downloads: the queue, and every download's life from the order to the verified file.
 *
 * Invariants
 * 1. Loop thread only; no call blocks. Disk work and hashing run in libuv's pool, SQL in the store thread.
 * 2. States change in one place, are logged, and are committed before they are reported as final.
 * 3. Nothing that is not empty is deleted, truncated or overwritten as a reaction to an error.
 * server/README.md, "A download's way", describes the whole path.
 */
#ifndef HP_TRANSFER_TRANSFER_H
#define HP_TRANSFER_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "fetch/fetch.h"
#include "path/endpoint.h"
#include "store/store.h"

typedef struct hp_transfer hp_transfer_t;

/* state, its name in the API and the database */
#define HP_DOWNLOAD_STATES(X)                                                                                \
    X(QUEUED, "queued")                                                                                      \
    X(RUNNING, "running")                                                                                    \
    X(PAUSED, "paused")                                                                                      \
    X(VERIFYING, "verifying")                                                                                \
    X(DONE, "done")                                                                                          \
    X(FAILED, "failed")                                                                                      \
    X(CANCELLED, "cancelled")
typedef enum {
#define X(name, text) HP_DOWNLOAD_##name,
    HP_DOWNLOAD_STATES(X)
#undef X
} hp_download_state_t;
const char *hp_download_state_name(hp_download_state_t state);

#define HP_SOURCE_STATES(X)                                                                                  \
    X(CONNECTING, "connecting")                                                                              \
    X(ACTIVE, "active")                                                                                      \
    X(IDLE, "idle")                                                                                          \
    X(WAITING, "waiting")                                                                                    \
    X(FAILED, "failed")                                                                                      \
    X(BANNED, "banned")
typedef enum {
#define X(name, text) HP_SOURCE_##name,
    HP_SOURCE_STATES(X)
#undef X
} hp_source_state_t;
const char *hp_source_state_name(hp_source_state_t state);

/* What a person ordered. Exactly one of path (with host), folder (with host), root, url is set. Copied. */
typedef struct hp_download_order {
    const char *host, *path, *folder, *root, *url;
    const char *headers;     /* with url: "Name: value" lines to send, "\n" between them; or NULL */
    const char *certificate; /* with url: SHA-256 of the one that its server shows; NULL: as trusted */
    const char *to;          /* a folder below the downloads folder, or NULL */
    bool copy;               /* a second copy, whatever is there */
    uint64_t size;           /* with root: of that content; 0: not said (a root alone may be two contents) */
    int priority;            /* -1, 0, 1 */
    uint64_t limit_bps;      /* 0: none */
    bool given;              /* the host offered it, and it was accepted; else a person ordered it */
    bool never_runs;         /* with given: not executable here, whatever the host lists */
    uint64_t most;           /* with given: bytes that a file may have; UINT64_MAX: any number */
} hp_download_order_t;

typedef struct hp_source_info {
    char host[80]; /* host id; for a URL its origin */
    char address[80];
    hp_source_state_t state;
    uint64_t bytes, speed_bps;
    char error[200]; /* a sentence or "" */
} hp_source_info_t;

/* A download as people see it. Valid until the next return to the loop. */
typedef struct hp_download_info {
    int64_t id;
    const char *name; /* the last segment of path */
    const char *path; /* where it lands, below the downloads folder */
    bool folder;      /* with everything below it, not one file */
    hp_download_state_t state;
    const char *reason; /* why it is not going on, a sentence; "" */
    const char *note;   /* what a person should know besides, also when it is done; "" */
    bool size_known;
    uint64_t size, done_bytes;
    uint64_t chunk_size; /* of the (largest) file */
    uint64_t chunks_total, chunks_done;
    uint64_t files_total, files_done;
    uint64_t speed_bps;
    int64_t eta_s;    /* -1 unknown */
    const char *root; /* "" unknown or a folder */
    bool verified;
    int priority;
    uint64_t limit_bps;
    int error_code; /* 0, or why it failed */
    const char *error_detail;
    const hp_source_info_t *sources;
    size_t source_count;
    int64_t created_at, finished_at; /* wall ms; 0 not finished */
} hp_download_info_t;

typedef struct hp_transfer_settings {
    const char *downloads_folder; /* absolute; made if missing */
    unsigned running_downloads;   /* at a time, default 3 */
    unsigned connections_per_source;
    uint64_t down_limit_bps; /* 0: none */
    bool plain_content;      /* take content in plain from hosts that offer it; see plain.c */
    bool keeps_executable;   /* what hosts of proven identity list as executable may be run here */
} hp_transfer_settings_t;

/* Loads what is unfinished from the store (blocks; start-up). Nothing runs before start. */
int hp_transfer_create(hp_transfer_t **transfer, uv_loop_t *loop, hp_store_t *store, hp_fetcher_t *fetcher,
                       const hp_transfer_settings_t *settings, hp_err_t *err);
void hp_transfer_start(hp_transfer_t *transfer);
/* Ends leases, waits for pool writes, commits the last chunks, then calls closed. The store must outlive
 * this. */
void hp_transfer_destroy(hp_transfer_t *transfer, void (*closed)(void *arg), void *arg);
int hp_transfer_set(hp_transfer_t *transfer, const hp_transfer_settings_t *settings, hp_err_t *err);

/* ---- what the rest of hostpair tells it about hosts ---- */

/* A host's present endpoints (best first). added_as: "name:port" by which a person added it; "". hostpair: it
 * runs hostpair, not another HTTP server. online false: no address answers now. Called at every change, and
 * for every known host before start. */
void hp_transfer_host(hp_transfer_t *transfer, const char *host, const char *name, const char *added_as,
                      const hp_endpoint_t *endpoints, size_t count, bool hostpair, bool online);
/* The stored file list of a host changed. */
void hp_transfer_host_listed(hp_transfer_t *transfer, const char *host);
void hp_transfer_host_removed(hp_transfer_t *transfer, const char *host);
/* What was known as old is known as id from now on; if both were known, they are one now. */
void hp_transfer_host_renamed(hp_transfer_t *transfer, const char *old, const char *id);
/* It tells when something waits for a host, and what it saw of it. */
typedef struct hp_transfer_hooks {
    void (*waiting)(void *arg, const char *host, bool waiting);
    void (*seen)(void *arg, const char *host, bool alive);
    void (*relist)(void *arg, const char *host); /* its file list is out of date: fetch it now */
    void (*changed)(void *arg, int64_t id);      /* a download changed in what people see; not throttled */
    void (*removed)(void *arg, int64_t id);
    void (*wanted)(void *arg, int64_t id); /* a person ordered what there was a download of already */
    /* How many bytes the file of a download may have; UINT64_MAX: any number. Asked as its size is learned,
     * before any of it is kept. */
    uint64_t (*most)(void *arg, int64_t id);
    void *arg;
} hp_transfer_hooks_t;
void hp_transfer_set_hooks(hp_transfer_t *transfer, const hp_transfer_hooks_t *hooks);

/* ---- what people do ---- */

/* done runs once, on the loop, after the order is committed: 0 with id; existing when the same content was
 * there or on its way. HP_E_INVALID, HP_E_BAD_NAME, HP_E_NOT_FOUND (unknown host, root nobody has),
 * HP_E_TOO_LARGE (listed with more than `most`), disk errors. Runs never inside the call. */
typedef void (*hp_download_fn)(void *arg, int status, int64_t id, bool existing, const hp_err_t *err);
void hp_transfer_add(hp_transfer_t *transfer, const hp_download_order_t *order, hp_download_fn done,
                     void *arg);

/* Each answers through done after the change is committed: HP_E_NOT_FOUND, or HP_E_CONFLICT where the state
 * does not allow it. */
void hp_transfer_pause(hp_transfer_t *transfer, int64_t id, hp_download_fn done, void *arg);
void hp_transfer_resume(hp_transfer_t *transfer, int64_t id, hp_download_fn done, void *arg);
void hp_transfer_retry(hp_transfer_t *transfer, int64_t id, hp_download_fn done, void *arg);
void hp_transfer_recheck(hp_transfer_t *transfer, int64_t id, hp_download_fn done, void *arg);
void hp_transfer_change(hp_transfer_t *transfer, int64_t id, const int *priority, const uint64_t *limit_bps,
                        hp_download_fn done, void *arg);
typedef struct hp_download_move {
    const char *url, *headers, *certificate; /* as in an order; NULL: the same. headers "": none */
} hp_download_move_t;
/* How one that was ordered by URL is fetched from now on; all of it at once. Another URL for the same file,
 * as when a link has expired: it goes on there where the size and the ETag fit, else it starts over. At
 * another server (scheme, host or port) headers and certificate count only as they are given here: those of
 * the first are not meant for it. One that failed or runs is queued. HP_E_INVALID; HP_E_CONFLICT: it was not
 * ordered by URL, or has ended. */
void hp_transfer_move(hp_transfer_t *transfer, int64_t id, const hp_download_move_t *to, hp_download_fn done,
                      void *arg);
/* Forgets the download; keep_data leaves an unfinished part file where it is. A finished file always stays.
 */
void hp_transfer_remove(hp_transfer_t *transfer, int64_t id, bool keep_data, hp_download_fn done, void *arg);
/* Forgets all downloads that are done; their files stay. done runs once: 0, or why one of them could not be
 * forgotten; how many were. */
void hp_transfer_remove_done(hp_transfer_t *transfer,
                             void (*done)(void *arg, int status, uint64_t removed, const hp_err_t *err),
                             void *arg);
void hp_transfer_pause_all(hp_transfer_t *transfer);
void hp_transfer_resume_all(hp_transfer_t *transfer);

/* ---- what people see ---- */

/* Downloads that have ended are kept in the store; the calls by id below know those in memory: all that have
 * not ended, those that ended or were ordered in this turn or shortly before, and those that hp_transfer_load
 * brought there, at least until the next return to the loop. */
bool hp_transfer_has(const hp_transfer_t *transfer, int64_t id);
/* 0, or HP_E_NOT_FOUND and errors of the store. Runs done once, never inside the call. */
void hp_transfer_load(hp_transfer_t *transfer, int64_t id, hp_download_fn done, void *arg);

/* A page of all downloads, newest first, wherever they are. */
typedef struct hp_transfer_page {
    bool one_state;
    hp_download_state_t state; /* with one_state */
    int64_t before;            /* only ids below this one; 0: any */
    size_t limit;              /* 1 or more */
} hp_transfer_page_t;
/* each runs for at most limit downloads, its info valid during the call; then done: last is the id to go on
 * before, more: there may be others. Not inside the call; also at teardown. */
void hp_transfer_list(hp_transfer_t *transfer, const hp_transfer_page_t *page,
                      void (*each)(void *arg, const hp_download_info_t *info),
                      void (*done)(void *arg, int status, bool more, int64_t last, const hp_err_t *err),
                      void *arg);
/* How many downloads there are in a state, in memory or not. */
uint64_t hp_transfer_count_in(const hp_transfer_t *transfer, hp_download_state_t state);

/* Of those in memory. */
size_t hp_transfer_count(const hp_transfer_t *transfer);
/* 0 or HP_E_NOT_FOUND. By position: newest first. */
int hp_transfer_get(hp_transfer_t *transfer, int64_t id, hp_download_info_t *info);
int hp_transfer_get_at(hp_transfer_t *transfer, size_t index, hp_download_info_t *info);

typedef enum { HP_CHUNKS_MISSING, HP_CHUNKS_ACTIVE, HP_CHUNKS_DONE } hp_chunks_state_t;
typedef struct hp_chunk_run {
    uint64_t first, count;
    hp_chunks_state_t state;
    const char *source; /* host id or "" */
} hp_chunk_run_t;
/* The chunk map as runs, for the caller to free(). A folder's files follow each other. 0 or HP_E_NOT_FOUND.
 */
int hp_transfer_chunks(hp_transfer_t *transfer, int64_t id, uint64_t *chunk_size, uint64_t *total,
                       hp_chunk_run_t **runs, size_t *count);

/* Body bytes received since the start, and the speed over the last seconds. */
uint64_t hp_transfer_bytes(const hp_transfer_t *transfer);
uint64_t hp_transfer_speed_bps(const hp_transfer_t *transfer);
/* Whether the disk of the downloads folder was not there when it was last looked for. */
bool hp_transfer_disk_is_away(const hp_transfer_t *transfer);
/* Free bytes on the downloads folder's file system, as last measured. */
uint64_t hp_transfer_free_bytes(const hp_transfer_t *transfer);
/* The absolute path of a finished file, or of a folder; NULL while unfinished or unknown. Caller frees. */
char *hp_transfer_final_path(const hp_transfer_t *transfer, int64_t id);

#endif
