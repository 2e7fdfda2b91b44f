/* Pairings: /api/v1/pairings and /api/v1/hosts/{id}/pair. */
#include "api/internal.h"

static json_t *pairing_json(const hp_pairing_info_t *info)
{
    json_t *json = json_object();
    json_object_set_new(json, "host", hp_json_text(info->host));
    json_object_set_new(json, "code", hp_json_text_or_null(info->code));
    json_object_set_new(json, "state", hp_json_text(hp_pairing_state_name(info->state)));
    json_object_set_new(json, "incoming", json_boolean(info->incoming));
    json_object_set_new(json, "expires_at", hp_json_time(info->expires_at));
    json_object_set_new(json, "reason", hp_json_text_or_null(info->reason));
    return json;
}

json_t *hp_api_pairing_json(hp_api_t *api, const char *host)
{
    hp_pairing_info_t info;
    return hp_pairings_get(api->deps.pairings, host, &info) ? pairing_json(&info) : NULL;
}

void hp_api_get_pairings(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    json_t *list = json_array(), *json = json_object();
    for (size_t i = 0; i < hp_pairings_count(api->deps.pairings); i++) {
        hp_pairing_info_t info;
        hp_pairings_at(api->deps.pairings, i, &info);
        json_array_append_new(list, pairing_json(&info));
    }
    json_object_set_new(json, "pairings", list);
    hp_http_reply_json(request, 200, json);
}

static void reply(hp_api_t *api, hp_http_request_t *request, const char *host, int rc, const hp_err_t *err)
{
    if (rc == 0)
        hp_http_reply_json(request, 202, hp_api_pairing_json(api, host));
    else
        hp_http_reply_problem(request, rc, err);
}

void hp_api_post_host_pair(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_err_t err = {0};
    reply(api, request, arg, hp_pairings_begin(api->deps.pairings, arg, &err), &err);
}

void hp_api_post_host_pair_confirm(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_err_t err = {0};
    reply(api, request, arg, hp_pairings_confirm(api->deps.pairings, arg, &err), &err);
}

void hp_api_delete_host_pair(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_pairings_end(api->deps.pairings, arg, hp_api_op_reply_empty,
                    hp_api_op_create(sizeof(hp_api_op_t), api, request));
}
