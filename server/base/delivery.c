#include "base/delivery.h"

static const char *const names[] = {
#define X(name, text) [HP_DELIVERY_##name] = text,
    HP_DELIVERY_STATES(X)
#undef X
};

const char *hp_delivery_state_name(hp_delivery_state_t state)
{
    return names[state];
}
