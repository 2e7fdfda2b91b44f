/* Hosts that have still to hear that a pairing is over. One that is away is told when it is back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pairing/internal.h"

static const hp_retry_policy_t policy = {.first_ms = 2000, .max_ms = 60000, .jitter = HP_RETRY_JITTER};

static hp_pairing_ending_t *find(const hp_pairings_t *self, const char *host)
{
    HP_LIST_EACH (link, &self->endings) {
        hp_pairing_ending_t *ending = HP_CONTAINER(link, hp_pairing_ending_t, link);
        if (strcmp(ending->host, host) == 0)
            return ending;
    }
    return NULL;
}

static void drop(hp_pairing_ending_t *ending)
{
    hp_pairing_request_drop(&ending->request);
    hp_link_remove(&ending->link);
    free(ending);
}

void hp_pairing_ending_add(hp_pairings_t *self, const char *host, bool kept)
{
    hp_pairing_ending_t *ending = find(self, host);
    if (ending == NULL) {
        ending = hp_alloc(sizeof *ending);
        ending->owner = self;
        snprintf(ending->host, sizeof ending->host, "%.32s", host);
        hp_list_add(&self->endings, &ending->link);
    }
    ending->kept |= kept;
    hp_retry_reset(&ending->retry);
    hp_pairings_schedule(self);
}

void hp_pairing_ending_remove(hp_pairings_t *self, const char *host)
{
    hp_pairing_ending_t *ending = find(self, host);
    if (ending != NULL)
        drop(ending);
}

void hp_pairing_endings_wake(hp_pairings_t *self, const char *host)
{
    hp_pairing_ending_t *ending = find(self, host);
    if (ending == NULL)
        return;
    hp_retry_reset(&ending->retry);
    hp_pairings_schedule(self);
}

static bool can_be_told(const hp_pairing_ending_t *ending)
{
    const hp_host_t *host = hp_hosts_find(ending->owner->hosts, ending->host);
    return ending->request == NULL && host != NULL && host->address_count > 0 &&
           (host->online || !ending->kept);
}

void hp_pairing_endings_run(hp_pairings_t *self)
{
    uint64_t now = hp_clock_ms();
    HP_LIST_EACH (link, &self->endings) {
        hp_pairing_ending_t *ending = HP_CONTAINER(link, hp_pairing_ending_t, link);
        if (can_be_told(ending) && hp_retry_is_due(&ending->retry, now))
            hp_pairing_ending_send(ending);
    }
}

uint64_t hp_pairing_endings_next(const hp_pairings_t *self)
{
    uint64_t next = UINT64_MAX;
    HP_LIST_EACH (link, &self->endings) {
        const hp_pairing_ending_t *ending = HP_CONTAINER(link, hp_pairing_ending_t, link);
        if (can_be_told(ending))
            next = HP_MIN(next, ending->retry.at);
    }
    return next;
}

static void on_stored(void *arg, int status, const hp_err_t *err)
{
    hp_pairings_t *self = arg;
    if (status != 0)
        hp_log(HP_LOG_ERROR, "that a host knows of the end of its pairing cannot be stored: %s",
               hp_err_text(err));
    hp_pending_drop(&self->pending);
}

void hp_pairing_ending_told(hp_pairing_ending_t *ending, bool heard)
{
    hp_pairings_t *self = ending->owner;
    if (!heard && ending->kept) {
        ending->address++;
        hp_retry_failed(&ending->retry, &policy, hp_clock_ms());
        hp_pairings_schedule(self);
        return;
    }
    if (ending->kept) {
        hp_pending_add(&self->pending);
        if (hp_hosts_set_pair(self->hosts, ending->host, HP_PAIR_NONE, on_stored, self) != 0)
            hp_pending_drop(&self->pending);
    }
    drop(ending);
}
