#include "base/rate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"

#define BUCKETS   256 /* a power of two */
#define NAME_SIZE 80

typedef struct sender {
    struct sender *in_bucket;
    hp_link_t link;
    char name[NAME_SIZE];
    unsigned count, next;
    uint64_t times[]; /* the last max ones; a ring */
} sender_t;

struct hp_rate {
    unsigned max, senders;
    uint64_t window_ms;
    sender_t *buckets[BUCKETS];
    hp_list_t recent; /* the sender that tried last comes first */
    unsigned count;
};

hp_rate_t *hp_rate_create(unsigned max, uint64_t window_ms, unsigned senders)
{
    hp_rate_t *rate = hp_alloc(sizeof *rate);
    rate->max = max;
    rate->window_ms = window_ms;
    rate->senders = senders;
    hp_list_init(&rate->recent);
    return rate;
}

void hp_rate_destroy(hp_rate_t *rate)
{
    for (hp_link_t *link; (link = hp_list_take_first(&rate->recent)) != NULL;)
        free(HP_CONTAINER(link, sender_t, link));
    free(rate);
}

static sender_t **bucket_of(hp_rate_t *rate, const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const unsigned char *p = (const unsigned char *)name; *p != '\0'; p++)
        hash = (hash ^ *p) * 16777619u;
    return &rate->buckets[(hash ^ (hash >> 15)) % BUCKETS];
}

static void forget(hp_rate_t *rate, sender_t *sender)
{
    sender_t **at = bucket_of(rate, sender->name);
    while (*at != sender)
        at = &(*at)->in_bucket;
    *at = sender->in_bucket;
    hp_link_remove(&sender->link);
    free(sender);
    rate->count--;
}

static sender_t *add(hp_rate_t *rate, const char *name)
{
    if (rate->count == rate->senders)
        forget(rate, HP_CONTAINER(rate->recent.head.previous, sender_t, link));
    sender_t *sender = hp_alloc(sizeof *sender + rate->max * sizeof *sender->times);
    sender_t **at = bucket_of(rate, name);
    snprintf(sender->name, sizeof sender->name, "%s", name);
    sender->in_bucket = *at;
    *at = sender;
    rate->count++;
    return sender;
}

/* NULL: not known. */
static sender_t *known(hp_rate_t *rate, const char *name)
{
    sender_t *sender = *bucket_of(rate, name);
    while (sender != NULL && strcmp(sender->name, name) != 0)
        sender = sender->in_bucket;
    return sender;
}

static char *cut_name(const char *text, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%s", text);
    return name;
}

static sender_t *find(hp_rate_t *rate, const char *text)
{
    char name[NAME_SIZE];
    sender_t *sender = known(rate, cut_name(text, name));
    if (sender == NULL)
        sender = add(rate, name);
    hp_link_remove(&sender->link);
    hp_list_add_first(&rate->recent, &sender->link);
    return sender;
}

static uint64_t wait_of(const hp_rate_t *rate, const sender_t *sender, uint64_t now)
{
    uint64_t first = sender->times[sender->next]; /* the oldest one when the ring is full */
    return sender->count == rate->max && now - first < rate->window_ms ? first + rate->window_ms - now : 0;
}

uint64_t hp_rate_wait(hp_rate_t *rate, const char *text, uint64_t now)
{
    char name[NAME_SIZE];
    const sender_t *sender = known(rate, cut_name(text, name));
    return sender != NULL ? wait_of(rate, sender, now) : 0;
}

uint64_t hp_rate_take(hp_rate_t *rate, const char *name, uint64_t now)
{
    sender_t *sender = find(rate, name);
    uint64_t wait = wait_of(rate, sender, now);
    if (wait > 0)
        return wait;
    sender->times[sender->next] = now;
    sender->next = (sender->next + 1) % rate->max;
    if (sender->count < rate->max)
        sender->count++;
    return 0;
}

void hp_rate_forget(hp_rate_t *rate, const char *text)
{
    char name[NAME_SIZE];
    sender_t *sender = known(rate, cut_name(text, name));
    if (sender != NULL)
        forget(rate, sender);
}
