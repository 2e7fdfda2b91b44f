/* Which answer to a probe belongs to which host, and what it changes.
 *
 * Who answered is decided by the key that the handshake proved. Another key at the address of a known host is
 * another host; what answers there in plain HTTP, or says that it is a host whose key it does not have, is
 * not taken for that host: all of it is only said, as the known host's problem.
 *
 * Two hosts with one key (a copied data folder) give themselves away by `instance`, which is new at every
 * start: when two addresses of a host answer with different instances, and each of them answered after the
 * other one began, both are alive. The one that was there first stays the host, the other is its rival:
 * reported once, looked at in every round, and the host itself when the first one goes away. A host that
 * merely started again, or moved, never looks like that: its old instance does not answer any more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "discovery/internal.h"

#define TLS_EVERY 10 /* a plain host that let TLS time out is asked for TLS every so many times */

void hp_hosts_log(hp_log_level_t level, const hp_host_entry_t *host, const char *what, const char *where)
{
    char name[160];
    hp_log(level, "host %s (%.8s) %s%s%s",
           hp_utf8_printable(host->pub.name, strlen(host->pub.name), name, sizeof name), host->pub.id, what,
           where[0] != '\0' ? " " : "", where);
}

static int is_ourselves(hp_hosts_t *hosts, const hp_probe_answer_t *answer, const hp_endpoint_t *at,
                        hp_err_t *err)
{
    char where[HP_ENDPOINT_TEXT_SIZE];
    size_t index;
    hp_endpoint_format(at, where);
    hp_host_entry_t *owner = hp_hosts_entry_at(hosts, at, &index);
    if (owner != NULL)
        hp_hosts_lose_address(owner, index);
    if (answer->instance[0] == '\0' || strcmp(answer->instance, hosts->self->instance) == 0) {
        hp_recent_note(hosts, at, true);
        return hp_err_set(err, HP_E_INVALID, "%s is this host itself", where);
    }
    hp_recent_note(hosts, at, false);
    hp_err_set(err, HP_E_CONFLICT,
               "the host at %s has the same key as this one: one of the two data folders is a copy, run "
               "\"hostpair identity --new\" there",
               where);
    if (strcmp(hosts->copy_logged, where) != 0)
        hp_log(HP_LOG_WARN, "%s", err->detail);
    snprintf(hosts->copy_logged, sizeof hosts->copy_logged, "%s", where);
    return HP_E_CONFLICT;
}

static void set_rival(hp_hosts_t *hosts, hp_host_entry_t *host, size_t index)
{
    char where[HP_ENDPOINT_TEXT_SIZE], first[HP_ENDPOINT_TEXT_SIZE];
    size_t other = index == 0 ? 1 : 0;
    host->rival.at = host->addresses[index].endpoint;
    snprintf(host->rival.instance, sizeof host->rival.instance, "%s", host->seen[index].instance);
    host->rival.last = hp_clock_ms();
    hp_endpoint_format(&host->rival.at, where);
    hp_endpoint_format(&host->addresses[other].endpoint, first);
    char text[sizeof host->pub.problem];
    snprintf(text, sizeof text,
             "Another host at %s has the same key as this one at %s, and is not used: one of the two data "
             "folders is a copy. Run \"hostpair identity --new\" on one of them",
             where, first);
    hp_problem_set(hosts, host, HP_PROBLEM_COPY, &host->rival.at, text);
    hp_hosts_drop_address(host, index);
    hp_recent_note(hosts, &host->rival.at, false);
}

void hp_answer_forget_rival(hp_host_entry_t *host)
{
    host->rival.last = 0;
    if (host->problem.kind == HP_PROBLEM_COPY)
        hp_problem_clear(host);
}

static bool is_rival(const hp_host_entry_t *host, const hp_endpoint_t *at)
{
    return host->rival.last != 0 && hp_endpoint_same_place(&host->rival.at, at);
}

/* The host answered elsewhere with another instance, and here not at all: it has moved, so what answered last
 * comes first. */
static void on_old_address_tried(void *arg, int status, hp_host_entry_t *answered, bool is_new,
                                 const hp_err_t *err)
{
    hp_address_try_t *try = arg;
    hp_hosts_t *hosts = try->hosts;
    size_t index, best = 0;
    (void)answered, (void)is_new, (void)err;
    hp_host_entry_t *host = hosts->closing ? NULL : hp_hosts_entry_at(hosts, &try->at, &index);
    if (status != 0 && host != NULL && strcmp(host->pub.id, try->id) == 0) {
        host->seen[index].last = 0; /* no host is there now */
        for (size_t i = 0; i < host->pub.address_count; i++)
            if (host->seen[i].last > host->seen[best].last)
                best = i;
        if (index == 0 && best != 0) {
            hp_hosts_prefer_address(host, best);
            hp_hosts_save(hosts, host);
            hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
        }
    }
    free(try);
}

/* Notes which instance answered at an address. Whether that address still belongs to the host afterwards. */
static bool note_instance(hp_hosts_t *hosts, hp_host_entry_t *host, size_t index, const char *instance)
{
    uint64_t number = ++hosts->answers;
    hp_seen_t *seen = &host->seen[index];
    if (seen->last == 0 || strcmp(seen->instance, instance) != 0) {
        snprintf(seen->instance, sizeof seen->instance, "%s", instance);
        seen->since = number;
    }
    seen->last = number;
    seen->at = hp_clock_ms();
    if (instance[0] == '\0')
        return true;
    for (size_t i = 0; i < host->pub.address_count; i++) {
        const hp_seen_t *other = &host->seen[i];
        if (i == index || other->last == 0 || other->instance[0] == '\0' ||
            strcmp(other->instance, instance) == 0)
            continue;
        if (other->last < seen->since) { /* gone, or not asked since */
            hp_hosts_try(hosts, &host->addresses[i].endpoint, host->pub.found_by, on_old_address_tried,
                         hp_address_try_make(hosts, host, &host->addresses[i].endpoint));
            continue;
        }
        bool later = seen->since > other->since;
        set_rival(hosts, host, later ? index : i);
        return !later;
    }
    return true;
}

static void add_sample(hp_host_entry_t *host, const hp_probe_answer_t *answer)
{
    hp_sample_t sample = {.rtt_ms = answer->rtt_ms,
                          .offset_ms = answer->clock_offset_ms,
                          .uncertainty_ms = answer->clock_uncertainty_ms};
    hp_host_t *pub = &host->pub;
    /* A clock that was set since: what was measured before does not count any more. */
    if (sample.uncertainty_ms >= 0 && pub->clock_uncertainty_ms >= 0 &&
        llabs(sample.offset_ms - pub->clock_offset_ms) >
            sample.uncertainty_ms + pub->clock_uncertainty_ms + 2)
        host->sample_count = host->sample_next = 0;
    host->samples[host->sample_next] = sample;
    host->sample_next = (host->sample_next + 1) % HP_HOST_SAMPLES;
    host->sample_count = HP_MIN(host->sample_count + 1, (unsigned)HP_HOST_SAMPLES);
    pub->rtt_ms = -1;
    pub->clock_uncertainty_ms = -1;
    for (unsigned i = 0; i < host->sample_count; i++) {
        const hp_sample_t *s = &host->samples[i];
        if (pub->rtt_ms < 0 || s->rtt_ms < pub->rtt_ms)
            pub->rtt_ms = s->rtt_ms;
        if (s->uncertainty_ms >= 0 &&
            (pub->clock_uncertainty_ms < 0 || s->uncertainty_ms < pub->clock_uncertainty_ms)) {
            pub->clock_uncertainty_ms = s->uncertainty_ms;
            pub->clock_offset_ms = s->offset_ms;
        }
    }
}

static void came_online(hp_hosts_t *hosts, hp_host_entry_t *host, const char *where)
{
    hp_hosts_log(HP_LOG_INFO, host, "is online at", where);
    hp_hosts_emit(hosts, HP_HOST_ONLINE, host);
}

static void take_answer(hp_hosts_t *hosts, hp_host_entry_t *host, size_t index,
                        const hp_probe_answer_t *answer, bool is_new)
{
    hp_host_t *pub = &host->pub;
    uint64_t now = hp_clock_ms();
    char where[HP_ENDPOINT_TEXT_SIZE];
    hp_endpoint_format(&host->addresses[index].endpoint, where);
    const char *name = answer->name[0] != '\0' ? answer->name : where;
    pub->protocol = answer->protocol;
    pub->files = answer->files;
    pub->bytes = answer->bytes;
    host->hashing = answer->hashed_bytes >= 0 && answer->hashed_bytes < answer->bytes;
    memcpy(host->list_told, answer->list, sizeof host->list_told);
    memcpy(pub->instance, answer->instance, sizeof pub->instance);
    pub->proven |= answer->proven;
    hp_member_note_way(host, index);
    host->tls_hangs = answer->tls_hangs;
    if (hp_endpoint_same_place(&host->broke_off, &host->addresses[index].endpoint))
        host->broke_off.port = 0;
    hp_problem_settle(host, &host->addresses[index].endpoint);
    add_sample(host, answer);
    pub->last_seen = hp_clock_wall_ms();
    host->addresses[index].answered_at = pub->last_seen;
    host->heard_at = host->answered_at = now;
    host->answer_number = hosts->answers;
    host->failures = 0;
    host->maybe_changed = false;
    host->probe_at = hp_watch_probe_at(hosts, host);
    /* An address that works is not left for another one. */
    bool far = host->addresses[0].endpoint.scheme == HP_SCHEME_MEMBER;
    if (!pub->online || far || host->seen[0].last == 0 || host->seen[0].at + hosts->times.silent < now)
        hp_hosts_prefer_address(host, index);
    if (strcmp(pub->name, name) != 0)
        hp_hosts_rename(hosts, host, name);
    bool was_online = pub->online;
    pub->online = true;
    hp_hosts_save(hosts, host);
    if (is_new)
        hp_hosts_emit(hosts, HP_HOST_ADDED, host);
    if (!was_online)
        came_online(hosts, host, where);
    else
        hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
    hp_lists_seen(hosts, host, !was_online);
}

/* ---- what is not the host that is known at a place ---- */

static bool has_place(const hp_host_entry_t *host, const hp_endpoint_t *at, bool *elsewhere)
{
    bool found = false;
    *elsewhere = false;
    for (size_t i = 0; i < host->pub.address_count; i++) {
        bool same = hp_endpoint_same_place(&host->addresses[i].endpoint, at);
        found |= same;
        *elsewhere |= !same && host->pub.online && host->seen[i].last != 0;
    }
    for (size_t i = 0; i < host->former_count; i++)
        found |= hp_endpoint_same_place(&host->former[i].endpoint, at);
    return found;
}

hp_probe_mode_t hp_answer_mode(hp_hosts_t *hosts, const hp_endpoint_t *at)
{
    size_t index;
    bool elsewhere;
    for (size_t i = 0; i < hosts->count; i++)
        if (hosts->items[i]->pub.pinned && has_place(hosts->items[i], at, &elsewhere) && !elsewhere)
            return HP_PROBE_TLS;
    hp_host_entry_t *owner = hp_hosts_entry_at(hosts, at, &index);
    return owner != NULL && owner->tls_hangs && ++owner->plain_tries % TLS_EVERY != 0 ? HP_PROBE_PLAIN
                                                                                      : HP_PROBE_ANY;
}

/* What speaks plain HTTP hangs up on a handshake, and so does a line that breaks: it is the second one in a
 * row that tells. */
static bool is_first_break(hp_host_entry_t *host, const hp_endpoint_t *at)
{
    if (host->broke_off.port != 0 && hp_endpoint_same_place(&host->broke_off, at))
        return false;
    host->broke_off = *at;
    return true;
}

void hp_answer_refused(hp_hosts_t *hosts, const hp_endpoint_t *at, int status,
                       const hp_probe_answer_t *answer)
{
    char where[HP_ENDPOINT_TEXT_SIZE], text[sizeof((hp_host_t *)NULL)->problem];
    bool elsewhere;
    hp_endpoint_format(at, where);
    if (status == HP_E_NOT_TLS)
        snprintf(
            text, sizeof text,
            "The program that answers at %s speaks plain HTTP alone, which this host never does: it is "
            "another one, or hostpair 0.1, and nothing is asked there. Forget this host if that is right",
            where);
    else if (status == HP_E_TLS || status == HP_E_WRONG_KEY)
        snprintf(text, sizeof text,
                 "The program that answers at %s is not this host: it does not have its key", where);
    else
        return;
    for (size_t i = 0; i < hosts->count; i++)
        if (hosts->items[i]->pub.pinned && has_place(hosts->items[i], at, &elsewhere) &&
            (status != HP_E_NOT_TLS || !is_first_break(hosts->items[i], at)))
            hp_problem_set(hosts, hosts->items[i], HP_PROBLEM_ANSWER, at, text);
    hp_host_entry_t *claimed =
        status == HP_E_WRONG_KEY && answer != NULL ? hp_hosts_entry(hosts, answer->claimed_id) : NULL;
    if (claimed == NULL || !claimed->pub.pinned)
        return;
    snprintf(
        text, sizeof text,
        "The program that answers at %s says that it is this host, and does not have its key: it is not used",
        where);
    hp_problem_set(hosts, claimed, HP_PROBLEM_CLAIM, at, text);
}

/* Another host answers at its address now. That is no more than an address that changed when the known one
 * answers somewhere else. */
static void take_place(hp_hosts_t *hosts, hp_host_entry_t *owner, size_t index, const hp_endpoint_t *at,
                       const hp_probe_answer_t *answer)
{
    char where[HP_ENDPOINT_TEXT_SIZE], name[160], text[sizeof owner->pub.problem];
    bool elsewhere;
    has_place(owner, at, &elsewhere);
    if (elsewhere)
        hp_hosts_drop_address(owner, index);
    else
        hp_hosts_lose_address(owner, index);
    hp_hosts_save(hosts, owner);
    snprintf(text, sizeof text, "Another host answers at %s now: %s (%.*s)", hp_endpoint_format(at, where),
             hp_utf8_printable(answer->name, strlen(answer->name), name, sizeof name),
             answer->proven ? 8 : HP_HOST_ID_SIZE, answer->id);
    if (!elsewhere)
        hp_problem_set(hosts, owner, HP_PROBLEM_ANSWER, at, text);
    hp_hosts_emit(hosts, HP_HOST_CHANGED, owner);
    hp_watch_round(hosts, owner, false);
}

/* Hosts that were at this place before are still not there. */
static void renew_problems(hp_hosts_t *hosts, const hp_host_entry_t *host, const hp_endpoint_t *at)
{
    for (size_t i = 0; i < hosts->count; i++)
        if (hosts->items[i] != host && !hosts->items[i]->pub.online &&
            hosts->items[i]->problem.kind == HP_PROBLEM_ANSWER &&
            hp_endpoint_same_place(&hosts->items[i]->problem.at, at))
            hosts->items[i]->problem.last = hp_clock_ms();
}

/* ---- the host that answered ---- */

/* Its entry, made when it is new, with its key. NULL: there is no room. */
static hp_host_entry_t *find_host(hp_hosts_t *hosts, const hp_probe_answer_t *answer, const hp_endpoint_t *at,
                                  hp_found_by_t by, bool *is_new)
{
    char address[HP_ENDPOINT_ADDRESS_SIZE];
    size_t index;
    hp_host_entry_t *owner = hp_hosts_entry_at(hosts, at, &index), *host = hp_hosts_entry(hosts, answer->id);
    if (owner != NULL && owner != host) {
        if (hp_hosts_is_successor(owner, answer, host))
            host = hp_hosts_become(hosts, owner, answer, host);
        else
            take_place(hosts, owner, index, at, answer);
    }
    *is_new = host == NULL;
    if (*is_new) {
        hp_endpoint_address(at, address);
        host = hp_hosts_new_entry(hosts, answer->id, answer->name[0] != '\0' ? answer->name : address, at);
        if (host == NULL)
            return NULL;
        host->pub.found_by = by;
        host->first_seen = hp_clock_wall_ms();
    }
    if (answer->proven && !host->pub.pinned)
        hp_hosts_pin(host, answer->fingerprint);
    renew_problems(hosts, host, at);
    return host;
}

static bool is_other_key(const hp_host_entry_t *host, const hp_probe_answer_t *answer)
{
    return host != NULL && answer->proven && host->pub.pinned &&
           memcmp(host->pub.fingerprint, answer->fingerprint, sizeof answer->fingerprint) != 0;
}

/* 0 with the host that answered, or why it is none. */
int hp_answer_accept(hp_hosts_t *hosts, const hp_probe_answer_t *answer, const hp_endpoint_t *at,
                     hp_found_by_t by, hp_host_entry_t **out, bool *is_new, hp_err_t *err)
{
    size_t index;
    if (answer->proven && strcmp(answer->id, hosts->self->id) == 0)
        return is_ourselves(hosts, answer, at, err);
    if (is_other_key(hp_hosts_entry(hosts, answer->id), answer)) /* whose first 16 bytes are the same */
        return hp_err_set(err, HP_E_WRONG_KEY, "the program that answers there has the id of another host");
    const hp_host_entry_t *owner = hp_hosts_entry_at(hosts, at, &index);
    hp_host_entry_t *host = find_host(hosts, answer, at, by, is_new);
    if (host == NULL)
        return hp_err_set(err, HP_E_TOO_MANY, "there are too many hosts at that address, or in all");
    bool rival = is_rival(host, at);
    if (rival && host->pub.online && strcmp(answer->instance, host->pub.instance) != 0) {
        host->rival.last = hp_clock_ms();
        hp_recent_note(hosts, at, false);
        return hp_err_set(err, HP_E_CONFLICT, "%s", host->pub.problem);
    }
    if (rival)
        hp_answer_forget_rival(host); /* the first one has gone, or they are one host again */
    index = hp_hosts_add_address(host, at);
    if (!note_instance(hosts, host, index, answer->instance)) {
        hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
        return hp_err_set(err, HP_E_CONFLICT, "%s", host->pub.problem);
    }
    index = hp_hosts_add_address(host, at); /* a rival before it may have gone */
    take_answer(hosts, host, index, answer, *is_new);
    if (host->pub.blocked && owner != host)
        hp_hosts_emit(hosts, HP_HOST_BLOCKED, host);
    *out = host;
    return 0;
}
