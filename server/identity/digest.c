#include "identity/digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

void hp_digest_sha256(const void *data, size_t length, uint8_t out[32])
{
    SHA256(data, length, out);
}

bool hp_digest_text_equal(const char *a, const char *b)
{
    uint8_t x[32], y[32];
    hp_digest_sha256(a, strlen(a), x);
    hp_digest_sha256(b, strlen(b), y);
    return CRYPTO_memcmp(x, y, sizeof x) == 0;
}
