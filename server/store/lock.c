#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "os/disk.h"

/* The process id in the file; 0 while its holder has not written it yet. */
static long read_holder(int fd)
{
    char text[24];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return strtol(text, NULL, 10);
}

static int write_holder(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
        return errno != 0 ? -errno : -EIO;
    return 0;
}

static int take(int fd, const char *data_folder, bool *clean, hp_err_t *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *clean = read_holder(fd) == 0;
        errno = 0;
        int rc = write_holder(fd);
        /* The id is for people only; on a full disk the lock is as good without it. */
        return rc == 0 || rc == -ENOSPC || rc == -EDQUOT
                   ? 0
                   : hp_err_set(err, rc, "writing the lock in %s: %s", data_folder, hp_err_sentence(rc));
    }
    if (errno != EWOULDBLOCK) {
        int rc = -errno;
        const char *remote = hp_disk_remote_name(fd);
        return hp_err_set(err, rc, "locking the data folder %s%s%s: %s%s", data_folder,
                          remote != NULL ? " on " : "", remote != NULL ? remote : "", hp_err_sentence(rc),
                          remote != NULL ? "; --data names another folder" : "");
    }
    long holder = read_holder(fd);
    if (holder <= 0)
        return hp_err_set(err, HP_E_LOCKED, "another hostpair uses the data folder %s", data_folder);
    return hp_err_set(err, HP_E_LOCKED, "another hostpair (process %ld) uses the data folder %s", holder,
                      data_folder);
}

int hp_store_lock(const char *data_folder, bool *clean, hp_err_t *err)
{
    char *path = hp_sprintf("%s/%s", data_folder, HP_STORE_LOCK_FILE);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = fd >= 0 ? take(fd, data_folder, clean, err)
                     : hp_err_set(err, -errno, "opening %s: %s", path, hp_err_sentence(-errno));
    free(path);
    if (rc == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return rc;
}

void hp_store_lock_clean(int fd)
{
    if (ftruncate(fd, 0) != 0)
        hp_log(HP_LOG_WARN, "the lock cannot be written (%s): the next start takes this end for a crash",
               hp_err_sentence(-errno));
}
