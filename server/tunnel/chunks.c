#include "tunnel/chunks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void hp_chunks_init(hp_chunks_t *self, size_t limit)
{
    *self = (hp_chunks_t){.limit = limit};
}

void hp_chunks_dispose(hp_chunks_t *self)
{
    assert(self->used == 0);
    for (size_t i = 0; i < self->spare_count; i++)
        free(self->spare[i]);
    self->spare_count = 0;
}

uint8_t *hp_chunks_take(hp_chunks_t *self)
{
    self->used += HP_CHUNK;
    return self->spare_count > 0 ? self->spare[--self->spare_count] : hp_alloc_aligned(64, HP_CHUNK);
}

void hp_chunks_give(hp_chunks_t *self, uint8_t *chunk)
{
    self->used -= HP_CHUNK;
    if (self->spare_count < HP_CHUNKS_SPARE)
        self->spare[self->spare_count++] = chunk;
    else
        free(chunk);
}

size_t hp_chunks_share(const hp_chunks_t *self)
{
    if (self->used + HP_CHUNK > self->limit)
        return 0;
    return HP_MAX((self->limit - self->used) / 2, HP_CHUNK);
}

static uint8_t **slot(hp_queue_t *self, uint64_t offset)
{
    return &self->chunks[offset / HP_CHUNK % HP_QUEUE_CHUNKS];
}

uint8_t *hp_queue_room(hp_queue_t *self, hp_chunks_t *chunks, size_t *size)
{
    uint8_t **at = slot(self, self->end);
    assert(self->end - self->first <= HP_QUEUE_MAX);
    if (*at == NULL)
        *at = hp_chunks_take(chunks);
    *size = HP_CHUNK - self->end % HP_CHUNK;
    return *at + self->end % HP_CHUNK;
}

void hp_queue_added(hp_queue_t *self, size_t length)
{
    self->end += length;
}

void hp_queue_add(hp_queue_t *self, hp_chunks_t *chunks, const uint8_t *data, size_t length)
{
    while (length > 0) {
        size_t room;
        uint8_t *to = hp_queue_room(self, chunks, &room);
        room = HP_MIN(room, length);
        memcpy(to, data, room);
        self->end += room;
        data += room;
        length -= room;
    }
}

const uint8_t *hp_queue_at(const hp_queue_t *self, uint64_t offset, size_t *size)
{
    size_t inside = offset % HP_CHUNK;
    *size = (size_t)HP_MIN((uint64_t)(HP_CHUNK - inside), self->end - offset);
    return *size == 0 ? NULL : self->chunks[offset / HP_CHUNK % HP_QUEUE_CHUNKS] + inside;
}

static void give_back(hp_queue_t *self, hp_chunks_t *chunks, uint64_t offset)
{
    uint8_t **at = slot(self, offset);
    if (*at != NULL)
        hp_chunks_give(chunks, *at);
    *at = NULL;
}

void hp_queue_drop(hp_queue_t *self, hp_chunks_t *chunks, uint64_t offset)
{
    assert(offset >= self->first && offset <= self->end);
    for (uint64_t at = self->first / HP_CHUNK; at < offset / HP_CHUNK; at++)
        give_back(self, chunks, at * HP_CHUNK);
    self->first = offset;
    if (offset == self->end) /* the last one, which may be half full, or empty after hp_queue_room */
        give_back(self, chunks, offset);
}

size_t hp_queue_held(const hp_queue_t *self)
{
    uint64_t from = self->first / HP_CHUNK, to = (self->end + HP_CHUNK - 1) / HP_CHUNK;
    return self->first == self->end ? 0 : (size_t)(to - from) * HP_CHUNK;
}
