#include "db/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "db/salvage.h"
#include "db/statement.h"

/* ---- names ---- */

static char *name_of(const char *path, const char *ending)
{
    return hp_sprintf("%s%s", path, ending);
}

static bool exists(const char *path, const char *ending)
{
    struct stat st;
    char *name = name_of(path, ending);
    bool there = lstat(name, &st) == 0;
    free(name);
    return there;
}

static void remove_file(const char *path, const char *ending)
{
    char *name = name_of(path, ending);
    if (unlink(name) != 0 && errno != ENOENT)
        hp_log(HP_LOG_WARN, "%s cannot be removed (%s)", name, hp_err_sentence(-errno));
    free(name);
}

/* 0 also when there is nothing of that name. */
static int move(const char *from, const char *from_ending, const char *to, const char *to_ending,
                hp_err_t *err)
{
    char *old = name_of(from, from_ending), *new = name_of(to, to_ending);
    int rc = rename(old, new) == 0 || errno == ENOENT ? 0 : -errno;
    if (rc != 0)
        hp_err_set(err, HP_E_DB, "renaming %s to %s: %s", old, new, hp_err_sentence(rc));
    free(old);
    free(new);
    return rc == 0 ? 0 : HP_E_DB;
}

static int sync_file(const char *path, int flags, hp_err_t *err)
{
    int fd = open(path, flags | O_CLOEXEC);
    int rc = fd >= 0 && fsync(fd) == 0 ? 0 : -errno;
    if (fd >= 0)
        close(fd);
    if (rc == 0)
        return 0;
    int code = rc == -ENOSPC || rc == -EDQUOT ? HP_E_NO_SPACE : HP_E_DB;
    return hp_err_set(err, code, "syncing %s: %s", path, hp_err_sentence(rc));
}

static int sync_folder_of(const char *path, hp_err_t *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash != NULL ? hp_strndup(path, (size_t)(slash - path) + 1) : hp_strdup(".");
    int rc = sync_file(folder, O_RDONLY | O_DIRECTORY, err);
    free(folder);
    return rc;
}

/* ---- one takes the place of another ---- */

/* "<path>.damaged-20261129-013000", with a number where that is taken; for the caller to free. */
static char *aside_name(const char *path)
{
    char when[32];
    time_t now = time(NULL);
    struct tm parts;
    localtime_r(&now, &parts);
    strftime(when, sizeof when, "%Y%m%d-%H%M%S", &parts);
    char *name = hp_sprintf("%s.damaged-%s", path, when);
    for (unsigned n = 2; exists(name, ""); n++) {
        free(name);
        name = hp_sprintf("%s.damaged-%s-%u", path, when, n);
    }
    return name;
}

/* Moves what lies at path out of the way, with its journals. *aside: where to, for the caller to free. */
static int set_aside(const char *path, char **aside, hp_err_t *err)
{
    *aside = aside_name(path);
    /* The journal first: a database without it is older, one with another's is ruined. */
    int rc = move(path, "-wal", *aside, "-wal", err);
    if (rc == 0)
        rc = move(path, "-journal", *aside, "-journal", err);
    if (rc == 0)
        rc = move(path, "", *aside, "", err);
    if (rc == 0)
        remove_file(path, "-shm"); /* made anew from the journal */
    return rc;
}

/* "<path>.new" is whole: from here on the next start finishes what a crash breaks off. */
static int finish_new(const char *path, hp_err_t *err)
{
    char *new = name_of(path, ".new");
    int rc = sync_file(new, O_RDWR, err);
    free(new);
    if (rc == 0)
        rc = move(path, ".new", path, ".restored", err);
    return rc == 0 ? sync_folder_of(path, err) : rc;
}

/* Puts "<path>.restored" in its place. What lies there is set aside. */
static int take_restored(const char *path, hp_err_t *err)
{
    if (!exists(path, ".restored"))
        return 0;
    int rc = 0;
    if (exists(path, "") || exists(path, "-wal")) {
        char *aside = NULL;
        rc = set_aside(path, &aside, err);
        if (rc == 0)
            hp_log(HP_LOG_WARN, "database: the old one is kept as %s", aside);
        free(aside);
    }
    if (rc == 0)
        rc = move(path, ".restored", path, "", err);
    return rc == 0 ? sync_folder_of(path, err) : rc;
}

/* ---- opening ---- */

void hp_db_file_mark(const char *path)
{
    char *name = name_of(path, ".check");
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        close(fd);
    else
        hp_log(HP_LOG_WARN, "%s cannot be made (%s): the next start may not find the damage", name,
               hp_err_sentence(-errno));
    free(name);
}

/* What can be read of the damaged one into a new one, which then takes its place. */
static int replace(const char *path, const hp_err_t *why, hp_err_t *err)
{
    int64_t rows = 0;
    char *new = name_of(path, ".new"), *aside = NULL;
    hp_db_unlink(new);
    int rc = hp_db_salvage(path, new, &rows, err);
    free(new);
    if (rc == 0)
        rc = finish_new(path, err);
    if (rc == 0)
        rc = set_aside(path, &aside, err);
    if (rc == 0)
        rc = take_restored(path, err);
    if (rc == 0) {
        remove_file(path, ".check");
        hp_log(HP_LOG_ERROR,
               "%s. It is kept as %s; hostpair goes on with a new one that holds the %lld rows that could be "
               "read. "
               "The lists of other hosts are fetched again",
               hp_err_text(why), aside, (long long)rows);
    }
    free(aside);
    return rc;
}

int hp_db_file_open(const char *path, hp_db_t **db, hp_err_t *err)
{
    *db = NULL;
    hp_err_t why = {0};
    int rc = take_restored(path, err);
    if (rc != 0)
        return rc;
    if (exists(path, ".check"))
        rc = hp_err_set(&why, HP_E_DB_DAMAGED,
                        "the database %s is damaged: it was found out while it was used", path);
    else
        rc = hp_db_open(path, db, &why);
    if (rc != HP_E_DB_DAMAGED) {
        if (rc != 0 && err != NULL)
            *err = why;
        return rc;
    }
    rc = replace(path, &why, err);
    if (rc != 0) {
        hp_err_prefix(err, "%s. It cannot be replaced: ", hp_err_text(&why));
        return rc;
    }
    rc = hp_db_open(path, db, err);
    if (rc == HP_E_DB_DAMAGED) /* once more would set aside the new one */
        rc = err->code = HP_E_DB;
    return rc;
}

/* ---- while it runs ---- */

void hp_db_file_init(hp_db_file_t *self, const char *path)
{
    struct stat st = {0};
    *self = (hp_db_file_t){.path = hp_strdup(path)};
    if (stat(path, &st) == 0) {
        self->device = st.st_dev;
        self->inode = st.st_ino;
    }
}

void hp_db_file_dispose(hp_db_file_t *self)
{
    free(self->path);
    *self = (hp_db_file_t){0};
}

static hp_db_file_state_t look_at_journal(hp_db_file_t *self, hp_err_t *err)
{
    struct stat st;
    char *name = name_of(self->path, "-wal");
    bool there = stat(name, &st) == 0;
    free(name);
    if (there && self->journal == 0)
        self->journal = st.st_ino;
    if (self->journal == 0 || (there && st.st_ino == self->journal))
        return HP_DB_FILE_FINE;
    hp_err_set(err, HP_E_DB, "the journal of the database (%s-wal) was deleted while hostpair runs",
               self->path);
    return HP_DB_FILE_GONE;
}

hp_db_file_state_t hp_db_file_look(hp_db_file_t *self, hp_err_t *err)
{
    struct stat st;
    if (stat(self->path, &st) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return HP_DB_FILE_FINE; /* a folder that cannot be looked into: what is open goes on */
        hp_err_set(err, HP_E_DB, "the database %s was deleted while hostpair runs", self->path);
        return HP_DB_FILE_GONE;
    }
    if (st.st_ino != self->inode || st.st_dev != self->device) {
        hp_err_set(err, HP_E_DB,
                   "the database %s was replaced by another file while hostpair runs: restart hostpair to "
                   "use that one",
                   self->path);
        return HP_DB_FILE_OTHER;
    }
    if (st.st_size == 0) {
        hp_err_set(err, HP_E_DB, "the database %s was emptied while hostpair runs", self->path);
        return HP_DB_FILE_GONE;
    }
    return look_at_journal(self, err);
}

static int write_new(hp_db_t *db, const char *path, hp_err_t *err)
{
    char *new = name_of(path, ".new");
    hp_db_unlink(new);
    int fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = fd >= 0 ? 0 : hp_err_set(err, HP_E_DB, "making %s: %s", new, hp_err_sentence(-errno));
    if (fd >= 0)
        close(fd);
    if (rc == 0)
        rc = hp_db_copy(db, new, err);
    if (rc != 0)
        hp_db_unlink(new);
    free(new);
    return rc == 0 ? finish_new(path, err) : rc;
}

int hp_db_file_restore(hp_db_file_t *self, hp_db_t **db, hp_err_t *err)
{
    hp_db_t *new = NULL;
    int rc = write_new(*db, self->path, err);
    if (rc != 0)
        return rc;
    /* All of it is in the new one: what is left of the old one in the folder goes. */
    struct stat st;
    if (stat(self->path, &st) == 0 && st.st_ino == self->inode && st.st_dev == self->device)
        remove_file(self->path, "");
    remove_file(self->path, "-wal");
    remove_file(self->path, "-shm");
    rc = take_restored(self->path, err);
    if (rc == 0)
        rc = hp_db_open(self->path, &new, err);
    if (rc != 0)
        return rc;
    hp_db_abandon(*db);
    *db = new;
    char *path = hp_strdup(self->path);
    hp_db_file_dispose(self);
    hp_db_file_init(self, path);
    free(path);
    return 0;
}
