#include "share/pathset.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define FIRST_SIZE 16

void hp_pathset_init(hp_pathset_t *self)
{
    *self = (hp_pathset_t){0};
}

void hp_pathset_dispose(hp_pathset_t *self)
{
    for (size_t i = 0; i < self->size; i++)
        free(self->slots[i]);
    free(self->slots);
    *self = (hp_pathset_t){0};
}

static size_t hash(const char *path) /* FNV-1a */
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *path != '\0'; path++)
        h = (h ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ (h >> 32));
}

static size_t slot_of(char **slots, size_t size, const char *path)
{
    size_t i = hash(path) & (size - 1);
    while (slots[i] != NULL && strcmp(slots[i], path) != 0)
        i = (i + 1) & (size - 1);
    return i;
}

static void grow(hp_pathset_t *self)
{
    size_t size = self->size > 0 ? self->size * 2 : FIRST_SIZE;
    char **slots = hp_alloc_array(size, sizeof *slots);
    for (size_t i = 0; i < self->size; i++)
        if (self->slots[i] != NULL)
            slots[slot_of(slots, size, self->slots[i])] = self->slots[i];
    free(self->slots);
    self->slots = slots;
    self->size = size;
}

void hp_pathset_add(hp_pathset_t *self, const char *path)
{
    if (self->count * 4 >= self->size * 3)
        grow(self);
    size_t i = slot_of(self->slots, self->size, path);
    if (self->slots[i] != NULL)
        return;
    self->slots[i] = hp_strdup(path);
    self->count++;
}

bool hp_pathset_has(const hp_pathset_t *self, const char *path)
{
    return self->count > 0 && self->slots[slot_of(self->slots, self->size, path)] != NULL;
}

void hp_pathset_remove(hp_pathset_t *self, const char *path)
{
    if (self->count == 0)
        return;
    size_t i = slot_of(self->slots, self->size, path);
    if (self->slots[i] == NULL)
        return;
    free(self->slots[i]);
    self->slots[i] = NULL;
    self->count--;
    /* What was pushed past this slot moves up. */
    for (i = (i + 1) & (self->size - 1); self->slots[i] != NULL; i = (i + 1) & (self->size - 1)) {
        char *moved = self->slots[i];
        self->slots[i] = NULL;
        self->slots[slot_of(self->slots, self->size, moved)] = moved;
    }
}

char **hp_pathset_append(const hp_pathset_t *self, char **paths, size_t *count)
{
    paths = hp_realloc(paths, (*count + self->count) * sizeof *paths);
    for (size_t i = 0; i < self->size; i++)
        if (self->slots[i] != NULL)
            paths[(*count)++] = hp_strdup(self->slots[i]);
    return paths;
}
