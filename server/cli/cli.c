#include "cli/internal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

/* ---- the commands and their options ---- */

#define HOST_HELP                                                                                            \
    "HOST is a host's name, its address with or without a port, or its id or the first characters of "       \
    "that.\n"                                                                                                \
    "An address that is not known yet is asked, and known from then on.\n"

const hp_command_t hp_commands[] = {
    {.name = "hosts",
     .sentence = "list the hosts that are known",
     .flags = "json",
     .takes = {HP_TAKES_NOTHING},
     .run = hp_cli_hosts},
    {.name = "ls",
     .arguments = "HOST [FOLDER]",
     .sentence = "list the files of a host",
     .more = HOST_HELP "The list is the one that is kept here and fetched again when it changes.\n",
     .flags = "refresh json",
     .min = 1,
     .max = 2,
     .takes = {HP_TAKES_HOST, HP_TAKES_FOLDER},
     .run = hp_cli_ls},
    {.name = "get",
     .arguments = "HOST PATH...",
     .sentence = "download files and folders, and wait for them",
     .more =
         HOST_HELP "A path is as ls shows it; / is everything. Instead of HOST PATH, http:// and https:// "
                   "addresses may stand;\n"
                   "-H, --user and --certificate are for those.\n"
                   "It prints where each file or folder landed. Ctrl-C pauses the downloads; the same "
                   "command goes on where they were.\n"
                   "When the terminal is closed, or with --no-wait, they go on by themselves.\n",
     .flags = "to limit copy header user certificate no-wait json",
     .min = 1,
     .max = SIZE_MAX,
     .takes = {HP_TAKES_HOST, HP_TAKES_PATH},
     .run = hp_cli_get},
    {.name = "downloads",
     .arguments = "[pause|resume|retry|remove ID...]",
     .sentence = "list the downloads, or change some",
     .more = "ID is the number in the list; pause and resume also take \"all\". What remove takes out of the "
             "list is lost as far\n"
             "as it is unfinished, unless --keep is given; a finished file always stays.\n",
     .flags = "keep json",
     .max = SIZE_MAX,
     .takes = {HP_TAKES_ACTION, HP_TAKES_ID},
     .actions = "pause resume retry remove",
     .run = hp_cli_downloads},
    {.name = "kept",
     .arguments = "[remove ID...|remove --all]",
     .sentence = "list what was kept of cancelled downloads, or remove it",
     .more = "ID is the number in the list. The next order of the same file or folder goes on with what is "
             "kept.\n",
     .flags = "all json",
     .max = SIZE_MAX,
     .takes = {HP_TAKES_ACTION, HP_TAKES_ID},
     .actions = "remove",
     .run = hp_cli_kept},
    {.name = "share",
     .arguments = "PATH...",
     .sentence = "offer files and folders to the other hosts",
     .more =
         "They are copied into the shared folder. Ctrl-C leaves what was copied; the same command goes on "
         "there.\n"
         "\"hostpair folders add\" shares a folder where it is, without a copy.\n",
     .flags = "to replace json",
     .min = 1,
     .max = SIZE_MAX,
     .takes = {HP_TAKES_FILE},
     .run = hp_cli_share},
    {.name = "folders",
     .arguments = "[add PATH [NAME]|remove NAME]",
     .sentence = "list the folders that are shared in place, add or remove one",
     .more = "Other hosts see the files of PATH below NAME, which is the folder's own name if left out. "
             "Nothing is "
             "copied, and remove\n"
             "removes no file.\n",
     .flags = "json",
     .max = 3,
     .takes = {HP_TAKES_ACTION, HP_TAKES_FILE, HP_TAKES_NOTHING},
     .actions = "add remove",
     .run = hp_cli_folders},
    {.name = "send",
     .arguments = "HOST|everyone TEXT...",
     .sentence = "send a message",
     .more = HOST_HELP "TEXT - is read from standard input.\n",
     .flags = "json",
     .min = 2,
     .max = SIZE_MAX,
     .takes = {HP_TAKES_EVERYONE, HP_TAKES_NOTHING},
     .run = hp_cli_send},
    {.name = "messages",
     .arguments = "[HOST|everyone]",
     .sentence = "print the newest messages, unread ones marked",
     .more = HOST_HELP "What a terminal has shown counts as read.\n",
     .flags = "count follow json",
     .max = 1,
     .takes = {HP_TAKES_EVERYONE, HP_TAKES_NOTHING},
     .run = hp_cli_messages},
    {.name = "push",
     .arguments = "HOST PATH...",
     .sentence = "offer shared files and folders to a host or a device, and wait until it has them",
     .more = HOST_HELP
     "A path is one of the shared folder, as \"hostpair share\" prints it. Somebody there accepts "
     "the offer within a minute,\n"
     "and the host fetches the files; a device with LocalSend is sent them. A host that is away is "
     "asked once it is back.\n"
     "Ctrl-C takes the offer back. The exit status is 1 where none of it is taken.\n",
     .flags = "pin no-wait json",
     .min = 2,
     .max = SIZE_MAX,
     .takes = {HP_TAKES_HOST, HP_TAKES_SHARED},
     .run = hp_cli_push},
    {.name = "inbox",
     .arguments = "[accept|decline|cancel ID...]",
     .sentence = "list the files that others want to send here, or answer them",
     .more =
         "ID is the number in the list. An offer waits for a minute. What is accepted lands in "
         "Received/SENDER "
         "below the\n"
         "downloads folder, or where --to says. Who may send without being asked about: hostpair settings "
         "receive.\n",
     .flags = "to json",
     .max = SIZE_MAX,
     .takes = {HP_TAKES_ACTION, HP_TAKES_ID},
     .actions = "accept decline cancel",
     .run = hp_cli_inbox},
    {.name = "pair",
     .arguments = "HOST",
     .sentence = "pair a host: compare six digits with the person there",
     .more =
         HOST_HELP "The person there runs the same command, or looks at the dashboard. Both hosts show the "
                   "same six digits, unless\n"
                   "somebody is between them. It takes two minutes at most.\n",
     .flags = "",
     .min = 1,
     .max = 1,
     .takes = {HP_TAKES_HOST, HP_TAKES_NOTHING},
     .run = hp_cli_pair},
    {.name = "unpair",
     .arguments = "HOST",
     .sentence = "end the pairing with a host",
     .more = HOST_HELP "A host that is away hears of it when it is back.\n",
     .flags = "",
     .min = 1,
     .max = 1,
     .takes = {HP_TAKES_HOST, HP_TAKES_NOTHING},
     .run = hp_cli_unpair},
    {.name = "settings",
     .arguments = "[NAME [VALUE]]",
     .sentence = "list the settings, or change one",
     .more =
         "A change takes effect at once and stays over a restart. A speed may be written as 500k or 2M.\n",
     .flags = "json",
     .max = 2,
     .takes = {HP_TAKES_SETTING, HP_TAKES_VALUE, HP_TAKES_NOTHING},
     .run = hp_cli_settings},
    {.name = "identity",
     .sentence = "print who this host is to others, or make it another one",
     .more = "The fingerprint is that of the key by which other hosts know this one; compare it where it "
             "matters.\n"
             "It is read from the data folder, whether hostpair runs or not. For --new it must not run.\n",
     .flags = "new yes json",
     .takes = {HP_TAKES_NOTHING},
     .run = hp_cli_identity,
     .offline = true},
    {.name = "group",
     .arguments = "[create|join|invite|renew|leave ...]",
     .sentence = "find hosts in other networks: groups that meet at a hub",
     .more = "  group [list]                 list the groups, and whether their hubs are reached\n"
             "  group create NAME            make a group at the hub that --hub names, and print its invite\n"
             "  group join INVITE [NAME]     join the group of an invite, and call it NAME\n"
             "  group invite GROUP           print the invite again; whoever has it can join\n"
             "  group renew GROUP            a new invite: who does not get it is out\n"
             "  group leave GROUP            be a member no more\n"
             "GROUP is its name or the number in the list. \"hostpair hub\" runs a hub.\n",
     .flags = "hub token json",
     .max = 3,
     .takes = {HP_TAKES_ACTION, HP_TAKES_NOTHING},
     .actions = "list create join invite renew leave",
     .run = hp_cli_group},
    {.name = "menu",
     .sentence = "all of this in numbered menus, for people who do not know commands",
     .more =
         "It asks for a number in one line, and works on any terminal, over ssh, and with a pipe at either "
         "end.\n"
         "0 goes back, Enter alone looks again. Ctrl-D and Ctrl-C leave it; downloads go on.\n"
         "It speaks Chinese where LC_ALL, LC_MESSAGES or LANG says so, and English elsewhere.\n"
         "Without a hostpair that runs it ends with code 1.\n",
     .flags = "",
     .takes = {HP_TAKES_NOTHING},
     .run = hp_cli_menu,
     .offline = true},
    {.name = "doctor",
     .arguments = "[HOST]",
     .sentence = "find out why hosts are missing",
     .more = "It looks at this machine's networks and packet filter, and with HOST at all that lies between "
             "the two, both "
             "ways.\n"
             "HOST is a name or an id as \"hostpair hosts\" shows it, or any address or name of a machine. "
             "Nothing is "
             "changed.\n"
             "It works without a hostpair that runs, as far as that goes; as root it can read the packet "
             "filter.\n"
             "Exit codes of this command: 0 nothing is wrong; 1 something was found; 2 it could not look.\n",
     .flags = "json",
     .max = 1,
     .takes = {HP_TAKES_HOST, HP_TAKES_NOTHING},
     .run = hp_cli_doctor,
     .offline = true},
    {.name = "help",
     .arguments = "[COMMAND]",
     .sentence = "print this list, or what one command does",
     .flags = "",
     .max = 1,
     .takes = {HP_TAKES_COMMAND, HP_TAKES_NOTHING},
     .run = hp_cli_help,
     .offline = true},
    {.name = NULL},
};

/* For the shell's completion, not for people: the words of a command line, the last one unfinished. */
static const hp_command_t complete = {.name = "complete",
                                      .flags = "",
                                      .max = SIZE_MAX,
                                      .takes = {HP_TAKES_NOTHING},
                                      .run = hp_cli_complete,
                                      .offline = true};

typedef struct {
    const char *name, *value; /* value: its placeholder, NULL: it takes none */
    size_t field;
    const char *help;
} flag_t;

static const flag_t flags[] = {
    {"to", "FOLDER", offsetof(hp_flags_t, to), "put it into this folder, below the usual one"},
    {"limit", "RATE", offsetof(hp_flags_t, limit), "at most so many bytes a second: 500k, 2M"},
    {"copy", NULL, offsetof(hp_flags_t, copy), "fetch it once more where it is here already"},
    {"header", "'NAME: VALUE'", offsetof(hp_flags_t, headers),
     "send this with each request, also -H; several may be given"},
    {"user", "NAME[:PASSWORD]", offsetof(hp_flags_t, user),
     "log in at the web server; a password that is not given is asked for"},
    {"certificate", "SHA256", offsetof(hp_flags_t, certificate),
     "the fingerprint of the certificate that the web server shows, whoever signed it"},
    {"hub", "HOST[:PORT]", offsetof(hp_flags_t, hub), "the hub at which the group meets"},
    {"token", "TOKEN", offsetof(hp_flags_t, token),
     "the hub's token, where not everybody may make groups there"},
    {"pin", "PIN", offsetof(hp_flags_t, pin), "the PIN that the other host asks for"},
    {"no-wait", NULL, offsetof(hp_flags_t, no_wait), "order it and do not wait"},
    {"keep", NULL, offsetof(hp_flags_t, keep), "keep what is there of an unfinished download"},
    {"all", NULL, offsetof(hp_flags_t, all), "everything in the list"},
    {"replace", NULL, offsetof(hp_flags_t, replace), "replace files that are there already"},
    {"count", "N", offsetof(hp_flags_t, count), "print so many, 20 if not given"},
    {"follow", NULL, offsetof(hp_flags_t, follow), "go on printing those that come"},
    {"refresh", NULL, offsetof(hp_flags_t, refresh), "ask the host for its list first"},
    {"new", NULL, offsetof(hp_flags_t, new_key), "make another key; the old one's file is kept beside it"},
    {"yes", NULL, offsetof(hp_flags_t, yes), "do not ask"},
    {"json", NULL, offsetof(hp_flags_t, json), "print what the API says, as JSON"},
};

static bool takes_flag(const hp_command_t *command, const flag_t *flag)
{
    size_t length = strlen(flag->name);
    for (const char *p = command->flags; (p = strstr(p, flag->name)) != NULL; p += length)
        if ((p == command->flags || p[-1] == ' ') && (p[length] == ' ' || p[length] == '\0'))
            return true;
    return false;
}

const hp_command_t *hp_command_find(const char *name)
{
    for (const hp_command_t *command = hp_commands; command->name != NULL; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return strcmp(name, complete.name) == 0 ? &complete : NULL;
}

void hp_cli_each_flag(const hp_command_t *command, hp_cli_flag_fn fn, void *arg)
{
    for (size_t i = 0; i < HP_COUNT(flags); i++)
        if (takes_flag(command, &flags[i]))
            fn(arg, flags[i].name, flags[i].value, flags[i].help);
}

/* ---- help ---- */

static void print_exit_codes(FILE *out)
{
    fputs("Exit codes: 0 it is done; 1 it failed, the reason is printed; 2 wrong use; 3 no hostpair runs; "
          "130 Ctrl-C.\n",
          out);
}

static void print_usage(const hp_command_t *command, FILE *out)
{
    fprintf(out, "Usage: hostpair %s%s%s", command->name, command->arguments != NULL ? " " : "",
            command->arguments != NULL ? command->arguments : "");
    for (size_t i = 0; i < HP_COUNT(flags); i++)
        if (takes_flag(command, &flags[i]))
            fprintf(out, " [--%s%s%s]", flags[i].name, flags[i].value != NULL ? " " : "",
                    flags[i].value != NULL ? flags[i].value : "");
    fputc('\n', out);
}

void hp_cli_print_command_help(const hp_command_t *command, FILE *out)
{
    print_usage(command, out);
    fprintf(out, "%c%s.\n\n", command->sentence[0] - 'a' + 'A', command->sentence + 1);
    if (command->more != NULL)
        fprintf(out, "%s\n", command->more);
    for (size_t i = 0; i < HP_COUNT(flags); i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", flags[i].name, flags[i].value != NULL ? " " : "",
                 flags[i].value != NULL ? flags[i].value : "");
        if (takes_flag(command, &flags[i]))
            fprintf(out, "  %-29s %s\n", left, flags[i].help);
    }
    fputs("\nWhere the hostpair that runs is found:\n", out);
    hp_options_print_client_help(out);
    fputc('\n', out);
    print_exit_codes(out);
}

void hp_cli_print_help(FILE *out)
{
    fputs("Usage: hostpair [OPTION]...\n"
          "       hostpair COMMAND [ARGUMENT]...\n"
          "Shares files with the other hosts of the network, and serves a dashboard to this one. A command "
          "asks "
          "the\n"
          "hostpair that runs already.\n\nCommands:\n",
          out);
    for (const hp_command_t *command = hp_commands; command->name != NULL; command++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", command->name,
                 command->arguments != NULL ? command->arguments : "");
        fprintf(out, "  %-44s %s\n", left, command->sentence);
    }
    fputs("\n\"hostpair COMMAND --help\" tells more. \"hostpair hub\" runs a hub, \"hostpair hub --help\" "
          "tells "
          "how.\n",
          out);
    print_exit_codes(out);
    fputs("\nOptions:\n", out);
    hp_options_print_help(out);
}

int hp_cli_help(hp_cli_t *cli)
{
    const hp_command_t *command = cli->count > 0 ? hp_command_find(cli->args[0]) : NULL;
    if (cli->count > 0 && command == NULL) {
        hp_say(stderr, "hostpair: %s is not a command; see hostpair help", cli->args[0]);
        return HP_EXIT_USAGE;
    }
    if (command != NULL)
        hp_cli_print_command_help(command, stdout);
    else
        hp_cli_print_help(stdout);
    return 0;
}

/* ---- errors ---- */

int hp_cli_fail(const hp_cli_t *self, const hp_err_t *err)
{
    (void)self;
    hp_say(stderr, "hostpair: %s", hp_err_text(err));
    return err->code == HP_E_UNREACHABLE ? HP_EXIT_NOT_RUNNING : HP_EXIT_FAILED;
}

int hp_cli_usage(const hp_cli_t *self, const char *what)
{
    hp_say(stderr, "hostpair: %s; see hostpair %s --help", what, self->command->name);
    return HP_EXIT_USAGE;
}

/* ---- the words of the command line ---- */

char *hp_cli_command_line(const hp_cli_t *self)
{
    char *line = hp_strdup("");
    for (int i = 0; i < self->argc; i++) {
        char *word = hp_text_quote(self->argv[i]);
        char *longer = hp_sprintf("%s%s%s", line, i > 0 ? " " : "", word);
        free(word);
        free(line);
        line = longer;
    }
    return line;
}

/* The one that has a letter, and may be given several times. */
static bool is_header(const flag_t *flag)
{
    return flag->field == offsetof(hp_flags_t, headers);
}

static void add_header(hp_flags_t *to, const char *line)
{
    size_t count = 0;
    while (to->headers != NULL && to->headers[count] != NULL)
        count++;
    to->headers = hp_realloc(to->headers, (count + 2) * sizeof *to->headers);
    to->headers[count] = line;
    to->headers[count + 1] = NULL;
}

/* value: what stands behind "=", NULL none. */
static int take_flag(hp_cli_t *self, const flag_t *flag, const char *value, int *index, hp_err_t *err)
{
    void *field = (char *)&self->flags + flag->field;
    if (flag->value == NULL && value != NULL)
        return hp_err_set(err, HP_E_INVALID, "--%s takes no value", flag->name);
    if (flag->value == NULL) {
        *(bool *)field = true;
        return 0;
    }
    if (value == NULL && *index + 1 >= self->argc)
        return hp_err_set(err, HP_E_INVALID, "--%s needs a value: %s", flag->name, flag->value);
    if (value == NULL)
        value = self->argv[++*index];
    if (is_header(flag))
        add_header(&self->flags, value);
    else
        *(const char **)field = value;
    return 0;
}

/* Reads the option at argv[*index], which may be one of the command or one that tells where hostpair is. */
static int read_option(hp_cli_t *self, int *index, hp_err_t *err)
{
    const char *word = self->argv[*index], *name = word + 2, *equals = strchr(word, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
        self->flags.help = true;
        return 0;
    }
    for (size_t i = 0; i < HP_COUNT(flags); i++) {
        const flag_t *flag = &flags[i];
        if (!takes_flag(self->command, flag))
            continue;
        if (word[1] == 'H' && is_header(flag))
            return take_flag(self, flag, word[2] != '\0' ? word + 2 : NULL, index, err);
        if (word[1] == '-' && strlen(flag->name) == length && strncmp(flag->name, name, length) == 0)
            return take_flag(self, flag, equals != NULL ? equals + 1 : NULL, index, err);
    }
    int rc = hp_options_read_client(self->options, self->argc, self->argv, index, err);
    if (rc == HP_E_NOT_FOUND)
        return hp_err_set(err, HP_E_INVALID, "%s is not an option of this command; see hostpair %s --help",
                          word, self->command->name);
    return rc;
}

/* Whether the word is an option of one letter that the command has. */
static bool is_letter(const hp_cli_t *self, const char *word)
{
    for (size_t i = 0; i < HP_COUNT(flags); i++)
        if (is_header(&flags[i]) && strncmp(word, "-H", 2) == 0 && takes_flag(self->command, &flags[i]))
            return true;
    return strcmp(word, "-h") == 0;
}

int hp_cli_parse(hp_cli_t *self, hp_err_t *err)
{
    bool options = strcmp(self->command->name, complete.name) != 0;
    self->args = hp_alloc_array((size_t)self->argc, sizeof *self->args);
    for (int i = self->options->command + 1; i < self->argc; i++) {
        char *word = self->argv[i];
        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (options && (strncmp(word, "--", 2) == 0 || is_letter(self, word))) {
            int rc = read_option(self, &i, err);
            if (rc != 0)
                return rc;
        } else {
            self->args[self->count++] = word;
        }
    }
    return 0;
}

/* What goes into JSON or a URL is UTF-8. Names of files here may be anything. */
static bool is_text(const hp_cli_t *self)
{
    if (self->command->takes[0] == HP_TAKES_FILE)
        return true;
    for (size_t i = 0; i < self->count; i++)
        if (!hp_utf8_valid(self->args[i], strlen(self->args[i])))
            return false;
    return true;
}

static int run(hp_cli_t *self)
{
    hp_err_t err = {0};
    if (hp_cli_parse(self, &err) != 0) {
        hp_say(stderr, "hostpair: %s", hp_err_text(&err));
        return HP_EXIT_USAGE;
    }
    if (self->flags.help) {
        hp_cli_print_command_help(self->command, stdout);
        return 0;
    }
    if (self->count < self->command->min)
        return hp_cli_usage(self, "an argument is missing");
    if (self->count > self->command->max)
        return hp_cli_usage(self, "there are too many arguments");
    const char *to = self->flags.to != NULL ? self->flags.to : "";
    if (!is_text(self) || !hp_utf8_valid(to, strlen(to)))
        return hp_cli_usage(self, "an argument is not UTF-8");
    if (!self->command->offline && hp_client_create(&self->client, self->options, &err) != 0) {
        bool down = err.code == HP_E_UNREACHABLE;
        hp_say(stderr, "hostpair: %s%s", hp_err_text(&err), down ? "; start it with: hostpair" : "");
        return down ? HP_EXIT_NOT_RUNNING : HP_EXIT_FAILED;
    }
    return self->command->run(self);
}

/* Files that are opened later must not become standard output or standard error when these are closed. */
static void open_standard_streams(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int hp_cli_run(hp_options_t *options, int argc, char **argv)
{
    open_standard_streams();
    hp_cli_t self = {.options = options, .argc = argc, .argv = argv};
    self.utf8 = hp_text_init();
    self.out = hp_term_of(stdout, self.utf8);
    self.err = hp_term_of(stderr, self.utf8);
    self.command = hp_command_find(argv[options->command]);
    if (self.command == NULL) {
        hp_say(stderr, "hostpair: %.100s is neither an option nor a command; see hostpair --help",
               argv[options->command]);
        return HP_EXIT_USAGE;
    }
    int code = run(&self);
    if (self.client != NULL)
        hp_client_destroy(self.client);
    free(self.args);
    free(self.flags.headers);
    /* A full disk or a closed pipe behind standard output is a failure as well. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0) {
        hp_say(stderr, "hostpair: standard output cannot be written");
        code = HP_EXIT_FAILED;
    }
    if (code == HP_EXIT_INTERRUPTED)
        hp_term_end_interrupted();
    return code;
}
