// libs: base
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/range.h"

/* A copy in memory of exactly its length, so that AddressSanitizer sees a read past the end. */
static char *exact(const char *text)
{
    size_t length = strlen(text);
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    return copy;
}

static hp_range_t ranges[HP_RANGES_MAX];
static size_t count;

static hp_range_result_t parse(const char *value, uint64_t size)
{
    char *copy = exact(value);
    hp_range_result_t result = hp_range_parse(copy, strlen(value), size, ranges, &count);
    free(copy);
    return result;
}

static void one_range_is_read_half_open(void **state)
{
    (void)state;
    const struct {
        const char *value;
        uint64_t size, first, end;
    } cases[] = {
        {"bytes=0-499", 10000, 0, 500},
        {"bytes=500-999", 10000, 500, 1000},
        {"bytes=9500-", 10000, 9500, 10000},
        {"bytes=-500", 10000, 9500, 10000},
        {"bytes=0-0", 1, 0, 1},
        {"bytes=0-99999", 100, 0, 100},
        {"bytes=-99999", 100, 0, 100},
        {"BYTES=1-2", 10, 1, 3},
        {" bytes=1-2 ", 10, 1, 3},
        {"bytes= 1-2", 10, 1, 3},
        {"bytes=1-2,", 10, 1, 3},
        {"bytes=,,1-2", 10, 1, 3},
        {"bytes=1-18446744073709551615", 10, 1, 10},
        {"bytes=1-99999999999999999999999", 10, 1, 10},
        {"bytes=-99999999999999999999999", 10, 0, 10},
        {"bytes=50-60,1-2", 10, 1, 3},
    };
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        print_message("%s of %llu\n", cases[i].value, (unsigned long long)cases[i].size);
        assert_int_equal(parse(cases[i].value, cases[i].size), HP_RANGE_OK);
        assert_int_equal(count, 1);
        assert_int_equal(ranges[0].first, cases[i].first);
        assert_int_equal(ranges[0].end, cases[i].end);
    }
}

static void several_ranges_keep_their_order(void **state)
{
    (void)state;
    assert_int_equal(parse("bytes=500-599 ,\t0-1, -1", 1000), HP_RANGE_OK);
    assert_int_equal(count, 3);
    assert_int_equal(ranges[0].first, 500);
    assert_int_equal(ranges[1].end, 2);
    assert_int_equal(ranges[2].first, 999);
}

static void malformed_and_other_units_are_ignored(void **state)
{
    (void)state;
    const char *const values[] = {"",           "bytes",         "bytes=",        "bytes= ",
                                  "bytes=,",    "bytes=-",       "bytes=a-b",     "bytes=1",
                                  "bytes=5-4",  "bytes=0-1,5-4", "bytes=0-1;2-3", "bytes=0-1 2-3",
                                  "items=0-1",  "bytes:0-1",     "bytes =0-1",    "bytes=0 -1",
                                  "bytes=0- 1", "bytes=--1",     "bytes=0x1-2",   "byte=0-1",
                                  "bytes=1-2x", "bytes=+1-2",    "bytes=0-1,x"};
    for (size_t i = 0; i < HP_COUNT(values); i++) {
        print_message("%s\n", values[i]);
        assert_int_equal(parse(values[i], 100), HP_RANGE_IGNORE);
    }
}

static void ranges_past_the_end_are_unsatisfiable(void **state)
{
    (void)state;
    const char *const values[] = {"bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-",
                                  "bytes=100-,200-"};
    for (size_t i = 0; i < HP_COUNT(values); i++)
        assert_int_equal(parse(values[i], 100), HP_RANGE_UNSATISFIABLE);
    assert_int_equal(parse("bytes=0-", 0), HP_RANGE_UNSATISFIABLE);
}

static void the_end_of_an_empty_file_is_the_whole_of_it(void **state)
{
    (void)state;
    assert_int_equal(parse("bytes=-5", 0), HP_RANGE_IGNORE);
}

static void sixteen_ranges_are_served_and_seventeen_give_the_whole(void **state)
{
    (void)state;
    char value[256] = "bytes=0-0";
    for (int i = 1; i < HP_RANGES_MAX; i++)
        strcat(value, ",0-0");
    assert_int_equal(parse(value, 10), HP_RANGE_OK);
    assert_int_equal(count, HP_RANGES_MAX);
    strcat(value, ",0-0");
    assert_int_equal(parse(value, 10), HP_RANGE_IGNORE);
}

static void several_ranges_whose_bytes_no_number_holds_give_the_whole(void **state)
{
    (void)state;
    const uint64_t size = INT64_MAX;
    assert_int_equal(parse("bytes=0-", size), HP_RANGE_OK);
    assert_int_equal(parse("bytes=0-9,-9", size), HP_RANGE_OK);
    assert_int_equal(parse("bytes=0-,0-", size), HP_RANGE_IGNORE);
    assert_int_equal(parse("bytes=0-,0-,0-", size), HP_RANGE_IGNORE); /* more than 64 bits */
    assert_int_equal(parse("bytes=0-,0-", HP_RANGES_BYTES_MAX / 2), HP_RANGE_OK);
}

static int content(const char *value, hp_range_t *range, uint64_t *total)
{
    char *copy = exact(value);
    int rc = hp_range_parse_content(copy, strlen(value), range, total);
    free(copy);
    return rc;
}

static void content_range_gives_bytes_and_total(void **state)
{
    (void)state;
    hp_range_t range;
    uint64_t total;
    assert_int_equal(content("bytes 0-9/10", &range, &total), 0);
    assert_int_equal(range.first, 0);
    assert_int_equal(range.end, 10);
    assert_int_equal(total, 10);
    assert_int_equal(content("Bytes 5-9/*", &range, &total), 0);
    assert_int_equal(range.first, 5);
    assert_true(total == HP_RANGE_UNKNOWN);
    assert_int_equal(content("bytes */10", &range, &total), 0);
    assert_true(range.first == HP_RANGE_UNKNOWN && range.end == HP_RANGE_UNKNOWN);
    assert_int_equal(total, 10);
}

static void a_content_range_that_contradicts_itself_is_refused(void **state)
{
    (void)state;
    const char *const values[] = {"",
                                  "bytes",
                                  "bytes ",
                                  "bytes 0-9",
                                  "bytes 0-9/",
                                  "bytes 9-0/10",
                                  "bytes 0-10/10",
                                  "bytes */*",
                                  "bytes 0-9/10x",
                                  "bytes=0-9/10",
                                  "items 0-9/10",
                                  "bytes -9/10",
                                  "bytes 0-/10",
                                  "bytes 0-9/9",
                                  "bytes  0-9/10",
                                  "bytes 0-18446744073709551615/*",
                                  "bytes 0-9/18446744073709551616",
                                  "bytes 0-9/-1",
                                  "bytes *"};
    for (size_t i = 0; i < HP_COUNT(values); i++) {
        hp_range_t range;
        uint64_t total;
        print_message("%s\n", values[i]);
        assert_int_equal(content(values[i], &range, &total), HP_E_PROTOCOL);
    }
}

static void only_well_formed_quoted_tags_are_strong(void **state)
{
    (void)state;
    const struct {
        const char *tag;
        bool strong;
    } cases[] = {{"\"abc\"", true},   {"\"\"", true},     {"W/\"abc\"", false}, {"abc", false},
                 {"\"abc", false},    {"", false},        {"\"", false},        {"\"a\"b\"", false},
                 {"\"a b\"", false},  {"w/\"a\"", false}, {"\"\xe4\"", true},   {"W/", false},
                 {"\"a\x7f\"", false}};
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        char *copy = exact(cases[i].tag);
        print_message("%s\n", cases[i].tag);
        assert_int_equal(hp_etag_is_strong(copy, strlen(cases[i].tag)), cases[i].strong);
        free(copy);
    }
}

static void a_list_of_tags_matches_by_the_asked_comparison(void **state)
{
    (void)state;
    const struct {
        const char *list, *tag;
        bool strong, weak;
    } cases[] = {
        {"*", "\"a\"", true, true},
        {"\"a\"", "\"a\"", true, true},
        {"W/\"a\"", "\"a\"", false, true},
        {"\"a\"", "W/\"a\"", false, true},
        {"W/\"a\"", "W/\"a\"", false, true},
        {"\"x\", \"a\"", "\"a\"", true, true},
        {"\"x\" ,, \"y\",W/\"a\"", "\"a\"", false, true},
        {"\"ab\"", "\"a\"", false, false},
        {"\"x,\\\"a\"", "\"a\"", false, false},
        {"", "\"a\"", false, false},
        {"a", "\"a\"", false, false},
        {"\"x\" \"a\"", "\"a\"", false, false},
    };
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        char *copy = exact(cases[i].list);
        print_message("%s in %s\n", cases[i].tag, cases[i].list);
        assert_int_equal(hp_etag_list_matches(copy, strlen(cases[i].list), cases[i].tag, true),
                         cases[i].strong);
        assert_int_equal(hp_etag_list_matches(copy, strlen(cases[i].list), cases[i].tag, false),
                         cases[i].weak);
        free(copy);
    }
}

static void every_cut_of_a_value_stays_inside_it(void **state)
{
    (void)state;
    const char *const values[] = {"bytes=0-499, 500-999 , -1", "bytes 123-456/789", "W/\"abc\", \"def\""};
    for (size_t i = 0; i < HP_COUNT(values); i++) {
        for (size_t length = 0; length <= strlen(values[i]); length++) {
            char *copy = malloc(length > 0 ? length : 1);
            hp_range_t range;
            uint64_t total;
            memcpy(copy, values[i], length);
            hp_range_result_t result = hp_range_parse(copy, length, 1000, ranges, &count);
            assert_true(result != HP_RANGE_OK || (count > 0 && ranges[0].end <= 1000));
            int rc = hp_range_parse_content(copy, length, &range, &total);
            assert_true(rc == 0 || rc == HP_E_PROTOCOL);
            assert_false(hp_etag_list_matches(copy, length, "\"zzz\"", false));
            free(copy);
        }
    }
}

static void the_body_of_a_put_is_as_long_as_its_range(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        uint64_t length;
        int rc;
        hp_body_range_t range;
    } cases[] = {
        {NULL, 5, 0, {false, 0, 5}},
        {NULL, 0, 0, {false, 0, 0}},
        {"bytes 0-4/5", 5, 0, {false, 0, 5}},
        {"bytes 10-14/100", 5, 0, {false, 10, 100}},
        {"bytes 10-14/*", 5, 0, {false, 10, HP_RANGE_UNKNOWN}},
        {"bytes */100", 0, 0, {true, 0, 100}},
        {"bytes */100", 5, HP_E_BAD_REQUEST, {0}},
        {"bytes 0-4/5", 4, HP_E_BAD_REQUEST, {0}},
        {"bytes 0-4/4", 5, HP_E_BAD_REQUEST, {0}},
        {"bytes 5", 5, HP_E_BAD_REQUEST, {0}},
        {"", 5, HP_E_BAD_REQUEST, {0}},
    };
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        hp_body_range_t range;
        hp_err_t err = {0};
        assert_int_equal(hp_range_of_body(cases[i].field, cases[i].length, &range, &err), cases[i].rc);
        if (cases[i].rc != 0) {
            assert_memory_equal(hp_err_text(&err), "Content-Range: ", 15);
            continue;
        }
        assert_int_equal(range.asks, cases[i].range.asks);
        assert_int_equal(range.first, cases[i].range.first);
        assert_int_equal(range.total, cases[i].range.total);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_range_is_read_half_open),
        cmocka_unit_test(several_ranges_keep_their_order),
        cmocka_unit_test(malformed_and_other_units_are_ignored),
        cmocka_unit_test(ranges_past_the_end_are_unsatisfiable),
        cmocka_unit_test(the_end_of_an_empty_file_is_the_whole_of_it),
        cmocka_unit_test(sixteen_ranges_are_served_and_seventeen_give_the_whole),
        cmocka_unit_test(several_ranges_whose_bytes_no_number_holds_give_the_whole),
        cmocka_unit_test(the_body_of_a_put_is_as_long_as_its_range),
        cmocka_unit_test(content_range_gives_bytes_and_total),
        cmocka_unit_test(a_content_range_that_contradicts_itself_is_refused),
        cmocka_unit_test(only_well_formed_quoted_tags_are_strong),
        cmocka_unit_test(a_list_of_tags_matches_by_the_asked_comparison),
        cmocka_unit_test(every_cut_of_a_value_stays_inside_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
