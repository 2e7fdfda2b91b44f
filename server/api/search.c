/* Search over the file lists of all hosts: GET /api/v1/search. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"
#include "db/remote_file.h"

#define RESULTS_DEFAULT 200
#define RESULTS_MAX     1000

typedef struct {
    hp_api_op_t op;
    char *q;
    size_t limit;
    char *json;
} search_op_t;

static void search_destroy(search_op_t *op)
{
    free(op->q);
    free(op->json);
    hp_api_op_destroy(op);
}

static json_t *result_json(const hp_remote_result_t *result)
{
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
    json_object_set_new(json, "copies", copies);
    return json;
}

/* Store thread. */
static int search(hp_db_t *db, void *arg, hp_err_t *err)
{
    search_op_t *op = arg;
    hp_remote_results_t results;
    int rc = hp_remote_search(db, op->q, op->limit, &results, err);
    if (rc != 0)
        return rc;
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < results.count; i++)
        json_array_append_new(list, result_json(&results.items[i]));
    json_object_set_new(json, "results", list);
    json_object_set_new(json, "more", json_boolean(results.more));
    hp_remote_results_dispose(&results);
    op->json = hp_json_dump(json);
    return 0;
}

static void on_results(void *arg, int status, const hp_err_t *err)
{
    search_op_t *op = arg;
    if (status == 0) {
        hp_api_reply_text(op->op.request, 200, op->json);
        op->json = NULL;
    } else {
        hp_http_reply_problem(op->op.request, status, err);
    }
    search_destroy(op);
}

void hp_api_get_search(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_err_t err = {0};
    int64_t limit = RESULTS_DEFAULT;
    const char *q = NULL;
    int rc = hp_param_get_int(request, "limit", 1, RESULTS_MAX, &limit, &err);
    if (rc == 0)
        rc = hp_param_get_text(request, "q", &q, &err);
    if (rc == 0 && q == NULL)
        rc = hp_err_set(&err, HP_E_INVALID, "q: is missing");
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    search_op_t *op = hp_api_op_create(sizeof *op, api, request);
    op->q = hp_strdup(q);
    op->limit = (size_t)limit;
    hp_store_post(api->deps.store, HP_STORE_READ, search, on_results, op);
}
