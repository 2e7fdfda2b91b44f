// libs: base
#include <errno.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"

static void set_returns_the_code_and_keeps_the_words(void **state)
{
    (void)state;
    hp_err_t err = {0};
    assert_int_equal(hp_err_set(&err, HP_E_NO_SPACE, "%s is full", "/data"), HP_E_NO_SPACE);
    assert_int_equal(err.code, HP_E_NO_SPACE);
    assert_string_equal(hp_err_text(&err), "/data is full");
}

static void every_call_takes_no_err_at_all(void **state)
{
    (void)state;
    assert_int_equal(hp_err_set(NULL, HP_E_DISK, "x"), HP_E_DISK);
    hp_err_prefix(NULL, "x");
}

static void a_prefix_is_put_before_the_detail(void **state)
{
    (void)state;
    hp_err_t err;
    hp_err_set(&err, HP_E_DISK, "broken");
    hp_err_prefix(&err, "reading %s: ", "a.mkv");
    hp_err_prefix(&err, "download %d: ", 7);
    assert_string_equal(err.detail, "download 7: reading a.mkv: broken");
}

static void a_prefix_without_detail_gets_the_sentence_of_the_code(void **state)
{
    (void)state;
    hp_err_t err = {.code = HP_E_LOCKED};
    hp_err_prefix(&err, "opening: ");
    assert_string_equal(err.detail, "opening: Another hostpair uses this data folder");
}

static void long_words_are_cut_at_a_character(void **state)
{
    (void)state;
    hp_err_t err;
    char text[1200] = "a";
    for (size_t i = 1; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    hp_err_set(&err, HP_E_INVALID, "%s", text);
    assert_in_range(strlen(err.detail), sizeof err.detail - 3, sizeof err.detail - 1);
    assert_true(hp_utf8_valid(err.detail, strlen(err.detail)));
    hp_err_prefix(&err, "%s", text);
    assert_true(hp_utf8_valid(err.detail, strlen(err.detail)));
}

static void own_codes_have_slug_status_and_sentence(void **state)
{
    (void)state;
    assert_string_equal(hp_err_slug(HP_E_NOT_FOUND), "not-found");
    assert_int_equal(hp_err_status(HP_E_NOT_FOUND), 404);
    assert_string_equal(hp_err_sentence(HP_E_NOT_FOUND), "Not found");
}

static void kernel_codes_pass_through_with_their_words(void **state)
{
    (void)state;
    assert_string_equal(hp_err_slug(-EACCES), "system");
    assert_int_equal(hp_err_status(-EACCES), 500);
    assert_string_equal(hp_err_sentence(-EACCES), strerrordesc_np(EACCES));
}

static void a_full_disk_is_told_apart_from_other_kernel_codes(void **state)
{
    (void)state;
    const int codes[] = {-ENOSPC, -EDQUOT};
    for (size_t i = 0; i < HP_COUNT(codes); i++) {
        assert_int_equal(hp_err_status(codes[i]), 507);
        assert_string_equal(hp_err_slug(codes[i]), "no-space");
    }
}

static void an_unknown_code_still_has_words(void **state)
{
    (void)state;
    assert_string_equal(hp_err_sentence(-99999), "Unknown error");
    assert_int_equal(hp_err_status(-99999), 500);
}

static void slugs_are_unique(void **state)
{
    (void)state;
    static const char *const slugs[] = {
#define X(name, n, slug, status, text) slug,
        HP_ERRORS(X)
#undef X
    };
    for (size_t i = 0; i < HP_COUNT(slugs); i++)
        for (size_t k = i + 1; k < HP_COUNT(slugs); k++)
            assert_string_not_equal(slugs[i], slugs[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_returns_the_code_and_keeps_the_words),
        cmocka_unit_test(every_call_takes_no_err_at_all),
        cmocka_unit_test(a_prefix_is_put_before_the_detail),
        cmocka_unit_test(a_prefix_without_detail_gets_the_sentence_of_the_code),
        cmocka_unit_test(long_words_are_cut_at_a_character),
        cmocka_unit_test(own_codes_have_slug_status_and_sentence),
        cmocka_unit_test(kernel_codes_pass_through_with_their_words),
        cmocka_unit_test(a_full_disk_is_told_apart_from_other_kernel_codes),
        cmocka_unit_test(an_unknown_code_still_has_words),
        cmocka_unit_test(slugs_are_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
