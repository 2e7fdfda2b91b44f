#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

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

/* Opens the folder `name` in parent, making it if it is missing. The descriptor or a negative errno. */
static int enter_folder(int parent, const char *name, mode_t mode)
{
    int flags = O_RDONLY | O_DIRECTORY;
    int fd = hp_beneath_open(parent, name, flags, 0, HP_BENEATH_NO_LINKS);
    if (fd != -ENOENT)
        return fd;
    if (mkdirat(parent, name, mode) == 0) {
        if (fsync(parent) != 0 && errno != EINVAL) /* so say file systems that cannot sync folders */
            return -errno;
    } else if (errno != EEXIST) {
        return -errno;
    }
    return hp_beneath_open(parent, name, flags, 0, HP_BENEATH_NO_LINKS);
}

int hp_beneath_make_folders(int folder_fd, const char *path, mode_t mode)
{
    int fd = hp_beneath_open(folder_fd, ".", O_RDONLY | O_DIRECTORY, 0, HP_BENEATH_NO_LINKS);
    if (fd < 0)
        return fd;
    if (path[0] == '/') {
        close(fd);
        return -EXDEV;
    }
    char *copy = hp_strdup(path), *rest = NULL;
    for (char *name = strtok_r(copy, "/", &rest); name != NULL && fd >= 0;
         name = strtok_r(NULL, "/", &rest)) {
        int inner = enter_folder(fd, name, mode);
        close(fd);
        fd = inner;
    }
    free(copy);
    return fd;
}

static int make_one(const char *path, mode_t mode)
{
    if (mkdir(path, mode) == 0)
        return 0;
    int error = errno;
    struct stat st;
    if (stat(path, &st) == 0) /* on a read-only file system mkdir may say EROFS for a folder that is there */
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    return -error;
}

int hp_make_folder(const char *path, mode_t mode)
{
    char *copy = hp_strdup(path);
    int rc = path[0] != '\0' ? 0 : -ENOENT;
    for (char *p = copy; rc == 0 && *p != '\0';) {
        p += strspn(p, "/");
        p += strcspn(p, "/");
        char c = *p;
        *p = '\0';
        rc = make_one(copy, mode);
        *p = c;
        if (c != '\0' && p[strspn(p, "/")] == '\0')
            break; /* only slashes follow */
    }
    free(copy);
    return rc;
}
