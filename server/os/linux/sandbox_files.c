/* Rules for files. Landlock only ever takes away, and a person may choose any folder at any time in the
 * dashboard: so what is taken away is what no choice can need. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/linux/sandbox.h"

/* linux/landlock.h of older releases lacks the newer half; the numbers are those of landlock(7). */
#define EXECUTE     (1ULL << 0)
#define WRITE_FILE  (1ULL << 1)
#define REMOVE_DIR  (1ULL << 4)
#define REMOVE_FILE (1ULL << 5)
#define MAKE_CHAR   (1ULL << 6)
#define MAKE_DIR    (1ULL << 7)
#define MAKE_REG    (1ULL << 8)
#define MAKE_SOCK   (1ULL << 9)
#define MAKE_FIFO   (1ULL << 10)
#define MAKE_BLOCK  (1ULL << 11)
#define MAKE_SYM    (1ULL << 12)
#define REFER                                                                                                \
    (1ULL << 13) /* version 2: into another folder; refused by every ruleset that does not allow it */
#define TRUNCATE              (1ULL << 14) /* version 3 */
#define IOCTL_DEV             (1ULL << 15) /* version 5 */
#define SCOPE_ABSTRACT_SOCKET (1ULL << 0)  /* version 6 */
#define SCOPE_SIGNAL          (1ULL << 1)

#define RULESET_VERSION (1u << 0)
#define PATH_BENEATH    1

#define OLDEST 2 /* version 1 would refuse every move between folders */

#define NEVER  (MAKE_CHAR | MAKE_BLOCK | MAKE_SOCK | MAKE_FIFO | IOCTL_DEV)
#define WRITES (WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER)

struct ruleset {
    uint64_t files, network, scoped;
};

struct beneath {
    uint64_t allowed;
    int32_t folder;
} __attribute__((packed));

typedef struct {
    int fd;
    uint64_t handled;
} rules_t;

/* Where programs lie: nothing else is run. */
static const char *const programs[] = {"/bin",   "/sbin",   "/usr", "/lib", "/lib32",
                                       "/lib64", "/libx32", "/nix", "/gnu"};

/* Root writes to none of these. Everybody else is kept from it by their permissions already. */
static const char *const system_folders[] = {"bin",   "boot",   "dev",  "efi",  "etc", "lib", "lib32",
                                             "lib64", "libx32", "proc", "sbin", "sys", "usr"};

/* What cannot be opened is not there, and stays refused. */
static int allow_fd(const rules_t *self, int fd, uint64_t rights)
{
    struct statx status;
    if (fd < 0)
        return 0;
    /* Of a disk that is away nothing is asked that it would have to answer. */
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0 &&
        !S_ISDIR(status.stx_mode))
        rights &= EXECUTE | WRITE_FILE | TRUNCATE;
    struct beneath rule = {.allowed = rights & self->handled, .folder = fd};
    int rc = 0;
    if (rule.allowed != 0 && syscall(SYS_landlock_add_rule, self->fd, PATH_BENEATH, &rule, 0) != 0)
        rc = -errno;
    close(fd);
    return rc;
}

static int allow(const rules_t *self, const char *path, uint64_t rights)
{
    return allow_fd(self, open(path, O_PATH | O_CLOEXEC), rights);
}

/* For a file, and for a folder that has still to be made, the nearest folder above it. */
static int allow_folder(const rules_t *self, const char *path, uint64_t rights)
{
    const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    char *there = hp_strdup(path), *slash;
    int fd = open(there, flags);
    while (fd < 0 && (slash = strrchr(there, '/')) != NULL) {
        slash[slash == there] = '\0';
        fd = open(there, flags);
        if (slash == there)
            break;
    }
    free(there);
    return allow_fd(self, fd, rights);
}

static bool is_system(const char *name)
{
    for (size_t i = 0; i < HP_COUNT(system_folders); i++)
        if (strcmp(name, system_folders[i]) == 0)
            return true;
    return false;
}

/* Writing, in everything below "/" that is not the system's. */
static int allow_writes(const rules_t *self)
{
    DIR *root = opendir("/");
    if (root == NULL)
        return -errno;
    int rc = 0;
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(root)) != NULL)
        if (entry->d_name[0] != '.' && !is_system(entry->d_name))
            rc = allow_fd(self, openat(dirfd(root), entry->d_name, O_PATH | O_CLOEXEC), WRITES);
    closedir(root);
    if (rc == 0)
        rc = allow(self, "/dev/null", WRITE_FILE | TRUNCATE);
    return rc != 0 ? rc : allow(self, "/dev/shm", WRITES);
}

static int add_rules(const rules_t *self, bool root, const char *const *folders)
{
    int rc = root ? allow_writes(self) : allow(self, "/", REFER);
    for (size_t i = 0; rc == 0 && root && folders[i] != NULL; i++)
        rc = allow_folder(self, folders[i], WRITES);
    for (size_t i = 0; rc == 0 && i < HP_COUNT(programs); i++)
        rc = allow(self, programs[i], EXECUTE);
    return rc != 0 ? rc : allow(self, "/proc/self/exe", EXECUTE);
}

/* What a version does not know must not be asked of it. */
static struct ruleset for_version(int version, bool root)
{
    struct ruleset set = {.files = EXECUTE | NEVER | REFER | (root ? WRITES : 0)};
    if (version < 5)
        set.files &= ~IOCTL_DEV;
    if (version < 3)
        set.files &= ~TRUNCATE;
    if (version >= 6)
        set.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
    return set;
}

/* Older kernels take a longer structure if what they do not know is 0. */
int hp_sandbox_restrict_files(const char *const *folders)
{
    int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);
    if (version < OLDEST)
        return version < 0 ? -errno : -EOPNOTSUPP;
    bool root = geteuid() == 0;
    struct ruleset set = for_version(version, root);
    rules_t rules = {.fd = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof set, 0),
                     .handled = set.files};
    if (rules.fd < 0)
        return -errno;
    int rc = add_rules(&rules, root, folders);
    if (rc == 0 && syscall(SYS_landlock_restrict_self, rules.fd, 0) != 0)
        rc = -errno;
    close(rules.fd);
    return rc != 0 ? rc : version;
}
