/* Files of one chunk: no part file, many at a time. */
#include "transfer/part_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "os/beneath.h"
#include "os/disk.h"

#define TOGETHER_MIN 16 /* files of a batch that is synced by one call */

static bool holds(int fd, const void *data, size_t length)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != length)
        return false;
    char block[16384];
    for (size_t at = 0; at < length;) {
        ssize_t n = pread(fd, block, HP_MIN(sizeof block, length - at), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || memcmp(block, (const char *)data + at, (size_t)n) != 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* A crash between the link and the commit leaves the file under its name, on no record: it is not put there a
 * second time. Whether what is called so holds these bytes; then it gets the time that is wanted. */
static bool is_there(int folder, const char *name, const hp_part_small_t *file)
{
    int fd = hp_beneath_open(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, HP_BENEATH_NO_LINKS);
    bool same = fd >= 0 && holds(fd, file->data, file->length);
    if (same)
        hp_part_set_marks(fd, file->mtime_ms, file->executable);
    if (fd >= 0)
        close(fd);
    return same;
}

/* What a system says where unnamed files cannot be linked: no /proc, a sandbox, a file system without links.
 */
static bool is_refused(int rc)
{
    return rc == -ENOENT || rc == -EPERM || rc == -EACCES || rc == -EXDEV || rc == -EINVAL || rc == -ENOSYS ||
           rc == -EOPNOTSUPP || rc == -EMLINK || rc == -ELOOP;
}

/* Links the unnamed file to the first candidate that is free, or is this file already. */
static int take_name(int folder, hp_part_small_t *file)
{
    for (unsigned n = 0; n < HP_PART_CANDIDATES; n++) {
        hp_path_candidate(hp_path_name(file->path), n, file->name);
        int rc = hp_disk_link(file->fd, folder, file->name);
        if (rc == 0 || (rc == -EEXIST && is_there(folder, file->name, file)))
            return 0;
        if (is_refused(rc))
            return -EOPNOTSUPP;
        if (rc != -EEXIST)
            return hp_part_fail(&file->err, rc, "giving its name to", file->path);
    }
    return hp_part_fail(&file->err, -EEXIST, "finding a free name for", file->path);
}

/* ---- files of one chunk, many at a time ---- */

typedef struct open_folder {
    const char *base, *path; /* of the first file in it */
    size_t length;           /* of the folder in path */
    int fd;
    dev_t device;
} open_folder_t;

typedef struct small_batch {
    hp_part_small_t *files;
    size_t count;
    open_folder_t *folders; /* each is opened once */
    size_t folder_count;
    bool together; /* synced by one call for the whole file system, not one for each file and folder */
} small_batch_t;

static int folder_of(small_batch_t *batch, hp_part_small_t *file)
{
    size_t length = (size_t)(hp_path_name(file->path) - file->path);
    for (size_t i = batch->folder_count; i-- > 0;) {
        const open_folder_t *folder = &batch->folders[i];
        if (folder->length == length && strncmp(folder->path, file->path, length) == 0 &&
            strcmp(folder->base, file->base) == 0)
            return (int)i;
    }
    int fd = hp_part_open_folder(file->base, file->path, true, &file->err);
    if (fd < 0)
        return fd;
    struct stat st = {0};
    batch->together &= fstat(fd, &st) == 0 && hp_disk_syncs_all_well(fd);
    batch->folders[batch->folder_count] = (open_folder_t){
        .base = file->base, .path = file->path, .length = length, .fd = fd, .device = st.st_dev};
    return (int)batch->folder_count++;
}

static void write_unnamed(small_batch_t *batch, hp_part_small_t *file)
{
    file->folder = folder_of(batch, file);
    if (file->folder < 0) {
        file->status = file->folder;
        return;
    }
    int folder = batch->folders[file->folder].fd;
    int fd = hp_disk_open_unnamed(folder, HP_PART_MODE);
    if (fd == -EOPNOTSUPP) {
        file->status = fd;
        return;
    }
    int rc = fd < 0 ? fd : hp_write_all_at(fd, file->data, file->length, 0);
    if (rc != 0) {
        file->status = hp_part_fail(&file->err, rc, "writing", file->path);
        if (fd >= 0)
            close(fd);
        return;
    }
    file->fd = fd;
    hp_part_set_marks(fd, file->mtime_ms, file->executable);
    /* All begin before the first is waited for: one commit of the file system serves many. */
    if (!batch->together)
        hp_disk_begin_sync(fd);
}

static void give_name(small_batch_t *batch, hp_part_small_t *file)
{
    int rc = batch->together ? 0 : hp_disk_sync_data(file->fd);
    if (rc != 0)
        file->status = hp_part_fail(&file->err, rc, "writing", file->path);
    else
        file->status = take_name(batch->folders[file->folder].fd, file);
    close(file->fd);
    file->fd = -1;
}

static void sync_names(small_batch_t *batch, int folder)
{
    hp_err_t err = {0};
    int rc = 0;
    bool synced = false;
    for (size_t i = 0; i < batch->count; i++) {
        hp_part_small_t *file = &batch->files[i];
        if (file->status != 0 || file->folder != folder)
            continue;
        if (!synced)
            rc = hp_part_sync_folder(batch->folders[folder].fd, file->path, &err);
        synced = true;
        file->status = rc;
        file->err = err;
    }
}

/* Everything of the file systems that the batch is on. A failure is one of every file there. */
static void sync_all(small_batch_t *batch)
{
    for (size_t i = 0; i < batch->folder_count; i++) {
        const open_folder_t *folder = &batch->folders[i];
        size_t first = 0;
        while (batch->folders[first].device != folder->device)
            first++;
        int rc = first == i ? hp_disk_sync_all(folder->fd) : 0;
        for (size_t n = 0; n < batch->count && rc != 0; n++) {
            hp_part_small_t *file = &batch->files[n];
            if (file->status == 0 && batch->folders[file->folder].device == folder->device)
                file->status = hp_part_fail(&file->err, rc, "writing", file->path);
        }
    }
}

static void drop(hp_part_small_t *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

void hp_part_write_small(hp_part_small_t *files, size_t count)
{
    small_batch_t batch = {.files = files, .count = count, .together = count >= TOGETHER_MIN};
    batch.folders = hp_alloc_array(count, sizeof *batch.folders);
    for (size_t i = 0; i < count; i++) {
        files[i].fd = -1;
        if (files[i].status == 0)
            write_unnamed(&batch, &files[i]);
    }
    if (batch.together)
        sync_all(&batch);
    for (size_t i = 0; i < count; i++) {
        if (files[i].status == 0)
            give_name(&batch, &files[i]);
        else
            drop(&files[i]);
    }
    if (batch.together)
        sync_all(&batch);
    for (size_t i = 0; i < batch.folder_count; i++) {
        if (!batch.together)
            sync_names(&batch, (int)i);
        close(batch.folders[i].fd);
    }
    free(batch.folders);
}
