#include "head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/path.h"

typedef struct {
    const char *base;
    size_t length;
} span_t;

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static span_t trim(span_t s)
{
    while (s.length > 0 && (is_space(s.base[0]) || s.base[0] == '\r')) {
        s.base++;
        s.length--;
    }
    while (s.length > 0 && (is_space(s.base[s.length - 1]) || s.base[s.length - 1] == '\r'))
        s.length--;
    return s;
}

static bool same_name(span_t s, const char *name)
{
    return s.length == strlen(name) && strncasecmp(s.base, name, s.length) == 0;
}

/* The next field line at *at: its name and its trimmed value. A line without a name is one that was folded.
 */
static bool next_field(const char **at, const char *end, span_t *name, span_t *value)
{
    if (*at >= end)
        return false;
    const char *eol = memchr(*at, '\n', (size_t)(end - *at));
    if (eol == NULL)
        eol = end;
    const char *colon = is_space(**at) ? NULL : memchr(*at, ':', (size_t)(eol - *at));
    *name = (span_t){*at, colon != NULL ? (size_t)(colon - *at) : 0};
    *value = trim(colon != NULL ? (span_t){colon + 1, (size_t)(eol - colon - 1)}
                                : (span_t){*at, (size_t)(eol - *at)});
    *at = eol < end ? eol + 1 : end;
    return true;
}

/* Where the empty line starts that ends the section, past an empty line that may stand before the request. */
static size_t find_end(const char *bytes, size_t length, size_t *start)
{
    size_t i = 0;
    if (i < length && bytes[i] == '\r')
        i++;
    if (i < length && bytes[i] == '\n')
        i++;
    *start = i;
    while (i < length) {
        const char *eol = memchr(bytes + i, '\n', length - i);
        if (eol == NULL)
            break;
        i = (size_t)(eol - bytes) + 1;
        if (i < length && (bytes[i] == '\n' || (bytes[i] == '\r' && i + 1 < length && bytes[i + 1] == '\n')))
            return i;
    }
    return length;
}

/* "http://host:port/path?query" leaves the path in place and copies the authority. */
static int read_absolute(hp_head_t *self, char *target)
{
    char *authority = strstr(target, "://");
    if (authority == NULL ||
        (strncasecmp(target, "http://", 7) != 0 && strncasecmp(target, "https://", 8) != 0))
        return 400;
    authority += 3;
    size_t length = strcspn(authority, "/?#");
    if (length == 0 || memchr(authority, '@', length) != NULL)
        return 400;
    self->authority = hp_strndup(authority, length);
    if (authority[length] == '/') {
        self->path = authority + length;
    } else if (authority[length] == '?') {
        self->query = authority + length + 1;
    }
    return 0;
}

static int read_target(hp_head_t *self, char *target)
{
    if (strlen(target) > HP_TARGET_MAX)
        return 414;
    if (target[0] != '/') {
        int refused = read_absolute(self, target);
        if (refused != 0)
            return refused;
    } else {
        self->path = target;
    }
    char *mark = strchr(self->path, '?');
    if (mark != NULL) {
        *mark = '\0';
        self->query = mark + 1;
    }
    return 0;
}

/* Characters of "uri-host [ : port ]" (RFC 9110 section 7.2); an empty value is allowed. */
static bool valid_host(span_t host)
{
    for (size_t i = 0; i < host.length; i++) {
        unsigned char c = (unsigned char)host.base[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"#/<>?@\\^`{|}", c) != NULL)
            return false;
    }
    return true;
}

/* What two readers of the same request could understand differently is refused (RFC 9112 sections 3.2, 5.2
 * and 6.3). */
static int check_fields(hp_head_t *self)
{
    unsigned hosts = 0, lengths = 0, codings = 0;
    span_t name, value;
    for (const char *at = self->fields; next_field(&at, self->end, &name, &value);) {
        if (name.length == 0)
            return 400;
        if (same_name(name, "host")) {
            hosts++;
            if (!valid_host(value))
                return 400;
        } else if (same_name(name, "content-length")) {
            lengths++;
        } else if (same_name(name, "transfer-encoding")) {
            codings++;
        }
    }
    self->has_body = lengths + codings > 0;
    if (hosts > 1 || (hosts == 0 && self->minor >= 1) || lengths + codings > 1 ||
        (codings > 0 && self->minor == 0))
        return 400;
    /* h2o reads the chunk size "0x5" as the last chunk with an extension, where others read 5. */
    return codings > 0 ? 411 : 0;
}

int hp_head_init(hp_head_t *self, const char *bytes, size_t length)
{
    size_t start, end = find_end(bytes, length, &start);
    *self = (hp_head_t){.method = "", .path = "/", .fields = "", .end = NULL};
    self->end = self->fields;
    self->length = end < length ? end + (bytes[end] == '\r' ? 2 : 1) : length;
    if (end > HP_HEAD_MAX)
        return 431;
    self->text = hp_strndup(bytes + start, end - start);
    size_t copied = strlen(self->text);
    char *target = strchr(self->text, ' '), *eol = strchr(self->text, '\n');
    char *version = target != NULL ? strchr(target + 1, ' ') : NULL;
    if (target == NULL || version == NULL || eol == NULL || version > eol || copied != end - start)
        return 400;
    *target++ = '\0';
    *version++ = '\0';
    self->method = self->text;
    self->minor = strncmp(version, "HTTP/1.0", 8) == 0 ? 0 : 1;
    self->fields = eol + 1;
    self->end = self->text + copied;
    int refused = check_fields(self);
    return refused != 0 ? refused : read_target(self, target);
}

void hp_head_dispose(hp_head_t *self)
{
    free(self->text);
    free(self->authority);
    *self = (hp_head_t){.method = "", .path = "/"};
}

char *hp_head_field(const hp_head_t *self, const char *wanted)
{
    char *joined = NULL;
    size_t length = 0;
    span_t name, value;
    for (const char *at = self->fields; next_field(&at, self->end, &name, &value);) {
        if (!same_name(name, wanted))
            continue;
        size_t before = joined != NULL ? length + 2 : 0;
        joined = hp_realloc(joined, before + value.length + 1);
        if (before > 0)
            memcpy(joined + length, ", ", 2);
        memcpy(joined + before, value.base, value.length);
        length = before + value.length;
        joined[length] = '\0';
    }
    return joined;
}

static char *decode_query(const char *text, size_t length)
{
    char *out = hp_strndup(text, length);
    for (char *p = out; *p != '\0'; p++)
        if (*p == '+')
            *p = ' ';
    size_t used;
    if (hp_path_decode(out, length, out, length + 1, &used) != 0) {
        free(out);
        return NULL;
    }
    return out;
}

char *hp_head_query(const hp_head_t *self, const char *wanted)
{
    for (const char *at = self->query; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, "&"), name_length = strcspn(at, "&=");
        char *name = decode_query(at, name_length);
        bool same = name != NULL && strcmp(name, wanted) == 0;
        free(name);
        if (same)
            return name_length == length ? hp_strdup("")
                                         : decode_query(at + name_length + 1, length - name_length - 1);
        at += length;
        at += *at == '&';
    }
    return NULL;
}

/* The part of a list up to the next separator that stands outside of quotes. */
static span_t next_part(const char **at, char separator)
{
    const char *start = *at, *p = start;
    for (bool quoted = false; *p != '\0' && (quoted || *p != separator); p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (quoted && *p == '\\' && p[1] != '\0')
            p++;
    }
    *at = *p != '\0' ? p + 1 : p;
    return trim((span_t){start, (size_t)(p - start)});
}

/* "q=0", "q=0.", "q=0.000": not wanted. */
static bool is_zero_weight(span_t parameter)
{
    if (parameter.length < 3 || (parameter.base[0] != 'q' && parameter.base[0] != 'Q') ||
        parameter.base[1] != '=')
        return false;
    for (size_t i = 2; i < parameter.length; i++)
        if (parameter.base[i] != '0' && parameter.base[i] != '.')
            return false;
    return true;
}

bool hp_accept_names(const char *accept, const char *media_type)
{
    while (*accept != '\0') {
        span_t item = next_part(&accept, ',');
        char *text = hp_strndup(item.base, item.length);
        const char *at = text;
        bool wanted = same_name(next_part(&at, ';'), media_type);
        while (*at != '\0')
            wanted &= !is_zero_weight(next_part(&at, ';'));
        free(text);
        if (wanted)
            return true;
    }
    return false;
}
