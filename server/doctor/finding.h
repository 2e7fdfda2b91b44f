/* What a look at the network has found, as values: each is a sentence for a person, with what to do about it.
 *
 * A finding has a slug, by which programs and the page's translations know it (both are part of the API), and
 * the values of its sentence by name. The array owns all of it. One thread. */
#ifndef HP_DOCTOR_FINDING_H
#define HP_DOCTOR_FINDING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/array.h"

typedef enum {
    HP_FINDING_OK,      /* as it should be */
    HP_FINDING_NOTE,    /* good to know */
    HP_FINDING_PROBLEM, /* something has to be done */
} hp_severity_t;

typedef struct hp_finding {
    const char *slug; /* static */
    hp_severity_t severity;
    char *text;    /* a sentence, UTF-8, without control characters */
    char *todo;    /* what to do, one or more sentences; NULL: nothing */
    char *command; /* one that can be pasted into a shell as it is; NULL: none */
    json_t *data;  /* the values of text and todo: an object of texts and numbers */
} hp_finding_t;

typedef HP_ARRAY(hp_finding_t) hp_findings_t;

/* The new one is valid until the next is added. */
hp_finding_t *hp_findings_add(hp_findings_t *self, hp_severity_t severity, const char *slug,
                              const char *format, ...) __attribute__((format(printf, 4, 5)));
void hp_finding_todo(hp_finding_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hp_finding_command(hp_finding_t *self, const char *command);
void hp_finding_text(hp_finding_t *self, const char *name, const char *value);
void hp_finding_number(hp_finding_t *self, const char *name, int64_t value);

bool hp_findings_have_command(const hp_findings_t *self, const char *command);
/* Takes out what has turned out to be wrong. */
void hp_findings_remove(hp_findings_t *self, const char *slug);
void hp_findings_dispose(hp_findings_t *self);
/* Moves all of `from` to the end of self. */
void hp_findings_take(hp_findings_t *self, hp_findings_t *from);

/* An array of {"slug","severity","text","todo","command","data"}; todo and command may be null. */
json_t *hp_findings_json(const hp_findings_t *self);

#endif
