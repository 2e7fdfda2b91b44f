/* What is wrong with a host, as a sentence that people see. A problem is shown as long as it is seen again
 * and again, and is logged once. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "discovery/internal.h"

#define EXPIRY_FACTOR 3 /* one that was not seen for so many times times.silent is over */

void hp_problem_set(hp_hosts_t *hosts, hp_host_entry_t *host, hp_problem_kind_t kind, const hp_endpoint_t *at,
                    const char *text)
{
    /* Two processes with one key confuse everything else that is seen of them. */
    if (host->problem.kind == HP_PROBLEM_COPY && kind != HP_PROBLEM_COPY)
        return;
    bool is_new = strcmp(host->pub.problem, text) != 0;
    host->problem.kind = kind;
    host->problem.at = *at;
    host->problem.last = hp_clock_ms();
    snprintf(host->pub.problem, sizeof host->pub.problem, "%s", text);
    if (!is_new)
        return;
    hp_hosts_log(HP_LOG_WARN, host, "has a problem:", text);
    hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
}

void hp_problem_clear(hp_host_entry_t *host)
{
    host->problem.kind = HP_PROBLEM_NONE;
    host->pub.problem[0] = '\0';
}

void hp_problem_settle(hp_host_entry_t *host, const hp_endpoint_t *at)
{
    if (host->problem.kind == HP_PROBLEM_ANSWER && hp_endpoint_same_place(&host->problem.at, at))
        hp_problem_clear(host);
}

void hp_problem_expire(hp_hosts_t *hosts, hp_host_entry_t *host, uint64_t now)
{
    if (host->problem.kind == HP_PROBLEM_NONE || host->problem.kind == HP_PROBLEM_COPY ||
        host->problem.last + (uint64_t)hosts->times.silent * EXPIRY_FACTOR > now)
        return;
    hp_problem_clear(host);
    hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
}

const char *hp_hosts_problem_kind(const hp_hosts_t *hosts, const char *id)
{
    static const char *const kinds[] = {[HP_PROBLEM_NONE] = "",
                                        [HP_PROBLEM_COPY] = "same-key",
                                        [HP_PROBLEM_ANSWER] = "other-answer",
                                        [HP_PROBLEM_CLAIM] = "claims"};
    const hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    return host != NULL ? kinds[host->problem.kind] : "";
}

const char *hp_hosts_own_copy(const hp_hosts_t *hosts)
{
    return hosts->copy_logged;
}
