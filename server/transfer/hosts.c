/* Hosts, as the registry tells of them: where each is reached, whether it is online, and which of them a
 * download waits for. */
#include "transfer/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

known_host_t *hp_transfer_known(const hp_transfer_t *self, const char *id)
{
    for (known_host_t *host = self->hosts; host != NULL; host = host->next)
        if (strcmp(host->id, id) == 0)
            return host;
    return NULL;
}

/* A host is back: what waited for it is tried at once, and so are hash trees that did not come. */
static void forget_failures(hp_transfer_t *self, const char *id)
{
    for (download_t *d = self->active; d != NULL; d = d->next_active) {
        for (source_host_t *host = d->hosts; host != NULL; host = host->next)
            if (strcmp(host->id, id) == 0) {
                hp_retry_reset(&host->retry);
                host->endpoint_index = 0;
                hp_plain_is_back(host);
            }
        for (item_t *item = d->items; item != NULL; item = item->next)
            for (source_t *source = item->sources; source != NULL; source = source->next)
                if (strcmp(source->host->id, id) == 0) {
                    source->manifest_failed = false;
                    source->manifest_lost = 0;
                }
    }
}

/* An address that was the id of a host may be that of another one later. */
static void forget_renamed(hp_transfer_t *self, const char *id)
{
    for (size_t i = self->renamed.count; i > 0; i--)
        if (strcmp(self->renamed.items[i - 1].old, id) == 0)
            hp_array_remove(&self->renamed, i - 1);
}

void hp_transfer_host(hp_transfer_t *self, const char *id, const char *name, const char *added_as,
                      const hp_endpoint_t *endpoints, size_t count, bool hostpair, bool online)
{
    known_host_t *host = hp_transfer_known(self, id);
    if (host == NULL) {
        host = hp_alloc(sizeof *host);
        snprintf(host->id, sizeof host->id, "%s", id);
        host->next = self->hosts;
        self->hosts = host;
        forget_renamed(self, id);
    }
    snprintf(host->name, sizeof host->name, "%s", name);
    free(host->added_as);
    host->added_as = hp_strdup(added_as);
    if (online && !host->online)
        forget_failures(self, id);
    if (online && !host->online)
        host->no_bundles = false; /* it may have been brought up to date */
    host->online = online;
    host->hostpair = hostpair;
    for (download_t *d = self->active; d != NULL; d = d->next_active)
        for (source_host_t *at = d->hosts; at != NULL; at = at->next)
            if (d->row.order_url == NULL && strcmp(at->id, id) == 0)
                at->kind = hostpair ? &hp_source_hostpair : &hp_source_plain;
    free(host->endpoints);
    host->endpoints = hp_alloc_array(count, sizeof *host->endpoints);
    if (count > 0)
        memcpy(host->endpoints, endpoints, count * sizeof *host->endpoints);
    host->endpoint_count = count;
    hp_transfer_wake(self);
}

void hp_transfer_host_listed(hp_transfer_t *self, const char *host)
{
    (void)host; /* its list may name any content that is wanted */
    for (download_t *d = self->active; d != NULL; d = d->next_active)
        for (item_t *item = d->items; item != NULL && hp_download_is_running(d); item = item->next)
            if (item->phase > ITEM_LOADING && item->phase < ITEM_FINISHING && item->row.root != NULL)
                hp_item_find_sources(item);
}

void hp_transfer_host_removed(hp_transfer_t *self, const char *id)
{
    for (known_host_t **link = &self->hosts; *link != NULL; link = &(*link)->next)
        if (strcmp((*link)->id, id) == 0) {
            known_host_t *host = *link;
            *link = host->next;
            free(host->endpoints);
            free(host->added_as);
            free(host);
            break;
        }
    hp_transfer_wake(self);
}

/* What came from it under the old id is the new one's. Where both gave to one download, they stay apart
 * there: under the old id nothing is asked any more. */
static void rename_source_host(download_t *download, const char *old, const char *id)
{
    source_host_t *found = NULL;
    for (source_host_t *host = download->hosts; host != NULL; host = host->next) {
        if (strcmp(host->id, id) == 0)
            return;
        if (strcmp(host->id, old) == 0)
            found = host;
    }
    if (found == NULL)
        return;
    snprintf(found->id, sizeof found->id, "%s", id);
    hp_retry_reset(&found->retry);
    found->endpoint_index = 0;
}

const char *hp_transfer_host_id(const hp_transfer_t *self, const char *id)
{
    for (size_t i = 0; i < self->renamed.count; i++) /* one after the other: it may have changed twice */
        if (strcmp(self->renamed.items[i].old, id) == 0)
            id = self->renamed.items[i].id;
    return id;
}

void hp_transfer_host_renamed(hp_transfer_t *self, const char *old, const char *id)
{
    renamed_host_t *renamed = hp_array_add(&self->renamed);
    snprintf(renamed->old, sizeof renamed->old, "%s", old);
    snprintf(renamed->id, sizeof renamed->id, "%s", id);
    known_host_t *host = hp_transfer_known(self, old);
    if (host != NULL && hp_transfer_known(self, id) == NULL)
        snprintf(host->id, sizeof host->id, "%s", id);
    else if (host != NULL)
        hp_transfer_host_removed(self, old);
    for (download_t *d = self->downloads; d != NULL; d = d->next) {
        rename_source_host(d, old, id);
        if (d->row.order_host == NULL || strcmp(d->row.order_host, old) != 0)
            continue;
        free(d->row.order_host);
        d->row.order_host = hp_strdup(id);
        for (item_t *item = d->items; item != NULL && hp_download_is_running(d); item = item->next)
            if (item->phase > ITEM_LOADING && item->phase < ITEM_FINISHING)
                hp_item_find_sources(item);
    }
    hp_transfer_wake(self);
}

void hp_transfer_free_hosts(hp_transfer_t *self)
{
    while (self->hosts != NULL) {
        known_host_t *host = self->hosts;
        self->hosts = host->next;
        free(host->endpoints);
        free(host->added_as);
        free(host);
    }
    hp_array_dispose(&self->renamed);
}

static bool wants(const download_t *download, const char *id)
{
    if (!hp_download_is_running(download) && download->state != HP_DOWNLOAD_QUEUED)
        return false;
    if (download->row.order_host != NULL && strcmp(download->row.order_host, id) == 0)
        return true;
    for (const source_host_t *host = download->hosts; host != NULL; host = host->next)
        if (strcmp(host->id, id) == 0 && !host->banned)
            return true;
    return false;
}

void hp_transfer_tell_waiting(hp_transfer_t *self)
{
    if (self->hooks.waiting == NULL)
        return;
    for (known_host_t *host = self->hosts; host != NULL; host = host->next) {
        bool waited = false;
        for (const download_t *d = self->active; d != NULL && !waited && !host->online; d = d->next_active)
            waited = wants(d, host->id);
        if (waited != host->waited) {
            host->waited = waited;
            self->hooks.waiting(self->hooks.arg, host->id, waited);
        }
    }
}
