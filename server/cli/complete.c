/* Completion for the shell: what the last of some words may become, one candidate a line. Prints nothing
 * where it knows nothing: a message would appear in the middle of the person's input. Ends with code 1 where
 * files of this machine fit, which the shell knows better. */
#include <string.h>

#include "base/path.h"
#include "cli/internal.h"
#include "settings/table.h"

#define PAGES_MAX 10 /* of a folder's list */

typedef struct {
    const char *word; /* the unfinished one */
    bool files;       /* files of this machine fit */
} complete_t;

/* A candidate with control characters would not be the same word when it is printed: it is left out. */
static void offer(const complete_t *self, const char *candidate)
{
    char *clean = hp_text_clean(candidate);
    if (candidate[0] != '\0' && strcmp(clean, candidate) == 0 &&
        strncmp(candidate, self->word, strlen(self->word)) == 0)
        printf("%s\n", candidate);
    free(clean);
}

static void offer_flag(void *arg, const char *name, const char *value, const char *help)
{
    (void)value, (void)help;
    char word[64];
    snprintf(word, sizeof word, "--%s", name);
    offer(arg, word);
}

static void offer_words(complete_t *self, const char *words)
{
    char word[32];
    for (int n; sscanf(words, "%31s%n", word, &n) == 1; words += n)
        offer(self, word);
}

static void offer_commands(const complete_t *self)
{
    for (const hp_command_t *command = hp_commands; command->name != NULL; command++)
        offer(self, command->name);
}

/* Names, and addresses where a name is missing or another host has it as well. */
static void offer_hosts(const complete_t *self, hp_client_t *client)
{
    json_t *answer = NULL;
    size_t index;
    if (hp_client_call(client, "GET", "/hosts", NULL, &answer, NULL) != 0)
        return;
    const json_t *hosts = json_object_get(answer, "hosts");
    for (size_t i = 0; i < json_array_size(hosts); i++) {
        const json_t *host = json_array_get(hosts, i);
        const char *name = hp_client_text(host, "name"), *id = hp_client_text(host, "id");
        bool named = name[0] != '\0' && hp_host_match(hosts, name, &index, NULL) == 0 && index == i;
        offer(self, named ? name : id);
    }
    json_decref(answer);
}

/* What continues the word behind its last slash: things of a page that lie in the folder itself. */
static void offer_things(const complete_t *self, const char *typed, const char *folder, const json_t *things,
                         const char *end)
{
    size_t depth = strlen(folder) + (folder[0] != '\0');
    for (size_t i = 0; i < json_array_size(things); i++) {
        const json_t *thing = json_array_get(things, i);
        const char *name = hp_client_text(thing, "name"), *path = hp_client_text(thing, "path");
        char *candidate = hp_sprintf("%s%s%s", typed, name, end);
        if (path[0] == '\0' || strlen(path) == depth + strlen(name))
            offer(self, candidate);
        free(candidate);
    }
}

/* The folders, and the files if wanted, of a host or of the share (NULL). A large folder is asked only for
 * names that contain what was typed. */
static void offer_paths(hp_cli_t *cli, const complete_t *self, const char *host, bool files)
{
    json_t *page = NULL;
    const char *slash = strrchr(self->word, '/'), *part = slash != NULL ? slash + 1 : self->word;
    char *typed = hp_strndup(self->word, (size_t)(part - self->word));
    char *folder = hp_cli_tidy_path(typed);
    int rc = hp_cli_list(cli, host, folder, NULL, 1, &page, NULL);
    if (rc == 0 && part[0] != '\0' && json_is_string(json_object_get(page, "next"))) {
        json_decref(page);
        rc = hp_cli_list(cli, host, folder, part, PAGES_MAX, &page, NULL);
    }
    if (rc == 0)
        offer_things(self, typed, folder, json_object_get(page, "folders"), "/");
    if (rc == 0 && files)
        offer_things(self, typed, folder, json_object_get(page, "files"), "");
    json_decref(page);
    free(folder);
    free(typed);
}

static void offer_paths_of(hp_cli_t *cli, const complete_t *self, const char *host_word, bool files)
{
    json_t *answer = NULL;
    size_t index;
    if (hp_client_call(cli->client, "GET", "/hosts", NULL, &answer, NULL) == 0 &&
        hp_host_match(json_object_get(answer, "hosts"), host_word, &index, NULL) == 0)
        offer_paths(cli, self, hp_client_text(json_array_get(json_object_get(answer, "hosts"), index), "id"),
                    files);
    json_decref(answer);
}

/* The ids of what the API lists at path in the array of this name; open: only what is not over. */
static void offer_ids(const complete_t *self, hp_client_t *client, const char *path, const char *name,
                      bool open)
{
    json_t *answer = NULL;
    if (hp_client_call(client, "GET", path, NULL, &answer, NULL) != 0)
        return;
    const json_t *list = json_object_get(answer, name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        char id[24];
        const json_t *thing = json_array_get(list, i);
        snprintf(id, sizeof id, "%lld", (long long)hp_client_number(thing, "id", 0));
        if (!open || hp_client_text(thing, "finished_at")[0] == '\0')
            offer(self, id);
    }
    json_decref(answer);
}

static void offer_values(complete_t *self, const char *name)
{
    const hp_setting_t *row = hp_setting_find(name);
    if (row == NULL)
        return;
    if (row->type == HP_SETTING_SWITCH) {
        offer(self, "true");
        offer(self, "false");
    }
    self->files = row->type == HP_SETTING_FOLDER;
    for (const char *const *word = row->words; word != NULL && *word != NULL; word++)
        offer(self, *word);
}

static void offer_argument(hp_cli_t *cli, complete_t *self)
{
    const hp_takes_t *takes = cli->command->takes;
    size_t place = 0;
    while (place < cli->count && place + 1 < HP_COUNT(cli->command->takes) &&
           takes[place + 1] != HP_TAKES_LAST)
        place++;
    if (cli->count >= cli->command->max)
        return;
    switch (takes[place]) {
    case HP_TAKES_EVERYONE:
        offer(self, "everyone");
        offer_hosts(self, cli->client);
        break;
    case HP_TAKES_HOST:
        offer_hosts(self, cli->client);
        break;
    case HP_TAKES_FOLDER:
    case HP_TAKES_PATH:
        offer_paths_of(cli, self, cli->args[0], takes[place] == HP_TAKES_PATH);
        break;
    case HP_TAKES_SHARED:
        offer_paths(cli, self, NULL, true);
        self->files = self->word[0] == '/'; /* a path of this machine, below the shared folder */
        break;
    case HP_TAKES_COMMAND:
        offer_commands(self);
        break;
    case HP_TAKES_SETTING:
        for (size_t i = 0; i < hp_settings_count; i++)
            offer(self, hp_settings_table[i].name);
        break;
    case HP_TAKES_VALUE:
        offer_values(self, cli->args[0]);
        break;
    case HP_TAKES_ACTION:
        offer_words(self, cli->command->actions);
        break;
    case HP_TAKES_ID:
        if (strcmp(cli->command->name, "inbox") == 0)
            offer_ids(self, cli->client, "/inbox", "incoming", true);
        else if (strcmp(cli->command->name, "kept") == 0)
            offer_ids(self, cli->client, "/kept", "kept", false);
        else
            offer_ids(self, cli->client, "/downloads", "downloads", false);
        break;
    case HP_TAKES_FILE:
        self->files = true;
        break;
    case HP_TAKES_NOTHING:
    case HP_TAKES_LAST:
        break;
    }
}

/* The words before the unfinished one have told the command. */
static void complete_command(hp_cli_t *cli, complete_t *self)
{
    if (hp_cli_parse(cli, NULL) != 0) {
        self->files = true; /* the value of an option */
        return;
    }
    if (self->word[0] == '-') {
        hp_cli_each_flag(cli->command, offer_flag, self);
        offer_flag(self, "help", NULL, NULL);
    } else if (cli->command->takes[0] == HP_TAKES_FILE || cli->command->offline ||
               hp_client_create(&cli->client, cli->options, NULL) == 0) {
        offer_argument(cli, self);
    }
    if (cli->client != NULL)
        hp_client_destroy(cli->client);
}

int hp_cli_complete(hp_cli_t *cli)
{
    hp_options_t options;
    size_t before = cli->count > 0 ? cli->count - 1 : 0;
    complete_t self = {.word = cli->count > 0 ? cli->args[before] : ""};
    char **words = hp_alloc_array(before + 1, sizeof *words);
    words[0] = cli->argv[0];
    for (size_t i = 0; i < before; i++)
        words[i + 1] = cli->args[i];
    if (hp_options_read(&options, (int)before + 1, words, NULL) == 0) {
        hp_cli_t inner = {.options = &options, .argc = (int)before + 1, .argv = words};
        inner.command = options.command != 0 ? hp_command_find(words[options.command]) : NULL;
        if (inner.command != NULL)
            complete_command(&inner, &self);
        else if (options.command == 0 && self.word[0] != '-')
            offer_commands(&self);
        free(inner.args);
        free(inner.flags.headers);
    } else {
        self.files = true;
    }
    hp_options_dispose(&options);
    free(words);
    return self.files ? HP_EXIT_FAILED : 0;
}
