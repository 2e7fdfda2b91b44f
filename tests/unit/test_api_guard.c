// libs: api path os base
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/guard.h"
#include "base/mem.h"

static char *allowed[] = {"nas.home", "Files.Example:8443"};
static const hp_strings_t allow = {.items = allowed, .count = 2}, allow_none;
static hp_guard_t guard;

#define TOKEN "s3cret-token"
#define NOW   INT64_C(1790000000000) /* wall ms */
#define DAY   INT64_C(86400000)

static int check(hp_guard_request_t request)
{
    hp_err_t err = {0};
    if (request.method == NULL)
        request.method = "GET";
    if (request.client == NULL)
        request.client = "192.168.1.7";
    if (request.wall_ms == 0)
        request.wall_ms = NOW;
    int rc = hp_guard_check(&guard, &request, &err);
    print_message("%s host %s origin %s site %s: %d %s\n", request.method, request.host, request.origin,
                  request.fetch_site, rc, err.detail);
    assert_true(rc == 0 || err.detail[0] != '\0');
    return rc;
}
#define CHECK(...) check((hp_guard_request_t){__VA_ARGS__})

static void loopback_names_are_let_in_with_any_port(void **state)
{
    (void)state;
    const char *const hosts[] = {"localhost",      "localhost:9001", "LocalHost:1", "localhost.",
                                 "127.0.0.1:9001", "127.1.2.3",      "[::1]",       "[::1]:9001"};
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, NULL);
    for (size_t i = 0; i < HP_COUNT(hosts); i++)
        assert_int_equal(CHECK(.host = hosts[i]), 0);
}

static void other_names_are_refused(void **state)
{
    (void)state;
    const char *const hosts[] = {"evil.example",
                                 "evil.example:9001",
                                 "192.168.1.5",
                                 "10.0.0.1:9001",
                                 "[fe80::1]",
                                 "localhost.evil.example",
                                 "127.0.0.1.evil.example",
                                 "",
                                 ":9001",
                                 "localhost:x",
                                 "[::1",
                                 "[::1]x",
                                 "localhost:9001@evil",
                                 "0.0.0.0",
                                 "1270.0.1",
                                 "128.0.0.1"};
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, NULL);
    for (size_t i = 0; i < HP_COUNT(hosts); i++)
        assert_int_equal(CHECK(.host = hosts[i]), HP_E_FORBIDDEN);
    assert_int_equal(CHECK(.host = NULL), HP_E_FORBIDDEN);
}

static void a_configured_name_is_let_in_with_any_port(void **state)
{
    (void)state;
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow, NULL);
    assert_int_equal(CHECK(.host = "nas.home"), 0);
    assert_int_equal(CHECK(.host = "NAS.home:80"), 0);
    assert_int_equal(CHECK(.host = "files.example:9"), 0);
    assert_int_equal(CHECK(.host = "x.nas.home"), HP_E_FORBIDDEN);
}

static void who_listens_on_all_addresses_may_be_called_by_each_but_by_no_name(void **state)
{
    (void)state;
    const char *const all[] = {"0.0.0.0", "::"};
    for (size_t i = 0; i < HP_COUNT(all); i++) {
        hp_guard_init(&guard, all[i], 9001, &allow_none, NULL);
        assert_int_equal(CHECK(.host = "192.168.1.5:9001"), 0);
        assert_int_equal(CHECK(.host = "[fd00::5]:9001"), 0);
        assert_int_equal(CHECK(.host = "evil.example:9001"), HP_E_FORBIDDEN);
    }
    hp_guard_init(&guard, "192.168.1.5", 9001, &allow_none, NULL);
    assert_int_equal(CHECK(.host = "192.168.1.5:9001"), 0);
    assert_int_equal(CHECK(.host = "192.168.1.6:9001"), HP_E_FORBIDDEN);
}

static void a_change_is_taken_from_our_own_page_or_from_no_page(void **state)
{
    (void)state;
    const char *const methods[] = {"POST", "PATCH", "PUT", "DELETE"};
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, NULL);
    for (size_t i = 0; i < HP_COUNT(methods); i++) {
        const char *m = methods[i], *host = "localhost:9001";
        assert_int_equal(CHECK(.method = m, .host = host), 0);
        assert_int_equal(CHECK(.method = m, .host = host, .origin = "http://localhost:9001"), 0);
        assert_int_equal(
            CHECK(.method = m, .host = host, .origin = "http://localhost:9001", .fetch_site = "same-origin"),
            0);
        assert_int_equal(CHECK(.method = m, .host = host, .fetch_site = "none"), 0);
    }
}

static void a_change_over_https_is_taken_by_a_configured_name_only(void **state)
{
    (void)state;
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow, NULL);
    assert_int_equal(CHECK(.method = "POST", .host = "nas.home", .origin = "https://nas.home"), 0);
    assert_int_equal(CHECK(.method = "POST", .host = "nas.home", .origin = "http://nas.home"), 0);
    assert_int_equal(CHECK(.method = "POST", .host = "localhost:9001", .origin = "https://localhost:9001"),
                     HP_E_FORBIDDEN);
    assert_int_equal(CHECK(.method = "POST", .host = "nas.home", .origin = "https://nas.home:8443"),
                     HP_E_FORBIDDEN);
}

static void a_change_is_refused_from_another_page(void **state)
{
    (void)state;
    const char *const origins[] = {
        "http://evil.example",   "null", "http://localhost",       "http://localhost:9002",
        "http://127.0.0.1:9001", "",     "http://localhost:9001/", "ftp://localhost:9001"};
    const char *const sites[] = {"cross-site", "same-site", ""};
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, NULL);
    for (size_t i = 0; i < HP_COUNT(origins); i++)
        assert_int_equal(CHECK(.method = "POST", .host = "localhost:9001", .origin = origins[i]),
                         HP_E_FORBIDDEN);
    for (size_t i = 0; i < HP_COUNT(sites); i++)
        assert_int_equal(CHECK(.method = "DELETE", .host = "localhost:9001", .fetch_site = sites[i]),
                         HP_E_FORBIDDEN);
}

static void reading_is_free_of_the_origin_rules(void **state)
{
    (void)state;
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, NULL);
    assert_int_equal(CHECK(.host = "localhost", .origin = "http://evil.example", .fetch_site = "cross-site"),
                     0);
    assert_int_equal(CHECK(.method = "HEAD", .host = "localhost", .fetch_site = "cross-site"), 0);
}

static void the_token_is_asked_for_in_a_field_or_a_cookie(void **state)
{
    (void)state;
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, TOKEN);
    const char *host = "localhost:9001";
    assert_int_equal(CHECK(.host = host), HP_E_UNAUTHORIZED);
    assert_int_equal(CHECK(.host = host, .open = true), 0);
    assert_int_equal(CHECK(.host = host, .authorization = "Bearer " TOKEN), 0);
    assert_int_equal(CHECK(.host = host, .authorization = "bearer  " TOKEN), 0);
    const char *const wrong[] = {
        "Bearer s3cre", "Bearer " TOKEN "2", "Bearer ", "Bearer", "Basic " TOKEN, TOKEN, ""};
    for (size_t i = 0; i < HP_COUNT(wrong); i++)
        assert_int_equal(CHECK(.host = host, .authorization = wrong[i]), HP_E_UNAUTHORIZED);
}

static void the_cookie_that_is_set_lets_in_and_no_other(void **state)
{
    (void)state;
    char set[HP_GUARD_COOKIE_SIZE], cookie[HP_GUARD_COOKIE_SIZE], joined[2 * HP_GUARD_COOKIE_SIZE];
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, TOKEN);
    hp_guard_set_cookie(&guard, NOW, set);
    assert_non_null(strstr(set, "; HttpOnly"));
    assert_non_null(strstr(set, "; SameSite=Strict"));
    assert_null(strstr(set, TOKEN));
    snprintf(cookie, sizeof cookie, "%.*s", (int)strcspn(set, ";"), set);
    assert_int_equal(CHECK(.host = "localhost", .cookie = cookie), 0);
    snprintf(joined, sizeof joined, "theme=dark; %s ;x=y", cookie);
    assert_int_equal(CHECK(.host = "localhost", .cookie = joined), 0);
    snprintf(joined, sizeof joined, "x%s", cookie);
    assert_int_equal(CHECK(.host = "localhost", .cookie = joined), HP_E_UNAUTHORIZED);
    snprintf(joined, sizeof joined, "%s0", cookie);
    assert_int_equal(CHECK(.host = "localhost", .cookie = joined), HP_E_UNAUTHORIZED);
    cookie[strlen(cookie) - 1] ^= 1;
    assert_int_equal(CHECK(.host = "localhost", .cookie = cookie), HP_E_UNAUTHORIZED);
    assert_int_equal(CHECK(.host = "localhost", .cookie = "hostpair_9001="), HP_E_UNAUTHORIZED);
}

/* "NAME=VALUE" of a cookie made at this time. */
static char *make_cookie(int64_t wall_ms, char out[HP_GUARD_COOKIE_SIZE])
{
    hp_guard_set_cookie(&guard, wall_ms, out);
    out[strcspn(out, ";")] = '\0';
    return out;
}

static void a_cookie_expires_and_one_in_use_is_replaced_before(void **state)
{
    (void)state;
    char cookie[HP_GUARD_COOKIE_SIZE], later[HP_GUARD_COOKIE_SIZE];
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, TOKEN);
    make_cookie(NOW, cookie);
    int64_t life = HP_GUARD_COOKIE_DAYS * DAY;
    assert_int_equal(CHECK(.host = "localhost", .cookie = cookie, .wall_ms = NOW + life - 2000), 0);
    assert_int_equal(CHECK(.host = "localhost", .cookie = cookie, .wall_ms = NOW + life + 2000),
                     HP_E_UNAUTHORIZED);
    hp_guard_request_t request = {.cookie = cookie, .wall_ms = NOW + DAY / 2};
    assert_false(hp_guard_cookie_is_old(&guard, &request));
    request.wall_ms = NOW + 2 * DAY;
    assert_true(hp_guard_cookie_is_old(&guard, &request));
    request.wall_ms = NOW + life + 2000;
    assert_false(hp_guard_cookie_is_old(&guard, &request));

    /* The time cannot be moved on, and another token makes all of them worthless. */
    make_cookie(NOW + DAY, later);
    memcpy(cookie, later, (size_t)(strchr(later, '.') - later));
    assert_int_equal(CHECK(.host = "localhost", .cookie = cookie), HP_E_UNAUTHORIZED);
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, "another-token");
    assert_int_equal(CHECK(.host = "localhost", .cookie = later), HP_E_UNAUTHORIZED);
}

static int guess(const char *client, uint64_t now_ms, unsigned number)
{
    char token[32];
    hp_err_t err = {0};
    snprintf(token, sizeof token, "guess-%u", number);
    return hp_guard_try_token(&guard, client, now_ms, token, &err);
}

static void who_guesses_is_refused_for_a_while(void **state)
{
    (void)state;
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, TOKEN);
    for (unsigned i = 0; i < HP_GUESSES_MAX; i++)
        assert_int_equal(guess("10.0.0.1", 1000 + i, i), HP_E_UNAUTHORIZED);
    assert_int_equal(guess("10.0.0.1", 2000, 77), HP_E_TOO_MANY);
    hp_err_t err = {0};
    assert_int_equal(hp_guard_try_token(&guard, "10.0.0.1", 2000, TOKEN, &err), HP_E_TOO_MANY);
    assert_string_equal(hp_err_text(&err), "too many wrong tokens; try again in 59 seconds");
    assert_int_equal(
        CHECK(.host = "localhost", .client = "10.0.0.1", .now_ms = 2000, .authorization = "Bearer " TOKEN),
        HP_E_TOO_MANY);
    /* Others are not concerned, nor is a browser that has signed in. */
    char cookie[HP_GUARD_COOKIE_SIZE];
    assert_int_equal(hp_guard_try_token(&guard, "10.0.0.2", 2000, TOKEN, &err), 0);
    assert_int_equal(
        CHECK(.host = "localhost", .client = "10.0.0.1", .now_ms = 2000, .cookie = make_cookie(NOW, cookie)),
        0);
    assert_int_equal(hp_guard_try_token(&guard, "10.0.0.1", 1000 + HP_GUESSES_MS, TOKEN, &err), 0);
}

static void cookies_are_guesses_as_well(void **state)
{
    (void)state;
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, TOKEN);
    for (unsigned i = 0; i <= HP_GUESSES_MAX; i++) {
        char cookie[64];
        snprintf(cookie, sizeof cookie, "hostpair_9001=7fffffff.%u", i);
        assert_int_equal(CHECK(.host = "localhost", .now_ms = 5, .cookie = cookie),
                         i < HP_GUESSES_MAX ? HP_E_UNAUTHORIZED : HP_E_TOO_MANY);
    }
}

static void the_same_wrong_value_again_is_no_guess(void **state)
{
    (void)state;
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, TOKEN);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(guess("10.0.0.1", 1000 + i, 1), HP_E_UNAUTHORIZED);
}

static void many_addresses_together_are_refused_too(void **state)
{
    (void)state;
    unsigned taken = 0;
    char client[64];
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, TOKEN);
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(client, sizeof client, "10.0.%u.%u", i / 200, i % 200);
        taken += guess(client, 1000 + i, i) == HP_E_UNAUTHORIZED;
    }
    assert_int_equal(taken, HP_GUESSES_ALL);
    /* One network of IPv6 is one client. */
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, TOKEN);
    for (unsigned i = taken = 0; i < 50; i++) {
        snprintf(client, sizeof client, "2001:db8:1:2::%x", i);
        taken += guess(client, 1000, i) == HP_E_UNAUTHORIZED;
    }
    assert_int_equal(taken, HP_GUESSES_MAX);
}

static void a_wrong_host_is_told_before_a_missing_token(void **state)
{
    (void)state;
    hp_guard_init(&guard, "127.0.0.1", 9001, &allow_none, TOKEN);
    assert_int_equal(CHECK(.host = "evil.example"), HP_E_FORBIDDEN);
    assert_int_equal(
        CHECK(.method = "POST", .host = "localhost", .origin = "null", .authorization = "Bearer " TOKEN),
        HP_E_FORBIDDEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_names_are_let_in_with_any_port),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(a_configured_name_is_let_in_with_any_port),
        cmocka_unit_test(who_listens_on_all_addresses_may_be_called_by_each_but_by_no_name),
        cmocka_unit_test(a_change_is_taken_from_our_own_page_or_from_no_page),
        cmocka_unit_test(a_change_over_https_is_taken_by_a_configured_name_only),
        cmocka_unit_test(a_change_is_refused_from_another_page),
        cmocka_unit_test(reading_is_free_of_the_origin_rules),
        cmocka_unit_test(the_token_is_asked_for_in_a_field_or_a_cookie),
        cmocka_unit_test(the_cookie_that_is_set_lets_in_and_no_other),
        cmocka_unit_test(a_cookie_expires_and_one_in_use_is_replaced_before),
        cmocka_unit_test(who_guesses_is_refused_for_a_while),
        cmocka_unit_test(cookies_are_guesses_as_well),
        cmocka_unit_test(the_same_wrong_value_again_is_no_guess),
        cmocka_unit_test(many_addresses_together_are_refused_too),
        cmocka_unit_test(a_wrong_host_is_told_before_a_missing_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
