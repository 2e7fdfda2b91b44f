/* Speed over the last seconds, and token buckets that keep a limit. Loop thread. */
#ifndef HP_TRANSFER_METER_H
#define HP_TRANSFER_METER_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes in slots of HP_METER_SLOT_MS; the speed is the mean over the finished ones. */
#define HP_METER_SLOTS   12
#define HP_METER_SLOT_MS 250

typedef struct hp_meter {
    uint64_t slots[HP_METER_SLOTS];
    uint64_t slot;  /* number of the present slot since the clock's zero */
    uint64_t first; /* the slot in which the meter began; 0: nothing yet */
} hp_meter_t;

void hp_meter_add(hp_meter_t *self, uint64_t bytes, uint64_t now_ms);
uint64_t hp_meter_bps(hp_meter_t *self, uint64_t now_ms);

/* Rate in bytes a second, 0: no limit. A piece may be taken while the bucket is not empty, and may overdraw
 * it, so that pieces need no cutting; the average is exact. */
typedef struct hp_bucket {
    uint64_t rate;
    double tokens;
    uint64_t at_ns;
} hp_bucket_t;

/* What an idle bucket saves up: when a busy machine lets the loop run late, so much is made up. */
#define HP_BUCKET_BURST_MS 250

void hp_bucket_set(hp_bucket_t *self, uint64_t rate);
bool hp_bucket_open(hp_bucket_t *self);
void hp_bucket_take(hp_bucket_t *self, uint64_t bytes);

#endif
