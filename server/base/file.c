#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"

#define NAME_TRIES 16

int hp_write_all_at(int fd, const void *data, size_t length, uint64_t offset)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = pwrite(fd, (const char *)data + done, length - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        done += (size_t)n;
    }
    return 0;
}

/* A new file beside path, whose name nobody can know before; O_EXCL follows no link. */
static int create_beside(const char *path, mode_t mode, char **name)
{
    int fd = -EEXIST;
    for (int tries = 0; fd == -EEXIST && tries < NAME_TRIES; tries++) {
        free(*name);
        *name = hp_sprintf("%s.%08x", path, (unsigned)hp_random_below((uint64_t)1 << 32));
        fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
            fd = -errno;
    }
    return fd;
}

int hp_replace_file(const char *path, const void *data, size_t length, mode_t mode)
{
    char *name = NULL;
    int fd = create_beside(path, mode, &name), rc = fd < 0 ? fd : hp_write_all_at(fd, data, length, 0);
    if (fd >= 0 && close(fd) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(name, path) != 0)
        rc = -errno;
    if (fd >= 0 && rc != 0)
        unlink(name);
    free(name);
    return rc;
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
