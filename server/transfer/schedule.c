/* Which source gets which chunks: a free connection takes a run of the chunks that nobody has, long
 * at the start and short near the end; when none is free it takes over the tail of a slower lease; the last
 * chunks are asked from two sources, and the first whole one wins. */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

/* Without a manifest a file comes from one source only: the one whose validator its chunks carry.
 * NULL: any. */
static const source_t *only_source(const item_t *item, uint64_t now)
{
    if (item->manifest != NULL ||
        (item->row.root != NULL && item->size_known && item->size <= item->chunk_size))
        return NULL;
    const source_t *first = NULL;
    for (const source_t *s = item->sources; s != NULL; s = s->next) {
        if (s->asked && hp_source_is_eligible(s))
            return s;
        if (s->etag != NULL && item->done.count > 0)
            return s; /* also while it is offline: its chunks are here */
        if (first == NULL && hp_source_usable(s, now))
            first = s;
    }
    if (!item->size_known && item->row.root != NULL)
        return NULL; /* the first look, which is one lease: whoever has this content may begin */
    return item->leases != NULL ? item->leases->source : first;
}

uint64_t hp_item_lease_bytes(const item_t *item)
{
    uint64_t size = item->size_known      ? item->size
                    : item->row.size >= 0 ? (uint64_t)item->row.size
                                          : UINT64_MAX;
    return HP_MIN(item->chunk_size, HP_MAX(size, (uint64_t)1));
}

static uint64_t lease_budget(const hp_transfer_t *transfer)
{
    return LEASED_MAX / HP_MAX(transfer->running, 1u);
}

bool hp_download_has_budget(const download_t *self, uint64_t bytes)
{
    return self->leased == 0 || self->leased + bytes <= lease_budget(self->transfer);
}

bool hp_item_has_budget(const item_t *item)
{
    return hp_download_has_budget(item->download, hp_item_lease_bytes(item));
}

/* Chunks that a new lease may take from the first free one on. */
static uint64_t run_length(const item_t *item, uint64_t first)
{
    uint64_t end = first;
    while (end < item->chunks && !hp_bitmap_get(&item->done, (uint32_t)end) &&
           !hp_bitmap_get(&item->taken, (uint32_t)end) && (end == first || !hp_kept_has(item, end)))
        end++;
    uint64_t connections = 0, missing = item->chunks - item->done.count;
    for (const source_t *s = item->sources; s != NULL; s = s->next)
        connections += hp_source_is_eligible(s) ? item->download->transfer->connections : 0;
    connections = HP_MIN(connections, lease_budget(item->download->transfer) / hp_item_lease_bytes(item));
    uint64_t share = HP_MAX(missing / (2 * HP_MAX(connections, UINT64_C(1))), (uint64_t)1);
    uint64_t max = HP_MAX(LEASE_BYTES_MAX / item->chunk_size, (uint64_t)1);
    if (item->streaming)
        max = STREAM_RUN;
    return HP_MIN(end - first, HP_MIN(share, max));
}

static uint64_t first_free(const item_t *item, uint64_t from)
{
    uint32_t n = (uint32_t)from;
    while ((n = hp_bitmap_next_clear(&item->done, n)) < item->chunks && hp_bitmap_get(&item->taken, n))
        n++;
    return n < item->chunks ? n : item->chunks;
}

/* Milliseconds that the lease still needs at its speed; a lease that stands still needs long. */
static uint64_t time_left(lease_t *lease, uint64_t now)
{
    uint64_t bytes = (lease->end - lease->at) * lease->item->chunk_size;
    return bytes * 1000 / HP_MAX(hp_meter_bps(&lease->meter, now), (uint64_t)1);
}

static bool steal(item_t *item, source_t *source, uint64_t now)
{
    lease_t *victim = NULL;
    uint64_t most = 0;
    for (lease_t *l = item->leases; l != NULL; l = l->next) {
        if (l->cancelled || l->whole || l->end <= l->at)
            continue;
        uint64_t left = time_left(l, now);
        if (left > most && left > STEAL_MS_MIN &&
            (l->end - l->at - 1) * item->chunk_size >= STEAL_BYTES_MIN) {
            most = left;
            victim = l;
        }
    }
    if (victim == NULL)
        return false;
    uint64_t tail = (victim->end - victim->at) / 2, mid = victim->end - tail;
    for (uint64_t i = mid; i < victim->end; i++)
        hp_bitmap_clear(&item->taken, (uint32_t)i);
    uint64_t end = victim->end;
    victim->end = mid;
    hp_lease_start(item, source, mid, end, false);
    return true;
}

static bool duplicate_slowest(item_t *item, source_t *source, uint64_t now)
{
    lease_t *slowest = NULL;
    for (lease_t *l = item->leases; l != NULL; l = l->next)
        if (!l->cancelled && !l->duplicate && !l->whole && now - l->started_at > DUPLICATE_AFTER_MS &&
            l->end > l->at && l->source->host != source->host &&
            (slowest == NULL || time_left(l, now) > time_left(slowest, now)))
            slowest = l;
    if (slowest == NULL)
        return false;
    slowest->duplicate = true;
    hp_lease_start(item, source, slowest->at, slowest->end, true);
    return true;
}

static bool take_run(item_t *item, source_t *source)
{
    uint64_t first = first_free(item, HP_MIN(item->wanted, item->chunks));
    if (first >= item->chunks && item->wanted > 0)
        first = first_free(item, 0);
    if (first < item->chunks) {
        hp_lease_start(item, source, first, first + run_length(item, first), false);
        return true;
    }
    uint64_t now = uv_now(item->download->transfer->loop);
    return steal(item, source, now) || duplicate_slowest(item, source, now);
}

/* The whole body over one connection, from byte 0. */
static void schedule_whole(item_t *item, source_t *source)
{
    if (item->leases != NULL || item->writing.count > 0 || item->unsaved > 0)
        return;
    if (item->done.count > 0)
        hp_item_clear_chunks(item);
    hp_lease_start(item, source, 0, HP_MAX(item->chunks, (uint64_t)1), false);
}

/* Whether the connections of the host get so little each that one more would only take from them: a chunk
 * takes long then, and is lost with its connection. Those that stand still do not count. */
static bool is_slow(const source_host_t *host, uint64_t now)
{
    uint64_t count = 0, bps = 0;
    for (item_t *item = host->download->items; item != NULL; item = item->next)
        for (lease_t *l = item->leases; l != NULL; l = l->next) {
            if (l->source->host != host || l->cancelled)
                continue;
            if (l->held)
                return false; /* the narrow place is here */
            uint64_t got = now - l->started_at >= SLOW_AFTER_MS ? hp_meter_bps(&l->meter, now) : 0;
            count += got > 0;
            bps += got;
        }
    return count > 0 && bps < count * SLOW_BPS_EACH;
}

static bool takes_one_more(const item_t *item, const source_host_t *host, uint64_t now)
{
    unsigned max = item->whole ? 1 : item->download->transfer->connections;
    if (host->allowed != 0)
        max = HP_MIN(max, host->allowed);
    if (host->bytes < EARLY_BYTES && item->size_known && !hp_item_is_small(item))
        max = HP_MIN(max, EARLY_MAX);
    return host->lease_count < max && (host->lease_count == 0 || !is_slow(host, now));
}

/* Of the sources that can be asked now and have a connection left, the one with the fewest leases, and of
 * those the fastest. */
static source_t *next_source(const item_t *item, const source_t *only, uint64_t now)
{
    source_t *best = NULL;
    uint64_t best_bps = 0;
    if (!hp_item_has_budget(item))
        return NULL;
    for (source_t *s = item->sources; s != NULL; s = s->next) {
        if ((only != NULL && s != only) || !hp_source_usable(s, now) || !takes_one_more(item, s->host, now))
            continue;
        if (s->host->retry.failures > 0 && s->host->lease_count > 0)
            continue; /* one connection at a time finds out whether it is back */
        uint64_t bps = hp_meter_bps(&s->host->meter, now);
        if (best == NULL || s->host->lease_count < best->host->lease_count ||
            (s->host->lease_count == best->host->lease_count && bps > best_bps)) {
            best = s;
            best_bps = bps;
        }
    }
    return best;
}

/* A file with a root that its host does not have any more may have got another name there: the hosts' lists
 * tell, a moment later. Whether the item waits for them. */
static bool looks_where_it_is(item_t *item)
{
    const hp_transfer_hooks_t *hooks = &item->download->transfer->hooks;
    uint64_t now = hp_clock_ms();
    bool gone = false;
    for (const source_t *s = item->sources; s != NULL; s = s->next)
        gone |= s->code == HP_E_NOT_FOUND && s->host->kind->hashes_later;
    if (!gone || item->row.root == NULL)
        return false;
    if (item->moved_until == 0)
        item->moved_until = now + MOVED_WAIT_MS;
    if (now >= item->moved_until)
        return false;
    if (hooks->relist != NULL && now >= item->moved_look_at) {
        item->moved_look_at = now + MOVED_LOOK_MS;
        for (const source_t *s = item->sources; s != NULL; s = s->next)
            if (s->code == HP_E_NOT_FOUND)
                hooks->relist(hooks->arg, s->host->id);
        hp_item_find_sources(item);
    }
    return true;
}

/* No source is left that a retry could help: the file fails with the words of the last one. */
static bool fail_without_sources(item_t *item)
{
    const source_t *last = NULL;
    for (const source_t *s = item->sources; s != NULL; s = s->next) {
        if (hp_source_is_eligible(s))
            return false;
        last = s;
    }
    if (last == NULL || item->leases != NULL || looks_where_it_is(item) || hp_item_looks_for_newer(item) ||
        !hp_pending_is_none(&item->pending))
        return false;
    hp_item_fail(item, last->code != 0 ? last->code : HP_E_NO_SOURCE,
                 last->set_aside != NULL ? last->set_aside : last->host->error);
    return true;
}

bool hp_item_can_fetch(const item_t *item)
{
    uint64_t now = hp_clock_ms();
    return item->phase == ITEM_FETCHING && next_source(item, only_source(item, now), now) != NULL;
}

/* Without a manifest what is here can only be gone on with by the source that gave it: when that gives no
 * more, and another one has the same root, it starts over there. */
static bool lost_its_source(const item_t *item)
{
    if (item->done.count == 0 || item->manifest != NULL || !hp_pending_is_none(&item->pending))
        return false;
    const source_t *holder = only_source(item, hp_clock_ms());
    if (holder == NULL || holder->set_aside == NULL)
        return false;
    for (const source_t *s = item->sources; s != NULL; s = s->next)
        if (hp_source_is_eligible(s))
            return true;
    return false;
}

bool hp_item_schedule(item_t *item)
{
    if (item->phase != ITEM_FETCHING)
        return item->phase != ITEM_DONE && item->phase != ITEM_FAILED && item->phase != ITEM_STOPPED;
    if (item->restart_why != NULL) {
        if (item->leases == NULL && item->writing.count == 0 && !item->reserving)
            hp_item_restart(item);
        return true;
    }
    hp_item_check_complete(item);
    if (item->phase != ITEM_FETCHING)
        return true;
    /* A body without a length begins from zero in another part file: not while the last is written. */
    if (item->endless && item->leases == NULL && item->writing.count > 0)
        return true;
    if (fail_without_sources(item))
        return true;
    if (lost_its_source(item)) {
        item->restart_why = hp_strdup("The host that gave the first part does not give the file any more");
        item->same_version = true;
        hp_transfer_wake(item->download->transfer);
        return true;
    }
    uint64_t now = hp_clock_ms();
    const source_t *only = only_source(item, now);
    if (!item->size_known || item->whole) {
        source_t *source = item->leases == NULL ? next_source(item, only, now) : NULL;
        if (source != NULL && item->whole)
            schedule_whole(item, source);
        else if (source != NULL)
            hp_lease_start(item, source, 0, 0, false);
    } else if (item->ready && hp_manifest_settled(item)) {
        source_t *source;
        while ((source = next_source(item, only_source(item, now), now)) != NULL && take_run(item, source))
            ;
    }
    return item->leases != NULL || item->writing.count > 0 || item->manifest_source != NULL ||
           item->unsaved > 0 || now < item->moved_until || now < item->newer_until;
}
