/* TLS 1.3 for QUIC by GnuTLS: both sides show a certificate, each compares the other's fingerprint. */
#include "internal.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <string.h>

/* AES is in the hardware of most machines; the middlebox compatibility mode of TLS has no place in QUIC. */
static const char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+CHACHA20-POLY1305"
                                 ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:%DISABLE_TLS13_COMPAT_MODE";

/* Runs at the other side's Certificate message; that it has the key is proven right after, by GnuTLS. */
static int on_certificate(gnutls_session_t tls)
{
    ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(tls);
    hp_quic_conn_t *conn = ref->user_data;
    unsigned count = 0;
    uint8_t fingerprint[HP_FINGERPRINT_SIZE];
    const gnutls_datum_t *list = gnutls_certificate_get_peers(tls, &count);
    if (list != NULL && count == 1 &&
        hp_identity_fingerprint_of(list[0].data, list[0].size, fingerprint) == 0 &&
        memcmp(fingerprint, conn->peer.fingerprint, sizeof fingerprint) == 0)
        return 0;
    conn->wrong_key = true;
    return GNUTLS_E_CERTIFICATE_ERROR;
}

static int load_identity(hp_quic_t *self)
{
    gnutls_x509_crt_t certificate = NULL;
    gnutls_x509_privkey_t key = NULL;
    size_t length;
    gnutls_datum_t der = {.data = (unsigned char *)hp_identity_certificate(self->options.identity, &length)};
    der.size = (unsigned)length;
    int rc = gnutls_x509_crt_init(&certificate);
    if (rc == 0)
        rc = gnutls_x509_crt_import(certificate, &der, GNUTLS_X509_FMT_DER);
    der.data = (unsigned char *)hp_identity_key(self->options.identity, &length);
    der.size = (unsigned)length;
    if (rc == 0)
        rc = gnutls_x509_privkey_init(&key);
    if (rc == 0)
        rc = gnutls_x509_privkey_import(key, &der, GNUTLS_X509_FMT_DER);
    if (rc == 0)
        rc = gnutls_certificate_set_x509_key(self->credentials, &certificate, 1, key);
    if (key != NULL)
        gnutls_x509_privkey_deinit(key);
    if (certificate != NULL)
        gnutls_x509_crt_deinit(certificate);
    return rc < 0 ? rc : 0;
}

int hp_quic_tls_init(hp_quic_t *self, hp_err_t *err)
{
    int rc = gnutls_certificate_allocate_credentials(&self->credentials);
    if (rc == 0)
        rc = load_identity(self);
    if (rc == 0)
        rc = gnutls_priority_init(&self->priorities, priorities, NULL);
    if (rc == 0)
        rc = gnutls_rnd(GNUTLS_RND_KEY, self->reset_secret, sizeof self->reset_secret);
    if (rc != 0) {
        hp_quic_tls_dispose(self);
        return hp_err_set(err, HP_E_TLS, "this host's key cannot be used for QUIC: %s", gnutls_strerror(rc));
    }
    gnutls_certificate_set_verify_function(self->credentials, on_certificate);
    return 0;
}

void hp_quic_tls_dispose(hp_quic_t *self)
{
    if (self->priorities != NULL)
        gnutls_priority_deinit(self->priorities);
    if (self->credentials != NULL)
        gnutls_certificate_free_credentials(self->credentials);
}

static int prepare(hp_quic_conn_t *conn)
{
    static const gnutls_datum_t alpn = {(unsigned char *)HP_QUIC_ALPN, sizeof HP_QUIC_ALPN - 1};
    int rc = gnutls_priority_set(conn->tls, conn->quic->priorities);
    if (rc == 0)
        rc = conn->server ? ngtcp2_crypto_gnutls_configure_server_session(conn->tls)
                          : ngtcp2_crypto_gnutls_configure_client_session(conn->tls);
    if (rc == 0)
        rc = gnutls_credentials_set(conn->tls, GNUTLS_CRD_CERTIFICATE, conn->quic->credentials);
    if (rc == 0)
        rc = gnutls_alpn_set_protocols(conn->tls, &alpn, 1, GNUTLS_ALPN_MANDATORY);
    return rc;
}

int hp_quic_tls_session(hp_quic_conn_t *conn, hp_err_t *err)
{
    int rc =
        gnutls_init(&conn->tls, conn->server ? GNUTLS_SERVER | GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_SEND_TICKET
                                             : GNUTLS_CLIENT | GNUTLS_NO_TICKETS | GNUTLS_FORCE_CLIENT_CERT);
    if (rc == 0)
        rc = prepare(conn);
    if (rc != 0)
        return hp_err_set(err, HP_E_TLS, "TLS cannot begin: %s", gnutls_strerror(rc));
    if (conn->server) {
        gnutls_certificate_server_set_request(conn->tls, GNUTLS_CERT_REQUIRE);
        gnutls_certificate_send_x509_rdn_sequence(conn->tls, 1); /* names no authorities: there are none */
    }
    gnutls_session_set_ptr(conn->tls, &conn->ref);
    ngtcp2_conn_set_tls_native_handle(conn->ngtcp2, conn->tls);
    return 0;
}
