#include "path/who.h"

#include <string.h>

bool hp_who_same(const hp_who_t *a, const hp_who_t *b)
{
    if (a->id[0] != '\0' || b->id[0] != '\0')
        return strcmp(a->id, b->id) == 0;
    return strcmp(a->address, b->address) == 0;
}
