#include "fetch/parser.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"

#define RETRY_AFTER_MAX 3600 /* seconds */

static void forget_section(hp_fetch_parser_t *self)
{
    self->head = (hp_fetch_head_t){
        .content_length = HP_RANGE_UNKNOWN,
        .total = HP_RANGE_UNKNOWN,
        .date_ms = -1,
        .retry_after_s = -1,
    };
    self->body = HP_FETCH_BODY_NONE;
    self->body_length = HP_RANGE_UNKNOWN;
    self->in_section = self->framed = false;
    self->has_length = self->has_coding = self->chunked = false;
    self->has_content_range = self->content_range_ok = self->content_coded = self->multipart = false;
    memset(self->twice, 0, sizeof self->twice);
    memset(self->texts, 0, sizeof self->texts);
    hp_buf_clear(&self->buffer);
}

void hp_fetch_parser_init(hp_fetch_parser_t *self, bool head_request, const hp_range_t *range)
{
    *self = (hp_fetch_parser_t){.head_request = head_request, .ranged = range != NULL};
    if (range != NULL)
        self->range = *range;
    hp_buf_init(&self->buffer, (size_t)HP_FETCH_HEAD_MAX * 2);
    forget_section(self);
}

void hp_fetch_parser_reset(hp_fetch_parser_t *self)
{
    self->bytes = 0;
    self->complete = false;
    self->location = "";
    forget_section(self);
}

void hp_fetch_parser_dispose(hp_fetch_parser_t *self)
{
    hp_buf_dispose(&self->buffer);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9110 section 5.6.2 */
static bool is_token(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return length > 0;
}

static bool same_text(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

/* Digits only, at most INT64_MAX: curl counts in signed numbers. */
static bool read_number(const char *text, size_t length, uint64_t *number)
{
    uint64_t n = 0;
    for (size_t i = 0; i < length; i++) {
        if (!is_digit(text[i]) || n > ((uint64_t)INT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(text[i] - '0');
    }
    *number = n;
    return length > 0;
}

/* "HTTP/1.1 200 OK" (RFC 9112 section 4); the reason may be missing with its space. */
static int read_status_line(hp_fetch_parser_t *self, const char *line, size_t length, hp_err_t *err)
{
    char as_1[12];
    forget_section(self);
    if (self->http2 && length >= 10 &&
        memcmp(line, "HTTP/2 ", 7) == 0) { /* as curl writes it: there is no such line */
        memcpy(as_1, "HTTP/1.1 ", 9);
        memcpy(as_1 + 9, line + 7, 3);
        line = as_1;
        length = sizeof as_1;
        self->framed = true;
    }
    bool ok = length >= 12 && memcmp(line, "HTTP/1.", 7) == 0 && (line[7] == '0' || line[7] == '1') &&
              line[8] == ' ' && is_digit(line[9]) && is_digit(line[10]) && is_digit(line[11]) &&
              (length == 12 || line[12] == ' ');
    if (!ok)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply does not start with an HTTP/1 status line");
    self->minor = line[7] - '0';
    self->head.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    self->in_section = true;
    if (self->head.status < 100)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply has the status %03d", self->head.status);
    if (self->head.status == 101)
        return hp_err_set(err, HP_E_PROTOCOL,
                          "the reply switches to another protocol, which nobody asked for");
    return 0;
}

static void keep_text(hp_fetch_parser_t *self, hp_fetch_text_t field, const char *value, size_t length)
{
    if (self->texts[field] != 0) {
        self->twice[field] = true;
        return;
    }
    size_t at = self->buffer.length;
    if (hp_buf_add(&self->buffer, value, length) == 0 && hp_buf_add(&self->buffer, "", 1) == 0)
        self->texts[field] = at + 1;
}

static int read_length(hp_fetch_parser_t *self, const char *value, size_t length, hp_err_t *err)
{
    if (self->has_length)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply has several Content-Length fields");
    self->has_length = true;
    if (!read_number(value, length, &self->head.content_length))
        return hp_err_set(err, HP_E_PROTOCOL, "the reply has a malformed Content-Length");
    return 0;
}

static int read_transfer_coding(hp_fetch_parser_t *self, const char *value, size_t length, hp_err_t *err)
{
    if (self->has_coding || !same_text(value, length, "chunked"))
        return hp_err_set(err, HP_E_PROTOCOL, "the reply has a Transfer-Encoding other than chunked");
    self->has_coding = self->chunked = true;
    return 0;
}

static int read_content_range(hp_fetch_parser_t *self, const char *value, size_t length, hp_err_t *err)
{
    if (self->has_content_range)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply has several Content-Range fields");
    self->has_content_range = true;
    self->content_range_ok = hp_range_parse_content(value, length, &self->head.range, &self->head.total) == 0;
    if (!self->content_range_ok)
        self->head.total = HP_RANGE_UNKNOWN;
    return 0;
}

/* Whether a list field names the word. */
static bool list_has(const char *value, size_t length, const char *word)
{
    while (length > 0) {
        size_t item = 0;
        while (item < length && value[item] != ',')
            item++;
        size_t start = 0, end = item;
        while (start < end && (value[start] == ' ' || value[start] == '\t'))
            start++;
        while (end > start && (value[end - 1] == ' ' || value[end - 1] == '\t'))
            end--;
        if (same_text(value + start, end - start, word))
            return true;
        item = item < length ? item + 1 : item;
        value += item;
        length -= item;
    }
    return false;
}

static void read_date(hp_fetch_parser_t *self, const char *value, size_t length)
{
    char text[64];
    int64_t seconds = 0;
    if (length >= sizeof text)
        return;
    memcpy(text, value, length);
    text[length] = '\0';
    if (hp_clock_parse_http_date(text, &seconds) == 0)
        self->head.date_ms = seconds * 1000;
}

/* RFC 9110 section 10.2.3: seconds or a date */
static void read_retry_after(hp_fetch_parser_t *self, const char *value, size_t length)
{
    char text[64];
    uint64_t number = 0;
    int64_t seconds = 0;
    if (read_number(value, length, &number)) {
        self->head.retry_after_s = (int)HP_MIN(number, (uint64_t)RETRY_AFTER_MAX);
        return;
    }
    if (length >= sizeof text)
        return;
    memcpy(text, value, length);
    text[length] = '\0';
    if (hp_clock_parse_http_date(text, &seconds) != 0)
        return;
    int64_t wait = seconds - hp_clock_wall_ms() / 1000;
    self->head.retry_after_s = (int)HP_MAX(HP_MIN(wait, (int64_t)RETRY_AFTER_MAX), (int64_t)0);
}

/* Servers call a packed file a coded one ("x-gzip" is an alias, RFC 9110 section 8.4.1.3). */
static bool is_own_coding(const hp_fetch_parser_t *self, const char *value, size_t length)
{
    if (length > 2 && strncasecmp(value, "x-", 2) == 0) {
        value += 2;
        length -= 2;
    }
    return self->own_coding != NULL && same_text(value, length, self->own_coding);
}

static int read_field(hp_fetch_parser_t *self, const char *name, size_t name_length, const char *value,
                      size_t length, hp_err_t *err)
{
    static const struct {
        const char *name;
        hp_fetch_text_t field;
    } texts[] = {
        {"ETag", HP_FETCH_ETAG},
        {"Last-Modified", HP_FETCH_LAST_MODIFIED},
        {"Content-Type", HP_FETCH_CONTENT_TYPE},
        {"Content-Disposition", HP_FETCH_CONTENT_DISPOSITION},
        {"Hostpair-Id", HP_FETCH_HOSTPAIR_ID},
        {"Hostpair-Name", HP_FETCH_HOSTPAIR_NAME},
        {"Hostpair-Root", HP_FETCH_HOSTPAIR_ROOT},
        {"Hostpair-Content", HP_FETCH_HOSTPAIR_CONTENT},
        {"Location", HP_FETCH_LOCATION},
    };
    for (size_t i = 0; i < HP_COUNT(texts); i++)
        if (same_text(name, name_length, texts[i].name)) {
            keep_text(self, texts[i].field, value, length);
            return 0;
        }
    if (same_text(name, name_length, "Content-Length"))
        return read_length(self, value, length, err);
    if (same_text(name, name_length, "Transfer-Encoding"))
        return read_transfer_coding(self, value, length, err);
    if (same_text(name, name_length, "Content-Range"))
        return read_content_range(self, value, length, err);
    if (same_text(name, name_length, "Content-Encoding"))
        self->content_coded |=
            length > 0 && !same_text(value, length, "identity") && !is_own_coding(self, value, length);
    else if (same_text(name, name_length, "Accept-Ranges"))
        self->head.accept_ranges |= list_has(value, length, "bytes");
    else if (same_text(name, name_length, "Date"))
        read_date(self, value, length);
    else if (same_text(name, name_length, "Retry-After"))
        read_retry_after(self, value, length);
    return 0;
}

static int read_field_line(hp_fetch_parser_t *self, const char *line, size_t length, hp_err_t *err)
{
    const char *colon = memchr(line, ':', length);
    if (line[0] == ' ' || line[0] == '\t')
        return hp_err_set(err, HP_E_PROTOCOL, "the reply has a folded header field");
    if (colon == NULL || !is_token(line, (size_t)(colon - line)))
        return hp_err_set(err, HP_E_PROTOCOL, "the reply has a malformed header field");
    const char *value = colon + 1, *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return read_field(self, line, (size_t)(colon - line), value, (size_t)(end - value), err);
}

/* The rules for a 206 (RFC 9110 section 15.3.7): exactly the bytes that were asked for, from their first one
 * on. */
static int judge_partial(hp_fetch_parser_t *self, hp_err_t *err)
{
    hp_fetch_head_t *head = &self->head;
    if (!self->ranged)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply is a part (206) where the whole was asked for");
    if (self->multipart)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply is a multipart 206 where one range was asked for");
    if (!self->content_range_ok || head->range.first == HP_RANGE_UNKNOWN)
        return hp_err_set(err, HP_E_PROTOCOL,
                          "the reply is a part (206) without a well-formed Content-Range");
    if (head->range.first != self->range.first || head->range.end > self->range.end ||
        head->range.end <= head->range.first)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply has other bytes (%llu to %llu) than were asked for",
                          (unsigned long long)head->range.first, (unsigned long long)head->range.end);
    if (head->total != HP_RANGE_UNKNOWN && head->range.end > head->total)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply's Content-Range ends after the file");
    if (self->chunked)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply is a part (206) in chunks, without a length");
    if (!self->head_request && head->content_length != head->range.end - head->range.first)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply's Content-Length does not fit its Content-Range");
    head->ranged = true;
    return 0;
}

static int judge_body(hp_fetch_parser_t *self, hp_err_t *err)
{
    hp_fetch_head_t *head = &self->head;
    if (self->has_coding && self->has_length)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply has both a Transfer-Encoding and a Content-Length");
    if (self->has_coding && self->minor == 0)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply is HTTP/1.0 with a Transfer-Encoding");
    if (self->content_coded && head->status >= 200 && head->status < 300)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply has a Content-Encoding, which was not asked for");
    if (self->head_request || head->status == 204 || head->status == 304) {
        self->body = HP_FETCH_BODY_NONE;
        self->body_length = 0;
    } else if (self->chunked || (self->framed && !self->has_length)) {
        self->body = HP_FETCH_BODY_CHUNKED; /* or framed (RFC 9113): its end is told, its length is not */
    } else if (self->has_length) {
        self->body = HP_FETCH_BODY_LENGTH;
        self->body_length = head->content_length;
    } else {
        self->body = HP_FETCH_BODY_CLOSE;
        head->ends_by_close = true;
    }
    return 0;
}

static const char *text_of(const hp_fetch_parser_t *self, hp_fetch_text_t field)
{
    return self->texts[field] != 0 ? self->buffer.data + self->texts[field] - 1 : "";
}

/* The empty line of the final section. */
static int finish_section(hp_fetch_parser_t *self, hp_err_t *err)
{
    hp_fetch_head_t *head = &self->head;
    /* Two entity tags are none. */
    head->etag = self->twice[HP_FETCH_ETAG] ? "" : text_of(self, HP_FETCH_ETAG);
    head->etag_strong = hp_etag_is_strong(head->etag, strlen(head->etag));
    head->last_modified = text_of(self, HP_FETCH_LAST_MODIFIED);
    head->content_type = text_of(self, HP_FETCH_CONTENT_TYPE);
    head->content_disposition = text_of(self, HP_FETCH_CONTENT_DISPOSITION);
    head->hostpair_id = text_of(self, HP_FETCH_HOSTPAIR_ID);
    head->hostpair_name = text_of(self, HP_FETCH_HOSTPAIR_NAME);
    head->hostpair_root = text_of(self, HP_FETCH_HOSTPAIR_ROOT);
    head->hostpair_content = text_of(self, HP_FETCH_HOSTPAIR_CONTENT);
    head->url = head->address = "";
    self->location = text_of(self, HP_FETCH_LOCATION);
    self->multipart = strncasecmp(head->content_type, "multipart/byteranges", 20) == 0;

    int rc = judge_body(self, err);
    if (rc == 0 && head->status == 206)
        rc = judge_partial(self, err);
    else if (rc == 0 && head->status != 416)
        head->total = HP_RANGE_UNKNOWN;
    if (rc == 0 && self->ranged && head->status >= 200 && head->status < 300 && head->status != 206 &&
        (self->body == HP_FETCH_BODY_CHUNKED || self->body == HP_FETCH_BODY_CLOSE))
        rc = hp_err_set(err, HP_E_NO_RANGES, "a part was asked for, the whole comes, without its length");
    if (rc != 0)
        return rc;
    if (!head->ranged)
        head->range = (hp_range_t){0, 0};
    self->complete = true;
    return HP_FETCH_PARSER_HEAD;
}

int hp_fetch_parser_line(hp_fetch_parser_t *self, const char *line, size_t length, hp_err_t *err)
{
    self->bytes += length;
    if (self->bytes > HP_FETCH_HEAD_MAX)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply's header section is longer than %d bytes",
                          HP_FETCH_HEAD_MAX);
    if (self->complete) /* a trailer section: counted, else ignored */
        return 0;
    if (length > 0 && line[length - 1] == '\n')
        length--;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (memchr(line, '\r', length) != NULL || memchr(line, '\0', length) != NULL)
        return hp_err_set(err, HP_E_PROTOCOL, "the reply's header section has a bare CR or a NUL");
    if (!self->in_section)
        return read_status_line(self, line, length, err);
    if (length > 0)
        return read_field_line(self, line, length, err);
    if (self->head.status < 200) {
        forget_section(self);
        return 0;
    }
    return finish_section(self, err);
}
