#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "secured.h"

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {507, "Insufficient Storage"},
};

const char *hp_status_reason(int status)
{
    for (size_t i = 0; i < HP_COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* A field's text as it may stand on the wire: no control character, so that no value can start a line of its
 * own. */
static h2o_iovec_t field_text(h2o_mem_pool_t *pool, const char *text)
{
    h2o_iovec_t copy = h2o_strdup(pool, text, strlen(text));
    for (size_t i = 0; i < copy.len; i++)
        if ((unsigned char)copy.base[i] < ' ' || copy.base[i] == 0x7f)
            copy.base[i] = ' ';
    return copy;
}

static void add_header(h2o_req_t *req, const char *name, const char *value)
{
    h2o_iovec_t original = field_text(&req->pool, name), text = field_text(&req->pool, value);
    h2o_iovec_t lower = h2o_strdup(&req->pool, original.base, original.len);
    h2o_strtolower(lower.base, lower.len);
    h2o_add_header_by_str(&req->pool, &req->res.headers, lower.base, lower.len, 1, original.base, text.base,
                          text.len);
}

void hp_http_set_header(hp_http_request_t *self, const char *name, const char *value)
{
    if (self->req != NULL && !self->replied)
        add_header(self->req, name, value);
}

h2o_req_t *hp_reply_begin(hp_http_request_t *self, int status, const char *content_type, uint64_t length)
{
    h2o_req_t *req = self->req;
    if (self->replied && self->connection != NULL)
        hp_log(HP_LOG_ERROR, "%s: a second reply, status %d, was given to %s",
               self->connection->listener->name, status, self->connection->path);
    if (self->replied || req == NULL)
        return NULL;
    self->replied = true;
    req->res.status = status;
    req->res.reason = hp_status_reason(status);
    req->res.content_length = status == 204 || status == 304 ? SIZE_MAX : length;
    if (content_type != NULL)
        add_header(req, "Content-Type", content_type);
    if (h2o_find_header_by_str(&req->res.headers, H2O_STRLIT("x-content-type-options"), -1) < 0)
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-content-type-options"), 0,
                              "X-Content-Type-Options", H2O_STRLIT("nosniff"));
    return req;
}

void hp_reply_start(hp_http_request_t *self, const hp_reply_type_t *type, void *reply)
{
    self->type = type;
    self->reply = reply;
    h2o_start_response(self->req, &self->generator);
}

void hp_reply_send(hp_http_request_t *self, const void *data, size_t length, h2o_send_state_t state)
{
    h2o_iovec_t piece = h2o_iovec_init(data, length);
    hp_connection_t *connection = self->connection;
    self->writing = true;
    self->finished = state == H2O_SEND_STATE_FINAL;
    self->ended = state != H2O_SEND_STATE_IN_PROGRESS;
    if (state != H2O_SEND_STATE_ERROR)
        hp_connection_sent(connection, length);
    h2o_send(self->req, &piece, length > 0 ? 1 : 0, state);
    if (connection->secured != NULL)
        hp_secured_pump(connection); /* rather than after the next look at the sockets */
}

void hp_reply_static(hp_http_request_t *self, int status, const char *content_type, const void *body,
                     size_t length)
{
    if (hp_reply_begin(self, status, content_type, length) == NULL)
        return;
    h2o_start_response(self->req, &self->generator);
    bool bodyless = self->is_head || status == 204 || status == 304;
    hp_reply_send(self, body, bodyless ? 0 : length, H2O_SEND_STATE_FINAL);
}

h2o_req_t *hp_reply_begin_body(hp_http_request_t *self, int status, const char *content_type, uint64_t length)
{
    h2o_req_t *req = hp_reply_begin(self, status, content_type, length);
    if (req == NULL || !self->is_head)
        return req;
    h2o_start_response(req, &self->generator);
    hp_reply_send(self, NULL, 0, H2O_SEND_STATE_FINAL);
    return NULL;
}

void hp_http_reply_empty(hp_http_request_t *self, int status)
{
    hp_reply_static(self, status, NULL, NULL, 0);
}

void hp_http_reply(hp_http_request_t *self, int status, const char *content_type, const void *body,
                   size_t length)
{
    if (self->req == NULL)
        return;
    if (!self->is_head && length > 0)
        body = memcpy(h2o_mem_alloc_pool(&self->req->pool, length), body, length);
    hp_reply_static(self, status, content_type, body, length);
}

void hp_http_reply_owned(hp_http_request_t *self, int status, const char *content_type, void *body,
                         size_t length)
{
    if (self->req == NULL) {
        free(body);
        return;
    }
    hp_request_at_disposal(self->req, free, body);
    hp_reply_static(self, status, content_type, body, length);
}

static void reply_json(hp_http_request_t *self, int status, const char *content_type, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
    json_decref(json);
    if (text == NULL) {
        hp_log(HP_LOG_ERROR, "a reply's JSON could not be written");
        hp_http_reply_text_error(self, HP_E_INTERNAL, NULL);
        return;
    }
    hp_http_reply_owned(self, status, content_type, text, strlen(text));
}

void hp_http_reply_json(hp_http_request_t *self, int status, json_t *json)
{
    reply_json(self, status, "application/json", json);
}

void hp_http_reply_problem(hp_http_request_t *self, int code, const hp_err_t *err)
{
    const char *title = hp_err_sentence(code);
    /* A detail may quote what the client sent, and JSON takes nothing but UTF-8. */
    char detail[4 * sizeof err->detail];
    const char *text = err != NULL && err->detail[0] != '\0' ? err->detail : title;
    if (!hp_utf8_valid(text, strlen(text)))
        text = hp_utf8_printable(text, strlen(text), detail, sizeof detail);
    json_t *json = json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title", title, "status",
                             hp_err_status(code), "detail", text, "code", hp_err_slug(code));
    reply_json(self, hp_err_status(code), "application/problem+json", json);
}

void hp_http_reply_method(hp_http_request_t *self, const char *allow)
{
    hp_http_set_header(self, "Allow", allow);
    if (self->connection != NULL && self->connection->listener->options.problem_json)
        hp_http_reply_problem(self, HP_E_METHOD, NULL);
    else
        hp_http_reply_text_error(self, HP_E_METHOD, NULL);
}

void hp_http_reply_text_error(hp_http_request_t *self, int code, const char *text)
{
    char body[512];
    int n = snprintf(body, sizeof body, "%s.\n", text != NULL ? text : hp_err_sentence(code));
    hp_http_reply(self, hp_err_status(code), "text/plain; charset=utf-8", body,
                  HP_MIN((size_t)n, sizeof body - 1));
}
