#include "os/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How often a lookup is repeated that the kernel gave up because something was renamed meanwhile (openat2(2),
 * EAGAIN). */
#define RETRIES 64

int hp_beneath_open(int folder_fd, const char *path, int flags, mode_t mode, hp_beneath_links_t links)
{
    bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
        .mode = makes ? mode & 07777 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
                   (links == HP_BENEATH_NO_LINKS ? RESOLVE_NO_SYMLINKS : 0),
    };
    if (path[0] == '\0')
        path = ".";
    for (int i = 0; i < RETRIES; i++) {
        long fd = syscall(SYS_openat2, folder_fd, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EAGAIN;
}

int hp_beneath_look(int folder_fd, const char *path)
{
    return hp_beneath_open(folder_fd, path, O_PATH | O_NOFOLLOW, 0, HP_BENEATH_NO_LINKS);
}
