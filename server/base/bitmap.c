#include "base/bitmap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static size_t word_count(const hp_bitmap_t *self)
{
    return ((size_t)self->size + 63) / 64;
}

void hp_bitmap_init(hp_bitmap_t *self, uint32_t size)
{
    *self = (hp_bitmap_t){.size = size};
    self->words = hp_alloc_array(word_count(self), sizeof *self->words);
}

void hp_bitmap_dispose(hp_bitmap_t *self)
{
    free(self->words);
    *self = (hp_bitmap_t){0};
}

bool hp_bitmap_get(const hp_bitmap_t *self, uint32_t index)
{
    assert(index < self->size);
    return (self->words[index / 64] >> (index % 64)) & 1;
}

bool hp_bitmap_set(hp_bitmap_t *self, uint32_t index)
{
    if (hp_bitmap_get(self, index))
        return false;
    self->words[index / 64] |= (uint64_t)1 << (index % 64);
    self->count++;
    return true;
}

bool hp_bitmap_clear(hp_bitmap_t *self, uint32_t index)
{
    if (!hp_bitmap_get(self, index))
        return false;
    self->words[index / 64] &= ~((uint64_t)1 << (index % 64));
    self->count--;
    return true;
}

void hp_bitmap_clear_all(hp_bitmap_t *self)
{
    memset(self->words, 0, word_count(self) * sizeof *self->words);
    self->count = 0;
}

/* The first bit at or after from that is set once every word was XORed with flip (0, or all ones to look for
 * clear bits). */
static uint32_t next(const hp_bitmap_t *self, uint32_t from, uint64_t flip)
{
    if (from >= self->size)
        return self->size;
    size_t word = from / 64, words = word_count(self);
    uint64_t bits = (self->words[word] ^ flip) & (~(uint64_t)0 << (from % 64));
    while (bits == 0) {
        if (++word == words)
            return self->size;
        bits = self->words[word] ^ flip;
    }
    uint64_t found = (uint64_t)word * 64 + (unsigned)__builtin_ctzll(bits);
    return found < self->size ? (uint32_t)found : self->size;
}

uint32_t hp_bitmap_next_set(const hp_bitmap_t *self, uint32_t from)
{
    return next(self, from, 0);
}

uint32_t hp_bitmap_next_clear(const hp_bitmap_t *self, uint32_t from)
{
    return next(self, from, ~(uint64_t)0);
}
