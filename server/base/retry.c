#include "base/retry.h"

#include <limits.h>

#include "base/mem.h"
#include "base/random.h"

static uint64_t with_jitter(const hp_retry_policy_t *policy, uint64_t pause)
{
    return pause + hp_random_below(pause * policy->jitter / 100 + 1);
}

uint64_t hp_retry_pause(const hp_retry_policy_t *policy, unsigned failures)
{
    uint64_t pause = policy->first_ms;
    for (unsigned i = 1; i < failures && pause < policy->max_ms; i++)
        pause *= 2;
    return with_jitter(policy, HP_MIN(pause, (uint64_t)policy->max_ms));
}

static void count_failure(hp_retry_t *self)
{
    if (self->failures < UINT_MAX)
        self->failures++;
}

uint64_t hp_retry_failed(hp_retry_t *self, const hp_retry_policy_t *policy, uint64_t now)
{
    count_failure(self);
    return self->at = now + hp_retry_pause(policy, self->failures);
}

uint64_t hp_retry_asked_to_wait(hp_retry_t *self, const hp_retry_policy_t *policy, uint64_t now,
                                uint64_t wait_ms)
{
    count_failure(self);
    return self->at = now + with_jitter(policy, HP_MAX(wait_ms, (uint64_t)policy->first_ms));
}

void hp_retry_reset(hp_retry_t *self)
{
    *self = (hp_retry_t){0};
}

bool hp_retry_is_due(const hp_retry_t *self, uint64_t now)
{
    return now >= self->at;
}
