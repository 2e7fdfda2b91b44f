/* This host's key: what proves to other hosts that it is the one they know. Owns identity.pem in the data
 * folder, an ECDSA P-256 key and a self-signed certificate of it; libcrypto's types end here.
 *
 * A host's fingerprint is the SHA-256 of its certificate's SubjectPublicKeyInfo (DER), its id the first 16
 * bytes of that in lower-case hex. Dates and names in a certificate mean nothing and are never checked.
 *
 * Invariants
 * 1. The file appears whole and synced, or not at all, however the process ends; it is made once and never
 *    replaced. A process that finds another's file uses that one.
 * 2. A file that is there and cannot be read, or that is damaged, is an error; nothing is made in its place.
 * 3. A key is used only after its file and the folder were synced.
 *
 * A loaded identity is constant: any thread. The functions that touch the file block. */
#ifndef HP_IDENTITY_IDENTITY_H
#define HP_IDENTITY_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "path/endpoint.h"

#define HP_IDENTITY_FILE "identity.pem"

typedef struct hp_identity hp_identity_t;

/* The identity in this folder, made if there is none. The caller holds the lock of the data folder. HP_E_KEY
 * or a negative errno; err names the file and what to do. */
int hp_identity_open(hp_identity_t **identity, const char *data_folder, hp_err_t *err);

/* The same without making one: HP_E_NOT_FOUND when there is none. */
int hp_identity_load(hp_identity_t **identity, const char *data_folder, hp_err_t *err);

/* Makes another one. The old file, in whatever state, is kept under the name that is returned in *kept
 * (malloced, the caller's; NULL when there was none). The caller holds the lock of the data folder. */
int hp_identity_renew(hp_identity_t **identity, const char *data_folder, char **kept, hp_err_t *err);

void hp_identity_destroy(hp_identity_t *identity);

const char *hp_identity_id(const hp_identity_t *identity);
const uint8_t *hp_identity_fingerprint(const hp_identity_t *identity); /* HP_FINGERPRINT_SIZE bytes */

/* The certificate (X.509) and the private key (ECPrivateKey, RFC 5915) in DER, for TLS. They belong to the
 * identity. */
const uint8_t *hp_identity_certificate(const hp_identity_t *identity, size_t *length);
const uint8_t *hp_identity_key(const hp_identity_t *identity, size_t *length);

/* The fingerprint of another host's certificate (DER). HP_E_INVALID unless it is one X.509 certificate with
 * an ECDSA P-256 key: nothing else is an identity. Proves nothing by itself; the handshake that showed the
 * certificate has to. */
int hp_identity_fingerprint_of(const uint8_t *certificate, size_t length, uint8_t out[HP_FINGERPRINT_SIZE]);

/* The id of a fingerprint. Returns out. */
char *hp_identity_id_of(const uint8_t fingerprint[HP_FINGERPRINT_SIZE], char out[HP_PEER_ID_SIZE]);

/* The fingerprint for people: 64 lower-case hex digits. Returns out. */
#define HP_FINGERPRINT_TEXT_SIZE 65
char *hp_identity_fingerprint_text(const uint8_t fingerprint[HP_FINGERPRINT_SIZE],
                                   char out[HP_FINGERPRINT_TEXT_SIZE]);

#endif
