#include "api/api.h"

#include <stdio.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "os/socket_owner.h"

#define BODY_MAX ((size_t)8 * 1024 * 1024) /* bytes: a piece of an upload */

static void release(hp_api_t *api)
{
    if (--api->references > 0)
        return;
    if (api->owner_asker >= 0)
        close(api->owner_asker);
    free(api);
}

void *hp_api_op_create(size_t size, hp_api_t *api, hp_http_request_t *request)
{
    hp_api_op_t *op = hp_alloc(size);
    op->api = api;
    op->request = request;
    api->references++;
    if (request != NULL)
        hp_http_addref(request);
    return op;
}

void hp_api_op_destroy(void *arg)
{
    hp_api_op_t *op = arg;
    if (op->request != NULL)
        hp_http_release(op->request);
    release(op->api);
    free(op);
}

void hp_api_op_reply_empty(void *arg, int status, const hp_err_t *err)
{
    hp_api_op_t *op = arg;
    if (status == 0)
        hp_http_reply_empty(op->request, 204);
    else
        hp_http_reply_problem(op->request, status, err);
    hp_api_op_destroy(op);
}

int hp_api_op_status(const void *op, int status)
{
    return status == 0 && ((const hp_api_op_t *)op)->api->closing ? HP_E_BUSY : status;
}

bool hp_api_is_closing(const hp_api_t *api)
{
    return api->closing;
}

void hp_api_reply_text(hp_http_request_t *request, int status, char *json)
{
    hp_http_reply_owned(request, status, "application/json", json, strlen(json));
}

/* ---- requests ---- */

static void set_common_headers(hp_http_request_t *request)
{
    hp_http_set_header(request, "X-Content-Type-Options", "nosniff");
    hp_http_set_header(request, "X-Frame-Options", "DENY");
    hp_http_set_header(request, "Cross-Origin-Resource-Policy", "same-origin");
    hp_http_set_header(request, "Referrer-Policy", "no-referrer");
}

static bool is_api_path(const char *path)
{
    return strncmp(path, "/api/", 5) == 0 || strcmp(path, "/api") == 0 || strcmp(path, "/metrics") == 0;
}

static void set_cookie(hp_api_t *api, hp_http_request_t *request)
{
    char cookie[HP_GUARD_COOKIE_SIZE];
    hp_http_set_header(request, "Set-Cookie", hp_guard_set_cookie(&api->guard, hp_clock_wall_ms(), cookie));
}

static void add_refusal_fields(hp_api_t *api, hp_http_request_t *request, int code)
{
    char seconds[16];
    if (code == HP_E_UNAUTHORIZED)
        hp_http_set_header(request, "WWW-Authenticate", "Bearer");
    if (code != HP_E_TOO_MANY)
        return;
    snprintf(seconds, sizeof seconds, "%u",
             hp_guesses_wait(&api->guard.guesses, hp_http_client(request, NULL), hp_clock_ms()));
    hp_http_set_header(request, "Retry-After", seconds);
}

static int check_caller(hp_api_t *api, hp_http_request_t *request, bool open, hp_err_t *err)
{
    hp_guard_request_t fields = {
        .method = hp_http_method(request),
        .host = hp_http_header(request, "Host"),
        .origin = hp_http_header(request, "Origin"),
        .fetch_site = hp_http_header(request, "Sec-Fetch-Site"),
        .authorization = hp_http_header(request, "Authorization"),
        .cookie = hp_http_header(request, "Cookie"),
        .client = hp_http_client(request, NULL),
        .wall_ms = hp_clock_wall_ms(),
        .now_ms = hp_clock_ms(),
        .open = open,
    };
    int rc = hp_guard_check(&api->guard, &fields, err);
    if (rc == 0 && hp_guard_cookie_is_old(&api->guard, &fields))
        set_cookie(api, request);
    add_refusal_fields(api, request, rc);
    return rc;
}

/* Without a token the dashboard is for the user as whom hostpair runs, and for root: others on this machine
 * could change what is shared of that user's files. */
static int check_owner(const hp_api_t *api, hp_http_request_t *request, hp_err_t *err)
{
    uid_t uid;
    if (api->guard.has_token)
        return 0;
    int rc = hp_http_owner(request, api->owner_asker, &uid);
    if (rc == 0 && (uid == geteuid() || uid == 0))
        return 0;
    const struct passwd *owner = getpwuid(geteuid());
    const char *name = owner != NULL ? owner->pw_name : "another user";
    if (rc == 0 || rc == -ENOENT)
        return hp_err_set(
            err, HP_E_FORBIDDEN,
            "this dashboard belongs to %s; others need a token, which it has with --dashboard-token-file",
            name);
    return hp_err_set(
        err, HP_E_FORBIDDEN,
        "the kernel does not tell whose program this is (%s), and this dashboard belongs to %s; with "
        "--dashboard-token-file it asks for a token instead",
        strerror(-rc), name);
}

static void on_request(void *arg, hp_http_request_t *request)
{
    hp_api_t *api = arg;
    hp_route_match_t match;
    hp_err_t err = {0};
    const char *path = hp_http_path(request);
    set_common_headers(request);
    int found = hp_route_find(hp_api_routes, hp_api_routes_count, hp_http_method(request), path, &match);
    bool page = !is_api_path(path);
    bool open = page || (found == 0 && match.route->handler == hp_api_post_session);
    int rc = check_owner(api, request, &err);
    if (rc == 0)
        rc = check_caller(api, request, open, &err);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    if (page) {
        hp_api_serve_asset(api, request);
        return;
    }
    hp_http_set_header(request, "Cache-Control", "no-store");
    if (found == 0)
        match.route->handler(api, request, match.arg);
    else if (found == HP_E_METHOD)
        hp_http_reply_method(request, match.allow);
    else
        hp_http_reply_problem(request, found, NULL);
}

void hp_api_post_session(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    static const char *const known[] = {"token", NULL};
    hp_err_t err = {0};
    json_t *body = NULL;
    const char *token = NULL;
    int rc = hp_json_read_body(request, known, &body, &err);
    if (rc == 0)
        rc = hp_json_get_text(body, "token", &token, &err);
    if (rc == 0 && token == NULL)
        rc = hp_err_set(&err, HP_E_INVALID, "token: is missing");
    if (rc == 0)
        rc = hp_guard_try_token(&api->guard, hp_http_client(request, NULL), hp_clock_ms(), token, &err);
    if (rc == 0) {
        if (api->guard.has_token)
            set_cookie(api, request);
        hp_http_reply_empty(request, 204);
    } else {
        add_refusal_fields(api, request, rc);
        hp_http_reply_problem(request, rc, &err);
    }
    json_decref(body);
}

/* ---- life ---- */

int hp_api_create(hp_api_t **out, const hp_api_deps_t *deps, const char *address, uint16_t port,
                  hp_err_t *err)
{
    hp_api_t *api = hp_alloc(sizeof *api);
    *api = (hp_api_t){
        .deps = *deps, .references = 1, .started_at = hp_clock_wall_ms(), .started_ms = hp_clock_ms()};
    hp_http_options_t options = {
        .name = "dashboard",
        .server = "hostpair/" HP_VERSION,
        .body_max = BODY_MAX,
        .descriptor_percent = deps->descriptor_percent,
        .problem_json = true,
        .handler = on_request,
        .arg = api,
    };
    *out = NULL;
    int rc = hp_http_listen(&api->listener, deps->loop, address, port, &options, err);
    if (rc != 0) {
        free(api);
        return rc;
    }
    const char *token = deps->options->dashboard_token;
    hp_guard_init(&api->guard, deps->options->dashboard_listen.address, hp_http_port(api->listener),
                  &deps->options->allow_hosts, token);
    api->owner_asker = hp_os_socket_owner_open();
    api->digests = hp_digests_create(deps->loop);
    api->events = hp_events_create(api);
    api->message_feed = hp_message_feed_create(api);
    hp_settings_on_change(deps->settings, hp_api_settings_changed, api);
    *out = api;
    return 0;
}

static void on_part_closed(void *arg)
{
    hp_api_t *api = arg;
    hp_pending_drop(&api->pending);
}

static void finish(void *arg)
{
    hp_api_t *api = arg;
    void (*on_closed)(void *) = api->on_closed;
    void *on_closed_arg = api->on_closed_arg;
    release(api);
    on_closed(on_closed_arg);
}

static void on_listener_closed(void *arg)
{
    hp_api_t *api = arg;
    hp_pending_add(&api->pending);
    hp_pending_add(&api->pending);
    hp_message_feed_destroy(api->message_feed, on_part_closed, api);
    hp_events_destroy(api->events, on_part_closed, api);
    hp_pending_when_none(&api->pending, finish, api);
}

void hp_api_destroy(hp_api_t *api, void (*closed)(void *arg), void *arg)
{
    api->closing = true;
    hp_settings_on_change(api->deps.settings, NULL, NULL);
    api->on_closed = closed;
    api->on_closed_arg = arg;
    hp_digests_stop(api->digests);
    hp_digests_destroy(api->digests);
    hp_http_destroy(api->listener, on_listener_closed, api);
}

uint16_t hp_api_port(const hp_api_t *api)
{
    return hp_http_port(api->listener);
}
