#include "localsend/localsend.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "internal.h"

#define BODY_MAX        ((size_t)4 * 1024 * 1024) /* bytes: an offer of 10,000 files */
#define CONNECTIONS_MAX 64
#define PER_ADDRESS_MAX 16
#define SWEEP_MS        15000

#define BASE "/api/localsend/"

/* ---- requests ---- */

void hp_localsend_reply(hp_http_request_t *request, int status, const char *message)
{
    hp_http_reply_json(request, status, json_pack("{s:s}", "message", message));
}

static json_t *describe(void *arg, hp_localsend_say_t say)
{
    const hp_localsend_t *self = arg;
    json_t *json = hp_devices_describe_self(self->deps.devices, say);
    if (json != NULL)
        json_object_set_new(json, "download", json_boolean(hp_localsend_offers(self)));
    return json;
}

json_t *hp_localsend_info(hp_localsend_t *self)
{
    return describe(self, HP_LOCALSEND_INFO);
}

/* The body of a register: what is announced, without the wish for answers. */
static json_t *describe_to_register(void *arg)
{
    json_t *json = describe(arg, HP_LOCALSEND_ANNOUNCE);
    json_object_del(json, "announce");
    json_object_del(json, "announcement");
    return json;
}

static void info(hp_localsend_t *self, hp_http_request_t *request)
{
    hp_http_reply_json(request, 200, describe(self, HP_LOCALSEND_INFO));
}

static void heard(void *arg, const hp_localsend_device_t *device, const char *address)
{
    hp_devices_heard(((hp_localsend_t *)arg)->deps.devices, device, address);
}

/* What a device says that looks for others, one address after the other. */
static void take_register(hp_localsend_t *self, hp_http_request_t *request)
{
    hp_localsend_device_t device;
    hp_err_t err = {0};
    size_t length;
    const void *body = hp_http_body(request, &length);
    if (hp_localsend_read_device(&device, body, length, &err) != 0) {
        hp_localsend_reply(request, 400, hp_err_text(&err));
        return;
    }
    heard(self, &device, hp_http_who(request)->address);
    info(self, request);
}

static const struct {
    const char *method, *path;
    void (*handler)(hp_localsend_t *self, hp_http_request_t *request);
} routes[] = {
    {"GET", BASE "v1/info", info},
    {"GET", BASE "v2/info", info},
    {"POST", BASE "v2/register", take_register},
    {"POST", BASE "v2/prepare-upload", hp_localsend_prepare_upload},
    {"POST", BASE "v2/upload", hp_localsend_upload},
    {"POST", BASE "v2/cancel", hp_localsend_cancel},
    {"POST", BASE "v2/prepare-download", hp_localsend_prepare_download},
    {"GET", BASE "v2/download", hp_localsend_download},
};

/* A page that somebody looks at could else send files in that person's name. */
static bool is_from_a_page(hp_http_request_t *request)
{
    return hp_http_header(request, "Origin") != NULL || hp_http_header(request, "Sec-Fetch-Site") != NULL;
}

static void on_request(void *arg, hp_http_request_t *request)
{
    hp_localsend_t *self = arg;
    const char *path = hp_http_path(request), *method = hp_http_method(request);
    hp_http_set_header(request, "Cache-Control", "no-store");
    for (size_t i = 0; i < HP_COUNT(routes); i++) {
        if (strcmp(path, routes[i].path) != 0)
            continue;
        if (hp_hosts_is_blocked(self->deps.hosts, hp_http_who(request)) || is_from_a_page(request))
            hp_localsend_reply(request, 403, "This host takes nothing from here");
        else if (strcmp(method, routes[i].method) == 0)
            routes[i].handler(self, request);
        else
            hp_http_reply_method(request, routes[i].method);
        return;
    }
    hp_localsend_reply(request, 404, "There is nothing here");
}

static bool takes_pieces(void *arg, const char *method, const char *path)
{
    (void)arg;
    return strcmp(method, "POST") == 0 && strcmp(path, BASE "v2/upload") == 0;
}

/* ---- on and off ---- */

static void follow(hp_localsend_t *self);

static void finish(void *arg)
{
    hp_localsend_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    hp_array_dispose(&self->sessions);
    free(self);
    closed(closed_arg);
}

static void on_part_closed(void *arg)
{
    hp_localsend_t *self = arg;
    if (--self->closing == 0 && self->closed == NULL)
        follow(self);
    hp_pending_drop(&self->pending);
}

static void say_trouble(hp_localsend_t *self, int rc, const hp_err_t *err)
{
    if (rc == UV_EADDRINUSE)
        hp_err_set(&self->trouble, rc,
                   "Another program on this machine has port %d (the LocalSend app?), so LocalSend devices "
                   "neither find this host nor send to it. hostpair takes the port once it is free, and "
                   "\"hostpair settings localsend off\" does without it.",
                   HP_LOCALSEND_PORT);
    else
        hp_err_set(&self->trouble, rc,
                   "LocalSend devices neither find this host nor send to it: %.200s. hostpair keeps trying.",
                   hp_err_text(err));
}

static void begin(hp_localsend_t *self)
{
    hp_err_t err = {0};
    hp_http_options_t options = {.name = "localsend",
                                 .server = "hostpair/" HP_VERSION,
                                 .body_max = BODY_MAX,
                                 .takes_pieces = takes_pieces,
                                 .connections_max = CONNECTIONS_MAX,
                                 .descriptor_percent = self->deps.descriptor_percent,
                                 .per_address_max = PER_ADDRESS_MAX,
                                 .secure = self->deps.secure,
                                 .limit = self->deps.limit,
                                 .handler = on_request,
                                 .arg = self};
    hp_announcer_t announcer = {.fingerprint = hp_devices_own_fingerprint(self->deps.devices),
                                .describe = describe,
                                .heard = heard,
                                .arg = self};
    int rc = hp_http_listen(&self->listener, self->deps.loop, self->deps.address, HP_LOCALSEND_PORT, &options,
                            &err);
    if (rc != 0) {
        self->listener = NULL;
        if (self->trouble.code != rc)
            hp_log(HP_LOG_INFO, "no LocalSend here: %s%s", hp_err_text(&err),
                   rc == UV_EADDRINUSE ? "; another program takes part in it" : "");
        say_trouble(self, rc, &err);
        return;
    }
    if (self->trouble.code != 0)
        hp_log(HP_LOG_INFO, "LocalSend: port %d is free, and devices find this host", HP_LOCALSEND_PORT);
    self->trouble.code = 0;
    if (self->deps.announces && hp_announce_create(&self->announce, self->deps.loop, &announcer, &err) != 0)
        hp_log(HP_LOG_WARN, "LocalSend devices find this host by its address only: %s", hp_err_text(&err));
}

static void end(hp_localsend_t *self)
{
    hp_announce_t *announce = self->announce;
    hp_http_listener_t *listener = self->listener;
    self->announce = NULL;
    self->listener = NULL;
    hp_registers_clear(self->registers);
    hp_devices_clear(self->deps.devices);
    self->closing = (announce != NULL) + (listener != NULL);
    for (unsigned i = 0; i < self->closing; i++)
        hp_pending_add(&self->pending);
    if (announce != NULL)
        hp_announce_destroy(announce, on_part_closed, self);
    if (listener != NULL)
        hp_http_destroy(listener, on_part_closed, self);
}

/* Makes it so as it is wanted, when nothing is on its way out any more. */
static void follow(hp_localsend_t *self)
{
    if (self->closing > 0)
        return;
    if (self->wanted && self->listener == NULL)
        begin(self);
    else if (!self->wanted && self->listener != NULL)
        end(self);
    if (!self->wanted)
        self->trouble.code = 0;
}

const char *hp_localsend_trouble(const hp_localsend_t *self)
{
    return self->trouble.code != 0 ? self->trouble.detail : "";
}

void hp_localsend_look(hp_localsend_t *self)
{
    if (self->announce != NULL)
        hp_announce_again(self->announce);
}

bool hp_localsend_looks(const hp_localsend_t *self)
{
    return self->listener != NULL && self->deps.announces;
}

void hp_localsend_try(hp_localsend_t *self, const char *address)
{
    if (hp_localsend_looks(self))
        hp_registers_try(self->registers, address);
}

void hp_localsend_set(hp_localsend_t *self, bool on)
{
    self->wanted = on;
    follow(self);
}

/* ---- life ---- */

static void on_sweep(uv_timer_t *timer)
{
    hp_localsend_sweep(timer->data);
    follow(timer->data);
}

hp_localsend_t *hp_localsend_create(const hp_localsend_deps_t *deps)
{
    hp_localsend_t *self = hp_alloc(sizeof *self);
    *self = (hp_localsend_t){.deps = *deps};
    hp_list_init(&self->offers);
    self->registers = hp_registers_create(deps->fetcher, deps->devices, describe_to_register, self);
    uv_timer_init(deps->loop, &self->sweep);
    self->sweep.data = self;
    uv_timer_start(&self->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    hp_inbox_on_event(deps->inbox, hp_localsend_on_incoming, self);
    return self;
}

static void on_registers_closed(void *arg)
{
    hp_localsend_t *self = arg;
    hp_pending_drop(&self->pending);
}

static void on_sweep_closed(uv_handle_t *handle)
{
    hp_localsend_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

void hp_localsend_destroy(hp_localsend_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    self->wanted = false;
    hp_pending_add(&self->pending);
    uv_close((uv_handle_t *)&self->sweep, on_sweep_closed);
    follow(self);
    hp_pending_add(&self->pending);
    hp_registers_destroy(self->registers, on_registers_closed, self);
    hp_inbox_off_event(self->deps.inbox, hp_localsend_on_incoming, self);
    hp_pending_when_none(&self->pending, finish, self);
}
