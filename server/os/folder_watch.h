/* What happens in folders, as the kernel tells it. The watch is a descriptor: readable when there are events.
 * Adding and removing may come from any thread; reading from one at a time. */
#ifndef HP_OS_FOLDER_WATCH_H
#define HP_OS_FOLDER_WATCH_H

#include <stdbool.h>

/* One event. Where `lost` is set, events were lost, and the rest is empty. */
typedef struct hp_folder_event {
    int folder;       /* the number of the folder that it is about */
    const char *name; /* of the entry; "" when it is about the folder itself */
    bool is_folder;   /* the entry is or was a folder */
    bool is_self;     /* the folder itself was moved, removed or unmounted */
    bool is_unmount;
    bool is_end; /* the kernel watches this folder no more */
    bool lost;
} hp_folder_event_t;

typedef void (*hp_folder_event_fn)(void *arg, const hp_folder_event_t *event);

/* The descriptor, for the caller to close; -EMFILE when there are too many, -ENOSYS where folders cannot be
 * watched. */
int hp_folder_watch_open(void);

/* Watches the folder behind a descriptor: entries that are made, changed, moved and removed, and whose rights
 * change. Its number, above 0, the same for a folder that is watched already; -ENOSPC when there can be no
 * more, or another negative errno. */
int hp_folder_watch_add(int watch, int folder_fd);
void hp_folder_watch_remove(int watch, int folder);

/* Reads some events and calls fn for each. Whether there may be more. */
bool hp_folder_watch_read(int watch, hp_folder_event_fn fn, void *arg);

#endif
