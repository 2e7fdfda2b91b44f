/* A file that has arrived while nobody knew its root: the source is asked once more. */
#include "transfer/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATE_ROOT_MS 3000 /* a finished file waits no longer to be told its root */

/* The root was not known while the bytes came, because the source had not hashed the file yet: it may have by
 * now, and says which version its root belongs to. */
typedef struct late_root {
    item_t *item;
    const source_t *source;
    char root[65]; /* of what arrived */
} late_root_t;

static void on_late_root(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    late_root_t *late = arg;
    item_t *item = late->item;
    (void)err; /* without an answer the file stays unverified */
    item->manifest_fetch = NULL;
    hp_pending_drop(&item->pending);
    if (item->phase == ITEM_FINISHING) {
        bool told = status == 0 && reply->head.status == 200 && strlen(reply->head.hostpair_root) == 64 &&
                    strcmp(reply->head.etag, late->source->etag) == 0;
        if (told && strcmp(reply->head.hostpair_root, late->root) != 0)
            hp_item_fail_other_content(item);
        else
            hp_item_commit_finishing(item, late->root, told);
    }
    hp_transfer_wake(item->download->transfer);
    free(late);
}

bool hp_item_ask_late_root(item_t *item, const char *root)
{
    const source_t *source = item->sources;
    while (source != NULL && (source->etag == NULL || !source->host->kind->hashes_later ||
                              !hp_source_usable(source, hp_clock_ms())))
        source = source->next;
    hp_fetch_options_t options = {.method = "HEAD", .body_max = 1, .total_ms = LATE_ROOT_MS};
    char *text = NULL;
    if (source == NULL || !source->host->kind->ask(source, &options, &text))
        return false;
    late_root_t *late = hp_alloc(sizeof *late);
    late->item = item;
    late->source = source;
    snprintf(late->root, sizeof late->root, "%s", root);
    hp_pending_add(&item->pending);
    item->manifest_fetch = hp_fetch_get(item->download->transfer->fetcher, &options, on_late_root, late);
    free(text);
    return true;
}
