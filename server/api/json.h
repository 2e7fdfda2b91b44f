/* Things of the modules as the API's JSON, and the API's JSON as values. What describes the objects is
 * openapi.yaml. No text that is not valid UTF-8 gets through: it is made printable. Any thread. */
#ifndef HP_API_JSON_H
#define HP_API_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "discovery/hosts.h"
#include "localsend/devices.h"
#include "http/http.h"
#include "message/message.h"
#include "transfer/transfer.h"

/* ---- out ---- */

json_t *hp_json_text(const char *text);         /* NULL is null */
json_t *hp_json_text_or_null(const char *text); /* "" is null too */
json_t *hp_json_count(uint64_t value);
json_t *hp_json_count_or_null(int64_t value);  /* below 0 is null */
json_t *hp_json_time(int64_t wall_ms);         /* RFC 3339 */
json_t *hp_json_time_or_null(int64_t wall_ms); /* 0 or below is null */

json_t *hp_json_host(const hp_host_t *host);
json_t *hp_json_device(const hp_device_t *device); /* as a host of the kind localsend */
json_t *hp_json_download(const hp_download_info_t *info);
json_t *hp_json_connection(const hp_http_connection_t *connection, const char *host);
json_t *hp_json_message(const hp_message_t *message);
json_t *hp_json_log_entry(const hp_log_entry_t *entry);

/* Compact text, malloced. Takes the reference. */
char *hp_json_dump(json_t *json);

/* ---- in ---- */

/* The request's body as an object that has no fields but the known ones (NULL at the end of the list; without
 * a list the caller looks at the fields). 0 with *body for the caller to json_decref(); HP_E_BAD_JSON,
 * HP_E_INVALID naming the field, HP_E_TOO_LARGE. */
int hp_json_read_body(hp_http_request_t *request, const char *const *known, json_t **body, hp_err_t *err);
/* The same where bodies of more than 256 KiB make sense: of at most max bytes, which the listener takes 8 MiB
 * of. */
int hp_json_read_long_body(hp_http_request_t *request, size_t max, const char *const *known, json_t **body,
                           hp_err_t *err);

/* HP_E_INVALID where the body has a field that is not known, and the same of one field. */
int hp_json_check_fields(const json_t *body, const char *const *known, hp_err_t *err);
int hp_json_refuse_field(const char *field, hp_err_t *err);

/* Each reads a field that may be missing or null: *out is then left as it is, and false is what *given says
 * (given may be NULL). HP_E_INVALID names the field. Text is valid as long as the body; a NUL in it is
 * refused. */
int hp_json_get_text(const json_t *body, const char *field, const char **out, hp_err_t *err);
int hp_json_get_int(const json_t *body, const char *field, int64_t min, int64_t max, int64_t *out,
                    bool *given, hp_err_t *err);
int hp_json_get_bool(const json_t *body, const char *field, bool *out, bool *given, hp_err_t *err);

/* The same for parameters of the query; an empty one counts as missing. Text lives until the request's last
 * release. */
int hp_param_get_text(hp_http_request_t *request, const char *name, const char **out, hp_err_t *err);
int hp_param_get_int(hp_http_request_t *request, const char *name, int64_t min, int64_t max, int64_t *out,
                     hp_err_t *err);

/* The index of the parameter's value among the words (NULL at the end). */
int hp_param_get_word(hp_http_request_t *request, const char *name, const char *const *words, int *out,
                      hp_err_t *err);

#endif
