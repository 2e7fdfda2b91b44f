// libs: base
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"

static void plain_paths_pass(void **state)
{
    (void)state;
    const char *const good[] = {"a",    "a/b/c", ".hidden", "..a", "a..", "...", "a b", "\u4f60\u597d.txt",
                                "a\\b", "-rf",   "~"};
    for (size_t i = 0; i < HP_COUNT(good); i++)
        assert_int_equal(hp_path_check(good[i], strlen(good[i]), NULL), 0);
}

static void hostile_paths_are_refused_with_a_reason(void **state)
{
    (void)state;
    const char *const bad[] = {"",     "/",      "/etc/passwd", "..",        ".",       "../a",
                               "a/..", "a/../b", "a/./b",       "./a",       "a//b",    "a/",
                               "a\nb", "a\x7f",  "\xff",        "a\xc0\xaf", "\xc2\x85"};
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        hp_err_t err = {0};
        print_message("%s\n", bad[i]);
        assert_int_equal(hp_path_check(bad[i], strlen(bad[i]), &err), HP_E_BAD_NAME);
        assert_true(err.detail[0] != '\0');
    }
    assert_int_equal(hp_path_check("a\0b", 3, NULL), HP_E_BAD_NAME);
}

static void the_limits_are_255_bytes_a_name_and_4095_a_path(void **state)
{
    (void)state;
    char path[5000];
    memset(path, 'a', sizeof path);
    assert_int_equal(hp_path_check(path, 255, NULL), 0);
    assert_int_equal(hp_path_check(path, 256, NULL), HP_E_BAD_NAME);
    for (size_t i = 200; i < sizeof path; i += 201)
        path[i] = '/';
    assert_int_equal(hp_path_check(path, 4095, NULL), 0);
    assert_int_equal(hp_path_check(path, 4096, NULL), HP_E_BAD_NAME);
}

static void only_our_own_part_files_count_as_such(void **state)
{
    (void)state;
    const char *const parts[] = {".a.1.hostpair-part", "x/.movie.mkv.1234567.hostpair-part",
                                 "...9.hostpair-part"};
    const char *const others[] = {"a.1.hostpair-part",    ".hostpair-part",      ".1.hostpair-part",
                                  "..1.hostpair-part",    ".a.x.hostpair-part",  ".a.hostpair-part",
                                  ".a.1.hostpair-part/b", ".a.1.hostpair-parts", ".a1.hostpair-part"};
    for (size_t i = 0; i < HP_COUNT(parts); i++)
        assert_true(hp_path_is_part(parts[i]));
    for (size_t i = 0; i < HP_COUNT(others); i++)
        assert_false(hp_path_is_part(others[i]));
}

static void a_part_name_is_recognised_and_fits_a_name(void **state)
{
    (void)state;
    char long_name[256] = "", out[HP_NAME_MAX + 1];
    for (int i = 0; i < 85; i++)
        strcat(long_name, "\u4f60");
    const char *const names[] = {"movie.mkv", "a", ".", long_name};
    for (size_t i = 0; i < HP_COUNT(names); i++) {
        hp_path_part_name(names[i], INT64_MAX, out);
        assert_true(hp_path_is_part(out));
        assert_int_equal(hp_path_check(out, strlen(out), NULL), 0);
    }
    hp_path_part_name("movie.mkv", 42, out);
    assert_string_equal(out, ".movie.mkv.42.hostpair-part");
}

static void candidates_count_before_the_extension(void **state)
{
    (void)state;
    const struct {
        const char *name;
        unsigned n;
        const char *out;
    } cases[] = {
        {"a.txt", 0, "a.txt"},
        {"a.txt", 1, "a (1).txt"},
        {"a.tar.gz", 2, "a (2).tar.gz"},
        {"a.TAR.xz", 2, "a (2).TAR.xz"},
        {".bashrc", 1, ".bashrc (1)"},
        {"noext", 12, "noext (12)"},
        {"Mr. Smith goes", 1, "Mr. Smith goes (1)"},
        {"a.", 1, "a. (1)"},
        {".tar.gz", 1, ".tar (1).gz"},
        {"v1.2.3", 1, "v1.2 (1).3"},
    };
    for (size_t i = 0; i < HP_COUNT(cases); i++) {
        char out[HP_NAME_MAX + 1];
        hp_path_candidate(cases[i].name, cases[i].n, out);
        assert_string_equal(out, cases[i].out);
    }
}

static void a_candidate_of_the_longest_name_fits_and_keeps_its_extension(void **state)
{
    (void)state;
    char name[256] = "", out[HP_NAME_MAX + 1];
    for (int i = 0; i < 83; i++)
        strcat(name, "\u4f60");
    strcat(name, ".mp4");
    hp_path_candidate(name, 4294967295u, out);
    assert_in_range(strlen(out), 240, HP_NAME_MAX);
    assert_true(hp_utf8_valid(out, strlen(out)));
    assert_string_equal(out + strlen(out) - 17, " (4294967295).mp4");
}

static void a_portable_name_is_one_that_windows_takes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *portable; /* NULL: the same */
    } cases[] = {
        {"a:b.txt", "a_b.txt"},
        {"<>:\"\\|?*", "________"},
        {"ends. .", "ends___"},
        {"...", "___"},
        {"CON", "CON_"},
        {"aux.tar.gz", "aux_.tar.gz"},
        {"Com1.txt", "Com1_.txt"},
        {"lpt9 ", "lpt9_"},
        {"COM0", NULL},
        {"COM10", NULL},
        {"console", NULL},
        {".hidden", NULL},
        {"plain name.txt", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[HP_NAME_MAX + 1];
        bool other = hp_path_portable(cases[i].name, out);
        assert_string_equal(out, cases[i].portable != NULL ? cases[i].portable : cases[i].name);
        assert_int_equal(other, cases[i].portable != NULL);
    }
    char longest[HP_NAME_MAX + 1], out[HP_NAME_MAX + 1], again[HP_NAME_MAX + 1];
    memset(longest, 'x', HP_NAME_MAX);
    memcpy(longest, "nul.", 4);
    longest[HP_NAME_MAX] = '\0';
    assert_true(hp_path_portable(longest, out));
    assert_int_equal(strlen(out), HP_NAME_MAX);
    assert_false(hp_path_portable(out, again));
}

static void encoding_leaves_only_unreserved_characters(void **state)
{
    (void)state;
    const char *text = "a b/c%?#\u00e9~-._";
    char *flat = hp_path_encode(text, strlen(text), false), *path = hp_path_encode(text, strlen(text), true);
    assert_string_equal(flat, "a%20b%2Fc%25%3F%23%C3%A9~-._");
    assert_string_equal(path, "a%20b/c%25%3F%23%C3%A9~-._");
    free(flat);
    free(path);
}

static int decode(const char *text, size_t length, char *out, size_t size)
{
    char *copy = malloc(length > 0 ? length : 1);
    size_t n = 0;
    memcpy(copy, text, length);
    int rc = hp_path_decode(copy, length, out, size, &n);
    free(copy);
    if (rc == 0)
        assert_int_equal(n, strlen(out));
    return rc;
}

static void every_byte_survives_encoding_and_decoding(void **state)
{
    (void)state;
    char all[256], back[256];
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    char *text = hp_path_encode(all, 255, false);
    assert_int_equal(decode(text, strlen(text), back, sizeof back), 0);
    assert_memory_equal(back, all, 255);
    free(text);
}

static void bad_escapes_and_nuls_are_refused(void **state)
{
    (void)state;
    char out[64];
    const char *const bad[] = {"%", "%4", "%4x", "%x4", "a%00b", "abc%", "abc%f"};
    for (size_t i = 0; i < HP_COUNT(bad); i++)
        assert_int_equal(decode(bad[i], strlen(bad[i]), out, sizeof out), HP_E_INVALID);
    assert_int_equal(decode("a\0b", 3, out, sizeof out), HP_E_INVALID);
}

static void decoding_never_passes_its_room(void **state)
{
    (void)state;
    char *out = malloc(4);
    assert_int_equal(decode("abc", 3, out, 4), 0);
    assert_int_equal(decode("a%62c", 5, out, 4), 0);
    assert_int_equal(decode("abcd", 4, out, 4), HP_E_TOO_LARGE);
    free(out);
}

static void hex_goes_there_and_back(void **state)
{
    (void)state;
    const uint8_t data[] = {0x00, 0x7f, 0xab, 0xff};
    char text[9];
    uint8_t back[4];
    hp_hex_encode(data, 4, text);
    assert_string_equal(text, "007fabff");
    assert_int_equal(hp_hex_decode(text, back, 4), 0);
    assert_memory_equal(back, data, 4);
    const char *const bad[] = {"", "007fabf", "007fabff0", "007fabfg", "007f bff"};
    for (size_t i = 0; i < HP_COUNT(bad); i++)
        assert_int_equal(hp_hex_decode(bad[i], back, 4), HP_E_INVALID);
}

static void media_types_go_by_the_extension_whatever_its_case(void **state)
{
    (void)state;
    const struct {
        const char *name, *type;
    } cases[] = {{"a.jpg", "image/jpeg"},
                 {"x/a.JPG", "image/jpeg"},
                 {"a.7z", "application/x-7z-compressed"},
                 {"a.zst", "application/zstd"},
                 {"a.txt", "text/plain"},
                 {"a.tar.gz", "application/gzip"},
                 {"a", "application/octet-stream"},
                 {".txt", "application/octet-stream"},
                 {"a.unknown", "application/octet-stream"},
                 {"a.txt/b", "application/octet-stream"},
                 {"a.", "application/octet-stream"},
                 {"m.mkv", "video/x-matroska"},
                 {"m.mp4", "video/mp4"},
                 {"m.webp", "image/webp"},
                 {"m.woff2", "font/woff2"},
                 {"m.woff", "font/woff"},
                 {"m.html", "text/html"},
                 {"m.htm", "text/html"}};
    for (size_t i = 0; i < HP_COUNT(cases); i++)
        assert_string_equal(hp_path_media_type(cases[i].name), cases[i].type);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_paths_pass),
        cmocka_unit_test(hostile_paths_are_refused_with_a_reason),
        cmocka_unit_test(the_limits_are_255_bytes_a_name_and_4095_a_path),
        cmocka_unit_test(only_our_own_part_files_count_as_such),
        cmocka_unit_test(a_part_name_is_recognised_and_fits_a_name),
        cmocka_unit_test(candidates_count_before_the_extension),
        cmocka_unit_test(a_candidate_of_the_longest_name_fits_and_keeps_its_extension),
        cmocka_unit_test(a_portable_name_is_one_that_windows_takes),
        cmocka_unit_test(encoding_leaves_only_unreserved_characters),
        cmocka_unit_test(every_byte_survives_encoding_and_decoding),
        cmocka_unit_test(bad_escapes_and_nuls_are_refused),
        cmocka_unit_test(decoding_never_passes_its_room),
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(media_types_go_by_the_extension_whatever_its_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
