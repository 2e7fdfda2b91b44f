/* One request for a run of chunks.
 *
 * Life: hp_lease_start -> on_head (accepted, or refused with words) -> on_data ... -> on_done, always. A
 * lease fills one chunk buffer after the other and hands each full one to the item. What it leaves unfilled
 * when it ends is free again for others. hp_lease_cancel gives its chunks back at once; the lease itself
 * lives on until on_done.
 *
 * on_head decides whether a reply belongs to the version that is being downloaded; the fetcher has already
 * checked that the reply keeps the rules of HTTP:
 *
 *   206 that agrees       data flows
 *   206, another version  total, ETag or root differs: the source is set aside, or the download starts over
 *   200 to the first look the server knows no ranges: this body is the whole download
 *   200 later             the If-Range failed: another version
 *   416 "bytes * /0"      the file is empty
 *   404 403 410 401 3xx   the source has no such file for us: set aside
 *   other                 asked again later (Retry-After is obeyed)
 */
#include "transfer/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(lease_t *self, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int refuse(lease_t *self, int code, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    self->refusal = code;
    return hp_err_set(&self->refused, code, "%s", text);
}

/* ---- the head ---- */

static int judge_status(lease_t *self, const hp_fetch_head_t *head)
{
    self->retry_after_s = head->retry_after_s;
    self->status = head->status;
    switch (head->status) {
    case 401:
    case 403:
        return refuse(self, HP_E_FORBIDDEN, "The source refuses to give the file (HTTP %d)", head->status);
    case 404:
    case 410:
        return refuse(self, HP_E_NOT_FOUND, "The source has no such file any more (HTTP %d)", head->status);
    case 416:
        return refuse(self, HP_E_BAD_RANGE,
                      "The source says that the range lies outside the file (HTTP 416)");
    default:
        if (head->status >= 300 && head->status < 400)
            return refuse(self, HP_E_REDIRECT, "The source answers with a redirect (HTTP %d)", head->status);
        return refuse(self, HP_E_STATUS, "The source answers with HTTP status %d", head->status);
    }
}

static bool has_grown(const item_t *item, uint64_t total)
{
    return item->size_known && total != HP_RANGE_UNKNOWN && total > item->size;
}

/* Whether the head names another content than the one that is being downloaded. */
static int judge_version(lease_t *self, const hp_fetch_head_t *head, uint64_t total)
{
    const item_t *item = self->item;
    const source_t *source = self->source;
    self->longer = has_grown(item, total);
    if (item->size_known && total != item->size)
        return refuse(self, HP_E_OTHER_VERSION, "The file at the source is now %llu bytes long, it was %llu",
                      (unsigned long long)total, (unsigned long long)item->size);
    if (source->etag != NULL && strcmp(source->etag, head->etag) != 0)
        return refuse(self, HP_E_OTHER_VERSION, "The file at the source has changed (another ETag)");
    if (item->row.root != NULL && strlen(head->hostpair_root) == 64 &&
        strcmp(item->row.root, head->hostpair_root) != 0)
        return refuse(self, HP_E_OTHER_VERSION, "The file at the source has changed (another hash)");
    if (!item->size_known && item->row.root != NULL && item->row.size >= 0 &&
        total != (uint64_t)item->row.size) {
        if (strcmp(item->row.root, head->hostpair_root) == 0)
            return refuse(self, HP_E_OTHER_VERSION,
                          "The file at the source has the same hash and another size: it is another file");
        return refuse(self, HP_E_OTHER_VERSION,
                      "The file at the source is now %llu bytes long, it was listed with %llu",
                      (unsigned long long)total, (unsigned long long)item->row.size);
    }
    return 0;
}

static bool proven_by_hash(const item_t *item)
{
    return item->manifest != NULL ||
           (item->row.root != NULL && item->size_known && item->size <= item->chunk_size);
}

/* Where no list has told when the file was changed: a URL, a file that is on none, or another version. */
static void learn_time(item_t *item, const hp_fetch_head_t *head)
{
    int64_t seconds;
    if (item->row.mtime_ms == 0 && hp_clock_parse_http_date(head->last_modified, &seconds) == 0)
        item->row.mtime_ms = seconds * 1000;
}

/* What the first accepted reply tells of the file: its size, its validator, its root, its time. */
static int learn(lease_t *self, const hp_fetch_head_t *head, uint64_t total)
{
    item_t *item = self->item;
    source_t *source = self->source;
    bool first = !source->asked;
    source->asked = true;
    learn_time(item, head);
    bool news = first;
    if (source->etag == NULL && head->etag_strong && !item->whole) {
        source->etag = hp_strdup(head->etag);
        news = true;
    }
    /* A file of one chunk has nothing on the disk that would be gone on with; but one without a root is known
     * by its sources. */
    if (news && (total > HP_CHUNK_SIZE_MIN || item->row.root == NULL))
        hp_source_save(source);
    uint8_t root[HP_SHA256_SIZE];
    if (item->row.root == NULL && hp_hex_decode(head->hostpair_root, root, sizeof root) == 0 &&
        strlen(head->hostpair_root) == 64) {
        item->row.root = hp_strdup(head->hostpair_root);
        item->manifest_wanted = true;
        hp_item_find_sources(item);
    }
    if (first && item->download->row.order_url != NULL) {
        int rc = hp_item_take_web_name(item, head, &self->refused);
        if (rc != 0)
            return self->refusal = rc;
    }
    source->host->address[0] = '\0';
    if (head->address[0] != '\0')
        snprintf(source->host->address, sizeof source->host->address,
                 strchr(head->address, ':') ? "[%s]:%u" : "%s:%u", head->address, head->port);
    source->host->connected = true;
    if (source->manifest_lost > 0 && source->manifest_lost < MANIFEST_TRIES)
        source->manifest_failed = false; /* it is back */
    if (!item->size_known && total != HP_RANGE_UNKNOWN)
        hp_item_set_size(item, total);
    if (item->phase == ITEM_FAILED)
        return refuse(self, HP_E_TOO_LARGE, "The file is too long");
    hp_lease_weigh(self);
    return 0;
}

/* The lease is for the chunks [at, end) from now on: takes what it had not, lets go of what it will not get.
 * A run whose tail was taken over since it was asked for does not get that back. */
static int claim(lease_t *self, uint64_t end)
{
    item_t *item = self->item;
    if (self->end > self->first && !self->whole)
        end = HP_MIN(end, self->end);
    for (uint64_t i = self->at; i < end; i++)
        hp_bitmap_set(&item->taken, (uint32_t)i);
    for (uint64_t i = end; i < self->end && i < item->taken.size; i++)
        hp_bitmap_clear(&item->taken, (uint32_t)i);
    self->end = end;
    if (end <= self->at && item->chunks > 0)
        return refuse(self, HP_E_PROTOCOL, "The source sends a shorter range than it was asked for");
    return 0;
}

/* What it sends may be of two versions; after some tries the bytes are taken all the same. */
static bool is_changing(lease_t *self, const hp_fetch_head_t *head)
{
    const hp_source_kind_t *kind = self->source->host->kind;
    return kind->is_being_written != NULL && kind->is_being_written(head) && !proven_by_hash(self->item) &&
           self->source->changing < CHANGING_TRIES;
}

static int judge_part(lease_t *self, const hp_fetch_head_t *head)
{
    item_t *item = self->item;
    source_t *source = self->source;
    if (head->total == HP_RANGE_UNKNOWN)
        return refuse(self, HP_E_PROTOCOL, "The source does not say how long the file is");
    int rc = judge_version(self, head, head->total);
    if (rc != 0)
        return rc;
    uint64_t end = HP_MIN(self->asked_end, head->total);
    if (head->range.end > end)
        return refuse(self, HP_E_PROTOCOL, "The source sends another range than it was asked for");
    if (source->etag == NULL && item->done.count > 0 && item->row.root == NULL)
        return refuse(self, HP_E_NO_RANGES, "Nothing says which version the bytes that are here belong to");
    if (source->etag == NULL && is_changing(self, head))
        return refuse(self, HP_E_BUSY, "The file at the source is being written right now");
    bool everything = head->range.first == 0 && head->range.end == head->total;
    if (source->etag == NULL && !head->etag_strong && !everything && !proven_by_hash(item)) {
        if (item->row.root == NULL && strlen(head->hostpair_root) != 64)
            return refuse(self, HP_E_NO_RANGES, "The source gives no strong ETag");
    }
    rc = learn(self, head, head->total);
    if (rc != 0)
        return rc;
    self->offset = head->range.first;
    self->asked_end = head->range.end;
    if (self->end == 0 && head->range.end < item->size && head->range.end < item->chunk_size)
        return UV_ECANCELED; /* the first look was shorter than a chunk of so large a file: it has told its
                                size */
    return claim(self, head->range.end == item->size ? item->chunks : head->range.end / item->chunk_size);
}

/* A file that grows all the time is asked for as it is at one moment. A host that does not know the field
 * breaks the reply off. */
static bool wants_growing(const lease_t *self)
{
    return self->whole && self->item->grown >= GROWN_TIMES && self->source->host->kind == &hp_source_hostpair;
}

static int judge_whole(lease_t *self, const hp_fetch_head_t *head)
{
    item_t *item = self->item;
    if (head->ends_by_close && !self->source->host->kind->may_end_by_close)
        return refuse(self, HP_E_PROTOCOL, "The source does not say where the file ends");
    self->longer = has_grown(item, head->content_length);
    if (!self->whole && self->source->etag != NULL)
        return refuse(self, HP_E_OTHER_VERSION, "The file at the source has changed");
    uint64_t total = head->content_length;
    if (total != HP_RANGE_UNKNOWN) {
        int rc = judge_version(self, head, total);
        if (rc != 0)
            return rc;
    } else if (item->size_known) {
        return refuse(self, HP_E_OTHER_VERSION, "The source does not say how long the file is any more");
    }
    if (!self->whole) {
        /* The first look was answered with everything. Fine when nothing else runs; then this is the
         * download. */
        if (self->first != 0 || item->done.count > 0 || item->leases->next != NULL)
            return refuse(self, HP_E_NO_RANGES, "The source cannot serve a part of the file");
        item->whole = true;
        self->whole = true;
    }
    int rc = learn(self, head, total);
    if (rc != 0)
        return rc;
    item->maybe_cut = head->ends_by_close;
    item->grows = wants_growing(self) && !head->etag_strong;
    if (total == HP_RANGE_UNKNOWN)
        hp_item_set_endless(item);
    if (item->phase == ITEM_FAILED)
        return refuse(self, HP_E_TOO_LARGE, "The file may be too long");
    self->offset = 0;
    self->asked_end = total;
    return claim(self, item->chunks);
}

/* Exactly the part that was asked for, or nothing: what else the reply says is not looked at (plain.c). */
static int judge_plain(lease_t *self, const hp_fetch_head_t *head)
{
    if (head->status != 206)
        return refuse(self, HP_E_STATUS, "The source answers in plain with HTTP status %d", head->status);
    if (!head->ranged || head->total != self->item->size || head->range.end != self->asked_end)
        return refuse(self, HP_E_BAD_RANGE, "The source sends another range in plain than it was asked for");
    if (!self->source->asked)
        hp_source_save(self->source); /* the rows of its chunks name it */
    self->source->asked = true;
    return 0;
}

static int on_head(void *arg, const hp_fetch_head_t *head)
{
    lease_t *self = arg;
    item_t *item = self->item;
    int rc;
    if (self->cancelled)
        return UV_ECANCELED;
    if (self->plain)
        rc = judge_plain(self, head);
    else if (head->status == 416 && head->total == 0 && !self->whole)
        rc = judge_version(self, head, 0) != 0 ? self->refusal : learn(self, head, 0);
    else if (head->status == 206 && head->ranged)
        rc = judge_part(self, head);
    else if (head->status == 200)
        rc = judge_whole(self, head);
    else
        rc = judge_status(self, head);
    if (rc == 0) {
        self->accepted = true;
        if (!self->plain)
            hp_plain_heard(self->source->host, head);
        hp_download_changed(item->download);
        hp_transfer_wake(item->download->transfer); /* others may join now */
    }
    return rc;
}

/* ---- the body ---- */

/* A chunk, or the whole of a file that is smaller. */
static uint64_t buffer_size(const item_t *item)
{
    return item->size_known ? HP_MIN(item->chunk_size, HP_MAX(item->size, (uint64_t)1)) : item->chunk_size;
}

/* Whether length bytes may be taken now; the buffers for them are there then. */
static bool may_take(lease_t *self, size_t length)
{
    item_t *item = self->item;
    hp_transfer_t *transfer = item->download->transfer;
    if (!item->ready || item->naming || !hp_manifest_settled(item))
        return false;
    if (!hp_bucket_open(&transfer->bucket) || !hp_bucket_open(&item->download->bucket)) {
        hp_transfer_throttle(transfer);
        return false;
    }
    bool fits = self->buffer != NULL && self->buffer->length + length < hp_item_chunk_bytes(item, self->at);
    if (!fits && !hp_writer_has_room(transfer->writer, buffer_size(item)))
        return false;
    if (self->buffer == NULL)
        self->buffer = hp_writer_take(transfer->writer, buffer_size(item));
    return true;
}

static void count_bytes(lease_t *self, uint64_t bytes)
{
    hp_download_count_bytes(self->item->download, self->source->host, bytes);
    hp_meter_add(&self->meter, bytes, uv_now(self->item->download->transfer->loop));
    self->got += bytes;
    self->source->host->bytes += bytes;
}

/* The lease has all it is for: it was cut short, or the rest is done by another. */
static bool is_over(const lease_t *self)
{
    return self->at >= self->end;
}

static int on_data(void *arg, const uint8_t *data, size_t length)
{
    lease_t *self = arg;
    item_t *item = self->item;
    if (!self->accepted)
        return HP_E_INTERNAL;
    if (item->size_known && item->size == 0)
        return length == 0 || self->asked_end != HP_RANGE_UNKNOWN
                   ? 0
                   : HP_E_OTHER_VERSION; /* the body of a 416 */
    if (self->held)
        return HP_FETCH_HOLD;
    if (!may_take(self, length)) {
        self->held = true;
        return HP_FETCH_HOLD;
    }
    size_t total = length;
    while (length > 0) {
        if (self->whole && self->at >= item->chunks)
            return refuse(self, HP_E_TOO_LARGE,
                          "The source does not say how long the file is, and it is too long for that");
        if (self->buffer == NULL)
            self->buffer = hp_writer_take(item->download->transfer->writer, buffer_size(item));
        uint64_t want = hp_item_chunk_bytes(item, self->at);
        size_t n = (size_t)HP_MIN((uint64_t)length, want - self->buffer->length);
        memcpy(self->buffer->data + self->buffer->length, data, n);
        self->buffer->length += n;
        self->offset += n;
        data += n;
        length -= n;
        if (self->buffer->length == want) {
            hp_item_chunk_ready(item, self);
            self->at++;
            if (is_over(self) && length > 0 && !self->whole)
                break;
        }
    }
    count_bytes(self, total - length);
    if (is_over(self) && self->offset < self->asked_end && !self->whole)
        return UV_ECANCELED; /* its tail was taken over */
    return 0;
}

/* ---- the end ---- */

void hp_lease_release_chunks(lease_t *self)
{
    item_t *item = self->item;
    if (self->buffer != NULL) {
        hp_writer_give_back(item->download->transfer->writer, self->buffer);
        self->buffer = NULL;
    }
    for (uint64_t i = self->at; i < self->end && i < item->taken.size; i++) {
        bool other = false;
        for (const lease_t *l = item->leases; l != NULL && !other; l = l->next)
            other = l != self && !l->cancelled && i >= l->at && i < l->end;
        if (!other)
            hp_bitmap_clear(&item->taken, (uint32_t)i);
    }
    self->end = self->at;
}

/* A transport failure says nothing of the content: it is tried again, later and later. */
static void failed(lease_t *self, int status, const hp_err_t *err)
{
    item_t *item = self->item;
    source_t *source = self->source;
    source_host_t *host = source->host;
    const char *words = hp_err_text(self->refusal != 0 ? &self->refused : err);
    if (status == HP_E_UNREACHABLE && host->kind->report != NULL)
        host->kind->report(source, false);
    hp_log(HP_LOG_INFO, "download %lld: %s: %s", (long long)item->row.download, host->id, words);
    bool others = hp_source_has_others(source);
    if (hp_lease_was_one_too_many(self))
        return;
    if (hp_lease_refuses_parts(self))
        status = HP_E_NO_RANGES;
    if (status == HP_E_STALLED && !self->accepted)
        host->patience = HP_MIN(HP_MAX(host->patience, (unsigned)HP_FETCH_STALL_MS) * 2, PATIENCE_MAX_MS);
    switch (status) {
    case HP_E_OTHER_VERSION:
    case HP_E_BAD_RANGE:
        if (others) {
            hp_source_set_aside(source, status, words);
        } else {
            if (item->restart_why == NULL)
                item->grown = self->longer ? item->grown + 1 : 0;
            hp_item_start_over(item, words);
        }
        break;
    case HP_E_NO_RANGES:
        /* One connection for the whole body; where there are other sources, this one is not used. */
        if (others)
            hp_source_set_aside(source, status, words);
        else
            item->whole = true;
        break;
    case HP_E_PROTOCOL:
    case HP_E_TLS:
    case HP_E_CERTIFICATE:
    case HP_E_TOO_LARGE:
    case HP_E_INVALID:
    case HP_E_NOT_FOUND:
    case HP_E_FORBIDDEN:
    case HP_E_REDIRECT:
    case HP_E_WEB_PAGE:
        hp_source_set_aside(source, status, words);
        break;
    case HP_E_NO_NAME:
        if (!source->asked && item->done.count == 0 && ++host->unnamed >= NAME_TRIES &&
            hp_lease_has_network())
            hp_source_set_aside(source, status, words);
        else
            hp_source_host_failed(host, words, -1);
        break;
    case HP_E_BUSY:
        source->retry_at = hp_clock_ms() + hp_retry_pause(&hp_transfer_backoff, ++source->changing);
        break;
    default:
        hp_source_host_failed(host, words, self->retry_after_s);
    }
}

static void unlink_lease(lease_t *self)
{
    for (lease_t **l = &self->item->leases; *l != NULL; l = &(*l)->next)
        if (*l == self) {
            *l = self->next;
            return;
        }
}

/* The connection ended, or stood still: what had come of the chunk is as good as before. */
static bool is_lost(int status)
{
    return status == HP_E_STALLED || status == UV_ECONNRESET;
}

static void on_done(void *arg, int status, const hp_err_t *err)
{
    lease_t *self = arg;
    item_t *item = self->item;
    hp_transfer_t *transfer = item->download->transfer;
    self->fetch = NULL;
    bool finished_whole = status == 0 && self->whole && !self->cancelled;
    if (finished_whole && !item->size_known)
        hp_item_end_seen(item, self);
    bool lost = status != 0 && !self->cancelled && self->refusal == 0 && is_lost(status);
    if (lost && hp_kept_put(self) && self->got >= HEADWAY_BYTES)
        self->source->host->retry.failures = 0; /* it goes forward */
    hp_lease_release_chunks(self);
    unlink_lease(self);
    self->source->host->lease_count--;
    item->download->leased -= self->weight;
    if (self->cancelled || (status == UV_ECANCELED && self->refusal == 0)) {
        /* Ours; nothing to say of the source. */
    } else if (self->plain) {
        if (status != 0)
            hp_plain_failed(self->source->host, hp_err_text(self->refusal != 0 ? &self->refused : err));
    } else if (status != 0) {
        failed(self, self->refusal != 0 ? self->refusal : status, err);
    } else if (!self->whole && self->got == 0 && item->size > 0) {
        hp_source_host_failed(self->source->host, "The source sent nothing", -1);
    } else if (self->source->host->kind->report != NULL) {
        self->source->host->kind->report(self->source, true);
    }
    free(self);
    hp_pending_drop(&item->pending);
    hp_item_check_complete(item);
    hp_download_changed(item->download);
    hp_transfer_wake(transfer);
}

static const hp_fetch_callbacks_t callbacks = {.on_head = on_head, .on_data = on_data, .on_done = on_done};

void hp_lease_start(item_t *item, source_t *source, uint64_t first, uint64_t end, bool duplicate)
{
    static const char *const growing[] = {"Hostpair-Growing: 1", NULL};
    hp_fetch_options_t options = {0};
    hp_endpoint_t endpoint;
    char *text = NULL;
    if (!source->host->kind->ask(source, &options, &text))
        return;
    bool plain = hp_plain_ask(item, source, &options, &endpoint);
    lease_t *self = hp_alloc(sizeof *self);
    *self = (lease_t){
        .item = item,
        .source = source,
        .first = first,
        .end = end,
        .at = first,
        .offset = first * item->chunk_size,
        .asked_end = item->size_known ? HP_MIN(end * item->chunk_size, item->size) : FIRST_LOOK_BYTES,
        .whole = item->whole,
        .duplicate = duplicate,
        .plain = plain,
        .retry_after_s = -1,
        .started_at = uv_now(item->download->transfer->loop),
        .next = item->leases,
    };
    item->leases = self;
    hp_pending_add(&item->pending);
    source->host->lease_count++;
    hp_lease_weigh(self);
    if (!plain && !self->whole && item->size_known)
        self->buffer = hp_kept_take(source, first);
    if (self->buffer != NULL)
        self->offset += self->buffer->length;
    for (uint64_t i = first; i < end && i < item->taken.size; i++)
        hp_bitmap_set(&item->taken, (uint32_t)i);
    if (wants_growing(self))
        options.headers = growing;
    options.ranged = !self->whole && !(item->size_known && item->size == 0);
    options.range = (hp_range_t){.first = self->offset, .end = self->asked_end};
    options.if_range = self->whole ? NULL : source->etag;
    options.first_ms = HP_MAX(source->host->patience, source->host->kind->patience);
    self->fetch = hp_fetch_start(item->download->transfer->fetcher, &options, &callbacks, self);
    free(text);
    hp_download_changed(item->download);
}

void hp_lease_weigh(lease_t *self)
{
    uint64_t weight = hp_item_lease_bytes(self->item);
    self->item->download->leased += weight - self->weight;
    self->weight = weight;
}

void hp_lease_cancel(lease_t *self)
{
    if (self->cancelled)
        return;
    self->cancelled = true;
    hp_lease_release_chunks(self);
    if (self->fetch != NULL)
        hp_fetch_cancel(self->fetch);
}

void hp_lease_resume(lease_t *self)
{
    if (!self->held || self->cancelled || self->fetch == NULL)
        return;
    if (!may_take(self, 1) && !(self->item->size_known && self->item->size == 0))
        return;
    self->held = false;
    hp_fetch_resume(self->fetch);
}
