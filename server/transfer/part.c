#include "transfer/part_steps.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "db/download.h"
#include "os/beneath.h"
#include "os/disk.h"
#include "os/home.h"
#include "base/file.h"
#include "base/mem.h"

#define HP_PART_CANDIDATES 10000 /* names tried before giving up */
#define LOST_MAX           8 /* parts that somebody else locks as soon as they are made: each is left there */
#define HP_PART_MODE       0666 /* less the umask, as the next */
#define FOLDER_MODE        0777
#define RESERVE_PART       8 /* a file that takes less than 1/8 of what is free is reserved at once */
#define RESERVE_MIN        (64u * 1024 * 1024) /* bytes that are reserved on the word of a source alone */

int hp_part_fail(hp_err_t *err, int code, const char *verb, const char *path)
{
    char shown[256];
    snprintf(shown, sizeof shown, "%.*s%s", 200, path, strlen(path) > 200 ? "..." : "");
    return hp_err_set(err, code == -ENOSPC || code == -EDQUOT ? HP_E_NO_SPACE : code, "%s %s: %s", verb,
                      shown, hp_err_sentence(code));
}

static int open_base(const char *base, hp_err_t *err)
{
    int fd = hp_home_open(base, O_RDONLY, FOLDER_MODE);
    if (fd == HP_E_NO_DISK)
        return hp_err_set(err, fd, "%s", base);
    return fd >= 0 ? fd : hp_part_fail(err, fd, "opening the folder", base);
}

/* The folder of path below base; make: with all that is missing. */
int hp_part_open_folder(const char *base, const char *path, bool make, hp_err_t *err)
{
    int base_fd = open_base(base, err);
    if (base_fd < 0)
        return base_fd;
    const char *name = hp_path_name(path);
    if (name == path)
        return base_fd;
    char *folder = hp_strndup(path, (size_t)(name - path) - 1);
    int fd = make ? hp_beneath_make_folders(base_fd, folder, FOLDER_MODE)
                  : hp_beneath_open(base_fd, folder, O_RDONLY | O_DIRECTORY, 0, HP_BENEATH_NO_LINKS);
    if (fd < 0)
        hp_part_fail(err, fd, make ? "making the folder" : "opening the folder", folder);
    free(folder);
    close(base_fd);
    return fd;
}

int hp_part_make_folder(const char *base, const char *path, hp_err_t *err)
{
    int base_fd = open_base(base, err);
    if (base_fd < 0)
        return base_fd;
    int fd = hp_beneath_make_folders(base_fd, path, FOLDER_MODE);
    close(base_fd);
    if (fd < 0)
        return hp_part_fail(err, fd, "making the folder", path);
    close(fd);
    return 0;
}

int hp_part_sync_folder(int fd, const char *path, hp_err_t *err)
{
    int rc = hp_disk_sync_folder(fd);
    return rc == 0 ? 0 : hp_part_fail(err, rc, "syncing the folder of", path);
}

/* Names are cut at 200 bytes, so two files may want the same part: whoever writes one has it locked. */
static bool claim(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; /* not every file system has locks */
}

/* Whether something in the folder is called exactly so: where letters of both cases are the same, another
 * file's part may have been found by this name. */
static bool is_called(int folder, const char *name)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    bool found = false;
    if (stream == NULL) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    for (struct dirent *entry; !found && (entry = readdir(stream)) != NULL;)
        found = strcmp(entry->d_name, name) == 0;
    closedir(stream);
    return found;
}

/* An empty part that nobody writes is left from a crash before it was on record. Its descriptor, or -EEXIST.
 */
static int open_abandoned(int folder, const char *name)
{
    struct stat st;
    if (!is_called(folder, name))
        return -EEXIST;
    int fd = hp_beneath_open(folder, name, O_RDWR | O_NOFOLLOW, 0, HP_BENEATH_NO_LINKS);
    if (fd < 0)
        return -EEXIST;
    if (claim(fd) && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
        return fd;
    close(fd);
    return -EEXIST;
}

/* Whether the file system lets files be locked. Nobody else can have the one that is tried. */
static bool has_locks(int folder)
{
    int fd = hp_disk_open_unnamed(folder, HP_PART_MODE);
    if (fd < 0)
        return true; /* it cannot be tried */
    bool works = claim(fd);
    close(fd);
    return works;
}

/* The file is in the folder. False: somebody else has it. */
static bool claim_in(int folder, int fd)
{
    return claim(fd) || !has_locks(folder);
}

static hp_part_identity_t identity_of(int fd, const struct stat *st)
{
    return (hp_part_identity_t){
        .device = st->st_dev, .inode = st->st_ino, .born_ns = hp_disk_born_ns(fd, "")};
}

int hp_part_create(const char *base, const char *path, int64_t download_id, char name[HP_NAME_MAX + 1],
                   hp_part_identity_t *identity, hp_err_t *err)
{
    int folder = hp_part_open_folder(base, path, true, err);
    if (folder < 0)
        return folder;
    int fd = -EEXIST;
    unsigned lost = 0;
    for (unsigned n = 0; n < HP_PART_CANDIDATES && fd == -EEXIST && lost < LOST_MAX; n++) {
        char stem[HP_NAME_MAX + 1];
        hp_path_candidate(hp_path_name(path), n, stem);
        if (n > 0) {
            /* The number goes first, where the cut at 200 bytes cannot take it away. */
            char numbered[HP_NAME_MAX + 16];
            snprintf(numbered, sizeof numbered, "%u.%s", n, hp_path_name(path));
            hp_path_part_name(numbered, download_id, name);
        } else {
            hp_path_part_name(stem, download_id, name);
        }
        fd = hp_beneath_open(folder, name, O_RDWR | O_CREAT | O_EXCL, HP_PART_MODE, HP_BENEATH_NO_LINKS);
        if (fd == -EEXIST)
            fd = open_abandoned(folder, name);
        else if (fd >= 0 && !claim_in(folder, fd)) {
            close(fd); /* it was taken for abandoned between the two calls, and is somebody else's now */
            fd = -EEXIST;
            lost++;
        }
    }
    struct stat st;
    int rc = 0;
    if (fd < 0)
        rc = hp_part_fail(err, fd, "making the part file for", path);
    else if (fstat(fd, &st) != 0)
        rc = hp_part_fail(err, -errno, "looking at the part file of", path);
    else
        rc = hp_part_sync_folder(folder, path, err);
    close(folder);
    if (rc != 0) {
        if (fd >= 0)
            close(fd);
        return rc;
    }
    *identity = identity_of(fd, &st);
    return fd;
}

/* How much of the file is to be reserved: all of it where that is a small part of what is free, else twice
 * what has arrived. -ENOSPC: the rest of the file is more than what is free. */
static int choose_reservation(int fd, const struct stat *st, uint64_t size, uint64_t arrived, uint64_t *bytes)
{
    struct statvfs fs;
    *bytes = size;
    if (fstatvfs(fd, &fs) != 0)
        return -errno;
    uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize, has = (uint64_t)st->st_blocks * 512;
    if (size > has && size - has > available)
        return -ENOSPC;
    uint64_t at_once = HP_MAX(available / RESERVE_PART, (uint64_t)RESERVE_MIN);
    if (size > has && size - has > at_once)
        *bytes = HP_MIN(size, HP_MAX(at_once, 2 * arrived));
    return 0;
}

int hp_part_too_long(hp_err_t *err, uint64_t size)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && size > limit.rlim_cur)
        return hp_err_set(err, HP_E_TOO_LARGE,
                          "hostpair may write no file of more than %llu bytes here (ulimit -f)",
                          (unsigned long long)limit.rlim_cur);
    return hp_err_set(err, HP_E_TOO_LARGE,
                      size > UINT32_MAX
                          ? "The file system of the downloads folder cannot hold files of 4 GiB or "
                            "more; choose another downloads folder"
                          : "The file system of the downloads folder does not take a file of this "
                            "size; choose another downloads folder");
}

int hp_part_takes(const char *base, uint64_t size, hp_err_t *err)
{
    if (size <= UINT32_MAX)
        return 0;
    int fd = open_base(base, err);
    if (fd < 0)
        return fd;
    uint64_t most = hp_disk_file_max(fd);
    close(fd);
    return size > most ? hp_part_too_long(err, size) : 0;
}

int hp_part_reserve(int fd, uint64_t size, uint64_t arrived, uint64_t *reserved, hp_err_t *err)
{
    *reserved = size;
    if (size == 0)
        return 0;
    struct stat before;
    int rc = fstat(fd, &before) == 0 ? 0 : -errno;
    if (rc == 0)
        rc = choose_reservation(fd, &before, size, arrived, reserved);
    if (rc == 0) {
        rc = hp_disk_reserve(fd, *reserved);
        if (rc == 0 && (uint64_t)before.st_size < size)
            rc = ftruncate(fd, (off_t)size) == 0 ? 0 : -errno;
    }
    if (rc == 0)
        return 0;
    if (rc == -EFBIG)
        return hp_part_too_long(err, size);
    return hp_err_set(err, rc == -ENOSPC || rc == -EDQUOT ? HP_E_NO_SPACE : rc, "reserving %llu bytes: %s",
                      (unsigned long long)size, hp_err_sentence(rc));
}

int hp_part_shorten(int fd, uint64_t size)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    return (uint64_t)st.st_size <= size || ftruncate(fd, (off_t)size) == 0 ? 0 : -errno;
}

int hp_part_open_direct(int fd, uint64_t size)
{
    int direct = size >= HP_PART_DIRECT_MIN ? hp_disk_open_direct(fd) : -1;
    return direct >= 0 ? direct : -1;
}

/* Whether name in folder is the file with this identity. 1 yes, 0 no, or a negative code. */
static int is_same(int folder, const char *name, const hp_part_identity_t *identity, struct stat *st)
{
    if (fstatat(folder, name, st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(st->st_mode) || (identity->device != 0 && st->st_dev != identity->device) ||
        st->st_ino != identity->inode)
        return 0;
    int64_t born = identity->born_ns != 0 ? hp_disk_born_ns(folder, name) : 0;
    return born == 0 || born == identity->born_ns;
}

static int find_final(int folder, const char *path, const hp_part_identity_t *identity, uint64_t size,
                      char final_name[HP_NAME_MAX + 1])
{
    for (unsigned n = 0; n < HP_PART_CANDIDATES; n++) {
        struct stat st;
        hp_path_candidate(hp_path_name(path), n, final_name);
        int same = is_same(folder, final_name, identity, &st);
        if (same < 0)
            return same;
        if (same)
            return (uint64_t)st.st_size == size;
        if (n > 0 && fstatat(folder, final_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return 0; /* a free candidate ends the row that finish could have used */
    }
    return 0;
}

int hp_part_open(const char *base, const char *path, const char *name, const hp_part_identity_t *identity,
                 uint64_t size, bool has_chunks, hp_part_found_t *found, int *fd,
                 char final_name[HP_NAME_MAX + 1], hp_err_t *err)
{
    *found = HP_PART_MISSING;
    *fd = -1;
    hp_err_t ignored = {0};
    int folder = hp_part_open_folder(base, path, false, &ignored);
    if (folder == -ENOENT || folder == -ENOTDIR || folder == -ELOOP)
        return 0;
    if (folder < 0) {
        if (err != NULL)
            *err = ignored;
        return folder;
    }
    struct stat st;
    int rc = 0, same = is_same(folder, name, identity, &st);
    if (same > 0) {
        int opened = hp_beneath_open(folder, name, O_RDWR | O_NOFOLLOW, 0, HP_BENEATH_NO_LINKS);
        if (opened < 0) {
            rc = hp_part_fail(err, opened, "opening the part file of", path);
        } else if (!claim_in(folder, opened) || (uint64_t)st.st_size > size ||
                   (has_chunks && (uint64_t)st.st_size < size)) {
            close(opened); /* somebody has or changed it: leave it alone, begin a new one */
        } else {
            *fd = opened;
            *found = HP_PART_OPENED;
        }
    } else if (same == 0) {
        same = find_final(folder, path, identity, size, final_name);
        if (same > 0) {
            *found = HP_PART_FINAL;
            rc = hp_part_sync_folder(folder, path, err); /* the crash may have come before that */
        }
    }
    if (same < 0)
        rc = hp_part_fail(err, same, "looking for the part file of", path);
    close(folder);
    return rc;
}

int hp_part_open_alike(const char *base, const char *path, const char *name, uint64_t size,
                       hp_part_identity_t *identity)
{
    struct stat st;
    hp_err_t ignored = {0};
    int folder = hp_part_open_folder(base, path, false, &ignored);
    if (folder < 0)
        return folder;
    int fd = hp_beneath_open(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0, HP_BENEATH_NO_LINKS);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size ||
                    !claim_in(folder, fd))) {
        close(fd);
        fd = -ENOENT;
    }
    close(folder);
    if (fd < 0)
        return fd;
    *identity = identity_of(fd, &st);
    return fd;
}

/* Renames to the first free candidate; from is a name in folder. */
static int take_name(int folder, const char *from, const char *path, char final_name[HP_NAME_MAX + 1],
                     hp_err_t *err)
{
    for (unsigned n = 0; n < HP_PART_CANDIDATES; n++) {
        hp_path_candidate(hp_path_name(path), n, final_name);
        int rc = hp_disk_rename_new(folder, from, final_name);
        if (rc != -EEXIST)
            return rc == 0 ? 0 : hp_part_fail(err, rc, "giving its name to", path);
    }
    return hp_part_fail(err, -EEXIST, "finding a free name for", path);
}

/* Whether name in folder is the open file. size: that it must have by now; HP_PART_ANY_SIZE. 0 or
 * HP_E_CONFLICT. */
static int compare(int fd, int folder, const char *name, uint64_t size, hp_err_t *err)
{
    struct stat open_file, named;
    if (fstat(fd, &open_file) != 0)
        return hp_err_set(err, -errno, "looking at the part file: %s", hp_err_sentence(-errno));
    if (fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT
                   ? hp_err_set(err, HP_E_CONFLICT, "The part file was removed or renamed")
                   : hp_err_set(err, -errno, "looking at the part file: %s", hp_err_sentence(-errno));
    if (!S_ISREG(named.st_mode) || named.st_dev != open_file.st_dev || named.st_ino != open_file.st_ino)
        return hp_err_set(err, HP_E_CONFLICT, "The part file was replaced by another file");
    if (size == HP_PART_ANY_SIZE)
        return 0;
    if ((uint64_t)open_file.st_size != size)
        return hp_err_set(err, HP_E_CONFLICT,
                          "The part file was changed: it is %llu bytes long instead of %llu",
                          (unsigned long long)open_file.st_size, (unsigned long long)size);
    if ((uint64_t)open_file.st_blocks * 512 < size && hp_disk_counts_every_block(fd))
        return hp_err_set(err, HP_E_CONFLICT, "The part file was changed: some of its bytes are gone");
    return 0;
}

int hp_part_compare(int fd, const char *base, const char *path, const char *name, hp_err_t *err)
{
    hp_err_t ignored = {0};
    int folder = hp_part_open_folder(base, path, false, &ignored);
    if (folder == -ENOENT || folder == -ENOTDIR || folder == -ELOOP)
        return hp_err_set(err, HP_E_CONFLICT, "The folder of the part file was removed or renamed");
    if (folder == HP_E_NO_DISK)
        return hp_err_set(err, folder, "%s", base);
    if (folder < 0)
        return 0; /* nothing is known: the disk will say at the next write */
    int rc = compare(fd, folder, name, HP_PART_ANY_SIZE, err);
    close(folder);
    return rc == HP_E_CONFLICT ? rc : 0;
}

static int64_t time_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* Takes the place of the file at path if it still is that one. Whether it did. */
static bool take_place(int folder, const char *name, const char *path, int64_t replaces_ns,
                       char final_name[HP_NAME_MAX + 1])
{
    struct stat st;
    snprintf(final_name, HP_NAME_MAX + 1, "%s", hp_path_name(path));
    return replaces_ns != 0 && replaces_ns != HP_DB_MAY_STAND &&
           fstatat(folder, final_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           time_of(&st) == replaces_ns && renameat(folder, name, folder, final_name) == 0;
}

int hp_part_replace(int fd, const char *base, const char *path, const char *name, uint64_t size,
                    int64_t replaces_ns, char final_name[HP_NAME_MAX + 1], hp_err_t *err)
{
    int rc = hp_disk_sync_data(fd);
    if (rc != 0)
        return hp_part_fail(err, rc, "writing to the disk", path);
    int folder = hp_part_open_folder(base, path, false, err);
    if (folder == -ENOENT)
        return hp_err_set(err, HP_E_CONFLICT, "The folder of the part file was removed or renamed");
    if (folder < 0)
        return folder;
    rc = compare(fd, folder, name, size, err);
    if (rc == 0 && !take_place(folder, name, path, replaces_ns, final_name))
        rc = take_name(folder, name, path, final_name, err);
    if (rc == 0)
        rc = hp_part_sync_folder(folder, path, err);
    /* Not before it has its name: to whoever goes on with a part file, a hole means that bytes were lost. */
    if (rc == 0 && size >= HP_PART_SPARSE_MIN)
        hp_disk_release_zeros(fd);
    close(folder);
    return rc;
}

int hp_part_finish(int fd, const char *base, const char *path, const char *name, uint64_t size,
                   char final_name[HP_NAME_MAX + 1], hp_err_t *err)
{
    return hp_part_replace(fd, base, path, name, size, 0, final_name, err);
}

void hp_part_set_marks(int fd, int64_t mtime_ms, bool executable)
{
    if (executable)
        hp_disk_set_executable(fd);

    const struct timespec mtime = {.tv_sec = mtime_ms / 1000 - (mtime_ms % 1000 < 0),
                                   .tv_nsec = (mtime_ms % 1000 + 1000) % 1000 * 1000000};
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime};
    if (mtime_ms != 0)
        (void)futimens(fd, times);
}

/* Like open_folder. That there is none (-ENOENT) is no error, and err stays as it is. */
static int look_for_folder(const char *base, const char *path, hp_err_t *err)
{
    hp_err_t failed = {0};
    int folder = hp_part_open_folder(base, path, false, &failed);
    if (folder < 0 && folder != -ENOENT && err != NULL)
        *err = failed;
    return folder;
}

int hp_part_look(const char *base, const char *path, uint64_t *size, int64_t *mtime_ns, hp_err_t *err)
{
    int folder = look_for_folder(base, path, err);
    if (folder == -ENOENT || folder == -ENOTDIR || folder == -ELOOP)
        return HP_E_NOT_FOUND;
    if (folder < 0)
        return folder;
    struct stat st;
    int rc = fstatat(folder, hp_path_name(path), &st, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
    close(folder);
    if (rc == -ENOENT || (rc == 0 && !S_ISREG(st.st_mode)))
        return HP_E_NOT_FOUND;
    if (rc != 0)
        return hp_part_fail(err, rc, "looking for", path);
    *size = (uint64_t)st.st_size;
    *mtime_ns = time_of(&st);
    return 0;
}

int hp_part_is_free(const char *base, const char *path, bool *is_free, hp_err_t *err)
{
    *is_free = true;
    int folder = look_for_folder(base, path, err);
    if (folder < 0)
        return folder == -ENOENT ? 0 : folder;
    struct stat st;
    int rc = fstatat(folder, hp_path_name(path), &st, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
    close(folder);
    *is_free = rc == -ENOENT;
    return rc == 0 || rc == -ENOENT ? 0 : hp_part_fail(err, rc, "looking for", path);
}

int hp_part_remove(const char *base, const char *path, const char *name, const hp_part_identity_t *identity,
                   hp_err_t *err)
{
    int folder = look_for_folder(base, path, err);
    if (folder < 0)
        return folder == -ENOENT ? 0 : folder;
    struct stat st;
    int rc = is_same(folder, name, identity, &st);
    if (rc > 0)
        rc = unlinkat(folder, name, 0) == 0 ? hp_part_sync_folder(folder, path, err) : -errno;
    close(folder);
    return rc < 0 ? hp_part_fail(err, rc, "removing the part file of", path) : 0;
}

int hp_part_open_final(const char *base, const char *path, hp_err_t *err)
{
    int folder = open_base(base, err);
    if (folder < 0)
        return folder;
    int fd = hp_beneath_open(folder, path, O_RDONLY, 0, HP_BENEATH_NO_LINKS);
    close(folder);
    return fd >= 0 ? fd : hp_part_fail(err, fd, "opening", path);
}

int hp_part_free_bytes(const char *base, uint64_t *bytes, uint64_t *device)
{
    int there = hp_home_open(base, O_RDONLY, 0);
    if (there == HP_E_NO_DISK)
        return there;
    if (there >= 0)
        close(there);
    char *folder = hp_strdup(base);
    struct statvfs fs;
    struct stat st;
    int rc;
    while ((rc = stat(folder, &st) == 0 && statvfs(folder, &fs) == 0 ? 0 : -errno) == -ENOENT) {
        char *slash = strrchr(folder, '/');
        if (slash == NULL || slash == folder)
            break;
        *slash = '\0';
    }
    if (rc == 0) {
        *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
        *device = st.st_dev;
    }
    free(folder);
    return rc;
}
