#include "doctor/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define TEXT_MAX 1500

/* Names of hosts and of files are strangers' texts. */
static char *printable(const char *format, va_list args)
{
    char text[TEXT_MAX], clean[TEXT_MAX];
    vsnprintf(text, sizeof text, format, args);
    hp_utf8_cut(text);
    return hp_strdup(hp_utf8_printable(text, strlen(text), clean, sizeof clean));
}

hp_finding_t *hp_findings_add(hp_findings_t *self, hp_severity_t severity, const char *slug,
                              const char *format, ...)
{
    hp_finding_t *finding = hp_array_add(self);
    va_list args;
    va_start(args, format);
    finding->text = printable(format, args);
    va_end(args);
    finding->slug = slug;
    finding->severity = severity;
    finding->data = json_object();
    return finding;
}

void hp_finding_todo(hp_finding_t *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    free(self->todo);
    self->todo = printable(format, args);
    va_end(args);
}

void hp_finding_command(hp_finding_t *self, const char *command)
{
    free(self->command);
    self->command = command[0] != '\0' ? hp_strdup(command) : NULL;
}

void hp_finding_text(hp_finding_t *self, const char *name, const char *value)
{
    char clean[TEXT_MAX];
    hp_utf8_printable(value, strlen(value), clean, sizeof clean);
    json_object_set_new(self->data, name, json_string(clean));
}

void hp_finding_number(hp_finding_t *self, const char *name, int64_t value)
{
    json_object_set_new(self->data, name, json_integer(value));
}

static void dispose(hp_finding_t *finding)
{
    free(finding->text);
    free(finding->todo);
    free(finding->command);
    json_decref(finding->data);
}

void hp_findings_remove(hp_findings_t *self, const char *slug)
{
    for (size_t i = self->count; i-- > 0;) {
        if (strcmp(self->items[i].slug, slug) != 0)
            continue;
        dispose(&self->items[i]);
        hp_array_remove(self, i);
    }
}

bool hp_findings_have_command(const hp_findings_t *self, const char *command)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->items[i].command != NULL && strcmp(self->items[i].command, command) == 0)
            return true;
    return false;
}

void hp_findings_dispose(hp_findings_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        dispose(&self->items[i]);
    hp_array_dispose(self);
}

void hp_findings_take(hp_findings_t *self, hp_findings_t *from)
{
    for (size_t i = 0; i < from->count; i++)
        *hp_array_add(self) = from->items[i];
    hp_array_dispose(from);
}

static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

json_t *hp_findings_json(const hp_findings_t *self)
{
    static const char *const severities[] = {
        [HP_FINDING_OK] = "ok", [HP_FINDING_NOTE] = "note", [HP_FINDING_PROBLEM] = "problem"};
    json_t *list = json_array();
    for (size_t i = 0; i < self->count; i++) {
        const hp_finding_t *finding = &self->items[i];
        json_t *json = json_object();
        json_object_set_new(json, "slug", json_string(finding->slug));
        json_object_set_new(json, "severity", json_string(severities[finding->severity]));
        json_object_set_new(json, "text", json_string(finding->text));
        json_object_set_new(json, "todo", text_or_null(finding->todo));
        json_object_set_new(json, "command", text_or_null(finding->command));
        json_object_set(json, "data", finding->data);
        json_array_append_new(list, json);
    }
    return list;
}
