// libs: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/send_limit.h"

#define MIB ((uint64_t)1024 * 1024)

/* The clock of a limit is turned back, so that no test waits. */
static void pass_time(hp_send_limit_t *limit, uint64_t ms)
{
    limit->at -= ms;
    HP_LIST_EACH (link, &limit->senders)
        HP_CONTAINER(link, hp_sender_t, link)->asked_at -= ms;
}

/* So often 50 ms pass, in which each sender asks for as much, in their order: what each got. */
static void send_on(hp_send_limit_t *limit, hp_sender_t *senders, const size_t *wants, size_t count,
                    unsigned rounds, uint64_t *got)
{
    for (unsigned i = 0; i < rounds; i++) {
        pass_time(limit, 50);
        for (size_t k = 0; k < count; k++)
            for (size_t left = wants[k], n; left > 0; left -= n) {
                n = hp_sender_take(&senders[k], HP_MIN(left, (size_t)32 * 1024));
                got[k] += n;
                if (n == 0)
                    break;
            }
    }
}

static void assert_about(uint64_t bytes, uint64_t due)
{
    if (bytes < due / 20 * 19 || bytes > due / 20 * 21)
        fail_msg("%llu bytes instead of %llu", (unsigned long long)bytes, (unsigned long long)due);
}

static void one_sender_gets_all_of_it(void **state)
{
    (void)state;
    hp_send_limit_t limit;
    hp_sender_t one;
    uint64_t got = 0;
    hp_send_limit_init(&limit);
    hp_sender_init(&one, &limit);
    hp_send_limit_set(&limit, MIB);
    send_on(&limit, &one, (const size_t[]){10 * MIB}, 1, 200, &got);
    assert_about(got, 10 * MIB);
    hp_sender_dispose(&one);
}

static void senders_get_the_same_whoever_asks_first(void **state)
{
    (void)state;
    hp_send_limit_t limit;
    hp_sender_t senders[3];
    uint64_t got[3] = {0};
    hp_send_limit_init(&limit);
    for (int i = 0; i < 3; i++)
        hp_sender_init(&senders[i], &limit);
    hp_send_limit_set(&limit, 3 * MIB);
    send_on(&limit, senders, (const size_t[]){10 * MIB, 10 * MIB, 10 * MIB}, 3, 200, got);
    for (int i = 0; i < 3; i++)
        assert_about(got[i], 10 * MIB);
    for (int i = 0; i < 3; i++)
        hp_sender_dispose(&senders[i]);
}

static void what_one_has_no_use_for_goes_to_the_others(void **state)
{
    (void)state;
    hp_send_limit_t limit;
    hp_sender_t senders[2];
    uint64_t got[2] = {0};
    hp_send_limit_init(&limit);
    for (int i = 0; i < 2; i++)
        hp_sender_init(&senders[i], &limit);
    hp_send_limit_set(&limit, 2 * MIB);
    send_on(&limit, senders, (const size_t[]){1024, 10 * MIB}, 2, 200, got);
    assert_int_equal(got[0], 200 * 1024);
    assert_about(got[0] + got[1], 20 * MIB);
    /* Nor is anything kept for one that asks no more. */
    got[1] = 0;
    send_on(&limit, &senders[1], (const size_t[]){10 * MIB}, 1, 200, &got[1]);
    assert_about(got[1], 20 * MIB);
    for (int i = 0; i < 2; i++)
        hp_sender_dispose(&senders[i]);
}

static void a_slow_limit_loses_nothing(void **state)
{
    (void)state;
    hp_send_limit_t limit;
    hp_sender_t senders[2];
    uint64_t got[2] = {0};
    hp_send_limit_init(&limit);
    for (int i = 0; i < 2; i++)
        hp_sender_init(&senders[i], &limit);
    hp_send_limit_set(&limit, 100);
    send_on(&limit, senders, (const size_t[]){1024, 1024}, 2, 2000, got);
    assert_about(got[0], 5000);
    assert_about(got[1], 5000);
    for (int i = 0; i < 2; i++)
        hp_sender_dispose(&senders[i]);
}

static void nothing_is_saved_up_for_more_than_a_quarter_of_a_second(void **state)
{
    (void)state;
    hp_send_limit_t limit;
    hp_sender_t one;
    hp_send_limit_init(&limit);
    hp_sender_init(&one, &limit);
    hp_send_limit_set(&limit, 4 * MIB);
    pass_time(&limit, 60000);
    assert_int_equal(hp_sender_take(&one, 100 * MIB), MIB);
    hp_sender_dispose(&one);
}

static void what_is_given_back_can_be_taken_again(void **state)
{
    (void)state;
    hp_send_limit_t limit;
    hp_sender_t one;
    hp_send_limit_init(&limit);
    hp_sender_init(&one, &limit);
    hp_send_limit_set(&limit, MIB);
    pass_time(&limit, 100);
    size_t all = hp_sender_take(&one, 10 * MIB);
    assert_true(all > 50000);
    hp_sender_give_back(&one, 50000);
    assert_true(hp_sender_take(&one, 50000) == 50000);
    hp_sender_dispose(&one);
}

static void without_a_limit_everything_goes(void **state)
{
    (void)state;
    hp_send_limit_t limit;
    hp_sender_t one, free_one;
    hp_send_limit_init(&limit);
    hp_sender_init(&one, &limit);
    hp_sender_init(&free_one, NULL);
    assert_int_equal(hp_sender_take(&one, SIZE_MAX), SIZE_MAX);
    hp_send_limit_set(&limit, 1);
    hp_sender_take(&one, 1000); /* what the clock has moved since */
    assert_int_equal(hp_sender_take(&one, 1000), 0);
    assert_int_equal(hp_sender_take(&free_one, SIZE_MAX), SIZE_MAX);
    hp_send_limit_set(&limit, UINT64_C(1) << 62);
    pass_time(&limit, 1000);
    assert_int_equal(hp_sender_take(&one, SIZE_MAX / 32), SIZE_MAX / 32);
    hp_sender_dispose(&one);
    hp_sender_dispose(&free_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_sender_gets_all_of_it),
        cmocka_unit_test(senders_get_the_same_whoever_asks_first),
        cmocka_unit_test(what_one_has_no_use_for_goes_to_the_others),
        cmocka_unit_test(a_slow_limit_loses_nothing),
        cmocka_unit_test(nothing_is_saved_up_for_more_than_a_quarter_of_a_second),
        cmocka_unit_test(what_is_given_back_can_be_taken_again),
        cmocka_unit_test(without_a_limit_everything_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
