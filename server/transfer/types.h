/* The parts of hp_transfer and how they hang together. For the sources of server/transfer alone.
 *
 *   hp_transfer_t   the queue (transfer.c): all downloads, what is known of hosts, limits, the tick
 *   download_t      one order (download.c): its state, its hosts, its files that are under way
 *   item_t          one file under way (item.c): from its rows in the store to its final name
 *   source_host_t   one host or web server that a download fetches from (source.c)
 *   source_t        where one file is at one host, with its validator (source.c)
 *   lease_t         one request for a run of chunks of an item from a source (lease.c)
 *   bundle_t        one request for many small files of a folder, which are no items (bundle.c)
 *
 * Which way calls go: transfer -> download -> item -> lease. Upwards only through few functions of
 * internal.h, which never free what their caller stands on: disposal happens in
 * hp_download_settle(), from the loop's own turn.
 *
 * Ownership
 * 1. The transfer owns downloads; a download its items and hosts; an item its sources and leases.
 * 2. A lease lives from hp_fetch_start to on_done. An item lives until its leases, its chunk jobs, its pool
 *    step and its store jobs are all gone (item_t.pending).
 * 3. A chunk is in exactly one of: done, writing, leased (to one lease, or to two at the very end), free.
 */
#ifndef HP_TRANSFER_TYPES_H
#define HP_TRANSFER_TYPES_H

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
#define GROWN_TIMES       2    /* a file that was longer so often in a row is taken while it grows */
#define MOVED_WAIT_MS     5000 /* a file that is gone at its place may be listed at another one so soon */
#define MOVED_LOOK_MS     1000 /* the lists are asked for so often meanwhile */
#define NEWER_WAIT_MS     5000 /* a file whose bytes are not what was listed may be listed anew so soon */
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
    char *added_as;           /* "name:port" by which a person added it; "" */
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
    bool longer;               /* it was refused, as the file has become longer */
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
    unsigned grown;    /* how often in a row the next version was a longer one */
    bool grows;        /* the reply says: what the file was at opening; more was appended meanwhile, maybe */
    char *restart_why; /* another version was met, or the part file is gone: begin again when nothing is being
                          written */
    bool same_version; /* with the same reader, then: it keeps its root */
    bool alike; /* the open part file is another one than that on record, which its bytes have still to prove
                 */
    hp_part_identity_t opened;
    unsigned looked_at;                  /* its part file, in which round */
    uint64_t moved_until, moved_look_at; /* ms; it is looked for at another place; 0: it is not */
    uint64_t newer_until, newer_look_at; /* ms; its list is fetched anew (newer.c); 0: it is not */
    char *newer_root;                    /* hex, of what the host lists now, which it starts over as; NULL */
    int64_t newer_mtime_ms;              /* of that; 0 unknown */
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
    bool folders_made;  /* the empty ones (folders.c) */
    bool folders_making;
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
    bool plain_content;    /* content may be asked in plain */
    bool keeps_executable; /* files that may be run at their source may be run here */
    unsigned running;      /* downloads, as of the last turn */
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

#endif
