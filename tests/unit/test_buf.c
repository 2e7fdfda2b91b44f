// libs: base
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"

static void added_bytes_stand_one_after_the_other_with_a_nul(void **state)
{
    (void)state;
    hp_buf_t buf;
    hp_buf_init(&buf, 100);
    assert_null(buf.data);
    assert_int_equal(hp_buf_add(&buf, "ab\0c", 4), 0);
    assert_int_equal(hp_buf_add_text(&buf, "de"), 0);
    assert_int_equal(hp_buf_printf(&buf, "%d", 42), 0);
    assert_int_equal(buf.length, 8);
    assert_memory_equal(buf.data, "ab\0cde42", 9);
    hp_buf_dispose(&buf);
}

static void exactly_the_maximum_fits_and_one_more_does_not(void **state)
{
    (void)state;
    hp_buf_t buf;
    hp_buf_init(&buf, 8);
    assert_int_equal(hp_buf_add(&buf, "12345678", 8), 0);
    assert_int_equal(hp_buf_add(&buf, "9", 1), HP_E_TOO_LARGE);
    assert_int_equal(buf.length, 8);
    assert_string_equal(buf.data, "12345678");
    hp_buf_dispose(&buf);
}

static void what_is_too_large_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    hp_buf_t buf;
    hp_buf_init(&buf, 10);
    hp_buf_add_text(&buf, "abc");
    assert_int_equal(hp_buf_printf(&buf, "%s", "123456789"), HP_E_TOO_LARGE);
    assert_string_equal(buf.data, "abc");
    assert_int_equal(hp_buf_add(&buf, "x", SIZE_MAX), HP_E_TOO_LARGE);
    assert_string_equal(buf.data, "abc");
    hp_buf_dispose(&buf);
}

static void consumed_bytes_go_and_the_rest_moves_up(void **state)
{
    (void)state;
    hp_buf_t buf;
    hp_buf_init(&buf, 100);
    hp_buf_add_text(&buf, "abcdef");
    hp_buf_consume(&buf, 2);
    assert_string_equal(buf.data, "cdef");
    hp_buf_consume(&buf, 100);
    assert_int_equal(buf.length, 0);
    assert_string_equal(buf.data, "");
    hp_buf_dispose(&buf);
}

static void taking_the_bytes_leaves_an_empty_buffer_with_the_same_maximum(void **state)
{
    (void)state;
    hp_buf_t buf;
    hp_buf_init(&buf, 5);
    hp_buf_add_text(&buf, "abc");
    char *text = hp_buf_take(&buf), *nothing = hp_buf_take(&buf);
    assert_string_equal(text, "abc");
    assert_string_equal(nothing, "");
    assert_int_equal(buf.length, 0);
    assert_int_equal(hp_buf_add(&buf, "123456", 6), HP_E_TOO_LARGE);
    free(text);
    free(nothing);
    hp_buf_dispose(&buf);
}

static void a_cleared_buffer_keeps_its_memory(void **state)
{
    (void)state;
    hp_buf_t buf;
    hp_buf_init(&buf, 1000);
    hp_buf_clear(&buf);
    hp_buf_add_text(&buf, "abc");
    char *memory = buf.data;
    hp_buf_clear(&buf);
    assert_int_equal(buf.length, 0);
    assert_string_equal(buf.data, "");
    hp_buf_add_text(&buf, "d");
    assert_ptr_equal(buf.data, memory);
    hp_buf_dispose(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_bytes_stand_one_after_the_other_with_a_nul),
        cmocka_unit_test(exactly_the_maximum_fits_and_one_more_does_not),
        cmocka_unit_test(what_is_too_large_leaves_the_buffer_as_it_was),
        cmocka_unit_test(consumed_bytes_go_and_the_rest_moves_up),
        cmocka_unit_test(taking_the_bytes_leaves_an_empty_buffer_with_the_same_maximum),
        cmocka_unit_test(a_cleared_buffer_keeps_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
