#include "tunnel/tunnel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "tunnel/remote.h"

/* ---- sockets ---- */

static void on_stun(hp_tunnel_t *self, hp_udp_t *udp, const uint8_t *data, size_t length,
                    const hp_sockaddr_t *from)
{
    hp_stun_t stun;
    if (hp_stun_parse(&stun, data, length) != 0)
        return;
    HP_LIST_EACH (at, &self->remotes)
        if (hp_remote_stun(HP_CONTAINER(at, hp_remote_t, link), udp, &stun, from))
            return;
}

static void on_train(void *arg, hp_udp_t *udp, const uint8_t *data, size_t length, size_t segment,
                     const hp_sockaddr_t *from)
{
    hp_tunnel_t *self = arg;
    uint64_t now = hp_clock_ns();
    for (size_t at = 0; at < length && !self->closing; at += segment) {
        size_t size = HP_MIN(segment, length - at);
        if (hp_stun_is(data + at, size))
            on_stun(self, udp, data + at, size, from);
        else
            hp_quic_datagram(self->quic, udp, data + at, size, from, now);
    }
}

static void on_writable(void *arg, hp_udp_t *udp)
{
    hp_quic_writable(((hp_tunnel_t *)arg)->quic, udp);
}

/* NULL where this machine lacks the family. */
static hp_udp_t *open_port(hp_tunnel_t *self, int family, uint16_t port)
{
    hp_udp_events_t events = {.train = on_train, .writable = on_writable, .arg = self};
    hp_udp_t *udp = NULL;
    int rc = hp_udp_create(&udp, self->loop, family, port, &events, &self->pending);
    if (rc != 0 && port != 0)
        rc = hp_udp_create(&udp, self->loop, family, 0, &events, &self->pending);
    if (rc != 0 && rc != UV_EAFNOSUPPORT)
        hp_log(HP_LOG_WARN, "tunnel: no UDP over %s: %s", family == AF_INET ? "IPv4" : "IPv6",
               hp_err_sentence(rc));
    return udp;
}

static hp_ports_t open_ports(hp_tunnel_t *self, uint16_t port)
{
    return (hp_ports_t){.v4 = open_port(self, AF_INET, port), .v6 = open_port(self, AF_INET6, port)};
}

void hp_ports_release(hp_ports_t *ports)
{
    if (ports->v4 != NULL)
        hp_udp_release(ports->v4);
    if (ports->v6 != NULL)
        hp_udp_release(ports->v6);
    *ports = (hp_ports_t){0};
}

/* Whoever could not be reached may be reached by this port. */
static void on_port_opened(void *arg)
{
    hp_tunnel_t *self = arg;
    HP_LIST_EACH (at, &self->remotes) {
        hp_remote_t *remote = HP_CONTAINER(at, hp_remote_t, link);
        if (!remote->reach.up)
            hp_reach_again(&remote->reach);
    }
    hp_tunnel_arm(self);
}

static void open_kept(hp_tunnel_t *self)
{
    if (self->kept.v4 != NULL || self->kept.v6 != NULL)
        return;
    self->kept = open_ports(self, self->options.port);
    if (self->options.map_port && self->kept.v4 != NULL)
        self->portmap =
            hp_portmap_create(self->loop, hp_udp_port(self->kept.v4), on_port_opened, self, &self->pending);
}

static void close_kept(hp_tunnel_t *self)
{
    hp_ports_release(&self->kept);
    if (self->portmap != NULL)
        hp_portmap_destroy(self->portmap);
    self->portmap = NULL;
}

hp_ports_t hp_tunnel_take_ports(hp_tunnel_t *self, bool fresh)
{
    hp_sockaddr_t opened;
    open_kept(self);
    if (fresh && (self->portmap == NULL || !hp_portmap_address(self->portmap, &opened)))
        return open_ports(self, 0); /* a port that the router forwards cannot be spoiled */
    if (self->kept.v4 != NULL)
        hp_udp_addref(self->kept.v4);
    if (self->kept.v6 != NULL)
        hp_udp_addref(self->kept.v6);
    return self->kept;
}

/* ---- QUIC's questions ---- */

static bool on_accept(void *arg, hp_udp_t *udp, const hp_sockaddr_t *from, hp_quic_peer_t *peer)
{
    hp_tunnel_t *self = arg;
    HP_LIST_EACH (at, &self->remotes)
        if (hp_remote_accepts(HP_CONTAINER(at, hp_remote_t, link), udp, from, peer))
            return true;
    return false;
}

static void on_made(void *arg, const hp_quic_peer_t *peer, hp_quic_conn_t *conn)
{
    (void)arg;
    hp_remote_made(peer->events.arg, conn);
}

/* ---- time ---- */

static void on_time(uv_timer_t *timer);

static void start_timer(hp_tunnel_t *self, uint64_t due)
{
    uint64_t now = hp_clock_ns();
    if (due == UINT64_MAX)
        uv_timer_stop(&self->timer);
    else
        uv_timer_start(&self->timer, on_time, due <= now ? 0 : (due - now + 999999) / 1000000, 0);
}

static void on_time(uv_timer_t *timer)
{
    hp_tunnel_t *self = HP_CONTAINER(timer, hp_tunnel_t, timer);
    uint64_t due = UINT64_MAX, now = hp_clock_ns();
    bool idle = true;
    hp_tunnel_answer(self);
    if (self->closing)
        return;
    uv_timer_stop(timer);
    HP_LIST_EACH (at, &self->remotes) {
        hp_remote_t *remote = HP_CONTAINER(at, hp_remote_t, link);
        due = HP_MIN(due, hp_remote_run(remote, now));
        idle = idle && hp_remote_is_idle(remote);
    }
    if (idle)
        close_kept(self);
    if (!hp_list_is_empty(&self->answers))
        due = 0;
    start_timer(self, due);
}

void hp_tunnel_arm(hp_tunnel_t *self)
{
    if (!self->closing)
        uv_timer_start(&self->timer, on_time, 0, 0); /* which finds out what is due */
}

/* ---- interface ---- */

int hp_tunnel_create(hp_tunnel_t **tunnel, uv_loop_t *loop, const hp_tunnel_options_t *options, hp_err_t *err)
{
    hp_tunnel_t *self = hp_alloc(sizeof *self);
    hp_quic_options_t quic = {
        .identity = options->identity, .accept = on_accept, .made = on_made, .arg = self};
    self->loop = loop;
    self->options = *options;
    if (self->options.idle_ms == 0)
        self->options.idle_ms = HP_REMOTE_IDLE_MS;
    snprintf(self->id, sizeof self->id, "%s", hp_identity_id(options->identity));
    self->unproven = hp_unproven_create();
    hp_list_init(&self->remotes);
    hp_list_init(&self->answers);
    hp_list_init(&self->asked);
    int rc = hp_quic_create(&self->quic, loop, &quic, &self->pending, err);
    if (rc != 0) {
        hp_unproven_destroy(self->unproven);
        free(self);
        return rc;
    }
    uv_timer_init(loop, &self->timer);
    hp_pending_add(&self->pending);
    *tunnel = self;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_pending_drop(&HP_CONTAINER((uv_timer_t *)handle, hp_tunnel_t, timer)->pending);
}

static void finish(void *arg)
{
    hp_tunnel_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    hp_tunnel_answer(self);
    hp_unproven_destroy(self->unproven);
    free(self);
    closed(closed_arg);
}

void hp_tunnel_destroy(hp_tunnel_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    for (hp_link_t *at; (at = hp_list_first(&self->remotes)) != NULL;)
        hp_remote_destroy(HP_CONTAINER(at, hp_remote_t, link));
    hp_tunnel_end_asked(self);
    hp_quic_destroy(self->quic);
    close_kept(self);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
    hp_pending_when_none(&self->pending, finish, self);
}

hp_remote_t *hp_tunnel_find(hp_tunnel_t *self, const char *id)
{
    HP_LIST_EACH (at, &self->remotes) {
        hp_remote_t *remote = HP_CONTAINER(at, hp_remote_t, link);
        if (strcmp(remote->id, id) == 0)
            return remote;
    }
    return NULL;
}

hp_remote_t *hp_tunnel_remote(hp_tunnel_t *self, const uint8_t fingerprint[HP_FINGERPRINT_SIZE],
                              const hp_signalling_t *signalling)
{
    char id[HP_PEER_ID_SIZE];
    hp_remote_t *remote = hp_tunnel_find(self, hp_identity_id_of(fingerprint, id));
    if (remote == NULL)
        return hp_remote_create(self, fingerprint, signalling);
    remote->signalling = *signalling;
    return remote;
}

void hp_tunnel_forget(hp_tunnel_t *self, const char *id)
{
    hp_remote_t *remote = hp_tunnel_find(self, id);
    if (remote == NULL)
        return;
    hp_remote_destroy(remote);
    hp_tunnel_arm(self);
}

void hp_tunnel_network_changed(hp_tunnel_t *self)
{
    HP_LIST_EACH (at, &self->remotes) {
        hp_remote_t *remote = HP_CONTAINER(at, hp_remote_t, link);
        hp_reach_again(&remote->reach);
        hp_remote_end_lost(remote);
    }
    hp_tunnel_arm(self);
}

/* What the hub refused, or could not pass on, may work now. */
static void try_again(hp_remote_t *remote)
{
    remote->relay_again_at = 0;
    bool waits = remote->reach.state == HP_REACH_RELAY || remote->reach.missed;
    if (waits && remote->signalling.online(remote->signalling.arg))
        hp_reach_again(&remote->reach);
}

void hp_tunnel_signalling_changed(hp_tunnel_t *self)
{
    HP_LIST_EACH (at, &self->remotes) {
        try_again(HP_CONTAINER(at, hp_remote_t, link));
    }
    hp_tunnel_arm(self);
}

void hp_tunnel_back(hp_tunnel_t *self, const char *id)
{
    hp_remote_t *remote = hp_tunnel_find(self, id);
    if (remote == NULL)
        return;
    try_again(remote);
    hp_tunnel_arm(self);
}

void hp_tunnel_offered(hp_tunnel_t *self, const char *from, const hp_offer_t *offer)
{
    hp_remote_t *remote = hp_tunnel_find(self, from);
    uint64_t now = hp_clock_ms();
    if (remote == NULL)
        return;
    if (!hp_remote_takes_offer(remote, now)) {
        hp_log(HP_LOG_DEBUG, "tunnel: %.8s offers too often", from);
        return;
    }
    remote->wanted_at = now;
    hp_reach_offered(&remote->reach, offer, now);
    hp_tunnel_arm(self);
}

void hp_tunnel_offer_failed(hp_tunnel_t *self, const char *to, const char *session, const hp_err_t *err)
{
    hp_remote_t *remote = hp_tunnel_find(self, to);
    if (remote == NULL)
        return;
    hp_reach_offer_failed(&remote->reach, session, err, hp_clock_ms());
    hp_tunnel_arm(self);
}

void hp_tunnel_go(hp_tunnel_t *self, const char *from, const hp_go_t *go)
{
    hp_remote_t *remote = hp_tunnel_find(self, from);
    if (remote == NULL)
        return;
    hp_reach_go(&remote->reach, go, hp_clock_ms());
    hp_tunnel_arm(self);
}
