/* The parts of hp_transfer and how they hang together. For the sources of server/transfer alone.
 *
 *   hp_transfer_t   the queue (transfer.c): all downloads, what is known of hosts, limits, the tick
 *   download_t      one order (download.c): its state, its hosts, its files that are under way
 *   item_t          one file under way (item.c): from its rows in the store to its final name
 *   source_host_t          one host or web server that a download fetches from (source.c)
 *   source_t        where one file is at one host, with its validator (source.c)
 *   lease_t         one request for a run of chunks of an item from a source (lease.c)
 *   bundle_t        one request for many small files of a folder, which are no items (bundle.c)
 *
 * Which way calls go: transfer -> download -> item -> lease. Upwards only through the few functions
 * named at the end, which never free what their caller stands on: disposal happens in
 * hp_download_settle(), from the loop's own turn.
 *
 * Ownership
 * 1. The transfer owns downloads; a download its items and hosts; an item its sources and leases.
 * 2. A lease lives from hp_fetch_start to on_done. An item lives until its leases, its chunk jobs, its pool
 *    step and its store jobs are all gone (item_t.pending).
 * 3. A chunk is in exactly one of: done, writing, leased (to one lease, or to two at the very end), free.
 */
#ifndef HP_TRANSFER_INTERNAL_H
#define HP_TRANSFER_INTERNAL_H

#include <uv.h>

#include "base/array.h"
#include "base/bitmap.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/pending.h"
#include "base/retry.h"
#include "base/utf8.h"
#include "db/download.h"
#include "os/boot.h"
#include "share/merkle.h"
#include "transfer/meter.h"
#include "transfer/part.h"
#include "transfer/reader.h"
#include "transfer/source_kind.h"
#include "transfer/transfer.h"
#include "transfer/writer.h"

/* What a person may want to tune. */
#define TICK_MS          250 /* meters, retries, schedule */
#define BACKOFF_FIRST_MS 500 /* of a source: doubles with each failure in a row, with jitter */
#define BACKOFF_MAX_MS   30000
#define PARTS_TICKS      4    /* part files are looked at so often */
#define DISK_LOOK_MS     1000 /* free space is measured so often */
#define DISK_MARGIN                                                                                          \
    (4u * 1024 * 1024)         /* bytes that must be free beyond what is missing, to go on by itself */
#define DISK_WAIT_MAX_MS 60000 /* between two tries of a disk that says it has room and does not take it */
#define LEASE_BYTES_MAX  (256u * 1024 * 1024)
#define LEASED_MAX                                                                                           \
    (HP_WRITER_BYTES / 4 * 3) /* buffers that leases fill; the others are on their way to the disk */
#define FIRST_LOOK_BYTES  (4u * 1024 * 1024) /* asked for before the size is known */
#define ITEMS_MAX         512                /* files of one folder download under way at a time */
#define STARTS_OVER_MAX   5                  /* versions of a file, without one finished, before giving up */
#define STARTS_OVER_PARTS 2    /* of these; then it is taken in one reply, which is of one version */
#define MOVED_WAIT_MS     5000 /* a file that is gone at its place may be listed at another one so soon */
#define MOVED_LOOK_MS     1000 /* the lists are asked for so often meanwhile */
#define MANIFEST_TRIES    3    /* at one source, when the connection is lost */
#define CHANGING_TRIES    6    /* at a file that is being written at the source */
#define FILE_SIZE_MAX                                                                                        \
    (UINT64_C(1) << 46)         /* a longer file is not taken: its chunks would be of 1 GiB and more */
#define PATIENCE_MAX_MS 120000u /* with the first byte of a source that is slow to begin */
#define HEADWAY_BYTES   65536u  /* a connection that brought so many was not in vain */
#define SLOW_BPS_EACH   49152u  /* where connections get less each, one more would only share with them */
#define SLOW_AFTER_MS   2000    /* they have run for so long then */
#define EARLY_BYTES     262144u /* of a source; before these it is asked for a large file over EARLY_MAX */
#define EARLY_MAX       2u      /* connections */
#define NAME_TRIES      6u /* look-ups of a name, over 16 s, until a source that never answered is given up */
#define UNKNOWN_CHUNK   (4u * 1024 * 1024) /* chunk size while nobody says how long the file is */
#define STEAL_BYTES_MIN                                                                                      \
    (4u * 1024 * 1024) /* a tail shorter than this is not taken over but fetched twice                       \
                        */

typedef struct download download_t;
typedef struct item item_t;
typedef struct source_host source_host_t;
typedef struct source source_t;
typedef struct lease lease_t;
typedef struct kept kept_t;

#define STREAM_RUN         4   /* chunks of a lease while somebody reads along */
#define STEAL_MS_MIN       200 /* nor one that its owner will have in so many ms */
#define DUPLICATE_AFTER_MS 500 /* a lease is doubled when it has run for so long */

/* ---- hosts, as the registry tells of them ---- */

typedef struct known_host {
    struct known_host *next;
    char id[80];
    char name[256];
    hp_endpoint_t *endpoints; /* the best first */
    size_t endpoint_count;
    bool online;
    bool hostpair;   /* runs hostpair, not another HTTP server */
    bool waited;     /* the hooks were told that something waits for it */
    bool no_bundles; /* it does not know them; asked again when it was away */
} known_host_t;

typedef struct renamed_host {
    char old[80], id[80];
} renamed_host_t;

/* ---- one host as a source of one download ---- */

/* Whether it is asked for content in plain. */
typedef enum {
    HP_PLAIN_NOT_OFFERED,
    HP_PLAIN_OFFERED, /* by its last reply over TLS that was accepted */
    HP_PLAIN_LOST,    /* a request failed: not before the host was away and is back */
    HP_PLAIN_SPOILED, /* a chunk was wrong: not any more in this download */
} hp_plain_state_t;

struct source_host {
    source_host_t *next;
    download_t *download;
    char id[80]; /* host id; origin for a URL */
    const hp_source_kind_t *kind;
    char address[80];      /* that answered last */
    size_t endpoint_index; /* of known_host_t.endpoints: the next after a failed connection */
    unsigned lease_count;
    hp_retry_t retry; /* of failures in a row, without a chunk in between */
    bool connected;   /* a reply came on the last try */
    char error[200];  /* of the last failure; "" after a chunk */
    bool banned;      /* sent wrong bytes of the one file that is wanted */
    hp_plain_state_t plain;
    unsigned allowed;     /* connections that it takes at a time, as it showed; 0: it takes all */
    unsigned unnamed;     /* look-ups of its name without an address, since the start or a person's retry */
    unsigned patience;    /* ms that its first byte is waited for; 0: as its kind says */
    bool spoiled_bundles; /* sent one that is none: not any more in this download */
    uint64_t bytes;
    hp_meter_t meter;
};

/* ---- one file at one host ---- */

struct source {
    source_t *next;
    item_t *item;
    source_host_t *host;
    int64_t id;             /* in download_source; 0 until the store has given one */
    int64_t mark;           /* stands for id in the item's map until then: negative, another one for each */
    int64_t stored_id;      /* id as the store knows it; the store's thread alone */
    char *path;             /* there; a URL for a web server */
    char *etag;             /* strong; NULL none seen */
    bool asked;             /* a reply to a request for this file was accepted */
    char *set_aside;        /* why it is not used for this file any more; NULL */
    int code;               /* why, HP_E_* */
    bool manifest_failed;   /* it has no manifest for this root */
    unsigned manifest_lost; /* how often the connection was lost over it */
    unsigned changing;      /* how often its file was being written when it was asked for */
    uint64_t retry_at;      /* ms; not asked before */
    unsigned digest_errors; /* how often it sent wrong bytes and is asked again all the same */
};

/* ---- one request ---- */

struct lease {
    lease_t *next;
    item_t *item;
    source_t *source;
    hp_fetch_t *fetch;
    uint64_t first, end;       /* chunks; end shrinks when the tail is taken over */
    uint64_t at;               /* the chunk that is being filled */
    uint64_t offset;           /* byte of the file that comes next */
    uint64_t asked_end;        /* byte */
    hp_chunk_buffer_t *buffer; /* of chunk `at`; NULL between chunks */
    bool whole;                /* no Range: the body from byte 0 to its end */
    bool accepted;             /* the head passed */
    bool held;                 /* on_data said HP_FETCH_HOLD */
    bool cancelled;            /* by us: what on_done says does not count */
    bool duplicate;            /* its chunks are leased to another as well */
    bool plain;                /* asked in plain: what comes says nothing of the host */
    int refusal;               /* why on_head ended it; with words */
    hp_err_t refused;
    uint64_t started_at; /* ms */
    int retry_after_s;   /* of the head, -1 none */
    int status;          /* of a head that is no success; 0 */
    uint64_t got;        /* bytes */
    uint64_t weight;     /* bytes of the buffer that it fills, as counted in its download's leased */
    hp_meter_t meter;
};

/* ---- a part file of a version that is no longer wanted ---- */

typedef struct left_part {
    struct left_part *next;
    char *name;
    hp_part_identity_t identity;
} left_part_t;
void hp_left_add(left_part_t **list, const char *name, uint64_t device, uint64_t inode);
void hp_left_free(left_part_t **list);
/* Pool. Removes them from the disk: the file is done, and nobody will want them any more. */
void hp_left_remove(const left_part_t *list, const char *base, const char *path, int64_t download);

/* ---- files of one chunk that wait to be written (small.c) ---- */

typedef struct hp_small_file hp_small_file_t;
typedef struct hp_small_line {
    hp_small_file_t *first, *last;
    unsigned batches; /* in the pool */
} hp_small_line_t;

/* ---- files that come several in one reply (bundle.c) ---- */

typedef struct bundle bundle_t;

/* Of a download. */
typedef struct hp_bundle_line {
    HP_ARRAY(hp_download_file_row_t) rows; /* wait to be asked for: those from `first` on */
    size_t first;
    bundle_t *bundles; /* under way, until they are on record */
    bool unfit;        /* where it lands the disk wants its files one by one */
} hp_bundle_line_t;

/* ---- one file under way ---- */

/* phase, what happens in it */
#define ITEM_PHASES(X)                                                                                       \
    X(LOADING)   /* chunk and source rows are being read */                                                  \
    X(OPENING)   /* the part file is being opened */                                                         \
    X(CHECKING)  /* recorded chunks are being hashed again */                                                \
    X(FETCHING)  /* leases run; without a part file yet: the first look */                                   \
    X(MAKING)    /* size known: the part file is being made, committed and reserved; leases hold */          \
    X(FINISHING) /* complete: state committed, renamed, committed */                                         \
    X(DONE)                                                                                                  \
    X(FAILED)                                                                                                \
    X(STOPPED) /* no new work; goes when nothing is pending */
typedef enum {
#define X(name) ITEM_##name,
    ITEM_PHASES(X)
#undef X
} item_phase_t;

struct item {
    item_t *next;
    download_t *download;
    hp_download_file_row_t row; /* its texts are owned */
    item_phase_t phase;
    hp_pending_t pending;    /* leases, chunk jobs, pool steps and store jobs that point here */
    int fd;                  /* part file, -1 none */
    hp_file_writes_t writes; /* how it is written */
    bool size_known;
    bool ready;        /* part file open and reserved: chunks may be written */
    uint64_t reserved; /* bytes of the part file that have room on the disk */
    bool reserving;    /* more is being reserved */
    bool trims;        /* an earlier try may have written past the end */
    bool whole;        /* no validator or no ranges: one connection, from byte 0 */
    uint64_t size, chunk_size, chunks;
    bool named, naming;               /* its server's name for it was looked at; is being reserved */
    bool maybe_cut;                   /* its body ends with the connection */
    bool endless;                     /* size unknown until the end of the body */
    hp_bitmap_t done, taken, writing; /* taken: leased or being written */
    uint8_t *digests;                 /* of done chunks, 32 bytes each */
    int64_t *chunk_sources;           /* source id, or mark, of done chunks */
    uint8_t *manifest;                /* the layer, verified against row.root; NULL none */
    bool manifest_wanted;             /* it has a root and more than one chunk */
    hp_fetch_t *manifest_fetch;       /* or the request for the root, at the end */
    source_t *manifest_source;
    uint64_t done_bytes;
    uint64_t wanted; /* chunk that somebody waits for: fetched from here on first */
    bool streaming;  /* somebody does: runs are short, so that chunks come in order */
    unsigned starts_over;
    char *restart_why; /* another version was met, or the part file is gone: begin again when nothing is being
                          written */
    bool same_version; /* with the same reader, then: it keeps its root */
    bool alike; /* the open part file is another one than that on record, which its bytes have still to prove
                 */
    hp_part_identity_t opened;
    unsigned looked_at;                  /* its part file, in which round */
    uint64_t moved_until, moved_look_at; /* ms; it is looked for at another place; 0: it is not */
    left_part_t *left;                   /* part files of earlier versions: removed when this one is done */
    source_t *sources;
    lease_t *leases;
    uint64_t unsaved; /* chunk rows on their way to the store */
};

/* ---- one order ---- */

struct download {
    const char **header_lines; /* row.order_headers, NULL-terminated; NULL none */
    bool takes_page;           /* a person wants it, also when it is a web page */
    download_t *next;          /* newest first */
    download_t *next_active;   /* of those that run, wait or end */
    bool active;
    hp_transfer_t *transfer;
    hp_download_row_t row; /* texts owned; sums as of the load, kept up to date here */
    hp_download_state_t state;
    source_host_t *hosts;
    item_t *items;
    size_t item_count;
    hp_bundle_line_t line;
    int64_t file_after; /* id of the last file row that was taken up */
    bool files_loading; /* the next rows are being read */
    bool files_ended;   /* there are no more open ones */
    bool removing, keep_data;
    bool recheck;         /* a recheck runs; state is VERIFYING */
    bool waits;           /* running, but no source can be asked now */
    hp_pending_t pending; /* store and pool jobs that point here */
    uint64_t leased;      /* bytes of the buffers that its leases fill */
    bool sums_stale;      /* a write to the store failed: the sums in row are to be read again */
    bool sums_loading;
    uint64_t sums_at;       /* ms; they are not read before */
    uint64_t disk_need;     /* bytes that must be free before it goes on after a full disk */
    hp_retry_t disk;        /* failures of it in a row, without a chunk on record in between */
    hp_download_fn removed; /* told when a removal is complete */
    void *removed_arg;
    hp_bucket_t bucket;
    hp_meter_t meter;
    uint64_t device;  /* of base, 0 unknown */
    unsigned renamed; /* files whose names the disk did not take, since the start */
    char *name;
    hp_source_info_t *source_infos; /* of the last view */
};

struct hp_transfer {
    uv_loop_t *loop;
    hp_store_t *store;
    hp_fetcher_t *fetcher;
    hp_writer_t *writer;
    hp_small_line_t small;
    bundle_t *arrived;        /* bundles that wait to be written */
    unsigned writing_bundles; /* batches of them in the pool */
    kept_t *kept;             /* newest first (kept.c) */
    hp_transfer_hooks_t hooks;
    char *folder; /* downloads folder, absolute */
    unsigned running_max, connections;
    bool plain_content; /* content may be asked in plain */
    unsigned running;   /* downloads, as of the last turn */
    download_t *downloads;
    size_t count;                               /* of those in memory */
    uint64_t counts[HP_DOWNLOAD_CANCELLED + 1]; /* by state, of all */
    download_t *active;
    download_t *cursor; /* what hp_transfer_get_at found last, and where */
    size_t cursor_index;
    known_host_t *hosts;
    HP_ARRAY(renamed_host_t) renamed; /* since the start; rows that were read before may have the old id */
    struct hp_reader *readers;        /* open readers */
    char boot_id[HP_BOOT_ID_SIZE];
    uv_timer_t tick, throttle;
    uv_idle_t turn; /* runs the next turn (on_turn), once, outside of any callback */
    bool turn_wanted, started, stopping;
    size_t held_turn; /* which held lease goes on first the next time */
    hp_bucket_t bucket;
    hp_meter_t meter;
    uint64_t received, free_bytes, disk_looked_at;
    unsigned ticks;
    bool disk_looking;
    bool disk_away; /* that of the downloads folder */
    bool parts_looking;
    unsigned parts_looks; /* rounds of looking at part files */
    hp_pending_t pending; /* store and pool jobs that point here; at the end, handles */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- transfer.c ---- */
void hp_transfer_wake(hp_transfer_t *self);                           /* schedule in this turn of the loop */
void hp_transfer_activate(hp_transfer_t *self, download_t *download); /* it does something from now on */
download_t *hp_transfer_find(const hp_transfer_t *self, int64_t id);
void hp_transfer_resume_held(hp_transfer_t *self); /* leases that waited for a buffer or a limit */
void hp_transfer_throttle(hp_transfer_t *self);    /* a lease waits for a limit: look again soon */
void hp_transfer_unlink(hp_transfer_t *self, download_t *download); /* the caller frees it */

/* ---- source.c ---- */
extern const hp_retry_policy_t hp_transfer_backoff; /* between two tries of a source */

/* ---- hosts.c ---- */
known_host_t *hp_transfer_known(const hp_transfer_t *self, const char *id); /* NULL unknown */
/* The id that a host has now. */
const char *hp_transfer_host_id(const hp_transfer_t *self, const char *id);
void hp_transfer_tell_waiting(hp_transfer_t *self); /* tells the hooks which hosts downloads wait for */
void hp_transfer_free_hosts(hp_transfer_t *self);

/* ---- disk.c ---- */
void hp_transfer_look_at_disks(hp_transfer_t *self); /* measures; resumes what waited for room */
bool hp_download_waits_for_disk(const download_t *self);
/* Pauses the other downloads on the file system of first. */
void hp_transfer_disk_failed(hp_transfer_t *self, const download_t *first, int code, const hp_err_t *err);

/* Chunks of the file, and bytes of so many of them; 0 while that is unknown. Any row: nothing overflows. */
int64_t hp_row_chunks(const hp_download_file_row_t *row);
int64_t hp_row_done_bytes(const hp_download_file_row_t *row, int64_t chunks_done);

/* ---- listing.c ---- */
bool hp_download_has_ended(const download_t *self); /* DONE, FAILED or CANCELLED */
/* Frees ended downloads beyond those that are kept for being asked for again soon. */
void hp_transfer_drop_ended(hp_transfer_t *self);
/* So many ended ones of this state are in the store. */
void hp_transfer_count_loaded(hp_transfer_t *self, const char *state, int64_t count);

/* ---- view.c ---- */
void hp_download_fill(download_t *self, hp_download_info_t *info);

/* ---- watch.c ---- */
void hp_transfer_look_at_parts(hp_transfer_t *self);

/* ---- order.c ---- */
/* Store. A free name below base, and below the folder `to` there unless that is NULL: neither on the disk nor
 * held by another order. path and note (that the disk does not take the name as it is; unchanged where it
 * does): the caller's to free. */
int hp_order_reserve_name(hp_db_t *db, const char *base, const char *to, const char *name, char **path,
                          char **note, hp_err_t *err);
int hp_order_check_url(const char *url, hp_err_t *err);
void hp_transfer_refuse(hp_transfer_t *transfer, const hp_err_t *err, hp_download_fn done, void *arg);
void hp_download_copy_row(const hp_download_row_t *from, hp_download_row_t *to);
/* A download as its row says, in no list; and one that takes part from now on. */
download_t *hp_download_make(hp_transfer_t *transfer, const hp_download_row_t *row);
bool hp_transfer_is_being_removed(const hp_transfer_t *transfer, int64_t id);
download_t *hp_download_from_row(hp_transfer_t *transfer, const hp_download_row_t *row);

/* ---- download.c ---- */
/* The one place where a state changes; logs, posts the row, tells people. done may be NULL, else runs after
 * the commit. */
void hp_download_set_state(download_t *self, hp_download_state_t state, const char *reason, int error_code,
                           const char *error_detail);
/* The same bookkeeping for a message that is worth keeping over a restart. */
void hp_download_set_reason(download_t *self, const char *reason);
void hp_download_save(download_t *self, hp_download_fn done, void *arg);
/* What is there of it was found in this folder: it lands there. */
void hp_download_moved(download_t *self, const char *base);
/* The disk does not take the path of the item: it lands at this one. */
void hp_download_renamed(download_t *self, item_t *item, const char *path);
/* The words of that, malloced; count: how many files of the download it happened to. */
char *hp_download_renamed_note(const char *wanted, const char *path, unsigned count);
void hp_download_run(download_t *self); /* QUEUED -> RUNNING; its items are gone */
/* When its items and jobs are gone: removes the part files, then the rows, then itself. */
void hp_download_continue_removal(download_t *self);
void hp_download_remove(download_t *self, bool keep_data, hp_download_fn done, void *arg);
void hp_download_schedule(download_t *self); /* takes up files, starts leases */
/* It waits for a source, and one can be asked now. */
bool hp_download_is_back(const download_t *self);
void hp_download_go_on(download_t *self); /* such a one gets a place */
/* To a state in which nothing runs. Its items end in the background. */
void hp_download_stop(download_t *self, hp_download_state_t state, const char *reason, int error_code,
                      const char *error_detail);
void hp_download_settle(
    download_t *self); /* frees items that are through, and goes on with what waited for that */
void hp_download_free(download_t *self);
bool hp_download_is_running(const download_t *self); /* RUNNING or VERIFYING */
void hp_download_changed(download_t *self);
/* Sums over items are kept apart from the rows': the sums of a file leave the row when it is taken up and
 * returns when its item goes. */
/* From items. */
void hp_download_item_done(download_t *self, item_t *item);
void hp_download_item_failed(download_t *self, item_t *item, int code, const char *detail);
/* A person wants failed files tried again: those that have not gone yet are not counted as failed. */
void hp_download_reopen_items(download_t *self);
/* The disk, or another means that comes back by itself, failed: pauses the download, which goes on by itself.
 */
void hp_download_disk_failed(download_t *self, int code, const hp_err_t *err);
/* Whether what the error names passes by itself: a full disk, no descriptors or memory, a disk that fails. */
bool hp_download_trouble_passes(int code);
/* The same of a write to the store: what was summed up here is read again. */
void hp_download_write_failed(download_t *self, int code, const hp_err_t *err);

/* A file of it is taken up by itself; takes the row's texts. */
item_t *hp_download_take_up(download_t *self, hp_download_file_row_t *row);
/* The row of a file that was not taken up by itself has become another one, on record. */
void hp_download_row_changed(download_t *self, const hp_download_file_row_t *before,
                             const hp_download_file_row_t *after);
/* Bytes have come from the host: for limits and speeds. */
void hp_download_count_bytes(download_t *self, source_host_t *host, uint64_t bytes);

/* ---- bundle.c ---- */
/* Whether the file is to come in a bundle: then its row is taken, with its texts. */
bool hp_bundle_takes(download_t *download, hp_download_file_row_t *row);
bool hp_bundle_is_idle(const download_t *download); /* nothing waits, nothing is under way */
/* Asks for bundles; what cannot come so is taken up by itself. Whether there is work going. */
bool hp_bundle_schedule(download_t *download);
void hp_bundle_stop(download_t *download);
void hp_bundle_resume_held(download_t *download);

/* ---- item_rows.c, chunk.c ---- */
/* Removes the chunk rows and the validators; left: a part file that is recorded as left behind, or NULL. */
void hp_item_replace_rows(item_t *self, const left_part_t *left);

/* ---- item.c ---- */
void hp_item_make_map(item_t *self, uint64_t size, uint64_t chunk_size, uint64_t chunks);
void hp_item_know_size(item_t *self, uint64_t size, uint64_t chunk_size);
bool hp_item_is_small(const item_t *self); /* its size is known, and it is one chunk or none */
item_t *hp_item_create(download_t *download, hp_download_file_row_t *row); /* takes the row's texts */
void hp_item_start(item_t *self);
/* Whether the row's part file was last seen before this machine was started. */
bool hp_item_other_boot(const hp_transfer_t *transfer, const hp_download_file_row_t *row);
hp_part_identity_t hp_item_identity(const hp_transfer_t *transfer, const hp_download_file_row_t *row);
void hp_item_stop(item_t *self); /* cancels leases, goes to STOPPED */
void hp_item_free(item_t *self);
void hp_item_close(item_t *self); /* its descriptors; when nothing is being written */
void hp_item_set_phase(item_t *self, item_phase_t phase);
/* A source has told the size; root: hex or NULL. Begins the part file. */
void hp_item_set_size(item_t *self, uint64_t size);
/* The source will not say it: chunks of a fixed size until the end is seen. */
void hp_item_set_endless(item_t *self);
/* The end of such a body: the lease's last, short chunk is complete. */
void hp_item_end_seen(item_t *self, lease_t *lease);
void hp_item_save(item_t *self, hp_store_kind_t kind);
void hp_item_copy_row(const item_t *self,
                      hp_download_file_row_t *to);      /* for a job to write; its to dispose */
void hp_item_start_over(item_t *self, const char *why); /* another version: a new part file */
void hp_item_chunk_ready(item_t *self, lease_t *lease); /* the lease's buffer is full */
void hp_item_check_complete(item_t *self);
void hp_item_fail(item_t *self, int code, const char *detail);
void hp_item_clear_chunks(item_t *self); /* when nothing is being written */
void hp_item_restart(item_t *self);      /* what start_over asked for, when nothing is being written */
uint64_t hp_item_chunk_bytes(const item_t *self, uint64_t chunk);
/* finish.c, small.c, check.c: steps of an item's life that run in the pool. */
void hp_item_open(item_t *self);
void hp_item_make(item_t *self);
/* When much of what was reserved has arrived. */
void hp_item_reserve_more(item_t *self);
/* The part file is not the one any more that was written: begins again in a new one. */
void hp_item_part_lost(item_t *self, const char *why);
void hp_item_finish(item_t *self);
void hp_item_finish_small(item_t *self, hp_chunk_buffer_t *buffer, source_t *source); /* takes the buffer */
void hp_item_check(item_t *self);
/* All is here, with this root: commits that, then the file gets its name. */
void hp_item_commit_finishing(item_t *self, const char *root, bool verified);
void hp_item_fail_other_content(item_t *self);
/* late_root.c: asks a source that may know the root by now, and ends as one of the two above; root: of what
 * has arrived. false: there is none to ask. */
bool hp_item_ask_late_root(item_t *self, const char *root);
/* The file stands under name, synced: commits that it is done, then it is. */
void hp_item_commit_done(item_t *self, const char *name);
/* A disk that is full or broken pauses the download; a name that cannot be made fails this file. */
void hp_item_step_failed(item_t *item, int status, const hp_err_t *err);

/* ---- manifest.c ---- */
/* Whether leases may start: false while a manifest is being fetched. */
bool hp_manifest_settled(item_t *item);
void hp_manifest_cancel(item_t *item);

/* ---- source.c ---- */
/* The source of item at host, made if there is none. host: the id of a host, or the origin of the URL that
 * was ordered; path: there, or the URL. */
source_t *hp_source_get(item_t *item, const char *host, const char *path);
/* Where a download stands with a host of this id. */
source_host_t *hp_source_host_get(download_t *download, const char *id);
void hp_source_free(source_t *source);
/* Whether it can be asked now. */
bool hp_source_usable(const source_t *source, uint64_t now_ms);
/* Whether it could be asked later: neither set aside nor banned. */
bool hp_source_is_eligible(const source_t *source);
void hp_source_set_aside(source_t *source, int code, const char *why);
/* A chunk from this source had a wrong digest. */
void hp_source_sent_wrong(source_t *source, uint64_t chunk);
bool hp_source_has_others(const source_t *source); /* its file could come from another one, now or later */
void hp_source_delivered(
    source_t *source); /* a chunk of it is on the disk: what failed before is forgotten */
void hp_source_save(source_t *source);
void hp_source_host_failed(source_host_t *host, const char *error, int retry_after_s);
hp_source_state_t hp_source_host_state(const source_host_t *host, uint64_t now_ms);
void hp_item_find_sources(item_t *item); /* what the order and the lists of other hosts say */

/* ---- plain.c ---- */
/* A reply of the host was accepted, which may offer content in plain. */
void hp_plain_heard(source_host_t *host, const hp_fetch_head_t *head);
/* Asks in plain what options ask for over TLS, if it may be; endpoint is what they point to then. */
bool hp_plain_ask(const item_t *item, const source_t *source, hp_fetch_options_t *options,
                  hp_endpoint_t *endpoint);
/* A request in plain came to nothing. */
void hp_plain_failed(source_host_t *host, const char *why);
/* A chunk that came in plain had a wrong digest. */
void hp_plain_sent_wrong(source_t *source, uint64_t chunk);
/* The host was away and is back. */
void hp_plain_is_back(source_host_t *host);
/* Nothing comes in plain any more: what is under way is asked again over TLS. */
void hp_plain_stop(hp_transfer_t *transfer);

/* ---- lease.c ---- */
void hp_lease_start(item_t *item, source_t *source, uint64_t first, uint64_t end, bool duplicate);
void hp_lease_weigh(lease_t *lease); /* what it fills is known better now */
void hp_lease_cancel(lease_t *lease);
void hp_lease_release_chunks(lease_t *lease); /* what it did not fill is free again */
void hp_lease_resume(lease_t *lease);

/* ---- refusal.c ---- */
/* Some servers allow a client a few connections and refuse what is beyond them. Whether the lease, which has
 * ended, was that; its host is asked over so many from now on. */
bool hp_lease_was_one_too_many(lease_t *lease);
/* Whether its source refused a part of a file that it may give as a whole. */
bool hp_lease_refuses_parts(const lease_t *lease);
/* Whether this machine has an address that others could reach. Without one no name is found. */
bool hp_lease_has_network(void);

/* ---- rename.c ---- */
/* The name that a web server's reply gives the file, which has no part file yet: reserved instead of the one
 * that the URL gave. item->naming until then, and no byte is taken. 0, or HP_E_WEB_PAGE. */
int hp_item_take_web_name(item_t *self, const hp_fetch_head_t *head, hp_err_t *err);

/* ---- kept.c ---- */
#define HP_KEPT_ALL UINT64_MAX
/* Keeps what the lease has of a chunk, when its rest can come later. Whether it did. */
bool hp_kept_put(lease_t *lease);
/* What is kept of the chunk from this source, the caller's now; NULL. */
hp_chunk_buffer_t *hp_kept_take(const source_t *source, uint64_t chunk);
bool hp_kept_has(const item_t *item, uint64_t chunk);
/* Of chunks that nobody asks for now. */
uint64_t hp_kept_bytes(const item_t *item);
/* Of the files of a download that are not in memory, as while it is paused. */
uint64_t hp_kept_bytes_unloaded(const download_t *download);
void hp_kept_drop(const item_t *item, uint64_t chunk); /* or HP_KEPT_ALL */
void hp_kept_drop_old(hp_transfer_t *transfer);
void hp_kept_drop_all(hp_transfer_t *transfer);

/* ---- reader.c ---- */
const hp_reader_t *hp_reader_next(const hp_reader_t *reader);
int64_t hp_reader_download(const hp_reader_t *reader);
void hp_reader_wake(hp_transfer_t *transfer); /* readers that wait may have what they wait for */

/* ---- schedule.c ---- */
/* What a lease of the item fills at a time: a chunk, or the whole of a smaller file, as far as it is known.
 */
uint64_t hp_item_lease_bytes(const item_t *item);
/* Whether one more lease of the item finds a buffer: those of all leases together stay within LEASED_MAX,
 * whatever the number of sources; each running download has its share, and one lease always. */
bool hp_item_has_budget(const item_t *item);
bool hp_download_has_budget(const download_t *self, uint64_t bytes);
/* Starts as many leases as sources, limits and free chunks allow. Whether the item has work going or can have
 * it at once. */
bool hp_item_schedule(item_t *item);
/* Whether a source can be asked for it now. */
bool hp_item_can_fetch(const item_t *item);

#endif
