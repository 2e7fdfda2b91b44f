/* One file of a download, from its rows in the store to the name it gets in the end.
 *
 *   LOADING -> OPENING -> (CHECKING) -> FETCHING -> FINISHING -> DONE      a part file is on record
 *   LOADING -> FETCHING (first look) -> MAKING -> FETCHING -> ...         a new file
 *   LOADING -> FETCHING -> FINISHING -> DONE                              a file of one chunk: no part file
 * at all
 *
 * What a crash leaves: a file row without a part (begin anew), a part on record with the chunk rows that were
 * committed (go on), state "finishing" (finish again, or adopt the final file). See part.h for the disk's
 * side.
 *
 * start_over: another version was met at the only source. The part file stays where it is, its chunk rows
 * go, and the file begins again in a new part file. */
#include "transfer/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void hp_item_set_phase(item_t *self, item_phase_t phase)
{
    static const char *const names[] = {
#define X(name) #name,
        ITEM_PHASES(X)
#undef X
    };
    if (self->phase == phase)
        return;
    hp_log(HP_LOG_DEBUG, "download %lld: %s: %s -> %s", (long long)self->row.download, self->row.path,
           names[self->phase], names[phase]);
    self->phase = phase;
    hp_download_changed(self->download);
}

item_t *hp_item_create(download_t *download, hp_download_file_row_t *row)
{
    item_t *self = hp_alloc(sizeof *self);
    self->download = download;
    self->row = *row;
    *row = (hp_download_file_row_t){0};
    self->fd = -1;
    hp_file_writes_init(&self->writes);
    self->phase = ITEM_LOADING;
    return self;
}

void hp_left_add(left_part_t **list, const char *name, uint64_t device, uint64_t inode)
{
    left_part_t *left = hp_alloc(sizeof *left);
    *left =
        (left_part_t){.next = *list, .name = hp_strdup(name), .identity = {.device = device, .inode = inode}};
    *list = left;
}

void hp_left_free(left_part_t **list)
{
    while (*list != NULL) {
        left_part_t *left = *list;
        *list = left->next;
        free(left->name);
        free(left);
    }
}

void hp_item_close(item_t *self)
{
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
    hp_file_writes_reset(&self->writes);
}

void hp_item_free(item_t *self)
{
    hp_left_free(&self->left);
    hp_item_close(self);
    hp_file_writes_dispose(&self->writes);
    while (self->sources != NULL) {
        source_t *source = self->sources;
        self->sources = source->next;
        hp_source_free(source);
    }
    hp_bitmap_dispose(&self->done);
    hp_bitmap_dispose(&self->taken);
    hp_bitmap_dispose(&self->writing);
    free(self->digests);
    free(self->chunk_sources);
    free(self->manifest);
    free(self->restart_why);
    free(self->newer_root);
    hp_download_file_row_dispose(&self->row);
    free(self);
}

uint64_t hp_item_chunk_bytes(const item_t *self, uint64_t chunk)
{
    if (self->endless)
        return self->chunk_size;
    return HP_MIN(self->chunk_size, self->size - chunk * self->chunk_size);
}

/* ---- the map ---- */

void hp_item_make_map(item_t *self, uint64_t size, uint64_t chunk_size, uint64_t chunks)
{
    hp_bitmap_dispose(&self->done);
    hp_bitmap_dispose(&self->taken);
    hp_bitmap_dispose(&self->writing);
    free(self->digests);
    free(self->chunk_sources);
    self->size = size;
    self->chunk_size = chunk_size;
    self->chunks = chunks;
    self->done_bytes = 0;
    hp_bitmap_init(&self->done, (uint32_t)chunks);
    hp_bitmap_init(&self->taken, (uint32_t)chunks);
    hp_bitmap_init(&self->writing, (uint32_t)chunks);
    self->digests = hp_alloc_array(chunks, HP_SHA256_SIZE);
    self->chunk_sources = hp_alloc_array(chunks, sizeof *self->chunk_sources);
}

bool hp_item_is_small(const item_t *self)
{
    return self->size_known && self->size <= self->chunk_size;
}

void hp_item_know_size(item_t *self, uint64_t size, uint64_t chunk_size)
{
    hp_item_make_map(self, size, chunk_size, (size + chunk_size - 1) / chunk_size);
    self->size_known = true;
    self->endless = false;
    self->row.size = (int64_t)size;
    self->row.chunk_size = (int64_t)chunk_size;
    self->manifest_wanted = self->row.root != NULL && size > chunk_size;
}

/* Bytes that a person has agreed to; UINT64_MAX: any number. */
static uint64_t most_of(const item_t *self)
{
    const hp_transfer_hooks_t *hooks = &self->download->transfer->hooks;
    return hooks->most != NULL && !self->download->row.folder
               ? hooks->most(hooks->arg, self->download->row.id)
               : UINT64_MAX;
}

void hp_item_set_size(item_t *self, uint64_t size)
{
    uint64_t most = most_of(self);
    hp_err_t err = {0};
    if (size > FILE_SIZE_MAX) {
        hp_item_fail(self, HP_E_TOO_LARGE,
                     "The source says that the file is longer than 64 TiB, the most that hostpair takes");
        return;
    }
    if (size > most) {
        hp_order_more_than_offered(size, most, &err);
        hp_item_fail(self, HP_E_TOO_LARGE, hp_err_text(&err));
        return;
    }
    hp_item_know_size(self, size, hp_chunk_size_for(size));
    if (hp_item_is_small(self)) {
        self->ready = true; /* written in one step at the end */
        return;
    }
    hp_item_set_phase(self, ITEM_MAKING);
    hp_item_make(self);
}

void hp_item_set_endless(item_t *self)
{
    if (most_of(self) != UINT64_MAX) {
        hp_item_fail(self, HP_E_TOO_LARGE, "The source does not say how long the file is");
        return;
    }
    hp_item_make_map(self, 0, UNKNOWN_CHUNK, HP_CHUNKS_MAX);
    self->endless = self->trims = true;
    self->size_known = false;
    self->row.size = HP_DB_SIZE_UNKNOWN;
    self->row.chunk_size = UNKNOWN_CHUNK;
    hp_item_set_phase(self, ITEM_MAKING);
    hp_item_make(self);
}

void hp_item_end_seen(item_t *self, lease_t *lease)
{
    uint64_t size = lease->offset, chunks = (size + self->chunk_size - 1) / self->chunk_size;
    self->endless = false;
    self->size_known = true;
    self->size = size;
    self->row.size = (int64_t)size;
    self->chunks = chunks;
    /* The map was made for the largest file: the bits past the end are neither done nor ever looked at again.
     */
    hp_bitmap_t *maps[] = {&self->done, &self->taken, &self->writing};
    for (size_t i = 0; i < HP_COUNT(maps); i++) {
        hp_bitmap_t cut;
        hp_bitmap_init(&cut, (uint32_t)chunks);
        for (uint32_t n = hp_bitmap_next_set(maps[i], 0); n < chunks; n = hp_bitmap_next_set(maps[i], n + 1))
            hp_bitmap_set(&cut, n);
        hp_bitmap_dispose(maps[i]);
        *maps[i] = cut;
    }
    hp_item_save(self, HP_STORE_WRITE_LAZY);
    if (lease->buffer != NULL && lease->buffer->length > 0) {
        hp_item_chunk_ready(self, lease);
        lease->at++;
    }
}

/* ---- trouble ---- */

void hp_item_fail(item_t *self, int code, const char *detail)
{
    if (self->phase == ITEM_STOPPED || self->phase == ITEM_FAILED)
        return;
    for (lease_t *lease = self->leases; lease != NULL; lease = lease->next)
        hp_lease_cancel(lease);
    hp_manifest_cancel(self);
    free(self->row.state);
    free(self->row.error);
    self->row.state = hp_strdup("failed");
    self->row.error = hp_strdup(detail);
    hp_item_set_phase(self, ITEM_FAILED);
    hp_item_save(self, HP_STORE_WRITE);
    hp_download_item_failed(self->download, self, code, detail);
}

void hp_item_stop(item_t *self)
{
    if (self->phase == ITEM_STOPPED)
        return;
    for (lease_t *lease = self->leases; lease != NULL; lease = lease->next) {
        hp_kept_put(lease);
        hp_lease_cancel(lease);
    }
    hp_manifest_cancel(self);
    /* Its size goes into the sums now, and out of them again as the row says it that the next run reads. */
    if (self->phase < ITEM_DONE && self->size_known && self->row.part == NULL)
        hp_item_save(self, HP_STORE_WRITE);
    hp_item_set_phase(self, ITEM_STOPPED);
}

void hp_item_start_over(item_t *self, const char *why)
{
    if (self->restart_why != NULL || self->phase >= ITEM_FINISHING)
        return;
    if (++self->starts_over > STARTS_OVER_MAX) {
        char text[400];
        snprintf(text, sizeof text, "The file at the source is never the same twice: %s", why);
        hp_item_fail(self, HP_E_OTHER_VERSION, text);
        return;
    }
    if (self->download->row.order_root != NULL) {
        hp_item_fail(self, HP_E_OTHER_VERSION, why);
        return;
    }
    self->restart_why = hp_strdup(why);
    for (lease_t *lease = self->leases; lease != NULL; lease = lease->next)
        hp_lease_cancel(lease);
    hp_manifest_cancel(self);
    hp_transfer_wake(self->download->transfer);
}

void hp_item_part_lost(item_t *self, const char *why)
{
    if (self->restart_why != NULL || self->phase != ITEM_FETCHING)
        return;
    self->restart_why = hp_strdup(why);
    self->same_version = true;
    for (lease_t *lease = self->leases; lease != NULL; lease = lease->next)
        hp_lease_cancel(lease);
    hp_manifest_cancel(self);
    hp_transfer_wake(self->download->transfer);
}

void hp_item_restart(item_t *self)
{
    char reason[400];
    snprintf(reason, sizeof reason, "%s; it starts over from the beginning", self->restart_why);
    hp_log(HP_LOG_WARN, "download %lld: %s: %s%s%s", (long long)self->row.download, self->row.path, reason,
           self->row.part != NULL ? "; what was there of the old version stays in " : "",
           self->row.part != NULL ? self->row.part : "");
    free(self->restart_why);
    self->restart_why = NULL;
    hp_kept_drop(self, HP_KEPT_ALL);
    hp_item_close(self);
    if (self->row.part != NULL)
        hp_left_add(&self->left, self->row.part, self->row.device, self->row.inode);
    const left_part_t *left = self->row.part != NULL ? self->left : NULL;
    free(self->row.part);
    free(self->row.boot_id);
    free(self->manifest);
    self->row.part = self->row.boot_id = NULL;
    if (!self->same_version) {
        free(self->row.root);
        self->row.root = self->newer_root; /* not that of the version that was listed first */
        self->row.mtime_ms = self->newer_mtime_ms;
        self->newer_root = NULL;
        self->newer_mtime_ms = 0;
    }
    self->same_version = self->alike = false;
    self->manifest = NULL;
    self->manifest_wanted = false;
    self->ready = self->maybe_cut = self->endless = self->size_known = self->trims = false;
    self->whole = self->starts_over > STARTS_OVER_PARTS || self->grown >= GROWN_TIMES;
    self->grows = false;
    self->reserved = 0;
    self->row.size = HP_DB_SIZE_UNKNOWN;
    self->row.chunk_size = 0;
    self->chunks = 0;
    for (source_t *s = self->sources; s != NULL; s = s->next) {
        s->asked = s->manifest_failed = false;
        s->manifest_lost = s->digest_errors = 0;
        if (s->code == HP_E_OTHER_VERSION || s->code == HP_E_BAD_RANGE) {
            free(s->set_aside); /* for the version that was; it may have the one that is */
            s->set_aside = NULL;
            s->code = 0;
        }
    }
    hp_item_replace_rows(self, left);
    hp_item_make_map(self, 0, HP_CHUNK_SIZE_MIN, 0);
    hp_item_set_phase(self, ITEM_FETCHING);
    if (self->row.root != NULL)
        hp_item_find_sources(self);
    hp_download_set_reason(self->download, reason);
}
