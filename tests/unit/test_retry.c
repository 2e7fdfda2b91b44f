// libs: base
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/retry.h"

static const hp_retry_policy_t exact = {.first_ms = 500, .max_ms = 30000};
static const hp_retry_policy_t jittered = {.first_ms = 1000, .max_ms = 60000, .jitter = HP_RETRY_JITTER};

static void pauses_double_up_to_the_maximum(void **state)
{
    (void)state;
    static const uint64_t pauses[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
    hp_retry_t retry = {0};
    uint64_t now = 7000;
    assert_true(hp_retry_is_due(&retry, now));
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        assert_int_equal(hp_retry_failed(&retry, &exact, now), now + pauses[i]);
        assert_int_equal(retry.failures, i + 1);
        assert_false(hp_retry_is_due(&retry, now + pauses[i] - 1));
        assert_true(hp_retry_is_due(&retry, now + pauses[i]));
    }
    assert_int_equal(hp_retry_pause(&exact, UINT_MAX), 30000);
    hp_retry_reset(&retry);
    assert_true(hp_retry_is_due(&retry, 0));
    assert_int_equal(hp_retry_failed(&retry, &exact, now), now + 500);
}

static void jitter_spreads_those_who_failed_together(void **state)
{
    (void)state;
    uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < 2000; i++) {
        uint64_t pause = hp_retry_pause(&jittered, 3);
        least = pause < least ? pause : least;
        most = pause > most ? pause : most;
    }
    assert_in_range(least, 4000, 4050);
    assert_in_range(most, 4950, 5000);
}

static void the_other_sides_wish_is_kept(void **state)
{
    (void)state;
    hp_retry_t retry = {0};
    assert_int_equal(hp_retry_asked_to_wait(&retry, &exact, 100, 45000), 45100); /* beyond the maximum, too */
    assert_int_equal(retry.failures, 1);
    assert_int_equal(hp_retry_asked_to_wait(&retry, &exact, 100, 0), 600);
}

static void the_same_seed_gives_the_same_numbers(void **state)
{
    (void)state;
    uint64_t first[8];
    hp_random_seed(42);
    for (int i = 0; i < 8; i++)
        first[i] = hp_random_below(UINT64_MAX);
    hp_random_seed(42);
    for (int i = 0; i < 8; i++)
        assert_true(hp_random_below(UINT64_MAX) == first[i]);
    hp_random_seed(43);
    assert_true(hp_random_below(UINT64_MAX) != first[0]);
}

static void numbers_below_a_bound_are_equally_likely(void **state)
{
    (void)state;
    unsigned counts[7] = {0};
    hp_random_seed(1);
    for (int i = 0; i < 70000; i++)
        counts[hp_random_below(7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 9600, 10400);
    assert_int_equal(hp_random_below(0), 0);
    assert_int_equal(hp_random_below(1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_double_up_to_the_maximum),
        cmocka_unit_test(jitter_spreads_those_who_failed_together),
        cmocka_unit_test(the_other_sides_wish_is_kept),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(numbers_below_a_bound_are_equally_likely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
