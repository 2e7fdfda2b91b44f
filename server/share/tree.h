/* What is offered below one folder, one entry after another, as the disk has it now: everything, for
 * archives, or the first levels of it, for lists.
 *
 * Invariants
 * 1. Made and destroyed on the loop; hp_tree_next runs in the pool, in one thread at a time.
 * 2. The share does not end before its trees.
 * 3. Links are left out, but for links to files that were chosen by their names, and where files are only
 * looked at; so is all that the share does not offer (share.h). What goes away meanwhile is left out as well.
 * 4. A folder comes before what is in it; apart from that the order is the disk's. Memory is one batch of a
 * walk, descriptors are one a level, whatever the number of files.
 */
#ifndef HP_SHARE_TREE_H
#define HP_SHARE_TREE_H

#include "share/share.h"

typedef struct hp_tree hp_tree_t;

typedef struct hp_tree_entry {
    const char *name; /* its path below the folder; valid until the next call */
    bool is_folder;
    int fd;            /* of a file: open for reading, the caller's to close; -1 for a folder, or one that is
                          only looked at */
    int64_t looked_at; /* wall clock in ns, before the stat of what is only looked at was taken */
    struct stat stat;  /* of a folder its mtime alone; of a file that is only looked at what tells its bytes
                         from others (db/shared_file.h) */
} hp_tree_entry_t;

/* folder: its path in the share, "" for all of it; not yet checked. */
hp_tree_t *hp_tree_create(hp_share_t *share, const char *folder);
void hp_tree_destroy(hp_tree_t *tree);

/* Pool, before hp_tree_open: not all of the folder but what is called so in it, each with everything below
 * it. names: paths below the folder, not yet checked, copied; a name twice counts once. */
void hp_tree_choose(hp_tree_t *tree, char *const *names, size_t count);

/* Before hp_tree_open: files are only looked at, not opened, folders are read down to so many levels, and the
 * path itself, which may be a file's, comes first, with the name "". */
void hp_tree_look(hp_tree_t *tree, size_t levels);

/* 0; HP_E_NOT_FOUND: there is no such folder, or it is a link to one or not offered; or, with words in err,
 * that goes for one of the chosen names. Before the first hp_tree_next. */
int hp_tree_open(hp_tree_t *tree, hp_err_t *err);

/* 1: entry is the next one; 0: that was the last one; or a negative code when something could not be read:
 * what was given so far is not all. */
int hp_tree_next(hp_tree_t *tree, hp_tree_entry_t *entry);

#endif
