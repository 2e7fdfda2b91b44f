/* /api/v1/connections: the clients of the peer listener. */
#include <stdlib.h>

#include "api/internal.h"
#include "base/mem.h"

void hp_api_get_connections(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_events_look_at_connections(api->events); /* so that the end of each that is listed is told */
    hp_http_connection_t *connections = hp_alloc_array(HP_API_CONNECTIONS_MAX, sizeof *connections);
    size_t total = hp_http_connections(api->deps.peer, connections, HP_API_CONNECTIONS_MAX);
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < HP_MIN(total, (size_t)HP_API_CONNECTIONS_MAX); i++)
        json_array_append_new(list,
                              hp_json_connection(&connections[i], hp_api_host_of(api, &connections[i])));
    free(connections);
    json_object_set_new(json, "connections", list);
    json_object_set_new(json, "total", hp_json_count(total));
    hp_http_reply_json(request, 200, json);
}

void hp_api_delete_connection(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_err_t err;
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    int rc = hp_http_disconnect(api->deps.peer, (uint64_t)id);
    if (rc == 0) {
        hp_http_reply_empty(request, 204);
        return;
    }
    hp_err_set(&err, rc, "connection %lld has ended", (long long)id);
    hp_http_reply_problem(request, rc, &err);
}
