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

/* Files that hostpair keeps beside its database begin with this. */
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

static int find_data_folder(hp_place_t *self, const char *database, hp_err_t *err)
{
    char *outer = realpath(self->folder, NULL), *inner = realpath(database, NULL);
    int rc = outer == NULL || inner == NULL ? -errno : 0;
    if (rc == 0) {
        char *slash = strrchr(inner, '/');
        *slash = '\0';
        const char *below = path_below(outer, inner);
        self->holds_database = below != NULL && below[0] == '\0';
        if (below != NULL && below[0] != '\0')
            self->hidden = hp_strdup(below);
    } else {
        hp_err_set(err, rc, "finding the database %s: %s", database, hp_err_sentence(rc));
    }
    free(inner);
    free(outer);
    return rc;
}

int hp_place_create(hp_place_t **place, const char *folder, const char *database, hp_err_t *err)
{
    hp_place_t *self = hp_alloc(sizeof *self);
    *self = (hp_place_t){.folder = hp_strdup(folder), .references = 1};
    *place = NULL;
    int rc = hp_home_prepare(folder, 0755);
    if (rc == HP_E_NO_DISK) {
        hp_log(HP_LOG_WARN, "share: the disk of %s is not there; nothing is offered until it is back",
               folder);
        *place = self;
        return 0;
    }
    if (rc != 0) {
        hp_err_set(err, rc, "the shared folder %s cannot be made: %s", folder, hp_err_sentence(rc));
        goto Error;
    }
    int fd = hp_place_open(self);
    rc = fd < 0 ? fd : 0;
    if (rc == 0) {
        int top = hp_beneath_look(fd, ".");
        rc = top < 0 ? top : 0;
        if (top >= 0)
            close(top);
        close(fd);
    }
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
    rc = database != NULL ? find_data_folder(self, database, err) : 0;
    if (rc == 0) {
        *place = self;
        return 0;
    }
Error:
    hp_place_release(self);
    return rc;
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
    free(self->folder);
    free(self->hidden);
    free(self);
}

int hp_place_open(const hp_place_t *self)
{
    return hp_home_open(self->folder, O_PATH, 0);
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

bool hp_place_hides(const hp_place_t *self, const char *path)
{
    if (self->holds_database && strchr(path, '/') == NULL && strncmp(path, OWN_FILES, strlen(OWN_FILES)) == 0)
        return true;
    if (self->hidden != NULL) {
        size_t length = strlen(self->hidden);
        if (strncmp(path, self->hidden, length) == 0 && (path[length] == '\0' || path[length] == '/'))
            return true;
    }
    return has_part(path);
}

/* Whether what a link led to may be seen under its own name. */
static bool target_may_be_seen(const hp_place_t *self, int folder_fd, int fd)
{
    char outer[PATH_MAX + 1], inner[PATH_MAX + 1];
    if (hp_disk_path_of(folder_fd, outer, sizeof outer) != 0 || hp_disk_path_of(fd, inner, sizeof inner) != 0)
        return false;
    const char *below = path_below(outer, inner);
    return below != NULL && below[0] != '\0' && hp_path_check(below, strlen(below), NULL) == 0 &&
           !hp_place_hides(self, below);
}

/* What the answer to a client is when the kernel refuses to open a path. */
static int refusal(int error)
{
    if (hp_place_is_limit(error) || error == -EIO || error == -ENOSYS)
        return error;
    return HP_E_NOT_FOUND; /* ENOENT, ENOTDIR, EACCES, EXDEV, ELOOP, ENXIO, ENAMETOOLONG, ESTALE, ... */
}

int hp_place_open_file(const hp_place_t *self, int folder_fd, const char *path, int *fd, struct stat *st)
{
    if (hp_path_check(path, strlen(path), NULL) != 0 || hp_place_hides(self, path))
        return HP_E_NOT_FOUND;
    /* Not to wait for the other end of a pipe that stands here. */
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
    int file = hp_beneath_open(folder_fd, path, flags, 0, HP_BENEATH_NO_LINKS);
    if (file == -ELOOP) { /* there is a link in it */
        file = hp_beneath_open(folder_fd, path, flags, 0, HP_BENEATH_LINKS);
        if (file >= 0 && !target_may_be_seen(self, folder_fd, file)) {
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

/* Whether this process may read a file; path is taken below the folder, links are not followed. */
static bool readable(int folder_fd, const char *path, const struct stat *st)
{
    const mode_t everyone = S_IRUSR | S_IRGRP | S_IROTH;
    return (st->st_mode & everyone) == everyone || faccessat(folder_fd, path, R_OK, AT_EACCESS) == 0;
}

bool hp_place_lists(const hp_place_t *self, int folder_fd, const char *path, struct stat *st)
{
    if (hp_path_check(path, strlen(path), NULL) != 0 || hp_place_hides(self, path))
        return false;
    if (S_ISREG(st->st_mode))
        return readable(folder_fd, path, st);
    if (!S_ISLNK(st->st_mode))
        return false;
    int fd;
    if (hp_place_open_file(self, folder_fd, path, &fd, st) != 0)
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
