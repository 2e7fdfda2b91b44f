/* The file of the identity.
 *
 * How it comes into being: the text is written to a file without a name, which is synced and then linked to
 * its name; the folder is synced last. A process that is killed before the link leaves nothing; after it, a
 * whole file. A link never replaces anything, so of two processes the second finds the first one's file and
 * uses it. Where the file system has no files without names, identity.pem.new takes their place and is
 * renamed; a leftover of it holds a key that nobody ever used, and is removed. */
#include "identity/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/certificate.h"
#include "os/disk.h"

#define NEW_FILE  HP_IDENTITY_FILE ".new" /* where files without names do not exist */
#define KEPT_FILE HP_IDENTITY_FILE ".old"
#define KEPT_MAX  1000                /* old files; more are nobody's wish */
#define FILE_MAX  ((size_t)64 * 1024) /* bytes; a real one has less than 2 KiB */

struct hp_identity {
    hp_certificate_t certificate;
    char id[HP_PEER_ID_SIZE];
};

#define ADVICE                                                                                               \
    "Put back a copy of it, or make a new identity, which other hosts will take for another host: "          \
    "hostpair identity --new"

/* ---- reading ---- */

static int read_all(int fd, char *text, size_t max, size_t *length)
{
    for (*length = 0; *length < max;) {
        ssize_t n = read(fd, text + *length, max - *length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        *length += (size_t)n;
    }
    return 0;
}

/* Others must not read the key. A copied folder often arrives with the copier's umask. */
static int close_to_others(int fd, const struct stat *stat, const char *path)
{
    if ((stat->st_mode & 077) == 0)
        return 0;
    if (fchmod(fd, 0600) != 0)
        return -errno;
    hp_log(HP_LOG_WARN, "%s could be read by other users of this machine; it is mode 0600 now", path);
    return 0;
}

static int read_file(int fd, const char *path, char *text, size_t *length, hp_err_t *err)
{
    struct stat stat;
    int rc = fstat(fd, &stat) == 0 ? 0 : -errno;
    if (rc == 0 && !S_ISREG(stat.st_mode))
        return hp_err_set(err, HP_E_KEY, "%s, this host's identity, is no file. " ADVICE, path);
    if (rc == 0)
        rc = close_to_others(fd, &stat, path);
    if (rc != 0)
        return hp_err_set(err, rc,
                          "%s, this host's identity, can be read by others, and that cannot be changed: %s. "
                          "Make this user its owner, and its mode 0600",
                          path, hp_err_sentence(rc));
    rc = read_all(fd, text, FILE_MAX, length);
    if (rc != 0)
        return hp_err_set(err, rc, "%s, this host's identity, cannot be read: %s. " ADVICE, path,
                          hp_err_sentence(rc));
    return 0;
}

static int parse(hp_identity_t **identity, const char *path, const char *text, size_t length, hp_err_t *err)
{
    hp_err_t why = {0};
    hp_identity_t *self = hp_alloc(sizeof *self);
    int rc = hp_certificate_read(&self->certificate, text, length, &why);
    if (rc != 0) {
        free(self);
        return hp_err_set(err, rc, "%s, this host's identity, is damaged: %s. " ADVICE, path,
                          hp_err_text(&why));
    }
    hp_identity_id_of(self->certificate.fingerprint, self->id);
    *identity = self;
    return 0;
}

/* HP_E_NOT_FOUND when there is no file. */
static int load(hp_identity_t **identity, int folder, const char *path, hp_err_t *err)
{
    /* O_NONBLOCK: what is no file must not hold up the start. */
    int fd = openat(folder, HP_IDENTITY_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return hp_err_set(err, HP_E_NOT_FOUND, "there is no identity at %s", path);
    if (fd < 0) {
        int rc = -errno;
        return hp_err_set(err, rc,
                          "%s, this host's identity, cannot be opened: %s. Make this user its owner, and its "
                          "mode 0600",
                          path, hp_err_sentence(rc));
    }
    char *text = hp_alloc(FILE_MAX);
    size_t length = 0;
    int rc = read_file(fd, path, text, &length, err);
    if (rc == 0)
        rc = parse(identity, path, text, length, err);
    hp_certificate_wipe(text, FILE_MAX);
    close(fd);
    return rc;
}

/* ---- making ---- */

/* *named: it has the name NEW_FILE. */
static int open_new(int folder, bool *named)
{
    int fd = *named ? -1 : hp_disk_open_unnamed(folder, 0600);
    if (fd >= 0)
        return fd;
    *named = true;
    if (unlinkat(folder, NEW_FILE, 0) != 0 && errno != ENOENT)
        return -errno;
    fd = openat(folder, NEW_FILE, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : -errno;
}

static int fill(int fd, const char *pem, size_t length)
{
    int rc = fchmod(fd, 0600) == 0 ? 0 : -errno; /* whatever the umask is */
    if (rc == 0)
        rc = hp_write_all_at(fd, pem, length, 0);
    if (rc == 0 && fsync(fd) != 0)
        rc = -errno;
    return rc;
}

static int write_new(int folder, const char *pem, size_t length, bool named)
{
    int fd = open_new(folder, &named);
    if (fd < 0)
        return fd;
    int rc = fill(fd, pem, length);
    if (rc == 0)
        rc = named ? hp_disk_rename_new(folder, NEW_FILE, HP_IDENTITY_FILE)
                   : hp_disk_link(fd, folder, HP_IDENTITY_FILE);
    if (named)
        unlinkat(folder, NEW_FILE, 0);
    close(fd);
    return rc;
}

static int make(int folder, const char *path, hp_err_t *err)
{
    char *pem;
    size_t length;
    int rc = hp_certificate_make(&pem, &length, err);
    if (rc != 0)
        return rc;
    rc = write_new(folder, pem, length, false);
    if (rc != 0 && rc != -EEXIST && rc != -ENOSPC && rc != -EDQUOT) /* no files without names, or no /proc */
        rc = write_new(folder, pem, length, true);
    hp_certificate_wipe(pem, length);
    if (rc != 0 && rc != -EEXIST)
        return hp_err_set(err, rc, "%s, this host's identity, cannot be written: %s", path,
                          hp_err_sentence(rc));
    return 0;
}

/* ---- the whole ---- */

static int open_folder(const char *data_folder, hp_err_t *err)
{
    int folder = open(data_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder >= 0 ? folder
                       : hp_err_set(err, -errno, "the data folder %s cannot be opened: %s", data_folder,
                                    hp_err_sentence(-errno));
}

/* Also when the file was there: whoever made it may have been killed before the folder was synced. */
static int settle(int folder, const char *data_folder, hp_err_t *err)
{
    if (unlinkat(folder, NEW_FILE, 0) != 0 && errno != ENOENT)
        hp_log(HP_LOG_WARN, "%s/%s cannot be removed: %s", data_folder, NEW_FILE, hp_err_sentence(-errno));
    if (fsync(folder) == 0 || errno == EINVAL || errno == EROFS) /* EINVAL: no such thing for folders here */
        return 0;
    return hp_err_set(err, -errno, "the data folder %s cannot be synced: %s", data_folder,
                      hp_err_sentence(-errno));
}

static int open_in(hp_identity_t **identity, int folder, const char *data_folder, const char *path,
                   hp_err_t *err)
{
    int rc = load(identity, folder, path, err);
    if (rc == HP_E_NOT_FOUND) {
        rc = make(folder, path, err);
        if (rc == 0)
            rc = load(identity, folder, path, err);
    }
    if (rc != 0)
        return rc;
    rc = settle(folder, data_folder, err);
    if (rc != 0) {
        hp_identity_destroy(*identity);
        *identity = NULL;
    }
    return rc;
}

int hp_identity_open(hp_identity_t **identity, const char *data_folder, hp_err_t *err)
{
    int folder = open_folder(data_folder, err);
    if (folder < 0)
        return folder;
    char *path = hp_sprintf("%s/%s", data_folder, HP_IDENTITY_FILE);
    int rc = open_in(identity, folder, data_folder, path, err);
    free(path);
    close(folder);
    return rc;
}

int hp_identity_load(hp_identity_t **identity, const char *data_folder, hp_err_t *err)
{
    int folder = open_folder(data_folder, err);
    if (folder < 0)
        return folder;
    char *path = hp_sprintf("%s/%s", data_folder, HP_IDENTITY_FILE);
    int rc = load(identity, folder, path, err);
    free(path);
    close(folder);
    return rc;
}

/* Gives the old file another name, the first that is free. 0 with *kept, which stays NULL when there is no
 * file. */
static int set_aside(int folder, char **kept, hp_err_t *err)
{
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        char *name = i == 0 ? hp_strdup(KEPT_FILE) : hp_sprintf("%s.%u", KEPT_FILE, i);
        int rc = hp_disk_rename_new(folder, HP_IDENTITY_FILE, name);
        if (rc == 0) {
            *kept = name;
            return 0; /* the folder is synced when the new file is there */
        }
        free(name);
        if (rc == -ENOENT)
            return 0;
        if (rc != -EEXIST)
            return hp_err_set(err, rc, "%s cannot be set aside: %s", HP_IDENTITY_FILE, hp_err_sentence(rc));
    }
    return hp_err_set(err, HP_E_EXISTS, "there are %d old files named %s already; remove some", KEPT_MAX,
                      KEPT_FILE);
}

int hp_identity_renew(hp_identity_t **identity, const char *data_folder, char **kept, hp_err_t *err)
{
    int folder = open_folder(data_folder, err);
    if (folder < 0)
        return folder;
    char *path = hp_sprintf("%s/%s", data_folder, HP_IDENTITY_FILE);
    *kept = NULL;
    int rc = set_aside(folder, kept, err);
    if (rc == 0)
        rc = open_in(identity, folder, data_folder, path, err);
    free(path);
    close(folder);
    return rc;
}

void hp_identity_destroy(hp_identity_t *self)
{
    if (self == NULL)
        return;
    hp_certificate_dispose(&self->certificate);
    free(self);
}

const char *hp_identity_id(const hp_identity_t *self)
{
    return self->id;
}

const uint8_t *hp_identity_fingerprint(const hp_identity_t *self)
{
    return self->certificate.fingerprint;
}

const uint8_t *hp_identity_certificate(const hp_identity_t *self, size_t *length)
{
    *length = self->certificate.certificate_length;
    return self->certificate.certificate;
}

const uint8_t *hp_identity_key(const hp_identity_t *self, size_t *length)
{
    *length = self->certificate.key_length;
    return self->certificate.key;
}
