/* Packets out: as many as congestion control and pacing allow, in trains of one size. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
    TRAIN_PACKETS = 64,      /* the kernel's limit */
    PACE_SLACK_NS = 4000000, /* by so much a late train may bring the next ones forward */
    TRAINS_AT_ONCE = 16,     /* before other connections have their turn */
};

/* Packets of one size to one address, the last of which may be shorter. */
typedef struct train {
    uint8_t *data;
    size_t length, segment, packets;
    ngtcp2_path_storage path;
} train_t;

static hp_sockaddr_t remote_of(const ngtcp2_path *path)
{
    hp_sockaddr_t to = {0};
    memcpy(&to, path->remote.addr, HP_MIN((size_t)path->remote.addrlen, sizeof to));
    return to;
}

/* Keeps what the socket does not take. */
static void put(hp_quic_conn_t *conn, const hp_sockaddr_t *to, const uint8_t *data, size_t length,
                size_t segment)
{
    conn->unpaced += length;
    size_t done = conn->burst != NULL ? 0 : hp_udp_send(conn->udp, to, data, length, segment);
    if (done == length)
        return;
    conn->burst = hp_realloc(conn->burst, conn->burst_length + length - done);
    memcpy(conn->burst + conn->burst_length, data + done, length - done);
    conn->burst_length += length - done;
    conn->burst_segment = segment;
    conn->burst_to = *to;
}

bool hp_quic_send_burst(hp_quic_conn_t *conn)
{
    if (conn->burst == NULL)
        return true;
    size_t done =
        hp_udp_send(conn->udp, &conn->burst_to, conn->burst, conn->burst_length, conn->burst_segment);
    memmove(conn->burst, conn->burst + done, conn->burst_length - done);
    conn->burst_length -= done;
    if (conn->burst_length > 0)
        return false;
    free(conn->burst);
    conn->burst = NULL;
    return true;
}

static void put_train(hp_quic_conn_t *conn, train_t *train)
{
    hp_sockaddr_t to = remote_of(&train->path.path);
    if (train->packets > 0)
        put(conn, &to, train->data, train->length, train->segment);
    train->packets = train->length = 0;
}

/* The stream whose turn it is; NULL: none may send. Where the connection's window is full, only an end may.
 */
static hp_quic_stream_t *pick(hp_quic_conn_t *conn)
{
    if (ngtcp2_conn_get_max_data_left(conn->ngtcp2) > 0) {
        hp_link_t *first = hp_list_first(&conn->ready);
        return first != NULL ? HP_CONTAINER(first, hp_quic_stream_t, ready) : NULL;
    }
    HP_LIST_EACH (at, &conn->ready) {
        hp_quic_stream_t *stream = HP_CONTAINER(at, hp_quic_stream_t, ready);
        if (stream->sent == stream->out.end)
            return stream;
    }
    return NULL;
}

/* One packet into out: its length, 0 when nothing may go now, or an error that ends the connection. */
static ngtcp2_ssize write_packet(hp_quic_conn_t *conn, ngtcp2_path_storage *path, uint8_t *out, size_t size,
                                 ngtcp2_tstamp now)
{
    for (;;) {
        ngtcp2_pkt_info info = {0};
        ngtcp2_vec pieces[2];
        size_t count = 0, length = 0;
        bool last = false;
        hp_quic_stream_t *stream = pick(conn);
        uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
        if (stream != NULL)
            length = hp_quic_stream_unsent(stream, pieces, &count, &last);
        if (last)
            flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
        ngtcp2_ssize taken = -1;
        ngtcp2_ssize rc =
            ngtcp2_conn_writev_stream(conn->ngtcp2, &path->path, &info, out, size, &taken, flags,
                                      stream != NULL ? stream->id : -1, pieces, count, now);
        if (taken >= 0 && stream != NULL)
            hp_quic_stream_sent(stream, (size_t)taken, last && (size_t)taken == length);
        switch (rc) {
        case NGTCP2_ERR_WRITE_MORE: /* there is room for another stream in this packet */
            continue;
        case NGTCP2_ERR_STREAM_DATA_BLOCKED:
            if (stream == NULL)
                return rc;
            hp_quic_stream_set_blocked(stream, true);
            continue;
        case NGTCP2_ERR_STREAM_SHUT_WR: /* the other side wants no more of it; ngtcp2 closes it */
        case NGTCP2_ERR_STREAM_NOT_FOUND:
            if (stream == NULL)
                return rc;
            hp_link_remove(&stream->ready);
            continue;
        default:
            return rc;
        }
    }
}

/* One train of at most so many packets. 1: there may be more, 0: nothing may go now, negative: the
 * connection's end. */
static int send_train(hp_quic_conn_t *conn, ngtcp2_tstamp now)
{
    size_t size = ngtcp2_conn_get_max_tx_udp_payload_size(conn->ngtcp2);
    size_t allowed = HP_MIN(ngtcp2_conn_get_send_quantum(conn->ngtcp2), sizeof conn->quic->packets) / size;
    train_t train = {.data = conn->quic->packets};
    ngtcp2_path_storage path;
    ngtcp2_path_storage_zero(&train.path);
    allowed = HP_MAX(HP_MIN(allowed, (size_t)TRAIN_PACKETS), (size_t)1);
    while (train.packets < allowed) {
        ngtcp2_path_storage_zero(&path);
        uint8_t *out = train.data + train.length;
        ngtcp2_ssize length = write_packet(conn, &path, out, size, now);
        if (length <= 0) {
            put_train(conn, &train);
            return (int)length;
        }
        if (train.packets > 0 &&
            (!ngtcp2_path_eq(&train.path.path, &path.path) || (size_t)length > train.segment)) {
            put_train(conn, &train); /* this packet travels alone */
            hp_sockaddr_t to = remote_of(&path.path);
            put(conn, &to, out, (size_t)length, (size_t)length);
            return 1;
        }
        if (train.packets++ == 0) {
            ngtcp2_path_copy(&train.path.path, &path.path);
            train.segment = (size_t)length;
        }
        train.length += (size_t)length;
        if ((size_t)length < train.segment)
            break;
    }
    put_train(conn, &train);
    return 1;
}

/* Notes since when bytes are under way. */
static void note_flight(hp_quic_conn_t *conn, ngtcp2_tstamp now)
{
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(conn->ngtcp2, &info);
    if (info.bytes_in_flight == 0)
        conn->flying_since = 0;
    else if (conn->flying_since == 0)
        conn->flying_since = now;
    conn->silence_ns = HP_MAX((uint64_t)HP_QUIC_SILENCE_MS * 1000000, 3 * ngtcp2_conn_get_pto(conn->ngtcp2));
}

/* Tells the pacer when the train went: when it was due, had this thread not been late. The pacer alone would
 * lose all lateness, which on a busy machine is more than a train takes. When the connection has to do
 * something next (ngtcp2_conn_get_expiry) is not when a train is due: after a loss it is much earlier. */
static void note_train(hp_quic_conn_t *conn, ngtcp2_tstamp now)
{
    if (conn->unpaced == 0)
        return;
    ngtcp2_tstamp due = HP_MAX(HP_MIN(conn->pace_due, now), now - PACE_SLACK_NS);
    conn->pace_due = hp_ngtcp2_train_sent(conn->ngtcp2, conn->unpaced, due, now);
    conn->unpaced = 0;
}

void hp_quic_send(hp_quic_conn_t *conn)
{
    if (conn->burst != NULL)
        return;
    ngtcp2_tstamp now = hp_quic_stamp(conn, hp_clock_ns());
    int rc = 1;
    for (int i = 0; i < TRAINS_AT_ONCE && rc > 0 && conn->burst == NULL; i++) {
        rc = send_train(conn, now);
        note_train(conn, now);
    }
    if (rc < 0) {
        conn->failure = rc;
        hp_quic_touch(conn);
        return;
    }
    note_flight(conn, now);
    if (rc > 0 && conn->burst == NULL)
        hp_quic_touch(conn); /* in the next turn of the loop */
}

void hp_quic_send_close(hp_quic_conn_t *conn)
{
    ngtcp2_ccerr error;
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info = {0};
    if (conn->failure == NGTCP2_ERR_DRAINING || conn->failure == NGTCP2_ERR_IDLE_CLOSE ||
        conn->failure == NGTCP2_ERR_DROP_CONN || ngtcp2_conn_in_draining_period(conn->ngtcp2))
        return;
    ngtcp2_ccerr_default(&error);
    if (conn->failure == NGTCP2_ERR_CRYPTO)
        ngtcp2_ccerr_set_tls_alert(&error, ngtcp2_conn_get_tls_alert(conn->ngtcp2), NULL, 0);
    else if (conn->failure != 0)
        ngtcp2_ccerr_set_liberr(&error, conn->failure, NULL, 0);
    else
        ngtcp2_ccerr_set_application_error(&error, 0, NULL, 0);
    ngtcp2_path_storage_zero(&path);
    ngtcp2_ssize length = ngtcp2_conn_write_connection_close(conn->ngtcp2, &path.path, &info,
                                                             conn->quic->packets, NGTCP2_MAX_UDP_PAYLOAD_SIZE,
                                                             &error, hp_quic_stamp(conn, hp_clock_ns()));
    if (length <= 0)
        return;
    hp_sockaddr_t to = remote_of(&path.path);
    hp_udp_send(conn->udp, &to, conn->quic->packets, (size_t)length, (size_t)length);
}
