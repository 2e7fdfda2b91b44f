/* How often each of many senders, hosts or addresses, may do something: so many times in any window, counted
 * exactly. The number of senders is limited too: of more, the one that tried least recently is forgotten. Not
 * shared between threads. */
#ifndef HP_BASE_RATE_H
#define HP_BASE_RATE_H

#include <stdint.h>

typedef struct hp_rate hp_rate_t;

/* max times in any window_ms for each of at most so many senders; none of the three is 0. */
hp_rate_t *hp_rate_create(unsigned max, uint64_t window_ms, unsigned senders);
void hp_rate_destroy(hp_rate_t *rate);

/* Counts one more of a sender at the monotonic time now: 0, or in how many ms the next one may come; that
 * one is not counted. The first 79 bytes of a sender's name tell it from others. */
uint64_t hp_rate_take(hp_rate_t *rate, const char *sender, uint64_t now);

/* In how many ms a sender may do it once more; 0: now. Counts nothing. */
uint64_t hp_rate_wait(hp_rate_t *rate, const char *sender, uint64_t now);

/* What a sender did so far does not count any more. */
void hp_rate_forget(hp_rate_t *rate, const char *sender);

#endif
