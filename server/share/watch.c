#include "share/watch.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "os/folder_watch.h"

#define READS_MAX   4 /* in one turn of the loop; the rest waits for the next */
#define FIRST_SLOTS 64

typedef struct slot {
    int wd; /* 0: free; the kernel counts from 1 */
    unsigned round;
    char *path;
} slot_t;

struct hp_watch {
    uv_poll_t poll;
    int fd;
    hp_watch_fn fn;
    void *arg;
    void (*closed)(void *arg);
    void *closed_arg;

    uv_mutex_t mutex; /* guards from here ... */
    slot_t *slots;    /* open addressing by wd */
    size_t size, count, limit;
    unsigned round;
    /* ... to here */
};

/* ---- the table; the lock is held ---- */

static slot_t *slot_of(slot_t *slots, size_t size, int wd)
{
    size_t i = (size_t)wd * 2654435761u & (size - 1);
    while (slots[i].wd != 0 && slots[i].wd != wd)
        i = (i + 1) & (size - 1);
    return &slots[i];
}

static void grow(hp_watch_t *self)
{
    size_t size = self->size > 0 ? self->size * 2 : FIRST_SLOTS;
    slot_t *slots = hp_alloc_array(size, sizeof *slots);
    for (size_t i = 0; i < self->size; i++)
        if (self->slots[i].wd != 0)
            *slot_of(slots, size, self->slots[i].wd) = self->slots[i];
    free(self->slots);
    self->slots = slots;
    self->size = size;
}

static void put(hp_watch_t *self, int wd, const char *path)
{
    if (self->count * 4 >= self->size * 3)
        grow(self);
    slot_t *slot = slot_of(self->slots, self->size, wd);
    if (slot->wd == 0)
        self->count++;
    else if (strcmp(slot->path, path) == 0) {
        slot->round = self->round;
        return;
    }
    free(slot->path);
    *slot = (slot_t){.wd = wd, .round = self->round, .path = hp_strdup(path)};
}

/* Frees a slot and moves those behind it up, so that none is cut off from where its search begins. */
static void drop(hp_watch_t *self, slot_t *slot)
{
    free(slot->path);
    *slot = (slot_t){0};
    self->count--;
    size_t i = (size_t)(slot - self->slots);
    for (i = (i + 1) & (self->size - 1); self->slots[i].wd != 0; i = (i + 1) & (self->size - 1)) {
        slot_t moved = self->slots[i];
        self->slots[i] = (slot_t){0};
        *slot_of(self->slots, self->size, moved.wd) = moved;
    }
}

/* ---- events, on the loop ---- */

/* The path of what an event is about, for the caller to free; NULL when its folder is not watched any more.
 */
static char *path_of(hp_watch_t *self, const hp_folder_event_t *event)
{
    char *path = NULL;
    uv_mutex_lock(&self->mutex);
    slot_t *slot = self->size > 0 ? slot_of(self->slots, self->size, event->folder) : NULL;
    if (slot != NULL && slot->wd != 0 && event->is_end)
        drop(self, slot); /* the kernel has removed the watch: the folder is gone */
    else if (slot != NULL && slot->wd != 0 && event->name[0] != '\0')
        path = slot->path[0] != '\0' ? hp_sprintf("%s/%s", slot->path, event->name) : hp_strdup(event->name);
    else if (slot != NULL && slot->wd != 0)
        path = hp_strdup(slot->path);
    uv_mutex_unlock(&self->mutex);
    return path;
}

static void handle(void *arg, const hp_folder_event_t *event)
{
    hp_watch_t *self = arg;
    if (event->lost) {
        self->fn(self->arg, HP_WATCH_MISSED, "", true);
        return;
    }
    if (event->name[0] != '\0' && hp_path_is_part(event->name))
        return; /* a download in progress writes all the time */
    char *path = path_of(self, event);
    if (path == NULL)
        return;
    if (path[0] == '\0')
        self->fn(self->arg, HP_WATCH_TOP, "", true);
    else if (event->is_unmount || (!event->is_self && event->name[0] == '\0'))
        self->fn(self->arg, HP_WATCH_PATH, path, true);
    else if (!event->is_self) /* what happens to a folder itself is told by the one above, too */
        self->fn(self->arg, HP_WATCH_PATH, path, event->is_folder);
    free(path);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    hp_watch_t *self = poll->data;
    (void)events;
    for (int reads = 0; status == 0 && reads < READS_MAX; reads++)
        if (!hp_folder_watch_read(self->fd, handle, self))
            return;
}

/* ---- life ---- */

int hp_watch_create(hp_watch_t **watch, uv_loop_t *loop, hp_watch_fn fn, void *arg)
{
    int fd = hp_folder_watch_open();
    if (fd < 0)
        return fd;
    hp_watch_t *self = hp_alloc(sizeof *self);
    int rc = uv_poll_init(loop, &self->poll, fd);
    if (rc != 0) {
        close(fd);
        free(self);
        return rc;
    }
    if (uv_mutex_init(&self->mutex) != 0)
        abort();
    self->fd = fd;
    self->fn = fn;
    self->arg = arg;
    self->limit = SIZE_MAX;
    self->poll.data = self;
    uv_poll_start(&self->poll, UV_READABLE, on_readable);
    *watch = self;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    hp_watch_t *self = handle->data;
    void (*closed)(void *arg) = self->closed;
    void *arg = self->closed_arg;
    close(self->fd);
    for (size_t i = 0; i < self->size; i++)
        free(self->slots[i].path);
    free(self->slots);
    uv_mutex_destroy(&self->mutex);
    free(self);
    closed(arg);
}

void hp_watch_destroy(hp_watch_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    uv_close((uv_handle_t *)&self->poll, on_closed);
}

/* ---- watches ---- */

int hp_watch_add(hp_watch_t *self, int fd, const char *path)
{
    int rc = 0;
    uv_mutex_lock(&self->mutex); /* also against an event of the new watch before it has its path */
    int wd = self->count < self->limit ? hp_folder_watch_add(self->fd, fd) : -ENOSPC;
    if (wd > 0)
        put(self, wd, path);
    else
        rc = wd;
    uv_mutex_unlock(&self->mutex);
    return rc;
}

void hp_watch_begin_round(hp_watch_t *self)
{
    uv_mutex_lock(&self->mutex);
    self->round++;
    uv_mutex_unlock(&self->mutex);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether the path or a folder above it is in the list. */
static bool is_below_any(const char *path, char *const *paths, size_t count)
{
    char *above = hp_strdup(path), *key = above;
    bool found;
    while (!(found = bsearch(&key, paths, count, sizeof *paths, compare_paths) != NULL)) {
        char *slash = strrchr(above, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
    }
    free(above);
    return found;
}

/* Removes the watches for which goes says true: folders that are gone without them, moved out of the share.
 */
static void remove_where(hp_watch_t *self,
                         bool (*goes)(const hp_watch_t *self, const slot_t *slot, const void *arg),
                         const void *arg)
{
    uv_mutex_lock(&self->mutex);
    int *wds = hp_alloc_array(self->count, sizeof *wds);
    size_t count = 0;
    for (size_t i = 0; i < self->size; i++)
        if (self->slots[i].wd != 0 && goes(self, &self->slots[i], arg))
            wds[count++] = self->slots[i].wd;
    for (size_t i = 0; i < count; i++) {
        hp_folder_watch_remove(self->fd, wds[i]);
        drop(self, slot_of(self->slots, self->size, wds[i]));
    }
    uv_mutex_unlock(&self->mutex);
    free(wds);
}

static bool is_of_old_round(const hp_watch_t *self, const slot_t *slot, const void *arg)
{
    (void)arg;
    return slot->round != self->round;
}

void hp_watch_end_round(hp_watch_t *self)
{
    remove_where(self, is_of_old_round, NULL);
}

typedef struct gone {
    char *const *paths;
    size_t count;
} gone_t;

static bool is_gone(const hp_watch_t *self, const slot_t *slot, const void *arg)
{
    const gone_t *gone = arg;
    (void)self;
    return is_below_any(slot->path, gone->paths, gone->count);
}

void hp_watch_forget(hp_watch_t *self, char *const *paths, size_t count)
{
    remove_where(self, is_gone, &(gone_t){.paths = paths, .count = count});
}

size_t hp_watch_count(hp_watch_t *self)
{
    uv_mutex_lock(&self->mutex);
    size_t count = self->count;
    uv_mutex_unlock(&self->mutex);
    return count;
}

void hp_watch_set_limit(hp_watch_t *self, size_t limit)
{
    uv_mutex_lock(&self->mutex);
    self->limit = limit;
    uv_mutex_unlock(&self->mutex);
}
