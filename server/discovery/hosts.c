/* The registry itself: the hosts, in order, with their addresses, and its timer. */
#include "discovery/hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/utf8.h"
#include "db/remote_file.h"
#include "discovery/internal.h"
#include "discovery/lookup.h"

static const hp_hosts_times_t default_times = {
    .silent = 90000,
    .retry = 2000,
    .offline = 60000,
    .waiting = 10000,
    .again = 2000,
    .list = 300000,
    .list_long = 5000,
    .hashing = 30000,
    .hashing_waiting = 10000,
};

/* ---- names ---- */

static const char *const found_by_names[] = {
#define X(name, text) text,
    HP_FOUND_BY(X)
#undef X
};

const char *hp_found_by_name(hp_found_by_t by)
{
    return found_by_names[by];
}

/* ---- the sorted list ---- */

static int compare(const hp_host_entry_t *a, const hp_host_entry_t *b)
{
    int order = strcasecmp(a->pub.name, b->pub.name);
    if (order == 0)
        order = strcmp(a->pub.name, b->pub.name);
    return order != 0 ? order : strcmp(a->pub.id, b->pub.id);
}

static void take_out(hp_hosts_t *hosts, const hp_host_entry_t *host)
{
    size_t i = 0;
    while (hosts->items[i] != host)
        i++;
    hosts->count--;
    memmove(&hosts->items[i], &hosts->items[i + 1], (hosts->count - i) * sizeof(void *));
}

static void put_in(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    size_t i = hosts->count;
    while (i > 0 && compare(hosts->items[i - 1], host) > 0)
        i--;
    *hp_array_insert(hosts, i) = host;
}

size_t hp_hosts_count(const hp_hosts_t *hosts)
{
    return hosts->count;
}

const hp_host_t *hp_hosts_at(const hp_hosts_t *hosts, size_t index)
{
    return index < hosts->count ? &hosts->items[index]->pub : NULL;
}

hp_host_entry_t *hp_hosts_entry(const hp_hosts_t *hosts, const char *id)
{
    for (size_t i = 0; i < hosts->count; i++)
        if (strcmp(hosts->items[i]->pub.id, id) == 0)
            return hosts->items[i];
    return NULL;
}

const hp_host_t *hp_hosts_find(const hp_hosts_t *hosts, const char *id)
{
    const hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    return host != NULL ? &host->pub : NULL;
}

hp_host_entry_t *hp_hosts_entry_at(const hp_hosts_t *hosts, const hp_endpoint_t *at, size_t *index)
{
    for (size_t i = 0; i < hosts->count; i++) {
        hp_host_entry_t *host = hosts->items[i];
        for (size_t k = 0; k < host->pub.address_count; k++) {
            if (hp_endpoint_same_place(&host->addresses[k].endpoint, at)) {
                *index = k;
                return host;
            }
        }
    }
    return NULL;
}

/* ---- addresses ---- */

void hp_hosts_drop_address(hp_host_entry_t *host, size_t index)
{
    size_t after = --host->pub.address_count - index;
    memmove(&host->addresses[index], &host->addresses[index + 1], after * sizeof host->addresses[0]);
    memmove(&host->seen[index], &host->seen[index + 1], after * sizeof host->seen[0]);
    host->dirty = true;
}

void hp_hosts_lose_address(hp_host_entry_t *host, size_t index)
{
    if (host->pub.pinned) {
        size_t kept = HP_MIN(host->former_count, (size_t)HP_HOST_FORMER - 1);
        memmove(&host->former[1], &host->former[0], kept * sizeof host->former[0]);
        host->former[0] = host->addresses[index];
        host->former_count = kept + 1;
    }
    hp_hosts_drop_address(host, index);
}

/* It answers there again. */
static void forget_former(hp_host_entry_t *host, const hp_endpoint_t *at)
{
    for (size_t i = 0; i < host->former_count; i++) {
        if (!hp_endpoint_same_place(&host->former[i].endpoint, at))
            continue;
        memmove(&host->former[i], &host->former[i + 1], (--host->former_count - i) * sizeof host->former[0]);
        return;
    }
}

/* An address of a host, as the host is to be asked there. */
static hp_endpoint_t endpoint_of(const hp_host_entry_t *host, const hp_endpoint_t *at)
{
    hp_endpoint_t endpoint = *at;
    if (at->scheme == HP_SCHEME_MEMBER)
        return endpoint;
    endpoint.scheme = HP_SCHEME_PLAIN;
    endpoint.id[0] = '\0';
    memset(endpoint.fingerprint, 0, sizeof endpoint.fingerprint);
    if (host->pub.pinned)
        hp_endpoint_expect(&endpoint, host->pub.fingerprint);
    return endpoint;
}

void hp_hosts_pin(hp_host_entry_t *host, const uint8_t fingerprint[HP_FINGERPRINT_SIZE])
{
    host->pub.pinned = true;
    memcpy(host->pub.fingerprint, fingerprint, HP_FINGERPRINT_SIZE);
    for (size_t i = 0; i < host->pub.address_count; i++)
        host->addresses[i].endpoint = endpoint_of(host, &host->addresses[i].endpoint);
}

size_t hp_hosts_add_address(hp_host_entry_t *host, const hp_endpoint_t *at)
{
    for (size_t i = 0; i < host->pub.address_count; i++)
        if (hp_endpoint_same_place(&host->addresses[i].endpoint, at))
            return i;
    if (host->pub.address_count == HP_HOST_ADDRESSES_MAX) {
        size_t oldest = 0; /* neither the one in use, nor that it is a member of a group */
        for (size_t i = 1; i < HP_HOST_ADDRESSES_MAX; i++)
            if (host->addresses[i].endpoint.scheme != HP_SCHEME_MEMBER &&
                (oldest == 0 || host->addresses[i].answered_at < host->addresses[oldest].answered_at))
                oldest = i;
        hp_hosts_drop_address(host, oldest);
    }
    forget_former(host, at);
    size_t index = host->pub.address_count++;
    host->addresses[index] = (hp_host_address_t){.endpoint = endpoint_of(host, at)};
    host->seen[index] = (hp_seen_t){.since = 0};
    host->dirty = true;
    return index;
}

void hp_hosts_prefer_address(hp_host_entry_t *host, size_t index)
{
    if (index == 0)
        return;
    hp_host_address_t address = host->addresses[index];
    hp_seen_t seen = host->seen[index];
    memmove(&host->addresses[1], &host->addresses[0], index * sizeof host->addresses[0]);
    memmove(&host->seen[1], &host->seen[0], index * sizeof host->seen[0]);
    host->addresses[0] = address;
    host->seen[0] = seen;
    host->dirty = true;
}

/* ---- hosts come and go ---- */

void hp_hosts_emit(hp_hosts_t *hosts, hp_host_event_t event, const hp_host_entry_t *host)
{
    hp_signal_emit(&hosts->event, event, &host->pub);
}

hp_host_entry_t *hp_hosts_make_entry(hp_hosts_t *hosts, const char *id, const char *name)
{
    hp_host_entry_t *host = hp_alloc(sizeof *host);
    host->pub = (hp_host_t){
        .addresses = host->addresses, .rtt_ms = -1, .clock_uncertainty_ms = -1, .files = -1, .bytes = -1};
    snprintf(host->pub.id, sizeof host->pub.id, "%s", id);
    snprintf(host->pub.name, sizeof host->pub.name, "%s", name);
    host->probe_at = host->list_at = HP_NEVER;
    host->list_files = host->list_bytes = -2; /* differs from unknown */
    put_in(hosts, host);
    return host;
}

/* Whether a host may make room for another one. What was proven is kept longer than what was not: a crowd of
 * strangers must not push out the key of a host that is switched off. */
static bool is_spare(const hp_host_entry_t *host, const hp_host_entry_t *best)
{
    if (host->pub.online || host->pub.found_by == HP_FOUND_HAND || host->pub.blocked || host->pub.paired ||
        host->pub.unpaired || host->waiting[0] || host->waiting[1])
        return false;
    if (best == NULL || host->pub.pinned != best->pub.pinned)
        return best == NULL || !host->pub.pinned;
    return host->pub.last_seen < best->pub.last_seen;
}

/* A stranger can answer at any number of ports with as many ids as it likes. */
static bool make_room(hp_hosts_t *hosts, const hp_endpoint_t *at)
{
    size_t same = 0;
    hp_host_entry_t *oldest = NULL;
    for (size_t i = 0; i < hosts->count; i++) {
        hp_host_entry_t *host = hosts->items[i];
        same += host->pub.address_count > 0 && hp_endpoint_same_host(&host->addresses[0].endpoint, at);
        if (is_spare(host, oldest))
            oldest = host;
    }
    if (same >= HP_HOSTS_PER_ADDRESS)
        return false;
    if (hosts->count < HP_HOSTS_MAX)
        return true;
    if (oldest == NULL)
        return false;
    hp_hosts_remove_entry(hosts, oldest);
    return true;
}

hp_host_entry_t *hp_hosts_new_entry(hp_hosts_t *hosts, const char *id, const char *name,
                                    const hp_endpoint_t *at)
{
    char address[HP_ENDPOINT_ADDRESS_SIZE];
    if (make_room(hosts, at))
        return hp_hosts_make_entry(hosts, id, name);
    if (!hosts->full_logged)
        hp_log(HP_LOG_WARN, "there are too many hosts at %s, or in all: the others are passed over",
               hp_endpoint_address(at, address));
    hosts->full_logged = true;
    return NULL;
}

void hp_hosts_rename(hp_hosts_t *hosts, hp_host_entry_t *host, const char *name)
{
    take_out(hosts, host);
    snprintf(host->pub.name, sizeof host->pub.name, "%s", name);
    put_in(hosts, host);
}

void hp_hosts_set_id(hp_hosts_t *hosts, hp_host_entry_t *host, const char *id)
{
    take_out(hosts, host);
    snprintf(host->pub.id, sizeof host->pub.id, "%s", id);
    put_in(hosts, host);
}

void hp_hosts_retire(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    take_out(hosts, host);
    host->pub.online = false;
    *hp_array_add(&hosts->removed) = host;
    hp_hosts_schedule(hosts);
}

void hp_hosts_remove_entry(hp_hosts_t *hosts, hp_host_entry_t *host)
{
    take_out(hosts, host);
    hp_lists_forget(hosts, host);
    hp_hosts_forget(hosts, host);
    host->pub.online = false;
    hp_hosts_emit(hosts, HP_HOST_REMOVED, host);
    *hp_array_add(&hosts->removed) = host;
    hp_hosts_schedule(hosts);
}

int hp_hosts_remove(hp_hosts_t *hosts, const char *id)
{
    hp_host_entry_t *host = hp_hosts_entry(hosts, id);
    if (host == NULL)
        return HP_E_NOT_FOUND;
    if (host->pub.blocked || host->pub.paired)
        return HP_E_CONFLICT;
    hp_hosts_remove_entry(hosts, host);
    return 0;
}

static void free_removed(hp_hosts_t *hosts)
{
    for (size_t i = 0; i < hosts->removed.count; i++)
        free(hosts->removed.items[i]);
    hp_array_clear(&hosts->removed);
}

/* ---- the timer ---- */

static void on_timer(uv_timer_t *timer)
{
    hp_hosts_t *hosts = timer->data;
    uint64_t now = hp_clock_ms();
    free_removed(hosts);
    hp_tries_finish_decided(hosts);
    hp_tries_retry(hosts, now);
    for (size_t i = 0; hosts->started && i < hosts->count; i++) {
        hp_host_entry_t *host = hosts->items[i];
        hp_watch_tick(hosts, host, now);
        hp_lists_tick(hosts, host, now);
    }
    hp_hosts_schedule(hosts);
}

void hp_hosts_schedule(hp_hosts_t *hosts)
{
    if (hosts->closing)
        return;
    uint64_t next = hosts->retry_at, now = hp_clock_ms();
    for (size_t i = 0; hosts->started && i < hosts->count; i++) {
        next = HP_MIN(next, hosts->items[i]->probe_at);
        next = HP_MIN(next, hosts->items[i]->list_at);
    }
    if (hosts->removed.count > 0 || hosts->decided)
        next = now;
    if (next == HP_NEVER)
        uv_timer_stop(&hosts->timer);
    else
        uv_timer_start(&hosts->timer, on_timer, next > now ? next - now : 0, 0);
}

/* ---- start and end ---- */

int hp_hosts_create(hp_hosts_t **out, uv_loop_t *loop, hp_store_t *store, hp_fetcher_t *fetcher,
                    const hp_self_t *self, hp_err_t *err)
{
    *out = NULL;
    hp_hosts_t *hosts = hp_alloc(sizeof *hosts);
    hosts->loop = loop;
    hosts->store = store;
    hosts->fetcher = fetcher;
    hosts->self = self;
    hosts->times = default_times;
    hosts->retry_at = HP_NEVER;
    int rc = hp_hosts_load(hosts, err);
    if (rc != 0) {
        free(hosts);
        return rc;
    }
    uv_timer_init(loop, &hosts->timer);
    hosts->timer.data = hosts;
    hosts->lookups = hp_lookups_create(loop);
    *out = hosts;
    return 0;
}

void hp_hosts_set_announce(hp_hosts_t *hosts, uint16_t port)
{
    hosts->announce = port;
}

void hp_hosts_set_port(hp_hosts_t *hosts, uint16_t port)
{
    hosts->port = port;
}

uint16_t hp_hosts_port(const hp_hosts_t *hosts)
{
    return hosts->port != 0 ? hosts->port : hosts->self->peer_port;
}

void hp_hosts_set_times(hp_hosts_t *hosts, const hp_hosts_times_t *times)
{
    hosts->times = *times;
}

void hp_hosts_on_event(hp_hosts_t *hosts, hp_host_event_fn *fn, void *arg)
{
    hp_signal_add(&hosts->event, fn, arg);
}

void hp_hosts_off_event(hp_hosts_t *hosts, hp_host_event_fn *fn, void *arg)
{
    hp_signal_remove(&hosts->event, fn, arg);
}

void hp_hosts_start(hp_hosts_t *hosts)
{
    hosts->started = true;
    hp_lists_sweep(hosts);
    hp_hosts_probe_all(hosts, false);
    hp_hosts_schedule(hosts);
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_hosts_t *hosts = handle->data;
    hp_tries_finish_decided(hosts);
    hp_pending_drop(&hosts->pending);
}

static void on_lookups_closed(void *arg)
{
    hp_pending_drop(&((hp_hosts_t *)arg)->pending);
}

static void free_hosts(void *self)
{
    hp_hosts_t *hosts = self;
    free_removed(hosts);
    for (size_t i = 0; i < hosts->count; i++)
        free(hosts->items[i]);
    free(hosts->items);
    hp_array_dispose(&hosts->removed);
    hp_signal_dispose(&hosts->event);
    void (*closed)(void *arg) = hosts->closed;
    void *arg = hosts->closed_arg;
    free(hosts);
    if (closed != NULL)
        closed(arg);
}

void hp_hosts_destroy(hp_hosts_t *hosts, void (*closed)(void *arg), void *arg)
{
    hosts->closing = true;
    hosts->closed = closed;
    hosts->closed_arg = arg;
    hp_pending_add(&hosts->pending);
    hp_pending_add(&hosts->pending);
    hp_lookups_destroy(hosts->lookups, on_lookups_closed, hosts);
    hp_tries_stop(hosts);
    for (size_t i = 0; i < hosts->count; i++) {
        hp_lists_stop(hosts, hosts->items[i]);
        if (hosts->items[i]->dirty || hosts->items[i]->pub.online)
            hp_hosts_save(hosts, hosts->items[i]);
    }
    uv_close((uv_handle_t *)&hosts->timer, on_timer_closed);
    hp_pending_when_none(&hosts->pending, free_hosts, hosts);
}
