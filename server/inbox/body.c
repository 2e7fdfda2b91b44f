#include "inbox/body.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* Text without a NUL; NULL where it is missing or null. */
static int read_text(const json_t *object, const char *field, const char **text, hp_err_t *err)
{
    const json_t *value = json_object_get(object, field);
    *text = NULL;
    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
        return hp_err_set(err, HP_E_INVALID, "%s: must be text without a NUL", field);
    *text = json_string_value(value);
    return 0;
}

/* 0 where it is missing or null. */
static int read_time(const json_t *object, const char *field, int64_t *wall_ms, hp_err_t *err)
{
    const char *text;
    int rc = read_text(object, field, &text, err);
    *wall_ms = 0;
    if (rc == 0 && text != NULL && hp_clock_parse_rfc3339(text, wall_ms) != 0)
        return hp_err_set(err, HP_E_INVALID, "%s: must be a time like 2026-01-31T12:00:00Z", field);
    return rc;
}

static int read_file(const json_t *object, hp_inbox_offer_file_t *file, hp_err_t *err)
{
    if (!json_is_object(object))
        return hp_err_set(err, HP_E_INVALID, "must be an object");
    const json_t *size = json_object_get(object, "size");
    int rc = read_text(object, "id", &file->id, err);
    if (rc == 0)
        rc = read_text(object, "name", &file->name, err);
    if (rc == 0)
        rc = read_text(object, "type", &file->type, err);
    if (rc == 0)
        rc = read_text(object, "sha256", &file->sha256, err);
    if (rc == 0)
        rc = read_text(object, "preview", &file->preview, err);
    if (rc == 0)
        rc = read_time(object, "modified", &file->modified_ms, err);
    if (rc != 0)
        return rc;
    if (file->id == NULL || file->name == NULL)
        return hp_err_set(err, HP_E_INVALID, "%s: is missing", file->id == NULL ? "id" : "name");
    file->folder = json_is_true(json_object_get(object, "folder"));
    file->size = HP_INBOX_ANY_SIZE;
    if (file->folder)
        return 0; /* nobody counts what is in it before it is fetched */
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return hp_err_set(err, HP_E_INVALID, "size: must be a number of bytes");
    file->size = (uint64_t)json_integer_value(size);
    return 0;
}

static int read_token(hp_inbox_body_t *body, hp_err_t *err)
{
    int rc = read_text(body->json, "token", &body->token, err);
    if (rc != 0 || body->token == NULL)
        return rc;
    size_t length = strlen(body->token);
    if (length != HP_INBOX_TOKEN_SIZE - 1 || strspn(body->token, "0123456789abcdef") != length)
        return hp_err_set(err, HP_E_INVALID, "token: must have %d lower-case hex digits",
                          HP_INBOX_TOKEN_SIZE - 1);
    return 0;
}

static int read_files(hp_inbox_body_t *body, hp_err_t *err)
{
    const json_t *list = json_object_get(body->json, "files");
    if (!json_is_array(list))
        return hp_err_set(err, HP_E_INVALID, "files: must be a list");
    if (json_array_size(list) > HP_INBOX_FILES_MAX)
        return hp_err_set(err, HP_E_TOO_LARGE, "files: has %zu; at most %d are taken at once",
                          json_array_size(list), HP_INBOX_FILES_MAX);
    body->files = hp_alloc_array(json_array_size(list), sizeof *body->files);
    for (size_t i = 0; i < json_array_size(list); i++) {
        int rc = read_file(json_array_get(list, i), &body->files[i], err);
        if (rc != 0) {
            hp_err_prefix(err, "files[%zu]: ", i);
            return rc;
        }
        body->count++;
    }
    return 0;
}

int hp_inbox_body_parse(const char *data, size_t length, hp_inbox_body_t *body, hp_err_t *err)
{
    json_error_t error;
    *body = (hp_inbox_body_t){0};
    if (length > HP_INBOX_BODY_MAX)
        return hp_err_set(err, HP_E_TOO_LARGE, "an offer has at most %zu bytes", HP_INBOX_BODY_MAX);
    body->json = json_loadb(data != NULL ? data : "", length, JSON_REJECT_DUPLICATES, &error);
    if (body->json == NULL)
        return hp_err_set(err, HP_E_BAD_JSON, "line %d, column %d: %s", error.line, error.column, error.text);
    int rc = json_is_object(body->json) ? 0 : hp_err_set(err, HP_E_INVALID, "the body must be an object");
    if (rc == 0)
        rc = read_text(body->json, "name", &body->name, err);
    if (rc == 0)
        rc = read_text(body->json, "pin", &body->pin, err);
    if (rc == 0)
        rc = read_token(body, err);
    if (rc == 0)
        rc = read_files(body, err);
    if (rc != 0)
        hp_inbox_body_dispose(body);
    return rc;
}

void hp_inbox_body_dispose(hp_inbox_body_t *body)
{
    free(body->files);
    json_decref(body->json);
    *body = (hp_inbox_body_t){0};
}
