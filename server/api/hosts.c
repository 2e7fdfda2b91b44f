/* The known hosts: /api/v1/hosts, and the scan that finds more. */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"

const char *hp_api_host_of(hp_api_t *api, const char *address)
{
    for (size_t i = 0; i < hp_hosts_count(api->deps.hosts); i++) {
        const hp_host_t *host = hp_hosts_at(api->deps.hosts, i);
        for (size_t k = 0; k < host->address_count; k++)
            if (strcmp(host->addresses[k].address, address) == 0)
                return host->id;
    }
    return NULL;
}

void hp_api_get_hosts(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    json_t *list = json_array(), *json = json_object();
    for (size_t i = 0; i < hp_hosts_count(api->deps.hosts); i++)
        json_array_append_new(list, hp_json_host(hp_hosts_at(api->deps.hosts, i)));
    json_object_set_new(json, "hosts", list);
    hp_http_reply_json(request, 200, json);
}

static void reply_unknown(hp_http_request_t *request, const char *id)
{
    hp_err_t err;
    hp_err_set(&err, HP_E_NOT_FOUND, "there is no host %s", id);
    hp_http_reply_problem(request, HP_E_NOT_FOUND, &err);
}

void hp_api_get_host(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    const hp_host_t *host = hp_hosts_find(api->deps.hosts, arg);
    if (host == NULL)
        reply_unknown(request, arg);
    else
        hp_http_reply_json(request, 200, hp_json_host(host));
}

void hp_api_delete_host(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    if (hp_hosts_remove(api->deps.hosts, arg) == 0)
        hp_http_reply_empty(request, 204);
    else
        reply_unknown(request, arg);
}

static void on_added(void *arg, int status, const hp_host_t *host, bool is_new, const hp_err_t *err)
{
    hp_api_op_t *op = arg;
    if (status == 0) {
        char *id = hp_path_encode(host->id, strlen(host->id), false);
        char *location = hp_sprintf("/api/v1/hosts/%s", id);
        if (is_new)
            hp_http_set_header(op->request, "Location", location);
        hp_http_reply_json(op->request, is_new ? 201 : 200, hp_json_host(host));
        free(location);
        free(id);
    } else {
        hp_http_reply_problem(op->request, status, err);
    }
    hp_api_op_destroy(op);
}

void hp_api_post_hosts(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    static const char *const known[] = {"address", NULL};
    hp_err_t err = {0};
    json_t *body = NULL;
    const char *text = NULL;
    char address[64];
    uint16_t port = 0;
    int rc = hp_json_read_body(request, known, &body, &err);
    if (rc == 0)
        rc = hp_json_get_text(body, "address", &text, &err);
    if (rc == 0 && text == NULL)
        rc = hp_err_set(&err, HP_E_INVALID, "address: is missing");
    else if (rc == 0 && (rc = hp_address_parse(text, HP_DEFAULT_PEER_PORT, address, &port, &err)) != 0)
        hp_err_prefix(&err, "address: ");
    else if (rc == 0 && port == 0)
        rc = hp_err_set(&err, HP_E_INVALID, "address: port 0 cannot be called");
    if (rc == 0)
        hp_hosts_add(api->deps.hosts, address, port, on_added,
                     hp_api_op_create(sizeof(hp_api_op_t), api, request));
    else
        hp_http_reply_problem(request, rc, &err);
    json_decref(body);
}

/* ---- the scan ---- */

json_t *hp_api_scan_json(hp_api_t *api)
{
    hp_scan_progress_t progress = hp_discovery_scan_progress(api->deps.discovery);
    json_t *json = json_object();
    json_object_set_new(json, "running", json_boolean(progress.running));
    json_object_set_new(json, "done", hp_json_count(progress.done));
    json_object_set_new(json, "total", hp_json_count(progress.total));
    return json;
}

void hp_api_post_scan(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_discovery_scan(api->deps.discovery);
    hp_http_reply_json(request, 202, hp_api_scan_json(api));
}
