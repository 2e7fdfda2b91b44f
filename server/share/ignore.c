/* Most patterns are a plain text with a star before or behind it: those are compared without fnmatch(3),
 * which takes longer than the rest of what a walk does with a file. */
#include "share/ignore.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"

#define SPECIAL "*?[\\"

typedef enum { WHOLE, BEGINNING, END, ANY } kind_t;

typedef struct pattern {
    char *text; /* without its star, unless ANY */
    size_t length;
    kind_t kind;
} pattern_t;

struct hp_ignore {
    char *all;
    bool dotfiles;
    HP_ARRAY(pattern_t) patterns;
};

static pattern_t compile(const char *text)
{
    size_t length = strlen(text);
    pattern_t pattern = {.kind = ANY};
    size_t special = strcspn(text, SPECIAL);
    if (special == length)
        pattern.kind = WHOLE;
    else if (special == length - 1 && text[special] == '*')
        pattern.kind = BEGINNING, length--;
    else if (text[0] == '*' && strcspn(text + 1, SPECIAL) == length - 1)
        pattern.kind = END, text++, length--;
    pattern.text = hp_strndup(text, length);
    pattern.length = length;
    return pattern;
}

static bool matches(const pattern_t *pattern, const char *name, size_t length)
{
    switch (pattern->kind) {
    case WHOLE:
        return length == pattern->length && memcmp(name, pattern->text, length) == 0;
    case BEGINNING:
        return length >= pattern->length && memcmp(name, pattern->text, pattern->length) == 0;
    case END:
        return length >= pattern->length &&
               memcmp(name + length - pattern->length, pattern->text, pattern->length) == 0;
    case ANY:
        break;
    }
    return fnmatch(pattern->text, name, 0) == 0;
}

/* What is wrong with one pattern; NULL: nothing. */
static const char *fault(const char *pattern)
{
    const char *star = pattern + strspn(pattern, "*");
    if (strchr(pattern, '/') != NULL)
        return "holds a \"/\": patterns are compared with names, not with paths";
    if (*star == '\0')
        return "would leave out everything";
    if (strlen(pattern) > HP_NAME_MAX)
        return "is longer than a name can be";
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == '\\' && *++p == '\0')
            return "ends with a \"\\\" that has nothing behind it";
        if (*p != '[')
            continue;
        const char *first = p + 1 + (p[1] == '!' || p[1] == '^');
        const char *end = *first != '\0' ? strchr(first + 1, ']') : NULL;
        if (end == NULL)
            return "has a \"[\" without its \"]\"";
        p = end;
    }
    return NULL;
}

int hp_ignore_check(const char *patterns, hp_err_t *err)
{
    size_t count = 0;
    int rc = 0;
    if (!hp_utf8_valid(patterns, strlen(patterns)) || hp_utf8_has_control(patterns, strlen(patterns)))
        return hp_err_set(err, HP_E_INVALID,
                          "must be UTF-8 without control characters; a blank separates two patterns");
    char *copy = hp_strdup(patterns), *rest = NULL;
    for (char *one = strtok_r(copy, " ", &rest); one != NULL && rc == 0; one = strtok_r(NULL, " ", &rest)) {
        const char *what = fault(one);
        if (what != NULL)
            rc = hp_err_set(err, HP_E_INVALID, "the pattern %.100s %s", one, what);
        else if (++count > HP_IGNORE_MAX)
            rc = hp_err_set(err, HP_E_INVALID, "there are more than %d patterns", HP_IGNORE_MAX);
    }
    free(copy);
    return rc;
}

hp_ignore_t *hp_ignore_create(const char *patterns, bool dotfiles)
{
    hp_ignore_t *self = hp_alloc(sizeof *self);
    self->all = hp_strdup(patterns);
    self->dotfiles = dotfiles;
    char *copy = hp_strdup(patterns), *rest = NULL;
    for (char *one = strtok_r(copy, " ", &rest); one != NULL; one = strtok_r(NULL, " ", &rest))
        if (fault(one) == NULL)
            *hp_array_add(&self->patterns) = compile(one);
    free(copy);
    return self;
}

void hp_ignore_destroy(hp_ignore_t *self)
{
    if (self == NULL)
        return;
    for (size_t i = 0; i < self->patterns.count; i++)
        free(self->patterns.items[i].text);
    hp_array_dispose(&self->patterns);
    free(self->all);
    free(self);
}

bool hp_ignore_is(const hp_ignore_t *self, const char *patterns, bool dotfiles)
{
    if (self == NULL)
        return dotfiles && patterns[0] == '\0';
    return self->dotfiles == dotfiles && strcmp(self->all, patterns) == 0;
}

bool hp_ignore_has(const hp_ignore_t *self, const char *name)
{
    if (self == NULL)
        return false;
    if (name[0] == '.' && !self->dotfiles)
        return true;
    size_t length = strlen(name);
    for (size_t i = 0; i < self->patterns.count; i++)
        if (matches(&self->patterns.items[i], name, length))
            return true;
    return false;
}

bool hp_ignore_has_path(const hp_ignore_t *self, const char *path)
{
    if (self == NULL)
        return false;
    char *copy = hp_strdup(path), *rest = NULL;
    bool found = false;
    for (char *name = strtok_r(copy, "/", &rest); name != NULL && !found; name = strtok_r(NULL, "/", &rest))
        found = hp_ignore_has(self, name);
    free(copy);
    return found;
}
