#include "chosen.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"

#define FIELD "name="

/* NULL when it is badly encoded, or longer than any path. */
static char *decode(const char *text, size_t length)
{
    char out[HP_PATH_MAX + 1];
    char *spaced = hp_strndup(text, length);
    for (char *p = spaced; *p != '\0'; p++)
        if (*p == '+')
            *p = ' ';
    size_t used;
    int rc = hp_path_decode(spaced, length, out, sizeof out, &used);
    free(spaced);
    return rc == 0 ? hp_strndup(out, used) : NULL;
}

static int take(hp_chosen_t *self, const char *value, size_t length, hp_err_t *err)
{
    if (self->count == HP_CHOSEN_MAX)
        return hp_err_set(err, HP_E_INVALID, "name: at most %u names can be chosen", HP_CHOSEN_MAX);
    char *name = decode(value, length);
    if (name == NULL)
        return hp_err_set(err, HP_E_INVALID, "name: number %zu is badly encoded or too long",
                          self->count + 1);
    self->names = hp_realloc(self->names, (self->count + 1) * sizeof *self->names);
    self->names[self->count++] = name;
    return 0;
}

int hp_chosen_read(hp_chosen_t *self, const char *text, size_t length, hp_err_t *err)
{
    const size_t field = strlen(FIELD);
    const char *end = text + length;
    bool asked = false;
    int rc = 0;
    *self = (hp_chosen_t){0};
    while (text < end && rc == 0) {
        const char *mark = memchr(text, '&', (size_t)(end - text));
        size_t size = (size_t)((mark != NULL ? mark : end) - text);
        if (size >= field && memcmp(text, FIELD, field) == 0) {
            asked = true;
            if (size > field)
                rc = take(self, text + field, size - field, err);
        }
        text += size + 1;
    }
    if (rc == 0 && asked && self->count == 0)
        rc = hp_err_set(err, HP_E_INVALID, "Choose at least one file or folder");
    if (rc != 0)
        hp_chosen_dispose(self);
    return rc;
}

void hp_chosen_dispose(hp_chosen_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->names[i]);
    free(self->names);
    *self = (hp_chosen_t){0};
}
