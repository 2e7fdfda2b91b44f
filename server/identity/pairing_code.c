#include "identity/pairing_code.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/path.h"
#include "identity/digest.h"

#define LABEL    "hostpair pair 1"
#define ID_BYTES 16
#define CODES    1000000 /* as many as six digits tell apart */

int hp_pairing_nonce(uint8_t out[HP_PAIRING_NONCE_SIZE], hp_err_t *err)
{
    if (RAND_bytes(out, HP_PAIRING_NONCE_SIZE) == 1)
        return 0;
    return hp_err_set(err, HP_E_INTERNAL, "there are no random numbers for a pairing");
}

void hp_pairing_commit(const uint8_t nonce[HP_PAIRING_NONCE_SIZE], uint8_t out[HP_PAIRING_NONCE_SIZE])
{
    hp_digest_sha256(nonce, HP_PAIRING_NONCE_SIZE, out);
}

bool hp_pairing_fits(const uint8_t commitment[HP_PAIRING_NONCE_SIZE],
                     const uint8_t nonce[HP_PAIRING_NONCE_SIZE])
{
    uint8_t wanted[HP_PAIRING_NONCE_SIZE];
    hp_pairing_commit(nonce, wanted);
    return CRYPTO_memcmp(wanted, commitment, sizeof wanted) == 0;
}

int hp_pairing_code(const char *id, const char *other_id, const uint8_t first[HP_PAIRING_NONCE_SIZE],
                    const uint8_t second[HP_PAIRING_NONCE_SIZE], char out[HP_PAIRING_CODE_SIZE])
{
    uint8_t data[sizeof LABEL - 1 + 2 * ID_BYTES + 2 * HP_PAIRING_NONCE_SIZE], *at = data;
    uint8_t ids[2][ID_BYTES], digest[32];
    if (hp_hex_decode(id, ids[0], ID_BYTES) != 0 || hp_hex_decode(other_id, ids[1], ID_BYTES) != 0)
        return HP_E_INVALID;
    int low = memcmp(ids[0], ids[1], ID_BYTES) <= 0 ? 0 : 1;
    at = (uint8_t *)memcpy(at, LABEL, sizeof LABEL - 1) + sizeof LABEL - 1;
    at = (uint8_t *)memcpy(at, ids[low], ID_BYTES) + ID_BYTES;
    at = (uint8_t *)memcpy(at, ids[1 - low], ID_BYTES) + ID_BYTES;
    at = (uint8_t *)memcpy(at, first, HP_PAIRING_NONCE_SIZE) + HP_PAIRING_NONCE_SIZE;
    memcpy(at, second, HP_PAIRING_NONCE_SIZE);
    hp_digest_sha256(data, sizeof data, digest);
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | digest[i];
    snprintf(out, HP_PAIRING_CODE_SIZE, "%06u", (unsigned)(number % CODES));
    return 0;
}
