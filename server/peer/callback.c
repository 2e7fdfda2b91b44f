/* POST /hostpair/callback: another host asks whether it can be connected to from here. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "doctor/doctor.h"
#include "internal.h"

static const char *reason_of(int result)
{
    return result == UV_ECONNREFUSED ? "refused" : result == UV_ETIMEDOUT ? "timeout" : "unreachable";
}

static json_t *called_json(hp_http_request_t *request, const hp_called_back_t *called, int64_t port)
{
    json_t *json = json_object();
    json_object_set_new(json, "connected", json_boolean(called->result == 0));
    json_object_set_new(json, "address", json_string(hp_http_who(request)->address));
    json_object_set_new(json, "port", json_integer(port));
    json_object_set_new(json, "reason",
                        called->result == 0 ? json_null() : json_string(reason_of(called->result)));
    json_object_set_new(json, "ms", json_integer(called->ms));
    json_object_set_new(json, "id", called->id[0] != '\0' ? json_string(called->id) : json_null());
    return json;
}

typedef struct {
    hp_http_request_t *request;
    int64_t port;
} op_t;

static void on_called(void *arg, int status, const hp_called_back_t *called, const hp_err_t *err)
{
    op_t *op = arg;
    char seconds[16];
    if (called->retry_after_s > 0) {
        snprintf(seconds, sizeof seconds, "%u", called->retry_after_s);
        hp_http_set_header(op->request, "Retry-After", seconds);
    }
    if (status == 0)
        hp_http_reply_json(op->request, 200, called_json(op->request, called, op->port));
    else
        hp_http_reply_text_error(op->request, status == UV_ECANCELED ? HP_E_BUSY : status,
                                 err->detail[0] != '\0' ? err->detail : NULL);
    hp_http_release(op->request);
    free(op);
}

/* Whether it asks for another address than its own. */
static bool asks_elsewhere(const json_t *json, const hp_who_t *who)
{
    const json_t *address = json_object_get(json, "address");
    return address != NULL &&
           (!json_is_string(address) || strcmp(json_string_value(address), who->address) != 0);
}

void hp_peer_callback(hp_peer_t *peer, hp_http_request_t *request)
{
    size_t length;
    const char *body = hp_http_body(request, &length);
    json_t *json = json_loadb(body, length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *port = json_object_get(json, "port");
    if (!json_is_object(json)) {
        hp_http_reply_text_error(request, HP_E_BAD_JSON, NULL);
    } else if (asks_elsewhere(json, hp_http_who(request))) {
        hp_http_reply_text_error(
            request, HP_E_INVALID,
            "address: a host is called back at the address that it asks from, and nowhere else");
    } else if (!json_is_integer(port)) {
        hp_http_reply_text_error(request, HP_E_INVALID, "port: must be a number from 1 to 65535");
    } else {
        op_t *op = hp_alloc(sizeof *op);
        *op = (op_t){.request = request, .port = json_integer_value(port)};
        hp_http_addref(request);
        hp_doctor_call_back(peer->doctor, hp_http_who(request), op->port, on_called, op);
    }
    json_decref(json);
}
