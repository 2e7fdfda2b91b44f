#include "hub/hub.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "hub/internal.h"

#define BODY_MAX    ((size_t)1024 * 1024)     /* bytes of a request */
#define PER_ADDRESS 2000                      /* connections: hosts of one network share an address */
#define PRUNE_MS    ((uint64_t)3600 * 1000)   /* between two looks for members that never came back */
#define KEPT_MS     ((int64_t)180 * 86400000) /* a member is forgotten when it was away for so long */
#define PORT_TRIES  20                        /* to find a port whose successor is free as well */

uint16_t hp_hub_port(const hp_hub_t *self)
{
    return hp_hub_door_port(self->door);
}

const char *hp_hub_fingerprint(const hp_hub_t *self)
{
    return self->fingerprint;
}

static void on_pruned(void *arg, int status, const hp_err_t *err)
{
    (void)arg;
    if (status != 0 && status != UV_ECANCELED)
        hp_log(HP_LOG_WARN, "hub: members that were away for long are not forgotten: %s", hp_err_text(err));
}

static void on_prune(uv_timer_t *timer)
{
    hp_hub_t *self = timer->data;
    self->backend->prune(self->backend, hp_clock_wall_ms() - KEPT_MS, on_pruned, self);
}

/* ---- the end: each part when the one above it is closed ---- */

static void destroy_backend(hp_hub_backend_t *backend, void (*closed)(void *arg), void *arg)
{
    backend->destroy(backend, closed, arg);
}

static void on_closed(void *arg)
{
    hp_hub_t *self = arg;
#define CLOSE(part, destroy)                                                                                 \
    if (self->part != NULL) {                                                                                \
        void *part = self->part;                                                                             \
        self->part = NULL;                                                                                   \
        destroy(part, on_closed, self);                                                                      \
        return;                                                                                              \
    }
    CLOSE(door, hp_hub_door_destroy)
    CLOSE(listener, hp_http_destroy)
    CLOSE(backend, destroy_backend) /* requests that are held end now */
    CLOSE(relay, hp_hub_relay_destroy)
    CLOSE(stun, hp_stun_server_destroy)
    CLOSE(links, hp_links_destroy)
    CLOSE(presence, hp_presence_destroy)
#undef CLOSE
    hp_secure_destroy(self->secure);
    hp_identity_destroy(self->identity);
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self);
    if (closed != NULL)
        closed(closed_arg);
}

static void on_prune_closed(uv_handle_t *handle)
{
    on_closed(handle->data);
}

void hp_hub_destroy(hp_hub_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    uv_close((uv_handle_t *)&self->prune, on_prune_closed);
}

/* ---- the start ---- */

static void on_relay_connection(void *arg, int fd)
{
    hp_hub_relay_accept(((hp_hub_t *)arg)->relay, fd);
}

static void on_http_connection(void *arg, int fd)
{
    hp_http_serve_fd(((hp_hub_t *)arg)->listener, fd, &(hp_who_t){.way = HP_WAY_LAN});
}

static int create_listener(hp_hub_t *self, hp_err_t *err)
{
    hp_http_options_t options = {.name = "hub",
                                 .server = "hostpair/" HP_VERSION,
                                 .body_max = BODY_MAX,
                                 .per_address_max = PER_ADDRESS,
                                 .descriptor_percent = 50,
                                 .stuck_ms = 30000,
                                 .idle_ms = 120000,
                                 .problem_json = true,
                                 .secure = self->secure,
                                 .handler = hp_hub_on_request,
                                 .arg = self};
    return hp_http_listen(&self->listener, self->loop, NULL, 0, &options, err);
}

static int listen_at(hp_hub_t *self, uint16_t port, hp_err_t *err)
{
    hp_hub_door_hooks_t hooks = {.relay = on_relay_connection, .http = on_http_connection, .arg = self};
    int rc = hp_stun_server_create(&self->stun, self->loop, self->options.address, port, err);
    if (rc != 0)
        return rc;
    rc = hp_hub_door_create(&self->door, self->loop, self->options.address, port, &hooks, err);
    if (rc == 0)
        return 0;
    hp_stun_server_destroy(self->stun, NULL, NULL);
    self->stun = NULL;
    return rc;
}

/* Port 0: one that is free for TCP and UDP, and whose successor is free for UDP. */
static int listen_anywhere(hp_hub_t *self, hp_err_t *err)
{
    int rc = UV_EADDRINUSE;
    for (unsigned i = 0; i < PORT_TRIES && rc == UV_EADDRINUSE; i++)
        rc = listen_at(self, (uint16_t)(20000 + 2 * hp_random_below(20000)), err);
    return rc;
}

int hp_hub_create(hp_hub_t **hub, uv_loop_t *loop, const hp_hub_options_t *options, hp_err_t *err)
{
    hp_hub_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    self->options = *options;
    if (self->options.groups_per_address == 0)
        self->options.groups_per_address = HP_HUB_GROUPS;
    if (self->options.members_per_group == 0)
        self->options.members_per_group = HP_HUB_MEMBERS;
    self->started_at = hp_clock_wall_ms();
    uv_timer_init(loop, &self->prune);
    self->prune.data = self;
    self->presence = hp_presence_create(loop);
    self->links = hp_links_create(loop, self->presence);
    /* The database first: it takes the lock of the data folder. */
    int rc = hp_hub_backend_sqlite(&self->backend, loop, options->data, err);
    if (rc == 0)
        rc = hp_identity_open(&self->identity, options->data, err);
    if (rc == 0)
        rc = hp_secure_create(&self->secure, self->identity, err);
    if (rc == 0)
        rc = create_listener(self, err);
    if (rc == 0) {
        hp_identity_fingerprint_text(hp_identity_fingerprint(self->identity), self->fingerprint);
        /* The listener has raised the limit of descriptors by now. */
        self->relay =
            hp_hub_relay_create(loop, &(hp_hub_relay_limits_t){.bps = options->relay_limit_bps,
                                                               .group_bps = options->relay_group_limit_bps});
        rc = options->port != 0 ? listen_at(self, options->port, err) : listen_anywhere(self, err);
    }
    if (rc != 0) {
        hp_hub_destroy(self, NULL, NULL);
        return rc;
    }
    uv_timer_start(&self->prune, on_prune, PRUNE_MS, PRUNE_MS);
    *hub = self;
    return 0;
}
