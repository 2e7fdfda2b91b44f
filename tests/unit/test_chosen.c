// libs: peer base
/* The names that a query or a form chooses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "peer/chosen.h"

/* The names with "|" between them, or "!" and why there are none. */
static const char *read(const char *text)
{
    static char out[4096];
    hp_chosen_t chosen;
    hp_err_t err = {0};
    out[0] = '\0';
    int rc = hp_chosen_read(&chosen, text, strlen(text), &err);
    if (rc != 0) {
        assert_int_equal(rc, HP_E_INVALID);
        assert_int_equal(hp_err_status(rc), 422);
        snprintf(out, sizeof out, "!%s", err.detail);
    }
    for (size_t i = 0; i < chosen.count; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i > 0 ? "|" : "", chosen.names[i]);
    hp_chosen_dispose(&chosen);
    return out;
}

static void names_are_decoded_and_other_fields_passed_over(void **state)
{
    (void)state;
    assert_string_equal(read("archive=zip&name=a.txt&name=b+c%2Bd&rename=x&name=%C3%BC%2Fe&name="),
                        "a.txt|b c+d|\xc3\xbc/e");
    assert_string_equal(read("archive=zip"), "");
    assert_string_equal(read(""), "");
    assert_string_equal(read("&&name=a&"), "a");
    assert_string_equal(read("names=a&name"), "");
}

static void what_cannot_be_meant_is_said(void **state)
{
    (void)state;
    assert_string_equal(read("name=&name=&archive=zip"), "!Choose at least one file or folder");
    assert_string_equal(read("name=a&name=%zz"), "!name: number 2 is badly encoded or too long");
    assert_string_equal(read("name=a%00b"), "!name: number 1 is badly encoded or too long");
}

static void there_is_an_end_of_names(void **state)
{
    (void)state;
    size_t most = HP_CHOSEN_MAX;
    char *text = hp_alloc((most + 1) * 7 + 1);
    for (size_t i = 0; i < most; i++)
        memcpy(text + i * 7, "name=a&", 7);
    hp_chosen_t chosen;
    hp_err_t err = {0};
    assert_int_equal(hp_chosen_read(&chosen, text, most * 7, &err), 0);
    assert_int_equal(chosen.count, most);
    hp_chosen_dispose(&chosen);
    memcpy(text + most * 7, "name=a", 6);
    assert_int_equal(hp_chosen_read(&chosen, text, most * 7 + 6, &err), HP_E_INVALID);
    assert_string_equal(err.detail, "name: at most 4096 names can be chosen");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_decoded_and_other_fields_passed_over),
        cmocka_unit_test(what_cannot_be_meant_is_said),
        cmocka_unit_test(there_is_an_end_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
