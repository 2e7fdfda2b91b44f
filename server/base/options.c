#include "base/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"

#define NOWHERE SIZE_MAX /* no field */

typedef enum {
    LISTEN,  /* ADDR:PORT */
    ADDRESS, /* ADDR[:PORT], kept as text */
    ADDRESSES,
    NAMES, /* host names, repeatable */
    FOLDER,
    EXISTING_FOLDER,
    FILE_PATH,
    TEXT,  /* a name for people */
    TOKEN, /* visible ASCII */
    TOKEN_FILE,
    LEVEL,
    FLAG,
    COMMAND, /* a flag that the environment cannot set: what it does ends the program */
} kind_t;

/* One option. `name` without its dashes also gives the environment variable. */
typedef struct {
    const char *name, *value; /* value: its placeholder, NULL for a flag */
    kind_t kind;
    bool client;          /* tells a command where the running hostpair is */
    size_t field, given;  /* offsets in hp_options_t; given: the flag that says it was asked for */
    const char *fallback; /* the default as text, read like a given one; NULL none */
    const char *help;
} option_t;

#define FIELD(member) offsetof(hp_options_t, member)

static const option_t options[] = {
    {.name = "peer-listen",
     .value = "ADDR:PORT",
     .kind = LISTEN,
     .field = FIELD(peer_listen),
     .given = FIELD(peer_listen.given),
     .fallback = "[::]:9000",
     .help = "where other hosts reach this one"},
    {.name = "dashboard-listen",
     .value = "ADDR:PORT",
     .kind = LISTEN,
     .field = FIELD(dashboard_listen),
     .given = FIELD(dashboard_listen.given),
     .fallback = "127.0.0.1:9001",
     .help = "where the dashboard and its API are served",
     .client = true},
    {.name = "share",
     .value = "DIR",
     .kind = FOLDER,
     .field = FIELD(share),
     .given = FIELD(share_given),
     .fallback = "~/hostpair/shared",
     .help = "the folder offered to other hosts, made if missing"},
    {.name = "downloads",
     .value = "DIR",
     .kind = FOLDER,
     .field = FIELD(downloads),
     .given = FIELD(downloads_given),
     .fallback = "~/hostpair/downloads",
     .help = "the folder that downloads land in, made if missing"},
    {.name = "data",
     .value = "DIR",
     .kind = FOLDER,
     .field = FIELD(data),
     .given = FIELD(data_given),
     .fallback = "$XDG_STATE_HOME/hostpair",
     .help = "the folder of the database, made if missing",
     .client = true},
    {.name = "name",
     .value = "NAME",
     .kind = TEXT,
     .field = FIELD(name),
     .given = FIELD(name_given),
     .help = "what other hosts call this one; the machine's name if never set"},
    {.name = "host",
     .value = "ADDR[:PORT]",
     .kind = ADDRESSES,
     .field = FIELD(hosts),
     .given = NOWHERE,
     .help = "a host to connect to, besides those that are found; repeatable"},
    {.name = "advertise",
     .value = "ADDR[:PORT]",
     .kind = ADDRESS,
     .field = FIELD(advertise),
     .given = NOWHERE,
     .help = "the address that other hosts are told, when it is not this machine's own"},
    {.name = "no-scan",
     .kind = FLAG,
     .field = FIELD(no_scan),
     .given = NOWHERE,
     .help = "no timed scans of the local networks"},
    {.name = "no-beacon",
     .kind = FLAG,
     .field = FIELD(no_beacon),
     .given = NOWHERE,
     .help = "no announcements by UDP, and none heard"},
    {.name = "dashboard-token",
     .value = "TOKEN",
     .kind = TOKEN,
     .field = FIELD(dashboard_token),
     .given = NOWHERE,
     .help = "what the dashboard asks for, at least 8 characters; needed to listen beyond loopback",
     .client = true},
    {.name = "dashboard-token-file",
     .value = "FILE",
     .kind = TOKEN_FILE,
     .field = FIELD(token_file),
     .given = NOWHERE,
     .help = "a file with that token, which the list of processes then does not show",
     .client = true},
    {.name = "allow-host",
     .value = "NAME",
     .kind = NAMES,
     .field = FIELD(allow_hosts),
     .given = NOWHERE,
     .help = "a further host name by which the dashboard may be called; repeatable"},
    {.name = "log",
     .value = "LEVEL",
     .kind = LEVEL,
     .field = FIELD(log),
     .given = NOWHERE,
     .fallback = "info",
     .help = "error, warn, info or debug"},
    {.name = "port-file",
     .value = "FILE",
     .kind = FILE_PATH,
     .field = FIELD(port_file),
     .given = NOWHERE,
     .help = "written once both listeners are up: {\"peer\":N,\"dashboard\":N}",
     .client = true},
    {.name = "web-root",
     .value = "DIR",
     .kind = EXISTING_FOLDER,
     .field = FIELD(web_root),
     .given = NOWHERE,
     .help = "serve the dashboard's files from this folder instead of the built-in ones"},
    {.name = "check",
     .kind = COMMAND,
     .field = FIELD(check),
     .given = NOWHERE,
     .help = "ask the running hostpair whether it answers: exit code 0 or 1"},
    {.name = "version",
     .kind = COMMAND,
     .field = FIELD(version),
     .given = NOWHERE,
     .help = "print the version"},
    {.name = "help", .kind = COMMAND, .field = FIELD(help), .given = NOWHERE, .help = "print this list"},
};

static void *field_of(hp_options_t *self, size_t offset)
{
    return (char *)self + offset;
}

/* ---- folders ---- */

static const char *home(void)
{
    const char *given = getenv("HOME");
    if (given != NULL && given[0] == '/')
        return given;
    const struct passwd *entry = getpwuid(getuid());
    return entry != NULL && entry->pw_dir != NULL && entry->pw_dir[0] == '/' ? entry->pw_dir : NULL;
}

/* Takes out "." and empty segments and a slash at the end; ".." stays, since a link may stand before it. */
static void tidy(char *path)
{
    char *out = path;
    for (const char *p = path; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n > 0 && !(n == 1 && *p == '.')) {
            *out++ = '/';
            memmove(out, p, n);
            out += n;
        }
        p += n;
        p += strspn(p, "/");
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
}

/* The absolute path, malloced, of what a person wrote or a default says; NULL with the words in err. */
static char *absolute(const char *text, hp_err_t *err)
{
    static const char state[] = "$XDG_STATE_HOME/";
    const char *xdg = getenv("XDG_STATE_HOME");
    char *path;
    if (text[0] == '/') {
        path = hp_strdup(text);
    } else if (strncmp(text, state, strlen(state)) == 0 && xdg != NULL && xdg[0] == '/') {
        path = hp_sprintf("%s/%s", xdg, text + strlen(state));
    } else if (strncmp(text, "~/", 2) == 0 || strcmp(text, "~") == 0 ||
               strncmp(text, state, strlen(state)) == 0) {
        const char *in = text[0] == '$' ? ".local/state" : "", *rest = strchr(text, '/');
        if (home() == NULL) {
            hp_err_set(err, HP_E_INVALID, "there is no home folder to put %s in", text);
            return NULL;
        }
        path = hp_sprintf("%s/%s/%s", home(), in, rest != NULL ? rest : "");
    } else {
        char *here = getcwd(NULL, 0);
        if (here == NULL) {
            hp_err_set(err, HP_E_INVALID, "the current folder is not known (%s)", strerror(errno));
            return NULL;
        }
        path = hp_sprintf("%s/%s", here, text);
        free(here);
    }
    if (strlen(path) >= PATH_MAX) {
        hp_err_set(err, HP_E_INVALID, "the path is too long");
        free(path);
        return NULL;
    }
    tidy(path);
    return path;
}

/* ---- values ---- */

static void add_string(hp_strings_t *list, const char *text, size_t length)
{
    list->items = hp_realloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = hp_strndup(text, length);
}

static void clear_strings(hp_strings_t *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (hp_strings_t){0};
}

static void replace(char **field, char *text)
{
    free(*field);
    *field = text;
}

static int check_address(const char *text, hp_err_t *err)
{
    char address[64];
    uint16_t port;
    int rc = hp_address_parse_url(text, HP_DEFAULT_PEER_PORT, address, &port, err);
    return rc == 0 && port == 0 ? hp_err_set(err, HP_E_INVALID, "\"%s\" has port 0", text) : rc;
}

static int check_host_name(const char *text, hp_err_t *err)
{
    size_t length = strlen(text);
    if (length == 0 || length > 253)
        return hp_err_set(err, HP_E_INVALID, "\"%s\" is no host name", text);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= 0x20 || c >= 0x7f || strchr("/\\\"'@?#%,", c) != NULL)
            return hp_err_set(err, HP_E_INVALID, "\"%s\" is no host name", text);
    }
    return 0;
}

static int check_name(const char *text, hp_err_t *err)
{
    size_t length = strlen(text);
    if (length == 0 || length > HP_NAME_MAX)
        return hp_err_set(err, HP_E_INVALID, "a name has 1 to %d bytes", HP_NAME_MAX);
    if (!hp_utf8_valid(text, length) || hp_utf8_has_control(text, length))
        return hp_err_set(err, HP_E_INVALID, "a name is UTF-8 text without control characters");
    return 0;
}

static int check_token(const char *text, hp_err_t *err)
{
    for (const char *p = text; *p != '\0'; p++)
        if (*p <= 0x20 || *p >= 0x7f)
            return hp_err_set(err, HP_E_INVALID, "a token is made of visible ASCII characters");
    if (strlen(text) < HP_TOKEN_MIN)
        return hp_err_set(err, HP_E_INVALID, "a token has at least %d characters", HP_TOKEN_MIN);
    return 0;
}

/* The token is the file's only line. */
static int read_token(hp_options_t *self, const char *path, hp_err_t *err)
{
    char text[1024];
    struct stat st;
    FILE *file = fopen(path, "re");
    if (file == NULL || fstat(fileno(file), &st) != 0) {
        int rc = hp_err_set(err, HP_E_INVALID, "%s: %s", path, hp_err_sentence(-errno));
        if (file != NULL)
            fclose(file);
        return rc;
    }
    size_t length = fread(text, 1, sizeof text - 1, file);
    bool failed = ferror(file) != 0, more = length == sizeof text - 1;
    fclose(file);
    while (length > 0 && strchr("\r\n \t", text[length - 1]) != NULL)
        length--;
    text[length] = '\0';
    int rc = 0;
    if (failed || more || length == 0)
        rc = hp_err_set(err, HP_E_INVALID, "%s %s", path,
                        failed ? "cannot be read"
                        : more ? "is too long for a token"
                               : "is empty");
    else if ((rc = check_token(text, err)) != 0)
        hp_err_prefix(err, "%s: ", path);
    else
        replace(&self->dashboard_token, hp_strdup(text));
    explicit_bzero(text, sizeof text);
    self->token_file_open = (st.st_mode & (S_IRWXG | S_IRWXO)) != 0;
    return rc;
}

static int set_listen(hp_listen_t *listen, const char *text, hp_err_t *err)
{
    bool given = listen->given;
    uint16_t no_port = 0;
    const char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');
    bool has_port = bracket != NULL ? colon > bracket : colon != NULL && strchr(text, ':') == colon;
    hp_listen_t read = {.given = given};
    if (!has_port)
        return hp_err_set(err, HP_E_INVALID, "\"%s\" is no ADDR:PORT", text);
    int rc = hp_address_parse(text, no_port, read.address, &read.port, err);
    if (rc == 0)
        *listen = read;
    return rc;
}

static int set_folder(char **field, const char *text, bool must_exist, hp_err_t *err)
{
    struct stat st;
    char *path = absolute(text, err);
    if (path == NULL)
        return HP_E_INVALID;
    if (must_exist && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))) {
        hp_err_set(err, HP_E_INVALID, "%s is no folder", path);
        free(path);
        return HP_E_INVALID;
    }
    replace(field, path);
    return 0;
}

/* Reads a list: one item on the command line, several between commas or spaces in the environment. */
static int add_items(hp_strings_t *list, const char *text, bool several,
                     int (*check)(const char *, hp_err_t *), hp_err_t *err)
{
    for (const char *p = text; *p != '\0';) {
        size_t n = several ? strcspn(p, ", ") : strlen(p);
        if (n > 0) {
            add_string(list, p, n);
            int rc = check(list->items[list->count - 1], err);
            if (rc != 0)
                return rc;
        }
        p += n;
        p += several ? strspn(p, ", ") : 0;
    }
    return 0;
}

static int set_checked(char **field, const char *text, int (*check)(const char *, hp_err_t *), hp_err_t *err)
{
    int rc = check(text, err);
    if (rc == 0)
        replace(field, hp_strdup(text));
    return rc;
}

static int set_flag(bool *field, const char *text, hp_err_t *err)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"1", true},  {"true", true},   {"yes", true}, {"on", true},
                 {"0", false}, {"false", false}, {"no", false}, {"off", false}};
    for (size_t i = 0; i < HP_COUNT(words); i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *field = words[i].value;
            return 0;
        }
    }
    return hp_err_set(err, HP_E_INVALID, "\"%s\" is neither true nor false", text);
}

/* Puts a value, as text, into the option's field. several: text may hold a whole list. */
static int set_value(hp_options_t *self, const option_t *option, const char *text, bool several,
                     hp_err_t *err)
{
    void *field = field_of(self, option->field);
    if (text[0] == '\0')
        return hp_err_set(err, HP_E_INVALID, "the value is empty");
    switch (option->kind) {
    case LISTEN:
        return set_listen(field, text, err);
    case ADDRESS:
        return set_checked(field, text, check_address, err);
    case ADDRESSES:
        return add_items(field, text, several, check_address, err);
    case NAMES:
        return add_items(field, text, several, check_host_name, err);
    case FOLDER:
    case FILE_PATH:
        return set_folder(field, text, false, err);
    case EXISTING_FOLDER:
        return set_folder(field, text, true, err);
    case TEXT:
        return set_checked(field, text, check_name, err);
    case TOKEN:
        return set_checked(field, text, check_token, err);
    case TOKEN_FILE: {
        int rc = set_folder(field, text, false, err);
        return rc == 0 ? read_token(self, self->token_file, err) : rc;
    }
    case LEVEL:
        if (hp_log_level_parse(text, field) != 0)
            return hp_err_set(err, HP_E_INVALID, "\"%s\" is not one of error, warn, info, debug", text);
        return 0;
    case FLAG:
    case COMMAND:
        return set_flag(field, text, err);
    }
    return HP_E_INVALID;
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
        bool later = option->kind == FOLDER;
        if (option->fallback == NULL || later)
            continue;
        int rc = set_value(self, option, option->fallback, false, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Fills in all that it can; the first failure is returned. */
static int read_default_folders(hp_options_t *self, hp_err_t *err)
{
    int first = 0;
    for (size_t i = 0; i < HP_COUNT(options); i++) {
        const option_t *option = &options[i];
        if (option->kind != FOLDER || *(char **)field_of(self, option->field) != NULL)
            continue;
        int rc = set_value(self, option, option->fallback, false, first == 0 ? err : NULL);
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
        if (options[i].kind == COMMAND || text == NULL || text[0] == '\0')
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
    return option->kind == ADDRESSES || option->kind == NAMES;
}

/* Reads the argument at *index and, where it takes one, its value. */
static int read_argument(hp_options_t *self, int argc, char **argv, int *index, bool *seen, hp_err_t *err)
{
    const char *argument = argv[*index];
    if (strcmp(argument, "-h") == 0)
        argument = "--help";
    if (strncmp(argument, "--", 2) != 0 || argument[2] == '\0')
        return hp_err_set(err, HP_E_INVALID, "%s is no option; see --help", argument);
    const char *name = argument + 2, *equals = strchr(name, '=');
    const option_t *option = find(name, equals != NULL ? (size_t)(equals - name) : strlen(name));
    if (option == NULL)
        return hp_err_set(err, HP_E_INVALID, "%s is no option; see --help", argument);
    const char *text = equals != NULL ? equals + 1 : "true";
    if (option->value != NULL && equals == NULL) {
        if (*index + 1 >= argc || strncmp(argv[*index + 1], "--", 2) == 0)
            return hp_err_set(err, HP_E_INVALID, "--%s needs a value: %s", option->name, option->value);
        text = argv[++*index];
    }
    /* A list on the command line replaces the one of the environment. */
    if (is_list(option) && !seen[option - options])
        clear_strings(field_of(self, option->field));
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
    clear_strings(&self->hosts);
    clear_strings(&self->allow_hosts);
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

/* ---- addresses ---- */

/* Copies a numeric address in its usual form; an IPv6 address may carry a zone. */
static int canonical(const char *text, size_t length, char address[64])
{
    char host[64];
    if (length >= sizeof host)
        return HP_E_INVALID;
    memcpy(host, text, length);
    host[length] = '\0';
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return inet_ntop(AF_INET, &v4, address, 64) != NULL ? 0 : HP_E_INVALID;
    char *zone = strchr(host, '%');
    if (zone != NULL)
        *zone++ = '\0';
    struct in6_addr v6;
    if (inet_pton(AF_INET6, host, &v6) != 1 || inet_ntop(AF_INET6, &v6, address, INET6_ADDRSTRLEN) == NULL)
        return HP_E_INVALID;
    if (zone == NULL)
        return 0;
    size_t zone_length = strlen(zone), used = strlen(address);
    if (zone_length == 0 || zone_length >= IF_NAMESIZE || strpbrk(zone, "%/ []:") != NULL ||
        hp_utf8_has_control(zone, zone_length) || used + 1 + zone_length >= 64)
        return HP_E_INVALID;
    snprintf(address + used, 64 - used, "%%%s", zone);
    return 0;
}

int hp_address_parse(const char *text, uint16_t default_port, char address[64], uint16_t *port, hp_err_t *err)
{
    const char *host = text, *host_end, *after;
    if (text[0] == '[') {
        host = text + 1;
        host_end = strchr(host, ']');
        after = host_end != NULL ? host_end + 1 : NULL;
    } else {
        const char *colon = strchr(text, ':');
        bool bare_v6 = colon != NULL && strchr(colon + 1, ':') != NULL;
        host_end = colon == NULL || bare_v6 ? text + strlen(text) : colon;
        after = host_end;
    }
    if (host_end == NULL || canonical(host, (size_t)(host_end - host), address) != 0 ||
        (text[0] == '[' && strchr(address, ':') == NULL))
        return hp_err_set(err, HP_E_INVALID, "\"%s\" is no IP address, with or without a port", text);
    *port = default_port;
    if (*after == '\0')
        return 0;
    unsigned value = 0;
    const char *digit = after + 1;
    for (; *digit >= '0' && *digit <= '9' && value <= 65535; digit++)
        value = value * 10 + (unsigned)(*digit - '0');
    if (*after != ':' || digit == after + 1 || *digit != '\0' || value > 65535)
        return hp_err_set(err, HP_E_INVALID, "the port in \"%s\" is not a number from 0 to 65535", text);
    *port = (uint16_t)value;
    return 0;
}

int hp_address_parse_url(const char *text, uint16_t default_port, char address[64], uint16_t *port,
                         hp_err_t *err)
{
    static const char scheme[] = "http://";
    size_t skip = sizeof scheme - 1;
    if (strncasecmp(text, scheme, skip) != 0)
        return hp_address_parse(text, default_port, address, port, err);
    char *plain = hp_strdup(text + skip);
    size_t length = strlen(plain);
    if (length > 0 && plain[length - 1] == '/')
        plain[length - 1] = '\0';
    char *zone = strstr(plain, "%25"); /* how a URL writes the sign before an interface */
    if (zone != NULL)
        memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
    int rc = hp_address_parse(plain, default_port, address, port, err);
    free(plain);
    return rc;
}

char *hp_address_format(const char *address, uint16_t port, char out[HP_ADDRESS_SIZE])
{
    bool v6 = strchr(address, ':') != NULL;
    snprintf(out, HP_ADDRESS_SIZE, "%s%s%s:%u", v6 ? "[" : "", address, v6 ? "]" : "", port);
    return out;
}
