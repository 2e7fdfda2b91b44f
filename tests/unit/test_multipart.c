// libs: peer base
/* Forms with files, in whatever pieces they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "peer/multipart.h"

#define TYPE "multipart/form-data; boundary=----abc"

static char log_text[4096];

static void note(const char *text)
{
    strncat(log_text, text, sizeof log_text - strlen(log_text) - 1);
}

/* Reads a form in pieces of a size, and writes down what comes. */
static const char *read_form(const char *form, size_t length, size_t piece)
{
    hp_multipart_t parser;
    log_text[0] = '\0';
    assert_int_equal(hp_multipart_init(&parser, TYPE, NULL), 0);
    for (size_t at = 0; at < length;) {
        size_t n = length - at < piece ? length - at : piece;
        hp_multipart_feed(&parser, form + at, n);
        at += n;
        for (hp_multipart_event_t event; (event = hp_multipart_next(&parser)) != HP_MULTIPART_MORE;) {
            char text[300];
            if (event == HP_MULTIPART_PART) {
                snprintf(text, sizeof text, "[%s|%s|%s]", parser.name,
                         parser.file_name != NULL ? parser.file_name : "-",
                         parser.type != NULL ? parser.type : "-");
                note(text);
            } else if (event == HP_MULTIPART_DATA) {
                snprintf(text, sizeof text, "%.*s", (int)parser.length, parser.data);
                note(text);
            } else if (event == HP_MULTIPART_END) {
                note(";");
            } else {
                note(event == HP_MULTIPART_OVER ? "over" : "bad");
                at = length;
                break;
            }
        }
    }
    hp_multipart_dispose(&parser);
    return log_text;
}

static void check(const char *form, const char *expected)
{
    for (size_t piece = 1; piece <= strlen(form); piece++)
        assert_string_equal(read_form(form, strlen(form), piece), expected);
}

static void a_form_reads_the_same_in_pieces_of_any_size(void **state)
{
    (void)state;
    check("------abc\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nAnna\r\n"
          "------abc\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a b.txt\"\r\n"
          "Content-Type: text/plain\r\n\r\none\r\n--two\r\n\r\n------abx\r\n------abc\r\n"
          "content-disposition: form-data; name=\"files\"; filename=\"\"\r\n\r\n\r\n------abc--\r\nmore",
          "[name|-|-]Anna;[files|a b.txt|text/plain]one\r\n--two\r\n\r\n------abx;[files||-];over");
}

static void names_are_read_as_browsers_write_them(void **state)
{
    (void)state;
    check(
        "------abc\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a%22b.txt\"\r\n\r\nx\r\n"
        "------abc \t\r\nContent-Disposition: form-data; name=f; filename=\"q\\\"r\"\r\n\r\ny\r\n------abc--",
        "[f|a\"b.txt|-]x;[f|q\"r|-]y;over");
}

static void what_stands_before_the_first_boundary_is_no_part(void **state)
{
    (void)state;
    check("hello\r\n------abc\r\n\r\nx\r\n------abc--", "[|-|-]x;over");
    check("------abc--\r\n", "over");
}

static void what_is_no_form_is_told(void **state)
{
    hp_multipart_t parser;
    (void)state;
    check("------abcd\r\n\r\nx", "bad");
    assert_int_equal(hp_multipart_init(&parser, "multipart/form-data", NULL), HP_E_BAD_REQUEST);
    hp_multipart_dispose(&parser);
    assert_int_equal(hp_multipart_init(&parser, NULL, NULL), HP_E_BAD_REQUEST);
    hp_multipart_dispose(&parser);
    size_t length = HP_MULTIPART_HEADER_MAX + 100;
    char *form = malloc(length + 1);
    memset(form, 'h', length);
    memcpy(form, "------abc\r\n", 11);
    form[length] = '\0';
    assert_string_equal(read_form(form, length, 1000), "bad");
    free(form);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_reads_the_same_in_pieces_of_any_size),
        cmocka_unit_test(names_are_read_as_browsers_write_them),
        cmocka_unit_test(what_stands_before_the_first_boundary_is_no_part),
        cmocka_unit_test(what_is_no_form_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
