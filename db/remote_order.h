/* The order of the rows of a page, for pages that no index gives: of all rows of a list those that come first
 * after the cursor are kept. For db/remote_*.c alone. Any thread. */
#ifndef HP_DB_REMOTE_ORDER_H
#define HP_DB_REMOTE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/path.h"
#include "db/remote_file.h"

typedef struct hp_remote_item {
    bool is_folder;
    int64_t key; /* size or time; 0 when sorted by name */
    int64_t id;
    const char *name; /* in lower case; "" when not sorted by name */
} hp_remote_item_t;

/* An item with room for its name: one that is kept, or a cursor. */
typedef struct hp_remote_kept_item {
    hp_remote_item_t item;
    char name[HP_NAME_MAX + 1];
} hp_remote_kept_item_t;

/* The first `room` items after the cursor: a heap with the last of them on top. */
typedef struct hp_remote_heap {
    hp_remote_sort_t sort;
    bool descending;
    const hp_remote_item_t *cursor; /* NULL: from the start */
    hp_remote_kept_item_t **items;
    size_t count, room;
    int64_t folders, files; /* all that were offered */
} hp_remote_heap_t;

/* Takes the item when it is among the first; counts it in any case. */
void hp_remote_heap_offer(hp_remote_heap_t *heap, const hp_remote_item_t *item);
/* Puts the items in the order of the page. */
void hp_remote_heap_sort(hp_remote_heap_t *heap);
void hp_remote_heap_dispose(hp_remote_heap_t *heap);

/* The cursor of a page that goes on after an item, malloced; and back: 0 or HP_E_INVALID. */
char *hp_remote_cursor_write(const hp_remote_item_t *item);
int hp_remote_cursor_read(const char *text, hp_remote_kept_item_t *cursor, hp_err_t *err);

#endif
