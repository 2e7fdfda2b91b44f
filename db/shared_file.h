/* The index of the shared folder: which files it has, and the hashes of their contents.
 *
 * Invariants
 * 1. A root stands in a row only together with the identity of the bytes that it was computed from; a changed
 * identity clears it, unless another row has a root for exactly the new identity (a moved file, a second
 * name).
 * 2. Totals and revision (table share) change in the transaction of the rows: whoever changes rows ends its
 * job with hp_shared_commit.
 * 3. No call reads or writes more than a few thousand rows; what may be longer is done in steps.
 *
 * The store's thread. Results are malloced for the caller, to be freed on any thread. */
#ifndef HP_DB_SHARED_FILE_H
#define HP_DB_SHARED_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"

#define HP_SHARED_ROOT_SIZE 32

/* The same values mean the same bytes. No padding: compared and hashed as memory. */
typedef struct hp_shared_identity {
    uint64_t device, inode, size;
    int64_t mtime_ns, ctime_ns;
} hp_shared_identity_t;

typedef struct hp_shared_state {
    char *folder;
    uint64_t device; /* of the folder at its last walk */
    bool complete;   /* walked to the end at least once */
    uint64_t revision, files, bytes, hashed_bytes;
} hp_shared_state_t;
void hp_shared_state_dispose(hp_shared_state_t *state);

/* 0, HP_E_NOT_FOUND (err untouched) before the first save, or a database error. */
int hp_shared_state_load(hp_db_t *db, hp_shared_state_t *state, hp_err_t *err);

/* Which folder the index describes from now on. Totals stay; the revision goes up. */
int hp_shared_state_save(hp_db_t *db, const char *folder, uint64_t device, bool complete, hp_err_t *err);

/* What a job did to the rows so far; starts as zeros. */
typedef struct hp_shared_change {
    int64_t files, bytes, hashed_bytes; /* differences */
    uint64_t rows;                      /* changed in what a list shows */
    bool unhashed;                      /* there is more to hash than before */
} hp_shared_change_t;

/* Adds the change to the totals, and one to the revision if any row changed. */
int hp_shared_commit(hp_db_t *db, const hp_shared_change_t *change, hp_err_t *err);

/* The absolute path of the database's own file, which must never be shared; NULL for one in memory. */
char *hp_shared_database(hp_db_t *db);

/* ---- rows ---- */

/* The file at path is this. *id is the row's number. */
int hp_shared_put(hp_db_t *db, const char *path, const hp_shared_identity_t *identity, bool executable,
                  int64_t *id, hp_shared_change_t *change, hp_err_t *err);

/* This is a file with several names (hard links): the rows of the others, of which nobody tells when it is
 * written to under one, become this, too. */
int hp_shared_put_twins(hp_db_t *db, const hp_shared_identity_t *identity, bool executable,
                        hp_shared_change_t *change, hp_err_t *err);

/* There is no file at path. */
int hp_shared_remove(hp_db_t *db, const char *path, hp_shared_change_t *change, hp_err_t *err);

/* Removes the rows below a folder ("" all) for which keep says false; keep NULL removes all. Looks at a few
 * thousand rows from *after on (NULL at the start; malloced, the caller's) and sets it to where the next call
 * goes on, or to NULL at the end. */
typedef bool (*hp_shared_keep_fn)(void *arg, int64_t id, const char *path);
int hp_shared_sweep(hp_db_t *db, const char *below, hp_shared_keep_fn keep, void *arg, char **after,
                    hp_shared_change_t *change, hp_err_t *err);

/* ---- empty folders (shared_folder.c) ---- */

#define HP_SHARED_FOLDERS_MAX 10000 /* of them are kept after a walk of everything; others are left out */

/* The folder at path has nothing to list in it. */
int hp_shared_folder_put(hp_db_t *db, const char *path, hp_shared_change_t *change, hp_err_t *err);

/* There is something at path: the folders above it are not empty. */
int hp_shared_folder_filled(hp_db_t *db, const char *path, hp_shared_change_t *change, hp_err_t *err);

/* Removes the folder and those below it ("" all) for which keep says false. */
typedef bool (*hp_shared_keep_folder_fn)(void *arg, const char *path);
int hp_shared_folder_sweep(hp_db_t *db, const char *below, hp_shared_keep_folder_fn keep, void *arg,
                           hp_shared_change_t *change, hp_err_t *err);

/* ---- reading ---- */

typedef struct hp_shared_row {
    char *path;
    hp_shared_identity_t identity;
    bool executable, rooted;
    uint8_t root[HP_SHARED_ROOT_SIZE];
} hp_shared_row_t;

typedef struct hp_shared_rows {
    hp_shared_row_t *items;
    size_t count;
} hp_shared_rows_t;
void hp_shared_rows_dispose(hp_shared_rows_t *rows);

/* At most limit rows after a path (NULL: from the start) in byte order of the paths. */
int hp_shared_page(hp_db_t *db, const char *after, size_t limit, hp_shared_rows_t *rows, hp_err_t *err);

/* The same of the empty folders: rows with a path alone. */
int hp_shared_folder_page(hp_db_t *db, const char *after, size_t limit, hp_shared_rows_t *rows,
                          hp_err_t *err);

/* The rows with a root among those numbered *before - span to *before - 1 (INT64_MAX: the last ones), latest
 * first; *before becomes where the next call goes on, 0 at the end. */
int hp_shared_latest(hp_db_t *db, int64_t *before, int64_t span, hp_shared_rows_t *rows, hp_err_t *err);

/* ---- hashes ---- */

/* The root of these bytes: 0 or HP_E_NOT_FOUND (err untouched). */
int hp_shared_root_of(hp_db_t *db, const hp_shared_identity_t *identity, uint8_t root[HP_SHARED_ROOT_SIZE],
                      hp_err_t *err);

/* Gives every row with this identity the root; keeps the layer when it has more than one digest. Does nothing
 * when no row has it. */
int hp_shared_set_root(hp_db_t *db, const hp_shared_identity_t *identity,
                       const uint8_t root[HP_SHARED_ROOT_SIZE], uint64_t chunk_size, const uint8_t *digests,
                       uint64_t count, hp_shared_change_t *change, hp_err_t *err);

/* The file of this device and inode, if it is still the one at path, is not to be hashed before a time (wall
 * ms), whatever is written to it until then. */
int hp_shared_set_later(hp_db_t *db, const char *path, const hp_shared_identity_t *identity,
                        int64_t hash_after, hp_err_t *err);

/* Files to hash next: up to limit / 2 of the newest and as many of the smallest, taking turns; each once.
 * Files whose ctime is not older than settle_ns (settle_coarse_ns where the file system counts time in steps
 * of 10 ms or more) are left out, as they may change without a trace. *wait_ms: when nothing is found, how
 * long until something may be; -1 when there is nothing to hash at all. */
int hp_shared_unhashed(hp_db_t *db, size_t limit, int64_t now_ns, int64_t settle_ns, int64_t settle_coarse_ns,
                       hp_shared_rows_t *rows, int64_t *wait_ms, hp_err_t *err);

/* A content by its root and size. The root alone does not say which: a file of 64 bytes that holds the two
 * top nodes of a larger file's tree has that tree's root. */
typedef struct hp_shared_content {
    hp_shared_row_t file; /* one that has it */
    uint64_t chunk_size;  /* of the layer that is kept; 0: none is */
    uint64_t count;       /* of its digests */
} hp_shared_content_t;
void hp_shared_content_dispose(hp_shared_content_t *content);

/* size 0: the largest with that root. 0 or HP_E_NOT_FOUND (err untouched). */
int hp_shared_find(hp_db_t *db, const uint8_t root[HP_SHARED_ROOT_SIZE], uint64_t size,
                   hp_shared_content_t *content, hp_err_t *err);

/* Digests of the layer that is kept for a root, from number first on; digests takes count of them. 0, or
 * HP_E_NOT_FOUND (err untouched) when it has gone or is shorter. */
int hp_shared_layer_read(hp_db_t *db, const uint8_t root[HP_SHARED_ROOT_SIZE], uint64_t first, uint64_t count,
                         uint8_t *digests, hp_err_t *err);

#endif
