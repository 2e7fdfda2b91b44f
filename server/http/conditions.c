#include "conditions.h"

#include <string.h>

#include "base/clock.h"

static bool matches(const char *list, const char *etag, bool strong)
{
    return hp_etag_list_matches(list, strlen(list), etag != NULL ? etag : "", strong);
}

/* A date field that is no valid date is ignored (sections 13.1.3 and 13.1.4). */
static bool modified_since(const char *date, int64_t modified, bool otherwise)
{
    int64_t seconds;
    return hp_clock_parse_http_date(date, &seconds) == 0 ? modified > seconds : otherwise;
}

static bool if_range_holds(const char *value, const char *etag)
{
    return etag != NULL && hp_etag_is_strong(etag, strlen(etag)) && hp_etag_is_strong(value, strlen(value)) &&
           strcmp(value, etag) == 0;
}

hp_outcome_t hp_conditions_evaluate(const hp_conditions_t *self, bool head, const hp_representation_t *what,
                                    hp_range_t ranges[HP_RANGES_MAX], size_t *count)
{
    *count = 0;
    if (self->if_match != NULL) {
        if (!matches(self->if_match, what->etag, true))
            return HP_OUTCOME_FAILED;
    } else if (self->if_unmodified_since != NULL) {
        if (modified_since(self->if_unmodified_since, what->modified, false))
            return HP_OUTCOME_FAILED;
    }
    if (self->if_none_match != NULL) {
        if (matches(self->if_none_match, what->etag, false))
            return HP_OUTCOME_NOT_MODIFIED;
    } else if (self->if_modified_since != NULL) {
        if (!modified_since(self->if_modified_since, what->modified, true))
            return HP_OUTCOME_NOT_MODIFIED;
    }
    if (head || self->range == NULL ||
        (self->if_range != NULL && !if_range_holds(self->if_range, what->etag)))
        return HP_OUTCOME_WHOLE;
    switch (hp_range_parse(self->range, strlen(self->range), what->size, ranges, count)) {
    case HP_RANGE_OK:
        return HP_OUTCOME_RANGES;
    case HP_RANGE_UNSATISFIABLE:
        return HP_OUTCOME_UNSATISFIABLE;
    case HP_RANGE_IGNORE:
        break;
    }
    return HP_OUTCOME_WHOLE;
}
