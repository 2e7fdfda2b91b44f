#include "transfer/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/internal.h"

struct hp_reader {
    hp_reader_t *next; /* in transfer->readers */
    hp_transfer_t *transfer;
    int64_t id;
    uint64_t size, device, inode; /* of the version that it was opened for */
    hp_reader_fn done;            /* NULL: no read under way */
    void *arg;
    uint64_t offset;
    size_t max;
    struct piece *piece; /* in the pool */
    bool closed;
};

typedef struct piece {
    uv_work_t work;
    hp_reader_t *reader;
    char *base, *path;      /* of the finished file; NULL: fd is given */
    uint64_t device, inode; /* it must be this one */
    int fd;                 /* own */
    uint64_t offset;
    size_t length;
    ssize_t got;
    uint8_t data[];
} piece_t;

static void unlink_reader(hp_reader_t *self)
{
    for (hp_reader_t **link = &self->transfer->readers; *link != NULL; link = &(*link)->next)
        if (*link == self) {
            *link = self->next;
            return;
        }
}

static void answer(hp_reader_t *self, int status, const void *data, size_t length)
{
    hp_reader_fn done = self->done;
    self->done = NULL;
    done(self->arg, status, data, length); /* may read again or close */
}

static item_t *item_of(const hp_reader_t *self, const download_t *download)
{
    for (item_t *item = download->items; item != NULL; item = item->next)
        if (item->phase >= ITEM_FETCHING && item->phase <= ITEM_FINISHING && item->size_known &&
            item->size == self->size)
            return item;
    return NULL;
}

/* ---- the pool ---- */

/* The finished file, unless somebody has put another one in its place: what was read before does not belong
 * to that. */
static int open_final(const piece_t *piece)
{
    struct stat st;
    int fd = hp_part_open_final(piece->base, piece->path, NULL);
    if (fd < 0 || (fstat(fd, &st) == 0 && st.st_dev == piece->device && st.st_ino == piece->inode))
        return fd;
    close(fd);
    return HP_E_CONFLICT;
}

static void on_work(uv_work_t *work)
{
    piece_t *piece = HP_CONTAINER(work, piece_t, work);
    if (piece->path != NULL)
        piece->fd = open_final(piece);
    if (piece->fd < 0) {
        piece->got = piece->fd;
        return;
    }
    do
        piece->got = pread(piece->fd, piece->data, piece->length, (off_t)piece->offset);
    while (piece->got < 0 && errno == EINTR);
    if (piece->got < 0)
        piece->got = -errno;
    else if (piece->got == 0)
        piece->got = HP_E_CONFLICT; /* shorter than it was */
}

static void on_after(uv_work_t *work, int status)
{
    piece_t *piece = HP_CONTAINER(work, piece_t, work);
    hp_reader_t *self = piece->reader;
    hp_transfer_t *transfer = self->transfer;
    hp_pending_drop(&transfer->pending);
    self->piece = NULL;
    if (piece->fd >= 0)
        close(piece->fd);
    if (self->closed)
        free(self);
    else if (self->done != NULL && (status != 0 || piece->got < 0))
        answer(self, status != 0 ? status : (int)piece->got, NULL, 0);
    else if (self->done != NULL)
        answer(self, 0, piece->data, (size_t)piece->got);
    free(piece->base);
    free(piece->path);
    free(piece);
    hp_transfer_wake(transfer);
}

static void read_piece(hp_reader_t *self, int fd, const download_t *final, uint64_t length)
{
    length = HP_MIN(HP_MIN(length, (uint64_t)self->max), (uint64_t)HP_READER_PIECE);
    piece_t *piece = hp_alloc(sizeof *piece + length);
    piece->reader = self;
    piece->offset = self->offset;
    piece->length = length;
    piece->device = self->device;
    piece->inode = self->inode;
    piece->fd = fd;
    if (final != NULL) {
        piece->base = hp_strdup(final->row.base);
        piece->path = hp_strdup(final->row.path);
    }
    self->piece = piece;
    hp_pending_add(&self->transfer->pending);
    uv_queue_work(self->transfer->loop, &piece->work, on_work, on_after);
}

/* ---- reading ---- */

/* The chunk is fetched next: a lease that would reach it late is cut short before it, and one connection is
 * set free for it. */
static void want(item_t *item, uint64_t chunk)
{
    item->wanted = chunk;
    item->streaming = true;
    lease_t *longest = NULL;
    for (lease_t *l = item->leases; l != NULL; l = l->next) {
        if (l->cancelled || l->whole)
            continue;
        if (chunk >= l->at && chunk <= l->at + 1 && chunk < l->end)
            return; /* it is on its way */
        if (chunk > l->at && chunk < l->end) {
            for (uint64_t i = chunk; i < l->end; i++)
                hp_bitmap_clear(&item->taken, (uint32_t)i);
            l->end = chunk;
        }
        if (longest == NULL || l->end - l->at > longest->end - longest->at)
            longest = l;
    }
    if (hp_bitmap_get(&item->writing, (uint32_t)chunk))
        return;
    if (longest != NULL && (longest->source->host->lease_count >= item->download->transfer->connections ||
                            !hp_item_has_budget(item)))
        hp_lease_cancel(longest);
    hp_transfer_wake(item->download->transfer);
}

/* Answers the read if it can be answered now. */
static void try_read(hp_reader_t *self)
{
    if (self->done == NULL || self->piece != NULL)
        return;
    download_t *download = hp_transfer_find(self->transfer, self->id);
    if (download == NULL || self->transfer->stopping) {
        answer(self, UV_ECANCELED, NULL, 0);
        return;
    }
    if (download->state == HP_DOWNLOAD_DONE) {
        read_piece(self, -1, download, self->size - self->offset);
        return;
    }
    item_t *item = item_of(self, download);
    bool another = item != NULL && item->row.part != NULL && item->row.inode != self->inode;
    if (!hp_download_is_running(download) || another ||
        (item == NULL && !download->files_loading && download->items == NULL)) {
        answer(self, HP_E_CONFLICT, NULL, 0);
        return;
    }
    if (item == NULL || item->fd < 0)
        return; /* between two phases */
    uint64_t chunk = self->offset / item->chunk_size;
    if (!hp_bitmap_get(&item->done, (uint32_t)chunk)) {
        if (item->wanted != chunk || !item->streaming)
            want(item, chunk);
        return;
    }
    uint64_t end = chunk;
    while (end < item->chunks && hp_bitmap_get(&item->done, (uint32_t)end) &&
           (end - chunk) * item->chunk_size < self->max)
        end++;
    int fd = fcntl(item->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        answer(self, -errno, NULL, 0);
    else
        read_piece(self, fd, NULL, HP_MIN(end * item->chunk_size, item->size) - self->offset);
}

const hp_reader_t *hp_reader_next(const hp_reader_t *self)
{
    return self->next;
}

int64_t hp_reader_download(const hp_reader_t *self)
{
    return self->id;
}

void hp_reader_wake(hp_transfer_t *transfer)
{
    for (hp_reader_t *reader = transfer->readers, *next; reader != NULL; reader = next) {
        next = reader->next;
        try_read(reader);
    }
}

void hp_reader_read(hp_reader_t *self, uint64_t offset, size_t max, hp_reader_fn done, void *arg)
{
    self->offset = offset;
    self->max = max;
    self->done = done;
    self->arg = arg;
    hp_transfer_wake(self->transfer); /* tried from the loop's own turn */
}

int hp_reader_open(hp_transfer_t *transfer, int64_t id, hp_reader_t **reader, hp_reader_info_t *info,
                   hp_err_t *err)
{
    download_t *download = hp_transfer_find(transfer, id);
    if (download == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "There is no download %lld", (long long)id);
    if (download->row.folder)
        return hp_err_set(err, HP_E_CONFLICT, "Download %lld is a folder", (long long)id);
    hp_reader_t *self = hp_alloc(sizeof *self);
    *self = (hp_reader_t){.transfer = transfer, .id = id};
    const item_t *item = NULL;
    for (const item_t *i = download->items; i != NULL && item == NULL; i = i->next)
        if (i->phase >= ITEM_FETCHING && i->phase <= ITEM_FINISHING && i->size_known && (i->row.part != NULL))
            item = i;
    int rc = 0;
    if (!hp_download_is_running(download))
        rc = hp_err_set(err, HP_E_CONFLICT, "Download %lld is %s", (long long)id,
                        hp_download_state_name(download->state));
    else if (item == NULL)
        rc = hp_err_set(err, HP_E_BUSY, "Download %lld has only begun", (long long)id);
    if (rc != 0) {
        free(self);
        return rc;
    }
    self->size = item->size;
    self->device = item->row.device;
    self->inode = item->row.inode;
    info->name = download->name;
    info->size = self->size;
    hp_reader_etag(id, self->inode, self->size, info->etag);
    self->next = transfer->readers;
    transfer->readers = self;
    *reader = self;
    return 0;
}

char *hp_reader_etag(int64_t id, uint64_t inode, uint64_t size, char out[64])
{
    snprintf(out, 64, "\"%llx-%llx-%llx\"", (unsigned long long)id, (unsigned long long)inode,
             (unsigned long long)size);
    return out;
}

/* Nobody reads along any more: runs may be long again, and go past the page cache. */
static void stop_streaming(const hp_reader_t *self)
{
    for (const hp_reader_t *other = self->transfer->readers; other != NULL; other = other->next)
        if (other->id == self->id)
            return;
    download_t *download = hp_transfer_find(self->transfer, self->id);
    for (item_t *item = download != NULL ? download->items : NULL; item != NULL; item = item->next) {
        item->streaming = false;
        item->wanted = 0;
    }
}

void hp_reader_close(hp_reader_t *self)
{
    unlink_reader(self);
    stop_streaming(self);
    if (self->done != NULL)
        answer(self, UV_ECANCELED, NULL, 0);
    self->closed = true;
    if (self->piece == NULL)
        free(self);
}
