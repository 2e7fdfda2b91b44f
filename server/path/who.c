#include "path/who.h"

#include <string.h>

const char *hp_way_name(hp_way_t way)
{
    static const char *const names[] = {
        [HP_WAY_LAN] = "lan", [HP_WAY_DIRECT] = "direct", [HP_WAY_RELAYED] = "relayed"};
    return names[way];
}

bool hp_who_same(const hp_who_t *a, const hp_who_t *b)
{
    if (a->id[0] != '\0' || b->id[0] != '\0')
        return strcmp(a->id, b->id) == 0;
    return strcmp(a->address, b->address) == 0;
}
