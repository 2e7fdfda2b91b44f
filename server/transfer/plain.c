/* Content in plain: where both people want no encryption, and the giver lets in everyone, the bytes of large
 * files come in plain HTTP from a host that is spoken to over TLS for everything else.
 *
 * In plain nobody proves anything, and somebody on the wire may change what comes. So it is asked for only
 * - at a host that has offered it over TLS, at the address where its key was proven,
 * - for the file's chunks, when the manifest is here that each of them is compared with;
 * and of a reply only the chunks count that are right. It tells nothing of the file or of the host: neither
 * that the host is there, nor that it is not, nor that it lies. What goes wrong is asked again over TLS,
 * which tells whose fault it was. */
#include "transfer/internal.h"

#include <string.h>

void hp_plain_heard(source_host_t *host, const hp_fetch_head_t *head)
{
    bool offered = head->proven && strcmp(head->hostpair_content, "plain") == 0;
    if (host->plain <= HP_PLAIN_OFFERED)
        host->plain = offered ? HP_PLAIN_OFFERED : HP_PLAIN_NOT_OFFERED;
}

bool hp_plain_ask(const item_t *item, const source_t *source, hp_fetch_options_t *options,
                  hp_endpoint_t *endpoint)
{
    static const char *const field[] = {"Hostpair-Content: plain", NULL};
    if (!item->download->transfer->plain_content || source->host->plain != HP_PLAIN_OFFERED ||
        item->manifest == NULL || item->whole || options->endpoint == NULL ||
        options->endpoint->scheme != HP_SCHEME_TLS)
        return false;
    *endpoint = *options->endpoint;
    hp_endpoint_in_plain(endpoint);
    options->endpoint = endpoint;
    options->headers = field;
    return true;
}

void hp_plain_failed(source_host_t *host, const char *why)
{
    hp_log(HP_LOG_INFO, "download %lld: %s: content in plain did not come, TLS is used from here on: %s",
           (long long)host->download->row.id, host->id, why);
    if (host->plain <= HP_PLAIN_OFFERED)
        host->plain = HP_PLAIN_LOST;
}

static void cancel_leases(const download_t *download, const source_host_t *host)
{
    for (const item_t *item = download->items; item != NULL; item = item->next)
        for (lease_t *lease = item->leases; lease != NULL; lease = lease->next)
            if (lease->plain && (host == NULL || lease->source->host == host))
                hp_lease_cancel(lease);
}

void hp_plain_sent_wrong(source_t *source, uint64_t chunk)
{
    source_host_t *host = source->host;
    if (host->plain == HP_PLAIN_SPOILED)
        return;
    hp_log(
        HP_LOG_WARN,
        "download %lld: chunk %llu of %s was changed on its way from %s in plain; TLS is used from here on",
        (long long)host->download->row.id, (unsigned long long)chunk, source->item->row.path, host->id);
    host->plain = HP_PLAIN_SPOILED;
    cancel_leases(host->download, host);
}

void hp_plain_is_back(source_host_t *host)
{
    if (host->plain == HP_PLAIN_LOST)
        host->plain = HP_PLAIN_NOT_OFFERED;
}

void hp_plain_stop(hp_transfer_t *transfer)
{
    for (const download_t *d = transfer->active; d != NULL; d = d->next_active)
        cancel_leases(d, NULL);
}
