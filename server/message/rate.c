#include "message/rate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BUCKETS 256 /* a power of two */

typedef struct sender {
    struct sender *in_bucket;
    struct sender *newer, *older; /* by the last time that it was counted */
    char key[64];
    uint64_t times[HP_RATE_MAX]; /* of the last ones; a ring */
    unsigned count, next;
} sender_t;

struct hp_rate {
    sender_t *buckets[BUCKETS];
    sender_t *newest, *oldest;
    unsigned count;
};

hp_rate_t *hp_rate_create(void)
{
    return hp_alloc(sizeof(hp_rate_t));
}

void hp_rate_destroy(hp_rate_t *rate)
{
    for (sender_t *sender = rate->newest, *older; sender != NULL; sender = older) {
        older = sender->older;
        free(sender);
    }
    free(rate);
}

static sender_t **bucket_of(hp_rate_t *rate, const char *key)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const unsigned char *p = (const unsigned char *)key; *p != '\0'; p++)
        hash = (hash ^ *p) * 16777619u;
    return &rate->buckets[(hash ^ (hash >> 15)) % BUCKETS];
}

static void unlink_sender(hp_rate_t *rate, sender_t *sender)
{
    *(sender->newer != NULL ? &sender->newer->older : &rate->newest) = sender->older;
    *(sender->older != NULL ? &sender->older->newer : &rate->oldest) = sender->newer;
}

static void put_first(hp_rate_t *rate, sender_t *sender)
{
    sender->newer = NULL;
    sender->older = rate->newest;
    *(rate->newest != NULL ? &rate->newest->newer : &rate->oldest) = sender;
    rate->newest = sender;
}

static void forget_oldest(hp_rate_t *rate)
{
    sender_t *oldest = rate->oldest, **at = bucket_of(rate, oldest->key);
    while (*at != oldest)
        at = &(*at)->in_bucket;
    *at = oldest->in_bucket;
    unlink_sender(rate, oldest);
    free(oldest);
    rate->count--;
}

static sender_t *find(hp_rate_t *rate, const char *key)
{
    sender_t *sender = *bucket_of(rate, key);
    while (sender != NULL && strncmp(sender->key, key, sizeof sender->key - 1) != 0)
        sender = sender->in_bucket;
    if (sender != NULL) {
        unlink_sender(rate, sender);
    } else {
        if (rate->count == HP_RATE_SENDERS)
            forget_oldest(rate);
        sender = hp_alloc(sizeof *sender);
        snprintf(sender->key, sizeof sender->key, "%s", key);
        sender_t **at = bucket_of(rate, sender->key);
        sender->in_bucket = *at;
        *at = sender;
        rate->count++;
    }
    put_first(rate, sender);
    return sender;
}

uint64_t hp_rate_take(hp_rate_t *rate, const char *key, uint64_t now)
{
    sender_t *sender = find(rate, key);
    uint64_t first = sender->times[sender->next]; /* the oldest one when the ring is full */
    if (sender->count == HP_RATE_MAX && now - first < HP_RATE_WINDOW_MS)
        return first + HP_RATE_WINDOW_MS - now;
    sender->times[sender->next] = now;
    sender->next = (sender->next + 1) % HP_RATE_MAX;
    if (sender->count < HP_RATE_MAX)
        sender->count++;
    return 0;
}
