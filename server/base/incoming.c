#include "base/incoming.h"

#include <string.h>

#include "base/mem.h"

static const char *const states[] = {
#define X(name, text) [HP_INCOMING_##name] = text,
    HP_INCOMING_STATES(X)
#undef X
};

static const char *const kinds[] = {
#define X(name, text) [HP_SENDER_##name] = text,
    HP_SENDER_KINDS(X)
#undef X
};

const char *hp_incoming_state_name(hp_incoming_state_t state)
{
    return states[state];
}

hp_incoming_state_t hp_incoming_state_of(const char *name)
{
    for (size_t i = 0; i < HP_COUNT(states); i++)
        if (strcmp(states[i], name) == 0)
            return (hp_incoming_state_t)i;
    return HP_INCOMING_FAILED;
}

bool hp_incoming_is_over(hp_incoming_state_t state)
{
    return state != HP_INCOMING_ASKING && state != HP_INCOMING_RECEIVING;
}

const char *hp_sender_kind_name(hp_sender_kind_t kind)
{
    return kinds[kind];
}

hp_sender_kind_t hp_sender_kind_of(const char *name)
{
    for (size_t i = 0; i < HP_COUNT(kinds); i++)
        if (strcmp(kinds[i], name) == 0)
            return (hp_sender_kind_t)i;
    return HP_SENDER_BROWSER;
}
