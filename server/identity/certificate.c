#include "identity/certificate.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"

#define NAME       "hostpair"        /* the same in every certificate: it tells nothing about a host */
#define NOT_BEFORE "20000101000000Z" /* dates are not checked, but a certificate has them */
#define NOT_AFTER  "99991231235959Z"

void hp_certificate_wipe(void *memory, size_t length)
{
    if (memory == NULL)
        return;
    OPENSSL_cleanse(memory, length);
    free(memory);
}

/* ---- fingerprints ---- */

static bool is_p256(const EVP_PKEY *key)
{
    char curve[32];
    return key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) == 1 &&
           strcmp(curve, SN_X9_62_prime256v1) == 0;
}

static int fingerprint_of(X509 *certificate, uint8_t out[HP_FINGERPRINT_SIZE])
{
    uint8_t *der = NULL;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (length <= 0)
        return HP_E_INVALID;
    SHA256(der, (size_t)length, out);
    OPENSSL_free(der);
    return 0;
}

int hp_identity_fingerprint_of(const uint8_t *der, size_t length, uint8_t out[HP_FINGERPRINT_SIZE])
{
    const uint8_t *at = der;
    if (length > LONG_MAX)
        return HP_E_INVALID;
    X509 *certificate = d2i_X509(NULL, &at, (long)length);
    int rc = certificate != NULL && at == der + length && is_p256(X509_get0_pubkey(certificate))
                 ? fingerprint_of(certificate, out)
                 : HP_E_INVALID;
    X509_free(certificate);
    ERR_clear_error();
    return rc;
}

char *hp_identity_id_of(const uint8_t fingerprint[HP_FINGERPRINT_SIZE], char out[HP_PEER_ID_SIZE])
{
    hp_hex_encode(fingerprint, (HP_PEER_ID_SIZE - 1) / 2, out);
    return out;
}

char *hp_identity_fingerprint_text(const uint8_t fingerprint[HP_FINGERPRINT_SIZE],
                                   char out[HP_FINGERPRINT_TEXT_SIZE])
{
    hp_hex_encode(fingerprint, HP_FINGERPRINT_SIZE, out);
    return out;
}

/* ---- making ---- */

static bool set_serial(X509 *certificate)
{
    uint8_t random[8];
    if (RAND_bytes(random, sizeof random) != 1)
        return false;
    random[0] = (uint8_t)((random[0] & 0x7f) | 0x40); /* positive, and of the same length every time */
    BIGNUM *number = BN_bin2bn(random, sizeof random, NULL);
    bool ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return ok;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool ok = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    if (certificate == NULL)
        return NULL;
    X509_NAME *name = X509_get_subject_name(certificate);
    if (X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
        ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), NOT_BEFORE) == 1 &&
        ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), NOT_AFTER) == 1 &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)NAME, -1, -1, 0) == 1 &&
        X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
        add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
        add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth") &&
        X509_sign(certificate, key, EVP_sha256()) > 0)
        return certificate;
    X509_free(certificate);
    return NULL;
}

/* OpenSSL's reason of the last failure. */
static int fail_of_openssl(hp_err_t *err, const char *what)
{
    char words[200];
    ERR_error_string_n(ERR_peek_last_error(), words, sizeof words);
    ERR_clear_error();
    return hp_err_set(err, HP_E_KEY, "%s: %s", what, words);
}

int hp_certificate_make(char **pem, size_t *length, hp_err_t *err)
{
    EVP_PKEY *key = EVP_EC_gen(SN_X9_62_prime256v1);
    X509 *certificate = key != NULL ? make_certificate(key) : NULL;
    BIO *out = BIO_new(BIO_s_secmem());
    char *text;
    int rc = 0;
    if (certificate != NULL && out != NULL &&
        PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 &&
        PEM_write_bio_X509(out, certificate) == 1) {
        *length = (size_t)BIO_get_mem_data(out, &text);
        *pem = memcpy(hp_alloc(*length), text, *length);
    } else {
        rc = fail_of_openssl(err, "a key cannot be made");
    }
    BIO_free(out);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return rc;
}

/* ---- reading ---- */

/* A key that is locked with a pass phrase is not ours; nobody is asked for one. */
static int no_pass_phrase(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

/* Whether the private half belongs to the public half. */
static bool is_pair(EVP_PKEY *key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool ok = context != NULL && EVP_PKEY_pairwise_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return ok;
}

static const char *what_is_wrong(EVP_PKEY *key, X509 *certificate)
{
    if (key == NULL)
        return "it holds no private key";
    if (certificate == NULL)
        return "it holds no certificate";
    if (!is_p256(key))
        return "its key is no ECDSA P-256 key";
    if (!is_pair(key))
        return "its private key is damaged";
    if (X509_check_private_key(certificate, key) != 1)
        return "its certificate belongs to another key";
    if (X509_verify(certificate, key) != 1)
        return "its certificate is damaged";
    return NULL;
}

static uint8_t *copy_der(uint8_t *der, int length, size_t *out_length)
{
    if (length <= 0)
        return NULL;
    uint8_t *copy = memcpy(hp_alloc((size_t)length), der, (size_t)length);
    *out_length = (size_t)length;
    OPENSSL_clear_free(der, (size_t)length);
    return copy;
}

static int take(hp_certificate_t *self, EVP_PKEY *key, X509 *certificate, hp_err_t *err)
{
    uint8_t *der = NULL;
    int length = i2d_PrivateKey(key, &der);
    self->key = copy_der(der, length, &self->key_length);
    der = NULL;
    length = i2d_X509(certificate, &der);
    self->certificate = copy_der(der, length, &self->certificate_length);
    if (self->key != NULL && self->certificate != NULL && fingerprint_of(certificate, self->fingerprint) == 0)
        return 0;
    hp_certificate_dispose(self);
    return fail_of_openssl(err, "its key cannot be used");
}

int hp_certificate_read(hp_certificate_t *self, const char *pem, size_t length, hp_err_t *err)
{
    *self = (hp_certificate_t){0};
    BIO *in = BIO_new_mem_buf(pem, (int)HP_MIN(length, (size_t)INT_MAX));
    EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_pass_phrase, NULL) : NULL;
    BIO_free(in);
    in = BIO_new_mem_buf(pem, (int)HP_MIN(length, (size_t)INT_MAX));
    X509 *certificate = in != NULL ? PEM_read_bio_X509(in, NULL, no_pass_phrase, NULL) : NULL;
    BIO_free(in);
    const char *wrong = what_is_wrong(key, certificate);
    ERR_clear_error();
    int rc = wrong != NULL ? hp_err_set(err, HP_E_KEY, "%s", wrong) : take(self, key, certificate, err);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return rc;
}

void hp_certificate_dispose(hp_certificate_t *self)
{
    hp_certificate_wipe(self->key, self->key_length);
    free(self->certificate);
    *self = (hp_certificate_t){0};
}
