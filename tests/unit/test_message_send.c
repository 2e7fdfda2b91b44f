// libs: message discovery fetch secure identity store db path os base
/* Messages to other hosts: to those that are slow, full, gone or hostile, and over stops. */
#include "test_message.h"

#include "db/host.h"
#include "db/message.h"

/* ---- calls that are waited for ---- */

static void wait_states(int64_t id, const char *expected)
{
    uint64_t end = hp_clock_ms() + WAIT_MS;
    outcome_t outcome = get(id);
    while (strcmp(outcome.states, expected) != 0) {
        if (hp_clock_ms() > end)
            fail_msg("message %lld: \"%s\", not \"%s\"", (long long)id, outcome.states, expected);
        run_for(net, 5);
        outcome = get(id);
    }
}

/* ---- to other hosts ---- */

static void a_message_is_delivered_with_all_it_says(void **state)
{
    (void)state;
    fake_t fake;
    start_receiver(&fake, ID_A, "127.0.0.1");
    hp_message_offer_t offer = {.path = (char *)"films/a b.mkv", .size = 17};
    memset(offer.root, 'a', 64);
    outcome_t sent = {0};
    hp_messages_send(messages, ID_A, "你好", &offer, on_message, &sent);
    wait_until(net, sent.done);
    assert_int_equal(sent.status, 0);
    assert_string_equal(sent.states, "aaaa queued; ");
    wait_states(sent.message.id, "aaaa delivered; ");
    assert_contains(inbox.head, "Hostpair-Port: 9000\r\n");
    assert_contains(inbox.head, "Content-Type: application/json\r\n");
    hp_message_body_t body;
    assert_int_equal(hp_message_body_parse(inbox.body, strlen(inbox.body), &body, NULL), 0);
    assert_string_equal(body.from, OWN_ID);
    assert_string_equal(body.to, ID_A);
    assert_string_equal(body.name, "this host");
    assert_string_equal(body.text, "你好");
    assert_string_equal(body.uid, sent.message.uid);
    assert_int_equal(body.sent_at, sent.message.sent_at);
    assert_string_equal(body.offer.path, "films/a b.mkv");
    assert_string_equal(body.offer.root, offer.root);
    hp_message_body_dispose(&body);
    assert_true(events.changed >= 2); /* new, delivered */
    fake_stop(&fake);
}

static void what_cannot_be_sent_is_refused_at_once(void **state)
{
    (void)state;
    fake_t plain = {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, fake;
    fake_start(&net->loop, &plain, "127.0.0.1", 0);
    added_t added = add_host(net, "127.0.0.1", plain.port);
    assert_int_equal(send_to(added.id, "x").status, HP_E_CONFLICT);
    assert_int_equal(send_to(ID_B, "x").status, HP_E_INVALID);
    assert_contains(send_to(ID_B, "x").words, "to: ");
    start_receiver(&fake, ID_A, "127.0.0.2");
    assert_contains(send_to(ID_A, "").words, "text: is missing");
    hp_hosts_set_blocked(net->hosts, ID_A, true, NULL, NULL);
    assert_int_equal(send_to(ID_A, "x").status, HP_E_CONFLICT);
    assert_list(NULL, 0, 10, "");
    outcome_t to_nobody = send_to(HP_MESSAGE_EVERYONE, "anybody?");
    assert_int_equal(to_nobody.status, 0);
    assert_string_equal(to_nobody.states, "");
    fake_stop(&plain);
    fake_stop(&fake);
}

static void everyone_gets_it_but_blocked_hosts_and_plain_servers(void **state)
{
    (void)state;
    fake_t plain = {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, a, b, c;
    fake_start(&net->loop, &plain, "127.0.0.1", 0);
    add_host(net, "127.0.0.1", plain.port);
    start_receiver(&a, ID_A, "127.0.0.2");
    start_receiver(&b, ID_B, "127.0.0.3");
    start_receiver(&c, ID_C, "127.0.0.4");
    hp_hosts_set_blocked(net->hosts, ID_B, true, NULL, NULL);
    outcome_t sent = send_to(HP_MESSAGE_EVERYONE, "all");
    assert_string_equal(sent.states, "aaaa queued; cccc queued; ");
    wait_states(sent.message.id, "aaaa delivered; cccc delivered; ");
    assert_list(HP_MESSAGE_EVERYONE, 0, 10, "all ");
    assert_list(ID_A, 0, 10, "all ");
    assert_list(ID_B, 0, 10, "");
    fake_stop(&plain);
    fake_stop(&a);
    fake_stop(&b);
    fake_stop(&c);
}

static void an_offline_host_gets_all_in_order_when_it_is_back(void **state)
{
    (void)state;
    fake_t fake;
    int64_t last = 0;
    start_receiver(&fake, ID_A, "127.0.0.1");
    uint16_t port = fake.port;
    fake_stop(&fake);
    hp_hosts_probe_all(net->hosts, true);
    wait_until(net, !hp_hosts_find(net->hosts, ID_A)->online);
    for (int i = 0; i < 9; i++) {
        char text[8];
        snprintf(text, sizeof text, "%d", i);
        last = send_to(ID_A, text).message.id;
    }
    wait_states(last, "aaaa queued (it is offline); ");
    restart();
    wait_states(last, "aaaa queued (it is offline); ");
    fake_start(&net->loop, &fake, "127.0.0.1", port);
    wait_states(last, "aaaa delivered; ");
    assert_string_equal(inbox.texts, "0 1 2 3 4 5 6 7 8 ");
    assert_int_equal(inbox.posts, 9);
    fake_stop(&fake);
}

static void trouble_on_the_way_is_tried_again_and_keeps_the_order(void **state)
{
    (void)state;
    fake_t fake;
    static const int trouble[] = {-1, 500, 502, 408, 503, -1, 0, 500};
    start_receiver(&fake, ID_A, "127.0.0.1");
    memcpy(inbox.statuses, trouble, sizeof trouble);
    send_to(ID_A, "one");
    int64_t last = send_to(ID_A, "two").message.id;
    wait_states(last, "aaaa delivered; ");
    assert_string_equal(inbox.texts, "one two ");
    assert_int_equal(inbox.posts, 9);
    fake_stop(&fake);
}

/* ---- a commit that fails while the next message is looked for ---- */

static struct {
    uv_sem_t go;
    outcome_t sent;
    bool begun;
} unkept;

static int work_wait(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)db, (void)arg, (void)err;
    uv_sem_wait(&unkept.go);
    return 0;
}

/* What is written together with this cannot be committed. */
static int work_spoil(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)arg, (void)err;
    return sqlite3_exec(
        hp_db_handle(db),
        "PRAGMA defer_foreign_keys = ON;"
        "INSERT INTO message_delivery (message, host, state, at) VALUES (999, 'x', 'queued', 1)",
        NULL, NULL, NULL);
}

/* The first message is delivered: the outbox looks for the next one after this. */
static void on_first_delivered(void *arg, hp_message_event_t event, int64_t id)
{
    (void)arg, (void)event, (void)id;
    if (unkept.begun || inbox.posts == 0)
        return;
    unkept.begun = true;
    hp_store_post(net->store, HP_STORE_READ, work_wait, NULL, NULL);
    hp_messages_send(messages, ID_A, "two", NULL, on_message, &unkept.sent);
    hp_store_post(net->store, HP_STORE_WRITE, work_spoil, NULL, NULL);
}

static void a_message_that_cannot_be_kept_is_not_delivered(void **state)
{
    (void)state;
    fake_t fake;
    memset(&unkept, 0, sizeof unkept);
    assert_int_equal(uv_sem_init(&unkept.go, 0), 0);
    start_receiver(&fake, ID_A, "127.0.0.1");
    send_to(ID_A, "one");
    hp_messages_on_event(messages, on_first_delivered, NULL);
    wait_until(net, unkept.begun);
    uv_sem_post(&unkept.go);
    wait_until(net, unkept.sent.done);
    assert_true(unkept.sent.status < 0);
    run_for(net, 300);
    assert_string_equal(inbox.texts, "one ");
    uv_sem_destroy(&unkept.go);
    fake_stop(&fake);
}

static void a_host_that_asks_to_wait_is_left_alone_so_long(void **state)
{
    (void)state;
    fake_t fake;
    start_receiver(&fake, ID_A, "127.0.0.1");
    inbox.statuses[0] = 429;
    inbox.retry_after_s = 1;
    uint64_t begun = hp_clock_ms();
    int64_t id = send_to(ID_A, "one").message.id;
    wait_states(id, "aaaa queued (it asks to wait before the next one); ");
    wait_states(id, "aaaa delivered; ");
    assert_in_range(hp_clock_ms() - begun, 990, 5000);
    assert_int_equal(inbox.posts, 2);
    fake_stop(&fake);
}

static void a_refused_message_has_failed_and_the_next_follows(void **state)
{
    (void)state;
    fake_t fake;
    start_receiver(&fake, ID_A, "127.0.0.1");
    inbox.statuses[0] = 422;
    inbox.statuses[1] = 404;
    strcpy(inbox.said, "text: is \x1b[31mrude\nsecond line");
    int64_t first = send_to(ID_A, "one").message.id, second = send_to(ID_A, "two").message.id;
    int64_t third = send_to(ID_A, "three").message.id;
    wait_states(third, "aaaa delivered; ");
    wait_states(first, "aaaa failed (it refused the message (422): text: is \\x1b[31mrude); ");
    wait_states(second, "aaaa failed (it takes no messages); ");
    outcome_t again = {0}, nothing = {0};
    hp_messages_retry(messages, first, on_message, &again);
    wait_until(net, again.done);
    assert_string_equal(again.states, "aaaa queued; ");
    wait_states(first, "aaaa delivered; ");
    assert_string_equal(inbox.texts, "three one ");
    hp_messages_retry(messages, first, on_message, &nothing);
    wait_until(net, nothing.done);
    assert_string_equal(nothing.states, "aaaa delivered; ");
    fake_stop(&fake);
}

static void a_host_that_is_removed_or_blocked_gets_nothing_more(void **state)
{
    (void)state;
    fake_t fake;
    start_receiver(&fake, ID_A, "127.0.0.1");
    inbox.mute = true;
    int64_t first = send_to(ID_A, "one").message.id, second = send_to(ID_A, "two").message.id;
    wait_until(net, inbox.posts == 1);
    assert_int_equal(hp_hosts_remove(net->hosts, ID_A), 0);
    wait_states(first, "aaaa failed (the host was removed here); ");
    wait_states(second, "aaaa failed (the host was removed here); ");

    inbox.mute = false;
    assert_int_equal(add_host(net, "127.0.0.1", fake.port).status, 0);
    fake_stop(&fake);
    hp_hosts_probe_all(net->hosts, true);
    wait_until(net, !hp_hosts_find(net->hosts, ID_A)->online);
    int64_t third = send_to(ID_A, "three").message.id;
    hp_hosts_set_blocked(net->hosts, ID_A, true, NULL, NULL);
    fake_start(&net->loop, &fake, "127.0.0.1", fake.port);
    wait_until(net, hp_hosts_find(net->hosts, ID_A)->online);
    wait_states(third, "aaaa queued (it is blocked here); ");
    run_for(net, 50);
    assert_string_equal(inbox.texts, "");
    hp_hosts_set_blocked(net->hosts, ID_A, false, NULL, NULL);
    wait_states(third, "aaaa delivered; ");
    fake_stop(&fake);
}

static void a_message_that_is_removed_is_not_delivered(void **state)
{
    (void)state;
    fake_t fake;
    start_receiver(&fake, ID_A, "127.0.0.1");
    fake_stop(&fake);
    hp_hosts_probe_all(net->hosts, true);
    wait_until(net, !hp_hosts_find(net->hosts, ID_A)->online);
    int64_t first = send_to(ID_A, "one").message.id, second = send_to(ID_A, "two").message.id;
    outcome_t gone = {0};
    hp_messages_remove(messages, first, on_done, &gone);
    wait_until(net, gone.done);
    assert_int_equal(gone.status, 0);
    fake_start(&net->loop, &fake, "127.0.0.1", fake.port);
    wait_states(second, "aaaa delivered; ");
    assert_string_equal(inbox.texts, "two ");
    fake_stop(&fake);
}

static void what_was_on_its_way_at_a_stop_is_sent_again_with_the_same_id(void **state)
{
    (void)state;
    fake_t fake;
    start_receiver(&fake, ID_A, "127.0.0.1");
    inbox.mute = true;
    outcome_t sent = send_to(ID_A, "one");
    wait_until(net, inbox.posts == 1);
    uint64_t begun = hp_clock_ms();
    messages_close();
    assert_in_range(hp_clock_ms() - begun, 0, END_MS);
    inbox.mute = false;
    messages_open();
    wait_states(sent.message.id, "aaaa delivered; ");
    assert_int_equal(inbox.posts, 2);
    assert_contains(inbox.body, sent.message.uid);
    fake_stop(&fake);
}

static int work_old_host(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_host_row_t row = {.id = OLD_ID, .name = "attic", .found_by = "hand", .protocol = 1, .last_seen = 1};
    row.files = row.bytes = -1;
    row.address_count = 1;
    row.addresses[0] = (hp_host_row_address_t){.address = "127.0.0.1", .port = *(uint16_t *)arg};
    int rc = hp_host_save(db, &row, err);
    bool existing;
    hp_db_message_t message = {
        .uid = "old", .host = OLD_ID, .name = "attic", .recipient = OWN_ID, .text = "x"};
    message.incoming = message.unread = true;
    return rc != 0 ? rc : hp_db_message_add(db, &message, &existing, err);
}

static void what_waits_for_an_old_host_goes_to_the_one_that_it_has_become(void **state)
{
    (void)state;
    fake_t fake = {.id = ID_A, .name = "attic", .instance = INSTANCE_1, .on_post = on_post};
    fake_start(&net->loop, &fake, "127.0.0.1", 0);
    uint16_t port = fake.port;
    fake_stop(&fake);
    hp_err_t err = {0};
    memset(&inbox, 0, sizeof inbox);
    assert_int_equal(hp_store_run_now(net->store, HP_STORE_WRITE, work_old_host, &port, &err), 0);
    messages_close();
    net_close(net);
    net_open(net);
    messages_open();
    uint64_t unread;
    assert_string_equal(hp_messages_unread_of(messages, 0, &unread), OLD_ID);
    int64_t id = send_to(OLD_ID, "still there?").message.id;
    wait_states(id, "cccc queued (it is offline); ");
    fake_start(&net->loop, &fake, "127.0.0.1", port);
    wait_states(id, "aaaa delivered; ");
    assert_string_equal(inbox.texts, "still there? ");
    assert_null(hp_hosts_find(net->hosts, OLD_ID));
    assert_string_equal(hp_messages_unread_of(messages, 0, &unread), ID_A);
    assert_int_equal(unread, 1);
    assert_list(ID_A, 0, 10, "x* still there? ");
    fake_stop(&fake);
}

static void a_message_goes_to_the_host_and_not_to_whoever_has_its_address_now(void **state)
{
    (void)state;
    fake_t fake;
    start_receiver(&fake, ID_A, "127.0.0.1");
    fake.id = ID_B;
    fake.key = key_of(2);
    fake.instance = INSTANCE_2;
    int64_t id = send_to(ID_A, "one").message.id;
    wait_states(id, "aaaa queued (it is offline); ");
    assert_int_equal(inbox.posts, 0);
    fake_stop(&fake);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_message_is_delivered_with_all_it_says),
        T(what_cannot_be_sent_is_refused_at_once),
        T(everyone_gets_it_but_blocked_hosts_and_plain_servers),
        T(an_offline_host_gets_all_in_order_when_it_is_back),
        T(trouble_on_the_way_is_tried_again_and_keeps_the_order),
        T(a_message_that_cannot_be_kept_is_not_delivered),
        T(a_host_that_asks_to_wait_is_left_alone_so_long),
        T(a_refused_message_has_failed_and_the_next_follows),
        T(a_host_that_is_removed_or_blocked_gets_nothing_more),
        T(a_message_that_is_removed_is_not_delivered),
        T(what_was_on_its_way_at_a_stop_is_sent_again_with_the_same_id),
        T(what_waits_for_an_old_host_goes_to_the_one_that_it_has_become),
        T(a_message_goes_to_the_host_and_not_to_whoever_has_its_address_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
