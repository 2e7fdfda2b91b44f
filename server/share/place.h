/* The shared folder on the disk: where it is, which paths below it may be seen, and how a file in it is
 * opened.
 *
 * Invariants
 * 1. Constant once made; any thread, but for the references, which are the loop's. Everything but those may
 * block on the disk, so it does not run on the loop.
 * 2. No descriptor of the folder is kept, so it can be unmounted, moved or replaced at any time; every use
 * finds it again by its path.
 * 3. What is opened lies below the folder, is a regular file, and is reached by no path that hides():
 * hostpair's part files and its data folder, also not through a link.
 */
#ifndef HP_SHARE_PLACE_H
#define HP_SHARE_PLACE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"
#include "db/shared_file.h"

typedef struct hp_place {
    char *folder;        /* absolute */
    char *hidden;        /* the data folder by its path below the folder, NULL when it lies elsewhere */
    bool holds_database; /* the data folder is the folder itself */
    unsigned references;
} hp_place_t;

/* With one reference. Makes the folder if it is missing, unless it was on a disk that is not there now.
 * database: the absolute path of the database's file, or NULL. 0, or a code with the words in err. */
int hp_place_create(hp_place_t **place, const char *folder, const char *database, hp_err_t *err);
hp_place_t *hp_place_addref(hp_place_t *self);
void hp_place_release(hp_place_t *self); /* or NULL */

/* The folder as it is now: a descriptor that can only be used to open what is below it, a negative errno, or
 * HP_E_NO_DISK. */
int hp_place_open(const hp_place_t *self);

/* Whether an error says that the machine is at its limits (descriptors, memory), and nothing about the file.
 */
bool hp_place_is_limit(int error);

/* Whether a path below the folder is never to be seen: a part file or the data folder is in it. */
bool hp_place_hides(const hp_place_t *self, const char *path);

/* Opens a file for reading; folder_fd from hp_place_open. 0 with *fd and *st filled; HP_E_FORBIDDEN for a
 * folder; HP_E_NOT_FOUND for what is missing, unreadable, no regular file, hidden, outside or no valid path;
 * or a negative errno when the machine is at its limits. */
int hp_place_open_file(const hp_place_t *self, int folder_fd, const char *path, int *fd, struct stat *st);

/* Whether the file at path, as lstat(2) saw it, is to be listed; for a link st becomes that of its target.
 * folder_fd from hp_place_open. */
bool hp_place_lists(const hp_place_t *self, int folder_fd, const char *path, struct stat *st);

/* What tells the bytes of a file from all others. */
hp_shared_identity_t hp_place_identity(const struct stat *st);

#endif
