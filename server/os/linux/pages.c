#include "os/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"

#define STRIDE ((uint64_t)128 * 1024)

static ssize_t read_nowait(int fd, void *data, size_t length, uint64_t offset)
{
    struct iovec piece = {data, length};
    ssize_t n;
    do
        n = preadv2(fd, &piece, 1, (off_t)offset, RWF_NOWAIT);
    while (n < 0 && errno == EINTR);
    return n >= 0 ? n : -errno;
}

hp_pages_kind_t hp_pages_kind(int fd)
{
    char byte;
    if (read_nowait(fd, &byte, 1, 0) != -EOPNOTSUPP)
        return HP_PAGES_PROBE;
    struct statfs fs;
    if (fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
        return HP_PAGES_MEMORY;
    return HP_PAGES_UNKNOWN;
}

uint64_t hp_pages_cached(int fd, uint64_t first, uint64_t end)
{
    char byte;
    for (uint64_t at = first; at < end; at = (at / STRIDE + 1) * STRIDE)
        if (read_nowait(fd, &byte, 1, at) != 1)
            return at;
    return read_nowait(fd, &byte, 1, end - 1) == 1 ? end : HP_MAX(first, (end - 1) / STRIDE * STRIDE);
}

ssize_t hp_pages_read(int fd, hp_pages_kind_t kind, void *data, size_t length, uint64_t offset)
{
    if (kind == HP_PAGES_UNKNOWN)
        return -EAGAIN;
    if (kind == HP_PAGES_PROBE)
        return read_nowait(fd, data, length, offset);
    ssize_t n;
    do
        n = pread(fd, data, length, (off_t)offset);
    while (n < 0 && errno == EINTR);
    return n >= 0 ? n : -errno;
}

ssize_t hp_pages_send(int socket, int fd, uint64_t offset, size_t length)
{
    off_t at = (off_t)offset;
    ssize_t n = sendfile(socket, fd, &at, length);
    if (n >= 0)
        return n;
    return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

/* The pages pass through a pipe inside the kernel, which waits for each, and nothing is copied. */
static ssize_t pass_by(int null, int fd, uint64_t first, uint64_t end)
{
    off_t at = (off_t)first;
    return sendfile(null, fd, &at, end - first);
}

static ssize_t copy(int fd, uint64_t first, uint64_t end)
{
    char scratch[64 * 1024];
    return pread(fd, scratch, HP_MIN(sizeof scratch, end - first), (off_t)first);
}

int hp_pages_warm(int fd, uint64_t first, uint64_t end, uint64_t ahead)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), rc = 0;
    posix_fadvise(fd, (off_t)first, (off_t)(end + ahead - first), POSIX_FADV_WILLNEED);
    while (first < end && rc == 0) {
        ssize_t n = null >= 0 ? pass_by(null, fd, first, end) : copy(fd, first, end);
        if (n < 0 && (errno == EINVAL || errno == ENOSYS) && null >= 0) { /* no sendfile here */
            close(null);
            null = -1;
        } else if (n > 0) {
            first += (uint64_t)n;
        } else if (n == 0 || errno != EINTR) {
            rc = n < 0 ? -errno : 1; /* 1: the file has become shorter; whoever sends it will see that */
        }
    }
    if (null >= 0)
        close(null);
    return rc < 0 ? rc : 0;
}
