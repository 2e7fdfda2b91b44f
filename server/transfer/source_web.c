/* A file on a web server, by its URL. */
#include "transfer/internal.h"

static bool is_reachable(const source_t *source)
{
    (void)source; /* only asking tells */
    return true;
}

static bool ask(const source_t *source, hp_fetch_options_t *options, char **text)
{
    *text = hp_strdup(source->path);
    options->url = *text;
    const download_t *download = source->item->download;
    options->headers = download->header_lines;
    options->certificate = download->row.order_certificate;
    return true;
}

const hp_source_kind_t hp_source_web = {
    .name = "web",
    .is_reachable = is_reachable,
    .ask = ask,
    .patience = 60000,
    .may_refuse_parts = true,
    .may_end_by_close = true,
};
