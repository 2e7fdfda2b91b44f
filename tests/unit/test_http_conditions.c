// libs: http path os base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/conditions.h"
#include "http/limits.h"
#include "http/plan.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define BEFORE "Sat, 21 Nov 2026 03:56:14 GMT"
#define SAME   "Sat, 21 Nov 2026 03:56:15 GMT"
#define AFTER  "Sat, 21 Nov 2026 03:56:16 GMT"
#define SECOND 1795233375 /* SAME */

static const hp_representation_t what = {"\"tag\"", SECOND, 100};

static hp_range_t ranges[HP_RANGES_MAX];
static size_t count;

typedef struct {
    hp_conditions_t fields;
    bool head;
    hp_outcome_t outcome;
} case_t;

static void check(const case_t *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        hp_outcome_t outcome = hp_conditions_evaluate(&cases[i].fields, cases[i].head, &what, ranges, &count);
        if (outcome != cases[i].outcome)
            print_error("case %zu: %d, not %d\n", i, (int)outcome, (int)cases[i].outcome);
        assert_int_equal(outcome, cases[i].outcome);
    }
}

static void conditions_are_evaluated_in_order(void **state)
{
    (void)state;
    const case_t cases[] = {
        {{0}, false, HP_OUTCOME_WHOLE},
        {{.if_match = "\"tag\""}, false, HP_OUTCOME_WHOLE},
        {{.if_match = "\"x\", \"tag\""}, false, HP_OUTCOME_WHOLE},
        {{.if_match = "*"}, false, HP_OUTCOME_WHOLE},
        {{.if_match = "\"x\""}, false, HP_OUTCOME_FAILED},
        {{.if_match = "W/\"tag\""}, false, HP_OUTCOME_FAILED}, /* compared strongly */
        {{.if_match = "nonsense"}, false, HP_OUTCOME_FAILED},
        {{.if_match = "\"tag\"", .if_unmodified_since = BEFORE},
         false,
         HP_OUTCOME_WHOLE}, /* the date is ignored */
        {{.if_match = "\"x\"", .if_none_match = "\"tag\""}, false, HP_OUTCOME_FAILED},
        {{.if_match = "\"tag\"", .if_none_match = "\"tag\""}, false, HP_OUTCOME_NOT_MODIFIED},
        {{.if_unmodified_since = SAME}, false, HP_OUTCOME_WHOLE},
        {{.if_unmodified_since = AFTER}, false, HP_OUTCOME_WHOLE},
        {{.if_unmodified_since = BEFORE}, false, HP_OUTCOME_FAILED},
        {{.if_unmodified_since = "soon"}, false, HP_OUTCOME_WHOLE},
        {{.if_none_match = "\"tag\""}, false, HP_OUTCOME_NOT_MODIFIED},
        {{.if_none_match = "W/\"tag\""}, false, HP_OUTCOME_NOT_MODIFIED}, /* compared weakly */
        {{.if_none_match = "\"x\", \"tag\""}, true, HP_OUTCOME_NOT_MODIFIED},
        {{.if_none_match = "*"}, false, HP_OUTCOME_NOT_MODIFIED},
        {{.if_none_match = "\"x\""}, false, HP_OUTCOME_WHOLE},
        {{.if_none_match = "\"x\"", .if_modified_since = AFTER},
         false,
         HP_OUTCOME_WHOLE}, /* the date is ignored */
        {{.if_modified_since = SAME}, false, HP_OUTCOME_NOT_MODIFIED},
        {{.if_modified_since = AFTER}, false, HP_OUTCOME_NOT_MODIFIED},
        {{.if_modified_since = BEFORE}, false, HP_OUTCOME_WHOLE},
        {{.if_modified_since = "yesterday"}, false, HP_OUTCOME_WHOLE},
        {{.if_none_match = "\"tag\"", .range = "bytes=0-1"}, false, HP_OUTCOME_NOT_MODIFIED},
        {{.if_match = "\"x\"", .range = "bytes=200-"}, false, HP_OUTCOME_FAILED},
        {{.if_none_match = "\"tag\"", .range = "bytes=200-"}, false, HP_OUTCOME_NOT_MODIFIED},
    };
    check(cases, sizeof cases / sizeof *cases);
}

static void a_range_is_taken_only_when_if_range_holds(void **state)
{
    (void)state;
    const case_t cases[] = {
        {{.range = "bytes=0-1"}, false, HP_OUTCOME_RANGES},
        {{.range = "bytes=0-1"}, true, HP_OUTCOME_WHOLE}, /* HEAD */
        {{.range = "bytes=100-"}, false, HP_OUTCOME_UNSATISFIABLE},
        {{.range = "bytes=100-"}, true, HP_OUTCOME_WHOLE},
        {{.range = "lines=0-1"}, false, HP_OUTCOME_WHOLE},
        {{.range = "bytes=1-0"}, false, HP_OUTCOME_WHOLE},
        {{.range = "bytes=0-1", .if_range = "\"tag\""}, false, HP_OUTCOME_RANGES},
        {{.range = "bytes=0-1", .if_range = "\"x\""}, false, HP_OUTCOME_WHOLE},
        {{.range = "bytes=0-1", .if_range = "W/\"tag\""}, false, HP_OUTCOME_WHOLE},
        {{.range = "bytes=0-1", .if_range = "*"}, false, HP_OUTCOME_WHOLE},
        {{.range = "bytes=0-1", .if_range = "\"x\", \"tag\""}, false, HP_OUTCOME_WHOLE}, /* no list */
        {{.range = "bytes=0-1", .if_range = SAME}, false, HP_OUTCOME_WHOLE},
        {{.range = "bytes=0-1", .if_range = AFTER}, false, HP_OUTCOME_WHOLE},
        {{.range = "bytes=0-1", .if_range = ""}, false, HP_OUTCOME_WHOLE},
        {{.range = "bytes=100-", .if_range = "\"x\""}, false, HP_OUTCOME_WHOLE},
        {{.if_range = "\"tag\""}, false, HP_OUTCOME_WHOLE},
    };
    check(cases, sizeof cases / sizeof *cases);
}

static void a_weak_or_missing_tag_never_resumes(void **state)
{
    (void)state;
    static const char *const tags[] = {"W/\"tag\"", NULL};
    for (int i = 0; i < 2; i++) {
        const hp_representation_t weak = {tags[i], SECOND, 100};
        hp_conditions_t fields = {.range = "bytes=0-1", .if_range = "W/\"tag\""};
        assert_int_equal(hp_conditions_evaluate(&fields, false, &weak, ranges, &count), HP_OUTCOME_WHOLE);
        fields = (hp_conditions_t){.range = "bytes=0-1"};
        assert_int_equal(hp_conditions_evaluate(&fields, false, &weak, ranges, &count), HP_OUTCOME_RANGES);
        fields = (hp_conditions_t){.if_match = "\"tag\""};
        assert_int_equal(hp_conditions_evaluate(&fields, false, &weak, ranges, &count), HP_OUTCOME_FAILED);
        fields = (hp_conditions_t){.if_none_match = "\"tag\""};
        assert_int_equal(hp_conditions_evaluate(&fields, false, &weak, ranges, &count),
                         i == 0 ? HP_OUTCOME_NOT_MODIFIED : HP_OUTCOME_WHOLE);
    }
}

/* The body that a plan makes of a file. */
static char *body_of(const hp_plan_t *plan, const char *file)
{
    char *body = calloc(1, plan->length + 1);
    assert_non_null(body);
    size_t used = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const hp_piece_t *piece = &plan->pieces[i];
        size_t length = (size_t)(piece->end - piece->first);
        memcpy(body + used, (piece->text != NULL ? piece->text : file) + piece->first, length);
        used += length;
    }
    assert_int_equal(used, plan->length);
    return body;
}

static void a_multipart_body_has_the_form_of_the_rfc(void **state)
{
    (void)state;
    hp_plan_t plan;
    hp_plan_init_multipart(&plan, (hp_range_t[]){{0, 2}, {5, 6}}, 2, 10, "text/plain", "xyz");
    char *body = body_of(&plan, "0123456789");
    assert_string_equal(body, "--xyz\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
                              "\r\n--xyz\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/10\r\n\r\n5"
                              "\r\n--xyz--\r\n");
    free(body);
    hp_plan_dispose(&plan);
    hp_plan_init(&plan, (hp_range_t){3, 7});
    body = body_of(&plan, "0123456789");
    assert_string_equal(body, "3456");
    free(body);
    hp_plan_dispose(&plan);
}

static struct sockaddr *ip(const char *text)
{
    static struct sockaddr_storage where;
    memset(&where, 0, sizeof where);
    if (strchr(text, ':') != NULL) {
        where.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&where)->sin6_addr), 1);
    } else {
        where.ss_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &((struct sockaddr_in *)&where)->sin_addr), 1);
    }
    return (struct sockaddr *)&where;
}

static hp_limits_key_t key(const char *text)
{
    return hp_limits_address(HP_LIMITS_ADDRESS, ip(text));
}

static void connections_are_counted_by_address(void **state)
{
    (void)state;
    hp_limits_t limits = {{0}};
    hp_limits_key_t a = key("10.0.0.1"), mapped = key("::ffff:10.0.0.1"), b = key("10.0.0.2");
    assert_true(hp_limits_add(&limits, &a, 2));
    assert_true(hp_limits_add(&limits, &mapped, 2));
    assert_false(hp_limits_add(&limits, &a, 2));
    assert_true(hp_limits_add(&limits, &b, 2));
    assert_true(hp_limits_add(&limits, &a, 0));
    hp_limits_remove(&limits, &a);
    hp_limits_remove(&limits, &a);
    assert_true(hp_limits_add(&limits, &a, 2));
    for (int i = 0; i < 5000; i++) {
        hp_limits_key_t many = {HP_LIMITS_ADDRESS, {10, 1, (uint8_t)(i >> 8), (uint8_t)i}};
        assert_true(hp_limits_add(&limits, &many, 1));
        assert_false(hp_limits_add(&limits, &many, 1));
    }
    hp_limits_dispose(&limits);
}

static void an_ipv6_client_counts_by_its_network(void **state)
{
    (void)state;
    hp_limits_t limits = {{0}};
    hp_limits_key_t a = key("2001:db8:1:2::1"), b = key("2001:db8:1:2:ffff:0:1:2"),
                    c = key("2001:db8:1:3::1");
    assert_true(hp_limits_add(&limits, &a, 1));
    assert_false(hp_limits_add(&limits, &b, 1));
    assert_true(hp_limits_add(&limits, &c, 1));
    hp_limits_dispose(&limits);
}

static void hosts_and_addresses_are_counted_apart(void **state)
{
    (void)state;
    hp_limits_t limits = {{0}};
    const uint8_t fingerprint[32] = {1, 2, 3};
    hp_limits_key_t all = hp_limits_address(HP_LIMITS_ADDRESS_ALL, ip("10.0.0.1"));
    hp_limits_key_t one = key("10.0.0.1"), host = hp_limits_host(fingerprint);
    hp_limits_key_t as_address = {HP_LIMITS_ADDRESS, {0}};
    memcpy(as_address.bytes, host.bytes, 16);
    assert_true(hp_limits_add(&limits, &all, 1));
    assert_true(hp_limits_add(&limits, &one, 1));
    assert_true(hp_limits_add(&limits, &host, 1));
    assert_true(hp_limits_add(&limits, &as_address, 1));
    assert_false(hp_limits_add(&limits, &host, 1));
    hp_limits_dispose(&limits);
}

static void loopback_is_known_in_every_form(void **state)
{
    (void)state;
    static const char *const loopback[] = {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"};
    static const char *const others[] = {"10.0.0.1", "::", "::2", "fe80::1", "::ffff:10.0.0.1"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(hp_limits_is_loopback(ip(loopback[i])));
    }
    for (size_t i = 0; i < 5; i++) {
        assert_false(hp_limits_is_loopback(ip(others[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_are_evaluated_in_order),
        cmocka_unit_test(a_range_is_taken_only_when_if_range_holds),
        cmocka_unit_test(a_weak_or_missing_tag_never_resumes),
        cmocka_unit_test(a_multipart_body_has_the_form_of_the_rfc),
        cmocka_unit_test(connections_are_counted_by_address),
        cmocka_unit_test(an_ipv6_client_counts_by_its_network),
        cmocka_unit_test(hosts_and_addresses_are_counted_apart),
        cmocka_unit_test(loopback_is_known_in_every_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
