/* /api/v1/kept: what was kept of cancelled downloads. */
#include "transfer/cancelled.h"

#include "api/internal.h"

typedef struct {
    hp_api_op_t op;
    json_t *list;
} kept_op_t;

static void add(void *arg, const hp_download_info_t *info)
{
    kept_op_t *kept = arg;
    json_t *json = json_object();
    json_object_set_new(json, "id", json_integer(info->id));
    json_object_set_new(json, "name", hp_json_text(info->name));
    json_object_set_new(json, "path", hp_json_text(info->path));
    json_object_set_new(json, "folder", json_boolean(info->folder));
    json_object_set_new(json, "created_at", hp_json_time(info->created_at));
    json_object_set_new(json, "kept_at",
                        info->finished_at > 0 ? hp_json_time(info->finished_at) : json_null());
    json_object_set_new(json, "size", info->size_known ? hp_json_count(info->size) : json_null());
    json_object_set_new(json, "done_bytes", hp_json_count(info->done_bytes));
    json_array_append_new(kept->list, json);
}

static void on_listed(void *arg, int status, const hp_err_t *err)
{
    kept_op_t *kept = arg;
    if (status == 0)
        hp_http_reply_json(kept->op.request, 200, json_pack("{s:O}", "kept", kept->list));
    else
        hp_http_reply_problem(kept->op.request, status, err);
    json_decref(kept->list);
    hp_api_op_destroy(kept);
}

void hp_api_get_kept(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    kept_op_t *kept = hp_api_op_create(sizeof *kept, api, request);
    kept->list = json_array();
    hp_transfer_kept(api->deps.transfer, add, on_listed, kept);
}

static void on_removed(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    hp_api_op_t *op = arg;
    (void)id, (void)existing;
    if (status == 0)
        hp_http_reply_empty(op->request, 204);
    else
        hp_http_reply_problem(op->request, status, err);
    hp_api_op_destroy(op);
}

void hp_api_delete_kept(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    if (hp_api_read_number(request, arg, &id))
        hp_transfer_remove_kept(api->deps.transfer, id, on_removed,
                                hp_api_op_create(sizeof(hp_api_op_t), api, request));
}
