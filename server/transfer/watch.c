/* Part files of running downloads are looked at once a second: one that was removed, renamed or replaced, or
 * whose folder was, is noticed long before the file is complete. What is written to such a file would be
 * lost. */
#include "transfer/internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool/pool.h"

#define LOOKS_MAX 64 /* part files in one go; the others have their turn in the next */

typedef struct look {
    item_t *item;
    int fd; /* own */
    char *base, *path, *part;
    hp_err_t err; /* code 0: it stands where it was */
} look_t;

typedef struct looks {
    hp_transfer_t *transfer;
    size_t count;
    look_t looks[LOOKS_MAX];
} looks_t;

static int work_look(void *arg, hp_err_t *err)
{
    looks_t *job = arg;
    (void)err; /* each has its own */
    for (size_t i = 0; i < job->count; i++) {
        look_t *look = &job->looks[i];
        hp_part_compare(look->fd, look->base, look->path, look->part, &look->err);
    }
    return 0;
}

static void on_looked(void *arg, int status, const hp_err_t *err)
{
    looks_t *job = arg;
    hp_transfer_t *transfer = job->transfer;
    (void)err;
    transfer->parts_looking = false;
    for (size_t i = 0; i < job->count; i++) {
        look_t *look = &job->looks[i];
        item_t *item = look->item;
        hp_pending_drop(&item->pending);
        if (status == 0 && look->err.code == HP_E_CONFLICT && item->row.part != NULL &&
            strcmp(item->row.part, look->part) == 0)
            hp_item_part_lost(item, hp_err_text(&look->err));
        if (status == 0 && look->err.code == HP_E_NO_DISK)
            hp_download_disk_failed(item->download, HP_E_NO_DISK, &look->err);
        close(look->fd);
        free(look->base);
        free(look->path);
        free(look->part);
    }
    free(job);
    hp_transfer_wake(transfer);
}

static bool add(looks_t *job, item_t *item)
{
    if (item->phase != ITEM_FETCHING || !item->ready || item->fd < 0 || item->row.part == NULL)
        return true;
    look_t *look = &job->looks[job->count];
    look->fd = fcntl(item->fd, F_DUPFD_CLOEXEC, 0);
    if (look->fd < 0)
        return false;
    look->item = item;
    look->base = hp_strdup(item->download->row.base);
    look->path = hp_strdup(item->row.path);
    look->part = hp_strdup(item->row.part);
    item->looked_at = item->download->transfer->parts_looks;
    hp_pending_add(&item->pending);
    return ++job->count < LOOKS_MAX;
}

void hp_transfer_look_at_parts(hp_transfer_t *self)
{
    if (self->parts_looking || self->stopping)
        return;
    looks_t *job = hp_alloc(sizeof *job);
    job->transfer = self;
    bool more = true;
    for (download_t *d = self->active; d != NULL && more; d = d->next_active)
        for (item_t *item = d->items; item != NULL && more; item = item->next)
            if (item->looked_at != self->parts_looks)
                more = add(job, item);
    if (more)
        self->parts_looks++; /* all have had their turn */
    if (job->count == 0) {
        free(job);
        return;
    }
    self->parts_looking = true;
    hp_pool_post(self->loop, &self->pending, work_look, on_looked, job);
}
