#include "hub/presence.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/pending.h"
#include "hub/json.h"

#define CLIENT_KEPT_MS 60000 /* after it was last heard of, without a stream */
#define SWEEP_MS       10000
#define COMMENT_MS     30000 /* between two comments, which keep a stream and its routers' mappings alive */

typedef struct stream {
    hp_link_t link; /* in the client's streams, newest first */
    hp_hub_host_t *client;
    hp_http_request_t *request; /* held, for its round trip */
    hp_http_events_t *events;
} stream_t;

typedef struct membership {
    hp_link_t of_client, of_group;
    hp_hub_host_t *client;
    hp_hub_group_t *group;
    char name[HP_DB_HUB_NAME_SIZE];
    uint8_t proof[32];
} membership_t;

struct hp_client {
    char id[HP_PEER_ID_SIZE]; /* the key in the tree */
    uint8_t fingerprint[32];
    hp_presence_t *presence;
    hp_link_t link; /* in the presence's clients */
    hp_list_t streams, memberships;
    size_t stream_count, membership_count;
    uint64_t heard_at; /* loop ms */
    uint64_t allowance, allowance_at;
};

struct hp_hub_group {
    uint8_t gid[16]; /* the key in the tree */
    hp_list_t members;
};

struct hp_presence {
    uv_loop_t *loop;
    uv_timer_t sweep, comment;
    hp_pending_t pending; /* timers */
    hp_list_t clients;
    size_t client_count, online_count;
    void *client_tree, *group_tree; /* tsearch(3) */
    void (*closed)(void *arg);
    void *closed_arg;
};

static int compare_clients(const void *a, const void *b)
{
    return strcmp(((const hp_hub_host_t *)a)->id, ((const hp_hub_host_t *)b)->id);
}

static int compare_groups(const void *a, const void *b)
{
    return memcmp(((const hp_hub_group_t *)a)->gid, ((const hp_hub_group_t *)b)->gid, 16);
}

/* ---- groups ---- */

hp_hub_group_t *hp_presence_group(hp_presence_t *self, const uint8_t gid[16])
{
    hp_hub_group_t key;
    memcpy(key.gid, gid, sizeof key.gid);
    hp_hub_group_t **found = tfind(&key, &self->group_tree, compare_groups);
    return found != NULL ? *found : NULL;
}

static hp_hub_group_t *make_group(hp_presence_t *self, const uint8_t gid[16])
{
    hp_hub_group_t *group = hp_presence_group(self, gid);
    if (group != NULL)
        return group;
    group = hp_alloc(sizeof *group);
    memcpy(group->gid, gid, sizeof group->gid);
    hp_list_init(&group->members);
    tsearch(group, &self->group_tree, compare_groups);
    return group;
}

static membership_t *find_membership(const hp_hub_host_t *client, const uint8_t gid[16])
{
    HP_LIST_EACH (at, &client->memberships) {
        membership_t *membership = HP_CONTAINER(at, membership_t, of_client);
        if (memcmp(membership->group->gid, gid, 16) == 0)
            return membership;
    }
    return NULL;
}

static void end_membership(membership_t *membership)
{
    hp_presence_t *self = membership->client->presence;
    hp_hub_group_t *group = membership->group;
    membership->client->membership_count--;
    hp_link_remove(&membership->of_client);
    hp_link_remove(&membership->of_group);
    free(membership);
    if (!hp_list_is_empty(&group->members))
        return;
    tdelete(group, &self->group_tree, compare_groups);
    free(group);
}

/* ---- telling ---- */

static hp_http_events_t *newest(const hp_hub_host_t *client)
{
    hp_link_t *first = hp_list_first(&client->streams);
    return first != NULL ? HP_CONTAINER(first, stream_t, link)->events : NULL;
}

static void send_text(const hp_hub_host_t *client, const char *event, const char *text)
{
    hp_http_events_t *events = newest(client);
    if (events != NULL)
        hp_http_events_send(events, 0, event, text);
}

int hp_hub_host_send(hp_hub_host_t *client, const char *event, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    int rc = newest(client) != NULL ? 0 : HP_E_NOT_FOUND;
    send_text(client, event, text);
    free(text);
    return rc;
}

void hp_presence_tell(hp_presence_t *self, const uint8_t gid[16], const hp_hub_host_t *except,
                      const char *event, json_t *json)
{
    hp_hub_group_t *group = hp_presence_group(self, gid);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (group != NULL) {
        HP_LIST_EACH (at, &group->members) {
            membership_t *membership = HP_CONTAINER(at, membership_t, of_group);
            if (membership->client != except)
                send_text(membership->client, event, text);
        }
    }
    free(text);
}

static void tell_member(const membership_t *membership)
{
    const hp_hub_host_t *client = membership->client;
    hp_db_hub_member_t row = {0};
    memcpy(row.host, client->id, sizeof row.host);
    memcpy(row.fingerprint, client->fingerprint, sizeof row.fingerprint);
    memcpy(row.name, membership->name, sizeof row.name);
    memcpy(row.proof, membership->proof, sizeof row.proof);
    json_t *json = hp_hub_member_json(&row, true);
    json_object_set_new(json, "group", hp_hub_hex_json(membership->group->gid, 16));
    hp_presence_tell(client->presence, membership->group->gid, client, "member", json);
}

static void tell_gone(hp_presence_t *self, const hp_hub_host_t *client, const uint8_t gid[16], bool removed)
{
    json_t *json = json_pack("{s:o,s:s,s:b}", "group", hp_hub_hex_json(gid, 16), "id", client->id, "removed",
                             (int)removed);
    hp_presence_tell(self, gid, client, "gone", json);
}

/* ---- clients ---- */

static hp_hub_host_t *find_client(const hp_presence_t *self, const char *id)
{
    hp_hub_host_t key;
    snprintf(key.id, sizeof key.id, "%s", id);
    hp_hub_host_t **found = tfind(&key, &self->client_tree, compare_clients);
    return found != NULL ? *found : NULL;
}

hp_hub_host_t *hp_presence_client(hp_presence_t *self, const hp_who_t *who)
{
    hp_hub_host_t *client = find_client(self, who->id);
    if (client == NULL) {
        client = hp_alloc(sizeof *client);
        memcpy(client->id, who->id, sizeof client->id);
        memcpy(client->fingerprint, who->fingerprint, sizeof client->fingerprint);
        client->presence = self;
        client->allowance = HP_HUB_CALLS_BURST;
        client->allowance_at = uv_now(self->loop);
        hp_list_init(&client->streams);
        hp_list_init(&client->memberships);
        hp_list_add(&self->clients, &client->link);
        tsearch(client, &self->client_tree, compare_clients);
        self->client_count++;
    }
    client->heard_at = uv_now(self->loop);
    return client;
}

static void destroy_client(hp_hub_host_t *client)
{
    hp_presence_t *self = client->presence;
    HP_LIST_EACH (at, &client->memberships) {
        end_membership(HP_CONTAINER(at, membership_t, of_client));
    }
    tdelete(client, &self->client_tree, compare_clients);
    hp_link_remove(&client->link);
    self->client_count--;
    free(client);
}

hp_hub_host_t *hp_presence_member(hp_presence_t *self, const uint8_t gid[16], const char *host)
{
    hp_hub_host_t *client = find_client(self, host);
    return client != NULL && find_membership(client, gid) != NULL ? client : NULL;
}

const char *hp_hub_host_id(const hp_hub_host_t *client)
{
    return client->id;
}

bool hp_hub_host_allows(hp_hub_host_t *client)
{
    uint64_t now = uv_now(client->presence->loop),
             earned = (now - client->allowance_at) * HP_HUB_CALLS / 1000;
    if (earned > 0) {
        client->allowance = HP_MIN(client->allowance + earned, (uint64_t)HP_HUB_CALLS_BURST);
        client->allowance_at = now;
    }
    if (client->allowance == 0)
        return false;
    client->allowance--;
    return true;
}

unsigned hp_hub_host_rtt_ms(const hp_hub_host_t *client)
{
    hp_link_t *first = hp_list_first(&client->streams);
    return first != NULL ? hp_http_rtt_us(HP_CONTAINER(first, stream_t, link)->request) / 1000 : 0;
}

/* ---- membership ---- */

int hp_presence_join(hp_presence_t *self, hp_hub_host_t *client, const uint8_t gid[16], const char *name,
                     const uint8_t proof[32])
{
    membership_t *membership = find_membership(client, gid);
    if (membership == NULL) {
        if (client->membership_count >= HP_HUB_GROUPS_MAX)
            return HP_E_TOO_MANY;
        membership = hp_alloc(sizeof *membership);
        membership->client = client;
        membership->group = make_group(self, gid);
        hp_list_add(&client->memberships, &membership->of_client);
        hp_list_add(&membership->group->members, &membership->of_group);
        client->membership_count++;
    }
    snprintf(membership->name, sizeof membership->name, "%s", name);
    memcpy(membership->proof, proof, sizeof membership->proof);
    if (client->stream_count > 0)
        tell_member(membership);
    return 0;
}

void hp_presence_leave(hp_presence_t *self, hp_hub_host_t *client, const uint8_t gid[16])
{
    membership_t *membership = find_membership(client, gid);
    tell_gone(self, client, gid, true); /* also when it left before it had joined since the hub's start */
    if (membership != NULL)
        end_membership(membership);
}

bool hp_presence_is_member(const hp_presence_t *self, const hp_hub_host_t *client, const uint8_t gid[16])
{
    (void)self;
    return find_membership(client, gid) != NULL;
}

bool hp_presence_is_online(const hp_presence_t *self, const uint8_t gid[16], const char *host)
{
    const hp_hub_host_t *client = find_client(self, host);
    return client != NULL && client->stream_count > 0 && find_membership(client, gid) != NULL;
}

/* ---- streams ---- */

static void on_stream_closed(void *arg)
{
    stream_t *stream = arg;
    hp_hub_host_t *client = stream->client;
    hp_link_remove(&stream->link);
    hp_http_release(stream->request);
    free(stream);
    client->heard_at = uv_now(client->presence->loop);
    if (--client->stream_count > 0)
        return;
    client->presence->online_count--;
    HP_LIST_EACH (at, &client->memberships) {
        tell_gone(client->presence, client, HP_CONTAINER(at, membership_t, of_client)->group->gid, false);
    }
}

int hp_presence_stream(hp_presence_t *self, hp_hub_host_t *client, hp_http_request_t *request)
{
    if (client->stream_count >= HP_HUB_STREAMS_MAX)
        return HP_E_TOO_MANY;
    stream_t *stream = hp_alloc(sizeof *stream);
    stream->client = client;
    stream->request = request;
    hp_http_addref(request);
    stream->events = hp_http_reply_events(request, on_stream_closed, stream);
    if (stream->events == NULL) {
        hp_http_release(request);
        free(stream);
        return 0;
    }
    hp_list_add_first(&client->streams, &stream->link);
    hp_http_events_comment(stream->events);
    if (++client->stream_count > 1)
        return 0;
    self->online_count++;
    HP_LIST_EACH (at, &client->memberships) {
        tell_member(HP_CONTAINER(at, membership_t, of_client));
    }
    return 0;
}

/* ---- life ---- */

static void on_sweep(uv_timer_t *timer)
{
    hp_presence_t *self = timer->data;
    uint64_t now = uv_now(self->loop);
    HP_LIST_EACH (at, &self->clients) {
        hp_hub_host_t *client = HP_CONTAINER(at, hp_hub_host_t, link);
        if (client->stream_count == 0 && now - client->heard_at > CLIENT_KEPT_MS)
            destroy_client(client);
    }
}

static void on_comment(uv_timer_t *timer)
{
    hp_presence_t *self = timer->data;
    HP_LIST_EACH (at, &self->clients) {
        hp_hub_host_t *client = HP_CONTAINER(at, hp_hub_host_t, link);
        HP_LIST_EACH (each, &client->streams) {
            hp_http_events_comment(HP_CONTAINER(each, stream_t, link)->events);
        }
    }
}

hp_presence_t *hp_presence_create(uv_loop_t *loop)
{
    hp_presence_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    hp_list_init(&self->clients);
    uv_timer_init(loop, &self->sweep);
    uv_timer_init(loop, &self->comment);
    self->sweep.data = self->comment.data = self;
    hp_pending_add(&self->pending);
    hp_pending_add(&self->pending);
    uv_timer_start(&self->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    uv_timer_start(&self->comment, on_comment, COMMENT_MS, COMMENT_MS);
    return self;
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_presence_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

static void finish(void *arg)
{
    hp_presence_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    HP_LIST_EACH (at, &self->clients) {
        destroy_client(HP_CONTAINER(at, hp_hub_host_t, link));
    }
    free(self);
    closed(closed_arg);
}

void hp_presence_destroy(hp_presence_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    uv_close((uv_handle_t *)&self->sweep, on_timer_closed);
    uv_close((uv_handle_t *)&self->comment, on_timer_closed);
    hp_pending_when_none(&self->pending, finish, self);
}

size_t hp_presence_clients(const hp_presence_t *self)
{
    return self->client_count;
}

size_t hp_presence_online(const hp_presence_t *self)
{
    return self->online_count;
}
