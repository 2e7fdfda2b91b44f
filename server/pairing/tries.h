/* How often each host has begun to pair: HP_TRIES_MAX in any HP_TRIES_WINDOW_MS, counted exactly. Of more
 * than HP_TRIES_HOSTS hosts the one that began least recently is forgotten. One thread. */
#ifndef HP_PAIRING_TRIES_H
#define HP_PAIRING_TRIES_H

#include <stddef.h>
#include <stdint.h>

#include "path/endpoint.h"

#define HP_TRIES_MAX       10
#define HP_TRIES_WINDOW_MS 3600000
#define HP_TRIES_HOSTS     256

typedef struct hp_try_host {
    char id[HP_PEER_ID_SIZE];
    uint64_t times[HP_TRIES_MAX]; /* of the last ones; a ring */
    unsigned count, next;
    uint64_t last;
} hp_try_host_t;

/* All zero: nobody has begun. */
typedef struct hp_tries {
    hp_try_host_t hosts[HP_TRIES_HOSTS];
    size_t count;
} hp_tries_t;

/* Counts one more of a host at the monotonic time now: 0, or in how many ms the next one may come; that one
 * is not counted. */
uint64_t hp_tries_take(hp_tries_t *self, const char *id, uint64_t now);

#endif
