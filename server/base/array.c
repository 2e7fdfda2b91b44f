#include "base/array.h"

#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

#define FIRST_ROOM ((size_t)8)

void *hp_array_grow_(void *items, size_t *room, size_t needed, size_t size)
{
    if (needed <= *room)
        return items;
    size_t grown = HP_MAX(HP_MAX(needed, FIRST_ROOM), *room <= SIZE_MAX / 2 ? *room * 2 : SIZE_MAX);
    if (grown > SIZE_MAX / size) {
        fputs("hostpair: an array would be larger than the memory\n", stderr);
        abort();
    }
    items = hp_realloc(items, grown * size);
    *room = grown;
    return items;
}

void hp_array_open_(void *items, size_t count, size_t index, size_t size)
{
    char *at = (char *)items + index * size;
    memmove(at + size, at, (count - index) * size);
    memset(at, 0, size);
}

void hp_array_close_(void *items, size_t count, size_t index, size_t size)
{
    char *at = (char *)items + index * size;
    memmove(at, at + size, (count - index - 1) * size);
}
