/* The engine: which connection a datagram is for, when each has something to do, and in which order.
 *
 * Datagrams, readable descriptors and the alarm only mark connections as dirty. In the prepare and check
 * phases of the loop, before and after it waits, each dirty one is flushed: events are told, received bytes
 * written to their readers, packets sent. So everything that arrived in one turn of the loop is answered
 * together, and nothing is freed while ngtcp2 is on the stack. */
#include "internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "os/alarm.h"

/* ---- connection IDs ---- */

static hp_list_t *bucket_of(hp_quic_t *self, const uint8_t *data, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ data[i]) * 16777619u;
    return &self->cids[hash % CID_BUCKETS];
}

static hp_quic_cid_t *find_cid(hp_quic_t *self, const uint8_t *data, size_t length)
{
    HP_LIST_EACH (at, bucket_of(self, data, length)) {
        hp_quic_cid_t *cid = HP_CONTAINER(at, hp_quic_cid_t, bucket);
        if (cid->cid.datalen == length && memcmp(cid->cid.data, data, length) == 0)
            return cid;
    }
    return NULL;
}

void hp_quic_add_cid(hp_quic_conn_t *conn, const ngtcp2_cid *cid)
{
    hp_quic_cid_t *entry = hp_alloc(sizeof *entry);
    entry->cid = *cid;
    entry->conn = conn;
    hp_list_add(bucket_of(conn->quic, cid->data, cid->datalen), &entry->bucket);
    hp_list_add(&conn->cids, &entry->of_conn);
}

void hp_quic_remove_cid(hp_quic_t *self, const ngtcp2_cid *cid)
{
    hp_quic_cid_t *entry = find_cid(self, cid->data, cid->datalen);
    if (entry == NULL)
        return;
    hp_link_remove(&entry->bucket);
    hp_link_remove(&entry->of_conn);
    free(entry);
}

/* ---- what is due ---- */

void hp_quic_touch(hp_quic_conn_t *conn)
{
    if (!hp_link_is_linked(&conn->dirty))
        hp_list_add(&conn->quic->dirty, &conn->dirty);
}

static uint64_t silent_at(const hp_quic_conn_t *conn)
{
    if (!conn->up || conn->flying_since == 0)
        return UINT64_MAX;
    return HP_MAX(conn->heard_at, conn->flying_since) + conn->silence_ns;
}

/* Sets the alarm to the first connection's time. */
static void arm(hp_quic_t *self)
{
    uint64_t at = UINT64_MAX;
    HP_LIST_EACH (link, &self->conns)
        at = HP_MIN(at, HP_CONTAINER(link, hp_quic_conn_t, link)->due);
    if (at == self->armed)
        return;
    self->armed = at;
    hp_alarm_set(self->alarm_fd, at);
}

static void on_alarm(uv_poll_t *poll, int status, int events)
{
    hp_quic_t *self = HP_CONTAINER(poll, hp_quic_t, alarm);
    uint64_t now = hp_clock_ns();
    (void)status;
    (void)events;
    hp_alarm_clear(self->alarm_fd);
    self->armed = UINT64_MAX;
    HP_LIST_EACH (link, &self->conns) {
        hp_quic_conn_t *conn = HP_CONTAINER(link, hp_quic_conn_t, link);
        if (conn->due > now)
            continue;
        conn->due = UINT64_MAX; /* the flush finds the next */
        if (silent_at(conn) <= now)
            conn->silent = true;
        else if (ngtcp2_conn_get_expiry(conn->ngtcp2) <= now && conn->failure == 0)
            conn->failure = ngtcp2_conn_handle_expiry(conn->ngtcp2, hp_quic_stamp(conn, now));
        hp_quic_touch(conn);
    }
}

/* ---- flush ---- */

static void tell_news(hp_quic_conn_t *conn)
{
    const hp_quic_events_t *events = &conn->peer.events;
    if (conn->usable && !conn->usable_told) {
        conn->usable_told = true;
        events->usable(events->arg, conn);
    }
    if (conn->up && !conn->up_told) {
        conn->up_told = true;
        events->up(events->arg, conn);
    }
    if (!conn->up)
        return;
    for (hp_link_t *at; (at = hp_list_take_first(&conn->incoming)) != NULL;) {
        hp_quic_incoming_t *incoming = HP_CONTAINER(at, hp_quic_incoming_t, link);
        int fd = incoming->fd;
        free(incoming);
        events->stream(events->arg, conn, fd);
    }
}

/* Streams of this side that waited until the other side allows them. */
static void open_waiting(hp_quic_conn_t *conn)
{
    for (hp_link_t *at; conn->usable && (at = hp_list_first(&conn->unopened)) != NULL;) {
        int64_t id;
        if (ngtcp2_conn_open_bidi_stream(conn->ngtcp2, &id, NULL) != 0)
            return;
        hp_quic_stream_opened(HP_CONTAINER(at, hp_quic_stream_t, link), id);
    }
}

static void flush_conn(hp_quic_conn_t *conn)
{
    tell_news(conn);
    HP_LIST_EACH (at, &conn->received)
        hp_quic_stream_pass_on(HP_CONTAINER(at, hp_quic_stream_t, received));
    if (conn->closing || conn->silent || conn->failure != 0) {
        hp_quic_conn_end(conn);
        return;
    }
    open_waiting(conn);
    hp_quic_send(conn);
    conn->due = HP_MIN(ngtcp2_conn_get_expiry(conn->ngtcp2), silent_at(conn));
}

static void flush(hp_quic_t *self)
{
    if (self->flushing)
        return;
    self->flushing = true;
    hp_list_t now;
    hp_list_init(&now);
    hp_list_take_all(&now, &self->dirty); /* what becomes dirty meanwhile has its turn in the next phase */
    for (hp_link_t *at; (at = hp_list_take_first(&now)) != NULL;)
        flush_conn(HP_CONTAINER(at, hp_quic_conn_t, dirty));
    hp_quic_feed_starved(self);
    if (!self->ending)
        arm(self);
    self->flushing = false;
}

/* Its only effect is that the loop does not wait. */
static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

static void flush_and_rest(hp_quic_t *self)
{
    flush(self);
    if (hp_list_is_empty(&self->dirty))
        uv_idle_stop(&self->idle);
    else
        uv_idle_start(&self->idle, on_idle);
}

static void on_prepare(uv_prepare_t *prepare)
{
    flush_and_rest(HP_CONTAINER(prepare, hp_quic_t, prepare));
}

static void on_check(uv_check_t *check)
{
    flush_and_rest(HP_CONTAINER(check, hp_quic_t, check));
}

/* ---- datagrams ---- */

static void receive(hp_quic_conn_t *conn, hp_udp_t *udp, const uint8_t *data, size_t length,
                    const hp_sockaddr_t *from, uint64_t now)
{
    const hp_sockaddr_t *local = hp_udp_local(udp);
    ngtcp2_path path = {{(struct sockaddr *)&local->any, hp_sockaddr_length(local)},
                        {(struct sockaddr *)&from->any, hp_sockaddr_length(from)},
                        NULL};
    ngtcp2_pkt_info info = {0};
    hp_quic_touch(conn);
    if (conn->failure != 0)
        return;
    conn->failure = ngtcp2_conn_read_pkt(conn->ngtcp2, &path, &info, data, length, hp_quic_stamp(conn, now));
    conn->heard_at = now;
}

void hp_quic_datagram(hp_quic_t *self, hp_udp_t *udp, const uint8_t *data, size_t length,
                      const hp_sockaddr_t *from, uint64_t now)
{
    ngtcp2_version_cid ids;
    ngtcp2_pkt_hd header;
    hp_quic_peer_t peer = {0};
    hp_quic_conn_t *conn;
    hp_err_t err;
    if (length == 0 || ngtcp2_pkt_decode_version_cid(&ids, data, length, CID_LENGTH) != 0)
        return; /* not QUIC, or of a version that no hostpair speaks */
    hp_quic_cid_t *cid = find_cid(self, ids.dcid, ids.dcidlen);
    if (cid != NULL) {
        if (cid->conn->udp == udp)
            receive(cid->conn, udp, data, length, from, now);
        return;
    }
    if (ids.version == 0 || ngtcp2_accept(&header, data, length) != 0 ||
        !self->options.accept(self->options.arg, udp, from, &peer))
        return;
    if (hp_quic_conn_create(self, udp, from, &peer, &header, &conn, &err) != 0)
        return;
    self->options.made(self->options.arg, &peer, conn);
    receive(conn, udp, data, length, from, now);
}

void hp_quic_writable(hp_quic_t *self, hp_udp_t *udp)
{
    HP_LIST_EACH (at, &self->conns) {
        hp_quic_conn_t *conn = HP_CONTAINER(at, hp_quic_conn_t, link);
        if (conn->udp != udp)
            continue;
        if (!hp_quic_send_burst(conn))
            return;
        hp_quic_touch(conn);
    }
}

/* ---- interface ---- */

int hp_quic_dial(hp_quic_t *self, hp_udp_t *udp, const hp_sockaddr_t *to, const hp_quic_peer_t *peer,
                 hp_quic_conn_t **conn, hp_err_t *err)
{
    int rc = hp_quic_conn_create(self, udp, to, peer, NULL, conn, err);
    if (rc == 0)
        hp_quic_touch(*conn);
    return rc;
}

void hp_quic_close(hp_quic_conn_t *conn)
{
    conn->closing = true;
    hp_quic_touch(conn);
}

void hp_quic_open(hp_quic_conn_t *conn, int fd)
{
    hp_quic_stream_create(conn, fd);
    hp_quic_touch(conn);
}

bool hp_quic_is_usable(const hp_quic_conn_t *conn)
{
    return conn->usable;
}

size_t hp_quic_streams(const hp_quic_conn_t *conn)
{
    return conn->stream_count;
}

uint64_t hp_quic_unused_since(const hp_quic_conn_t *conn)
{
    return conn->unused_since;
}

hp_sockaddr_t hp_quic_remote(const hp_quic_conn_t *conn)
{
    const ngtcp2_addr *remote = &ngtcp2_conn_get_path(conn->ngtcp2)->remote;
    hp_sockaddr_t out = {0};
    memcpy(&out, remote->addr, HP_MIN((size_t)remote->addrlen, sizeof out));
    return out;
}

uint64_t hp_quic_rtt_ns(const hp_quic_conn_t *conn)
{
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
    return info.smoothed_rtt;
}

static int start_handles(hp_quic_t *self)
{
    self->alarm_fd = hp_alarm_open();
    if (self->alarm_fd < 0)
        return self->alarm_fd;
    int rc = uv_poll_init(self->loop, &self->alarm, self->alarm_fd);
    if (rc != 0) {
        close(self->alarm_fd);
        return rc;
    }
    uv_prepare_init(self->loop, &self->prepare);
    uv_check_init(self->loop, &self->check);
    uv_idle_init(self->loop, &self->idle);
    uv_prepare_start(&self->prepare, on_prepare);
    uv_check_start(&self->check, on_check);
    uv_poll_start(&self->alarm, UV_READABLE, on_alarm);
    uv_handle_t *handles[] = {(uv_handle_t *)&self->alarm, (uv_handle_t *)&self->prepare,
                              (uv_handle_t *)&self->check, (uv_handle_t *)&self->idle};
    for (size_t i = 0; i < HP_COUNT(handles); i++)
        uv_unref(handles[i]); /* by themselves they are no reason for the loop to go on */
    return 0;
}

int hp_quic_create(hp_quic_t **quic, uv_loop_t *loop, const hp_quic_options_t *options, hp_pending_t *pending,
                   hp_err_t *err)
{
    hp_quic_t *self = hp_alloc(sizeof *self);
    self->loop = loop;
    self->options = *options;
    self->pending = pending;
    self->armed = UINT64_MAX;
    hp_list_init(&self->conns);
    hp_list_init(&self->dirty);
    hp_list_init(&self->starved);
    hp_list_init(&self->detached);
    for (size_t i = 0; i < CID_BUCKETS; i++)
        hp_list_init(&self->cids[i]);
    hp_chunks_init(&self->out, HP_QUIC_POOL);
    hp_chunks_init(&self->in, SIZE_MAX);
    int rc = hp_quic_tls_init(self, err);
    if (rc == 0 && (rc = start_handles(self)) != 0) {
        hp_quic_tls_dispose(self);
        hp_err_set(err, rc, "no timer for QUIC: %s", hp_err_sentence(rc));
    }
    if (rc != 0) {
        free(self);
        return rc;
    }
    hp_pending_add(pending);
    *quic = self;
    return 0;
}

static void finish(void *arg)
{
    hp_quic_t *self = arg;
    hp_pending_t *pending = self->pending;
    hp_quic_tls_dispose(self);
    hp_chunks_dispose(&self->out);
    hp_chunks_dispose(&self->in);
    free(self);
    hp_pending_drop(pending);
}

static void on_closed(uv_handle_t *handle)
{
    hp_quic_t *self = handle->data;
    hp_pending_drop(&self->handles);
}

void hp_quic_destroy(hp_quic_t *self)
{
    assert(!self->flushing);
    self->ending = true;
    for (hp_link_t *at; (at = hp_list_first(&self->conns)) != NULL;)
        hp_quic_conn_end(HP_CONTAINER(at, hp_quic_conn_t, link));
    hp_quic_end_detached(self);
    uv_handle_t *handles[] = {(uv_handle_t *)&self->alarm, (uv_handle_t *)&self->prepare,
                              (uv_handle_t *)&self->check, (uv_handle_t *)&self->idle};
    for (size_t i = 0; i < HP_COUNT(handles); i++) {
        handles[i]->data = self;
        hp_pending_add(&self->handles);
        uv_close(handles[i], on_closed);
    }
    close(self->alarm_fd);
    hp_pending_when_none(&self->handles, finish, self);
}
