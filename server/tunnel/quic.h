/* QUIC connections between hosts that know each other's fingerprint, with any number of streams, each joined
 * to a file descriptor. ngtcp2's and GnuTLS's types end in this folder.
 *
 * Invariants
 * 1. Loop thread only. Events run from the loop's prepare and check phases, never inside a call of this
 * module, and may call it. down is a connection's last event; it is gone on return.
 * 2. Both sides show a certificate and compare its fingerprint with the one that they expect; ALPN is
 *    HP_QUIC_ALPN. No session tickets, no 0-RTT, no Retry, no stateless resets.
 * 3. Packets that belong to no connection make none unless accept() names who may come from that address.
 * 4. A stream's descriptor belongs to this module from hp_quic_open or until it is handed up by stream().
 * When the stream ends, so does the descriptor: cleanly after the last byte, with a reset (a TCP one) when
 * the connection or the stream was cut.
 * 5. Unacknowledged bytes of all streams share HP_QUIC_POOL bytes. Received bytes wait for a slow reader
 * within the stream's window (HP_QUIC_STREAM_WINDOW); from HP_QUIC_EAGER bytes in all on, connections get
 * credit only for what was read.
 * 6. A connection that has bytes under way and hears nothing for max(HP_QUIC_SILENCE_MS, 3 PTO) is over. */
#ifndef HP_TUNNEL_QUIC_H
#define HP_TUNNEL_QUIC_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/pending.h"
#include "base/sockaddr.h"
#include "identity/identity.h"
#include "tunnel/chunks.h"
#include "tunnel/udp.h"

#define HP_QUIC_ALPN          "hostpair/1"
#define HP_QUIC_POOL          ((size_t)24 << 20)
#define HP_QUIC_STREAM_WINDOW ((uint64_t)HP_QUEUE_MAX)
#define HP_QUIC_EAGER         ((size_t)8 << 20)
#define HP_QUIC_STREAMS       128  /* that the other side may have open */
#define HP_QUIC_HANDSHAKE_MS  5000 /* for both certificates to be compared */
#define HP_QUIC_KEEP_ALIVE_MS 15000
#define HP_QUIC_IDLE_MS       60000 /* heard nothing at all, keep-alives included */
#define HP_QUIC_SILENCE_MS    2000

typedef struct hp_quic hp_quic_t;
typedef struct hp_quic_conn hp_quic_conn_t;

typedef enum {
    HP_QUIC_CLOSED,    /* by hp_quic_close, or by the other side in good order */
    HP_QUIC_LOST,      /* nothing is heard any more, or it was closed while it had streams */
    HP_QUIC_WRONG_KEY, /* the other side showed another key, or refuses this host's */
    HP_QUIC_FAILED,    /* anything else */
} hp_quic_end_t;

typedef struct hp_quic_events {
    /* The other side is proven, and streams may be opened. A client hears of it half a round trip before the
     * server has judged it. */
    void (*usable)(void *arg, hp_quic_conn_t *conn);
    void (*up)(void *arg, hp_quic_conn_t *conn); /* both sides are proven */
    void (*stream)(void *arg, hp_quic_conn_t *conn,
                   int fd); /* opened by the other side; the callee owns fd */
    void (*down)(void *arg, hp_quic_conn_t *conn, hp_quic_end_t end, const hp_err_t *err);
    void *arg;
} hp_quic_events_t;

/* Who may come from an address, and what is known of the way there. */
typedef struct hp_quic_peer {
    uint8_t fingerprint[HP_FINGERPRINT_SIZE];
    uint64_t rtt_ns; /* 0: not known */
    hp_quic_events_t events;
} hp_quic_peer_t;

typedef struct hp_quic_options {
    const hp_identity_t *identity;
    /* Whether a connection may begin from here; fills peer. The connection is then told to made(), before any
     * of its events. */
    bool (*accept)(void *arg, hp_udp_t *udp, const hp_sockaddr_t *from, hp_quic_peer_t *peer);
    void (*made)(void *arg, const hp_quic_peer_t *peer, hp_quic_conn_t *conn);
    void *arg;
} hp_quic_options_t;

/* 0, or a negative code with a sentence in err. pending counts it until libuv has let go of its handles. */
int hp_quic_create(hp_quic_t **quic, uv_loop_t *loop, const hp_quic_options_t *options, hp_pending_t *pending,
                   hp_err_t *err);
/* Ends all connections, with their events, before it returns. */
void hp_quic_destroy(hp_quic_t *self);

/* A datagram that is not STUN, at this time (hp_clock_ns); the socket is full no longer. */
void hp_quic_datagram(hp_quic_t *self, hp_udp_t *udp, const uint8_t *data, size_t length,
                      const hp_sockaddr_t *from, uint64_t now);
void hp_quic_writable(hp_quic_t *self, hp_udp_t *udp);

/* Begins a connection from a socket, which it holds a reference to, to an address. */
int hp_quic_dial(hp_quic_t *self, hp_udp_t *udp, const hp_sockaddr_t *to, const hp_quic_peer_t *peer,
                 hp_quic_conn_t **conn, hp_err_t *err);
/* Says goodbye; down follows. */
void hp_quic_close(hp_quic_conn_t *conn);

/* Joins a connected stream socket to a new stream; while the other side allows no more streams it waits. */
void hp_quic_open(hp_quic_conn_t *conn, int fd);

bool hp_quic_is_usable(const hp_quic_conn_t *conn);
size_t hp_quic_streams(const hp_quic_conn_t *conn);
/* When the last stream ended, or the connection came up (hp_clock_ms). */
uint64_t hp_quic_unused_since(const hp_quic_conn_t *conn);
/* Where it is now: a router may have given it another port meanwhile. */
hp_sockaddr_t hp_quic_remote(const hp_quic_conn_t *conn);
/* The smoothed round trip, 0 before there is one. */
uint64_t hp_quic_rtt_ns(const hp_quic_conn_t *conn);

#endif
