#include "doctor/chains.h"

#include <string.h>

#include "base/mem.h"

#define DEPTH_MAX 32 /* the kernel allows 16 jumps */
#define STEPS_MAX 100000

hp_fit_t hp_fit_and(hp_fit_t a, hp_fit_t b)
{
    return a < b ? a : b;
}

hp_fit_t hp_fit_or(hp_fit_t a, hp_fit_t b)
{
    return a > b ? a : b;
}

hp_fit_t hp_fit_not(hp_fit_t a)
{
    return a == HP_FIT_YES ? HP_FIT_NO : a == HP_FIT_NO ? HP_FIT_YES : HP_FIT_MAYBE;
}

hp_fit_t hp_fit_range(unsigned long first, unsigned long last, unsigned long low, unsigned long high)
{
    if (last < low || first > high)
        return HP_FIT_NO;
    return first >= low && last <= high ? HP_FIT_YES : HP_FIT_MAYBE;
}

hp_fit_t hp_fit_range6(const uint8_t first[16], const uint8_t last[16], const uint8_t low[16],
                       const uint8_t high[16])
{
    if (memcmp(last, low, 16) < 0 || memcmp(first, high, 16) > 0)
        return HP_FIT_NO;
    return memcmp(first, low, 16) >= 0 && memcmp(last, high, 16) <= 0 ? HP_FIT_YES : HP_FIT_MAYBE;
}

hp_fit_t hp_fit_prefix6(const uint8_t first[16], const uint8_t last[16], const uint8_t address[16],
                        int length)
{
    uint8_t low[16], high[16];
    for (int i = 0; i < 16; i++) {
        int bits = HP_MAX(0, HP_MIN(length - 8 * i, 8)); /* of this byte */
        uint8_t host = (uint8_t)(0xff >> bits);
        low[i] = address[i] & (uint8_t)~host;
        high[i] = address[i] | host;
    }
    return hp_fit_range6(first, last, low, high);
}

static const hp_chain_t *find(const hp_chains_t *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->items[i].name, name) == 0)
            return &self->items[i];
    return NULL;
}

hp_chain_t *hp_chains_get(hp_chains_t *self, const char *name)
{
    const hp_chain_t *found = find(self, name);
    if (found != NULL)
        return &self->items[found - self->items];
    hp_chain_t *chain = hp_array_add(self);
    chain->name = hp_strdup(name);
    return chain;
}

void hp_chain_add(hp_chain_t *chain, hp_fit_t fit, hp_do_t action, const char *target)
{
    if (fit == HP_FIT_NO || action == HP_DO_GO_ON)
        return;
    hp_rule_t *rule = hp_array_add(&chain->rules);
    rule->fit = fit;
    rule->action = action;
    rule->target = target != NULL ? hp_strdup(target) : NULL;
}

void hp_chains_dispose(hp_chains_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        hp_chain_t *chain = &self->items[i];
        for (size_t k = 0; k < chain->rules.count; k++)
            free(chain->rules.items[k].target);
        hp_array_dispose(&chain->rules);
        free(chain->name);
    }
    hp_array_dispose(self);
}

typedef struct {
    const hp_chains_t *chains;
    bool may_pass, may_drop; /* by a rule that only may fit */
    unsigned steps;
} walk_t;

/* ACCEPT, DROP, or RETURN at the chain's end. A rule that only may fit is gone past, and what it may do is
 * noted. */
static hp_do_t walk(walk_t *self, const hp_chain_t *chain, unsigned depth)
{
    for (size_t i = 0; chain != NULL && i < chain->rules.count; i++) {
        const hp_rule_t *rule = &chain->rules.items[i];
        hp_do_t action = rule->action;
        if (++self->steps > STEPS_MAX || depth > DEPTH_MAX) {
            self->may_drop = self->may_pass = true;
            return HP_DO_ACCEPT;
        }
        if (action == HP_DO_JUMP || action == HP_DO_GOTO) {
            action = walk(self, find(self->chains, rule->target), depth + 1);
            if (action == HP_DO_RETURN && rule->action == HP_DO_JUMP)
                continue;
        }
        if (rule->fit == HP_FIT_YES)
            return action;
        self->may_pass |= action == HP_DO_ACCEPT;
        self->may_drop |= action == HP_DO_DROP;
    }
    return HP_DO_RETURN;
}

hp_fit_t hp_chains_walk(const hp_chains_t *self, const hp_chain_t *base)
{
    walk_t state = {.chains = self};
    hp_do_t end = walk(&state, base, 0);
    if (end == HP_DO_RETURN)
        end = base->policy;
    if (end == HP_DO_DROP)
        return state.may_pass ? HP_FIT_MAYBE : HP_FIT_NO;
    return state.may_drop ? HP_FIT_MAYBE : HP_FIT_YES;
}
