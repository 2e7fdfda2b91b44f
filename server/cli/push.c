/* hostpair push: files of the share for another host. */
#include <string.h>

#include "base/path.h"
#include "cli/internal.h"

#define POLL_MS 300

/* A path below the shared folder may be given as this machine knows it. */
static char *shared_path(hp_cli_t *cli, const char *word)
{
    const json_t *share = json_object_get(hp_client_status(cli->client), "share");
    const char *folder = hp_client_text(share, "folder");
    size_t length = strlen(folder);
    if (length > 0 && strncmp(word, folder, length) == 0 && word[length] == '/')
        word += length;
    return hp_cli_tidy_path(word);
}

/* The push as it is now. */
static json_t *look(hp_cli_t *cli, int64_t id, hp_err_t *err)
{
    json_t *answer = NULL, *found = NULL;
    if (hp_client_call(cli->client, "GET", "/pushes", NULL, &answer, err) == 0) {
        const json_t *list = json_object_get(answer, "pushes");
        for (size_t i = 0; i < json_array_size(list) && found == NULL; i++)
            if (hp_client_number(json_array_get(list, i), "id", -1) == id)
                found = json_incref(json_array_get(list, i));
        if (found == NULL)
            hp_err_set(err, HP_E_NOT_FOUND, "hostpair was restarted, and knows of this push no more");
    }
    json_decref(answer);
    return found;
}

static bool is_over(const json_t *push)
{
    return hp_client_text(push, "finished_at")[0] != '\0';
}

/* Whether the host wants some of it only. */
static bool is_part(const json_t *push)
{
    int64_t offered = hp_client_number(push, "offered", 0);
    return hp_client_number(push, "taken", offered) < offered;
}

static void tell_state(const json_t *push, const char *host)
{
    const char *state = hp_client_text(push, "state");
    if (strcmp(state, "asking") == 0)
        hp_say(stderr, "Asking at %s.", host);
    else if (strcmp(state, "sending") == 0 && is_part(push))
        hp_say(stderr, "Accepted; %s takes %lld of the %lld offered.", host,
               (long long)hp_client_number(push, "taken", 0),
               (long long)hp_client_number(push, "offered", 0));
    else if (strcmp(state, "sending") == 0)
        hp_say(stderr, "Accepted; %s gets the files.", host);
}

/* What it waits for. */
static void tell_reason(const json_t *push)
{
    bool again = strcmp(hp_client_text(push, "state"), "connecting") == 0;
    hp_say(stderr, "%s%s.", hp_client_text(push, "reason"), again ? "; it is tried again" : "");
}

static int finish(hp_cli_t *cli, const json_t *push, const char *host)
{
    const char *state = hp_client_text(push, "state"), *reason = hp_client_text(push, "reason");
    if (cli->flags.json)
        hp_say_json(stdout, push);
    if (strcmp(state, "done") == 0 && hp_client_number(push, "taken", 1) > 0) {
        if (cli->flags.json)
            ;
        else if (is_part(push))
            hp_say(stdout, "%s took %lld of the %lld offered.", host,
                   (long long)hp_client_number(push, "taken", 0),
                   (long long)hp_client_number(push, "offered", 0));
        else
            hp_say(stdout, "%s has it.", host);
        return 0;
    }
    if (strcmp(state, "done") == 0)
        state = "took none of it";
    hp_say(stderr, "hostpair: %s: %s%s%s", host, state, reason[0] != '\0' ? ": " : "", reason);
    return HP_EXIT_FAILED;
}

static int follow(hp_cli_t *cli, json_t *push, const char *host)
{
    hp_err_t err = {0};
    char told[16] = "";
    bool waits = false; /* and why was told */
    int64_t id = hp_client_number(push, "id", -1);
    hp_term_catch();
    while (push != NULL && !is_over(push) && !hp_term_interrupted()) {
        bool news = strcmp(told, hp_client_text(push, "state")) != 0;
        bool reason = hp_client_text(push, "reason")[0] != '\0';
        if (news)
            tell_state(push, host);
        if (reason && (news || !waits))
            tell_reason(push);
        waits = reason;
        snprintf(told, sizeof told, "%s", hp_client_text(push, "state"));
        hp_term_wait(POLL_MS);
        json_decref(push);
        push = look(cli, id, &err);
    }
    if (push == NULL)
        return hp_cli_fail(cli, &err);
    int code = HP_EXIT_INTERRUPTED;
    if (!is_over(push)) {
        char *path = hp_sprintf("/pushes/%lld", (long long)id);
        hp_client_call(cli->client, "DELETE", path, NULL, NULL, &err);
        free(path);
    } else {
        code = finish(cli, push, host);
    }
    json_decref(push);
    return code;
}

int hp_cli_push(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *host = NULL, *push = NULL, *body = json_object(), *paths = json_array();
    for (size_t i = 1; i < cli->count; i++) {
        char *path = shared_path(cli, cli->args[i]);
        json_array_append_new(paths, json_string(path));
        free(path);
    }
    json_object_set_new(body, "paths", paths);
    if (cli->flags.pin != NULL)
        json_object_set_new(body, "pin", json_string(cli->flags.pin));
    int code = 0, rc = hp_cli_find_host(cli, cli->args[0], &host, &err);
    if (rc == 0) {
        const char *id = hp_client_text(host, "id");
        char *encoded = hp_path_encode(id, strlen(id), false), *path = hp_sprintf("/hosts/%s/push", encoded);
        rc = hp_client_call(cli->client, "POST", path, body, &push, &err);
        free(encoded);
        free(path);
    } else {
        json_decref(body);
    }
    const char *name = hp_client_text(host, "name");
    if (rc != 0)
        code = hp_cli_fail(cli, &err);
    else if (cli->flags.no_wait && cli->flags.json)
        hp_say_json(stdout, push);
    if (rc == 0 && !cli->flags.no_wait)
        code = follow(cli, push, name[0] != '\0' ? name : hp_client_text(host, "id"));
    else
        json_decref(push);
    json_decref(host);
    return code;
}
