// libs: http path os base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/head.h"

/* A copy in memory of exactly its length, so that AddressSanitizer sees a read past the end. */
static int init(hp_head_t *head, const char *text)
{
    size_t length = strlen(text);
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    int rc = hp_head_init(head, copy, length);
    free(copy);
    return rc;
}

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    hp_head_t head;
    assert_int_equal(
        init(&head, "GET /a%2Fb/../c?x=1&y HTTP/1.1\r\nHost: h\r\nRange:  bytes=0-1 \r\n\r\nGET /next"), 0);
    assert_string_equal(head.method, "GET");
    assert_string_equal(head.path, "/a%2Fb/../c");
    assert_string_equal(head.query, "x=1&y");
    assert_null(head.authority);
    assert_int_equal(head.minor, 1);
    assert_false(head.has_body);
    char *range = hp_head_field(&head, "range");
    assert_string_equal(range, "bytes=0-1");
    free(range);
    assert_null(hp_head_field(&head, "Rang"));
    assert_null(hp_head_field(&head, "GET /next"));
    hp_head_dispose(&head);
}

static void line_ends_and_a_leading_empty_line_may_be_bare(void **state)
{
    (void)state;
    hp_head_t head;
    assert_int_equal(init(&head, "\r\nGET / HTTP/1.0\nA: 1\nB:2\n\nrest: of it\n"), 0);
    assert_int_equal(head.minor, 0);
    assert_string_equal(head.path, "/");
    assert_null(head.query);
    char *b = hp_head_field(&head, "b");
    assert_string_equal(b, "2");
    free(b);
    assert_null(hp_head_field(&head, "rest"));
    hp_head_dispose(&head);
}

static void fields_of_one_name_are_joined(void **state)
{
    (void)state;
    hp_head_t head;
    assert_int_equal(init(&head,
                          "GET / HTTP/1.1\r\nhost: h\r\nIf-None-Match: \"a\"\r\nX: y\r\nif-none-match:\r\n"
                          "IF-NONE-MATCH:\t\"b\" \r\n\r\n"),
                     0);
    char *tags = hp_head_field(&head, "If-None-Match");
    assert_string_equal(tags, "\"a\", , \"b\"");
    free(tags);
    hp_head_dispose(&head);
}

static void an_absolute_target_is_reduced_to_its_path(void **state)
{
    (void)state;
    const struct {
        const char *target, *path, *query, *authority;
    } cases[] = {
        {"http://h:9000/a/b?c", "/a/b", "c", "h:9000"},
        {"HTTP://h/", "/", NULL, "h"},
        {"http://h", "/", NULL, "h"},
        {"http://h?x=/y", "/", "x=/y", "h"},
        {"https://[::1]:9/%2e%2e/x", "/%2e%2e/x", NULL, "[::1]:9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: other\r\n\r\n", cases[i].target);
        hp_head_t head;
        assert_int_equal(init(&head, text), 0);
        assert_string_equal(head.path, cases[i].path);
        assert_string_equal(head.authority, cases[i].authority);
        if (cases[i].query != NULL)
            assert_string_equal(head.query, cases[i].query);
        else
            assert_null(head.query);
        hp_head_dispose(&head);
    }
}

/* h2o's parser takes the chunk size "0x5" for 0 and an extension. */
static void a_body_in_chunks_is_not_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\ntransfer-encoding:\tChunked\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        hp_head_t head;
        assert_int_equal(init(&head, texts[i]), 411);
        assert_string_equal(head.path, "/");
        hp_head_dispose(&head);
    }
}

static void what_can_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tfolded: as a field\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET relative HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://u@h/x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET ftp://h/x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a b\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        hp_head_t head;
        int status = init(&head, texts[i]);
        if (status != 400)
            print_error("%d for %s\n", status, texts[i]);
        assert_int_equal(status, 400);
        assert_non_null(head.path);
        hp_head_dispose(&head);
    }
}

static void a_head_or_a_target_that_is_too_long_is_refused(void **state)
{
    (void)state;
    hp_head_t head;
    char *text = malloc(2 * HP_HEAD_MAX);
    assert_non_null(text);
    const size_t targets[] = {HP_TARGET_MAX, HP_TARGET_MAX + 1};
    for (int i = 0; i < 2; i++) {
        size_t n = (size_t)sprintf(text, "GET ");
        memset(text + n, '/', targets[i]);
        strcpy(text + n + targets[i], " HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_int_equal(init(&head, text), i == 0 ? 0 : 414);
        hp_head_dispose(&head);
    }
    size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    memset(text + n, 'x', HP_HEAD_MAX);
    strcpy(text + n + HP_HEAD_MAX, "\r\n\r\n");
    assert_int_equal(init(&head, text), 431);
    assert_string_equal(head.path, "/");
    assert_null(hp_head_field(&head, "Host"));
    hp_head_dispose(&head);
    free(text);
}

static void query_parameters_are_decoded(void **state)
{
    (void)state;
    hp_head_t head;
    assert_int_equal(
        init(&head, "GET /?a=1&b+c=x%20+y&empty=&flag&bad=%zz&a=2&%61%62=z HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    const struct {
        const char *name, *value;
    } cases[] = {{"a", "1"},  {"b c", "x  y"}, {"empty", ""}, {"flag", ""},
                 {"ab", "z"}, {"bad", NULL},   {"no", NULL},  {"", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *value = hp_head_query(&head, cases[i].name);
        if (cases[i].value != NULL)
            assert_string_equal(value, cases[i].value);
        else
            assert_null(value);
        free(value);
    }
    hp_head_dispose(&head);
}

static void accept_names_a_type_literally_or_not(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "application/json",
        "text/html, application/json",
        "APPLICATION/JSON;q=0.1",
        "application/json;charset=utf-8",
        "application/json ; q=0.001",
        "text/x;p=\"a,b;q=0\",application/json",
        "application/json;q=0, application/json;q=1",
        ",,application/json,",
    };
    static const char *const no[] = {
        "",
        "*/*",
        "application/*",
        "application/json;q=0",
        "application/json; Q=0.000",
        "application/jsonp",
        "application/problem+json",
        "text/x;p=\", application/json\"",
        "text/x;p=\"\\\", application/json\"",
    };
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(hp_accept_names(yes[i], "application/json"));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        if (hp_accept_names(no[i], "application/json"))
            print_error("accepted: %s\n", no[i]);
        assert_false(hp_accept_names(no[i], "application/json"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(line_ends_and_a_leading_empty_line_may_be_bare),
        cmocka_unit_test(fields_of_one_name_are_joined),
        cmocka_unit_test(an_absolute_target_is_reduced_to_its_path),
        cmocka_unit_test(a_body_in_chunks_is_not_taken),
        cmocka_unit_test(what_can_be_read_in_two_ways_is_refused),
        cmocka_unit_test(a_head_or_a_target_that_is_too_long_is_refused),
        cmocka_unit_test(query_parameters_are_decoded),
        cmocka_unit_test(accept_names_a_type_literally_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
