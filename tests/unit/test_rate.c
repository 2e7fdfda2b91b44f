// libs: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/rate.h"

static void a_sender_may_try_so_often_in_any_window(void **state)
{
    (void)state;
    hp_rate_t *rate = hp_rate_create(20, 60000, 1024);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(hp_rate_take(rate, "10.0.0.1", 1000 + i * 100), 0);
    assert_int_equal(hp_rate_take(rate, "10.0.0.1", 3000), 58000);
    assert_int_equal(hp_rate_take(rate, "10.0.0.1", 60999), 1);
    assert_int_equal(hp_rate_take(rate, "10.0.0.2", 60999), 0); /* another sender has its own count */
    assert_int_equal(hp_rate_take(rate, "10.0.0.1", 61000), 0); /* the first one is a minute old */
    assert_int_equal(hp_rate_take(rate, "10.0.0.1", 61000), 100);
    hp_rate_destroy(rate);
}

static void the_limit_and_the_window_are_those_that_it_was_made_with(void **state)
{
    (void)state;
    hp_rate_t *rate = hp_rate_create(1, 3600000, 2);
    assert_int_equal(hp_rate_take(rate, "a", 5000), 0);
    assert_int_equal(hp_rate_take(rate, "a", 20000), 3600000 - 15000);
    assert_int_equal(hp_rate_take(rate, "a", 5000 + 3600000), 0);
    hp_rate_destroy(rate);
}

static void asking_how_long_to_wait_counts_nothing(void **state)
{
    (void)state;
    hp_rate_t *rate = hp_rate_create(2, 60000, 16);
    assert_int_equal(hp_rate_wait(rate, "a", 1000), 0);
    assert_int_equal(hp_rate_take(rate, "a", 1000), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(hp_rate_wait(rate, "a", 1000), 0);
    assert_int_equal(hp_rate_take(rate, "a", 2000), 0);
    assert_int_equal(hp_rate_wait(rate, "a", 3000), 58000);
    assert_int_equal(hp_rate_wait(rate, "b", 3000), 0);
    assert_int_equal(hp_rate_wait(rate, "a", 61000), 0);
    hp_rate_destroy(rate);
}

static void of_too_many_senders_the_one_that_tried_least_recently_is_forgotten(void **state)
{
    (void)state;
    enum { MAX = 10, SENDERS = 256 };
    hp_rate_t *rate = hp_rate_create(MAX, 60000, SENDERS);
    char address[64];
    for (unsigned i = 0; i < MAX; i++) {
        assert_int_equal(hp_rate_take(rate, "busy", i), 0);
        assert_int_equal(hp_rate_take(rate, "silent", i), 0);
    }
    for (unsigned i = 0; i < SENDERS - 2; i++) {
        snprintf(address, sizeof address, "fd00::%x", i);
        assert_int_equal(hp_rate_take(rate, address, 100), 0);
        assert_true(hp_rate_take(rate, "busy", 100) > 0); /* being refused is a try */
    }
    assert_true(hp_rate_take(rate, "silent", 100) > 0); /* all have room */
    for (unsigned i = SENDERS; i < 2 * SENDERS - 1; i++) {
        snprintf(address, sizeof address, "fd00::%x", i);
        assert_int_equal(hp_rate_take(rate, address, 100), 0);
        assert_true(hp_rate_take(rate, "busy", 100) > 0);
    }
    assert_int_equal(hp_rate_take(rate, "silent", 100), 0);
    assert_true(hp_rate_take(rate, "busy", 100) > 0);
    hp_rate_destroy(rate);
}

static void names_are_told_apart_by_their_first_79_bytes(void **state)
{
    (void)state;
    char a[82], b[82];
    hp_rate_t *rate = hp_rate_create(1, 60000, 4);
    for (size_t i = 0; i < 81; i++)
        a[i] = b[i] = 'x';
    a[81] = b[81] = '\0';
    b[78] = 'y';
    assert_int_equal(hp_rate_take(rate, a, 1), 0);
    assert_int_equal(hp_rate_take(rate, b, 1), 0);
    a[79] = 'y';
    assert_true(hp_rate_take(rate, a, 1) > 0);
    hp_rate_destroy(rate);
}

static void a_sender_that_is_forgotten_begins_anew(void **state)
{
    (void)state;
    hp_rate_t *rate = hp_rate_create(1, 60000, 4);
    assert_int_equal(hp_rate_take(rate, "a", 1), 0);
    assert_int_equal(hp_rate_take(rate, "b", 1), 0);
    hp_rate_forget(rate, "a");
    hp_rate_forget(rate, "nobody");
    assert_int_equal(hp_rate_take(rate, "a", 2), 0);
    assert_true(hp_rate_take(rate, "b", 2) > 0);
    hp_rate_destroy(rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sender_may_try_so_often_in_any_window),
        cmocka_unit_test(the_limit_and_the_window_are_those_that_it_was_made_with),
        cmocka_unit_test(asking_how_long_to_wait_counts_nothing),
        cmocka_unit_test(of_too_many_senders_the_one_that_tried_least_recently_is_forgotten),
        cmocka_unit_test(a_sender_that_is_forgotten_begins_anew),
        cmocka_unit_test(names_are_told_apart_by_their_first_79_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
