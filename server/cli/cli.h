/* The commands for a terminal: "hostpair hosts", "hostpair get" and the others. Each is a client of the REST
 * API of the hostpair that runs already; none opens the database or listens. Blocks; a process that runs a
 * command does nothing else. */
#ifndef HP_CLI_CLI_H
#define HP_CLI_CLI_H

#include <stdio.h>

#include "base/options.h"

/* Exit codes besides 0. The last is never given: the process ends by the signal, which a shell shows so. */
#define HP_EXIT_FAILED      1
#define HP_EXIT_USAGE       2
#define HP_EXIT_NOT_RUNNING 3
#define HP_EXIT_INTERRUPTED 130

/* Of "hostpair doctor", besides 0: nothing is wrong. */
#define HP_DOCTOR_EXIT_FOUND     1
#define HP_DOCTOR_EXIT_COULD_NOT 2

/* Runs the command argv[options->command]; options are those that stood before it, and those behind it are
 * added to them. The exit code. */
int hp_cli_run(hp_options_t *options, int argc, char **argv);

/* What --help prints: the usage, the commands, the options, the exit codes. */
void hp_cli_print_help(FILE *out);

#endif
