/* Tries: probes of one address each, shared by all callers that ask about it, and a memory of the
 * addresses that were tried lately and have no host, so that hints about them are not followed again and
 * again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discovery/internal.h"

#define FAILED_FACTOR 5 /* an address without a host is tried again after so many times times.again */
#define SELF_FACTOR   30
#define HINTS_MAX     512 /* probes that may wait when a hint is heeded */
/* tries again of an address that a beacon came from: after times.again, and each time twice as long */
#define RETRIES_MAX 3

/* ---- addresses that were tried lately and have no host ---- */

hp_recent_t *hp_recent_find(hp_hosts_t *hosts, const hp_endpoint_t *at)
{
    for (size_t i = 0; i < HP_HOSTS_RECENT; i++)
        if (hp_endpoint_same_place(&hosts->recent[i].where, at))
            return &hosts->recent[i];
    return NULL;
}

void hp_recent_note(hp_hosts_t *hosts, const hp_endpoint_t *at, bool self)
{
    hp_recent_t *recent = hp_recent_find(hosts, at);
    if (recent == NULL) {
        recent = &hosts->recent[hosts->recent_next];
        hosts->recent_next = (hosts->recent_next + 1) % HP_HOSTS_RECENT;
        recent->where = *at;
        recent->retries = 0;
    }
    recent->at = hp_clock_ms();
    recent->self = self;
    recent->retry_at = 0;
}

/* A host that sends a beacon is there: if its probe gets no answer, packets were lost. */
static void note_failure(hp_hosts_t *hosts, const hp_try_t *try, int status)
{
    hp_recent_note(hosts, &try->at, false);
    hp_recent_t *recent = hp_recent_find(hosts, &try->at);
    if (try->by != HP_FOUND_BEACON || status == HP_E_NOT_A_HOST || recent->retries >= RETRIES_MAX)
        return;
    const hp_retry_policy_t policy = {.first_ms = hosts->times.again,
                                      .max_ms = hosts->times.again << RETRIES_MAX,
                                      .jitter = HP_RETRY_JITTER};
    recent->retry_at = recent->at + hp_retry_pause(&policy, ++recent->retries);
    hosts->retry_at = HP_MIN(hosts->retry_at, recent->retry_at);
}

/* ---- tries ---- */

void hp_tries_ignore(void *arg, int status, hp_host_entry_t *host, bool is_new, const hp_err_t *err)
{
    (void)arg, (void)status, (void)host, (void)is_new, (void)err;
}

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
        status = hp_answer_accept(hosts, answer, &try->at, try->by, &host, &is_new, &err);
    else if (hp_hosts_entry_at(hosts, &try->at, &index) == NULL)
        note_failure(hosts, try, status);
    if (status != 0 && status != UV_ECANCELED)
        hp_answer_refused(hosts, &try->at, status, answer);
    finish_try(try, status, host, is_new, &err);
    start_next(hosts);
    hp_hosts_schedule(hosts);
    hp_pending_drop(&hosts->pending);
}

static void start_next(hp_hosts_t *hosts)
{
    if (hosts->closing)
        return;
    for (hp_try_t *try = hosts->tries; try != NULL && hosts->trying < HP_HOSTS_TRIES; try = try->next) {
        if (try->probe != NULL || try->decided)
            continue;
        hosts->trying++;
        try->probe = hp_probe_start(hosts->fetcher, &try->at, hp_answer_mode(hosts, &try->at),
                                    hosts->announce, on_probe, try);
    }
}

static hp_try_t *find_try(hp_hosts_t *hosts, const hp_endpoint_t *at)
{
    for (hp_try_t *try = hosts->tries; try != NULL; try = try->next)
        if (!try->decided && hp_endpoint_same_place(&try->at, at))
            return try;
    return NULL;
}

static hp_try_t *new_try(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by)
{
    hp_try_t *try = hp_alloc(sizeof *try);
    try->hosts = hosts;
    try->at = *at;
    try->by = by;
    hp_try_t **end = &hosts->tries;
    while (*end != NULL)
        end = &(*end)->next;
    *end = try;
    hosts->try_count++;
    hp_pending_add(&hosts->pending);
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
    hp_try_t *try = new_try(hosts, &(hp_endpoint_t){.port = 0}, HP_FOUND_HAND);
    try->decided = true;
    try->status = status;
    try->err = *err;
    add_waiter(try, done, arg);
    hosts->decided = true;
    hp_hosts_schedule(hosts);
}

void hp_tries_finish_decided(hp_hosts_t *hosts)
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
        hp_pending_drop(&hosts->pending);
    }
}

void hp_hosts_try(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by, hp_try_fn done, void *arg)
{
    hp_err_t err = {0};
    if (hosts->closing) { /* nothing comes round any more */
        done(arg, hp_err_set(&err, UV_ECANCELED, "hostpair is being stopped"), NULL, false, &err);
        return;
    }
    hp_try_t *try = find_try(hosts, at);
    if (try == NULL && hosts->try_count >= HP_HOSTS_TRIES_QUEUED) {
        decide(hosts, hp_err_set(&err, HP_E_BUSY, "too many addresses are being tried"), &err, done, arg);
        return;
    }
    if (try == NULL)
        try = new_try(hosts, at, by);
    if (by == HP_FOUND_HAND)
        try->by = by;
    add_waiter(try, done, arg);
    start_next(hosts);
}

void hp_tries_stop(hp_hosts_t *hosts)
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

hp_address_try_t *hp_address_try_make(hp_hosts_t *hosts, const hp_host_entry_t *host, const hp_endpoint_t *at)
{
    hp_address_try_t *try = hp_alloc(sizeof *try);
    try->hosts = hosts;
    memcpy(try->id, host->pub.id, sizeof try->id);
    try->at = *at;
    return try;
}

/* ---- hints ---- */

void hp_tries_retry(hp_hosts_t *hosts, uint64_t now)
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
        if (hp_hosts_entry_at(hosts, &recent->where, &index) == NULL)
            hp_hosts_try(hosts, &recent->where, HP_FOUND_BEACON, hp_tries_ignore, NULL);
    }
}

/* Whether there is something to learn at an address. */
static bool worth_a_try(hp_hosts_t *hosts, const hp_endpoint_t *at, bool changed)
{
    uint64_t now = hp_clock_ms();
    size_t index;
    const hp_host_entry_t *host = hp_hosts_entry_at(hosts, at, &index);
    if (host != NULL) {
        uint64_t last = HP_MAX(host->round_at, host->seen[index].at);
        bool just_now = last != 0 && last + hosts->times.again > now;
        bool known = !changed && host->pub.online && host->heard_at + hosts->times.silent > now;
        return !just_now && !known;
    }
    const hp_recent_t *recent = hp_recent_find(hosts, at);
    unsigned factor = recent == NULL ? 0 : recent->self ? SELF_FACTOR : changed ? 1 : FAILED_FACTOR;
    return recent == NULL || recent->at + (uint64_t)hosts->times.again * factor <= now;
}

/* Anybody can name ports of its own address at which it never answers: such probes take as long as the
 * others' patience, and must not keep the others' from their turn. */
static bool is_crowded(const hp_hosts_t *hosts, const hp_endpoint_t *at)
{
    size_t same = 0;
    for (const hp_try_t *try = hosts->tries; try != NULL; try = try->next)
        same += !try->decided && hp_endpoint_same_host(&try->at, at);
    return same >= HP_HOSTS_PER_ADDRESS || hosts->try_count >= HINTS_MAX;
}

static void hint(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by, bool changed)
{
    if (hosts->closing || !worth_a_try(hosts, at, changed) || is_crowded(hosts, at))
        return;
    hp_recent_t *recent = hp_recent_find(hosts, at);
    if (recent != NULL)
        recent->retries = 0;
    hp_hosts_try(hosts, at, by, hp_tries_ignore, NULL);
}

void hp_hosts_hint(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by)
{
    hint(hosts, at, by, false);
}

void hp_hosts_hint_changed(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by)
{
    hint(hosts, at, by, true);
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

void hp_hosts_check(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by, hp_hosts_checked_fn done,
                    void *arg)
{
    check_t *check = hp_alloc(sizeof *check);
    check->done = done;
    check->arg = arg;
    if (!worth_a_try(hosts, at, false))
        decide(hosts, 0, &(hp_err_t){0}, on_check_done, check);
    else
        hp_hosts_try(hosts, at, by, on_check_done, check);
}

void hp_hosts_verify(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_found_by_t by, hp_hosts_checked_fn done,
                     void *arg)
{
    check_t *check = hp_alloc(sizeof *check);
    check->done = done;
    check->arg = arg;
    hp_hosts_try(hosts, at, by, on_check_done, check);
}

/* ---- by hand ---- */

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

void hp_hosts_add(hp_hosts_t *hosts, const hp_endpoint_t *at, hp_hosts_add_fn done, void *arg)
{
    add_t *add = hp_alloc(sizeof *add);
    add->done = done;
    add->arg = arg;
    hp_hosts_try(hosts, at, HP_FOUND_HAND, on_add_done, add);
}
