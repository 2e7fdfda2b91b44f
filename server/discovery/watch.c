/* Who is there: probes, who is online, and which answer belongs to which host.
 *
 * A try is a probe of one address, shared by everybody who wants to know about it. A round is a look whether
 * a host is there: its first address, and if that fails all the others at once. A host is online from its
 * first answer until two rounds, or one that a person asked for, were without any.
 *
 * Two hosts with one id (a copied data folder) give themselves away by `instance`, which is new at every
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

#define FAILED_FACTOR 5 /* an address without a host is tried again after so many times times.again */
#define SELF_FACTOR   30
#define HINTS_MAX     512 /* probes that may wait when a hint is heeded */
#define RETRIES_MAX                                                                                          \
    3 /* of an address that a beacon came from: after times.again, and each time twice as long */
#define RIVAL_FACTOR 3 /* a rival that did not answer for so many times times.silent has gone */

/* ---- addresses that were tried lately and have no host ---- */

static hp_recent_t *recent_find(hp_hosts_t *hosts, const char *address, uint16_t port)
{
    for (size_t i = 0; i < HP_HOSTS_RECENT; i++)
        if (hosts->recent[i].port == port && strcmp(hosts->recent[i].address, address) == 0)
            return &hosts->recent[i];
    return NULL;
}

static void recent_note(hp_hosts_t *hosts, const char *address, uint16_t port, bool self)
{
    hp_recent_t *recent = recent_find(hosts, address, port);
    if (recent == NULL) {
        recent = &hosts->recent[hosts->recent_next];
        hosts->recent_next = (hosts->recent_next + 1) % HP_HOSTS_RECENT;
        snprintf(recent->address, sizeof recent->address, "%s", address);
        recent->port = port;
        recent->retries = 0;
    }
    recent->at = hp_clock_ms();
    recent->self = self;
    recent->retry_at = 0;
}

/* Whoever sends a beacon is there: no answer from him means that packets get lost. */
static void note_failure(hp_hosts_t *hosts, const hp_try_t *try, int status)
{
    recent_note(hosts, try->address, try->port, false);
    hp_recent_t *recent = recent_find(hosts, try->address, try->port);
    if (try->by != HP_FOUND_BEACON || status == HP_E_NOT_A_HOST || recent->retries >= RETRIES_MAX)
        return;
    recent->retry_at = recent->at + ((uint64_t)hosts->times.again << recent->retries++);
    hosts->retry_at = HP_MIN(hosts->retry_at, recent->retry_at);
}

/* ---- what an answer means ---- */

static void log_text(hp_log_level_t level, const hp_host_entry_t *host, const char *what, const char *where)
{
    char name[160];
    hp_log(level, "host %s (%.8s) %s%s%s",
           hp_utf8_printable(host->pub.name, strlen(host->pub.name), name, sizeof name), host->pub.id, what,
           where[0] != '\0' ? " " : "", where);
}

static int is_ourselves(hp_hosts_t *hosts, const hp_probe_answer_t *answer, const char *address,
                        uint16_t port, hp_err_t *err)
{
    char where[HP_ADDRESS_SIZE];
    size_t index;
    hp_address_format(address, port, where);
    hp_host_entry_t *owner = hp_hosts_entry_at(hosts, address, port, &index);
    if (owner != NULL)
        hp_hosts_drop_address(owner, index);
    if (answer->instance[0] == '\0' || strcmp(answer->instance, hosts->self->instance) == 0) {
        recent_note(hosts, address, port, true);
        return hp_err_set(err, HP_E_INVALID, "%s is this host itself", where);
    }
    recent_note(hosts, address, port, false);
    hp_err_set(err, HP_E_CONFLICT,
               "the host at %s has the same id as this one: one of the two data folders is a copy, remove "
               "hostpair.db there",
               where);
    if (strcmp(hosts->copy_logged, where) != 0)
        hp_log(HP_LOG_WARN, "%s", err->detail);
    snprintf(hosts->copy_logged, sizeof hosts->copy_logged, "%s", where);
    return HP_E_CONFLICT;
}

static void set_rival(hp_hosts_t *hosts, hp_host_entry_t *host, size_t index)
{
    char where[HP_ADDRESS_SIZE], first[HP_ADDRESS_SIZE];
    size_t other = index == 0 ? 1 : 0;
    snprintf(host->rival.address, sizeof host->rival.address, "%s", host->addresses[index].address);
    snprintf(host->rival.instance, sizeof host->rival.instance, "%s", host->seen[index].instance);
    host->rival.port = host->addresses[index].port;
    host->rival.last = hp_clock_ms();
    hp_address_format(host->rival.address, host->rival.port, where);
    hp_address_format(host->addresses[other].address, host->addresses[other].port, first);
    snprintf(host->pub.problem, sizeof host->pub.problem,
             "Another host at %s uses the same id: a copied data folder. Remove hostpair.db on one of them",
             where);
    log_text(HP_LOG_WARN, host,
             "has the same id as another host, one of the two data folders is a copy: they are at", first);
    hp_log(HP_LOG_WARN, "the other one is at %s, and is not used", where);
    hp_hosts_drop_address(host, index);
    recent_note(hosts, host->rival.address, host->rival.port, false);
}

static void forget_rival(hp_host_entry_t *host)
{
    host->rival.last = 0;
    host->pub.problem[0] = '\0';
}

static bool is_rival(const hp_host_entry_t *host, const char *address, uint16_t port)
{
    return host->rival.last != 0 && host->rival.port == port && strcmp(host->rival.address, address) == 0;
}

static void ignore_result(void *arg, int status, hp_host_entry_t *host, bool is_new, const hp_err_t *err)
{
    (void)arg, (void)status, (void)host, (void)is_new, (void)err;
}

/* An address of a host that is tried by itself. */
typedef struct address_try {
    hp_hosts_t *hosts;
    char id[HP_HOST_ID_SIZE], address[64];
    uint16_t port;
} address_try_t;

static address_try_t *make_address_try(hp_hosts_t *hosts, const hp_host_entry_t *host, size_t index)
{
    address_try_t *try = hp_alloc(sizeof *try);
    try->hosts = hosts;
    memcpy(try->id, host->pub.id, sizeof try->id);
    memcpy(try->address, host->addresses[index].address, sizeof try->address);
    try->port = host->addresses[index].port;
    return try;
}

/* The host answered elsewhere with another instance, and here not at all: it has moved, so what answered last
 * comes first. */
static void on_old_address_tried(void *arg, int status, hp_host_entry_t *answered, bool is_new,
                                 const hp_err_t *err)
{
    address_try_t *try = arg;
    hp_hosts_t *hosts = try->hosts;
    size_t index, best = 0;
    (void)answered, (void)is_new, (void)err;
    hp_host_entry_t *host = hosts->closing ? NULL : hp_hosts_entry_at(hosts, try->address, try->port, &index);
    if (status != 0 && host != NULL && strcmp(host->pub.id, try->id) == 0) {
        host->seen[index].last = 0; /* nobody is there now */
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
            hp_hosts_try(hosts, host->addresses[i].address, host->addresses[i].port, host->pub.found_by,
                         on_old_address_tried, make_address_try(hosts, host, i));
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
static uint64_t online_probe_at(const hp_hosts_t *hosts, const hp_host_entry_t *host)
{
    uint64_t at = host->heard_at + hosts->times.silent;
    if (host->hashing)
        at = HP_MIN(at, host->told_at + hp_watch_hashing_pause(hosts, host));
    if (host->news)
        at = HP_MIN(at, host->told_at + hosts->times.again);
    return at;
}

void hp_watch_set_hashing(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    host->hashing = true;
    if (host->pub.online && host->probe_at != HP_NEVER)
        host->probe_at = HP_MIN(host->probe_at, online_probe_at(hosts, host));
}

static void came_online(hp_hosts_t *hosts, hp_host_entry_t *host, const char *where)
{
    log_text(HP_LOG_INFO, host, "is online at", where);
    hp_hosts_emit(hosts, HP_HOST_ONLINE, host);
}

static void take_answer(hp_hosts_t *hosts, hp_host_entry_t *host, size_t index,
                        const hp_probe_answer_t *answer, bool is_new)
{
    hp_host_t *pub = &host->pub;
    uint64_t now = hp_clock_ms();
    char where[HP_ADDRESS_SIZE];
    hp_address_format(host->addresses[index].address, host->addresses[index].port, where);
    const char *name = answer->name[0] != '\0' ? answer->name : where;
    pub->protocol = answer->protocol;
    pub->files = answer->files;
    pub->bytes = answer->bytes;
    host->hashing = answer->hashed_bytes >= 0 && answer->hashed_bytes < answer->bytes;
    memcpy(host->list_told, answer->list, sizeof host->list_told);
    memcpy(pub->instance, answer->instance, sizeof pub->instance);
    add_sample(host, answer);
    pub->last_seen = hp_clock_wall_ms();
    host->addresses[index].answered_at = pub->last_seen;
    host->heard_at = host->told_at = now;
    host->answer_number = hosts->answers;
    host->failures = 0;
    host->news = false;
    host->probe_at = online_probe_at(hosts, host);
    /* An address that works is not left for another one. */
    if (!pub->online || host->seen[0].last == 0 || host->seen[0].at + hosts->times.silent < now)
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

/* 0 with the host that answered, or why it is none. */
static int accept_answer(hp_hosts_t *hosts, const hp_probe_answer_t *answer, const char *address,
                         uint16_t port, hp_found_by_t by, hp_host_entry_t **out, bool *is_new, hp_err_t *err)
{
    if (strcmp(answer->id, hosts->self->id) == 0)
        return is_ourselves(hosts, answer, address, port, err);
    size_t index;
    hp_host_entry_t *owner = hp_hosts_entry_at(hosts, address, port, &index);
    if (owner != NULL && strcmp(owner->pub.id, answer->id) != 0) {
        hp_hosts_drop_address(owner, index); /* another host has it now */
        hp_hosts_save(hosts, owner);
    }
    hp_host_entry_t *host = hp_hosts_entry(hosts, answer->id);
    *is_new = host == NULL;
    if (*is_new) {
        host =
            hp_hosts_new_entry(hosts, answer->id, answer->name[0] != '\0' ? answer->name : address, address);
        if (host == NULL)
            return hp_err_set(err, HP_E_TOO_MANY, "there are too many hosts at %s, or in all", address);
        host->pub.found_by = by;
        host->first_seen = hp_clock_wall_ms();
    }
    bool rival = is_rival(host, address, port);
    if (rival && host->pub.online && strcmp(answer->instance, host->pub.instance) != 0) {
        host->rival.last = hp_clock_ms();
        recent_note(hosts, address, port, false);
        return hp_err_set(err, HP_E_CONFLICT, "%s", host->pub.problem);
    }
    if (rival)
        forget_rival(host); /* the first one has gone, or they are one host again */
    index = hp_hosts_add_address(host, address, port);
    if (!note_instance(hosts, host, index, answer->instance)) {
        hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
        return hp_err_set(err, HP_E_CONFLICT, "%s", host->pub.problem);
    }
    index = hp_hosts_add_address(host, address, port); /* a rival before it may have gone */
    take_answer(hosts, host, index, answer, *is_new);
    if (host->pub.blocked && owner != host)
        hp_hosts_emit(hosts, HP_HOST_BLOCKED, host);
    *out = host;
    return 0;
}

/* ---- tries ---- */

static void start_next(hp_hosts_t *hosts);

static void finish_try(hp_try_t *try, int status, hp_host_entry_t *host, bool is_new, const hp_err_t *err)
{
    hp_hosts_t *hosts = try->hosts;
    hp_try_t **at = &hosts->tries;
    while (*at != try)
        at = &(*at)->next;
    *at = try->next;
    while (try->waiters != NULL) {
        hp_try_waiter_t *waiter = try->waiters;
        try->waiters = waiter->next;
        waiter->done(waiter->arg, status, host, is_new, err);
        free(waiter);
    }
    free(try);
    hosts->try_count--;
}

static void on_probe(void *arg, int status, const hp_probe_answer_t *answer, const hp_err_t *why)
{
    hp_try_t *try = arg;
    hp_hosts_t *hosts = try->hosts;
    hp_host_entry_t *host = NULL;
    bool is_new = false;
    hp_err_t err = *why;
    hosts->trying--;
    if (hosts->closing)
        status = UV_ECANCELED;
    size_t index;
    if (status == 0)
        status = accept_answer(hosts, answer, try->address, try->port, try->by, &host, &is_new, &err);
    else if (hp_hosts_entry_at(hosts, try->address, try->port, &index) == NULL)
        note_failure(hosts, try, status);
    finish_try(try, status, host, is_new, &err);
    start_next(hosts);
    hp_hosts_schedule(hosts);
    hp_hosts_check_closed(hosts);
}

static void start_next(hp_hosts_t *hosts)
{
    if (hosts->closing)
        return;
    for (hp_try_t *try = hosts->tries; try != NULL && hosts->trying < HP_HOSTS_TRIES; try = try->next) {
        if (try->probe != NULL || try->decided)
            continue;
        hosts->trying++;
        try->probe = hp_probe_start(hosts->fetcher, try->address, try->port, hosts->announce, on_probe, try);
    }
}

static hp_try_t *find_try(hp_hosts_t *hosts, const char *address, uint16_t port)
{
    for (hp_try_t *try = hosts->tries; try != NULL; try = try->next)
        if (!try->decided && try->port == port && strcmp(try->address, address) == 0)
            return try;
    return NULL;
}

static hp_try_t *new_try(hp_hosts_t *hosts, const char *address, uint16_t port, hp_found_by_t by)
{
    hp_try_t *try = hp_alloc(sizeof *try);
    try->hosts = hosts;
    snprintf(try->address, sizeof try->address, "%s", address);
    try->port = port;
    try->by = by;
    hp_try_t **end = &hosts->tries;
    while (*end != NULL)
        end = &(*end)->next;
    *end = try;
    hosts->try_count++;
    return try;
}

static void add_waiter(hp_try_t *try, hp_try_fn done, void *arg)
{
    hp_try_waiter_t *waiter = hp_alloc(sizeof *waiter);
    waiter->done = done;
    waiter->arg = arg;
    waiter->next = try->waiters;
    try->waiters = waiter;
}

/* Answers without a probe, when the loop comes round. */
static void decide(hp_hosts_t *hosts, int status, const hp_err_t *err, hp_try_fn done, void *arg)
{
    hp_try_t *try = new_try(hosts, "", 0, HP_FOUND_HAND);
    try->decided = true;
    try->status = status;
    try->err = *err;
    add_waiter(try, done, arg);
    hosts->decided = true;
    hp_hosts_schedule(hosts);
}

void hp_watch_finish_decided(hp_hosts_t *hosts)
{
    hosts->decided = false;
    unsigned count = 0; /* those that come while these end wait for the next time */
    for (const hp_try_t *try = hosts->tries; try != NULL; try = try->next)
        count += try->decided;
    for (; count > 0; count--) {
        hp_try_t *try = hosts->tries;
        while (!try->decided)
            try = try->next;
        finish_try(try, try->status, NULL, false, &try->err);
    }
}

void hp_hosts_try(hp_hosts_t *hosts, const char *address, uint16_t port, hp_found_by_t by, hp_try_fn done,
                  void *arg)
{
    char canonical[HP_ADDRESS_TEXT];
    hp_err_t err = {0};
    if (hosts->closing) { /* nothing comes round any more */
        done(arg, hp_err_set(&err, UV_ECANCELED, "hostpair is being stopped"), NULL, false, &err);
        return;
    }
    if (hp_address_canonical(address, canonical) != 0 || port == 0) {
        int status = hp_err_set(&err, HP_E_INVALID, "%s port %u is no address of a host", address, port);
        decide(hosts, status, &err, done, arg);
        return;
    }
    hp_try_t *try = find_try(hosts, canonical, port);
    if (try == NULL && hosts->try_count >= HP_HOSTS_TRIES_QUEUED) {
        decide(hosts, hp_err_set(&err, HP_E_BUSY, "too many addresses are being tried"), &err, done, arg);
        return;
    }
    if (try == NULL)
        try = new_try(hosts, canonical, port, by);
    if (by == HP_FOUND_HAND)
        try->by = by;
    add_waiter(try, done, arg);
    start_next(hosts);
}

void hp_watch_stop(hp_hosts_t *hosts)
{
    for (hp_try_t *try = hosts->tries; try != NULL; try = try->next) {
        if (try->probe != NULL) {
            hp_probe_cancel(try->probe);
        } else if (!try->decided) {
            try->decided = true;
            try->status = hp_err_set(&try->err, UV_ECANCELED, "hostpair is being stopped");
        }
    }
}

/* ---- rounds ---- */

static void on_round_try(void *arg, int status, hp_host_entry_t *host, bool is_new, const hp_err_t *err);

static void round_start_try(hp_hosts_t *hosts, hp_host_entry_t *host, size_t index)
{
    address_try_t *round = make_address_try(hosts, host, index);
    host->round_left++;
    hp_hosts_try(hosts, round->address, round->port, host->pub.found_by, on_round_try, round);
}

static uint64_t offline_pause(const hp_hosts_t *hosts, const hp_host_entry_t *host)
{
    return is_waited_for(host) ? hosts->times.waiting : hosts->times.offline;
}

static void round_end(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    uint64_t now = hp_clock_ms();
    if (host->round_answered || host->answer_number > host->round_number) {
        host->probe_at = HP_MAX(online_probe_at(hosts, host), now + hosts->times.again);
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
    if (!host->pub.online)
        return;
    host->pub.online = false;
    host->list_at = HP_NEVER;
    log_text(HP_LOG_INFO, host, "is offline", "");
    hp_hosts_emit(hosts, HP_HOST_OFFLINE, host);
    hp_hosts_save(hosts, host);
}

static void on_round_try(void *arg, int status, hp_host_entry_t *answered, bool is_new, const hp_err_t *err)
{
    (void)is_new, (void)err;
    address_try_t *round = arg;
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
    if (status != 0 && hp_hosts_entry_at(hosts, round->address, round->port, &index) == host)
        host->seen[index].last = 0; /* nobody is there now */
    if (!host->round_answered && !host->round_all) {
        host->round_all = true;
        for (size_t i = 0; i < host->pub.address_count; i++)
            if (host->addresses[i].port != round->port ||
                strcmp(host->addresses[i].address, round->address) != 0)
                round_start_try(hosts, host, i);
    }
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
    if (host->rival.last != 0 &&
        host->rival.last + (uint64_t)hosts->times.silent * RIVAL_FACTOR < host->round_at) {
        forget_rival(host);
        hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
    }
    if (host->rival.last != 0)
        hp_hosts_try(hosts, host->rival.address, host->rival.port, host->pub.found_by, ignore_result, NULL);
    if (host->pub.address_count == 0)
        round_end(hosts, host);
    else
        round_start_try(hosts, host, 0);
}

void hp_watch_tick(hp_hosts_t *hosts, hp_host_entry_t *host, uint64_t now)
{
    if (now < host->probe_at)
        return;
    /* Signs of life since then put the probe off. */
    if (host->pub.online && host->failures == 0 && online_probe_at(hosts, host) > now)
        host->probe_at = online_probe_at(hosts, host);
    else
        hp_watch_round(hosts, host, false);
}

void hp_hosts_probe_all(hp_hosts_t *hosts, bool person)
{
    for (size_t i = 0; i < hosts->count; i++)
        hp_watch_round(hosts, hosts->items[i], person);
}

/* ---- hints ---- */

void hp_watch_retry(hp_hosts_t *hosts, uint64_t now)
{
    if (now < hosts->retry_at)
        return;
    hosts->retry_at = HP_NEVER;
    for (size_t i = 0; i < HP_HOSTS_RECENT; i++) {
        hp_recent_t *recent = &hosts->recent[i];
        if (recent->retry_at == 0)
            continue;
        if (recent->retry_at > now) {
            hosts->retry_at = HP_MIN(hosts->retry_at, recent->retry_at);
            continue;
        }
        size_t index;
        recent->retry_at = 0;
        if (hp_hosts_entry_at(hosts, recent->address, recent->port, &index) == NULL)
            hp_hosts_try(hosts, recent->address, recent->port, HP_FOUND_BEACON, ignore_result, NULL);
    }
}

/* Whether there is something to learn at an address. */
static bool worth_a_try(hp_hosts_t *hosts, const char *address, uint16_t port, bool changed)
{
    uint64_t now = hp_clock_ms();
    size_t index;
    const hp_host_entry_t *host = hp_hosts_entry_at(hosts, address, port, &index);
    if (host != NULL) {
        uint64_t last = HP_MAX(host->round_at, host->seen[index].at);
        bool just_now = last != 0 && last + hosts->times.again > now;
        bool known = !changed && host->pub.online && host->heard_at + hosts->times.silent > now;
        return !just_now && !known;
    }
    const hp_recent_t *recent = recent_find(hosts, address, port);
    unsigned factor = recent == NULL ? 0 : recent->self ? SELF_FACTOR : changed ? 1 : FAILED_FACTOR;
    return recent == NULL || recent->at + (uint64_t)hosts->times.again * factor <= now;
}

/* Anybody can name ports of its own address at which it never answers: such probes take as long as the
 * others' patience, and must not keep the others' from their turn. */
static bool is_crowded(const hp_hosts_t *hosts, const char *address)
{
    size_t same = 0;
    for (const hp_try_t *try = hosts->tries; try != NULL; try = try->next)
        same += !try->decided && strcmp(try->address, address) == 0;
    return same >= HP_HOSTS_PER_ADDRESS || hosts->try_count >= HINTS_MAX;
}

static void hint(hp_hosts_t *hosts, const char *address, uint16_t port, hp_found_by_t by, bool changed)
{
    char canonical[HP_ADDRESS_TEXT];
    if (hosts->closing || hp_address_canonical(address, canonical) != 0 ||
        !worth_a_try(hosts, canonical, port, changed) || is_crowded(hosts, canonical))
        return;
    hp_recent_t *recent = recent_find(hosts, canonical, port);
    if (recent != NULL)
        recent->retries = 0;
    hp_hosts_try(hosts, canonical, port, by, ignore_result, NULL);
}

void hp_hosts_hint(hp_hosts_t *hosts, const char *address, uint16_t port, hp_found_by_t by)
{
    hint(hosts, address, port, by, false);
}

void hp_hosts_hint_changed(hp_hosts_t *hosts, const char *address, uint16_t port, hp_found_by_t by)
{
    hint(hosts, address, port, by, true);
}

typedef struct check {
    hp_hosts_checked_fn done;
    void *arg;
} check_t;

static void on_check_done(void *arg, int status, hp_host_entry_t *host, bool is_new, const hp_err_t *err)
{
    (void)host, (void)is_new, (void)err;
    check_t *check = arg;
    check->done(check->arg, status);
    free(check);
}

void hp_hosts_check(hp_hosts_t *hosts, const char *address, uint16_t port, hp_found_by_t by,
                    hp_hosts_checked_fn done, void *arg)
{
    check_t *check = hp_alloc(sizeof *check);
    check->done = done;
    check->arg = arg;
    char canonical[HP_ADDRESS_TEXT];
    if (hp_address_canonical(address, canonical) == 0 && !worth_a_try(hosts, canonical, port, false))
        decide(hosts, 0, &(hp_err_t){0}, on_check_done, check);
    else
        hp_hosts_try(hosts, address, port, by, on_check_done, check);
}

void hp_hosts_verify(hp_hosts_t *hosts, const char *address, uint16_t port, hp_found_by_t by,
                     hp_hosts_checked_fn done, void *arg)
{
    check_t *check = hp_alloc(sizeof *check);
    check->done = done;
    check->arg = arg;
    hp_hosts_try(hosts, address, port, by, on_check_done, check);
}

/* ---- by hand, and what other parts tell ---- */

typedef struct add {
    hp_hosts_add_fn done;
    void *arg;
} add_t;

static void on_add_done(void *arg, int status, hp_host_entry_t *host, bool is_new, const hp_err_t *err)
{
    add_t *add = arg;
    add->done(add->arg, status, host != NULL ? &host->pub : NULL, is_new, err);
    free(add);
}

void hp_hosts_add(hp_hosts_t *hosts, const char *address, uint16_t port, hp_hosts_add_fn done, void *arg)
{
    add_t *add = hp_alloc(sizeof *add);
    add->done = done;
    add->arg = arg;
    hp_hosts_try(hosts, address, port, HP_FOUND_HAND, on_add_done, add);
}

void hp_hosts_set_waiting(hp_hosts_t *hosts, const char *id, hp_wait_kind_t kind, bool waiting)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    if (host == NULL || host->waiting[kind] == waiting)
        return;
    host->waiting[kind] = waiting;
    if (!waiting || host->probe_at == HP_NEVER)
        return;
    host->probe_at = HP_MIN(host->probe_at, host->pub.online ? online_probe_at(hosts, host)
                                                             : hp_clock_ms() + hosts->times.waiting);
    hp_hosts_schedule(hosts);
}

void hp_hosts_look(hp_hosts_t *hosts, const char *id)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    if (host == NULL || hosts->closing || !host->pub.online)
        return;
    host->news = true;
    if (host->probe_at == HP_NEVER) /* being asked now */
        return;
    host->probe_at = HP_MIN(host->probe_at, online_probe_at(hosts, host));
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
