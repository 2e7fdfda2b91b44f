/* Who is in a group: what the hub says, as far as its proof holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "rendezvous/internal.h"

/* ---- telling ---- */

member_t *hp_group_member(const group_t *group, const char *host)
{
    for (size_t i = 0; i < group->members.count; i++)
        if (strcmp(group->members.items[i].said.id, host) == 0)
            return &group->members.items[i];
    return NULL;
}

void hp_member_tell(hp_rendezvous_t *self, const char *host)
{
    const member_t *best = NULL;
    char id[HP_PEER_ID_SIZE];
    if (!self->started || self->closing)
        return;
    snprintf(id, sizeof id, "%s", host); /* it may be the text of a member that goes now */
    HP_LIST_EACH (at, &self->groups) {
        const group_t *group = HP_CONTAINER(at, group_t, link);
        const member_t *member = group->row.leaving ? NULL : hp_group_member(group, id);
        if (member != NULL && (best == NULL || (member->said.online && !best->said.online)))
            best = member;
    }
    if (best == NULL) {
        hp_tunnel_forget(self->deps.tunnel, id);
        self->hooks.member_gone(self->hooks.arg, id);
        return;
    }
    hp_tunnel_remote(self->deps.tunnel, best->said.fingerprint, &self->signalling);
    if (best->said.online)
        hp_tunnel_back(self->deps.tunnel, id);
    self->hooks.member(self->hooks.arg, best->said.fingerprint, best->said.name, best->said.online);
}

/* ---- on the disk ---- */

typedef struct {
    hp_rendezvous_t *self;
    hp_db_group_member_t row;
    bool remove;
} save_t;

static int work_save(hp_db_t *db, void *arg, hp_err_t *err)
{
    const save_t *save = arg;
    if (save->remove)
        return hp_db_group_member_remove(db, save->row.group, save->row.fingerprint, err);
    return hp_db_group_member_put(db, &save->row, err);
}

static void on_saved(void *arg, int status, const hp_err_t *err)
{
    save_t *save = arg;
    if (status != 0 && status != UV_ECANCELED)
        hp_log(HP_LOG_WARN, "a member of a group is not kept: %s", hp_err_text(err));
    hp_pending_drop(&save->self->pending);
    free(save);
}

static void save_member(const group_t *group, const hp_wire_member_t *said, bool remove)
{
    hp_rendezvous_t *self = group->owner;
    save_t *save = hp_alloc(sizeof *save);
    save->self = self;
    save->remove = remove;
    save->row.group = group->row.id;
    memcpy(save->row.fingerprint, said->fingerprint, sizeof save->row.fingerprint);
    memcpy(save->row.host, said->id, sizeof save->row.host);
    memcpy(save->row.proof, said->proof, sizeof save->row.proof);
    snprintf(save->row.name, sizeof save->row.name, "%s", said->name);
    save->row.seen_at = hp_clock_wall_ms();
    hp_pending_add(&self->pending);
    hp_store_post(self->deps.store, HP_STORE_WRITE, work_save, on_saved, save);
}

/* ---- one member ---- */

/* Whether it is this host itself, or no member for all that the hub says. */
static bool is_stranger(const group_t *group, const hp_wire_member_t *said)
{
    if (strcmp(said->id, hp_identity_id(group->owner->deps.identity)) == 0)
        return true;
    if (hp_group_proof_holds(&group->keys, said->fingerprint, said->proof))
        return false;
    hp_log_gated(&group->hub->log, HP_LOG_WARN,
                 "hub %s names %s (%s) as a member of \"%s\", but nobody of the group has let it in: ignored",
                 group->row.hub, said->id, said->name, group->row.name);
    return true;
}

/* Whether the hub names a member; what is none is said in the log. */
static bool read_member(const group_t *group, const json_t *json, hp_wire_member_t *out)
{
    hp_err_t err = {0};
    if (hp_wire_member(json, out, &err) == 0)
        return !is_stranger(group, out);
    hp_log_gated(&group->hub->log, HP_LOG_WARN, "hub %s: what it names as a member of \"%s\" is none: %s",
                 group->row.hub, group->row.name, hp_err_text(&err));
    return false;
}

static void remove_member(group_t *group, const char *host)
{
    char id[HP_PEER_ID_SIZE];
    const member_t *member = hp_group_member(group, host);
    if (member == NULL)
        return;
    snprintf(id, sizeof id, "%s", host);
    save_member(group, &member->said, true);
    hp_array_remove(&group->members, (size_t)(member - group->members.items));
    hp_member_tell(group->owner, id);
}

/* Notes what the hub says; tells of it where it matters. */
static void take_member(group_t *group, const hp_wire_member_t *said)
{
    member_t *member = hp_group_member(group, said->id);
    bool is_new = member == NULL;
    if (is_new)
        member = hp_array_add(&group->members);
    bool other = is_new || memcmp(member->said.proof, said->proof, sizeof said->proof) != 0 ||
                 strcmp(member->said.name, said->name) != 0;
    bool told = other || member->said.online != said->online;
    member->said = *said;
    if (other)
        save_member(group, said, false);
    if (told)
        hp_member_tell(group->owner, said->id);
}

/* ---- joining ---- */

json_t *hp_group_join_body(const hp_rendezvous_t *self, const hp_group_keys_t *keys, const char *token)
{
    char credential[65], proof_text[65];
    uint8_t proof[32];
    hp_group_proof_make(keys, hp_identity_fingerprint(self->deps.identity), proof);
    hp_hex_encode(keys->credential, 32, credential);
    hp_hex_encode(proof, 32, proof_text);
    return json_pack("{s:s,s:s,s:s,s:s*}", "credential", credential, "proof", proof_text, "name",
                     self->deps.name, "token", token);
}

int hp_group_joined(group_t *group, const json_t *answer, hp_err_t *err)
{
    const json_t *members = json_object_get(answer, "members"),
                 *ports = json_object_get(answer, "stun_ports");
    HP_ARRAY(hp_wire_member_t) said = {0};
    if (!json_is_array(members))
        return hp_err_set(err, HP_E_PROTOCOL, "the hub does not say who is in the group");
    for (size_t i = 0; i < HP_STUN_PORTS; i++) {
        json_int_t port = json_integer_value(json_array_get(ports, i));
        group->hub->stun_ports[i] = port > 0 && port <= 65535 ? (uint16_t)port : 0;
    }
    for (size_t i = 0; i < json_array_size(members); i++) {
        hp_wire_member_t one;
        if (read_member(group, json_array_get(members, i), &one))
            *hp_array_add(&said) = one;
    }
    for (size_t i = group->members.count; i-- > 0;) {
        bool there = false;
        for (size_t j = 0; j < said.count; j++)
            there = there || strcmp(said.items[j].id, group->members.items[i].said.id) == 0;
        if (!there)
            remove_member(group, group->members.items[i].said.id);
    }
    for (size_t i = 0; i < said.count; i++)
        take_member(group, &said.items[i]);
    hp_array_dispose(&said);
    bool is_new = !group->joined;
    group->joined = true;
    group->problem[0] = '\0';
    hp_group_changed(group);
    if (is_new) /* whom the hub leads to can be asked for a way from now on, not before */
        hp_tunnel_signalling_changed(group->owner->deps.tunnel);
    hp_group_index_look(group);
    return 0;
}

typedef struct {
    hp_rendezvous_t *self;
    uint8_t gid[16];
} join_t;

static void on_joined(void *arg, int status, const json_t *json, const void *data, size_t length,
                      const hp_err_t *err)
{
    (void)data, (void)length;
    join_t *join = arg;
    hp_rendezvous_t *self = join->self;
    group_t *group = self->closing ? NULL : hp_group_by_gid(self, join->gid);
    hp_err_t why = *err;
    if (group != NULL && !group->row.leaving) {
        if (status == 0)
            status = hp_group_joined(group, json, &why);
        if (status != 0) {
            snprintf(group->problem, sizeof group->problem, "%s", hp_err_text(&why));
            hp_log_gated(&group->hub->log, HP_LOG_WARN, "group \"%s\": the hub does not let this host in: %s",
                         group->row.name, group->problem);
            hp_group_changed(group);
        }
    }
    hp_pending_drop(&self->pending);
    free(join);
}

/* ---- leaving ---- */

static int work_remove(hp_db_t *db, void *arg, hp_err_t *err)
{
    const save_t *save = arg;
    int rc = hp_db_group_remove(db, save->row.group, err);
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

static void on_left(void *arg, int status, const json_t *json, const void *data, size_t length,
                    const hp_err_t *err)
{
    (void)json, (void)data, (void)length, (void)err;
    join_t *join = arg;
    hp_rendezvous_t *self = join->self;
    group_t *group = self->closing ? NULL : hp_group_by_gid(self, join->gid);
    /* A hub that knows nothing of it any more need not be told. */
    if (group != NULL && group->row.leaving &&
        (status == 0 || status == HP_E_NOT_FOUND || status == HP_E_FORBIDDEN)) {
        save_t *save = hp_alloc(sizeof *save);
        save->self = self;
        save->row.group = group->row.id;
        hp_group_drop(group);
        hp_pending_add(&self->pending);
        hp_store_post(self->deps.store, HP_STORE_WRITE, work_remove, on_saved, save);
    }
    hp_pending_drop(&self->pending);
    free(join);
}

void hp_group_join(group_t *group)
{
    hp_rendezvous_t *self = group->owner;
    char path[HP_GROUP_PATH_SIZE];
    join_t *join = hp_alloc(sizeof *join);
    join->self = self;
    memcpy(join->gid, group->row.gid, sizeof join->gid);
    hp_group_path(group->row.gid, "/members/self", path);
    hp_hub_call_t call = {.method = group->row.leaving ? "DELETE" : "PUT", .path = path};
    if (!group->row.leaving)
        call.json = hp_group_join_body(self, &group->keys, NULL);
    hp_pending_add(&self->pending);
    hp_hub_client_call(group->hub->client, &call, group->row.leaving ? on_left : on_joined, join);
}

/* ---- events ---- */

void hp_group_lost(group_t *group)
{
    group->joined = false;
    for (size_t i = 0; i < group->members.count; i++) {
        member_t *member = &group->members.items[i];
        if (!member->said.online)
            continue;
        member->said.online = false;
        hp_member_tell(group->owner, member->said.id);
    }
}

static void on_member(group_t *group, const json_t *data)
{
    hp_wire_member_t said;
    if (read_member(group, data, &said))
        take_member(group, &said);
}

static void on_gone(group_t *group, const json_t *data)
{
    char id[HP_PEER_ID_SIZE];
    if (hp_wire_id(data, "id", id, NULL) != 0)
        return;
    member_t *member = hp_group_member(group, id);
    if (json_is_true(json_object_get(data, "removed"))) {
        remove_member(group, id);
    } else if (member != NULL && member->said.online) {
        member->said.online = false;
        hp_member_tell(group->owner, id);
    }
}

static void on_list(group_t *group, const json_t *data)
{
    char id[HP_PEER_ID_SIZE], etag[HP_LIST_ETAG_SIZE];
    uint64_t size;
    member_t *member = hp_wire_id(data, "id", id, NULL) == 0 ? hp_group_member(group, id) : NULL;
    if (member == NULL || hp_wire_list(data, etag, &size, NULL) != 0)
        return;
    memcpy(member->said.list_etag, etag, sizeof member->said.list_etag);
    member->said.list_size = size;
}

void hp_group_on_event(hp_rendezvous_t *self, hub_t *hub, const char *event, const json_t *data)
{
    static const struct {
        const char *name;
        void (*take)(group_t *group, const json_t *data);
    } events[] = {{"member", on_member}, {"gone", on_gone}, {"list", on_list}};
    uint8_t gid[16];
    group_t *group = hp_wire_group(data, gid, NULL) == 0 ? hp_group_by_gid(self, gid) : NULL;
    if (group == NULL || group->hub != hub || group->row.leaving)
        return;
    for (size_t i = 0; i < HP_COUNT(events); i++) {
        if (strcmp(event, events[i].name) != 0)
            continue;
        events[i].take(group, data);
        hp_group_changed(group);
        hp_group_index_look(group);
    }
}
