#include "secure/secure.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* AES-128 first: the fastest where the processor has it. A client that lists ChaCha20 first has no AES in
 * hardware, and gets that. */
#define SUITES_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_12 "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"
#define GROUPS    "X25519:P-256:P-384"
/* SHA-1 proves nothing any more, and neither do short keys. */
#define SECURITY_LEVEL 2
#define CHAIN_MAX      ((long)16 * 1024) /* bytes of certificates that the other side may show */

static const uint8_t protocols[] = "\x08http/1.1\x08http/1.0"; /* as ALPN writes them */

struct hp_secure {
    SSL_CTX *server;
    uint8_t *key, *certificate; /* DER */
    size_t key_length, certificate_length;
};

static int fail(hp_err_t *err)
{
    char words[200];
    ERR_error_string_n(ERR_peek_last_error(), words, sizeof words);
    ERR_clear_error();
    return hp_err_set(err, HP_E_KEY, "TLS cannot be set up: %s", words);
}

/* Called instead of the check of the chain: there is no chain. The handshake itself checks that the other
 * side holds the private key. */
static int take_any(X509_STORE_CTX *context, void *arg)
{
    (void)arg;
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
}

/* A client that speaks something else by this name, HTTP/2 or another protocol, is refused: it would take
 * our replies for what they are not. */
static int choose_protocol(SSL *ssl, const uint8_t **out, uint8_t *out_length, const uint8_t *offered,
                           unsigned length, void *arg)
{
    (void)ssl;
    (void)arg;
    uint8_t *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_length, protocols, sizeof protocols - 1, offered, length) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool use_identity(const hp_secure_t *self, SSL_CTX *context)
{
    return SSL_CTX_use_certificate_ASN1(context, (int)self->certificate_length, self->certificate) == 1 &&
           SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_EC, context, self->key, (long)self->key_length) == 1;
}

static bool add_authority(const hp_secure_t *self, SSL_CTX *context)
{
    const uint8_t *at = self->certificate;
    X509 *certificate = d2i_X509(NULL, &at, (long)self->certificate_length);
    bool ok = certificate != NULL && SSL_CTX_add_client_CA(context, certificate) == 1;
    X509_free(certificate);
    return ok;
}

static void set_common(SSL_CTX *context)
{
    SSL_CTX_set_security_level(context, SECURITY_LEVEL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_cert_verify_callback(context, take_any, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(context, CHAIN_MAX);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
}

static SSL_CTX *make_server(const hp_secure_t *self)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        return NULL;
    set_common(context);
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
        SSL_CTX_set_ciphersuites(context, SUITES_13) == 1 &&
        SSL_CTX_set_cipher_list(context, SUITES_12) == 1 && SSL_CTX_set1_groups_list(context, GROUPS) == 1 &&
        SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set_max_early_data(context, 0) == 1 &&
        use_identity(self, context) && add_authority(self, context))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

int hp_secure_create(hp_secure_t **secure, const hp_identity_t *identity, hp_err_t *err)
{
    hp_secure_t *self = hp_alloc(sizeof *self);
    const uint8_t *key = hp_identity_key(identity, &self->key_length);
    const uint8_t *certificate = hp_identity_certificate(identity, &self->certificate_length);
    self->key = memcpy(hp_alloc(self->key_length), key, self->key_length);
    self->certificate = memcpy(hp_alloc(self->certificate_length), certificate, self->certificate_length);
    self->server = make_server(self);
    if (self->server == NULL) {
        hp_secure_destroy(self);
        return fail(err);
    }
    *secure = self;
    return 0;
}

void hp_secure_destroy(hp_secure_t *self)
{
    if (self == NULL)
        return;
    SSL_CTX_free(self->server);
    OPENSSL_cleanse(self->key, self->key_length);
    free(self->key);
    free(self->certificate);
    free(self);
}

SSL_CTX *hp_secure_server(const hp_secure_t *self)
{
    return self->server;
}

int hp_secure_prepare_client(const hp_secure_t *self, SSL_CTX *context)
{
    set_common(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
        SSL_CTX_set_ciphersuites(context, SUITES_13) == 1 && SSL_CTX_set1_groups_list(context, GROUPS) == 1 &&
        use_identity(self, context))
        return 0;
    return fail(NULL);
}

char *hp_secure_pin(const uint8_t fingerprint[HP_FINGERPRINT_SIZE], char out[HP_SECURE_PIN_SIZE])
{
    static const char scheme[] = "sha256//";
    memcpy(out, scheme, sizeof scheme);
    EVP_EncodeBlock((uint8_t *)out + sizeof scheme - 1, fingerprint, HP_FINGERPRINT_SIZE);
    return out;
}

bool hp_secure_has_pending(SSL *ssl)
{
    return SSL_has_pending(ssl) == 1;
}

bool hp_secure_proven(SSL *ssl, uint8_t fingerprint[HP_FINGERPRINT_SIZE])
{
    X509 *certificate = NULL;
    if (SSL_is_init_finished(ssl) && SSL_version(ssl) == TLS1_3_VERSION && !SSL_session_reused(ssl))
        certificate = SSL_get0_peer_certificate(ssl);
    uint8_t *der = NULL;
    int length = certificate != NULL ? i2d_X509(certificate, &der) : 0;
    bool proven = length > 0 && hp_identity_fingerprint_of(der, (size_t)length, fingerprint) == 0;
    OPENSSL_free(der);
    ERR_clear_error();
    return proven;
}

static bool digest_of(const X509 *certificate, uint8_t digest[32])
{
    unsigned length = 0;
    bool known =
        certificate != NULL && X509_digest(certificate, EVP_sha256(), digest, &length) == 1 && length == 32;
    ERR_clear_error();
    return known;
}

bool hp_secure_certificate_digest(SSL *ssl, uint8_t digest[32])
{
    return digest_of(SSL_get0_peer_certificate(ssl), digest);
}

static int on_certificate(X509_STORE_CTX *store, void *arg)
{
    hp_secure_seen_t *seen = arg;
    seen->known = digest_of(X509_STORE_CTX_get0_cert(store), seen->digest);
    return X509_verify_cert(store);
}

void hp_secure_watch_certificate(SSL_CTX *context, hp_secure_seen_t *seen)
{
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION); /* seen may be gone by then */
    SSL_CTX_set_cert_verify_callback(context, on_certificate, seen);
}
