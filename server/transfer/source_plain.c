/* A host of the registry with some HTTP server, and what every host has in common: it is asked at the
 * addresses that the registry knows, the next one after each failure. */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

/* First segments that are no file names on a host's peer listener. */
static const char *const reserved[] = {"hostpair", "list",    "files",      "manifest",
                                       "torrent",  "message", "favicon.ico"};

bool hp_source_is_reserved(const char *segment, size_t length)
{
    for (size_t i = 0; i < HP_COUNT(reserved); i++)
        if (strlen(reserved[i]) == length && strncmp(reserved[i], segment, length) == 0)
            return true;
    return false;
}

static const known_host_t *known(const source_t *source)
{
    return hp_transfer_known(source->item->download->transfer, source->host->id);
}

bool hp_source_host_is_reachable(const source_t *source)
{
    const known_host_t *host = known(source);
    return host != NULL && host->online && host->endpoint_count > 0;
}

bool hp_source_host_ask_path(const source_t *source, const char *path, hp_fetch_options_t *options,
                             char **text)
{
    const known_host_t *host = known(source);
    if (host == NULL || host->endpoint_count == 0)
        return false;
    *text = hp_strdup(path);
    options->endpoint = &host->endpoints[source->host->endpoint_index % host->endpoint_count];
    options->path = *text;
    return true;
}

bool hp_source_host_ask(const source_t *source, hp_fetch_options_t *options, char **text)
{
    const char *slash = strchr(source->path, '/');
    size_t first = slash != NULL ? (size_t)(slash - source->path) : strlen(source->path);
    const char *prefix = hp_source_is_reserved(source->path, first) ? "/files/" : "/";
    char *encoded = hp_path_encode(source->path, strlen(source->path), true);
    char *path = hp_sprintf("%s%s", prefix, encoded);
    bool found = hp_source_host_ask_path(source, path, options, text);
    free(encoded);
    free(path);
    return found;
}

void hp_source_host_report(const source_t *source, bool answered)
{
    const hp_transfer_hooks_t *hooks = &source->item->download->transfer->hooks;
    if (hooks->seen != NULL)
        hooks->seen(hooks->arg, source->host->id, answered);
}

const hp_source_kind_t hp_source_plain = {
    .name = "plain",
    .is_reachable = hp_source_host_is_reachable,
    .ask = hp_source_host_ask,
    .may_refuse_parts = true,
    .report = hp_source_host_report,
};
