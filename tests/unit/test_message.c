// libs: message discovery fetch secure identity store db path os base
/* Messages from other hosts: who may send and how much, and what becomes of what was taken. */
#include "test_message.h"

#include "db/message.h"

/* ---- calls that are waited for ---- */

static void on_accepted(void *arg, int status, unsigned retry_after_s, const hp_err_t *err)
{
    outcome_t *outcome = arg;
    say(outcome, status, err);
    outcome->retry_after_s = retry_after_s;
}

static hp_who_t who_is(const char *id, const char *address)
{
    hp_who_t who = {.way = HP_WAY_LAN};
    snprintf(who.id, sizeof who.id, "%s", id);
    snprintf(who.address, sizeof who.address, "%s", address);
    return who;
}

/* A POST /message from a host that has proven its id ("": it has proven nothing), at an address. */
static outcome_t post(const char *id, const char *address, uint16_t port, const char *body)
{
    outcome_t outcome = {0};
    hp_who_t who = who_is(id, address);
    hp_message_post_t what = {.who = &who, .port = port, .data = body, .length = strlen(body)};
    hp_messages_accept(messages, &what, on_accepted, &outcome);
    wait_until(net, outcome.done);
    return outcome;
}

static char *body_of(const char *from, const char *id, const char *text)
{
    static char body[1000];
    snprintf(body, sizeof body,
             "{\"id\":\"%s\",\"from\":\"%s\",\"name\":\"Anna\",\"text\":\"%s\","
             "\"sent_at\":\"2026-11-21T03:56:15.123Z\"}",
             id, from, text);
    return body;
}

/* ---- from other hosts ---- */

static void a_message_from_a_known_host_is_kept_once(void **state)
{
    (void)state;
    fake_t fake;
    start_receiver(&fake, ID_A, "127.0.0.1");
    assert_int_equal(post(ID_A, "127.0.0.1", 0, body_of(ID_A, "1", "one")).status, 0);
    assert_int_equal(hp_messages_unread(messages), 1);
    assert_int_equal(events.changed, 1);
    assert_int_equal(events.unread, 1);
    assert_int_equal(post(ID_A, "127.0.0.1", 0, body_of(ID_A, "1", "other words")).status, 0);
    assert_int_equal(events.changed, 1);
    assert_int_equal(post(ID_A, "127.0.0.1", 0, body_of(ID_A, "2", "two")).status, 0);
    int64_t two = events.last;
    assert_list(NULL, 0, 10, "one* two* ");
    assert_list(ID_A, 0, 1, "two* ...");
    assert_list(ID_A, two, 10, "one* ");
    assert_list(ID_B, 0, 10, "");
    uint64_t count;
    assert_string_equal(hp_messages_unread_of(messages, 0, &count), ID_A);
    assert_int_equal(count, 2);
    assert_null(hp_messages_unread_of(messages, 1, &count));
    restart();
    assert_int_equal(hp_messages_unread(messages), 2);
    assert_int_equal(post(ID_A, "127.0.0.1", 0, body_of(ID_A, "2", "two")).status, 0);
    assert_list(NULL, 0, 10, "one* two* ");

    outcome_t read = {0}, gone = {0}, never = {0};
    hp_messages_read(messages, ID_A, two - 1, on_done, &read);
    wait_until(net, read.done);
    assert_list(NULL, 0, 10, "one two* ");
    assert_int_equal(hp_messages_unread(messages), 1);
    hp_messages_remove(messages, two, on_done, &gone);
    wait_until(net, gone.done);
    assert_int_equal(events.removed, 1);
    assert_int_equal(hp_messages_unread(messages), 0);
    hp_messages_remove(messages, two, on_done, &never);
    wait_until(net, never.done);
    assert_int_equal(never.status, HP_E_NOT_FOUND);
    assert_int_equal(get(two).status, HP_E_NOT_FOUND);
    fake_stop(&fake);
}

static void an_unknown_sender_is_looked_up_where_it_listens(void **state)
{
    (void)state;
    fake_t fake = {.id = ID_A, .instance = INSTANCE_1, .name = "asked"};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    outcome_t silent = post(ID_A, "127.0.0.1", 0, body_of(ID_A, "1", "x"));
    assert_int_equal(silent.status, HP_E_FORBIDDEN);
    assert_contains(silent.words, "does not say where it listens");
    assert_int_equal(fake.probes, 0);
    assert_int_equal(post(ID_A, "127.0.0.1", fake.port, body_of(ID_A, "1", "one")).status, 0);
    assert_true(fake.probes > 0);
    assert_list(NULL, 0, 10, "one* ");
    assert_int_equal(hp_hosts_find(net->hosts, ID_A)->found_by, HP_FOUND_MESSAGE);

    /* One that is not where it says that it listens. */
    outcome_t absent = post(ID_B, "127.0.0.1", fake.port, body_of(ID_B, "2", "two"));
    assert_int_equal(absent.status, HP_E_FORBIDDEN);
    assert_contains(absent.words, "another one answers there");
    assert_list(NULL, 0, 10, "one* ");
    fake_stop(&fake);
}

static void a_message_is_taken_from_the_host_that_proved_to_be_its_sender(void **state)
{
    (void)state;
    fake_t fake, other;
    start_receiver(&fake, ID_A, "127.0.0.1");
    start_receiver(&other, ID_B, "127.0.0.2");
    /* From the sender's own address, by nobody who proved anything: hostpair 0.1. */
    outcome_t refused = post("", "127.0.0.1", fake.port, body_of(ID_A, "1", "x"));
    assert_int_equal(refused.status, HP_E_FORBIDDEN);
    assert_contains(refused.words, "hostpair 0.2");
    /* By another known host, in its name. */
    refused = post(ID_B, "127.0.0.1", fake.port, body_of(ID_A, "1", "x"));
    assert_int_equal(refused.status, HP_E_FORBIDDEN);
    assert_contains(refused.words, "not the one that the message names");
    assert_int_equal(post(OWN_ID, "127.0.0.1", fake.port, body_of(OWN_ID, "1", "x")).status, HP_E_FORBIDDEN);
    assert_list(NULL, 0, 10, "");
    /* Wherever it is now. */
    assert_int_equal(post(ID_A, "127.0.0.9", 0, body_of(ID_A, "1", "one")).status, 0);
    assert_list(NULL, 0, 10, "one* ");
    fake_stop(&fake);
    fake_stop(&other);
}

static void what_is_meant_for_another_host_or_comes_from_a_blocked_one_is_refused(void **state)
{
    (void)state;
    fake_t fake;
    char body[1100];
    start_receiver(&fake, ID_A, "127.0.0.1");
    snprintf(body, sizeof body, "{\"to\":\"%s\",%s", ID_B, body_of(ID_A, "1", "x") + 1);
    assert_int_equal(post(ID_A, "127.0.0.1", 0, body).status, HP_E_MISDIRECTED);
    snprintf(body, sizeof body, "{\"to\":\"%s\",%s", OWN_ID, body_of(ID_A, "1", "mine") + 1);
    assert_int_equal(post(ID_A, "127.0.0.1", 0, body).status, 0);
    hp_hosts_set_blocked(net->hosts, ID_A, true, NULL, NULL);
    assert_int_equal(post(ID_A, "127.0.0.1", 0, body_of(ID_A, "2", "x")).status, HP_E_BLOCKED);
    assert_list(NULL, 0, 10, "mine* ");
    fake_stop(&fake);
}

static void a_flood_from_one_host_is_refused_and_others_get_through(void **state)
{
    (void)state;
    fake_t fake, other;
    start_receiver(&fake, ID_A, "127.0.0.1");
    start_receiver(&other, ID_B, "127.0.0.2");
    for (int i = 0; i < 20; i++) {
        char id[8];
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(post(ID_A, "127.0.0.1", 0, body_of(ID_A, id, "x")).status, 0);
    }
    outcome_t refused = post(ID_A, "127.0.0.1", 0, body_of(ID_A, "20", "x"));
    assert_int_equal(refused.status, HP_E_TOO_MANY);
    assert_in_range(refused.retry_after_s, 30, 60);
    refused = post(ID_A, "127.0.0.1", 0, "not even JSON");
    assert_int_equal(refused.status, HP_E_TOO_MANY);
    assert_int_equal(post(ID_B, "127.0.0.2", 0, body_of(ID_B, "1", "x")).status, 0);
    fake_stop(&fake);
    fake_stop(&other);
}

static void stopping_does_not_wait_for_a_sender_that_does_not_say_who_it_is(void **state)
{
    (void)state;
    fake_t fake = {.id = ID_A, .mute = true};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    outcome_t outcome = {0};
    const char *body = body_of(ID_A, "1", "x");
    hp_who_t who = who_is(ID_A, "127.0.0.1");
    hp_message_post_t what = {.who = &who, .port = fake.port, .data = body, .length = strlen(body)};
    hp_messages_accept(messages, &what, on_accepted, &outcome);
    wait_until(net, fake.open == 1);
    uint64_t begun = hp_clock_ms();
    messages_close();
    assert_in_range(hp_clock_ms() - begun, 0, END_MS);
    assert_true(outcome.done);
    assert_int_equal(outcome.status, HP_E_BUSY);
    fake_stop(&fake);
    messages_open();
}

static int work_fill(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)arg;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 10000; i++) {
        char uid[16];
        bool existing;
        snprintf(uid, sizeof uid, "f%d", i);
        hp_db_message_t row = {.uid = uid, .host = ID_B, .name = "b", .recipient = OWN_ID, .text = "x"};
        row.incoming = true;
        rc = hp_db_message_add(db, &row, &existing, err);
    }
    return rc;
}

static void what_is_forgotten_is_not_unread_any_more(void **state)
{
    (void)state;
    fake_t fake;
    hp_err_t err = {0};
    start_receiver(&fake, ID_A, "127.0.0.1");
    assert_int_equal(post(ID_A, "127.0.0.1", 0, body_of(ID_A, "1", "old")).status, 0);
    assert_int_equal(hp_messages_unread(messages), 1);
    assert_int_equal(hp_store_run_now(net->store, HP_STORE_WRITE, work_fill, NULL, &err), 0);
    send_to(ID_A, "one more");
    assert_int_equal(hp_messages_unread(messages), 0);
    assert_list(ID_A, 0, 10, "one more ");
    fake_stop(&fake);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_message_from_a_known_host_is_kept_once),
        T(an_unknown_sender_is_looked_up_where_it_listens),
        T(a_message_is_taken_from_the_host_that_proved_to_be_its_sender),
        T(what_is_meant_for_another_host_or_comes_from_a_blocked_one_is_refused),
        T(a_flood_from_one_host_is_refused_and_others_get_through),
        T(stopping_does_not_wait_for_a_sender_that_does_not_say_who_it_is),
        T(what_is_forgotten_is_not_unread_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
