#include "rendezvous/hub_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/retry.h"
#include "identity/identity.h"
#include "rendezvous/sse.h"

#define ANSWER_MAX ((size_t)4 * 1024 * 1024)
#define CALL_MS    20000
/* A stream without a byte for so long is dead: the hub sends a comment every 30 s. */
#define SILENT_MS 75000
/* A network that lost the connection is found out by asking, later than that comment would have come. */
#define ALIVE_S 35
/* What took the stream away took the connections that are kept for calls as well: until they are too old to
 * be used, calls take none of them. */
#define KEPT_MS   60000
#define REOPEN_MS 10000 /* between two times that a call makes the stream be opened anew */
#define DOUBT_MS                                                                                             \
    120000               /* and between two that something did not come by it, which may be another's fault  \
                          */
#define HEARD_MS    5000 /* what came so lately says that it stands */
#define ADDRESSES   8    /* of one name that are tried */
#define STREAM_BODY 0    /* an event stream has no end */

static const hp_retry_policy_t policy = {.first_ms = 1000, .max_ms = 60000, .jitter = 100};

struct hp_hub_client {
    uv_loop_t *loop;
    hp_fetcher_t *fetcher;
    char *hub;
    char host[HP_INVITE_HUB_SIZE];
    uint16_t port;
    char id[HP_PEER_ID_SIZE];
    hp_hub_client_hooks_t hooks;
    hp_hub_state_t state;
    char reason[400];
    hp_retry_t retry;
    hp_log_gate_t log;
    uv_timer_t timer;
    uv_getaddrinfo_t lookup;
    bool looking_up, closing, timer_closed;
    hp_endpoint_t endpoints[ADDRESSES]; /* where the name points to */
    size_t endpoint_count, endpoint_at;
    char address[HP_ENDPOINT_ADDRESS_SIZE];
    hp_fetch_t *stream; /* NULL: not open */
    bool reopening;     /* it was given up and is opened anew at once */
    char reopen_reason[400];
    uint64_t reopened_at, doubted_at, heard_at; /* hp_clock_ms; heard: on the stream */
    hp_sse_t sse;
    hp_list_t calls; /* under way */
    void (*closed)(void *arg);
    void *closed_arg;
};

typedef struct call {
    hp_link_t link;
    hp_hub_client_t *client;
    hp_fetch_t *fetch;
    hp_hub_answer_fn done;
    void *arg;
    bool raw;
    bool as_member; /* of a group that the hub has let this host in to */
    hp_buf_t answer;
    int status; /* of HTTP */
} call_t;

const char *hp_hub_state_name(hp_hub_state_t state)
{
    static const char *const names[] = {
#define X(name, text) text,
        HP_HUB_STATES(X)
#undef X
    };
    return names[state];
}

static void set_state(hp_hub_client_t *self, hp_hub_state_t state, const char *reason)
{
    if (self->state == state && strcmp(self->reason, reason) == 0)
        return;
    if (self->state != state)
        hp_log_gated(&self->log, state == HP_HUB_UNREACHABLE ? HP_LOG_WARN : HP_LOG_INFO,
                     "hub %s: %s -> %s%s%s", self->hub, hp_hub_state_name(self->state),
                     hp_hub_state_name(state), reason[0] != '\0' ? ": " : "", reason);
    self->state = state;
    snprintf(self->reason, sizeof self->reason, "%s", reason);
    if (!self->closing)
        self->hooks.changed(self->hooks.arg);
}

/* ---- the stream ---- */

static void try_address(hp_hub_client_t *self);
static void finish_closing(hp_hub_client_t *self);
static void on_timer(uv_timer_t *timer);

static void try_later(hp_hub_client_t *self, const char *reason)
{
    uint64_t now = hp_clock_ms(), at = hp_retry_failed(&self->retry, &policy, now);
    set_state(self, HP_HUB_UNREACHABLE, reason);
    uv_timer_start(&self->timer, on_timer, at > now ? at - now : 1, 0);
}

static void on_event(void *arg, const char *event, const char *data)
{
    hp_hub_client_t *self = arg;
    json_t *json = json_loads(data, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL) {
        hp_log_gated(&self->log, HP_LOG_WARN, "hub %s: an event is not JSON", self->hub);
        return;
    }
    self->hooks.event(self->hooks.arg, event, json);
    json_decref(json);
}

static int on_stream_head(void *arg, const hp_fetch_head_t *head)
{
    hp_hub_client_t *self = arg;
    if (head->status != 200)
        return HP_E_STATUS;
    if (!head->proven)
        return HP_E_NOT_TLS;
    if (self->id[0] == '\0') /* the first contact: this key it is from now on */
        hp_identity_id_of(head->fingerprint, self->id);
    snprintf(self->address, sizeof self->address, "%s", head->address);
    hp_retry_reset(&self->retry);
    set_state(self, HP_HUB_CONNECTED, "");
    return 0;
}

static int on_stream_data(void *arg, const uint8_t *data, size_t length)
{
    hp_hub_client_t *self = arg;
    self->heard_at = hp_clock_ms();
    return hp_sse_feed(&self->sse, data, length);
}

static void on_stream_done(void *arg, int status, const hp_err_t *err)
{
    hp_hub_client_t *self = arg;
    self->stream = NULL;
    self->address[0] = '\0';
    hp_sse_dispose(&self->sse);
    if (self->closing) {
        finish_closing(self);
        return;
    }
    if (self->reopening) {
        self->reopening = false;
        set_state(self, HP_HUB_CONNECTING, self->reopen_reason);
        uv_timer_start(&self->timer, on_timer, 0, 0);
        return;
    }
    bool was_connected = self->state == HP_HUB_CONNECTED;
    if (!was_connected && ++self->endpoint_at < self->endpoint_count && status != HP_E_STATUS) {
        try_address(self);
        return;
    }
    try_later(self, status == 0                ? "the hub has ended the connection"
                    : status == HP_E_TOO_LARGE ? "the hub has sent an event that is too long"
                                               : hp_err_text(err));
}

static void try_address(hp_hub_client_t *self)
{
    static const hp_fetch_callbacks_t callbacks = {
        .on_head = on_stream_head, .on_data = on_stream_data, .on_done = on_stream_done};
    hp_fetch_options_t options = {.endpoint = &self->endpoints[self->endpoint_at],
                                  .path = "/hub/v1/events",
                                  .accept = "text/event-stream",
                                  .fresh = true,
                                  .body_max = STREAM_BODY,
                                  .stall_ms = SILENT_MS,
                                  .alive_s = ALIVE_S};
    hp_sse_init(&self->sse, on_event, self);
    self->stream = hp_fetch_start(self->fetcher, &options, &callbacks, self);
}

static void add_address(hp_hub_client_t *self, const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN];
    int rc = address->sa_family == AF_INET6
                 ? uv_ip6_name((const struct sockaddr_in6 *)address, text, sizeof text)
                 : uv_ip4_name((const struct sockaddr_in *)address, text, sizeof text);
    hp_endpoint_t *endpoint = &self->endpoints[self->endpoint_count];
    if (rc != 0 || hp_endpoint_make(endpoint, HP_SCHEME_TLS, text, self->port) != 0)
        return;
    memcpy(endpoint->id, self->id, sizeof endpoint->id);
    self->endpoint_count++;
}

static void on_found(uv_getaddrinfo_t *lookup, int status, struct addrinfo *result)
{
    hp_hub_client_t *self = lookup->data;
    self->looking_up = false;
    if (self->closing) {
        uv_freeaddrinfo(result);
        finish_closing(self);
        return;
    }
    self->endpoint_count = self->endpoint_at = 0;
    for (struct addrinfo *at = result; at != NULL && self->endpoint_count < ADDRESSES; at = at->ai_next)
        add_address(self, at->ai_addr);
    uv_freeaddrinfo(result);
    if (self->endpoint_count > 0) {
        try_address(self);
        return;
    }
    char reason[400];
    snprintf(reason, sizeof reason, "the name %s is not known: %s", self->host,
             status != 0 ? uv_strerror(status) : "it has no address");
    try_later(self, reason);
}

static void look_up(hp_hub_client_t *self)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    if (self->stream != NULL || self->looking_up || self->closing)
        return;
    /* AI_ADDRCONFIG passes over loopback, and a numeric address needs no filter. */
    if (strspn(self->host, "0123456789.") == strlen(self->host) || strchr(self->host, ':') != NULL)
        hints.ai_flags = AI_NUMERICHOST;
    self->lookup.data = self;
    int rc = uv_getaddrinfo(self->loop, &self->lookup, on_found, self->host, NULL, &hints);
    if (rc == 0)
        self->looking_up = true;
    else
        try_later(self, uv_strerror(rc));
}

static void on_timer(uv_timer_t *timer)
{
    hp_hub_client_t *self = timer->data;
    if (self->stream != NULL)
        return;
    set_state(self, HP_HUB_CONNECTING, self->reason);
    look_up(self);
}

/* Opens the stream, which stands as far as is known, anew. */
static void reopen(hp_hub_client_t *self, const char *reason)
{
    self->reopening = true;
    self->reopened_at = hp_clock_ms();
    snprintf(self->reopen_reason, sizeof self->reopen_reason, "%s", reason);
    hp_fetch_cancel(self->stream);
}

void hp_hub_client_network_changed(hp_hub_client_t *self)
{
    if (self->closing)
        return;
    hp_retry_reset(&self->retry);
    if (self->stream != NULL &&
        !self->reopening) /* that it is gone, or does not come, would be noticed late */
        reopen(self, "the network of this machine has changed");
    else
        uv_timer_start(&self->timer, on_timer, 100, 0);
}

/* Whether this end of a call says that the stream is gone as well: the hub cannot be reached, another one
 * answers in its place, or it does not know that this host is a member, which each new stream tells it. */
static bool speaks_of_loss(const call_t *call, int status)
{
    static const int losses[] = {HP_E_UNREACHABLE, HP_E_STALLED,  HP_E_TLS,    HP_E_NOT_TLS,
                                 HP_E_WRONG_KEY,   UV_ECONNRESET, UV_ETIMEDOUT};
    for (size_t i = 0; i < HP_COUNT(losses); i++)
        if (status == losses[i])
            return true;
    return status == HP_E_FORBIDDEN && call->as_member;
}

/* A stream that a router has forgotten looks as one on which nothing happens; a call notices. */
static void doubt_stream(const call_t *call, int status, const hp_err_t *err)
{
    hp_hub_client_t *self = call->client;
    uint64_t now = hp_clock_ms();
    if (self->closing || self->reopening || self->stream == NULL || self->state != HP_HUB_CONNECTED ||
        !speaks_of_loss(call, status) || (self->reopened_at != 0 && now - self->reopened_at < REOPEN_MS))
        return;
    reopen(self, hp_err_text(err));
}

void hp_hub_client_doubt(hp_hub_client_t *self, const char *reason)
{
    uint64_t now = hp_clock_ms();
    if (self->closing || self->reopening || self->stream == NULL || self->state != HP_HUB_CONNECTED ||
        now - self->heard_at < HEARD_MS || (self->doubted_at != 0 && now - self->doubted_at < DOUBT_MS))
        return;
    self->doubted_at = now;
    reopen(self, reason);
}

/* ---- calls ---- */

static int code_of(const call_t *call, const json_t *json, hp_err_t *err)
{
    static const int known[] = {HP_E_FORBIDDEN, HP_E_NOT_FOUND, HP_E_TOO_MANY, HP_E_CONFLICT,
                                HP_E_INVALID,   HP_E_TOO_LARGE, HP_E_BUSY};
    const char *slug = json_string_value(json_object_get(json, "code"));
    const char *detail = json_string_value(json_object_get(json, "detail"));
    int code = HP_E_STATUS;
    for (size_t i = 0; slug != NULL && i < HP_COUNT(known); i++)
        if (strcmp(slug, hp_err_slug(known[i])) == 0)
            code = known[i];
    if (detail != NULL)
        return hp_err_set(err, code, "%.300s", detail);
    return hp_err_set(err, code, "the hub answers with status %d", call->status);
}

static void answer(call_t *call, int status, const hp_err_t *err)
{
    json_t *json = NULL;
    hp_err_t why = err != NULL ? *err : (hp_err_t){0};
    if (status == 0 && call->status != 204 && call->status != 304 && (!call->raw || call->status >= 300)) {
        json = json_loadb(call->answer.data != NULL ? call->answer.data : "", call->answer.length,
                          JSON_REJECT_DUPLICATES, NULL);
        if (call->status >= 300)
            status = code_of(call, json, &why);
        else if (json == NULL)
            status = hp_err_set(&why, HP_E_PROTOCOL, "the hub's answer is not JSON");
    }
    if (status == 0 && call->status == 304)
        status = hp_err_set(&why, HP_E_EXISTS, "it has not changed");
    if (call->done != NULL)
        call->done(call->arg, status, json, call->answer.data, call->answer.length, &why);
    json_decref(json);
    doubt_stream(call, status, &why);
}

static int on_call_head(void *arg, const hp_fetch_head_t *head)
{
    ((call_t *)arg)->status = head->status;
    return 0;
}

static int on_call_data(void *arg, const uint8_t *data, size_t length)
{
    return hp_buf_add(&((call_t *)arg)->answer, data, length);
}

static void on_call_done(void *arg, int status, const hp_err_t *err)
{
    call_t *call = arg;
    hp_hub_client_t *self = call->client;
    hp_link_remove(&call->link);
    answer(call, status, err);
    hp_buf_dispose(&call->answer);
    free(call);
    if (self->closing)
        finish_closing(self);
}

void hp_hub_client_call(hp_hub_client_t *self, const hp_hub_call_t *in, hp_hub_answer_fn done, void *arg)
{
    static const hp_fetch_callbacks_t callbacks = {
        .on_head = on_call_head, .on_data = on_call_data, .on_done = on_call_done};
    char *text = in->json != NULL ? json_dumps(in->json, JSON_COMPACT) : NULL;
    const char *headers[2] = {in->header, NULL};
    call_t *call = hp_alloc(sizeof *call);
    json_decref(in->json);
    call->client = self;
    call->done = done;
    call->arg = arg;
    call->raw = in->raw;
    call->as_member = strstr(in->path, "/members/") == NULL;
    hp_buf_init(&call->answer, in->answer_max > 0 ? in->answer_max : ANSWER_MAX);
    hp_list_add(&self->calls, &call->link);
    /* Without a stream there may be no address yet; the request then fails, as it should, with the reason. */
    size_t at = HP_MIN(self->endpoint_at, (size_t)(ADDRESSES - 1));
    hp_fetch_options_t options = {.endpoint = &self->endpoints[at],
                                  .path = in->path,
                                  .method = in->method,
                                  .accept = in->raw ? NULL : "application/json",
                                  .body = text != NULL ? text : in->data,
                                  .body_length = text != NULL ? strlen(text) : in->length,
                                  .content_type =
                                      text != NULL ? "application/json" : "application/octet-stream",
                                  .body_max = call->answer.max,
                                  .total_ms = CALL_MS,
                                  .headers = in->header != NULL ? headers : NULL};
    options.fresh = self->reopened_at != 0 && hp_clock_ms() - self->reopened_at < KEPT_MS;
    call->fetch = hp_fetch_start(self->fetcher, &options, &callbacks, call);
    free(text);
}

/* ---- life ---- */

hp_hub_client_t *hp_hub_client_create(uv_loop_t *loop, hp_fetcher_t *fetcher, const char *hub, const char *id,
                                      const hp_hub_client_hooks_t *hooks)
{
    hp_hub_client_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    self->fetcher = fetcher;
    self->hub = hp_strdup(hub);
    hp_invite_hub_split(hub, self->host, &self->port);
    snprintf(self->id, sizeof self->id, "%s", id);
    self->hooks = *hooks;
    hp_list_init(&self->calls);
    uv_timer_init(loop, &self->timer);
    self->timer.data = self;
    return self;
}

void hp_hub_client_start(hp_hub_client_t *self)
{
    uv_timer_start(&self->timer, on_timer, 0, 0);
}

static void finish_closing(hp_hub_client_t *self)
{
    if (self->looking_up || self->stream != NULL || !hp_list_is_empty(&self->calls) || !self->timer_closed)
        return;
    void (*closed)(void *arg) = self->closed;
    void *arg = self->closed_arg;
    free(self->hub);
    free(self);
    closed(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_hub_client_t *self = handle->data;
    self->timer_closed = true;
    finish_closing(self);
}

void hp_hub_client_destroy(hp_hub_client_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    if (self->looking_up)
        uv_cancel((uv_req_t *)&self->lookup);
    if (self->stream != NULL)
        hp_fetch_cancel(self->stream);
    HP_LIST_EACH (at, &self->calls) {
        hp_fetch_cancel(HP_CONTAINER(at, call_t, link)->fetch);
    }
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
}

hp_hub_state_t hp_hub_client_state(const hp_hub_client_t *self)
{
    return self->state;
}

const char *hp_hub_client_reason(const hp_hub_client_t *self)
{
    return self->reason;
}

const char *hp_hub_client_hub(const hp_hub_client_t *self)
{
    return self->hub;
}

const char *hp_hub_client_id(const hp_hub_client_t *self)
{
    return self->id;
}

const char *hp_hub_client_address(const hp_hub_client_t *self)
{
    return self->address;
}
