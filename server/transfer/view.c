/* What people see of downloads: sums of the rows and of the files under way, and the chunk map as runs. */
#include "transfer/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOW_BPS 1024 /* a source below this is called slow */

static void fill_sources(download_t *self, hp_download_info_t *info)
{
    uint64_t now = hp_clock_ms();
    size_t count = 0;
    for (const source_host_t *host = self->hosts; host != NULL; host = host->next)
        count++;
    self->source_infos = hp_realloc(self->source_infos, count * sizeof *self->source_infos);
    size_t i = 0;
    for (source_host_t *host = self->hosts; host != NULL; host = host->next, i++) {
        hp_source_info_t *source = &self->source_infos[i];
        *source = (hp_source_info_t){.state = hp_source_host_state(host, now), .bytes = host->bytes};
        source->speed_bps = hp_download_is_running(self) ? hp_meter_bps(&host->meter, now) : 0;
        snprintf(source->host, sizeof source->host, "%s", host->id);
        snprintf(source->address, sizeof source->address, "%s", host->address);
        snprintf(source->error, sizeof source->error, "%s", host->error);
    }
    info->sources = self->source_infos;
    info->source_count = count;
}

static const char *reason_of(download_t *self, const hp_download_info_t *info, char *out, size_t size)
{
    if (self->state != HP_DOWNLOAD_RUNNING)
        return self->row.reason;
    const char *error = "";
    for (const source_host_t *host = self->hosts; host != NULL && error[0] == '\0'; host = host->next)
        error = host->error;
    if (self->waits) {
        snprintf(out, size, "Waiting for a source%s%s", error[0] != '\0' ? ": " : "", error);
        return out;
    }
    for (const item_t *item = self->items; item != NULL; item = item->next)
        if (item->whole && !(item->size_known && item->size <= item->chunk_size))
            return "The source cannot resume: after an interruption it starts from the beginning";
    if (self->row.reason[0] != '\0')
        return self->row.reason;
    bool flows = false;
    for (const source_host_t *host = self->hosts; host != NULL; host = host->next)
        flows |= host->lease_count > 0 && host->connected;
    if (!flows)
        return error;
    if (self->meter.first != 0 && self->meter.slot - self->meter.first >= HP_METER_SLOTS - 1 &&
        info->speed_bps < SLOW_BPS)
        return "The source sends very slowly";
    return ""; /* the trouble of one source is told with that source */
}

/* Bytes of chunks that are not whole yet; of a chunk that is asked for twice, those of the faster one. */
static uint64_t part_bytes(const item_t *item)
{
    if (!item->size_known)
        return 0;
    uint64_t bytes = hp_kept_bytes(item);
    for (const lease_t *l = item->leases; l != NULL; l = l->next) {
        if (l->buffer == NULL || l->cancelled || hp_bitmap_get(&item->done, (uint32_t)l->at) ||
            hp_bitmap_get(&item->writing, (uint32_t)l->at))
            continue;
        bool behind = false;
        for (const lease_t *other = item->leases; other != NULL && !behind; other = other->next)
            behind = other != l && other->buffer != NULL && !other->cancelled && other->at == l->at &&
                     (other->buffer->length > l->buffer->length ||
                      (other->buffer->length == l->buffer->length && other < l));
        bytes += behind ? 0 : l->buffer->length;
    }
    return bytes;
}

static void add_progress(hp_download_info_t *info, const item_t *item)
{
    const hp_download_file_row_t *row = &item->row;
    if (item->phase == ITEM_LOADING && row->size > 0 && row->chunk_size > 0) {
        /* Its chunk rows are being read; their number is known. */
        info->done_bytes += (uint64_t)hp_row_done_bytes(row, row->chunks_done);
        info->chunks_done += (uint64_t)row->chunks_done;
        info->chunks_total += (uint64_t)hp_row_chunks(row);
        return;
    }
    info->done_bytes += item->done_bytes + part_bytes(item);
    info->chunks_done += item->done.count;
    info->chunks_total += item->endless ? 0 : item->chunks;
}

void hp_download_fill(download_t *self, hp_download_info_t *info)
{
    static char reason[500]; /* valid until the next view, like the rest */
    const hp_download_row_t *row = &self->row;
    uint64_t now = hp_clock_ms();
    int64_t unknown = row->sizes_unknown, verified = row->files_verified;
    *info = (hp_download_info_t){
        .id = row->id,
        .name = self->name,
        .path = row->path,
        .folder = row->folder,
        .state = self->state,
        .size = (uint64_t)HP_MAX(row->size, (int64_t)0),
        .done_bytes = (uint64_t)HP_MAX(row->done_bytes, (int64_t)0),
        .chunk_size = (uint64_t)row->chunk_size,
        .chunks_total = (uint64_t)HP_MAX(row->chunks_total, (int64_t)0),
        .chunks_done = (uint64_t)HP_MAX(row->chunks_done, (int64_t)0),
        .files_total = (uint64_t)row->files_total,
        .files_done = (uint64_t)HP_MAX(row->files_done, (int64_t)0),
        .root = row->root != NULL ? row->root : "",
        .priority = row->priority,
        .limit_bps = (uint64_t)row->limit_bps,
        .note = row->note,
        .error_code = row->error_code,
        .error_detail = row->error_detail,
        .created_at = row->created_at,
        .finished_at = row->finished_at,
        .eta_s = -1,
    };
    for (const item_t *item = self->items; item != NULL; item = item->next) {
        add_progress(info, item);
        info->chunk_size = HP_MAX(info->chunk_size, (uint64_t)item->row.chunk_size);
        info->files_done += strcmp(item->row.state, "done") == 0;
        verified += item->row.verified;
        if (item->row.size >= 0)
            info->size += (uint64_t)item->row.size;
        else
            unknown++;
        if (!row->folder && item->row.root != NULL)
            info->root = item->row.root;
    }
    if (self->state < HP_DOWNLOAD_DONE)
        info->done_bytes += hp_kept_bytes_unloaded(self);
    info->size_known = unknown == 0;
    info->verified = self->state == HP_DOWNLOAD_DONE && verified == row->files_total;
    if (hp_download_is_running(self))
        info->speed_bps = hp_meter_bps(&self->meter, now);
    if (info->size_known && info->speed_bps > 0 && info->size >= info->done_bytes)
        info->eta_s = (int64_t)((info->size - info->done_bytes + info->speed_bps - 1) / info->speed_bps);
    fill_sources(self, info);
    info->reason = reason_of(self, info, reason, sizeof reason);
}

size_t hp_transfer_count(const hp_transfer_t *transfer)
{
    return transfer->count;
}

int hp_transfer_get(hp_transfer_t *transfer, int64_t id, hp_download_info_t *info)
{
    download_t *download = hp_transfer_find(transfer, id);
    if (download == NULL)
        return HP_E_NOT_FOUND;
    hp_download_fill(download, info);
    return 0;
}

int hp_transfer_get_at(hp_transfer_t *transfer, size_t index, hp_download_info_t *info)
{
    /* Lists ask for one after the other: go on where the last one was found. */
    bool ahead = transfer->cursor != NULL && transfer->cursor_index <= index;
    download_t *download = ahead ? transfer->cursor : transfer->downloads;
    size_t at = ahead ? transfer->cursor_index : 0;
    while (download != NULL && at < index) {
        download = download->next;
        at++;
    }
    transfer->cursor = download;
    transfer->cursor_index = at;
    if (download == NULL)
        return HP_E_NOT_FOUND;
    hp_download_fill(download, info);
    return 0;
}

/* ---- the chunk map ---- */

typedef struct run_list {
    hp_chunk_run_t *runs;
    size_t count, room;
} run_list_t;

static void add_run(run_list_t *list, uint64_t first, uint64_t count, hp_chunks_state_t state,
                    const char *source)
{
    hp_chunk_run_t *last = list->count > 0 ? &list->runs[list->count - 1] : NULL;
    if (count == 0)
        return;
    if (last != NULL && last->state == state && last->first + last->count == first &&
        strcmp(last->source, source) == 0) {
        last->count += count;
        return;
    }
    if (list->count == list->room) {
        list->room = HP_MAX(list->room * 2, (size_t)64);
        list->runs = hp_realloc(list->runs, list->room * sizeof *list->runs);
    }
    list->runs[list->count++] =
        (hp_chunk_run_t){.first = first, .count = count, .state = state, .source = source};
}

static const char *source_of(const item_t *item, int64_t id)
{
    for (const source_t *s = item->sources; s != NULL; s = s->next)
        if ((s->id == id && id != 0) || s->mark == id)
            return s->host->id;
    return "";
}

static const char *lease_of(const item_t *item, uint64_t chunk)
{
    for (const lease_t *l = item->leases; l != NULL; l = l->next)
        if (!l->cancelled && chunk >= l->at && chunk < l->end)
            return l->source->host->id;
    return "";
}

static void add_item(run_list_t *list, const item_t *item, uint64_t base)
{
    uint64_t chunks = item->endless ? 0 : item->chunks;
    for (uint32_t n = 0; n < chunks; n++) {
        if (hp_bitmap_get(&item->done, n)) {
            add_run(list, base + n, 1, HP_CHUNKS_DONE, source_of(item, item->chunk_sources[n]));
            continue;
        }
        /* Active is what is being filled or written now; the rest of a lease is still to come. */
        bool active = hp_bitmap_get(&item->writing, n);
        for (const lease_t *l = item->leases; l != NULL && !active; l = l->next)
            active = !l->cancelled && l->at == n && l->end > n;
        if (active)
            add_run(list, base + n, 1, HP_CHUNKS_ACTIVE, lease_of(item, n));
        else
            add_run(list, base + n, 1, HP_CHUNKS_MISSING, "");
    }
}

int hp_transfer_chunks(hp_transfer_t *transfer, int64_t id, uint64_t *chunk_size, uint64_t *total,
                       hp_chunk_run_t **runs, size_t *count)
{
    download_t *download = hp_transfer_find(transfer, id);
    if (download == NULL)
        return HP_E_NOT_FOUND;
    hp_download_info_t info;
    hp_download_fill(download, &info);
    run_list_t list = {0};
    /* Files that are not under way come as one run each way; they stand before those that are. */
    const hp_download_row_t *row = &download->row;
    uint64_t resting_done = (uint64_t)HP_MAX(row->chunks_done, (int64_t)0);
    uint64_t resting = HP_MAX((uint64_t)HP_MAX(row->chunks_total, (int64_t)0), resting_done);
    add_run(&list, 0, resting_done, HP_CHUNKS_DONE, "");
    add_run(&list, resting_done, resting - resting_done, HP_CHUNKS_MISSING, "");
    uint64_t base = resting;
    for (const item_t *item = download->items; item != NULL; item = item->next) {
        add_item(&list, item, base);
        base += item->endless ? 0 : item->chunks;
    }
    *chunk_size = info.chunk_size;
    *total = base;
    *runs = list.runs != NULL ? list.runs : hp_alloc(sizeof **runs);
    *count = list.count;
    return 0;
}

uint64_t hp_transfer_bytes(const hp_transfer_t *transfer)
{
    return transfer->received;
}

uint64_t hp_transfer_speed_bps(const hp_transfer_t *transfer)
{
    hp_meter_t meter = transfer->meter;
    return hp_meter_bps(&meter, hp_clock_ms());
}

uint64_t hp_transfer_free_bytes(const hp_transfer_t *transfer)
{
    return transfer->free_bytes;
}

char *hp_transfer_final_path(const hp_transfer_t *transfer, int64_t id)
{
    const download_t *download = hp_transfer_find(transfer, id);
    if (download == NULL || download->state != HP_DOWNLOAD_DONE)
        return NULL;
    return hp_sprintf("%s/%s", download->row.base, download->row.path);
}
