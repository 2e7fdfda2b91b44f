/* What an owner has outstanding: jobs of the pool and the store, requests, handles that are being closed. It
 * counts all of them in one place, and is told when the last one has ended, so that it may free itself.
 *
 *   hp_pending_add(&self->pending);                       before something begins that will call back
 *   hp_pending_drop(&self->pending);                      at the end of that callback
 *   hp_pending_when_none(&self->pending, finish, self);   at the owner's end
 *
 * All zero is a count of none. hp_pool_post and hp_store_post_counted count their jobs themselves. One
 * thread. */
#ifndef HP_BASE_PENDING_H
#define HP_BASE_PENDING_H

#include <stdbool.h>

typedef struct hp_pending {
    unsigned count;
    void (*none)(void *arg); /* NULL: nobody waits */
    void *arg;
} hp_pending_t;

void hp_pending_add(hp_pending_t *self);
bool hp_pending_is_none(const hp_pending_t *self);

/* The last thing to do with the owner: it may be gone on return. */
void hp_pending_drop(hp_pending_t *self);

/* Calls none once: at once when nothing is outstanding, else inside the drop of the last. What is added
 * before then is waited for as well. One waiter at a time. */
void hp_pending_when_none(hp_pending_t *self, void (*none)(void *arg), void *arg);

#endif
