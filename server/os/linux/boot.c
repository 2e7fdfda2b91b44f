#include "os/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int hp_boot_id(char out[HP_BOOT_ID_SIZE])
{
    const char *given = getenv("HOSTPAIR_BOOT_ID");
    if (given != NULL && given[0] != '\0') {
        snprintf(out, HP_BOOT_ID_SIZE, "%s", given);
        return 0;
    }
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, out, HP_BOOT_ID_SIZE - 1);
    int rc = n < 0 ? -errno : 0;
    close(fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return rc;
}
