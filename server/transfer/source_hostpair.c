/* A host that runs hostpair. */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

static bool ask_manifest(const source_t *source, hp_fetch_options_t *options, char **text)
{
    const item_t *item = source->item;
    char *path = hp_sprintf("/manifest/%s?chunk=%llu&size=%llu", item->row.root,
                            (unsigned long long)item->chunk_size, (unsigned long long)item->size);
    bool found = hp_source_host_ask_path(source, path, options, text);
    free(path);
    return found;
}

/* A hostpair gives a weak ETag only while the file is being written. */
static bool is_being_written(const hp_fetch_head_t *head)
{
    return head->etag[0] != '\0' && !head->etag_strong && strlen(head->hostpair_root) != 64;
}

const hp_source_kind_t hp_source_hostpair = {
    .name = "hostpair",
    .is_reachable = hp_source_host_is_reachable,
    .ask = hp_source_host_ask,
    .ask_manifest = ask_manifest,
    .is_being_written = is_being_written,
    .hashes_later = true,
    .report = hp_source_host_report,
};
