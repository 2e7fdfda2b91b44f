// libs: tunnel path os base
/* What goes to addresses that have not answered: how much, and what an answer changes. */
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "path/address.h"
#include "tunnel/unproven.h"

static hp_sockaddr_t address_of(const char *text, uint16_t port)
{
    hp_sockaddr_t out;
    assert_int_equal(hp_address_to_sockaddr(text, port, &out), 0);
    return out;
}

/* How many of so many packets may go. */
static unsigned pass(hp_unproven_t *unproven, const char *to, unsigned count, uint64_t now)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < count; i++) {
        hp_sockaddr_t address = address_of(to, (uint16_t)(1 + i));
        passed += hp_unproven_packet(unproven, &address, now);
    }
    return passed;
}

static void an_address_gets_so_many_packets_a_minute_whatever_the_port(void **state)
{
    (void)state;
    hp_unproven_t *unproven = hp_unproven_create();
    assert_int_equal(pass(unproven, "203.0.113.9", 400, 1000), HP_UNPROVEN_PACKETS);
    assert_int_equal(pass(unproven, "203.0.113.9", 400, 60000), 0);
    assert_int_equal(pass(unproven, "203.0.113.10", 3, 60000), 3); /* another one */
    assert_int_equal(pass(unproven, "203.0.113.9", 400, 61000), HP_UNPROVEN_PACKETS);
    assert_int_equal(pass(unproven, "2001:db8::1", 400, 61000), HP_UNPROVEN_PACKETS);
    assert_int_equal(pass(unproven, "2001:db8::2:3:4", 400, 61000), 0); /* of the same /64 */
    assert_int_equal(pass(unproven, "2001:db8:0:1::1", 3, 61000), 3);
    hp_unproven_destroy(unproven);
}

static void an_answer_lets_its_address_begin_anew(void **state)
{
    (void)state;
    hp_unproven_t *unproven = hp_unproven_create();
    hp_sockaddr_t from = address_of("203.0.113.9", 5);
    assert_int_equal(pass(unproven, "203.0.113.9", 400, 1000), HP_UNPROVEN_PACKETS);
    hp_unproven_answered(unproven, &from);
    assert_int_equal(pass(unproven, "203.0.113.9", 400, 1000), HP_UNPROVEN_PACKETS);
    from = address_of("203.0.113.99", 5); /* nothing was sent there */
    hp_unproven_answered(unproven, &from);
    hp_unproven_destroy(unproven);
}

static void all_of_them_together_get_no_more_than_a_line_bears(void **state)
{
    (void)state;
    hp_unproven_t *unproven = hp_unproven_create();
    unsigned passed = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char text[32];
        snprintf(text, sizeof text, "198.51.%u.%u", i / 250, i % 250 + 1);
        passed += pass(unproven, text, 10, 1000);
    }
    assert_int_equal(passed, HP_UNPROVEN_ALL);
    assert_int_equal(pass(unproven, "203.0.113.9", 10, 10999), 0);
    assert_int_equal(pass(unproven, "203.0.113.9", 10, 11000), 10);
    hp_unproven_destroy(unproven);
}

static void relays_that_never_answered_get_few_connections_and_one_that_did_gets_all(void **state)
{
    (void)state;
    hp_unproven_t *unproven = hp_unproven_create();
    hp_sockaddr_t relay = address_of("203.0.113.9", 9010);
    unsigned passed = 0;
    for (unsigned i = 0; i < 100; i++) {
        hp_sockaddr_t at = address_of("203.0.113.10", (uint16_t)(1 + i));
        passed += hp_unproven_connection(unproven, &at, 1000);
    }
    assert_int_equal(passed, HP_UNPROVEN_CONNECTIONS);
    assert_false(hp_unproven_connection(unproven, &relay, 1000));
    hp_unproven_relay(unproven, &relay);
    for (unsigned i = 0; i < 100; i++)
        assert_true(hp_unproven_connection(unproven, &relay, 1000));
    relay = address_of("203.0.113.9", 25); /* another port of it */
    assert_false(hp_unproven_connection(unproven, &relay, 1000));
    hp_unproven_destroy(unproven);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_gets_so_many_packets_a_minute_whatever_the_port),
        cmocka_unit_test(an_answer_lets_its_address_begin_anew),
        cmocka_unit_test(all_of_them_together_get_no_more_than_a_line_bears),
        cmocka_unit_test(relays_that_never_answered_get_few_connections_and_one_that_did_gets_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
