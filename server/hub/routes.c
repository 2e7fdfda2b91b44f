/* The hub's calls, and who may make them. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "hub/internal.h"

typedef enum {
    FOR_ALL,    /* plain HTTP, too */
    FOR_HOSTS,  /* a host that has proven its id */
    FOR_MEMBERS /* of the group in the URL */
} audience_t;

/* In a pattern * is one segment of the path; the first that follows "groups" is the group. */
static const struct route {
    const char *method, *pattern;
    audience_t audience;
    hp_hub_call_fn *call;
} routes[] = {
    {"GET", "/", FOR_ALL, hp_hub_get_page},
    {"GET", "/healthz", FOR_ALL, hp_hub_get_health},
    {"GET", "/metrics", FOR_ALL, hp_hub_get_metrics},
    {"GET", "/hub/v1/events", FOR_HOSTS, hp_hub_get_events},
    {"PUT", "/hub/v1/groups/*/members/self", FOR_HOSTS, hp_hub_put_member},
    {"DELETE", "/hub/v1/groups/*/members/self", FOR_HOSTS, hp_hub_delete_member},
    {"POST", "/hub/v1/groups/*/links", FOR_MEMBERS, hp_hub_post_links},
    {"POST", "/hub/v1/groups/*/relays", FOR_MEMBERS, hp_hub_post_relays},
    {"PUT", "/hub/v1/groups/*/lists/self", FOR_MEMBERS, hp_hub_put_list},
    {"DELETE", "/hub/v1/groups/*/lists/self", FOR_MEMBERS, hp_hub_delete_list},
    {"GET", "/hub/v1/groups/*/lists/*", FOR_MEMBERS, hp_hub_get_list},
    {"POST", "/hub/v1/groups/*/have", FOR_MEMBERS, hp_hub_post_have},
    {"GET", "/hub/v1/groups/*/have", FOR_MEMBERS, hp_hub_get_have},
};

#define VARIABLES    2
#define VARIABLE_MAX 64 /* bytes */

/* Whether path fits pattern; the segments at its stars. None of them needs an escape: they are hex digits. */
static bool matches(const char *pattern, const char *path, char variables[VARIABLES][VARIABLE_MAX])
{
    size_t count = 0;
    variables[0][0] = variables[1][0] = '\0';
    while (*pattern != '\0' && *path != '\0') {
        if (*pattern == '*') {
            size_t length = strcspn(path, "/");
            if (length == 0 || length >= VARIABLE_MAX || count == VARIABLES)
                return false;
            memcpy(variables[count], path, length);
            variables[count++][length] = '\0';
            path += length;
            pattern++;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *pattern == '\0' && *path == '\0';
}

static bool takes(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* NULL: answered with 404 or 405. */
static const struct route *find(hp_http_request_t *request, char variables[VARIABLES][VARIABLE_MAX])
{
    char allow[64] = "";
    for (size_t i = 0; i < HP_COUNT(routes); i++) {
        if (!matches(routes[i].pattern, hp_http_path(request), variables))
            continue;
        if (takes(&routes[i], hp_http_method(request)))
            return &routes[i];
        size_t used = strlen(allow);
        snprintf(allow + used, sizeof allow - used, "%s%s", used > 0 ? ", " : "", routes[i].method);
    }
    if (allow[0] != '\0')
        hp_http_reply_method(request, allow);
    else
        hp_http_reply_problem(request, HP_E_NOT_FOUND, NULL);
    return NULL;
}

/* 0, or why the caller may not make this call. */
static int admit(hp_hub_t *hub, hp_http_request_t *request, const struct route *route, const uint8_t gid[16],
                 hp_err_t *err)
{
    const hp_who_t *who = hp_http_who(request);
    if (route->audience == FOR_ALL)
        return 0;
    if (who->id[0] == '\0')
        return hp_err_set(err, HP_E_FORBIDDEN, "this call is for hosts that show their certificate over TLS");
    hp_hub_host_t *client = hp_presence_client(hub->presence, who);
    if (!hp_hub_host_allows(client)) {
        hp_http_set_header(request, "Retry-After", "5");
        return hp_err_set(err, HP_E_TOO_MANY, "this host makes more than %d calls a second", HP_HUB_CALLS);
    }
    if (route->audience == FOR_MEMBERS && !hp_presence_is_member(hub->presence, client, gid))
        return hp_err_set(err, HP_E_FORBIDDEN, "this host has not joined that group");
    return 0;
}

void hp_hub_on_request(void *arg, hp_http_request_t *request)
{
    hp_hub_t *hub = arg;
    char variables[VARIABLES][VARIABLE_MAX];
    uint8_t gid[16] = {0};
    hp_err_t err = {0};
    hp_http_set_header(request, "X-Content-Type-Options", "nosniff");
    const struct route *route = find(request, variables);
    if (route == NULL)
        return;
    bool grouped = strchr(route->pattern, '*') != NULL;
    if (grouped && hp_hex_decode(variables[0], gid, sizeof gid) != 0) {
        hp_http_reply_problem(request, HP_E_NOT_FOUND, NULL);
        return;
    }
    if (!hp_hub_refused(request, admit(hub, request, route, gid, &err), &err))
        route->call(hub, request, gid, variables[1]);
}

bool hp_hub_refused(hp_http_request_t *request, int status, const hp_err_t *err)
{
    if (status != 0)
        hp_http_reply_problem(request, status, err);
    return status != 0;
}

void *hp_hub_op_create(size_t size, hp_hub_t *hub, hp_http_request_t *request)
{
    hp_hub_op_t *op = hp_alloc(size);
    op->hub = hub;
    op->request = request;
    memcpy(op->id, hp_http_who(request)->id, sizeof op->id);
    hp_http_addref(request);
    return op;
}

void hp_hub_op_destroy(void *arg)
{
    hp_hub_op_t *op = arg;
    hp_http_release(op->request);
    free(op);
}
