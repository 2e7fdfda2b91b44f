/* Groups across networks: /api/v1/groups. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "api/orders.h"
#include "base/mem.h"
#include "rendezvous/rendezvous.h"

static json_t *group_json(hp_api_t *api, const hp_group_info_t *info)
{
    json_t *json = json_object(), *members = json_array();
    json_object_set_new(json, "id", json_integer(info->id));
    json_object_set_new(json, "name", hp_json_text(info->name));
    json_object_set_new(json, "hub", hp_json_text(info->hub));
    json_object_set_new(json, "state", hp_json_text(hp_hub_state_name(info->state)));
    json_object_set_new(json, "reason", hp_json_text_or_null(info->reason));
    for (size_t i = 0; i < info->member_count; i++)
        json_array_append_new(members, hp_json_text(hp_rendezvous_member(api->deps.rendezvous, info->id, i)));
    json_object_set_new(json, "members", members);
    json_object_set_new(json, "publish", json_boolean(info->publish));
    return json;
}

json_t *hp_api_group_json(hp_api_t *api, int64_t id)
{
    hp_group_info_t info;
    return hp_rendezvous_group(api->deps.rendezvous, id, &info) == 0 ? group_json(api, &info) : NULL;
}

static void reply_unknown(hp_http_request_t *request, int64_t id)
{
    hp_err_t err;
    hp_err_set(&err, HP_E_NOT_FOUND, "there is no group %lld", (long long)id);
    hp_http_reply_problem(request, HP_E_NOT_FOUND, &err);
}

void hp_api_get_groups(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    json_t *list = json_array(), *json = json_object();
    for (size_t i = 0; i < hp_rendezvous_count(api->deps.rendezvous); i++) {
        hp_group_info_t info;
        hp_rendezvous_at(api->deps.rendezvous, i, &info);
        json_array_append_new(list, group_json(api, &info));
    }
    json_object_set_new(json, "groups", list);
    hp_http_reply_json(request, 200, json);
}

void hp_api_get_group(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    json_t *json = hp_api_group_json(api, id);
    if (json != NULL)
        hp_http_reply_json(request, 200, json);
    else
        reply_unknown(request, id);
}

static void reply_invite(hp_api_t *api, hp_http_request_t *request, int64_t id)
{
    char invite[HP_INVITE_SIZE];
    if (hp_rendezvous_invite(api->deps.rendezvous, id, invite) == 0)
        hp_http_reply_json(request, 200, json_pack("{s:s}", "invite", invite));
    else
        reply_unknown(request, id);
}

void hp_api_get_group_invite(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    hp_http_set_header(request, "Cache-Control", "no-store"); /* it holds the group's secret */
    if (hp_api_read_number(request, arg, &id))
        reply_invite(api, request, id);
}

/* ---- orders ---- */

typedef struct {
    hp_api_op_t op; /* first */
    void (*reply)(hp_api_t *api, hp_http_request_t *request, int64_t id);
} order_t;

static void reply_created(hp_api_t *api, hp_http_request_t *request, int64_t id)
{
    char *location = hp_sprintf("/api/v1/groups/%lld", (long long)id);
    hp_http_set_header(request, "Location", location);
    hp_http_reply_json(request, 201, hp_api_group_json(api, id));
    free(location);
}

static void reply_group(hp_api_t *api, hp_http_request_t *request, int64_t id)
{
    hp_http_reply_json(request, 200, hp_api_group_json(api, id));
}

static void on_done(void *arg, int status, int64_t id, const hp_err_t *err)
{
    order_t *order = arg;
    status = hp_api_op_status(order, status);
    if (status == 0)
        order->reply(order->op.api, order->op.request, id);
    else
        hp_http_reply_problem(order->op.request, status, err);
    hp_api_op_destroy(order);
}

static order_t *create_order(hp_api_t *api, hp_http_request_t *request,
                             void (*reply)(hp_api_t *api, hp_http_request_t *request, int64_t id))
{
    order_t *order = hp_api_op_create(sizeof *order, api, request);
    order->reply = reply;
    return order;
}

void hp_api_post_groups(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_api_group_t group;
    hp_err_t err = {0};
    json_t *body = NULL;
    int rc = hp_json_read_body(request, NULL, &body, &err);
    if (rc == 0)
        rc = hp_api_read_group(body, &group, &err);
    if (rc != 0)
        hp_http_reply_problem(request, rc, &err);
    else if (group.invite != NULL)
        hp_rendezvous_join(api->deps.rendezvous, group.invite, group.name, on_done,
                           create_order(api, request, reply_created));
    else
        hp_rendezvous_create_group(api->deps.rendezvous, group.hub, group.name, group.token, on_done,
                                   create_order(api, request, reply_created));
    json_decref(body);
}

void hp_api_patch_group(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    static const char *const known[] = {"name", "publish", NULL};
    const char *name = NULL;
    bool publish = false, given = false;
    int64_t id;
    hp_err_t err = {0};
    json_t *body = NULL;
    if (!hp_api_read_number(request, arg, &id))
        return;
    int rc = hp_json_read_body(request, known, &body, &err);
    if (rc == 0)
        rc = hp_json_get_text(body, "name", &name, &err);
    if (rc == 0)
        rc = hp_json_get_bool(body, "publish", &publish, &given, &err);
    if (rc != 0)
        hp_http_reply_problem(request, rc, &err);
    else
        hp_rendezvous_change(api->deps.rendezvous, id, name, given ? &publish : NULL, on_done,
                             create_order(api, request, reply_group));
    json_decref(body);
}

static void on_left(void *arg, int status, int64_t id, const hp_err_t *err)
{
    (void)id;
    hp_api_op_reply_empty(arg, status, err);
}

void hp_api_delete_group(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    if (hp_api_read_number(request, arg, &id))
        hp_rendezvous_leave(api->deps.rendezvous, id, on_left,
                            hp_api_op_create(sizeof(hp_api_op_t), api, request));
}

void hp_api_post_group_renew(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    hp_http_set_header(request, "Cache-Control", "no-store");
    if (hp_api_read_number(request, arg, &id))
        hp_rendezvous_renew(api->deps.rendezvous, id, on_done, create_order(api, request, reply_invite));
}
