#include "pairing/tries.h"

#include <stdio.h>
#include <string.h>

static hp_try_host_t *find(hp_tries_t *self, const char *id)
{
    hp_try_host_t *oldest = &self->hosts[0];
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->hosts[i].id, id) == 0)
            return &self->hosts[i];
        if (self->hosts[i].last < oldest->last)
            oldest = &self->hosts[i];
    }
    hp_try_host_t *host = self->count < HP_TRIES_HOSTS ? &self->hosts[self->count++] : oldest;
    *host = (hp_try_host_t){.count = 0};
    snprintf(host->id, sizeof host->id, "%s", id);
    return host;
}

uint64_t hp_tries_take(hp_tries_t *self, const char *id, uint64_t now)
{
    hp_try_host_t *host = find(self, id);
    uint64_t first = host->times[host->next]; /* the oldest one when the ring is full */
    if (host->count == HP_TRIES_MAX && now - first < HP_TRIES_WINDOW_MS)
        return first + HP_TRIES_WINDOW_MS - now;
    host->times[host->next] = host->last = now;
    host->next = (host->next + 1) % HP_TRIES_MAX;
    if (host->count < HP_TRIES_MAX)
        host->count++;
    return 0;
}
