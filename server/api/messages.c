/* What people on this network write to each other: /api/v1/messages, and the events of messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/mem.h"

#define LIMIT_MAX     1000 /* messages of a page */
#define LIMIT_DEFAULT 200
#define SPACING_MS    250 /* between two events of one message */
#define EVENTS_MAX    64  /* messages that are told of in one go; the rest follow */

/* ---- reading ---- */

static void add_unread(hp_api_t *api, json_t *json)
{
    json_t *by_host = json_object();
    uint64_t count;
    const char *host;
    for (size_t i = 0; (host = hp_messages_unread_of(api->deps.messages, i, &count)) != NULL; i++)
        json_object_set_new(by_host, host, hp_json_count(count));
    json_object_set_new(json, "unread", hp_json_count(hp_messages_unread(api->deps.messages)));
    json_object_set_new(json, "unread_by_host", by_host);
}

static void on_listed(void *arg, int status, const hp_message_t *messages, size_t count, bool more,
                      const hp_err_t *err)
{
    hp_api_op_t *op = arg;
    status = hp_api_op_status(op, status);
    if (status != 0) {
        hp_http_reply_problem(op->request, status, err);
    } else {
        json_t *list = json_array(), *json = json_object();
        for (size_t i = 0; i < count; i++)
            json_array_append_new(list, hp_json_message(&messages[i]));
        json_object_set_new(json, "messages", list);
        json_object_set_new(json, "more", json_boolean(more));
        add_unread(op->api, json);
        hp_http_reply_json(op->request, 200, json);
    }
    hp_api_op_destroy(op);
}

void hp_api_get_messages(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_err_t err = {0};
    const char *with = NULL;
    int64_t before = 0, limit = LIMIT_DEFAULT;
    int rc = hp_param_get_text(request, "with", &with, &err);
    if (rc == 0)
        rc = hp_param_get_int(request, "before", 1, INT64_MAX, &before, &err);
    if (rc == 0)
        rc = hp_param_get_int(request, "limit", 1, LIMIT_MAX, &limit, &err);
    if (rc != 0)
        hp_http_reply_problem(request, rc, &err);
    else
        hp_messages_list(api->deps.messages, with, before, (size_t)limit, on_listed,
                         hp_api_op_create(sizeof(hp_api_op_t), api, request));
}

static void reply_message(hp_api_op_t *op, int status, int code, const hp_message_t *message,
                          const hp_err_t *err)
{
    if (code == 0)
        hp_http_reply_json(op->request, status, hp_json_message(message));
    else
        hp_http_reply_problem(op->request, code, err);
    hp_api_op_destroy(op);
}

static void on_got(void *arg, int status, const hp_message_t *message, const hp_err_t *err)
{
    reply_message(arg, 200, status, message, err);
}

void hp_api_get_message(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    if (hp_api_read_number(request, arg, &id))
        hp_messages_get(api->deps.messages, id, on_got, hp_api_op_create(sizeof(hp_api_op_t), api, request));
}

/* ---- sending ---- */

typedef struct {
    hp_api_op_t op;
    json_t *body; /* what the texts point into */
    const char *to, *text, *path;
} send_op_t;

static void on_sent(void *arg, int status, const hp_message_t *message, const hp_err_t *err)
{
    send_op_t *send = arg;
    json_decref(send->body);
    if (status == 0) {
        char location[64];
        snprintf(location, sizeof location, "/api/v1/messages/%lld", (long long)message->id);
        hp_http_set_header(send->op.request, "Location", location);
    }
    reply_message(&send->op, 202, status, message, err);
}

/* The file is opened as another host would open it: what is offered can be had. */
static void on_opened(void *arg, int status, const hp_share_file_t *file)
{
    send_op_t *send = arg;
    hp_err_t err;
    if (status == 0)
        close(file->fd);
    status = hp_api_op_status(send, status);
    if (status != 0) {
        hp_err_set(&err, status, "offer.path: %s",
                   status == HP_E_NOT_FOUND || status == HP_E_FORBIDDEN ? "is not a shared file"
                                                                        : hp_err_sentence(status));
        on_sent(send, status == HP_E_FORBIDDEN ? HP_E_NOT_FOUND : status, NULL, &err);
        return;
    }
    hp_message_offer_t offer = {.path = (char *)send->path, .size = file->stat.st_size};
    memcpy(offer.root, file->root, sizeof offer.root);
    hp_messages_send(send->op.api->deps.messages, send->to, send->text, &offer, on_sent, send);
}

static int read_offer(const json_t *body, const char **path, hp_err_t *err)
{
    const json_t *offer = json_object_get(body, "offer");
    if (offer == NULL || json_is_null(offer))
        return 0;
    if (!json_is_object(offer))
        return hp_err_set(err, HP_E_INVALID, "offer: must be an object");
    int rc = hp_json_get_text(offer, "path", path, err);
    if (rc == 0 && *path == NULL)
        rc = hp_err_set(err, HP_E_INVALID, "path: is missing");
    if (rc != 0)
        hp_err_prefix(err, "offer.");
    return rc;
}

void hp_api_post_messages(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    static const char *const known[] = {"to", "text", "offer", NULL};
    hp_err_t err = {0};
    send_op_t *send = hp_api_op_create(sizeof *send, api, request);
    send->text = "";
    int rc = hp_json_read_body(request, known, &send->body, &err);
    if (rc == 0)
        rc = hp_json_get_text(send->body, "to", &send->to, &err);
    if (rc == 0)
        rc = hp_json_get_text(send->body, "text", &send->text, &err);
    if (rc == 0 && send->to == NULL)
        rc = hp_err_set(&err, HP_E_INVALID, "to: is missing");
    if (rc == 0)
        rc = read_offer(send->body, &send->path, &err);
    if (rc != 0)
        on_sent(send, rc, NULL, &err);
    else if (send->path != NULL)
        hp_share_open(api->deps.share, send->path, on_opened, send);
    else
        hp_messages_send(api->deps.messages, send->to, send->text, NULL, on_sent, send);
}

static void on_retried(void *arg, int status, const hp_message_t *message, const hp_err_t *err)
{
    reply_message(arg, 202, status, message, err);
}

void hp_api_post_message_retry(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    if (hp_api_read_number(request, arg, &id))
        hp_messages_retry(api->deps.messages, id, on_retried,
                          hp_api_op_create(sizeof(hp_api_op_t), api, request));
}

/* ---- marking and removing ---- */

static void on_read(void *arg, int status, const hp_err_t *err)
{
    hp_api_op_t *op = arg;
    status = hp_api_op_status(op, status);
    if (status != 0) {
        hp_http_reply_problem(op->request, status, err);
    } else {
        json_t *json = json_object();
        add_unread(op->api, json);
        hp_http_reply_json(op->request, 200, json);
    }
    hp_api_op_destroy(op);
}

void hp_api_post_messages_read(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    static const char *const known[] = {"with", "up_to", NULL};
    hp_err_t err = {0};
    json_t *body = NULL;
    const char *with = NULL;
    int64_t up_to = 0;
    int rc = hp_json_read_body(request, known, &body, &err);
    if (rc == 0)
        rc = hp_json_get_text(body, "with", &with, &err);
    if (rc == 0)
        rc = hp_json_get_int(body, "up_to", 1, INT64_MAX, &up_to, NULL, &err);
    if (rc == 0)
        hp_messages_read(api->deps.messages, with, up_to, on_read,
                         hp_api_op_create(sizeof(hp_api_op_t), api, request));
    else
        hp_http_reply_problem(request, rc, &err);
    json_decref(body);
}

void hp_api_delete_message(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    if (hp_api_read_number(request, arg, &id))
        hp_messages_remove(api->deps.messages, id, hp_api_op_reply_empty,
                           hp_api_op_create(sizeof(hp_api_op_t), api, request));
}

/* ---- events ---- */

/* Messages that changed and were not told of yet. A message to many hosts changes with each delivery, and has
 * to be read from the database each time: it is told once in SPACING_MS. */
struct hp_message_feed {
    hp_api_t *api;
    uv_timer_t timer;
    HP_ARRAY(int64_t) ids;
    void (*closed)(void *arg);
    void *closed_arg;
};

static char *key_of(int64_t id, char out[24])
{
    snprintf(out, 24, "%lld", (long long)id);
    return out;
}

static void on_read_for_feed(void *arg, int status, const hp_message_t *message, const hp_err_t *err)
{
    (void)err; /* a removed message has its own event; other failures show when a page asks */
    hp_api_op_t *op = arg;
    char key[24];
    if (status == 0 && !hp_api_is_closing(op->api))
        hp_events_publish(op->api->events, HP_TOPIC_MESSAGE, key_of(message->id, key),
                          hp_json_message(message));
    hp_api_op_destroy(op);
}

static void send_queued(hp_message_feed_t *self)
{
    size_t count = HP_MIN(self->ids.count, (size_t)EVENTS_MAX);
    for (size_t i = 0; i < count && hp_events_awake(self->api->events); i++)
        hp_messages_get(self->api->deps.messages, self->ids.items[i], on_read_for_feed,
                        hp_api_op_create(sizeof(hp_api_op_t), self->api, NULL));
    self->ids.count -= count;
    if (self->ids.count > 0)
        memmove(self->ids.items, self->ids.items + count, self->ids.count * sizeof *self->ids.items);
}

static void on_feed_time(uv_timer_t *timer)
{
    hp_message_feed_t *self = timer->data;
    if (self->ids.count == 0)
        uv_timer_stop(timer);
    else
        send_queued(self);
}

static void queue_event(hp_message_feed_t *self, int64_t id)
{
    for (size_t i = 0; i < self->ids.count; i++)
        if (self->ids.items[i] == id)
            return;
    *hp_array_add(&self->ids) = id;
    if (uv_is_active((uv_handle_t *)&self->timer))
        return;
    uv_timer_start(&self->timer, on_feed_time, SPACING_MS, SPACING_MS);
    send_queued(self);
}

static void on_message(void *arg, hp_message_event_t event, int64_t id)
{
    hp_api_t *api = arg;
    char key[24];
    if (hp_api_is_closing(api))
        return;
    if (event == HP_MESSAGE_UNREAD)
        hp_events_touch(api->events, HP_TOPIC_STATUS, "");
    else if (event == HP_MESSAGE_REMOVED)
        hp_events_removed(api->events, HP_TOPIC_MESSAGE, key_of(id, key), json_integer(id));
    else if (hp_events_awake(api->events))
        queue_event(api->message_feed, id);
}

hp_message_feed_t *hp_message_feed_create(hp_api_t *api)
{
    hp_message_feed_t *self = hp_alloc(sizeof *self);
    self->api = api;
    uv_timer_init(api->deps.loop, &self->timer);
    self->timer.data = self;
    hp_messages_on_event(api->deps.messages, on_message, api);
    return self;
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_message_feed_t *self = handle->data;
    void (*closed)(void *) = self->closed;
    void *arg = self->closed_arg;
    hp_array_dispose(&self->ids);
    free(self);
    closed(arg);
}

void hp_message_feed_destroy(hp_message_feed_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    hp_messages_off_event(self->api->deps.messages, on_message, self->api);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
}
