#include "base/range.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"

/* A field value under the reader's eye: never read at or past end. */
typedef struct {
    const char *p, *end;
} reader_t;

static bool skip_char(reader_t *in, char c)
{
    if (in->p == in->end || *in->p != c)
        return false;
    in->p++;
    return true;
}

/* OWS of RFC 9110 section 5.6.3. */
static void skip_space(reader_t *in)
{
    while (in->p < in->end && (*in->p == ' ' || *in->p == '\t'))
        in->p++;
}

static void trim_end(reader_t *in)
{
    while (in->end > in->p && (in->end[-1] == ' ' || in->end[-1] == '\t'))
        in->end--;
}

/* The unit "bytes", which is case-insensitive (section 14.1), and the character that has to follow it. */
static bool skip_bytes_unit(reader_t *in, char after)
{
    if (in->end - in->p < 6 || strncasecmp(in->p, "bytes", 5) != 0 || in->p[5] != after)
        return false;
    in->p += 6;
    return true;
}

/* 1*DIGIT; a number past 64 bits is HP_RANGE_UNKNOWN, which is past every size. */
static bool read_number(reader_t *in, uint64_t *value)
{
    uint64_t v = 0;
    const char *start = in->p;
    for (; in->p < in->end && *in->p >= '0' && *in->p <= '9'; in->p++) {
        uint64_t digit = (uint64_t)(*in->p - '0');
        v = v > (HP_RANGE_UNKNOWN - digit) / 10 ? HP_RANGE_UNKNOWN : v * 10 + digit;
    }
    *value = v;
    return in->p > start;
}

typedef enum { SPEC_BAD, SPEC_OUTSIDE, SPEC_EMPTY_WHOLE, SPEC_OK } spec_t;

/* One range-spec (section 14.1.1). */
static spec_t read_spec(reader_t *in, uint64_t size, hp_range_t *range)
{
    uint64_t first, last;
    if (skip_char(in, '-')) {
        uint64_t suffix;
        if (!read_number(in, &suffix))
            return SPEC_BAD;
        if (suffix == 0)
            return SPEC_OUTSIDE;
        if (size == 0)
            return SPEC_EMPTY_WHOLE; /* satisfiable, but no Content-Range can say so */
        *range = (hp_range_t){suffix < size ? size - suffix : 0, size};
        return SPEC_OK;
    }
    if (!read_number(in, &first) || !skip_char(in, '-'))
        return SPEC_BAD;
    if (!read_number(in, &last))
        last = HP_RANGE_UNKNOWN;
    if (last < first)
        return SPEC_BAD;
    if (first >= size)
        return SPEC_OUTSIDE;
    *range = (hp_range_t){first, last < size ? last + 1 : size};
    return SPEC_OK;
}

hp_range_result_t hp_range_parse(const char *value, size_t length, uint64_t size,
                                 hp_range_t ranges[HP_RANGES_MAX], size_t *count)
{
    reader_t in = {value, value + length};
    size_t asked = 0;
    uint64_t bytes = 0;
    bool empty_whole = false;
    *count = 0;
    skip_space(&in);
    trim_end(&in);
    if (!skip_bytes_unit(&in, '='))
        return HP_RANGE_IGNORE;
    while (in.p < in.end) {
        skip_space(&in);
        if (skip_char(&in, ','))
            continue; /* an empty list element (section 5.6.1.2) */
        if (++asked > HP_RANGES_MAX)
            return HP_RANGE_IGNORE;
        spec_t spec = read_spec(&in, size, &ranges[*count]);
        if (spec == SPEC_BAD)
            return HP_RANGE_IGNORE;
        if (spec == SPEC_OK) {
            const hp_range_t *range = &ranges[(*count)++];
            if (__builtin_add_overflow(bytes, range->end - range->first, &bytes))
                bytes = UINT64_MAX;
        }
        empty_whole |= spec == SPEC_EMPTY_WHOLE;
        skip_space(&in);
        if (in.p < in.end && !skip_char(&in, ','))
            return HP_RANGE_IGNORE;
    }
    if (asked == 0 || empty_whole || (*count > 1 && bytes > HP_RANGES_BYTES_MAX))
        return HP_RANGE_IGNORE;
    return *count > 0 ? HP_RANGE_OK : HP_RANGE_UNSATISFIABLE;
}

int hp_range_parse_content(const char *value, size_t length, hp_range_t *range, uint64_t *total)
{
    reader_t in = {value, value + length};
    uint64_t first = HP_RANGE_UNKNOWN, last = HP_RANGE_UNKNOWN;
    skip_space(&in);
    trim_end(&in);
    if (!skip_bytes_unit(&in, ' '))
        return HP_E_PROTOCOL;
    bool unsatisfied = skip_char(&in, '*');
    if (!unsatisfied && (!read_number(&in, &first) || !skip_char(&in, '-') || !read_number(&in, &last)))
        return HP_E_PROTOCOL;
    if (!skip_char(&in, '/'))
        return HP_E_PROTOCOL;
    if (skip_char(&in, '*')) {
        *total = HP_RANGE_UNKNOWN;
        if (unsatisfied)
            return HP_E_PROTOCOL;
    } else if (!read_number(&in, total) || *total == HP_RANGE_UNKNOWN) {
        return HP_E_PROTOCOL;
    }
    if (in.p != in.end)
        return HP_E_PROTOCOL;
    if (unsatisfied) {
        *range = (hp_range_t){HP_RANGE_UNKNOWN, HP_RANGE_UNKNOWN};
        return 0;
    }
    if (last < first || last >= HP_RANGE_UNKNOWN - 1 || last >= *total)
        return HP_E_PROTOCOL;
    *range = (hp_range_t){first, last + 1};
    return 0;
}

int hp_range_of_body(const char *field, uint64_t length, hp_body_range_t *out, hp_err_t *err)
{
    hp_range_t range = {0, length};
    *out = (hp_body_range_t){.total = length};
    if (field != NULL && hp_range_parse_content(field, strlen(field), &range, &out->total) != 0)
        return hp_err_set(err, HP_E_BAD_REQUEST, "Content-Range: must be \"bytes FIRST-LAST/TOTAL\"");
    out->asks = range.first == HP_RANGE_UNKNOWN;
    out->first = out->asks ? 0 : range.first;
    uint64_t promised = out->asks ? 0 : range.end - range.first;
    if (promised != length)
        return hp_err_set(err, HP_E_BAD_REQUEST, "Content-Range: promises %llu bytes, the body has %llu",
                          (unsigned long long)promised, (unsigned long long)length);
    return 0;
}

/* An entity tag: its opaque part with the quotes, and whether "W/" stood before it. */
typedef struct {
    const char *opaque;
    size_t length;
    bool weak;
} etag_t;

static bool read_etag(reader_t *in, etag_t *tag)
{
    tag->weak = in->end - in->p >= 2 && in->p[0] == 'W' && in->p[1] == '/';
    if (tag->weak)
        in->p += 2;
    tag->opaque = in->p;
    if (!skip_char(in, '"'))
        return false;
    while (in->p < in->end && (unsigned char)*in->p >= 0x21 && *in->p != '"' && *in->p != 0x7f)
        in->p++;
    if (!skip_char(in, '"'))
        return false;
    tag->length = (size_t)(in->p - tag->opaque);
    return true;
}

bool hp_etag_is_strong(const char *tag, size_t length)
{
    reader_t in = {tag, tag + length};
    etag_t read;
    return read_etag(&in, &read) && in.p == in.end && !read.weak;
}

bool hp_etag_list_matches(const char *list, size_t length, const char *tag, bool strong)
{
    reader_t in = {list, list + length}, own = {tag, tag + strlen(tag)};
    etag_t mine, theirs;
    skip_space(&in);
    trim_end(&in);
    if (in.end - in.p == 1 && *in.p == '*')
        return true;
    if (!read_etag(&own, &mine) || own.p != own.end || (strong && mine.weak))
        return false;
    while (in.p < in.end) {
        skip_space(&in);
        if (skip_char(&in, ','))
            continue;
        if (!read_etag(&in, &theirs))
            return false;
        if (!(strong && theirs.weak) && theirs.length == mine.length &&
            memcmp(theirs.opaque, mine.opaque, mine.length) == 0)
            return true;
        skip_space(&in);
        if (in.p < in.end && !skip_char(&in, ','))
            return false;
    }
    return false;
}
