// libs: peer path os base
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "peer/bencode.h"

typedef struct {
    hp_buf_t buf;
    hp_bencode_t out;
} writer_t;

static void begin_of(writer_t *self, size_t max)
{
    hp_buf_init(&self->buf, max);
    hp_bencode_init(&self->out, &self->buf);
}

static void begin(writer_t *self)
{
    begin_of(self, 4096);
}

static void ends_as(writer_t *self, const char *text, size_t length)
{
    assert_int_equal(hp_bencode_finish(&self->out), 0);
    assert_int_equal(self->buf.length, length);
    assert_memory_equal(self->buf.data, text, length);
    hp_buf_dispose(&self->buf);
}

static void ends_with_error(writer_t *self, int status, const char *written)
{
    assert_int_equal(hp_bencode_finish(&self->out), status);
    assert_string_equal(self->buf.data != NULL ? self->buf.data : "", written);
    hp_buf_dispose(&self->buf);
}

static void numbers_are_decimal_with_a_sign_and_no_more(void **state)
{
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {
        {0, "i0e"},
        {1, "i1e"},
        {-1, "i-1e"},
        {1048576, "i1048576e"},
        {INT64_MAX, "i9223372036854775807e"},
        {INT64_MIN, "i-9223372036854775808e"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        writer_t w;
        begin(&w);
        hp_bencode_number(&w.out, cases[i].value);
        ends_as(&w, cases[i].text, strlen(cases[i].text));
    }
}

static void bytes_may_come_later(void **state)
{
    (void)state;
    writer_t w;
    begin(&w);
    hp_bencode_dict(&w.out);
    hp_bencode_text_key(&w.out, "a");
    hp_bencode_bytes_later(&w.out, 70000);
    assert_int_equal(w.buf.length, 10); /* where they belong */
    hp_bencode_text_key(&w.out, "b");
    hp_bencode_number(&w.out, 1);
    hp_bencode_end(&w.out);
    ends_as(&w, "d1:a70000:1:bi1ee", 17);
    begin(&w);
    hp_bencode_dict(&w.out);
    hp_bencode_bytes_later(&w.out, 1); /* where a key belongs */
    ends_with_error(&w, HP_E_INVALID, "d");
}

static void strings_hold_any_bytes(void **state)
{
    (void)state;
    writer_t w;
    begin(&w);
    hp_bencode_bytes(&w.out, "\0\xff:i1e\ne", 8);
    ends_as(&w, "8:\0\xff:i1e\ne", 10);
    begin(&w);
    hp_bencode_text(&w.out, "\xc3\xa4");
    ends_as(&w, "2:\xc3\xa4", 4);
    begin(&w);
    hp_bencode_bytes(&w.out, NULL, 0);
    ends_as(&w, "0:", 2);
}

static void dictionaries_hold_keys_and_values_in_order(void **state)
{
    (void)state;
    writer_t w;
    begin(&w);
    hp_bencode_dict(&w.out);
    hp_bencode_text_key(&w.out, "");
    hp_bencode_dict(&w.out);
    hp_bencode_end(&w.out);
    hp_bencode_text_key(&w.out, "a");
    hp_bencode_number(&w.out, 7);
    hp_bencode_text_key(&w.out, "ab");
    hp_bencode_dict(&w.out);
    hp_bencode_text_key(&w.out, "a");
    hp_bencode_text(&w.out, "x");
    hp_bencode_end(&w.out);
    hp_bencode_key(&w.out, "b\0", 2);
    hp_bencode_text(&w.out, "");
    hp_bencode_key(&w.out, "b\0\xff", 3);
    hp_bencode_number(&w.out, 0);
    hp_bencode_end(&w.out);
    static const char expected[] = "d0:de1:ai7e2:abd1:a1:xe2:b\0"
                                   "0:3:b\0\xff"
                                   "i0ee";
    ends_as(&w, expected, sizeof expected - 1);
}

static void keys_out_of_order_are_refused(void **state)
{
    static const struct {
        const char *first, *second;
    } cases[] = {{"b", "a"}, {"a", "a"}, {"ab", "a"}, {"a", ""}, {"", ""}, {"\xc3\xa4", "z"}, {"a", "B"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        writer_t w;
        begin(&w);
        hp_bencode_dict(&w.out);
        hp_bencode_text_key(&w.out, cases[i].first);
        hp_bencode_number(&w.out, 1);
        hp_buf_t before = w.buf;
        hp_bencode_text_key(&w.out, cases[i].second);
        hp_bencode_number(&w.out, 2);
        hp_bencode_end(&w.out);
        assert_int_equal(w.buf.length, before.length);
        assert_int_equal(hp_bencode_finish(&w.out), HP_E_INVALID);
        hp_buf_dispose(&w.buf);
    }
}

static void the_order_of_an_inner_dictionary_is_its_own(void **state)
{
    (void)state;
    writer_t w;
    begin(&w);
    hp_bencode_dict(&w.out);
    hp_bencode_text_key(&w.out, "m");
    hp_bencode_dict(&w.out);
    hp_bencode_text_key(&w.out, "z");
    hp_bencode_number(&w.out, 1);
    hp_bencode_end(&w.out);
    hp_bencode_text_key(&w.out, "n");
    hp_bencode_dict(&w.out);
    hp_bencode_text_key(&w.out, "a");
    hp_bencode_number(&w.out, 2);
    hp_bencode_end(&w.out);
    hp_bencode_end(&w.out);
    static const char expected[] = "d1:md1:zi1ee1:nd1:ai2eee";
    ends_as(&w, expected, sizeof expected - 1);
}

static void a_value_needs_its_place(void **state)
{
    (void)state;
    writer_t w;
    begin(&w); /* two values */
    hp_bencode_number(&w.out, 1);
    hp_bencode_number(&w.out, 2);
    ends_with_error(&w, HP_E_INVALID, "i1e");
    begin(&w); /* no key */
    hp_bencode_dict(&w.out);
    hp_bencode_text(&w.out, "x");
    ends_with_error(&w, HP_E_INVALID, "d");
    begin(&w); /* a key outside of a dictionary */
    hp_bencode_text_key(&w.out, "x");
    ends_with_error(&w, HP_E_INVALID, "");
    begin(&w); /* a key after a key */
    hp_bencode_dict(&w.out);
    hp_bencode_text_key(&w.out, "x");
    hp_bencode_text_key(&w.out, "y");
    ends_with_error(&w, HP_E_INVALID, "d1:x");
    begin(&w); /* an end instead of a value */
    hp_bencode_dict(&w.out);
    hp_bencode_text_key(&w.out, "x");
    hp_bencode_end(&w.out);
    ends_with_error(&w, HP_E_INVALID, "d1:x");
    begin(&w); /* an end of nothing */
    hp_bencode_end(&w.out);
    ends_with_error(&w, HP_E_INVALID, "");
}

static void what_is_not_whole_is_an_error(void **state)
{
    (void)state;
    writer_t w;
    begin(&w);
    ends_with_error(&w, HP_E_INVALID, "");
    begin(&w);
    hp_bencode_dict(&w.out);
    ends_with_error(&w, HP_E_INVALID, "d");
}

static void depth_is_bounded(void **state)
{
    (void)state;
    writer_t w;
    begin(&w);
    for (int i = 0; i < HP_BENCODE_DEPTH_MAX; i++) {
        hp_bencode_dict(&w.out);
        hp_bencode_text_key(&w.out, "");
    }
    assert_int_equal(w.out.status, 0);
    hp_bencode_dict(&w.out);
    ends_with_error(&w, HP_E_INVALID, "d0:d0:d0:d0:d0:d0:d0:d0:");
}

static void a_full_buffer_ends_the_writing(void **state)
{
    (void)state;
    writer_t w;
    begin_of(&w, 10);
    hp_bencode_text(&w.out, "12345678"); /* exactly */
    ends_as(&w, "8:12345678", 10);
    begin_of(&w, 9);
    hp_bencode_dict(&w.out);
    hp_bencode_text_key(&w.out, "k");
    hp_bencode_text(&w.out, "12345678");
    hp_bencode_end(&w.out);
    assert_int_equal(hp_bencode_finish(&w.out), HP_E_TOO_LARGE);
    hp_buf_dispose(&w.buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_decimal_with_a_sign_and_no_more),
        cmocka_unit_test(bytes_may_come_later),
        cmocka_unit_test(strings_hold_any_bytes),
        cmocka_unit_test(dictionaries_hold_keys_and_values_in_order),
        cmocka_unit_test(keys_out_of_order_are_refused),
        cmocka_unit_test(the_order_of_an_inner_dictionary_is_its_own),
        cmocka_unit_test(a_value_needs_its_place),
        cmocka_unit_test(what_is_not_whole_is_an_error),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_full_buffer_ends_the_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
