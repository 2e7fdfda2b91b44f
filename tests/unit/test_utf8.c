// libs: base
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/utf8.h"

/* A copy in memory of exactly its length, so that AddressSanitizer sees a read past the end. */
static char *exact(const char *text, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    return copy;
}

static bool valid(const char *text, size_t length)
{
    char *copy = exact(text, length);
    bool result = hp_utf8_valid(copy, length);
    free(copy);
    return result;
}

static void well_formed_text_is_valid(void **state)
{
    (void)state;
    const char *const good[] = {"",           "plain",        "\u00e9",       "\u4f60\u597d",
                                "\U0001F600", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"};
    for (size_t i = 0; i < HP_COUNT(good); i++)
        assert_true(valid(good[i], strlen(good[i])));
    assert_true(valid("a\0b", 3));
}

static void overlong_surrogate_high_and_cut_forms_are_not_valid(void **state)
{
    (void)state;
    const char *const bad[] = {"\x80",         "\xc0\xaf",         "\xc1\xbf",         "\xe0\x80\xaf",
                               "\xe0\x9f\xbf", "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
                               "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
                               "\xc3",         "\xe4\xbd",         "\xf0\x9f\x98",     "a\xc3(",
                               "\xe4(\xa0"};
    for (size_t i = 0; i < HP_COUNT(bad); i++)
        assert_false(valid(bad[i], strlen(bad[i])));
}

static void every_kind_of_control_character_is_seen(void **state)
{
    (void)state;
    const char *const with[] = {"a\n", "\x01", "x\x7f", "\xc2\x80", "\xc2\x9f", "a\tb"};
    for (size_t i = 0; i < HP_COUNT(with); i++)
        assert_true(hp_utf8_has_control(with[i], strlen(with[i])));
    assert_true(hp_utf8_has_control("a\0b", 3));
    const char *const without[] = {"", "plain text", "\xc2\xa0", "\u00e9\u4f60"};
    for (size_t i = 0; i < HP_COUNT(without); i++)
        assert_false(hp_utf8_has_control(without[i], strlen(without[i])));
}

static void code_points_are_counted_not_bytes(void **state)
{
    (void)state;
    const char *text = "a\u00e9\u4f60\U0001F600";
    assert_int_equal(hp_utf8_count(text, strlen(text)), 4);
}

static void a_prefix_ends_at_a_character(void **state)
{
    (void)state;
    const char *text = "a\u4f60b"; /* 1 + 3 + 1 bytes */
    const size_t expected[] = {0, 1, 1, 1, 4, 5, 5};
    for (size_t max = 0; max < HP_COUNT(expected); max++)
        assert_int_equal(hp_utf8_prefix(text, 5, max), expected[max]);
}

static void cut_removes_only_an_incomplete_last_character(void **state)
{
    (void)state;
    const struct {
        const char *in, *out;
    } cases[] = {{"", ""},
                 {"abc", "abc"},
                 {"a\xc3", "a"},
                 {"a\xc3\xa9", "a\u00e9"},
                 {"a\xf0\x9f\x98", "a"},
                 {"\xe4\xbd", ""},
                 {"\U0001F600", "\U0001F600"}};
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        char text[32];
        strcpy(text, cases[i].in);
        hp_utf8_cut(text);
        assert_string_equal(text, cases[i].out);
    }
}

static void printable_text_shows_what_a_terminal_would_obey(void **state)
{
    (void)state;
    char out[128];
    assert_string_equal(hp_utf8_printable("a\x1b[31m\n", 7, out, sizeof out), "a\\x1b[31m\\x0a");
    assert_string_equal(hp_utf8_printable("\u202egpj", 6, out, sizeof out), "\\xe2\\x80\\xaegpj");
    assert_string_equal(hp_utf8_printable("\xff\u00e9", 3, out, sizeof out), "\\xff\u00e9");
    assert_string_equal(hp_utf8_printable("\xc2\x85", 2, out, sizeof out), "\\xc2\\x85");
}

static void printable_text_never_passes_its_room(void **state)
{
    (void)state;
    const char *text = "ab\u00e9\x1b\u4f60";
    for (size_t size = 1; size < 24; size++) {
        char *out = malloc(size);
        hp_utf8_printable(text, strlen(text), out, size);
        assert_true(strlen(out) < size);
        assert_true(hp_utf8_valid(out, strlen(out)));
        free(out);
    }
}

static void what_reorders_text_gives_way(void **state)
{
    (void)state;
    char text[] = "photo\u202egpj.exe \u2066\u2028\u00e9\u200f";
    hp_utf8_straighten(text);
    assert_string_equal(text, "photo_gpj.exe __\u00e9\u200f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_text_is_valid),
        cmocka_unit_test(overlong_surrogate_high_and_cut_forms_are_not_valid),
        cmocka_unit_test(every_kind_of_control_character_is_seen),
        cmocka_unit_test(code_points_are_counted_not_bytes),
        cmocka_unit_test(a_prefix_ends_at_a_character),
        cmocka_unit_test(cut_removes_only_an_incomplete_last_character),
        cmocka_unit_test(printable_text_shows_what_a_terminal_would_obey),
        cmocka_unit_test(printable_text_never_passes_its_room),
        cmocka_unit_test(what_reorders_text_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
