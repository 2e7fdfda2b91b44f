#include "localsend/message.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"

/* jansson takes no NUL in text and nothing but UTF-8. */
static json_t *load(const void *data, size_t length, hp_err_t *err)
{
    json_error_t error;
    json_t *json = json_loadb(data, length, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        hp_err_set(err, HP_E_BAD_JSON, "%s in line %d", error.text, error.line);
    else if (!json_is_object(json))
        hp_err_set(err, HP_E_BAD_JSON, "The body is no object");
    if (json == NULL || json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

/* "mobile" and so on; a word that is none of the protocol's is dropped. */
static void read_type(hp_localsend_device_t *out, const char *type)
{
    static const char *const known[] = {"mobile", "desktop", "web", "headless", "server"};
    for (size_t i = 0; type != NULL && i < HP_COUNT(known); i++)
        if (strcmp(type, known[i]) == 0)
            snprintf(out->type, sizeof out->type, "%s", known[i]);
}

static int read_device(hp_localsend_device_t *out, const json_t *json, hp_err_t *err)
{
    const char *alias = json_string_value(json_object_get(json, "alias"));
    const char *fingerprint = json_string_value(json_object_get(json, "fingerprint"));
    const char *protocol = json_string_value(json_object_get(json, "protocol"));
    const char *model = json_string_value(json_object_get(json, "deviceModel"));
    const json_t *port = json_object_get(json, "port");
    *out = (hp_localsend_device_t){.https = protocol != NULL && strcmp(protocol, "https") == 0,
                                   .announces = json_is_true(json_object_get(json, "announce")) ||
                                                json_is_true(json_object_get(json, "announcement"))};
    if (alias == NULL || alias[0] == '\0')
        return hp_err_set(err, HP_E_INVALID, "alias: must have the name of the device");
    hp_utf8_printable(alias, strlen(alias), out->alias, sizeof out->alias);
    read_type(out, json_string_value(json_object_get(json, "deviceType")));
    if (model != NULL)
        hp_utf8_printable(model, strlen(model), out->model, sizeof out->model);
    if (fingerprint != NULL)
        hp_utf8_printable(fingerprint, strlen(fingerprint), out->fingerprint, sizeof out->fingerprint);
    if (json_is_integer(port) && json_integer_value(port) > 0 && json_integer_value(port) <= UINT16_MAX)
        out->port = (uint16_t)json_integer_value(port);
    return 0;
}

int hp_localsend_read_device(hp_localsend_device_t *out, const void *data, size_t length, hp_err_t *err)
{
    json_t *json = load(data, length, err);
    if (json == NULL)
        return HP_E_BAD_JSON;
    int rc = read_device(out, json, err);
    json_decref(json);
    return rc;
}

/* ---- offers ---- */

/* 64 hex digits in lower case, in place; NULL for anything else: a hash that cannot be compared is none. */
static const char *digest_of(json_t *file)
{
    json_t *value = json_object_get(file, "sha256");
    const char *text = json_string_value(value);
    char lower[65];
    if (text == NULL || strlen(text) != 64 || strspn(text, "0123456789abcdefABCDEF") != 64)
        return NULL;
    for (size_t i = 0; i < sizeof lower; i++)
        lower[i] = (char)tolower((unsigned char)text[i]);
    json_string_set(value, lower);
    return json_string_value(value);
}

/* Wall clock, ms; what is no time is none: 0. */
static int64_t modified_of(const json_t *file)
{
    const char *text = json_string_value(json_object_get(json_object_get(file, "metadata"), "modified"));
    int64_t ms;
    return text != NULL && hp_clock_parse_rfc3339(text, &ms) == 0 ? ms : 0;
}

static int read_file(hp_inbox_offer_file_t *out, const char *id, json_t *file, hp_err_t *err)
{
    const json_t *size = json_object_get(file, "size");
    *out = (hp_inbox_offer_file_t){.id = id,
                                   .name = json_string_value(json_object_get(file, "fileName")),
                                   .type = json_string_value(json_object_get(file, "fileType")),
                                   .preview = json_string_value(json_object_get(file, "preview")),
                                   .sha256 = digest_of(file),
                                   .modified_ms = modified_of(file)};
    if (out->name == NULL)
        return hp_err_set(err, HP_E_INVALID, "fileName: every file must have a name");
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return hp_err_set(err, HP_E_INVALID, "size: must be the length of the file in bytes");
    out->size = (uint64_t)json_integer_value(size);
    return 0;
}

static int read_offer(hp_localsend_offer_t *out, hp_err_t *err)
{
    json_t *files = json_object_get(out->json, "files"), *file;
    const char *id;
    int rc = read_device(&out->from, json_object_get(out->json, "info"), err);
    if (rc != 0)
        return rc;
    if (json_object_size(files) == 0)
        return hp_err_set(err, HP_E_INVALID, "files: must name at least one file");
    if (json_object_size(files) > HP_INBOX_FILES_MAX)
        return hp_err_set(err, HP_E_TOO_LARGE, "files: at most %d are taken at once", HP_INBOX_FILES_MAX);
    json_object_foreach(files, id, file)
    {
        rc = read_file(hp_array_add(&out->files), id, file, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int hp_localsend_read_offer(hp_localsend_offer_t *out, const void *data, size_t length, hp_err_t *err)
{
    *out = (hp_localsend_offer_t){.json = load(data, length, err)};
    int rc = out->json != NULL ? read_offer(out, err) : HP_E_BAD_JSON;
    if (rc != 0)
        hp_localsend_offer_dispose(out);
    return rc;
}

void hp_localsend_offer_dispose(hp_localsend_offer_t *self)
{
    hp_array_dispose(&self->files);
    json_decref(self->json);
    self->json = NULL;
}

/* ---- what a device accepts ---- */

static bool is_short(const char *text)
{
    return text != NULL && text[0] != '\0' && strlen(text) <= HP_INBOX_TEXT_MAX;
}

int hp_localsend_read_accepted(hp_localsend_accepted_t *out, const void *data, size_t length, hp_err_t *err)
{
    *out = (hp_localsend_accepted_t){.json = load(data, length, err)};
    if (out->json == NULL)
        return HP_E_BAD_JSON;
    const char *session = json_string_value(json_object_get(out->json, "sessionId"));
    int rc = 0;
    if (!is_short(session))
        rc = hp_err_set(err, HP_E_INVALID, "sessionId: must have 1 to %d bytes", HP_INBOX_TEXT_MAX);
    else if (!json_is_object(json_object_get(out->json, "files")))
        rc = hp_err_set(err, HP_E_INVALID, "files: must be an object");
    if (rc != 0)
        hp_localsend_accepted_dispose(out);
    else
        memcpy(out->session, session, strlen(session) + 1);
    return rc;
}

const char *hp_localsend_token(const hp_localsend_accepted_t *self, const char *id)
{
    const char *token = json_string_value(json_object_get(json_object_get(self->json, "files"), id));
    return is_short(token) ? token : NULL;
}

void hp_localsend_accepted_dispose(hp_localsend_accepted_t *self)
{
    json_decref(self->json);
    self->json = NULL;
}

/* ---- this host ---- */

json_t *hp_localsend_describe(const hp_localsend_self_t *self, hp_localsend_say_t say)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "alias", self->alias, "version",
                             HP_LOCALSEND_VERSION, "deviceModel", "hostpair", "deviceType", "desktop",
                             "fingerprint", self->fingerprint, "download", 0);
    if (json == NULL || say == HP_LOCALSEND_INFO)
        return json;
    bool asks = say == HP_LOCALSEND_ANNOUNCE;
    json_object_set_new(json, "port", json_integer(self->port));
    json_object_set_new(json, "protocol", json_string("https"));
    json_object_set_new(json, "announce", json_boolean(asks));
    json_object_set_new(json, "announcement", json_boolean(asks)); /* what version 1 calls it */
    return json;
}
