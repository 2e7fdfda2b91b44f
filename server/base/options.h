/* The options: one table gives the command line, the environment (HOSTPAIR_ + upper case), --help and the
 * README's table. Read once at start, constant afterwards. */
#ifndef HP_BASE_OPTIONS_H
#define HP_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/address.h"
#include "base/err.h"
#include "base/log.h"

/* An address to listen on: text as given without brackets, and the port (0 takes a free one). */
typedef struct hp_listen {
    char address[64];
    uint16_t port;
    bool given; /* asked for on the command line or in the environment: a taken port is then an error */
} hp_listen_t;

typedef struct hp_strings {
    char **items;
    size_t count, room;
} hp_strings_t;

typedef struct hp_options {
    hp_listen_t peer_listen, dashboard_listen;
    char *share, *downloads, *data; /* absolute paths */
    bool share_given, downloads_given, data_given, name_given;
    const char *left[2];  /* folders that were defaults, have files in them and are not used: a checkout's */
    char *name;           /* NULL: what the database says, else the machine's name */
    hp_strings_t hosts;   /* --host, "ADDR[:PORT]" as given */
    hp_strings_t folders; /* --share-folder, "NAME=PATH": PATH begins with the first "/" */
    char *advertise;      /* NULL or "ADDR[:PORT]" */
    bool no_scan, no_beacon, no_localsend, no_port_mapping, no_sandbox;
    char *dashboard_token; /* NULL: none */
    char *token_file;      /* where it was read from; NULL: it was not read from a file */
    bool token_file_open;  /* others than its owner may read that file */
    hp_strings_t allow_hosts;
    hp_log_level_t log;
    char *port_file, *web_root;
    bool check, version, help;
    int command; /* index of the first argument that is no option, a command's name; 0: there is none */
} hp_options_t;

/* Reads environment, then arguments (which win) up to a command's name. 0, or HP_E_INVALID with one line that
 * names the option: exit code 2. The caller disposes. With a command, a folder that is neither given nor has
 * a default (there is no home folder) stays NULL, and nothing is checked that only a server needs. */
int hp_options_read(hp_options_t *self, int argc, char **argv, hp_err_t *err);

/* Behind a command's name: reads argv[*index], and its value, which moves *index, when it is one of the
 * options that tell where the running hostpair is. HP_E_NOT_FOUND when it is not. */
int hp_options_read_client(hp_options_t *self, int argc, char **argv, int *index, hp_err_t *err);
void hp_options_dispose(hp_options_t *self);

/* An option as documentation shows it. */
typedef struct hp_option_help {
    const char *name, *value; /* without dashes; value: its placeholder, NULL for a flag */
    const char *fallback;     /* the default as text; NULL: none */
    const char *help;
    const char *variable; /* in the environment; NULL: it cannot be given there */
} hp_option_help_t;
void hp_options_each(void (*fn)(void *arg, const hp_option_help_t *option), void *arg);

/* What --help prints of the options; and only those of hp_options_read_client. */
void hp_options_print_help(FILE *out);
void hp_options_print_client_help(FILE *out);

#define HP_TOKEN_MIN 8 /* characters of a dashboard token */

#define HP_DEFAULT_PEER_PORT      9000
#define HP_DEFAULT_DASHBOARD_PORT 9001

#endif
