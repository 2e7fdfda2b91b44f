/* One remote host: what its state machine wants done is done here, with sockets, STUN and QUIC. */
#include "tunnel/remote.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "path/address.h"

/* Offers of one host within OFFERS_MS: two rounds of tries and what crosses them. */
enum { OFFERS_MAX = 10, OFFERS_MS = 30000 };

static const uint64_t ms_ns = 1000000;

static hp_udp_t *port_for(const hp_ports_t *ports, const hp_sockaddr_t *to)
{
    return to->any.sa_family == AF_INET6 ? ports->v6 : ports->v4;
}

static void send_datagram(void *arg, const hp_sockaddr_t *to, const uint8_t *data, size_t length)
{
    hp_remote_t *self = arg;
    hp_udp_t *udp = port_for(&self->ports, to);
    if (udp != NULL)
        hp_udp_send(udp, to, data, length,
                    length); /* what a full socket does not take is lost: it is asked again */
}

/* To addresses that the other host or a hub has named. */
static void send_punch(void *arg, const hp_sockaddr_t *to, const uint8_t *data, size_t length)
{
    hp_remote_t *self = arg;
    if (hp_unproven_packet(self->tunnel->unproven, to, hp_clock_ms()))
        send_datagram(self, to, data, length);
}

/* ---- QUIC ---- */

static hp_who_t who_of(const hp_remote_t *self, hp_quic_conn_t *conn)
{
    hp_who_t who = {.way = self->near ? HP_WAY_LAN : HP_WAY_DIRECT, .encrypted = true};
    snprintf(who.id, sizeof who.id, "%s", self->id);
    memcpy(who.fingerprint, self->fingerprint, sizeof who.fingerprint);
    hp_sockaddr_t remote = hp_quic_remote(conn);
    hp_address_from_sockaddr(&remote, who.address, &who.port);
    return who;
}

static void note_near(hp_remote_t *self, hp_quic_conn_t *conn)
{
    hp_sockaddr_t remote = hp_quic_remote(conn);
    self->near = hp_gather_is_near(&remote);
}

static void on_usable(void *arg, hp_quic_conn_t *conn)
{
    hp_remote_t *self = arg;
    if (conn == self->next && self->conn == NULL)
        note_near(self, conn);
    hp_tunnel_arm(self->tunnel); /* whoever waits for a way has one */
}

hp_quic_conn_t *hp_remote_direct(const hp_remote_t *self)
{
    if (self->conn != NULL)
        return self->conn;
    return self->next != NULL && hp_quic_is_usable(self->next) ? self->next : NULL;
}

static void on_up(void *arg, hp_quic_conn_t *conn)
{
    hp_remote_t *self = arg;
    if (conn != self->next)
        return; /* given up meanwhile; its end is under way */
    hp_quic_conn_t *old = self->conn;
    self->conn = conn;
    self->next = NULL;
    note_near(self, conn);
    self->told_path = HP_PATH_NONE; /* it is another one, also if it is of the same kind */
    hp_remote_tell_path(self);
    if (old != NULL)
        hp_quic_close(old);
    char address[HP_ADDRESS_TEXT];
    uint16_t port;
    hp_sockaddr_t remote = hp_quic_remote(conn);
    hp_address_from_sockaddr(&remote, address, &port);
    hp_log(HP_LOG_INFO, "host %.8s is reached directly at %s port %u", self->id, address, port);
    hp_reach_confirmed(&self->reach);
    hp_tunnel_arm(self->tunnel);
}

static void on_stream(void *arg, hp_quic_conn_t *conn, int fd)
{
    hp_remote_t *self = arg;
    hp_who_t who = who_of(self, conn);
    self->wanted_at = hp_clock_ms();
    self->tunnel->options.on_stream(self->tunnel->options.arg, fd, &who);
}

static void on_down(void *arg, hp_quic_conn_t *conn, hp_quic_end_t end, const hp_err_t *err)
{
    hp_remote_t *self = arg;
    uint64_t now = hp_clock_ms();
    if (conn == self->next) {
        self->next = NULL;
        if (end == HP_QUIC_WRONG_KEY)
            hp_reach_refused(&self->reach, hp_err_text(err), now);
        else
            hp_reach_failed(&self->reach, hp_err_text(err), now);
    } else if (conn == self->conn) {
        self->conn = NULL;
        bool wanted = now - self->wanted_at < self->tunnel->options.idle_ms;
        hp_log(HP_LOG_INFO, "the direct way to host %.8s is gone: %s", self->id, hp_err_text(err));
        if (end == HP_QUIC_CLOSED && self->reach.state == HP_REACH_DIRECT)
            hp_reach_leave(&self->reach); /* in good order: it is looked for again when it is wanted */
        else
            hp_reach_lost(&self->reach, wanted, hp_err_text(err), now);
    }
    if (!self->forgotten)
        hp_tunnel_arm(self->tunnel);
    hp_pending_drop(&self->conns);
}

static hp_quic_peer_t peer_of(hp_remote_t *self, uint64_t rtt)
{
    hp_quic_peer_t peer = {
        .rtt_ns = rtt,
        .events = {.usable = on_usable, .up = on_up, .stream = on_stream, .down = on_down, .arg = self}};
    memcpy(peer.fingerprint, self->fingerprint, sizeof peer.fingerprint);
    return peer;
}

static void dial(hp_remote_t *self, hp_udp_t *udp, const hp_sockaddr_t *to, uint64_t rtt)
{
    hp_err_t err = {0};
    hp_quic_peer_t peer = peer_of(self, rtt);
    if (hp_quic_dial(self->tunnel->quic, udp, to, &peer, &self->next, &err) != 0) {
        hp_log(HP_LOG_WARN, "tunnel: %s", hp_err_text(&err));
        return; /* the handshake's time runs out */
    }
    hp_pending_add(&self->conns);
}

bool hp_remote_accepts(hp_remote_t *self, hp_udp_t *udp, const hp_sockaddr_t *from, hp_quic_peer_t *peer)
{
    if (!self->punching || self->next != NULL || hp_reach_is_first(&self->reach) ||
        port_for(&self->ports, from) != udp || !hp_punch_heard(&self->punch, from))
        return false;
    *peer = peer_of(self, self->punch.rtt);
    return true;
}

void hp_remote_made(hp_remote_t *self, hp_quic_conn_t *conn)
{
    self->next = conn;
    hp_pending_add(&self->conns);
    hp_reach_punched(&self->reach, hp_clock_ms());
    hp_tunnel_arm(self->tunnel);
}

/* ---- STUN ---- */

bool hp_remote_stun(hp_remote_t *self, hp_udp_t *udp, const hp_stun_t *stun, const hp_sockaddr_t *from)
{
    uint64_t now = hp_clock_ns();
    if (port_for(&self->ports, from) != udp)
        return false;
    if (self->gathering && hp_gather_packet(&self->gather, now, stun, from)) {
        self->gather_due = now; /* it may be complete */
        hp_tunnel_arm(self->tunnel);
        return true;
    }
    if (!self->punching)
        return false;
    hp_punch_got_t got = hp_punch_packet(&self->punch, now, stun, from, send_punch, self);
    if (got == HP_PUNCH_ANSWER)
        hp_unproven_answered(self->tunnel->unproven, from);
    if (got == HP_PUNCH_ANSWER && self->reach.state == HP_REACH_PUNCH) {
        if (hp_reach_is_first(&self->reach) && self->next == NULL)
            dial(self, udp, from, self->punch.rtt);
        hp_reach_punched(&self->reach, now / ms_ns);
        hp_tunnel_arm(self->tunnel);
    }
    return got != HP_PUNCH_FOREIGN;
}

/* ---- what the state machine wants done ---- */

static void op_gather(void *arg, bool fresh)
{
    hp_remote_t *self = arg;
    hp_sockaddr_t servers[2 * HP_STUN_PORTS];
    uint64_t now = hp_clock_ns();
    hp_ports_release(&self->ports);
    self->ports = hp_tunnel_take_ports(self->tunnel, fresh);
    size_t count = self->signalling.stun(self->signalling.arg, servers);
    hp_gather_init(&self->gather, servers, count, now);
    self->gathering = true;
    self->gather_due = now;
    hp_tunnel_arm(self->tunnel);
}

static int op_offer(void *arg, const hp_offer_t *offer)
{
    hp_remote_t *self = arg;
    if (!self->signalling.online(self->signalling.arg))
        return UV_ENOTCONN;
    return self->signalling.offer(self->signalling.arg, self->id, offer);
}

static void op_punch(void *arg, const hp_go_t *go)
{
    hp_remote_t *self = arg;
    uint64_t wait = HP_MIN(go->wait_ms, (uint32_t)HP_SIGNALLING_WAIT_MAX) * ms_ns;
    self->punch_due = hp_clock_ns() + wait;
    hp_punch_init(&self->punch, go, hp_reach_is_first(&self->reach), self->punch_due);
    self->punching = true;
    hp_tunnel_arm(self->tunnel);
}

static void op_unheard(void *arg)
{
    hp_remote_t *self = arg;
    if (self->signalling.doubt != NULL)
        self->signalling.doubt(self->signalling.arg, self->id);
}

static void op_stop(void *arg)
{
    hp_remote_t *self = arg;
    self->gathering = self->punching = false;
    hp_ports_release(&self->ports);
    if (self->next != NULL)
        hp_quic_close(self->next);
    self->next = NULL;
}

static void op_rest(void *arg)
{
    hp_remote_t *self = arg;
    if (self->conn != NULL)
        hp_quic_close(self->conn);
    self->conn = NULL;
}

static void op_changed(void *arg)
{
    hp_remote_t *self = arg;
    if (!self->forgotten)
        hp_tunnel_arm(self->tunnel); /* the timer tells it, outside of the call that caused it */
}

/* ---- running ---- */

static void end_gathering(hp_remote_t *self, uint64_t now)
{
    hp_offer_t found = {0};
    hp_sockaddr_t opened;
    bool kept = self->ports.v4 != NULL && self->ports.v4 == self->tunnel->kept.v4;
    bool is_opened =
        kept && self->tunnel->portmap != NULL && hp_portmap_address(self->tunnel->portmap, &opened);
    self->gathering = false;
    hp_gather_candidates(&self->gather, &found, self->ports.v4 != NULL ? hp_udp_port(self->ports.v4) : 0,
                         self->ports.v6 != NULL ? hp_udp_port(self->ports.v6) : 0,
                         is_opened ? &opened : NULL);
    hp_reach_gathered(&self->reach, &found, now / ms_ns);
}

bool hp_remote_takes_offer(hp_remote_t *self, uint64_t now)
{
    if (now - self->offers_from >= OFFERS_MS) {
        self->offers_from = now;
        self->offers = 0;
    }
    return self->offers++ < OFFERS_MAX;
}

bool hp_remote_is_idle(const hp_remote_t *self)
{
    return self->reach.state == HP_REACH_IDLE && hp_pending_is_none(&self->conns);
}

/* When it is to be left alone, ms; UINT64_MAX: it is in use. */
static uint64_t idle_at(const hp_remote_t *self)
{
    uint64_t since = self->wanted_at;
    if (self->reach.state == HP_REACH_IDLE || !hp_list_is_empty(&self->choosers) ||
        !hp_list_is_empty(&self->dials) || !hp_list_is_empty(&self->relays) ||
        !hp_list_is_empty(&self->relayed))
        return UINT64_MAX;
    if (self->conn != NULL) {
        if (hp_quic_streams(self->conn) > 0)
            return hp_clock_ms() + self->tunnel->options.idle_ms / 8 + 1; /* look again */
        since = HP_MAX(since, hp_quic_unused_since(self->conn));
    }
    return since + self->tunnel->options.idle_ms;
}

uint64_t hp_remote_run(hp_remote_t *self, uint64_t now)
{
    uint64_t now_ms = now / ms_ns;
    if (self->gathering && self->gather_due <= now) {
        self->gather_due = hp_gather_tick(&self->gather, now, send_datagram, self);
        if (self->gather_due == 0)
            end_gathering(self, now);
    }
    if (self->punching && self->punch_due <= now)
        self->punch_due = hp_punch_tick(&self->punch, now, send_punch, self);
    if (self->reach.due <= now_ms)
        hp_reach_tick(&self->reach, now_ms);
    if (idle_at(self) <= now_ms)
        hp_reach_leave(&self->reach);
    hp_remote_serve_choosers(self, now_ms);
    hp_remote_tell_path(self);
    uint64_t due_ms = HP_MIN(HP_MIN(self->reach.due, idle_at(self)), hp_remote_choosers_due(self));
    uint64_t due = due_ms == UINT64_MAX ? UINT64_MAX : due_ms * ms_ns;
    if (self->gathering)
        due = HP_MIN(due, self->gather_due);
    if (self->punching)
        due = HP_MIN(due, self->punch_due);
    return due;
}

void hp_remote_tell_path(hp_remote_t *self)
{
    const char *reason;
    hp_path_t path = hp_remote_path(self, &reason);
    if (path == self->told_path && strcmp(reason, self->told_reason) == 0)
        return;
    self->told_path = path;
    snprintf(self->told_reason, sizeof self->told_reason, "%s", reason);
    self->tunnel->options.on_path(self->tunnel->options.arg, self);
}

hp_remote_t *hp_remote_create(hp_tunnel_t *tunnel, const uint8_t fingerprint[HP_FINGERPRINT_SIZE],
                              const hp_signalling_t *signalling)
{
    hp_remote_t *self = hp_alloc(sizeof *self);
    hp_reach_ops_t ops = {.gather = op_gather,
                          .offer = op_offer,
                          .punch = op_punch,
                          .unheard = op_unheard,
                          .stop = op_stop,
                          .rest = op_rest,
                          .changed = op_changed,
                          .arg = self};
    self->tunnel = tunnel;
    memcpy(self->fingerprint, fingerprint, sizeof self->fingerprint);
    hp_identity_id_of(fingerprint, self->id);
    self->signalling = *signalling;
    hp_list_init(&self->choosers);
    hp_list_init(&self->dials);
    hp_list_init(&self->relays);
    hp_list_init(&self->relayed);
    hp_reach_init(&self->reach, tunnel->id, self->id, &ops);
    hp_list_add(&tunnel->remotes, &self->link);
    return self;
}

void hp_remote_destroy(hp_remote_t *self)
{
    self->forgotten = true;
    hp_link_remove(&self->link);
    hp_remote_end_dials(self);
    op_stop(self);
    op_rest(self);
    hp_pending_when_none(&self->conns, free, self);
}

const char *hp_remote_id(const hp_remote_t *self)
{
    return self->id;
}

hp_path_t hp_remote_path(const hp_remote_t *self, const char **reason)
{
    uint64_t now = hp_clock_ms();
    *reason = "";
    if (self->conn != NULL)
        return self->near ? HP_PATH_LAN : HP_PATH_DIRECT;
    if (self->reach.state == HP_REACH_IDLE)
        return HP_PATH_NONE;
    bool relays = hp_remote_can_relay(self, now);
    if (hp_reach_is_promising(&self->reach))
        *reason = "a direct way is being looked for";
    else if (relays || self->relay_reason[0] == '\0')
        *reason = self->reach.reason;
    else
        *reason = self->relay_reason;
    return relays ? HP_PATH_RELAYED : HP_PATH_NONE;
}
