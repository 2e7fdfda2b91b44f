#include "inbox/picture.h"

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define START "data:image/jpeg;base64,"
#define ALPHABET                                                                                             \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=" /* RFC 4648, section 4               \
                                                                         */

/* Markers of ITU-T T.81, table B.1. */
enum {
    SOF0 = 0xc0,
    SOF2 = 0xc2,
    DHT = 0xc4,
    SOI = 0xd8,
    DQT = 0xdb,
    DRI = 0xdd,
    APP0 = 0xe0,
    APP15 = 0xef,
    COM = 0xfe
};

static unsigned read_u16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static bool may_come_before_the_frame(uint8_t marker)
{
    return marker == DHT || marker == DQT || marker == DRI || marker == COM ||
           (marker >= APP0 && marker <= APP15);
}

/* The frame: length (2 bytes), precision (1), lines (2), samples a line (2). */
static bool is_small_frame(const uint8_t *segment, size_t length)
{
    unsigned lines = length >= 7 ? read_u16(segment + 3) : 0,
             columns = length >= 7 ? read_u16(segment + 5) : 0;
    return lines > 0 && lines <= HP_PICTURE_SIDE && columns > 0 && columns <= HP_PICTURE_SIDE;
}

static bool is_small_jpeg(const uint8_t *data, size_t length)
{
    if (length < 4 || data[0] != 0xff || data[1] != SOI)
        return false;
    for (size_t at = 2; length - at >= 4;) {
        const uint8_t *segment = data + at + 2;
        size_t left = length - at - 2, size = read_u16(segment);
        uint8_t marker = data[at + 1];
        if (data[at] != 0xff || size < 2 || size > left)
            return false;
        if (marker >= SOF0 && marker <= SOF2)
            return is_small_frame(segment, size);
        if (!may_come_before_the_frame(marker))
            return false;
        at += 2 + size;
    }
    return false;
}

bool hp_picture_fits(const char *url)
{
    uint8_t data[HP_PICTURE_MAX];
    if (strncmp(url, START, strlen(START)) != 0)
        return false;
    const char *text = url + strlen(START);
    size_t length = strnlen(text, sizeof data + 1);
    if (length == 0 || length + strlen(START) > HP_PICTURE_MAX || strspn(text, ALPHABET) != length)
        return false;
    int n = EVP_DecodeBlock(data, (const uint8_t *)text, (int)length);
    return n > 0 && is_small_jpeg(data, (size_t)n);
}
