/* Search over the file lists of all hosts: GET /api/v1/search. */
#include "discovery/browse.h"

#include <stdlib.h>

#include "api/internal.h"
#include "base/buf.h"
#include "base/mem.h"

#define RESULTS_DEFAULT 200

typedef struct {
    hp_api_op_t op;
    hp_buf_t results; /* JSON, written in the store's thread */
    bool more;
} search_op_t;

/* Store thread. */
static void add_result(void *arg, const hp_browse_result_t *result)
{
    search_op_t *op = arg;
    json_t *json = json_object(), *copies = json_array();
    for (size_t i = 0; i < result->copy_count; i++) {
        json_t *copy = json_object();
        json_object_set_new(copy, "host", hp_json_text(result->copies[i].host));
        json_object_set_new(copy, "path", hp_json_text(result->copies[i].path));
        json_array_append_new(copies, copy);
    }
    json_object_set_new(json, "name", hp_json_text(result->name));
    json_object_set_new(json, "size", hp_json_count_or_null(result->size));
    json_object_set_new(json, "root", hp_json_text_or_null(result->root));
    json_object_set_new(json, "folder", json_boolean(result->is_folder));
    json_object_set_new(json, "copies", copies);
    char *text = hp_json_dump(json);
    hp_buf_add_text(&op->results, op->results.length > 0 ? "," : "");
    hp_buf_add_text(&op->results, text);
    free(text);
}

static void on_results(void *arg, int status, const hp_err_t *err)
{
    search_op_t *op = arg;
    if (status == 0)
        hp_api_reply_text(op->op.request, 200,
                          hp_sprintf("{\"results\":[%s],\"more\":%s}",
                                     op->results.length > 0 ? (const char *)op->results.data : "",
                                     op->more ? "true" : "false"));
    else
        hp_http_reply_problem(op->op.request, status, err);
    hp_buf_dispose(&op->results);
    hp_api_op_destroy(op);
}

void hp_api_get_search(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_err_t err = {0};
    int64_t limit = RESULTS_DEFAULT;
    const char *q = NULL;
    int rc = hp_param_get_int(request, "limit", 1, HP_BROWSE_RESULTS_MAX, &limit, &err);
    if (rc == 0)
        rc = hp_param_get_text(request, "q", &q, &err);
    if (rc == 0 && q == NULL)
        rc = hp_err_set(&err, HP_E_INVALID, "q: is missing");
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    search_op_t *op = hp_api_op_create(sizeof *op, api, request);
    hp_buf_init(&op->results, SIZE_MAX / 2);
    hp_browse_search(api->deps.hosts, q, (size_t)limit, &op->more, add_result, on_results, op);
}
