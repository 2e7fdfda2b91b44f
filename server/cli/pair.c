/* Pairing from a terminal: two people compare six digits. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/path.h"
#include "cli/internal.h"

#define POLL_MS 300 /* between two looks at the pairing */

typedef struct {
    hp_cli_t *cli;
    const char *name;
    char *path; /* "/hosts/ID/pair" */
    const char *id;
    char state[16], code[8], reason[256];
    char line[16]; /* what was typed so far */
    size_t length;
} pair_t;

static char *pair_path(const char *id)
{
    char *encoded = hp_path_encode(id, strlen(id), false);
    char *path = hp_sprintf("/hosts/%s/pair", encoded);
    free(encoded);
    return path;
}

static const char *name_of(const json_t *host)
{
    const char *name = hp_client_text(host, "name");
    return name[0] != '\0' ? name : hp_client_text(host, "id");
}

static void take(pair_t *self, const json_t *pairing)
{
    snprintf(self->state, sizeof self->state, "%s", hp_client_text(pairing, "state"));
    snprintf(self->code, sizeof self->code, "%.6s", hp_client_text(pairing, "code"));
    snprintf(self->reason, sizeof self->reason, "%.200s", hp_client_text(pairing, "reason"));
}

/* The attempt as it is now. One that is gone has failed. */
static int look(pair_t *self, hp_err_t *err)
{
    json_t *answer = NULL;
    int rc = hp_client_call(self->cli->client, "GET", "/pairings", NULL, &answer, err);
    const json_t *list = json_object_get(answer, "pairings"), *found = NULL;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(hp_client_text(json_array_get(list, i), "host"), self->id) == 0)
            found = json_array_get(list, i);
    if (rc == 0 && found != NULL)
        take(self, found);
    else if (rc == 0)
        snprintf(self->state, sizeof self->state, "failed");
    json_decref(answer);
    return rc;
}

static bool is(const pair_t *self, const char *state)
{
    return strcmp(self->state, state) == 0;
}

static int call(pair_t *self, const char *method, const char *path, hp_err_t *err)
{
    json_t *answer = NULL;
    int rc = hp_client_call(self->cli->client, method, path, NULL, &answer, err);
    if (rc == 0 && answer != NULL)
        take(self, answer);
    json_decref(answer);
    return rc;
}

static void prompt(pair_t *self)
{
    hp_say(stdout, "%.3s %s", self->code, self->code + 3);
    char *question = hp_text_clean(self->name);
    printf("Does %s show the same digits? [y/n] ", question);
    fflush(stdout);
    free(question);
    self->length = 0;
}

/* What was typed, when a line is complete or standard input has ended: 'y', 'n', or '?' for something else;
 * 0 when nothing was within POLL_MS. */
static char read_answer(pair_t *self)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, POLL_MS) <= 0)
        return 0;
    char byte;
    ssize_t n = read(STDIN_FILENO, &byte, 1);
    if (n < 0)
        return errno == EINTR ? 0 : 'n';
    if (n == 0)
        return 'n';
    if (byte != '\n') {
        if (self->length + 1 < sizeof self->line)
            self->line[self->length++] = byte;
        return 0;
    }
    self->line[self->length] = '\0';
    self->length = 0;
    if (strcasecmp(self->line, "y") == 0 || strcasecmp(self->line, "yes") == 0)
        return 'y';
    return strcasecmp(self->line, "n") == 0 || strcasecmp(self->line, "no") == 0 ? 'n' : '?';
}

/* Asks until there is an answer, or the attempt is over meanwhile. */
static int ask(pair_t *self, hp_err_t *err)
{
    char shown[sizeof self->code];
    prompt(self);
    memcpy(shown, self->code, sizeof shown);
    int rc = 0;
    while (rc == 0 && is(self, "confirm") && !hp_term_interrupted()) {
        bool typing = self->length > 0;
        char answer = read_answer(self);
        if (answer == 'y') {
            char *path = hp_sprintf("%s/confirm", self->path);
            rc = call(self, "POST", path, err);
            free(path);
            return rc;
        }
        if (answer == 'n')
            return (rc = call(self, "DELETE", self->path, err)) == 0 ? look(self, err) : rc;
        if (answer == '?')
            prompt(self);
        else if (!typing && self->length == 0)
            rc = look(self, err);
        if (strcmp(shown, self->code) != 0 && is(self, "confirm")) { /* the other side has begun again */
            putchar('\n');
            prompt(self);
            memcpy(shown, self->code, sizeof shown);
        }
    }
    if (!is(self, "confirm"))
        putchar('\n');
    return rc;
}

static int follow(pair_t *self, hp_err_t *err)
{
    int rc = 0;
    char told[sizeof self->state] = "";
    while (rc == 0 && !hp_term_interrupted()) {
        if (strcmp(told, self->state) != 0 && is(self, "waiting"))
            hp_say(stdout, "Asking %s.", self->name);
        else if (strcmp(told, self->state) != 0 && is(self, "confirmed"))
            hp_say(stdout, "Waiting for the person at %s to confirm.", self->name);
        memcpy(told, self->state, sizeof told);
        fflush(stdout);
        if (is(self, "confirm")) {
            rc = ask(self, err);
        } else if (is(self, "waiting") || is(self, "confirmed")) {
            hp_term_wait(POLL_MS);
            rc = look(self, err);
        } else {
            break;
        }
    }
    return rc;
}

static int finish(pair_t *self, int rc, const hp_err_t *err)
{
    hp_err_t ignored;
    if (rc != 0)
        return hp_cli_fail(self->cli, err);
    if (hp_term_interrupted()) {
        call(self, "DELETE", self->path, &ignored);
        return HP_EXIT_INTERRUPTED;
    }
    if (is(self, "paired")) {
        hp_say(stdout, "%s is paired.", self->name);
        return 0;
    }
    hp_say(stderr, "hostpair: %s is not paired%s%s", self->name, self->reason[0] != '\0' ? ": " : "",
           self->reason);
    return HP_EXIT_FAILED;
}

int hp_cli_pair(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *host = NULL;
    if (hp_cli_find_host(cli, cli->args[0], &host, &err) != 0) {
        json_decref(host);
        return hp_cli_fail(cli, &err);
    }
    pair_t self = {.cli = cli, .name = name_of(host), .id = hp_client_text(host, "id")};
    self.path = pair_path(self.id);
    int code = 0;
    hp_term_catch();
    int rc = call(&self, "POST", self.path, &err);
    if (rc == HP_E_CONFLICT && json_is_true(json_object_get(host, "paired"))) {
        hp_say(stdout, "%s is paired already.", self.name);
    } else {
        if (rc == 0)
            rc = follow(&self, &err);
        code = finish(&self, rc, &err);
    }
    free(self.path);
    json_decref(host);
    return code;
}

int hp_cli_unpair(hp_cli_t *cli)
{
    hp_err_t err = {0};
    json_t *host = NULL;
    int rc = hp_cli_find_host(cli, cli->args[0], &host, &err);
    bool paired = json_is_true(json_object_get(host, "paired"));
    bool online = strcmp(hp_client_text(host, "state"), "online") == 0;
    if (rc == 0) {
        char *path = pair_path(hp_client_text(host, "id"));
        rc = hp_client_call(cli->client, "DELETE", path, NULL, NULL, &err);
        free(path);
    }
    if (rc == 0)
        hp_say(stdout, "%s is not paired%s%s.", name_of(host), paired ? " any more" : "",
               paired && !online ? "; it hears of it when it is back" : "");
    json_decref(host);
    return rc == 0 ? 0 : hp_cli_fail(cli, &err);
}
