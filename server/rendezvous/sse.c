#include "rendezvous/sse.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

void hp_sse_init(hp_sse_t *self, void (*on_event)(void *arg, const char *event, const char *data), void *arg)
{
    memset(self, 0, sizeof *self);
    hp_buf_init(&self->line, HP_SSE_MAX);
    hp_buf_init(&self->data, HP_SSE_MAX);
    self->on_event = on_event;
    self->arg = arg;
}

void hp_sse_dispose(hp_sse_t *self)
{
    hp_buf_dispose(&self->line);
    hp_buf_dispose(&self->data);
}

static void dispatch(hp_sse_t *self)
{
    if (self->data.length > 0) {
        self->data.data[self->data.length - 1] = '\0'; /* the line feed behind the last line */
        self->on_event(self->arg, self->event[0] != '\0' ? self->event : "message", self->data.data);
    }
    hp_buf_clear(&self->data);
    self->event[0] = '\0';
}

static int take_field(hp_sse_t *self, const char *name, size_t name_length, const char *value)
{
    if (name_length == 5 && memcmp(name, "event", 5) == 0) {
        snprintf(self->event, sizeof self->event, "%s", value);
        return 0;
    }
    if (name_length != 4 || memcmp(name, "data", 4) != 0)
        return 0;
    int rc = hp_buf_add_text(&self->data, value);
    return rc == 0 ? hp_buf_add_text(&self->data, "\n") : rc;
}

static int take_line(hp_sse_t *self)
{
    const char *line = self->line.length > 0 ? self->line.data : "";
    int rc = 0;
    if (line[0] == '\0') {
        dispatch(self);
    } else if (line[0] != ':') {
        size_t name = strcspn(line, ":");
        const char *value = line[name] == ':' ? line + name + 1 : "";
        rc = take_field(self, line, name, value + (value[0] == ' '));
    }
    hp_buf_clear(&self->line);
    return rc;
}

int hp_sse_feed(hp_sse_t *self, const void *data, size_t length)
{
    const char *at = data, *end = at + length;
    int rc = 0;
    while (rc == 0 && at < end) {
        if (self->after_cr && *at == '\n') {
            self->after_cr = false;
            at++;
            continue;
        }
        self->after_cr = false;
        const char *stop = at;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        rc = hp_buf_add(&self->line, at, (size_t)(stop - at));
        at = stop;
        if (rc != 0 || stop == end)
            break;
        self->after_cr = *stop == '\r';
        at++;
        rc = take_line(self);
    }
    return rc;
}
