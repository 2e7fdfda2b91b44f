/* Whether a reply sends a representation, and which part of it: RFC 9110 sections 13 and 14 for GET and HEAD.
 * Pure; any thread. */
#ifndef HP_HTTP_CONDITIONS_H
#define HP_HTTP_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"

/* The fields of the request, NULL where missing. */
typedef struct hp_conditions {
    const char *if_match, *if_unmodified_since, *if_none_match, *if_modified_since, *if_range, *range;
} hp_conditions_t;

/* What there is to send. etag may be NULL (no validator) or weak. */
typedef struct hp_representation {
    const char *etag;
    int64_t modified; /* seconds since 1970 */
    uint64_t size;
} hp_representation_t;

typedef enum {
    HP_OUTCOME_WHOLE,         /* 200 */
    HP_OUTCOME_RANGES,        /* 206, with the ranges */
    HP_OUTCOME_NOT_MODIFIED,  /* 304 */
    HP_OUTCOME_FAILED,        /* 412 */
    HP_OUTCOME_UNSATISFIABLE, /* 416 */
} hp_outcome_t;

/* In the order of section 13.2.2. A Range of a HEAD request is ignored; a date in If-Range never matches. */
hp_outcome_t hp_conditions_evaluate(const hp_conditions_t *self, bool head,
                                    const hp_representation_t *representation,
                                    hp_range_t ranges[HP_RANGES_MAX], size_t *count);

#endif
