/* /hostpair/inbox: offers of files, and their bytes. A sender has nothing but the token that its offer was
 * answered with. */
#include "inbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/range.h"
#include "inbox/body.h"
#include "url_path.h"

#define WAIT_MAX_S 30 /* that "Prefer: wait" may ask for */

/* ---- waiting for what becomes of an offer ---- */

typedef struct {
    hp_link_t link;
    hp_peer_t *peer;
    hp_http_request_t *request;
    int64_t id;
    hp_incoming_state_t state;
    uv_timer_t timer;
    hp_peer_waited_fn fn;
    void *arg;
} waiter_t;

static void on_timer_closed(uv_handle_t *handle)
{
    waiter_t *self = handle->data;
    hp_peer_t *peer = self->peer;
    free(self);
    hp_peer_timer_closed(peer);
}

static void end_wait(waiter_t *self, int status)
{
    hp_link_remove(&self->link);
    hp_http_on_gone(self->request, NULL, NULL);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
    self->fn(self->arg, status);
}

static void on_gone_waiting(void *arg)
{
    end_wait(arg, UV_ECANCELED);
}

/* Later, so that fn never runs inside the inbox. */
static void on_time(uv_timer_t *timer)
{
    end_wait(timer->data, 0);
}

void hp_peer_inbox_wait(hp_peer_t *peer, hp_http_request_t *request, int64_t id, hp_incoming_state_t state,
                        uint64_t ms, hp_peer_waited_fn fn, void *arg)
{
    waiter_t *self = hp_alloc(sizeof *self);
    *self = (waiter_t){.peer = peer, .request = request, .id = id, .state = state, .fn = fn, .arg = arg};
    uv_timer_init(peer->loop, &self->timer);
    self->timer.data = self;
    hp_peer_timer_opened(peer);
    hp_list_add(&peer->waiters, &self->link);
    hp_http_on_gone(request, on_gone_waiting, self);
    hp_incoming_t info;
    bool left = !hp_inbox_get(peer->inbox, id, &info) || info.state != state;
    uv_timer_start(&self->timer, on_time, left ? 0 : ms, 0);
}

void hp_peer_inbox_event(void *arg, int64_t id)
{
    hp_peer_t *peer = arg;
    hp_incoming_t info;
    bool known = hp_inbox_get(peer->inbox, id, &info);
    HP_LIST_EACH (link, &peer->waiters) {
        waiter_t *waiter = HP_CONTAINER(link, waiter_t, link);
        if (waiter->id == id && (!known || info.state != waiter->state))
            uv_timer_start(&waiter->timer, on_time, 0, 0);
    }
}

/* ---- what a sender is told ---- */

static json_t *file_json(const hp_incoming_file_t *file)
{
    json_t *json = json_object();
    json_object_set_new(json, "id", json_string(file->id));
    json_object_set_new(json, "received", json_integer((json_int_t)file->received));
    json_object_set_new(json, "wanted", json_boolean(file->wanted));
    json_object_set_new(json, "done", json_boolean(file->done));
    return json;
}

/* In the words of whoever is there: "here" is this host. */
static char *reason_there(const hp_peer_t *peer, const hp_incoming_t *info)
{
    if (info->state == HP_INCOMING_CANCELLED && strcmp(info->reason, HP_INBOX_CANCELLED_HERE) == 0)
        return hp_sprintf("It was cancelled at %s", peer->self->name);
    return hp_strdup(info->reason);
}

static json_t *state_json(const hp_peer_t *peer, const hp_incoming_t *info)
{
    json_t *json = json_object(), *files = json_array();
    char *reason = reason_there(peer, info);
    json_object_set_new(json, "id", json_string(info->token));
    json_object_set_new(json, "state", json_string(hp_incoming_state_name(info->state)));
    json_object_set_new(json, "reason", reason[0] != '\0' ? json_string(reason) : json_null());
    json_object_set_new(json, "wanted", json_integer((json_int_t)info->wanted_count));
    json_object_set_new(json, "received", json_integer((json_int_t)info->done_bytes));
    for (size_t i = 0; i < info->known_count; i++) {
        hp_incoming_file_t file;
        if (hp_inbox_file_at(peer->inbox, info->id, i, &file))
            json_array_append_new(files, file_json(&file));
    }
    json_object_set_new(json, "files", files);
    free(reason);
    return json;
}

static void reply_unknown(hp_http_request_t *request)
{
    hp_err_t err;
    hp_err_set(&err, HP_E_NOT_FOUND, "no transfer has this id");
    hp_http_reply_problem(request, HP_E_NOT_FOUND, &err);
}

static void reply_state(hp_peer_t *peer, hp_http_request_t *request, int64_t id, int status)
{
    hp_incoming_t info;
    if (hp_inbox_get(peer->inbox, id, &info))
        hp_http_reply_json(request, status, state_json(peer, &info));
    else
        reply_unknown(request);
}

/* ---- an offer ---- */

/* A page of another site that somebody looks at could else offer files in that person's name. */
static bool is_from_elsewhere(hp_http_request_t *request)
{
    const char *origin = hp_http_header(request, "Origin"), *host = hp_http_header(request, "Host");
    const char *site = hp_http_header(request, "Sec-Fetch-Site");
    if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return true;
    if (origin == NULL)
        return false;
    const char *authority = strstr(origin, "://");
    return authority == NULL || host == NULL || strcasecmp(authority + 3, host) != 0;
}

int hp_peer_inbox_offer(hp_peer_t *peer, hp_http_request_t *request, hp_inbox_offer_t *offer, int64_t *id,
                        hp_err_t *err)
{
    const char *token = offer->token; /* counts only where the host is proven */
    const hp_who_t *who = hp_http_who(request);
    unsigned wait_s = 0;
    offer->kind = HP_SENDER_BROWSER;
    offer->token = NULL;
    offer->address = who->address;
    if (who->id[0] != '\0') {
        const hp_host_t *host = peer->hosts != NULL ? hp_hosts_find(peer->hosts, who->id) : NULL;
        offer->kind = HP_SENDER_HOSTPAIR;
        offer->host = who->id;
        offer->token = token;
        offer->name = host != NULL ? host->name : offer->name;
    }
    int rc = hp_inbox_offer(peer->inbox, offer, id, &wait_s, err);
    if (wait_s > 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", wait_s);
        hp_http_set_header(request, "Retry-After", seconds);
    }
    return rc;
}

typedef struct {
    hp_peer_t *peer;
    hp_http_request_t *request;
    hp_buf_t body;
    bool verifying, gone;
} reading_t;

static void end_reading(reading_t *self)
{
    hp_http_on_gone(self->request, NULL, NULL);
    hp_http_release(self->request);
    hp_buf_dispose(&self->body);
    free(self);
}

static void take_offer(reading_t *self)
{
    hp_inbox_body_t body;
    hp_err_t err = {0};
    int64_t id = 0;
    hp_incoming_t info;
    int rc = hp_inbox_body_parse(self->body.data, self->body.length, &body, &err);
    if (rc == 0) {
        hp_inbox_offer_t offer = {.name = body.name,
                                  .pin = body.pin,
                                  .token = body.token,
                                  .files = body.files,
                                  .count = body.count};
        rc = hp_peer_inbox_offer(self->peer, self->request, &offer, &id, &err);
        hp_inbox_body_dispose(&body);
    }
    if (rc == 0 && hp_inbox_get(self->peer->inbox, id, &info)) {
        char location[80];
        snprintf(location, sizeof location, "/hostpair/inbox/%s", info.token);
        hp_http_set_header(self->request, "Location", location);
        reply_state(self->peer, self->request, id, 202);
    } else {
        hp_http_reply_problem(self->request, rc, &err);
    }
    end_reading(self);
}

/* What another host offers is fetched from it, so it has to be found where it says that it listens. */
static void on_verified(void *arg, int status)
{
    reading_t *self = arg;
    hp_err_t err;
    (void)status;
    self->verifying = false;
    if (self->gone) {
        end_reading(self);
    } else if (hp_hosts_find(self->peer->hosts, hp_http_who(self->request)->id) != NULL) {
        take_offer(self);
    } else {
        hp_err_set(&err, HP_E_FORBIDDEN, "the host that offers this is not found at %s port %u",
                   hp_http_who(self->request)->address, hp_peer_sender_port(self->request));
        hp_http_reply_problem(self->request, HP_E_FORBIDDEN, &err);
        end_reading(self);
    }
}

static void find_sender(reading_t *self)
{
    const hp_who_t *who = hp_http_who(self->request);
    hp_hosts_t *hosts = self->peer->hosts;
    uint16_t port = hp_peer_sender_port(self->request);
    hp_endpoint_t at;
    if (who->id[0] == '\0' || hosts == NULL || hp_hosts_find(hosts, who->id) != NULL) {
        take_offer(self);
    } else if (port == 0 || hp_endpoint_make(&at, HP_SCHEME_TLS, who->address, port) != 0) {
        on_verified(self, 0);
    } else {
        self->verifying = true;
        hp_hosts_verify(hosts, &at, HP_FOUND_MESSAGE, on_verified, self);
    }
}

static void on_offer_piece(void *arg, void *data, size_t length, bool last)
{
    reading_t *self = arg;
    int rc = hp_buf_add(&self->body, data, length);
    free(data);
    if (rc == 0 && !last) {
        hp_http_body_next(self->request, on_offer_piece, self);
        return;
    }
    if (rc == 0) {
        find_sender(self);
        return;
    }
    hp_http_reply_problem(self->request, rc, NULL);
    end_reading(self);
}

static void on_gone_reading(void *arg)
{
    reading_t *self = arg;
    self->gone = true;
    if (!self->verifying)
        end_reading(self);
}

static void post(hp_peer_t *peer, hp_http_request_t *request)
{
    const char *type = hp_http_header(request, "Content-Type");
    hp_err_t err = {0};
    if (is_from_elsewhere(request)) {
        hp_err_set(&err, HP_E_FORBIDDEN, "a page of another site may not offer files");
        hp_http_reply_problem(request, HP_E_FORBIDDEN, &err);
        return;
    }
    if (type != NULL && strncasecmp(type, "multipart/form-data", 19) == 0) {
        hp_peer_inbox_form(peer, request);
        return;
    }
    if (hp_http_body_length(request) > HP_INBOX_BODY_MAX) {
        hp_err_set(&err, HP_E_TOO_LARGE, "an offer has at most %zu bytes", HP_INBOX_BODY_MAX);
        hp_http_reply_problem(request, HP_E_TOO_LARGE, &err);
        return;
    }
    reading_t *self = hp_alloc(sizeof *self);
    self->peer = peer;
    self->request = request;
    hp_buf_init(&self->body, HP_INBOX_BODY_MAX);
    hp_http_addref(request);
    hp_http_on_gone(request, on_gone_reading, self);
    hp_http_body_next(request, on_offer_piece, self);
}

/* ---- its state ---- */

typedef struct {
    hp_peer_t *peer;
    hp_http_request_t *request;
    int64_t id;
} asking_t;

static void on_waited(void *arg, int status)
{
    asking_t *self = arg;
    if (status == 0)
        reply_state(self->peer, self->request, self->id, 200);
    hp_http_release(self->request);
    free(self);
}

/* RFC 7240 section 4.3. */
static uint64_t wait_of(hp_http_request_t *request)
{
    const char *prefer = hp_http_header(request, "Prefer");
    const char *at = prefer != NULL ? strstr(prefer, "wait=") : NULL;
    long seconds = at != NULL ? strtol(at + 5, NULL, 10) : 0;
    return (uint64_t)HP_MAX(0, HP_MIN(seconds, WAIT_MAX_S));
}

static void get(hp_peer_t *peer, hp_http_request_t *request, const hp_incoming_t *info)
{
    uint64_t wait_s = wait_of(request);
    if (info->state != HP_INCOMING_ASKING || wait_s == 0) {
        reply_state(peer, request, info->id, 200);
        return;
    }
    asking_t *self = hp_alloc(sizeof *self);
    *self = (asking_t){.peer = peer, .request = request, .id = info->id};
    hp_http_addref(request);
    hp_peer_inbox_wait(peer, request, info->id, HP_INCOMING_ASKING, wait_s * 1000, on_waited, self);
}

/* ---- bytes ---- */

/* Outlives the peer while a write is under way; the inbox outlives both. */
typedef struct {
    hp_inbox_t *inbox;
    hp_http_request_t *request;
    int64_t id;
    size_t file;
    uint64_t offset;
    bool last, writing, gone;
} putting_t;

static void end_put(putting_t *self)
{
    hp_http_on_gone(self->request, NULL, NULL);
    hp_http_release(self->request);
    free(self);
}

static void on_put_piece(void *arg, void *data, size_t length, bool last);

static void on_written(void *arg, int status, const hp_incoming_file_t *file, const hp_err_t *err)
{
    putting_t *self = arg;
    self->writing = false;
    if (status == 0 && !self->last && !self->gone) {
        hp_http_body_next(self->request, on_put_piece, self);
        return;
    }
    if (status == 0)
        hp_http_reply_json(self->request, 200, file_json(file));
    else
        hp_http_reply_problem(self->request, status, err);
    end_put(self);
}

static void on_put_piece(void *arg, void *data, size_t length, bool last)
{
    putting_t *self = arg;
    hp_inbox_piece_t piece = {.data = data, .length = length, .offset = self->offset};
    self->offset += length;
    self->last = last;
    self->writing = true;
    hp_inbox_write(self->inbox, self->id, self->file, &piece, on_written, self);
}

static void on_put_gone(void *arg)
{
    putting_t *self = arg;
    self->gone = true;
    if (!self->writing)
        end_put(self);
}

/* Where the body belongs; ask: it only asks how much is here. */
static int read_range(hp_http_request_t *request, const hp_incoming_file_t *file, uint64_t *offset, bool *ask,
                      hp_err_t *err)
{
    hp_body_range_t range;
    int rc =
        hp_range_of_body(hp_http_header(request, "Content-Range"), hp_http_body_length(request), &range, err);
    if (rc == 0 && range.total != file->size)
        rc = hp_err_set(err, HP_E_INVALID, "%s: %llu bytes were offered, and %llu are announced", file->name,
                        (unsigned long long)file->size, (unsigned long long)range.total);
    *ask = range.asks;
    *offset = range.first;
    return rc;
}

static void put(hp_peer_t *peer, hp_http_request_t *request, const hp_incoming_t *info, const char *name)
{
    hp_incoming_file_t file;
    hp_err_t err = {0};
    uint64_t offset = 0;
    bool ask;
    size_t index = hp_inbox_file_find(peer->inbox, info->id, name);
    int rc = hp_inbox_file_at(peer->inbox, info->id, index, &file)
                 ? 0
                 : hp_err_set(&err, HP_E_NOT_FOUND, "the offer has no file with this id");
    if (rc == 0)
        rc = read_range(request, &file, &offset, &ask, &err);
    if (rc == 0 && info->state != HP_INCOMING_RECEIVING && !file.done)
        rc = hp_err_set(&err, HP_E_CONFLICT, "the transfer is %s", hp_incoming_state_name(info->state));
    if (rc == 0 && offset > file.received && !file.done)
        rc = hp_err_set(&err, HP_E_CONFLICT, "%llu bytes are here: go on at byte %llu",
                        (unsigned long long)file.received, (unsigned long long)file.received);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    if (ask) {
        hp_http_reply_json(request, 200, file_json(&file));
        return;
    }
    putting_t *self = hp_alloc(sizeof *self);
    *self = (putting_t){
        .inbox = peer->inbox, .request = request, .id = info->id, .file = index, .offset = offset};
    hp_http_addref(request);
    hp_http_on_gone(request, on_put_gone, self);
    hp_http_body_next(request, on_put_piece, self);
}

/* ---- which ---- */

bool hp_peer_inbox_is(const char *path, const char **rest)
{
    char first[16], second[16];
    return hp_url_path_first(path, first, sizeof first, rest) && strcmp(first, "hostpair") == 0 &&
           *rest != NULL && hp_url_path_first(*rest, second, sizeof second, rest) &&
           strcmp(second, "inbox") == 0;
}

bool hp_peer_takes_pieces(void *arg, const char *method, const char *path)
{
    const hp_peer_t *peer = arg;
    const char *rest;
    return peer->inbox != NULL && hp_peer_inbox_is(path + 1, &rest) &&
           strcmp(method, rest != NULL ? "PUT" : "POST") == 0;
}

void hp_peer_inbox(hp_peer_t *peer, hp_http_request_t *request, const char *rest)
{
    const char *method = hp_http_method(request), *file = NULL;
    char token[HP_INBOX_TOKEN_SIZE], name[HP_INBOX_TEXT_MAX + 1];
    const char *end;
    hp_incoming_t info;
    hp_http_set_header(request, "Cache-Control", "no-store");
    if (rest == NULL) {
        if (strcmp(method, "POST") == 0)
            post(peer, request);
        else
            hp_http_reply_method(request, "POST");
        return;
    }
    if (!hp_url_path_first(rest, token, sizeof token, &file) ||
        !hp_inbox_by_token(peer->inbox, token, &info)) {
        reply_unknown(request);
    } else if (file != NULL) {
        if (strcmp(method, "PUT") != 0)
            hp_http_reply_method(request, "PUT");
        else if (hp_url_path_first(file, name, sizeof name, &end) && end == NULL)
            put(peer, request, &info, name);
        else
            reply_unknown(request);
    } else if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
        get(peer, request, &info);
    } else if (strcmp(method, "DELETE") == 0) {
        hp_err_t err = {0};
        int rc = hp_inbox_cancel(peer->inbox, info.id, "The sender has cancelled", &err);
        if (rc == 0)
            hp_http_reply_empty(request, 204);
        else
            hp_http_reply_problem(request, rc, &err);
    } else {
        hp_http_reply_method(request, "GET, HEAD, DELETE");
    }
}
