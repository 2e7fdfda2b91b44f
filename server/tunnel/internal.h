/* What the files of QUIC share. See quic.h. */
#ifndef HP_TUNNEL_INTERNAL_H
#define HP_TUNNEL_INTERNAL_H

#include <gnutls/gnutls.h>

#include "base/list.h"
#include "tunnel/chunks.h"
#include "tunnel/compat.h"
#include "tunnel/quic.h"

enum {
    CID_LENGTH = 8,
    CID_BUCKETS = 256,
    STREAM_ERROR_CUT = 1, /* application error codes on the wire */
};

typedef struct hp_quic_stream hp_quic_stream_t;

/* A connection ID under which packets arrive. */
typedef struct hp_quic_cid {
    hp_link_t bucket, of_conn;
    ngtcp2_cid cid;
    hp_quic_conn_t *conn;
} hp_quic_cid_t;

/* A stream joined to a descriptor. It lives until ngtcp2 has finished with it, the reader of fd has all
 * bytes, and libuv has let go of fd. */
struct hp_quic_stream {
    hp_quic_t *quic;
    hp_quic_conn_t *conn; /* NULL: the connection is gone, bytes wait for the reader */
    hp_pending_t *pending;
    hp_link_t link;     /* in conn->streams, conn->unopened or quic->detached */
    hp_link_t ready;    /* in conn->ready: has something to send */
    hp_link_t received; /* in conn->received: has something to write to fd */
    hp_link_t starved;  /* in quic->starved: reads on when chunks come back */
    int64_t id;         /* -1: not opened yet */
    uv_poll_t poll;
    bool polled;    /* the handle exists */
    int fd;         /* -1: closed */
    int interest;   /* UV_READABLE, ... that is polled for */
    hp_queue_t out; /* from fd; its first is acknowledged */
    uint64_t sent;  /* offset up to which ngtcp2 has it */
    bool out_end;   /* fd came to its end */
    bool fin_sent;
    bool blocked;  /* the other side's window is full */
    hp_queue_t in; /* for fd */
    bool in_end;   /* the last byte is in */
    bool in_shut;  /* and fd knows it */
    bool hung_up;  /* fd came to its end while nobody read it */
    bool cut;      /* reset by this side: only ngtcp2's end is awaited */
    bool finished; /* ngtcp2 is done with it */
};

/* A descriptor that is to be handed up. */
typedef struct hp_quic_incoming {
    hp_link_t link;
    int fd;
} hp_quic_incoming_t;

struct hp_quic_conn {
    hp_quic_t *quic;
    hp_link_t link;             /* in quic->conns */
    hp_link_t dirty;            /* in quic->dirty: has something to do */
    ngtcp2_crypto_conn_ref ref; /* GnuTLS's way back to ngtcp2 */
    ngtcp2_conn *ngtcp2;
    gnutls_session_t tls;
    hp_udp_t *udp;
    hp_sockaddr_t remote;
    bool server, usable, up, usable_told, up_told, closing, wrong_key;
    hp_quic_peer_t peer;
    int failure; /* of ngtcp2, 0: none */
    bool silent;
    hp_list_t cids, streams, unopened, ready, received, incoming;
    size_t stream_count;
    uint64_t unused_since;           /* hp_clock_ms */
    uint64_t heard_at, flying_since; /* hp_clock_ns; flying_since 0: nothing is under way */
    uint64_t silence_ns;
    uint64_t stamp;    /* the latest time that ngtcp2 was told */
    uint64_t due;      /* hp_clock_ns */
    uint64_t pace_due; /* hp_clock_ns: when the pacer lets the next train go */
    size_t unpaced;    /* bytes that went and that the pacer has not been told of */
    size_t owed;       /* received bytes for which the connection got no credit yet */
    /* A burst that the socket did not take, or NULL. */
    uint8_t *burst;
    size_t burst_length, burst_segment;
    hp_sockaddr_t burst_to;
};

struct hp_quic {
    uv_loop_t *loop;
    hp_quic_options_t options;
    hp_pending_t *pending;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
    uint8_t reset_secret[32];
    hp_list_t cids[CID_BUCKETS];
    hp_list_t conns, dirty, starved, detached;
    hp_chunks_t out, in; /* buffers to send; received ones */
    size_t held;         /* received bytes that wait for their readers */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* runs while something is dirty, so that the loop does not wait */
    uv_poll_t alarm;
    int alarm_fd;
    uint64_t armed; /* what the alarm is set to */
    hp_pending_t handles;
    bool flushing, ending;
    uint8_t packets[HP_CHUNK];
};

/* The time to tell ngtcp2, which aborts when it goes back: a datagram came a little before it is read. */
static inline uint64_t hp_quic_stamp(hp_quic_conn_t *conn, uint64_t now)
{
    if (conn->stamp < now)
        conn->stamp = now;
    return conn->stamp;
}

/* quic.c */
void hp_quic_touch(hp_quic_conn_t *conn);
void hp_quic_add_cid(hp_quic_conn_t *conn, const ngtcp2_cid *cid);
void hp_quic_remove_cid(hp_quic_t *self, const ngtcp2_cid *cid);

/* quic_conn.c: made and unmade. hd: of the first packet, or NULL for a client. */
int hp_quic_conn_create(hp_quic_t *self, hp_udp_t *udp, const hp_sockaddr_t *remote,
                        const hp_quic_peer_t *peer, const ngtcp2_pkt_hd *hd, hp_quic_conn_t **out,
                        hp_err_t *err);
/* Sends what is left to say and ends: streams, IDs, memory; tells down. */
void hp_quic_conn_end(hp_quic_conn_t *conn);

/* quic_send.c */
void hp_quic_send(hp_quic_conn_t *conn);
void hp_quic_send_close(hp_quic_conn_t *conn);
/* Tries the burst that the socket did not take. Whether it is gone. */
bool hp_quic_send_burst(hp_quic_conn_t *conn);

/* quic_tls.c */
int hp_quic_tls_init(hp_quic_t *self, hp_err_t *err);
void hp_quic_tls_dispose(hp_quic_t *self);
int hp_quic_tls_session(hp_quic_conn_t *conn, hp_err_t *err);

/* stream.c */
hp_quic_stream_t *hp_quic_stream_create(hp_quic_conn_t *conn, int fd);
/* A larger buffer for a pair's end that is written to. */
void hp_quic_stream_widen(int fd);
void hp_quic_stream_opened(hp_quic_stream_t *self, int64_t id);
/* The bytes to send next, in at most two pieces; whether the end follows them. */
size_t hp_quic_stream_unsent(const hp_quic_stream_t *self, ngtcp2_vec out[2], size_t *pieces, bool *end);
void hp_quic_stream_sent(hp_quic_stream_t *self, size_t length, bool end);
void hp_quic_stream_acked(hp_quic_stream_t *self, uint64_t offset);
void hp_quic_stream_set_blocked(hp_quic_stream_t *self, bool blocked);
/* 0, or a negative code when the other side sent more than it may. */
int hp_quic_stream_take(hp_quic_stream_t *self, const uint8_t *data, size_t length, bool end);
/* Writes to fd what was received. The stream may be gone on return. */
void hp_quic_stream_pass_on(hp_quic_stream_t *self);
/* ngtcp2 is done with it; cut: before its end. The stream may be gone on return. */
void hp_quic_stream_finish(hp_quic_stream_t *self, bool cut);
/* The connection ends. The stream may be gone on return. */
void hp_quic_stream_detach(hp_quic_stream_t *self);
/* Streams that stopped reading for want of chunks go on. */
void hp_quic_feed_starved(hp_quic_t *self);
void hp_quic_end_detached(hp_quic_t *self);

#endif
