/* The buffers of all streams: pieces of one size, so that what one stream gives back another can take.
 *
 * Invariants
 * 1. Taking never fails: limits are the taker's to keep, with hp_chunks_share.
 * 2. At most HP_CHUNKS_SPARE unused ones are kept. Loop thread only. */
#ifndef HP_TUNNEL_CHUNKS_H
#define HP_TUNNEL_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#define HP_CHUNK        ((size_t)65536) /* bytes */
#define HP_CHUNKS_SPARE 64

typedef struct hp_chunks {
    size_t limit, used; /* bytes */
    size_t spare_count;
    uint8_t *spare[HP_CHUNKS_SPARE];
} hp_chunks_t;

void hp_chunks_init(hp_chunks_t *self, size_t limit);
void hp_chunks_dispose(hp_chunks_t *self);

uint8_t *hp_chunks_take(hp_chunks_t *self);
void hp_chunks_give(hp_chunks_t *self, uint8_t *chunk);

/* How many bytes one stream may hold at present: half of what is left, so that streams which stand still
 * never take all from those that move. 0 when nothing is left. */
size_t hp_chunks_share(const hp_chunks_t *self);

/* A queue of bytes in chunks, addressed by their offset in a stream; at most HP_QUEUE_MAX of them. All zero
 * is an empty queue. */
#define HP_QUEUE_CHUNKS 256 /* more than a far and fast line holds while BBR looks for its speed */
#define HP_QUEUE_MAX    ((HP_QUEUE_CHUNKS - 1) * HP_CHUNK)

typedef struct hp_queue {
    uint8_t *chunks[HP_QUEUE_CHUNKS]; /* by offset; NULL outside of first to end */
    uint64_t first, end;              /* offsets */
} hp_queue_t;

/* Room behind the end that is in one piece, at least one byte: *size says how much. */
uint8_t *hp_queue_room(hp_queue_t *self, hp_chunks_t *chunks, size_t *size);
/* Adds what was written there. */
void hp_queue_added(hp_queue_t *self, size_t length);
/* Copies bytes to the end. */
void hp_queue_add(hp_queue_t *self, hp_chunks_t *chunks, const uint8_t *data, size_t length);
/* The bytes from an offset between first and end on that are in one piece; *size is 0 at the end. */
const uint8_t *hp_queue_at(const hp_queue_t *self, uint64_t offset, size_t *size);
/* Forgets the bytes before an offset. */
void hp_queue_drop(hp_queue_t *self, hp_chunks_t *chunks, uint64_t offset);
/* The bytes of chunks that the queue holds. */
size_t hp_queue_held(const hp_queue_t *self);

#endif
