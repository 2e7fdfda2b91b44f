/* When to try again what has failed: the first pause, doubled after each further failure up to a maximum, and
 * some jitter, so that many who failed together do not come back together. The one policy for everything that
 * asks another host or the disk again. Never blocks; not shared between threads. */
#ifndef HP_BASE_RETRY_H
#define HP_BASE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct hp_retry_policy {
    uint32_t first_ms, max_ms; /* the first pause and the longest, without jitter */
    uint8_t jitter;            /* a pause is longer by up to so many percent of it */
} hp_retry_policy_t;

#define HP_RETRY_JITTER 25 /* percent; the usual */

/* What one thing that is tried again remembers. All zero: it has not failed, and is due. */
typedef struct hp_retry {
    unsigned failures; /* in a row */
    uint64_t at;       /* hp_clock_ms; not before */
} hp_retry_t;

/* The pause after so many failures in a row (1 the first), in ms with jitter. */
uint64_t hp_retry_pause(const hp_retry_policy_t *policy, unsigned failures);

/* It failed once more: it is due again after a pause. Returns when. */
uint64_t hp_retry_failed(hp_retry_t *self, const hp_retry_policy_t *policy, uint64_t now);

/* The same where the other side has said how long to wait (Retry-After, RFC 9110 section 10.2.3): at least so
 * long, and no less than the first pause. */
uint64_t hp_retry_asked_to_wait(hp_retry_t *self, const hp_retry_policy_t *policy, uint64_t now,
                                uint64_t wait_ms);

/* It worked, or somebody wants it tried at once. */
void hp_retry_reset(hp_retry_t *self);

bool hp_retry_is_due(const hp_retry_t *self, uint64_t now);

#endif
