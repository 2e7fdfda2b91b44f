/* When file lists are fetched: after a host came online, when it offers another number of files or bytes than
 * before, when it says that its list is another one, every few minutes to be sure (a 304 as a rule), and when
 * somebody asks. At most LISTING of them at a time; one that takes long does not count among these any more,
 * so that a host that is slow, or means to be, keeps no other one's list from coming.
 *
 * The list of a host that is hashing a large folder is another one all the time. So when the numbers are the
 * same, only roots became known as a rule, and the next fetch waits: for a while (hp_hosts_times_t.hashing),
 * and longer where the fetch itself takes long. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discovery/internal.h"

#define LISTING      4    /* at a time, besides those that take long */
#define LISTING_MAX  32   /* with these */
#define LONG_SAME    2    /* of these, at one address, with which others there still get a place */
#define RETRY_MS     5000 /* after the first failure; doubles */
#define RETRY_MAX_MS 300000
#define TOO_LARGE_MS                                                                                         \
    3600000 /* a list that was too large is not fetched again before, unless the host offers other numbers   \
             */
#define SOON_MS      2000 /* at the earliest after the last fetch, when the host offers other numbers */
#define PAUSE_FACTOR 10   /* a list that took long is not fetched again before so many times as long */

typedef struct sweep_job {
    hp_hosts_t *hosts;
    bool more;
} sweep_job_t;

static int work_sweep(hp_db_t *db, void *arg, hp_err_t *err)
{
    sweep_job_t *job = arg;
    return hp_remote_sweep(db, &job->more, err);
}

static void on_swept(void *arg, int status, const hp_err_t *err)
{
    sweep_job_t *job = arg;
    hp_hosts_t *hosts = job->hosts;
    bool more = status == 0 && job->more && !hosts->closing;
    if (status != 0)
        hp_log(HP_LOG_WARN, "old file lists could not be removed: %s", hp_err_text(err));
    free(job);
    hosts->sweeping = false;
    if (more)
        hp_lists_sweep(hosts);
}

void hp_lists_sweep(hp_hosts_t *hosts)
{
    if (hosts->sweeping || hosts->closing)
        return;
    sweep_job_t *job = hp_alloc(sizeof *job);
    job->hosts = hosts;
    hosts->sweeping = true;
    hp_store_post_counted(hosts->store, &hosts->pending, HP_STORE_WRITE, work_sweep, on_swept, job);
}

/* ---- fetching ---- */

typedef struct hp_listing {
    hp_hosts_t *hosts;
    char id[HP_HOST_ID_SIZE];
    int64_t files, bytes; /* what the host offered when it began */
    hp_list_waiter_t *waiters;
} hp_listing_t;

static void tell(hp_list_waiter_t *waiters, int status, const hp_err_t *err)
{
    while (waiters != NULL) {
        hp_list_waiter_t *waiter = waiters;
        waiters = waiter->next;
        if (waiter->done != NULL)
            waiter->done(waiter->arg, status, err);
        free(waiter);
    }
}

static void note_failure(hp_hosts_t *hosts, hp_host_entry_t *host, const hp_err_t *err, uint64_t now)
{
    static const hp_retry_policy_t policy = {
        .first_ms = RETRY_MS, .max_ms = RETRY_MAX_MS, .jitter = HP_RETRY_JITTER};
    uint64_t at = hp_retry_failed(&host->list_retry, &policy, now);
    if (err->code == HP_E_TOO_LARGE)
        at = HP_MAX(at, now + TOO_LARGE_MS);
    host->list_at = host->pub.online ? at : HP_NEVER;
    if (strcmp(host->pub.list_error, hp_err_text(err)) != 0)
        hp_log(HP_LOG_WARN, "the file list of host %.8s was not fetched: %s", host->pub.id, hp_err_text(err));
    snprintf(host->pub.list_error, sizeof host->pub.list_error, "%s", hp_err_text(err));
    hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
}

static void note_success(hp_hosts_t *hosts, hp_host_entry_t *host, const hp_listing_t *listing,
                         const hp_file_list_result_t *result, uint64_t now)
{
    host->list_retry.failures = 0;
    memcpy(host->list_tag, result->tag, sizeof host->list_tag);
    if (!result->unchanged)
        host->list_took = now - host->list_started;
    /* The next probe tells whether it is at them. */
    if (result->unhashed > 0 && host->list_told[0] != '\0')
        hp_watch_set_hashing(hosts, host);
    /* The list is newer than what the last probe was told. */
    bool current = host->pub.files == listing->files && host->pub.bytes == listing->bytes;
    if (!result->unchanged && current) {
        host->pub.files = result->files;
        host->pub.bytes = result->bytes;
    }
    host->pub.list_error[0] = '\0';
    host->list_files = !result->unchanged && current ? result->files : listing->files;
    host->list_bytes = !result->unchanged && current ? result->bytes : listing->bytes;
    host->list_at = host->pub.online
                        ? now + HP_MAX(hosts->times.list, (now - host->list_started) * PAUSE_FACTOR)
                        : HP_NEVER;
    bool first = !host->pub.listed;
    host->pub.listed = true;
    if (!result->unchanged)
        hp_log(HP_LOG_INFO, "host %.8s lists %lld files", host->pub.id, (long long)result->files);
    hp_hosts_emit(hosts, result->unchanged && !first ? HP_HOST_CHANGED : HP_HOST_LISTED, host);
}

/* Hosts that wait for a place look again. */
static void wake_waiting(hp_hosts_t *hosts, uint64_t now)
{
    for (size_t i = 0; i < hosts->count; i++) {
        hp_host_entry_t *host = hosts->items[i];
        if (host->list_waits && host->list_at != HP_NEVER)
            host->list_at = HP_MIN(host->list_at, now);
    }
}

static void on_listed(void *arg, int status, const hp_file_list_result_t *result, const hp_err_t *err)
{
    hp_listing_t *listing = arg;
    hp_hosts_t *hosts = listing->hosts;
    hp_host_entry_t *host = hp_hosts_entry(hosts, listing->id);
    hosts->listing--;
    uint64_t now = hp_clock_ms();
    if (host != NULL && host->listing == listing) {
        host->list = NULL;
        host->listing = NULL;
        host->pub.listing = false;
        if (status == 0)
            note_success(hosts, host, listing, result, now);
        else if (status != UV_ECANCELED)
            note_failure(hosts, host, err, now);
        /* What the probe was told may be newer than the list. */
        if (status == 0 && host->pub.online && host->list_seen)
            hp_lists_seen(hosts, host, false);
        if (status == HP_E_UNREACHABLE && host->pub.online)
            hp_watch_round(hosts, host, false);
        if (host->list_waiters != NULL)
            host->list_at = now; /* asked for again meanwhile */
    }
    tell(listing->waiters, status, err);
    free(listing);
    wake_waiting(hosts, now);
    hp_lists_sweep(hosts);
    hp_hosts_schedule(hosts);
    hp_pending_drop(&hosts->pending);
}

/* What begins now, for everybody who waits. */
static hp_listing_t *make_listing(hp_hosts_t *hosts, hp_host_entry_t *host, uint64_t now)
{
    hp_listing_t *listing = hp_alloc(sizeof *listing);
    listing->hosts = hosts;
    memcpy(listing->id, host->pub.id, sizeof listing->id);
    listing->files = host->pub.files;
    listing->bytes = host->pub.bytes;
    listing->waiters = host->list_waiters;
    host->list_waiters = NULL;
    host->list_at = HP_NEVER;
    host->list_waits = host->list_seen = false;
    host->list_started = now;
    host->listing = listing;
    host->pub.listing = true;
    hosts->listing++;
    hp_pending_add(&hosts->pending);
    return listing;
}

static void start(hp_hosts_t *hosts, hp_host_entry_t *host, uint64_t now)
{
    hp_listing_t *listing = make_listing(hosts, host, now);
    host->list = hp_file_list_start(hosts->store, hosts->fetcher, host->pub.id, &host->addresses[0].endpoint,
                                    host->pub.files, host->list_force, on_listed, listing);
    host->list_force = false;
    hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
}

/* A list that waits until the one that is being fetched has come, or has not. */
typedef struct given_list {
    hp_hosts_t *hosts;
    char id[HP_HOST_ID_SIZE];
    char *text; /* owned */
    size_t length;
    void (*done)(void *arg, int status, const hp_err_t *err);
    void *arg;
} given_list_t;

static void on_turn(void *arg, int status, const hp_err_t *err)
{
    given_list_t *given = arg;
    (void)status, (void)err;
    hp_hosts_take_list(given->hosts, given->id, given->text, given->length, given->done, given->arg);
    free(given);
}

static void wait_for_turn(hp_hosts_t *hosts, hp_host_entry_t *host, given_list_t given)
{
    given_list_t *copy = hp_alloc(sizeof *copy);
    *copy = given;
    copy->hosts = hosts;
    memcpy(copy->id, host->pub.id, sizeof copy->id);
    hp_list_waiter_t *waiter = hp_alloc(sizeof *waiter);
    *waiter = (hp_list_waiter_t){.done = on_turn, .arg = copy, .next = host->listing->waiters};
    host->listing->waiters = waiter;
}

void hp_hosts_take_list(hp_hosts_t *hosts, const char *id, char *text, size_t length,
                        void (*done)(void *arg, int status, const hp_err_t *err), void *arg)
{
    hp_err_t err = {0};
    hp_host_entry_t *host = hosts->closing ? NULL : hp_hosts_entry(hosts, id);
    if (host != NULL && host->list != NULL && !host->pub.online) {
        wait_for_turn(hosts, host, (given_list_t){.text = text, .length = length, .done = done, .arg = arg});
        return;
    }
    if (host == NULL || host->pub.online) {
        free(text); /* a host that is there is asked itself */
        hp_err_set(&err, host == NULL ? HP_E_NOT_FOUND : HP_E_BUSY,
                   "the list of that host cannot be taken now");
        done(arg, err.code, &err);
        return;
    }
    hp_listing_t *listing = make_listing(hosts, host, hp_clock_ms());
    hp_list_waiter_t *waiter = hp_alloc(sizeof *waiter);
    *waiter = (hp_list_waiter_t){.done = done, .arg = arg, .next = listing->waiters};
    listing->waiters = waiter;
    host->list = hp_file_list_take(hosts->store, id, host->pub.name, text, length, on_listed, listing);
    hp_hosts_emit(hosts, HP_HOST_CHANGED, host);
}

static bool has_place(const hp_hosts_t *hosts, const hp_host_entry_t *host, uint64_t now)
{
    unsigned count = 0, same = 0;
    for (size_t i = 0; i < hosts->count; i++) {
        const hp_host_entry_t *other = hosts->items[i];
        if (other->list == NULL)
            continue;
        if (now < other->list_started + hosts->times.list_long)
            count++;
        else if (hp_endpoint_same_host(&other->addresses[0].endpoint, &host->addresses[0].endpoint))
            same++;
    }
    return count < LISTING && same < LONG_SAME && hosts->listing < LISTING_MAX;
}

void hp_lists_tick(hp_hosts_t *hosts, hp_host_entry_t *host, uint64_t now)
{
    if (now < host->list_at || hosts->closing)
        return;
    if (host->list != NULL) {
        host->list_at = HP_NEVER;
    } else if (host->pub.address_count == 0) {
        hp_err_t err = {0};
        hp_list_waiter_t *waiters = host->list_waiters;
        hp_err_set(&err, HP_E_UNREACHABLE, "no address of that host is known any more");
        host->list_at = HP_NEVER;
        host->list_waiters = NULL;
        tell(waiters, HP_E_UNREACHABLE, &err);
    } else if (!has_place(hosts, host, now)) {
        host->list_waits = true;
        host->list_at = now + hosts->times.list_long;
    } else {
        start(hosts, host, now);
    }
}

/* Whether the host said that its list is another one than the one that is stored. */
static bool has_other_list(const hp_host_entry_t *host)
{
    return host->list_told[0] != '\0' && strcmp(host->list_told, host->list_tag) != 0;
}

void hp_lists_seen(hp_hosts_t *hosts, hp_host_entry_t *host, bool came_online)
{
    uint64_t now = hp_clock_ms(), at = HP_NEVER, pause = HP_NEVER;
    host->list_seen = host->list != NULL;
    if (came_online) {
        host->list_retry.failures = 0;
        at = now;
    } else if (host->list_retry.failures == 0 &&
               (host->pub.files != host->list_files || host->pub.bytes != host->list_bytes)) {
        pause = SOON_MS;
    } else if (host->list_retry.failures == 0 && has_other_list(host)) {
        pause = HP_MAX(hp_watch_hashing_pause(hosts, host),
                       HP_MIN(host->list_took * PAUSE_FACTOR, (uint64_t)RETRY_MAX_MS));
    }
    if (pause != HP_NEVER)
        at = HP_MAX(now, host->list_started + pause);
    if (host->list == NULL && at < host->list_at) {
        host->list_at = at;
        hp_hosts_schedule(hosts);
    }
}

void hp_hosts_refresh(hp_hosts_t *hosts, const char *id, bool force,
                      void (*done)(void *arg, int status, const hp_err_t *err), void *arg)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    if (host == NULL) {
        hp_err_t err = {0};
        hp_err_set(&err, HP_E_NOT_FOUND, "there is no host with that id");
        if (done != NULL)
            done(arg, HP_E_NOT_FOUND, &err);
        return;
    }
    hp_list_waiter_t *waiter = hp_alloc(sizeof *waiter);
    waiter->done = done;
    waiter->arg = arg;
    /* One that is under way does for everybody who does not insist. */
    hp_list_waiter_t **waiters =
        host->listing != NULL && !force ? &host->listing->waiters : &host->list_waiters;
    waiter->next = *waiters;
    *waiters = waiter;
    host->list_force |= force;
    if (host->list == NULL) {
        host->list_at = hp_clock_ms();
        hp_hosts_schedule(hosts);
    }
}

void hp_lists_stop(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    (void)hosts;
    hp_err_t err = {0};
    hp_err_set(&err, UV_ECANCELED, "the host is not known any more, or hostpair is being stopped");
    hp_list_waiter_t *waiters = host->list_waiters;
    host->list_waiters = NULL;
    host->list_at = HP_NEVER;
    if (host->list != NULL)
        hp_file_list_cancel(host->list);
    tell(waiters, UV_ECANCELED, &err);
}

void hp_lists_forget(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    hp_lists_stop(hosts, host);
    host->list = NULL; /* its end finds no host any more */
    host->listing = NULL;
}
