/* What the commands share: the table of them, and the state of the one that runs. */
#ifndef HP_CLI_INTERNAL_H
#define HP_CLI_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/options.h"
#include "cli/bar.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"

typedef struct hp_cli hp_cli_t;

/* What an argument is, for completion. */
typedef enum {
    HP_TAKES_LAST, /* the one before it goes for all that follow */
    HP_TAKES_NOTHING,
    HP_TAKES_HOST,
    HP_TAKES_EVERYONE, /* a host, or all of them */
    HP_TAKES_FOLDER,   /* of the host that the first argument names */
    HP_TAKES_PATH,
    HP_TAKES_SHARED, /* of what this host shares */
    HP_TAKES_FILE,   /* of this machine */
    HP_TAKES_COMMAND,
    HP_TAKES_SETTING,
    HP_TAKES_VALUE, /* of the setting that the first argument names */
    HP_TAKES_ACTION,
    HP_TAKES_ID, /* of a download, or of what the command lists */
} hp_takes_t;

typedef struct hp_command {
    const char *name, *arguments; /* as the usage shows them; NULL: none */
    const char *sentence;         /* what it does, for the list of commands */
    const char *more;             /* what its own help adds; NULL: nothing */
    const char *flags;            /* names of the options of its own, between spaces */
    size_t min, max;              /* how many arguments */
    hp_takes_t takes[3];
    const char *actions;       /* for HP_TAKES_ACTION: the words, between spaces */
    int (*run)(hp_cli_t *cli); /* the exit code */
    bool offline;              /* needs no hostpair that runs */
} hp_command_t;

/* The commands' own options. */
typedef struct hp_flags {
    bool json, no_wait, replace, keep, follow, refresh, new_key, yes, help, all, copy;
    const char *to, *limit, *count, *hub, *token, *pin, *user, *certificate;
    const char **headers; /* NULL-terminated; NULL none. Owned */
} hp_flags_t;

struct hp_cli {
    const hp_command_t *command;
    hp_options_t *options;
    hp_client_t *client;
    hp_flags_t flags;
    int argc; /* the words of the command line, the program first */
    char **argv;
    char **args; /* the arguments among them */
    size_t count;
    bool utf8;
    hp_term_t out, err; /* of standard output and standard error */
};

extern const hp_command_t hp_commands[];
const hp_command_t *hp_command_find(const char *name);

/* Sorts words into arguments and options. HP_E_INVALID with one line that names the word. */
int hp_cli_parse(hp_cli_t *self, hp_err_t *err);
void hp_cli_print_command_help(const hp_command_t *command, FILE *out);
/* Calls fn for each option that the command takes; value: its placeholder, NULL when it takes none. */
typedef void (*hp_cli_flag_fn)(void *arg, const char *name, const char *value, const char *help);
void hp_cli_each_flag(const hp_command_t *command, hp_cli_flag_fn fn, void *arg);

/* Prints the error as one line; gives the exit code. */
int hp_cli_fail(const hp_cli_t *self, const hp_err_t *err);
int hp_cli_usage(const hp_cli_t *self, const char *what);
/* The command line as it was given, for a shell; the caller frees. */
char *hp_cli_command_line(const hp_cli_t *self);

/* ---- hosts ---- */

/* Which host of the array a person means by text: an id or a part of it from its start (4 characters at
 * least), a name, an address with or without its port. 0 with its index; HP_E_NOT_FOUND; HP_E_CONFLICT,
 * naming those that it may be. */
int hp_host_match(const json_t *hosts, const char *text, size_t *index, hp_err_t *err);

/* The host that text means, for the caller to free; an address that is not known yet is made known. */
int hp_cli_find_host(hp_cli_t *self, const char *text, json_t **host, hp_err_t *err);

/* ---- files of a host ---- */

/* "/hosts/ID/files" with the query, "/share/files" without a host; cursor and part, which names must contain,
 * may be NULL. The caller frees. */
char *hp_cli_files_path(const char *host, const char *folder, const char *part, int limit,
                        const char *cursor);

/* All pages of a folder as one; at most so many, 0: all. With a part also what is deeper. */
int hp_cli_list(hp_cli_t *self, const char *host, const char *folder, const char *part, unsigned pages,
                json_t **page, hp_err_t *err);

/* A path as a person may write it: no slash at the start or the end, none twice, no "." segments; "" for the
 * top. The caller frees. */
char *hp_cli_tidy_path(const char *path);

/* ---- downloads and messages ---- */

/* How far a download is, for the bar: strings live as long as the download's JSON. */
hp_progress_t hp_cli_progress(const json_t *download);

/* Sends a text to a host's id or "everyone", gives hosts that are there the time to take it, and prints for
 * each what became of it. failed: a host did not take it, or there was none. */
int hp_cli_send_text(hp_cli_t *self, const char *to, const char *text, bool *failed, hp_err_t *err);

/* The fields of an order by URL that the options name: NULL when there are none; HP_E_INVALID. May ask for a
 * password. */
int hp_cli_web_fields(hp_cli_t *self, bool url, json_t **fields, hp_err_t *err);

/* ---- the commands ---- */

int hp_cli_hosts(hp_cli_t *cli);
int hp_cli_ls(hp_cli_t *cli);
int hp_cli_get(hp_cli_t *cli);
int hp_cli_downloads(hp_cli_t *cli);
int hp_cli_kept(hp_cli_t *cli);
int hp_cli_share(hp_cli_t *cli);
int hp_cli_folders(hp_cli_t *cli);
int hp_cli_send(hp_cli_t *cli);
int hp_cli_messages(hp_cli_t *cli);
int hp_cli_inbox(hp_cli_t *cli);
int hp_cli_push(hp_cli_t *cli);
int hp_cli_doctor(hp_cli_t *cli);
int hp_cli_pair(hp_cli_t *cli);
int hp_cli_unpair(hp_cli_t *cli);
int hp_cli_settings(hp_cli_t *cli);
int hp_cli_identity(hp_cli_t *cli);
int hp_cli_group(hp_cli_t *cli);
int hp_cli_menu(hp_cli_t *cli);
int hp_cli_help(hp_cli_t *cli);
int hp_cli_complete(hp_cli_t *cli);

#endif
