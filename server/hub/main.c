/* `hostpair hub`: its options and its life. */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/option_values.h"
#include "hub/hub.h"
#include "os/sandbox.h"

#define QUIT_MS                                                                                              \
    4000             /* then what has not ended is left to the kernel; all that was promised is on the disk  \
                      */
#define TOKEN_MIN 16 /* characters of a token */
#define TOKEN_MAX 512

typedef struct settings {
    hp_listen_t listen;
    char *data, *port_file, *advertise, *groups, *token_file, *relay_limit, *relay_group_limit;
    hp_log_level_t log;
    bool no_relay, no_sandbox, help;
} settings_t;

typedef struct option {
    const char *name, *value; /* value: its placeholder; NULL: a flag */
    hp_option_kind_t kind;
    size_t field;
    const char *fallback, *help;
} option_t;

#define FIELD(member) offsetof(settings_t, member)

static const option_t options[] = {
    {"listen", "ADDR:PORT", HP_OPTION_LISTEN, FIELD(listen), "[::]:9010",
     "TCP for hosts and relays; UDP on this port and the next one"},
    {"data", "DIR", HP_OPTION_FOLDER, FIELD(data), "$XDG_STATE_HOME/hostpair-hub",
     "the folder of the key and the database"},
    {"port-file", "FILE", HP_OPTION_FILE_PATH, FIELD(port_file), NULL,
     "written when the hub listens: {\"port\":N,\"fingerprint\":\"...\"}"},
    {"advertise", "HOST[:PORT]", HP_OPTION_TEXT, FIELD(advertise), NULL,
     "where hosts reach the relay, when it is not where they reach the hub"},
    {"groups", "open|token", HP_OPTION_TEXT, FIELD(groups), "open",
     "who may make groups: everybody, or who shows the token"},
    {"token-file", "FILE", HP_OPTION_FILE_PATH, FIELD(token_file), NULL,
     "holds the token for --groups token"},
    {"relay-limit", "RATE", HP_OPTION_TEXT, FIELD(relay_limit), NULL,
     "bytes a second that are relayed in all: 500k, 20M"},
    {"relay-group-limit", "RATE", HP_OPTION_TEXT, FIELD(relay_group_limit), NULL,
     "bytes a second that are relayed for one group"},
    {"no-relay", NULL, HP_OPTION_FLAG, FIELD(no_relay), NULL,
     "relay nothing: hosts that cannot connect directly do not connect"},
    {"no-sandbox", NULL, HP_OPTION_FLAG, FIELD(no_sandbox), NULL,
     "do not give up the system calls and rights to files that are never needed"},
    {"log", "LEVEL", HP_OPTION_LEVEL, FIELD(log), "info", "error, warn, info or debug"},
    {"help", NULL, HP_OPTION_FLAG, FIELD(help), NULL, "print this"},
};

static void print_help(void)
{
    puts("Usage: hostpair hub [OPTION]...\n"
         "Runs a hub: a server at which hosts of one group find each other across networks. It belongs on a "
         "machine with\n"
         "a public address. What hosts send each other is encrypted between them; the hub cannot read it.\n");
    for (size_t i = 0; i < HP_COUNT(options); i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", options[i].name, options[i].value != NULL ? " " : "",
                 options[i].value != NULL ? options[i].value : "");
        printf("  %-28s %s%s%s%s\n", left, options[i].help, options[i].fallback != NULL ? " (" : "",
               options[i].fallback != NULL ? options[i].fallback : "",
               options[i].fallback != NULL ? ")" : "");
    }
    puts("\nEach option can be set in the environment: --relay-limit is HOSTPAIR_HUB_RELAY_LIMIT.\n"
         "Exit codes: 0 it was ended by SIGINT or SIGTERM; 1 it could not start, the reason is printed; 2 "
         "wrong use.");
}

static int set(settings_t *self, const option_t *option, const char *text, const char *from, hp_err_t *err)
{
    int rc = hp_option_set(option->kind, (char *)self + option->field, text, false, err);
    if (rc != 0)
        hp_err_prefix(err, "--%s%s: ", option->name, from);
    return rc;
}

static int read_defaults(settings_t *self, hp_err_t *err)
{
    int rc = 0;
    for (size_t i = 0; i < HP_COUNT(options) && rc == 0; i++)
        if (options[i].fallback != NULL && options[i].kind != HP_OPTION_FOLDER)
            rc = set(self, &options[i], options[i].fallback, "", err);
    return rc;
}

static int read_environment(settings_t *self, hp_err_t *err)
{
    int rc = 0;
    for (size_t i = 0; i < HP_COUNT(options) && rc == 0; i++) {
        char name[64] = "HOSTPAIR_HUB_";
        size_t used = strlen(name);
        for (const char *p = options[i].name; *p != '\0'; p++)
            name[used++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        name[used] = '\0';
        const char *text = getenv(name);
        if (text != NULL && text[0] != '\0')
            rc = set(self, &options[i], text, " (from the environment)", err);
    }
    return rc;
}

static int read_argument(settings_t *self, int argc, char **argv, int *index, hp_err_t *err)
{
    const char *argument = argv[*index], *equals = strchr(argument, '=');
    size_t length = equals != NULL ? (size_t)(equals - argument) : strlen(argument);
    for (size_t i = 0; i < HP_COUNT(options); i++) {
        const option_t *option = &options[i];
        if (strncmp(argument, "--", 2) != 0 || strlen(option->name) + 2 != length ||
            strncmp(argument + 2, option->name, length - 2) != 0)
            continue;
        const char *text = equals != NULL ? equals + 1 : option->value == NULL ? "true" : NULL;
        if (text == NULL && *index + 1 < argc)
            text = argv[++*index];
        if (text == NULL)
            return hp_err_set(err, HP_E_INVALID, "--%s needs a value: %s", option->name, option->value);
        return set(self, option, text, "", err);
    }
    return hp_err_set(err, HP_E_INVALID, "%s is no option of the hub; \"hostpair hub --help\" lists them",
                      argument);
}

/* "500k", "20M", "1G": bytes a second. */
static int read_rate(const char *name, const char *text, uint64_t *out, hp_err_t *err)
{
    static const char units[] = "kMG";
    char *end;
    if (text == NULL)
        return 0;
    double number = strtod(text, &end);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    for (const char *p = units; unit != NULL && p <= unit; p++)
        number *= 1000;
    if (end == text || (*end != '\0' && (unit == NULL || end[1] != '\0')) || !(number >= 1) || number > 1e15)
        return hp_err_set(err, HP_E_INVALID, "--%s: \"%s\" is not a rate; write 500k or 20M", name, text);
    *out = (uint64_t)number;
    return 0;
}

static int read_token(const settings_t *self, char **token, hp_err_t *err)
{
    bool is_open = false, wanted = strcmp(self->groups, "token") == 0;
    if (!wanted && strcmp(self->groups, "open") != 0)
        return hp_err_set(err, HP_E_INVALID, "--groups: \"%s\" is none of open, token", self->groups);
    if (!wanted)
        return 0;
    if (self->token_file == NULL)
        return hp_err_set(err, HP_E_INVALID, "--groups token needs --token-file");
    int rc = hp_option_read_token(self->token_file, token, &is_open, err);
    if (rc != 0)
        hp_err_prefix(err, "--token-file: ");
    else if (is_open)
        hp_log(HP_LOG_WARN, "hub: others than its owner can read %s", self->token_file);
    return rc;
}

static int read_settings(settings_t *self, int argc, char **argv, hp_hub_options_t *hub, char **token,
                         hp_err_t *err)
{
    int rc = read_defaults(self, err);
    if (rc == 0)
        rc = read_environment(self, err);
    for (int i = 1; i < argc && rc == 0; i++)
        rc = read_argument(self, argc, argv, &i, err);
    if (rc != 0 || self->help)
        return rc;
    if (self->data == NULL)
        rc = set(self, &options[1], options[1].fallback, "", err);
    if (rc == 0 && self->listen.port == UINT16_MAX)
        rc = hp_err_set(err, HP_E_INVALID,
                        "--listen: the port after 65535 is needed for UDP, and there is none");
    if (rc == 0)
        rc = read_token(self, token, err);
    if (rc == 0)
        rc = read_rate("relay-limit", self->relay_limit, &hub->relay_limit_bps, err);
    if (rc == 0)
        rc = read_rate("relay-group-limit", self->relay_group_limit, &hub->relay_group_limit_bps, err);
    hub->address = self->listen.address;
    hub->port = self->listen.port;
    hub->data = self->data;
    hub->advertise = self->advertise;
    hub->token = *token;
    hub->relay = !self->no_relay;
    return rc;
}

static void dispose_settings(settings_t *self)
{
    free(self->data);
    free(self->port_file);
    free(self->advertise);
    free(self->groups);
    free(self->token_file);
    free(self->relay_limit);
    free(self->relay_group_limit);
}

/* ---- its life ---- */

typedef struct process {
    uv_loop_t loop;
    uv_signal_t signals[2];
    uv_timer_t quit_timer;
    hp_hub_t *hub;
    bool quitting;
} process_t;

static void on_hub_closed(void *arg)
{
    process_t *self = arg;
    uv_close((uv_handle_t *)&self->quit_timer, NULL);
    for (size_t i = 0; i < HP_COUNT(self->signals); i++)
        uv_close((uv_handle_t *)&self->signals[i], NULL);
}

static void on_quit_late(uv_timer_t *timer)
{
    (void)timer;
    hp_log(HP_LOG_WARN, "hub: the disk does not answer; leaving without waiting for it");
    _exit(0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    process_t *self = handle->data;
    if (self->quitting)
        return;
    self->quitting = true;
    hp_log(HP_LOG_INFO, "hub: %s: ending", number == SIGINT ? "SIGINT" : "SIGTERM");
    uv_timer_start(&self->quit_timer, on_quit_late, QUIT_MS, 0);
    hp_hub_destroy(self->hub, on_hub_closed, self);
}

static int write_port_file(const settings_t *settings, const hp_hub_t *hub, hp_err_t *err)
{
    if (settings->port_file == NULL)
        return 0;
    char *text =
        hp_sprintf("{\"port\":%u,\"fingerprint\":\"%s\"}\n", hp_hub_port(hub), hp_hub_fingerprint(hub));
    int rc = hp_replace_file(settings->port_file, text, strlen(text), 0644);
    free(text);
    return rc == 0 ? 0 : hp_err_set(err, rc, "--port-file %s: %s", settings->port_file, hp_err_sentence(rc));
}

static int run(const settings_t *settings, const hp_hub_options_t *given)
{
    static process_t self;
    hp_err_t err = {0};
    hp_log_set_level(settings->log);
    if (!settings->no_sandbox) {
        hp_sandbox_t sandbox;
        hp_sandbox_enter((const char *const[]){settings->data, settings->port_file, NULL}, &sandbox);
    }
    uv_loop_init(&self.loop);
    int rc = hp_hub_create(&self.hub, &self.loop, given, &err);
    if (rc == 0)
        rc = write_port_file(settings, self.hub, &err);
    if (rc != 0) {
        fprintf(stderr, "hostpair hub: %s\n", hp_err_text(&err));
        if (self.hub != NULL)
            hp_hub_destroy(self.hub, NULL, NULL);
        uv_run(&self.loop, UV_RUN_DEFAULT);
        uv_loop_close(&self.loop);
        return 1;
    }
    uv_timer_init(&self.loop, &self.quit_timer);
    for (size_t i = 0; i < HP_COUNT(self.signals); i++) {
        uv_signal_init(&self.loop, &self.signals[i]);
        self.signals[i].data = &self;
        uv_signal_start(&self.signals[i], on_signal, i == 0 ? SIGTERM : SIGINT);
    }
    hp_log(HP_LOG_INFO, "hostpair hub %s on %s port %u; fingerprint %s", HP_VERSION, settings->listen.address,
           hp_hub_port(self.hub), hp_hub_fingerprint(self.hub));
    uv_run(&self.loop, UV_RUN_DEFAULT);
    uv_loop_close(&self.loop);
    return 0;
}

int hp_hub_main(int argc, char **argv)
{
    settings_t settings = {0};
    hp_hub_options_t hub = {0};
    char *token = NULL;
    hp_err_t err = {0};
    int code = 2;
    if (read_settings(&settings, argc, argv, &hub, &token, &err) != 0) {
        fprintf(stderr, "hostpair hub: %s\n", hp_err_text(&err));
    } else if (settings.help) {
        print_help();
        code = 0;
    } else {
        code = run(&settings, &hub);
    }
    free(token);
    dispose_settings(&settings);
    uv_library_shutdown();
    return code;
}
