/* Downloads: /api/v1/downloads and what stands below it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"
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
    json_t *body;  /* what order's texts point into */
    char *headers; /* and its header fields */
    hp_download_order_t order;
    bool refreshed;
} order_op_t;

static void order_destroy(order_op_t *op)
{
    json_decref(op->body);
    free(op->headers);
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
    hp_transfer_add(op->op.api->deps.transfer, &op->order, on_ordered, op);
}

/* A folder that is not in the stored list may be new: the list is fetched again, once. */
static bool wants_new_list(const order_op_t *op, int status)
{
    if (status != HP_E_NOT_FOUND || op->refreshed || op->order.folder == NULL ||
        hp_api_is_closing(op->op.api))
        return false;
    const hp_host_t *host = hp_hosts_find(op->op.api->deps.hosts, op->order.host);
    return host != NULL && host->online;
}

static void on_ordered(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    order_op_t *op = arg;
    if (wants_new_list(op, status)) {
        op->refreshed = true;
        hp_hosts_refresh(op->op.api->deps.hosts, op->order.host, false, on_refreshed, op);
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

/* Which of the four kinds of order it is, and that it is only one of them. */
static int check_kind(const hp_download_order_t *order, hp_err_t *err)
{
    bool of_host = order->path != NULL || order->folder != NULL;
    int kinds =
        (order->path != NULL) + (order->folder != NULL) + (order->root != NULL) + (order->url != NULL);
    if (kinds != 1)
        return hp_err_set(err, HP_E_INVALID, "give one of host and path, host and folder, root, or url");
    if (of_host && order->host == NULL)
        return hp_err_set(err, HP_E_INVALID, "host: is missing");
    if (!of_host && order->host != NULL)
        return hp_err_set(err, HP_E_INVALID, "host: is allowed only with path or folder");
    if (order->size != 0 && order->root == NULL)
        return hp_err_set(err, HP_E_INVALID, "size: is allowed only with root");
    if (order->root != NULL) {
        uint8_t digest[32];
        if (hp_hex_decode(order->root, digest, sizeof digest) != 0)
            return hp_err_set(err, HP_E_INVALID, "root: must be 64 hex digits");
    }
    return 0;
}

/* {"Name": "value"} as lines, malloced; NULL where there is none. */
static int read_headers(json_t *body, char **lines, hp_err_t *err)
{
    json_t *fields = json_object_get(body, "headers"), *value;
    const char *name;
    if (fields == NULL || json_is_null(fields))
        return 0;
    if (!json_is_object(fields))
        return hp_err_set(err, HP_E_INVALID, "headers: must be an object of names and texts");
    *lines = hp_strdup("");
    json_object_foreach(fields, name, value)
    {
        const char *text = json_string_value(value);
        if (text == NULL || strlen(text) != json_string_length(value) || strpbrk(text, "\r\n") != NULL ||
            strpbrk(name, "\r\n:") != NULL)
            return hp_err_set(err, HP_E_INVALID, "headers: %.80s must be text of one line", name);
        char *longer = hp_sprintf("%s%s%s: %s", *lines, (*lines)[0] != '\0' ? "\n" : "", name, text);
        free(*lines);
        *lines = longer;
    }
    return 0;
}

static int read_order(json_t *body, hp_download_order_t *order, hp_err_t *err)
{
    const struct {
        const char *name;
        const char **value;
    } texts[] = {{"host", &order->host},
                 {"path", &order->path},
                 {"folder", &order->folder},
                 {"root", &order->root},
                 {"url", &order->url},
                 {"to", &order->to},
                 {"certificate", &order->certificate}};
    int64_t priority = 0, limit = 0, size = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < HP_COUNT(texts); i++)
        rc = hp_json_get_text(body, texts[i].name, texts[i].value, err);
    if (rc == 0)
        rc = hp_json_get_int(body, "priority", -1, 1, &priority, NULL, err);
    if (rc == 0)
        rc = hp_json_get_int(body, "limit_bps", 0, INT64_MAX, &limit, NULL, err);
    if (rc == 0)
        rc = hp_json_get_int(body, "size", 1, INT64_MAX, &size, NULL, err);
    if (rc == 0)
        rc = hp_json_get_bool(body, "copy", &order->copy, NULL, err);
    order->size = (uint64_t)size;
    if (rc == 0)
        rc = check_kind(order, err);
    if (order->to != NULL && order->to[0] == '\0')
        order->to = NULL;
    if (rc == 0 && order->to != NULL && (rc = hp_path_check(order->to, strlen(order->to), err)) != 0)
        hp_err_prefix(err, "to: ");
    order->priority = (int)priority;
    order->limit_bps = (uint64_t)limit;
    return rc;
}

void hp_api_post_downloads(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    static const char *const known[] = {"host",        "path", "folder",   "root",      "size",
                                        "url",         "to",   "priority", "limit_bps", "headers",
                                        "certificate", "copy", NULL};
    hp_err_t err = {0};
    hp_download_order_t order = {0};
    json_t *body = NULL;
    int rc = hp_json_read_body(request, known, &body, &err);
    char *headers = NULL;
    if (rc == 0)
        rc = read_headers(body, &headers, &err);
    if (rc == 0)
        rc = read_order(body, &order, &err);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        json_decref(body);
        free(headers);
        return;
    }
    order.headers = headers;
    order_op_t *op = hp_api_op_create(sizeof *op, api, request);
    op->body = body;
    op->headers = headers;
    op->order = order;
    hp_transfer_add(api->deps.transfer, &op->order, on_ordered, op);
}

/* ---- changes ---- */

typedef struct {
    hp_api_op_t op;
    int64_t id;
    int status; /* of the reply: 200, or 202 for started work */
    enum { STATE_AS_IT_IS, STATE_PAUSED, STATE_QUEUED } state;
    char *url; /* NULL: the same */
    bool change_priority, change_limit;
    int priority;
    uint64_t limit_bps;
} change_op_t;

static void on_changed(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    (void)id, (void)existing;
    change_op_t *change = arg;
    status = hp_api_op_status(change, status);
    if (status != 0)
        hp_http_reply_problem(change->op.request, status, err);
    else
        reply_download(change->op.api, change->op.request, change->status, change->id);
    free(change->url);
    hp_api_op_destroy(change);
}

/* The state comes last: a download is paused or goes on with its new priority and limit. */
static void on_numbers_changed(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    change_op_t *change = arg;
    hp_transfer_t *transfer = change->op.api->deps.transfer;
    if (status != 0 || hp_api_is_closing(change->op.api) || change->state == STATE_AS_IT_IS)
        on_changed(change, status, id, existing, err);
    else if (change->state == STATE_PAUSED)
        hp_transfer_pause(transfer, change->id, on_changed, change);
    else
        hp_transfer_resume(transfer, change->id, on_changed, change);
}

static void change_numbers(change_op_t *change)
{
    if (change->change_priority || change->change_limit)
        hp_transfer_change(change->op.api->deps.transfer, change->id,
                           change->change_priority ? &change->priority : NULL,
                           change->change_limit ? &change->limit_bps : NULL, on_numbers_changed, change);
    else
        on_numbers_changed(change, 0, change->id, true, NULL);
}

static void on_url_changed(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    change_op_t *change = arg;
    if (status != 0 || hp_api_is_closing(change->op.api))
        on_changed(change, status, id, existing, err);
    else
        change_numbers(change);
}

static int read_change(json_t *body, change_op_t *change, hp_err_t *err)
{
    const char *state = NULL, *url = NULL;
    int64_t priority = 0, limit = 0;
    int rc = hp_json_get_text(body, "state", &state, err);
    if (rc == 0)
        rc = hp_json_get_text(body, "url", &url, err);
    if (rc == 0)
        rc = hp_json_get_int(body, "priority", -1, 1, &priority, &change->change_priority, err);
    if (rc == 0)
        rc = hp_json_get_int(body, "limit_bps", 0, INT64_MAX, &limit, &change->change_limit, err);
    if (rc != 0)
        return rc;
    change->url = url != NULL ? hp_strdup(url) : NULL;
    change->priority = (int)priority;
    change->limit_bps = (uint64_t)limit;
    if (state == NULL)
        return 0;
    if (strcmp(state, "paused") == 0)
        change->state = STATE_PAUSED;
    else if (strcmp(state, "queued") == 0)
        change->state = STATE_QUEUED;
    else
        return hp_err_set(err, HP_E_INVALID, "state: must be paused or queued");
    return 0;
}

static void patch_download(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    static const char *const known[] = {"state", "priority", "limit_bps", "url", NULL};
    hp_err_t err = {0};
    json_t *body = NULL;
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    change_op_t *change = hp_api_op_create(sizeof *change, api, request);
    change->id = id;
    change->status = 200;
    int rc = hp_json_read_body(request, known, &body, &err);
    if (rc == 0)
        rc = read_change(body, change, &err);
    json_decref(body);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        free(change->url);
        hp_api_op_destroy(change);
    } else if (change->url != NULL) {
        hp_transfer_set_url(api->deps.transfer, id, change->url, on_url_changed, change);
    } else {
        change_numbers(change);
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
    change_op_t *change = hp_api_op_create(sizeof *change, api, request);
    change->id = id;
    change->status = 202;
    call(api->deps.transfer, id, on_changed, change);
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
