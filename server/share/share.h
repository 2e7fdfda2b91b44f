/* What this host offers: the shared folders, their index in the store (kept right by watching and walking),
 * and the hash trees of their files. To others they are one tree (place.h).
 *
 * Invariants
 * 1. Loop thread only; all disk work happens in libuv's pool, all SQL in the store thread.
 * 2. Only regular files whose path passes hp_path_check, that are no part files and whose names are not
 * ignored (ignore.h) are listed or opened; a link only while its target lies inside the folder and is written
 * as a relative path (openat2 follows no other). Links to folders are not walked through, as they may lead
 * round in a circle; a file behind one is opened all the same. The data folder and the database are never
 * seen.
 * 3. A root is only reported together with the identity (device, inode, size, mtime_ns, ctime_ns) of the
 * bytes it was computed from.
 * 4. While a folder is missing, or an empty folder on another file system stands in its place (an unmounted
 * disk), nothing in it is listed and nothing is forgotten: when it is back, so are its files with their
 * hashes.
 */
#ifndef HP_SHARE_SHARE_H
#define HP_SHARE_SHARE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "share/left_out.h"
#include "store/store.h"

typedef struct hp_share hp_share_t;

typedef struct hp_share_stats {
    uint64_t files, bytes, hashed_bytes;
    bool scanning; /* the first walk since the start is not finished */
    bool missing;  /* the main folder, or its disk, is not there: nothing in it is offered */
} hp_share_stats_t;

/* folder is made if missing. HP_E_* or system code with the words in err. Starts nothing yet. */
int hp_share_create(hp_share_t **share, uv_loop_t *loop, hp_store_t *store, const char *folder,
                    hp_err_t *err);

/* Which names are not offered: patterns (ignore.h) that passed their check, and dotfiles: whether names that
 * begin with a dot are. Before the first call nothing is ignored. */
void hp_share_set_ignored(hp_share_t *share, const char *patterns, bool dotfiles);

/* Walks, watches and hashes from now on. */
void hp_share_start(hp_share_t *share);

/* Stops pool work at the next file, then calls closed. Outstanding opens and listings call back with
 * UV_ECANCELED first. */
void hp_share_destroy(hp_share_t *share, void (*closed)(void *arg), void *arg);

/* The main folder. Valid until the next return to the loop. */
const char *hp_share_folder(const hp_share_t *share);

/* Has another main folder from now on (made if missing): what is under way for clients goes on with the old
 * one, the index follows after a walk, and files that were moved there on the same file system keep their
 * roots. done runs once, never inside the call: 0, or why the folder cannot be used, and then the old one
 * stays. Returns 0, or HP_E_BUSY while another change is under way; then done is not called. */
typedef void (*hp_share_moved_fn)(void *arg, int status, const hp_err_t *err);
int hp_share_set_folder(hp_share_t *share, const char *folder, hp_share_moved_fn done, void *arg);
void hp_share_get_stats(const hp_share_t *share, hp_share_stats_t *stats);

/* What lies in the folder and is not offered, as of the last look. Valid until the next return to the loop.
 */
const hp_left_out_t *hp_share_left_out(const hp_share_t *share);

/* Goes up by one whenever the list of files changes in any way that a list shows; kept over restarts. */
uint64_t hp_share_revision(const hp_share_t *share);

/* Called on the loop after the list, the stats or a root changed; at most 4 times a second. */
typedef void hp_share_change_fn(void *arg);
void hp_share_on_change(hp_share_t *share, hp_share_change_fn *fn, void *arg);

/* ---- serving ---- */

typedef struct hp_share_file {
    int fd; /* open for reading; the callback's to close */
    struct stat stat;
    char root[65]; /* 64 hex digits when it is known for exactly these bytes, else "" */
} hp_share_file_t;

/* Opens a file by its path in the folder (decoded, not yet checked). status: 0; HP_E_NOT_FOUND (missing, not
 * listed, leads outside, no valid path, unreadable); HP_E_FORBIDDEN (a folder); a system code when the
 * machine is at its limits (-EMFILE, -EIO). file is NULL unless 0. Runs once, never inside the call. The root
 * is the one in memory: of more than HP_ROOTS_MAX hashed files it may be missing the first time. */
typedef void (*hp_share_open_fn)(void *arg, int status, const hp_share_file_t *file);
void hp_share_open(hp_share_t *share, const char *path, hp_share_open_fn done, void *arg);

/* The names directly in the folder, read from the disk now, each ended by "\r\n"; sorted by bytes. text is
 * the callback's to free(). HP_E_TOO_LARGE above 64 MiB. */
typedef void (*hp_share_names_fn)(void *arg, int status, char *text, size_t length);
void hp_share_names(hp_share_t *share, hp_share_names_fn done, void *arg);

/* One row of the index. */
typedef struct hp_share_row {
    char *path;
    uint64_t size;
    int64_t mtime_ms;
    char root[65];
    bool executable; /* its owner may run it */
    bool is_folder;  /* an empty one: it has a path alone */
} hp_share_row_t;

/* The rows after the path `after` (NULL: from the start), in byte order of their paths, at most limit. Before
 * the first walk of a folder that was never indexed is finished, the call waits for it. rows are freed after
 * the callback returns. */
typedef void (*hp_share_rows_fn)(void *arg, int status, const hp_share_row_t *rows, size_t count);
void hp_share_rows(hp_share_t *share, const char *after, size_t limit, hp_share_rows_fn done, void *arg);
/* The same of the folders that have nothing to list in them; at most 10,000 in all. */
void hp_share_folders(hp_share_t *share, const char *after, size_t limit, hp_share_rows_fn done, void *arg);

/* ---- hash trees (BEP 52) ---- */

/* A layer of the tree of a shared file, read from its start to its end in pieces: whatever the size of the
 * file and the number of readers, little of it is in memory. A layer finer than the one that is kept is
 * computed from the file; every piece of it is held against the kept one before it is given away. */
typedef struct hp_layer hp_layer_t;

/* Opens the layer of the tree of `root` at chunk size `chunk` (a power of two, at least 16384). size: of the
 * file; 0: of the largest with that root, as a root alone does not say which file it is (db/shared_file.h).
 * done runs once, never inside the call. HP_E_NOT_FOUND unknown root; HP_E_INVALID bad chunk, or one so fine
 * that a piece would be more than 65,536 digests (files above 64 TiB). count: digests in the layer; layer is
 * the callback's to close, and must be closed before the share's end. */
typedef void (*hp_layer_open_fn)(void *arg, int status, hp_layer_t *layer, uint64_t count);
void hp_layer_open(hp_share_t *share, const char *root, uint64_t size, uint64_t chunk, hp_layer_open_fn done,
                   void *arg);
/* The next piece, at least one digest of 32 bytes, valid during the callback; not after the last one. done
 * runs once, never inside the call. HP_E_NOT_FOUND when the file has changed or gone: that ends the layer. */
typedef void (*hp_layer_next_fn)(void *arg, int status, const uint8_t *digests, size_t count);
void hp_layer_next(hp_layer_t *layer, hp_layer_next_fn done, void *arg);
/* Not while a piece is on its way. */
void hp_layer_close(hp_layer_t *layer);

#endif
