/* Transfers as others see them. */
#include <string.h>

#include "base/clock.h"
#include "inbox/internal.h"

uint64_t hp_inbox_wanted_size(const hp_inbox_item_t *item)
{
    uint64_t size = item->rest.size;
    for (size_t i = 0; i < item->files.count; i++) {
        const hp_inbox_file_t *file = &item->files.items[i];
        if (file->wanted && file->size != HP_INBOX_ANY_SIZE && size <= INT64_MAX / 2)
            size += file->size;
    }
    return size;
}

static void fill(const hp_inbox_item_t *item, hp_incoming_t *info)
{
    *info = (hp_incoming_t){
        .id = item->id,
        .token = item->token,
        .kind = item->kind,
        .name = item->name,
        .address = item->address,
        .host = item->host,
        .state = item->state,
        .reason = item->reason,
        .base = item->base,
        .folder = item->folder,
        .created_at = item->created_at,
        .finished_at = item->finished_at,
        .file_count = item->file_count,
        .known_count = item->files.count,
        .wanted_count = item->rest.wanted,
        .done_count = item->rest.done,
        .done_bytes = item->rest.received,
        .size = hp_inbox_wanted_size(item),
    };
    for (size_t i = 0; i < item->files.count; i++) {
        const hp_inbox_file_t *file = &item->files.items[i];
        info->wanted_count += file->wanted;
        info->done_count += file->done;
        info->done_bytes += file->received;
    }
}

uint64_t hp_inbox_bytes(const hp_inbox_t *self)
{
    return self->bytes;
}

uint64_t hp_inbox_speed_bps(const hp_inbox_t *self)
{
    hp_meter_t meter = self->meter;
    return hp_meter_bps(&meter, hp_clock_ms());
}

size_t hp_inbox_count(const hp_inbox_t *self)
{
    return self->count;
}

void hp_inbox_at(const hp_inbox_t *self, size_t index, hp_incoming_t *info)
{
    HP_LIST_EACH (link, &self->items)
        if (index-- == 0) {
            fill(HP_CONTAINER(link, hp_inbox_item_t, link), info);
            return;
        }
    abort();
}

bool hp_inbox_get(const hp_inbox_t *self, int64_t id, hp_incoming_t *info)
{
    const hp_inbox_item_t *item = hp_inbox_item_find(self, id);
    if (item != NULL)
        fill(item, info);
    return item != NULL;
}

bool hp_inbox_by_token(const hp_inbox_t *self, const char *token, hp_incoming_t *info)
{
    HP_LIST_EACH (link, &self->items) {
        const hp_inbox_item_t *item = HP_CONTAINER(link, hp_inbox_item_t, link);
        if (strcmp(item->token, token) == 0) {
            fill(item, info);
            return true;
        }
    }
    return false;
}

bool hp_inbox_file_at(const hp_inbox_t *self, int64_t id, size_t index, hp_incoming_file_t *info)
{
    const hp_inbox_item_t *item = hp_inbox_item_find(self, id);
    if (item == NULL || index >= item->files.count)
        return false;
    const hp_inbox_file_t *file = &item->files.items[index];
    *info = (hp_incoming_file_t){
        .id = file->id,
        .name = file->name,
        .type = file->type,
        .preview = file->preview != NULL ? file->preview : "",
        .picture = file->picture != NULL ? file->picture : "",
        .folder = file->folder,
        .size = file->size,
        .received = file->received,
        .wanted = file->wanted,
        .done = file->done,
        .path = file->path != NULL ? file->path : "",
    };
    return true;
}

size_t hp_inbox_file_find(const hp_inbox_t *self, int64_t id, const char *file)
{
    const hp_inbox_item_t *item = hp_inbox_item_find(self, id);
    for (size_t i = 0; item != NULL && i < item->files.count; i++)
        if (strcmp(item->files.items[i].id, file) == 0)
            return i;
    return SIZE_MAX;
}
