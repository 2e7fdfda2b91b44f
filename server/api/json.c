#include "api/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/utf8.h"
#include "transfer/url_order.h"

#define BODY_MAX ((size_t)256 * 1024) /* bytes of most JSON bodies; the listener takes more for uploads */

/* ---- out ---- */

json_t *hp_json_text(const char *text)
{
    if (text == NULL)
        return json_null();
    size_t length = strlen(text);
    if (hp_utf8_valid(text, length))
        return json_stringn_nocheck(text, length);
    char *printable = hp_alloc(4 * length + 1);
    hp_utf8_printable(text, length, printable, 4 * length + 1);
    json_t *json = json_string(printable);
    free(printable);
    return json;
}

json_t *hp_json_text_or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? json_null() : hp_json_text(text);
}

json_t *hp_json_count(uint64_t value)
{
    return json_integer((json_int_t)HP_MIN(value, (uint64_t)INT64_MAX));
}

json_t *hp_json_count_or_null(int64_t value)
{
    return value < 0 ? json_null() : json_integer(value);
}

json_t *hp_json_time(int64_t wall_ms)
{
    char text[HP_RFC3339_SIZE];
    return json_string(hp_clock_rfc3339(wall_ms, text));
}

json_t *hp_json_time_or_null(int64_t wall_ms)
{
    return wall_ms <= 0 ? json_null() : hp_json_time(wall_ms);
}

static json_t *fingerprint_json(const hp_host_t *host)
{
    char hex[2 * HP_FINGERPRINT_SIZE + 1];
    if (!host->pinned)
        return json_null();
    hp_hex_encode(host->fingerprint, HP_FINGERPRINT_SIZE, hex);
    return json_string(hex);
}

json_t *hp_json_host(const hp_host_t *host)
{
    json_t *addresses = json_array(), *json = json_object();
    for (size_t i = 0; i < host->address_count; i++) {
        char text[HP_ENDPOINT_TEXT_SIZE];
        if (host->addresses[i].endpoint.scheme == HP_SCHEME_MEMBER)
            continue; /* it is reached through a group: path tells how */
        json_array_append_new(addresses, json_string(hp_endpoint_format(&host->addresses[i].endpoint, text)));
    }
    json_object_set_new(json, "id", hp_json_text(host->id));
    json_object_set_new(json, "name", hp_json_text(host->name));
    json_object_set_new(json, "addresses", addresses);
    json_object_set_new(json, "added_as", hp_json_text_or_null(host->added_as));
    json_object_set_new(json, "state", json_string(host->online ? "online" : "offline"));
    json_object_set_new(json, "rtt_ms", host->rtt_ms < 0 ? json_null() : json_real(host->rtt_ms));
    json_object_set_new(json, "clock_offset_ms",
                        host->clock_uncertainty_ms < 0 ? json_null() : json_integer(host->clock_offset_ms));
    json_object_set_new(json, "clock_uncertainty_ms", hp_json_count_or_null(host->clock_uncertainty_ms));
    json_object_set_new(json, "files", hp_json_count_or_null(host->files));
    json_object_set_new(json, "bytes", hp_json_count_or_null(host->bytes));
    json_object_set_new(json, "found_by", json_string(hp_found_by_name(host->found_by)));
    json_object_set_new(json, "last_seen", hp_json_time_or_null(host->last_seen));
    json_object_set_new(json, "protocol", json_integer(host->protocol));
    json_object_set_new(json, "listed", json_boolean(host->listed));
    json_object_set_new(json, "listing", json_boolean(host->listing));
    json_object_set_new(json, "list_error", hp_json_text_or_null(host->list_error));
    json_object_set_new(json, "problem", hp_json_text_or_null(host->problem));
    json_object_set_new(json, "blocked", json_boolean(host->blocked));
    json_object_set_new(json, "kind", json_string(host->protocol > 0 ? "hostpair" : "plain"));
    json_object_set_new(json, "device_type", json_null());
    json_object_set_new(json, "proven", json_boolean(host->proven));
    json_object_set_new(json, "paired", json_boolean(host->paired));
    json_object_set_new(json, "fingerprint", fingerprint_json(host));
    json_object_set_new(json, "path", host->online ? json_string(hp_way_name(host->way)) : json_null());
    json_object_set_new(json, "path_reason", hp_json_text_or_null(host->way_reason));
    return json;
}

json_t *hp_json_device(const hp_device_t *device)
{
    /* What a host has, and a device of LocalSend has not, is as of a host of which it is not known. */
    hp_host_t host = {.online = device->online,
                      .rtt_ms = -1,
                      .clock_uncertainty_ms = -1,
                      .files = -1,
                      .bytes = -1,
                      .last_seen = device->last_seen,
                      .address_count = 1};
    hp_host_address_t address = {.endpoint = device->at};
    host.addresses = &address;
    snprintf(host.id, sizeof host.id, "%s", device->id);
    snprintf(host.name, sizeof host.name, "%s", device->about.alias);
    json_t *json = hp_json_host(&host);
    json_object_set_new(json, "kind", json_string("localsend"));
    json_object_set_new(json, "found_by", json_string("localsend"));
    json_object_set_new(json, "path", json_null());
    json_object_set_new(json, "device_type",
                        json_string(device->about.type[0] != '\0' ? device->about.type : "desktop"));
    return json;
}

static json_t *source_json(const hp_source_info_t *source)
{
    json_t *json = json_object();
    json_object_set_new(json, "host", hp_json_text_or_null(source->host));
    json_object_set_new(json, "address", hp_json_text(source->address));
    json_object_set_new(json, "state", json_string(hp_source_state_name(source->state)));
    json_object_set_new(json, "bytes", hp_json_count(source->bytes));
    json_object_set_new(json, "speed_bps", hp_json_count(source->speed_bps));
    json_object_set_new(json, "error", hp_json_text_or_null(source->error));
    return json;
}

static json_t *error_json(const hp_download_info_t *info)
{
    if (info->error_code == 0)
        return json_null();
    const char *detail = info->error_detail;
    json_t *json = json_object();
    json_object_set_new(json, "code", json_string(hp_err_slug(info->error_code)));
    json_object_set_new(
        json, "detail",
        hp_json_text(detail != NULL && detail[0] != '\0' ? detail : hp_err_sentence(info->error_code)));
    const char *certificate = detail != NULL ? hp_url_shown_certificate(info->error_code, detail) : NULL;
    if (certificate != NULL)
        json_object_set_new(json, "certificate", json_string(certificate));
    return json;
}

json_t *hp_json_download(const hp_download_info_t *info)
{
    json_t *sources = json_array(), *json = json_object();
    for (size_t i = 0; i < info->source_count; i++)
        json_array_append_new(sources, source_json(&info->sources[i]));
    json_object_set_new(json, "id", json_integer(info->id));
    json_object_set_new(json, "name", hp_json_text(info->name));
    json_object_set_new(json, "path", hp_json_text(info->path));
    json_object_set_new(json, "folder", json_boolean(info->folder));
    json_object_set_new(json, "state", json_string(hp_download_state_name(info->state)));
    json_object_set_new(json, "reason", hp_json_text_or_null(info->reason));
    json_object_set_new(json, "note", hp_json_text_or_null(info->note));
    json_object_set_new(json, "size", info->size_known ? hp_json_count(info->size) : json_null());
    json_object_set_new(json, "done_bytes", hp_json_count(info->done_bytes));
    json_object_set_new(json, "chunk_size",
                        info->chunk_size > 0 ? hp_json_count(info->chunk_size) : json_null());
    json_object_set_new(json, "chunks_total", hp_json_count(info->chunks_total));
    json_object_set_new(json, "chunks_done", hp_json_count(info->chunks_done));
    json_object_set_new(json, "files_total", hp_json_count(info->files_total));
    json_object_set_new(json, "files_done", hp_json_count(info->files_done));
    json_object_set_new(json, "speed_bps", hp_json_count(info->speed_bps));
    json_object_set_new(json, "eta_s", hp_json_count_or_null(info->eta_s));
    json_object_set_new(json, "root", hp_json_text_or_null(info->root));
    json_object_set_new(json, "verified", json_boolean(info->verified));
    json_object_set_new(json, "priority", json_integer(info->priority));
    json_object_set_new(json, "limit_bps", hp_json_count(info->limit_bps));
    json_object_set_new(json, "error", error_json(info));
    json_object_set_new(json, "sources", sources);
    json_object_set_new(json, "created_at", hp_json_time(info->created_at));
    json_object_set_new(json, "finished_at", hp_json_time_or_null(info->finished_at));
    return json;
}

json_t *hp_json_connection(const hp_http_connection_t *connection, const char *host)
{
    json_t *json = json_object();
    json_object_set_new(json, "id", hp_json_count(connection->id));
    json_object_set_new(json, "address", hp_json_text(connection->address));
    json_object_set_new(json, "port", json_integer(connection->port));
    json_object_set_new(json, "host", hp_json_text_or_null(host));
    json_object_set_new(json, "proven", hp_json_text_or_null(connection->host));
    json_object_set_new(json, "encrypted", json_boolean(connection->encrypted));
    json_object_set_new(json, "since", hp_json_time(connection->since));
    json_object_set_new(json, "requests", hp_json_count(connection->requests));
    json_object_set_new(json, "bytes_sent", hp_json_count(connection->bytes_sent));
    json_object_set_new(json, "speed_bps", hp_json_count(connection->speed_bps));
    json_object_set_new(json, "path", hp_json_text_or_null(connection->path));
    json_object_set_new(json, "user_agent", hp_json_text_or_null(connection->user_agent));
    json_object_set_new(json, "active", json_boolean(connection->active));
    return json;
}

static json_t *offer_json(const hp_message_t *message)
{
    if (!message->has_offer)
        return json_null();
    json_t *json = json_object();
    json_object_set_new(json, "path", hp_json_text(message->offer.path));
    json_object_set_new(json, "size", json_integer(message->offer.size));
    json_object_set_new(json, "root", hp_json_text_or_null(message->offer.root));
    return json;
}

static json_t *delivery_json(const hp_message_delivery_t *delivery)
{
    json_t *json = json_object();
    json_object_set_new(json, "host", hp_json_text(delivery->host));
    json_object_set_new(json, "state", json_string(hp_delivery_state_name(delivery->state)));
    json_object_set_new(json, "reason", hp_json_text_or_null(delivery->reason));
    json_object_set_new(json, "at", hp_json_time(delivery->at));
    return json;
}

json_t *hp_json_message(const hp_message_t *message)
{
    json_t *deliveries = json_array(), *json = json_object();
    for (size_t i = 0; i < message->delivery_count; i++)
        json_array_append_new(deliveries, delivery_json(&message->deliveries[i]));
    json_object_set_new(json, "id", json_integer(message->id));
    json_object_set_new(json, "uid", hp_json_text(message->uid));
    json_object_set_new(json, "from", hp_json_text(message->from));
    json_object_set_new(json, "from_name", hp_json_text(message->from_name));
    json_object_set_new(json, "to", hp_json_text(message->to));
    json_object_set_new(json, "text", hp_json_text(message->text));
    json_object_set_new(json, "sent_at", hp_json_time(message->sent_at));
    json_object_set_new(json, "received_at", hp_json_time(message->received_at));
    json_object_set_new(json, "incoming", json_boolean(message->incoming));
    json_object_set_new(json, "unread", json_boolean(message->unread));
    json_object_set_new(json, "offer", offer_json(message));
    json_object_set_new(json, "deliveries", deliveries);
    return json;
}

json_t *hp_json_log_entry(const hp_log_entry_t *entry)
{
    json_t *json = json_object();
    json_object_set_new(json, "number", hp_json_count(entry->number));
    json_object_set_new(json, "at", hp_json_time(entry->at));
    json_object_set_new(json, "level", json_string(hp_log_level_name(entry->level)));
    json_object_set_new(json, "text", hp_json_text(entry->text));
    return json;
}

char *hp_json_dump(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(json);
    return text != NULL ? text : hp_strdup("null");
}

/* ---- in ---- */

int hp_json_refuse_field(const char *field, hp_err_t *err)
{
    char shown[100];
    hp_utf8_printable(field, strlen(field), shown, sizeof shown);
    return hp_err_set(err, HP_E_INVALID, "%s: there is no such field", shown);
}

int hp_json_check_fields(const json_t *body, const char *const *known, hp_err_t *err)
{
    const char *field;
    json_t *value;
    json_object_foreach((json_t *)body, field, value)
    {
        bool found = false;
        for (const char *const *name = known; *name != NULL && !found; name++)
            found = strcmp(*name, field) == 0;
        if (!found)
            return hp_json_refuse_field(field, err);
    }
    return 0;
}

int hp_json_read_body(hp_http_request_t *request, const char *const *known, json_t **body, hp_err_t *err)
{
    return hp_json_read_long_body(request, BODY_MAX, known, body, err);
}

int hp_json_read_long_body(hp_http_request_t *request, size_t max, const char *const *known, json_t **body,
                           hp_err_t *err)
{
    size_t length;
    hp_http_body(request, &length);
    if (length > max)
        return hp_err_set(err, HP_E_TOO_LARGE, "a JSON body has at most %zu bytes here", max);
    int rc = hp_http_json(request, body, err);
    if (rc != 0)
        return rc;
    if (!json_is_object(*body))
        rc = hp_err_set(err, HP_E_INVALID, "the body is not a JSON object");
    else if (known != NULL)
        rc = hp_json_check_fields(*body, known, err);
    if (rc != 0) {
        json_decref(*body);
        *body = NULL;
    }
    return rc;
}

int hp_json_get_text(const json_t *body, const char *field, const char **out, hp_err_t *err)
{
    const json_t *value = json_object_get(body, field);
    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return hp_err_set(err, HP_E_INVALID, "%s: must be text", field);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return hp_err_set(err, HP_E_INVALID, "%s: must not contain a NUL", field);
    *out = json_string_value(value);
    return 0;
}

int hp_json_get_int(const json_t *body, const char *field, int64_t min, int64_t max, int64_t *out,
                    bool *given, hp_err_t *err)
{
    const json_t *value = json_object_get(body, field);
    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
        return hp_err_set(err, HP_E_INVALID, "%s: must be a whole number from %lld to %lld", field,
                          (long long)min, (long long)max);
    *out = json_integer_value(value);
    if (given != NULL)
        *given = true;
    return 0;
}

int hp_json_get_bool(const json_t *body, const char *field, bool *out, bool *given, hp_err_t *err)
{
    const json_t *value = json_object_get(body, field);
    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_boolean(value))
        return hp_err_set(err, HP_E_INVALID, "%s: must be true or false", field);
    *out = json_is_true(value);
    if (given != NULL)
        *given = true;
    return 0;
}

/* Whether the raw query has a parameter of this name. */
static bool is_asked(const char *query, const char *name)
{
    size_t length = strlen(name);
    for (const char *p = query; p != NULL; p = strchr(p, '&')) {
        p += *p == '&';
        if (strncmp(p, name, length) == 0 && (p[length] == '=' || p[length] == '&' || p[length] == '\0'))
            return true;
    }
    return false;
}

int hp_param_get_text(hp_http_request_t *request, const char *name, const char **out, hp_err_t *err)
{
    const char *text = hp_http_query(request, name);
    if (text == NULL && is_asked(hp_http_query_text(request), name))
        return hp_err_set(err, HP_E_INVALID, "%s: is not correctly percent-encoded", name);
    if (text != NULL && text[0] != '\0') {
        if (!hp_utf8_valid(text, strlen(text)))
            return hp_err_set(err, HP_E_INVALID, "%s: is not valid UTF-8", name);
        *out = text;
    }
    return 0;
}

int hp_param_get_int(hp_http_request_t *request, const char *name, int64_t min, int64_t max, int64_t *out,
                     hp_err_t *err)
{
    const char *text = NULL;
    int rc = hp_param_get_text(request, name, &text, err);
    if (rc != 0 || text == NULL)
        return rc;
    char *end;
    size_t length = strlen(text);
    long long value = strtoll(text, &end, 10);
    if (length == 0 || length > 18 || strspn(text, "-0123456789") != length || *end != '\0' || value < min ||
        value > max)
        return hp_err_set(err, HP_E_INVALID, "%s: must be a whole number from %lld to %lld", name,
                          (long long)min, (long long)max);
    *out = value;
    return 0;
}

int hp_param_get_word(hp_http_request_t *request, const char *name, const char *const *words, int *out,
                      hp_err_t *err)
{
    const char *text = NULL;
    char all[128] = "";
    int rc = hp_param_get_text(request, name, &text, err);
    if (rc != 0 || text == NULL)
        return rc;
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return 0;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    return hp_err_set(err, HP_E_INVALID, "%s: must be one of %s", name, all);
}
