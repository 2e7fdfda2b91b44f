/* GET and PATCH /api/v1/settings: the table of server/settings as JSON. */
#include "settings/settings.h"

#include <string.h>

#include "api/internal.h"
#include "api/orders.h"

json_t *hp_api_settings_json(hp_api_t *api)
{
    const hp_settings_t *settings = api->deps.settings;
    json_t *json = json_object();
    for (size_t i = 0; i < hp_settings_count; i++) {
        const hp_setting_t *row = &hp_settings_table[i];
        json_t *value;
        if (hp_setting_is_text(row))
            value = hp_json_text(hp_settings_text(settings, row->name));
        else if (row->type == HP_SETTING_SWITCH)
            value = json_boolean(hp_settings_flag(settings, row->name));
        else
            value = json_integer(hp_settings_number(settings, row->name));
        json_object_set_new(json, row->name, value);
    }
    return json;
}

void hp_api_get_settings(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_http_reply_json(request, 200, hp_api_settings_json(api));
}

void hp_api_settings_changed(void *arg)
{
    hp_api_t *api = arg;
    if (hp_api_is_closing(api))
        return;
    hp_events_touch(api->events, HP_TOPIC_STATUS, "");
    hp_events_touch(api->events, HP_TOPIC_SETTINGS, "");
}

static int read_value(hp_settings_change_t *change, const hp_setting_t *row, const json_t *value,
                      hp_err_t *err)
{
    if (hp_setting_is_text(row)) {
        if (!json_is_string(value))
            return hp_err_set(err, HP_E_INVALID, "%s: must be text", row->name);
        if (strlen(json_string_value(value)) != json_string_length(value))
            return hp_err_set(err, HP_E_INVALID, "%s: must not contain a NUL", row->name);
        return hp_settings_change_text(change, row, json_string_value(value), err);
    }
    if (row->type == HP_SETTING_SWITCH) {
        if (!json_is_boolean(value))
            return hp_err_set(err, HP_E_INVALID, "%s: must be true or false", row->name);
        return hp_settings_change_number(change, row, json_is_true(value), err);
    }
    if (!json_is_integer(value))
        return hp_err_set(err, HP_E_INVALID, "%s: must be a whole number", row->name);
    return hp_settings_change_number(change, row, json_integer_value(value), err);
}

int hp_api_read_settings(json_t *body, hp_settings_change_t *change, hp_err_t *err)
{
    json_t *value;
    const char *name;
    int rc = 0;
    json_object_foreach(body, name, value)
    {
        const hp_setting_t *row = hp_setting_find(name);
        if (rc != 0)
            break;
        rc = row != NULL ? read_value(change, row, value, err) : hp_json_refuse_field(name, err);
    }
    return rc;
}

static void on_changed(void *arg, int status, const hp_err_t *err)
{
    hp_api_op_t *op = arg;
    status = hp_api_op_status(op, status);
    if (status == 0)
        hp_http_reply_json(op->request, 200, hp_api_settings_json(op->api));
    else
        hp_http_reply_problem(op->request, status, err);
    hp_api_op_destroy(op);
}

void hp_api_patch_settings(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_err_t err = {0};
    hp_settings_change_t *change = hp_settings_change_create(api->deps.settings);
    json_t *body = NULL;
    int rc = hp_json_read_body(request, NULL, &body, &err);
    if (rc == 0)
        rc = hp_api_read_settings(body, change, &err);
    json_decref(body);
    if (rc == 0) {
        hp_settings_change_commit(change, on_changed, hp_api_op_create(sizeof(hp_api_op_t), api, request));
        return;
    }
    hp_settings_change_destroy(change);
    hp_http_reply_problem(request, rc, &err);
}
