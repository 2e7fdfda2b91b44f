/* GET /api/v1/events: what the parts tell, through the feed, to every open page.
 *
 * Hosts, downloads, the share and the log call back when they change. Connections, the scan and the speeds
 * change all the time and are looked at once a second, and only while there are listeners. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/mem.h"

#define TICK_MS       50    /* how exactly the spacing of events is kept */
#define LOOK_MS       1000  /* between looks at what does not call back */
#define COMMENT_MS    15000 /* between two comments that keep a stream alive */
#define LOG_LINES_MAX 100   /* told a second */

typedef struct client {
    struct client *next;
    hp_event_feed_listener_t *listener;
    hp_http_events_t *stream; /* NULL once the client has gone */
} client_t;

struct hp_events {
    hp_api_t *api;
    hp_event_feed_t *feed;
    uv_timer_t tick, look, comment;
    uv_async_t logged;    /* a line was logged, on any thread */
    hp_pending_t pending; /* handles */
    client_t *clients;
    uint64_t log_told; /* number of the last line that was */
    uint64_t log_second;
    int log_count;                     /* lines told since log_second */
    char *status, *scan;               /* as they were last told */
    hp_http_connection_t *connections; /* as they were when last looked at */
    size_t connection_count;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- rendering ---- */

static char *render_host(hp_events_t *self, const char *id)
{
    json_t *json = hp_api_host_json(self->api, id);
    return json != NULL ? hp_json_dump(json) : NULL;
}

static char *render_download(hp_events_t *self, const char *id)
{
    hp_download_info_t info;
    if (hp_transfer_get(self->api->deps.transfer, strtoll(id, NULL, 10), &info) != 0)
        return NULL;
    return hp_json_dump(hp_json_download(&info));
}

static char *render_connection(hp_events_t *self, const char *id)
{
    uint64_t number = strtoull(id, NULL, 10);
    for (size_t i = 0; i < self->connection_count; i++) {
        const hp_http_connection_t *connection = &self->connections[i];
        if (connection->id == number)
            return hp_json_dump(hp_json_connection(connection, hp_api_host_of(self->api, connection)));
    }
    return NULL;
}

static char *render_pairing(hp_events_t *self, const char *host)
{
    json_t *json = hp_api_pairing_json(self->api, host);
    return json != NULL ? hp_json_dump(json) : NULL;
}

static char *render(void *arg, hp_topic_t topic, const char *key)
{
    hp_events_t *self = arg;
    switch (topic) {
    case HP_TOPIC_STATUS:
        return hp_json_dump(hp_api_status_json(self->api));
    case HP_TOPIC_HOST:
        return render_host(self, key);
    case HP_TOPIC_GROUP: {
        json_t *json = hp_api_group_json(self->api, strtoll(key, NULL, 10));
        return json != NULL ? hp_json_dump(json) : NULL;
    }
    case HP_TOPIC_SCAN:
        return hp_json_dump(hp_api_scan_json(self->api));
    case HP_TOPIC_DOWNLOAD:
        return render_download(self, key);
    case HP_TOPIC_SHARE:
        return hp_json_dump(hp_api_share_json(self->api));
    case HP_TOPIC_CONNECTION:
        return render_connection(self, key);
    case HP_TOPIC_PAIRING:
        return render_pairing(self, key);
    case HP_TOPIC_PUSH: {
        json_t *json = hp_api_push_json(self->api, strtoll(key, NULL, 10));
        return json != NULL ? hp_json_dump(json) : NULL;
    }
    case HP_TOPIC_DOCTOR: {
        json_t *json = hp_api_doctor_json(self->api, strtoll(key, NULL, 10));
        return json != NULL ? hp_json_dump(json) : NULL;
    }
    case HP_TOPIC_INBOX: {
        json_t *json = hp_api_incoming_json(self->api, strtoll(key, NULL, 10));
        return json != NULL ? hp_json_dump(json) : NULL;
    }
    case HP_TOPIC_SETTINGS:
        return hp_json_dump(hp_api_settings_json(self->api));
    case HP_TOPIC_MESSAGE:
    case HP_TOPIC_LOG:
        break; /* only ever published */
    }
    return NULL;
}

/* ---- what changed ---- */

static void on_tick(uv_timer_t *timer)
{
    hp_events_t *self = timer->data;
    if (!hp_event_feed_tick(self->feed, hp_clock_ms()))
        uv_timer_stop(timer);
}

/* Something may wait in the feed from now on. */
static void keep_ticking(hp_events_t *self)
{
    if (!uv_is_active((uv_handle_t *)&self->tick))
        uv_timer_start(&self->tick, on_tick, TICK_MS, TICK_MS);
}

void hp_events_touch(hp_events_t *self, hp_topic_t topic, const char *key)
{
    hp_event_feed_touch(self->feed, topic, key, hp_clock_ms());
    keep_ticking(self);
}

bool hp_events_awake(const hp_events_t *self)
{
    return hp_event_feed_awake(self->feed, hp_clock_ms());
}

void hp_events_publish(hp_events_t *self, hp_topic_t topic, const char *key, json_t *json)
{
    char *text = hp_json_dump(json);
    hp_event_feed_publish(self->feed, topic, key, text, hp_clock_ms());
    free(text);
}

void hp_events_removed(hp_events_t *self, hp_topic_t topic, const char *key, json_t *id)
{
    json_t *json = json_object();
    json_object_set_new(json, "id", id);
    json_object_set_new(json, "removed", json_true());
    hp_events_publish(self, topic, key, json);
}

static void on_host_event(void *arg, hp_host_event_t event, const hp_host_t *host)
{
    hp_api_t *api = arg;
    if (hp_api_is_closing(api))
        return;
    if (event == HP_HOST_REMOVED)
        hp_events_removed(api->events, HP_TOPIC_HOST, host->id, hp_json_text(host->id));
    else
        hp_events_touch(api->events, HP_TOPIC_HOST, host->id);
}

static void on_device(void *arg, const char *id)
{
    hp_api_t *api = arg;
    if (hp_api_is_closing(api))
        return;
    if (hp_devices_find(api->deps.devices, id) != NULL)
        hp_events_touch(api->events, HP_TOPIC_HOST, id);
    else
        hp_events_removed(api->events, HP_TOPIC_HOST, id, hp_json_text(id));
}

static void on_pairing(void *arg, const char *host)
{
    hp_api_t *api = arg;
    if (!hp_api_is_closing(api))
        hp_events_touch(api->events, HP_TOPIC_PAIRING, host);
}

void hp_api_share_changed(hp_api_t *api)
{
    if (api != NULL && !hp_api_is_closing(api))
        hp_events_touch(api->events, HP_TOPIC_SHARE, "");
}

static char *number_key(int64_t id, char out[24])
{
    snprintf(out, 24, "%lld", (long long)id);
    return out;
}

void hp_api_download_changed(hp_api_t *api, int64_t id)
{
    char key[24];
    if (api != NULL && !hp_api_is_closing(api))
        hp_events_touch(api->events, HP_TOPIC_DOWNLOAD, number_key(id, key));
}

void hp_api_download_removed(hp_api_t *api, int64_t id)
{
    char key[24];
    if (api != NULL && !hp_api_is_closing(api))
        hp_events_removed(api->events, HP_TOPIC_DOWNLOAD, number_key(id, key), json_integer(id));
}

void hp_api_group_changed(hp_api_t *api, int64_t id)
{
    char key[24];
    if (api != NULL && !hp_api_is_closing(api))
        hp_events_touch(api->events, HP_TOPIC_GROUP, number_key(id, key));
}

void hp_api_group_removed(hp_api_t *api, int64_t id)
{
    char key[24];
    if (api != NULL && !hp_api_is_closing(api))
        hp_events_removed(api->events, HP_TOPIC_GROUP, number_key(id, key), json_integer(id));
}

static void on_inbox(void *arg, int64_t id)
{
    hp_api_t *api = arg;
    char key[24];
    hp_incoming_t info;
    if (hp_api_is_closing(api))
        return;
    if (hp_inbox_get(api->deps.inbox, id, &info))
        hp_events_touch(api->events, HP_TOPIC_INBOX, number_key(id, key));
    else
        hp_events_removed(api->events, HP_TOPIC_INBOX, number_key(id, key), json_integer(id));
}

static void on_push(void *arg, int64_t id)
{
    hp_api_t *api = arg;
    char key[24];
    hp_push_info_t info;
    if (hp_api_is_closing(api))
        return;
    if (hp_pushes_get(api->deps.pushes, id, &info))
        hp_events_touch(api->events, HP_TOPIC_PUSH, number_key(id, key));
    else
        hp_events_removed(api->events, HP_TOPIC_PUSH, number_key(id, key), json_integer(id));
}

/* 0: whether others can connect here, which is part of the status. */
static void on_doctor(void *arg, int64_t id)
{
    hp_api_t *api = arg;
    char key[24];
    if (hp_api_is_closing(api))
        return;
    if (id == 0)
        hp_events_touch(api->events, HP_TOPIC_STATUS, "");
    else
        hp_events_touch(api->events, HP_TOPIC_DOCTOR, number_key(id, key));
}

/* ---- the log ---- */

/* On whichever thread logged. */
static void on_line(void *arg)
{
    hp_events_t *self = arg;
    uv_async_send(&self->logged);
}

static uint64_t last_line(void)
{
    hp_log_entry_t *entries = hp_alloc_array(HP_LOG_KEPT, sizeof *entries);
    int count = hp_log_read(0, entries, HP_LOG_KEPT);
    uint64_t number = count > 0 ? entries[count - 1].number : 0;
    free(entries);
    return number;
}

/* At most LOG_LINES_MAX a second; what waits is told later, or is left to GET /log. */
static void tell_log(hp_events_t *self)
{
    uint64_t now = hp_clock_ms();
    if (now - self->log_second >= 1000) {
        self->log_second = now;
        self->log_count = 0;
    }
    int room = LOG_LINES_MAX - self->log_count;
    if (room == 0 || !hp_event_feed_awake(self->feed, now))
        return;
    hp_log_entry_t *entries = hp_alloc_array((size_t)room, sizeof *entries);
    int count = hp_log_read(self->log_told, entries, room);
    for (int i = 0; i < count; i++)
        hp_events_publish(self, HP_TOPIC_LOG, "", hp_json_log_entry(&entries[i]));
    if (count > 0)
        self->log_told = entries[count - 1].number;
    self->log_count += count;
    free(entries);
}

static void on_logged(uv_async_t *async)
{
    tell_log(async->data);
}

/* ---- clients that left ---- */

/* May run inside a send, so the client is only marked: the feed is walking its listeners. */
static void on_client_gone(void *arg)
{
    client_t *client = arg;
    client->stream = NULL;
}

static void on_event(void *arg, uint64_t id, const char *event, const char *data)
{
    client_t *client = arg;
    if (client->stream != NULL)
        hp_http_events_send(client->stream, id, event, data);
}

static void sweep(hp_events_t *self)
{
    for (client_t **link = &self->clients, *client; (client = *link) != NULL;) {
        if (client->stream != NULL) {
            link = &client->next;
            continue;
        }
        *link = client->next;
        hp_event_feed_leave(self->feed, client->listener, hp_clock_ms());
        free(client);
    }
}

/* ---- what is looked at ---- */

static bool connection_differs(const hp_http_connection_t *a, const hp_http_connection_t *b)
{
    return a->requests != b->requests || a->bytes_sent != b->bytes_sent || a->speed_bps != b->speed_bps ||
           a->active != b->active;
}

static void connection_removed(hp_events_t *self, uint64_t id)
{
    char key[24];
    hp_events_removed(self, HP_TOPIC_CONNECTION, number_key((int64_t)id, key), hp_json_count(id));
}

/* Both lists are in the order of their ids. */
static void look_at_connections(hp_events_t *self)
{
    hp_http_connection_t *old = self->connections;
    size_t old_count = self->connection_count, k = 0;
    hp_http_connection_t *now = hp_alloc_array(HP_API_CONNECTIONS_MAX, sizeof *now);
    size_t count = hp_http_connections(self->api->deps.peer, now, HP_API_CONNECTIONS_MAX);
    self->connections = now;
    self->connection_count = HP_MIN(count, (size_t)HP_API_CONNECTIONS_MAX);
    for (size_t i = 0; i < self->connection_count; i++) {
        for (; k < old_count && old[k].id < now[i].id; k++)
            connection_removed(self, old[k].id);
        bool known = k < old_count && old[k].id == now[i].id;
        char key[24];
        if (!known || connection_differs(&old[k], &now[i]))
            hp_events_touch(self, HP_TOPIC_CONNECTION, number_key((int64_t)now[i].id, key));
        if (known)
            k++;
    }
    for (; k < old_count; k++)
        connection_removed(self, old[k].id);
    free(old);
}

void hp_events_look_at_connections(hp_events_t *self)
{
    if (hp_events_awake(self))
        look_at_connections(self);
}

/* Tells the thing when it is not as it was last time; what only counts on with the clock is left out of that.
 */
static void look_at(hp_events_t *self, hp_topic_t topic, char **last, json_t *json)
{
    json_object_del(json, "time");
    json_object_del(json, "uptime_s");
    char *now = hp_json_dump(json);
    if (*last == NULL || strcmp(*last, now) != 0)
        hp_events_touch(self, topic, "");
    free(*last);
    *last = now;
}

static void on_look(uv_timer_t *timer)
{
    hp_events_t *self = timer->data;
    sweep(self);
    if (!hp_event_feed_awake(self->feed, hp_clock_ms())) {
        uv_timer_stop(timer);
        return;
    }
    tell_log(self);
    look_at(self, HP_TOPIC_SCAN, &self->scan, hp_api_scan_json(self->api));
    look_at(self, HP_TOPIC_STATUS, &self->status, hp_api_status_json(self->api));
    look_at_connections(self);
}

/* ---- clients ---- */

static void on_comment(uv_timer_t *timer)
{
    hp_events_t *self = timer->data;
    for (client_t *client = self->clients; client != NULL; client = client->next)
        if (client->stream != NULL)
            hp_http_events_comment(client->stream);
}

void hp_api_get_events(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_events_t *self = api->events;
    uint64_t now = hp_clock_ms();
    client_t *client = hp_alloc(sizeof *client);
    client->stream = hp_http_reply_events(request, on_client_gone, client);
    if (client->stream == NULL) {
        free(client);
        return;
    }
    if (!hp_event_feed_awake(self->feed, now))
        self->log_told = last_line();
    const char *last_id = hp_http_header(request, "Last-Event-ID");
    if (last_id != NULL)
        hp_http_events_comment(client->stream); /* the first byte tells the client that it is connected */
    client->next = self->clients;
    self->clients = client;
    client->listener = hp_event_feed_listen(self->feed, last_id, on_event, client, now);
    if (!uv_is_active((uv_handle_t *)&self->look))
        uv_timer_start(&self->look, on_look, LOOK_MS, LOOK_MS);
    if (last_id == NULL)
        hp_events_touch(self, HP_TOPIC_STATUS, ""); /* a new one begins with how things stand */
    keep_ticking(self);
}

/* ---- life ---- */

hp_events_t *hp_events_create(hp_api_t *api)
{
    hp_events_t *self = hp_alloc(sizeof *self);
    uv_loop_t *loop = api->deps.loop;
    self->api = api;
    /* Above every id of an earlier run, as long as that had less than a million events a second. */
    self->feed = hp_event_feed_create((uint64_t)(hp_clock_wall_ms() / 1000) << 20, render, self);
    uv_timer_t *const timers[] = {&self->tick, &self->look, &self->comment};
    for (size_t i = 0; i < HP_COUNT(timers); i++) {
        uv_timer_init(loop, timers[i]);
        timers[i]->data = self;
    }
    uv_timer_start(&self->comment, on_comment, COMMENT_MS, COMMENT_MS);
    self->logged.data = self;
    if (uv_async_init(loop, &self->logged, on_logged) != 0)
        abort(); /* no descriptors left at start-up */
    hp_hosts_on_event(api->deps.hosts, on_host_event, api);
    hp_devices_on_event(api->deps.devices, on_device, api);
    hp_pairings_on_event(api->deps.pairings, on_pairing, api);
    hp_inbox_on_event(api->deps.inbox, on_inbox, api);
    hp_pushes_on_event(api->deps.pushes, on_push, api);
    hp_doctor_on_event(api->deps.doctor, on_doctor, api);
    hp_log_set_listener(on_line, self);
    return self;
}

static void on_handle_closed(uv_handle_t *handle)
{
    hp_events_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

static void finish(void *arg)
{
    hp_events_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    hp_event_feed_destroy(self->feed);
    free(self->status);
    free(self->scan);
    free(self->connections);
    free(self);
    closed(closed_arg);
}

/* The listener is gone, and every client with it. */
void hp_events_destroy(hp_events_t *self, void (*closed)(void *arg), void *arg)
{
    sweep(self);
    self->closed = closed;
    self->closed_arg = arg;
    hp_log_set_listener(NULL, NULL);
    hp_hosts_off_event(self->api->deps.hosts, on_host_event, self->api);
    hp_pairings_off_event(self->api->deps.pairings, on_pairing, self->api);
    hp_inbox_off_event(self->api->deps.inbox, on_inbox, self->api);
    hp_pushes_off_event(self->api->deps.pushes, on_push, self->api);
    hp_devices_off_event(self->api->deps.devices, on_device, self->api);
    hp_doctor_on_event(self->api->deps.doctor, NULL, NULL);
    uv_handle_t *const handles[] = {(uv_handle_t *)&self->tick, (uv_handle_t *)&self->look,
                                    (uv_handle_t *)&self->comment, (uv_handle_t *)&self->logged};
    for (size_t i = 0; i < HP_COUNT(handles); i++) {
        hp_pending_add(&self->pending);
        uv_close(handles[i], on_handle_closed);
    }
    hp_pending_when_none(&self->pending, finish, self);
}

size_t hp_events_listeners(const hp_events_t *self)
{
    return hp_event_feed_listeners(self->feed);
}
