/* The parts of the beacon that need no socket: datagrams as bytes, and which senders are heard. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "path/address.h"
#include "discovery/beacon.h"
#include "discovery/probe.h"

#define SOURCES 256 /* addresses that are counted apart */

static bool take_id(const json_t *value, char *out, size_t size)
{
    if (!json_is_string(value) || !hp_probe_is_id(json_string_value(value)))
        return false;
    snprintf(out, size, "%s", json_string_value(value));
    return true;
}

/* Printable, as an ETag is (RFC 9110, section 8.8.3). One that is not is not told. */
static void take_list(const json_t *value, char out[HP_LIST_TAG_SIZE])
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    size_t length = json_is_string(value) ? json_string_length(value) : 0;
    bool good = length < HP_LIST_TAG_SIZE;
    for (size_t i = 0; i < length && good; i++)
        good = text[i] > 0x20 && text[i] < 0x7f && text[i] != '"';
    snprintf(out, HP_LIST_TAG_SIZE, "%s", good ? text : "");
}

static int take_fields(const json_t *object, hp_beacon_message_t *out)
{
    const json_t *version = json_object_get(object, "hostpair"), *port = json_object_get(object, "port");
    const json_t *name = json_object_get(object, "name"), *reply = json_object_get(object, "reply");
    const json_t *address = json_object_get(object, "address");
    *out = (hp_beacon_message_t){.reply = json_is_true(reply)};
    if (!json_is_integer(version) || json_integer_value(version) != 1 || !json_is_boolean(reply) ||
        !take_id(json_object_get(object, "id"), out->id, sizeof out->id) ||
        !take_id(json_object_get(object, "instance"), out->instance, sizeof out->instance))
        return HP_E_INVALID;
    if (!json_is_integer(port) || json_integer_value(port) < 1 || json_integer_value(port) > 65535 ||
        !json_is_string(name) || json_string_length(name) >= HP_HOST_NAME_SIZE)
        return HP_E_INVALID;
    out->port = (uint16_t)json_integer_value(port);
    memcpy(out->name, json_string_value(name), json_string_length(name) + 1);
    take_list(json_object_get(object, "list"), out->list);
    if (address != NULL &&
        (!json_is_string(address) || hp_address_canonical(json_string_value(address), out->address) != 0))
        return HP_E_INVALID;
    return 0;
}

int hp_beacon_parse(const uint8_t *data, size_t length, hp_beacon_message_t *out)
{
    if (length == 0 || length > HP_BEACON_MAX)
        return HP_E_INVALID;
    json_t *object = json_loadb((const char *)data, length, JSON_REJECT_DUPLICATES, NULL);
    int rc = json_is_object(object) ? take_fields(object, out) : HP_E_INVALID;
    json_decref(object);
    return rc;
}

size_t hp_beacon_format(const hp_beacon_message_t *message, char out[HP_BEACON_MAX + 1])
{
    for (size_t most = strlen(message->name);; most /= 2) {
        size_t name_length = hp_utf8_prefix(message->name, strlen(message->name), most);
        json_t *object = json_pack("{s:i,s:s,s:s%,s:i,s:s,s:b}", "hostpair", 1, "id", message->id, "name",
                                   message->name, name_length, "port", (int)message->port, "instance",
                                   message->instance, "reply", (int)message->reply);
        if (object != NULL && message->address[0] != '\0')
            json_object_set_new(object, "address", json_string(message->address));
        if (object != NULL && message->list[0] != '\0')
            json_object_set_new(object, "list", json_string(message->list));
        size_t length = json_dumpb(object, out, HP_BEACON_MAX, JSON_COMPACT);
        json_decref(object);
        if ((length > 0 && length <= HP_BEACON_MAX) || most == 0) {
            length = length <= HP_BEACON_MAX ? length : 0;
            out[length] = '\0';
            return length;
        }
    }
}

/* ---- the limit: a bucket of tokens an address, and one for all ---- */

typedef struct bucket {
    uint8_t address[16];
    uint64_t at;     /* when it was last filled; 0: free */
    unsigned millis; /* tokens, in thousandths */
} bucket_t;

struct hp_beacon_limit {
    bucket_t sources[SOURCES], all;
    size_t last; /* where the last one was found: floods come from one address */
};

hp_beacon_limit_t *hp_beacon_limit_create(void)
{
    return hp_alloc(sizeof(hp_beacon_limit_t));
}

void hp_beacon_limit_destroy(hp_beacon_limit_t *limit)
{
    free(limit);
}

static bool take_token(bucket_t *bucket, unsigned per_second, uint64_t now)
{
    uint64_t passed = HP_MIN(now - bucket->at, UINT64_C(1000));
    bucket->millis = HP_MIN(bucket->millis + (unsigned)passed * per_second, per_second * 1000);
    bucket->at = now;
    if (bucket->millis < 1000)
        return false;
    bucket->millis -= 1000;
    return true;
}

static size_t find_source(hp_beacon_limit_t *limit, const uint8_t address[16])
{
    if (limit->sources[limit->last].at != 0 && memcmp(limit->sources[limit->last].address, address, 16) == 0)
        return limit->last;
    size_t oldest = 0;
    for (size_t i = 0; i < SOURCES; i++) {
        if (limit->sources[i].at != 0 && memcmp(limit->sources[i].address, address, 16) == 0)
            return i;
        if (limit->sources[i].at < limit->sources[oldest].at)
            oldest = i;
    }
    memcpy(limit->sources[oldest].address, address, 16);
    limit->sources[oldest].at = 0;
    return oldest;
}

bool hp_beacon_limit_allow(hp_beacon_limit_t *limit, const uint8_t address[16], uint64_t now_ms)
{
    uint64_t now = now_ms + 1; /* 0 means free */
    limit->last = find_source(limit, address);
    bucket_t *source = &limit->sources[limit->last];
    if (source->at == 0)
        source->millis = HP_BEACON_PER_SOURCE * 1000; /* full */
    if (limit->all.at == 0)
        limit->all.millis = HP_BEACON_PER_SECOND * 1000;
    return take_token(source, HP_BEACON_PER_SOURCE, now) &&
           take_token(&limit->all, HP_BEACON_PER_SECOND, now);
}
