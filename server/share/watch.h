/* What changes below the shared folder, as the kernel tells it: one inotify(7) watch a folder.
 *
 * Invariants
 * 1. Events are read and reported on the loop thread. hp_watch_add, hp_watch_round and hp_watch_forget may be
 * called from one pool thread at a time as well; a lock guards the table of watches.
 * 2. A folder is to be watched before it is read: then nothing that happens to it goes unseen.
 * 3. An event names the path under which its folder was added last. A folder that is moved keeps its watch;
 * adding it at its new place gives the watch its new path.
 */
#ifndef HP_SHARE_WATCH_H
#define HP_SHARE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

typedef struct hp_watch hp_watch_t;

typedef enum {
    HP_WATCH_PATH,   /* path was made, changed, moved here, moved away or removed; folder: it is or was one */
    HP_WATCH_TOP,    /* something happened to the top folder itself: moved, removed, unmounted */
    HP_WATCH_MISSED, /* events were lost: everything has to be looked at */
} hp_watch_event_t;

typedef void (*hp_watch_fn)(void *arg, hp_watch_event_t event, const char *path, bool folder);

/* 0, or a negative errno: -EMFILE when there are too many inotify instances (fs.inotify.max_user_instances),
 * -ENOSYS without inotify. */
int hp_watch_create(hp_watch_t **watch, uv_loop_t *loop, hp_watch_fn fn, void *arg);
void hp_watch_destroy(hp_watch_t *watch, void (*closed)(void *arg), void *arg);

/* Watches the folder behind a descriptor; path is where it lies, "" the top. 0, -ENOSPC when there can be no
 * more watches (fs.inotify.max_user_watches), or another negative errno. */
int hp_watch_add(hp_watch_t *watch, int fd, const char *path);

/* Begins a new round: a walk of everything, which adds every folder anew; hp_watch_end_round drops those that
 * it did not meet. */
void hp_watch_begin_round(hp_watch_t *watch);
void hp_watch_end_round(hp_watch_t *watch);

/* Drops the watches of these folders (sorted by strcmp) and of all below them. */
void hp_watch_forget(hp_watch_t *watch, char *const *paths, size_t count);

/* Number of watches. */
size_t hp_watch_count(hp_watch_t *watch);

/* Allows at most so many watches, as if the kernel did (tests). */
void hp_watch_set_limit(hp_watch_t *watch, size_t limit);

#endif
