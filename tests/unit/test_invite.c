// libs: rendezvous base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "rendezvous/invite.h"

static hp_invite_t sample(void)
{
    hp_invite_t invite = {.hub = "hub.example.org:9010"};
    for (int i = 0; i < 16; i++) {
        invite.secret[i] = (uint8_t)(i * 17);
        invite.hub_fingerprint[i] = (uint8_t)(255 - i);
    }
    return invite;
}

static void gives_back_what_was_written(void **state)
{
    (void)state;
    static const char *const hubs[] = {"hub.example.org:9010", "192.0.2.1:1", "[2001:db8::1]:65535"};
    for (size_t i = 0; i < HP_COUNT(hubs); i++) {
        hp_invite_t in = sample(), out;
        char text[HP_INVITE_SIZE];
        snprintf(in.hub, sizeof in.hub, "%s", hubs[i]);
        hp_invite_write(&in, text);
        assert_int_equal(strncmp(text, "hostpair://join/", 16), 0);
        assert_int_equal(strlen(strrchr(text, '/') + 1), 56);
        assert_int_equal(hp_invite_read(text, &out, NULL), 0);
        assert_string_equal(out.hub, hubs[i]);
        assert_memory_equal(out.secret, in.secret, 16);
        assert_memory_equal(out.hub_fingerprint, in.hub_fingerprint, 16);
    }
}

static void finds_every_single_changed_character(void **state)
{
    (void)state;
    hp_invite_t in = sample(), out;
    char text[HP_INVITE_SIZE];
    hp_invite_write(&in, text);
    size_t tried = 0;
    for (size_t i = 0; i < strlen(text); i++)
        for (const char *p = "abcdefghijklmnopqrstuvwxyz234567"; *p != '\0'; p++) {
            char was = text[i];
            if (*p == was)
                continue;
            text[i] = *p;
            hp_err_t err = {0};
            assert_int_equal(hp_invite_read(text, &out, &err), HP_E_INVALID);
            assert_true(err.detail[0] != '\0');
            text[i] = was;
            tried++;
        }
    printf("%zu changed invites, all refused\n", tried);
}

static void takes_what_people_paste(void **state)
{
    (void)state;
    hp_invite_t in = sample(), out;
    char text[HP_INVITE_SIZE], pasted[2 * HP_INVITE_SIZE];
    hp_invite_write(&in, text);
    snprintf(pasted, sizeof pasted, "  %.40s\n\t%s \r\n", text, text + 40);
    assert_int_equal(hp_invite_read(pasted, &out, NULL), 0);
    for (char *p = strrchr(text, '/'); *p != '\0'; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    assert_int_equal(hp_invite_read(text, &out, NULL), 0);
    assert_memory_equal(out.secret, in.secret, 16);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "no invite"},
        {"https://hub.example.org/", "no invite"},
        {"hostpair://join/hub.example.org:9010", "incomplete"},
        {"hostpair://join/hub.example.org:9010/abc", "incomplete"},
        {"hostpair://join//aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "incomplete"},
    };
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        hp_invite_t out;
        hp_err_t err = {0};
        assert_int_equal(hp_invite_read(cases[i].text, &out, &err), HP_E_INVALID);
        if (strstr(err.detail, cases[i].words) == NULL)
            fail_msg("%s: %s", cases[i].text, err.detail);
    }
    char endless[4096];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    hp_invite_t out;
    assert_int_equal(hp_invite_read(endless, &out, NULL), HP_E_INVALID);
}

static void reads_addresses_of_hubs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hub, *host;
        uint16_t port;
    } cases[] = {
        {"hub.example.org", "hub.example.org:9010", "hub.example.org", 9010},
        {"Hub.Example.ORG:443", "hub.example.org:443", "hub.example.org", 443},
        {"192.0.2.7", "192.0.2.7:9010", "192.0.2.7", 9010},
        {"2001:db8::1", "[2001:db8::1]:9010", "2001:db8::1", 9010},
        {"[2001:db8::1]:80", "[2001:db8::1]:80", "2001:db8::1", 80},
        {"[::1]", "[::1]:9010", "::1", 9010},
        {"localhost:9010", "localhost:9010", "localhost", 9010},
    };
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        char hub[HP_INVITE_HUB_SIZE], host[HP_INVITE_HUB_SIZE];
        uint16_t port;
        assert_int_equal(hp_invite_hub_parse(cases[i].text, hub, NULL), 0);
        assert_string_equal(hub, cases[i].hub);
        hp_invite_hub_split(hub, host, &port);
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
    static const char *const bad[] = {
        "",     ":9010",  "a b",     "hub:0", "hub:65536",    "hub:",   "hub:9x", "-a.org", "a..b",
        "[::1", "[::1]x", "[hub]:1", "a/b",   "hub:12345678", "a-.org", "[::1]:", "ex.org-"};
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        char hub[HP_INVITE_HUB_SIZE];
        if (hp_invite_hub_parse(bad[i], hub, NULL) != HP_E_INVALID)
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_what_was_written), cmocka_unit_test(finds_every_single_changed_character),
        cmocka_unit_test(takes_what_people_paste),     cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(reads_addresses_of_hubs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
