/* The terminal that a command talks to: its size, whether it takes colours, and the signals that come from
 * it. One thread. */
#ifndef HP_CLI_TERM_H
#define HP_CLI_TERM_H

#include <stdbool.h>
#include <stdio.h>

typedef struct hp_term {
    int columns; /* 0: no terminal */
    int rows;    /* 0: not known */
    bool draws;  /* a line can be drawn over */
    bool colour; /* a terminal that has colours, and NO_COLOR is not set */
    bool glyphs; /* shows more than ASCII */
} hp_term_t;

/* What the stream leads to. utf8: what hp_text_init said. */
hp_term_t hp_term_of(FILE *stream, bool utf8);

/* From now on Ctrl-C only sets a flag, the first time; a second one ends the program at once. */
void hp_term_catch(void);
bool hp_term_interrupted(void);

/* Waits so long, less when a signal comes. */
void hp_term_wait(int ms);

/* Asks the person at the terminal, on standard error, for a line that is not shown while it is typed. 0; -1
 * where there is no terminal, no line comes, or it does not fit. */
int hp_term_ask_secret(const char *question, char *answer, size_t size);

/* Ends the program as Ctrl-C would have, so that a shell's loop around it ends as well. */
void hp_term_end_interrupted(void);

#endif
