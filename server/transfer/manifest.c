/* The manifest of a file: the layer of its hash tree at the chunk size, asked for at one source after the
 * other, and trusted only when it folds up to the root. */
#include "transfer/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANIFEST_STALL_MS 5000

typedef struct verify {
    uv_work_t work;
    item_t *item;
    source_t *source;
    uint8_t *layer;
    size_t length; /* bytes of it */
    uint64_t chunk_size, size;
    uint8_t root[HP_SHA256_SIZE];
    bool right;
} verify_t;

static void set_failed(item_t *item, source_t *source, const char *why)
{
    source->manifest_failed = true;
    hp_log(HP_LOG_INFO, "download %lld: no manifest of %s from %s: %s", (long long)item->row.download,
           item->row.path, source->host->id, why);
}

/* Chunks that are here already and are not what the manifest says were of another content. */
static void compare(item_t *item)
{
    for (uint32_t n = hp_bitmap_next_set(&item->done, 0); n < item->done.size;
         n = hp_bitmap_next_set(&item->done, n + 1)) {
        if (memcmp(item->digests + (size_t)n * HP_SHA256_SIZE, item->manifest + (size_t)n * HP_SHA256_SIZE,
                   HP_SHA256_SIZE) != 0) {
            hp_bitmap_clear(&item->done, n);
            item->done_bytes -= hp_item_chunk_bytes(item, n);
        }
    }
}

static void on_verify(uv_work_t *work)
{
    verify_t *self = HP_CONTAINER(work, verify_t, work);
    self->right = hp_merkle_layer_fits(self->layer, self->length, self->chunk_size, self->size, self->root);
}

static void on_verified(uv_work_t *work, int status)
{
    verify_t *self = HP_CONTAINER(work, verify_t, work);
    item_t *item = self->item;
    hp_pending_drop(&item->pending);
    item->manifest_source = NULL;
    char root[65];
    hp_hex_encode(self->root, sizeof self->root, root);
    bool wanted = item->manifest == NULL && item->row.root != NULL && strcmp(item->row.root, root) == 0 &&
                  item->restart_why == NULL && item->size == self->size;
    if (status == 0 && self->right && wanted) {
        item->manifest = self->layer;
        self->layer = NULL;
        compare(item);
    } else if (!self->right) {
        set_failed(item, self->source, "it does not fit the root");
        hp_source_set_aside(self->source, HP_E_WRONG_DIGEST,
                            "It sent a hash tree that does not fit its root");
    }
    free(self->layer);
    hp_transfer_resume_held(item->download->transfer); /* they look whether they wait for another one now */
    hp_transfer_wake(item->download->transfer);
    free(self);
}

/* It could not be had just now; a reply that is no layer is one for good. */
static bool is_lost(int status, const hp_fetch_reply_t *reply)
{
    return status == UV_ECONNRESET || status == HP_E_UNREACHABLE || status == HP_E_STALLED ||
           (status == 0 && reply->head.status == 503);
}

static void on_reply(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    item_t *item = arg;
    source_t *source = item->manifest_source;
    item->manifest_fetch = NULL;
    hp_pending_drop(&item->pending);
    if (status != 0 || reply->head.status != 200 ||
        reply->length != (uint64_t)item->chunks * HP_SHA256_SIZE) {
        item->manifest_source = NULL;
        if (is_lost(status, reply))
            source->manifest_lost++;
        if (status != UV_ECANCELED)
            set_failed(item, source, status != 0 ? hp_err_text(err) : "the answer is not a layer of it");
        hp_transfer_resume_held(item->download->transfer);
        hp_transfer_wake(item->download->transfer);
        return;
    }
    hp_plain_heard(source->host, &reply->head);
    verify_t *self = hp_alloc(sizeof *self);
    *self = (verify_t){.item = item,
                       .source = source,
                       .length = reply->length,
                       .chunk_size = item->chunk_size,
                       .size = item->size};
    self->layer = hp_alloc(reply->length);
    memcpy(self->layer, reply->body, reply->length);
    hp_hex_decode(item->row.root, self->root, sizeof self->root);
    hp_pending_add(&item->pending);
    uv_queue_work(item->download->transfer->loop, &self->work, on_verify, on_verified);
}

bool hp_manifest_settled(item_t *item)
{
    if (!item->manifest_wanted || item->manifest != NULL)
        return true;
    if (item->manifest_source != NULL)
        return false;
    const hp_transfer_t *transfer = item->download->transfer;
    for (source_t *s = item->sources; s != NULL; s = s->next) {
        const hp_source_kind_t *kind = s->host->kind;
        hp_fetch_options_t options = {.stall_ms = MANIFEST_STALL_MS,
                                      .body_max = (uint64_t)HP_CHUNKS_MAX * HP_SHA256_SIZE};
        char *text = NULL;
        if (kind->ask_manifest == NULL || s->manifest_failed || !hp_source_is_eligible(s) ||
            !kind->is_reachable(s) || !kind->ask_manifest(s, &options, &text))
            continue;
        item->manifest_source = s;
        hp_pending_add(&item->pending);
        item->manifest_fetch = hp_fetch_get(transfer->fetcher, &options, on_reply, item);
        free(text);
        return false;
    }
    return true;
}

void hp_manifest_cancel(item_t *item)
{
    if (item->manifest_fetch != NULL)
        hp_fetch_cancel(item->manifest_fetch);
}
