// libs: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

typedef struct {
    int number;
    hp_link_t link;
} thing_t;

static int order(const hp_list_t *list)
{
    int digits = 0;
    HP_LIST_EACH (at, list)
        digits = digits * 10 + HP_CONTAINER(at, thing_t, link)->number;
    return digits;
}

static void keeps_the_order_of_adding(void **state)
{
    (void)state;
    hp_list_t list;
    thing_t a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    hp_list_init(&list);
    assert_true(hp_list_is_empty(&list));
    assert_null(hp_list_first(&list));
    hp_list_add(&list, &b.link);
    hp_list_add(&list, &c.link);
    hp_list_add_first(&list, &a.link);
    assert_int_equal(order(&list), 123);
    assert_ptr_equal(hp_list_first(&list), &a.link);
}

static void removes_from_any_place_and_twice(void **state)
{
    (void)state;
    hp_list_t list;
    thing_t a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    hp_list_init(&list);
    hp_list_add(&list, &a.link);
    hp_list_add(&list, &b.link);
    hp_list_add(&list, &c.link);
    hp_link_remove(&b.link);
    hp_link_remove(&b.link);
    assert_false(hp_link_is_linked(&b.link));
    assert_int_equal(order(&list), 13);
    hp_link_remove(&a.link);
    hp_link_remove(&c.link);
    assert_true(hp_list_is_empty(&list));
}

static void may_lose_the_present_element_in_a_loop(void **state)
{
    (void)state;
    hp_list_t list;
    thing_t things[5];
    hp_list_init(&list);
    for (int i = 0; i < 5; i++) {
        things[i] = (thing_t){.number = i + 1};
        hp_list_add(&list, &things[i].link);
    }
    HP_LIST_EACH (at, &list) {
        if (HP_CONTAINER(at, thing_t, link)->number % 2 == 0)
            hp_link_remove(at);
    }
    assert_int_equal(order(&list), 135);
}

static void one_list_is_put_behind_another(void **state)
{
    (void)state;
    hp_list_t list, other;
    thing_t a = {.number = 7}, b = {.number = 8}, c = {.number = 9};
    hp_list_init(&list);
    hp_list_init(&other);
    hp_list_take_all(&list, &other);
    assert_true(hp_list_is_empty(&list));
    hp_list_add(&other, &a.link);
    hp_list_take_all(&list, &other);
    hp_list_add(&other, &b.link);
    hp_list_add(&other, &c.link);
    hp_list_take_all(&list, &other);
    assert_true(hp_list_is_empty(&other));
    assert_int_equal(order(&list), 789);
    assert_ptr_equal(hp_list_take_first(&list), &a.link);
    assert_ptr_equal(hp_list_take_first(&list), &b.link);
    assert_ptr_equal(hp_list_take_first(&list), &c.link);
    assert_null(hp_list_take_first(&list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_order_of_adding),
        cmocka_unit_test(removes_from_any_place_and_twice),
        cmocka_unit_test(may_lose_the_present_element_in_a_loop),
        cmocka_unit_test(one_list_is_put_behind_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
