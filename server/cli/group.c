/* hostpair group: make, join, list, invite, renew, leave. */
#include <string.h>
#include <strings.h>

#include "cli/internal.h"

static int load(hp_cli_t *cli, json_t **answer, hp_err_t *err)
{
    return hp_client_call(cli->client, "GET", "/groups", NULL, answer, err);
}

static bool is_group(const json_t *group, const char *text)
{
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)hp_client_number(group, "id", -1));
    return strcmp(id, text) == 0 || strcasecmp(hp_client_text(group, "name"), text) == 0;
}

/* The id of the group that a person means by its name or its number. */
static int find(hp_cli_t *cli, const char *text, int64_t *id, hp_err_t *err)
{
    json_t *answer = NULL;
    size_t found = 0;
    int rc = load(cli, &answer, err);
    const json_t *groups = json_object_get(answer, "groups");
    for (size_t i = 0; rc == 0 && i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i);
        if (!is_group(group, text))
            continue;
        *id = hp_client_number(group, "id", -1);
        found++;
    }
    json_decref(answer);
    if (rc == 0 && found == 0)
        rc = hp_err_set(err, HP_E_NOT_FOUND,
                        "this host is in no group \"%.100s\"; \"hostpair group list\" lists them", text);
    if (rc == 0 && found > 1)
        rc = hp_err_set(err, HP_E_CONFLICT, "%zu groups are called \"%.100s\"; give the number", found, text);
    return rc;
}

/* ---- list ---- */

static const hp_column_t columns[] = {
    {.title = "ID", .right = true},      {.title = "NAME", .min = 12}, {.title = "STATE"},
    {.title = "MEMBERS", .right = true}, {.title = "HUB", .drop = 1},
};

static int list(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *answer = NULL;
    if (load(cli, &answer, &err) != 0)
        return hp_cli_fail(cli, &err);
    const json_t *groups = json_object_get(answer, "groups");
    if (cli->flags.json) {
        hp_say_json(stdout, answer);
        json_decref(answer);
        return 0;
    }
    hp_table_t *table = hp_table_create(columns, HP_COUNT(columns), &cli->out);
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i);
        const char *state = hp_client_text(group, "state");
        hp_table_count(table, hp_client_number(group, "id", -1));
        hp_table_text(table, hp_client_text(group, "name"));
        hp_table_coloured(table, state, strcmp(state, "connected") == 0 ? HP_GREEN : HP_DIM);
        hp_table_count(table, (int64_t)json_array_size(json_object_get(group, "members")) + 1);
        hp_table_text(table, hp_client_text(group, "hub"));
    }
    hp_table_print(table, stdout);
    hp_table_destroy(table);
    fflush(stdout);
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i);
        if (hp_client_text(group, "reason")[0] != '\0')
            hp_say(stderr, "%s: %s", hp_client_text(group, "name"), hp_client_text(group, "reason"));
    }
    if (json_array_size(groups) == 0)
        hp_say(stderr,
               "This host is in no group. Make one: hostpair group create --hub hub.example.org NAME\n"
               "or join one with the invite that a member gave you: hostpair group join INVITE");
    json_decref(answer);
    return 0;
}

/* ---- the others ---- */

/* One call whose answer holds an invite, which is printed; path and answer are freed. */
static int print_invite(hp_cli_t *cli, const char *method, char *path)
{
    hp_err_t err = {0};
    json_t *answer = NULL;
    int rc = hp_client_call(cli->client, method, path, NULL, &answer, &err);
    free(path);
    if (rc != 0)
        return hp_cli_fail(cli, &err);
    if (cli->flags.json)
        hp_say_json(stdout, answer);
    else
        hp_say(stdout, "%s", hp_client_text(answer, "invite"));
    json_decref(answer);
    return 0;
}

static int create(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *group = NULL;
    if (cli->flags.hub == NULL)
        return hp_cli_usage(cli, "create needs --hub");
    json_t *body =
        json_pack("{s:s,s:s,s:s*}", "hub", cli->flags.hub, "name", cli->args[1], "token", cli->flags.token);
    int rc = hp_client_call(cli->client, "POST", "/groups", body, &group, &err);
    if (rc != 0)
        return hp_cli_fail(cli, &err);
    int64_t id = hp_client_number(group, "id", -1);
    json_decref(group);
    if (!cli->flags.json)
        hp_say(stderr,
               "The group is made. Whoever gets this invite can join, see its members and their files:");
    return print_invite(cli, "GET", hp_sprintf("/groups/%lld/invite", (long long)id));
}

static int join(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *group = NULL;
    json_t *body =
        json_pack("{s:s,s:s*}", "invite", cli->args[1], "name", cli->count > 2 ? cli->args[2] : NULL);
    int rc = hp_client_call(cli->client, "POST", "/groups", body, &group, &err);
    if (rc != 0)
        return hp_cli_fail(cli, &err);
    if (cli->flags.json)
        hp_say_json(stdout, group);
    else
        hp_say(stdout, "Joined \"%s\": %zu other members. \"hostpair hosts\" lists them.",
               hp_client_text(group, "name"), json_array_size(json_object_get(group, "members")));
    json_decref(group);
    return 0;
}

static int leave(hp_cli_t *cli)
{
    hp_err_t err = {0};
    int64_t id;
    int rc = find(cli, cli->args[1], &id, &err);
    if (rc == 0) {
        char *path = hp_sprintf("/groups/%lld", (long long)id);
        rc = hp_client_call(cli->client, "DELETE", path, NULL, NULL, &err);
        free(path);
    }
    return rc == 0 ? 0 : hp_cli_fail(cli, &err);
}

static int invite(hp_cli_t *cli)
{
    hp_err_t err = {0};
    int64_t id;
    if (find(cli, cli->args[1], &id, &err) != 0)
        return hp_cli_fail(cli, &err);
    return print_invite(cli, "GET", hp_sprintf("/groups/%lld/invite", (long long)id));
}

static int renew(hp_cli_t *cli)
{
    hp_err_t err = {0};
    int64_t id;
    if (find(cli, cli->args[1], &id, &err) != 0)
        return hp_cli_fail(cli, &err);
    if (!cli->flags.json)
        hp_say(stderr,
               "The group has a new secret. Members who are to stay need this invite; the old one is void:");
    return print_invite(cli, "POST", hp_sprintf("/groups/%lld/renew", (long long)id));
}

int hp_cli_group(hp_cli_t *cli)
{
    static const struct {
        const char *name;
        size_t min, max;
        int (*run)(hp_cli_t *cli);
    } actions[] = {
        {"list", 1, 1, list},     {"create", 2, 2, create}, {"join", 2, 3, join},
        {"invite", 2, 2, invite}, {"renew", 2, 2, renew},   {"leave", 2, 2, leave},
    };
    if (cli->count == 0)
        return list(cli);
    for (size_t i = 0; i < HP_COUNT(actions); i++) {
        if (strcmp(cli->args[0], actions[i].name) != 0)
            continue;
        if (cli->count < actions[i].min || cli->count > actions[i].max)
            return hp_cli_usage(cli, actions[i].min == 1 ? "list takes no argument"
                                                         : "it needs a name or an invite");
        return actions[i].run(cli);
    }
    return hp_cli_usage(cli, "it is one of list, create, join, invite, renew, leave");
}
