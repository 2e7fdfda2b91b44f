// libs: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bitmap.h"
#include "base/mem.h"

static void a_new_set_is_empty(void **state)
{
    (void)state;
    const uint32_t sizes[] = {0, 1, 63, 64, 65, 1000};
    for (size_t i = 0; i < HP_COUNT(sizes); i++) {
        hp_bitmap_t set;
        hp_bitmap_init(&set, sizes[i]);
        assert_int_equal(set.count, 0);
        assert_int_equal(hp_bitmap_next_set(&set, 0), sizes[i]);
        assert_int_equal(hp_bitmap_next_clear(&set, 0), 0);
        hp_bitmap_dispose(&set);
    }
}

static void setting_and_clearing_tell_whether_they_changed_anything(void **state)
{
    (void)state;
    hp_bitmap_t set;
    hp_bitmap_init(&set, 130);
    assert_true(hp_bitmap_set(&set, 129));
    assert_false(hp_bitmap_set(&set, 129));
    assert_int_equal(set.count, 1);
    assert_true(hp_bitmap_get(&set, 129));
    assert_false(hp_bitmap_get(&set, 128));
    assert_true(hp_bitmap_clear(&set, 129));
    assert_false(hp_bitmap_clear(&set, 129));
    assert_int_equal(set.count, 0);
    hp_bitmap_dispose(&set);
}

static void the_next_bit_is_found_over_word_borders(void **state)
{
    (void)state;
    hp_bitmap_t set;
    hp_bitmap_init(&set, 300);
    hp_bitmap_set(&set, 3);
    hp_bitmap_set(&set, 64);
    hp_bitmap_set(&set, 299);
    assert_int_equal(hp_bitmap_next_set(&set, 0), 3);
    assert_int_equal(hp_bitmap_next_set(&set, 3), 3);
    assert_int_equal(hp_bitmap_next_set(&set, 4), 64);
    assert_int_equal(hp_bitmap_next_set(&set, 65), 299);
    assert_int_equal(hp_bitmap_next_set(&set, 300), 300);
    hp_bitmap_dispose(&set);
}

static void no_bit_past_the_size_is_ever_found(void **state)
{
    (void)state;
    const uint32_t sizes[] = {1, 5, 63, 64, 65, 127, 128};
    for (size_t i = 0; i < HP_COUNT(sizes); i++) {
        hp_bitmap_t set;
        hp_bitmap_init(&set, sizes[i]);
        for (uint32_t bit = 0; bit < sizes[i]; bit++)
            hp_bitmap_set(&set, bit);
        assert_int_equal(set.count, sizes[i]);
        assert_int_equal(hp_bitmap_next_clear(&set, 0), sizes[i]);
        assert_int_equal(hp_bitmap_next_set(&set, UINT32_MAX), sizes[i]);
        hp_bitmap_dispose(&set);
    }
}

static void clearing_all_empties_the_set(void **state)
{
    (void)state;
    hp_bitmap_t set;
    hp_bitmap_init(&set, 100);
    hp_bitmap_set(&set, 0);
    hp_bitmap_set(&set, 99);
    hp_bitmap_clear_all(&set);
    assert_int_equal(set.count, 0);
    assert_int_equal(hp_bitmap_next_set(&set, 0), 100);
    hp_bitmap_dispose(&set);
}

static void a_walk_agrees_with_a_plain_array(void **state)
{
    (void)state;
    enum { SIZE = 1001 };
    bool plain[SIZE] = {false};
    uint32_t count = 0, random = 12345;
    hp_bitmap_t set;
    hp_bitmap_init(&set, SIZE);
    for (int i = 0; i < 700; i++) {
        random = random * 1664525u + 1013904223u;
        uint32_t bit = (random >> 8) % SIZE;
        if (random >> 31) {
            count += !plain[bit];
            plain[bit] = true;
            hp_bitmap_set(&set, bit);
        } else {
            count -= plain[bit];
            plain[bit] = false;
            hp_bitmap_clear(&set, bit);
        }
    }
    assert_int_equal(set.count, count);
    for (uint32_t from = 0; from < SIZE; from++) {
        uint32_t next_set = from, next_clear = from;
        while (next_set < SIZE && !plain[next_set])
            next_set++;
        while (next_clear < SIZE && plain[next_clear])
            next_clear++;
        assert_int_equal(hp_bitmap_next_set(&set, from), next_set);
        assert_int_equal(hp_bitmap_next_clear(&set, from), next_clear);
    }
    hp_bitmap_dispose(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_set_is_empty),
        cmocka_unit_test(setting_and_clearing_tell_whether_they_changed_anything),
        cmocka_unit_test(the_next_bit_is_found_over_word_borders),
        cmocka_unit_test(no_bit_past_the_size_is_ever_found),
        cmocka_unit_test(clearing_all_empties_the_set),
        cmocka_unit_test(a_walk_agrees_with_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
