/* Downloads: /api/v1/downloads and what stands below it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "api/orders.h"
#include "transfer/given.h"

static void reply_download(hp_api_t *api, hp_http_request_t *request, int status, int64_t id)
{
    hp_download_info_t info;
    hp_err_t err;
    int rc = hp_transfer_get(api->deps.transfer, id, &info);
    if (rc == 0) {
        hp_http_reply_json(request, status, hp_json_download(&info));
        return;
    }
    hp_err_set(&err, rc, "there is no download %lld", (long long)id);
    hp_http_reply_problem(request, rc, &err);
}

static void get_download(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    if (hp_api_read_number(request, arg, &id))
        reply_download(api, request, 200, id);
}

void hp_api_get_download(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_api_with_download(api, request, arg, get_download);
}

/* ---- orders ---- */

typedef struct {
    hp_api_op_t op;
    json_t *body; /* what the order's texts point into */
    hp_api_download_t download;
    bool refreshed;
} order_op_t;

static void order_destroy(order_op_t *op)
{
    hp_api_download_dispose(&op->download);
    json_decref(op->body);
    hp_api_op_destroy(op);
}

static void on_ordered(void *arg, int status, int64_t id, bool existing, const hp_err_t *err);

static void on_refreshed(void *arg, int status, const hp_err_t *err)
{
    (void)status, (void)err; /* the second try tells what is wrong */
    order_op_t *op = arg;
    if (hp_api_is_closing(op->op.api)) {
        hp_http_reply_problem(op->op.request, HP_E_BUSY, NULL);
        order_destroy(op);
        return;
    }
    hp_transfer_add(op->op.api->deps.transfer, &op->download.order, on_ordered, op);
}

/* A folder that is not in the stored list may be new: the list is fetched again, once. */
static bool wants_new_list(const order_op_t *op, int status)
{
    if (status != HP_E_NOT_FOUND || op->refreshed || op->download.order.folder == NULL ||
        hp_api_is_closing(op->op.api))
        return false;
    const hp_host_t *host = hp_hosts_find(op->op.api->deps.hosts, op->download.order.host);
    return host != NULL && host->online;
}

static void on_ordered(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    order_op_t *op = arg;
    if (wants_new_list(op, status)) {
        op->refreshed = true;
        hp_hosts_refresh(op->op.api->deps.hosts, op->download.order.host, false, on_refreshed, op);
        return;
    }
    if (status != 0 || hp_api_is_closing(op->op.api)) {
        hp_http_reply_problem(op->op.request, status != 0 ? status : HP_E_BUSY, err);
    } else {
        char location[64];
        snprintf(location, sizeof location, "/api/v1/downloads/%lld", (long long)id);
        if (!existing)
            hp_http_set_header(op->op.request, "Location", location);
        reply_download(op->op.api, op->op.request, existing ? 200 : 201, id);
    }
    order_destroy(op);
}

void hp_api_post_downloads(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_err_t err = {0};
    hp_api_download_t download = {0};
    json_t *body = NULL;
    int rc = hp_json_read_body(request, NULL, &body, &err);
    if (rc == 0)
        rc = hp_api_read_download(body, &download, &err);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        json_decref(body);
        return;
    }
    order_op_t *op = hp_api_op_create(sizeof *op, api, request);
    op->body = body;
    op->download = download;
    hp_transfer_add(api->deps.transfer, &op->download.order, on_ordered, op);
}

/* ---- changes ---- */

typedef struct {
    hp_api_op_t op;
    int64_t id;
    int status;   /* of the reply: 200, or 202 for started work */
    json_t *body; /* what the change's texts point into; NULL */
    hp_api_download_change_t change;
} change_op_t;

static void free_change(change_op_t *op)
{
    hp_api_download_change_dispose(&op->change);
    json_decref(op->body);
    hp_api_op_destroy(op);
}

static void on_changed(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    (void)id, (void)existing;
    change_op_t *op = arg;
    status = hp_api_op_status(op, status);
    if (status != 0)
        hp_http_reply_problem(op->op.request, status, err);
    else
        reply_download(op->op.api, op->op.request, op->status, op->id);
    free_change(op);
}

/* The state comes last: a download is paused or goes on with its new priority and limit. */
static void on_numbers_changed(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    change_op_t *op = arg;
    hp_transfer_t *transfer = op->op.api->deps.transfer;
    if (status != 0 || hp_api_is_closing(op->op.api) || op->change.state == HP_API_STATE_AS_IT_IS)
        on_changed(op, status, id, existing, err);
    else if (op->change.state == HP_API_STATE_PAUSED)
        hp_transfer_pause(transfer, op->id, on_changed, op);
    else
        hp_transfer_resume(transfer, op->id, on_changed, op);
}

static void change_numbers(change_op_t *op)
{
    const hp_api_download_change_t *change = &op->change;
    if (change->has_priority || change->has_limit)
        hp_transfer_change(op->op.api->deps.transfer, op->id, change->has_priority ? &change->priority : NULL,
                           change->has_limit ? &change->limit_bps : NULL, on_numbers_changed, op);
    else
        on_numbers_changed(op, 0, op->id, true, NULL);
}

static void on_moved(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    change_op_t *op = arg;
    if (status != 0 || hp_api_is_closing(op->op.api))
        on_changed(op, status, id, existing, err);
    else
        change_numbers(op);
}

static void patch_download(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_err_t err = {0};
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    change_op_t *op = hp_api_op_create(sizeof *op, api, request);
    op->id = id;
    op->status = 200;
    int rc = hp_json_read_body(request, NULL, &op->body, &err);
    if (rc == 0)
        rc = hp_api_read_download_change(op->body, &op->change, &err);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        free_change(op);
    } else if (op->change.url != NULL || op->change.headers != NULL || op->change.certificate != NULL) {
        const hp_download_move_t to = {
            .url = op->change.url, .headers = op->change.headers, .certificate = op->change.certificate};
        hp_transfer_move(api->deps.transfer, id, &to, on_moved, op);
    } else {
        change_numbers(op);
    }
}

void hp_api_patch_download(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_api_with_download(api, request, arg, patch_download);
}

typedef void (*transfer_call_fn)(hp_transfer_t *transfer, int64_t id, hp_download_fn done, void *arg);

static void start_work(hp_api_t *api, hp_http_request_t *request, const char *arg, transfer_call_fn call)
{
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    change_op_t *op = hp_api_op_create(sizeof *op, api, request);
    op->id = id;
    op->status = 202;
    call(api->deps.transfer, id, on_changed, op);
}

static void retry(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    start_work(api, request, arg, hp_transfer_retry);
}

void hp_api_post_download_retry(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_api_with_download(api, request, arg, retry);
}

static void recheck(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    start_work(api, request, arg, hp_transfer_recheck);
}

void hp_api_post_download_recheck(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_api_with_download(api, request, arg, recheck);
}

void hp_api_post_downloads_pause(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_transfer_pause_all(api->deps.transfer);
    hp_http_reply_empty(request, 202);
}

void hp_api_post_downloads_resume(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_transfer_resume_all(api->deps.transfer);
    hp_http_reply_empty(request, 202);
}

static void on_removed(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    (void)id, (void)existing;
    hp_api_op_reply_empty(arg, status, err);
}

static void delete_download(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    static const char *const words[] = {"keep", "remove", NULL};
    hp_err_t err = {0};
    int64_t id;
    int data = 0;
    if (!hp_api_read_number(request, arg, &id))
        return;
    int rc = hp_param_get_word(request, "data", words, &data, &err);
    if (rc != 0)
        hp_http_reply_problem(request, rc, &err);
    else
        hp_transfer_remove(api->deps.transfer, id, data == 0, on_removed,
                           hp_api_op_create(sizeof(hp_api_op_t), api, request));
}

void hp_api_delete_download(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_api_with_download(api, request, arg, delete_download);
}

/* ---- all finished ones at once ---- */

static void on_all_removed(void *arg, int status, uint64_t removed, const hp_err_t *err)
{
    hp_api_op_t *op = arg;
    if (status != 0) {
        hp_http_reply_problem(op->request, status, err);
    } else {
        json_t *json = json_object();
        json_object_set_new(json, "removed", hp_json_count(removed));
        hp_http_reply_json(op->request, 200, json);
    }
    hp_api_op_destroy(op);
}

void hp_api_delete_downloads(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    static const char *const words[] = {"finished", NULL};
    hp_err_t err = {0};
    int word = -1;
    int rc = hp_param_get_word(request, "state", words, &word, &err);
    if (rc == 0 && word < 0)
        rc = hp_err_set(&err, HP_E_INVALID, "state: must be finished");
    if (rc != 0)
        hp_http_reply_problem(request, rc, &err);
    else
        hp_transfer_remove_done(api->deps.transfer, on_all_removed,
                                hp_api_op_create(sizeof(hp_api_op_t), api, request));
}

/* ---- the chunk map ---- */

static void get_chunks(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    static const char *const states[] = {"missing", "active", "done"};
    uint64_t chunk_size, total;
    hp_chunk_run_t *runs;
    size_t count;
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    int rc = hp_transfer_chunks(api->deps.transfer, id, &chunk_size, &total, &runs, &count);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, NULL);
        return;
    }
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *run = json_array();
        json_array_append_new(run, hp_json_count(runs[i].first));
        json_array_append_new(run, hp_json_count(runs[i].count));
        json_array_append_new(run, json_string(states[runs[i].state]));
        json_array_append_new(run, hp_json_text_or_null(runs[i].source));
        json_array_append_new(list, run);
    }
    free(runs);
    json_object_set_new(json, "chunk_size", hp_json_count(chunk_size));
    json_object_set_new(json, "total", hp_json_count(total));
    json_object_set_new(json, "runs", list);
    hp_http_reply_json(request, 200, json);
}

void hp_api_get_download_chunks(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_api_with_download(api, request, arg, get_chunks);
}

/* ---- how much each host gave ---- */

static void on_given(void *arg, int status, const hp_given_t *given, size_t count, const hp_err_t *err)
{
    hp_api_op_t *op = arg;
    if (status != 0) {
        hp_http_reply_problem(op->request, status, err);
    } else {
        json_t *json = json_object(), *list = json_array();
        for (size_t i = 0; i < count; i++) {
            json_t *one = json_object();
            json_object_set_new(one, "host", hp_json_text_or_null(given[i].host));
            json_object_set_new(one, "bytes", hp_json_count_or_null(given[i].bytes));
            json_array_append_new(list, one);
        }
        json_object_set_new(json, "sources", list);
        hp_http_reply_json(op->request, 200, json);
    }
    hp_api_op_destroy(op);
}

static void get_sources(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    if (hp_api_read_number(request, arg, &id))
        hp_transfer_given(api->deps.transfer, id, on_given,
                          hp_api_op_create(sizeof(hp_api_op_t), api, request));
}

void hp_api_get_download_sources(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_api_with_download(api, request, arg, get_sources);
}
