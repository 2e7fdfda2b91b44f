#include "api/orders.h"

#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "base/mem.h"
#include "base/path.h"

/* ---- downloads ---- */

/* Which of the four kinds of order it is, and that it is only one of them. */
static int check_kind(const hp_download_order_t *order, hp_err_t *err)
{
    bool of_host = order->path != NULL || order->folder != NULL;
    int kinds =
        (order->path != NULL) + (order->folder != NULL) + (order->root != NULL) + (order->url != NULL);
    if (kinds != 1)
        return hp_err_set(err, HP_E_INVALID, "give one of host and path, host and folder, root, or url");
    if (of_host && order->host == NULL)
        return hp_err_set(err, HP_E_INVALID, "host: is missing");
    if (!of_host && order->host != NULL)
        return hp_err_set(err, HP_E_INVALID, "host: is allowed only with path or folder");
    if (order->size != 0 && order->root == NULL)
        return hp_err_set(err, HP_E_INVALID, "size: is allowed only with root");
    if (order->root != NULL) {
        uint8_t digest[32];
        if (hp_hex_decode(order->root, digest, sizeof digest) != 0)
            return hp_err_set(err, HP_E_INVALID, "root: must be 64 hex digits");
    }
    return 0;
}

/* {"Name": "value"} as lines, malloced; NULL where there is none. */
static int read_headers(const json_t *body, char **lines, hp_err_t *err)
{
    json_t *fields = json_object_get(body, "headers"), *value;
    const char *name;
    if (fields == NULL || json_is_null(fields))
        return 0;
    if (!json_is_object(fields))
        return hp_err_set(err, HP_E_INVALID, "headers: must be an object of names and texts");
    *lines = hp_strdup("");
    json_object_foreach(fields, name, value)
    {
        const char *text = json_string_value(value);
        if (text == NULL || strlen(text) != json_string_length(value) || strpbrk(text, "\r\n") != NULL ||
            strpbrk(name, "\r\n:") != NULL)
            return hp_err_set(err, HP_E_INVALID, "headers: %.80s must be text of one line", name);
        char *longer = hp_sprintf("%s%s%s: %s", *lines, (*lines)[0] != '\0' ? "\n" : "", name, text);
        free(*lines);
        *lines = longer;
    }
    return 0;
}

/* User and password belong into the URL, as which they are kept. url becomes malloced where they are given.
 */
static int read_login(const json_t *body, const hp_download_order_t *order, char **url, hp_err_t *err)
{
    const char *user = NULL, *password = NULL;
    int rc = hp_json_get_text(body, "user", &user, err);
    if (rc == 0)
        rc = hp_json_get_text(body, "password", &password, err);
    if (rc != 0 || (user == NULL && password == NULL))
        return rc;
    const char *host = order->url != NULL ? strstr(order->url, "://") : NULL;
    if (host == NULL || user == NULL)
        return hp_err_set(err, HP_E_INVALID, "%s",
                          user == NULL ? "password: goes with user" : "user: goes with url");
    host += strlen("://");
    const char *at = memchr(host, '@', strcspn(host, "/?#"));
    char *name = hp_path_encode(user, strlen(user), false);
    char *secret = password != NULL ? hp_path_encode(password, strlen(password), false) : hp_strdup("");
    *url = hp_sprintf("%.*s%s:%s@%s", (int)(host - order->url), order->url, name, secret,
                      at != NULL ? at + 1 : host);
    free(secret);
    free(name);
    return 0;
}

static int read_order(const json_t *body, hp_download_order_t *order, hp_err_t *err)
{
    const struct {
        const char *name;
        const char **value;
    } texts[] = {{"host", &order->host},
                 {"path", &order->path},
                 {"folder", &order->folder},
                 {"root", &order->root},
                 {"url", &order->url},
                 {"to", &order->to},
                 {"certificate", &order->certificate}};
    int64_t priority = 0, limit = 0, size = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < HP_COUNT(texts); i++)
        rc = hp_json_get_text(body, texts[i].name, texts[i].value, err);
    if (rc == 0)
        rc = hp_json_get_int(body, "priority", -1, 1, &priority, NULL, err);
    if (rc == 0)
        rc = hp_json_get_int(body, "limit_bps", 0, INT64_MAX, &limit, NULL, err);
    if (rc == 0)
        rc = hp_json_get_int(body, "size", 1, INT64_MAX, &size, NULL, err);
    if (rc == 0)
        rc = hp_json_get_bool(body, "copy", &order->copy, NULL, err);
    order->size = (uint64_t)size;
    if (rc == 0)
        rc = check_kind(order, err);
    if (order->to != NULL && order->to[0] == '\0')
        order->to = NULL;
    if (rc == 0 && order->to != NULL && (rc = hp_path_check(order->to, strlen(order->to), err)) != 0)
        hp_err_prefix(err, "to: ");
    order->priority = (int)priority;
    order->limit_bps = (uint64_t)limit;
    return rc;
}

int hp_api_read_download(const json_t *body, hp_api_download_t *out, hp_err_t *err)
{
    static const char *const known[] = {"host",        "path", "folder",   "root",      "size",
                                        "url",         "to",   "priority", "limit_bps", "headers",
                                        "certificate", "copy", "user",     "password",  NULL};
    *out = (hp_api_download_t){.url = NULL};
    int rc = hp_json_check_fields(body, known, err);
    if (rc == 0)
        rc = read_headers(body, &out->headers, err);
    if (rc == 0)
        rc = read_order(body, &out->order, err);
    if (rc == 0)
        rc = read_login(body, &out->order, &out->url, err);
    if (rc != 0) {
        hp_api_download_dispose(out);
        return rc;
    }
    out->order.headers = out->headers;
    if (out->url != NULL)
        out->order.url = out->url;
    return 0;
}

void hp_api_download_dispose(hp_api_download_t *download)
{
    free(download->headers);
    free(download->url);
    *download = (hp_api_download_t){.url = NULL};
}

int hp_api_read_download_change(const json_t *body, hp_api_download_change_t *out, hp_err_t *err)
{
    static const char *const known[] = {"state",   "priority",    "limit_bps", "url",
                                        "headers", "certificate", NULL};
    const char *state = NULL;
    int64_t priority = 0, limit = 0;
    *out = (hp_api_download_change_t){.state = HP_API_STATE_AS_IT_IS};
    int rc = hp_json_check_fields(body, known, err);
    if (rc == 0)
        rc = hp_json_get_text(body, "state", &state, err);
    if (rc == 0)
        rc = hp_json_get_text(body, "url", &out->url, err);
    if (rc == 0)
        rc = hp_json_get_text(body, "certificate", &out->certificate, err);
    if (rc == 0)
        rc = read_headers(body, &out->headers, err);
    if (rc == 0)
        rc = hp_json_get_int(body, "priority", -1, 1, &priority, &out->has_priority, err);
    if (rc == 0)
        rc = hp_json_get_int(body, "limit_bps", 0, INT64_MAX, &limit, &out->has_limit, err);
    out->priority = (int)priority;
    out->limit_bps = (uint64_t)limit;
    if (rc != 0 || state == NULL)
        return rc;
    if (strcmp(state, "paused") == 0)
        out->state = HP_API_STATE_PAUSED;
    else if (strcmp(state, "queued") == 0)
        out->state = HP_API_STATE_QUEUED;
    else
        return hp_err_set(err, HP_E_INVALID, "state: must be paused or queued");
    return 0;
}

void hp_api_download_change_dispose(hp_api_download_change_t *change)
{
    free(change->headers);
    change->headers = NULL;
}

/* ---- groups and hosts ---- */

int hp_api_read_group(const json_t *body, hp_api_group_t *out, hp_err_t *err)
{
    static const char *const known[] = {"hub", "name", "invite", "token", NULL};
    const char **const texts[] = {&out->hub, &out->name, &out->invite, &out->token};
    *out = (hp_api_group_t){.hub = NULL};
    int rc = hp_json_check_fields(body, known, err);
    for (size_t i = 0; rc == 0 && i < HP_COUNT(texts); i++)
        rc = hp_json_get_text(body, known[i], texts[i], err);
    if (rc == 0 && (out->hub != NULL) == (out->invite != NULL))
        rc = hp_err_set(err, HP_E_INVALID,
                        "hub: give either hub and name, to make a group, or invite, to join one");
    if (rc == 0 && out->hub != NULL && out->name == NULL)
        rc = hp_err_set(err, HP_E_INVALID, "name: is missing");
    return rc;
}

int hp_api_read_host(const json_t *body, hp_host_name_t *out, hp_err_t *err)
{
    static const char *const known[] = {"address", NULL};
    const char *text = NULL;
    int rc = hp_json_check_fields(body, known, err);
    if (rc == 0)
        rc = hp_json_get_text(body, "address", &text, err);
    if (rc == 0 && text == NULL)
        rc = hp_err_set(err, HP_E_INVALID, "address: is missing");
    else if (rc == 0 && (rc = hp_host_name_parse(text, HP_DEFAULT_PEER_PORT, out, err)) != 0)
        hp_err_prefix(err, "address: ");
    return rc;
}
