// libs: base
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

static void times_are_written_as_rfc_3339_with_milliseconds(void **state)
{
    (void)state;
    char out[HP_RFC3339_SIZE];
    assert_string_equal(hp_clock_rfc3339(0, out), "1970-01-01T00:00:00.000Z");
    assert_string_equal(hp_clock_rfc3339(1795233375123, out), "2026-11-21T03:56:15.123Z");
    assert_string_equal(hp_clock_rfc3339(-1, out), "1969-12-31T23:59:59.999Z");
}

static void times_outside_four_digit_years_stay_well_formed(void **state)
{
    (void)state;
    char out[HP_RFC3339_SIZE];
    assert_string_equal(hp_clock_rfc3339(INT64_MAX, out), "9999-12-31T23:59:59.999Z");
    assert_string_equal(hp_clock_rfc3339(INT64_MIN, out), "0000-01-01T00:00:00.000Z");
    assert_string_equal(hp_clock_rfc3339(-62167219200000, out), "0000-01-01T00:00:00.000Z");
    assert_string_equal(hp_clock_rfc3339(-40000000000000, out), "0702-06-15T00:53:20.000Z");
}

static void what_was_written_is_read_back(void **state)
{
    (void)state;
    const int64_t times[] = {0, -1, 1795233375123, 951782400000, 253402300799999};
    for (size_t i = 0; i < HP_COUNT(times); i++) {
        char out[HP_RFC3339_SIZE];
        int64_t back;
        assert_int_equal(hp_clock_parse_rfc3339(hp_clock_rfc3339(times[i], out), &back), 0);
        assert_int_equal(back, times[i]);
    }
}

static void offsets_and_fractions_are_read(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"1970-01-01T01:00:00+01:00", 0},        {"1970-01-01T00:00:00.5Z", 500},
                 {"1970-01-01T00:00:00.123456789Z", 123}, {"1969-12-31T23:30:00-00:30", 0},
                 {"1970-01-01t00:00:01z", 1000},          {"2024-02-29T00:00:00Z", 1709164800000}};
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        int64_t ms;
        assert_int_equal(hp_clock_parse_rfc3339(cases[i].text, &ms), 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void malformed_times_are_refused(void **state)
{
    (void)state;
    const char *const bad[] = {"",
                               "1970",
                               "1970-01-01",
                               "1970-01-01T00:00:00",
                               "1970-13-01T00:00:00Z",
                               "1970-01-32T00:00:00Z",
                               "1970-01-01T24:00:00Z",
                               "1970-01-01T00:60:00Z",
                               "1970-01-01T00:00:00.Z",
                               "1970-01-01T00:00:00ZZ",
                               "1970-01-01T00:00:00+1:00",
                               "+970-01-01T00:00:00Z",
                               "1970-01-01T00:00:00+24:00"};
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        int64_t ms;
        assert_int_equal(hp_clock_parse_rfc3339(bad[i], &ms), HP_E_INVALID);
    }
}

static void http_dates_are_written_in_the_fixed_form(void **state)
{
    (void)state;
    char out[HP_HTTP_DATE_SIZE];
    assert_string_equal(hp_clock_http_date(784111777, out), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(hp_clock_http_date(0, out), "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void all_three_forms_of_http_dates_are_read(void **state)
{
    (void)state;
    const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                 "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < HP_COUNT(forms); i++) {
        int64_t seconds;
        assert_int_equal(hp_clock_parse_http_date(forms[i], &seconds), 0);
        assert_int_equal(seconds, 784111777);
    }
}

static void malformed_http_dates_are_refused(void **state)
{
    (void)state;
    const char *const bad[] = {"",
                               "yesterday",
                               "Sun, 06 Nov 1994 08:49:37",
                               "Sun, 06 Foo 1994 08:49:37 GMT",
                               "Sun, 06 Nov 1994 08:49:37 GMT x",
                               "Sun, 32 Nov 1994 08:49:37 GMT",
                               "Sun, 06 Nov 1994 25:49:37 GMT",
                               "Sun, 06 Nov 1994 08:49:37 CET"};
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        int64_t seconds;
        assert_int_equal(hp_clock_parse_http_date(bad[i], &seconds), HP_E_INVALID);
    }
}

static void the_monotonic_clock_never_goes_back(void **state)
{
    (void)state;
    uint64_t last = hp_clock_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = hp_clock_ns();
        assert_true(now >= last);
        last = now;
    }
    assert_true(hp_clock_ms() - last / 1000000 < 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_as_rfc_3339_with_milliseconds),
        cmocka_unit_test(times_outside_four_digit_years_stay_well_formed),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(offsets_and_fractions_are_read),
        cmocka_unit_test(malformed_times_are_refused),
        cmocka_unit_test(http_dates_are_written_in_the_fixed_form),
        cmocka_unit_test(all_three_forms_of_http_dates_are_read),
        cmocka_unit_test(malformed_http_dates_are_refused),
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
