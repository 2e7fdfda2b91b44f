/* The steps of a file on the disk, run in the pool one after the other: make, open, finish. The item is busy
 * meanwhile; every step checks on its return whether the item was stopped. */
#include "transfer/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/landing.h"

typedef struct step step_t;
struct step {
    uv_work_t work;
    item_t *item;
    void (*run)(step_t *step);                 /* pool */
    void (*after)(item_t *item, step_t *step); /* loop */
    int status;
    hp_err_t err;
    char *base, *path, *part;
    bool renamed; /* path is not the item's, which the disk does not take */
    int64_t download;
    int fd, direct_fd;
    uint64_t size, chunk_size;
    int64_t mtime_ms, replaces_ns; /* of the item's row */
    bool executable;
    uint64_t arrived, reserved; /* bytes of the part file: done; with room on the disk */
    bool has_chunks;
    bool endless; /* nobody has said yet how long the file is */
    bool trims;   /* as of the item */
    hp_part_identity_t identity;
    hp_part_found_t found;
    char *elsewhere; /* the downloads folder of now, where it is not base; NULL */
    bool alike;      /* fd is a part file that is another one than that on record */
    bool moved;      /* it was found elsewhere */
    char name[HP_NAME_MAX + 1];
    const uint8_t *digests; /* the item's, which lets them be while it is busy finishing */
    uint64_t count;
    uint8_t digest[HP_SHA256_SIZE];
    const left_part_t *left; /* the item's */
};

static void on_work(uv_work_t *work)
{
    step_t *step = HP_CONTAINER(work, step_t, work);
    step->run(step);
}

static void on_after(uv_work_t *work, int status)
{
    step_t *step = HP_CONTAINER(work, step_t, work);
    item_t *item = step->item;
    if (status != 0)
        step->status = hp_err_set(&step->err, status, "%s", uv_strerror(status));
    hp_pending_drop(&item->pending);
    step->after(item, step);
    hp_transfer_wake(item->download->transfer);
    free(step->base);
    free(step->path);
    free(step->part);
    free(step->elsewhere);
    free(step);
}

static step_t *new_step(item_t *item, void (*run)(step_t *), void (*after)(item_t *, step_t *))
{
    step_t *step = hp_alloc(sizeof *step);
    *step = (step_t){
        .item = item,
        .run = run,
        .after = after,
        .base = hp_strdup(item->download->row.base),
        .path = hp_strdup(item->row.path),
        .part = item->row.part != NULL ? hp_strdup(item->row.part) : NULL,
        .download = item->row.download,
        .mtime_ms = item->row.mtime_ms,
        .executable = hp_transfer_lets_run(item->download->transfer, &item->row),
        .replaces_ns = item->row.replaces_ns,
        .fd = item->fd,
        .direct_fd = -1,
        .size = item->size,
        .chunk_size = item->chunk_size,
        .arrived = item->done_bytes,
        .has_chunks = item->done.count > 0,
        .endless = !item->size_known,
        .trims = item->trims,
        .identity = hp_item_identity(item->download->transfer, &item->row),
        .left = item->left,
    };
    return step;
}

static void close_opened(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void queue(step_t *step)
{
    hp_pending_add(&step->item->pending);
    uv_queue_work(step->item->download->transfer->loop, &step->work, on_work, on_after);
}

void hp_item_step_failed(item_t *item, int status, const hp_err_t *err)
{
    if (hp_download_trouble_passes(status))
        hp_download_disk_failed(item->download, status, err);
    else
        hp_item_fail(item, status, hp_err_text(err));
}

static bool failed(item_t *item, const step_t *step)
{
    if (step->status != 0)
        hp_item_step_failed(item, step->status, &step->err);
    return step->status != 0;
}

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = hp_strdup(value);
}

/* A committed row, then the next step. */
typedef struct commit {
    item_t *item;
    hp_download_file_row_t row;
    void (*after)(item_t *item);
    void (*failed)(item_t *item); /* before the download pauses; NULL */
} commit_t;

static int work_commit(hp_db_t *db, void *arg, hp_err_t *err)
{
    return hp_db_download_file_update(db, &((commit_t *)arg)->row, err);
}

static void on_commit(void *arg, int status, const hp_err_t *err)
{
    commit_t *commit = arg;
    item_t *item = commit->item;
    hp_pending_drop(&item->pending);
    if (status != 0 && commit->failed != NULL)
        commit->failed(item);
    if (status != 0)
        hp_download_write_failed(item->download, status, err);
    else
        commit->after(item);
    hp_download_file_row_dispose(&commit->row);
    hp_transfer_wake(item->download->transfer);
    free(commit);
}

static void commit_row(item_t *item, hp_store_kind_t kind, void (*after)(item_t *item),
                       void (*on_failure)(item_t *item))
{
    commit_t *commit = hp_alloc(sizeof *commit);
    *commit = (commit_t){.item = item, .after = after, .failed = on_failure};
    hp_item_copy_row(item, &commit->row);
    hp_pending_add(&item->pending);
    hp_store_post(item->download->transfer->store, kind, work_commit, on_commit, commit);
}

/* ---- make: an empty part file, its identity committed, its size reserved ---- */

static void run_reserve(step_t *step)
{
    if (!step->endless)
        step->status = hp_part_reserve(step->fd, step->size, step->arrived, &step->reserved, &step->err);
    if (step->status == 0)
        step->direct_fd = hp_part_open_direct(step->fd, step->size);
}

/* ---- more room, as bytes arrive ---- */

static void run_reserve_more(step_t *step)
{
    step->status = hp_part_reserve(step->fd, step->size, step->arrived, &step->reserved, &step->err);
}

static void after_reserve_more(item_t *item, step_t *step)
{
    item->reserving = false;
    if (step->status == 0)
        item->reserved = step->reserved;
    else if (item->phase == ITEM_FETCHING)
        failed(item, step);
}

void hp_item_reserve_more(item_t *self)
{
    if (self->reserving || self->fd < 0 || !self->size_known || self->reserved >= self->size ||
        self->done_bytes < self->reserved / 2)
        return;
    self->reserving = true;
    queue(new_step(self, run_reserve_more, after_reserve_more));
}

/* ---- the part file is made, its identity committed, then the reservation above ---- */

static void after_reserve(item_t *item, step_t *step)
{
    download_t *download = item->download;
    if (item->phase != ITEM_MAKING &&
        step->status == 0) /* a full disk stopped it meanwhile: its room is its own */
        download->disk_need -= HP_MIN(download->disk_need, step->size);
    if (item->phase != ITEM_MAKING || failed(item, step)) {
        close_opened(&step->direct_fd);
        return;
    }
    hp_file_writes_set(&item->writes, step->direct_fd);
    item->reserved = step->reserved;
    item->ready = true;
    hp_item_set_phase(item, ITEM_FETCHING);
    hp_transfer_resume_held(item->download->transfer);
}

static void after_identity(item_t *item)
{
    if (item->phase == ITEM_MAKING)
        queue(new_step(item, run_reserve, after_reserve));
}

/* A name that the disk does not take gives way to the nearest one. */
static void run_make(step_t *step)
{
    char landing[HP_PATH_MAX + 1];
    step->renamed = hp_landing_path(step->base, step->path, landing);
    if (step->renamed)
        set_text(&step->path, landing);
    step->status = step->endless ? 0 : hp_part_takes(step->base, step->size, &step->err);
    if (step->status != 0)
        return;
    step->fd =
        hp_part_create(step->base, step->path, step->download, step->name, &step->identity, &step->err);
    step->status = step->fd < 0 ? step->fd : 0;
}

/* A part file that is on no record goes at once: nobody else would remove it. It was made a moment ago, and
 * nothing was written to it. */
static void run_unmake(step_t *step)
{
    step->status = hp_part_remove(step->base, step->path, step->part, &step->identity, &step->err);
    close_opened(&step->fd);
}

static void after_unmake(item_t *item, step_t *step)
{
    if (step->status != 0)
        hp_log(HP_LOG_WARN, "download %lld: %s", (long long)item->row.download, hp_err_text(&step->err));
}

static void unmake(item_t *item, int fd, const char *path, const char *name,
                   const hp_part_identity_t *identity)
{
    step_t *step = new_step(item, run_unmake, after_unmake);
    free(step->part);
    step->part = hp_strdup(name);
    set_text(&step->path, path);
    step->identity = *identity;
    step->fd = fd;
    queue(step);
}

static void on_identity_lost(item_t *item)
{
    hp_part_identity_t identity = {
        .device = item->row.device, .inode = item->row.inode, .born_ns = item->row.born_ns};
    unmake(item, item->fd, item->row.path, item->row.part, &identity);
    item->fd = -1;
    free(item->row.part);
    free(item->row.boot_id);
    item->row.part = item->row.boot_id = NULL;
}

static void after_make(item_t *item, step_t *step)
{
    if (item->phase != ITEM_MAKING) {
        if (step->fd >= 0)
            unmake(item, step->fd, step->path, step->name, &step->identity);
        return;
    }
    if (failed(item, step))
        return;
    item->fd = step->fd;
    if (step->renamed)
        hp_download_renamed(item->download, item, step->path);
    set_text(&item->row.part, step->name);
    set_text(&item->row.boot_id, item->download->transfer->boot_id);
    item->row.device = step->identity.device;
    item->row.inode = step->identity.inode;
    item->row.born_ns = step->identity.born_ns;
    commit_row(item, HP_STORE_WRITE_SYNCED, after_identity,
               on_identity_lost); /* before the first byte is written */
}

void hp_item_make(item_t *self)
{
    if (self->fd >= 0) /* of an earlier try of a body of unknown length: it is written again from byte 0 */
        commit_row(self, HP_STORE_WRITE_SYNCED, after_identity, NULL);
    else
        queue(new_step(self, run_make, after_make));
}

/* ---- open: take up a part file on record ---- */

/* The one on record is not there. What has its name and size may be it all the same. */
static void look_for_alike(step_t *step)
{
    hp_part_identity_t identity;
    int fd = hp_part_open_alike(step->base, step->path, step->part, step->size, &identity);
    if (fd < 0 && step->elsewhere != NULL) {
        fd = hp_part_open_alike(step->elsewhere, step->path, step->part, step->size, &identity);
        step->moved = fd >= 0;
    }
    if (fd < 0)
        return;
    step->fd = fd;
    step->identity = identity;
    step->found = HP_PART_OPENED;
    step->alike = true;
}

static void run_open(step_t *step)
{
    step->status = hp_part_open(step->base, step->path, step->part, &step->identity,
                                step->endless ? HP_PART_ANY_SIZE : step->size, step->has_chunks, &step->found,
                                &step->fd, step->name, &step->err);
    struct stat st;
    if (step->status == 0 && step->found == HP_PART_MISSING && step->has_chunks && !step->endless)
        look_for_alike(step);
    if (step->status == 0 && step->found == HP_PART_OPENED) {
        step->identity.device = fstat(step->fd, &st) == 0 ? st.st_dev : 0;
        if (!step->endless) /* the crash may have come before it */
            step->status = hp_part_reserve(step->fd, step->size, step->arrived, &step->reserved, &step->err);
        if (step->status != 0)
            close_opened(&step->fd);
        else
            step->direct_fd = hp_part_open_direct(step->fd, step->size);
    }
}

static void adopt(item_t *item, const char *name)
{
    hp_log(HP_LOG_INFO, "download %lld: %s was complete before the stop", (long long)item->row.download,
           item->row.path);
    hp_item_set_phase(item, ITEM_FINISHING);
    hp_item_commit_done(item, name);
}

static void after_open(item_t *item, step_t *step)
{
    if (item->phase != ITEM_OPENING) {
        close_opened(&step->fd);
        close_opened(&step->direct_fd);
        return;
    }
    if (failed(item, step))
        return;
    /* Its state may be another one by now, where the step after the renaming failed. */
    bool complete = item->chunks > 0 && item->done.count == item->chunks && item->row.root != NULL;
    if (step->found == HP_PART_FINAL && (strcmp(item->row.state, "finishing") == 0 || complete)) {
        adopt(item, step->name);
        return;
    }
    if (step->found != HP_PART_OPENED) {
        if (item->done.count > 0)
            hp_log(HP_LOG_WARN, "download %lld: the part file of %s is gone; it starts again",
                   (long long)item->row.download, item->row.path);
        item->restart_why = hp_strdup("The part file is gone");
        item->same_version = true;
        hp_item_set_phase(item, ITEM_FETCHING);
        return;
    }
    item->fd = step->fd;
    item->reserved = step->reserved;
    item->trims = step->endless;
    hp_file_writes_set(&item->writes, step->direct_fd);
    if (step->moved)
        hp_download_moved(item->download, step->elsewhere);
    bool other_boot = step->alike || hp_item_other_boot(item->download->transfer, &item->row);
    item->alike = step->alike;
    item->opened = step->identity;
    if (!step->alike)
        item->row.device = step->identity.device;
    if (item->done.count > 0 && (other_boot || item->download->recheck)) {
        hp_item_set_phase(item, ITEM_CHECKING);
        hp_item_check(item);
        return;
    }
    if (other_boot) {
        set_text(&item->row.boot_id, item->download->transfer->boot_id);
        hp_item_save(item, HP_STORE_WRITE);
    }
    item->ready = !step->endless;
    hp_item_set_phase(item, ITEM_FETCHING);
}

/* A finished file that a person wants checked. */
static void run_open_final(step_t *step)
{
    struct stat st;
    step->fd = hp_part_open_final(step->base, step->path, &step->err);
    if (step->fd < 0)
        step->status = step->fd;
    else if (fstat(step->fd, &st) != 0)
        step->status =
            hp_err_set(&step->err, -errno, "looking at %s: %s", step->path, hp_err_sentence(-errno));
    else if ((uint64_t)st.st_size != step->size)
        step->status = hp_err_set(&step->err, HP_E_WRONG_DIGEST, "%s is %lld bytes long, it was %llu",
                                  step->path, (long long)st.st_size, (unsigned long long)step->size);
}

static void after_open_final(item_t *item, step_t *step)
{
    if (item->phase != ITEM_OPENING) {
        close_opened(&step->fd);
        return;
    }
    if (step->status != 0) {
        close_opened(&step->fd);
        hp_item_fail(item, step->status, hp_err_text(&step->err));
        return;
    }
    item->fd = step->fd;
    hp_item_set_phase(item, ITEM_CHECKING);
    hp_item_check(item);
}

void hp_item_open(item_t *self)
{
    if (strcmp(self->row.state, "done") == 0)
        queue(new_step(self, run_open_final, after_open_final));
    else {
        step_t *step = new_step(self, run_open, after_open);
        const char *now = self->download->transfer->folder;
        step->elsewhere = strcmp(now, step->base) != 0 ? hp_strdup(now) : NULL;
        queue(step);
    }
}

/* ---- finish ---- */

static void set_final_name(item_t *item, const char *name)
{
    const char *old = hp_path_name(item->row.path);
    char *path = hp_sprintf("%.*s%s", (int)(old - item->row.path), item->row.path, name);
    free(item->row.path);
    item->row.path = path;
}

static void after_done_commit(item_t *item)
{
    hp_item_close(item);
    hp_item_set_phase(item, ITEM_DONE);
    hp_download_item_done(item->download, item);
}

void hp_item_commit_done(item_t *self, const char *name)
{
    set_final_name(self, name);
    set_text(&self->row.state, "done");
    self->row.replaces_ns = 0;
    commit_row(self, HP_STORE_WRITE, after_done_commit, NULL);
}

void hp_left_remove(const left_part_t *left, const char *base, const char *path, int64_t download)
{
    hp_err_t err = {0};
    for (; left != NULL; left = left->next)
        if (hp_part_remove(base, path, left->name, &left->identity, &err) != 0)
            hp_log(HP_LOG_WARN, "download %lld: %s", (long long)download, hp_err_text(&err));
}

static void run_finish(step_t *step)
{
    if (step->trims && (step->status = hp_part_shorten(step->fd, step->size)) != 0) {
        hp_err_set(&step->err, step->status, "shortening the part file: %s", hp_err_sentence(step->status));
        return;
    }
    hp_part_set_marks(step->fd, step->mtime_ms, step->executable);
    step->status = hp_part_replace(step->fd, step->base, step->path, step->part, step->size,
                                   step->replaces_ns, step->name, &step->err);
    if (step->status == 0)
        hp_left_remove(step->left, step->base, step->path, step->download);
}

static void after_finish(item_t *item, step_t *step)
{
    if (step->status == HP_E_CONFLICT && item->phase == ITEM_FINISHING) {
        set_text(&item->row.state, "open");
        hp_item_set_phase(item, ITEM_FETCHING);
        hp_item_part_lost(item, hp_err_text(&step->err));
        return;
    }
    if (step->status != 0) {
        /* After a sync that failed the kernel forgets what it could not write, and the next sync succeeds:
         * the chunks are hashed again before they are believed. */
        free(item->row.boot_id);
        item->row.boot_id = NULL;
        hp_item_save(item, HP_STORE_WRITE);
        if (item->phase == ITEM_FINISHING)
            failed(item, step);
        return;
    }
    hp_item_commit_done(item, step->name); /* also when it was stopped meanwhile: it is done */
}

static void after_finishing_commit(item_t *item)
{
    if (item->phase == ITEM_FINISHING)
        queue(new_step(item, run_finish, after_finish));
}

static void run_root(step_t *step)
{
    step->status =
        hp_merkle_root_from_layer(step->digests, step->count, step->chunk_size, step->size, step->digest);
}

void hp_item_commit_finishing(item_t *item, const char *root, bool verified)
{
    item->row.verified = verified;
    set_text(&item->row.root, root);
    set_text(&item->row.state, "finishing");
    /* After a power cut the store tells whether the file under the final name is this one. */
    commit_row(item, HP_STORE_WRITE_SYNCED, after_finishing_commit, NULL);
}

static void after_root(item_t *item, step_t *step)
{
    if (item->phase != ITEM_FINISHING || failed(item, step))
        return;
    char root[65];
    hp_hex_encode(step->digest, sizeof step->digest, root);
    if (item->row.root != NULL && strcmp(item->row.root, root) != 0) {
        hp_item_got_other_content(item);
        return;
    }
    if (item->row.root != NULL || !hp_item_ask_late_root(item, root))
        hp_item_commit_finishing(item, root, item->row.root != NULL);
}

void hp_item_finish(item_t *self)
{
    for (lease_t *lease = self->leases; lease != NULL; lease = lease->next)
        hp_lease_cancel(lease);
    hp_item_set_phase(self, ITEM_FINISHING);
    step_t *step = new_step(self, run_root, after_root);
    step->digests = self->digests;
    step->count = self->chunks;
    queue(step);
}
