/* How many messages each sender, a host or an address, may send: HP_RATE_MAX in any HP_RATE_WINDOW_MS,
 * counted exactly. Of more than HP_RATE_SENDERS senders the one that was silent for longest is forgotten. Not
 * shared between threads. */
#ifndef HP_MESSAGE_RATE_H
#define HP_MESSAGE_RATE_H

#include <stdint.h>

#define HP_RATE_MAX       20
#define HP_RATE_WINDOW_MS 60000
#define HP_RATE_SENDERS   1024

typedef struct hp_rate hp_rate_t;

hp_rate_t *hp_rate_create(void);
void hp_rate_destroy(hp_rate_t *rate);

/* Counts one more of a sender at the monotonic time now: 0, or in how many ms the next one may come; that
 * one is not counted. */
uint64_t hp_rate_take(hp_rate_t *rate, const char *sender, uint64_t now);

#endif
