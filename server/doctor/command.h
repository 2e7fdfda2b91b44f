/* Runs a command that only reads, and takes what it prints. No shell is between: the words are passed as they
 * are. It gets a plain environment (LC_ALL=C, the system's folders of programs), and is killed when it takes
 * too long. Blocks: pool threads, and commands. */
#ifndef HP_DOCTOR_COMMAND_H
#define HP_DOCTOR_COMMAND_H

#include <stdbool.h>

typedef enum {
    HP_COMMAND_DONE,   /* it ended with 0 */
    HP_COMMAND_ABSENT, /* there is no such program */
    HP_COMMAND_FAILED, /* it ended otherwise, was killed, or printed too much */
} hp_command_result_t;

/* words: the program and its arguments, then NULL. *out: what it printed, with NUL, for the caller to free;
 * never NULL. *errors: the same of standard error; may be NULL. */
hp_command_result_t hp_command_run(const char *const *words, char **out, char **errors);

/* Whether the system has such a program. */
bool hp_command_is_there(const char *program);

#endif
