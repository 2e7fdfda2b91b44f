/* hostpair settings: the table of server/settings, with the values of the hostpair that runs. */
#include "settings/table.h"

#include <string.h>

#include "cli/internal.h"

static const hp_column_t columns[] = {
    {.title = "NAME"},
    {.title = "VALUE", .min = 12},
    {.title = "UNIT", .drop = 2},
    {.title = "MEANING", .min = 20, .drop = 1},
};

static char *value_text(const json_t *value)
{
    if (json_is_boolean(value))
        return hp_strdup(json_is_true(value) ? "true" : "false");
    if (json_is_integer(value))
        return hp_sprintf("%lld", (long long)json_integer_value(value));
    return hp_strdup(json_is_string(value) ? json_string_value(value) : "");
}

static void print_all(hp_cli_t *cli, const json_t *settings)
{
    hp_table_t *table = hp_table_create(columns, HP_COUNT(columns), &cli->out);
    for (size_t i = 0; i < hp_settings_count; i++) {
        const hp_setting_t *row = &hp_settings_table[i];
        char *value = value_text(json_object_get(settings, row->name));
        hp_table_text(table, row->name);
        hp_table_text(table, value);
        hp_table_text(table, row->unit);
        hp_table_text(table, row->help);
        free(value);
    }
    hp_table_print(table, stdout);
    hp_table_destroy(table);
}

/* A number may be out of the limits here: the running hostpair, which may be another version, decides. */
static int read_value(const hp_setting_t *row, const char *text, json_t **value, hp_err_t *err)
{
    int64_t number;
    uint64_t rate;
    if (hp_setting_is_text(row)) {
        *value = json_string(text);
        return 0;
    }
    int rc = hp_setting_parse_number(row, text, &number, err);
    if (rc != 0 && row->type == HP_SETTING_NUMBER && row->unit != NULL &&
        hp_text_parse_rate(text, &rate) == 0 && rate <= INT64_MAX) {
        number = (int64_t)rate;
        rc = 0;
    }
    if (rc == 0)
        *value = row->type == HP_SETTING_SWITCH ? json_boolean(number != 0) : json_integer(number);
    return rc;
}

static int change(hp_cli_t *cli, const hp_setting_t *row, json_t **answer, hp_err_t *err)
{
    json_t *value = NULL;
    int rc = read_value(row, cli->args[1], &value, err);
    if (rc != 0)
        return rc;
    return hp_client_call(cli->client, "PATCH", "/settings", json_pack("{s:o}", row->name, value), answer,
                          err);
}

int hp_cli_settings(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *answer = NULL;
    const hp_setting_t *row = cli->count > 0 ? hp_setting_find(cli->args[0]) : NULL;
    if (cli->count > 0 && row == NULL) {
        hp_say(stderr, "hostpair: there is no setting %.60s; \"hostpair settings\" lists them", cli->args[0]);
        return HP_EXIT_USAGE;
    }
    int rc = cli->count == 2 ? change(cli, row, &answer, &err)
                             : hp_client_call(cli->client, "GET", "/settings", NULL, &answer, &err);
    if (rc != 0)
        return hp_cli_fail(cli, &err);
    if (cli->flags.json) {
        hp_say_json(stdout, answer);
    } else if (row != NULL) {
        char *value = value_text(json_object_get(answer, row->name));
        hp_say(stdout, "%s", value);
        free(value);
    } else {
        print_all(cli, answer);
    }
    json_decref(answer);
    return 0;
}
