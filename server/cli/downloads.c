/* The list of downloads, and what can be done to one of them. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/internal.h"
#include "cli/words.h"

/* ---- how far one is ---- */

/* What keeps it from going on, or what it does besides downloading; NULL: nothing. */
static const char *note_of(const json_t *download)
{
    const char *state = hp_client_text(download, "state"), *reason = hp_client_text(download, "reason");
    if (strcmp(state, "verifying") == 0)
        return hp_word("being checked");
    if (reason[0] != '\0' && hp_client_number(download, "speed_bps", 0) == 0)
        return reason;
    return strcmp(state, "queued") == 0 ? hp_word("queued") : NULL;
}

/* Sources that send something. */
static int active_sources(const json_t *download)
{
    const json_t *sources = json_object_get(download, "sources");
    int count = 0;
    for (size_t i = 0; i < json_array_size(sources); i++)
        count += strcmp(hp_client_text(json_array_get(sources, i), "state"), "active") == 0;
    return count;
}

hp_progress_t hp_cli_progress(const json_t *download)
{
    return (hp_progress_t){
        .name = hp_client_text(download, "name"),
        .done = hp_client_number(download, "done_bytes", 0),
        .total = hp_client_number(download, "size", -1),
        .speed_bps = hp_client_number(download, "speed_bps", 0),
        .eta_s = hp_client_number(download, "eta_s", -1),
        .sources = active_sources(download),
        .note = note_of(download),
    };
}

/* ---- the list ---- */

static const hp_column_t columns[] = {
    {.title = "ID", .right = true},
    {.title = "NAME", .min = 16},
    {.title = "STATE"},
    {.title = "DONE", .right = true, .drop = 1},
    {.title = "SIZE", .right = true, .drop = 2},
    {.title = "SPEED", .right = true, .drop = 3},
    {.title = "LEFT", .right = true, .drop = 5},
    {.title = "WHY", .min = 16, .drop = 4},
    {.title = "PATH", .min = 8, .drop = 6},
};

static hp_colour_t colour_of(const char *state)
{
    if (strcmp(state, "done") == 0)
        return HP_GREEN;
    if (strcmp(state, "failed") == 0)
        return HP_RED;
    return strcmp(state, "paused") == 0 ? HP_YELLOW : HP_PLAIN;
}

static void add_row(hp_table_t *table, const json_t *download)
{
    char percent[HP_TEXT_SIZE] = "", left[HP_TEXT_SIZE], done_plain[HP_TEXT_SIZE], left_plain[HP_TEXT_SIZE];
    const char *state = hp_client_text(download, "state"), *reason = hp_client_text(download, "reason");
    const char *detail = hp_client_text(json_object_get(download, "error"), "detail");
    const char *name = hp_client_text(download, "name"), *path = hp_client_text(download, "path");
    int64_t done = hp_client_number(download, "done_bytes", 0), size = hp_client_number(download, "size", -1);
    int64_t speed = hp_client_number(download, "speed_bps", 0), eta = hp_client_number(download, "eta_s", -1);
    bool runs = strcmp(state, "running") == 0;
    if (size >= 0 && (size > 0 || strcmp(state, "done") == 0))
        hp_text_percent(done, size, percent);
    snprintf(done_plain, sizeof done_plain, "%lld", (long long)done);
    snprintf(left_plain, sizeof left_plain, "%lld", (long long)eta);
    hp_table_count(table, hp_client_number(download, "id", -1));
    char *folder = hp_sprintf("%s/", name); /* as ls shows one */
    hp_table_either(table, json_is_true(json_object_get(download, "folder")) ? folder : name, name);
    free(folder);
    hp_table_coloured(table, state, colour_of(state));
    hp_table_either(table, percent, done_plain);
    hp_table_bytes(table, size);
    if (runs)
        hp_table_speed(table, speed);
    else
        hp_table_either(table, "", "0");
    hp_table_either(table, runs && eta >= 0 ? hp_text_duration(eta, left) : "", eta >= 0 ? left_plain : "");
    hp_table_text(table, detail[0] != '\0' ? detail : reason);
    hp_table_either(table, strcmp(name, path) == 0 ? "" : path, path);
}

static int list(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *answer = NULL;
    if (hp_client_call(cli->client, "GET", "/downloads", NULL, &answer, &err) != 0)
        return hp_cli_fail(cli, &err);
    const json_t *downloads = json_object_get(answer, "downloads");
    if (cli->flags.json) {
        hp_say_json(stdout, answer);
    } else {
        hp_table_t *table = hp_table_create(columns, HP_COUNT(columns), &cli->out);
        for (size_t i = 0; i < json_array_size(downloads); i++)
            add_row(table, json_array_get(downloads, i));
        hp_table_print(table, stdout);
        hp_table_destroy(table);
        fflush(stdout);
        if (json_array_size(downloads) == 0)
            hp_say(stderr, "There are no downloads.");
    }
    json_decref(answer);
    return 0;
}

/* ---- changing some ---- */

typedef struct {
    const char *word, *method, *path, *state; /* path: behind the number; state: to be set, NULL none */
    const char *all;                          /* the call for "all"; NULL: there is none */
    const char *said;
} action_t;

static const action_t actions[] = {
    {"pause", "PATCH", "", "paused", "/downloads/pause", "paused"},
    {"resume", "PATCH", "", "queued", "/downloads/resume", "goes on"},
    {"retry", "POST", "/retry", NULL, NULL, "is tried again"},
    {"remove", "DELETE", "?data=remove", NULL, NULL, "removed"},
};

static int change_one(hp_cli_t *cli, const action_t *action, const char *id, json_t *changed, hp_err_t *err)
{
    json_t *answer = NULL;
    bool keeps = cli->flags.keep && strcmp(action->word, "remove") == 0;
    if (strspn(id, "0123456789") != strlen(id) || id[0] == '\0')
        return hp_err_set(err, HP_E_INVALID, "%.60s is not the number of a download", id);
    char *path = hp_sprintf("/downloads/%s%s", id, keeps ? "?data=keep" : action->path);
    json_t *body = action->state != NULL ? json_pack("{s:s}", "state", action->state) : NULL;
    int rc = hp_client_call(cli->client, action->method, path, body, &answer, err);
    if (rc == 0 && !cli->flags.json && answer != NULL)
        hp_say(stdout, "%s %s: %s", id, hp_client_text(answer, "name"), action->said);
    else if (rc == 0 && !cli->flags.json)
        hp_say(stdout, "%s: %s", id, action->said);
    else if (answer != NULL)
        json_array_append(changed, answer);
    json_decref(answer);
    free(path);
    return rc;
}

int hp_cli_downloads(hp_cli_t *cli)
{
    const action_t *action = NULL;
    hp_err_t err = {0};
    int code = 0;
    if (cli->count == 0)
        return list(cli);
    for (size_t i = 0; i < HP_COUNT(actions); i++)
        if (strcmp(actions[i].word, cli->args[0]) == 0)
            action = &actions[i];
    if (action == NULL)
        return hp_cli_usage(cli, "the action must be pause, resume, retry or remove");
    if (cli->count < 2)
        return hp_cli_usage(cli, "give the number of a download");
    json_t *changed = json_array();
    for (size_t i = 1; i < cli->count; i++) {
        bool all = strcmp(cli->args[i], "all") == 0 && action->all != NULL;
        int rc = all ? hp_client_call(cli->client, "POST", action->all, NULL, NULL, &err)
                     : change_one(cli, action, cli->args[i], changed, &err);
        if (rc != 0) {
            hp_err_prefix(&err, "%.20s: ", cli->args[i]);
            code = hp_cli_fail(cli, &err);
        } else if (all && !cli->flags.json) {
            hp_say(stdout, "all: %s", action->said);
        }
    }
    if (cli->flags.json) {
        json_t *answer = json_pack("{s:O}", "downloads", changed);
        hp_say_json(stdout, answer);
        json_decref(answer);
    }
    json_decref(changed);
    return code;
}
