#include "rendezvous/rendezvous.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "rendezvous/internal.h"

/* ---- hubs ---- */

static void on_hub_changed(void *arg)
{
    hub_t *hub = arg;
    hp_rendezvous_t *self = hub->owner;
    bool connected = hp_hub_client_state(hub->client) == HP_HUB_CONNECTED;
    HP_LIST_EACH (at, &self->groups) {
        group_t *group = HP_CONTAINER(at, group_t, link);
        if (group->hub != hub)
            continue;
        if (connected)
            hp_group_join(group);
        else if (group->joined)
            hp_group_lost(group);
        hp_group_changed(group);
    }
    hp_orders_hub_changed(self, hub);
    hp_tunnel_signalling_changed(self->deps.tunnel);
}

static void on_hub_event(void *arg, const char *event, const json_t *data)
{
    hub_t *hub = arg;
    hp_group_on_event(hub->owner, hub, event, data);
    hp_signals_on_event(hub->owner, hub, event, data);
}

static void on_hub_closed(void *arg)
{
    hub_t *hub = arg;
    hp_rendezvous_t *self = hub->owner;
    free(hub);
    hp_pending_drop(&self->pending);
}

static bool is_hub(const hub_t *hub, const char *text, const char *id)
{
    const char *known = hp_hub_client_id(hub->client);
    return !hub->closing && strcmp(hp_hub_client_hub(hub->client), text) == 0 &&
           (id[0] == '\0' || strcmp(known, id) == 0);
}

hub_t *hp_hub_use(hp_rendezvous_t *self, const char *text, const char *id)
{
    HP_LIST_EACH (at, &self->hubs) {
        hub_t *hub = HP_CONTAINER(at, hub_t, link);
        if (is_hub(hub, text, id)) {
            hub->users++;
            return hub;
        }
    }
    hub_t *hub = hp_alloc(sizeof *hub);
    hub->owner = self;
    hub->users = 1;
    hp_hub_client_hooks_t hooks = {.changed = on_hub_changed, .event = on_hub_event, .arg = hub};
    hub->client = hp_hub_client_create(self->deps.loop, self->deps.fetcher, text, id, &hooks);
    hp_list_add(&self->hubs, &hub->link);
    hp_pending_add(&self->pending);
    if (self->started)
        hp_hub_client_start(hub->client);
    return hub;
}

void hp_hub_unuse(hub_t *hub)
{
    if (--hub->users > 0)
        return;
    hub->closing = true;
    hp_link_remove(&hub->link);
    hp_hub_client_destroy(hub->client, on_hub_closed, hub);
}

/* ---- groups ---- */

group_t *hp_group_find(const hp_rendezvous_t *self, int64_t id)
{
    HP_LIST_EACH (at, &self->groups) {
        group_t *group = HP_CONTAINER(at, group_t, link);
        if (group->row.id == id && !group->row.leaving)
            return group;
    }
    return NULL;
}

group_t *hp_group_by_gid(const hp_rendezvous_t *self, const uint8_t gid[16])
{
    HP_LIST_EACH (at, &self->groups) {
        group_t *group = HP_CONTAINER(at, group_t, link);
        if (memcmp(group->row.gid, gid, 16) == 0)
            return group;
    }
    return NULL;
}

group_t *hp_group_add(hp_rendezvous_t *self, const hp_db_group_t *row, hub_t *hub)
{
    group_t *group = hp_alloc(sizeof *group);
    group->owner = self;
    group->row = *row;
    group->hub = hub;
    group->list_due = true;
    hp_group_keys_derive(row->secret, &group->keys);
    hp_list_add(&self->groups, &group->link);
    return group;
}

void hp_group_drop(group_t *group)
{
    hp_rendezvous_t *self = group->owner;
    hp_link_remove(&group->link);
    if (!self->closing)
        for (size_t i = 0; i < group->members.count; i++)
            hp_member_tell(self, group->members.items[i].said.id);
    hp_array_dispose(&group->members);
    hp_hub_unuse(group->hub);
    free(group);
}

void hp_group_changed(group_t *group)
{
    hp_rendezvous_t *self = group->owner;
    if (self->started && !self->closing && !group->row.leaving)
        self->hooks.changed(self->hooks.arg, group->row.id);
}

char *hp_group_path(const uint8_t gid[16], const char *rest, char out[HP_GROUP_PATH_SIZE])
{
    char hex[33];
    hp_hex_encode(gid, 16, hex);
    snprintf(out, HP_GROUP_PATH_SIZE, "/hub/v1/groups/%s%s", hex, rest);
    return out;
}

/* ---- what people see ---- */

size_t hp_rendezvous_count(const hp_rendezvous_t *self)
{
    size_t count = 0;
    HP_LIST_EACH (at, &self->groups) {
        count += !HP_CONTAINER(at, group_t, link)->row.leaving;
    }
    return count;
}

static void fill_info(const group_t *group, hp_group_info_t *info)
{
    hp_hub_state_t state = hp_hub_client_state(group->hub->client);
    bool refused = state == HP_HUB_CONNECTED && !group->joined;
    *info = (hp_group_info_t){
        .id = group->row.id,
        .name = group->row.name,
        .hub = group->row.hub,
        .state = !refused                    ? state
                 : group->problem[0] != '\0' ? HP_HUB_UNREACHABLE
                                             : HP_HUB_CONNECTING,
        .reason = state == HP_HUB_CONNECTED ? group->problem : hp_hub_client_reason(group->hub->client),
        .publish = group->row.publish,
        .member_count = group->members.count,
    };
}

void hp_rendezvous_at(const hp_rendezvous_t *self, size_t index, hp_group_info_t *info)
{
    HP_LIST_EACH (at, &self->groups) {
        const group_t *group = HP_CONTAINER(at, group_t, link);
        if (!group->row.leaving && index-- == 0)
            fill_info(group, info);
    }
}

int hp_rendezvous_group(const hp_rendezvous_t *self, int64_t id, hp_group_info_t *info)
{
    const group_t *group = hp_group_find(self, id);
    if (group == NULL)
        return HP_E_NOT_FOUND;
    fill_info(group, info);
    return 0;
}

const char *hp_rendezvous_member(const hp_rendezvous_t *self, int64_t id, size_t index)
{
    const group_t *group = hp_group_find(self, id);
    return group != NULL && index < group->members.count ? group->members.items[index].said.id : NULL;
}

int hp_rendezvous_invite(const hp_rendezvous_t *self, int64_t id, char text[HP_INVITE_SIZE])
{
    const group_t *group = hp_group_find(self, id);
    hp_invite_t invite;
    if (group == NULL)
        return HP_E_NOT_FOUND;
    snprintf(invite.hub, sizeof invite.hub, "%s", group->row.hub);
    memcpy(invite.secret, group->row.secret, sizeof invite.secret);
    memcpy(invite.hub_fingerprint, group->row.hub_pin, sizeof invite.hub_fingerprint);
    hp_invite_write(&invite, text);
    return 0;
}

/* ---- what changes around it ---- */

void hp_rendezvous_network_changed(hp_rendezvous_t *self)
{
    HP_LIST_EACH (at, &self->hubs) {
        hp_hub_client_network_changed(HP_CONTAINER(at, hub_t, link)->client);
    }
}

void hp_rendezvous_name_changed(hp_rendezvous_t *self)
{
    HP_LIST_EACH (at, &self->groups) {
        group_t *group = HP_CONTAINER(at, group_t, link);
        if (group->joined)
            hp_group_join(group);
    }
}

/* ---- life ---- */

typedef struct {
    hp_rendezvous_t *self;
    HP_ARRAY(hp_db_group_t) rows;
    HP_ARRAY(hp_db_group_member_t) members;
} load_t;

static void take_row(void *arg, const hp_db_group_t *row)
{
    load_t *load = arg;
    *hp_array_add(&load->rows) = *row;
}

static void take_member(void *arg, const hp_db_group_member_t *member)
{
    load_t *load = arg;
    *hp_array_add(&load->members) = *member;
}

static int work_load(hp_db_t *db, void *arg, hp_err_t *err)
{
    load_t *load = arg;
    int rc = hp_db_group_each(db, take_row, load, err);
    for (size_t i = 0; rc == 0 && i < load->rows.count; i++)
        rc = hp_db_group_member_each(db, load->rows.items[i].id, take_member, load, err);
    return rc;
}

static void add_member(group_t *group, const hp_db_group_member_t *row)
{
    member_t *member = hp_array_add(&group->members);
    memcpy(member->said.id, row->host, sizeof member->said.id);
    memcpy(member->said.fingerprint, row->fingerprint, sizeof member->said.fingerprint);
    memcpy(member->said.proof, row->proof, sizeof member->said.proof);
    snprintf(member->said.name, sizeof member->said.name, "%s", row->name);
    snprintf(member->list_etag, sizeof member->list_etag, "%s", row->list_etag);
    member->list_revision = row->list_revision;
}

static void add_loaded(load_t *load)
{
    for (size_t i = 0; i < load->rows.count; i++) {
        const hp_db_group_t *row = &load->rows.items[i];
        char id[HP_PEER_ID_SIZE];
        hp_hex_encode(row->hub_pin, 16, id);
        group_t *group = hp_group_add(load->self, row, hp_hub_use(load->self, row->hub, id));
        for (size_t j = 0; j < load->members.count && !row->leaving; j++)
            if (load->members.items[j].group == row->id)
                add_member(group, &load->members.items[j]);
    }
}

int hp_rendezvous_create(hp_rendezvous_t **rendezvous, const hp_rendezvous_deps_t *deps, hp_err_t *err)
{
    hp_rendezvous_t *self = hp_alloc(sizeof *self);
    self->deps = *deps;
    hp_list_init(&self->groups);
    hp_list_init(&self->hubs);
    hp_list_init(&self->orders);
    hp_signals_init(self);
    load_t load = {.self = self};
    int rc = hp_store_run_now(deps->store, HP_STORE_READ, work_load, &load, err);
    if (rc == 0) {
        hp_group_index_init(self);
        add_loaded(&load);
        *rendezvous = self;
    } else {
        free(self);
    }
    hp_array_dispose(&load.rows);
    hp_array_dispose(&load.members);
    return rc;
}

void hp_rendezvous_start(hp_rendezvous_t *self, const hp_rendezvous_hooks_t *hooks)
{
    self->hooks = *hooks;
    self->started = true;
    HP_LIST_EACH (at, &self->groups) {
        const group_t *group = HP_CONTAINER(at, group_t, link);
        for (size_t i = 0; i < group->members.count; i++)
            hp_member_tell(self, group->members.items[i].said.id);
    }
    HP_LIST_EACH (each, &self->hubs) {
        hp_hub_client_start(HP_CONTAINER(each, hub_t, link)->client);
    }
}

static void on_none(void *arg)
{
    hp_rendezvous_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self);
    closed(closed_arg);
}

void hp_rendezvous_destroy(hp_rendezvous_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    hp_orders_cancel(self);
    HP_LIST_EACH (at, &self->groups) {
        hp_group_drop(HP_CONTAINER(at, group_t, link));
    }
    hp_group_index_close(self);
    hp_pending_when_none(&self->pending, on_none, self);
}
