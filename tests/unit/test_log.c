// libs: base
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "base/utf8.h"

static hp_log_entry_t entries[HP_LOG_KEPT + 10];

static uint64_t newest(void)
{
    int n = hp_log_read(0, entries, HP_LOG_KEPT + 10);
    return n > 0 ? entries[n - 1].number : 0;
}

/* A thousand lines would bury the results. */
static int hide_standard_error(void)
{
    int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    assert_true(saved >= 0 && null >= 0);
    dup2(null, STDERR_FILENO);
    close(null);
    return saved;
}

static void show_standard_error(int saved)
{
    dup2(saved, STDERR_FILENO);
    close(saved);
}

static void a_line_is_kept_with_its_level_and_number(void **state)
{
    (void)state;
    uint64_t before = newest();
    hp_log(HP_LOG_WARN, "disk %s is %d%% full", "sda", 93);
    assert_int_equal(hp_log_read(before, entries, 10), 1);
    assert_int_equal(entries[0].number, before + 1);
    assert_int_equal(entries[0].level, HP_LOG_WARN);
    assert_string_equal(entries[0].text, "disk sda is 93% full");
    assert_true(entries[0].at > 1600000000000);
}

static void lines_above_the_level_are_dropped(void **state)
{
    (void)state;
    uint64_t before = newest();
    hp_log(HP_LOG_DEBUG, "hidden");
    hp_log_set_level(HP_LOG_DEBUG);
    hp_log(HP_LOG_DEBUG, "shown");
    hp_log_set_level(HP_LOG_INFO);
    assert_int_equal(hp_log_read(before, entries, 10), 1);
    assert_string_equal(entries[0].text, "shown");
}

static void text_of_others_cannot_write_to_the_terminal(void **state)
{
    (void)state;
    uint64_t before = newest();
    hp_log(HP_LOG_INFO, "host %s", "a\x1b[2J\nfake line");
    hp_log_read(before, entries, 10);
    assert_string_equal(entries[0].text, "host a\\x1b[2J\\x0afake line");
}

static void a_long_line_is_cut_at_a_character(void **state)
{
    (void)state;
    uint64_t before = newest();
    char text[4001] = "x";
    for (size_t i = 1; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    hp_log(HP_LOG_INFO, "%s", text);
    hp_log_read(before, entries, 10);
    assert_in_range(strlen(entries[0].text), HP_LOG_LINE - 3, HP_LOG_LINE - 1);
    assert_true(hp_utf8_valid(entries[0].text, strlen(entries[0].text)));
}

static void only_the_last_thousand_lines_are_kept_without_gaps(void **state)
{
    (void)state;
    int saved = hide_standard_error();
    for (int i = 0; i < HP_LOG_KEPT + 50; i++)
        hp_log(HP_LOG_INFO, "line %d", i);
    show_standard_error(saved);
    int n = hp_log_read(0, entries, HP_LOG_KEPT + 10);
    assert_int_equal(n, HP_LOG_KEPT);
    for (int i = 1; i < n; i++)
        assert_int_equal(entries[i].number, entries[i - 1].number + 1);
    assert_string_equal(entries[n - 1].text, "line 1049");
    assert_string_equal(entries[0].text, "line 50");
    assert_int_equal(hp_log_read(UINT64_MAX, entries, 10), 0);
    assert_int_equal(hp_log_read(0, entries, 3), 3);
    assert_string_equal(entries[0].text, "line 50");
}

static void logging_leaves_errno_alone(void **state)
{
    (void)state;
    errno = EXDEV;
    hp_log(HP_LOG_INFO, "x");
    assert_int_equal(errno, EXDEV);
}

static void level_names_are_read_and_written(void **state)
{
    (void)state;
    const char *const names[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < 4; i++) {
        hp_log_level_t level;
        assert_int_equal(hp_log_level_parse(names[i], &level), 0);
        assert_string_equal(hp_log_level_name(level), names[i]);
    }
    hp_log_level_t level;
    assert_int_equal(hp_log_level_parse("loud", &level), HP_E_INVALID);
    assert_int_equal(hp_log_level_parse("", &level), HP_E_INVALID);
}

static void on_line(void *arg)
{
    ++*(int *)arg; /* under the log's own listener lock */
}

static void *log_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        hp_log(HP_LOG_INFO, "from a thread");
    return NULL;
}

static void the_listener_hears_every_line_of_every_thread(void **state)
{
    (void)state;
    int heard = 0;
    uint64_t before = newest();
    pthread_t threads[4];
    int saved = hide_standard_error();
    hp_log_set_listener(on_line, &heard);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    hp_log_set_listener(NULL, NULL);
    show_standard_error(saved);
    hp_log(HP_LOG_INFO, "unheard");
    assert_int_equal(heard, 800);
    assert_int_equal(newest(), before + 801);
}

static void a_line_goes_to_standard_error_with_time_and_level(void **state)
{
    (void)state;
    int fds[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    hp_log(HP_LOG_ERROR, "it broke");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fds[1]);
    char line[256] = "";
    assert_true(read(fds[0], line, sizeof line - 1) > 0);
    close(fds[0]);
    assert_string_equal(line + 24, " error it broke\n");
    assert_int_equal(line[23], 'Z');
}

static void a_gate_lets_some_lines_a_minute_through_and_says_so(void **state)
{
    (void)state;
    int saved = hide_standard_error();
    hp_log_gate_t gate = {0}, other = {0};
    uint64_t before = newest();
    for (int i = 0; i < 1000; i++)
        hp_log_gated(&gate, HP_LOG_WARN, "lie %d", i);
    assert_int_equal(hp_log_read(before, entries, 100), HP_LOG_GATE_LINES + 1);
    assert_string_equal(entries[0].text, "lie 0");
    assert_string_equal(entries[HP_LOG_GATE_LINES].text,
                        "more lines like the ones before are left out for up to a minute");
    before = newest();
    hp_log_gated(&other, HP_LOG_INFO, "another's");
    gate.begun_at -= 60000; /* its minute is over */
    hp_log_gated(&gate, HP_LOG_WARN, "lie again");
    for (int i = 0; i < 100; i++)
        hp_log_gated(&other, HP_LOG_DEBUG, "not even looked at");
    assert_int_equal(hp_log_read(before, entries, 100), 2);
    assert_string_equal(entries[1].text, "lie again");
    show_standard_error(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_kept_with_its_level_and_number),
        cmocka_unit_test(lines_above_the_level_are_dropped),
        cmocka_unit_test(text_of_others_cannot_write_to_the_terminal),
        cmocka_unit_test(a_long_line_is_cut_at_a_character),
        cmocka_unit_test(only_the_last_thousand_lines_are_kept_without_gaps),
        cmocka_unit_test(a_gate_lets_some_lines_a_minute_through_and_says_so),
        cmocka_unit_test(logging_leaves_errno_alone),
        cmocka_unit_test(level_names_are_read_and_written),
        cmocka_unit_test(the_listener_hears_every_line_of_every_thread),
        cmocka_unit_test(a_line_goes_to_standard_error_with_time_and_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
