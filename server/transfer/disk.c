/* Free space: how much there is, which downloads a full disk pauses, and which go on when there is room
 * again. */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

#define DISK_LOOKS 64 /* folders whose file system is measured at a time */

bool hp_download_waits_for_disk(const download_t *d)
{
    return d->row.disk_wait && d->state == HP_DOWNLOAD_PAUSED;
}

typedef struct disk_look {
    uv_work_t work;
    hp_transfer_t *transfer;
    size_t count;
    struct disk_folder {
        char *base;
        uint64_t bytes, device;
        int status;
    } folders[DISK_LOOKS]; /* the first is the downloads folder of now */
} disk_look_t;

static void on_disk_work(uv_work_t *work)
{
    disk_look_t *job = HP_CONTAINER(work, disk_look_t, work);
    for (size_t i = 0; i < job->count; i++) {
        struct disk_folder *folder = &job->folders[i];
        folder->status = hp_part_free_bytes(folder->base, &folder->bytes, &folder->device);
    }
}

static struct disk_folder *find_folder(disk_look_t *job, const char *base)
{
    for (size_t i = 0; i < job->count; i++)
        if (strcmp(job->folders[i].base, base) == 0)
            return &job->folders[i];
    return NULL;
}

/* The others on its file system are given what is left. */
static void promise_room(disk_look_t *job, const download_t *d)
{
    for (size_t i = 0; i < job->count; i++)
        if (job->folders[i].device == d->device)
            job->folders[i].bytes -= HP_MIN(job->folders[i].bytes, d->disk_need);
}

static void on_disk_looked(uv_work_t *work, int status)
{
    disk_look_t *job = HP_CONTAINER(work, disk_look_t, work);
    hp_transfer_t *self = job->transfer;
    hp_pending_drop(&self->pending);
    self->disk_looking = false;
    if (status == 0 && strcmp(self->folder, job->folders[0].base) == 0) {
        self->disk_away = job->folders[0].status == HP_E_NO_DISK;
        self->free_bytes = job->folders[0].status == 0 ? job->folders[0].bytes
                           : self->disk_away           ? 0
                                                       : self->free_bytes;
    }
    for (download_t *d = self->active; d != NULL; d = d->next_active) {
        struct disk_folder *folder = find_folder(job, d->row.base);
        if (status != 0 || folder == NULL || folder->status != 0)
            continue;
        d->device = folder->device;
        if (hp_download_waits_for_disk(d) && hp_retry_is_due(&d->disk, hp_clock_ms()) &&
            folder->bytes >= HP_MAX(d->disk_need, (uint64_t)DISK_MARGIN)) {
            promise_room(job, d);
            d->row.disk_wait = false;
            const char *news = d->row.error_code == HP_E_NO_SPACE  ? "There is room on the disk again"
                               : d->row.error_code == HP_E_NO_DISK ? "The disk is there again"
                                                                   : "";
            hp_download_set_state(d, HP_DOWNLOAD_QUEUED, news, 0, "");
        }
    }
    for (size_t i = 0; i < job->count; i++)
        free(job->folders[i].base);
    hp_transfer_wake(self);
    free(job);
}

void hp_transfer_look_at_disks(hp_transfer_t *self)
{
    if (self->disk_looking || self->stopping)
        return;
    disk_look_t *job = hp_alloc(sizeof *job);
    job->transfer = self;
    job->folders[job->count++].base = hp_strdup(self->folder);
    for (const download_t *d = self->active; d != NULL && job->count < DISK_LOOKS; d = d->next_active)
        if ((hp_download_is_running(d) || hp_download_waits_for_disk(d)) &&
            find_folder(job, d->row.base) == NULL)
            job->folders[job->count++].base = hp_strdup(d->row.base);
    self->disk_looking = true;
    self->disk_looked_at = uv_now(self->loop);
    hp_pending_add(&self->pending);
    uv_queue_work(self->loop, &job->work, on_disk_work, on_disk_looked);
}

bool hp_transfer_disk_is_away(const hp_transfer_t *self)
{
    return self->disk_away;
}

/* A new download's device is known at the next look. */
static bool is_on_same_disk(const download_t *a, const download_t *b)
{
    return (a->device != 0 && a->device == b->device) || strcmp(a->row.base, b->row.base) == 0;
}

void hp_transfer_disk_failed(hp_transfer_t *self, const download_t *first, int code, const hp_err_t *err)
{
    for (download_t *d = self->active; d != NULL; d = d->next_active)
        if (d != first && hp_download_is_running(d) && is_on_same_disk(d, first))
            hp_download_disk_failed(d, code, err);
}
