/* A packet's way through chains of rules, whichever tool wrote them down. Whether a rule fits the packet is
 * decided when it is added, so that only the order of things is left to do here. Pure; one thread. */
#ifndef HP_DOCTOR_CHAINS_H
#define HP_DOCTOR_CHAINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/array.h"

/* Whether something holds of the packet. */
typedef enum { HP_FIT_NO, HP_FIT_MAYBE, HP_FIT_YES } hp_fit_t;
hp_fit_t hp_fit_and(hp_fit_t a, hp_fit_t b);
hp_fit_t hp_fit_or(hp_fit_t a, hp_fit_t b);
hp_fit_t hp_fit_not(hp_fit_t a);
/* A value that is somewhere in [first, last], and [low, high]. */
hp_fit_t hp_fit_range(unsigned long first, unsigned long last, unsigned long low, unsigned long high);
/* The same of addresses of IPv6, network byte order. */
hp_fit_t hp_fit_range6(const uint8_t first[16], const uint8_t last[16], const uint8_t low[16],
                       const uint8_t high[16]);
/* Of a prefix; a length that is none is taken for the nearest. */
hp_fit_t hp_fit_prefix6(const uint8_t first[16], const uint8_t last[16], const uint8_t address[16],
                        int length);

typedef enum {
    HP_DO_GO_ON, /* nothing that decides */
    HP_DO_ACCEPT,
    HP_DO_DROP, /* or reject */
    HP_DO_RETURN,
    HP_DO_JUMP, /* and come back */
    HP_DO_GOTO, /* and do not */
} hp_do_t;

typedef struct hp_rule {
    hp_fit_t fit;
    hp_do_t action;
    char *target; /* name of the chain of a jump; NULL */
} hp_rule_t;

typedef struct hp_chain {
    char *name; /* for the caller to choose: unique */
    HP_ARRAY(hp_rule_t) rules;
    bool base;      /* packets begin here */
    hp_do_t policy; /* of a base chain, at its end: ACCEPT or DROP */
} hp_chain_t;

typedef HP_ARRAY(hp_chain_t) hp_chains_t;

/* Finds the chain, or makes it. Valid until the next call. */
hp_chain_t *hp_chains_get(hp_chains_t *self, const char *name);
void hp_chain_add(hp_chain_t *chain, hp_fit_t fit, hp_do_t action, const char *target);
void hp_chains_dispose(hp_chains_t *self);

/* Through one base chain: YES it is let through, NO it is not, MAYBE it depends. */
hp_fit_t hp_chains_walk(const hp_chains_t *self, const hp_chain_t *base);

#endif
