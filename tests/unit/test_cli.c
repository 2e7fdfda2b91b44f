// libs: cli settings http discovery transfer share fetch store db pool path os base
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/bar.h"
#include "cli/running.h"
#include "cli/internal.h"
#include "cli/man.h"
#include "settings/table.h"

static char out[HP_TEXT_SIZE];

/* ---- text ---- */

static void sizes_are_as_the_dashboard_shows_them(void **state)
{
    (void)state;
    assert_string_equal(hp_text_bytes(0, out), "0 B");
    assert_string_equal(hp_text_bytes(999, out), "999 B");
    assert_string_equal(hp_text_bytes(1000, out), "1.0 kB");
    assert_string_equal(hp_text_bytes(1530000, out), "1.5 MB");
    assert_string_equal(hp_text_bytes(99940000, out), "99.9 MB");
    assert_string_equal(hp_text_bytes(99960000, out), "100 MB");
    assert_string_equal(hp_text_bytes(999600000, out), "1.0 GB");
    assert_string_equal(hp_text_bytes(INT64_MAX, out), "9223 PB");
    assert_string_equal(hp_text_bytes(-1, out), "–");
    assert_string_equal(hp_text_speed(2500000, out), "2.5 MB/s");
}

static void a_percentage_is_100_only_when_all_is_there(void **state)
{
    (void)state;
    assert_string_equal(hp_text_percent(0, 10, out), "0 %");
    assert_string_equal(hp_text_percent(9999999, 10000000, out), "99 %");
    assert_string_equal(hp_text_percent(INT64_MAX - 1, INT64_MAX, out), "99 %");
    assert_string_equal(hp_text_percent(10, 10, out), "100 %");
    assert_string_equal(hp_text_percent(0, 0, out), "100 %");
}

static void times_are_the_two_units_that_matter(void **state)
{
    (void)state;
    assert_string_equal(hp_text_duration(-5, out), "0 s");
    assert_string_equal(hp_text_duration(59, out), "59 s");
    assert_string_equal(hp_text_duration(61, out), "1 min 1 s");
    assert_string_equal(hp_text_duration(3500, out), "58 min");
    assert_string_equal(hp_text_duration(3900, out), "1 h 5 min");
    assert_string_equal(hp_text_duration(3 * 86400, out), "3 days");
    assert_string_equal(hp_text_ago("2026-11-21T04:00:00.000Z", 1795233600000 + 20000, out), "now");
    assert_string_equal(hp_text_ago("2026-11-21T04:00:00.000Z", 1795233600000 + 300000, out), "5 min ago");
    assert_string_equal(hp_text_ago("2026-11-21T04:00:00.000Z", 1795233600000 + 86400000, out), "1 day ago");
    assert_string_equal(hp_text_ago("2026-11-21T04:00:00.000Z", 1795233600000 + 2 * 86400000, out),
                        "2 days ago");
    assert_string_equal(hp_text_ago("", 0, out), "–");
    setenv("TZ", "UTC", 1);
    assert_string_equal(hp_text_time("2026-11-21T04:56:15.123Z", out), "2026-11-21 04:56");
    assert_string_equal(hp_text_time("nonsense", out), "–");
}

static void widths_are_columns_and_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(hp_text_width("abc"), 3);
    assert_int_equal(hp_text_width("你好"), 4);
    assert_int_equal(hp_text_width("e\xcc\x81"), 1); /* e with a combining accent */
    assert_int_equal(hp_text_width(""), 0);
}

static void assert_fit(const char *text, int columns, const char *expected)
{
    char *fit = hp_text_fit(text, columns);
    assert_string_equal(fit, expected);
    assert_true(hp_text_width(fit) <= HP_MAX(columns, 0));
    free(fit);
}

static void a_text_is_cut_between_characters(void **state)
{
    (void)state;
    assert_fit("abcdef", 6, "abcdef");
    assert_fit("abcdef", 4, "abc…");
    assert_fit("你好世界", 8, "你好世界");
    assert_fit("你好世界", 7, "你好世…");
    assert_fit("你好世界", 6, "你好…"); /* half a character does not fit */
    assert_fit("abc", 1, "…");
    assert_fit("abc", 0, "");
    assert_fit("abc", -3, "");
}

static void nothing_that_a_terminal_obeys_is_left(void **state)
{
    (void)state;
    char *clean = hp_text_clean("a\033[2Jb\nc\x7f\xc2\x9b\xe2\x80\xae.\xff");
    assert_string_equal(clean, "a\\x1b[2Jb\\x0ac\\x7f\\xc2\\x9b\\xe2\\x80\\xae.\\xff");
    free(clean);
    char *safe = hp_text_json("\"a\x7f\xc2\x9b\xe2\x80\xae 你\"");
    assert_string_equal(safe, "\"a\\u007f\\u009b\\u202e 你\"");
    free(safe);
    json_t *evil = json_string("\033]0;x\a\xc2\x85\x7f\xe2\x81\xa6");
    char *dump = json_dumps(evil, JSON_ENCODE_ANY);
    safe = hp_text_json(dump);
    for (const char *p = safe; *p != '\0'; p++)
        assert_true((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
    json_t *back = json_loads(safe, JSON_DECODE_ANY, NULL);
    assert_true(json_equal(back, evil));
    json_decref(back);
    json_decref(evil);
    free(dump);
    free(safe);
}

static void rates_are_read_with_their_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t rate;
    } good[] = {{"500", 500},        {"500k", 500000}, {"1.5M", 1500000},  {"2 MB/s", 2000000},
                {"2MiB/s", 2097152}, {"1K", 1000},     {"3G", 3000000000}, {"8B", 8}};
    static const char *const bad[] = {"",    "0",   "x",   "-5",   "5x",  "1e999", "k",
                                      "1 2", "nan", "inf", "0x10", "5kk", "1/s/s"};
    uint64_t rate;
    for (size_t i = 0; i < HP_COUNT(good); i++) {
        rate = 0;
        assert_int_equal(hp_text_parse_rate(good[i].text, &rate), 0);
        assert_int_equal(rate, good[i].rate);
    }
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        print_message("\"%s\"\n", bad[i]);
        assert_int_not_equal(hp_text_parse_rate(bad[i], &rate), 0);
    }
}

static void words_are_quoted_for_a_shell(void **state)
{
    (void)state;
    static const char *const words[][2] = {
        {"plain.txt", "plain.txt"},   {"你好", "你好"}, {"a b", "'a b'"}, {"", "''"}, {"it's", "'it'\\''s'"},
        {"$(rm -rf)", "'$(rm -rf)'"}, {"~", "'~'"},     {"a;b", "'a;b'"}};
    for (size_t i = 0; i < HP_COUNT(words); i++) {
        char *quoted = hp_text_quote(words[i][0]);
        assert_string_equal(quoted, words[i][1]);
        free(quoted);
    }
}

/* ---- tables ---- */

static const hp_column_t columns[] = {
    {.title = "NAME", .min = 6},
    {.title = "STATE"},
    {.title = "SIZE", .right = true, .drop = 1},
    {.title = "NOTE", .drop = 2},
};

/* The table of two rows as it is printed. */
static char *print_table(int width)
{
    static char text[4096];
    hp_term_t term = {.columns = width};
    hp_table_t *table = hp_table_create(columns, HP_COUNT(columns), &term);
    hp_table_text(table, "你好世界.txt");
    hp_table_text(table, "done");
    hp_table_bytes(table, 1530000);
    hp_table_either(table, "today", "2026-11-21");
    hp_table_text(table, "a\tb\033c");
    hp_table_text(table, "queued");
    hp_table_bytes(table, -1);
    hp_table_text(table, NULL);
    FILE *file = fmemopen(text, sizeof text, "w");
    hp_table_print(table, file);
    fclose(file);
    hp_table_destroy(table);
    return text;
}

static void a_table_is_aligned(void **state)
{
    (void)state;
    assert_string_equal(print_table(80), "NAME          STATE     SIZE  NOTE\n"
                                         "你好世界.txt  done    1.5 MB  today\n"
                                         "a\\x09b\\x1bc   queued       –\n");
}

static void a_narrow_table_cuts_names_and_leaves_columns_out(void **state)
{
    (void)state;
    assert_string_equal(print_table(30), "NAME     STATE     SIZE  NOTE\n"
                                         "你好世…  done    1.5 MB  today\n"
                                         "a\\x09b…  queued       –\n");
    assert_string_equal(print_table(28), "NAME          STATE     SIZE\n"
                                         "你好世界.txt  done    1.5 MB\n"
                                         "a\\x09b\\x1bc   queued       –\n");
    assert_string_equal(print_table(20), "NAME          STATE\n"
                                         "你好世界.txt  done\n"
                                         "a\\x09b\\x1bc   queued\n");
    const char *least = "NAME    STATE\n"
                        "你好…   done\n"
                        "a\\x09…  queued\n";
    assert_string_equal(print_table(14), least);
    assert_string_equal(print_table(3), least); /* narrower than it can be */
}

static void without_a_terminal_fields_stand_between_tabs(void **state)
{
    (void)state;
    assert_string_equal(print_table(0), "你好世界.txt\tdone\t1530000\t2026-11-21\n"
                                        "a\\x09b\\x1bc\tqueued\t\t\n");
}

/* ---- the bar ---- */

static void assert_bar(hp_progress_t progress, int width, const char *expected)
{
    char *text = hp_bar_text(&progress, width, false);
    print_message("%s|\n", text);
    assert_true(hp_text_width(text) <= width);
    assert_string_equal(text, expected);
    free(text);
}

static void the_bar_shows_what_there_is_room_for(void **state)
{
    (void)state;
    hp_progress_t p = {
        .name = "holiday.mp4", .done = 430, .total = 1000, .speed_bps = 12300000, .eta_s = 12, .sources = 3};
    assert_bar(
        p, 100,
        "holiday.mp4  [###############----------------------]   43 %  12.3 MB/s  3 sources   12 s left");
    assert_bar(p, 39, "holiday.…  [###-----]   43 %  12.3 MB/s");
    p.eta_s = 86340;
    assert_bar(p, 80, "holiday.mp4  [#######----------]   43 %  12.3 MB/s  3 sources   23 h 59 min left");
    p.note = "waiting for a source: no route to host";
    assert_bar(p, 60, "holiday…  [##----]   43 %  waiting for a source: no route t…");
}

static void a_bar_never_leaves_its_width(void **state)
{
    (void)state;
    for (int width = 1; width < 140; width++) {
        for (int kind = 0; kind < 8; kind++) {
            hp_progress_t p = {.name =
                                   (kind & 1) != 0 ? "一个很长的名字一个很长的名字一个很长的名字.mkv" : "a",
                               .done = 999999999,
                               .total = (kind & 2) != 0 ? -1 : 1000000000,
                               .speed_bps = 999000000,
                               .eta_s = 59 * 60,
                               .sources = 12,
                               .note = (kind & 4) != 0 ? "等待 a source that does not answer at all" : NULL};
            for (int glyphs = 0; glyphs < 2; glyphs++) {
                char *text = hp_bar_text(&p, width, glyphs);
                if (hp_text_width(text) > width)
                    fail_msg("%d columns: \"%s\"", width, text);
                free(text);
            }
        }
    }
}

static void a_bar_is_full_only_at_the_end(void **state)
{
    (void)state;
    hp_progress_t p = {.name = "a", .done = 999999, .total = 1000000, .speed_bps = -1};
    assert_bar(p, 20, "a  [#######-]   99 %");
    p.done = p.total;
    assert_bar(p, 20, "a  [########]  100 %");
}

/* ---- which host is meant ---- */

static json_t *hosts;

static int match(const char *text)
{
    size_t index = 99;
    static hp_err_t err;
    err = (hp_err_t){0};
    int rc = hp_host_match(hosts, text, &index, &err);
    if (rc == HP_E_CONFLICT)
        print_message("%s\n", err.detail);
    return rc == 0 ? (int)index : rc;
}

static int make_hosts(void **state)
{
    (void)state;
    hosts = json_pack("[{s:s, s:s, s:[s, s]}, {s:s, s:s, s:[s]}, {s:s, s:s, s:[s]}, {s:s, s:s, s:[s]}]", "id",
                      "aaaa1111", "name", "attic", "addresses", "192.168.1.20:9000", "[fd00::20]:9000", "id",
                      "aaaa2222", "name", "Kitchen", "addresses", "192.168.1.21:9005", "id", "bbbb3333",
                      "name", "attic", "addresses", "192.168.1.22:9000", "id", "cccc4444", "name",
                      "192.168.1.20", "addresses", "192.168.1.21:9000");
    return hosts == NULL;
}

static int free_hosts(void **state)
{
    (void)state;
    json_decref(hosts);
    return 0;
}

static void a_host_is_meant_by_id_name_or_address(void **state)
{
    (void)state;
    assert_int_equal(match("aaaa2222"), 1);
    assert_int_equal(match("bbbb"), 2);
    assert_int_equal(match("Kitchen"), 1);
    assert_int_equal(match("kitchen"), 1);
    assert_int_equal(match("192.168.1.22"), 2);
    assert_int_equal(match("192.168.1.22:9000"), 2);
    assert_int_equal(match("http://192.168.1.22:9000/"), 2); /* as a page shows it */
    assert_int_equal(match("http://192.168.1.22"), 2);
    assert_int_equal(match("fd00::20"), 0);
    assert_int_equal(match("[fd00:0::20]:9000"), 0);
    assert_int_equal(match("192.168.1.21:9005"), 1);
    assert_int_equal(match("192.168.1.21"), 3); /* the usual port first */
    assert_int_equal(match("192.168.1.23"), HP_E_NOT_FOUND);
    assert_int_equal(match("192.168.1.22:9001"), HP_E_NOT_FOUND);
    assert_int_equal(match("cellar"), HP_E_NOT_FOUND);
    assert_int_equal(match(""), HP_E_NOT_FOUND);
}

static void what_may_be_several_hosts_is_none(void **state)
{
    (void)state;
    assert_int_equal(match("attic"), HP_E_CONFLICT);
    assert_int_equal(match("aaaa"), HP_E_CONFLICT);
    assert_int_equal(match("bbb"), HP_E_NOT_FOUND); /* too short to be meant */
}

static void no_host_takes_an_address_away_by_its_name(void **state)
{
    (void)state;
    assert_int_equal(match("192.168.1.20"), 0);
}

static void paths_are_tidied(void **state)
{
    (void)state;
    static const char *const paths[][2] = {{"/", ""},   {"", ""},         {"./a//b/", "a/b"},
                                           {"/a", "a"}, {"../a", "../a"}, {"a/./b", "a/b"}};
    for (size_t i = 0; i < HP_COUNT(paths); i++) {
        char *tidy = hp_cli_tidy_path(paths[i][0]);
        assert_string_equal(tidy, paths[i][1]);
        free(tidy);
    }
}

/* ---- the note in the data folder ---- */

static void the_note_is_read_while_its_process_lives(void **state)
{
    (void)state;
    char folder[] = "/tmp/hostpair-cli-XXXXXX", address[64];
    uint16_t port = 0;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(hp_running_read(folder, address, &port), HP_E_NOT_FOUND);
    assert_int_equal(hp_running_write(folder, "127.0.0.1", 9000, 9003, NULL), 0);
    assert_int_equal(hp_running_read(folder, address, &port), 0);
    assert_string_equal(address, "127.0.0.1");
    assert_int_equal(port, 9003);
    char *path = hp_sprintf("%s/running.json", folder);
    FILE *file = fopen(path, "w");
    fputs("{\"pid\":2147483647,\"address\":\"127.0.0.1\",\"peer\":1,\"dashboard\":9003}\n", file);
    fclose(file);
    assert_int_equal(hp_running_read(folder, address, &port), HP_E_NOT_FOUND);
    hp_running_remove(folder);
    assert_int_equal(access(path, F_OK), -1);
    free(path);
    assert_int_equal(rmdir(folder), 0);
}

static bool has_line(const char *page, const char *start)
{
    for (const char *line = page; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, start, strlen(start)) == 0)
            return true;
    }
    print_error("no line starts with %s\n", start);
    return false;
}

/* A dash as the manual page has it. */
static char *escape(const char *name, char escaped[128])
{
    size_t n = 0;
    for (; *name != '\0' && n < 120; name++) {
        if (*name == '-')
            escaped[n++] = '\\';
        escaped[n++] = *name;
    }
    escaped[n] = '\0';
    return escaped;
}

static void find_option(void *page, const hp_option_help_t *option)
{
    char name[128], start[160];
    snprintf(start, sizeof start, "\\fB\\-\\-%s\\fR", escape(option->name, name));
    assert_true(has_line(page, start));
}

static void the_manual_page_has_every_option_command_and_setting(void **state)
{
    (void)state;
    char *page = NULL, name[128], start[160];
    size_t length;
    FILE *file = open_memstream(&page, &length);
    hp_man_print(file);
    fclose(file);
    assert_true(has_line(page, ".TH HOSTPAIR 1 "));
    hp_options_each(find_option, page);
    for (const hp_command_t *command = hp_commands; command->name != NULL; command++) {
        snprintf(start, sizeof start, ".SS \"%s", escape(command->name, name));
        assert_true(has_line(page, start));
    }
    for (size_t i = 0; i < hp_settings_count; i++) {
        snprintf(start, sizeof start, "\\fB%s\\fR", hp_settings_table[i].name);
        assert_true(has_line(page, start));
    }
    free(page);
}

int main(void)
{
    hp_text_init();
#define TEST(name)  cmocka_unit_test(name)
#define HOSTS(name) cmocka_unit_test_setup_teardown(name, make_hosts, free_hosts)
    const struct CMUnitTest tests[] = {
        TEST(sizes_are_as_the_dashboard_shows_them),
        TEST(a_percentage_is_100_only_when_all_is_there),
        TEST(times_are_the_two_units_that_matter),
        TEST(widths_are_columns_and_not_bytes),
        TEST(a_text_is_cut_between_characters),
        TEST(nothing_that_a_terminal_obeys_is_left),
        TEST(rates_are_read_with_their_units),
        TEST(words_are_quoted_for_a_shell),
        TEST(a_table_is_aligned),
        TEST(a_narrow_table_cuts_names_and_leaves_columns_out),
        TEST(without_a_terminal_fields_stand_between_tabs),
        TEST(the_bar_shows_what_there_is_room_for),
        TEST(a_bar_never_leaves_its_width),
        TEST(a_bar_is_full_only_at_the_end),
        HOSTS(a_host_is_meant_by_id_name_or_address),
        HOSTS(what_may_be_several_hosts_is_none),
        HOSTS(no_host_takes_an_address_away_by_its_name),
        TEST(paths_are_tidied),
        TEST(the_manual_page_has_every_option_command_and_setting),
        TEST(the_note_is_read_while_its_process_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
