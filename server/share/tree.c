#include "share/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "os/beneath.h"
#include "share/state.h"
#include "share/walk.h"

#define NS_PER_S 1000000000

struct hp_tree {
    hp_share_t *share;
    hp_place_t *place;
    hp_walk_t *walk;
    char *folder;
    size_t prefix; /* bytes of a path before the name below the folder */
    hp_place_at_t at;
    hp_walk_item_t *items;
    size_t count, next;
    char **chosen; /* paths in the share, sorted; NULL: all of the folder */
    size_t chosen_count;
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
    self->at = HP_PLACE_NOWHERE;
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
    hp_place_leave(&self->at);
    hp_place_release(self->place);
    for (size_t i = 0; i < self->chosen_count; i++)
        free(self->chosen[i]);
    free(self->chosen);
    free(self->folder);
    free(self);
    hp_pending_drop(&share->pending);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void hp_tree_choose(hp_tree_t *self, char *const *names, size_t count)
{
    self->chosen = hp_alloc_array(count, sizeof *self->chosen);
    for (size_t i = 0; i < count; i++)
        self->chosen[i] =
            self->prefix > 0 ? hp_sprintf("%s/%s", self->folder, names[i]) : hp_strdup(names[i]);
    qsort(self->chosen, count, sizeof *self->chosen, compare);
    for (size_t i = 0; i < count; i++) {
        char *path = self->chosen[i];
        if (self->chosen_count > 0 && strcmp(self->chosen[self->chosen_count - 1], path) == 0)
            free(path);
        else
            self->chosen[self->chosen_count++] = path;
    }
    char **paths = hp_alloc_array(self->chosen_count, sizeof *paths);
    for (size_t i = 0; i < self->chosen_count; i++)
        paths[i] = hp_strdup(self->chosen[i]);
    hp_walk_destroy(self->walk);
    self->walk = hp_walk_create(self->place, NULL, paths, self->chosen_count);
    hp_walk_tell_folders(self->walk);
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

/* Whether there is a file, a link to one, or a folder at the path, and it is offered. */
static int look_for(hp_tree_t *self, const char *path)
{
    struct stat st;
    if (hp_path_check(path, strlen(path), NULL) != 0 || hp_place_hides(self->place, path))
        return HP_E_NOT_FOUND;
    const char *below;
    if (hp_place_enter(self->place, &self->at, path, &below) != 0)
        return HP_E_NOT_FOUND;
    int fd = hp_beneath_look(self->at.fd, below);
    if (fd < 0)
        return hp_place_is_limit(fd) || fd == -EIO ? fd : HP_E_NOT_FOUND;
    int rc = fstat(fd, &st) == 0 ? 0 : HP_E_NOT_FOUND;
    close(fd);
    if (rc == 0 && !S_ISDIR(st.st_mode) && !hp_place_lists(self->place, &self->at, path, &st))
        rc = HP_E_NOT_FOUND;
    return rc;
}

static int open_chosen(hp_tree_t *self, hp_err_t *err)
{
    int rc = 0;
    for (size_t i = 0; i < self->chosen_count && rc == 0; i++) {
        rc = look_for(self, self->chosen[i]);
        if (rc != HP_E_NOT_FOUND)
            continue;
        char name[256];
        hp_utf8_printable(self->chosen[i], strlen(self->chosen[i]), name, sizeof name);
        hp_err_set(err, rc, "There is no file or folder %s here", name);
    }
    return rc;
}

int hp_tree_open(hp_tree_t *self, hp_err_t *err)
{
    if (self->chosen != NULL)
        return open_chosen(self, err);
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
    return 0;
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
        if ((item->link && !self->looks && !item->asked) ||
            (item->kind != HP_WALK_FILE && item->kind != HP_WALK_ENTERED))
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
        rc = hp_place_open_file(self->place, &self->at, item->path, &entry->fd, &entry->stat);
        if (rc == 0)
            return 1;
        if (rc != HP_E_NOT_FOUND && rc != HP_E_FORBIDDEN) /* else it went, or became a folder */
            return rc;
    }
    return rc;
}
