#include "tunnel/signalling.h"

#include <string.h>

#include "base/mem.h"

static const char *const kind_names[] = {
#define X(name, text) [HP_CANDIDATE_##name] = (text),
    HP_CANDIDATE_KINDS(X)
#undef X
};

static const char *const mapping_names[] = {
#define X(name, text) [HP_MAPPING_##name] = (text),
    HP_MAPPINGS(X)
#undef X
};

const char *hp_candidate_kind_name(hp_candidate_kind_t kind)
{
    return kind_names[kind];
}

int hp_candidate_kind_parse(const char *text, hp_candidate_kind_t *out)
{
    for (size_t i = 0; i < HP_COUNT(kind_names); i++)
        if (strcmp(kind_names[i], text) == 0) {
            *out = (hp_candidate_kind_t)i;
            return 0;
        }
    return HP_E_INVALID;
}

const char *hp_mapping_name(hp_mapping_t mapping)
{
    return mapping_names[mapping];
}

int hp_mapping_parse(const char *text, hp_mapping_t *out)
{
    for (size_t i = 0; i < HP_COUNT(mapping_names); i++)
        if (strcmp(mapping_names[i], text) == 0) {
            *out = (hp_mapping_t)i;
            return 0;
        }
    return HP_E_INVALID;
}
