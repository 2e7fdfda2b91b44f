#include "bencode.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

void hp_bencode_init(hp_bencode_t *self, hp_buf_t *out)
{
    *self = (hp_bencode_t){.out = out};
}

static void note(hp_bencode_t *self, int status)
{
    if (self->status == 0)
        self->status = status;
}

/* Whether a value may stand here; if so it is the one that was due. */
static bool take_place(hp_bencode_t *self)
{
    bool *due = self->depth > 0 ? &self->open[self->depth - 1].value_due : NULL;
    if (due != NULL ? !*due : self->whole)
        note(self, HP_E_INVALID);
    if (self->status != 0)
        return false;
    if (due != NULL)
        *due = false;
    else
        self->whole = true;
    return true;
}

static void add_string(hp_bencode_t *self, const void *data, size_t length)
{
    note(self, hp_buf_printf(self->out, "%zu:", length));
    if (self->status == 0)
        note(self, hp_buf_add(self->out, data, length));
}

void hp_bencode_number(hp_bencode_t *self, int64_t value)
{
    if (take_place(self))
        note(self, hp_buf_printf(self->out, "i%" PRId64 "e", value));
}

void hp_bencode_bytes(hp_bencode_t *self, const void *data, size_t length)
{
    if (take_place(self))
        add_string(self, data, length);
}

void hp_bencode_bytes_later(hp_bencode_t *self, size_t length)
{
    if (take_place(self))
        note(self, hp_buf_printf(self->out, "%zu:", length));
}

void hp_bencode_text(hp_bencode_t *self, const char *text)
{
    hp_bencode_bytes(self, text, strlen(text));
}

void hp_bencode_dict(hp_bencode_t *self)
{
    if (self->depth == HP_BENCODE_DEPTH_MAX)
        note(self, HP_E_INVALID);
    if (!take_place(self))
        return;
    memset(&self->open[self->depth++], 0, sizeof self->open[0]);
    note(self, hp_buf_add(self->out, "d", 1));
}

void hp_bencode_end(hp_bencode_t *self)
{
    if (self->depth == 0 || self->open[self->depth - 1].value_due)
        note(self, HP_E_INVALID);
    if (self->status != 0)
        return;
    self->depth--;
    note(self, hp_buf_add(self->out, "e", 1));
}

static bool is_after(const void *a, size_t a_length, const void *b, size_t b_length)
{
    size_t common = HP_MIN(a_length, b_length);
    int order = common > 0 ? memcmp(a, b, common) : 0;
    return order > 0 || (order == 0 && a_length > b_length);
}

void hp_bencode_key(hp_bencode_t *self, const void *key, size_t length)
{
    if (self->depth == 0 || self->open[self->depth - 1].value_due)
        note(self, HP_E_INVALID);
    if (self->status != 0)
        return;
    size_t last = self->open[self->depth - 1].key, last_length = self->open[self->depth - 1].key_length;
    if (last != 0 && !is_after(key, length, self->out->data + last, last_length))
        note(self, HP_E_INVALID);
    if (self->status != 0)
        return;
    add_string(self, key, length);
    if (self->status != 0)
        return;
    self->open[self->depth - 1].key = self->out->length - length;
    self->open[self->depth - 1].key_length = length;
    self->open[self->depth - 1].value_due = true;
}

void hp_bencode_text_key(hp_bencode_t *self, const char *key)
{
    hp_bencode_key(self, key, strlen(key));
}

int hp_bencode_finish(const hp_bencode_t *self)
{
    if (self->status != 0)
        return self->status;
    return self->whole && self->depth == 0 ? 0 : HP_E_INVALID;
}
