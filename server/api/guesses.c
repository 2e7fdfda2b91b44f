#include "api/guesses.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

static bool is_over(uint64_t since, uint64_t now_ms)
{
    return now_ms - since >= HP_GUESSES_MS;
}

static unsigned left(uint64_t since, uint64_t now_ms)
{
    return (unsigned)((HP_GUESSES_MS - (now_ms - since) + 999) / 1000);
}

unsigned hp_guesses_wait(const hp_guesses_t *self, const char *client, uint64_t now_ms)
{
    char key[HP_ADDRESS_CLIENT_SIZE];
    if (self->count >= HP_GUESSES_ALL && !is_over(self->since, now_ms))
        return left(self->since, now_ms);
    hp_address_client(client, key);
    for (size_t i = 0; i < HP_GUESSES_CLIENTS; i++)
        if (self->clients[i].count >= HP_GUESSES_MAX && !is_over(self->clients[i].since, now_ms) &&
            strcmp(self->clients[i].key, key) == 0)
            return left(self->clients[i].since, now_ms);
    return 0;
}

/* The client's place: its own, else a free one or the oldest. */
static size_t find_place(const hp_guesses_t *self, const char *key, uint64_t now_ms)
{
    size_t best = 0;
    for (size_t i = 0; i < HP_GUESSES_CLIENTS; i++) {
        if (self->clients[i].count > 0 && !is_over(self->clients[i].since, now_ms) &&
            strcmp(self->clients[i].key, key) == 0)
            return i;
        if (self->clients[best].count > 0 &&
            (self->clients[i].count == 0 || self->clients[i].since < self->clients[best].since))
            best = i;
    }
    return best;
}

void hp_guesses_add(hp_guesses_t *self, const char *client, const uint8_t digest[32], uint64_t now_ms)
{
    char key[HP_ADDRESS_CLIENT_SIZE];
    uint64_t value;
    hp_address_client(client, key);
    memcpy(&value, digest, sizeof value);
    size_t i = find_place(self, key, now_ms);
    if (self->clients[i].count == 0 || is_over(self->clients[i].since, now_ms) ||
        strcmp(self->clients[i].key, key) != 0) {
        self->clients[i].since = now_ms;
        self->clients[i].count = 0;
        memcpy(self->clients[i].key, key, sizeof key);
    }
    for (unsigned k = 0; k < self->clients[i].count; k++)
        if (self->clients[i].values[k] == value)
            return;
    if (self->clients[i].count == HP_GUESSES_MAX)
        return;
    self->clients[i].values[self->clients[i].count++] = value;
    if (self->count == 0 || is_over(self->since, now_ms)) {
        self->since = now_ms;
        self->count = 0;
    }
    self->count++;
    if (self->clients[i].count == 1)
        hp_log(HP_LOG_WARN, "dashboard: a wrong token came from %s", client);
    if (self->clients[i].count == HP_GUESSES_MAX)
        hp_log(HP_LOG_WARN, "dashboard: %d wrong tokens came from %s; it is refused for %u s", HP_GUESSES_MAX,
               client, left(self->clients[i].since, now_ms));
    if (self->count == HP_GUESSES_ALL)
        hp_log(HP_LOG_WARN, "dashboard: %d wrong tokens came within a minute; no token is taken for %u s",
               HP_GUESSES_ALL, left(self->since, now_ms));
}
