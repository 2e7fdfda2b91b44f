#include "inbox/guesses.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static size_t find(const hp_inbox_guesses_t *self, const char *address)
{
    for (size_t i = 0; i < HP_PIN_ADDRESSES; i++)
        if (self->addresses[i].count > 0 && strcmp(self->addresses[i].address, address) == 0)
            return i;
    return HP_PIN_ADDRESSES;
}

unsigned hp_inbox_guesses_wait(const hp_inbox_guesses_t *self, const char *address, uint64_t now)
{
    size_t i = find(self, address);
    if (i == HP_PIN_ADDRESSES || self->addresses[i].count < HP_PIN_WRONG_MAX ||
        now - self->addresses[i].at >= HP_PIN_WAIT_MS)
        return 0;
    return (unsigned)((HP_PIN_WAIT_MS - (now - self->addresses[i].at) + 999) / 1000);
}

void hp_inbox_guesses_add(hp_inbox_guesses_t *self, const char *address, uint64_t now)
{
    size_t i = find(self, address);
    if (i == HP_PIN_ADDRESSES) {
        i = 0;
        for (size_t k = 1; k < HP_PIN_ADDRESSES && self->addresses[i].count > 0; k++)
            if (self->addresses[k].count == 0 || self->addresses[k].at < self->addresses[i].at)
                i = k;
        self->addresses[i].count = 0;
        snprintf(self->addresses[i].address, sizeof self->addresses[i].address, "%s", address);
    }
    if (self->addresses[i].count > 0 && now - self->addresses[i].at >= HP_PIN_WAIT_MS)
        self->addresses[i].count = 0;
    self->addresses[i].count++;
    self->addresses[i].at = now;
}

void hp_inbox_guesses_forget(hp_inbox_guesses_t *self, const char *address)
{
    size_t i = find(self, address);
    if (i < HP_PIN_ADDRESSES)
        self->addresses[i].count = 0;
}
