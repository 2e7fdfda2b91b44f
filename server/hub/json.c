#include "hub/json.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"

json_t *hp_hub_hex_json(const uint8_t *bytes, size_t length)
{
    char text[129];
    hp_hex_encode(bytes, HP_MIN(length, (size_t)64), text);
    return json_string(text);
}

int hp_hub_json_hex(const json_t *object, const char *field, uint8_t *out, size_t length, hp_err_t *err)
{
    const char *text = json_string_value(json_object_get(object, field));
    if (text != NULL && hp_hex_decode(text, out, length) == 0)
        return 0;
    return hp_err_set(err, HP_E_INVALID, "\"%s\" is to be %zu lower-case hex digits", field, 2 * length);
}

int hp_hub_json_text(const json_t *object, const char *field, char *out, size_t size, hp_err_t *err)
{
    const json_t *value = json_object_get(object, field);
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    if (text == NULL || length == 0 || length >= size || strlen(text) != length)
        return hp_err_set(err, HP_E_INVALID, "\"%s\" is to be text of 1 to %zu bytes", field, size - 1);
    if (hp_utf8_has_control(text, length))
        return hp_err_set(err, HP_E_INVALID, "\"%s\" holds a control character", field);
    memcpy(out, text, length + 1);
    return 0;
}

json_t *hp_hub_member_json(const hp_db_hub_member_t *member, bool online)
{
    json_t *json = json_pack("{s:s,s:o,s:s,s:o,s:b}", "id", member->host, "fingerprint",
                             hp_hub_hex_json(member->fingerprint, 32), "name", member->name, "proof",
                             hp_hub_hex_json(member->proof, 32), "online", (int)online);
    json_t *list = json_null();
    if (member->list_etag[0] != '\0')
        list = json_pack("{s:s,s:I}", "etag", member->list_etag, "size", (json_int_t)member->list_size);
    json_object_set_new(json, "list", list);
    return json;
}

static bool is_kind(const char *kind)
{
    static const char *const kinds[] = {"local", "mapped", "port"};
    for (size_t i = 0; kind != NULL && i < HP_COUNT(kinds); i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

int hp_hub_check_candidates(const json_t *candidates, hp_err_t *err)
{
    if (!json_is_array(candidates) || json_array_size(candidates) > HP_HUB_CANDIDATES)
        return hp_err_set(err, HP_E_INVALID, "\"candidates\" is to be a list of at most %d",
                          HP_HUB_CANDIDATES);
    size_t index;
    json_t *candidate;
    json_array_foreach(candidates, index, candidate)
    {
        struct in6_addr numeric;
        const char *address = json_string_value(json_object_get(candidate, "address"));
        json_int_t port = json_integer_value(json_object_get(candidate, "port"));
        if (!is_kind(json_string_value(json_object_get(candidate, "kind"))))
            return hp_err_set(err, HP_E_INVALID, "candidate %zu: \"kind\" is none of local, mapped, port",
                              index);
        if (address == NULL ||
            (inet_pton(AF_INET, address, &numeric) != 1 && inet_pton(AF_INET6, address, &numeric) != 1))
            return hp_err_set(err, HP_E_INVALID, "candidate %zu: \"address\" is not a numeric address",
                              index);
        if (port < 1 || port > 65535)
            return hp_err_set(err, HP_E_INVALID, "candidate %zu: \"port\" is not a port", index);
        if (json_object_size(candidate) != 3)
            return hp_err_set(err, HP_E_INVALID, "candidate %zu has a field that is not known", index);
    }
    return 0;
}
