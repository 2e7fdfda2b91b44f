#include "share/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/beneath.h"
#include "os/disk.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"

#define BATCH_BYTES 524288 /* of paths in a batch */
#define ENTRIES_MAX 20000  /* looked at in one step, listed or not */

#define TROUBLE_MAX 64 /* paths that cannot be looked at; with more the walk is given up */

typedef struct level {
    DIR *dir;           /* NULL: the main folder is missing, only the others are found in it */
    size_t path_length; /* of its folder's path */
    dev_t device;
    bool any; /* there is something in it, or it could not be read */
} level_t;

struct hp_walk {
    const hp_place_t *place;
    hp_watch_t *watch;
    char **paths;
    size_t count, next; /* next: the path to look at when no folder is open */
    char *last_folder; /* the last of the paths that was a folder: paths below it need no look of their own */
    bool tells_folders;
    size_t limit; /* folders so many levels below the paths are not read */
    char *troubled[TROUBLE_MAX];
    size_t troubled_count;
    hp_place_at_t at;                 /* the shared folder that is walked */
    const hp_walk_folder_t *expected; /* NULL: whatever is there */
    size_t next_folder;               /* to be found at the top, while that is open */
    char path[HP_PATH_MAX + 1];       /* of the innermost open folder */
    level_t levels[HP_WALK_DEPTH];
    size_t depth;
    hp_walk_item_t items[HP_WALK_BATCH];
    size_t item_count, item_bytes, entries;
    hp_walk_report_t report;
};

/* Byte order with '/' before everything else, so that a folder is followed by all that is below it. */
static int compare_paths(const void *a, const void *b)
{
    const unsigned char *x = *(unsigned char *const *)a, *y = *(unsigned char *const *)b;
    while (*x != '\0' && *x == *y)
        x++, y++;
    int p = *x == '/' ? 1 : *x == '\0' ? 0 : *x + 1, q = *y == '/' ? 1 : *y == '\0' ? 0 : *y + 1;
    return p - q;
}

hp_walk_t *hp_walk_create(const hp_place_t *place, hp_watch_t *watch, char **paths, size_t count)
{
    hp_walk_t *self = hp_alloc(sizeof *self);
    self->place = place;
    self->watch = watch;
    self->paths = paths;
    self->count = count;
    self->at = HP_PLACE_NOWHERE;
    self->limit = HP_WALK_DEPTH;
    qsort(paths, count, sizeof *paths, compare_paths);
    return self;
}

void hp_walk_expect(hp_walk_t *self, const hp_walk_folder_t expected[HP_PLACE_FOLDERS])
{
    self->expected = expected;
}

void hp_walk_tell_folders(hp_walk_t *self)
{
    self->tells_folders = true;
}

void hp_walk_limit(hp_walk_t *self, size_t levels)
{
    self->limit = HP_MIN(levels, (size_t)HP_WALK_DEPTH);
}

static void close_level(hp_walk_t *self)
{
    DIR *dir = self->levels[--self->depth].dir;
    if (dir != NULL)
        closedir(dir);
}

static void free_items(hp_walk_t *self)
{
    for (size_t i = 0; i < self->item_count; i++)
        free(self->items[i].path);
    self->item_count = self->item_bytes = 0;
}

void hp_walk_destroy(hp_walk_t *self)
{
    free_items(self);
    while (self->depth > 0)
        close_level(self);
    hp_place_leave(&self->at);
    for (size_t i = 0; i < self->count; i++)
        free(self->paths[i]);
    free(self->paths);
    for (size_t i = 0; i < self->troubled_count; i++)
        free(self->troubled[i]);
    free(self->last_folder);
    free(self);
}

hp_walk_item_t *hp_walk_items(hp_walk_t *self, size_t *count)
{
    *count = self->item_count;
    return self->items;
}

const hp_walk_report_t *hp_walk_report(const hp_walk_t *self)
{
    return &self->report;
}

static bool is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (length == 0 || path[length] == '/' || path[length] == '\0');
}

bool hp_walk_troubled(const hp_walk_t *self, const char *path)
{
    for (size_t i = 0; i < self->troubled_count; i++)
        if (is_below(path, self->troubled[i]))
            return true;
    const char *below;
    const hp_walk_folder_t *folder = &self->report.folders[hp_place_find(self->place, path, &below)];
    return folder->missing != 0 || folder->replaced;
}

static void give(hp_walk_t *self, hp_walk_kind_t kind, const char *path, bool link, const struct stat *st)
{
    hp_walk_item_t *item = &self->items[self->item_count++];
    *item = (hp_walk_item_t){.kind = kind, .link = link, .path = hp_strdup(path)};
    if (st != NULL) {
        item->identity = hp_place_identity(st);
        item->twins = st->st_nlink > 1;
        item->executable = S_ISREG(st->st_mode) && (st->st_mode & S_IXUSR) != 0;
    }
    self->item_bytes += strlen(path);
}

/* Something in the innermost open folder is left out; name "": the folder itself. */
static void leave_out(hp_walk_t *self, hp_left_reason_t reason, const char *name)
{
    size_t length = self->depth > 0 ? self->levels[self->depth - 1].path_length : strlen(self->path);
    hp_walk_item_t *item = &self->items[self->item_count++];
    *item = (hp_walk_item_t){.kind = HP_WALK_LEFT, .reason = reason};
    item->path =
        hp_sprintf("%.*s%s%s", (int)length, self->path, length > 0 && name[0] != '\0' ? "/" : "", name);
    self->item_bytes += strlen(item->path);
}

/* Why a file that is there is not listed. */
static hp_left_reason_t reason_of(mode_t mode)
{
    if (S_ISLNK(mode))
        return HP_LEFT_LINK;
    return S_ISREG(mode) || S_ISDIR(mode) ? HP_LEFT_UNREADABLE : HP_LEFT_SPECIAL;
}

/* Errors that say that the folder is not there any more, or not ours to read: nothing in it can be served.
 * Others say nothing. */
static bool is_absent(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -EXDEV || error == -EACCES ||
           error == -EPERM || error == -ENAMETOOLONG;
}

/* self->path cannot be looked at. */
static void note_trouble(hp_walk_t *self, int error)
{
    if (self->depth > 0)
        self->levels[self->depth - 1].any = true;
    if (self->report.trouble == 0) {
        self->report.trouble = error;
        snprintf(self->report.trouble_path, sizeof self->report.trouble_path, "%.*s",
                 (int)sizeof self->report.trouble_path - 1, self->path);
        hp_utf8_cut(self->report.trouble_path);
    }
    if (self->troubled_count == TROUBLE_MAX || hp_place_is_limit(error))
        self->report.broken = true; /* the machine is at its limits: other folders fare no better */
    else
        self->troubled[self->troubled_count++] = hp_strdup(self->path);
}

/* ---- folders ---- */

static bool is_forbidden(int error)
{
    return error == -EACCES || error == -EPERM;
}

/* Begins to read the folder behind fd, which is taken over; self->path is its path. */
static void enter(hp_walk_t *self, int fd, size_t path_length)
{
    struct stat st;
    if (self->depth > 0)
        self->levels[self->depth - 1].any = true;
    if (self->depth == HP_WALK_DEPTH) {
        leave_out(self, HP_LEFT_DEEP, hp_path_name(self->path));
        close(fd);
        return;
    }
    if (fstat(fd, &st) != 0) {
        note_trouble(self, -errno);
        close(fd);
        return;
    }
    if (self->depth == self->limit) {
        if (self->tells_folders)
            give(self, HP_WALK_ENTERED, self->path, false, &st);
        close(fd);
        return;
    }
    if (self->depth == 0 || st.st_dev != self->levels[self->depth - 1].device)
        self->report.remote = self->report.remote || hp_disk_is_remote(fd);
    int rc = self->watch != NULL ? hp_watch_add(self->watch, fd, self->path) : 0;
    if (rc != 0 && self->report.unwatched == 0)
        self->report.unwatched = rc;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        note_trouble(self, -errno);
        close(fd);
        return;
    }
    self->levels[self->depth++] = (level_t){.dir = dir, .path_length = path_length, .device = st.st_dev};
    if (self->tells_folders)
        give(self, HP_WALK_ENTERED, self->path, false, &st);
}

static void leave(hp_walk_t *self)
{
    close_level(self);
    if (!self->levels[self->depth].any && !self->tells_folders && self->path[0] != '\0')
        give(self, HP_WALK_EMPTY, self->path, false, NULL);
    if (self->depth > 0) {
        self->path[self->levels[self->depth - 1].path_length] = '\0';
        return;
    }
    const char *path = self->paths[self->next - 1];
    give(self, HP_WALK_FOLDER, path, false, NULL);
    free(self->last_folder);
    self->last_folder = hp_strdup(path);
}

static void visit_folder(hp_walk_t *self, const char *name, size_t path_length)
{
    int fd = openat(dirfd(self->levels[self->depth - 1].dir), name,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0)
        enter(self, fd, path_length);
    else if (is_forbidden(-errno))
        leave_out(self, HP_LEFT_UNREADABLE, name);
    else if (!is_absent(-errno))
        note_trouble(self, -errno);
}

static void visit_file(hp_walk_t *self, const char *name, struct stat *st)
{
    bool link = S_ISLNK(st->st_mode);
    hp_left_reason_t reason = reason_of(st->st_mode);
    if (hp_place_lists(self->place, &self->at, self->path, st)) {
        self->levels[self->depth - 1].any = true;
        give(self, HP_WALK_FILE, self->path, link, st);
        return;
    }
    if (link)
        give(self, HP_WALK_LINK, self->path, true, NULL);
    leave_out(self, reason, name);
}

/* Looks at one entry of the innermost open folder. */
static void visit(hp_walk_t *self, const struct dirent *entry)
{
    const char *name = entry->d_name;
    level_t *level = &self->levels[self->depth - 1];
    size_t at = level->path_length, length = strlen(name);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    const char *below;
    size_t number = hp_place_find(self->place, self->path, &below);
    if (below[0] == '\0')
        self->report.folders[number].empty = false;
    if (at == 0 && hp_place_named(self->place, name) != 0) {
        leave_out(self, HP_LEFT_TAKEN, name);
        return;
    }
    if (at + 1 + length > HP_PATH_MAX || hp_path_check(name, length, NULL) != 0) {
        if (!hp_ignore_has(self->place->ignore, name))
            leave_out(self, HP_LEFT_NAME, name);
        return;
    }
    if (at > 0)
        self->path[at++] = '/';
    memcpy(self->path + at, name, length + 1);
    if (hp_place_hides_entry(self->place, self->path))
        goto Done;

    struct stat st = {.st_mode = S_IFDIR};
    bool known = entry->d_type == DT_DIR;
    if (!known && entry->d_type != DT_REG && entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) {
        leave_out(self, HP_LEFT_SPECIAL, name);
        goto Done;
    }
    if (!known && fstatat(dirfd(level->dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (is_forbidden(-errno))
            leave_out(self, HP_LEFT_UNREADABLE, name);
        else if (!is_absent(-errno))
            note_trouble(self, -errno);
        goto Done;
    }
    size_t depth = self->depth;
    if (S_ISDIR(st.st_mode))
        visit_folder(self, name, at + length);
    else
        visit_file(self, name, &st);
    if (self->depth > depth)
        return; /* the path is now that of the folder that was entered */
Done:
    self->path[level->path_length] = '\0';
}

/* ---- the paths asked for ---- */

static bool is_empty(const hp_walk_t *self, DIR *dir, const char *folder)
{
    bool empty = true;
    for (struct dirent *entry; empty && (entry = readdir(dir)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            hp_path_check(entry->d_name, length, NULL) != 0)
            continue;
        char *path = hp_sprintf("%s/%s", folder, entry->d_name);
        empty = hp_place_hides(self->place, path);
        free(path);
    }
    return empty;
}

/* What was last in a folder has gone. */
static void look_at_rest(hp_walk_t *self, const char *gone)
{
    const char *name = hp_path_name(gone), *below;
    if (self->tells_folders || name == gone)
        return;
    char *folder = hp_strndup(gone, (size_t)(name - gone) - 1);
    int fd = hp_place_enter(self->place, &self->at, folder, &below);
    if (fd == 0)
        fd = hp_beneath_open(self->at.fd, below, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0, HP_BENEATH_NO_LINKS);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir != NULL && is_empty(self, dir, folder))
        give(self, HP_WALK_EMPTY, folder, false, NULL);
    if (dir != NULL)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    free(folder);
}

static void give_gone(hp_walk_t *self, const char *path, bool link)
{
    give(self, HP_WALK_GONE, path, link, NULL);
    self->items[self->item_count - 1].asked = true;
}

/* Enters the shared folder that a path lies in. Whether it can be looked into. */
static bool enter_shared(hp_walk_t *self, const char *path, const char **below)
{
    struct stat st;
    size_t number = hp_place_find(self->place, path, below);
    hp_walk_folder_t *folder = &self->report.folders[number];
    const hp_walk_folder_t *expected = self->expected != NULL ? &self->expected[number] : NULL;
    if (folder->missing != 0 || folder->replaced)
        return false;
    if (expected != NULL && expected->inode == 0) {
        folder->missing =
            -ENOENT; /* it was when everything was walked: it is not looked into before it is again */
        return false;
    }
    if (folder->inode != 0 && self->at.number == number && self->at.fd >= 0)
        return true;
    int error = hp_place_enter(self->place, &self->at, path, below);
    if (error == 0 && fstat(self->at.fd, &st) != 0)
        error = -errno;
    if (hp_place_is_limit(error)) {
        note_trouble(self, error);
        return false;
    }
    folder->missing = error;
    if (error != 0)
        return false;
    uint64_t device = (uint64_t)st.st_dev, inode = (uint64_t)st.st_ino;
    folder->replaced = (folder->inode != 0 && (folder->device != device || folder->inode != inode)) ||
                       (expected != NULL && (expected->device != device || expected->inode != inode));
    folder->empty = folder->inode == 0 || folder->empty;
    folder->device = device;
    folder->inode = inode;
    return !folder->replaced;
}

/* A path that can never be listed; there may be something all the same. */
static void look_at_bad_name(hp_walk_t *self, const char *path, const char *below)
{
    int fd = hp_beneath_look(self->at.fd, below);
    self->path[0] = '\0';
    if (fd >= 0) {
        close(fd);
        leave_out(self, HP_LEFT_NAME, path);
    }
    give_gone(self, path, false);
}

/* The main folder is missing, but not the others. */
static void enter_nothing(hp_walk_t *self)
{
    self->path[0] = '\0';
    if (self->tells_folders)
        give(self, HP_WALK_ENTERED, "", false, NULL);
    if (self->limit > 0)
        self->levels[self->depth++] = (level_t){.dir = NULL};
}

static void look_at(hp_walk_t *self, const char *path)
{
    const char *below;
    if (self->last_folder != NULL && is_below(path, self->last_folder))
        return; /* it was asked for before that folder was read */
    bool valid = path[0] == '\0' || hp_path_check(path, strlen(path), NULL) == 0;
    if (valid && path[0] != '\0' && hp_place_hides(self->place, path))
        return; /* never listed, so there is nothing to forget */
    snprintf(self->path, sizeof self->path, "%s", path);
    self->next_folder = 1;
    if (!enter_shared(self, path, &below)) {
        if (path[0] == '\0' && self->place->count > 1 && !self->report.broken)
            enter_nothing(self);
        return;
    }
    if (!valid) {
        look_at_bad_name(self, path, below);
        return;
    }
    int fd = hp_beneath_open(self->at.fd, below, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0, HP_BENEATH_NO_LINKS);
    if (fd >= 0) {
        enter(self, fd, strlen(path));
        return;
    }
    int error = fd;
    fd = hp_beneath_look(self->at.fd, below);
    struct stat st;
    int rc = fd < 0 ? fd : fstat(fd, &st) == 0 ? 0 : -errno;
    if (fd >= 0)
        close(fd);
    if (rc == 0 && S_ISDIR(st.st_mode) && !is_absent(error)) {
        note_trouble(self, error);
        return;
    }
    if (rc != 0 && !is_absent(rc)) {
        note_trouble(self, rc);
        return;
    }
    bool link = rc == 0 && S_ISLNK(st.st_mode);
    hp_left_reason_t reason = rc == 0 ? reason_of(st.st_mode) : HP_LEFT_UNREADABLE;
    if (rc == 0 && hp_place_lists(self->place, &self->at, path, &st)) {
        give(self, HP_WALK_FILE, path, link, &st);
        self->items[self->item_count - 1].asked = true;
        return;
    }
    if (rc == 0)
        leave_out(self, reason, "");
    give_gone(self, path, link);
    look_at_rest(self, path);
}

/* At the end of the top, the folders that are shared besides the main one follow, one after another. Whether
 * there was one more. */
static bool find_next_folder(hp_walk_t *self)
{
    const char *below;
    if (self->depth != 1 || self->levels[0].path_length != 0 || self->next_folder >= self->place->count)
        return false;
    const char *name = self->place->folders[self->next_folder++].name;
    snprintf(self->path, sizeof self->path, "%s", name);
    if (!enter_shared(self, name, &below)) {
        self->path[0] = '\0';
        return true;
    }
    int fd = hp_beneath_open(self->at.fd, "", O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0, HP_BENEATH_NO_LINKS);
    size_t depth = self->depth;
    if (fd >= 0)
        enter(self, fd, strlen(name));
    else if (is_forbidden(fd))
        leave_out(self, HP_LEFT_UNREADABLE, name);
    else
        note_trouble(self, fd);
    if (self->depth == depth)
        self->path[0] = '\0';
    return true;
}

bool hp_walk_step(hp_walk_t *self, const atomic_bool *cancelled)
{
    free_items(self);
    self->entries = 0;
    /* One turn gives at most three items. */
    while (self->item_count < HP_WALK_BATCH - 2 && self->item_bytes < BATCH_BYTES &&
           self->entries < ENTRIES_MAX) {
        if (self->report.broken || atomic_load_explicit(cancelled, memory_order_relaxed))
            return false;
        self->entries++;
        if (self->depth == 0) {
            if (self->next == self->count)
                return false;
            look_at(self, self->paths[self->next++]);
            continue;
        }
        errno = 0;
        DIR *dir = self->levels[self->depth - 1].dir;
        struct dirent *entry = dir != NULL ? readdir(dir) : NULL;
        if (entry != NULL) {
            visit(self, entry);
            continue;
        }
        if (errno != 0 && !is_absent(-errno))
            note_trouble(self, -errno);
        if (!find_next_folder(self))
            leave(self);
    }
    return true;
}
