/* The shared folders on the disk: where they are, which paths below them may be seen, and how a file in them
 * is opened.
 *
 * To everybody else they are one tree. The first is the main one, whose files are at the top of it; what is
 * in another stands below that one's name, which hides what has the same name in the main one. Only this
 * module knows which path lies in which folder.
 *
 * Invariants
 * 1. Constant once it is in use; any thread, but for the references, which are the loop's. Everything but
 * those may block on the disk, so it does not run on the loop.
 * 2. No descriptor of a folder is kept longer than one piece of work, so it can be unmounted, moved or
 * replaced at any time; every use finds it again by its path.
 * 3. What is opened lies below its folder, is a regular file, and is reached by no path that hides():
 * hostpair's part files and its data folder, also not through a link, and names that are ignored.
 */
#ifndef HP_SHARE_PLACE_H
#define HP_SHARE_PLACE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"
#include "db/shared_file.h"
#include "share/ignore.h"

#define HP_PLACE_FOLDERS 64 /* the main one and so many others, less one */

typedef struct hp_place_folder {
    char *name;          /* "" the main one's */
    char *path;          /* absolute */
    char *hidden;        /* the data folder by its path below the folder, NULL when it lies elsewhere */
    bool holds_database; /* the data folder is the folder itself */
    bool refused;        /* it may not be shared beside the others: never opened */
} hp_place_folder_t;

typedef struct hp_place {
    hp_place_folder_t folders[HP_PLACE_FOLDERS]; /* the main one, then the others by name */
    size_t count;
    hp_ignore_t *ignore; /* NULL: nothing */
    unsigned references;
} hp_place_t;

/* With one reference. Makes the folder if it is missing, unless it was on a disk that is not there now.
 * database: the absolute path of the database's file, or NULL. 0, or a code with the words in err. */
int hp_place_create(hp_place_t **place, const char *folder, const char *database, hp_err_t *err);
/* Another one with the same folders, but for the one of that name (NULL: all), and nothing ignored. Does not
 * look at the disk. */
hp_place_t *hp_place_copy(const hp_place_t *self, const char *without);
hp_place_t *hp_place_addref(hp_place_t *self);
void hp_place_release(hp_place_t *self); /* or NULL */

/* Before it is in use: shares another folder as well, which may be missing. 0; HP_E_BAD_NAME; HP_E_CONFLICT
 * when the name is taken, or the folder contains or lies in another one or the data folder; HP_E_TOO_LARGE:
 * there are too many. */
int hp_place_add(hp_place_t *self, const char *name, const char *path, const char *database, hp_err_t *err);
/* The same for one that was added before this start: when it may not be shared any more, it is there and
 * never opened. */
void hp_place_add_known(hp_place_t *self, const char *name, const char *path, const char *database);
/* Whether the one of that name can be shared now: it is a folder that may be read, and the main one has
 * nothing of its name. 0, or a code with the words in err. */
int hp_place_try(const hp_place_t *self, const char *name, hp_err_t *err);
/* Before it is in use. */
void hp_place_ignore(hp_place_t *self, const char *patterns, bool dotfiles);

/* The number of the folder that a path of the tree lies in; *below: the path below that folder, in path. */
size_t hp_place_find(const hp_place_t *self, const char *path, const char **below);
/* The number of the folder of that name; 0: there is none. */
size_t hp_place_named(const hp_place_t *self, const char *name);

/* The folder that was entered last, open; one piece of work has one. */
typedef struct hp_place_at {
    int fd;        /* can only be used to open what is below it; -1: none */
    size_t number; /* of the folder */
} hp_place_at_t;
#define HP_PLACE_NOWHERE ((hp_place_at_t){.fd = -1})

/* Opens the folder that a path of the tree lies in, as it is now, unless it is open already. 0, a negative
 * errno, or HP_E_NO_DISK. */
int hp_place_enter(const hp_place_t *self, hp_place_at_t *at, const char *path, const char **below);
void hp_place_leave(hp_place_at_t *at);

/* Whether an error says that the machine is at its limits (descriptors, memory), and nothing about the file.
 */
bool hp_place_is_limit(int error);

/* Whether a path of the tree is never to be seen: a part file, the data folder or an ignored name is in it.
 */
bool hp_place_hides(const hp_place_t *self, const char *path);
/* The same of a path whose folder is known not to be hidden. */
bool hp_place_hides_entry(const hp_place_t *self, const char *path);

/* Opens a file for reading. 0 with *fd and *st filled; HP_E_FORBIDDEN for a folder; HP_E_NOT_FOUND for what
 * is missing, unreadable, no regular file, hidden, outside or no valid path; or a negative errno when the
 * machine is at its limits. */
int hp_place_open_file(const hp_place_t *self, hp_place_at_t *at, const char *path, int *fd, struct stat *st);

/* Whether the file at a valid path that is not hidden, as lstat(2) saw it, is to be listed; for a link st
 * becomes that of its target. */
bool hp_place_lists(const hp_place_t *self, hp_place_at_t *at, const char *path, struct stat *st);

/* What tells the bytes of a file from all others. */
hp_shared_identity_t hp_place_identity(const struct stat *st);

#endif
