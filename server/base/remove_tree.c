#include "base/remove_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"

#define DEPTH_MAX 200 /* folders in each other; each holds a descriptor */
#define TRIES     3   /* a folder that gets new files while it is removed */

typedef struct kept {
    dev_t device;
    ino_t inode; /* 0: none */
} kept_t;

typedef struct walk {
    const hp_tree_guard_t *guard;
    kept_t kept[HP_COUNT(((hp_tree_guard_t *)0)->folders)];
    dev_t device;
    bool removing;
    unsigned depth;
    char path[HP_PATH_MAX + HP_NAME_MAX + 2]; /* of what is looked at, for words */
    hp_err_t *err;
} walk_t;

static int refuse(walk_t *self, const char *why)
{
    return hp_err_set(self->err, HP_E_CONFLICT, "%s %s; nothing was removed", self->path, why);
}

static int system_error(walk_t *self, int code)
{
    bool forbidden = code == -EACCES || code == -EPERM || code == -EROFS;
    return hp_err_set(self->err, forbidden ? HP_E_FORBIDDEN : code, "%s: %s", self->path,
                      hp_err_sentence(code));
}

static int walk_folder(walk_t *self, int parent, const char *name);

/* A part file of a download: its id stands before the suffix. */
static bool is_kept_part(const walk_t *self, const char *name)
{
    if (!hp_path_is_part(name))
        return false;
    const char *dot = strrchr(name, '.');
    while (dot > name && dot[-1] != '.')
        dot--;
    return strtoll(dot, NULL, 10) < self->guard->parts_from;
}

static int look_at(walk_t *self, const struct stat *st, const char *name)
{
    for (size_t i = 0; i < HP_COUNT(self->kept); i++)
        if (self->kept[i].inode == st->st_ino && self->kept[i].device == st->st_dev)
            return refuse(self, "is a folder that hostpair itself uses");
    if (st->st_dev != self->device)
        return refuse(self, "is on another disk");
    return is_kept_part(self, name) ? refuse(self, "belongs to a download that is not finished") : 0;
}

static int visit(walk_t *self, int folder, const char *name)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : system_error(self, -errno);
    int rc = look_at(self, &st, name); /* also while removing: it may have come since */
    if (rc != 0)
        return rc;
    if (S_ISDIR(st.st_mode))
        return walk_folder(self, folder, name);
    if (self->guard->check != NULL && !hp_path_is_part(name)) {
        rc = self->guard->check(self->guard->arg, self->path, &st, self->err);
        if (rc != 0)
            return rc;
    }
    if (self->removing && unlinkat(folder, name, 0) != 0 && errno != ENOENT)
        return system_error(self, -errno);
    return 0;
}

static int walk_entries(walk_t *self, DIR *dir)
{
    size_t length = strlen(self->path);
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            rc = errno != 0 ? system_error(self, -errno) : 0;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (atomic_load_explicit(self->guard->cancelled, memory_order_relaxed))
            return hp_err_set(self->err, -ECANCELED, "hostpair is being stopped");
        snprintf(self->path + length, sizeof self->path - length, "/%s", entry->d_name);
        rc = visit(self, dirfd(dir), entry->d_name);
        if (rc == 0)
            self->path[length] = '\0';
    }
    return rc;
}

static int walk_once(walk_t *self, int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        int rc = -errno;
        if (fd >= 0)
            close(fd);
        return rc == -ENOENT && self->removing ? 0 : system_error(self, rc);
    }
    int rc = walk_entries(self, dir);
    closedir(dir);
    return rc;
}

static int walk_folder(walk_t *self, int parent, const char *name)
{
    if (strlen(self->path) > HP_PATH_MAX || self->depth == DEPTH_MAX)
        return refuse(self, "is nested too deeply");
    self->depth++;
    int rc = walk_once(self, parent, name);
    for (unsigned tries = 1; self->removing && rc == 0; tries++) {
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            break;
        if ((errno != ENOTEMPTY && errno != EEXIST) || tries == TRIES)
            rc = system_error(self, -errno);
        else
            rc = walk_once(self, parent, name);
    }
    self->depth--;
    return rc;
}

int hp_remove_tree(int parent, const char *name, const char *path, const hp_tree_guard_t *guard,
                   hp_err_t *err)
{
    struct stat st;
    walk_t *self = hp_alloc(sizeof *self);
    self->guard = guard;
    self->err = err;
    snprintf(self->path, sizeof self->path, "%s", path);
    for (size_t i = 0; i < HP_COUNT(guard->folders); i++)
        if (guard->folders[i] != NULL && stat(guard->folders[i], &st) == 0)
            self->kept[i] = (kept_t){.device = st.st_dev, .inode = st.st_ino};
    int rc = fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : system_error(self, -errno);
    if (rc == 0) {
        self->device = st.st_dev;
        rc = look_at(self, &st, name);
    }
    if (rc == 0)
        rc = walk_folder(self, parent, name);
    self->removing = true;
    if (rc == 0)
        rc = walk_folder(self, parent, name);
    free(self);
    return rc;
}
