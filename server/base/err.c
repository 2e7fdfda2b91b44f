#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const struct {
    int code, status;
    const char *slug, *sentence;
} errors[] = {
#define X(name, n, slug, status, text) {HP_E_##name, status, slug, text},
    HP_ERRORS(X)
#undef X
};

static const char *no_access; /* NULL: strerror's words */

static int find(int code)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code)
            return (int)i;
    return -1;
}

int hp_err_set(hp_err_t *err, int code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        err->code = code;
        vsnprintf(err->detail, sizeof err->detail, format, args);
        va_end(args);
        hp_utf8_cut(err->detail);
    }
    return code;
}

void hp_err_prefix(hp_err_t *err, const char *format, ...)
{
    if (err == NULL)
        return;
    char old[sizeof err->detail];
    snprintf(old, sizeof old, "%s", hp_err_text(err));
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->detail, sizeof err->detail, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->detail)
        snprintf(err->detail + n, sizeof err->detail - (size_t)n, "%s", old);
    hp_utf8_cut(err->detail);
}

const char *hp_err_text(const hp_err_t *err)
{
    return err->detail[0] != '\0' ? err->detail : hp_err_sentence(err->code);
}

const char *hp_err_slug(int code)
{
    int i = find(code);
    if (i >= 0)
        return errors[i].slug;
    return code == -ENOSPC || code == -EDQUOT ? "no-space" : "system";
}

int hp_err_status(int code)
{
    int i = find(code);
    if (i >= 0)
        return errors[i].status;
    return code == -ENOSPC || code == -EDQUOT ? 507 : 500;
}

const char *hp_err_sentence(int code)
{
    int i = find(code);
    if (i >= 0)
        return errors[i].sentence;
    if (code == -EACCES && no_access != NULL)
        return no_access;
    const char *name = code < 0 && code > -4000 ? strerrordesc_np(-code) : NULL;
    return name != NULL ? name : "Unknown error";
}

void hp_err_explain_no_access(const char *sentence)
{
    no_access = sentence;
}
