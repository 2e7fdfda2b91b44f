#include "message/body.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "discovery/probe.h"

#define SIZE_MAX_JSON ((int64_t)1 << 53) /* bytes; above it not every program reads the same number */

static int invalid(hp_err_t *err, const char *field, const char *what)
{
    return hp_err_set(err, HP_E_INVALID, "%s: %s", field, what);
}

/* Text without a NUL. null counts as missing. */
static int read_text(const json_t *object, const char *field, const char **text, size_t *length,
                     hp_err_t *err)
{
    const json_t *value = json_object_get(object, field);
    *text = NULL;
    *length = 0;
    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return invalid(err, field, "must be text");
    *text = json_string_value(value);
    *length = json_string_length(value);
    return strlen(*text) == *length ? 0 : invalid(err, field, "must not contain a NUL");
}

static int read_uid(const json_t *object, hp_message_body_t *body, hp_err_t *err)
{
    const char *text;
    size_t length;
    int rc = read_text(object, "id", &text, &length, err);
    if (rc != 0)
        return rc;
    if (length == 0)
        return invalid(err, "id", "is missing");
    if (length > HP_MESSAGE_UID_MAX)
        return hp_err_set(err, HP_E_INVALID, "id: is longer than %d bytes", HP_MESSAGE_UID_MAX);
    for (const char *p = text; *p != '\0'; p++)
        if (*p < 0x20 || *p > 0x7e)
            return invalid(err, "id", "must be printable ASCII");
    memcpy(body->uid, text, length + 1);
    return 0;
}

static int read_host(const json_t *object, const char *field, bool required, char out[33], hp_err_t *err)
{
    const char *text;
    size_t length;
    int rc = read_text(object, field, &text, &length, err);
    if (rc != 0 || (text == NULL && !required))
        return rc;
    if (text == NULL)
        return invalid(err, field, "is missing");
    if (!hp_probe_is_id(text))
        return invalid(err, field, "is not a host id of 32 hex digits");
    memcpy(out, text, 33);
    return 0;
}

int hp_message_check_text(const char *text, size_t length, bool has_offer, hp_err_t *err)
{
    if (length == 0 && !has_offer)
        return invalid(err, "text", "is missing");
    if (hp_utf8_count(text, length) > HP_MESSAGE_TEXT_MAX)
        return hp_err_set(err, HP_E_INVALID, "text: is longer than %d characters", HP_MESSAGE_TEXT_MAX);
    return 0;
}

static int read_time(const json_t *object, hp_message_body_t *body, hp_err_t *err)
{
    const char *text;
    size_t length;
    int rc = read_text(object, "sent_at", &text, &length, err);
    if (rc != 0)
        return rc;
    if (text == NULL)
        return invalid(err, "sent_at", "is missing");
    if (hp_clock_parse_rfc3339(text, &body->sent_at) != 0)
        return invalid(err, "sent_at", "must be a time as in RFC 3339");
    /* An offset can lead out of the years that can be written. */
    char again[HP_RFC3339_SIZE];
    hp_clock_parse_rfc3339(hp_clock_rfc3339(body->sent_at, again), &body->sent_at);
    return 0;
}

/* The path is allocated last, so that a failure leaves nothing behind. */
static int read_offer(const json_t *object, hp_message_body_t *body, hp_err_t *err)
{
    const json_t *offer = json_object_get(object, "offer");
    if (offer == NULL || json_is_null(offer))
        return 0;
    if (!json_is_object(offer))
        return invalid(err, "offer", "must be an object");
    const char *path, *root;
    size_t path_length, root_length;
    int rc = read_text(offer, "path", &path, &path_length, err);
    if (rc == 0)
        rc = read_text(offer, "root", &root, &root_length, err);
    if (rc == 0 && path == NULL)
        rc = invalid(err, "path", "is missing");
    if (rc == 0 && (rc = hp_path_check(path, path_length, err)) != 0) {
        hp_err_prefix(err, "path: ");
        rc = HP_E_INVALID;
    }
    const json_t *size = json_object_get(offer, "size");
    if (rc == 0 &&
        (!json_is_integer(size) || json_integer_value(size) < 0 || json_integer_value(size) > SIZE_MAX_JSON))
        rc = invalid(err, "size", "is not a number of bytes");
    uint8_t digest[32];
    if (rc == 0 && root != NULL && hp_hex_decode(root, digest, sizeof digest) != 0)
        rc = invalid(err, "root", "is not 64 hex digits");
    if (rc != 0) {
        hp_err_prefix(err, "offer.");
        return rc;
    }
    body->has_offer = true;
    body->offer.size = json_integer_value(size);
    if (root != NULL)
        hp_hex_encode(digest, sizeof digest, body->offer.root);
    body->offer.path = hp_strndup(path, path_length);
    return 0;
}

static int read_fields(const json_t *object, hp_message_body_t *body, hp_err_t *err)
{
    const char *text, *name;
    size_t text_length, name_length;
    int rc = read_uid(object, body, err);
    if (rc == 0)
        rc = read_host(object, "from", true, body->from, err);
    if (rc == 0)
        rc = read_host(object, "to", false, body->to, err);
    if (rc == 0)
        rc = read_text(object, "name", &name, &name_length, err);
    if (rc == 0 && name != NULL)
        hp_probe_clean_name(name, name_length, body->name);
    if (rc == 0)
        rc = read_text(object, "text", &text, &text_length, err);
    if (rc == 0)
        rc = read_time(object, body, err);
    if (rc == 0)
        rc = read_offer(object, body, err);
    if (rc == 0)
        rc = hp_message_check_text(text != NULL ? text : "", text_length, body->has_offer, err);
    if (rc == 0)
        body->text = hp_strndup(text != NULL ? text : "", text_length);
    return rc;
}

int hp_message_body_parse(const char *data, size_t length, hp_message_body_t *body, hp_err_t *err)
{
    *body = (hp_message_body_t){.text = NULL};
    json_error_t where;
    json_t *json = json_loadb(data != NULL ? data : "", length,
                              JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    if (json == NULL)
        return hp_err_set(err, HP_E_BAD_JSON, "the body is not JSON: line %d, column %d", where.line,
                          where.column);
    int rc = json_is_object(json) ? read_fields(json, body, err)
                                  : hp_err_set(err, HP_E_INVALID, "the body is not a JSON object");
    json_decref(json);
    if (rc != 0)
        hp_message_body_dispose(body);
    return rc;
}

char *hp_message_body_format(const hp_message_body_t *body)
{
    char time[HP_RFC3339_SIZE];
    json_t *json = json_object();
    json_object_set_new(json, "id", json_string(body->uid));
    json_object_set_new(json, "from", json_string(body->from));
    if (body->to[0] != '\0')
        json_object_set_new(json, "to", json_string(body->to));
    json_object_set_new(json, "name", json_string(body->name));
    json_object_set_new(json, "text", json_string(body->text));
    json_object_set_new(json, "sent_at", json_string(hp_clock_rfc3339(body->sent_at, time)));
    if (body->has_offer) {
        json_t *offer = json_object();
        json_object_set_new(offer, "path", json_string(body->offer.path));
        json_object_set_new(offer, "size", json_integer(body->offer.size));
        json_object_set_new(offer, "root",
                            body->offer.root[0] != '\0' ? json_string(body->offer.root) : json_null());
        json_object_set_new(json, "offer", offer);
    }
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text != NULL ? text : hp_strdup("");
}

void hp_message_body_dispose(hp_message_body_t *body)
{
    free(body->text);
    free(body->offer.path);
    *body = (hp_message_body_t){.text = NULL};
}
