/* The key and the certificate in memory: made, written as PEM, read from PEM, checked. */
#ifndef HP_IDENTITY_CERTIFICATE_H
#define HP_IDENTITY_CERTIFICATE_H

#include "identity/identity.h"

/* A new key and its certificate as PEM text, malloced; the caller wipes and frees it. */
int hp_certificate_make(char **pem, size_t *length, hp_err_t *err);

typedef struct hp_certificate {
    uint8_t *key, *certificate; /* DER */
    size_t key_length, certificate_length;
    uint8_t fingerprint[HP_FINGERPRINT_SIZE];
} hp_certificate_t;

/* Reads PEM text that holds one ECDSA P-256 key and its self-signed certificate. HP_E_KEY, with what is wrong
 * in err, as the end of a sentence. */
int hp_certificate_read(hp_certificate_t *self, const char *pem, size_t length, hp_err_t *err);
void hp_certificate_dispose(hp_certificate_t *self);

/* Overwrites a secret, then frees it. */
void hp_certificate_wipe(void *memory, size_t length);

#endif
