/* The known hosts: /api/v1/hosts, and the scan that finds more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "api/orders.h"
#include "base/mem.h"

static bool has_address(const hp_host_t *host, const char *address)
{
    char text[HP_ENDPOINT_ADDRESS_SIZE];
    for (size_t i = 0; i < host->address_count; i++)
        if (strcmp(hp_endpoint_address(&host->addresses[i].endpoint, text), address) == 0)
            return true;
    return false;
}

static const char *host_at(hp_api_t *api, const char *address)
{
    const hp_host_t *found = NULL;
    bool several = false;
    for (size_t i = 0; i < hp_hosts_count(api->deps.hosts); i++) {
        const hp_host_t *host = hp_hosts_at(api->deps.hosts, i);
        if (!has_address(host, address) || (found != NULL && found->online && !host->online))
            continue;
        several = found != NULL && found->online == host->online;
        found = host;
    }
    return found != NULL && !several ? found->id : NULL;
}

/* At an address, one that is online is the likelier one. */
const char *hp_api_host_of(hp_api_t *api, const hp_http_connection_t *connection)
{
    const hp_host_t *host =
        connection->host[0] != '\0' ? hp_hosts_find(api->deps.hosts, connection->host) : NULL;
    if (connection->host[0] != '\0')
        return host != NULL ? host->id : NULL;
    return host_at(api, connection->address);
}

void hp_api_get_hosts(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    json_t *list = json_array(), *json = json_object();
    for (size_t i = 0; i < hp_hosts_count(api->deps.hosts); i++)
        json_array_append_new(list, hp_json_host(hp_hosts_at(api->deps.hosts, i)));
    for (size_t i = 0; i < hp_devices_count(api->deps.devices); i++)
        json_array_append_new(list, hp_json_device(hp_devices_at(api->deps.devices, i)));
    json_object_set_new(json, "hosts", list);
    hp_http_reply_json(request, 200, json);
}

json_t *hp_api_host_json(hp_api_t *api, const char *id)
{
    const hp_host_t *host = hp_hosts_find(api->deps.hosts, id);
    const hp_device_t *device = hp_devices_find(api->deps.devices, id);
    if (host != NULL)
        return hp_json_host(host);
    return device != NULL ? hp_json_device(device) : NULL;
}

static void reply_unknown(hp_http_request_t *request, const char *id)
{
    hp_err_t err;
    hp_err_set(&err, HP_E_NOT_FOUND, "there is no host %s", id);
    hp_http_reply_problem(request, HP_E_NOT_FOUND, &err);
}

void hp_api_get_host(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    json_t *json = hp_api_host_json(api, arg);
    if (json == NULL)
        reply_unknown(request, arg);
    else
        hp_http_reply_json(request, 200, json);
}

void hp_api_delete_host(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_err_t err;
    int rc = hp_hosts_remove(api->deps.hosts, arg);
    if (rc == HP_E_NOT_FOUND)
        rc = hp_devices_forget(api->deps.devices, arg);
    if (rc == 0) {
        hp_http_reply_empty(request, 204);
    } else if (rc == HP_E_CONFLICT) {
        const hp_host_t *host = hp_hosts_find(api->deps.hosts, arg);
        if (host != NULL && host->paired)
            hp_err_set(&err, rc,
                       "The host is paired and would come back as one that is not: unpair it first");
        else
            hp_err_set(&err, rc,
                       "The host is blocked and would come back as one that is not: let it in first");
        hp_http_reply_problem(request, rc, &err);
    } else {
        reply_unknown(request, arg);
    }
}

/* ---- blocking ---- */

typedef struct {
    hp_api_op_t op;
    char id[HP_HOST_ID_SIZE];
} change_op_t;

static void on_changed(void *arg, int status, const hp_err_t *err)
{
    change_op_t *change = arg;
    status = hp_api_op_status(change, status);
    if (status == 0)
        hp_api_get_host(change->op.api, change->op.request, change->id);
    else
        hp_http_reply_problem(change->op.request, status, err);
    hp_api_op_destroy(change);
}

void hp_api_patch_host(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    static const char *const known[] = {"blocked", NULL};
    hp_err_t err = {0};
    json_t *body = NULL;
    bool blocked = false, given = false;
    int rc = hp_json_read_body(request, known, &body, &err);
    if (rc == 0)
        rc = hp_json_get_bool(body, "blocked", &blocked, &given, &err);
    json_decref(body);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    if (!given || hp_hosts_find(api->deps.hosts, arg) == NULL) {
        hp_api_get_host(api, request, arg);
        return;
    }
    change_op_t *change = hp_api_op_create(sizeof *change, api, request);
    snprintf(change->id, sizeof change->id, "%s", arg);
    hp_hosts_set_blocked(api->deps.hosts, arg, blocked, on_changed, change);
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
    hp_err_t err = {0};
    json_t *body = NULL;
    hp_host_name_t at;
    int rc = hp_json_read_body(request, NULL, &body, &err);
    if (rc == 0)
        rc = hp_api_read_host(body, &at, &err);
    if (rc == 0)
        hp_hosts_add_name(api->deps.hosts, &at, on_added,
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
    if (api->deps.localsend != NULL)
        hp_localsend_look(api->deps.localsend);
    hp_http_reply_json(request, 202, hp_api_scan_json(api));
}
