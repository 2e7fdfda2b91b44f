#include "base/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Length of the well-formed character at p, its code point in *cp; 0 when it is not well-formed or not
 * complete. */
static size_t decode(const unsigned char *p, size_t n, uint32_t *cp)
{
    if (n == 0)
        return 0;
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    size_t length = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                    : (p[0] & 0xf0) == 0xe0        ? 3
                    : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                   : 0;
    if (length == 0 || n < length)
        return 0;
    uint32_t c = p[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = (c << 6) | (p[i] & 0x3f);
    }
    if ((length == 3 && c < 0x800) || (length == 4 && c < 0x10000) || c > 0x10ffff ||
        (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *cp = c;
    return length;
}

bool hp_utf8_valid(const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t cp;
    for (size_t i = 0; i < length;) {
        size_t n = decode(p + i, length - i, &cp);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

bool hp_utf8_has_control(const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    for (size_t i = 0; i < length; i++) {
        if (p[i] < 0x20 || p[i] == 0x7f)
            return true;
        if (p[i] == 0xc2 && i + 1 < length && p[i + 1] >= 0x80 && p[i + 1] <= 0x9f)
            return true;
    }
    return false;
}

size_t hp_utf8_count(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

size_t hp_utf8_prefix(const char *text, size_t length, size_t max)
{
    if (length <= max)
        return length;
    size_t n = max;
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

void hp_utf8_cut(char *text)
{
    size_t length = strlen(text), start = length;
    while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0 || (unsigned char)text[start - 1] < 0xc0)
        return;
    uint32_t cp;
    if (decode((const unsigned char *)text + start - 1, length - start + 1, &cp) == 0)
        text[start - 1] = '\0';
}

/* Characters that reorder or hide what stands around them (Unicode UAX 9: explicit formatting). */
static bool reorders(uint32_t cp)
{
    return (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0x2028 || cp == 0x2029;
}

void hp_utf8_straighten(char *text)
{
    size_t length = strlen(text), used = 0;
    for (size_t i = 0; i < length;) {
        uint32_t cp = 0;
        size_t n = decode((const unsigned char *)text + i, length - i, &cp);
        if (n > 0 && reorders(cp)) {
            text[used++] = '_';
        } else {
            memmove(text + used, text + i, n > 0 ? n : 1);
            used += n > 0 ? n : 1;
        }
        i += n > 0 ? n : 1;
    }
    text[used] = '\0';
}

char *hp_utf8_printable(const char *text, size_t length, char *out, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        uint32_t cp = 0;
        size_t n = decode(p + i, length - i, &cp);
        bool plain = n > 0 && cp >= 0x20 && !(cp >= 0x7f && cp <= 0x9f) && !reorders(cp);
        if (n == 0)
            n = 1;
        if (used + (plain ? n : 4 * n) + 1 > size)
            break;
        if (plain) {
            memcpy(out + used, p + i, n);
            used += n;
        } else {
            for (size_t k = 0; k < n; k++)
                used += (size_t)snprintf(out + used, size - used, "\\x%02x", p[i + k]);
        }
        i += n;
    }
    if (size > 0)
        out[used] = '\0';
    return out;
}
