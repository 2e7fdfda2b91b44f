/* The line that shows how far something is: on a terminal one line, drawn over itself; elsewhere a line every
 * few seconds. One thread. */
#ifndef HP_CLI_BAR_H
#define HP_CLI_BAR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/term.h"

typedef struct hp_progress {
    const char *name;         /* text of any origin */
    int64_t done, total;      /* bytes; total below 0: not known */
    int64_t speed_bps, eta_s; /* below 0: not known, not shown */
    int sources;              /* 0: not shown */
    const char *note;         /* what it waits for, instead of speed and time; NULL: nothing */
} hp_progress_t;

/* The line, at most `columns` wide, for the caller to free. */
char *hp_bar_text(const hp_progress_t *progress, int columns, bool glyphs);

typedef struct hp_bar {
    FILE *out;
    bool utf8, drawn;
    uint64_t next_ms; /* where there is no terminal: when the next line is due */
} hp_bar_t;

void hp_bar_init(hp_bar_t *self, FILE *out, bool utf8);

/* Draws it; now: even where a line is not due yet. */
void hp_bar_show(hp_bar_t *self, const hp_progress_t *progress, bool now);

/* Leaves what was drawn and goes to the next line; or takes it away, so that something else can be printed.
 */
void hp_bar_end(hp_bar_t *self);
void hp_bar_clear(hp_bar_t *self);

#endif
