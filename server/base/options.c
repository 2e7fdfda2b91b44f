#include "base/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/option_values.h"

#define NOWHERE SIZE_MAX /* no field */

/* One option. `name` without its dashes also gives the environment variable. */
typedef struct {
    const char *name, *value; /* value: its placeholder, NULL for a flag */
    hp_option_kind_t kind;
    bool client;          /* tells a command where the running hostpair is */
    size_t field, given;  /* offsets in hp_options_t; given: the flag that says it was asked for */
    const char *fallback; /* the default as text, read like a given one; NULL none */
    const char *before;   /* a folder's default in 0.1, used where files lie in it; NULL none */
    const char *help;
} option_t;

#define FIELD(member) offsetof(hp_options_t, member)

static const option_t options[] = {
    {.name = "peer-listen",
     .value = "ADDR:PORT",
     .kind = HP_OPTION_LISTEN,
     .field = FIELD(peer_listen),
     .given = FIELD(peer_listen.given),
     .fallback = "[::]:9000",
     .help = "where other hosts reach this one"},
    {.name = "dashboard-listen",
     .value = "ADDR:PORT",
     .kind = HP_OPTION_LISTEN,
     .field = FIELD(dashboard_listen),
     .given = FIELD(dashboard_listen.given),
     .fallback = "127.0.0.1:9001",
     .help = "where the dashboard and its API are served",
     .client = true},
    {.name = "share",
     .value = "DIR",
     .kind = HP_OPTION_FOLDER,
     .field = FIELD(share),
     .given = FIELD(share_given),
     .fallback = "$XDG_PUBLICSHARE_DIR/hostpair",
     .before = "~/hostpair/shared",
     .help = "the folder offered to other hosts, made if missing"},
    {.name = "share-folder",
     .value = "[NAME=]PATH",
     .kind = HP_OPTION_NAMED_FOLDERS,
     .field = FIELD(folders),
     .given = NOWHERE,
     .help = "another folder, offered where it is for as long as this one runs; repeatable"},
    {.name = "downloads",
     .value = "DIR",
     .kind = HP_OPTION_FOLDER,
     .field = FIELD(downloads),
     .given = FIELD(downloads_given),
     .fallback = "$XDG_DOWNLOAD_DIR/hostpair",
     .before = "~/hostpair/downloads",
     .help = "the folder that downloads land in, made if missing"},
    {.name = "data",
     .value = "DIR",
     .kind = HP_OPTION_FOLDER,
     .field = FIELD(data),
     .given = FIELD(data_given),
     .fallback = "$XDG_STATE_HOME/hostpair",
     .help = "the folder of the database, made if missing",
     .client = true},
    {.name = "name",
     .value = "NAME",
     .kind = HP_OPTION_TEXT,
     .field = FIELD(name),
     .given = FIELD(name_given),
     .help = "what other hosts call this one; the machine's name if never set"},
    {.name = "host",
     .value = "HOST[:PORT]",
     .kind = HP_OPTION_ADDRESSES,
     .field = FIELD(hosts),
     .given = NOWHERE,
     .help = "a host to connect to, by address or name, besides those that are found; repeatable"},
    {.name = "advertise",
     .value = "ADDR[:PORT]",
     .kind = HP_OPTION_ADDRESS,
     .field = FIELD(advertise),
     .given = NOWHERE,
     .help = "the address that other hosts are told, when it is not this machine's own"},
    {.name = "no-scan",
     .kind = HP_OPTION_FLAG,
     .field = FIELD(no_scan),
     .given = NOWHERE,
     .help = "no timed scans of the local networks"},
    {.name = "no-beacon",
     .kind = HP_OPTION_FLAG,
     .field = FIELD(no_beacon),
     .given = NOWHERE,
     .help = "no announcements by UDP, and none heard; no LocalSend either"},
    {.name = "no-localsend",
     .kind = HP_OPTION_FLAG,
     .field = FIELD(no_localsend),
     .given = NOWHERE,
     .help = "LocalSend devices neither find this host nor send to it"},
    {.name = "no-port-mapping",
     .kind = HP_OPTION_FLAG,
     .field = FIELD(no_port_mapping),
     .given = NOWHERE,
     .help = "do not ask the router to open a port for members of groups"},
    {.name = "dashboard-token",
     .value = "TOKEN",
     .kind = HP_OPTION_TOKEN,
     .field = FIELD(dashboard_token),
     .given = NOWHERE,
     .help = "what the dashboard asks for, at least 8 characters; needed to listen beyond loopback",
     .client = true},
    {.name = "dashboard-token-file",
     .value = "FILE",
     .kind = HP_OPTION_TOKEN_FILE,
     .field = FIELD(token_file),
     .given = NOWHERE,
     .help = "a file with that token, which the list of processes then does not show",
     .client = true},
    {.name = "allow-host",
     .value = "NAME",
     .kind = HP_OPTION_NAMES,
     .field = FIELD(allow_hosts),
     .given = NOWHERE,
     .help = "a further host name for the dashboard, and for guests' browsers; repeatable"},
    {.name = "log",
     .value = "LEVEL",
     .kind = HP_OPTION_LEVEL,
     .field = FIELD(log),
     .given = NOWHERE,
     .fallback = "info",
     .help = "error, warn, info or debug"},
    {.name = "port-file",
     .value = "FILE",
     .kind = HP_OPTION_FILE_PATH,
     .field = FIELD(port_file),
     .given = NOWHERE,
     .help = "written once both listeners are up: {\"peer\":N,\"dashboard\":N}",
     .client = true},
    {.name = "web-root",
     .value = "DIR",
     .kind = HP_OPTION_EXISTING_FOLDER,
     .field = FIELD(web_root),
     .given = NOWHERE,
     .help = "serve the dashboard's files from this folder instead of the built-in ones"},
    {.name = "no-sandbox",
     .kind = HP_OPTION_FLAG,
     .field = FIELD(no_sandbox),
     .given = NOWHERE,
     .help = "do not give up the system calls and rights to files that are never needed"},
    {.name = "check",
     .kind = HP_OPTION_COMMAND,
     .field = FIELD(check),
     .given = NOWHERE,
     .help = "ask the running hostpair whether it answers: exit code 0 or 1"},
    {.name = "version",
     .kind = HP_OPTION_COMMAND,
     .field = FIELD(version),
     .given = NOWHERE,
     .help = "print the version"},
    {.name = "help",
     .kind = HP_OPTION_COMMAND,
     .field = FIELD(help),
     .given = NOWHERE,
     .help = "print this list"},
};

static void *field_of(hp_options_t *self, size_t offset)
{
    return (char *)self + offset;
}

/* several: text may hold a whole list. */
static int set_value(hp_options_t *self, const option_t *option, const char *text, bool several,
                     hp_err_t *err)
{
    int rc = hp_option_set(option->kind, field_of(self, option->field), text, several, err);
    if (rc == 0 && option->kind == HP_OPTION_TOKEN_FILE)
        rc = hp_option_read_token(self->token_file, &self->dashboard_token, &self->token_file_open, err);
    return rc;
}

static void mark_given(hp_options_t *self, const option_t *option)
{
    if (option->given != NOWHERE)
        *(bool *)field_of(self, option->given) = true;
}

/* ---- where values come from ---- */

static char *environment_name(const option_t *option, char out[64])
{
    size_t n = 0;
    for (const char *p = "HOSTPAIR_"; *p != '\0'; p++)
        out[n++] = *p;
    for (const char *p = option->name; *p != '\0' && n < 63; p++)
        out[n++] = *p == '-' ? '_' : (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    out[n] = '\0';
    return out;
}

static int read_defaults(hp_options_t *self, hp_err_t *err)
{
    for (size_t i = 0; i < HP_COUNT(options); i++) {
        const option_t *option = &options[i];
        /* A folder's default is only looked up when nothing else gives the folder: there may be no home
         * folder. */
        bool later = option->kind == HP_OPTION_FOLDER;
        if (option->fallback == NULL || later)
            continue;
        int rc = set_value(self, option, option->fallback, false, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Which default to take: files of an earlier release stay in use where they lie, but not in a checkout, of
 * which "git clean" would remove them. */
static const char *default_folder(hp_options_t *self, const option_t *option)
{
    switch (option->before != NULL ? hp_option_old_folder(option->before) : HP_OLD_FOLDER_UNUSED) {
    case HP_OLD_FOLDER_UNUSED:
        break;
    case HP_OLD_FOLDER_FILES:
        return option->before;
    case HP_OLD_FOLDER_CHECKOUT:
        self->left[self->left[0] != NULL] = option->before;
    }
    return option->fallback;
}

/* Fills in all that it can; the first failure is returned. */
static int read_default_folders(hp_options_t *self, hp_err_t *err)
{
    int first = 0;
    for (size_t i = 0; i < HP_COUNT(options); i++) {
        const option_t *option = &options[i];
        if (option->kind != HP_OPTION_FOLDER || *(char **)field_of(self, option->field) != NULL)
            continue;
        int rc = set_value(self, option, default_folder(self, option), false, first == 0 ? err : NULL);
        if (rc != 0 && first == 0) {
            hp_err_prefix(err, "--%s: ", option->name);
            first = rc;
        }
    }
    return first;
}

/* An empty variable counts as none, as compose files and service units often have them. */
static int read_environment(hp_options_t *self, hp_err_t *err)
{
    for (size_t i = 0; i < HP_COUNT(options); i++) {
        char variable[64];
        const char *text = getenv(environment_name(&options[i], variable));
        if (options[i].kind == HP_OPTION_COMMAND || text == NULL || text[0] == '\0')
            continue;
        int rc = set_value(self, &options[i], text, true, err);
        if (rc != 0) {
            hp_err_prefix(err, "--%s (from %s): ", options[i].name, variable);
            return rc;
        }
        mark_given(self, &options[i]);
    }
    return 0;
}

static const option_t *find(const char *name, size_t length)
{
    for (size_t i = 0; i < HP_COUNT(options); i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}

static bool is_list(const option_t *option)
{
    return option->kind == HP_OPTION_ADDRESSES || option->kind == HP_OPTION_NAMES ||
           option->kind == HP_OPTION_NAMED_FOLDERS;
}

/* Reads the argument at *index and, where it takes one, its value. */
static int read_argument(hp_options_t *self, int argc, char **argv, int *index, bool *seen, hp_err_t *err)
{
    const char *argument = argv[*index];
    if (strcmp(argument, "-h") == 0)
        argument = "--help";
    if (strncmp(argument, "--", 2) != 0 || argument[2] == '\0')
        return hp_err_set(err, HP_E_INVALID, "%s is not an option; see --help", argument);
    const char *name = argument + 2, *equals = strchr(name, '=');
    const option_t *option = find(name, equals != NULL ? (size_t)(equals - name) : strlen(name));
    if (option == NULL)
        return hp_err_set(err, HP_E_INVALID, "%s is not an option; see --help", argument);
    const char *text = equals != NULL ? equals + 1 : "true";
    if (option->value != NULL && equals == NULL) {
        if (*index + 1 >= argc || strncmp(argv[*index + 1], "--", 2) == 0)
            return hp_err_set(err, HP_E_INVALID, "--%s needs a value: %s", option->name, option->value);
        text = argv[++*index];
    }
    /* A list on the command line replaces the one of the environment. */
    if (is_list(option) && !seen[option - options])
        hp_option_clear_strings(field_of(self, option->field));
    seen[option - options] = true;
    int rc = set_value(self, option, text, false, err);
    if (rc != 0) {
        hp_err_prefix(err, "--%s: ", option->name);
        return rc;
    }
    mark_given(self, option);
    return 0;
}

/* ---- what must fit together ---- */

static bool is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, address, &v6) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

static bool is_inside(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strcmp(folder, "/") == 0 || (strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

static int check_together(const hp_options_t *self, hp_err_t *err)
{
    if (!is_loopback(self->dashboard_listen.address) && self->dashboard_token == NULL)
        return hp_err_set(
            err, HP_E_INVALID,
            "--dashboard-listen: %s can be reached from other machines, which needs --dashboard-token",
            self->dashboard_listen.address);
    if (is_inside(self->data, self->share))
        return hp_err_set(err, HP_E_INVALID, "--data: %s lies inside the shared folder %s", self->data,
                          self->share);
    return 0;
}

int hp_options_read(hp_options_t *self, int argc, char **argv, hp_err_t *err)
{
    bool seen[HP_COUNT(options)] = {false};
    *self = (hp_options_t){0};
    int rc = read_defaults(self, err);
    if (rc == 0)
        rc = read_environment(self, err);
    for (int i = 1; rc == 0 && i < argc && self->command == 0; i++) {
        if (argv[i][0] == '-')
            rc = read_argument(self, argc, argv, &i, seen, err);
        else
            self->command = i;
    }
    self->no_localsend = self->no_localsend || self->no_beacon;
    if (rc != 0 || self->help || self->version || self->check)
        return rc;
    rc = read_default_folders(self, self->command == 0 ? err : NULL);
    if (self->command != 0)
        return 0;
    return rc != 0 ? rc : check_together(self, err);
}

int hp_options_read_client(hp_options_t *self, int argc, char **argv, int *index, hp_err_t *err)
{
    bool seen[HP_COUNT(options)] = {false};
    const char *argument = argv[*index];
    const option_t *option =
        strncmp(argument, "--", 2) == 0 ? find(argument + 2, strcspn(argument + 2, "=")) : NULL;
    if (option == NULL || !option->client)
        return HP_E_NOT_FOUND;
    return read_argument(self, argc, argv, index, seen, err);
}

void hp_options_dispose(hp_options_t *self)
{
    free(self->share);
    free(self->downloads);
    free(self->data);
    free(self->name);
    free(self->advertise);
    free(self->dashboard_token);
    free(self->token_file);
    free(self->port_file);
    free(self->web_root);
    hp_option_clear_strings(&self->hosts);
    hp_option_clear_strings(&self->folders);
    hp_option_clear_strings(&self->allow_hosts);
    *self = (hp_options_t){0};
}

static void print_option(FILE *out, const option_t *option)
{
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", option->name, option->value != NULL ? " " : "",
             option->value != NULL ? option->value : "");
    fprintf(out, "  %-29s %s", left, option->help);
    if (option->fallback != NULL)
        fprintf(out, " (default %s)", option->fallback);
    fputc('\n', out);
}

void hp_options_print_client_help(FILE *out)
{
    for (size_t i = 0; i < HP_COUNT(options); i++)
        if (options[i].client)
            print_option(out, &options[i]);
}

void hp_options_each(void (*fn)(void *arg, const hp_option_help_t *option), void *arg)
{
    for (size_t i = 0; i < HP_COUNT(options); i++) {
        char variable[64];
        const option_t *option = &options[i];
        bool anywhere = option->kind != HP_OPTION_COMMAND;
        fn(arg, &(hp_option_help_t){.name = option->name,
                                    .value = option->value,
                                    .fallback = option->fallback,
                                    .help = option->help,
                                    .variable = anywhere ? environment_name(option, variable) : NULL});
    }
}

void hp_options_print_help(FILE *out)
{
    for (size_t i = 0; i < HP_COUNT(options); i++)
        print_option(out, &options[i]);
    fputs("\nEvery option but the last three can also be given in the environment, as HOSTPAIR_ and its name "
          "in upper case\n"
          "with _ for -: HOSTPAIR_PEER_LISTEN=0.0.0.0:9000. The command line wins. A repeatable one takes "
          "several values\n"
          "between commas there; one without a value takes 1 or 0. Port 0 takes a free one.\n",
          out);
}
