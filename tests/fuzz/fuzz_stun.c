// libs: tunnel identity path pool os base
/* A datagram on the socket that STUN and QUIC share: what is STUN is read without a stray byte, its answer is
 * STUN again, and it is never much longer than the question. */
#include <stdlib.h>
#include <string.h>

#include "tunnel/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Most random inputs fail at the fingerprint, so the checks behind it would never run: mend the length and
 * the fingerprint, as a forger would. */
static size_t mend(uint8_t *out, const uint8_t *data, size_t size)
{
    size_t length = size < HP_STUN_MAX - 8 ? size & ~(size_t)3 : HP_STUN_MAX - 8;
    memcpy(out, data, length);
    uint32_t crc = 0xffffffff;
    out[0] &= 0x3f;
    out[2] = (uint8_t)((length - 12) >> 8);
    out[3] = (uint8_t)(length - 12);
    memcpy(out + 4, "\x21\x12\xa4\x42", 4);
    for (size_t i = 0; i < length; i++) {
        crc ^= out[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    crc = ~crc ^ 0x5354554eu;
    memcpy(out + length, "\x80\x28\x00\x04", 4);
    for (int i = 0; i < 4; i++)
        out[length + 4 + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    return length + 8;
}

static void try(const uint8_t *data, size_t size)
{
    hp_stun_t stun, back;
    uint8_t out[HP_STUN_MAX];
    hp_sockaddr_t client = {.v4 = {.sin_family = AF_INET, .sin_port = 1, .sin_addr.s_addr = 0x01020304}};
    size_t answer = hp_stun_answer(out, data, size, &client);
    if (answer > size + 24 || (answer > 0 && hp_stun_parse(&back, out, answer) != 0))
        abort();
    if (hp_stun_parse(&stun, data, size) != 0) {
        if (answer > 0)
            abort();
        return;
    }
    if (!hp_stun_is(data, size) || stun.integrity >= size || strlen(stun.username) > HP_STUN_USERNAME_MAX)
        abort();
    hp_stun_verify(&stun, "key", 3);
    size_t length = hp_stun_write(out, &(hp_stun_message_t){.type = stun.type,
                                                            .transaction = stun.transaction,
                                                            .username = stun.username,
                                                            .error = stun.error,
                                                            .mapped = stun.has_mapped ? &stun.mapped : NULL,
                                                            .key = "key",
                                                            .key_length = 3});
    if (hp_stun_parse(&back, out, length) != 0 || !hp_stun_verify(&back, "key", 3) ||
        back.error != stun.error || strcmp(back.username, stun.username) != 0 ||
        back.has_mapped != stun.has_mapped)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t mended[HP_STUN_MAX];
    try(data, size);
    if (size >= 20)
        try(mended, mend(mended, data, size));
    return 0;
}
