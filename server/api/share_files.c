/* GET /api/v1/share/files: what this host offers, as pages of a folder. */
#include "share/listing.h"

#include "api/internal.h"
#include "base/mem.h"

#define PAGE_DEFAULT 200

typedef struct {
    hp_api_op_t op;
    bool with_paths; /* of folders: what a search finds may lie anywhere */
} list_op_t;

static json_t *folder_json(const hp_share_entry_t *entry, bool with_path)
{
    json_t *json = json_object();
    json_object_set_new(json, "name", hp_json_text(hp_path_name(entry->path)));
    if (with_path)
        json_object_set_new(json, "path", hp_json_text(entry->path));
    json_object_set_new(json, "files", hp_json_count(entry->files));
    json_object_set_new(json, "bytes", hp_json_count(entry->size));
    return json;
}

static json_t *file_json(const hp_share_entry_t *entry)
{
    json_t *json = json_object();
    json_object_set_new(json, "path", hp_json_text(entry->path));
    json_object_set_new(json, "name", hp_json_text(hp_path_name(entry->path)));
    json_object_set_new(json, "size", hp_json_count(entry->size));
    json_object_set_new(json, "mtime", hp_json_time(entry->mtime_ns / 1000000));
    json_object_set_new(json, "type", json_string(hp_path_media_type(entry->path)));
    json_object_set_new(json, "root", hp_json_text_or_null(entry->root));
    json_object_set_new(json, "local", json_null());
    json_object_set_new(json, "removable", json_boolean(entry->own));
    return json;
}

static json_t *page_json(const hp_share_page_t *page, bool with_paths)
{
    json_t *json = json_object(), *folders = json_array(), *files = json_array();
    for (size_t i = 0; i < page->count; i++) {
        const hp_share_entry_t *entry = &page->entries[i];
        json_array_append_new(entry->is_folder ? folders : files,
                              entry->is_folder ? folder_json(entry, with_paths) : file_json(entry));
    }
    json_object_set_new(json, "folders", folders);
    json_object_set_new(json, "files", files);
    json_object_set_new(json, "next", hp_json_text_or_null(page->next));
    json_object_set_new(json, "total", hp_json_count(page->files));
    json_object_set_new(json, "folders_total", hp_json_count(page->folders));
    return json;
}

static bool given_up(void *arg)
{
    const hp_api_op_t *op = arg;
    return hp_api_is_closing(op->api) || hp_http_gone(op->request);
}

static void on_page(void *arg, int status, const hp_share_page_t *page, const hp_err_t *err)
{
    list_op_t *list = arg;
    if (status == 0)
        hp_http_reply_json(list->op.request, 200, page_json(page, list->with_paths));
    else
        hp_http_reply_problem(list->op.request, status == UV_ECANCELED ? HP_E_BUSY : status,
                              status == UV_ECANCELED ? NULL : err);
    hp_api_op_destroy(list);
}

void hp_api_get_share_files(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    static const char *const sorts[] = {"name", "size", "mtime", NULL};
    static const char *const directions[] = {"asc", "desc", NULL};
    hp_err_t err = {0};
    int sort = HP_SHARE_BY_NAME, direction = 0;
    int64_t limit = PAGE_DEFAULT;
    hp_share_query_t query = {.given_up = given_up};
    int rc = hp_param_get_word(request, "sort", sorts, &sort, &err);
    if (rc == 0)
        rc = hp_param_get_word(request, "order", directions, &direction, &err);
    if (rc == 0)
        rc = hp_param_get_int(request, "limit", 1, HP_SHARE_PAGE_MAX, &limit, &err);
    if (rc == 0)
        rc = hp_param_get_text(request, "folder", &query.folder, &err);
    if (rc == 0)
        rc = hp_param_get_text(request, "q", &query.q, &err);
    if (rc == 0)
        rc = hp_param_get_text(request, "cursor", &query.cursor, &err);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    query.sort = (hp_share_sort_t)sort;
    query.descending = direction == 1;
    query.limit = (size_t)limit;
    list_op_t *list = hp_api_op_create(sizeof *list, api, request);
    list->with_paths = query.q != NULL;
    hp_share_page(api->deps.share, &query, on_page, list);
}
