/* The table of settings: which values it allows, and in which words it refuses others. */
// libs: settings http discovery transfer share fetch store db path os base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "settings/table.h"

static const hp_setting_t *row(const char *name)
{
    const hp_setting_t *found = hp_setting_find(name);
    assert_non_null(found);
    return found;
}

static void every_row_has_a_help_text_and_a_valid_default(void **state)
{
    (void)state;
    for (size_t i = 0; i < hp_settings_count; i++) {
        const hp_setting_t *setting = &hp_settings_table[i];
        hp_err_t err = {0};
        int64_t number;
        int rc = 0;
        assert_ptr_equal(hp_setting_find(setting->name), setting); /* no name stands there twice */
        assert_true(setting->help != NULL && setting->help[0] != '\0');
        if (setting->fallback != NULL)
            rc = hp_setting_is_text(setting)
                     ? hp_setting_check_text(setting, setting->fallback, &err)
                     : hp_setting_parse_number(setting, setting->fallback, &number, &err);
        else
            assert_true(setting->find_default != NULL || setting->option != NULL);
        if (rc != 0)
            fail_msg("%s", hp_err_text(&err));
    }
}

static void a_number_outside_the_limits_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } bad[] = {{"running_downloads", "0"},   {"running_downloads", "101"},
               {"running_downloads", "-3"},  {"down_limit_bps", "-3"},
               {"up_limit_bps", "-1"},       {"connections_per_source", "17"},
               {"running_downloads", "3.5"}, {"running_downloads", ""},
               {"running_downloads", "3 "},  {"down_limit_bps", "99999999999999999999"}};
    for (size_t i = 0; i < HP_COUNT(bad); i++) {
        hp_err_t err = {0};
        int64_t number;
        assert_int_equal(hp_setting_parse_number(row(bad[i].name), bad[i].text, &number, &err), HP_E_INVALID);
        size_t length = strlen(bad[i].name);
        assert_memory_equal(hp_err_text(&err), bad[i].name, length);
        assert_int_equal(hp_err_text(&err)[length], ':');
    }
}

static void a_switch_is_written_in_several_ways(void **state)
{
    (void)state;
    static const char *const on[] = {"true", "on", "yes", "1", "ON"}, *const off[] = {"false", "off", "no",
                                                                                      "0"};
    int64_t number;
    for (size_t i = 0; i < HP_COUNT(on); i++) {
        assert_int_equal(hp_setting_parse_number(row("scan"), on[i], &number, NULL), 0);
        assert_int_equal(number, 1);
    }
    for (size_t i = 0; i < HP_COUNT(off); i++) {
        assert_int_equal(hp_setting_parse_number(row("scan"), off[i], &number, NULL), 0);
        assert_int_equal(number, 0);
    }
    assert_int_equal(hp_setting_parse_number(row("scan"), "2", &number, NULL), HP_E_INVALID);
}

static void text_is_held_against_its_type(void **state)
{
    (void)state;
    hp_err_t err = {0};
    assert_int_equal(hp_setting_check_text(row("share_folder"), "/srv/share", &err), 0);
    assert_int_equal(hp_setting_check_text(row("share_folder"), "share", &err), HP_E_INVALID);
    assert_string_equal(hp_err_text(&err), "share_folder: must be an absolute path");
    assert_int_equal(hp_setting_check_text(row("theme"), "pink", &err), HP_E_INVALID);
    assert_string_equal(hp_err_text(&err), "theme: must be one of auto, light, dark");
    static const char *const tags[] = {"auto", "en", "zh-CN", "zh-Hant-TW", "gsw"};
    for (size_t i = 0; i < HP_COUNT(tags); i++)
        assert_int_equal(hp_setting_check_text(row("language"), tags[i], &err), 0);
    static const char *const others[] = {"",       "e",     "english", "en-",
                                         "en--GB", "en_GB", "zh CN",   "en-verylongpart"};
    for (size_t i = 0; i < HP_COUNT(others); i++)
        assert_int_equal(hp_setting_check_text(row("language"), others[i], &err), HP_E_INVALID);
    assert_int_equal(hp_setting_check_text(row("name"), "   ", &err), HP_E_INVALID);
    assert_int_equal(hp_setting_check_text(row("name"), "a\nb", &err), HP_E_INVALID);
    assert_int_equal(hp_setting_check_text(row("name"), "a b", &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_help_text_and_a_valid_default),
        cmocka_unit_test(a_number_outside_the_limits_is_refused_by_name),
        cmocka_unit_test(a_switch_is_written_in_several_ways),
        cmocka_unit_test(text_is_held_against_its_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
