/* Which hosts are online: rounds of tries.
 *
 * A round is a look whether a host is there: its first address, and if that fails all the others at once. A
 * host is online from its first answer until two rounds, or one that a person asked for, were without any. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discovery/internal.h"

#define RIVAL_FACTOR 3 /* a rival that did not answer for so many times times.silent has gone */

/* ---- when a host is asked ---- */

static bool is_waited_for(const hp_host_entry_t *host)
{
    return host->waiting[HP_WAIT_DOWNLOAD] || host->waiting[HP_WAIT_MESSAGE];
}

uint64_t hp_watch_hashing_pause(const hp_hosts_t *hosts, const hp_host_entry_t *host)
{
    return is_waited_for(host) ? hosts->times.hashing_waiting : hosts->times.hashing;
}

/* When a host that answers is to be asked again: after it has been silent for long, and sooner while its list
 * gets better or there is news of it, whatever else is heard of it. */
uint64_t hp_watch_probe_at(const hp_hosts_t *hosts, const hp_host_entry_t *host)
{
    uint64_t at = host->heard_at + hosts->times.silent;
    if (host->hashing)
        at = HP_MIN(at, host->answered_at + hp_watch_hashing_pause(hosts, host));
    if (host->maybe_changed)
        at = HP_MIN(at, host->answered_at + hosts->times.again);
    return at;
}

void hp_watch_set_hashing(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    host->hashing = true;
    if (host->pub.online && host->probe_at != HP_NEVER)
        host->probe_at = HP_MIN(host->probe_at, hp_watch_probe_at(hosts, host));
}

/* ---- rounds ---- */

static void on_round_try(void *arg, int status, hp_host_entry_t *host, bool is_new, const hp_err_t *err);

static void round_start_try(hp_hosts_t *hosts, hp_host_entry_t *host, const hp_endpoint_t *at)
{
    hp_address_try_t *round = hp_address_try_make(hosts, host, at);
    host->round_left++;
    hp_hosts_try(hosts, &round->at, host->pub.found_by, on_round_try, round);
}

/* All its addresses but this one, and those that it had before another host took them. */
static void round_try_others(hp_hosts_t *hosts, hp_host_entry_t *host, const hp_endpoint_t *tried)
{
    host->round_all = true;
    for (size_t i = 0; i < host->pub.address_count; i++)
        if (tried == NULL || !hp_endpoint_same_place(&host->addresses[i].endpoint, tried))
            round_start_try(hosts, host, &host->addresses[i].endpoint);
    for (size_t i = 0; i < host->former_count; i++)
        round_start_try(hosts, host, &host->former[i].endpoint);
}

static uint64_t offline_pause(const hp_hosts_t *hosts, const hp_host_entry_t *host)
{
    bool soon = is_waited_for(host) || host->told_here > 0;
    return soon ? hosts->times.waiting : hosts->times.offline;
}

static void round_end(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    uint64_t now = hp_clock_ms();
    if (host->round_answered || host->answer_number > host->round_number) {
        host->probe_at = HP_MAX(hp_watch_probe_at(hosts, host), now + hosts->times.again);
        return;
    }
    if (host->way_at > host->round_at) { /* it was asked by a way that ended when the new one came */
        host->probe_at = now;
        return;
    }
    if (host->failures++ == 0)
        host->failed_at = now;
    /* Two of them, and not in one breath: a switch that starts again takes a moment. */
    bool enough = host->round_person || (host->failures >= 2 && now >= host->failed_at + hosts->times.retry);
    if (host->pub.online && !enough) {
        host->probe_at = host->failed_at + hosts->times.retry;
        return;
    }
    host->probe_at = now + offline_pause(hosts, host);
    host->told_here -= host->told_here > 0;
    bool was_online = host->pub.online;
    host->pub.online = false;
    hp_names_look_again(hosts, host);
    if (!was_online)
        return;
    host->list_at = HP_NEVER;
    hp_hosts_log(HP_LOG_INFO, host, "is offline", "");
    hp_hosts_emit(hosts, HP_HOST_OFFLINE, host);
    hp_hosts_save(hosts, host);
}

static void on_round_try(void *arg, int status, hp_host_entry_t *answered, bool is_new, const hp_err_t *err)
{
    (void)is_new, (void)err;
    hp_address_try_t *round = arg;
    hp_hosts_t *hosts = round->hosts;
    hp_host_entry_t *host = hosts->closing ? NULL : hp_hosts_entry(hosts, round->id);
    if (host == NULL || host->round_left == 0) { /* removed meanwhile */
        free(round);
        return;
    }
    host->round_left--;
    if (status == 0 && answered == host)
        host->round_answered = true;
    size_t index;
    if (status != 0 && hp_hosts_entry_at(hosts, &round->at, &index) == host)
        host->seen[index].last = 0; /* no host is there now */
    if (!host->round_answered && !host->round_all)
        round_try_others(hosts, host, &round->at);
    free(round);
    if (host->round_left == 0)
        round_end(hosts, host);
}

void hp_watch_round(hp_hosts_t *hosts, hp_host_entry_t *host, bool person)
{
    if (hosts->closing)
        return;
    if (host->round_left > 0) {
        host->round_person |= person;
        return;
    }
    host->round_at = hp_clock_ms();
    host->round_number = hosts->answers;
    host->round_person = person;
    host->round_answered = host->round_all = false;
    host->probe_at = HP_NEVER;
    hp_problem_expire(hosts, host, host->round_at);
    if (host->rival.last != 0 &&
        host->rival.last + (uint64_t)hosts->times.silent * RIVAL_FACTOR < host->round_at) {
        hp_answer_forget_rival(host);
        hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
    }
    if (host->rival.last != 0)
        hp_hosts_try(hosts, &host->rival.at, host->pub.found_by, hp_tries_ignore, NULL);
    if (host->pub.address_count > 0)
        round_start_try(hosts, host, &host->addresses[0].endpoint);
    else if (host->former_count > 0)
        round_try_others(hosts, host, NULL);
    else
        round_end(hosts, host);
}

void hp_watch_tick(hp_hosts_t *hosts, hp_host_entry_t *host, uint64_t now)
{
    if (now < host->probe_at)
        return;
    /* Signs of life since then put the probe off. */
    if (host->pub.online && host->failures == 0 && hp_watch_probe_at(hosts, host) > now)
        host->probe_at = hp_watch_probe_at(hosts, host);
    else
        hp_watch_round(hosts, host, false);
}

void hp_hosts_probe_all(hp_hosts_t *hosts, bool person)
{
    for (size_t i = 0; i < hosts->count; i++)
        hp_watch_round(hosts, hosts->items[i], person);
}

/* ---- what other parts tell ---- */

void hp_hosts_set_waiting(hp_hosts_t *hosts, const char *id, hp_wait_kind_t kind, bool waiting)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    if (host == NULL || host->waiting[kind] == waiting)
        return;
    host->waiting[kind] = waiting;
    if (!waiting || host->probe_at == HP_NEVER)
        return;
    host->probe_at = HP_MIN(host->probe_at, host->pub.online ? hp_watch_probe_at(hosts, host)
                                                             : hp_clock_ms() + hosts->times.waiting);
    hp_hosts_schedule(hosts);
}

void hp_hosts_look(hp_hosts_t *hosts, const char *id)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    if (host == NULL || hosts->closing || !host->pub.online)
        return;
    host->maybe_changed = true;
    if (host->probe_at == HP_NEVER) /* being asked now */
        return;
    host->probe_at = HP_MIN(host->probe_at, hp_watch_probe_at(hosts, host));
    hp_hosts_schedule(hosts);
}

void hp_hosts_heard_list(hp_hosts_t *hosts, const char *id, const char *list)
{
    const hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    if (host != NULL && host->list_told[0] != '\0' && strcmp(host->list_told, list) != 0)
        hp_hosts_look(hosts, id);
}

void hp_hosts_report(hp_hosts_t *hosts, const char *id, bool alive)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    if (host == NULL || hosts->closing)
        return;
    uint64_t now = hp_clock_ms();
    if (alive && host->pub.online) {
        host->heard_at = now;
        host->pub.last_seen = hp_clock_wall_ms();
    } else if (alive != host->pub.online &&
               (host->round_at == 0 || host->round_at + hosts->times.again <= now)) {
        hp_watch_round(hosts, host, false);
        hp_hosts_schedule(hosts);
    }
}
