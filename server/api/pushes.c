/* POST /api/v1/hosts/{id}/push and /api/v1/pushes: files of the share for other hosts, and those that are set
 * aside for one (upload.c puts them there). */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"
#include "push/push.h"
#include "share/aside.h"

static json_t *push_json(const hp_push_info_t *info)
{
    json_t *json = json_object(), *paths = json_array();
    for (size_t i = 0; i < info->count; i++)
        json_array_append_new(paths, hp_json_text(info->paths[i]));
    json_object_set_new(json, "id", json_integer(info->id));
    json_object_set_new(json, "host", hp_json_text(info->host));
    json_object_set_new(json, "paths", paths);
    json_object_set_new(json, "aside", json_boolean(info->aside));
    json_object_set_new(json, "state", json_string(hp_push_state_name(info->state)));
    json_object_set_new(json, "reason", hp_json_text_or_null(info->reason));
    json_object_set_new(json, "code", info->code != 0 ? json_string(hp_err_slug(info->code)) : json_null());
    json_object_set_new(json, "offered", hp_json_count(info->offered));
    json_object_set_new(json, "taken", info->answered ? hp_json_count(info->taken) : json_null());
    json_object_set_new(json, "size", hp_json_count(info->size));
    json_object_set_new(json, "done_bytes", hp_json_count(info->done_bytes));
    json_object_set_new(json, "created_at", hp_json_time(info->created_at));
    json_object_set_new(json, "finished_at", hp_json_time_or_null(info->finished_at));
    return json;
}

json_t *hp_api_push_json(hp_api_t *api, int64_t id)
{
    hp_push_info_t info;
    return hp_pushes_get(api->deps.pushes, id, &info) ? push_json(&info) : NULL;
}

void hp_api_get_pushes(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < hp_pushes_count(api->deps.pushes); i++) {
        hp_push_info_t info;
        hp_pushes_at(api->deps.pushes, i, &info);
        json_array_append_new(list, push_json(&info));
    }
    json_object_set_new(json, "pushes", list);
    hp_http_reply_json(request, 200, json);
}

static int read_paths(const json_t *body, const char ***paths, size_t *count, hp_err_t *err)
{
    const json_t *list = json_object_get(body, "paths");
    if (!json_is_array(list))
        return hp_err_set(err, HP_E_INVALID, "paths: must be a list of paths");
    *paths = hp_alloc_array(json_array_size(list) + 1, sizeof **paths);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *path = json_array_get(list, i);
        if (!json_is_string(path) || strlen(json_string_value(path)) != json_string_length(path))
            return hp_err_set(err, HP_E_INVALID, "paths: must be a list of paths");
        (*paths)[(*count)++] = json_string_value(path);
    }
    return 0;
}

void hp_api_post_host_push(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    static const char *const known[] = {"paths", "pin", NULL};
    const char **paths = NULL, *pin = NULL;
    hp_err_t err = {0};
    json_t *body = NULL;
    size_t count = 0;
    int64_t id = 0;
    int rc = hp_json_read_body(request, known, &body, &err);
    if (rc == 0)
        rc = hp_json_get_text(body, "pin", &pin, &err);
    if (rc == 0)
        rc = read_paths(body, &paths, &count, &err);
    if (rc == 0)
        rc = hp_pushes_begin(api->deps.pushes, arg, paths, count, pin, &id, &err);
    if (rc == 0)
        hp_http_reply_json(request, 202, hp_api_push_json(api, id));
    else
        hp_http_reply_problem(request, rc, &err);
    free(paths);
    json_decref(body);
}

void hp_api_post_host_aside(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    char id[HP_ASIDE_ID_SIZE];
    hp_err_t err = {0};
    int rc = hp_pushes_check(api->deps.pushes, arg, &err);
    if (rc == 0)
        rc = hp_aside_begin(api->deps.share, arg, id, &err);
    if (rc == 0)
        hp_http_reply_json(request, 201, json_pack("{s:s}", "id", id));
    else
        hp_http_reply_problem(request, rc, &err);
}

void hp_api_delete_aside(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_err_t err = {0};
    int rc = hp_aside_end(api->deps.share, arg, &err);
    if (rc == 0)
        hp_http_reply_empty(request, 204);
    else
        hp_http_reply_problem(request, rc, &err);
}

void hp_api_delete_push(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_err_t err = {0};
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    int rc = hp_pushes_cancel(api->deps.pushes, id, &err);
    if (rc == 0)
        hp_http_reply_empty(request, 204);
    else
        hp_http_reply_problem(request, rc, &err);
}
