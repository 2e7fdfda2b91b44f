/* A growing array of any type:
 *
 *   HP_ARRAY(thing_t) things;            in a struct; all zero is an empty array
 *   hp_array_add(&self->things)->at = 5; a new item at the end, all zero
 *   hp_array_dispose(&self->things);     frees the array, not what its items point to
 *
 * `items` and `count` may be read by anybody. Adding moves the items: no pointer to one stays valid. The room
 * doubles, so adding takes constant time on average. Where what comes from outside decides how many there
 * are, the caller has a limit. Not shared between threads. */
#ifndef HP_BASE_ARRAY_H
#define HP_BASE_ARRAY_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HP_ARRAY(type)                                                                                       \
    struct {                                                                                                 \
        type *items;                                                                                         \
        size_t count, room;                                                                                  \
    }

/* Makes room for so many items in all. */
#define hp_array_reserve(array, needed)                                                                      \
    ((void)((array)->items =                                                                                 \
                hp_array_grow_((array)->items, &(array)->room, (needed), sizeof *(array)->items)))

/* A pointer to the new item, which is all zero. The second form puts it at an index, before what is there. */
#define hp_array_add(array)                                                                                  \
    (hp_array_reserve((array), (array)->count + 1),                                                          \
     memset(&(array)->items[(array)->count], 0, sizeof *(array)->items), &(array)->items[(array)->count++])
#define hp_array_insert(array, index)                                                                        \
    (hp_array_reserve((array), (array)->count + 1),                                                          \
     hp_array_open_((array)->items, (array)->count++, (index), sizeof *(array)->items),                      \
     &(array)->items[index])

/* Takes out one item; the order of the others stays. */
#define hp_array_remove(array, index)                                                                        \
    hp_array_close_((array)->items, (array)->count--, (index), sizeof *(array)->items)

/* Forgets the items and keeps the memory; gives the memory back. */
#define hp_array_clear(array) ((void)((array)->count = 0))
#define hp_array_dispose(array)                                                                              \
    (free((array)->items), (array)->items = NULL, (void)((array)->count = (array)->room = 0))

/* For the macros. */
void *hp_array_grow_(void *items, size_t *room, size_t needed, size_t size);
void hp_array_open_(void *items, size_t count, size_t index, size_t size);
void hp_array_close_(void *items, size_t count, size_t index, size_t size);

#endif
