/* An intrusive list: elements hold their links, so that adding and removing takes no memory and no search.
 * Doubly linked and circular; a list's head is a link of its own. Not shared between threads.
 *
 *     hp_list_t list;                     the head
 *     struct thing { hp_link_t link; ... };
 *     HP_LIST_EACH(link, &list) {         the present element may be removed or freed meanwhile, no other
 *         thing_t *thing = HP_CONTAINER(link, thing_t, link);
 *     }
 */
#ifndef HP_BASE_LIST_H
#define HP_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

typedef struct hp_link {
    struct hp_link *next, *previous; /* NULL: in no list */
} hp_link_t;

typedef struct hp_list {
    hp_link_t head;
} hp_list_t;

static inline void hp_list_init(hp_list_t *list)
{
    list->head.next = list->head.previous = &list->head;
}

static inline bool hp_list_is_empty(const hp_list_t *list)
{
    return list->head.next == &list->head;
}

static inline bool hp_link_is_linked(const hp_link_t *link)
{
    return link->next != NULL;
}

/* Before another element; before the head is at the end. */
static inline void hp_link_insert_before(hp_link_t *link, hp_link_t *other)
{
    link->next = other;
    link->previous = other->previous;
    other->previous->next = link;
    other->previous = link;
}

static inline void hp_list_add(hp_list_t *list, hp_link_t *link)
{
    hp_link_insert_before(link, &list->head);
}

static inline void hp_list_add_first(hp_list_t *list, hp_link_t *link)
{
    hp_link_insert_before(link, list->head.next);
}

/* Does nothing for a link that is in no list. */
static inline void hp_link_remove(hp_link_t *link)
{
    if (link->next == NULL)
        return;
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->next = link->previous = NULL;
}

/* NULL: the list is empty. */
static inline hp_link_t *hp_list_first(const hp_list_t *list)
{
    return hp_list_is_empty(list) ? NULL : list->head.next;
}

/* NULL: the list is empty. */
static inline hp_link_t *hp_list_take_first(hp_list_t *list)
{
    hp_link_t *link = hp_list_first(list);
    if (link != NULL)
        hp_link_remove(link);
    return link;
}

/* Moves all elements of another list to the end of this one, however many, in the same time. */
static inline void hp_list_take_all(hp_list_t *list, hp_list_t *other)
{
    if (hp_list_is_empty(other))
        return;
    hp_link_t *first = other->head.next, *last = other->head.previous, *end = list->head.previous;
    end->next = first;
    first->previous = end;
    last->next = &list->head;
    list->head.previous = last;
    hp_list_init(other);
}

#define HP_LIST_EACH(at, list)                                                                               \
    for (hp_link_t *at = (list)->head.next, *at##_next = at->next; at != &(list)->head;                      \
         at = at##_next, at##_next = at->next)

#endif
