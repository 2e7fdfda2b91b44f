/* What a client has chosen of a folder: the fields "name" of a query or a form
 * (application/x-www-form-urlencoded), "name=a&name=b+c". Pure; any thread. */
#ifndef HP_PEER_CHOSEN_H
#define HP_PEER_CHOSEN_H

#include <stddef.h>

#include "base/err.h"

#define HP_CHOSEN_MAX 4096u /* names */

typedef struct hp_chosen {
    char **names; /* decoded, not yet checked, each with at least one byte */
    size_t count; /* 0: the text has no such field */
} hp_chosen_t;

/* 0; or HP_E_INVALID with words when there are too many, one is badly encoded, or none of the fields has a
 * value: a form in which nothing was chosen. Other fields are passed over. */
int hp_chosen_read(hp_chosen_t *self, const char *text, size_t length, hp_err_t *err);
void hp_chosen_dispose(hp_chosen_t *self);

#endif
