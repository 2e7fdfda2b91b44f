// libs: transfer path os base
/* Speed over the last seconds, and limits whose average is exact. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/clock.h"
#include "transfer/meter.h"

static void a_steady_stream_is_measured_as_it_is(void **state)
{
    (void)state;
    hp_meter_t meter = {0};
    uint64_t now = 1000000;
    for (int i = 0; i < 1000; i++, now += 10)
        hp_meter_add(&meter, 10000, now); /* 1 MB a second */
    uint64_t bps = hp_meter_bps(&meter, now);
    assert_in_range(bps, 950000, 1050000);
}

static void a_stream_that_stops_is_at_zero_after_the_window(void **state)
{
    (void)state;
    hp_meter_t meter = {0};
    hp_meter_add(&meter, 1000000, 5000);
    assert_true(hp_meter_bps(&meter, 5200) > 0);
    assert_int_equal(hp_meter_bps(&meter, 5000 + (HP_METER_SLOTS + 1) * HP_METER_SLOT_MS), 0);
}

static void a_meter_that_saw_nothing_is_at_zero(void **state)
{
    (void)state;
    hp_meter_t meter = {0};
    assert_int_equal(hp_meter_bps(&meter, 123456), 0);
}

/* As if so much time went by; what really goes by comes on top. */
static void pass_time(hp_bucket_t *bucket, uint64_t ms)
{
    bucket->at_ns -= ms * 1000000;
}

/* Takes pieces as long as it may; how many bytes. */
static uint64_t take_all(hp_bucket_t *bucket, uint64_t piece)
{
    uint64_t taken = 0;
    for (; hp_bucket_open(bucket); taken += piece)
        hp_bucket_take(bucket, piece);
    return taken;
}

static void a_limit_is_kept_on_average(void **state)
{
    (void)state;
    const uint64_t rate = 10000000, piece = 16384;
    uint64_t taken = 0, start = hp_clock_ns();
    hp_bucket_t bucket;
    hp_bucket_set(&bucket, rate);
    for (int i = 0; i < 1000; i++) {
        pass_time(&bucket, i % 2 == 0 ? 1 : 199);
        taken += take_all(&bucket, piece);
    }
    double most = (double)rate * (100 + (double)(hp_clock_ns() - start) / 1e9);
    assert_in_range(taken, 100 * rate - piece, (uint64_t)most + piece);
}

static void no_more_is_made_up_than_the_burst(void **state)
{
    (void)state;
    const uint64_t rate = 10000000, piece = 16384, burst = rate * HP_BUCKET_BURST_MS / 1000;
    hp_bucket_t bucket;
    hp_bucket_set(&bucket, rate);
    pass_time(&bucket, 60000);
    uint64_t start = hp_clock_ns(), taken = take_all(&bucket, piece);
    double most = (double)burst + (double)rate * (double)(hp_clock_ns() - start) / 1e9;
    assert_in_range(taken, burst, (uint64_t)most + piece);
}

static void no_limit_is_always_open(void **state)
{
    (void)state;
    hp_bucket_t bucket;
    hp_bucket_set(&bucket, 0);
    hp_bucket_take(&bucket, UINT64_MAX / 2);
    assert_true(hp_bucket_open(&bucket));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_stream_is_measured_as_it_is),
        cmocka_unit_test(a_stream_that_stops_is_at_zero_after_the_window),
        cmocka_unit_test(a_meter_that_saw_nothing_is_at_zero),
        cmocka_unit_test(a_limit_is_kept_on_average),
        cmocka_unit_test(no_more_is_made_up_than_the_burst),
        cmocka_unit_test(no_limit_is_always_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
