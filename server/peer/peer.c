/* The peer's life, and which endpoint a request is for. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "url_path.h"

#define BODY_MAX ((size_t)32 * 1024) /* bytes: a message, a question for properties */

/* First segments that never name a file: such a file is reached as /files/<path>. */
static const char *const reserved[] = {"hostpair", "list",    "files",      "manifest",
                                       "torrent",  "message", "favicon.ico"};

bool hp_peer_is_reserved(const char *segment)
{
    for (size_t i = 0; i < HP_COUNT(reserved); i++)
        if (strcmp(segment, reserved[i]) == 0)
            return true;
    return false;
}

void hp_peer_refuse(hp_http_request_t *request, int status)
{
    if (status == UV_ECANCELED || status == -EMFILE || status == -ENFILE || status == -ENOMEM)
        status = HP_E_BUSY;
    if (status == HP_E_BUSY)
        hp_http_set_header(request, "Retry-After", "1");
    const hp_peer_t *peer = hp_http_arg(request);
    if (peer == NULL || !hp_peer_guest_note(peer, request, status))
        hp_http_reply_text_error(request, status, NULL);
}

char *hp_peer_take_path(hp_http_request_t *request, const char *encoded, bool *as_folder)
{
    char *path = hp_url_path_decode(encoded);
    size_t length = path != NULL ? strlen(path) : 0;
    if (length == 0) {
        hp_peer_refuse(request, path == NULL ? HP_E_NOT_FOUND : HP_E_FORBIDDEN);
        free(path);
        return NULL;
    }
    *as_folder = path[length - 1] == '/';
    if (*as_folder)
        path[length - 1] = '\0';
    return path;
}

static void serve(hp_peer_t *self, hp_http_request_t *request, const char *path, bool archive)
{
    if (archive)
        hp_peer_archive(self, request, path);
    else
        hp_peer_file(self, request, path);
}

/* path: without its leading "/". */
static void route(hp_peer_t *self, hp_http_request_t *request, const char *path)
{
    char first[16];
    const char *rest;
    bool archive = hp_http_query(request, "archive") != NULL;
    if (path[0] == '\0' && !archive) {
        hp_peer_guest(self, request);
    } else if (!hp_url_path_first(path, first, sizeof first, &rest) || !hp_peer_is_reserved(first)) {
        serve(self, request, path,
              archive); /* also a first segment that cannot be decoded: 404 is its answer */
    } else if (strcmp(first, "hostpair") == 0 && rest == NULL) {
        hp_peer_about(self, request);
    } else if (strcmp(first, "list") == 0 && rest == NULL) {
        hp_peer_list(self, request);
    } else if (strcmp(first, "files") == 0 && rest != NULL) {
        serve(self, request, rest, archive);
    } else if (strcmp(first, "manifest") == 0 && rest != NULL) {
        hp_peer_manifest(self, request, rest);
    } else if (strcmp(first, "torrent") == 0 && rest != NULL) {
        hp_peer_torrent(self, request, rest);
    } else {
        hp_peer_refuse(request, HP_E_NOT_FOUND);
    }
}

/* The path in the share that a URL's path stands for, still encoded, and what comes before it in the URL;
 * NULL when it is one of the calls. */
static const char *shared_path(const char *path, const char **base)
{
    char first[16];
    const char *rest;
    *base = "/";
    if (!hp_url_path_first(path, first, sizeof first, &rest) || !hp_peer_is_reserved(first))
        return path;
    *base = "/files/";
    if (strcmp(first, "files") != 0)
        return NULL;
    return rest != NULL ? rest : "";
}

static bool is_message(const char *path)
{
    char first[16];
    const char *rest;
    return hp_url_path_first(path, first, sizeof first, &rest) && strcmp(first, "message") == 0 &&
           rest == NULL;
}

/* Whether it is /hostpair/<name>. */
static bool is_call(const char *path, const char *name)
{
    char first[16], second[16];
    const char *rest, *end;
    return hp_url_path_first(path, first, sizeof first, &rest) && strcmp(first, "hostpair") == 0 &&
           rest != NULL && hp_url_path_first(rest, second, sizeof second, &end) &&
           strcmp(second, name) == 0 && end == NULL;
}

static bool takes_pieces(void *arg, const char *method, const char *path)
{
    return hp_peer_takes_pieces(arg, method, path) ||
           (strcmp(method, "POST") == 0 && (is_call(path + 1, "bundle") || is_call(path + 1, "archive")));
}

static void on_request(void *arg, hp_http_request_t *request)
{
    hp_peer_t *self = arg;
    const char *method = hp_http_method(request), *path = hp_http_path(request) + 1, *shared, *base, *rest;
    if (self->hosts != NULL && hp_hosts_is_blocked(self->hosts, hp_http_who(request))) {
        hp_peer_refuse(request, HP_E_BLOCKED);
    } else if (!hp_peer_is_called_well(self, request) || !hp_peer_lets_in(self, request, path)) {
        return;
    } else if (is_call(path, "bundle") || is_call(path, "archive")) {
        if (strcmp(method, "POST") != 0)
            hp_http_reply_method(request, "POST");
        else if (is_call(path, "bundle"))
            hp_peer_bundle(self, request);
        else
            hp_peer_archive_form(self, request);
    } else if (self->messages != NULL && is_message(path)) {
        if (strcmp(method, "POST") == 0)
            hp_peer_message(self, request);
        else
            hp_http_reply_method(request, "POST");
    } else if (self->pairings != NULL && is_call(path, "pair")) {
        hp_peer_pair(self, request);
    } else if (self->doctor != NULL && is_call(path, "callback")) {
        if (strcmp(method, "POST") == 0)
            hp_peer_callback(self, request);
        else
            hp_http_reply_method(request, "POST");
    } else if (self->inbox != NULL && hp_peer_inbox_is(path, &rest)) {
        hp_peer_inbox(self, request, rest);
    } else if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
        route(self, request, path);
    } else if ((shared = shared_path(path, &base)) != NULL) {
        hp_peer_dav(self, request, base, shared);
    } else {
        hp_http_reply_method(request, "GET, HEAD");
    }
}

static bool is_of_host(void *arg, const hp_who_t *who)
{
    const hp_host_t *host = arg;
    if (who->id[0] != '\0')
        return strcmp(who->id, host->id) == 0;
    char address[HP_ENDPOINT_ADDRESS_SIZE];
    for (size_t i = 0; i < host->address_count; i++)
        if (strcmp(hp_endpoint_address(&host->addresses[i].endpoint, address), who->address) == 0)
            return true;
    return false;
}

/* Whatever it is in the middle of. */
static void on_host(void *arg, hp_host_event_t event, const hp_host_t *host)
{
    hp_peer_t *self = arg;
    if (event == HP_HOST_BLOCKED)
        hp_http_disconnect_if(self->listener, is_of_host, (void *)host);
}

int hp_peer_create(hp_peer_t **peer, uv_loop_t *loop, const hp_peer_options_t *options, hp_share_t *share,
                   const hp_self_t *self, hp_err_t *err)
{
    hp_peer_t *made = hp_alloc(sizeof *made);
    *made = (hp_peer_t){.loop = loop,
                        .share = share,
                        .self = self,
                        .hosts = options->hosts,
                        .messages = options->messages,
                        .pairings = options->pairings,
                        .inbox = options->inbox,
                        .doctor = options->doctor,
                        .allow_hosts = options->allow_hosts};
    hp_list_init(&made->waiters);
    made->is_trusted = options->is_trusted;
    made->is_trusted_arg = options->is_trusted_arg;
    made->index = hp_gate_create(share);
    made->trees = hp_gate_create(share);
    made->names = hp_peer_names_create(share);
    made->pieces = hp_pieces_all_create(loop, share, options->zip_memory);
    made->dav = hp_peer_dav_create(loop, share);
    hp_http_options_t http = {
        .name = "peer",
        .server = "hostpair/" HP_VERSION,
        .body_max = BODY_MAX,
        .takes_pieces = takes_pieces,
        .connections_max = options->connections_max,
        .descriptor_percent = options->descriptor_percent,
        .per_address_max = options->per_address_max != 0 ? options->per_address_max : HP_PEER_PER_ADDRESS,
        .secure = options->secure,
        .stuck_ms = options->stuck_ms,
        .idle_ms = options->idle_ms,
        .limit = options->limit,
        .handler = on_request,
        .arg = made,
    };
    int rc = hp_http_listen(&made->listener, loop, options->address, options->port, &http, err);
    if (rc != 0) {
        hp_gate_release(made->index);
        hp_gate_release(made->trees);
        hp_peer_names_release(made->names);
        hp_pieces_all_release(made->pieces);
        hp_peer_dav_release(made->dav);
        free(made);
        return rc;
    }
    if (made->hosts != NULL)
        hp_hosts_on_event(made->hosts, on_host, made);
    if (made->inbox != NULL)
        hp_inbox_on_event(made->inbox, hp_peer_inbox_event, made);
    *peer = made;
    return 0;
}

hp_http_listener_t *hp_peer_listener(const hp_peer_t *self)
{
    return self->listener;
}

static void finish(hp_peer_t *self)
{
    if (self->listener != NULL || self->timers > 0)
        return;
    void (*closed)(void *arg) = self->closed;
    void *arg = self->closed_arg;
    hp_gate_release(self->index);
    hp_gate_release(self->trees);
    hp_peer_names_release(self->names);
    hp_pieces_all_release(self->pieces);
    hp_peer_dav_release(self->dav);
    free(self);
    if (closed != NULL)
        closed(arg);
}

void hp_peer_timer_opened(hp_peer_t *self)
{
    self->timers++;
}

void hp_peer_timer_closed(hp_peer_t *self)
{
    self->timers--;
    finish(self);
}

static void on_listener_closed(void *arg)
{
    hp_peer_t *self = arg;
    self->listener = NULL;
    finish(self);
}

void hp_peer_destroy(hp_peer_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    if (self->hosts != NULL)
        hp_hosts_off_event(self->hosts, on_host, self);
    if (self->inbox != NULL)
        hp_inbox_off_event(self->inbox, hp_peer_inbox_event, self);
    hp_http_destroy(self->listener, on_listener_closed, self);
}
