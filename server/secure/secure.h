/* TLS with this host's key: the rules that every connection to or from another host keeps. OpenSSL's types
 * end here; the other folders know them as names without insides.
 *
 * Rules
 * 1. A listener takes TLS 1.3 and 1.2 (browsers and curl come with either), with authenticated encryption and
 *    forward secrecy only. It never renegotiates, resumes or takes early data: each connection's handshake
 *    proves anew who the client is.
 * 2. It asks for a client certificate and goes on without one. The name of authorities that it sends is one
 *    that hostpair's own certificates bear, so that browsers do not ask their user to choose one.
 * 3. This host connects with TLS 1.3 alone and shows its certificate. It takes any certificate at this
 *    stage: who was reached is judged by hp_secure_proven(), before a byte of the request leaves.
 * 4. Proof is a certificate with an ECDSA P-256 key whose private half signed this handshake, in TLS 1.3.
 *    Issuers, dates and names play no part.
 *
 * The contexts are made once and constant afterwards. Loop thread. */
#ifndef HP_SECURE_SECURE_H
#define HP_SECURE_SECURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "identity/identity.h"

struct ssl_st;     /* OpenSSL's SSL */
struct ssl_ctx_st; /* and SSL_CTX */

typedef struct hp_secure hp_secure_t;

/* Takes copies of what it needs of the identity. HP_E_KEY. */
int hp_secure_create(hp_secure_t **secure, const hp_identity_t *identity, hp_err_t *err);
void hp_secure_destroy(hp_secure_t *secure);

/* For accepted connections. */
struct ssl_ctx_st *hp_secure_server(const hp_secure_t *secure);

/* Prepares a context of the HTTP client for a connection to another host: our certificate, TLS 1.3 alone. 0
 * or HP_E_KEY. */
int hp_secure_prepare_client(const hp_secure_t *secure, struct ssl_ctx_st *context);

/* The fingerprint as the HTTP client wants it, to tell connections apart: "sha256//" and base64. */
#define HP_SECURE_PIN_SIZE 64
char *hp_secure_pin(const uint8_t fingerprint[HP_FINGERPRINT_SIZE], char out[HP_SECURE_PIN_SIZE]);

/* Whether bytes of the other side wait inside OpenSSL. */
bool hp_secure_has_pending(struct ssl_st *ssl);

/* SHA-256 of the certificate that the other side showed, whoever has signed it; false when there is none. */
bool hp_secure_certificate_digest(struct ssl_st *ssl, uint8_t digest[32]);

/* Tells the digest of the certificate that a web server shows before it is judged. seen and what it points to
 * live as long as handshakes of the context; these connections are never renegotiated. */
typedef struct hp_secure_seen {
    bool known;
    uint8_t digest[32]; /* SHA-256 of the certificate */
} hp_secure_seen_t;
void hp_secure_watch_certificate(struct ssl_ctx_st *context, hp_secure_seen_t *seen);

/* Whether the other side of a finished handshake has proven a key; its fingerprint. */
bool hp_secure_proven(struct ssl_st *ssl, uint8_t fingerprint[HP_FINGERPRINT_SIZE]);

#endif
