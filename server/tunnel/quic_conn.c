/* One QUIC connection: made, unmade, and what ngtcp2 calls. ngtcp2's callbacks only note what happened;
 * events run when the connection is flushed (quic.c). */
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    MAX_PAYLOAD = 1452,         /* bytes of a datagram that path probing tries at most: Ethernet, IPv6 */
    CONN_WINDOW_MAX = 16 << 20, /* bytes the other side may have sent ahead on one connection */
    CONN_WINDOW_ALL = 64 << 20, /* and on all together, shared among those that there are */
    CONN_WINDOW_FIRST = 1 << 20,
    STREAM_WINDOW_FIRST = 256 << 10,
};

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    return ((hp_quic_conn_t *)ref->user_data)->ngtcp2;
}

static void on_rand(uint8_t *out, size_t length, const ngtcp2_rand_ctx *context)
{
    (void)context;
    gnutls_rnd(GNUTLS_RND_NONCE, out, length);
}

static int on_new_cid(ngtcp2_conn *ngtcp2, ngtcp2_cid *cid, uint8_t *token, size_t length, void *arg)
{
    hp_quic_conn_t *conn = arg;
    (void)ngtcp2;
    gnutls_rnd(GNUTLS_RND_NONCE, cid->data, length);
    cid->datalen = length;
    if (ngtcp2_crypto_generate_stateless_reset_token(token, conn->quic->reset_secret,
                                                     sizeof conn->quic->reset_secret, cid) != 0)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    hp_quic_add_cid(conn, cid);
    return 0;
}

static int on_remove_cid(ngtcp2_conn *ngtcp2, const ngtcp2_cid *cid, void *arg)
{
    (void)ngtcp2;
    hp_quic_remove_cid(((hp_quic_conn_t *)arg)->quic, cid);
    return 0;
}

/* A client has judged the server when its handshake completes, but is judged itself only when the server
 * confirms. */
static int on_handshake_confirmed(ngtcp2_conn *ngtcp2, void *arg)
{
    hp_quic_conn_t *conn = arg;
    ngtcp2_conn_set_keep_alive_timeout(ngtcp2, (ngtcp2_duration)HP_QUIC_KEEP_ALIVE_MS * NGTCP2_MILLISECONDS);
    conn->up = true;
    conn->unused_since = hp_clock_ms();
    return 0;
}

static int on_handshake_completed(ngtcp2_conn *ngtcp2, void *arg)
{
    hp_quic_conn_t *conn = arg;
    conn->usable = true;
    return conn->server ? on_handshake_confirmed(ngtcp2, arg) : 0;
}

/* The other side opened a stream: one end of a pair is the stream's, the other is handed up. */
static int on_stream_open(ngtcp2_conn *ngtcp2, int64_t id, void *arg)
{
    hp_quic_conn_t *conn = arg;
    int pair[2];
    if (ngtcp2_is_bidi_stream(id) == 0)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        hp_log(HP_LOG_WARN, "tunnel: a connection of another host is refused: %s", strerror(errno));
        hp_ngtcp2_reset_stream(ngtcp2, id, STREAM_ERROR_CUT);
        return 0;
    }
    hp_quic_stream_t *stream = hp_quic_stream_create(conn, pair[0]);
    hp_quic_stream_opened(stream, id);
    hp_quic_stream_widen(pair[1]);
    hp_quic_incoming_t *incoming = hp_alloc(sizeof *incoming);
    incoming->fd = pair[1];
    hp_list_add(&conn->incoming, &incoming->link);
    return 0;
}

static int on_stream_data(ngtcp2_conn *ngtcp2, uint32_t flags, int64_t id, uint64_t offset,
                          const uint8_t *data, size_t length, void *arg, void *stream_arg)
{
    hp_quic_stream_t *stream = stream_arg;
    (void)id;
    (void)offset;
    (void)arg;
    if (stream == NULL) { /* it was refused */
        ngtcp2_conn_extend_max_offset(ngtcp2, length);
        return 0;
    }
    return hp_quic_stream_take(stream, data, length, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0) == 0
               ? 0
               : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int on_acked(ngtcp2_conn *ngtcp2, int64_t id, uint64_t offset, uint64_t length, void *arg,
                    void *stream_arg)
{
    (void)ngtcp2;
    (void)id;
    (void)arg;
    if (stream_arg != NULL)
        hp_quic_stream_acked(stream_arg, offset + length);
    return 0;
}

static int on_stream_close(ngtcp2_conn *ngtcp2, uint32_t flags, int64_t id, uint64_t code, void *arg,
                           void *stream_arg)
{
    (void)code;
    (void)arg;
    if (stream_arg != NULL)
        hp_quic_stream_finish(stream_arg, (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0);
    else if (!ngtcp2_conn_is_local_stream(ngtcp2, id)) /* it was refused */
        ngtcp2_conn_extend_max_streams_bidi(ngtcp2, 1);
    return 0;
}

static int on_stream_window(ngtcp2_conn *ngtcp2, int64_t id, uint64_t max, void *arg, void *stream_arg)
{
    (void)ngtcp2;
    (void)id;
    (void)max;
    (void)arg;
    if (stream_arg != NULL)
        hp_quic_stream_set_blocked(stream_arg, false);
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    .rand = on_rand,
    .get_new_connection_id = on_new_cid,
    .remove_connection_id = on_remove_cid,
    .handshake_completed = on_handshake_completed,
    .handshake_confirmed = on_handshake_confirmed,
    .stream_open = on_stream_open,
    .recv_stream_data = on_stream_data,
    .acked_stream_data_offset = on_acked,
    .stream_close = on_stream_close,
    .extend_max_stream_data = on_stream_window,
};

static void fill_settings(const hp_quic_conn_t *conn, ngtcp2_settings *settings)
{
    size_t others = 1;
    HP_LIST_EACH (at, &conn->quic->conns)
        others++;
    ngtcp2_settings_default(settings);
    settings->initial_ts = conn->stamp;
    settings->cc_algo = HP_NGTCP2_BBR;
    settings->max_window = HP_MAX(HP_MIN((uint64_t)CONN_WINDOW_ALL / others, (uint64_t)CONN_WINDOW_MAX),
                                  (uint64_t)CONN_WINDOW_FIRST);
    settings->max_stream_window = HP_QUIC_STREAM_WINDOW;
    settings->max_tx_udp_payload_size = MAX_PAYLOAD;
    settings->handshake_timeout = (ngtcp2_duration)HP_QUIC_HANDSHAKE_MS * NGTCP2_MILLISECONDS;
    /* The default of 333 ms would pace the first flight as for such a path. */
    if (conn->peer.rtt_ns > 0)
        settings->initial_rtt = HP_MAX(conn->peer.rtt_ns, (uint64_t)NGTCP2_MILLISECONDS);
}

static void fill_params(ngtcp2_transport_params *params)
{
    ngtcp2_transport_params_default(params);
    params->initial_max_stream_data_bidi_local = STREAM_WINDOW_FIRST;
    params->initial_max_stream_data_bidi_remote = STREAM_WINDOW_FIRST;
    params->initial_max_data = CONN_WINDOW_FIRST;
    params->initial_max_streams_bidi = HP_QUIC_STREAMS;
    params->max_idle_timeout = (ngtcp2_duration)HP_QUIC_IDLE_MS * NGTCP2_MILLISECONDS;
    params->active_connection_id_limit = 4;
}

static int create_ngtcp2(hp_quic_conn_t *conn, const ngtcp2_pkt_hd *hd)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid own = {.datalen = CID_LENGTH}, other = {.datalen = NGTCP2_MIN_INITIAL_DCIDLEN};
    const hp_sockaddr_t *local = hp_udp_local(conn->udp);
    ngtcp2_path path = {{(struct sockaddr *)&local->any, hp_sockaddr_length(local)},
                        {&conn->remote.any, hp_sockaddr_length(&conn->remote)},
                        NULL};
    int rc;
    fill_settings(conn, &settings);
    fill_params(&params);
    gnutls_rnd(GNUTLS_RND_NONCE, own.data, own.datalen);
    if (hd != NULL) {
        hp_ngtcp2_set_original_dcid(&params, &hd->dcid);
        rc = ngtcp2_conn_server_new(&conn->ngtcp2, &hd->scid, &own, &path, hd->version, &callbacks, &settings,
                                    &params, NULL, conn);
        if (rc == 0)
            hp_quic_add_cid(conn, &hd->dcid);
    } else {
        gnutls_rnd(GNUTLS_RND_NONCE, other.data, other.datalen);
        rc = ngtcp2_conn_client_new(&conn->ngtcp2, &other, &own, &path, NGTCP2_PROTO_VER_V1, &callbacks,
                                    &settings, &params, NULL, conn);
    }
    if (rc == 0)
        hp_quic_add_cid(conn, &own);
    return rc;
}

static void free_conn(hp_quic_conn_t *conn)
{
    HP_LIST_EACH (at, &conn->cids)
        hp_quic_remove_cid(conn->quic, &HP_CONTAINER(at, hp_quic_cid_t, of_conn)->cid);
    if (conn->ngtcp2 != NULL)
        ngtcp2_conn_del(conn->ngtcp2);
    if (conn->tls != NULL)
        gnutls_deinit(conn->tls);
    hp_link_remove(&conn->link);
    hp_link_remove(&conn->dirty);
    hp_udp_release(conn->udp);
    free(conn->burst);
    free(conn);
}

int hp_quic_conn_create(hp_quic_t *self, hp_udp_t *udp, const hp_sockaddr_t *remote,
                        const hp_quic_peer_t *peer, const ngtcp2_pkt_hd *hd, hp_quic_conn_t **out,
                        hp_err_t *err)
{
    hp_quic_conn_t *conn = hp_alloc(sizeof *conn);
    conn->quic = self;
    conn->udp = udp;
    hp_udp_addref(udp);
    conn->remote = *remote;
    conn->server = hd != NULL;
    conn->peer = *peer;
    conn->ref = (ngtcp2_crypto_conn_ref){.get_conn = get_conn, .user_data = conn};
    conn->heard_at = conn->stamp = hp_clock_ns();
    conn->due = UINT64_MAX;
    hp_list_init(&conn->cids);
    hp_list_init(&conn->streams);
    hp_list_init(&conn->unopened);
    hp_list_init(&conn->ready);
    hp_list_init(&conn->received);
    hp_list_init(&conn->incoming);
    int rc = create_ngtcp2(conn, hd);
    if (rc != 0)
        rc = hp_err_set(err, HP_E_INTERNAL, "a QUIC connection cannot begin: %s", ngtcp2_strerror(rc));
    else
        rc = hp_quic_tls_session(conn, err);
    if (rc != 0) {
        free_conn(conn);
        return rc;
    }
    hp_list_add(&self->conns, &conn->link);
    *out = conn;
    return 0;
}

/* Why it ended, from ngtcp2's code and what was noted. */
static hp_quic_end_t judge(hp_quic_conn_t *conn, hp_err_t *err)
{
    int failure = conn->failure;
    if (conn->wrong_key) {
        hp_err_set(err, HP_E_TLS, "what answers there is another host: it showed another key");
        return HP_QUIC_WRONG_KEY;
    }
    if (failure == NGTCP2_ERR_DRAINING) {
        uint64_t code = hp_ngtcp2_close_code(conn->ngtcp2);
        if (code > NGTCP2_CRYPTO_ERROR && code <= NGTCP2_CRYPTO_ERROR + 0xff) {
            hp_err_set(err, HP_E_TLS, "the other host refuses this host's key (TLS alert %u)",
                       (unsigned)(code - NGTCP2_CRYPTO_ERROR));
            return HP_QUIC_WRONG_KEY;
        }
        hp_err_set(err, UV_ECONNRESET, "the other host closed the connection");
        /* In the middle of its use it is not in good order: the other host has heard nothing any more. */
        return conn->stream_count > 0 ? HP_QUIC_LOST : HP_QUIC_CLOSED;
    }
    if (conn->silent || failure == NGTCP2_ERR_IDLE_CLOSE || failure == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
        hp_err_set(err, UV_ETIMEDOUT, "nothing is heard from the other host");
        return HP_QUIC_LOST;
    }
    if (failure == 0) {
        hp_err_set(err, UV_ECONNRESET, "the connection was closed");
        return HP_QUIC_CLOSED;
    }
    hp_err_set(err, HP_E_PROTOCOL, "the connection failed: %s", ngtcp2_strerror(failure));
    return HP_QUIC_FAILED;
}

void hp_quic_conn_end(hp_quic_conn_t *conn)
{
    hp_err_t err = {0};
    hp_quic_end_t end = judge(conn, &err);
    hp_quic_events_t events = conn->peer.events;
    hp_quic_send_close(conn);
    HP_LIST_EACH (at, &conn->incoming) {
        hp_quic_incoming_t *incoming = HP_CONTAINER(at, hp_quic_incoming_t, link);
        close(incoming->fd);
        free(incoming);
    }
    HP_LIST_EACH (at, &conn->streams)
        hp_quic_stream_detach(HP_CONTAINER(at, hp_quic_stream_t, link));
    HP_LIST_EACH (at, &conn->unopened)
        hp_quic_stream_detach(HP_CONTAINER(at, hp_quic_stream_t, link));
    free_conn(conn);
    events.down(events.arg, conn, end, &err); /* only its address is of use now */
}
