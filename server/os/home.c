#include "os/home.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "os/disk.h"

#define LIST_NAME   "hostpair.disks"
#define MARKER_SIZE 33 /* 32 hex digits and NUL */
#define MARKER_TEXT "%s\nhostpair knows by this file that the disk is there.\n"

typedef struct home {
    char *folder;
    char disk[HP_DISK_ID_SIZE]; /* "" when its file system has no id */
    char marker[MARKER_SIZE];   /* "" on the data folder's disk: it is always there */
} home_t;

static struct {
    pthread_mutex_t lock;
    char *list;   /* path; NULL before hp_home_init() */
    dev_t device; /* of the data folder */
    HP_ARRAY(home_t) homes;
} self = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the list. The lock is held for it alone, never while a disk of somebody else may hang ---- */

/* With the lock. */
static home_t *find(const char *folder)
{
    for (size_t i = 0; i < self.homes.count; i++)
        if (strcmp(self.homes.items[i].folder, folder) == 0)
            return &self.homes.items[i];
    return NULL;
}

/* With the lock. */
static home_t *add(const char *folder)
{
    home_t *home = hp_array_add(&self.homes);
    home->folder = hp_strdup(folder);
    return home;
}

/* What is remembered of the folder: nothing, or one whose marker may be "". */
static home_t recall(const char *folder)
{
    pthread_mutex_lock(&self.lock);
    const home_t *home = find(folder);
    home_t copy = home != NULL ? *home : (home_t){0};
    pthread_mutex_unlock(&self.lock);
    copy.folder = NULL; /* the list's */
    return copy;
}

/* With the lock. A line each: marker, id of the file system ("-" none), folder. */
static void save(void)
{
    char *text = hp_strdup("");
    for (size_t i = 0; i < self.homes.count; i++) {
        const home_t *home = &self.homes.items[i];
        if (home->marker[0] == '\0' || strchr(home->folder, '\n') != NULL)
            continue;
        char *longer = hp_sprintf("%s%s %s %s\n", text, home->marker,
                                  home->disk[0] != '\0' ? home->disk : "-", home->folder);
        free(text);
        text = longer;
    }
    int rc = hp_replace_file(self.list, text, strlen(text), 0600);
    if (rc != 0)
        hp_log(HP_LOG_WARN,
               "%s cannot be written (%s): a disk that is not mounted at the next start will not be "
               "missed",
               self.list, hp_err_sentence(rc));
    free(text);
}

static bool is_marker(const char *text)
{
    return strspn(text, "0123456789abcdef") == MARKER_SIZE - 1 && text[MARKER_SIZE - 1] == '\0';
}

void hp_home_init(const char *data_folder)
{
    struct stat st;
    pthread_mutex_lock(&self.lock);
    free(self.list);
    self.list = hp_sprintf("%s/" LIST_NAME, data_folder);
    self.device = stat(data_folder, &st) == 0 ? st.st_dev : 0;
    for (size_t i = 0; i < self.homes.count; i++)
        free(self.homes.items[i].folder);
    self.homes.count = 0;
    FILE *file = fopen(self.list, "re");
    char *line = NULL;
    size_t room = 0;
    for (ssize_t n; file != NULL && (n = getline(&line, &room, file)) > 0;) {
        char *rest = NULL;
        line[strcspn(line, "\n")] = '\0';
        const char *marker = strtok_r(line, " ", &rest), *disk = strtok_r(NULL, " ", &rest);
        if (marker == NULL || disk == NULL || rest == NULL || rest[0] != '/' || !is_marker(marker) ||
            strlen(disk) >= HP_DISK_ID_SIZE || find(rest) != NULL)
            continue;
        home_t *home = add(rest);
        snprintf(home->marker, sizeof home->marker, "%s", marker);
        if (strcmp(disk, "-") != 0)
            snprintf(home->disk, sizeof home->disk, "%s", disk);
    }
    free(line);
    if (file != NULL)
        fclose(file);
    pthread_mutex_unlock(&self.lock);
}

/* ---- the marker in a folder ---- */

/* "" when there is none. */
static void read_marker(int folder, char out[MARKER_SIZE])
{
    out[0] = '\0';
    int fd = openat(folder, HP_HOME_MARKER, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = pread(fd, out, MARKER_SIZE - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    if (!is_marker(out))
        out[0] = '\0';
    close(fd);
}

static int write_marker(int folder, const char *marker)
{
    char text[128];
    int length = snprintf(text, sizeof text, MARKER_TEXT, marker);
    int fd = openat(folder, HP_HOME_MARKER, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int rc = hp_write_all_at(fd, text, (size_t)length, 0);
    if (rc == 0)
        rc = hp_disk_sync_data(fd);
    close(fd);
    return rc;
}

static int new_marker(char out[MARKER_SIZE])
{
    uint8_t random[16];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return -EIO;
    hp_hex_encode(random, sizeof random, out);
    return 0;
}

static void record(const char *folder, const char *marker, const char *disk)
{
    pthread_mutex_lock(&self.lock);
    home_t *home = find(folder);
    if (home == NULL)
        home = add(folder);
    snprintf(home->marker, sizeof home->marker, "%s", marker);
    snprintf(home->disk, sizeof home->disk, "%s", disk);
    save();
    pthread_mutex_unlock(&self.lock);
}

/* ---- looking ---- */

/* Whether the nearest folder above this one that is there is on this disk. */
static bool is_on_disk(const char *folder, const char *disk)
{
    char *path = hp_strdup(folder), id[HP_DISK_ID_SIZE] = "";
    int fd;
    while ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 && errno == ENOENT) {
        char *slash = strrchr(path, '/');
        if (slash == NULL || slash[1] == '\0')
            break;
        slash[slash == path] = '\0';
    }
    if (fd >= 0) {
        hp_disk_id(fd, id);
        close(fd);
    }
    free(path);
    return id[0] != '\0' && strcmp(id, disk) == 0;
}

/* Whether the open folder is the remembered one. */
static bool is_home(const char *folder, const home_t *home, int fd)
{
    char marker[MARKER_SIZE], id[HP_DISK_ID_SIZE];
    read_marker(fd, marker);
    hp_disk_id(fd, id);
    bool same_disk = id[0] != '\0' && strcmp(id, home->disk) == 0;
    if (strcmp(marker, home->marker) != 0)
        return same_disk && write_marker(fd, home->marker) == 0;
    if (strcmp(id, home->disk) != 0)
        record(folder, marker, id); /* it was copied to another disk */
    return true;
}

int hp_home_open(const char *folder, int flags, mode_t mode)
{
    const home_t home = recall(folder);
    bool marked = home.marker[0] != '\0';
    flags |= O_DIRECTORY | O_CLOEXEC;
    int fd = open(folder, flags), rc = fd >= 0 ? 0 : -errno;
    if (marked && (rc == -ENOENT || rc == -ENOTDIR) && !is_on_disk(folder, home.disk))
        return HP_E_NO_DISK;
    if (rc == -ENOENT && mode != 0 && (rc = hp_make_folder(folder, mode)) == 0) {
        fd = open(folder, flags);
        rc = fd >= 0 ? 0 : -errno;
    }
    if (rc == 0 && marked && !is_home(folder, &home, fd)) {
        close(fd);
        return HP_E_NO_DISK;
    }
    return rc == 0 ? fd : rc;
}

/* A folder that is on a disk of its own gets a marker, if it can be written to. */
static void remember(const char *folder, int fd)
{
    struct stat st;
    char marker[MARKER_SIZE], id[HP_DISK_ID_SIZE];
    if (self.list == NULL || fstat(fd, &st) != 0 || st.st_dev == self.device)
        return;
    read_marker(fd, marker);
    if (marker[0] == '\0' && (new_marker(marker) != 0 || write_marker(fd, marker) != 0))
        return;
    hp_disk_id(fd, id);
    record(folder, marker, id);
}

int hp_home_prepare(const char *folder, mode_t mode)
{
    int fd = hp_home_open(folder, O_RDONLY, mode);
    if (fd < 0) /* what cannot be read is remembered by nothing; whether that is wrong, its user says */
        return fd == -EACCES ? 0 : fd;
    if (recall(folder).marker[0] == '\0')
        remember(folder, fd);
    close(fd);
    return 0;
}

void hp_home_remember(const char *folder)
{
    (void)hp_home_prepare(folder, 0);
}

int hp_home_adopt(const char *folder, mode_t mode)
{
    int rc = hp_home_prepare(folder, mode);
    if (rc != HP_E_NO_DISK)
        return rc;
    record(folder, "", "");
    return hp_home_prepare(folder, mode);
}

bool hp_home_is_same(const char *folder, const char *other)
{
    const home_t a = recall(folder), b = recall(other);
    return a.marker[0] != '\0' && strcmp(a.marker, b.marker) == 0;
}
