/* Reading folders: finds the files below some paths of the shared folder, a batch at a time.
 *
 * Invariants
 * 1. Used by one thread at a time: hp_walk_step runs in the pool, the loop looks at the batch between two
 * steps.
 * 2. Memory is one batch and one open folder a level, whatever the number of files.
 * 3. Every folder is watched before it is read.
 * 4. Links to folders are not walked through: they may lead round in a circle. Their files can be opened all
 * the same.
 */
#ifndef HP_SHARE_WALK_H
#define HP_SHARE_WALK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "share/place.h"
#include "share/watch.h"

typedef enum {
    HP_WALK_FILE,    /* a file to list, or a link to one */
    HP_WALK_LINK,    /* a link that is not listed now; it may be when its target changes */
    HP_WALK_GONE,    /* one of the paths asked for holds nothing to list */
    HP_WALK_FOLDER,  /* one of the paths asked for is a folder, and everything in it has been given, but for
                        troubled paths */
    HP_WALK_ENTERED, /* a folder, before everything that is in it; only where hp_walk_tell_folders was called
                      */
} hp_walk_kind_t;

typedef struct hp_walk_item {
    hp_walk_kind_t kind;
    bool link;
    bool asked; /* path is one of those asked for, not found in a folder */
    bool twins; /* of a HP_WALK_FILE: the file has other names (hard links), here or elsewhere */
    char *path;
    hp_shared_identity_t identity; /* of a HP_WALK_FILE, where a link's is its target's, or HP_WALK_ENTERED */
} hp_walk_item_t;

#define HP_WALK_BATCH 1000

typedef struct hp_walk hp_walk_t;

/* What is at these paths now? They are taken over and freed, with the array. "" is everything. watch may be
 * NULL. */
hp_walk_t *hp_walk_create(const hp_place_t *place, hp_watch_t *watch, char **paths, size_t count);
void hp_walk_destroy(hp_walk_t *walk);

/* Before the first step: folders on the way are given as well. */
void hp_walk_tell_folders(hp_walk_t *walk);

/* Before the first step: folders so many levels below the paths are not read (0: nor the paths themselves),
 * only given as entered. */
void hp_walk_limit(hp_walk_t *walk, size_t levels);

/* Pool thread: fills the next batch. Whether there is more. Ends early, with whatever it has, once *cancelled
 * is true. */
bool hp_walk_step(hp_walk_t *walk, const atomic_bool *cancelled);

/* The batch of the last step; the caller takes the paths by setting them NULL, the others are freed at the
 * next step. */
hp_walk_item_t *hp_walk_items(hp_walk_t *walk, size_t *count);

typedef struct hp_walk_report {
    int missing;            /* why the folder itself cannot be opened (negative errno), or 0 */
    uint64_t device, inode; /* of the folder */
    bool empty;             /* the folder has nothing in it; only of a walk of everything */
    int trouble; /* why something could not be looked at (negative errno), or 0; the first of them: */
    char trouble_path[256];
    bool broken; /* so much trouble that the walk was given up: nothing it did not find may be taken for gone
                  */
    bool too_deep; /* folders below HP_WALK_DEPTH levels were left out */
    int unwatched; /* why some folder could not be watched (negative errno), or 0 */
    bool remote;   /* there is a file system in it whose changes by others go untold (NFS, SMB, FUSE, ...) */
} hp_walk_report_t;

#define HP_WALK_DEPTH 128

const hp_walk_report_t *hp_walk_report(const hp_walk_t *walk);

/* Whether the path, or a folder that it is in, could not be looked at: what is there now is unknown. */
bool hp_walk_troubled(const hp_walk_t *walk, const char *path);

#endif
