#include "transfer/meter.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static void advance(hp_meter_t *self, uint64_t now_ms)
{
    uint64_t slot = now_ms / HP_METER_SLOT_MS;
    if (self->first == 0)
        self->first = self->slot = slot;
    if (slot - self->slot >= HP_METER_SLOTS) {
        memset(self->slots, 0, sizeof self->slots);
        self->slot = slot;
    }
    while (self->slot < slot)
        self->slots[++self->slot % HP_METER_SLOTS] = 0;
}

void hp_meter_add(hp_meter_t *self, uint64_t bytes, uint64_t now_ms)
{
    advance(self, now_ms);
    self->slots[self->slot % HP_METER_SLOTS] += bytes;
}

uint64_t hp_meter_bps(hp_meter_t *self, uint64_t now_ms)
{
    if (self->first == 0)
        return 0;
    advance(self, now_ms);
    uint64_t sum = 0;
    for (unsigned i = 0; i < HP_METER_SLOTS; i++)
        sum += self->slots[i];
    /* The present slot counts for the part of it that has gone by. */
    uint64_t slots = HP_MIN(self->slot - self->first, (uint64_t)HP_METER_SLOTS - 1);
    uint64_t ms = slots * HP_METER_SLOT_MS + now_ms % HP_METER_SLOT_MS;
    return ms > 0 ? sum * 1000 / HP_MAX(ms, (uint64_t)HP_METER_SLOT_MS) : 0;
}

void hp_bucket_set(hp_bucket_t *self, uint64_t rate)
{
    *self = (hp_bucket_t){.rate = rate, .at_ns = hp_clock_ns()};
}

bool hp_bucket_open(hp_bucket_t *self)
{
    if (self->rate == 0)
        return true;
    uint64_t now = hp_clock_ns();
    self->tokens += (double)(now - self->at_ns) * 1e-9 * (double)self->rate;
    self->tokens = HP_MIN(self->tokens, (double)self->rate * HP_BUCKET_BURST_MS / 1000);
    self->at_ns = now;
    return self->tokens > 0;
}

void hp_bucket_take(hp_bucket_t *self, uint64_t bytes)
{
    if (self->rate > 0)
        self->tokens -= (double)bytes;
}
