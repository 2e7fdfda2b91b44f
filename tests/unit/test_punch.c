// libs: tunnel identity path pool os base
/* Opening routers: two sides on a network in memory, whose routers a test makes; what a hub tells of
 * addresses, and what a stranger may send. Also gathering and the router's port. */
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "tunnel/gather.h"
#include "tunnel/pcp.h"
#include "tunnel/punch.h"

enum { MS = 1000000 };

static hp_sockaddr_t address_of(const char *text, uint16_t port)
{
    hp_sockaddr_t out = {0};
    if (inet_pton(AF_INET, text, &out.v4.sin_addr) == 1) {
        out.v4.sin_family = AF_INET;
        out.v4.sin_port = htons(port);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &out.v6.sin6_addr), 1);
        out.v6.sin6_family = AF_INET6;
        out.v6.sin6_port = htons(port);
    }
    return out;
}

/* Datagrams of one side, kept for the test to deliver. */
typedef struct sent {
    hp_sockaddr_t to;
    uint8_t data[HP_STUN_MAX];
    size_t length;
} sent_t;

typedef struct side {
    hp_punch_t punch;
    sent_t sent[400];
    size_t count;
} side_t;

static side_t a, b;

static void keep(void *arg, const hp_sockaddr_t *to, const uint8_t *data, size_t length)
{
    side_t *side = arg;
    assert_true(side->count < HP_COUNT(side->sent));
    sent_t *sent = &side->sent[side->count++];
    sent->to = *to;
    sent->length = length;
    memcpy(sent->data, data, length);
}

static void start(side_t *side, bool first, const char *other, uint16_t port, uint64_t at)
{
    hp_go_t go = {.peer.session = "00112233445566778899aabbccddeeff", .peer.count = 1};
    memset(go.key, 7, sizeof go.key);
    go.peer.candidates[0] = (hp_candidate_t){HP_CANDIDATE_MAPPED, address_of(other, port)};
    memset(side, 0, sizeof *side);
    hp_punch_init(&side->punch, &go, first, at);
}

static hp_punch_got_t pass(const sent_t *sent, side_t *to, const char *from, uint16_t port, uint64_t now)
{
    hp_stun_t stun;
    hp_sockaddr_t source = address_of(from, port);
    assert_int_equal(hp_stun_parse(&stun, sent->data, sent->length), 0);
    return hp_punch_packet(&to->punch, now, &stun, &source, keep, to);
}

static void both_sides_learn_that_the_way_works(void **state)
{
    (void)state;
    start(&a, true, "198.51.100.2", 2000, 0);
    start(&b, false, "198.51.100.1", 1000, 0);
    assert_int_equal(hp_punch_tick(&a.punch, 1 * MS, keep, &a), 21 * MS);
    assert_int_equal(a.count, 1);
    assert_int_equal(pass(&a.sent[0], &b, "198.51.100.1", 1000, 35 * MS), HP_PUNCH_REQUEST);
    assert_int_equal(b.count, 1); /* the answer */
    hp_sockaddr_t at_a = address_of("198.51.100.1", 1000);
    assert_true(hp_punch_heard(&b.punch, &at_a));
    assert_int_equal(pass(&b.sent[0], &a, "198.51.100.2", 2000, 71 * MS), HP_PUNCH_ANSWER);
    assert_int_equal(a.punch.rtt, 70 * MS);
    assert_int_equal(pass(&b.sent[0], &a, "198.51.100.2", 2000, 80 * MS), HP_PUNCH_FOREIGN); /* once only */
}

static void a_new_address_is_asked_at_once(void **state)
{
    (void)state;
    start(&a, true, "198.51.100.2", 2000, 0);
    start(&b, false, "198.51.100.1", 1000, 0);
    hp_punch_tick(&a.punch, 0, keep, &a);
    hp_punch_tick(&b.punch, 0, keep, &b);
    size_t before = b.count;
    assert_int_equal(pass(&a.sent[0], &b, "198.51.100.1", 31337, 35 * MS),
                     HP_PUNCH_REQUEST); /* another port */
    assert_int_equal(b.count, before + 2);
    hp_sockaddr_t seen = address_of("198.51.100.1", 31337);
    assert_true(hp_sockaddr_equal(&b.sent[before].to, &seen) &&
                hp_sockaddr_equal(&b.sent[before + 1].to, &seen));
    hp_punch_tick(&b.punch, 40 * MS, keep, &b);
    assert_true(hp_sockaddr_equal(&b.sent[b.count - 1].to, &seen)); /* and again with the others */
}

static void nothing_is_asked_before_the_time(void **state)
{
    (void)state;
    start(&a, true, "198.51.100.2", 2000, 50 * MS);
    assert_int_equal(hp_punch_tick(&a.punch, 0, keep, &a), 50 * MS);
    assert_int_equal(a.count, 0);
    hp_punch_tick(&a.punch, 50 * MS, keep, &a);
    assert_int_equal(a.count, 1);
}

static void it_ends_after_two_seconds_and_a_bounded_number_of_packets(void **state)
{
    (void)state;
    start(&a, true, "198.51.100.2", 2000, 0);
    uint64_t due = 0;
    while (due != UINT64_MAX && due < 10000ull * MS)
        due = hp_punch_tick(&a.punch, due, keep, &a);
    assert_int_equal(a.count, HP_PUNCH_ROUNDS);
    assert_in_range(a.punch.due / MS, 1800, 2200);
}

static void a_wrong_key_name_or_session_is_foreign(void **state)
{
    (void)state;
    start(&a, true, "198.51.100.2", 2000, 0);
    start(&b, false, "198.51.100.1", 1000, 0);
    hp_punch_tick(&a.punch, 0, keep, &a);
    hp_sockaddr_t at_a = address_of("198.51.100.1", 1000);
    b.punch.key[0] ^= 1;
    assert_int_equal(pass(&a.sent[0], &b, "198.51.100.1", 1000, 1), HP_PUNCH_FOREIGN);
    b.punch.key[0] ^= 1;
    b.punch.session[3] ^= 1;
    assert_int_equal(pass(&a.sent[0], &b, "198.51.100.1", 1000, 1), HP_PUNCH_FOREIGN);
    b.punch.session[3] ^= 1;
    assert_int_equal(pass(&a.sent[0], &a, "198.51.100.1", 1000, 1),
                     HP_PUNCH_FOREIGN); /* thrown back at its sender */
    assert_false(hp_punch_heard(&b.punch, &at_a));
    assert_int_equal(b.count, 0); /* and gets no answer */
    assert_int_equal(pass(&a.sent[0], &b, "198.51.100.1", 1000, 1), HP_PUNCH_REQUEST);
    b.sent[0].data[8] ^= 1; /* an answer that nobody asked for */
    hp_stun_t stun;
    assert_int_equal(hp_stun_parse(&stun, b.sent[0].data, b.sent[0].length), HP_E_INVALID);
}

static void addresses_that_are_no_other_hosts_are_left_out(void **state)
{
    (void)state;
    const struct {
        const char *address;
        uint16_t port;
    } bad[] = {{"127.0.0.1", 80},       {"0.0.0.0", 80}, {"224.0.0.1", 80},
               {"255.255.255.255", 80}, {"10.0.0.1", 0}, {"::1", 80},
               {"ff02::1", 80},         {"::", 80},      {"fe80::1", 80},
               {"::ffff:10.0.0.1", 80}};
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        start(&a, true, bad[i].address, bad[i].port, 0);
        assert_int_equal(a.punch.count, 0);
    }
    start(&a, true, "2001:db8::1", 80, 0);
    assert_int_equal(a.punch.count, 1);
}

/* ---- gathering ---- */

static void answer(hp_gather_t *gather, size_t which, const char *mapped, uint16_t port, uint64_t now)
{
    uint8_t out[HP_STUN_MAX];
    hp_stun_t stun;
    hp_sockaddr_t seen = address_of(mapped, port);
    size_t length = hp_stun_answer(out, a.sent[which].data, a.sent[which].length, &seen);
    assert_true(length > 0);
    assert_int_equal(hp_stun_parse(&stun, out, length), 0);
    assert_true(hp_gather_packet(gather, now, &stun, &a.sent[which].to));
}

static void begin(hp_gather_t *gather)
{
    const hp_sockaddr_t servers[] = {address_of("203.0.113.9", 9010), address_of("203.0.113.9", 9011)};
    memset(&a, 0, sizeof a);
    hp_gather_init(gather, servers, 2, 1);
    assert_true(hp_gather_tick(gather, 1, keep, &a) > 0);
    assert_int_equal(a.count, 2);
}

static void one_address_at_both_ports_is_fixed(void **state)
{
    (void)state;
    hp_gather_t gather;
    begin(&gather);
    answer(&gather, 0, "198.51.100.1", 5000, 40 * MS);
    assert_true(hp_gather_tick(&gather, 41 * MS, keep, &a) > 0);
    answer(&gather, 1, "198.51.100.1", 5000, 42 * MS);
    assert_int_equal(hp_gather_tick(&gather, 43 * MS, keep, &a), 0);
    assert_int_equal(hp_gather_mapping(&gather), HP_MAPPING_FIXED);
    hp_offer_t offer = {0};
    hp_gather_candidates(&gather, &offer, 5000, 0, NULL);
    bool mapped = false;
    for (size_t i = 0; i < offer.count; i++)
        mapped = mapped || offer.candidates[i].kind == HP_CANDIDATE_MAPPED;
    assert_true(mapped);
    assert_int_equal(offer.mapping, HP_MAPPING_FIXED);
}

static void another_port_at_the_second_is_varying(void **state)
{
    (void)state;
    hp_gather_t gather;
    begin(&gather);
    answer(&gather, 0, "198.51.100.1", 5000, 40 * MS);
    answer(&gather, 1, "198.51.100.1", 5001, 42 * MS);
    assert_int_equal(hp_gather_mapping(&gather), HP_MAPPING_VARYING);
}

static void no_answer_is_blocked_and_ends_in_time(void **state)
{
    (void)state;
    hp_gather_t gather;
    uint64_t due = 1;
    begin(&gather);
    while (due != 0 && due < 5000ull * MS) {
        uint64_t next = hp_gather_tick(&gather, due, keep, &a);
        if (next == 0)
            break;
        assert_true(next > due);
        due = next;
    }
    assert_in_range(due / MS, HP_GATHER_MS - 10, HP_GATHER_MS + 10);
    assert_in_range(a.count, 6, 10);
    assert_int_equal(hp_gather_mapping(&gather), HP_MAPPING_BLOCKED);
}

static void an_answer_from_elsewhere_is_not_taken(void **state)
{
    (void)state;
    hp_gather_t gather;
    uint8_t out[HP_STUN_MAX];
    hp_stun_t stun;
    begin(&gather);
    hp_sockaddr_t liar = address_of("203.0.113.66", 9010), seen = address_of("192.0.2.1", 1);
    size_t length = hp_stun_answer(out, a.sent[0].data, a.sent[0].length, &seen);
    assert_int_equal(hp_stun_parse(&stun, out, length), 0);
    assert_false(hp_gather_packet(&gather, 10, &stun, &liar));
    assert_int_equal(hp_gather_mapping(&gather), HP_MAPPING_BLOCKED);
}

/* ---- PCP ---- */

static void a_router_that_opens_the_port_is_understood(void **state)
{
    (void)state;
    hp_pcp_t pcp = {.nonce = "abcdefghijkl", .port = 9002, .lifetime_s = 3600};
    uint8_t data[HP_PCP_MESSAGE];
    hp_pcp_answer_t got;
    inet_pton(AF_INET, "192.168.1.10", &pcp.client);
    hp_pcp_write(&pcp, 9002, data);
    const uint8_t start_of_request[] = {2, 1, 0, 0, 0, 0, 0x0e, 0x10, 0,   0,   0, 0,
                                        0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 10};
    assert_memory_equal(data, start_of_request, sizeof start_of_request);
    assert_int_equal(hp_pcp_read(&pcp, data, sizeof data, &got), HP_E_INVALID); /* a request is no answer */
    data[1] |= 0x80;
    data[42] = 0x30;
    data[43] = 0x39;
    memcpy(data + 54, (const uint8_t[]){0xff, 0xff, 198, 51, 100, 1}, 6);
    assert_int_equal(hp_pcp_read(&pcp, data, sizeof data, &got), 0);
    assert_int_equal(got.result, 0);
    assert_int_equal(got.external_port, 12345);
    assert_int_equal(ntohl(got.external.s_addr), 0xc6336401);
    assert_int_equal(got.lifetime_s, 3600);
    data[24] ^= 1; /* an answer to somebody else */
    assert_int_equal(hp_pcp_read(&pcp, data, sizeof data, &got), HP_E_INVALID);
    data[24] ^= 1;
    data[3] = 8; /* NO_RESOURCES */
    assert_int_equal(hp_pcp_read(&pcp, data, sizeof data, &got), 0);
    assert_int_equal(got.result, 8);
    for (size_t length = 0; length < sizeof data; length++)
        assert_true(hp_pcp_read(&pcp, data, length, &got) != 0);
    const uint8_t natpmp[] = {0, 0x80 | 1, 0, 1, 0, 0, 0, 0}; /* "unsupported version" of NAT-PMP */
    assert_int_equal(hp_pcp_read(&pcp, natpmp, sizeof natpmp, &got), 0);
    assert_int_equal(got.result, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_learn_that_the_way_works),
        cmocka_unit_test(a_new_address_is_asked_at_once),
        cmocka_unit_test(nothing_is_asked_before_the_time),
        cmocka_unit_test(it_ends_after_two_seconds_and_a_bounded_number_of_packets),
        cmocka_unit_test(a_wrong_key_name_or_session_is_foreign),
        cmocka_unit_test(addresses_that_are_no_other_hosts_are_left_out),
        cmocka_unit_test(one_address_at_both_ports_is_fixed),
        cmocka_unit_test(another_port_at_the_second_is_varying),
        cmocka_unit_test(no_answer_is_blocked_and_ends_in_time),
        cmocka_unit_test(an_answer_from_elsewhere_is_not_taken),
        cmocka_unit_test(a_router_that_opens_the_port_is_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
