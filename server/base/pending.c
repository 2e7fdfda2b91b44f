#include "base/pending.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static void must(int so, const char *what)
{
    if (so)
        return;
    fprintf(stderr, "hostpair: %s\n", what); /* a mistake in the code, and memory that would be used freed */
    abort();
}

void hp_pending_add(hp_pending_t *self)
{
    self->count++;
}

bool hp_pending_is_none(const hp_pending_t *self)
{
    return self->count == 0;
}

void hp_pending_drop(hp_pending_t *self)
{
    must(self->count > 0, "more has ended than was outstanding");
    if (--self->count > 0 || self->none == NULL)
        return;
    void (*none)(void *arg) = self->none;
    self->none = NULL;
    none(self->arg);
}

void hp_pending_when_none(hp_pending_t *self, void (*none)(void *arg), void *arg)
{
    must(self->none == NULL, "two wait for the same outstanding jobs");
    if (self->count == 0) {
        none(arg);
        return;
    }
    self->none = none;
    self->arg = arg;
}
