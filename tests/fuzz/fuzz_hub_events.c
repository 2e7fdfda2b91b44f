// libs: rendezvous tunnel path base
/* What a hub sends to a member: its event stream, in pieces of any size, and the JSON in it. Pieces change
 * nothing; nothing endless is kept; what is taken of an event keeps its promises. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "rendezvous/sse.h"
#include "rendezvous/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_hex(const char *text, size_t length)
{
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

static void check_member(const hp_wire_member_t *member)
{
    if (!is_hex(member->id, 32) || strspn(member->list_etag, "0123456789abcdef") != strlen(member->list_etag))
        abort();
    if (!hp_utf8_valid(member->name, strlen(member->name)) ||
        hp_utf8_has_control(member->name, strlen(member->name)))
        abort();
}

/* Whatever is taken of an offer can be offered, and is read again the same. */
static void check_offer(const hp_offer_t *offer)
{
    hp_offer_t again;
    if (!is_hex(offer->session, 32) || offer->count > HP_CANDIDATES_MAX)
        abort();
    json_t *json = hp_wire_offer_json("00112233445566778899aabbccddeeff", offer);
    if (hp_wire_offer(json, &again, NULL) != 0 || again.count != offer->count ||
        again.mapping != offer->mapping || strcmp(again.session, offer->session) != 0)
        abort();
    for (size_t i = 0; i < offer->count; i++)
        if (again.candidates[i].kind != offer->candidates[i].kind ||
            !hp_sockaddr_equal(&again.candidates[i].address, &offer->candidates[i].address) ||
            hp_sockaddr_port(&offer->candidates[i].address) == 0)
            abort();
    json_decref(json);
}

static void read_all(const json_t *json)
{
    uint8_t gid[16];
    char id[HP_PEER_ID_SIZE], etag[HP_LIST_ETAG_SIZE], token[HP_RELAY_TOKEN + 1], address[HP_INVITE_HUB_SIZE];
    uint64_t size;
    hp_wire_member_t member;
    hp_offer_t offer;
    hp_go_t go;
    hp_err_t err;
    hp_wire_group(json, gid, &err);
    if (hp_wire_id(json, "from", id, &err) == 0 && !is_hex(id, 32))
        abort();
    if (hp_wire_list(json, etag, &size, &err) == 0 && strlen(etag) >= sizeof etag)
        abort();
    if (hp_wire_member(json, &member, &err) == 0)
        check_member(&member);
    if (hp_wire_offer(json, &offer, &err) == 0)
        check_offer(&offer);
    if (hp_wire_go(json, &go, &err) == 0 && go.wait_ms > HP_SIGNALLING_WAIT_MAX)
        abort();
    if (hp_wire_relay(json, token, address, &err) == 0) {
        char host[HP_INVITE_HUB_SIZE];
        uint16_t port = 1;
        if (address[0] != '\0')
            hp_invite_hub_split(address, host, &port);
        if (!is_hex(token, HP_RELAY_TOKEN) || port == 0)
            abort();
    }
}

typedef struct heard {
    size_t events;
    uint64_t hash; /* of all that was told */
} heard_t;

static void add_hash(heard_t *heard, const char *text)
{
    for (; *text != '\0'; text++)
        heard->hash = (heard->hash ^ (uint8_t)*text) * 1099511628211u;
    heard->hash = (heard->hash ^ 0x100) * 1099511628211u;
}

static void on_event(void *arg, const char *event, const char *data)
{
    heard_t *heard = arg;
    heard->events++;
    add_hash(heard, event);
    add_hash(heard, data);
    json_t *json = json_loads(data, JSON_REJECT_DUPLICATES, NULL);
    if (json != NULL)
        read_all(json);
    json_decref(json);
}

static heard_t hear(const uint8_t *data, size_t size, size_t piece)
{
    hp_sse_t sse;
    heard_t heard = {.hash = 14695981039346656037u};
    hp_sse_init(&sse, on_event, &heard);
    for (size_t at = 0; at < size; at += piece)
        if (hp_sse_feed(&sse, data + at, HP_MIN(piece, size - at)) != 0)
            break;
    if (sse.line.length > HP_SSE_MAX || sse.data.length > HP_SSE_MAX)
        abort();
    hp_sse_dispose(&sse);
    return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (json != NULL)
        read_all(json);
    json_decref(json);
    heard_t whole = hear(data, size, size > 0 ? size : 1);
    heard_t pieces = hear(data, size, size > 0 ? 1 + data[0] % 7u : 1);
    if (whole.events != pieces.events || whole.hash != pieces.hash)
        abort();
    return 0;
}
