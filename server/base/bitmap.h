/* A set of chunk indices, one bit each, with its count. Not shared between threads. */
#ifndef HP_BASE_BITMAP_H
#define HP_BASE_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct hp_bitmap {
    uint64_t *words;
    uint32_t size;  /* bits */
    uint32_t count; /* bits set */
} hp_bitmap_t;

void hp_bitmap_init(hp_bitmap_t *self, uint32_t size); /* all clear */
void hp_bitmap_dispose(hp_bitmap_t *self);
bool hp_bitmap_get(const hp_bitmap_t *self, uint32_t index);
bool hp_bitmap_set(hp_bitmap_t *self, uint32_t index);   /* whether it was clear before */
bool hp_bitmap_clear(hp_bitmap_t *self, uint32_t index); /* whether it was set before */
void hp_bitmap_clear_all(hp_bitmap_t *self);

/* The first set or clear bit at or after from; size when there is none. */
uint32_t hp_bitmap_next_set(const hp_bitmap_t *self, uint32_t from);
uint32_t hp_bitmap_next_clear(const hp_bitmap_t *self, uint32_t from);

#endif
