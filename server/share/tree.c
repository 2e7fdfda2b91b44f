#include "share/tree.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "share/state.h"
#include "share/walk.h"

#define NS_PER_S 1000000000

struct hp_tree {
    hp_share_t *share;
    hp_place_t *place;
    hp_walk_t *walk;
    char *folder;
    size_t prefix; /* bytes of a path before the name below the folder */
    int folder_fd; /* of the share; -1 until the first call */
    hp_walk_item_t *items;
    size_t count, next;
    bool more;
    bool looks;        /* at files, without opening them */
    int64_t looked_at; /* before the last step of the walk */
};

hp_tree_t *hp_tree_create(hp_share_t *share, const char *folder)
{
    hp_tree_t *self = hp_alloc(sizeof *self);
    char **paths = hp_alloc(sizeof *paths);
    paths[0] = hp_strdup(folder);
    self->share = share;
    self->place = hp_place_addref(share->place);
    self->folder = hp_strdup(folder);
    self->prefix = folder[0] != '\0' ? strlen(folder) + 1 : 0;
    self->folder_fd = -1;
    self->more = true;
    self->walk = hp_walk_create(self->place, NULL, paths, 1);
    hp_walk_tell_folders(self->walk);
    hp_pending_add(&share->pending);
    return self;
}

void hp_tree_destroy(hp_tree_t *self)
{
    hp_share_t *share = self->share;
    hp_walk_destroy(self->walk);
    if (self->folder_fd >= 0)
        close(self->folder_fd);
    hp_place_release(self->place);
    free(self->folder);
    free(self);
    hp_pending_drop(&share->pending);
}

void hp_tree_look(hp_tree_t *self, size_t levels)
{
    self->looks = true;
    hp_walk_limit(self->walk, levels);
}

/* Why what was found is not all there is. */
static int trouble(const hp_tree_t *self)
{
    const hp_walk_report_t *report = hp_walk_report(self->walk);
    if (atomic_load_explicit(&self->share->cancelled, memory_order_relaxed))
        return UV_ECANCELED;
    return report->trouble;
}

/* The next item: 1, 0 or a code. */
static int next_item(hp_tree_t *self, hp_walk_item_t **item)
{
    while (self->next == self->count) {
        int rc = trouble(self);
        if (rc != 0 || !self->more)
            return rc;
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        self->looked_at = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
        self->more = hp_walk_step(self->walk, &self->share->cancelled);
        self->items = hp_walk_items(self->walk, &self->count);
        self->next = 0;
    }
    *item = &self->items[self->next++];
    return 1;
}

int hp_tree_open(hp_tree_t *self)
{
    hp_walk_item_t *item;
    int rc = next_item(self, &item);
    if (rc < 0)
        return rc;
    if (rc > 0 && self->looks && (item->kind == HP_WALK_ENTERED || item->kind == HP_WALK_FILE)) {
        self->next--;
        return 0;
    }
    if (rc == 0 || self->looks || item->kind != HP_WALK_ENTERED)
        return HP_E_NOT_FOUND;
    self->folder_fd = hp_place_open(self->place);
    if (self->folder_fd >= 0)
        return 0;
    return hp_place_is_limit(self->folder_fd) ? self->folder_fd : HP_E_NOT_FOUND;
}

static struct timespec time_of(int64_t ns)
{
    int64_t part = (ns % NS_PER_S + NS_PER_S) % NS_PER_S;
    return (struct timespec){.tv_sec = (ns - part) / NS_PER_S, .tv_nsec = part};
}

static void look(const hp_shared_identity_t *identity, struct stat *st)
{
    st->st_dev = (dev_t)identity->device;
    st->st_ino = (ino_t)identity->inode;
    st->st_size = (off_t)identity->size;
    st->st_mtim = time_of(identity->mtime_ns);
    st->st_ctim = time_of(identity->ctime_ns);
}

int hp_tree_next(hp_tree_t *self, hp_tree_entry_t *entry)
{
    hp_walk_item_t *item;
    int rc;
    while ((rc = next_item(self, &item)) > 0) {
        if ((item->link && !self->looks) || (item->kind != HP_WALK_FILE && item->kind != HP_WALK_ENTERED))
            continue;
        bool below = strlen(item->path) >= self->prefix;
        *entry = (hp_tree_entry_t){
            .name = below ? item->path + self->prefix : "", .fd = -1, .looked_at = self->looked_at};
        if (item->kind == HP_WALK_ENTERED) {
            entry->is_folder = true;
            entry->stat.st_mtim = time_of(item->identity.mtime_ns);
            return 1;
        }
        if (self->looks) {
            look(&item->identity, &entry->stat);
            return 1;
        }
        rc = hp_place_open_file(self->place, self->folder_fd, item->path, &entry->fd, &entry->stat);
        if (rc == 0)
            return 1;
        if (rc != HP_E_NOT_FOUND && rc != HP_E_FORBIDDEN) /* else it went, or became a folder */
            return rc;
    }
    return rc;
}
