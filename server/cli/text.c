#include "cli/text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <wchar.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cli/words.h"

#define LINE_MAX_BYTES ((size_t)16 * 1024 * 1024)

bool hp_text_init(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
        return true;
    setlocale(LC_CTYPE, "C.UTF-8");
    return false;
}

/* The character at p and its length; text is well-formed UTF-8, as all that was cleaned is. */
static uint32_t decode(const char *p, size_t *length)
{
    unsigned char first = (unsigned char)*p;
    *length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t cp = *length == 1 ? first : first & (0xffu >> (*length + 1));
    for (size_t i = 1; i < *length; i++) {
        if (((unsigned char)p[i] & 0xc0) != 0x80) {
            *length = i;
            break;
        }
        cp = (cp << 6) | ((unsigned char)p[i] & 0x3f);
    }
    return cp;
}

static int width_of(uint32_t cp)
{
    int width = wcwidth((wchar_t)cp);
    return width >= 0 ? width : 1;
}

int hp_text_width(const char *text)
{
    int width = 0;
    size_t length;
    for (const char *p = text; *p != '\0'; p += length)
        width += width_of(decode(p, &length));
    return width;
}

char *hp_text_clean(const char *text)
{
    size_t length = strlen(text), size = 4 * length + 1;
    return hp_utf8_printable(text, length, hp_alloc(size), size);
}

char *hp_text_fit(const char *text, int columns)
{
    int used = 0;
    size_t length, kept = 0;
    if (hp_text_width(text) <= columns)
        return hp_strdup(text);
    for (const char *p = text; *p != '\0'; p += length) {
        used += width_of(decode(p, &length));
        if (used > columns - 1)
            break;
        kept = (size_t)(p - text) + length;
    }
    return hp_sprintf("%.*s%s", (int)kept, text, columns > 0 ? "…" : "");
}

void hp_say(FILE *out, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        return;
    char *clean = hp_text_clean(text);
    fprintf(out, "%s\n", clean);
    free(clean);
    free(text);
}

/* ---- JSON ---- */

/* DEL, the C1 controls, and what reorders text; the last byte's length in *length. */
static bool is_unsafe(const char *p, size_t *length)
{
    uint32_t cp = decode(p, length);
    return (cp >= 0x7f && cp <= 0x9f) || (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) ||
           cp == 0x2028 || cp == 0x2029;
}

char *hp_text_json(const char *dump)
{
    hp_buf_t out;
    size_t length, plain = 0;
    hp_buf_init(&out, SIZE_MAX / 2);
    for (const char *p = dump;; p += length) {
        bool end = *p == '\0', unsafe = !end && is_unsafe(p, &length);
        if (!end && !unsafe) {
            plain += length;
            continue;
        }
        hp_buf_add(&out, p - plain, plain);
        plain = 0;
        if (end)
            break;
        hp_buf_printf(&out, "\\u%04x", decode(p, &length));
    }
    return hp_buf_take(&out);
}

void hp_say_json(FILE *out, const json_t *json)
{
    char *dump = json_dumps(json, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    char *safe = hp_text_json(dump != NULL ? dump : "null");
    fprintf(out, "%s\n", safe);
    free(safe);
    free(dump);
}

/* ---- numbers ---- */

char *hp_text_bytes(int64_t bytes, char out[HP_TEXT_SIZE])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    double value = (double)bytes;
    if (bytes < 0) {
        snprintf(out, HP_TEXT_SIZE, "–");
        return out;
    }
    for (; value >= 999.5 && unit + 1 < HP_COUNT(units); unit++)
        value /= 1000;
    snprintf(out, HP_TEXT_SIZE, "%.*f %s", unit > 0 && value < 99.95 ? 1 : 0, value, units[unit]);
    return out;
}

char *hp_text_speed(int64_t bps, char out[HP_TEXT_SIZE])
{
    char bytes[HP_TEXT_SIZE];
    snprintf(out, HP_TEXT_SIZE, "%.40s/s", hp_text_bytes(bps, bytes));
    return out;
}

char *hp_text_duration(int64_t seconds, char out[HP_TEXT_SIZE])
{
    long long s = HP_MAX(seconds, (int64_t)0), m = (s + 30) / 60;
    if (s < 60)
        snprintf(out, HP_TEXT_SIZE, hp_word("%lld s"), s);
    else if (s < 600)
        snprintf(out, HP_TEXT_SIZE, hp_word("%lld min %lld s"), s / 60, s % 60);
    else if (m < 60)
        snprintf(out, HP_TEXT_SIZE, hp_word("%lld min"), m);
    else if (m < 48 * 60LL)
        snprintf(out, HP_TEXT_SIZE, hp_word("%lld h %lld min"), m / 60, m % 60);
    else
        snprintf(out, HP_TEXT_SIZE, hp_word("%lld days"), (m + 12 * 60LL) / (24 * 60LL));
    return out;
}

char *hp_text_percent(int64_t part, int64_t whole, char out[HP_TEXT_SIZE])
{
    long long percent = whole > 0 && part < whole ? (long long)((double)part * 100 / (double)whole) : 100;
    snprintf(out, HP_TEXT_SIZE, "%lld %%", HP_MIN(percent, part < whole ? 99LL : 100LL));
    return out;
}

char *hp_text_time(const char *rfc3339, char out[HP_TEXT_SIZE])
{
    int64_t ms;
    struct tm local;
    snprintf(out, HP_TEXT_SIZE, "–");
    if (rfc3339 == NULL || hp_clock_parse_rfc3339(rfc3339, &ms) != 0)
        return out;
    time_t seconds = (time_t)(ms / 1000);
    char text[HP_TEXT_SIZE];
    if (localtime_r(&seconds, &local) != NULL && strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local) > 0)
        snprintf(out, HP_TEXT_SIZE, "%s", text);
    return out;
}

char *hp_text_ago(const char *rfc3339, int64_t now_ms, char out[HP_TEXT_SIZE])
{
    int64_t ms;
    snprintf(out, HP_TEXT_SIZE, "–");
    if (rfc3339 == NULL || hp_clock_parse_rfc3339(rfc3339, &ms) != 0)
        return out;
    long long seconds = (now_ms - ms) / 1000;
    if (seconds < 45)
        snprintf(out, HP_TEXT_SIZE, hp_word("now"));
    else if (seconds < 3570)
        snprintf(out, HP_TEXT_SIZE, hp_word("%lld min ago"), (seconds + 30) / 60);
    else if (seconds < 23 * 3600 + 1800)
        snprintf(out, HP_TEXT_SIZE, hp_word("%lld h ago"), (seconds + 1800) / 3600);
    else if (seconds < 36 * 3600LL)
        snprintf(out, HP_TEXT_SIZE, hp_word("1 day ago"));
    else
        snprintf(out, HP_TEXT_SIZE, hp_word("%lld days ago"), (seconds + 43200) / 86400);
    return out;
}

int hp_text_parse_rate(const char *text, uint64_t *rate)
{
    static const char prefixes[] = "kMGT";
    char *end;
    size_t digits = strspn(text, "0123456789.");
    double value = strtod(text, &end);
    if (digits == 0 || end != text + digits) /* strtod also reads 1e9, 0x10 and nan */
        return HP_E_INVALID;
    end += *end == ' ';
    const char *prefix = *end == 'K' ? prefixes : *end != '\0' ? strchr(prefixes, *end) : NULL;
    if (prefix != NULL) {
        bool binary = end[1] == 'i';
        for (const char *p = prefixes; p <= prefix; p++)
            value *= binary ? 1024 : 1000;
        end += binary ? 2 : 1;
    }
    end += *end == 'B';
    if (strcmp(end, "/s") == 0)
        end += 2;
    if (*end != '\0' || !(value >= 1) || value > 9e18)
        return HP_E_INVALID;
    *rate = (uint64_t)value;
    return 0;
}

char *hp_text_quote(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
    size_t length = strlen(word);
    bool needed = length == 0;
    for (size_t i = 0; i < length; i++)
        needed |= (unsigned char)word[i] < 0x80 && strchr(plain, word[i]) == NULL;
    if (!needed)
        return hp_strdup(word);
    hp_buf_t out;
    hp_buf_init(&out, LINE_MAX_BYTES);
    hp_buf_add_text(&out, "'");
    for (const char *p = word; *p != '\0'; p++)
        *p == '\'' ? hp_buf_add_text(&out, "'\\''") : hp_buf_add(&out, p, 1);
    hp_buf_add_text(&out, "'");
    return hp_buf_take(&out);
}
