#include "os/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x00000080 /* Linux 6.14 */
#endif
/* Not in linux/magic.h. */
#define MAGIC_GFS2   0x01161970
#define MAGIC_GPFS   0x47504653
#define MAGIC_LUSTRE 0x0bd00bd0
#define MAGIC_VBOXSF 0x786f4256 /* folders of a VirtualBox host */
#define MAGIC_VMHGFS 0xbacbacbc /* of a VMware host */

#define LINK_SIZE 32

static const char *link_of(int fd, char out[LINK_SIZE])
{
    snprintf(out, LINK_SIZE, "/proc/self/fd/%d", fd);
    return out;
}

int hp_disk_open_unnamed(int folder, mode_t mode)
{
    int fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
    if (fd >= 0)
        return fd;
    /* Kernels that do not know the flag take it for an attempt to write to the folder. */
    return errno == EISDIR || errno == EINVAL || errno == ENOENT || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

int hp_disk_link(int fd, int folder, const char *name)
{
    char self[LINK_SIZE];
    /* Cheaper than by way of /proc, and to be had without it, but for those alone who may read everything:
     * linkat(2). */
    if (linkat(fd, "", folder, name, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOENT)
        return -errno;
    return linkat(AT_FDCWD, link_of(fd, self), folder, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

/* What a file system says that does not know a call. FUSE, NFS and SMB say each of them. */
static bool is_lacking(int rc)
{
    return rc == -EINVAL || rc == -ENOSYS || rc == -EOPNOTSUPP || rc == -EPERM;
}

/* Whether the file in folder holds this text and nothing else. */
static bool holds(int folder, const char *name, const char *text)
{
    char there[NAME_MAX + 2];
    size_t length = strlen(text);
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = pread(fd, there, sizeof there, 0);
    close(fd);
    return n == (ssize_t)length && memcmp(there, text, length) == 0;
}

/* Where nothing but a plain rename is to be had (FAT, exFAT): the name is taken by a new file, which the
 * rename replaces. It holds the name of the one that is renamed, by which it is known again when a crash came
 * in between. */
static int rename_claimed(int folder, const char *from, const char *to)
{
    int fd = openat(folder, to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && (errno != EEXIST || !holds(folder, to, from)))
        return -errno;
    int rc = 0;
    if (fd >= 0) {
        ssize_t n = pwrite(fd, from, strlen(from), 0);
        rc = n == (ssize_t)strlen(from) ? 0 : n < 0 ? -errno : -ENOSPC;
        close(fd);
    }
    if (rc == 0 && renameat(folder, from, folder, to) == 0)
        return 0;
    if (rc == 0)
        rc = -errno;
    (void)unlinkat(folder, to, 0);
    return rc;
}

int hp_disk_rename_new(int folder, const char *from, const char *to)
{
    if (renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (!is_lacking(-errno))
        return -errno;
    /* A file system without RENAME_NOREPLACE: a link does not replace either. The name is this file's already
     * when a crash came before the old one was taken away. */
    struct stat old, new;
    if (linkat(folder, from, folder, to, 0) != 0) {
        int rc = -errno;
        if (is_lacking(rc))
            return rename_claimed(folder, from, to);
        if (rc != -EEXIST || fstatat(folder, from, &old, AT_SYMLINK_NOFOLLOW) != 0 ||
            fstatat(folder, to, &new, AT_SYMLINK_NOFOLLOW) != 0 || old.st_dev != new.st_dev ||
            old.st_ino != new.st_ino)
            return rc;
    }
    return unlinkat(folder, from, 0) == 0 ? 0 : -errno;
}

int hp_disk_reserve(int fd, uint64_t size)
{
    struct stat before;
    int rc;
    if (size == 0)
        return 0;
    if (fstat(fd, &before) != 0)
        return -errno;
    do
        rc = fallocate(fd, 0, 0, (off_t)size) == 0 ? 0 : -errno;
    while (rc == -EINTR);
    if (rc == -EOPNOTSUPP || rc == -ENOSYS)
        return ftruncate(fd, (off_t)size) == 0 ? 0 : -errno;
    if (rc != 0) /* ext4 leaves what it could get: the whole disk, for nobody */
        (void)!ftruncate(fd, before.st_size);
    return rc;
}

/* 1: the file system is one of the local ones that are known well; 0: another; or a negative errno. */
static int is_known_well(int fd)
{
    static const long good[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC};
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return -errno;
    for (size_t i = 0; i < HP_COUNT(good); i++)
        if ((long)fs.f_type == good[i])
            return 1;
    return 0;
}

int hp_disk_zero(int fd, uint64_t offset, uint64_t length)
{
    int rc;
    do
        rc = fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) == 0
                 ? 0
                 : -errno;
    while (rc == -EINTR);
    return is_lacking(rc) ? -EOPNOTSUPP : rc;
}

void hp_disk_release_zeros(int fd)
{
    struct stat st;
    if (is_known_well(fd) <= 0 || fstat(fd, &st) != 0)
        return;
    for (off_t at = lseek(fd, 0, SEEK_HOLE), end; at >= 0 && at < st.st_size;
         at = lseek(fd, end, SEEK_HOLE)) {
        end = lseek(fd, at, SEEK_DATA);
        if (end < 0)
            end = st.st_size;
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, end - at) != 0 || end >= st.st_size)
            return;
    }
}

int hp_disk_open_direct(int fd)
{
    char self[LINK_SIZE];
    int rc = is_known_well(fd);
    if (rc <= 0)
        return rc < 0 ? rc : -EOPNOTSUPP;
    int direct = open(link_of(fd, self), O_WRONLY | O_DIRECT | O_CLOEXEC);
    return direct >= 0 ? direct : -errno;
}

/* syncfs(2), "since Linux 5.8": before, it reports no error of writing. */
bool hp_disk_syncs_all_well(int fd)
{
    struct utsname kernel;
    int major = 0, minor = 0;
    return is_known_well(fd) > 0 && uname(&kernel) == 0 &&
           sscanf(kernel.release, "%d.%d", &major, &minor) == 2 && (major > 5 || (major == 5 && minor >= 8));
}

bool hp_disk_counts_every_block(int fd)
{
    static const long plain[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, TMPFS_MAGIC};
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return false;
    for (size_t i = 0; i < HP_COUNT(plain); i++)
        if ((long)fs.f_type == plain[i])
            return true;
    return false;
}

int hp_disk_sync_data(int fd)
{
    int rc;
    do
        rc = fdatasync(fd) == 0 ? 0 : -errno;
    while (rc == -EINTR);
    return rc;
}

int hp_disk_sync_folder(int fd)
{
    /* So say file systems that cannot sync folders; there is nothing more to be had from them. */
    int rc;
    do
        rc = fsync(fd) == 0 ? 0 : -errno;
    while (rc == -EINTR);
    return rc == -EINVAL || rc == -EBADF || rc == -ENOSYS || rc == -EOPNOTSUPP ? 0 : rc;
}

int hp_disk_sync_all(int fd)
{
    return syncfs(fd) == 0 ? 0 : -errno;
}

void hp_disk_begin_sync(int fd)
{
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

ssize_t hp_disk_read_passing(int fd, void *data, size_t length, uint64_t offset, bool *passing)
{
    struct iovec part = {.iov_base = data, .iov_len = length};
    while (true) {
        ssize_t n = preadv2(fd, &part, 1, (off_t)offset, *passing ? RWF_DONTCACHE : 0);
        if (n >= 0)
            return n;
        if (*passing && (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS))
            *passing = false; /* this kernel or file system does not know how */
        else if (errno != EINTR)
            return -errno;
    }
}

void hp_disk_uncache(int fd, uint64_t offset, uint64_t length)
{
    (void)posix_fadvise(fd, (off_t)offset, (off_t)length, POSIX_FADV_DONTNEED);
}

int64_t hp_disk_born_ns(int fd, const char *name)
{
    struct statx stx;
    if (statx(fd, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_BTIME, &stx) != 0 ||
        (stx.stx_mask & STATX_BTIME) == 0)
        return 0;
    return (int64_t)stx.stx_btime.tv_sec * 1000000000 + stx.stx_btime.tv_nsec;
}

/* The umask cannot be read in C without being changed for a moment, in all threads. */
static mode_t umask_now(void)
{
    char text[1024], *line;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    line = strstr(text, "\nUmask:");
    return line != NULL ? (mode_t)strtoul(line + strlen("\nUmask:"), NULL, 8) : 0;
}

void hp_disk_set_executable(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0)
        (void)fchmod(fd, (st.st_mode & 0777) | ((st.st_mode & 0444) >> 2 & ~umask_now()));
}

bool hp_disk_is_unchanged(int fd, const struct stat *before)
{
    struct statx now;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE | STATX_MTIME | STATX_CTIME, &now) != 0)
        return false;
    return now.stx_size == (uint64_t)before->st_size && now.stx_mtime.tv_sec == before->st_mtim.tv_sec &&
           now.stx_mtime.tv_nsec == (uint32_t)before->st_mtim.tv_nsec &&
           now.stx_ctime.tv_sec == before->st_ctim.tv_sec &&
           now.stx_ctime.tv_nsec == (uint32_t)before->st_ctim.tv_nsec;
}

const char *hp_disk_remote_name(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return NULL;
    switch ((unsigned long)fs.f_type) {
    case NFS_SUPER_MAGIC:
        return "NFS";
    case SMB_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
        return "SMB";
    case CODA_SUPER_MAGIC:
        return "Coda";
    case AFS_SUPER_MAGIC:
        return "AFS";
    case V9FS_MAGIC:
        return "9p";
    case FUSE_SUPER_MAGIC: /* sshfs, virtiofs, NTFS, ... */
        return "FUSE";
    case CEPH_SUPER_MAGIC:
        return "Ceph";
    case OCFS2_SUPER_MAGIC:
        return "OCFS2";
    case MAGIC_GFS2:
        return "GFS2";
    case MAGIC_GPFS:
        return "GPFS";
    case MAGIC_LUSTRE:
        return "Lustre";
    case MAGIC_VBOXSF:
        return "VirtualBox";
    case MAGIC_VMHGFS:
        return "VMware";
    default:
        return NULL;
    }
}

bool hp_disk_is_remote(int fd)
{
    return hp_disk_remote_name(fd) != NULL;
}

uint64_t hp_disk_file_max(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == MSDOS_SUPER_MAGIC ? UINT32_MAX : UINT64_MAX;
}

void hp_disk_id(int fd, char out[HP_DISK_ID_SIZE])
{
    struct statfs fs;
    int id[2];
    out[0] = '\0';
    if (fstatfs(fd, &fs) != 0)
        return;
    memcpy(id, &fs.f_fsid, sizeof id);
    if (id[0] != 0 || id[1] != 0)
        snprintf(out, HP_DISK_ID_SIZE, "%lx-%08x%08x", (unsigned long)fs.f_type, (unsigned)id[0],
                 (unsigned)id[1]);
}

int hp_disk_path_of(int fd, char *out, size_t size)
{
    char self[LINK_SIZE];
    ssize_t n = readlink(link_of(fd, self), out, size - 1);
    if (n < 0)
        return -errno;
    if ((size_t)n == size - 1)
        return -ENAMETOOLONG;
    out[n] = '\0';
    return 0;
}
