// libs: fetch secure identity path os base
/* The header section of a source's reply, line by line: what is taken lies in what was asked for, its length
 * is known in one way only, and a head without end is bounded. The first byte says what was asked, the next
 * four which range; the rest are the lines. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fetch/parser.h"

#include "promise.h"

#define ASKED_HEAD   1
#define ASKED_RANGE  2
#define ASKED_HTTP2  4
#define ASKED_CODED  8
#define ASKED_TO_END 16
#define ENDLESS      32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    size_t length = strlen(text);
    promise(strpbrk(text, "\r\n") == NULL && length < HP_FETCH_HEAD_MAX);
    promise(length == 0 ||
            (text[0] != ' ' && text[0] != '\t' && text[length - 1] != ' ' && text[length - 1] != '\t'));
}

static void check_range(const hp_fetch_parser_t *self)
{
    const hp_fetch_head_t *head = &self->head;
    promise(head->ranged == (head->status == 206) && (self->ranged || !head->ranged));
    if (!head->ranged) {
        promise(head->range.first == 0 && head->range.end == 0);
        promise(head->total == HP_RANGE_UNKNOWN || head->status == 416);
        return;
    }
    promise(head->range.first == self->range.first && head->range.end <= self->range.end);
    promise(head->range.first < head->range.end);
    promise(head->total == HP_RANGE_UNKNOWN || head->range.end <= head->total);
    promise(self->body == HP_FETCH_BODY_NONE ||
            (self->body == HP_FETCH_BODY_LENGTH && self->body_length == head->range.end - head->range.first));
}

static void check_body(const hp_fetch_parser_t *self)
{
    const hp_fetch_head_t *head = &self->head;
    bool good = head->status >= 200 && head->status < 300, known = head->content_length != HP_RANGE_UNKNOWN;
    promise(!known || head->content_length <= INT64_MAX);
    promise(head->ends_by_close == (self->body == HP_FETCH_BODY_CLOSE));
    switch (self->body) {
    case HP_FETCH_BODY_NONE:
        promise(self->body_length == 0);
        promise(self->head_request || head->status == 204 || head->status == 304);
        break;
    case HP_FETCH_BODY_LENGTH:
        promise(known && self->body_length == head->content_length && !self->chunked);
        break;
    case HP_FETCH_BODY_CHUNKED:
    case HP_FETCH_BODY_CLOSE:
        promise(!known && self->body_length == HP_RANGE_UNKNOWN);
        promise(!self->ranged || !good); /* a part is not looked for in what has no length */
        break;
    }
    promise(!self->content_coded || !good);
}

static void check_head(const hp_fetch_parser_t *self)
{
    const hp_fetch_head_t *head = &self->head;
    const char *texts[] = {head->etag,          head->last_modified,       head->content_type,
                           head->hostpair_id,   head->content_disposition, head->hostpair_name,
                           head->hostpair_root, head->hostpair_content,    self->location};
    promise(self->complete && self->bytes <= HP_FETCH_HEAD_MAX);
    promise(head->status >= 200 && head->status <= 999);
    promise(head->etag_strong == hp_etag_is_strong(head->etag, strlen(head->etag)));
    promise(head->retry_after_s >= -1 && head->retry_after_s <= 3600);
    for (size_t i = 0; i < HP_COUNT(texts); i++)
        check_text(texts[i]);
    check_range(self);
    check_body(self);
}

/* Feeds all lines. What the last one gave, or 0 where the head is not complete. */
static int feed(hp_fetch_parser_t *self, const char *lines, size_t size, const char **last)
{
    int result = 0;
    *last = lines;
    for (const char *at = lines, *end = lines + size; at < end && result >= 0;) {
        hp_err_t err = {0};
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        size_t length = eol != NULL ? (size_t)(eol - at) + 1 : (size_t)(end - at);
        char *line = hp_alloc(length); /* exactly as long, so that a read past its end shows */
        memcpy(line, at, length);
        bool was_complete = self->complete;
        int rc = hp_fetch_parser_line(self, line, length, &err);
        free(line);
        promise(rc == 0 || rc == HP_FETCH_PARSER_HEAD || rc == HP_E_PROTOCOL || rc == HP_E_NO_RANGES);
        promise(rc >= 0 || err.detail[0] != '\0'); /* a refusal says why */
        promise(rc != HP_FETCH_PARSER_HEAD || !was_complete);
        if (rc == HP_FETCH_PARSER_HEAD)
            check_head(self);
        result = rc != 0 ? rc : result;
        *last = at;
        at += length;
    }
    promise(result >= 0 || !self->complete || self->bytes > HP_FETCH_HEAD_MAX);
    return result;
}

/* The same line again and again, in a head or a trailer. */
static void check_endless(hp_fetch_parser_t *self, const char *line, const char *end)
{
    const char *eol = memchr(line, '\n', (size_t)(end - line));
    size_t length = eol != NULL ? (size_t)(eol - line) + 1 : (size_t)(end - line), given = 0;
    int rc = 0;
    if (length < 64) /* takes too long */
        return;
    for (; rc >= 0 && given <= HP_FETCH_HEAD_MAX; given += length)
        rc = hp_fetch_parser_line(self, line, length, NULL);
    promise(rc == HP_E_PROTOCOL || rc == HP_E_NO_RANGES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint16_t first, length;
    hp_fetch_parser_t parser;
    if (size < 6)
        return 0;
    memcpy(&first, data + 1, sizeof first);
    memcpy(&length, data + 3, sizeof length);
    hp_range_t range = {first, data[0] & ASKED_TO_END ? HP_RANGE_UNKNOWN : (uint64_t)first + 1 + length};
    const char *lines = (const char *)data + 5, *last;
    size -= 5;
    hp_fetch_parser_init(&parser, data[0] & ASKED_HEAD, data[0] & ASKED_RANGE ? &range : NULL);
    parser.http2 = data[0] & ASKED_HTTP2;
    parser.own_coding = data[0] & ASKED_CODED ? "gzip" : NULL;
    int result = feed(&parser, lines, size, &last);
    int status = parser.head.status;
    uint64_t taken = parser.body_length;
    if (data[0] & ENDLESS && result >= 0)
        check_endless(&parser, last, lines + size);
    hp_fetch_parser_reset(&parser); /* nothing of the first reply is left */
    promise(feed(&parser, lines, size, &last) == result && parser.head.status == status &&
            parser.body_length == taken);
    hp_fetch_parser_dispose(&parser);
    return 0;
}
