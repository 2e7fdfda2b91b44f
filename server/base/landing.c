#include "base/landing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Named as a part file is: never listed, never served. Each trial has one of its own, which nobody else
 * removes in the middle: what the kernel says then looks like a refusal. */
#define TRIAL_FOLDER ".names.%llu.hostpair-part"

/* exfat-fuse says ENOENT, others EINVAL; EILSEQ where it has no such character. */
static bool is_refusal(int error)
{
    return error == EINVAL || error == ENOENT || error == EILSEQ || error == ENAMETOOLONG;
}

/* Whether no file in the folder may have this name. */
static bool is_refused(int folder, const char *name)
{
    static atomic_uint trials;
    char own[64];
    snprintf(own, sizeof own, TRIAL_FOLDER,
             (unsigned long long)getpid() << 32 | atomic_fetch_add(&trials, 1));
    if (mkdirat(folder, own, 0700) != 0)
        return false;
    int trial = openat(folder, own, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool refused = false;
    if (trial >= 0) {
        int fd = openat(trial, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        refused = fd < 0 && is_refusal(errno);
        if (fd >= 0) {
            (void)unlinkat(trial, name, 0);
            close(fd);
        }
        close(trial);
    }
    (void)unlinkat(folder, own, AT_REMOVEDIR);
    return refused;
}

bool hp_landing_path(const char *base, const char *path, char out[HP_PATH_MAX + 1])
{
    size_t used = 0;
    bool other = false;
    int folder = -1;
    for (const char *at = path; at != NULL;) {
        const char *slash = strchr(at, '/');
        char name[HP_NAME_MAX + 1], portable[HP_NAME_MAX + 1];
        snprintf(name, sizeof name, "%.*s", (int)(slash != NULL ? slash - at : (long)strlen(at)), at);
        bool asks = hp_path_portable(name, portable);
        if (asks && folder < 0)
            folder = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        bool refused = asks && folder >= 0 && is_refused(folder, name);
        other = other || refused;
        used += (size_t)snprintf(out + used, HP_PATH_MAX + 1 - used, "%s%s", refused ? portable : name,
                                 slash != NULL ? "/" : "");
        at = slash != NULL ? slash + 1 : NULL;
    }
    if (folder >= 0)
        close(folder);
    return other;
}
