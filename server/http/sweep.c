/* Time-outs, the same for every kind of request and reply. A timer looks at every connection.
 *
 * Handshake: TLS is not agreed on yet. It is cut after HP_HANDSHAKE_MS.
 *
 * Idle: no byte of a request has come. It is ended after idle_ms.
 *
 * Coming in: a part of a request has come. It is cut when no byte came for stuck_ms, or when the request
 * comes slower than REQUEST_RATE_MIN after the first stuck_ms (a header that drips in, one byte now and
 * then).
 *
 * Bringing a body in pieces: it is cut when the handler has waited for stuck_ms, and no byte came.
 *
 * Replying: h2o or the kernel holds bytes that the client has to take. It is cut when the client acknowledged
 * none of them for stuck_ms. A reply that waits for the disk, a speed limit or its producer is not stuck.
 */
#include "internal.h"

#include "base/log.h"
#include "base/mem.h"
#include "os/tcp.h"
#include "secured.h"

#define SWEEP_MS_MAX     1000
#define SWEEP_MS_MIN     10
#define RELAYED_PART     6 /* a relayed connection, of which a hub has few, waits for this part of idle_ms */
#define REQUEST_RATE_MIN 1024 /* bytes a second of a request that is coming in */

static void cut(hp_connection_t *c, const char *why)
{
    /* Not louder: any client can bring it about, as often as it likes. */
    hp_log(HP_LOG_DEBUG, "%s: closed the connection of %s: %s", c->listener->name, c->who.address, why);
    hp_connection_cut(c);
}

/* No request has reached the handler. */
static void look_at_waiting(hp_connection_t *c, uint64_t now)
{
    const hp_http_options_t *options = &c->listener->options;
    size_t come = c->secured != NULL ? hp_secured_come(c) : c->socket != NULL ? c->socket->input->size : 0;
    if (come == 0) {
        c->begun_at = 0;
        unsigned part = c->who.way == HP_WAY_RELAYED ? RELAYED_PART : 1;
        if (now - c->quiet_since >= options->idle_ms / part)
            hp_connection_end(c);
        return;
    }
    if (c->begun_at == 0) {
        c->begun_at = c->moved_at = now;
        c->moved = come;
    } else if (come != c->moved) {
        c->moved_at = now;
        c->moved = come;
    }
    uint64_t allowed = options->stuck_ms + (uint64_t)come * 1000 / REQUEST_RATE_MIN;
    if (now - c->moved_at >= options->stuck_ms || now - c->begun_at >= allowed)
        cut(c, "its request did not arrive in time");
}

static bool is_writing(const hp_connection_t *c)
{
    return (c->socket != NULL && h2o_socket_is_writing(c->socket)) ||
           (c->secured != NULL && hp_secured_is_writing(c));
}

/* A handshake has its whole time once, whatever drips in. */
static void look_at_handshake(hp_connection_t *c, uint64_t now)
{
    if (now - c->begun_at >= HP_MIN(HP_HANDSHAKE_MS, c->listener->options.stuck_ms))
        cut(c, "its TLS handshake did not end in time");
}

/* The handler waits for the next bytes of a body. True when it does. */
static bool look_at_body(hp_connection_t *c, uint64_t now)
{
    uint64_t come = c->request != NULL ? hp_pieces_awaited(c->request) : UINT64_MAX;
    if (come == UINT64_MAX)
        return false;
    if (come != c->moved) {
        c->moved = come;
        c->moved_at = now;
    } else if (now - c->moved_at >= c->listener->options.stuck_ms) {
        cut(c, "it sends no more of its request");
    }
    return true;
}

static void look_at_replying(hp_connection_t *c, uint64_t now)
{
    if (look_at_body(c, now))
        return;
    bool writing = is_writing(c);
    hp_tcp_state_t tcp = hp_tcp_read(hp_connection_fd(c));
    bool pushed = c->request != NULL && c->request->type != NULL && c->request->type->pushed;
    if (tcp.dead || (tcp.half && pushed)) {
        hp_connection_cut(c);
        return;
    }
    uint64_t moved = tcp.known ? tcp.moved : c->bytes_sent;
    if (moved != c->moved || !(writing || tcp.holds)) {
        c->moved = moved;
        c->moved_at = now;
    } else if (now - c->moved_at >= c->listener->options.stuck_ms) {
        cut(c, "it takes no more bytes");
    }
}

static void measure(hp_connection_t *c, uint64_t passed_ms)
{
    uint64_t speed = (c->bytes_sent - c->measured_sent) * 1000 / HP_MAX(passed_ms, (uint64_t)1);
    c->speed_bps = (c->speed_bps + speed) / 2;
    c->measured_sent = c->bytes_sent;
}

static void on_sweep(uv_timer_t *timer)
{
    hp_http_listener_t *self = timer->data;
    uint64_t now = uv_now(self->loop), passed = now - self->swept_at;
    self->swept_at = now;
    /* Each connection is moved to the end of the list before it is looked at, since a cut may run callbacks
     * that end others. */
    for (size_t left = self->connection_count; left > 0 && !h2o_linklist_is_empty(&self->connections);
         left--) {
        hp_connection_t *c = H2O_STRUCT_FROM_MEMBER(hp_connection_t, all, self->connections.next);
        h2o_linklist_unlink(&c->all);
        h2o_linklist_insert(&self->connections, &c->all);
        measure(c, passed);
        if (c->secured != NULL && !hp_secured_is_open(c))
            look_at_handshake(c, now);
        else if (c->request != NULL || is_writing(c))
            look_at_replying(c, now);
        else
            look_at_waiting(c, now);
    }
}

void hp_sweep_start(hp_http_listener_t *self)
{
    unsigned shortest = HP_MIN(self->options.stuck_ms, self->options.idle_ms) / 8;
    unsigned interval = HP_MAX(HP_MIN(shortest, (unsigned)SWEEP_MS_MAX), (unsigned)SWEEP_MS_MIN);
    self->swept_at = uv_now(self->loop);
    uv_timer_start(&self->sweep, on_sweep, interval, interval);
}
