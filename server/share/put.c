/* Files put into the shared folder and taken out of it (put.h).
 *
 * Pieces are collected in a part file beside the target, whose name holds the file's total size: pieces of
 * another size never meet. The last piece syncs it and renames it over the target in one step, so half a file
 * is never seen.
 *
 * The store knows which files were put there in this way, with their size and time (db/shared_own.h). Only
 * what still is such a file is removed, and replaced in a folder that is shared in place: anything else may
 * be a person's only copy. What has no row, as its commit failed or an earlier version put it there, is such
 * a file as well. */
#include "share/put.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/landing.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/remove_tree.h"
#include "base/utf8.h"
#include "db/shared_own.h"
#include "os/beneath.h"
#include "os/disk.h"
#include "os/home.h"
#include "share/state.h"

/* Ids in the names of part files: far above those of downloads, which may land in the same folder. */
#define UPLOAD_ID ((int64_t)HP_SHARE_PUT_MAX + 1)

struct hp_put {
    hp_share_t *share;
    struct hp_put *next; /* all that run now */
    uv_work_t work;
    uv_work_cb run;               /* what it does in the pool */
    char *path, *parent, *folder; /* parent: below the shared folder, whose absolute path is folder */
    const char *name;             /* inside path */
    char *place;                  /* the path on the disk, absolute */
    char *claim;                  /* the path as every disk takes it: of two that may be one file */
    size_t below;                 /* where in path it goes on below the folder */
    hp_shared_owns_t owns;        /* what hostpair put there, at and below place; by path */
    bool in_place;                /* it is not the main folder */
    bool refused;                 /* that folder may not be shared: nothing is written there */
    bool is_top;                  /* the path is that of the shared folder itself */
    bool is_private;              /* the folder is not shared, and made if missing (aside.c) */
    hp_share_piece_t piece;
    bool removes, tree;
    char *keep[2]; /* folders that stay */
    bool made;     /* the file is there now, by this piece */
    hp_share_stored_t stored;
    int status;
    hp_err_t err;
    hp_share_put_fn put_done;
    hp_share_removed_fn removed_done;
    void *arg;
};

/* ---- in the pool ---- */

/* Puts the path before what the kernel says. */
static int disk_error(hp_err_t *err, int code, const char *path)
{
    if (code == -ELOOP || code == -EXDEV)
        return hp_err_set(err, HP_E_BAD_NAME, "%s: the path leads through a link", path);
    if (code == -ENOTDIR || code == -EISDIR)
        return hp_err_set(err, HP_E_CONFLICT,
                          "%s: a file is in the way of a folder, or a folder in the way of a file", path);
    if (code == -EEXIST)
        return hp_err_set(err, HP_E_PRECONDITION, "%s: something of that name already exists", path);
    if (code == -EACCES || code == -EPERM || code == -EROFS)
        return hp_err_set(err, HP_E_FORBIDDEN, "%s: %s", path, hp_err_sentence(code));
    return hp_err_set(err, code, "%s: %s", path, hp_err_sentence(code));
}

static bool exists(int parent, const char *name)
{
    struct stat st;
    return fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static hp_shared_own_t own_of(char *place, const struct stat *st)
{
    return (hp_shared_own_t){
        .path = place, .size = (uint64_t)st->st_size, .mtime_ns = hp_place_identity(st).mtime_ns};
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const hp_shared_own_t *)a)->path, ((const hp_shared_own_t *)b)->path);
}

/* Whether what is at an absolute path is what hostpair put there. */
static bool is_own(const hp_put_t *self, char *place, const struct stat *st)
{
    const hp_shared_own_t now = own_of(place, st);
    const hp_shared_own_t *known = self->owns.count > 0 ? bsearch(&now, self->owns.items, self->owns.count,
                                                                  sizeof *self->owns.items, by_path)
                                                        : NULL;
    return known != NULL && S_ISREG(st->st_mode) && known->size == now.size &&
           known->mtime_ns == now.mtime_ns;
}

/* Whether the file may be replaced: 0 or HP_E_FORBIDDEN. */
static int check_replaced(hp_put_t *self, int parent)
{
    struct stat old;
    if (!self->in_place || fstatat(parent, self->name, &old, AT_SYMLINK_NOFOLLOW) != 0 ||
        S_ISDIR(old.st_mode) || is_own(self, self->place, &old))
        return 0;
    return hp_err_set(
        &self->err, HP_E_FORBIDDEN,
        "%s is in %s, which is shared in place, and hostpair did not put it there (or it was "
        "changed since): hostpair does not replace it. Give the new one another name, or replace "
        "it with your file manager",
        self->path, self->folder);
}

static int refuse_removal(hp_err_t *err, const char *path)
{
    return hp_err_set(err, HP_E_FORBIDDEN,
                      "%s was put there by hand or by an earlier version of hostpair, or was changed since: "
                      "hostpair does not delete it. Delete it with your file manager, or move it out of the "
                      "shared folder",
                      path);
}

static int check_removed(void *arg, const char *path, const struct stat *st, hp_err_t *err)
{
    hp_put_t *self = arg;
    char *place = hp_sprintf("%s/%s", self->folder, path);
    bool own = is_own(self, place, st);
    free(place);
    return own ? 0 : refuse_removal(err, path);
}

/* The part is whole: makes it the file. */
static int finish(hp_put_t *self, int parent, int part, const char *part_name)
{
    struct stat old;
    if (fdatasync(part) != 0)
        return -errno;
    self->stored.existed = fstatat(parent, self->name, &old, AT_SYMLINK_NOFOLLOW) == 0;
    if (self->stored.existed && S_ISDIR(old.st_mode))
        return -EISDIR;
    if (check_replaced(self, parent) != 0) /* it may have come since */
        return HP_E_FORBIDDEN;
    int rc = self->piece.is_new ? hp_disk_rename_new(parent, part_name, self->name)
             : renameat(parent, part_name, parent, self->name) != 0 ? -errno
                                                                    : 0;
    if (rc != 0)
        return rc;
    self->made = true;
    rc = hp_disk_sync_folder(parent);
    if (rc == 0 && fstat(part, &self->stored.stat) != 0)
        rc = -errno;
    if (rc != 0)
        return rc;
    self->stored.finished = true;
    return 0;
}

/* A last piece that is sent again because its answer was lost: the file stands there with these bytes. */
static bool is_finished_already(hp_put_t *self, int parent)
{
    uint8_t there[16384];
    int fd = hp_beneath_open(parent, self->name, O_RDONLY | O_NONBLOCK, 0, HP_BENEATH_NO_LINKS);
    if (fd < 0)
        return false;
    bool same = fstat(fd, &self->stored.stat) == 0 && S_ISREG(self->stored.stat.st_mode) &&
                (uint64_t)self->stored.stat.st_size == self->piece.total &&
                self->piece.first + self->piece.length == self->piece.total;
    for (size_t at = 0; same && at < self->piece.length;) {
        ssize_t n =
            pread(fd, there, HP_MIN(sizeof there, self->piece.length - at), (off_t)(self->piece.first + at));
        same = n > 0 && memcmp(there, (const uint8_t *)self->piece.data + at, (size_t)n) == 0;
        at += same ? (size_t)n : 0;
    }
    close(fd);
    self->stored.finished = self->stored.existed = same;
    return same;
}

static int take_piece(hp_put_t *self, int parent)
{
    char part_name[HP_NAME_MAX + 1];
    struct stat st;
    hp_path_part_name(self->name, UPLOAD_ID | (int64_t)self->piece.total, part_name);
    if (self->piece.is_new && exists(parent, self->name))
        return disk_error(&self->err, -EEXIST, self->path);
    if ((self->piece.ask || self->piece.first == 0) && check_replaced(self, parent) != 0)
        return HP_E_FORBIDDEN;
    int flags = self->piece.ask || self->piece.first > 0 ? O_RDWR : O_RDWR | O_CREAT | O_TRUNC;
    int part = hp_beneath_open(parent, part_name, flags, self->is_private ? 0600 : 0666, HP_BENEATH_NO_LINKS);
    if (part == -ENOENT) {
        if (self->piece.ask || is_finished_already(self, parent))
            return 0;
        return hp_err_set(&self->err, HP_E_CONFLICT,
                          "no bytes of this file have arrived yet: begin at byte 0");
    }
    if (part < 0)
        return disk_error(&self->err, part, self->path);
    int rc = fstat(part, &st) == 0 ? 0 : -errno;
    self->stored.received = rc == 0 ? (uint64_t)st.st_size : 0;
    if (self->piece.ask && self->stored.received >= self->piece.total)
        self->stored.received =
            self->piece.total - 1; /* hostpair was ended before it could make it the file */
    if (rc == 0 && !self->piece.ask && self->piece.first > self->stored.received) {
        rc = hp_err_set(&self->err, HP_E_CONFLICT, "%llu bytes of this file are here: go on at byte %llu",
                        (unsigned long long)self->stored.received, (unsigned long long)self->stored.received);
    } else if (rc == 0 && !self->piece.ask) {
        rc = hp_write_all_at(part, self->piece.data, self->piece.length, self->piece.first);
        self->stored.received = HP_MAX(self->stored.received, self->piece.first + self->piece.length);
        if (rc == 0 && self->stored.received == self->piece.total)
            rc = finish(self, parent, part, part_name);
        if (rc != 0 && self->err.code == 0)
            rc = disk_error(&self->err, rc, self->path);
    }
    close(part);
    return rc;
}

/* Takes the path apart. */
static void set_path(hp_put_t *self, char *path)
{
    free(self->path);
    free(self->parent);
    free(self->place);
    self->path = path;
    self->name = hp_path_name(path);
    const char *below = path + self->below;
    self->parent = hp_strndup(below, self->name <= below ? 0 : (size_t)(self->name - below) - 1);
    self->place = hp_sprintf("%s/%s", self->folder, below);
}

/* A name that the disk does not take gives way to the nearest one, which may be another file's. */
static void land(hp_put_t *self)
{
    char landing[HP_PATH_MAX + 1];
    if (!hp_landing_path(self->folder, self->path + self->below, landing))
        return;
    set_path(self, hp_sprintf("%.*s%s", (int)self->below, self->path, landing));
    self->piece.is_new = true;
}

static void do_put(uv_work_t *work)
{
    hp_put_t *self = work->data;
    int made = self->is_private ? hp_make_folder(self->folder, 0700) : 0;
    if (!self->is_private)
        land(self);
    int folder = made != 0 ? made : hp_home_open(self->folder, O_RDONLY, 0);
    if (folder < 0) {
        self->status = disk_error(&self->err, folder, self->folder);
        return;
    }
    int parent = self->piece.ask
                     ? hp_beneath_open(folder, self->parent, O_RDONLY | O_DIRECTORY, 0, HP_BENEATH_NO_LINKS)
                     : hp_beneath_make_folders(folder, self->parent, self->is_private ? 0700 : 0777);
    if (parent >= 0) {
        self->status = take_piece(self, parent);
        close(parent);
    } else if (!(self->piece.ask && parent == -ENOENT)) {
        self->status = disk_error(&self->err, parent, self->path);
    }
    close(folder);
}

/* Removes the parts of an upload of this name that was not finished. Whether there was any. */
static bool remove_parts(int parent, const char *name)
{
    char part_name[HP_NAME_MAX + 1];
    bool any = false;
    hp_path_part_name(name, UPLOAD_ID, part_name);
    size_t prefix = hp_utf8_prefix(name, strlen(name), 200) + 2; /* ".", the name, "." */
    int copy = dup(parent);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (stream == NULL) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (strncmp(entry->d_name, part_name, prefix) == 0 && hp_path_is_part(entry->d_name) &&
            strtoll(entry->d_name + prefix, NULL, 10) >= UPLOAD_ID)
            any |= unlinkat(parent, entry->d_name, 0) == 0;
    closedir(stream);
    return any;
}

static void do_remove(uv_work_t *work)
{
    hp_put_t *self = work->data;
    int folder = hp_home_open(self->folder, O_RDONLY, 0);
    int parent = folder < 0
                     ? folder
                     : hp_beneath_open(folder, self->parent, O_RDONLY | O_DIRECTORY, 0, HP_BENEATH_LINKS);
    int rc = parent < 0 ? parent : 0;
    if (rc == 0) {
        struct stat st;
        bool parts = remove_parts(parent, self->name);
        if (fstatat(parent, self->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            rc = -errno;
        else if (!S_ISDIR(st.st_mode) && !is_own(self, self->place, &st))
            rc = refuse_removal(&self->err, self->path);
        else
            rc = unlinkat(parent, self->name, 0) == 0 ? 0 : -errno;
        if (rc == -EISDIR)
            rc = unlinkat(parent, self->name, AT_REMOVEDIR) == 0 ? 0 : -errno;
        if (rc == -ENOENT && parts)
            rc = 0;
        if (self->tree && (rc == -ENOTEMPTY || rc == -EEXIST)) {
            hp_tree_guard_t guard = {.folders = {self->keep[0], self->keep[1]},
                                     .parts_from = UPLOAD_ID,
                                     .check = check_removed,
                                     .arg = self,
                                     .cancelled = &self->share->cancelled};
            self->status = hp_remove_tree(parent, self->name, self->path, &guard, &self->err);
            close(parent);
            close(folder);
            return;
        }
        close(parent);
    }
    if (folder >= 0)
        close(folder);
    if (rc == -ENOENT || rc == -ENOTDIR || rc == -EXDEV)
        rc = hp_err_set(&self->err, HP_E_NOT_FOUND, "there is no file %s", self->path);
    else if (rc == -ENOTEMPTY || rc == -EEXIST)
        rc = hp_err_set(&self->err, HP_E_CONFLICT,
                        "%s is a folder with files in it: recursive=true removes them, too", self->path);
    else if (rc != 0 && self->err.code == 0)
        rc = disk_error(&self->err, rc, self->path);
    self->status = rc;
}

/* ---- on the loop ---- */

static void end(hp_put_t *self)
{
    hp_share_t *share = self->share;
    for (hp_put_t **link = &share->puts; *link != NULL; link = &(*link)->next) {
        if (*link == self) {
            *link = self->next;
            break;
        }
    }
    self->stored.path = self->path;
    if (self->removes)
        self->removed_done(self->arg, self->status, &self->err);
    else
        self->put_done(self->arg, self->status, &self->stored, &self->err);
    free(self->path);
    free(self->parent);
    free(self->folder);
    free(self->place);
    free(self->claim);
    hp_shared_owns_dispose(&self->owns);
    for (size_t i = 0; i < HP_COUNT(self->keep); i++)
        free(self->keep[i]);
    free(self);
    hp_pending_drop(&share->pending);
}

static int record(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_put_t *self = arg;
    if (self->removes)
        return hp_shared_own_remove(db, self->place, err);
    hp_shared_own_t own = own_of(self->place, &self->stored.stat);
    return hp_shared_own_set(db, &own, err);
}

static void on_recorded(void *arg, int status, const hp_err_t *err)
{
    hp_put_t *self = arg;
    if (status != 0)
        hp_log(HP_LOG_WARN,
               "%s: that hostpair put it there could not be recorded, so it will not delete it: %s",
               self->path, hp_err_text(err));
    end(self);
}

static void on_done(uv_work_t *work, int canceled)
{
    hp_put_t *self = work->data;
    if (canceled != 0)
        self->status = canceled;
    if (self->status == 0 && !self->is_private && (self->removes || self->made))
        hp_store_post(self->share->store, HP_STORE_WRITE, record, on_recorded, self);
    else
        end(self);
}

static void fail(hp_put_t *self, int status)
{
    self->status = status;
    end(self);
}

static void run(hp_put_t *self)
{
    int rc = self->share->closing ? UV_ECANCELED
                                  : uv_queue_work(self->share->loop, &self->work, self->run, on_done);
    if (rc != 0)
        fail(self, rc);
}

static int load(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_put_t *self = arg;
    int rc = hp_shared_own_list(db, self->place, &self->owns, err);
    if (self->owns.count > 0)
        qsort(self->owns.items, self->owns.count, sizeof *self->owns.items, by_path);
    return rc;
}

static void on_loaded(void *arg, int status, const hp_err_t *err)
{
    hp_put_t *self = arg;
    if (status == 0) {
        run(self);
        return;
    }
    self->err = *err;
    fail(self, status);
}

static int check_path(hp_put_t *self)
{
    hp_err_t *err = &self->err;
    int rc = hp_path_check(self->path, strlen(self->path), err);
    if (rc == 0 && hp_path_is_part(self->path))
        return hp_err_set(err, HP_E_BAD_NAME, "that name is reserved for unfinished files");
    if (rc == 0 && self->refused)
        return hp_err_set(err, HP_E_CONFLICT, "%s may not be shared beside the other folders", self->folder);
    if (rc == 0 && self->removes && self->in_place)
        return hp_err_set(err, HP_E_FORBIDDEN,
                          "%s is in %s, which is shared in place: hostpair deletes nothing there. Delete it "
                          "yourself, or stop sharing that folder",
                          self->path, self->folder);
    if (rc == 0 && self->is_top)
        return hp_err_set(err, HP_E_CONFLICT, "%s is a shared folder", self->path);
    return rc;
}

/* Whether two cannot run at a time: for the same file, or one for a folder and one for what is in it. */
static bool collide(const hp_put_t *a, const hp_put_t *b)
{
    size_t n = strlen(a->claim), m = strlen(b->claim);
    if ((a->is_private || b->is_private) && strcmp(a->folder, b->folder) != 0)
        return false;
    if (strncmp(a->claim, b->claim, HP_MIN(n, m)) != 0)
        return false;
    return n == m || (n < m && a->tree && b->claim[n] == '/') || (m < n && b->tree && a->claim[m] == '/');
}

/* The path with each name as hp_path_portable() writes it; names that are too long are cut. Malloced. */
static char *claim_of(const char *path)
{
    char *claim = hp_strdup("");
    for (const char *at = path; at != NULL;) {
        const char *slash = strchr(at, '/');
        char name[HP_NAME_MAX + 1], portable[HP_NAME_MAX + 1];
        snprintf(name, sizeof name, "%.*s", (int)(slash != NULL ? slash - at : (long)strlen(at)), at);
        char *longer = hp_sprintf("%s%s%s", claim, hp_path_portable(name, portable) ? portable : name,
                                  slash != NULL ? "/" : "");
        free(claim);
        claim = longer;
        at = slash != NULL ? slash + 1 : NULL;
    }
    return claim;
}

/* folder: one that is not shared; NULL: the shared one that the path lies in. */
static hp_put_t *create(hp_share_t *share, const char *folder, const char *path, void *arg)
{
    hp_put_t *self = hp_alloc(sizeof *self);
    const char *below = path;
    size_t number = folder == NULL ? hp_place_find(share->place, path, &below) : 0;
    self->share = share;
    self->below = (size_t)(below - path);
    self->folder = hp_strdup(folder != NULL ? folder : share->place->folders[number].path);
    self->is_private = folder != NULL;
    self->in_place = number > 0;
    self->refused = folder == NULL && share->place->folders[number].refused;
    self->is_top = number > 0 && below[0] == '\0';
    set_path(self, hp_strdup(path));
    self->claim = claim_of(path);
    self->work.data = self;
    self->arg = arg;
    hp_pending_add(&share->pending);
    return self;
}

static void start(hp_put_t *self, uv_work_cb work)
{
    hp_share_t *share = self->share;
    int rc = share->closing ? UV_ECANCELED : check_path(self);
    for (const hp_put_t *other = share->puts; rc == 0 && other != NULL; other = other->next)
        if (collide(self, other))
            rc =
                hp_err_set(&self->err, HP_E_CONFLICT, "%s is being written or removed right now", self->path);
    if (rc != 0) {
        fail(self, rc);
        return;
    }
    self->run = work;
    self->next = share->puts;
    share->puts = self;
    if (self->removes || self->in_place)
        hp_store_post(share->store, HP_STORE_READ, load, on_loaded, self);
    else
        run(self);
}

static void put(hp_share_t *share, const char *folder, const char *path, const hp_share_piece_t *piece,
                hp_share_put_fn done, void *arg)
{
    hp_put_t *self = create(share, folder, path, arg);
    self->piece = *piece;
    self->put_done = done;
    if (piece->total > HP_SHARE_PUT_MAX) {
        self->status = hp_err_set(&self->err, HP_E_TOO_LARGE, "%s: no file is that large", path);
        end(self);
        return;
    }
    start(self, do_put);
}

void hp_share_put(hp_share_t *share, const char *path, const hp_share_piece_t *piece, hp_share_put_fn done,
                  void *arg)
{
    put(share, NULL, path, piece, done, arg);
}

void hp_share_put_private(hp_share_t *share, const char *folder, const char *path,
                          const hp_share_piece_t *piece, hp_share_put_fn done, void *arg)
{
    put(share, folder, path, piece, done, arg);
}

void hp_share_remove(hp_share_t *share, const char *path, const hp_share_removal_t *removal,
                     hp_share_removed_fn done, void *arg)
{
    hp_put_t *self = create(share, NULL, path, arg);
    self->removes = true;
    self->tree = removal->tree;
    self->removed_done = done;
    for (size_t i = 0; i < HP_COUNT(self->keep); i++)
        self->keep[i] = removal->keep[i] != NULL ? hp_strdup(removal->keep[i]) : NULL;
    start(self, do_remove);
}
