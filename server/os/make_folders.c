#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/beneath.h"
#include "os/disk.h"

/* Opens the folder `name` in parent, making it if it is missing. The descriptor or a negative errno. */
static int enter_folder(int parent, const char *name, mode_t mode)
{
    int flags = O_RDONLY | O_DIRECTORY;
    int fd = hp_beneath_open(parent, name, flags, 0, HP_BENEATH_NO_LINKS);
    if (fd != -ENOENT)
        return fd;
    if (mkdirat(parent, name, mode) == 0) {
        int rc = hp_disk_sync_folder(parent);
        if (rc != 0)
            return rc;
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
