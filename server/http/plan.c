#include "plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void add(hp_plan_t *self, hp_piece_t piece)
{
    self->pieces[self->count++] = piece;
    self->length += piece.end - piece.first;
}

static void add_text(hp_plan_t *self, char *text)
{
    add(self, (hp_piece_t){text, 0, strlen(text)});
}

void hp_plan_init(hp_plan_t *self, hp_range_t range)
{
    *self = (hp_plan_t){.pieces = hp_alloc_array(1, sizeof *self->pieces)};
    add(self, (hp_piece_t){NULL, range.first, range.end});
}

void hp_plan_init_multipart(hp_plan_t *self, const hp_range_t *ranges, size_t count, uint64_t size,
                            const char *content_type, const char *boundary)
{
    *self = (hp_plan_t){.pieces = hp_alloc_array(2 * count + 1, sizeof *self->pieces)};
    for (size_t i = 0; i < count; i++) {
        add_text(self, hp_sprintf("%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64
                                  "/%" PRIu64 "\r\n\r\n",
                                  i > 0 ? "\r\n" : "", boundary, content_type, ranges[i].first,
                                  ranges[i].end - 1, size));
        add(self, (hp_piece_t){NULL, ranges[i].first, ranges[i].end});
    }
    add_text(self, hp_sprintf("\r\n--%s--\r\n", boundary));
}

void hp_plan_dispose(hp_plan_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->pieces[i].text);
    free(self->pieces);
    *self = (hp_plan_t){0};
}
