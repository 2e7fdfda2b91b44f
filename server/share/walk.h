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

#include "share/left_out.h"
#include "share/place.h"
#include "share/watch.h"

typedef enum {
    HP_WALK_FILE,    /* a file to list, or a link to one */
    HP_WALK_LINK,    /* a link that is not listed now; it may be when its target changes */
    HP_WALK_GONE,    /* one of the paths asked for holds nothing to list */
    HP_WALK_FOLDER,  /* one of the paths asked for is a folder, and everything in it has been given, but for
                        troubled paths */
    HP_WALK_EMPTY,   /* a folder that has nothing to list in it; not where hp_walk_tell_folders was called */
    HP_WALK_ENTERED, /* a folder, before everything that is in it; only where hp_walk_tell_folders was called
                      */
    HP_WALK_LEFT,    /* something that is left out, and why */
} hp_walk_kind_t;

typedef struct hp_walk_item {
    hp_walk_kind_t kind;
    bool link;
    bool asked;              /* path is one of those asked for, not found in a folder */
    bool executable;         /* of a HP_WALK_FILE: its owner may run it */
    bool twins;              /* of a HP_WALK_FILE: the file has other names (hard links), here or elsewhere */
    hp_left_reason_t reason; /* of a HP_WALK_LEFT, whose path may be no valid one */
    char *path;
    hp_shared_identity_t identity; /* of a HP_WALK_FILE, where a link's is its target's, or HP_WALK_ENTERED */
} hp_walk_item_t;

#define HP_WALK_BATCH 1000

/* One of the shared folders, as the walk found it. */
typedef struct hp_walk_folder {
    int missing;            /* why it cannot be opened (negative errno), or 0 */
    bool replaced;          /* it is another one than expected: nothing in it was looked at */
    bool empty;             /* it has nothing in it; only of a walk of everything */
    uint64_t device, inode; /* inode 0: it was not opened */
} hp_walk_folder_t;

typedef struct hp_walk hp_walk_t;

/* What is at these paths now? They are taken over and freed, with the array. "" is everything: the main
 * folder, in which the others are found by their names. watch may be NULL. */
hp_walk_t *hp_walk_create(const hp_place_t *place, hp_watch_t *watch, char **paths, size_t count);
void hp_walk_destroy(hp_walk_t *walk);

/* Before the first step: only shared folders that are these are looked into, each by its device and inode.
 * The array outlives the walk. */
void hp_walk_expect(hp_walk_t *walk, const hp_walk_folder_t expected[HP_PLACE_FOLDERS]);

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
    hp_walk_folder_t folders[HP_PLACE_FOLDERS]; /* as the place numbers them; zero: not looked at */
    int trouble; /* why something could not be looked at (negative errno), or 0; the first of them: */
    char trouble_path[256];
    bool broken; /* so much trouble that the walk was given up: nothing it did not find may be taken for gone
                  */
    int unwatched; /* why some folder could not be watched (negative errno), or 0 */
    bool remote;   /* there is a file system in it whose changes by others go untold (NFS, SMB, FUSE, ...) */
} hp_walk_report_t;

#define HP_WALK_DEPTH 128

const hp_walk_report_t *hp_walk_report(const hp_walk_t *walk);

/* Whether the path, or a folder that it is in, could not be looked at, or the shared folder that it is in is
 * missing: what is there now is unknown. */
bool hp_walk_troubled(const hp_walk_t *walk, const char *path);

#endif
