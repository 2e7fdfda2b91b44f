/* Bytes of a chunk that came before their connection was lost: kept in memory, so that the next request to
 * the same source goes on behind them. On a bad link a chunk takes longer than a connection lives; without
 * this nothing would ever arrive there.
 *
 * They are kept only where a strong ETag says that the rest will be of the same version, and only
 * HP_KEPT_BYTES of them in all, for HP_KEPT_MS: the oldest go. A chunk whose buffer is kept is free for
 * everybody; who asks another source for it fetches all of it. They belong to a file and its place, not to
 * the run that fetched them: a pause keeps them.
 *
 * A file of one chunk has nothing else: until it is whole it stands on no disk. */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

#define HP_KEPT_BYTES (8u * 1024 * 1024) /* of buffers; one is kept whatever its size */
#define HP_KEPT_MS    300000             /* then others need the memory more */

struct kept {
    kept_t *next;             /* older */
    int64_t download, file;   /* ids of their rows */
    char *host, *path, *etag; /* of the source */
    uint64_t size;            /* of the file */
    uint64_t chunk;
    uint64_t since; /* ms */
    hp_chunk_buffer_t *buffer;
};

static hp_chunk_buffer_t *take(kept_t **link)
{
    kept_t *kept = *link;
    hp_chunk_buffer_t *buffer = kept->buffer;
    *link = kept->next;
    free(kept->host);
    free(kept->path);
    free(kept->etag);
    free(kept);
    return buffer;
}

void hp_kept_drop_old(hp_transfer_t *transfer)
{
    size_t bytes = 0;
    uint64_t now = hp_clock_ms();
    for (kept_t **link = &transfer->kept; *link != NULL;) {
        bytes += (*link)->buffer->capacity;
        if ((link != &transfer->kept && bytes > HP_KEPT_BYTES) || now - (*link)->since > HP_KEPT_MS)
            hp_writer_give_back(transfer->writer, take(link));
        else
            link = &(*link)->next;
    }
}

static kept_t **find(const item_t *item, uint64_t chunk)
{
    kept_t **link = &item->download->transfer->kept;
    while (*link != NULL && ((*link)->file != item->row.id || (*link)->chunk != chunk))
        link = &(*link)->next;
    return link;
}

static bool is_worth_it(const lease_t *lease)
{
    const item_t *item = lease->item;
    return lease->buffer != NULL && lease->buffer->length > 0 && !lease->whole && !lease->plain &&
           lease->source->etag != NULL && item->size_known && item->restart_why == NULL &&
           item->phase == ITEM_FETCHING && lease->at < lease->end && lease->at < item->chunks &&
           !hp_bitmap_get(&item->done, (uint32_t)lease->at) &&
           !hp_bitmap_get(&item->writing, (uint32_t)lease->at);
}

bool hp_kept_put(lease_t *lease)
{
    const item_t *item = lease->item;
    hp_transfer_t *transfer = item->download->transfer;
    hp_chunk_buffer_t *buffer = lease->buffer;
    if (!is_worth_it(lease))
        return false;
    kept_t **other = find(item, lease->at); /* of another source, or of the other lease for this chunk */
    if (*other != NULL && (*other)->buffer->length >= buffer->length)
        return false;
    if (*other != NULL)
        hp_writer_give_back(transfer->writer, take(other));
    kept_t *kept = hp_alloc(sizeof *kept);
    *kept = (kept_t){.next = transfer->kept,
                     .download = item->download->row.id,
                     .file = item->row.id,
                     .host = hp_strdup(lease->source->host->id),
                     .path = hp_strdup(lease->source->path),
                     .etag = hp_strdup(lease->source->etag),
                     .size = item->size,
                     .chunk = lease->at,
                     .since = hp_clock_ms(),
                     .buffer = buffer};
    transfer->kept = kept;
    lease->buffer = NULL;
    hp_kept_drop_old(transfer);
    return true;
}

static bool is_from(const kept_t *self, const source_t *source)
{
    return self->file == source->item->row.id && strcmp(self->etag, source->etag) == 0 &&
           strcmp(self->path, source->path) == 0 && strcmp(self->host, source->host->id) == 0;
}

hp_chunk_buffer_t *hp_kept_take(const source_t *source, uint64_t chunk)
{
    if (source->etag == NULL)
        return NULL;
    for (kept_t **link = &source->item->download->transfer->kept; *link != NULL; link = &(*link)->next)
        if (is_from(*link, source) && (*link)->chunk == chunk)
            return take(link);
    return NULL;
}

bool hp_kept_has(const item_t *item, uint64_t chunk)
{
    return *find(item, chunk) != NULL;
}

void hp_kept_go_on(item_t *item)
{
    const kept_t *kept = *find(item, 0);
    if (kept == NULL || item->size_known || item->row.part != NULL || kept->size > HP_CHUNK_SIZE_MIN ||
        (item->row.size >= 0 && (uint64_t)item->row.size != kept->size))
        return;
    for (source_t *source = item->sources; source != NULL; source = source->next) {
        if (strcmp(kept->host, source->host->id) != 0 || strcmp(kept->path, source->path) != 0 ||
            (source->etag != NULL && strcmp(source->etag, kept->etag) != 0))
            continue;
        if (source->etag == NULL)
            source->etag = hp_strdup(kept->etag);
        hp_item_set_size(item, kept->size);
        return;
    }
}

uint64_t hp_kept_bytes(const item_t *item)
{
    uint64_t bytes = 0;
    for (const kept_t *kept = item->download->transfer->kept; kept != NULL; kept = kept->next)
        if (kept->file == item->row.id && kept->chunk < item->chunks &&
            !hp_bitmap_get(&item->taken, (uint32_t)kept->chunk))
            bytes += kept->buffer->length;
    return bytes;
}

static bool is_loaded(const download_t *download, int64_t file)
{
    for (const item_t *item = download->items; item != NULL; item = item->next)
        if (item->row.id == file)
            return true;
    return false;
}

uint64_t hp_kept_bytes_unloaded(const download_t *download)
{
    uint64_t bytes = 0;
    for (const kept_t *kept = download->transfer->kept; kept != NULL; kept = kept->next)
        if (kept->download == download->row.id && !is_loaded(download, kept->file))
            bytes += kept->buffer->length;
    return bytes;
}

void hp_kept_drop(const item_t *item, uint64_t chunk)
{
    hp_transfer_t *transfer = item->download->transfer;
    for (kept_t **link = &transfer->kept; *link != NULL;)
        if ((*link)->file == item->row.id && (chunk == HP_KEPT_ALL || (*link)->chunk == chunk))
            hp_writer_give_back(transfer->writer, take(link));
        else
            link = &(*link)->next;
}

void hp_kept_drop_download(hp_transfer_t *transfer, int64_t download)
{
    for (kept_t **link = &transfer->kept; *link != NULL;)
        if ((*link)->download == download)
            hp_writer_give_back(transfer->writer, take(link));
        else
            link = &(*link)->next;
}

void hp_kept_drop_all(hp_transfer_t *transfer)
{
    while (transfer->kept != NULL)
        hp_writer_give_back(transfer->writer, take(&transfer->kept));
}
