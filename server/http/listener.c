#include "internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define BACKLOG          1024
#define STUCK_MS         30000 /* default of stuck_ms */
#define IDLE_MS          60000 /* default of idle_ms */
#define DESCRIPTORS_KEPT 128   /* of the descriptor limit, for everything but connections */
/* h2o's own time-out would count the silence between two requests and the whole of the next request together.
 * The sweep does better; this only has to be longer. */
#define H2O_REQUEST_MS ((uint64_t)24 * 3600 * 1000)

static void configure(hp_http_listener_t *self)
{
    h2o_config_init(&self->config);
    self->config.server_name = h2o_iovec_init(self->server, strlen(self->server));
    self->config.max_request_entity_size = self->options.body_max;
    self->config.http1.upgrade_to_http2 = 0;
    self->config.http1.req_timeout = H2O_REQUEST_MS;
    self->config.filecache.capacity = 0;
    h2o_hostconf_t *host =
        h2o_config_register_host(&self->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *all = h2o_config_register_path(host, "/", 0);
    h2o_create_handler(all, sizeof(h2o_handler_t))->on_req = hp_request_on_req;
    hp_refuse_register(all);
    hp_refuse_register(&host->fallback_path);
    h2o_context_init(&self->context, self->loop, &self->config);
    self->accept = (h2o_accept_ctx_t){.ctx = &self->context, .hosts = self->config.hosts};
}

/* h2o_context_dispose runs the context's loop to let its handles close, and that from inside a callback of
 * the same loop. An empty loop in its place keeps ours from being entered twice; the handles close in our
 * loop's next turn. */
static void unconfigure(hp_http_listener_t *self)
{
    uv_loop_t empty;
    bool made = uv_loop_init(&empty) == 0;
    if (made)
        self->context.loop = &empty;
    h2o_context_dispose(&self->context);
    if (made)
        uv_loop_close(&empty);
    h2o_config_dispose(&self->config);
}

static void on_connection(uv_stream_t *server, int status)
{
    hp_http_listener_t *self = server->data;
    if (status == 0)
        hp_connection_accept(self, server);
    else
        hp_log(HP_LOG_WARN, "%s: a connection could not be accepted: %s", self->name, uv_strerror(status));
}

/* "::" where there is no IPv6 becomes 0.0.0.0. */
static int bind_address(hp_http_listener_t *self, const char *address, uint16_t port)
{
    struct sockaddr_storage where;
    int rc = uv_ip6_addr(address, port, (struct sockaddr_in6 *)&where);
    if (rc != 0)
        rc = uv_ip4_addr(address, port, (struct sockaddr_in *)&where);
    if (rc == 0)
        rc = uv_tcp_bind(&self->tcp, (struct sockaddr *)&where, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&self->tcp, BACKLOG, on_connection);
    return rc;
}

static uint16_t bound_port(const uv_tcp_t *tcp)
{
    struct sockaddr_storage where;
    int length = sizeof where;
    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&where, &length) != 0)
        return 0;
    return ntohs(where.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&where)->sin6_port
                                             : ((struct sockaddr_in *)&where)->sin_port);
}

static void on_handle_closed(uv_handle_t *handle)
{
    hp_http_listener_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

static void open_handles(hp_http_listener_t *self)
{
    uv_timer_init(self->loop, &self->sweep);
    uv_timer_init(self->loop, &self->throttle);
    uv_idle_init(self->loop, &self->idle);
    self->sweep.data = self->throttle.data = self->idle.data = self->tcp.data = self;
    hp_pending_add(&self->pending); /* tcp and idle; the timers stay until everything else has ended */
    hp_pending_add(&self->pending);
}

static int listen_on(hp_http_listener_t *self, const char *address, uint16_t port)
{
    int rc = uv_tcp_init(self->loop, &self->tcp);
    if (rc == 0 && address != NULL)
        rc = bind_address(self, address, port);
    return rc;
}

/* A handle that could not be used still has to be closed by the loop, which may not run again for the
 * listener's owner: it is given a life of its own. */
static void on_failed_closed(uv_handle_t *handle)
{
    free(HP_CONTAINER(handle, hp_http_listener_t, tcp));
}

static int open_tcp(hp_http_listener_t **out, uv_loop_t *loop, const char *address, uint16_t port)
{
    hp_http_listener_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    int rc = listen_on(self, address, port);
    if (rc != 0) {
        if (self->tcp.loop != NULL)
            uv_close((uv_handle_t *)&self->tcp, on_failed_closed);
        else
            free(self);
        return rc;
    }
    *out = self;
    return 0;
}

/* The rest of hostpair keeps some descriptors; of the others the listener has its share, so that one that is
 * crowded leaves the other ones theirs. Three parts of that for the sockets of connections, one for the files
 * of requests under way. One address gets half of the files at most, so that there is always some left. */
static void share_out(hp_http_listener_t *self, size_t descriptors)
{
    unsigned percent = self->options.descriptor_percent > 0 ? self->options.descriptor_percent : 100;
    size_t shared = descriptors - HP_MIN(descriptors / 4, (size_t)DESCRIPTORS_KEPT);
    size_t part = HP_MAX(shared * percent / 100 / 4, (size_t)1);
    self->busy_max = part;
    self->sockets_max = 3 * part;
    if (self->options.per_address_max > 0)
        self->options.per_address_max =
            (unsigned)HP_MIN((size_t)self->options.per_address_max, HP_MAX(part / 2, (size_t)1));
}

int hp_http_listen(hp_http_listener_t **listener, uv_loop_t *loop, const char *address, uint16_t port,
                   const hp_http_options_t *options, hp_err_t *err)
{
    hp_http_listener_t *self = NULL;
    signal(SIGPIPE, SIG_IGN);
    size_t descriptors = hp_limits_raise_descriptors();
    int rc = open_tcp(&self, loop, address, port);
    if (address != NULL && strcmp(address, "::") == 0 && (rc == UV_EAFNOSUPPORT || rc == UV_EADDRNOTAVAIL)) {
        address = "0.0.0.0";
        rc = open_tcp(&self, loop, address, port);
    }
    if (rc != 0)
        return hp_err_set(err, rc, "the %s listener cannot use %s port %u: %s", options->name, address,
                          (unsigned)port, uv_strerror(rc));
    self->options = *options;
    self->name = hp_strdup(options->name);
    self->server = hp_strdup(options->server);
    self->options.name = self->name;
    self->options.server = self->server;
    if (self->options.stuck_ms == 0)
        self->options.stuck_ms = STUCK_MS;
    if (self->options.idle_ms == 0)
        self->options.idle_ms = IDLE_MS;
    share_out(self, descriptors);
    self->port = bound_port(&self->tcp);
    h2o_linklist_init_anchor(&self->connections);
    h2o_linklist_init_anchor(&self->dying);
    h2o_linklist_init_anchor(&self->lingering);
    h2o_linklist_init_anchor(&self->idle_connections);
    open_handles(self);
    configure(self);
    hp_turns_init(self);
    hp_sender_init(&self->sender, options->limit);
    if (options->secure != NULL) {
        self->cipher = hp_alloc(HP_CIPHER_BYTES);
        self->plain = hp_alloc(HP_PLAIN_BYTES);
        self->hand = hp_alloc(HP_HAND_BYTES);
    }
    hp_sweep_start(self);
    *listener = self;
    return 0;
}

uint16_t hp_http_port(const hp_http_listener_t *self)
{
    return self->port;
}

/* ---- the end ---- */

/* Handles of h2o's context were closed in the turn before this one: their memory may go now. */
static void on_all_closed(uv_handle_t *handle)
{
    hp_http_listener_t *self = handle->data;
    void (*closed)(void *arg) = self->closed;
    void *arg = self->closed_arg;
    hp_limits_dispose(&self->limits);
    hp_sender_dispose(&self->sender);
    free(self->sink.data);
    free(self->cipher);
    free(self->plain);
    free(self->hand);
    free(self->name);
    free(self->server);
    free(self);
    if (closed != NULL)
        closed(arg);
}

static void on_sweep_closed(uv_handle_t *handle)
{
    hp_http_listener_t *self = handle->data;
    uv_close((uv_handle_t *)&self->throttle, on_all_closed);
}

static void close_timers(void *arg)
{
    hp_http_listener_t *self = arg;
    unconfigure(self);
    uv_close((uv_handle_t *)&self->sweep, on_sweep_closed);
}

void hp_http_destroy(hp_http_listener_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    uv_close((uv_handle_t *)&self->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&self->idle, on_handle_closed);
    while (!h2o_linklist_is_empty(&self->connections))
        hp_connection_cut(H2O_STRUCT_FROM_MEMBER(hp_connection_t, all, self->connections.next));
    hp_linger_end_all(self);
    hp_pending_when_none(&self->pending, close_timers, self);
}

/* ---- who is connected ---- */

static int by_id(const void *a, const void *b)
{
    const hp_http_connection_t *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

size_t hp_http_connections(const hp_http_listener_t *self, hp_http_connection_t *out, size_t max)
{
    size_t count = 0;
    for (const h2o_linklist_t *at = self->connections.next; at != &self->connections;
         at = at->next, count++) {
        const hp_connection_t *c = H2O_STRUCT_FROM_MEMBER(const hp_connection_t, all, at);
        if (count >= max)
            continue;
        out[count] = (hp_http_connection_t){.id = c->id,
                                            .port = c->who.port,
                                            .encrypted = c->who.encrypted,
                                            .since = c->since,
                                            .requests = c->requests,
                                            .bytes_sent = c->bytes_sent,
                                            .speed_bps = c->speed_bps,
                                            .active = c->request != NULL || c->begun_at != 0};
        memcpy(out[count].address, c->who.address, sizeof out[count].address);
        memcpy(out[count].host, c->who.id, sizeof out[count].host);
        memcpy(out[count].path, c->path, sizeof c->path);
        memcpy(out[count].user_agent, c->user_agent, sizeof c->user_agent);
    }
    if (max > 0) /* a sweep that cut some leaves the list turned */
        qsort(out, HP_MIN(count, max), sizeof *out, by_id);
    return count;
}

int hp_http_disconnect(hp_http_listener_t *self, uint64_t id)
{
    for (h2o_linklist_t *at = self->connections.next; at != &self->connections; at = at->next) {
        hp_connection_t *c = H2O_STRUCT_FROM_MEMBER(hp_connection_t, all, at);
        if (c->id == id) {
            hp_connection_cut(c);
            return 0;
        }
    }
    return HP_E_NOT_FOUND;
}

typedef struct clients {
    bool (*fn)(void *arg, const hp_who_t *who); /* NULL: those that are marked */
    void *arg;
} clients_t;

/* In turns as the sweep does: a cut may run callbacks that end others. */
static size_t disconnect(hp_http_listener_t *self, const clients_t *which)
{
    size_t count = 0;
    for (size_t left = self->connection_count; left > 0 && !h2o_linklist_is_empty(&self->connections);
         left--) {
        hp_connection_t *c = H2O_STRUCT_FROM_MEMBER(hp_connection_t, all, self->connections.next);
        h2o_linklist_unlink(&c->all);
        h2o_linklist_insert(&self->connections, &c->all);
        if (which->fn != NULL ? which->fn(which->arg, &c->who) : c->marked) {
            hp_connection_cut(c);
            count++;
        }
    }
    return count;
}

size_t hp_http_disconnect_if(hp_http_listener_t *self, bool (*fn)(void *arg, const hp_who_t *who), void *arg)
{
    return disconnect(self, &(clients_t){.fn = fn, .arg = arg});
}

void hp_http_mark(hp_http_request_t *request)
{
    if (request->req != NULL)
        request->connection->marked = true;
}

void hp_http_disconnect_marked(hp_http_listener_t *self)
{
    disconnect(self, &(clients_t){0});
}

uint64_t hp_http_bytes_sent(const hp_http_listener_t *self)
{
    return self->bytes_sent;
}
