// libs: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/signal.h"

typedef struct thing {
    int number;
    void *pointer;
} thing_t;

static void items_are_added_zeroed_and_stay_in_order(void **state)
{
    (void)state;
    HP_ARRAY(thing_t) things = {0};
    for (int i = 0; i < 1000; i++) {
        thing_t *thing = hp_array_add(&things);
        assert_int_equal(thing->number, 0);
        assert_null(thing->pointer);
        *thing = (thing_t){.number = i, .pointer = &things};
    }
    assert_int_equal(things.count, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(things.items[i].number, i);
    hp_array_clear(&things);
    assert_null(hp_array_add(&things)->pointer); /* of memory that was used before */
    hp_array_dispose(&things);
    assert_null(things.items);
    assert_int_equal(things.count + things.room, 0);
}

static void items_are_inserted_and_removed_anywhere(void **state)
{
    (void)state;
    HP_ARRAY(int) numbers = {0};
    *hp_array_insert(&numbers, 0) = 3;
    *hp_array_insert(&numbers, 0) = 1;
    *hp_array_insert(&numbers, 1) = 2;
    *hp_array_insert(&numbers, 3) = 4;
    for (int i = 0; i < 4; i++)
        assert_int_equal(numbers.items[i], i + 1);
    hp_array_remove(&numbers, 3);
    hp_array_remove(&numbers, 0);
    assert_int_equal(numbers.count, 2);
    assert_int_equal(numbers.items[0], 2);
    assert_int_equal(numbers.items[1], 3);
    hp_array_dispose(&numbers);
}

static void room_is_made_once_for_many(void **state)
{
    (void)state;
    HP_ARRAY(int) numbers = {0};
    hp_array_reserve(&numbers, 100);
    const int *at = numbers.items;
    for (int i = 0; i < 100; i++)
        *hp_array_add(&numbers) = i;
    assert_ptr_equal(numbers.items, at);
    hp_array_dispose(&numbers);
}

/* ---- signals ---- */

typedef void number_fn(void *arg, int number);
typedef struct bell {
    HP_SIGNAL(number_fn) rung;
    int heard[3];
} bell_t;

static void on_first(void *arg, int number)
{
    ((bell_t *)arg)->heard[0] += number;
}

static void on_second(void *arg, int number)
{
    ((bell_t *)arg)->heard[1] += number;
}

static void on_once(void *arg, int number)
{
    bell_t *bell = arg;
    bell->heard[2] += number;
    hp_signal_remove(&bell->rung, on_once, arg);
    hp_signal_remove(&bell->rung, on_second, arg);
    hp_signal_add(&bell->rung, on_first, arg);
}

static void all_listeners_hear_of_an_event(void **state)
{
    (void)state;
    bell_t bell = {0};
    hp_signal_emit(&bell.rung, 1);
    for (int i = 0; i < 50; i++)
        hp_signal_add(&bell.rung, i % 2 == 0 ? on_first : on_second, &bell);
    hp_signal_emit(&bell.rung, 2);
    assert_int_equal(bell.heard[0], 50);
    assert_int_equal(bell.heard[1], 50);
    hp_signal_remove(&bell.rung, on_second, &bell);
    hp_signal_emit(&bell.rung, 2);
    assert_int_equal(bell.heard[0], 100);
    assert_int_equal(bell.heard[1], 50);
    hp_signal_dispose(&bell.rung);
}

static void listeners_come_and_go_during_an_event(void **state)
{
    (void)state;
    bell_t bell = {0};
    hp_signal_add(&bell.rung, on_once, &bell);
    hp_signal_add(&bell.rung, on_second, &bell);
    hp_signal_emit(&bell.rung, 1); /* the second is gone before its turn; the new first has not come yet */
    assert_int_equal(bell.heard[0], 0);
    assert_int_equal(bell.heard[1], 0);
    assert_int_equal(bell.heard[2], 1);
    hp_signal_emit(&bell.rung, 1);
    assert_int_equal(bell.heard[0], 1);
    assert_int_equal(bell.heard[1], 0);
    assert_int_equal(bell.heard[2], 1);
    assert_int_equal(bell.rung.count, 1);
    hp_signal_dispose(&bell.rung);
}

typedef void plain_fn(void *arg);

static void on_plain(void *arg)
{
    ++*(int *)arg;
}

static void an_event_may_have_nothing_to_tell(void **state)
{
    (void)state;
    int count = 0;
    HP_SIGNAL(plain_fn) changed = {0};
    hp_signal_add(&changed, on_plain, &count);
    hp_signal_emit(&changed);
    assert_int_equal(count, 1);
    hp_signal_dispose(&changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_added_zeroed_and_stay_in_order),
        cmocka_unit_test(items_are_inserted_and_removed_anywhere),
        cmocka_unit_test(room_is_made_once_for_many),
        cmocka_unit_test(all_listeners_hear_of_an_event),
        cmocka_unit_test(listeners_come_and_go_during_an_event),
        cmocka_unit_test(an_event_may_have_nothing_to_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
