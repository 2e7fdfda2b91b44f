/* The speed at which bytes may leave, kept by all that send together: a bucket that fills with time. Each
 * sender that has asked lately gets the same part of what comes in, and what one of them has no use for goes
 * to the others. Loop thread. */
#ifndef HP_BASE_SEND_LIMIT_H
#define HP_BASE_SEND_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define HP_SEND_LIMIT_RETRY_MS 50 /* a sender that got nothing asks again after so long */

typedef struct hp_send_limit {
    uint64_t bps; /* bytes a second; 0: no limit */
    uint64_t at;  /* hp_clock_ms: until then it has filled */
    uint64_t rest;
    hp_list_t senders;
} hp_send_limit_t;

/* A listener with all its replies, an upload. */
typedef struct hp_sender {
    hp_link_t link;
    hp_send_limit_t *limit; /* NULL: none */
    uint64_t tokens, asked_at;
} hp_sender_t;

/* No limit. It outlives its senders. */
void hp_send_limit_init(hp_send_limit_t *self);
void hp_send_limit_set(hp_send_limit_t *self, uint64_t bytes_a_second);

/* limit: NULL for a sender that no limit holds. */
void hp_sender_init(hp_sender_t *self, hp_send_limit_t *limit);
void hp_sender_dispose(hp_sender_t *self);

/* How many of want bytes may go now; what is not sent is given back. */
size_t hp_sender_take(hp_sender_t *self, size_t want);
void hp_sender_give_back(hp_sender_t *self, size_t bytes);

static inline bool hp_sender_is_limited(const hp_sender_t *self)
{
    return self->limit != NULL && self->limit->bps != 0;
}

#endif
