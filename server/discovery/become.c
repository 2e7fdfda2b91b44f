/* Hosts that are kept under an id that nobody proved become the host that proves its key in their place.
 *
 * Such ids are the random ones of hostpair 0.1, which every program could claim, and addresses. What is kept
 * under one (messages, the list, downloads, what a person decided) belongs to whoever answers at its address
 * under its name, as it always did; once that host has a key, it belongs to that key for good. A host that
 * had its key before the old one was last seen is another one, which has only come by the address. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discovery/internal.h"

bool hp_hosts_is_successor(const hp_host_entry_t *old, const hp_probe_answer_t *answer,
                           const hp_host_entry_t *known)
{
    if (old->pub.pinned)
        return false;
    if (!answer->proven) /* hostpair 0.1 still, which is known by its address from now on */
        return known == NULL && strcmp(old->pub.id, answer->claimed_id) == 0;
    return answer->name[0] != '\0' && strcmp(old->pub.name, answer->name) == 0 &&
           (known == NULL || known->first_seen >= old->pub.last_seen);
}

/* What is under way for it under its old id ends; it is asked anew. */
static void start_over(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    hp_lists_forget(hosts, host);
    host->pub.listing = host->pub.online = false;
    host->round_left = 0;
    host->rival.last = 0;
    hp_problem_clear(host);
    for (size_t i = 0; i < host->pub.address_count; i++)
        host->seen[i] = (hp_seen_t){.since = 0};
}

/* Known before under both ids: known keeps its own and gets the rest. */
static void join(hp_hosts_t *hosts, hp_host_entry_t *known, hp_host_entry_t *old)
{
    known->first_seen = HP_MIN(known->first_seen, old->first_seen);
    known->pub.listed |= old->pub.listed;
    known->waiting[HP_WAIT_DOWNLOAD] |= old->waiting[HP_WAIT_DOWNLOAD];
    known->waiting[HP_WAIT_MESSAGE] |= old->waiting[HP_WAIT_MESSAGE];
    if (old->pub.blocked && !known->pub.blocked) {
        known->pub.blocked = known->stored_blocked = true;
        hosts->blocked++;
    }
    hosts->blocked -= old->pub.blocked;
    hp_hosts_retire(hosts, old);
}

hp_host_entry_t *hp_hosts_become(hp_hosts_t *hosts, hp_host_entry_t *old, const hp_probe_answer_t *answer,
                                 hp_host_entry_t *known)
{
    char former[HP_HOST_ID_SIZE];
    memcpy(former, old->pub.id, sizeof former);
    start_over(hosts, old);
    hp_hosts_move_rows(hosts, former, answer->id);
    hp_host_entry_t *host = known;
    if (known != NULL) {
        join(hosts, known, old);
    } else {
        host = old;
        hp_hosts_set_id(hosts, host, answer->id);
        host->probe_at = hp_clock_ms() + hosts->times.silent;
        /* A host that is known by its address has no other one. */
        while (!answer->proven && host->pub.address_count > 0)
            hp_hosts_drop_address(host, 0);
    }
    memcpy(host->pub.former_id, former, sizeof former);
    if (host != old && host->pub.added_as[0] == '\0') /* old is freed when the loop comes round */
        memcpy(host->pub.added_as, old->pub.added_as, sizeof host->pub.added_as);
    hp_log(HP_LOG_INFO, "host %s is known as %s from now on", former, host->pub.id);
    hp_hosts_emit(hosts, HP_HOST_RENAMED, host);
    if (host->pub.blocked)
        hp_hosts_emit(hosts, HP_HOST_BLOCKED, host);
    return host;
}
