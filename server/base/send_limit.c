#include "base/send_limit.h"

#include "base/clock.h"
#include "base/mem.h"

#define BURST_MS  250                   /* when a busy machine lets the loop run late, so much is made up */
#define BURST_MIN ((uint64_t)16 * 1024) /* bytes */
#define ACTIVE_MS 250                   /* a sender that has not asked for so long gets nothing */

void hp_send_limit_init(hp_send_limit_t *self)
{
    *self = (hp_send_limit_t){.bps = 0};
    hp_list_init(&self->senders);
}

void hp_send_limit_set(hp_send_limit_t *self, uint64_t bytes_a_second)
{
    self->bps = bytes_a_second;
    self->rest = 0;
    self->at = hp_clock_ms();
    HP_LIST_EACH (link, &self->senders)
        HP_CONTAINER(link, hp_sender_t, link)->tokens = 0;
}

void hp_sender_init(hp_sender_t *self, hp_send_limit_t *limit)
{
    *self = (hp_sender_t){.limit = limit};
    if (limit != NULL)
        hp_list_add(&limit->senders, &self->link);
}

void hp_sender_dispose(hp_sender_t *self)
{
    if (self->limit != NULL)
        hp_link_remove(&self->link);
    self->limit = NULL;
}

/* What a speed amounts to in a time of at most a second; no speed is too high for it. */
static uint64_t bytes_in(uint64_t bytes_a_second, uint64_t ms)
{
    return bytes_a_second / 1000 * ms + bytes_a_second % 1000 * ms / 1000;
}

/* Nothing is kept for senders that are silent. */
static uint64_t count_active(hp_send_limit_t *self, uint64_t now)
{
    uint64_t count = 0;
    HP_LIST_EACH (link, &self->senders) {
        hp_sender_t *sender = HP_CONTAINER(link, hp_sender_t, link);
        if (now - sender->asked_at <= ACTIVE_MS)
            count++;
        else
            sender->tokens = 0;
    }
    return count;
}

/* Shares out what has come in since the last time among those that are active; one of them asks. */
static void fill(hp_send_limit_t *self, uint64_t now)
{
    uint64_t grown = bytes_in(self->bps, HP_MIN(now - self->at, (uint64_t)1000));
    if (grown == 0) /* else the remainder of a slow limit would be lost */
        return;
    uint64_t count = count_active(self, now), spare = 0;
    uint64_t room = HP_MAX(bytes_in(self->bps, BURST_MS) / count, BURST_MIN);
    self->at = now;
    grown += self->rest;
    self->rest = grown % count;
    HP_LIST_EACH (link, &self->senders) {
        hp_sender_t *sender = HP_CONTAINER(link, hp_sender_t, link);
        if (now - sender->asked_at > ACTIVE_MS)
            continue;
        uint64_t tokens = sender->tokens + grown / count;
        sender->tokens = HP_MIN(tokens, room);
        spare += tokens - sender->tokens;
    }
    HP_LIST_EACH (link, &self->senders) {
        hp_sender_t *sender = HP_CONTAINER(link, hp_sender_t, link);
        if (spare == 0 || now - sender->asked_at > ACTIVE_MS)
            continue;
        uint64_t more = HP_MIN(spare, room - sender->tokens);
        sender->tokens += more;
        spare -= more;
    }
}

size_t hp_sender_take(hp_sender_t *self, size_t want)
{
    if (!hp_sender_is_limited(self))
        return want;
    self->asked_at = hp_clock_ms();
    fill(self->limit, self->asked_at);
    size_t taken = (size_t)HP_MIN((uint64_t)want, self->tokens);
    self->tokens -= taken;
    return taken;
}

void hp_sender_give_back(hp_sender_t *self, size_t bytes)
{
    if (hp_sender_is_limited(self))
        self->tokens += bytes;
}
