#include "rendezvous/wire.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"

static int bad(const char *field, hp_err_t *err)
{
    return hp_err_set(err, HP_E_PROTOCOL, "the hub gives a wrong \"%s\"", field);
}

static int read_hex(const json_t *json, const char *field, uint8_t *out, size_t length, hp_err_t *err)
{
    const char *text = json_string_value(json_object_get(json, field));
    return text != NULL && hp_hex_decode(text, out, length) == 0 ? 0 : bad(field, err);
}

int hp_wire_group(const json_t *json, uint8_t gid[16], hp_err_t *err)
{
    return read_hex(json, "group", gid, 16, err);
}

int hp_wire_id(const json_t *json, const char *field, char id[HP_PEER_ID_SIZE], hp_err_t *err)
{
    uint8_t bytes[16];
    int rc = read_hex(json, field, bytes, sizeof bytes, err);
    if (rc == 0)
        hp_hex_encode(bytes, sizeof bytes, id);
    return rc;
}

int hp_wire_list(const json_t *json, char etag[HP_LIST_ETAG_SIZE], uint64_t *size, hp_err_t *err)
{
    const json_t *list = json_object_get(json, "list");
    etag[0] = '\0';
    *size = 0;
    if (list == NULL || json_is_null(list))
        return 0;
    const char *text = json_string_value(json_object_get(list, "etag"));
    json_int_t bytes = json_integer_value(json_object_get(list, "size"));
    if (text == NULL || strlen(text) >= HP_LIST_ETAG_SIZE ||
        strspn(text, "0123456789abcdef") != strlen(text) || bytes < 0)
        return bad("list", err);
    memcpy(etag, text, strlen(text) + 1);
    *size = (uint64_t)bytes;
    return 0;
}

int hp_wire_member(const json_t *json, hp_wire_member_t *out, hp_err_t *err)
{
    const json_t *name = json_object_get(json, "name");
    char of_fingerprint[HP_PEER_ID_SIZE];
    memset(out, 0, sizeof *out);
    int rc = hp_wire_id(json, "id", out->id, err);
    if (rc == 0)
        rc = read_hex(json, "fingerprint", out->fingerprint, sizeof out->fingerprint, err);
    if (rc == 0)
        rc = read_hex(json, "proof", out->proof, sizeof out->proof, err);
    if (rc == 0)
        rc = hp_wire_list(json, out->list_etag, &out->list_size, err);
    if (rc != 0)
        return rc;
    hp_hex_encode(out->fingerprint, 16, of_fingerprint);
    if (strcmp(of_fingerprint, out->id) != 0)
        return bad("id", err);
    if (!json_is_string(name))
        return bad("name", err);
    hp_utf8_printable(json_string_value(name), json_string_length(name), out->name, sizeof out->name);
    out->online = json_is_true(json_object_get(json, "online"));
    return 0;
}

/* ---- offers ---- */

static int read_candidate(const json_t *json, hp_candidate_t *out)
{
    const char *kind = json_string_value(json_object_get(json, "kind"));
    const char *address = json_string_value(json_object_get(json, "address"));
    json_int_t port = json_integer_value(json_object_get(json, "port"));
    if (kind == NULL || address == NULL || port < 1 || port > 65535 ||
        hp_candidate_kind_parse(kind, &out->kind) != 0)
        return HP_E_INVALID;
    memset(&out->address, 0, sizeof out->address);
    if (inet_pton(AF_INET, address, &out->address.v4.sin_addr) == 1) {
        out->address.v4.sin_family = AF_INET;
        out->address.v4.sin_port = htons((uint16_t)port);
        return 0;
    }
    if (inet_pton(AF_INET6, address, &out->address.v6.sin6_addr) != 1)
        return HP_E_INVALID;
    out->address.v6.sin6_family = AF_INET6;
    out->address.v6.sin6_port = htons((uint16_t)port);
    return 0;
}

int hp_wire_offer(const json_t *json, hp_offer_t *out, hp_err_t *err)
{
    const json_t *candidates = json_object_get(json, "candidates");
    const char *mapping = json_string_value(json_object_get(json, "mapping"));
    memset(out, 0, sizeof *out);
    int rc = hp_wire_id(json, "session", out->session, err);
    if (rc != 0)
        return rc;
    if (mapping == NULL || hp_mapping_parse(mapping, &out->mapping) != 0)
        return bad("mapping", err);
    if (!json_is_array(candidates))
        return bad("candidates", err);
    for (size_t i = 0; i < json_array_size(candidates) && out->count < HP_CANDIDATES_MAX; i++)
        out->count += read_candidate(json_array_get(candidates, i), &out->candidates[out->count]) == 0;
    return 0;
}

int hp_wire_go(const json_t *json, hp_go_t *out, hp_err_t *err)
{
    memset(out, 0, sizeof *out);
    int rc = hp_wire_offer(json, &out->peer, err);
    if (rc == 0)
        rc = read_hex(json, "key", out->key, sizeof out->key, err);
    json_int_t wait = json_integer_value(json_object_get(json, "wait_ms"));
    if (rc == 0 && wait < 0)
        rc = bad("wait_ms", err);
    out->wait_ms = (uint32_t)HP_MIN(HP_MAX(wait, (json_int_t)0), (json_int_t)HP_SIGNALLING_WAIT_MAX);
    return rc;
}

static json_t *candidate_json(const hp_candidate_t *candidate)
{
    char text[INET6_ADDRSTRLEN] = "";
    bool v6 = candidate->address.any.sa_family == AF_INET6;
    inet_ntop(candidate->address.any.sa_family,
              v6 ? (const void *)&candidate->address.v6.sin6_addr
                 : (const void *)&candidate->address.v4.sin_addr,
              text, sizeof text);
    int port = ntohs(v6 ? candidate->address.v6.sin6_port : candidate->address.v4.sin_port);
    return json_pack("{s:s,s:s,s:i}", "kind", hp_candidate_kind_name(candidate->kind), "address", text,
                     "port", port);
}

json_t *hp_wire_offer_json(const char *to, const hp_offer_t *offer)
{
    json_t *candidates = json_array();
    for (size_t i = 0; i < offer->count; i++)
        json_array_append_new(candidates, candidate_json(&offer->candidates[i]));
    return json_pack("{s:s,s:s,s:s,s:o}", "to", to, "session", offer->session, "mapping",
                     hp_mapping_name(offer->mapping), "candidates", candidates);
}

/* ---- relays ---- */

int hp_wire_relay(const json_t *json, char token[HP_RELAY_TOKEN + 1], char address[HP_INVITE_HUB_SIZE],
                  hp_err_t *err)
{
    const json_t *where = json_object_get(json, "address");
    int rc = hp_wire_id(json, "token", token, err);
    address[0] = '\0';
    if (rc != 0 || json_is_null(where))
        return rc;
    if (!json_is_string(where) || hp_invite_hub_parse(json_string_value(where), address, NULL) != 0)
        return bad("address", err);
    return 0;
}
