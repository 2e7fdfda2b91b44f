/* PUT and DELETE /hub/v1/groups/{gid}/members/self. */
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/mem.h"
#include "hub/internal.h"
#include "hub/json.h"
#include "identity/digest.h"

typedef struct {
    hp_hub_op_t op; /* first */
    hp_who_t who;
    char name[HP_DB_HUB_NAME_SIZE];
    uint8_t proof[32];
} join_t;

static json_t *members_json(const join_t *join, const hp_db_hub_member_t *members, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        bool online = hp_presence_is_online(join->op.hub->presence, join->op.gid, members[i].host);
        json_array_append_new(list, hp_hub_member_json(&members[i], online));
    }
    return list;
}

static void on_joined(void *arg, int status, const hp_db_hub_member_t *members, size_t count,
                      const hp_err_t *err)
{
    join_t *join = arg;
    hp_hub_t *hub = join->op.hub;
    hp_err_t why = err != NULL ? *err : (hp_err_t){0};
    if (status == 0) {
        hp_hub_host_t *client = hp_presence_client(hub->presence, &join->who);
        status = hp_presence_join(hub->presence, client, join->op.gid, join->name, join->proof);
        if (status != 0)
            hp_err_set(&why, status, "a host is in at most %d groups of one hub", HP_HUB_GROUPS_MAX);
    }
    if (!hp_hub_refused(join->op.request, status, &why)) {
        uint16_t port = hp_hub_port(hub);
        json_t *ports = json_pack("[i,i]", (int)port, (int)port + 1);
        hp_http_reply_json(join->op.request, 200,
                           json_pack("{s:o,s:n,s:o,s:b,s:s}", "members", members_json(join, members, count),
                                     "hub", "stun_ports", ports, "relay", (int)hub->options.relay, "address",
                                     join->who.address));
    }
    hp_hub_op_destroy(join);
}

/* Whether the caller may make a group: everybody, or who shows the hub's token. Compared without telling by
 * the time it takes how much of it is right. */
static bool may_create(const hp_hub_t *hub, const json_t *body)
{
    const char *shown = json_string_value(json_object_get(body, "token"));
    if (hub->options.token == NULL)
        return true;
    return shown != NULL && hp_digest_text_equal(shown, hub->options.token);
}

void hp_hub_put_member(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)rest;
    json_t *body;
    hp_err_t err = {0};
    uint8_t credential[32];
    char creator[HP_ADDRESS_CLIENT_SIZE];
    int rc = hp_http_json(request, &body, &err);
    if (hp_hub_refused(request, rc, &err))
        return;
    join_t *join = hp_hub_op_create(sizeof *join, hub, request);
    join->who = *hp_http_who(request);
    memcpy(join->op.gid, gid, sizeof join->op.gid);
    rc = hp_hub_json_hex(body, "credential", credential, sizeof credential, &err);
    if (rc == 0)
        rc = hp_hub_json_hex(body, "proof", join->proof, sizeof join->proof, &err);
    if (rc == 0)
        rc = hp_hub_json_text(body, "name", join->name, sizeof join->name, &err);
    if (hp_hub_refused(request, rc, &err)) {
        hp_hub_op_destroy(join);
        json_decref(body);
        return;
    }
    hp_address_client(join->who.address, creator);
    hp_db_hub_join_t row = {.creator = creator,
                            .may_create = may_create(hub, body),
                            .groups_max = hub->options.groups_per_address,
                            .members_max = hub->options.members_per_group,
                            .now = hp_clock_wall_ms()};
    memcpy(row.gid, gid, sizeof row.gid);
    hp_digest_sha256(credential, sizeof credential, row.credential);
    memcpy(row.member.host, join->who.id, sizeof row.member.host);
    memcpy(row.member.fingerprint, join->who.fingerprint, sizeof row.member.fingerprint);
    memcpy(row.member.name, join->name, sizeof row.member.name);
    memcpy(row.member.proof, join->proof, sizeof row.member.proof);
    json_decref(body);
    hub->backend->join(hub->backend, &row, on_joined, join);
}

typedef struct {
    hp_hub_op_t op; /* first */
    hp_who_t who;
} leave_t;

static void on_left(void *arg, int status, const hp_err_t *err)
{
    leave_t *leave = arg;
    hp_presence_t *presence = leave->op.hub->presence;
    if (status == 0)
        hp_presence_leave(presence, hp_presence_client(presence, &leave->who), leave->op.gid);
    if (!hp_hub_refused(leave->op.request, status, err))
        hp_http_reply_empty(leave->op.request, 204);
    hp_hub_op_destroy(leave);
}

void hp_hub_delete_member(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)rest;
    leave_t *leave = hp_hub_op_create(sizeof *leave, hub, request);
    leave->who = *hp_http_who(request);
    memcpy(leave->op.gid, gid, sizeof leave->op.gid);
    hub->backend->leave(hub->backend, gid, leave->op.id, on_left, leave);
}
