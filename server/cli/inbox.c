/* hostpair inbox: what others want to give to this host. */
#include <string.h>

#include "cli/internal.h"

static const hp_column_t columns[] = {
    {.title = "ID", .right = true},
    {.title = "FROM", .min = 12},
    {.title = "STATE"},
    {.title = "FILES", .right = true, .drop = 2},
    {.title = "SIZE", .right = true},
    {.title = "WHAT", .min = 12},
    {.title = "ADDRESS", .drop = 1},
};

static hp_colour_t colour_of(const char *state)
{
    return strcmp(state, "asking") == 0      ? HP_YELLOW
           : strcmp(state, "receiving") == 0 ? HP_BLUE
           : strcmp(state, "done") == 0      ? HP_GREEN
           : strcmp(state, "failed") == 0    ? HP_RED
                                             : HP_DIM;
}

/* Before it is answered: the text that comes, for a person; "" */
static const char *preview_of(const json_t *incoming)
{
    const json_t *first = json_array_get(json_object_get(incoming, "files"), 0);
    return strcmp(hp_client_text(incoming, "state"), "asking") == 0 ? hp_client_text(first, "preview") : "";
}

/* Where it landed, or the name of the first file. */
static const char *what_of(const json_t *incoming)
{
    const json_t *first = json_array_get(json_object_get(incoming, "files"), 0);
    const char *folder = hp_client_text(incoming, "folder");
    return strcmp(hp_client_text(incoming, "state"), "done") == 0 && folder[0] != '\0'
               ? folder
               : hp_client_text(first, "name");
}

static void add_row(hp_table_t *table, const json_t *incoming)
{
    const json_t *from = json_object_get(incoming, "from");
    const char *state = hp_client_text(incoming, "state");
    hp_table_count(table, hp_client_number(incoming, "id", -1));
    hp_table_text(table, hp_client_text(from, "name"));
    hp_table_coloured(table, state, colour_of(state));
    hp_table_count(table, hp_client_number(incoming, "files_total", -1));
    hp_table_bytes(table, hp_client_number(incoming, "size", -1));
    const char *preview = preview_of(incoming);
    hp_table_either(table, preview[0] != '\0' ? preview : what_of(incoming), what_of(incoming));
    hp_table_text(table, hp_client_text(from, "address"));
}

static int list(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *answer = NULL;
    if (hp_client_call(cli->client, "GET", "/inbox", NULL, &answer, &err) != 0)
        return hp_cli_fail(cli, &err);
    const json_t *all = json_object_get(answer, "incoming");
    if (cli->flags.json) {
        hp_say_json(stdout, answer);
    } else if (json_array_size(all) == 0) {
        hp_say(stderr, "Nobody has sent anything.");
    } else {
        hp_table_t *table = hp_table_create(columns, HP_COUNT(columns), &cli->out);
        for (size_t i = 0; i < json_array_size(all); i++)
            add_row(table, json_array_get(all, i));
        hp_table_print(table, stdout);
        hp_table_destroy(table);
    }
    json_decref(answer);
    return 0;
}

static void tell(const json_t *incoming)
{
    const char *state = hp_client_text(incoming, "state"), *folder = hp_client_text(incoming, "folder");
    const char *name = hp_client_text(json_object_get(incoming, "from"), "name");
    long long id = (long long)hp_client_number(incoming, "id", -1);
    if (strcmp(state, "receiving") == 0 || strcmp(state, "done") == 0)
        hp_say(stdout, "%lld from %s is %s: it lands in %s.", id, name,
               strcmp(state, "done") == 0 ? "done" : "accepted", folder);
    else
        hp_say(stdout, "%lld from %s is %s.", id, name, state);
}

static int change(hp_cli_t *cli, const char *action)
{
    hp_err_t err = {0};
    int code = 0;
    for (size_t i = 1; i < cli->count; i++) {
        json_t *body = NULL, *answer = NULL;
        if (cli->args[i][0] == '\0' || strspn(cli->args[i], "0123456789") != strlen(cli->args[i]))
            return hp_cli_usage(cli, "an ID is a number, as the list shows it");
        if (strcmp(action, "accept") == 0 && cli->flags.to != NULL)
            body = json_pack("{s:s}", "to", cli->flags.to);
        char *path = hp_sprintf("/inbox/%s/%s", cli->args[i], action);
        if (hp_client_call(cli->client, "POST", path, body, &answer, &err) != 0)
            code = hp_cli_fail(cli, &err);
        else if (cli->flags.json)
            hp_say_json(stdout, answer);
        else
            tell(answer);
        json_decref(answer);
        free(path);
    }
    return code;
}

int hp_cli_inbox(hp_cli_t *cli)
{
    static const char *const actions[] = {"accept", "decline", "cancel"};
    if (cli->count == 0)
        return list(cli);
    for (size_t i = 0; i < HP_COUNT(actions); i++)
        if (strcmp(cli->args[0], actions[i]) == 0)
            return cli->count > 1 ? change(cli, actions[i])
                                  : hp_cli_usage(cli, "which one? An ID is missing");
    return hp_cli_usage(cli, "it is one of accept, decline, cancel");
}
