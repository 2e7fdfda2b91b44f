/* What a file reply's body is made of: pieces of the file and, for multipart/byteranges (RFC 9110
 * section 14.6), the text between them. Pure; not shared between threads. */
#ifndef HP_HTTP_PLAN_H
#define HP_HTTP_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/range.h"

typedef struct hp_piece {
    char *text;          /* owned; NULL: a piece of the file */
    uint64_t first, end; /* of the file, or 0 and the text's length */
} hp_piece_t;

typedef struct hp_plan {
    hp_piece_t *pieces;
    size_t count;
    uint64_t length; /* of the whole body */
} hp_plan_t;

#define HP_BOUNDARY_SIZE 40

void hp_plan_init(hp_plan_t *self, hp_range_t range);
/* boundary: 1 to 70 characters that need no quoting, and that the file does not hold after "\r\n--" (random
 * is enough). */
void hp_plan_init_multipart(hp_plan_t *self, const hp_range_t *ranges, size_t count, uint64_t size,
                            const char *content_type, const char *boundary);
void hp_plan_dispose(hp_plan_t *self);

#endif
