#include "share/roots.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define GENERATION_MAX (HP_ROOTS_MAX / 2)
#define FIRST_SIZE     256

void hp_roots_init(hp_roots_t *self)
{
    *self = (hp_roots_t){0};
}

void hp_roots_dispose(hp_roots_t *self)
{
    free(self->young.slots);
    free(self->old.slots);
    *self = (hp_roots_t){0};
}

/* Any good mixing will do: identities are not chosen by strangers. */
static uint64_t hash(const hp_shared_identity_t *identity)
{
    uint64_t h = identity->inode * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ (h >> 32) ^ identity->device ^ (uint64_t)identity->ctime_ns) * UINT64_C(0xd6e8feb86659fd93);
    h = (h ^ (h >> 32) ^ identity->size ^ (uint64_t)identity->mtime_ns) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ (h >> 32);
}

/* Empty files have no root, so a size of 0 marks an empty slot. */
static hp_root_entry_t *slot_of(const hp_root_table_t *table, const hp_shared_identity_t *identity)
{
    size_t i = hash(identity) & (table->size - 1);
    while (table->slots[i].identity.size != 0 &&
           memcmp(&table->slots[i].identity, identity, sizeof *identity) != 0)
        i = (i + 1) & (table->size - 1);
    return &table->slots[i];
}

static void grow(hp_root_table_t *table)
{
    hp_root_table_t bigger = {.size = table->size > 0 ? table->size * 2 : FIRST_SIZE, .count = table->count};
    bigger.slots = hp_alloc_array(bigger.size, sizeof *bigger.slots);
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i].identity.size != 0)
            *slot_of(&bigger, &table->slots[i].identity) = table->slots[i];
    free(table->slots);
    *table = bigger;
}

static const hp_root_entry_t *look(const hp_root_table_t *table, const hp_shared_identity_t *identity)
{
    if (table->size == 0)
        return NULL;
    const hp_root_entry_t *slot = slot_of(table, identity);
    return slot->identity.size != 0 ? slot : NULL;
}

void hp_roots_add(hp_roots_t *self, const hp_shared_identity_t *identity, const uint8_t *root)
{
    if (identity->size == 0)
        return;
    if (self->young.count >= GENERATION_MAX && look(&self->young, identity) == NULL) {
        self->forgot = self->forgot || self->old.count > 0;
        free(self->old.slots);
        self->old = self->young;
        self->young = (hp_root_table_t){0};
    }
    if (self->young.count * 4 >= self->young.size * 3)
        grow(&self->young);
    hp_root_entry_t *slot = slot_of(&self->young, identity);
    if (slot->identity.size == 0)
        self->young.count++;
    slot->identity = *identity;
    memcpy(slot->root, root, HP_SHARED_ROOT_SIZE);
}

const uint8_t *hp_roots_find(hp_roots_t *self, const hp_shared_identity_t *identity)
{
    const hp_root_entry_t *entry = look(&self->young, identity);
    if (entry != NULL)
        return entry->root;
    entry = look(&self->old, identity);
    if (entry == NULL)
        return NULL;
    uint8_t root[HP_SHARED_ROOT_SIZE]; /* adding may forget the old generation, and the entry with it */
    hp_shared_identity_t same = *identity;
    memcpy(root, entry->root, sizeof root);
    hp_roots_add(self, &same, root);
    return look(&self->young, &same)->root;
}
