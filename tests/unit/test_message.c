// libs: message discovery fetch secure identity store db path os base
/* Messages: what is read of a stranger's body, who may send and how much, and the way of messages to hosts
 * that are slow, full, gone or hostile. */
#include "db/host.h"
#include "db/message.h"
#include "message/message.h"
#include "db/statement.h"
#include "test_hosts.h"

static net_t *net;
static hp_messages_t *messages;

/* ---- the owner ---- */

static struct {
    int changed, removed, unread;
    int64_t last;
} events;

static void on_event(void *arg, hp_message_event_t event, int64_t id)
{
    (void)arg;
    events.changed += event == HP_MESSAGE_CHANGED;
    events.removed += event == HP_MESSAGE_REMOVED;
    events.unread += event == HP_MESSAGE_UNREAD;
    events.last = id != 0 ? id : events.last;
}

static void messages_open(void)
{
    hp_err_t err = {0};
    if (hp_messages_create(&messages, &net->loop, net->store, net->fetcher, net->hosts, &net->self, &err) !=
        0)
        fail_msg("%s", hp_err_text(&err));
    hp_messages_set_times(messages, &(hp_messages_times_t){.backoff = 20, .backoff_max = 100});
    hp_messages_on_event(messages, on_event, NULL);
    hp_messages_start(messages);
}

/* An end that waited for an answer would take the 20 s that an answer has; this leaves a busy machine its
 * time. */
#define END_MS 5000

static void messages_close(void)
{
    net->closed = 0;
    hp_messages_destroy(messages, on_net_closed, net);
    wait_until(net, net->closed == 1);
}

static int set_up(void **state)
{
    if (net_set_up(state) != 0)
        return -1;
    net = *state;
    memset(&events, 0, sizeof events);
    messages_open();
    return 0;
}

static int tear_down(void **state)
{
    messages_close();
    return net_tear_down(state);
}

static void restart(void)
{
    messages_close();
    net_close(net);
    net_open(net);
    messages_open();
}

/* ---- calls that are waited for ---- */

typedef struct outcome {
    bool done;
    int status;
    unsigned retry_after_s;
    char words[400];
    hp_message_t message; /* without its texts */
    char states[400];     /* "aaaa delivered; bbbb failed (why); " */
} outcome_t;

static void say(outcome_t *outcome, int status, const hp_err_t *err)
{
    assert_false(outcome->done);
    outcome->done = true;
    outcome->status = status;
    snprintf(outcome->words, sizeof outcome->words, "%s", status != 0 ? hp_err_text(err) : "");
}

static void on_accepted(void *arg, int status, unsigned retry_after_s, const hp_err_t *err)
{
    outcome_t *outcome = arg;
    say(outcome, status, err);
    outcome->retry_after_s = retry_after_s;
}

static void on_message(void *arg, int status, const hp_message_t *message, const hp_err_t *err)
{
    outcome_t *outcome = arg;
    say(outcome, status, err);
    if (status != 0)
        return;
    outcome->message = *message;
    for (size_t i = 0; i < message->delivery_count; i++) {
        const hp_message_delivery_t *d = &message->deliveries[i];
        size_t used = strlen(outcome->states);
        bool why = d->reason[0] != '\0';
        snprintf(outcome->states + used, sizeof outcome->states - used, "%s %s%s%s%s; ", short_id(d->host),
                 hp_delivery_state_name(d->state), why ? " (" : "", d->reason, why ? ")" : "");
    }
}

static void on_done(void *arg, int status, const hp_err_t *err)
{
    say(arg, status, err);
}

static outcome_t send_to(const char *to, const char *text)
{
    outcome_t outcome = {0};
    hp_messages_send(messages, to, text, NULL, on_message, &outcome);
    assert_false(outcome.done);
    wait_until(net, outcome.done);
    return outcome;
}

static outcome_t get(int64_t id)
{
    outcome_t outcome = {0};
    hp_messages_get(messages, id, on_message, &outcome);
    wait_until(net, outcome.done);
    return outcome;
}

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

static void on_listed(void *arg, int status, const hp_message_t *list, size_t count, bool more,
                      const hp_err_t *err)
{
    outcome_t *outcome = arg;
    say(outcome, status, err);
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(outcome->states);
        snprintf(outcome->states + used, sizeof outcome->states - used, "%s%s ", list[i].text,
                 list[i].unread ? "*" : "");
    }
    if (more)
        strcat(outcome->states, "...");
}

static void assert_list(const char *with, int64_t before, size_t limit, const char *expected)
{
    outcome_t outcome = {0};
    hp_messages_list(messages, with, before, limit, on_listed, &outcome);
    wait_until(net, outcome.done);
    assert_string_equal(outcome.states, expected);
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

/* ---- a receiver ---- */

static struct {
    char texts[2000]; /* what came, in order: "one two " */
    int posts, at_once, most_at_once;
    int statuses[50]; /* of the replies; 0: 202; -1: the connection ends without one */
    int retry_after_s;
    bool mute;
    char head[2000], body[4000]; /* of the last one */
    char said[200];              /* body of a refusal */
} inbox;

static bool on_post(fake_t *fake, fake_client_t *client)
{
    (void)fake;
    const char *body = strstr(client->request, "\r\n\r\n") + 4, *field;
    assert_non_null(field = strcasestr(client->request, "Content-Length: "));
    size_t length = strtoul(field + strlen("Content-Length: "), NULL, 10);
    if (strlen(body) < length)
        return false;
    assert_int_equal(strncmp(client->request, "POST /message HTTP/1.1\r\n", 24), 0);
    snprintf(inbox.head, sizeof inbox.head, "%.*s", (int)(body - client->request), client->request);
    snprintf(inbox.body, sizeof inbox.body, "%s", body);
    int status = inbox.statuses[inbox.posts++ % 50];
    if (inbox.mute)
        return true;
    if (status == -1) {
        fake_close_client(client);
        return true;
    }
    if (status == 0) {
        json_t *json = json_loads(body, 0, NULL);
        assert_non_null(json);
        size_t used = strlen(inbox.texts);
        snprintf(inbox.texts + used, sizeof inbox.texts - used, "%s ",
                 json_string_value(json_object_get(json, "text")));
        json_decref(json);
    }
    char reply[400], wait[40] = "";
    if (status != 0 && inbox.retry_after_s > 0)
        snprintf(wait, sizeof wait, "Retry-After: %d\r\n", inbox.retry_after_s);
    snprintf(reply, sizeof reply, "HTTP/1.1 %d Whatever\r\n%sContent-Length: %zu\r\n\r\n",
             status == 0 ? 202 : status, wait, strlen(inbox.said));
    fake_send(client, reply, inbox.said, strlen(inbox.said), false);
    return true;
}

static void start_receiver(fake_t *fake, const char *id, const char *address)
{
    memset(&inbox, 0, sizeof inbox);
    *fake = (fake_t){.id = id, .instance = INSTANCE_1, .on_post = on_post};
    fake_start(&net->loop, fake, address, 0);
    assert_int_equal(add_host(net, address, fake->port).status, 0);
}

/* ---- the body ---- */

static int parse(const char *text, hp_message_body_t *body, hp_err_t *err)
{
    *err = (hp_err_t){0};
    return hp_message_body_parse(text, strlen(text), body, err);
}

#define SENDER   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define RECEIVER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void a_body_is_read_with_all_its_fields(void **state)
{
    (void)state;
    hp_message_body_t body;
    hp_err_t err;
    assert_int_equal(parse("{\"id\":\"m 1\",\"from\":\"" SENDER "\",\"to\":\"" RECEIVER
                           "\",\"name\":\"An\\u202ena\","
                           "\"text\":\"a\\nb \\ud83d\\ude00\",\"sent_at\":\"2026-11-21T03:56:15.123+01:00\","
                           "\"offer\":{\"path\":\"films/a.mkv\",\"size\":9007199254740992,\"root\":null,"
                           "\"more\":1},\"later\":{\"x\":[]}}",
                           &body, &err),
                     0);
    assert_string_equal(body.uid, "m 1");
    assert_string_equal(body.from, SENDER);
    assert_string_equal(body.to, RECEIVER);
    assert_string_equal(body.name, "An\xef\xbf\xbdna");
    assert_string_equal(body.text, "a\nb \xf0\x9f\x98\x80");
    assert_int_equal(body.sent_at, 1795229775123);
    assert_true(body.has_offer);
    assert_string_equal(body.offer.path, "films/a.mkv");
    assert_int_equal(body.offer.size, (int64_t)1 << 53);
    assert_string_equal(body.offer.root, "");
    hp_message_body_dispose(&body);
    assert_int_equal(parse("{\"id\":\"1\",\"from\":\"" SENDER "\",\"sent_at\":\"2026-11-21T03:56:15Z\","
                           "\"offer\":{\"path\":\"a\",\"size\":0}}",
                           &body, &err),
                     0);
    assert_string_equal(body.text, "");
    hp_message_body_dispose(&body);
}

static void what_is_wrong_in_a_body_is_named(void **state)
{
    (void)state;
#define GOOD "\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"x\",\"sent_at\":\"2026-11-21T03:56:15Z\""
#define REST "\"text\":\"x\",\"sent_at\":\"2026-11-21T03:56:15Z\"}"
    static const struct {
        const char *body, *words;
        int code;
    } cases[] = {
        {"", "not JSON", HP_E_BAD_JSON},
        {"{", "not JSON", HP_E_BAD_JSON},
        {"{\"text\":\"\xff\"}", "not JSON", HP_E_BAD_JSON},
        {"{\"text\":\"\\ud800\"}", "not JSON", HP_E_BAD_JSON},
        {"{\"id\":\"1\",\"id\":\"2\"}", "not JSON", HP_E_BAD_JSON},
        {"{\"id\":1e999}", "not JSON", HP_E_BAD_JSON},
        {"[]", "not a JSON object", HP_E_INVALID},
        {"17", "not a JSON object", HP_E_INVALID},
        {"{}", "id: is missing", HP_E_INVALID},
        {"{\"id\":7}", "id: must be text", HP_E_INVALID},
        {"{\"id\":\"\"}", "id: is missing", HP_E_INVALID},
        {"{\"id\":\"a\\u0000b\"}", "id: must not contain a NUL", HP_E_INVALID},
        {"{\"id\":\"a\\nb\"}", "id: must be printable ASCII", HP_E_INVALID},
        {"{\"id\":\"\\u00e9\"}", "id: must be printable ASCII", HP_E_INVALID},
        {"{\"id\":\"1\",\"text\":\"x\"}", "from: is missing", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"anna\"," REST, "from: is not a host id", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"," REST, "from: is not", HP_E_INVALID},
        {"{" GOOD ",\"to\":\"everyone\"}", "to: is not a host id", HP_E_INVALID},
        {"{" GOOD ",\"name\":{}}", "name: must be text", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"\",\"sent_at\":\"2026-11-21T03:56:15Z\"}",
         "text: is missing", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":[\"x\"]}", "text: must be text", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"a\\u0000\"}", "text: must not contain a NUL",
         HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"x\"}", "sent_at: is missing", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"x\",\"sent_at\":1700000000}",
         "sent_at: must be text", HP_E_INVALID},
        {"{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"x\",\"sent_at\":\"yesterday\"}",
         "sent_at: must be a time", HP_E_INVALID},
        {"{" GOOD ",\"offer\":[]}", "offer: must be an object", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"size\":1}}", "offer.path: is missing", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"../a\",\"size\":1}}", "offer.path: ", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"/a\",\"size\":1}}", "offer.path: ", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"a\"}}", "offer.size: is not a number", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"a\",\"size\":1.5}}", "offer.size: is not a number", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"a\",\"size\":-1}}", "offer.size: is not a number", HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"a\",\"size\":9007199254740993}}", "offer.size: is not a number",
         HP_E_INVALID},
        {"{" GOOD ",\"offer\":{\"path\":\"a\",\"size\":1,\"root\":\"abc\"}}", "offer.root: is not 64",
         HP_E_INVALID},
    };
    hp_message_body_t body;
    hp_err_t err;
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        int rc = parse(cases[i].body, &body, &err);
        if (rc != cases[i].code || strstr(hp_err_text(&err), cases[i].words) == NULL)
            fail_msg("%s: %d \"%s\", not %d \"%s\"", cases[i].body, rc, hp_err_text(&err), cases[i].code,
                     cases[i].words);
    }
}

static void lengths_are_counted_in_characters_and_bytes_as_told(void **state)
{
    (void)state;
    char *json = hp_alloc(40000), *at;
    hp_message_body_t body;
    hp_err_t err;
    for (int extra = 0; extra < 2; extra++) {
        at =
            json + sprintf(json, "{\"id\":\"1\",\"from\":\"" SENDER "\",\"sent_at\":\"2026-11-21T03:56:15Z\","
                                 "\"text\":\"");
        for (int i = 0; i < 4000 + extra; i++)
            at += sprintf(at, "\xf0\x9f\x98\x80");
        strcpy(at, "\"}");
        assert_int_equal(parse(json, &body, &err), extra == 0 ? 0 : HP_E_INVALID);
        if (extra == 0)
            assert_int_equal(strlen(body.text), 16000);
        else
            assert_contains(err.detail, "text: is longer than 4000 characters");
        hp_message_body_dispose(&body);
    }
    for (int extra = 0; extra < 2; extra++) {
        sprintf(json,
                "{\"id\":\"%0*d\",\"from\":\"" SENDER
                "\",\"text\":\"x\",\"sent_at\":\"2026-11-21T03:56:15Z\"}",
                128 + extra, 0);
        assert_int_equal(parse(json, &body, &err), extra == 0 ? 0 : HP_E_INVALID);
        hp_message_body_dispose(&body);
    }
    memset(json, '[', 30000);
    json[30000] = '\0';
    assert_int_equal(parse(json, &body, &err), HP_E_BAD_JSON);
    free(json);
}

static void times_far_off_can_be_written_again(void **state)
{
    (void)state;
    static const struct {
        const char *sent_at, *kept;
    } cases[] = {
        {"9999-12-31T23:59:59.999-23:59", "9999-12-31T23:59:59.999Z"},
        {"0000-01-01T00:00:00+23:59", "0000-01-01T00:00:00.000Z"},
        {"1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"},
        {"9999-12-31T23:59:59.999999999999999999Z", "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        char json[400], time[HP_RFC3339_SIZE];
        hp_message_body_t body, again;
        hp_err_t err;
        snprintf(json, sizeof json,
                 "{\"id\":\"1\",\"from\":\"" SENDER "\",\"text\":\"x\",\"sent_at\":\"%s\"}",
                 cases[i].sent_at);
        assert_int_equal(parse(json, &body, &err), 0);
        assert_string_equal(hp_clock_rfc3339(body.sent_at, time), cases[i].kept);
        char *written = hp_message_body_format(&body);
        assert_int_equal(parse(written, &again, &err), 0);
        assert_int_equal(again.sent_at, body.sent_at);
        free(written);
        hp_message_body_dispose(&body);
        hp_message_body_dispose(&again);
    }
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

/* ---- to other hosts ---- */

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
        cmocka_unit_test(a_body_is_read_with_all_its_fields),
        cmocka_unit_test(what_is_wrong_in_a_body_is_named),
        cmocka_unit_test(lengths_are_counted_in_characters_and_bytes_as_told),
        cmocka_unit_test(times_far_off_can_be_written_again),
        T(a_message_from_a_known_host_is_kept_once),
        T(an_unknown_sender_is_looked_up_where_it_listens),
        T(a_message_is_taken_from_the_host_that_proved_to_be_its_sender),
        T(what_is_meant_for_another_host_or_comes_from_a_blocked_one_is_refused),
        T(a_flood_from_one_host_is_refused_and_others_get_through),
        T(stopping_does_not_wait_for_a_sender_that_does_not_say_who_it_is),
        T(what_is_forgotten_is_not_unread_any_more),
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
