/* Removing a folder with everything in it, in the pool.
 *
 * First it is looked whether all of it may go; only then anything is removed. Links are removed, never
 * followed. What must not go: a folder that hostpair itself uses, the part file of a download, anything on
 * another file system that is mounted there. */
#ifndef HP_BASE_REMOVE_TREE_H
#define HP_BASE_REMOVE_TREE_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

typedef struct hp_tree_guard {
    const char *folders[2];       /* absolute paths of folders that stay; NULL: none */
    int64_t parts_from;           /* part files with ids from here on may go */
    const atomic_bool *cancelled; /* looked at between any two files */
    /* Whether what is no folder and no part file may go: 0, or a code with the words in err. path: of it, as
     * in the words; NULL: all of it may. */
    int (*check)(void *arg, const char *path, const struct stat *st, hp_err_t *err);
    void *arg; /* of check */
} hp_tree_guard_t;

/* Removes the folder `name` of the open folder parent. path: how it is called in the words of err. 0;
 * HP_E_CONFLICT with nothing removed; what check said, the same; or HP_E_FORBIDDEN or a system code, with
 * some of it removed perhaps. */
int hp_remove_tree(int parent, const char *name, const char *path, const hp_tree_guard_t *guard,
                   hp_err_t *err);

#endif
