#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

void hp_buf_init(hp_buf_t *self, size_t max)
{
    *self = (hp_buf_t){.max = max};
}

void hp_buf_dispose(hp_buf_t *self)
{
    free(self->data);
    *self = (hp_buf_t){.max = self->max};
}

static int reserve(hp_buf_t *self, size_t more)
{
    if (more > self->max || self->length > self->max - more)
        return HP_E_TOO_LARGE;
    size_t need = self->length + more + 1;
    if (need > self->capacity) {
        size_t capacity = HP_MAX(self->capacity * 2, (size_t)64);
        capacity = HP_MIN(HP_MAX(capacity, need), self->max + 1);
        self->data = hp_realloc(self->data, capacity);
        self->capacity = capacity;
    }
    return 0;
}

int hp_buf_add(hp_buf_t *self, const void *data, size_t length)
{
    int rc = reserve(self, length);
    if (rc != 0)
        return rc;
    if (length > 0)
        memcpy(self->data + self->length, data, length);
    self->length += length;
    self->data[self->length] = '\0';
    return 0;
}

int hp_buf_add_text(hp_buf_t *self, const char *text)
{
    return hp_buf_add(self, text, strlen(text));
}

int hp_buf_printf(hp_buf_t *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        return HP_E_TOO_LARGE;
    int rc = hp_buf_add(self, text, (size_t)n);
    free(text);
    return rc;
}

void hp_buf_consume(hp_buf_t *self, size_t length)
{
    length = HP_MIN(length, self->length);
    if (length == 0)
        return;
    memmove(self->data, self->data + length, self->length - length + 1);
    self->length -= length;
}

void hp_buf_clear(hp_buf_t *self)
{
    self->length = 0;
    if (self->data != NULL)
        self->data[0] = '\0';
}

char *hp_buf_take(hp_buf_t *self)
{
    char *data = self->data != NULL ? self->data : hp_strdup("");
    *self = (hp_buf_t){.max = self->max};
    return data;
}
