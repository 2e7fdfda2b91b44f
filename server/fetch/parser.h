/* Reads a reply's header section, line by line, and judges it: nothing that a reply says about its own
 * length, range or coding is believed before it has passed here. Pure: no socket, no curl, no clock but the
 * wall clock. Not shared between threads.
 *
 * Invariants
 * 1. hp_fetch_parser_line() takes the lines of 1xx sections, of the final section and of a trailer, in that
 * order, each with its line end.
 * 2. All of them together take at most HP_FETCH_HEAD_MAX bytes.
 * 3. The text that the head points to belongs to the parser and lives until reset or dispose.
 */
#ifndef HP_FETCH_PARSER_H
#define HP_FETCH_PARSER_H

#include "base/buf.h"
#include "fetch/fetch.h"

/* Where the body of the reply ends (RFC 9112 section 6.3). */
typedef enum {
    HP_FETCH_BODY_NONE,    /* HEAD, 204, 304 */
    HP_FETCH_BODY_LENGTH,  /* after Content-Length bytes */
    HP_FETCH_BODY_CHUNKED, /* after the last chunk */
    HP_FETCH_BODY_CLOSE,   /* when the connection closes */
} hp_fetch_body_t;

/* The text fields that a head has, as places in the parser's buffer. */
typedef enum {
    HP_FETCH_ETAG,
    HP_FETCH_LAST_MODIFIED,
    HP_FETCH_CONTENT_TYPE,
    HP_FETCH_CONTENT_DISPOSITION,
    HP_FETCH_HOSTPAIR_ID,
    HP_FETCH_HOSTPAIR_NAME,
    HP_FETCH_HOSTPAIR_ROOT,
    HP_FETCH_HOSTPAIR_CONTENT,
    HP_FETCH_LOCATION,
    HP_FETCH_TEXTS
} hp_fetch_text_t;

typedef struct hp_fetch_parser {
    /* What was asked; set by init. */
    bool head_request, ranged, http2;
    const char *own_coding; /* of the file itself, by its name: no coding of the reply; NULL */
    hp_range_t range;

    hp_fetch_head_t head; /* complete once line() has returned HP_FETCH_PARSER_HEAD */
    const char *location; /* of a redirect, or "" */
    hp_fetch_body_t body;
    uint64_t body_length; /* with HP_FETCH_BODY_LENGTH; 0 with NONE; else HP_RANGE_UNKNOWN */

    size_t bytes; /* of all lines so far */
    bool complete;
    bool in_section; /* the status line of the present section was read */
    int minor;       /* HTTP/1.<minor> */
    bool has_length, has_coding, chunked, framed, has_content_range, content_range_ok, content_coded,
        multipart;
    bool twice[HP_FETCH_TEXTS];
    size_t texts[HP_FETCH_TEXTS]; /* offset + 1 in buffer, 0: missing */
    hp_buf_t buffer;
} hp_fetch_parser_t;

#define HP_FETCH_PARSER_HEAD 1 /* the final header section is complete and kept the rules */

/* range NULL: no range was asked for. */
void hp_fetch_parser_init(hp_fetch_parser_t *self, bool head_request, const hp_range_t *range);
void hp_fetch_parser_reset(hp_fetch_parser_t *self); /* for another reply to the same question */
void hp_fetch_parser_dispose(hp_fetch_parser_t *self);

/* 0 to go on, HP_FETCH_PARSER_HEAD, HP_E_PROTOCOL, or HP_E_NO_RANGES where a range was asked for and a whole
 * file comes without a length; err has the words. */
int hp_fetch_parser_line(hp_fetch_parser_t *self, const char *line, size_t length, hp_err_t *err);

#endif
