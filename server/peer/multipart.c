#include "multipart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define BOUNDARY_MAX 70 /* RFC 2046 section 5.1.1 */

enum { START, AFTER_DELIMITER, HEADER, DATA, OVER };

int hp_multipart_init(hp_multipart_t *self, const char *content_type, hp_err_t *err)
{
    *self = (hp_multipart_t){.state = START};
    hp_buf_init(&self->in, (size_t)64 * 1024 * 1024);
    const char *at = content_type != NULL ? strcasestr(content_type, "boundary=") : NULL;
    if (at != NULL) {
        at += strlen("boundary=");
        bool quoted = *at == '"';
        at += quoted;
        size_t length = strcspn(at, quoted ? "\"" : "; \t,");
        if (length > 0 && length <= BOUNDARY_MAX) {
            self->delimiter_length =
                (size_t)snprintf(self->delimiter, sizeof self->delimiter, "\r\n--%.*s", (int)length, at);
            /* The first one has no line before it. */
            hp_buf_add(&self->in, "\r\n", 2);
            return 0;
        }
    }
    self->state = OVER;
    return hp_err_set(err, HP_E_BAD_REQUEST, "Content-Type: has no boundary of 1 to %d bytes", BOUNDARY_MAX);
}

static void forget_part(hp_multipart_t *self)
{
    free(self->name);
    free(self->file_name);
    free(self->type);
    self->name = self->file_name = self->type = NULL;
}

void hp_multipart_dispose(hp_multipart_t *self)
{
    forget_part(self);
    hp_buf_dispose(&self->in);
}

void hp_multipart_feed(hp_multipart_t *self, const void *data, size_t length)
{
    hp_buf_consume(&self->in, self->at + self->taken);
    self->at = self->taken = 0;
    if (self->state != OVER)
        hp_buf_add(&self->in, data, length);
}

/* What was not taken yet. */
static const char *rest(const hp_multipart_t *self, size_t *length)
{
    *length = self->in.length - self->at;
    return self->in.data + self->at;
}

/* ---- a part's header ---- */

/* The value of a parameter such as filename="...", malloced; NULL. Browsers write %22 for a quote in it, and
 * old ones \" (HTML Living Standard, "multipart form data"). */
static char *parameter(const char *field, size_t length, const char *name)
{
    size_t name_length = strlen(name);
    for (size_t i = 0; i + name_length + 2 < length; i++) {
        if (strchr("; \t", field[i]) == NULL || strncasecmp(field + i + 1, name, name_length) != 0 ||
            field[i + 1 + name_length] != '=')
            continue;
        const char *at = field + i + 2 + name_length, *end = field + length;
        bool quoted = at < end && *at == '"';
        char *value = hp_alloc((size_t)(end - at) + 1), *out = value;
        for (at += quoted; at < end && (quoted ? *at != '"' : strchr("; \t", *at) == NULL); at++) {
            if (quoted && *at == '\\' && at + 1 < end && at[1] == '"')
                at++;
            *out++ = *at;
        }
        *out = '\0';
        for (char *p = value, *q = value; (*q = *p) != '\0'; p++, q++)
            if (strncmp(p, "%22", 3) == 0) {
                *q = '"';
                p += 2;
            }
        return value;
    }
    return NULL;
}

static void read_field(hp_multipart_t *self, const char *line, size_t length)
{
    static const char disposition[] = "content-disposition:", type[] = "content-type:";
    if (length > sizeof disposition - 1 && strncasecmp(line, disposition, sizeof disposition - 1) == 0) {
        free(self->name);
        free(self->file_name);
        self->name = parameter(line, length, "name");
        self->file_name = parameter(line, length, "filename");
    } else if (length > sizeof type - 1 && strncasecmp(line, type, sizeof type - 1) == 0) {
        const char *value = line + sizeof type - 1;
        size_t skip = 0, left = length - (sizeof type - 1);
        while (skip < left && (value[skip] == ' ' || value[skip] == '\t'))
            skip++;
        free(self->type);
        self->type = hp_strndup(value + skip, left - skip);
    }
}

/* The header is lines up to an empty one. */
static hp_multipart_event_t read_header(hp_multipart_t *self)
{
    size_t come;
    const char *start = rest(self, &come);
    const char *end = memmem(start, come, "\r\n\r\n", 4);
    bool empty = come >= 2 && memcmp(start, "\r\n", 2) == 0;
    if (!empty && end == NULL)
        return come > HP_MULTIPART_HEADER_MAX ? HP_MULTIPART_BAD : HP_MULTIPART_MORE;
    size_t length = empty ? 0 : (size_t)(end - start);
    if (length > HP_MULTIPART_HEADER_MAX || memchr(start, '\0', length) != NULL)
        return HP_MULTIPART_BAD;
    forget_part(self);
    for (size_t at = 0; at < length;) {
        const char *eol = memmem(start + at, length - at, "\r\n", 2);
        size_t line = eol != NULL ? (size_t)(eol - start) - at : length - at;
        read_field(self, start + at, line);
        at += line + 2;
    }
    if (self->name == NULL)
        self->name = hp_strdup("");
    self->taken = length + (empty ? 2 : 4);
    self->state = DATA;
    return HP_MULTIPART_PART;
}

/* ---- between delimiters ---- */

static hp_multipart_event_t read_data(hp_multipart_t *self)
{
    size_t come;
    const char *start = rest(self, &come);
    const char *found = memmem(start, come, self->delimiter, self->delimiter_length);
    size_t safe = come >= self->delimiter_length ? come - self->delimiter_length + 1 : 0;
    size_t length = found != NULL ? (size_t)(found - start) : safe;
    if (length > 0) {
        self->data = start;
        self->length = length;
        self->taken = length;
        return HP_MULTIPART_DATA;
    }
    if (found == NULL)
        return HP_MULTIPART_MORE;
    self->taken = self->delimiter_length;
    self->state = AFTER_DELIMITER;
    return HP_MULTIPART_END;
}

/* What stands before the first delimiter is ignored (RFC 2046 section 5.1.1). */
static hp_multipart_event_t skip_preamble(hp_multipart_t *self)
{
    hp_multipart_event_t event = read_data(self);
    if (event == HP_MULTIPART_MORE)
        return event;
    self->at += self->taken;
    self->taken = 0;
    return HP_MULTIPART_DATA;
}

/* Two dashes end the form; else white space and a line break follow. False: more is needed. */
static bool read_delimiter_end(hp_multipart_t *self, hp_multipart_event_t *event)
{
    size_t come, at = 0;
    const char *start = rest(self, &come);
    if (come >= 2 && memcmp(start, "--", 2) == 0) {
        self->state = OVER;
        return true;
    }
    while (at < come && (start[at] == ' ' || start[at] == '\t'))
        at++;
    if (come < at + 2) {
        *event = at > HP_MULTIPART_HEADER_MAX ? HP_MULTIPART_BAD : HP_MULTIPART_MORE;
        return false;
    }
    if (memcmp(start + at, "\r\n", 2) != 0) {
        *event = HP_MULTIPART_BAD;
        return false;
    }
    self->at += at + 2;
    self->state = HEADER;
    return true;
}

hp_multipart_event_t hp_multipart_next(hp_multipart_t *self)
{
    hp_multipart_event_t event = HP_MULTIPART_MORE;
    self->at += self->taken;
    self->taken = 0;
    if (self->at == self->in.length && self->state != OVER)
        return HP_MULTIPART_MORE;
    while (self->state == START && (event = skip_preamble(self)) == HP_MULTIPART_DATA)
        ;
    if (self->state == START)
        return event;
    if (self->state == AFTER_DELIMITER && !read_delimiter_end(self, &event))
        return event;
    if (self->state == OVER)
        return HP_MULTIPART_OVER;
    if (self->at == self->in.length)
        return HP_MULTIPART_MORE;
    return self->state == HEADER ? read_header(self) : read_data(self);
}
