// libs: fetch path os base
/* The header section of a reply: what is believed and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fetch/parser.h"

/* Feeds a text line by line; the first answer that is not 0, or 0. */
static int feed(hp_fetch_parser_t *parser, const char *text, size_t length, hp_err_t *err)
{
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t line = end != NULL ? (size_t)(end - text) + 1 : length;
        int rc = hp_fetch_parser_line(parser, text, line, err);
        if (rc != 0)
            return rc;
        text += line;
        length -= line;
    }
    return 0;
}

typedef struct lie {
    const char *what, *text;
    size_t length; /* 0: strlen */
    bool ranged;   /* bytes 100 to 199 were asked for */
    int expected;
} lie_t;

#define OK      "HTTP/1.1 200 OK\r\n"
#define PARTIAL "HTTP/1.1 206 Partial Content\r\n"
#define RANGE   "Content-Range: bytes 100-199/1000\r\n"

static const lie_t lies[] = {
    {"no status line", "Content-Length: 5\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"HTTP/0.9", "hello\r\n", 0, false, HP_E_PROTOCOL},
    {"HTTP/2 on a plain connection", "HTTP/2 200\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"lower case", "http/1.1 200 OK\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"no version", "HTTP 200 OK\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a space before the status line", " HTTP/1.1 200 OK\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"status 099", "HTTP/1.1 099 OK\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"status 101", "HTTP/1.1 101 Switching Protocols\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a folded field", OK "X-A: b\r\n c\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a folded field with a tab", OK "X-A: b\r\n\tc\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a field that starts with a space", OK " X-A: b\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a space before the colon", OK "Content-Length : 5\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"no colon", OK "Content-Length 5\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"no name", OK ": 5\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a bare CR in a value", OK "X-A: b\rContent-Length: 5\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a bare CR before the line end", OK "X-A: b\r\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a line of CR and text", OK "\rX-A: b\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a NUL in a value", OK "X-A: b\0c\r\n\r\n", sizeof(OK "X-A: b\0c\r\n\r\n") - 1, false, HP_E_PROTOCOL},
    {"a NUL in a name", OK "X\0A: b\r\n\r\n", sizeof(OK "X\0A: b\r\n\r\n") - 1, false, HP_E_PROTOCOL},
    {"a NUL in the status line", "HTTP/1.1 200 \0\r\n\r\n", sizeof("HTTP/1.1 200 \0\r\n\r\n") - 1, false,
     HP_E_PROTOCOL},
    {"two lengths that differ", OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"two lengths that agree", OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a list of lengths", OK "Content-Length: 5, 5\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a negative length", OK "Content-Length: -1\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a length with a sign", OK "Content-Length: +5\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a length in hexadecimal", OK "Content-Length: 0x10\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a length with a unit", OK "Content-Length: 5 bytes\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"an empty length", OK "Content-Length:\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a length past 2^63", OK "Content-Length: 9223372036854775808\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a length past 2^64", OK "Content-Length: 18446744073709551621\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"chunks and a length", OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 0, false,
     HP_E_PROTOCOL},
    {"a length and chunks", OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false,
     HP_E_PROTOCOL},
    {"gzip as transfer coding", OK "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"identity as transfer coding", OK "Transfer-Encoding: identity\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"chunks twice", OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false,
     HP_E_PROTOCOL},
    {"chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a content coding", OK "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a content coding after identity", OK "Content-Encoding: identity\r\nContent-Encoding: br\r\n\r\n", 0,
     false, HP_E_PROTOCOL},
    {"a part that nobody asked for", PARTIAL RANGE "Content-Length: 100\r\n\r\n", 0, false, HP_E_PROTOCOL},
    {"a part without its range", PARTIAL "Content-Length: 100\r\n\r\n", 0, true, HP_E_PROTOCOL},
    {"a part with another start", PARTIAL "Content-Range: bytes 99-198/1000\r\nContent-Length: 100\r\n\r\n",
     0, true, HP_E_PROTOCOL},
    {"a part past the asked end", PARTIAL "Content-Range: bytes 100-200/1000\r\nContent-Length: 101\r\n\r\n",
     0, true, HP_E_PROTOCOL},
    {"a part whose length differs", PARTIAL RANGE "Content-Length: 99\r\n\r\n", 0, true, HP_E_PROTOCOL},
    {"a part without a length", PARTIAL RANGE "\r\n", 0, true, HP_E_PROTOCOL},
    {"a part in chunks", PARTIAL RANGE "Transfer-Encoding: chunked\r\n\r\n", 0, true, HP_E_PROTOCOL},
    {"a part past the file's end", PARTIAL "Content-Range: bytes 100-199/150\r\nContent-Length: 100\r\n\r\n",
     0, true, HP_E_PROTOCOL},
    {"a backward part", PARTIAL "Content-Range: bytes 199-100/1000\r\nContent-Length: 100\r\n\r\n", 0, true,
     HP_E_PROTOCOL},
    {"an unsatisfied range in a 206", PARTIAL "Content-Range: bytes */1000\r\nContent-Length: 100\r\n\r\n", 0,
     true, HP_E_PROTOCOL},
    {"a range of other units", PARTIAL "Content-Range: lines 100-199/1000\r\nContent-Length: 100\r\n\r\n", 0,
     true, HP_E_PROTOCOL},
    {"two content ranges", PARTIAL RANGE RANGE "Content-Length: 100\r\n\r\n", 0, true, HP_E_PROTOCOL},
    {"a multipart part",
     PARTIAL RANGE "Content-Type: multipart/byteranges; boundary=x\r\nContent-Length: 100\r\n\r\n", 0, true,
     HP_E_PROTOCOL},
    {"the whole in chunks instead of a part", OK "Transfer-Encoding: chunked\r\n\r\n", 0, true,
     HP_E_NO_RANGES},
    {"the whole without a length instead of a part", OK "\r\n", 0, true, HP_E_NO_RANGES},
    /* and what is right */
    {"a whole", OK "Content-Length: 5\r\n\r\n", 0, false, HP_FETCH_PARSER_HEAD},
    {"line ends without CR", "HTTP/1.1 200 OK\nContent-Length: 5\n\n", 0, false, HP_FETCH_PARSER_HEAD},
    {"no reason", "HTTP/1.1 200\r\n\r\n", 0, false, HP_FETCH_PARSER_HEAD},
    {"an empty reason", "HTTP/1.1 200 \r\n\r\n", 0, false, HP_FETCH_PARSER_HEAD},
    {"chunks", OK "Transfer-Encoding: Chunked\r\n\r\n", 0, false, HP_FETCH_PARSER_HEAD},
    {"identity", OK "Content-Encoding: identity\r\n\r\n", 0, false, HP_FETCH_PARSER_HEAD},
    {"a part", PARTIAL RANGE "Content-Length: 100\r\n\r\n", 0, true, HP_FETCH_PARSER_HEAD},
    {"a shorter part", PARTIAL "Content-Range: bytes 100-149/150\r\nContent-Length: 50\r\n\r\n", 0, true,
     HP_FETCH_PARSER_HEAD},
    {"a part of an unknown whole", PARTIAL "Content-Range: bytes 100-199/*\r\nContent-Length: 100\r\n\r\n", 0,
     true, HP_FETCH_PARSER_HEAD},
    {"the whole instead of a part", OK "Content-Length: 1000\r\n\r\n", 0, true, HP_FETCH_PARSER_HEAD},
    {"an error page in chunks", "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n", 0, true,
     HP_FETCH_PARSER_HEAD},
    {"an error page in gzip", "HTTP/1.1 503 No\r\nContent-Encoding: gzip\r\n\r\n", 0, true,
     HP_FETCH_PARSER_HEAD},
    {"unsatisfiable", "HTTP/1.1 416 No\r\nContent-Range: bytes */50\r\nContent-Length: 0\r\n\r\n", 0, true,
     HP_FETCH_PARSER_HEAD},
    {"an early hint first", "HTTP/1.1 103 Early\r\nContent-Length: 7\r\n\r\n" OK "Content-Length: 5\r\n\r\n",
     0, false, HP_FETCH_PARSER_HEAD},
};

static void every_lie_is_refused(void **state)
{
    (void)state;
    const hp_range_t asked = {100, 200};
    for (size_t i = 0; i < HP_COUNT(lies); i++) {
        const lie_t *lie = &lies[i];
        hp_fetch_parser_t parser;
        hp_err_t err = {0};
        hp_fetch_parser_init(&parser, false, lie->ranged ? &asked : NULL);
        int rc = feed(&parser, lie->text, lie->length != 0 ? lie->length : strlen(lie->text), &err);
        if (rc != lie->expected)
            fail_msg("%s: got %d (%s), expected %d", lie->what, rc, err.detail, lie->expected);
        if (rc < 0 && (err.code != rc || err.detail[0] == '\0'))
            fail_msg("%s: no words for it", lie->what);
        hp_fetch_parser_dispose(&parser);
    }
}

static hp_fetch_parser_t parse(const char *text, bool head_request, const hp_range_t *range)
{
    hp_fetch_parser_t parser;
    hp_err_t err = {0};
    hp_fetch_parser_init(&parser, head_request, range);
    int rc = feed(&parser, text, strlen(text), &err);
    if (rc != HP_FETCH_PARSER_HEAD)
        fail_msg("%s: %d %s", text, rc, err.detail);
    return parser;
}

static void fields_arrive_as_they_were_sent(void **state)
{
    (void)state;
    hp_fetch_parser_t p = parse(OK "content-length: \t 12 \t\r\n"
                                   "ETag: \"abc\"\r\n"
                                   "Accept-Ranges: none, Bytes\r\n"
                                   "last-modified: Sat, 21 Nov 2026 03:56:15 GMT\r\n"
                                   "Date: Sat, 21 Nov 2026 03:56:16 GMT\r\n"
                                   "Content-Type: text/plain; charset=utf-8\r\n"
                                   "Content-Disposition: attachment; filename=\"a\"\r\n"
                                   "Retry-After: 120\r\n"
                                   "Hostpair-Id: 0123\r\nHostpair-Name: a%20b\r\nHostpair-Root: ff\r\n"
                                   "Hostpair-Content: plain\r\n\r\n",
                                false, NULL);
    assert_int_equal(p.head.status, 200);
    assert_int_equal(p.head.content_length, 12);
    assert_int_equal(p.body, HP_FETCH_BODY_LENGTH);
    assert_int_equal(p.body_length, 12);
    assert_string_equal(p.head.etag, "\"abc\"");
    assert_true(p.head.etag_strong);
    assert_true(p.head.accept_ranges);
    assert_string_equal(p.head.last_modified, "Sat, 21 Nov 2026 03:56:15 GMT");
    assert_int_equal(p.head.date_ms, INT64_C(1795233376000));
    assert_string_equal(p.head.content_type, "text/plain; charset=utf-8");
    assert_string_equal(p.head.content_disposition, "attachment; filename=\"a\"");
    assert_int_equal(p.head.retry_after_s, 120);
    assert_string_equal(p.head.hostpair_id, "0123");
    assert_string_equal(p.head.hostpair_name, "a%20b");
    assert_string_equal(p.head.hostpair_root, "ff");
    assert_string_equal(p.head.hostpair_content, "plain");
    assert_false(p.head.ends_by_close);
    assert_int_equal(p.head.total, HP_RANGE_UNKNOWN);
    hp_fetch_parser_dispose(&p);
}

static void missing_fields_are_empty(void **state)
{
    (void)state;
    hp_fetch_parser_t p = parse(OK "\r\n", false, NULL);
    assert_int_equal(p.head.content_length, HP_RANGE_UNKNOWN);
    assert_string_equal(p.head.etag, "");
    assert_false(p.head.etag_strong);
    assert_string_equal(p.head.hostpair_id, "");
    assert_int_equal(p.head.date_ms, -1);
    assert_int_equal(p.head.retry_after_s, -1);
    assert_false(p.head.accept_ranges);
    assert_true(p.head.ends_by_close);
    assert_int_equal(p.body, HP_FETCH_BODY_CLOSE);
    hp_fetch_parser_dispose(&p);
}

static void a_part_gives_its_range_and_total(void **state)
{
    (void)state;
    const hp_range_t asked = {100, 200};
    hp_fetch_parser_t p = parse(PARTIAL RANGE "Content-Length: 100\r\nETag: W/\"1\"\r\n\r\n", false, &asked);
    assert_true(p.head.ranged);
    assert_int_equal(p.head.range.first, 100);
    assert_int_equal(p.head.range.end, 200);
    assert_int_equal(p.head.total, 1000);
    assert_string_equal(p.head.etag, "W/\"1\"");
    assert_false(p.head.etag_strong);
    hp_fetch_parser_dispose(&p);
    p = parse("HTTP/1.1 416 No\r\nContent-Range: bytes */50\r\nContent-Length: 0\r\n\r\n", false, &asked);
    assert_false(p.head.ranged);
    assert_int_equal(p.head.total, 50);
    hp_fetch_parser_dispose(&p);
    /* on a 200 it has no meaning */
    p = parse(OK RANGE "Content-Length: 1000\r\n\r\n", false, &asked);
    assert_false(p.head.ranged);
    assert_int_equal(p.head.total, HP_RANGE_UNKNOWN);
    assert_int_equal(p.body_length, 1000);
    hp_fetch_parser_dispose(&p);
}

static void two_entity_tags_are_no_validator(void **state)
{
    (void)state;
    hp_fetch_parser_t p = parse(OK "ETag: \"a\"\r\nETag: \"b\"\r\n\r\n", false, NULL);
    assert_string_equal(p.head.etag, "");
    assert_false(p.head.etag_strong);
    hp_fetch_parser_dispose(&p);
}

static void replies_without_a_body_promise_none(void **state)
{
    (void)state;
    hp_fetch_parser_t p = parse(OK "Content-Length: 99\r\n\r\n", true, NULL);
    assert_int_equal(p.body, HP_FETCH_BODY_NONE);
    assert_int_equal(p.body_length, 0);
    assert_int_equal(p.head.content_length, 99);
    hp_fetch_parser_dispose(&p);
    p = parse("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", false, NULL);
    assert_int_equal(p.body, HP_FETCH_BODY_NONE);
    assert_int_equal(p.body_length, 0);
    hp_fetch_parser_dispose(&p);
    p = parse("HTTP/1.1 204 No Content\r\n\r\n", false, NULL);
    assert_int_equal(p.body, HP_FETCH_BODY_NONE);
    assert_false(p.head.ends_by_close);
    hp_fetch_parser_dispose(&p);
}

static void retry_after_takes_a_date_and_has_a_limit(void **state)
{
    (void)state;
    char text[200], date[HP_HTTP_DATE_SIZE];
    hp_clock_http_date(hp_clock_wall_ms() / 1000 + 60, date);
    snprintf(text, sizeof text, "HTTP/1.1 503 No\r\nRetry-After: %s\r\n\r\n", date);
    hp_fetch_parser_t p = parse(text, false, NULL);
    assert_in_range(p.head.retry_after_s, 58, 60);
    hp_fetch_parser_dispose(&p);
    p = parse("HTTP/1.1 503 No\r\nRetry-After: 99999999\r\n\r\n", false, NULL);
    assert_int_equal(p.head.retry_after_s, 3600);
    hp_fetch_parser_dispose(&p);
    p = parse("HTTP/1.1 503 No\r\nRetry-After: Sat, 21 Nov 2020 03:56:15 GMT\r\n\r\n", false, NULL);
    assert_int_equal(p.head.retry_after_s, 0);
    hp_fetch_parser_dispose(&p);
    p = parse("HTTP/1.1 503 No\r\nRetry-After: soon\r\n\r\n", false, NULL);
    assert_int_equal(p.head.retry_after_s, -1);
    hp_fetch_parser_dispose(&p);
}

static void header_sections_have_a_common_limit(void **state)
{
    (void)state;
    static const char hint[] = "HTTP/1.1 103 Early Hints\r\n\r\n";
    hp_fetch_parser_t parser;
    hp_err_t err = {0};
    hp_fetch_parser_init(&parser, false, NULL);
    int rc = 0;
    size_t fed = 0;
    for (; rc == 0 && fed < HP_FETCH_HEAD_MAX * 2; fed += sizeof hint - 1)
        rc = feed(&parser, hint, sizeof hint - 1, &err);
    assert_int_equal(rc, HP_E_PROTOCOL);
    assert_in_range(fed, HP_FETCH_HEAD_MAX - sizeof hint, HP_FETCH_HEAD_MAX + sizeof hint);
    hp_fetch_parser_dispose(&parser);

    hp_fetch_parser_init(&parser, false, NULL);
    rc = feed(&parser, OK, sizeof OK - 1, &err);
    for (fed = 0; rc == 0 && fed < HP_FETCH_HEAD_MAX * 2; fed += 6)
        rc = feed(&parser, "A: b\r\n", 6, &err);
    assert_int_equal(rc, HP_E_PROTOCOL);
    hp_fetch_parser_dispose(&parser);

    /* a trailer counts as well, and changes nothing else */
    hp_fetch_parser_init(&parser, false, NULL);
    assert_int_equal(feed(&parser, OK "Transfer-Encoding: chunked\r\n\r\n", strlen(OK) + 30, &err),
                     HP_FETCH_PARSER_HEAD);
    assert_int_equal(feed(&parser, "Content-Length: 7\r\nETag: \"x\"\r\n", 31, &err), 0);
    assert_int_equal(parser.head.content_length, HP_RANGE_UNKNOWN);
    assert_string_equal(parser.head.etag, "");
    for (rc = 0, fed = 0; rc == 0 && fed < HP_FETCH_HEAD_MAX * 2; fed += 6)
        rc = feed(&parser, "A: b\r\n", 6, &err);
    assert_int_equal(rc, HP_E_PROTOCOL);
    hp_fetch_parser_dispose(&parser);
}

static void fields_of_an_interim_reply_are_forgotten(void **state)
{
    (void)state;
    hp_fetch_parser_t p = parse("HTTP/1.1 103 Early\r\nETag: \"old\"\r\nContent-Length: 7\r\n\r\n" OK
                                "Content-Length: 5\r\n\r\n",
                                false, NULL);
    assert_int_equal(p.head.content_length, 5);
    assert_string_equal(p.head.etag, "");
    hp_fetch_parser_reset(&p);
    hp_err_t err = {0};
    assert_int_equal(feed(&p, OK "\r\n", strlen(OK) + 2, &err), HP_FETCH_PARSER_HEAD);
    assert_int_equal(p.head.content_length, HP_RANGE_UNKNOWN);
    hp_fetch_parser_dispose(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_lie_is_refused),
        cmocka_unit_test(fields_arrive_as_they_were_sent),
        cmocka_unit_test(missing_fields_are_empty),
        cmocka_unit_test(a_part_gives_its_range_and_total),
        cmocka_unit_test(two_entity_tags_are_no_validator),
        cmocka_unit_test(replies_without_a_body_promise_none),
        cmocka_unit_test(retry_after_takes_a_date_and_has_a_limit),
        cmocka_unit_test(header_sections_have_a_common_limit),
        cmocka_unit_test(fields_of_an_interim_reply_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
