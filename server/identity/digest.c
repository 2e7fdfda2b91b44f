#include "identity/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct hp_digest {
    EVP_MD_CTX *context;
};

void hp_digest_sha256(const void *data, size_t length, uint8_t out[32])
{
    SHA256(data, length, out);
}

static void must(int done)
{
    if (done == 1)
        return;
    fprintf(stderr, "hostpair: OpenSSL cannot hash\n");
    abort();
}

hp_digest_t *hp_digest_create(void)
{
    hp_digest_t *self = hp_alloc(sizeof *self);
    self->context = EVP_MD_CTX_new();
    must(self->context != NULL && EVP_DigestInit_ex2(self->context, EVP_sha256(), NULL) == 1);
    return self;
}

void hp_digest_destroy(hp_digest_t *self)
{
    if (self == NULL)
        return;
    EVP_MD_CTX_free(self->context);
    free(self);
}

void hp_digest_add(hp_digest_t *self, const void *data, size_t length)
{
    must(EVP_DigestUpdate(self->context, data, length));
}

void hp_digest_end(hp_digest_t *self, uint8_t out[32])
{
    must(EVP_DigestFinal_ex(self->context, out, NULL));
}

bool hp_digest_text_equal(const char *a, const char *b)
{
    uint8_t x[32], y[32];
    hp_digest_sha256(a, strlen(a), x);
    hp_digest_sha256(b, strlen(b), y);
    return CRYPTO_memcmp(x, y, sizeof x) == 0;
}
