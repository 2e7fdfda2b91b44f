/* Rows of a list: aligned columns cut to the terminal's width, or, where there is no terminal, one line a row
 * with tabs between the fields, no heading, nothing cut, numbers and times as the API has them. One thread.
 *
 * Fields are added one by one, in the order of the columns; a row is full with the last of them. */
#ifndef HP_CLI_TABLE_H
#define HP_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/term.h"

typedef struct hp_column {
    const char *title;
    bool right; /* aligned to the right */
    int min;    /* may be cut down to so many columns of the terminal; 0: is never cut */
    int drop;   /* 0: always shown; where there is no room the highest goes first */
} hp_column_t;

typedef enum { HP_PLAIN, HP_GREEN, HP_YELLOW, HP_RED, HP_BLUE, HP_DIM, HP_BOLD } hp_colour_t;

typedef struct hp_table hp_table_t;

/* columns must outlive the table. */
hp_table_t *hp_table_create(const hp_column_t *columns, size_t count, const hp_term_t *term);
void hp_table_destroy(hp_table_t *self);

/* Text of any origin; NULL is an empty field. */
void hp_table_text(hp_table_t *self, const char *text);
void hp_table_coloured(hp_table_t *self, const char *text, hp_colour_t colour);
/* Where there is no terminal the second text stands instead of the first. */
void hp_table_either(hp_table_t *self, const char *shown, const char *plain);
/* Below 0: not known. */
void hp_table_count(hp_table_t *self, int64_t value);
void hp_table_bytes(hp_table_t *self, int64_t value);
void hp_table_speed(hp_table_t *self, int64_t value);

void hp_table_print(const hp_table_t *self, FILE *out);

/* Starts and ends a colour where the terminal has any. */
const char *hp_colour_start(const hp_term_t *term, hp_colour_t colour);
const char *hp_colour_end(const hp_term_t *term, hp_colour_t colour);

#endif
