#include "inbox/guesses.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

static size_t find(const hp_inbox_guesses_t *self, const char *address)
{
    char client[HP_ADDRESS_CLIENT_SIZE];
    hp_address_client(address, client);
    for (size_t i = 0; i < HP_PIN_ADDRESSES; i++)
        if (self->addresses[i].count > 0 && strcmp(self->addresses[i].client, client) == 0)
            return i;
    return HP_PIN_ADDRESSES;
}

static bool is_over(uint64_t since, uint64_t now)
{
    return now - since >= HP_PIN_WAIT_MS;
}

static unsigned left(uint64_t since, uint64_t now)
{
    return (unsigned)((HP_PIN_WAIT_MS - (now - since) + 999) / 1000);
}

unsigned hp_inbox_guesses_wait(const hp_inbox_guesses_t *self, const char *address, uint64_t now)
{
    size_t i = find(self, address);
    bool refused = i < HP_PIN_ADDRESSES && self->addresses[i].count >= HP_PIN_WRONG_MAX &&
                   !is_over(self->addresses[i].at, now);
    unsigned own = refused ? left(self->addresses[i].at, now) : 0;
    unsigned all = self->count >= HP_PIN_WRONG_ALL && !is_over(self->since, now) ? left(self->since, now) : 0;
    return HP_MAX(own, all);
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
        hp_address_client(address, self->addresses[i].client);
    }
    if (self->addresses[i].count > 0 && is_over(self->addresses[i].at, now))
        self->addresses[i].count = 0;
    self->addresses[i].count++;
    self->addresses[i].at = now;
    if (self->count == 0 || is_over(self->since, now)) {
        self->since = now;
        self->count = 0;
    }
    self->count++;
}

void hp_inbox_guesses_forget(hp_inbox_guesses_t *self, const char *address)
{
    size_t i = find(self, address);
    if (i < HP_PIN_ADDRESSES)
        self->addresses[i].count = 0;
}
