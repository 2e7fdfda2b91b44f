/* Roots in memory, by the identity of the bytes they belong to, so that a file reply can carry its root
 * without asking the store.
 *
 * It holds the last HP_ROOTS_MAX that were added or asked for, roughly: two generations of half of that; when
 * the young one is full, the old one is forgotten. Loop thread only. */
#ifndef HP_SHARE_ROOTS_H
#define HP_SHARE_ROOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/shared_file.h"

#define HP_ROOTS_MAX 32768 /* about 5 MiB when full */

typedef struct hp_root_entry {
    hp_shared_identity_t identity; /* size 0: the slot is empty */
    uint8_t root[HP_SHARED_ROOT_SIZE];
} hp_root_entry_t;

typedef struct hp_root_table {
    hp_root_entry_t *slots;
    size_t size, count; /* size: a power of two, or 0 */
} hp_root_table_t;

typedef struct hp_roots {
    hp_root_table_t young, old;
    bool forgot; /* something was dropped since the start */
} hp_roots_t;

void hp_roots_init(hp_roots_t *self);
void hp_roots_dispose(hp_roots_t *self);
void hp_roots_add(hp_roots_t *self, const hp_shared_identity_t *identity, const uint8_t *root);

/* NULL when it is not here. Valid until the next call. */
const uint8_t *hp_roots_find(hp_roots_t *self, const hp_shared_identity_t *identity);

#endif
