/* The tunnel's signals, carried by the hubs: which hub leads to which host, and what it answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "path/address.h"
#include "rendezvous/internal.h"

group_t *hp_group_to(const hp_rendezvous_t *self, const char *host)
{
    group_t *best = NULL;
    HP_LIST_EACH (at, &self->groups) {
        group_t *group = HP_CONTAINER(at, group_t, link);
        const member_t *member = group->joined && !group->row.leaving ? hp_group_member(group, host) : NULL;
        if (member != NULL && (best == NULL || member->said.online))
            best = group;
    }
    return best;
}

static bool is_online(void *arg)
{
    const hp_rendezvous_t *self = arg;
    HP_LIST_EACH (at, &self->groups) {
        if (HP_CONTAINER(at, group_t, link)->joined)
            return true;
    }
    return false;
}

/* The sockaddr of a numeric address. */
static bool make_address(const char *text, uint16_t port, hp_sockaddr_t *out)
{
    memset(out, 0, sizeof *out);
    return uv_ip4_addr(text, port, &out->v4) == 0 || uv_ip6_addr(text, port, &out->v6) == 0;
}

static size_t give_stun(void *arg, hp_sockaddr_t out[2 * HP_STUN_PORTS])
{
    const hp_rendezvous_t *self = arg;
    HP_LIST_EACH (at, &self->hubs) {
        const hub_t *hub = HP_CONTAINER(at, hub_t, link);
        const char *address = hp_hub_client_address(hub->client);
        size_t count = 0;
        for (size_t i = 0; i < HP_STUN_PORTS && address[0] != '\0'; i++)
            count += hub->stun_ports[i] != 0 && make_address(address, hub->stun_ports[i], &out[count]);
        if (count > 0)
            return count;
    }
    return 0;
}

/* ---- offers ---- */

typedef struct {
    hp_rendezvous_t *self;
    char host[HP_PEER_ID_SIZE];
    char session[HP_SESSION_SIZE];
    uint64_t request;
} signal_t;

static signal_t *create_signal(hp_rendezvous_t *self, const char *host)
{
    signal_t *signal = hp_alloc(sizeof *signal);
    signal->self = self;
    snprintf(signal->host, sizeof signal->host, "%s", host);
    hp_pending_add(&self->pending);
    return signal;
}

static void destroy_signal(signal_t *signal)
{
    hp_rendezvous_t *self = signal->self;
    free(signal);
    hp_pending_drop(&self->pending);
}

static void on_offered(void *arg, int status, const json_t *json, const void *data, size_t length,
                       const hp_err_t *err)
{
    (void)json, (void)data, (void)length;
    signal_t *signal = arg;
    if (status != 0 && !signal->self->closing)
        hp_tunnel_offer_failed(signal->self->deps.tunnel, signal->host, signal->session, err);
    destroy_signal(signal);
}

static int send_offer(void *arg, const char *host, const hp_offer_t *offer)
{
    hp_rendezvous_t *self = arg;
    const group_t *group = hp_group_to(self, host);
    char path[HP_GROUP_PATH_SIZE];
    if (group == NULL)
        return HP_E_UNREACHABLE;
    signal_t *signal = create_signal(self, host);
    memcpy(signal->session, offer->session, sizeof signal->session);
    hp_hub_call_t call = {.method = "POST",
                          .path = hp_group_path(group->row.gid, "/links", path),
                          .json = hp_wire_offer_json(host, offer)};
    hp_hub_client_call(group->hub->client, &call, on_offered, signal);
    return 0;
}

/* ---- relays ---- */

/* Where a relay is: the hub's own address, or one that it names, which may have to be looked up. */
typedef struct {
    signal_t *signal;
    hp_relay_at_t at;
    hp_sockaddr_t hub; /* where the hub itself was reached */
    uv_getaddrinfo_t lookup;
    uint16_t port;
    bool asked; /* by the other host */
} place_t;

static void end_place(place_t *place, const hp_err_t *err)
{
    signal_t *signal = place->signal;
    hp_tunnel_t *tunnel = signal->self->deps.tunnel;
    const group_t *group = signal->self->closing ? NULL : hp_group_to(signal->self, signal->host);
    if (!signal->self->closing) {
        if (!place->asked)
            hp_tunnel_relay_answer(tunnel, signal->request, err == NULL ? &place->at : NULL, err);
        else if (err == NULL)
            hp_tunnel_relay_asked(tunnel, signal->host, &place->at);
        else if (group != NULL)
            hp_log_gated(&group->hub->log, HP_LOG_WARN, "a relay to %s cannot be used: %s", signal->host,
                         hp_err_text(err));
    }
    destroy_signal(signal);
    free(place);
}

/* A hub leads to its own relay, or to one that is no less public than itself: hosts are no way for it into
 * their networks. */
static int check_place(place_t *place, hp_err_t *err)
{
    hp_relay_at_t *at = &place->at;
    char address[HP_ADDRESS_TEXT];
    uint16_t port;
    at->elsewhere = !hp_sockaddr_equal(&at->address, &place->hub);
    if (hp_sockaddr_same_host(&at->address, &place->hub) ||
        hp_address_scope(&at->address) >= hp_address_scope(&place->hub))
        return 0;
    hp_address_from_sockaddr(&at->address, address, &port);
    return hp_err_set(err, HP_E_FORBIDDEN,
                      "the hub leads to %s port %u, into a network that is none of its own", address, port);
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *result)
{
    place_t *place = lookup->data;
    hp_err_t err = {0};
    if (result != NULL)
        memcpy(&place->at.address, result->ai_addr,
               HP_MIN((size_t)result->ai_addrlen, sizeof place->at.address));
    if (result != NULL && result->ai_family == AF_INET6)
        place->at.address.v6.sin6_port = htons(place->port);
    else
        place->at.address.v4.sin_port = htons(place->port);
    if (result == NULL)
        hp_err_set(&err, HP_E_UNREACHABLE, "the name of the relay is not known: %s", uv_strerror(status));
    else
        check_place(place, &err);
    uv_freeaddrinfo(result);
    end_place(place, err.code == 0 ? NULL : &err);
}

static void find_relay(signal_t *signal, const hub_t *hub, const json_t *json, bool asked)
{
    char address[HP_INVITE_HUB_SIZE], host[HP_INVITE_HUB_SIZE];
    hp_err_t err = {0};
    place_t *place = hp_alloc(sizeof *place);
    place->signal = signal;
    place->asked = asked;
    if (hp_wire_relay(json, place->at.token, address, &err) != 0) {
        end_place(place, &err);
        return;
    }
    const char *own = hp_hub_client_address(hub->client);
    hp_invite_hub_split(hp_hub_client_hub(hub->client), host, &place->port);
    if (!make_address(own, place->port, &place->hub)) {
        hp_err_set(&err, HP_E_UNREACHABLE, "the hub is not connected any more");
        end_place(place, &err);
        return;
    }
    if (address[0] != '\0')
        hp_invite_hub_split(address, host, &place->port);
    const char *numeric = address[0] != '\0' ? host : own;
    if (make_address(numeric, place->port, &place->at.address)) {
        end_place(place, check_place(place, &err) == 0 ? NULL : &err);
        return;
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    place->lookup.data = place;
    int rc = uv_getaddrinfo(signal->self->deps.loop, &place->lookup, on_looked_up, numeric, NULL, &hints);
    if (rc == 0)
        return;
    hp_err_set(&err, HP_E_UNREACHABLE, "the name of the relay cannot be looked up: %s", uv_strerror(rc));
    end_place(place, &err);
}

static void on_relay_answer(void *arg, int status, const json_t *json, const void *data, size_t length,
                            const hp_err_t *err)
{
    (void)data, (void)length;
    signal_t *signal = arg;
    hp_rendezvous_t *self = signal->self;
    const group_t *group = self->closing ? NULL : hp_group_to(self, signal->host);
    if (status == 0 && group != NULL) {
        find_relay(signal, group->hub, json, false);
        return;
    }
    hp_err_t why = *err;
    if (status == 0)
        hp_err_set(&why, HP_E_UNREACHABLE, "the hub is not connected any more");
    if (!self->closing)
        hp_tunnel_relay_answer(self->deps.tunnel, signal->request, NULL, &why);
    destroy_signal(signal);
}

static int ask_relay(void *arg, const char *host, uint64_t request)
{
    hp_rendezvous_t *self = arg;
    const group_t *group = hp_group_to(self, host);
    char path[HP_GROUP_PATH_SIZE];
    if (group == NULL)
        return HP_E_UNREACHABLE;
    signal_t *signal = create_signal(self, host);
    signal->request = request;
    hp_hub_call_t call = {.method = "POST",
                          .path = hp_group_path(group->row.gid, "/relays", path),
                          .json = json_pack("{s:s}", "to", host)};
    hp_hub_client_call(group->hub->client, &call, on_relay_answer, signal);
    return 0;
}

static void doubt_hub(void *arg, const char *host)
{
    const group_t *group = hp_group_to(arg, host);
    if (group != NULL)
        hp_hub_client_doubt(group->hub->client, "an answer through the hub did not come");
}

void hp_signals_init(hp_rendezvous_t *self)
{
    self->signalling = (hp_signalling_t){.online = is_online,
                                         .stun = give_stun,
                                         .offer = send_offer,
                                         .relay = ask_relay,
                                         .doubt = doubt_hub,
                                         .arg = self};
}

/* ---- events ---- */

/* Whether a host is a member of a group of this hub: a hub can name whom it likes. */
static bool is_member(const hp_rendezvous_t *self, const hub_t *hub, const char *host)
{
    HP_LIST_EACH (at, &self->groups) {
        const group_t *group = HP_CONTAINER(at, group_t, link);
        if (group->hub == hub && !group->row.leaving && hp_group_member(group, host) != NULL)
            return true;
    }
    return false;
}

void hp_signals_on_event(hp_rendezvous_t *self, hub_t *hub, const char *event, const json_t *data)
{
    char from[HP_PEER_ID_SIZE];
    hp_err_t err = {0};
    bool offer = strcmp(event, "offer") == 0, go = strcmp(event, "go") == 0,
         relay = strcmp(event, "relay") == 0;
    if (!offer && !go && !relay)
        return;
    int rc = hp_wire_id(data, "from", from, &err);
    if (rc == 0 && !is_member(self, hub, from))
        rc = hp_err_set(&err, HP_E_FORBIDDEN, "%s is no member of a group", from);
    hp_offer_t offered;
    hp_go_t begin;
    if (rc == 0 && offer)
        rc = hp_wire_offer(data, &offered, &err);
    if (rc == 0 && go)
        rc = hp_wire_go(data, &begin, &err);
    if (rc != 0)
        hp_log_gated(&hub->log, HP_LOG_WARN, "hub %s: %s is ignored: %s", hp_hub_client_hub(hub->client),
                     event, hp_err_text(&err));
    else if (offer)
        hp_tunnel_offered(self->deps.tunnel, from, &offered);
    else if (go)
        hp_tunnel_go(self->deps.tunnel, from, &begin);
    else
        find_relay(create_signal(self, from), hub, data, true);
}
