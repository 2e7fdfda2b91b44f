/* /api/v1/share/folders: the folders that are shared besides the main one. */
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"
#include "share/folders.h"

static json_t *folder_json(const hp_share_folder_t *folder)
{
    json_t *json = json_object();
    json_object_set_new(json, "name", hp_json_text(folder->name));
    json_object_set_new(json, "folder", hp_json_text(folder->path));
    json_object_set_new(json, "missing", json_boolean(folder->missing));
    return json;
}

static void add_folder(void *list, const hp_share_folder_t *folder)
{
    json_array_append_new(list, folder_json(folder));
}

json_t *hp_api_shared_folders_json(hp_api_t *api)
{
    json_t *list = json_array();
    hp_share_list_folders(api->deps.share, add_folder, list);
    return list;
}

void hp_api_get_share_folders(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_http_reply_json(request, 200, json_pack("{s:o}", "folders", hp_api_shared_folders_json(api)));
}

/* ---- another one ---- */

typedef struct {
    hp_api_op_t op;
    char *folder;
} order_t;

typedef struct {
    const char *path;
    json_t *found;
} search_t;

static void find(void *arg, const hp_share_folder_t *folder)
{
    search_t *search = arg;
    if (search->found == NULL && strcmp(folder->path, search->path) == 0)
        search->found = folder_json(folder);
}

static void on_added(void *arg, int status, const hp_err_t *err)
{
    order_t *order = arg;
    status = hp_api_op_status(order, status);
    search_t search = {.path = order->folder};
    if (status == 0)
        hp_share_list_folders(order->op.api->deps.share, find, &search);
    if (status == 0)
        hp_http_reply_json(order->op.request, 201, search.found != NULL ? search.found : json_object());
    else
        hp_http_reply_problem(order->op.request, status, err);
    free(order->folder);
    hp_api_op_destroy(order);
}

static int read_order(const json_t *body, const char **folder, const char **name, hp_err_t *err)
{
    int rc = hp_json_get_text(body, "folder", folder, err);
    if (rc == 0)
        rc = hp_json_get_text(body, "name", name, err);
    if (rc == 0 && *folder == NULL)
        rc = hp_err_set(err, HP_E_INVALID, "folder: is missing");
    return rc;
}

void hp_api_post_share_folders(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    static const char *const known[] = {"folder", "name", NULL};
    const char *folder = NULL, *name = NULL;
    hp_err_t err = {0};
    json_t *body = NULL;
    int rc = hp_json_read_body(request, known, &body, &err);
    if (rc == 0)
        rc = read_order(body, &folder, &name, &err);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        json_decref(body);
        return;
    }
    order_t *order = hp_api_op_create(sizeof *order, api, request);
    order->folder = hp_share_tidy_folder(folder);
    rc = hp_share_add_folder(api->deps.share, name, order->folder, on_added, order, &err);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        free(order->folder);
        hp_api_op_destroy(order);
    }
    json_decref(body);
}

/* ---- one less ---- */

void hp_api_delete_share_folder(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_err_t err = {0};
    hp_api_op_t *op = hp_api_op_create(sizeof *op, api, request);
    int rc = hp_share_remove_folder(api->deps.share, arg, hp_api_op_reply_empty, op, &err);
    if (rc == 0)
        return;
    hp_http_reply_problem(request, rc, &err);
    hp_api_op_destroy(op);
}
