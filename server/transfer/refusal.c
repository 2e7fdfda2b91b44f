/* What it means that a source refused a request, besides that it has no such file. */
#include "transfer/internal.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>

/* Connections to the source's host that get what they asked for, besides this one. */
static unsigned served_others(const lease_t *self)
{
    unsigned count = 0;
    for (const item_t *item = self->item->download->items; item != NULL; item = item->next)
        for (const lease_t *l = item->leases; l != NULL; l = l->next)
            count += l != self && l->source->host == self->source->host && l->accepted && !l->cancelled;
    return count;
}

bool hp_lease_was_one_too_many(lease_t *self)
{
    source_host_t *host = self->source->host;
    if (self->status != 403 && self->status != 429 && self->status != 503)
        return false;
    unsigned others = served_others(self);
    if (others == 0)
        return false;
    host->allowed = host->allowed == 0 ? others : HP_MIN(host->allowed, others);
    hp_log(HP_LOG_INFO, "download %lld: %s takes %u connections at a time (HTTP %d to one more)",
           (long long)self->item->row.download, host->id, host->allowed, self->status);
    return true;
}

bool hp_lease_refuses_parts(const lease_t *self)
{
    const item_t *item = self->item;
    bool refused = self->status == 400 || self->status == 403 || self->status == 405 || self->status == 416 ||
                   self->status == 501;
    return refused && self->source->host->kind->may_refuse_parts && !self->whole && !self->source->asked &&
           item->done.count == 0 && item->leases == NULL && !hp_source_has_others(self->source);
}

bool hp_lease_has_network(void)
{
    struct ifaddrs *all = NULL;
    bool any = false;
    if (getifaddrs(&all) != 0)
        return true;
    for (const struct ifaddrs *one = all; one != NULL && !any; one = one->ifa_next)
        any = one->ifa_addr != NULL && (one->ifa_flags & IFF_UP) != 0 &&
              (one->ifa_flags & IFF_LOOPBACK) == 0 && one->ifa_addr->sa_family == AF_INET;
    freeifaddrs(all);
    return any;
}
