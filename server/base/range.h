/* Byte ranges and validators: RFC 9110 sections 8.8, 13 and 14, for the side that serves and the side that
 * fetches. A range is half open inside hostpair: [first, end). Any thread. */
#ifndef HP_BASE_RANGE_H
#define HP_BASE_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HP_RANGES_MAX 16
/* They may overlap; the length of a reply with all of them, and the text between them, is still a number. */
#define HP_RANGES_BYTES_MAX (UINT64_C(1) << 62)

typedef struct hp_range {
    uint64_t first, end;
} hp_range_t;

typedef enum {
    HP_RANGE_IGNORE,        /* not "bytes", malformed, more than HP_RANGES_MAX, or several that have more than
                               HP_RANGES_BYTES_MAX together: serve the whole */
    HP_RANGE_UNSATISFIABLE, /* 416 */
    HP_RANGE_OK,            /* 1 to HP_RANGES_MAX ranges, clamped to the size, in the order asked */
} hp_range_result_t;

/* Reads the value of a Range field (section 14.2) for a representation of size bytes. */
hp_range_result_t hp_range_parse(const char *value, size_t length, uint64_t size,
                                 hp_range_t ranges[HP_RANGES_MAX], size_t *count);

#define HP_RANGE_UNKNOWN UINT64_MAX

/* Reads the value of a Content-Range field (section 14.4): "bytes 0-9/10", "bytes 0-9/ *", "bytes * /10". For
 * an unsatisfied range first == end == HP_RANGE_UNKNOWN; an unknown total is HP_RANGE_UNKNOWN. 0 or
 * HP_E_PROTOCOL. */
int hp_range_parse_content(const char *value, size_t length, hp_range_t *range, uint64_t *total);

/* Where the body of a PUT belongs in the file that it brings. */
typedef struct hp_body_range {
    bool asks; /* it only asks how much is there, and has no bytes */
    uint64_t first, total;
} hp_body_range_t;

/* field: the value of Content-Range (section 14.5), NULL for a whole file; length: of the body. total may be
 * HP_RANGE_UNKNOWN. 0, or HP_E_BAD_REQUEST with words that begin with the field's name. */
struct hp_err;
int hp_range_of_body(const char *field, uint64_t length, hp_body_range_t *out, struct hp_err *err);

/* An entity tag (section 8.8.3) that is well-formed and strong. */
bool hp_etag_is_strong(const char *tag, size_t length);

/* Whether a list field (If-Match, If-None-Match) is "*" or holds tag, by strong or weak comparison
 * (section 8.8.3.2). */
bool hp_etag_list_matches(const char *list, size_t length, const char *tag, bool strong);

#endif
