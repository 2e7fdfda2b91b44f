// libs: tunnel identity path pool os base
/* The state machine of a remote host, with two of them that talk through a hub in memory, and a clock that
 * the test turns. */
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "tunnel/reach.h"

typedef struct side {
    hp_reach_t reach;
    struct side *other;
    bool gathering, fresh, offers_lost, offline;
    unsigned gathered, offered, punched, unheard, stopped, rested;
    hp_go_t go;
    hp_offer_t found; /* what gathering finds */
    hp_offer_t sent;
} side_t;

static side_t a, b;
static uint64_t now;

static void op_gather(void *arg, bool fresh)
{
    side_t *side = arg;
    side->gathering = true;
    side->fresh = fresh;
    side->gathered++;
}

static int op_offer(void *arg, const hp_offer_t *offer)
{
    side_t *side = arg;
    if (side->offline)
        return -ENOTCONN;
    side->sent = *offer;
    side->offered++;
    return 0;
}

static void op_punch(void *arg, const hp_go_t *go)
{
    side_t *side = arg;
    side->go = *go;
    side->punched++;
}

static void op_unheard(void *arg)
{
    ((side_t *)arg)->unheard++;
}

static void op_stop(void *arg)
{
    ((side_t *)arg)->gathering = false;
    ((side_t *)arg)->stopped++;
}

static void op_rest(void *arg)
{
    ((side_t *)arg)->rested++;
}

static void op_changed(void *arg)
{
    (void)arg;
}

static void add_candidate(side_t *side, const char *address, hp_candidate_kind_t kind)
{
    hp_candidate_t *candidate = &side->found.candidates[side->found.count++];
    candidate->kind = kind;
    candidate->address.v4.sin_family = AF_INET;
    candidate->address.v4.sin_port = htons(4711);
    assert_int_equal(inet_pton(AF_INET, address, &candidate->address.v4.sin_addr), 1);
}

static void start_side(side_t *side, side_t *other, const char *id, const char *other_id, const char *address)
{
    *side = (side_t){.other = other, .found.mapping = HP_MAPPING_FIXED};
    hp_reach_ops_t ops = {.gather = op_gather,
                          .offer = op_offer,
                          .punch = op_punch,
                          .unheard = op_unheard,
                          .stop = op_stop,
                          .rest = op_rest,
                          .changed = op_changed,
                          .arg = side};
    hp_reach_init(&side->reach, id, other_id, &ops);
    add_candidate(side, address, HP_CANDIDATE_MAPPED);
}

static int set_up(void **state)
{
    (void)state;
    now = 1000;
    start_side(&a, &b, "0123", "4567", "198.51.100.1"); /* the smaller id */
    start_side(&b, &a, "4567", "0123", "198.51.100.2");
    return 0;
}

static void finish_gathering(side_t *side)
{
    assert_true(side->gathering);
    side->gathering = false;
    hp_reach_gathered(&side->reach, &side->found, now);
}

static void deliver(side_t *from)
{
    hp_offer_t offer = from->sent;
    hp_reach_offered(&from->other->reach, &offer, now);
}

/* The hub has both offers. */
static void say_go(side_t *side)
{
    hp_go_t go = {.peer = side->other->sent, .wait_ms = 10};
    hp_reach_go(&side->reach, &go, now);
}

static void tick(uint64_t ms)
{
    now += ms;
    if (a.reach.due <= now)
        hp_reach_tick(&a.reach, now);
    if (b.reach.due <= now)
        hp_reach_tick(&b.reach, now);
}

/* a wants b; both get as far as punching. */
static void come_to_punching(void)
{
    hp_reach_want(&a.reach, now);
    finish_gathering(&a);
    deliver(&a);
    finish_gathering(&b);
    deliver(&b);
    say_go(&a);
    say_go(&b);
    assert_int_equal(a.reach.state, HP_REACH_PUNCH);
    assert_int_equal(b.reach.state, HP_REACH_PUNCH);
}

static void come_to_direct(void)
{
    come_to_punching();
    hp_reach_punched(&a.reach, now);
    hp_reach_punched(&b.reach, now);
    assert_int_equal(a.reach.state, HP_REACH_HANDSHAKE);
    hp_reach_confirmed(&a.reach);
    hp_reach_confirmed(&b.reach);
    assert_true(a.reach.up && b.reach.up);
    assert_int_equal(a.reach.state, HP_REACH_DIRECT);
}

static void a_wish_leads_to_a_direct_way(void **state)
{
    (void)state;
    assert_int_equal(a.reach.state, HP_REACH_IDLE);
    come_to_direct();
    assert_string_equal(a.go.peer.session, b.go.peer.session);
    assert_false(a.fresh || b.fresh);
    assert_string_equal(a.reach.reason, "");
    assert_true(hp_reach_is_first(&a.reach));
    assert_false(hp_reach_is_first(&b.reach));
}

static void when_both_offer_the_smaller_ids_session_counts(void **state)
{
    (void)state;
    hp_reach_want(&a.reach, now);
    hp_reach_want(&b.reach, now);
    finish_gathering(&a);
    finish_gathering(&b);
    hp_offer_t from_a = a.sent, from_b = b.sent;
    assert_string_not_equal(from_a.session, from_b.session);
    hp_reach_offered(&a.reach, &from_b, now); /* they cross */
    hp_reach_offered(&b.reach, &from_a, now);
    assert_string_equal(a.reach.own.session, from_a.session);
    assert_string_equal(b.sent.session, from_a.session); /* b answers */
    assert_int_equal(b.offered, 2);
    assert_int_equal(a.offered, 1);
    say_go(&a);
    say_go(&b);
    assert_int_equal(a.reach.state, HP_REACH_PUNCH);
    assert_int_equal(b.reach.state, HP_REACH_PUNCH);
}

/* Calls to a hub overtake each other: b's own offer comes to a when b follows a's already. */
static void an_offer_that_crossed_and_comes_late_ends_no_try(void **state)
{
    (void)state;
    hp_reach_want(&a.reach, now);
    hp_reach_want(&b.reach, now);
    finish_gathering(&a);
    finish_gathering(&b);
    hp_offer_t from_a = a.sent, from_b = b.sent;
    hp_reach_offered(&b.reach, &from_a, now);
    say_go(&a);
    say_go(&b);
    hp_reach_offered(&a.reach, &from_b, now);
    assert_int_equal(a.reach.state, HP_REACH_PUNCH);
    assert_string_equal(a.reach.own.session, from_a.session);
    assert_true(a.reach.initiator);
    /* Later on it is another try, which a follows. */
    tick(HP_REACH_CROSSING_MS);
    from_b.session[0] ^= 1;
    hp_reach_offered(&a.reach, &from_b, now);
    assert_int_equal(a.reach.state, HP_REACH_GATHER);
    assert_string_equal(a.reach.own.session, from_b.session);
}

static void an_offer_that_comes_while_gathering_is_taken(void **state)
{
    (void)state;
    hp_reach_want(&a.reach, now);
    hp_reach_want(&b.reach, now);
    finish_gathering(&b);
    deliver(&b); /* a is still gathering: b's session serves both */
    finish_gathering(&a);
    assert_string_equal(a.sent.session, b.sent.session);
    assert_int_equal(a.gathered, 1);
}

static void each_further_try_takes_new_ports_and_three_are_enough(void **state)
{
    (void)state;
    come_to_punching();
    for (int try = 2; try <= HP_REACH_TRIES; try++) {
        tick(HP_REACH_PUNCH_MS + 10);
        assert_int_equal(a.reach.state, HP_REACH_GATHER); /* a began, a tries again */
        assert_true(a.fresh);
        finish_gathering(&a);
        deliver(&a);
        assert_true(b.fresh);
        finish_gathering(&b);
        deliver(&b);
        say_go(&a);
        say_go(&b);
        assert_int_equal(a.punched, try);
    }
    tick(HP_REACH_PUNCH_MS + 10);
    assert_int_equal(a.reach.state, HP_REACH_RELAY);
    assert_int_equal(b.reach.state, HP_REACH_RELAY);
    assert_string_equal(a.reach.reason, "the routers between both networks let no packets through");
    unsigned tries = a.punched;
    hp_reach_want(&a.reach, now); /* no sooner because somebody asks */
    tick(HP_REACH_REST_MS - 1000);
    assert_int_equal(a.reach.state, HP_REACH_RELAY);
    assert_int_equal(a.punched, tries);
    tick(HP_REACH_REST_MS);
    assert_int_equal(a.reach.state, HP_REACH_GATHER);
    assert_true(a.fresh);
}

static void two_networks_that_change_ports_get_one_try_and_a_reason(void **state)
{
    (void)state;
    a.found.mapping = b.found.mapping = HP_MAPPING_VARYING;
    come_to_punching();
    assert_false(hp_reach_is_promising(&a.reach));
    assert_string_equal(a.reach.reason, "both networks change ports on every connection");
    tick(HP_REACH_PUNCH_MS + 10);
    assert_int_equal(a.reach.state, HP_REACH_RELAY);
    assert_int_equal(a.punched, 1);
}

static void behind_one_router_there_is_hope_all_the_same(void **state)
{
    (void)state;
    a.found.mapping = b.found.mapping = HP_MAPPING_VARYING;
    b.found.candidates[0].address.v4.sin_addr = a.found.candidates[0].address.v4.sin_addr;
    come_to_punching();
    assert_true(hp_reach_is_promising(&a.reach));
}

static void blocked_networks_are_named(void **state)
{
    (void)state;
    a.found.mapping = HP_MAPPING_BLOCKED;
    come_to_punching();
    assert_string_equal(a.reach.reason, "this network lets no UDP through");
    assert_string_equal(b.reach.reason, "the other network lets no UDP through");
    assert_false(hp_reach_is_promising(&a.reach));
}

static void a_host_that_does_not_answer_is_asked_three_times(void **state)
{
    (void)state;
    hp_reach_want(&a.reach, now);
    for (int i = 0; i < HP_REACH_OFFERS; i++) {
        finish_gathering(&a);
        assert_int_equal(a.offered, i + 1);
        assert_false(a.fresh); /* its router let nothing down */
        tick(HP_REACH_OFFER_MS - 1);
        assert_int_equal(a.reach.state, HP_REACH_OFFER);
        assert_int_equal(a.unheard, i);
        tick(1);
        assert_int_equal(a.unheard, i + 1); /* the hub may be what is not heard */
    }
    assert_int_equal(a.reach.state, HP_REACH_RELAY);
    assert_string_equal(a.reach.reason, "the other host does not answer through the hub");
}

static void without_a_hub_there_is_no_try(void **state)
{
    (void)state;
    a.offline = true;
    hp_reach_want(&a.reach, now);
    finish_gathering(&a);
    assert_int_equal(a.reach.state, HP_REACH_RELAY);
    assert_string_equal(a.reach.reason, "the hub cannot be reached");
    assert_true(a.reach.missed);
    a.offline = false;
    hp_reach_again(&a.reach); /* it is back */
    assert_int_equal(a.reach.state, HP_REACH_GATHER);
}

static void a_way_that_is_lost_is_looked_for_again(void **state)
{
    (void)state;
    come_to_direct();
    hp_reach_lost(&a.reach, true, "nothing is heard from the other host", now);
    assert_false(a.reach.up);
    assert_int_equal(a.reach.state, HP_REACH_GATHER);
    finish_gathering(&a);
    deliver(&a);
    assert_true(b.reach.up); /* b keeps its own until the new one is proven */
    assert_int_equal(b.rested, 0);
    finish_gathering(&b);
    deliver(&b);
    say_go(&a);
    say_go(&b);
    hp_reach_punched(&a.reach, now);
    hp_reach_punched(&b.reach, now);
    hp_reach_confirmed(&a.reach);
    hp_reach_confirmed(&b.reach);
    assert_int_equal(b.reach.state, HP_REACH_DIRECT);
}

static void a_try_that_fails_leaves_the_way_that_stands(void **state)
{
    (void)state;
    come_to_direct();
    hp_reach_again(&a.reach); /* addresses changed */
    for (int i = 0; i < HP_REACH_OFFERS; i++) {
        finish_gathering(&a);
        tick(HP_REACH_OFFER_MS);
    }
    assert_int_equal(a.reach.state, HP_REACH_DIRECT);
    assert_true(a.reach.up);
}

static void what_changes_during_a_try_is_tried_after_it(void **state)
{
    (void)state;
    a.found.mapping = b.found.mapping = HP_MAPPING_VARYING; /* one try */
    come_to_punching();
    hp_reach_again(&a.reach); /* the router opened a port */
    assert_int_equal(a.reach.state, HP_REACH_PUNCH);
    tick(HP_REACH_PUNCH_MS + 10);
    assert_int_equal(a.reach.state, HP_REACH_GATHER);
    assert_int_equal(b.reach.state, HP_REACH_RELAY);
    assert_false(a.fresh); /* on the port that was opened */
}

static void a_host_that_nobody_wants_rests(void **state)
{
    (void)state;
    come_to_direct();
    hp_reach_leave(&a.reach);
    assert_int_equal(a.reach.state, HP_REACH_IDLE);
    assert_int_equal(a.rested, 1);
    assert_false(a.reach.up);
    tick(3600000);
    assert_int_equal(a.reach.state, HP_REACH_IDLE);
    hp_reach_want(&a.reach, now);
    assert_int_equal(a.reach.state, HP_REACH_GATHER);
}

static void what_belongs_to_another_session_is_ignored(void **state)
{
    (void)state;
    hp_reach_want(&a.reach, now);
    finish_gathering(&a);
    hp_go_t go = {.peer = a.sent};
    go.peer.session[0] ^= 1;
    hp_reach_go(&a.reach, &go, now);
    assert_int_equal(a.reach.state, HP_REACH_OFFER);
    hp_err_t err = {.code = -1, .detail = "no"};
    hp_reach_offer_failed(&a.reach, "another", &err, now);
    assert_int_equal(a.reach.state, HP_REACH_OFFER);
    hp_reach_offer_failed(&a.reach, a.sent.session, &err, now);
    assert_int_equal(a.reach.state, HP_REACH_RELAY);
    assert_string_equal(a.reach.reason, "no");
}

static void a_wait_without_end_is_cut(void **state)
{
    (void)state;
    hp_reach_want(&a.reach, now);
    finish_gathering(&a);
    hp_go_t go = {.peer = a.sent, .wait_ms = UINT32_MAX};
    hp_reach_go(&a.reach, &go, now);
    tick(HP_SIGNALLING_WAIT_MAX + HP_REACH_PUNCH_MS);
    assert_int_equal(a.reach.state, HP_REACH_GATHER); /* the next try */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_wish_leads_to_a_direct_way, set_up),
        cmocka_unit_test_setup(when_both_offer_the_smaller_ids_session_counts, set_up),
        cmocka_unit_test_setup(an_offer_that_crossed_and_comes_late_ends_no_try, set_up),
        cmocka_unit_test_setup(an_offer_that_comes_while_gathering_is_taken, set_up),
        cmocka_unit_test_setup(each_further_try_takes_new_ports_and_three_are_enough, set_up),
        cmocka_unit_test_setup(two_networks_that_change_ports_get_one_try_and_a_reason, set_up),
        cmocka_unit_test_setup(behind_one_router_there_is_hope_all_the_same, set_up),
        cmocka_unit_test_setup(blocked_networks_are_named, set_up),
        cmocka_unit_test_setup(a_host_that_does_not_answer_is_asked_three_times, set_up),
        cmocka_unit_test_setup(without_a_hub_there_is_no_try, set_up),
        cmocka_unit_test_setup(a_way_that_is_lost_is_looked_for_again, set_up),
        cmocka_unit_test_setup(a_try_that_fails_leaves_the_way_that_stands, set_up),
        cmocka_unit_test_setup(what_changes_during_a_try_is_tried_after_it, set_up),
        cmocka_unit_test_setup(a_host_that_nobody_wants_rests, set_up),
        cmocka_unit_test_setup(what_belongs_to_another_session_is_ignored, set_up),
        cmocka_unit_test_setup(a_wait_without_end_is_cut, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
