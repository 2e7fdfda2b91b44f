#include "propfind.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LEVELS_MAX 32   /* elements in one another */
#define BETWEEN    '\n' /* a namespace and a name, as expat gives them; in neither of them */

typedef struct {
    XML_Parser parser;
    hp_propfind_t *out;
    hp_err_t *err;
    int status; /* why it was stopped; 0 */
    unsigned level;
    bool asked;      /* one of the three questions was seen */
    bool takes_name; /* the element that is open at level 2 holds names of properties */
} reader_t;

static const char *const names[] = {
#define X(name, file, folder) #name,
    HP_DAV_PROPERTIES(X)
#undef X
};

static void stop(reader_t *self, int status, const char *why)
{
    if (self->status == 0)
        self->status = hp_err_set(self->err, status, "%s", why);
    XML_StopParser(self->parser, XML_FALSE);
}

/* Whether an element is this one of "DAV:". */
static bool is_dav(const char *element, const char *name)
{
    static const char space[] = "DAV:\n";
    return strncmp(element, space, sizeof space - 1) == 0 && strcmp(element + sizeof space - 1, name) == 0;
}

static void ask(reader_t *self, hp_propfind_kind_t kind)
{
    if (self->asked)
        stop(self, HP_E_BAD_REQUEST, "The propfind element asks more than one thing");
    self->asked = true;
    self->out->kind = kind;
}

static void add_other(reader_t *self, const char *element)
{
    hp_propfind_t *out = self->out;
    const char *between = strrchr(element, BETWEEN);
    const char *name = between != NULL ? between + 1 : element;
    for (size_t i = 0; i < out->others.count; i++)
        if (strcmp(out->others.items[i].name, name) == 0 &&
            strlen(out->others.items[i].space) == (size_t)(name - element) - (between != NULL) &&
            strncmp(out->others.items[i].space, element, strlen(out->others.items[i].space)) == 0)
            return;
    out->other_bytes += strlen(element);
    if (out->others.count == HP_PROPFIND_OTHERS_MAX || out->other_bytes > HP_PROPFIND_OTHERS_BYTES) {
        stop(self, HP_E_TOO_LARGE, "The request names too many properties that this host does not have");
        return;
    }
    *hp_array_add(&out->others) = (hp_propfind_other_t){
        .space = hp_strndup(element, (size_t)(name - element) - (between != NULL)),
        .name = hp_strdup(name),
    };
}

static void add_name(reader_t *self, const char *element)
{
    for (size_t i = 0; i < HP_COUNT(names); i++)
        if (is_dav(element, names[i])) {
            self->out->some[i] = true;
            return;
        }
    add_other(self, element);
}

/* What this version of WebDAV does not know is skipped with all that is in it (RFC 4918 section 17). */
static void XMLCALL on_start(void *arg, const XML_Char *element, const XML_Char **attributes)
{
    reader_t *self = arg;
    (void)attributes;
    if (self->level == LEVELS_MAX) {
        stop(self, HP_E_TOO_LARGE, "Too many elements are in one another");
        return;
    }
    unsigned level = self->level++;
    if (level == 0) {
        if (!is_dav(element, "propfind"))
            stop(self, HP_E_BAD_REQUEST, "The body is no propfind element");
    } else if (level == 1) {
        self->takes_name = is_dav(element, "prop") || is_dav(element, "include");
        if (is_dav(element, "prop"))
            ask(self, HP_PROPFIND_SOME);
        else if (is_dav(element, "allprop"))
            ask(self, HP_PROPFIND_ALL);
        else if (is_dav(element, "propname"))
            ask(self, HP_PROPFIND_NAMES);
    } else if (level == 2 && self->takes_name) {
        add_name(self, element);
    }
}

static void XMLCALL on_end(void *arg, const XML_Char *element)
{
    reader_t *self = arg;
    (void)element;
    self->level--;
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
                               const XML_Char *identifier, int has_subset)
{
    (void)name, (void)identifier, (void)has_subset;
    if (system != NULL)
        stop(arg, HP_E_FORBIDDEN, "The body refers to something outside of itself");
}

static void XMLCALL on_doctype_end(void *arg)
{
    stop(arg, HP_E_BAD_REQUEST, "A document type is not taken");
}

/* Before any content in which it could be used. */
static void XMLCALL on_entity(void *arg, const XML_Char *name, int is_parameter, const XML_Char *value,
                              int length, const XML_Char *base, const XML_Char *system,
                              const XML_Char *identifier, const XML_Char *notation)
{
    (void)name, (void)is_parameter, (void)value, (void)length, (void)base, (void)identifier, (void)notation;
    if (system != NULL)
        stop(arg, HP_E_FORBIDDEN, "The body refers to something outside of itself");
    else
        stop(arg, HP_E_BAD_REQUEST, "The body declares an entity");
}

static int judge(const reader_t *self, enum XML_Status parsed)
{
    if (self->status != 0)
        return self->status;
    if (parsed != XML_STATUS_OK)
        return hp_err_set(self->err, HP_E_BAD_REQUEST, "The body is no XML: %s in line %lu",
                          XML_ErrorString(XML_GetErrorCode(self->parser)),
                          (unsigned long)XML_GetCurrentLineNumber(self->parser));
    if (!self->asked)
        return hp_err_set(self->err, HP_E_BAD_REQUEST, "The propfind element asks nothing");
    return 0;
}

int hp_propfind_parse(hp_propfind_t *out, const void *body, size_t length, hp_err_t *err)
{
    *out = (hp_propfind_t){.kind = HP_PROPFIND_ALL};
    if (length == 0)
        return 0;
    if (length > HP_PROPFIND_BODY_MAX)
        return hp_err_set(err, HP_E_TOO_LARGE, "The body is longer than %zu bytes", HP_PROPFIND_BODY_MAX);
    reader_t self = {.parser = XML_ParserCreateNS(NULL, BETWEEN), .out = out, .err = err};
    if (self.parser == NULL)
        abort();
    XML_SetUserData(self.parser, &self);
    XML_SetElementHandler(self.parser, on_start, on_end);
    XML_SetDoctypeDeclHandler(self.parser, on_doctype, on_doctype_end);
    XML_SetEntityDeclHandler(self.parser, on_entity);
    int rc = judge(&self, XML_Parse(self.parser, body, (int)length, 1));
    XML_ParserFree(self.parser);
    if (rc != 0)
        hp_propfind_dispose(out);
    return rc;
}

void hp_propfind_dispose(hp_propfind_t *self)
{
    for (size_t i = 0; i < self->others.count; i++) {
        free(self->others.items[i].space);
        free(self->others.items[i].name);
    }
    hp_array_dispose(&self->others);
}
