#include "identity/group_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"

#define MAGIC       "HPL1"
#define HEAD        12 /* magic and revision */
#define NONCE       12
#define GCM_TAG     16
#define OVERHEAD    (HEAD + NONCE + GCM_TAG)
#define INFO_PREFIX "hostpair group 1 "

/* What fails only when memory or libcrypto itself is broken. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

int hp_group_secret_make(uint8_t secret[HP_GROUP_SECRET], hp_err_t *err)
{
    if (RAND_bytes(secret, HP_GROUP_SECRET) != 1)
        return hp_err_set(err, HP_E_INTERNAL, "there are no random numbers for a new group");
    return 0;
}

static void expand(const uint8_t secret[HP_GROUP_SECRET], const char *use, uint8_t *out, size_t length)
{
    char info[64];
    size_t prefix = strlen(INFO_PREFIX), name = strlen(use);
    memcpy(info, INFO_PREFIX, prefix);
    memcpy(info + prefix, use, name);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    must(ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) == 1 &&
         EVP_PKEY_CTX_set1_hkdf_key(ctx, secret, HP_GROUP_SECRET) == 1 &&
         EVP_PKEY_CTX_add1_hkdf_info(ctx, (const unsigned char *)info, (int)(prefix + name)) == 1 &&
         EVP_PKEY_derive(ctx, out, &length) == 1);
    EVP_PKEY_CTX_free(ctx);
}

void hp_group_keys_derive(const uint8_t secret[HP_GROUP_SECRET], hp_group_keys_t *keys)
{
    expand(secret, "id", keys->gid, sizeof keys->gid);
    expand(secret, "credential", keys->credential, sizeof keys->credential);
    expand(secret, "member", keys->member, sizeof keys->member);
    expand(secret, "content", keys->content, sizeof keys->content);
}

static void hmac(const uint8_t key[32], const uint8_t data[32], uint8_t out[32])
{
    unsigned length = 32;
    must(HMAC(EVP_sha256(), key, 32, data, 32, out, &length) != NULL);
}

void hp_group_proof_make(const hp_group_keys_t *keys, const uint8_t fingerprint[32], uint8_t proof[32])
{
    hmac(keys->member, fingerprint, proof);
}

bool hp_group_proof_holds(const hp_group_keys_t *keys, const uint8_t fingerprint[32], const uint8_t proof[32])
{
    uint8_t right[32];
    hmac(keys->member, fingerprint, right);
    return CRYPTO_memcmp(right, proof, sizeof right) == 0;
}

void hp_group_tag_make(const hp_group_keys_t *keys, const uint8_t root[32], uint8_t tag[HP_GROUP_TAG])
{
    uint8_t whole[32];
    hmac(keys->content, root, whole);
    memcpy(tag, whole, HP_GROUP_TAG);
}

/* ---- sealed lists ---- */

static void put_revision(uint8_t *to, uint64_t revision)
{
    for (int i = 7; i >= 0; i--, revision >>= 8)
        to[i] = (uint8_t)revision;
}

uint64_t hp_group_sealed_revision(const void *sealed, size_t length)
{
    const uint8_t *bytes = sealed;
    uint64_t revision = 0;
    if (length < OVERHEAD || memcmp(bytes, MAGIC, 4) != 0)
        return 0;
    for (int i = 0; i < 8; i++)
        revision = revision << 8 | bytes[4 + i];
    return revision;
}

int hp_group_seal(const hp_group_keys_t *keys, const uint8_t fingerprint[32], uint64_t revision,
                  const void *text, size_t length, size_t max, void **sealed, size_t *sealed_length,
                  hp_err_t *err)
{
    uLongf packed = compressBound((uLong)length);
    uint8_t *out = hp_alloc(OVERHEAD + packed);
    must(compress2(out + HEAD + NONCE, &packed, text, (uLong)length, 6) == Z_OK);
    *sealed_length = packed + OVERHEAD;
    if (*sealed_length > max) {
        free(out);
        return hp_err_set(err, HP_E_TOO_LARGE,
                          "the list is %zu bytes long when it is compressed, and at most %zu are kept",
                          packed, max);
    }
    memcpy(out, MAGIC, 4);
    put_revision(out + 4, revision);
    if (RAND_bytes(out + HEAD, NONCE) != 1) {
        free(out);
        return hp_err_set(err, HP_E_INTERNAL, "there are no random numbers to seal the list with");
    }
    int n;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    must(ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, keys->content, out + HEAD) == 1 &&
         EVP_EncryptUpdate(ctx, NULL, &n, out, HEAD) == 1 &&
         EVP_EncryptUpdate(ctx, NULL, &n, fingerprint, 32) == 1 &&
         EVP_EncryptUpdate(ctx, out + HEAD + NONCE, &n, out + HEAD + NONCE, (int)packed) == 1 &&
         EVP_EncryptFinal_ex(ctx, out + HEAD + NONCE + packed, &n) == 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, GCM_TAG, out + HEAD + NONCE + packed) == 1);
    EVP_CIPHER_CTX_free(ctx);
    *sealed = out;
    return 0;
}

/* Decrypts into out (length - OVERHEAD bytes). Whether it was sealed by a member for this fingerprint. */
static bool decrypt(const hp_group_keys_t *keys, const uint8_t fingerprint[32], const uint8_t *in,
                    size_t length, uint8_t *out)
{
    int n;
    size_t packed = length - OVERHEAD;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    must(ctx != NULL && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, keys->content, in + HEAD) == 1 &&
         EVP_DecryptUpdate(ctx, NULL, &n, in, HEAD) == 1 &&
         EVP_DecryptUpdate(ctx, NULL, &n, fingerprint, 32) == 1 &&
         EVP_DecryptUpdate(ctx, out, &n, in + HEAD + NONCE, (int)packed) == 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, GCM_TAG, (void *)(in + HEAD + NONCE + packed)) == 1);
    bool holds = EVP_DecryptFinal_ex(ctx, out + packed, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return holds;
}

/* A member's list is text that compresses well, so its size is found by trying, up to max. */
static int inflate_text(const uint8_t *packed, size_t packed_length, size_t max, char **text, size_t *length,
                        hp_err_t *err)
{
    z_stream stream = {.next_in = (Bytef *)packed, .avail_in = (uInt)packed_length};
    size_t capacity = HP_MIN(HP_MAX(packed_length * 4, (size_t)4096), max), used = 0;
    char *out = hp_alloc(capacity + 1);
    int rc = Z_OK;
    must(inflateInit(&stream) == Z_OK);
    while (rc == Z_OK) {
        if (used == capacity) {
            if (capacity >= max)
                break;
            capacity = HP_MIN(capacity * 2, max);
            out = hp_realloc(out, capacity + 1);
        }
        stream.next_out = (Bytef *)out + used;
        stream.avail_out = (uInt)(capacity - used);
        rc = inflate(&stream, Z_NO_FLUSH);
        used = capacity - stream.avail_out;
    }
    inflateEnd(&stream);
    if (rc == Z_STREAM_END) {
        out[used] = '\0';
        *text = out;
        *length = used;
        return 0;
    }
    free(out);
    if (rc == Z_OK)
        return hp_err_set(err, HP_E_TOO_LARGE, "the list is longer than %zu bytes", max);
    return hp_err_set(err, HP_E_PROTOCOL, "the list is cut short");
}

int hp_group_open(const hp_group_keys_t *keys, const uint8_t fingerprint[32], const void *sealed,
                  size_t sealed_length, size_t max, uint64_t *revision, char **text, size_t *length,
                  hp_err_t *err)
{
    if (sealed_length < OVERHEAD || sealed_length > HP_GROUP_SEALED_MAX || memcmp(sealed, MAGIC, 4) != 0)
        return hp_err_set(err, HP_E_PROTOCOL, "what the hub gave is no sealed list");
    *revision = hp_group_sealed_revision(sealed, sealed_length);
    uint8_t *packed = hp_alloc(sealed_length - OVERHEAD + 1);
    int rc = 0;
    if (!decrypt(keys, fingerprint, sealed, sealed_length, packed))
        rc = hp_err_set(err, HP_E_PROTOCOL, "the list was not sealed by this member of the group");
    else
        rc = inflate_text(packed, sealed_length - OVERHEAD, max, text, length, err);
    free(packed);
    return rc;
}
