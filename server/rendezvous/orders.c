/* What people order: to make a group, to join, change, renew and leave one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "rendezvous/internal.h"

typedef enum { MAKE, RENEW, CHANGE, LEAVE } kind_t;

typedef struct order {
    hp_link_t link; /* while it waits for its hub */
    hp_rendezvous_t *self;
    kind_t kind;
    hub_t *hub; /* its own use; NULL: none, or the group's by now */
    hp_db_group_t row;
    hp_group_keys_t keys;
    uint8_t old_gid[16]; /* RENEW */
    char *token;
    json_t *answer; /* the hub's, until the group is there */
    bool asked;     /* the hub was asked */
    hp_group_done_fn done;
    void *arg;
} order_t;

static order_t *create_order(hp_rendezvous_t *self, kind_t kind, hp_group_done_fn done, void *arg)
{
    order_t *order = hp_alloc(sizeof *order);
    order->self = self;
    order->kind = kind;
    order->done = done;
    order->arg = arg;
    hp_pending_add(&self->pending);
    return order;
}

static void end_order(order_t *order, int status, const hp_err_t *err)
{
    hp_rendezvous_t *self = order->self;
    static const hp_err_t none = {0};
    hp_link_remove(&order->link);
    if (order->hub != NULL)
        hp_hub_unuse(order->hub);
    order->done(order->arg, status, status == 0 ? order->row.id : 0, err != NULL ? err : &none);
    json_decref(order->answer);
    free(order->token);
    free(order);
    hp_pending_drop(&self->pending);
}

/* Answers are never given inside the call: one that fails at once goes through the store's queue. */
typedef struct {
    order_t *order;
    hp_err_t err;
} failure_t;

static int work_nothing(hp_db_t *db, void *arg, hp_err_t *err)
{
    (void)db, (void)arg, (void)err;
    return 0;
}

static void on_fail_later(void *arg, int status, const hp_err_t *err)
{
    failure_t *failure = arg;
    (void)status, (void)err;
    end_order(failure->order, failure->err.code, &failure->err);
    free(failure);
}

static void fail_later(order_t *order, const hp_err_t *err)
{
    failure_t *failure = hp_alloc(sizeof *failure);
    failure->order = order;
    failure->err = *err;
    hp_store_post(order->self->deps.store, HP_STORE_READ, work_nothing, on_fail_later, failure);
}

static void set_secret(order_t *order, const uint8_t secret[16])
{
    memcpy(order->row.secret, secret, sizeof order->row.secret);
    hp_group_keys_derive(secret, &order->keys);
    memcpy(order->row.gid, order->keys.gid, sizeof order->row.gid);
}

static int set_name(order_t *order, const char *name, hp_err_t *err)
{
    char shown[HP_GROUP_NAME_SIZE];
    size_t length = strlen(name);
    hp_utf8_printable(name, length, shown, sizeof shown);
    if (length == 0 || length > 100 || strcmp(shown, name) != 0)
        return hp_err_set(err, HP_E_INVALID,
                          "\"name\" is to be text of 1 to 100 bytes without control characters");
    snprintf(order->row.name, sizeof order->row.name, "%s", name);
    return 0;
}

/* ---- making and joining: the hub first, then the disk ---- */

static int work_insert(hp_db_t *db, void *arg, hp_err_t *err)
{
    order_t *order = arg;
    return hp_db_group_insert(db, &order->row, err);
}

static void on_inserted(void *arg, int status, const hp_err_t *err)
{
    order_t *order = arg;
    hp_err_t why = *err;
    if (status == 0 && !order->self->closing) {
        group_t *group = hp_group_add(order->self, &order->row, order->hub);
        order->hub = NULL; /* the group's now */
        status = hp_group_joined(group, order->answer, &why);
    }
    end_order(order, status, &why);
}

static int work_renew(hp_db_t *db, void *arg, hp_err_t *err)
{
    const order_t *order = arg;
    return hp_db_group_renew(db, order->row.id, order->row.gid, order->row.secret, err);
}

/* The hub need not be told in time: it forgets a member that does not come back. */
static void leave_old_group(const order_t *order)
{
    char path[HP_GROUP_PATH_SIZE];
    hp_group_path(order->old_gid, "/members/self", path);
    hp_hub_client_call(order->hub->client, &(hp_hub_call_t){.method = "DELETE", .path = path}, NULL, NULL);
}

static void on_renewed(void *arg, int status, const hp_err_t *err)
{
    order_t *order = arg;
    hp_rendezvous_t *self = order->self;
    hp_err_t why = *err;
    group_t *group = self->closing ? NULL : hp_group_find(self, order->row.id);
    if (status == 0 && group != NULL) {
        leave_old_group(order);
        memcpy(group->row.gid, order->row.gid, sizeof group->row.gid);
        memcpy(group->row.secret, order->row.secret, sizeof group->row.secret);
        group->keys = order->keys;
        group->list_due = true;
        status = hp_group_joined(group, order->answer, &why); /* which takes everybody else out */
    }
    end_order(order, status, &why);
}

static void on_answer(void *arg, int status, const json_t *json, const void *data, size_t length,
                      const hp_err_t *err)
{
    (void)data, (void)length;
    order_t *order = arg;
    if (status != 0 || order->self->closing) {
        end_order(order, status != 0 ? status : UV_ECANCELED, err);
        return;
    }
    order->answer = json_deep_copy(json);
    order->row.created_at = hp_clock_wall_ms();
    hp_store_post(order->self->deps.store, HP_STORE_WRITE_SYNCED,
                  order->kind == RENEW ? work_renew : work_insert,
                  order->kind == RENEW ? on_renewed : on_inserted, order);
}

/* The hub is connected, and its key is known. */
static void ask_hub(order_t *order)
{
    char path[HP_GROUP_PATH_SIZE];
    hp_hub_call_t call = {.method = "PUT",
                          .path = hp_group_path(order->row.gid, "/members/self", path),
                          .json = hp_group_join_body(order->self, &order->keys, order->token)};
    order->asked = true;
    hp_link_remove(&order->link);
    hp_hex_decode(hp_hub_client_id(order->hub->client), order->row.hub_pin, 16);
    order->row.hub_pin_length = 16;
    hp_hub_client_call(order->hub->client, &call, on_answer, order);
}

/* Goes on with an order that waits for its hub. */
static void go_on(order_t *order)
{
    hp_err_t err;
    switch (hp_hub_client_state(order->hub->client)) {
    case HP_HUB_CONNECTED:
        ask_hub(order);
        break;
    case HP_HUB_UNREACHABLE:
        hp_err_set(&err, HP_E_UNREACHABLE, "the hub %s cannot be reached: %s", order->row.hub,
                   hp_hub_client_reason(order->hub->client));
        hp_link_remove(&order->link);
        fail_later(order, &err);
        break;
    case HP_HUB_CONNECTING:
        break;
    }
}

void hp_orders_hub_changed(hp_rendezvous_t *self, hub_t *hub)
{
    HP_LIST_EACH (at, &self->orders) {
        order_t *order = HP_CONTAINER(at, order_t, link);
        if (order->hub == hub)
            go_on(order);
    }
}

/* Waits for the hub. One that could not be reached a while ago is tried at once. */
static void begin(order_t *order, const char *hub_id)
{
    hp_rendezvous_t *self = order->self;
    order->hub = hp_hub_use(self, order->row.hub, hub_id);
    hp_list_add(&self->orders, &order->link);
    if (hp_hub_client_state(order->hub->client) == HP_HUB_UNREACHABLE)
        hp_hub_client_network_changed(order->hub->client);
    else if (hp_hub_client_state(order->hub->client) == HP_HUB_CONNECTED)
        go_on(order);
}

void hp_rendezvous_create_group(hp_rendezvous_t *self, const char *hub, const char *name, const char *token,
                                hp_group_done_fn done, void *arg)
{
    uint8_t secret[16];
    hp_err_t err = {0};
    order_t *order = create_order(self, MAKE, done, arg);
    order->row.publish = true;
    order->token = token != NULL ? hp_strdup(token) : NULL;
    int rc = hp_invite_hub_parse(hub, order->row.hub, &err);
    if (rc == 0)
        rc = set_name(order, name, &err);
    if (rc == 0)
        rc = hp_group_secret_make(secret, &err);
    if (rc != 0) {
        fail_later(order, &err);
        return;
    }
    set_secret(order, secret);
    begin(order, "");
}

void hp_rendezvous_join(hp_rendezvous_t *self, const char *text, const char *name, hp_group_done_fn done,
                        void *arg)
{
    hp_invite_t invite;
    hp_err_t err = {0};
    char id[HP_PEER_ID_SIZE], host[HP_INVITE_HUB_SIZE];
    uint16_t port;
    order_t *order = create_order(self, MAKE, done, arg);
    order->row.publish = true;
    int rc = hp_invite_read(text, &invite, &err);
    if (rc == 0) {
        memcpy(order->row.hub, invite.hub, sizeof order->row.hub);
        hp_invite_hub_split(invite.hub, host, &port);
        rc = set_name(order, name != NULL ? name : host, &err);
    }
    if (rc == 0) {
        set_secret(order, invite.secret);
        if (hp_group_by_gid(self, order->row.gid) != NULL)
            rc = hp_err_set(&err, HP_E_EXISTS, "this host is in that group already");
    }
    if (rc != 0) {
        fail_later(order, &err);
        return;
    }
    hp_hex_encode(invite.hub_fingerprint, 16, id);
    begin(order, id);
}

void hp_rendezvous_renew(hp_rendezvous_t *self, int64_t id, hp_group_done_fn done, void *arg)
{
    uint8_t secret[16];
    hp_err_t err = {0};
    order_t *order = create_order(self, RENEW, done, arg);
    const group_t *group = hp_group_find(self, id);
    int rc = group != NULL ? hp_group_secret_make(secret, &err)
                           : hp_err_set(&err, HP_E_NOT_FOUND, "there is no group %lld", (long long)id);
    if (rc == 0 && hp_hub_client_state(group->hub->client) != HP_HUB_CONNECTED)
        rc = hp_err_set(&err, HP_E_UNREACHABLE, "a group is renewed at its hub, and %s is not connected",
                        group->row.hub);
    if (rc != 0) {
        fail_later(order, &err);
        return;
    }
    order->row = group->row;
    memcpy(order->old_gid, group->row.gid, sizeof order->old_gid);
    set_secret(order, secret);
    begin(order, hp_hub_client_id(group->hub->client));
}

void hp_orders_cancel(hp_rendezvous_t *self)
{
    hp_err_t err;
    hp_err_set(&err, UV_ECANCELED, "hostpair ends");
    HP_LIST_EACH (at, &self->orders) {
        order_t *order = HP_CONTAINER(at, order_t, link);
        hp_link_remove(&order->link);
        fail_later(order, &err);
    }
}

/* ---- changing and leaving: the disk first ---- */

static int work_update(hp_db_t *db, void *arg, hp_err_t *err)
{
    const order_t *order = arg;
    return hp_db_group_update(db, &order->row, err);
}

static void on_updated(void *arg, int status, const hp_err_t *err)
{
    order_t *order = arg;
    hp_rendezvous_t *self = order->self;
    group_t *group = status == 0 && !self->closing ? hp_group_find(self, order->row.id) : NULL;
    if (group != NULL && order->kind == CHANGE) {
        snprintf(group->row.name, sizeof group->row.name, "%s", order->row.name);
        group->list_due = group->list_due || group->row.publish != order->row.publish;
        group->row.publish = order->row.publish;
        hp_group_changed(group);
        hp_group_index_look(group);
    } else if (group != NULL) {
        self->hooks.removed(self->hooks.arg, group->row.id);
        group->row.leaving = true;
        for (size_t i = 0; i < group->members.count; i++)
            hp_member_tell(self, group->members.items[i].said.id);
        hp_array_clear(&group->members);
        if (hp_hub_client_state(group->hub->client) == HP_HUB_CONNECTED)
            hp_group_join(group); /* which says now that it leaves */
    }
    end_order(order, status, err);
}

static void update(order_t *order)
{
    hp_store_post(order->self->deps.store, HP_STORE_WRITE_SYNCED, work_update, on_updated, order);
}

void hp_rendezvous_change(hp_rendezvous_t *self, int64_t id, const char *name, const bool *publish,
                          hp_group_done_fn done, void *arg)
{
    hp_err_t err = {0};
    order_t *order = create_order(self, CHANGE, done, arg);
    const group_t *group = hp_group_find(self, id);
    int rc = group != NULL ? 0 : hp_err_set(&err, HP_E_NOT_FOUND, "there is no group %lld", (long long)id);
    if (rc == 0)
        order->row = group->row;
    if (rc == 0 && name != NULL)
        rc = set_name(order, name, &err);
    if (publish != NULL)
        order->row.publish = *publish;
    if (rc == 0)
        update(order);
    else
        fail_later(order, &err);
}

void hp_rendezvous_leave(hp_rendezvous_t *self, int64_t id, hp_group_done_fn done, void *arg)
{
    hp_err_t err = {0};
    order_t *order = create_order(self, LEAVE, done, arg);
    const group_t *group = hp_group_find(self, id);
    if (group == NULL) {
        hp_err_set(&err, HP_E_NOT_FOUND, "there is no group %lld", (long long)id);
        fail_later(order, &err);
        return;
    }
    order->row = group->row;
    order->row.leaving = true;
    update(order);
}
