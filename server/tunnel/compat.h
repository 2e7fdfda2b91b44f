/* ngtcp2 under the names of its version 1, for 0.12 as well (Debian 12, Ubuntu 24.04). */
#ifndef HP_TUNNEL_COMPAT_H
#define HP_TUNNEL_COMPAT_H

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#if NGTCP2_VERSION_NUM < 0x010000

#define HP_NGTCP2_BBR NGTCP2_CC_ALGO_BBR2

#define ngtcp2_ccerr                       ngtcp2_connection_close_error
#define ngtcp2_ccerr_default               ngtcp2_connection_close_error_default
#define ngtcp2_ccerr_set_liberr            ngtcp2_connection_close_error_set_transport_error_liberr
#define ngtcp2_ccerr_set_tls_alert         ngtcp2_connection_close_error_set_transport_error_tls_alert
#define ngtcp2_ccerr_set_application_error ngtcp2_connection_close_error_set_application_error
#define ngtcp2_conn_in_closing_period      ngtcp2_conn_is_in_closing_period
#define ngtcp2_conn_in_draining_period     ngtcp2_conn_is_in_draining_period
#define ngtcp2_conn_info                   ngtcp2_conn_stat
#define ngtcp2_conn_get_conn_info          ngtcp2_conn_get_conn_stat

static inline void hp_ngtcp2_set_original_dcid(ngtcp2_transport_params *params, const ngtcp2_cid *cid)
{
    params->original_dcid = *cid;
}

static inline void hp_ngtcp2_reset_stream(ngtcp2_conn *conn, int64_t stream, uint64_t error)
{
    ngtcp2_conn_shutdown_stream(conn, stream, error);
}

/* Tells the pacer that a train of so many bytes went at now, and was due before. When the next one is due. */
static inline ngtcp2_tstamp hp_ngtcp2_train_sent(ngtcp2_conn *conn, size_t bytes, ngtcp2_tstamp due,
                                                 ngtcp2_tstamp now)
{
    ngtcp2_conn_stat stat;
    (void)now;
    ngtcp2_conn_get_conn_stat(conn, &stat);
    ngtcp2_conn_update_pkt_tx_time(conn, due);
    return stat.pacing_rate > 0 ? due + (ngtcp2_duration)((double)bytes / stat.pacing_rate) : due;
}

/* The code with which the other side closed. */
static inline uint64_t hp_ngtcp2_close_code(ngtcp2_conn *conn)
{
    ngtcp2_connection_close_error error;
    ngtcp2_conn_get_connection_close_error(conn, &error);
    return error.error_code;
}

#else

#define HP_NGTCP2_BBR NGTCP2_CC_ALGO_BBR /* BBRv2 there */

static inline void hp_ngtcp2_set_original_dcid(ngtcp2_transport_params *params, const ngtcp2_cid *cid)
{
    params->original_dcid = *cid;
    params->original_dcid_present = 1;
}

static inline void hp_ngtcp2_reset_stream(ngtcp2_conn *conn, int64_t stream, uint64_t error)
{
    ngtcp2_conn_shutdown_stream(conn, 0, stream, error);
}

/* Version 1 aborts when it is told a time before the last one. */
static inline ngtcp2_tstamp hp_ngtcp2_train_sent(ngtcp2_conn *conn, size_t bytes, ngtcp2_tstamp due,
                                                 ngtcp2_tstamp now)
{
    (void)bytes;
    (void)due;
    ngtcp2_conn_update_pkt_tx_time(conn, now);
    return now;
}

static inline uint64_t hp_ngtcp2_close_code(ngtcp2_conn *conn)
{
    return ngtcp2_conn_get_ccerr(conn)->error_code;
}

#endif
#endif
