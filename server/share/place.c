#include "share/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "os/beneath.h"
#include "os/disk.h"
#include "os/home.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"

#define NS_PER_S 1000000000

/* Files and folders that hostpair keeps beside its database begin with this. */
#define OWN_FILES "hostpair."

/* Where `inner` lies below `outer` (both resolved): a path, "" for the same, NULL outside. */
static const char *path_below(const char *outer, const char *inner)
{
    size_t length = strlen(outer);
    if (length > 0 && outer[length - 1] == '/')
        length--;
    if (strncmp(outer, inner, length) != 0)
        return NULL;
    if (inner[length] == '\0')
        return inner + length;
    return inner[length] == '/' ? inner + length + 1 : NULL;
}

/* Where the data folder lies in this one. HP_E_CONFLICT: around it, or it is another one than the main. */
static int find_data_folder(hp_place_folder_t *self, const char *database, hp_err_t *err)
{
    char *outer = realpath(self->path, NULL), *inner = realpath(database, NULL);
    int rc = outer == NULL || inner == NULL ? -errno : 0;
    if (rc == 0) {
        char *slash = strrchr(inner, '/');
        *slash = '\0';
        const char *below = path_below(outer, inner);
        self->holds_database = below != NULL && below[0] == '\0';
        if (below != NULL && below[0] != '\0')
            self->hidden = hp_strdup(below);
        if (self->name[0] != '\0' && path_below(inner, outer) != NULL)
            rc = hp_err_set(err, HP_E_CONFLICT, "%s holds hostpair's own data", self->path);
    } else {
        hp_err_set(err, rc, "finding the database %s: %s", database, hp_err_sentence(rc));
    }
    free(inner);
    free(outer);
    return rc;
}

static int try_to_open(const hp_place_folder_t *self)
{
    int fd = hp_home_open(self->path, O_PATH, 0);
    if (fd < 0)
        return fd;
    int top = hp_beneath_look(fd, ".");
    if (top >= 0)
        close(top);
    close(fd);
    return top < 0 ? top : 0;
}

int hp_place_create(hp_place_t **place, const char *folder, const char *database, hp_err_t *err)
{
    hp_place_t *self = hp_alloc(sizeof *self);
    self->references = self->count = 1;
    self->folders[0] = (hp_place_folder_t){.name = hp_strdup(""), .path = hp_strdup(folder)};
    *place = NULL;
    int rc = hp_home_prepare(folder, 0755);
    if (rc == HP_E_NO_DISK) {
        hp_log(HP_LOG_WARN, "share: the disk of %s is not there; nothing in it is offered until it is back",
               folder);
        *place = self;
        return 0;
    }
    if (rc != 0) {
        hp_err_set(err, rc, "the shared folder %s cannot be made: %s", folder, hp_err_sentence(rc));
        goto Error;
    }
    rc = try_to_open(&self->folders[0]);
    if (rc == -ENOSYS || rc == -EPERM) {
        hp_err_set(
            err, rc,
            "this system does not let hostpair open files safely: openat2(2), in Linux since 5.6, is missing "
            "or forbidden (an old container runtime?)");
        goto Error;
    }
    if (rc != 0) {
        hp_err_set(err, rc, "the shared folder %s cannot be opened: %s", folder, hp_err_sentence(rc));
        goto Error;
    }
    rc = database != NULL ? find_data_folder(&self->folders[0], database, err) : 0;
    if (rc == 0) {
        *place = self;
        return 0;
    }
Error:
    hp_place_release(self);
    return rc;
}

/* ---- further folders ---- */

static int check_name(const hp_place_t *self, const char *name, hp_err_t *err)
{
    int rc = hp_path_check(name, strlen(name), err);
    if (rc != 0)
        return rc;
    if (strchr(name, '/') != NULL)
        return hp_err_set(err, HP_E_BAD_NAME, "the name of a shared folder has no \"/\" in it");
    if (hp_path_is_part(name))
        return hp_err_set(err, HP_E_BAD_NAME, "that name is reserved for unfinished files");
    if (hp_place_named(self, name) != 0)
        return hp_err_set(err, HP_E_CONFLICT, "a folder is shared as %s already", name);
    return 0;
}

/* Whether a folder overlaps one of the first `count`. One that is missing overlaps none that can be told. */
static int check_apart(const hp_place_t *self, const char *path, size_t count, hp_err_t *err)
{
    char *mine = realpath(path, NULL);
    int rc = 0;
    for (size_t i = 0; i < count && mine != NULL && rc == 0; i++) {
        const hp_place_folder_t *other = &self->folders[i];
        char *theirs = other->refused ? NULL : realpath(other->path, NULL);
        if (theirs != NULL && strcmp(theirs, mine) == 0)
            rc = hp_err_set(err, HP_E_CONFLICT, "%s is shared already", path);
        else if (theirs != NULL && path_below(theirs, mine) != NULL)
            rc = hp_err_set(err, HP_E_CONFLICT, "%s lies in %s, which is shared already", path, other->path);
        else if (theirs != NULL && path_below(mine, theirs) != NULL)
            rc = hp_err_set(err, HP_E_CONFLICT, "%s contains %s, which is shared already", path, other->path);
        free(theirs);
    }
    free(mine);
    return rc;
}

/* By name, behind the main one. */
static void insert(hp_place_t *self, hp_place_folder_t folder)
{
    size_t at = self->count++;
    for (; at > 1 && strcmp(self->folders[at - 1].name, folder.name) > 0; at--)
        self->folders[at] = self->folders[at - 1];
    self->folders[at] = folder;
}

int hp_place_add(hp_place_t *self, const char *name, const char *path, const char *database, hp_err_t *err)
{
    if (self->count == HP_PLACE_FOLDERS)
        return hp_err_set(err, HP_E_TOO_LARGE, "no more than %d folders can be shared beside the main one",
                          HP_PLACE_FOLDERS - 1);
    int rc = check_name(self, name, err);
    if (rc == 0)
        rc = check_apart(self, path, self->count, err);
    hp_place_folder_t folder = {.name = hp_strdup(name), .path = hp_strdup(path)};
    if (rc == 0 && database != NULL && access(path, F_OK) == 0)
        rc = find_data_folder(&folder, database, err);
    if (rc == 0) {
        insert(self, folder);
        return 0;
    }
    free(folder.name);
    free(folder.path);
    free(folder.hidden);
    return rc;
}

void hp_place_add_known(hp_place_t *self, const char *name, const char *path, const char *database)
{
    hp_err_t err = {0};
    if (hp_place_add(self, name, path, database, &err) == 0) {
        hp_home_remember(path);
        return;
    }
    hp_log(HP_LOG_WARN, "share: nothing is offered of the folder %s: %s", name, hp_err_text(&err));
    if (self->count < HP_PLACE_FOLDERS)
        insert(self, (hp_place_folder_t){.name = hp_strdup(name), .path = hp_strdup(path), .refused = true});
}

int hp_place_try(const hp_place_t *self, const char *name, hp_err_t *err)
{
    const hp_place_folder_t *folder = &self->folders[hp_place_named(self, name)];
    int rc = hp_home_adopt(folder->path, 0);
    int fd = rc == 0 ? open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (rc == 0)
        rc = fd < 0 ? -errno : try_to_open(folder);
    if (fd >= 0)
        close(fd);
    if (rc == -ENOENT || rc == -ENOTDIR)
        return hp_err_set(err, HP_E_INVALID, "there is no folder %s on this host", folder->path);
    if (rc != 0)
        return hp_err_set(err, HP_E_INVALID, "%s: %s", folder->path, hp_err_sentence(rc));
    hp_place_at_t at = HP_PLACE_NOWHERE;
    const char *below;
    if (hp_place_enter(self, &at, "", &below) != 0)
        return 0; /* the main one is not there */
    int taken = hp_beneath_look(at.fd, folder->name);
    hp_place_leave(&at);
    if (taken < 0)
        return 0;
    close(taken);
    return hp_err_set(err, HP_E_CONFLICT,
                      "there is a file or folder %s in the shared folder already: choose another name",
                      folder->name);
}

void hp_place_ignore(hp_place_t *self, const char *patterns, bool dotfiles)
{
    hp_ignore_destroy(self->ignore);
    self->ignore = hp_ignore_create(patterns, dotfiles);
}

hp_place_t *hp_place_copy(const hp_place_t *self, const char *without)
{
    hp_place_t *copy = hp_alloc(sizeof *copy);
    copy->references = 1;
    for (size_t i = 0; i < self->count; i++) {
        const hp_place_folder_t *from = &self->folders[i];
        if (without != NULL && i > 0 && strcmp(from->name, without) == 0)
            continue;
        hp_place_folder_t *to = &copy->folders[copy->count++];
        *to = *from;
        to->name = hp_strdup(from->name);
        to->path = hp_strdup(from->path);
        to->hidden = from->hidden != NULL ? hp_strdup(from->hidden) : NULL;
    }
    return copy;
}

hp_place_t *hp_place_addref(hp_place_t *self)
{
    self->references++;
    return self;
}

void hp_place_release(hp_place_t *self)
{
    if (self == NULL || --self->references > 0)
        return;
    for (size_t i = 0; i < self->count; i++) {
        free(self->folders[i].name);
        free(self->folders[i].path);
        free(self->folders[i].hidden);
    }
    hp_ignore_destroy(self->ignore);
    free(self);
}

/* ---- which folder ---- */

size_t hp_place_named(const hp_place_t *self, const char *name)
{
    for (size_t i = 1; i < self->count; i++)
        if (strcmp(self->folders[i].name, name) == 0)
            return i;
    return 0;
}

size_t hp_place_find(const hp_place_t *self, const char *path, const char **below)
{
    for (size_t i = 1; i < self->count; i++) {
        size_t length = strlen(self->folders[i].name);
        if (strncmp(path, self->folders[i].name, length) != 0 ||
            (path[length] != '/' && path[length] != '\0'))
            continue;
        *below = path + length + (path[length] == '/');
        return i;
    }
    *below = path;
    return 0;
}

int hp_place_enter(const hp_place_t *self, hp_place_at_t *at, const char *path, const char **below)
{
    size_t number = hp_place_find(self, path, below);
    if (at->fd >= 0 && at->number == number)
        return 0;
    hp_place_leave(at);
    int fd = self->folders[number].refused ? -ENOENT : hp_home_open(self->folders[number].path, O_PATH, 0);
    if (fd < 0)
        return fd;
    *at = (hp_place_at_t){.fd = fd, .number = number};
    return 0;
}

void hp_place_leave(hp_place_at_t *at)
{
    if (at->fd >= 0)
        close(at->fd);
    *at = HP_PLACE_NOWHERE;
}

bool hp_place_is_limit(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

static bool has_part(const char *path)
{
    if (strstr(path, ".hostpair-part") == NULL)
        return false;
    char *copy = hp_strdup(path), *rest = NULL;
    bool found = false;
    for (char *name = strtok_r(copy, "/", &rest); name != NULL && !found; name = strtok_r(NULL, "/", &rest))
        found = hp_path_is_part(name);
    free(copy);
    return found;
}

/* Whether hostpair's own data, or a part of a file, is at a path below a folder. */
static bool is_own(const hp_place_folder_t *folder, const char *below)
{
    if (folder->holds_database && strncmp(below, OWN_FILES, strlen(OWN_FILES)) == 0)
        return true;
    if (folder->hidden != NULL) {
        size_t length = strlen(folder->hidden);
        if (strncmp(below, folder->hidden, length) == 0 && (below[length] == '\0' || below[length] == '/'))
            return true;
    }
    return has_part(below);
}

bool hp_place_hides(const hp_place_t *self, const char *path)
{
    const char *below;
    const hp_place_folder_t *folder = &self->folders[hp_place_find(self, path, &below)];
    return is_own(folder, below) || hp_ignore_has_path(self->ignore, below);
}

bool hp_place_hides_entry(const hp_place_t *self, const char *path)
{
    const char *below;
    const hp_place_folder_t *folder = &self->folders[hp_place_find(self, path, &below)];
    return is_own(folder, below) || (below[0] != '\0' && hp_ignore_has(self->ignore, hp_path_name(below)));
}

/* Whether what a link led to may be seen under its own name. */
static bool target_may_be_seen(const hp_place_t *self, const hp_place_at_t *at, int fd)
{
    char outer[PATH_MAX + 1], inner[PATH_MAX + 1];
    if (hp_disk_path_of(at->fd, outer, sizeof outer) != 0 || hp_disk_path_of(fd, inner, sizeof inner) != 0)
        return false;
    const char *below = path_below(outer, inner);
    return below != NULL && below[0] != '\0' && hp_path_check(below, strlen(below), NULL) == 0 &&
           !is_own(&self->folders[at->number], below) && !hp_ignore_has_path(self->ignore, below);
}

/* What the answer to a client is when the kernel refuses to open a path. */
static int refusal(int error)
{
    if (hp_place_is_limit(error) || error == -EIO || error == -ENOSYS)
        return error;
    return HP_E_NOT_FOUND; /* ENOENT, ENOTDIR, EACCES, EXDEV, ELOOP, ENXIO, ENAMETOOLONG, ESTALE, ... */
}

/* What the path names in the folder that is entered. */
static int open_below(const hp_place_t *self, const hp_place_at_t *at, const char *below, int *fd,
                      struct stat *st)
{
    /* Not to wait for the other end of a pipe that stands here. */
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
    int file = hp_beneath_open(at->fd, below, flags, 0, HP_BENEATH_NO_LINKS);
    if (file == -ELOOP) { /* there is a link in it */
        file = hp_beneath_open(at->fd, below, flags, 0, HP_BENEATH_LINKS);
        if (file >= 0 && !target_may_be_seen(self, at, file)) {
            close(file);
            return HP_E_NOT_FOUND;
        }
    }
    if (file < 0)
        return refusal(file);
    int rc = fstat(file, st) == 0 ? 0 : refusal(-errno);
    if (rc == 0 && !S_ISREG(st->st_mode))
        rc = S_ISDIR(st->st_mode) ? HP_E_FORBIDDEN : HP_E_NOT_FOUND;
    if (rc != 0)
        close(file);
    else
        *fd = file;
    return rc;
}

int hp_place_open_file(const hp_place_t *self, hp_place_at_t *at, const char *path, int *fd, struct stat *st)
{
    const char *below;
    if (hp_path_check(path, strlen(path), NULL) != 0 || hp_place_hides(self, path))
        return HP_E_NOT_FOUND;
    int rc = hp_place_enter(self, at, path, &below);
    return rc != 0 ? refusal(rc) : open_below(self, at, below, fd, st);
}

/* Whether this process may read a file; path is taken below the folder, links are not followed. */
static bool readable(int folder_fd, const char *path, const struct stat *st)
{
    const mode_t everyone = S_IRUSR | S_IRGRP | S_IROTH;
    return (st->st_mode & everyone) == everyone || faccessat(folder_fd, path, R_OK, AT_EACCESS) == 0;
}

bool hp_place_lists(const hp_place_t *self, hp_place_at_t *at, const char *path, struct stat *st)
{
    const char *below;
    if (hp_place_enter(self, at, path, &below) != 0)
        return false;
    if (S_ISREG(st->st_mode))
        return readable(at->fd, below, st);
    int fd;
    if (!S_ISLNK(st->st_mode) || open_below(self, at, below, &fd, st) != 0)
        return false;
    close(fd);
    return true;
}

/* Times that a file system gives without sense stay at the edge. */
static int64_t nanoseconds(const struct timespec *time)
{
    const int64_t edge = INT64_MAX / NS_PER_S - 1;
    if (time->tv_sec > edge)
        return INT64_MAX;
    if (time->tv_sec < -edge)
        return INT64_MIN;
    return (int64_t)time->tv_sec * NS_PER_S + time->tv_nsec;
}

hp_shared_identity_t hp_place_identity(const struct stat *st)
{
    return (hp_shared_identity_t){
        .device = (uint64_t)st->st_dev,
        .inode = (uint64_t)st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = nanoseconds(&st->st_mtim),
        .ctime_ns = nanoseconds(&st->st_ctim),
    };
}
