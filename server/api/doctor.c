/* /api/v1/doctor: looks at what is wrong with the network. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "doctor/doctor.h"

static json_t *look_json(const hp_doctor_look_t *look)
{
    json_t *json = json_object();
    json_object_set_new(json, "id", json_integer(look->id));
    json_object_set_new(json, "host", hp_json_text_or_null(look->host));
    json_object_set_new(json, "running", json_boolean(look->running));
    json_object_set_new(json, "started_at", hp_json_time(look->started_at));
    json_object_set_new(json, "finished_at", hp_json_time_or_null(look->finished_at));
    json_object_set_new(json, "findings", hp_findings_json(look->findings));
    return json;
}

json_t *hp_api_doctor_json(hp_api_t *api, int64_t id)
{
    hp_doctor_look_t look;
    return hp_doctor_get(api->deps.doctor, id, &look) ? look_json(&look) : NULL;
}

void hp_api_get_doctor(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < hp_doctor_count(api->deps.doctor); i++) {
        hp_doctor_look_t look;
        hp_doctor_at(api->deps.doctor, i, &look);
        json_array_append_new(list, look_json(&look));
    }
    json_object_set_new(json, "looks", list);
    hp_http_reply_json(request, 200, json);
}

void hp_api_get_look(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    json_t *json = hp_api_doctor_json(api, id);
    if (json != NULL)
        hp_http_reply_json(request, 200, json);
    else
        hp_http_reply_problem(request, HP_E_NOT_FOUND, NULL);
}

void hp_api_post_doctor(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    static const char *const known[] = {"host", NULL};
    hp_err_t err = {0};
    json_t *body = NULL;
    const char *host = NULL;
    int64_t id = 0;
    int rc = hp_json_read_body(request, known, &body, &err);
    if (rc == 0)
        rc = hp_json_get_text(body, "host", &host, &err);
    if (rc == 0)
        rc = hp_doctor_begin(api->deps.doctor, host, &id, &err);
    if (rc == 0)
        hp_http_reply_json(request, 202, hp_api_doctor_json(api, id));
    else
        hp_http_reply_problem(request, rc, &err);
    json_decref(body);
}
