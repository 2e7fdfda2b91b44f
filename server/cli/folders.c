/* hostpair folders: the folders that are shared where they are, besides the main one. */
#include <string.h>

#include "base/path.h"
#include "cli/internal.h"

static const hp_column_t columns[] = {
    {.title = "NAME", .min = 12},
    {.title = "STATE"},
    {.title = "FOLDER", .min = 12},
};

static int list(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *answer = NULL;
    if (hp_client_call(cli->client, "GET", "/share/folders", NULL, &answer, &err) != 0)
        return hp_cli_fail(cli, &err);
    const json_t *all = json_object_get(answer, "folders");
    if (cli->flags.json) {
        hp_say_json(stdout, answer);
    } else if (json_array_size(all) == 0) {
        hp_say(stderr, "No folder is shared besides the main one.");
    } else {
        hp_table_t *table = hp_table_create(columns, HP_COUNT(columns), &cli->out);
        for (size_t i = 0; i < json_array_size(all); i++) {
            const json_t *one = json_array_get(all, i);
            bool missing = json_is_true(json_object_get(one, "missing"));
            hp_table_text(table, hp_client_text(one, "name"));
            hp_table_coloured(table, missing ? "not there" : "shared", missing ? HP_RED : HP_GREEN);
            hp_table_text(table, hp_client_text(one, "folder"));
        }
        hp_table_print(table, stdout);
        hp_table_destroy(table);
    }
    json_decref(answer);
    return 0;
}

static int add(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *answer = NULL, *body = json_object();
    /* A path of another machine is taken as it is. */
    char *real = hp_client_is_local(cli->client) ? realpath(cli->args[1], NULL) : NULL;
    json_object_set_new(body, "folder", json_string(real != NULL ? real : cli->args[1]));
    if (cli->count > 2)
        json_object_set_new(body, "name", json_string(cli->args[2]));
    int rc = hp_client_call(cli->client, "POST", "/share/folders", body, &answer, &err);
    int code = rc != 0 ? hp_cli_fail(cli, &err) : 0;
    if (rc == 0 && cli->flags.json)
        hp_say_json(stdout, answer);
    else if (rc == 0)
        hp_say(stdout, "%s is shared as %s. The files stay where they are.", hp_client_text(answer, "folder"),
               hp_client_text(answer, "name"));
    json_decref(answer);
    free(real);
    return code;
}

static int take_away(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *answer = NULL;
    char *name = hp_path_encode(cli->args[1], strlen(cli->args[1]), false);
    char *path = hp_sprintf("/share/folders/%s", name);
    int rc = hp_client_call(cli->client, "DELETE", path, NULL, &answer, &err);
    int code = rc != 0 ? hp_cli_fail(cli, &err) : 0;
    if (rc == 0 && !cli->flags.json)
        hp_say(stdout, "%s is shared no more. Its files stay where they are.", cli->args[1]);
    json_decref(answer);
    free(path);
    free(name);
    return code;
}

int hp_cli_folders(hp_cli_t *cli)
{
    if (cli->count == 0)
        return list(cli);
    bool adds = strcmp(cli->args[0], "add") == 0;
    if (!adds && strcmp(cli->args[0], "remove") != 0)
        return hp_cli_usage(cli, "the action is add or remove");
    if (cli->count < 2)
        return hp_cli_usage(cli, adds ? "PATH is missing" : "NAME is missing");
    if (!adds && cli->count > 2)
        return hp_cli_usage(cli, "remove takes one NAME");
    return adds ? add(cli) : take_away(cli);
}
