/* The files of another host, from the list that is kept of it: GET /api/v1/hosts/{id}/files. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"
#include "discovery/browse.h"

#define PAGE_DEFAULT 200

typedef struct {
    hp_api_op_t op;
    char *host, *folder, *q, *cursor;
    hp_browse_query_t query; /* its texts are the ones above */
    bool refreshed;          /* the list was fetched for this request */
    char *json;
} page_op_t;

static void page_destroy(page_op_t *page)
{
    free(page->host);
    free(page->folder);
    free(page->q);
    free(page->cursor);
    free(page->json);
    hp_api_op_destroy(page);
}

/* What a search finds may lie anywhere; elsewhere the path is known from the folder that was asked for. */
static json_t *folders_json(const hp_browse_page_t *page, bool with_paths)
{
    json_t *list = json_array();
    for (size_t i = 0; i < page->folder_count; i++) {
        json_t *json = json_object();
        json_object_set_new(json, "name", hp_json_text(page->folders[i].name));
        if (with_paths)
            json_object_set_new(json, "path", hp_json_text(page->folders[i].path));
        json_object_set_new(json, "files", hp_json_count_or_null(page->folders[i].files));
        json_object_set_new(json, "bytes", hp_json_count_or_null(page->folders[i].bytes));
        json_array_append_new(list, json);
    }
    return list;
}

static json_t *files_json(const hp_browse_page_t *page)
{
    json_t *list = json_array();
    for (size_t i = 0; i < page->file_count; i++) {
        const hp_browse_file_t *file = &page->files[i];
        json_t *json = json_object();
        json_object_set_new(json, "path", hp_json_text(file->path));
        json_object_set_new(json, "name", hp_json_text(file->name));
        json_object_set_new(json, "size", hp_json_count_or_null(file->size));
        json_object_set_new(json, "mtime", file->has_time ? hp_json_time(file->mtime) : json_null());
        json_object_set_new(json, "type", json_string(hp_path_media_type(file->name)));
        json_object_set_new(json, "root", hp_json_text_or_null(file->root));
        json_object_set_new(json, "local", hp_json_text_or_null(file->local));
        json_array_append_new(list, json);
    }
    return list;
}

/* Store thread. */
static void show_page(void *arg, const hp_browse_page_t *page)
{
    page_op_t *op = arg;
    json_t *json = json_object();
    json_object_set_new(json, "folders", folders_json(page, op->q != NULL));
    json_object_set_new(json, "files", files_json(page));
    json_object_set_new(json, "next", hp_json_text_or_null(page->next));
    json_object_set_new(json, "total", hp_json_count_or_null(page->files_total));
    json_object_set_new(json, "folders_total", hp_json_count_or_null(page->folders_total));
    op->json = hp_json_dump(json);
}

static void on_refreshed(void *arg, int status, const hp_err_t *err);

static void on_page(void *arg, int status, const hp_err_t *err)
{
    page_op_t *op = arg;
    if (status == HP_E_NOT_FOUND && !op->refreshed && !hp_api_is_closing(op->op.api)) {
        const hp_host_t *host = hp_hosts_find(op->op.api->deps.hosts, op->host);
        if (host != NULL && !host->listed) {
            /* A host that was found a moment ago: its list is on the way, or was never had. */
            op->refreshed = true;
            hp_hosts_refresh(op->op.api->deps.hosts, op->host, false, on_refreshed, op);
            return;
        }
    }
    if (status == 0) {
        hp_api_reply_text(op->op.request, 200, op->json);
        op->json = NULL;
    } else {
        hp_http_reply_problem(op->op.request, status, err);
    }
    page_destroy(op);
}

static void on_refreshed(void *arg, int status, const hp_err_t *err)
{
    page_op_t *op = arg;
    if (status == 0 && !hp_api_is_closing(op->op.api)) {
        hp_browse_page(op->op.api->deps.hosts, &op->query, show_page, on_page, op);
        return;
    }
    hp_http_reply_problem(op->op.request, status != 0 ? status : HP_E_BUSY, err);
    page_destroy(op);
}

static int copy_param(hp_http_request_t *request, const char *name, char **copy, hp_err_t *err)
{
    const char *value = NULL;
    int rc = hp_param_get_text(request, name, &value, err);
    *copy = value != NULL ? hp_strdup(value) : NULL;
    return rc;
}

static int read_query(hp_http_request_t *request, page_op_t *op, hp_err_t *err)
{
    static const char *const sorts[] = {"name", "size", "mtime", NULL};
    static const char *const directions[] = {"asc", "desc", NULL};
    int sort = 0, direction = 0;
    int64_t limit = PAGE_DEFAULT;
    int rc = hp_param_get_word(request, "sort", sorts, &sort, err);
    if (rc == 0)
        rc = hp_param_get_word(request, "order", directions, &direction, err);
    if (rc == 0)
        rc = hp_param_get_int(request, "limit", 1, HP_BROWSE_PAGE_MAX, &limit, err);
    if (rc == 0)
        rc = copy_param(request, "folder", &op->folder, err);
    if (rc == 0)
        rc = copy_param(request, "q", &op->q, err);
    if (rc == 0)
        rc = copy_param(request, "cursor", &op->cursor, err);
    if (rc != 0)
        return rc;
    op->query = (hp_browse_query_t){
        .host = op->host,
        .folder = op->folder,
        .q = op->q,
        .sort = (hp_browse_sort_t)sort,
        .descending = direction == 1,
        .limit = (size_t)limit,
        .cursor = op->cursor,
    };
    return 0;
}

static const hp_host_t *find_or_reply(hp_api_t *api, hp_http_request_t *request, const char *id)
{
    const hp_host_t *host = hp_hosts_find(api->deps.hosts, id);
    hp_err_t err;
    if (host == NULL) {
        hp_err_set(&err, HP_E_NOT_FOUND, "there is no host %s", id);
        hp_http_reply_problem(request, HP_E_NOT_FOUND, &err);
    }
    return host;
}

void hp_api_get_host_files(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_err_t err = {0};
    if (find_or_reply(api, request, arg) == NULL)
        return;
    hp_hosts_look(api->deps.hosts, arg); /* what is answered now is the list that is stored */
    page_op_t *op = hp_api_op_create(sizeof *op, api, request);
    op->host = hp_strdup(arg);
    int rc = read_query(request, op, &err);
    if (rc == 0) {
        hp_browse_page(api->deps.hosts, &op->query, show_page, on_page, op);
        return;
    }
    hp_http_reply_problem(request, rc, &err);
    page_destroy(op);
}

/* What came of it is in the host: listing, list_error. */
static void on_refresh_done(void *arg, int status, const hp_err_t *err)
{
    if (status != 0 && status != UV_ECANCELED)
        hp_log(HP_LOG_INFO, "file list asked for by hand: %s", hp_err_text(err));
    hp_api_op_destroy(arg);
}

void hp_api_post_host_files_refresh(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    if (find_or_reply(api, request, arg) == NULL)
        return;
    hp_hosts_refresh(api->deps.hosts, arg, true, on_refresh_done,
                     hp_api_op_create(sizeof(hp_api_op_t), api, NULL));
    const hp_host_t *host = hp_hosts_find(api->deps.hosts, arg);
    hp_http_reply_json(request, 202, host != NULL ? hp_json_host(host) : json_object());
}
