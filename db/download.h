/* Tables download, download_file, download_source and chunk: what was ordered and how far it has come.
 *
 * A row that no hostpair has written (a path that leads out of its folder, a chunk size of 1) is an error
 * that names its table and id, HP_E_DB; functions that read many downloads name it in the log and pass over
 * it.
 *
 * Texts in rows that are read are malloced and freed by the matching dispose; rows that are written only
 * borrow. The store's thread, like everything in db/. */
#ifndef HP_DB_DOWNLOAD_H
#define HP_DB_DOWNLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"

#define HP_DB_SIZE_UNKNOWN (-1)
#define HP_DB_MAY_STAND                                                                                      \
    (-1) /* as replaces_ns of a file: what stands at path may be it, and is hashed first */

typedef struct hp_download_row {
    int64_t id;
    char *base, *path; /* of one file: as its row says, where the name that it got stands first */
    bool folder;
    char *order_host, *order_path, *order_root, *order_url; /* NULL: not ordered so */
    char *order_headers, *order_certificate;                /* of an order by URL; NULL none */
    char *state, *reason;
    int error_code;
    char *error_detail;
    char *note;
    bool disk_wait;
    int priority;
    int64_t limit_bps;
    int64_t created_at, finished_at;
    /* Sums over its files; read only. */
    int64_t files_total, files_done, files_failed;
    int64_t files_verified, sizes_unknown;
    int64_t size; /* of the files whose size is known */
    int64_t done_bytes, chunks_total, chunks_done, chunk_size;
    char *root; /* of a single file; NULL */
} hp_download_row_t;
void hp_download_row_dispose(hp_download_row_t *row);

typedef struct hp_download_file_row {
    int64_t id, download;
    char *path, *source_path;
    char *state; /* "open", "finishing", "done", "failed" */
    char *error;
    int64_t size; /* HP_DB_SIZE_UNKNOWN */
    char *root;   /* NULL unknown */
    int64_t chunk_size, chunks_done;
    bool verified;
    char *part; /* NULL: no part file yet */
    uint64_t device, inode;
    char *boot_id;       /* NULL while there is no part */
    int64_t mtime_ms;    /* at the source; 0 unknown */
    int64_t replaces_ns; /* of the older version at path whose place it takes; 0 none; HP_DB_MAY_STAND */
    bool executable;     /* at the source */
    int64_t born_ns;     /* when the part file was made; 0 unknown */
} hp_download_file_row_t;
void hp_download_file_row_dispose(hp_download_file_row_t *row);

/* ---- orders ---- */

/* Sets row->id. */
int hp_db_download_insert(hp_db_t *db, hp_download_row_t *row, hp_err_t *err);
/* Sets row->id. */
int hp_db_download_file_insert(hp_db_t *db, hp_download_file_row_t *row, hp_err_t *err);
/* Everything of the row that can change: base, path, state, reason, error, note, disk_wait, priority,
 * limit, finished_at. */
int hp_db_download_update(hp_db_t *db, const hp_download_row_t *row, hp_err_t *err);
int hp_db_download_set_url(hp_db_t *db, int64_t id, const char *url, hp_err_t *err);
/* order_headers and order_certificate; NULL: none. */
int hp_db_download_set_secrets(hp_db_t *db, int64_t id, const char *headers, const char *certificate,
                               hp_err_t *err);
/* With its files, sources and chunks. */
int hp_db_download_remove(hp_db_t *db, int64_t id, hp_err_t *err);

/* The row is disposed after fn returns. */
typedef void (*hp_db_download_fn)(void *arg, const hp_download_row_t *row);
/* Those that are queued, running, paused or verifying, oldest first. */
int hp_db_download_unfinished(hp_db_t *db, hp_db_download_fn fn, void *arg, hp_err_t *err);
/* Those that are done, failed or cancelled, or (state not NULL) in that state alone: the newest `limit` with
 * an id below `before` (0: any), newest first. Reads no file of theirs, and so takes the same time whatever
 * they hold and however many there are. */
int hp_db_download_ended(hp_db_t *db, const char *state, int64_t before, size_t limit, hp_db_download_fn fn,
                         void *arg, hp_err_t *err);
/* How many downloads are in each state that any is in. */
int hp_db_download_counts(hp_db_t *db, void (*fn)(void *arg, const char *state, int64_t count), void *arg,
                          hp_err_t *err);
/* 0 with the row for the caller to dispose, or HP_E_NOT_FOUND. */
int hp_db_download_get(hp_db_t *db, int64_t id, hp_download_row_t *row, hp_err_t *err);
/* Whether an order that is neither cancelled nor done holds this path below base. */
int hp_db_download_path_taken(hp_db_t *db, const char *base, const char *path, bool *taken, hp_err_t *err);
/* Whether any order, a done one as well, is of this path below base. */
int hp_db_download_path_known(hp_db_t *db, const char *base, const char *path, bool *known, hp_err_t *err);
/* A download that is on its way or done with the same content: by root (NULL: not) and size
 * (HP_DB_SIZE_UNKNOWN: any), else an unfinished one by host and path, or by URL. 0 with id, or
 * HP_E_NOT_FOUND. */
int hp_db_download_find(hp_db_t *db, const char *root, int64_t size, const char *host, const char *path,
                        const char *url, bool folder, int64_t *id, hp_err_t *err);
/* The newest download of this place of this host that failed, or (folder) is done: 0 with id, or
 * HP_E_NOT_FOUND. */
int hp_db_download_find_ended(hp_db_t *db, const char *host, const char *path, bool folder, int64_t *id,
                              hp_err_t *err);
/* The newest done download of this URL, or else of this file of this host: 0 with id, or HP_E_NOT_FOUND. */
int hp_db_download_find_done(hp_db_t *db, const char *host, const char *path, const char *url, int64_t *id,
                             hp_err_t *err);
/* ---- what is kept of cancelled ones: in no list, and by their id not found ---- */

/* kept: there is something to keep, a part file with chunks; else nothing is done. */
int hp_db_download_keep(hp_db_t *db, int64_t id, bool *kept, hp_err_t *err);
/* It is a download in this state again. */
int hp_db_download_unkeep(hp_db_t *db, int64_t id, const char *state, const char *note, hp_err_t *err);
/* Newest first. */
int hp_db_download_kept(hp_db_t *db, hp_db_download_fn fn, void *arg, hp_err_t *err);
/* The newest for an order's base, and its URL, place or root (NULL: not by that). 0 with id, or
 * HP_E_NOT_FOUND. */
int hp_db_download_find_kept(hp_db_t *db, const hp_download_row_t *order, int64_t *id, hp_err_t *err);

/* What is known here of a remote file, by its root (NULL: not) and size or else its place, for file lists:
 * "done", "downloading" or NULL. Static text. */
int hp_db_download_local(hp_db_t *db, const char *root, int64_t size, const char *host, const char *path,
                         const char **local, hp_err_t *err);

/* ---- files ---- */

/* The next files with state open or finishing and an id above after, at most max; rows are for the caller to
 * dispose. */
int hp_db_download_file_next(hp_db_t *db, int64_t download, int64_t after, hp_download_file_row_t *rows,
                             size_t max, size_t *count, hp_err_t *err);
/* The same with the failed ones: all that may have a part file. */
int hp_db_download_file_unfinished(hp_db_t *db, int64_t download, int64_t after, hp_download_file_row_t *rows,
                                   size_t max, size_t *count, hp_err_t *err);
/* All files of a download with an id above after, in order. */
int hp_db_download_file_page(hp_db_t *db, int64_t download, int64_t after, hp_download_file_row_t *rows,
                             size_t max, size_t *count, hp_err_t *err);
/* Everything of the row that can change, but not chunks_done. */
int hp_db_download_file_update(hp_db_t *db, const hp_download_file_row_t *row, hp_err_t *err);
/* The download's files with ids from first to last have come whole and agree with their roots, under the
 * names in their rows, in chunks of chunk_size bytes, without part files: they are done. One statement, which
 * leaves the index of roots alone. */
int hp_db_download_files_done(hp_db_t *db, int64_t download, int64_t first, int64_t last, int64_t chunk_size,
                              hp_err_t *err);
/* Failed files are open again. */
int hp_db_download_file_reopen(hp_db_t *db, int64_t download, hp_err_t *err);

/* ---- part files of earlier versions ---- */

/* The row's part is one of them from now on. */
int hp_db_download_left_add(hp_db_t *db, int64_t file, const char *part, uint64_t device, uint64_t inode,
                            hp_err_t *err);
int hp_db_download_left_each(hp_db_t *db, int64_t file,
                             void (*fn)(void *arg, const char *part, uint64_t device, uint64_t inode),
                             void *arg, hp_err_t *err);

/* ---- sources ---- */

typedef struct hp_download_source_row {
    int64_t id, file;
    char *host, *path, *etag, *set_aside;
} hp_download_source_row_t;
void hp_download_source_row_dispose(hp_download_source_row_t *row);

/* Inserts or updates by (file, host, path); sets row->id. */
int hp_db_download_source_put(hp_db_t *db, hp_download_source_row_t *row, hp_err_t *err);
int hp_db_download_source_each(hp_db_t *db, int64_t file,
                               void (*fn)(void *arg, const hp_download_source_row_t *row), void *arg,
                               hp_err_t *err);
/* Forgets why sources were set aside: a person asked for another try. */
int hp_db_download_source_forgive(hp_db_t *db, int64_t download, hp_err_t *err);
/* All sources of a download stand at this place from now on, with their validators: its URL is another one.
 */
int hp_db_download_source_move(hp_db_t *db, int64_t download, const char *host, const char *path,
                               hp_err_t *err);
/* Forgets the validators of a file: another version of it is wanted. */
int hp_db_download_source_clear(hp_db_t *db, int64_t file, hp_err_t *err);

/* ---- chunks ---- */

typedef struct hp_chunk_row {
    int64_t file, number;
    uint8_t digest[32];
    int64_t source;
} hp_chunk_row_t;

/* Also counts it in its file. A row that is there already is replaced. */
int hp_db_chunk_add(hp_db_t *db, const hp_chunk_row_t *row, hp_err_t *err);
int hp_db_chunk_remove(hp_db_t *db, int64_t file, int64_t number, hp_err_t *err);
int hp_db_chunk_clear(hp_db_t *db, int64_t file, hp_err_t *err);
int hp_db_chunk_each(hp_db_t *db, int64_t file, void (*fn)(void *arg, const hp_chunk_row_t *row), void *arg,
                     hp_err_t *err);
/* Which host gave which bytes of a download, chunk by chunk, at most limit of its chunks and files (2 or
 * more) after at, which is zero with number -1 at first and is moved on; more: there may be others. host is
 * valid during the call, NULL for a chunk whose source is not on record. */
typedef struct hp_download_given {
    int64_t file, number;
} hp_download_given_t;
int hp_db_download_given(hp_db_t *db, int64_t download, hp_download_given_t *at, int64_t limit, bool *more,
                         void (*fn)(void *arg, const char *host, int64_t bytes), void *arg, hp_err_t *err);

#endif
