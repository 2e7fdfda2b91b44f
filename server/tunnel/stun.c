#include "tunnel/stun.h"

#include <arpa/inet.h>
#include <assert.h>
#include <gnutls/crypto.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "tunnel/bytes.h"

enum {
    HEADER = 20,
    ATTRIBUTE_HEADER = 4,
    MAC = 32,
    FINGERPRINT = ATTRIBUTE_HEADER + 4,
    COOKIE = 0x2112A442,
    FINGERPRINT_XOR = 0x5354554E,
};

enum {
    ATTR_MAPPED = 0x0001,
    ATTR_USERNAME = 0x0006,
    ATTR_INTEGRITY = 0x0008,
    ATTR_ERROR = 0x0009,
    ATTR_UNKNOWN = 0x000A,
    ATTR_INTEGRITY_SHA256 = 0x001C,
    ATTR_XOR_MAPPED = 0x0020,
    ATTR_OPTIONAL = 0x8000, /* from here on a receiver may ignore what it does not know */
    ATTR_FINGERPRINT = 0x8028,
};

static size_t padded(size_t length)
{
    return (length + 3) & ~(size_t)3;
}

/* CRC-32 of ITU V.42, four bits at a time: messages are short. */
static uint32_t crc32_of(const uint8_t *data, size_t length)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                       0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < length; i++) {
        crc = table[(crc ^ data[i]) & 15] ^ (crc >> 4);
        crc = table[(crc ^ (data[i] >> 4)) & 15] ^ (crc >> 4);
    }
    return ~crc;
}

bool hp_stun_is(const uint8_t *data, size_t length)
{
    if (length < HEADER + FINGERPRINT || length > UINT16_MAX || (data[0] & 0xc0) != 0 ||
        hp_read32(data + 4) != COOKIE || hp_read16(data + 2) != length - HEADER || length % 4 != 0)
        return false;
    const uint8_t *last = data + length - FINGERPRINT;
    return hp_read16(last) == ATTR_FINGERPRINT && hp_read16(last + 2) == 4 &&
           hp_read32(last + 4) == (crc32_of(data, length - FINGERPRINT) ^ FINGERPRINT_XOR);
}

/* RFC 8489 section 14.2. */
static int parse_xor_mapped(hp_stun_t *out, const uint8_t *value, size_t length)
{
    uint16_t port = (uint16_t)(hp_read16(value + 2) ^ (COOKIE >> 16));
    out->mapped = (hp_sockaddr_t){0};
    if (length == 8 && value[1] == 1) {
        out->mapped.v4.sin_family = AF_INET;
        out->mapped.v4.sin_port = htons(port);
        out->mapped.v4.sin_addr.s_addr = htonl(hp_read32(value + 4) ^ COOKIE);
    } else if (length == 20 && value[1] == 2) {
        out->mapped.v6.sin6_family = AF_INET6;
        out->mapped.v6.sin6_port = htons(port);
        for (size_t i = 0; i < 16; i++) /* cookie and transaction lie side by side in the header */
            out->mapped.v6.sin6_addr.s6_addr[i] = value[4 + i] ^ out->data[4 + i];
    } else {
        return HP_E_INVALID;
    }
    out->has_mapped = true;
    return 0;
}

static void note_unknown(hp_stun_t *out, uint16_t kind)
{
    if (kind < ATTR_OPTIONAL && out->unknown_count < HP_STUN_UNKNOWN_MAX)
        out->unknown[out->unknown_count++] = kind;
}

/* 0, or HP_E_INVALID. at: where the attribute begins. */
static int parse_attribute(hp_stun_t *out, size_t at)
{
    uint16_t kind = hp_read16(out->data + at);
    size_t length = hp_read16(out->data + at + 2);
    const uint8_t *value = out->data + at + ATTRIBUTE_HEADER;
    if (out->integrity != 0)
        return 0;
    switch (kind) {
    case ATTR_USERNAME:
        if (out->username[0] == '\0' && length <= HP_STUN_USERNAME_MAX && memchr(value, '\0', length) == NULL)
            memcpy(out->username, value, length);
        return 0;
    case ATTR_XOR_MAPPED:
        if (length < 8)
            return HP_E_INVALID;
        return out->has_mapped ? 0 : parse_xor_mapped(out, value, length);
    case ATTR_ERROR:
        if (length < 4 || (value[2] & 7) < 3 || (value[2] & 7) > 6 || value[3] > 99)
            return HP_E_INVALID;
        if (out->error == 0)
            out->error = (value[2] & 7) * 100 + value[3];
        return 0;
    case ATTR_INTEGRITY_SHA256:
        if (length != MAC) /* RFC 8489 section 14.6 lets a use of STUN forbid shortened ones */
            return HP_E_INVALID;
        out->integrity = at;
        return 0;
    case ATTR_MAPPED:
    case ATTR_UNKNOWN:
    case ATTR_INTEGRITY: /* by SHA-1: not trusted, and not needed */
        return 0;
    default:
        note_unknown(out, kind);
        return 0;
    }
}

int hp_stun_parse(hp_stun_t *out, const uint8_t *data, size_t length)
{
    *out = (hp_stun_t){.data = data, .length = length};
    if (!hp_stun_is(data, length))
        return HP_E_INVALID;
    out->type = hp_read16(data);
    memcpy(out->transaction, data + 8, HP_STUN_TRANSACTION);
    size_t at = HEADER, end = length - FINGERPRINT;
    while (at < end) {
        size_t size = padded(hp_read16(data + at + 2));
        if (size > end - at - ATTRIBUTE_HEADER || hp_read16(data + at) == ATTR_FINGERPRINT)
            return HP_E_INVALID;
        int rc = parse_attribute(out, at);
        if (rc != 0)
            return rc;
        at += ATTRIBUTE_HEADER + size;
    }
    return 0;
}

/* The MAC covers everything before it, with a length that ends after it (RFC 8489 section 14.6). */
static void compute_mac(uint8_t out[MAC], const uint8_t *data, size_t length, const void *key,
                        size_t key_length)
{
    uint8_t header[HEADER];
    gnutls_hmac_hd_t mac;
    memcpy(header, data, HEADER);
    hp_write16(header + 2, (unsigned)(length + ATTRIBUTE_HEADER + MAC - HEADER));
    int rc = gnutls_hmac_init(&mac, GNUTLS_MAC_SHA256, key, key_length);
    assert(rc == 0);
    (void)rc;
    gnutls_hmac(mac, header, HEADER);
    gnutls_hmac(mac, data + HEADER, length - HEADER);
    gnutls_hmac_deinit(mac, out);
}

bool hp_stun_verify(const hp_stun_t *self, const void *key, size_t key_length)
{
    uint8_t mac[MAC];
    if (self->integrity == 0)
        return false;
    compute_mac(mac, self->data, self->integrity, key, key_length);
    return gnutls_memcmp(mac, self->data + self->integrity + ATTRIBUTE_HEADER, MAC) == 0;
}

/* Room for an attribute's value at the end of out, with its header and padding written. */
static uint8_t *add(uint8_t *out, size_t *length, uint16_t kind, size_t size)
{
    uint8_t *at = out + *length;
    assert(*length + ATTRIBUTE_HEADER + padded(size) <= HP_STUN_MAX);
    hp_write16(at, kind);
    hp_write16(at + 2, (unsigned)size);
    memset(at + ATTRIBUTE_HEADER, 0, padded(size));
    *length += ATTRIBUTE_HEADER + padded(size);
    return at + ATTRIBUTE_HEADER;
}

static void add_mapped(uint8_t *out, size_t *length, const hp_sockaddr_t *address)
{
    bool v6 = address->any.sa_family == AF_INET6;
    uint8_t *value = add(out, length, ATTR_XOR_MAPPED, v6 ? 20 : 8);
    value[1] = v6 ? 2 : 1;
    hp_write16(value + 2, ntohs(v6 ? address->v6.sin6_port : address->v4.sin_port) ^ (COOKIE >> 16));
    if (v6)
        for (size_t i = 0; i < 16; i++)
            value[4 + i] = address->v6.sin6_addr.s6_addr[i] ^ out[4 + i];
    else
        hp_write32(value + 4, ntohl(address->v4.sin_addr.s_addr) ^ COOKIE);
}

size_t hp_stun_write(uint8_t out[HP_STUN_MAX], const hp_stun_message_t *message)
{
    size_t length = HEADER;
    hp_write16(out, message->type);
    hp_write32(out + 4, COOKIE);
    memcpy(out + 8, message->transaction, HP_STUN_TRANSACTION);
    if (message->username != NULL) {
        size_t size = strlen(message->username);
        assert(size <= HP_STUN_USERNAME_MAX);
        memcpy(add(out, &length, ATTR_USERNAME, size), message->username, size);
    }
    if (message->error != 0) {
        uint8_t *value = add(out, &length, ATTR_ERROR, 4);
        value[2] = (uint8_t)(message->error / 100);
        value[3] = (uint8_t)(message->error % 100);
    }
    if (message->unknown_count > 0) {
        assert(message->unknown_count <= HP_STUN_UNKNOWN_MAX);
        uint8_t *value = add(out, &length, ATTR_UNKNOWN, 2 * message->unknown_count);
        for (size_t i = 0; i < message->unknown_count; i++)
            hp_write16(value + 2 * i, message->unknown[i]);
    }
    if (message->mapped != NULL)
        add_mapped(out, &length, message->mapped);
    if (message->key != NULL) {
        uint8_t mac[MAC];
        compute_mac(mac, out, length, message->key, message->key_length);
        memcpy(add(out, &length, ATTR_INTEGRITY_SHA256, MAC), mac, MAC);
    }
    hp_write16(out + 2, (unsigned)(length + FINGERPRINT - HEADER));
    uint32_t crc = crc32_of(out, length) ^ FINGERPRINT_XOR;
    hp_write32(add(out, &length, ATTR_FINGERPRINT, 4), crc);
    return length;
}

size_t hp_stun_answer(uint8_t out[HP_STUN_MAX], const uint8_t *data, size_t length,
                      const hp_sockaddr_t *client)
{
    hp_stun_t request;
    if (hp_stun_parse(&request, data, length) != 0 || request.type != HP_STUN_REQUEST)
        return 0;
    hp_stun_message_t answer = {
        .type = HP_STUN_SUCCESS, .transaction = request.transaction, .mapped = client};
    if (request.unknown_count > 0)
        answer = (hp_stun_message_t){.type = HP_STUN_ERROR,
                                     .transaction = request.transaction,
                                     .error = 420,
                                     .unknown = request.unknown,
                                     .unknown_count = request.unknown_count};
    return hp_stun_write(out, &answer);
}
