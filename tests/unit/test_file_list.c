// libs: discovery fetch store db path os base
/* Lines of a file list: what is taken, and what is passed over. */
#include "base/err.h"
#include "base/mem.h"
#include "base/path.h"
#include "discovery/file_list.h"
#include "test_db_help.h"

static char path[HP_PATH_MAX + 1];
static hp_remote_entry_t entry;

static int json_line(const char *line)
{
    hp_err_t err = {0};
    int rc = hp_file_list_parse_json(line, strlen(line), path, &entry, &err);
    assert_true((rc == 0) == (err.detail[0] == '\0'));
    return rc;
}

static int text_line(const char *line)
{
    hp_err_t err = {0};
    return hp_file_list_parse_text(line, strlen(line), path, &entry, &err);
}

static void a_line_of_json_gives_all_it_says(void **state)
{
    (void)state;
    assert_int_equal(
        json_line("{\"path\":\"a/b "
                  "c.txt\",\"size\":12,\"mtime\":\"1970-01-01T00:00:01.500Z\",\"type\":\"text/plain\","
                  "\"root\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}"),
        0);
    assert_string_equal(entry.path, "a/b c.txt");
    assert_int_equal(entry.size, 12);
    assert_int_equal(entry.mtime, 1500);
    assert_true(entry.rooted);
    assert_int_equal(entry.root[0], 0x01);
    assert_int_equal(entry.root[31], 0xef);
    assert_int_equal(
        json_line("{\"path\":\"\\u7535\\u5f71\",\"size\":0,\"mtime\":null,\"root\":null,\"later\":[1]}"), 0);
    assert_string_equal(entry.path, "电影");
    assert_int_equal(entry.size, 0);
    assert_true(entry.mtime == HP_REMOTE_NO_TIME);
    assert_false(entry.rooted);
    assert_int_equal(json_line("{\"path\":\"x\",\"size\":null,\"mtime\":\"yesterday\"}"), 0);
    assert_int_equal(entry.size, HP_REMOTE_NO_SIZE);
    assert_true(entry.mtime == HP_REMOTE_NO_TIME);
}

static void a_line_may_tell_a_program_or_an_empty_folder(void **state)
{
    (void)state;
    assert_int_equal(json_line("{\"path\":\"run\",\"size\":1,\"executable\":true}"), 0);
    assert_true(entry.executable);
    assert_false(entry.is_folder);
    assert_int_equal(json_line("{\"path\":\"run\",\"size\":1,\"executable\":1}"), 0);
    assert_false(entry.executable);
    assert_int_equal(json_line("{\"folder\":\"a/b\"}"), 0);
    assert_true(entry.is_folder);
    assert_string_equal(entry.path, "a/b");
    assert_int_equal(json_line("{\"path\":\"a\",\"folder\":\"b\"}"), 0);
    assert_false(entry.is_folder);
    assert_string_equal(entry.path, "a");
    static const char *const bad[] = {"{\"folder\":\"../a\"}", "{\"folder\":\"\"}", "{\"folder\":1}",
                                      "{\"folder\":\"a/\"}", "{\"path\":1,\"folder\":\"b\"}"};
    for (size_t i = 0; i < HP_COUNT(bad); i++)
        if (json_line(bad[i]) != HP_E_INVALID)
            fail_msg("taken: %s", bad[i]);
}

static void a_hostile_line_of_json_is_passed_over(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "null",
        "[]",
        "\"a\"",
        "{}",
        "{\"path\":1}",
        "{\"path\":\"\"}",
        "{\"path\":\"/etc/passwd\"}",
        "{\"path\":\"../x\"}",
        "{\"path\":\"a/../../x\"}",
        "{\"path\":\"a//b\"}",
        "{\"path\":\"a/./b\"}",
        "{\"path\":\"a/\"}",
        "{\"path\":\"a\\nb\"}",
        "{\"path\":\"a\\u0000b\"}",
        "{\"path\":\"\xff\"}",
        "{\"path\":\".film.mkv.7.hostpair-part\"}",
        "{\"path\":\"a\",\"size\":-1}",
        "{\"path\":\"a\",\"size\":1.5}",
        "{\"path\":\"a\",\"size\":\"1\"}",
        "{\"path\":\"a\",\"size\":9223372036854775807}",
        "{\"path\":\"a\",\"size\":99999999999999999999}",
        "{\"path\":\"a\",\"root\":\"abc\"}",
        "{\"path\":\"a\",\"root\":\"zzzz456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}",
        "{\"path\":\"a\"} trailing",
        "{\"path\":\"a\"}{\"path\":\"b\"}",
    };
    (void)state;
    for (size_t i = 0; i < HP_COUNT(lines); i++)
        if (json_line(lines[i]) != HP_E_INVALID)
            fail_msg("taken: %s", lines[i]);
    char *longest = hp_alloc(6000);
    snprintf(longest, 6000, "{\"path\":\"%0*d\"}", 5000, 0);
    assert_int_equal(json_line(longest), HP_E_INVALID);
    snprintf(longest, 6000, "{\"path\":\"%0*d\"}", 256, 0);
    assert_int_equal(json_line(longest), HP_E_INVALID);
    snprintf(longest, 6000, "{\"path\":\"%0*d\"}", 255, 0);
    assert_int_equal(json_line(longest), 0);
    free(longest);
}

static void a_line_of_text_is_a_name_of_unknown_size(void **state)
{
    static const char *const bad[] = {
        "", ".", "..", "a/b", "/a", "a\tb", "a\rb", "\xc3", ".x.1.hostpair-part"};
    (void)state;
    assert_int_equal(text_line("Ein Name mit \" und % .txt"), 0);
    assert_string_equal(entry.path, "Ein Name mit \" und % .txt");
    assert_int_equal(entry.size, HP_REMOTE_NO_SIZE);
    assert_true(entry.mtime == HP_REMOTE_NO_TIME);
    assert_false(entry.rooted);
    for (size_t i = 0; i < HP_COUNT(bad); i++)
        if (text_line(bad[i]) != HP_E_INVALID)
            fail_msg("taken: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_json_gives_all_it_says),
        cmocka_unit_test(a_line_may_tell_a_program_or_an_empty_folder),
        cmocka_unit_test(a_hostile_line_of_json_is_passed_over),
        cmocka_unit_test(a_line_of_text_is_a_name_of_unknown_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
