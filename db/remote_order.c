#include "db/remote_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define CURSOR_MAX 1024

static void keep(hp_remote_kept_item_t *kept, const hp_remote_item_t *item)
{
    kept->item = *item;
    snprintf(kept->name, sizeof kept->name, "%s", item->name);
    kept->item.name = kept->name;
}

static int compare(const hp_remote_heap_t *heap, const hp_remote_item_t *a, const hp_remote_item_t *b)
{
    if (a->is_folder != b->is_folder)
        return a->is_folder ? -1 : 1;
    /* Folders are sorted by name, whatever the files are sorted by. */
    bool by_name = heap->sort == HP_REMOTE_BY_NAME || a->is_folder;
    bool down = heap->descending && !(a->is_folder && heap->sort != HP_REMOTE_BY_NAME);
    int order = by_name ? strcmp(a->name, b->name) : a->key < b->key ? -1 : a->key > b->key;
    if (order == 0)
        order = a->id < b->id ? -1 : a->id > b->id;
    return down ? -order : order;
}

static void sift_down(hp_remote_heap_t *heap, size_t at)
{
    for (;;) {
        size_t largest = at, left = 2 * at + 1, right = left + 1;
        if (left < heap->count && compare(heap, &heap->items[left]->item, &heap->items[largest]->item) > 0)
            largest = left;
        if (right < heap->count && compare(heap, &heap->items[right]->item, &heap->items[largest]->item) > 0)
            largest = right;
        if (largest == at)
            return;
        hp_remote_kept_item_t *other = heap->items[at];
        heap->items[at] = heap->items[largest];
        heap->items[largest] = other;
        at = largest;
    }
}

void hp_remote_heap_offer(hp_remote_heap_t *heap, const hp_remote_item_t *item)
{
    if (item->is_folder)
        heap->folders++;
    else
        heap->files++;
    if (heap->cursor != NULL && compare(heap, item, heap->cursor) <= 0)
        return;
    if (heap->count == heap->room) {
        if (compare(heap, item, &heap->items[0]->item) >= 0)
            return;
        keep(heap->items[0], item);
        sift_down(heap, 0);
        return;
    }
    size_t at = heap->count++;
    heap->items[at] = hp_alloc(sizeof(hp_remote_kept_item_t));
    keep(heap->items[at], item);
    while (at > 0 && compare(heap, &heap->items[at]->item, &heap->items[(at - 1) / 2]->item) > 0) {
        hp_remote_kept_item_t *other = heap->items[at];
        heap->items[at] = heap->items[(at - 1) / 2];
        heap->items[(at - 1) / 2] = other;
        at = (at - 1) / 2;
    }
}

void hp_remote_heap_sort(hp_remote_heap_t *heap)
{
    size_t count = heap->count;
    while (heap->count > 1) {
        hp_remote_kept_item_t *last = heap->items[0];
        heap->items[0] = heap->items[--heap->count];
        heap->items[heap->count] = last;
        sift_down(heap, 0);
    }
    heap->count = count;
}

void hp_remote_heap_dispose(hp_remote_heap_t *heap)
{
    for (size_t i = 0; i < heap->count; i++)
        free(heap->items[i]);
    free(heap->items);
}

/* ---- cursors: "d" or "f", the key, the id, the name, with "_" between them ---- */

char *hp_remote_cursor_write(const hp_remote_item_t *item)
{
    char *name = hp_path_encode(item->name, strlen(item->name), false);
    char *text = hp_sprintf("%c_%lld_%lld_%s", item->is_folder ? 'd' : 'f', (long long)item->key,
                            (long long)item->id, name);
    free(name);
    return text;
}

int hp_remote_cursor_read(const char *text, hp_remote_kept_item_t *cursor, hp_err_t *err)
{
    char kind;
    long long key, id;
    size_t length;
    int used = 0;
    if (strlen(text) > CURSOR_MAX || sscanf(text, "%c_%lld_%lld_%n", &kind, &key, &id, &used) != 3 ||
        used == 0 || (kind != 'd' && kind != 'f') ||
        hp_path_decode(text + used, strlen(text + used), cursor->name, sizeof cursor->name, &length) != 0)
        return hp_err_set(err, HP_E_INVALID, "cursor is not one that a page gave");
    cursor->item = (hp_remote_item_t){.is_folder = kind == 'd', .key = key, .id = id, .name = cursor->name};
    return 0;
}
