/* The messages of a registry of hosts, calls of them that are waited for, and hosts that take messages. */
#ifndef TEST_MESSAGE_H
#define TEST_MESSAGE_H

#include "db/statement.h"
#include "message/message.h"
#include "test_hosts.h"

static net_t *net;
static hp_messages_t *messages;

/* ---- the owner ---- */

static struct {
    int changed, removed, unread;
    int64_t last;
} events;

static inline void on_event(void *arg, hp_message_event_t event, int64_t id)
{
    (void)arg;
    events.changed += event == HP_MESSAGE_CHANGED;
    events.removed += event == HP_MESSAGE_REMOVED;
    events.unread += event == HP_MESSAGE_UNREAD;
    events.last = id != 0 ? id : events.last;
}

static inline void messages_open(void)
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

static inline void messages_close(void)
{
    net->closed = 0;
    hp_messages_destroy(messages, on_net_closed, net);
    wait_until(net, net->closed == 1);
}

static inline int set_up(void **state)
{
    if (net_set_up(state) != 0)
        return -1;
    net = *state;
    memset(&events, 0, sizeof events);
    messages_open();
    return 0;
}

static inline int tear_down(void **state)
{
    messages_close();
    return net_tear_down(state);
}

static inline void restart(void)
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

static inline void say(outcome_t *outcome, int status, const hp_err_t *err)
{
    assert_false(outcome->done);
    outcome->done = true;
    outcome->status = status;
    snprintf(outcome->words, sizeof outcome->words, "%s", status != 0 ? hp_err_text(err) : "");
}

static inline void on_message(void *arg, int status, const hp_message_t *message, const hp_err_t *err)
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

static inline void on_done(void *arg, int status, const hp_err_t *err)
{
    say(arg, status, err);
}

static inline outcome_t send_to(const char *to, const char *text)
{
    outcome_t outcome = {0};
    hp_messages_send(messages, to, text, NULL, on_message, &outcome);
    assert_false(outcome.done);
    wait_until(net, outcome.done);
    return outcome;
}

static inline outcome_t get(int64_t id)
{
    outcome_t outcome = {0};
    hp_messages_get(messages, id, on_message, &outcome);
    wait_until(net, outcome.done);
    return outcome;
}

static inline void on_listed(void *arg, int status, const hp_message_t *list, size_t count, bool more,
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

static inline void assert_list(const char *with, int64_t before, size_t limit, const char *expected)
{
    outcome_t outcome = {0};
    hp_messages_list(messages, with, before, limit, on_listed, &outcome);
    wait_until(net, outcome.done);
    assert_string_equal(outcome.states, expected);
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

static inline bool on_post(fake_t *fake, fake_client_t *client)
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

static inline void start_receiver(fake_t *fake, const char *id, const char *address)
{
    memset(&inbox, 0, sizeof inbox);
    *fake = (fake_t){.id = id, .instance = INSTANCE_1, .on_post = on_post};
    fake_start(&net->loop, fake, address, 0);
    assert_int_equal(add_host(net, address, fake->port).status, 0);
}

#endif
