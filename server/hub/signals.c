/* GET /hub/v1/events, POST /hub/v1/groups/{gid}/links and .../relays: what two members need to reach each
 * other. */
#include <string.h>

#include "base/mem.h"
#include "hub/internal.h"
#include "hub/json.h"

void hp_hub_get_events(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)gid, (void)rest;
    hp_err_t err = {0};
    hp_hub_host_t *client = hp_presence_client(hub->presence, hp_http_who(request));
    int rc = hp_presence_stream(hub->presence, client, request);
    if (rc != 0)
        hp_hub_refused(request,
                       hp_err_set(&err, rc, "a host has at most %d event streams", HP_HUB_STREAMS_MAX), &err);
}

static bool is_mapping(const char *mapping)
{
    static const char *const known[] = {"unknown", "fixed", "varying", "blocked"};
    for (size_t i = 0; mapping != NULL && i < HP_COUNT(known); i++)
        if (strcmp(mapping, known[i]) == 0)
            return true;
    return false;
}

static int read_offer(const json_t *body, hp_link_offer_t *offer, char to[HP_PEER_ID_SIZE], hp_err_t *err)
{
    int rc = hp_hub_json_text(body, "to", to, HP_PEER_ID_SIZE, err);
    if (rc == 0)
        rc = hp_hub_json_hex(body, "session", offer->session, sizeof offer->session, err);
    offer->to = to;
    offer->mapping = json_string_value(json_object_get(body, "mapping"));
    offer->candidates = json_object_get(body, "candidates");
    if (rc == 0 && !is_mapping(offer->mapping))
        rc = hp_err_set(err, HP_E_INVALID, "\"mapping\" is none of unknown, fixed, varying, blocked");
    return rc == 0 ? hp_hub_check_candidates(offer->candidates, err) : rc;
}

void hp_hub_post_links(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)rest;
    json_t *body;
    hp_err_t err = {0};
    char to[HP_PEER_ID_SIZE];
    hp_link_offer_t offer;
    int rc = hp_http_json(request, &body, &err);
    if (hp_hub_refused(request, rc, &err))
        return;
    memcpy(offer.gid, gid, sizeof offer.gid);
    rc = read_offer(body, &offer, to, &err);
    if (rc == 0)
        rc =
            hp_links_offer(hub->links, hp_presence_client(hub->presence, hp_http_who(request)), &offer, &err);
    if (!hp_hub_refused(request, rc, &err))
        hp_http_reply_json(request, 202, json_pack("{s:O}", "session", json_object_get(body, "session")));
    json_decref(body);
}

/* Where the relay is reached: null is the address at which the host reaches the hub. */
static json_t *relay_json(const hp_hub_t *hub, const char *token)
{
    return json_pack("{s:s,s:s?}", "token", token, "address", hub->options.advertise);
}

/* Gives one token to each side. */
static int open_relay(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *to,
                      hp_err_t *err)
{
    char tokens[2][HP_HUB_RELAY_TOKEN_SIZE];
    hp_hub_host_t *other = hp_presence_member(hub->presence, gid, to);
    if (!hub->options.relay)
        return hp_err_set(err, HP_E_BUSY, "this hub relays nothing");
    if (other == NULL || !hp_presence_is_online(hub->presence, gid, to))
        return hp_err_set(err, HP_E_NOT_FOUND, "that member is away");
    int rc = hp_hub_relay_open(hub->relay, gid, tokens, err);
    if (rc != 0)
        return rc;
    json_t *event = relay_json(hub, tokens[1]);
    json_object_set_new(event, "group", hp_hub_hex_json(gid, 16));
    json_object_set_new(event, "from", json_string(hp_http_who(request)->id));
    hp_hub_host_send(other, "relay", event);
    hp_http_reply_json(request, 201, relay_json(hub, tokens[0]));
    return 0;
}

void hp_hub_post_relays(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)rest;
    json_t *body;
    hp_err_t err = {0};
    char to[HP_PEER_ID_SIZE];
    int rc = hp_http_json(request, &body, &err);
    if (hp_hub_refused(request, rc, &err))
        return;
    rc = hp_hub_json_text(body, "to", to, sizeof to, &err);
    json_decref(body);
    if (rc == 0)
        rc = open_relay(hub, request, gid, to, &err);
    hp_hub_refused(request, rc, &err);
}
