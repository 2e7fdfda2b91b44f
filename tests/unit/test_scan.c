// libs: discovery fetch store db path os base
/* Which addresses a scan tries, and how addresses are written. */
#include <arpa/inet.h>

#include "base/err.h"
#include "base/mem.h"
#include "path/address.h"
#include "test_db_help.h"

static uint32_t ip(const char *text)
{
    return ntohl(inet_addr(text));
}

static void a_subnet_is_every_address_between_network_and_broadcast(void **state)
{
    static const struct {
        const char *own;
        int prefix;
        bool whole;
        const char *first, *last; /* NULL: none */
    } cases[] = {
        {"192.168.1.77", 24, false, "192.168.1.1", "192.168.1.254"},
        {"192.168.1.77", 30, false, "192.168.1.77", "192.168.1.78"},
        {"192.168.1.77", 31, false, NULL, NULL},
        {"192.168.1.77", 32, false, NULL, NULL},
        {"10.1.2.3", 20, false, "10.1.0.1", "10.1.15.254"},
        {"10.1.2.3", 16, false, "10.1.0.1", "10.1.15.254"},
        {"10.1.200.3", 8, false, "10.1.192.1", "10.1.207.254"},
        {"10.1.2.3", 16, true, "10.1.0.1", "10.1.255.254"},
        {"255.255.255.254", 24, false, "255.255.255.1", "255.255.255.254"},
        {"0.0.0.1", 0, false, "0.0.0.1", "0.0.15.254"},
    };
    (void)state;
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        uint32_t mask = cases[i].prefix == 0 ? 0 : ~0u << (32 - cases[i].prefix);
        hp_subnet_t range = hp_subnet_hosts(ip(cases[i].own), mask, cases[i].whole);
        if (cases[i].first == NULL) {
            assert_true(range.first > range.last);
            continue;
        }
        if (range.first != ip(cases[i].first) || range.last != ip(cases[i].last))
            fail_msg("%s/%d: %08x to %08x", cases[i].own, cases[i].prefix, range.first, range.last);
    }
}

static void an_address_has_one_form(void **state)
{
    static const struct {
        const char *text, *canonical; /* NULL: refused */
    } cases[] = {
        {"10.0.0.1", "10.0.0.1"},
        {"::ffff:10.0.0.1", "10.0.0.1"},
        {"2001:DB8:0:0::1", "2001:db8::1"},
        {"fe80::1%eth0", "fe80::1%eth0"},
        {"2001:db8::1%eth0", "2001:db8::1"},
        {"127.0.0.1", "127.0.0.1"},
        {"::1", "::1"},
        {"", NULL},
        {"host", NULL},
        {"10.0.0", NULL},
        {"10.0.0.256", NULL},
        {"010.0.0.1", NULL},
        {"10.0.0.1%eth0", NULL},
        {"0.0.0.0", NULL},
        {"224.0.0.1", NULL},
        {"255.255.255.255", NULL},
        {"::", NULL},
        {"ff02::1", NULL},
        {"fe80::1%averyveryverylongname", NULL},
        {"fe80::1%a/b", NULL},
        {"::ffff:224.0.0.1", NULL},
    };
    (void)state;
    char out[HP_ADDRESS_TEXT];
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        int rc = hp_address_canonical(cases[i].text, out);
        if ((rc == 0) != (cases[i].canonical != NULL) || (rc == 0 && strcmp(out, cases[i].canonical) != 0))
            fail_msg("%s: %d %s", cases[i].text, rc, rc == 0 ? out : "");
    }
}

static void kernel_addresses_come_back_as_they_went(void **state)
{
    static const char *const texts[] = {"10.1.2.3", "2001:db8::5", "fe80::7%lo", "::1"};
    (void)state;
    for (size_t i = 0; i < HP_COUNT(texts); i++) {
        hp_sockaddr_t address;
        char out[HP_ADDRESS_TEXT];
        uint16_t port;
        assert_int_equal(hp_address_to_sockaddr(texts[i], 9123, &address), 0);
        hp_address_from_sockaddr(&address, out, &port);
        assert_string_equal(out, texts[i]);
        assert_int_equal(port, 9123);
    }
    hp_sockaddr_t address;
    assert_int_equal(hp_address_to_sockaddr("fe80::1%nosuchif0", 1, &address), HP_E_INVALID);
    assert_int_equal(hp_address_to_sockaddr("nonsense", 1, &address), HP_E_INVALID);
}

static void an_address_tells_from_where_it_is_reached(void **state)
{
    static const struct {
        const char *text;
        hp_address_scope_t scope;
    } cases[] = {
        {"127.0.0.1", HP_SCOPE_MACHINE},    {"::1", HP_SCOPE_MACHINE},
        {"0.0.0.0", HP_SCOPE_MACHINE},      {"::", HP_SCOPE_MACHINE},
        {"169.254.1.1", HP_SCOPE_LINK},     {"fe80::1", HP_SCOPE_LINK},
        {"10.9.9.9", HP_SCOPE_PRIVATE},     {"172.16.0.1", HP_SCOPE_PRIVATE},
        {"172.31.255.1", HP_SCOPE_PRIVATE}, {"172.32.0.1", HP_SCOPE_GLOBAL},
        {"192.168.1.1", HP_SCOPE_PRIVATE},  {"100.64.0.1", HP_SCOPE_PRIVATE},
        {"100.128.0.1", HP_SCOPE_GLOBAL},   {"fd00::1", HP_SCOPE_PRIVATE},
        {"fe00::1", HP_SCOPE_GLOBAL},       {"203.0.113.9", HP_SCOPE_GLOBAL},
        {"2001:db8::1", HP_SCOPE_GLOBAL},   {"11.0.0.1", HP_SCOPE_GLOBAL},
    };
    (void)state;
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        hp_sockaddr_t address;
        assert_int_equal(hp_address_to_sockaddr(cases[i].text, 1, &address), 0);
        assert_int_equal(hp_address_scope(&address), cases[i].scope);
    }
    hp_sockaddr_t mapped = {.v6.sin6_family = AF_INET6};
    assert_int_equal(inet_pton(AF_INET6, "::ffff:10.1.1.1", &mapped.v6.sin6_addr), 1);
    assert_int_equal(hp_address_scope(&mapped), HP_SCOPE_PRIVATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subnet_is_every_address_between_network_and_broadcast),
        cmocka_unit_test(an_address_has_one_form),
        cmocka_unit_test(kernel_addresses_come_back_as_they_went),
        cmocka_unit_test(an_address_tells_from_where_it_is_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
