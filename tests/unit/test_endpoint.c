// libs: path os base
/* Endpoints: what is read as one, when two are the same, and how they are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "path/endpoint.h"

static const uint8_t some_key[HP_FINGERPRINT_SIZE] = {0xab, 0xcd, 0x01, [15] = 0x0f, [31] = 0x77};
static const uint8_t other_key[HP_FINGERPRINT_SIZE] = {0xab, 0xcd, 0x01, [15] = 0x0f, [31] = 0x78};

static hp_endpoint_t parsed(const char *text)
{
    hp_endpoint_t endpoint;
    hp_err_t err = {0};
    if (hp_endpoint_parse(text, 9000, &endpoint, &err) != 0)
        fail_msg("%s: %s", text, hp_err_text(&err));
    return endpoint;
}

static void an_address_with_or_without_a_port_is_read(void **state)
{
    static const struct {
        const char *text, *host, *zone;
        unsigned port;
    } cases[] = {
        {"10.0.0.1", "10.0.0.1", "", 9000},
        {"10.0.0.1:80", "10.0.0.1", "", 80},
        {"::1", "::1", "", 9000},
        {"[::1]:65535", "::1", "", 65535},
        {"[2001:DB8:0::1]", "2001:db8::1", "", 9000},
        {"fe80::1%eth0", "fe80::1", "eth0", 9000},
        {"[fe80::1%eth0]:9001", "fe80::1", "eth0", 9001},
        {"[::ffff:10.0.0.1]:7", "10.0.0.1", "", 7},
        {"[2001:db8::1%eth0]:7", "2001:db8::1", "", 7},
    };
    (void)state;
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        hp_endpoint_t endpoint = parsed(cases[i].text);
        if (strcmp(endpoint.host, cases[i].host) != 0 || strcmp(endpoint.zone, cases[i].zone) != 0 ||
            endpoint.port != cases[i].port)
            fail_msg("%s: %s %s %u", cases[i].text, endpoint.host, endpoint.zone, endpoint.port);
        assert_int_equal(endpoint.scheme, HP_SCHEME_PLAIN);
        assert_string_equal(endpoint.id, "");
    }
}

static void what_no_host_can_have_is_refused_by_name(void **state)
{
    static const char *const bad[] = {
        "",           "attic",        "attic:9000",    "10.0.0.1:",         "10.0.0.1:0",   "10.0.0.1:65536",
        "10.0.0.1:x", "[::1",         "[::1]9000",     "[10.0.0.1]:9000",   "0.0.0.0:9000", "224.0.0.1:9000",
        "[::]:9000",  "[ff02::1]:90", "fe80::1%a/b",   "http://10.0.0.1/",  "10.0.0.1 ",    "10.0.0.1:9000/",
        "10.0.0",     "1.2.3.4%eth0", "fe80::1%eth0%", "[fe80::1%eth0]:+1", " 10.0.0.1",    "256.1.1.1",
    };
    (void)state;
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        hp_endpoint_t endpoint;
        hp_err_t err = {0};
        if (hp_endpoint_parse(bad[i], 9000, &endpoint, &err) != HP_E_INVALID)
            fail_msg("\"%s\" was taken as %s port %u", bad[i], endpoint.host, endpoint.port);
        if (strstr(err.detail, bad[i]) == NULL)
            fail_msg("\"%s\" is not named in \"%s\"", bad[i], err.detail);
    }
}

static void an_endpoint_with_a_fingerprint_has_the_id_of_it_and_is_not_plain(void **state)
{
    (void)state;
    hp_endpoint_t endpoint = parsed("10.0.0.1:9000");
    hp_endpoint_expect(&endpoint, some_key);
    assert_int_equal(endpoint.scheme, HP_SCHEME_TLS);
    assert_string_equal(endpoint.id, "abcd010000000000000000000000000f");
    assert_memory_equal(endpoint.fingerprint, some_key, sizeof some_key);
    hp_endpoint_t member;
    hp_endpoint_member(&member, some_key);
    assert_int_equal(member.scheme, HP_SCHEME_MEMBER);
    assert_string_equal(member.id, endpoint.id);
}

static void in_plain_the_same_place_is_of_any_host(void **state)
{
    (void)state;
    hp_endpoint_t plain = parsed("10.0.0.1:9000"), endpoint = plain;
    hp_endpoint_expect(&endpoint, some_key);
    hp_endpoint_in_plain(&endpoint);
    assert_true(hp_endpoint_equal(&endpoint, &plain));
}

static void two_are_equal_when_everything_is_the_same(void **state)
{
    (void)state;
    hp_endpoint_t a = parsed("[fe80::1%eth0]:9000"), b = a;
    assert_true(hp_endpoint_equal(&a, &b));
    b.port = 9001;
    assert_false(hp_endpoint_equal(&a, &b));
    b = a;
    strcpy(b.zone, "eth1");
    assert_false(hp_endpoint_equal(&a, &b));
    b = a;
    b.scheme = HP_SCHEME_TLS;
    assert_false(hp_endpoint_equal(&a, &b));
    hp_endpoint_expect(&a, some_key);
    hp_endpoint_expect(&b, other_key); /* the same id, another fingerprint */
    assert_string_equal(a.id, b.id);
    assert_false(hp_endpoint_equal(&a, &b));
    hp_endpoint_expect(&b, some_key);
    assert_true(hp_endpoint_equal(&a, &b));
}

static void a_place_is_an_address_and_a_port_whoever_answers_there(void **state)
{
    (void)state;
    hp_endpoint_t plain = parsed("10.0.0.1:9000"), tls = plain, port = parsed("10.0.0.1:9001");
    hp_endpoint_expect(&tls, some_key);
    assert_true(hp_endpoint_same_place(&plain, &tls));
    assert_false(hp_endpoint_same_place(&plain, &port));
    assert_true(hp_endpoint_same_host(&plain, &port));
    hp_endpoint_t eth0 = parsed("[fe80::1%eth0]:9000"), eth1 = parsed("[fe80::1%eth1]:9000");
    assert_false(hp_endpoint_same_host(&eth0, &eth1));
    hp_endpoint_t one, other;
    hp_endpoint_member(&one, some_key);
    hp_endpoint_member(&other, (const uint8_t[HP_FINGERPRINT_SIZE]){1});
    assert_true(hp_endpoint_same_place(&one, &one));
    assert_false(hp_endpoint_same_place(&one, &other));
    assert_false(hp_endpoint_same_place(&one, &tls));
    assert_false(hp_endpoint_same_host(&one, &other));
}

static void what_is_written_for_people_is_read_again(void **state)
{
    static const char *const texts[] = {"10.0.0.1:80", "[::1]:9000", "[fe80::1%eth0]:9001"};
    (void)state;
    for (size_t i = 0; i < HP_COUNT(texts); i++) {
        char out[HP_ENDPOINT_TEXT_SIZE];
        hp_endpoint_t endpoint = parsed(texts[i]);
        assert_string_equal(hp_endpoint_format(&endpoint, out), texts[i]);
    }
    char out[HP_ENDPOINT_TEXT_SIZE], address[HP_ENDPOINT_ADDRESS_SIZE];
    hp_endpoint_t endpoint = parsed("[fe80::1%eth0]:9001");
    assert_string_equal(hp_endpoint_address(&endpoint, address), "fe80::1%eth0");
    hp_endpoint_member(&endpoint, some_key);
    assert_string_equal(hp_endpoint_format(&endpoint, out), "member abcd0100");
}

static void an_address_that_a_page_shows_is_read(void **state)
{
    (void)state;
    hp_endpoint_t endpoint;
    assert_int_equal(hp_endpoint_parse_url("http://[fe80::1%25eth0]:9/", 7, &endpoint, NULL), 0);
    assert_string_equal(endpoint.zone, "eth0");
    assert_int_equal(hp_endpoint_parse_url("https://10.0.0.1", 7, &endpoint, NULL), 0);
    assert_int_equal(endpoint.port, 7);
    assert_int_equal(endpoint.scheme, HP_SCHEME_PLAIN); /* what is spoken there is found out */
    assert_int_equal(hp_endpoint_parse_url("http://10.0.0.1/films", 7, &endpoint, NULL), HP_E_INVALID);
    assert_int_equal(hp_endpoint_parse_url("http://0.0.0.0", 7, &endpoint, NULL), HP_E_INVALID);
}

static void a_url_names_the_scheme_and_encodes_the_zone(void **state)
{
    (void)state;
    char url[HP_ENDPOINT_URL_SIZE];
    hp_endpoint_t endpoint = parsed("10.0.0.1:80");
    assert_string_equal(hp_endpoint_url(&endpoint, url), "http://10.0.0.1:80");
    endpoint = parsed("[fe80::1%eth0]:9001");
    hp_endpoint_expect(&endpoint, some_key);
    assert_string_equal(hp_endpoint_url(&endpoint, url), "https://[fe80::1%25eth0]:9001");
    hp_endpoint_member(&endpoint, some_key);
    assert_string_equal(hp_endpoint_url(&endpoint, url), "");
}

static void an_address_and_a_port_apart_make_an_endpoint(void **state)
{
    (void)state;
    hp_endpoint_t endpoint;
    assert_int_equal(hp_endpoint_make(&endpoint, HP_SCHEME_TLS, "fe80::1%eth0", 9), 0);
    assert_string_equal(endpoint.zone, "eth0");
    assert_int_equal(endpoint.scheme, HP_SCHEME_TLS);
    static const char *const bad[] = {"",          "localhost",       "127.0.0.1:80", "0.0.0.0",
                                      "224.0.0.1", "255.255.255.255", "::",           "ff02::1"};
    for (size_t i = 0; i < HP_COUNT(bad); i++)
        if (hp_endpoint_make(&endpoint, HP_SCHEME_TLS, bad[i], 9) != HP_E_INVALID)
            fail_msg("\"%s\" was taken", bad[i]);
    assert_int_equal(hp_endpoint_make(&endpoint, HP_SCHEME_TLS, "10.0.0.1", 0), HP_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_with_or_without_a_port_is_read),
        cmocka_unit_test(what_no_host_can_have_is_refused_by_name),
        cmocka_unit_test(an_endpoint_with_a_fingerprint_has_the_id_of_it_and_is_not_plain),
        cmocka_unit_test(in_plain_the_same_place_is_of_any_host),
        cmocka_unit_test(two_are_equal_when_everything_is_the_same),
        cmocka_unit_test(a_place_is_an_address_and_a_port_whoever_answers_there),
        cmocka_unit_test(what_is_written_for_people_is_read_again),
        cmocka_unit_test(an_address_that_a_page_shows_is_read),
        cmocka_unit_test(a_url_names_the_scheme_and_encodes_the_zone),
        cmocka_unit_test(an_address_and_a_port_apart_make_an_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
