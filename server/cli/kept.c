/* What was kept of cancelled downloads, and its removal. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/internal.h"

static const hp_column_t columns[] = {
    {.title = "ID", .right = true},   {.title = "NAME", .min = 16},
    {.title = "KEPT", .right = true}, {.title = "OF", .right = true, .drop = 2},
    {.title = "SINCE", .drop = 1},    {.title = "PATH", .min = 8, .drop = 3},
};

static void add_row(hp_table_t *table, const json_t *kept)
{
    char time[HP_TEXT_SIZE];
    const char *name = hp_client_text(kept, "name"), *path = hp_client_text(kept, "path");
    const char *since = hp_client_text(kept, "kept_at");
    char *folder = hp_sprintf("%s/", name); /* as ls shows one */
    hp_table_count(table, hp_client_number(kept, "id", -1));
    hp_table_either(table, json_is_true(json_object_get(kept, "folder")) ? folder : name, name);
    hp_table_bytes(table, hp_client_number(kept, "done_bytes", 0));
    hp_table_bytes(table, hp_client_number(kept, "size", -1));
    hp_table_either(table, hp_text_time(since, time), since);
    hp_table_either(table, strcmp(name, path) == 0 ? "" : path, path);
    free(folder);
}

static void print_list(hp_cli_t *cli, const json_t *answer)
{
    const json_t *list = json_object_get(answer, "kept");
    if (cli->flags.json) {
        hp_say_json(stdout, answer);
        return;
    }
    hp_table_t *table = hp_table_create(columns, HP_COUNT(columns), &cli->out);
    for (size_t i = 0; i < json_array_size(list); i++)
        add_row(table, json_array_get(list, i));
    hp_table_print(table, stdout);
    hp_table_destroy(table);
    fflush(stdout);
    if (json_array_size(list) == 0)
        hp_say(stderr, "Nothing is kept.");
}

static int remove_one(hp_cli_t *cli, const char *id)
{
    hp_err_t err = {0};
    int rc;
    if (strspn(id, "0123456789") != strlen(id) || id[0] == '\0') {
        rc = hp_err_set(&err, HP_E_INVALID, "%.60s is not a number of the list", id);
    } else {
        char *path = hp_sprintf("/kept/%s", id);
        rc = hp_client_call(cli->client, "DELETE", path, NULL, NULL, &err);
        free(path);
    }
    if (rc != 0)
        return hp_cli_fail(cli, &err);
    if (!cli->flags.json)
        hp_say(stdout, "%s: removed", id);
    return 0;
}

static int remove_all(hp_cli_t *cli, const json_t *list)
{
    int code = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        char id[24];
        snprintf(id, sizeof id, "%lld", (long long)hp_client_number(json_array_get(list, i), "id", 0));
        int rc = remove_one(cli, id);
        code = rc != 0 ? rc : code;
    }
    if (json_array_size(list) == 0 && !cli->flags.json)
        hp_say(stderr, "Nothing is kept.");
    return code;
}

int hp_cli_kept(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *answer = NULL;
    bool removes = cli->count > 0;
    int code = 0;
    if (removes && strcmp(cli->args[0], "remove") != 0)
        return hp_cli_usage(cli, "the action must be remove");
    if (removes == (cli->count < 2 && !cli->flags.all) || (cli->flags.all && cli->count != 1))
        return hp_cli_usage(cli, removes ? "give numbers of the list, or --all" : "--all goes with remove");
    if (!removes || cli->flags.all) {
        if (hp_client_call(cli->client, "GET", "/kept", NULL, &answer, &err) != 0)
            return hp_cli_fail(cli, &err);
        if (removes)
            code = remove_all(cli, json_object_get(answer, "kept"));
        else
            print_list(cli, answer);
        json_decref(answer);
    }
    for (size_t i = 1; i < cli->count; i++) {
        int rc = remove_one(cli, cli->args[i]);
        code = rc != 0 ? rc : code;
    }
    return code;
}
