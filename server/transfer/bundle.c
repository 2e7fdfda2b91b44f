/* Small files of a folder, many in one reply: from the rows in the store to their rows as done, without an
 * item_t each.
 *
 *   rows wait in the download's line -> a bundle asks the host for some -> its tar arrives in one buffer
 *   -> a pool job reads, checks and writes all bundles that have arrived, made durable together
 *   -> the rows of a bundle are committed in one job
 *
 * What does not come so is taken up by itself (hp_download_take_up), and may come from other hosts: a file
 * that was left out, is of another size or another content, everything while the host is away, does not know
 * bundles, or has sent something that is none. What a cut leaves is asked for again. A crash leaves of a file
 * nothing, or the whole under its name, which is found there when the file comes again (part.h).
 *
 * What has no root in the list (its host has not hashed it yet) comes so as well: it is done, but not
 * verified, and its root is that of the bytes that came.
 *
 * Files of the host that the folder was ordered from alone: others may have the same content under other
 * paths. */
#include "transfer/bundle.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define BUNDLE_BYTES HP_CHUNK_SIZE_MIN /* of a reply: a buffer of the writer */
#define SMALL_MAX    (64u * 1024)      /* bytes: longer files come by themselves */
#define BUNDLE_FILES 512u
#define BUNDLE_LEAST 32u                  /* files of one bundle, if there are so many */
#define FRAME_BYTES  (512u + 512u + 512u) /* of an entry's headers, besides its name */
#define END_BYTES    (20u * 512u)         /* of the end of a tar */
#define FAILURES_MAX 2u                   /* of the host in a row: then its files may come from others */
#define KEPT_MAX     1024u                /* places of rows that have left the line */

/* ---- the line ---- */

static size_t waiting(const hp_bundle_line_t *line)
{
    return line->rows.count - line->first;
}

static source_host_t *order_host(download_t *self)
{
    return hp_source_host_get(self, hp_transfer_host_id(self->transfer, self->row.order_host));
}

/* Whether the host may be asked for bundles, now or later. */
static bool has_bundles(download_t *self)
{
    if (self->row.order_host == NULL || !self->row.folder || self->line.unfit)
        return false;
    const source_host_t *host = order_host(self);
    const known_host_t *known = hp_transfer_known(self->transfer, host->id);
    return host->kind == &hp_source_hostpair && !host->spoiled_bundles && !host->banned && known != NULL &&
           !known->no_bundles && known->online && known->endpoint_count > 0 &&
           host->retry.failures < FAILURES_MAX;
}

bool hp_bundle_takes(download_t *self, hp_download_file_row_t *row)
{
    /* Without a chunk size nothing was begun. */
    bool fresh =
        strcmp(row->state, "open") == 0 && row->part == NULL && row->chunk_size == 0 && row->replaces_ns == 0;
    if (!fresh || row->size < 0 || row->size >= SMALL_MAX || self->recheck || !has_bundles(self))
        return false;
    *hp_array_add(&self->line.rows) = *row;
    *row = (hp_download_file_row_t){0};
    return true;
}

bool hp_bundle_is_idle(const download_t *self)
{
    return waiting(&self->line) == 0 && self->line.bundles == NULL;
}

static void take_all_up(download_t *self)
{
    hp_bundle_line_t *line = &self->line;
    while (waiting(line) > 0)
        hp_download_take_up(self, &line->rows.items[line->first++]);
}

/* Forgets the rows that have left. */
static void trim(hp_bundle_line_t *line)
{
    size_t left = waiting(line);
    if (left > 0 && line->first < KEPT_MAX)
        return;
    if (left > 0)
        memmove(line->rows.items, line->rows.items + line->first, left * sizeof *line->rows.items);
    line->rows.count = left;
    line->first = 0;
}

/* ---- the end of a bundle ---- */

static void unlink_bundle(bundle_t *self)
{
    bundle_t **link = &self->download->line.bundles;
    while (*link != self)
        link = &(*link)->next;
    *link = self->next;
}

void hp_bundle_destroy(bundle_t *self)
{
    download_t *download = self->download;
    hp_transfer_t *transfer = download->transfer;
    unlink_bundle(self);
    if (self->buffer != NULL)
        hp_writer_give_back(transfer->writer, self->buffer);
    for (size_t i = 0; i < self->count; i++) {
        hp_download_file_row_dispose(&self->files[i].row);
        free(self->files[i].path);
        free(self->files[i].root);
    }
    free(self->base);
    free(self);
    hp_pending_drop(&download->pending);
    hp_transfer_wake(transfer);
}

void hp_bundle_ask_again(bundle_t *self, bundle_file_t *file)
{
    *hp_array_add(&self->download->line.rows) = file->row;
    file->row = (hp_download_file_row_t){0};
}

void hp_bundle_spoil(bundle_t *self)
{
    source_host_t *host = self->host;
    hp_log(HP_LOG_WARN,
           "download %lld: %s sent a bundle that is none, its files are asked for one by one: %s",
           (long long)self->download->row.id, host->id, hp_err_text(&self->err));
    snprintf(host->error, sizeof host->error, "It sent a bundle that is none: %.150s",
             hp_err_text(&self->err));
    host->spoiled_bundles = true;
}

/* ---- the reply ---- */

static int refuse(bundle_t *self, int code, const char *words, int status)
{
    self->refusal = code;
    return hp_err_set(&self->err, code, "%s (HTTP %d)", words, status);
}

static int on_head(void *arg, const hp_fetch_head_t *head)
{
    bundle_t *self = arg;
    source_host_t *host = self->host;
    self->retry_after_s = head->retry_after_s;
    if (self->cancelled)
        return UV_ECANCELED;
    if (head->status == 404 || head->status == 405 || head->status == 413 || head->status == 422)
        return refuse(self, HP_E_METHOD, "The source does not know bundles", head->status);
    if (head->status == 401 || head->status == 403)
        return refuse(self, HP_E_FORBIDDEN, "The source refuses to give files", head->status);
    if (head->status != 200)
        return refuse(self, HP_E_STATUS, "The source gives no bundle", head->status);
    self->accepted = true;
    host->connected = true;
    if (head->address[0] != '\0')
        snprintf(host->address, sizeof host->address, strchr(head->address, ':') ? "[%s]:%u" : "%s:%u",
                 head->address, head->port);
    hp_plain_heard(host, head);
    hp_download_changed(self->download);
    return 0;
}

static bool may_take(bundle_t *self)
{
    download_t *download = self->download;
    hp_transfer_t *transfer = download->transfer;
    if (!hp_bucket_open(&transfer->bucket) || !hp_bucket_open(&download->bucket)) {
        hp_transfer_throttle(transfer);
        return false;
    }
    if (self->buffer == NULL && !hp_writer_has_room(transfer->writer, BUNDLE_BYTES))
        return false;
    if (self->buffer == NULL)
        self->buffer = hp_writer_take(transfer->writer, BUNDLE_BYTES);
    return true;
}

static int on_data(void *arg, const uint8_t *data, size_t length)
{
    bundle_t *self = arg;
    if (self->held)
        return HP_FETCH_HOLD;
    if (!may_take(self)) {
        self->held = true;
        return HP_FETCH_HOLD;
    }
    if (length > self->bound - self->buffer->length) {
        self->refusal = HP_E_TOO_LARGE;
        return hp_err_set(&self->err, HP_E_TOO_LARGE, "it is longer than the files that were asked for");
    }
    memcpy(self->buffer->data + self->buffer->length, data, length);
    self->buffer->length += length;
    hp_download_count_bytes(self->download, self->host, length);
    return 0;
}

static void report(const bundle_t *self, bool answered)
{
    const hp_transfer_hooks_t *hooks = &self->download->transfer->hooks;
    if (hooks->seen != NULL)
        hooks->seen(hooks->arg, self->host->id, answered);
}

static void failed(bundle_t *self, int status, const hp_err_t *err)
{
    download_t *download = self->download;
    const char *words = hp_err_text(self->refusal != 0 ? &self->err : err);
    hp_log(HP_LOG_INFO, "download %lld: %s: a bundle: %s", (long long)download->row.id, self->host->id,
           words);
    known_host_t *known = hp_transfer_known(download->transfer, self->host->id);
    switch (self->refusal != 0 ? self->refusal : status) {
    case HP_E_METHOD:
        if (known != NULL)
            known->no_bundles = true;
        break;
    case HP_E_FORBIDDEN: /* each file says so by itself */
        self->host->spoiled_bundles = true;
        break;
    case HP_E_TOO_LARGE:
    case HP_E_PROTOCOL:
        hp_err_set(&self->err, HP_E_PROTOCOL, "%.300s", words);
        hp_bundle_spoil(self);
        break;
    default:
        if (status == HP_E_UNREACHABLE)
            report(self, false);
        hp_source_host_failed(self->host, words, self->retry_after_s);
    }
}

static void on_done(void *arg, int status, const hp_err_t *err)
{
    bundle_t *self = arg;
    download_t *download = self->download;
    self->fetch = NULL;
    self->host->lease_count--;
    download->leased -= self->weight;
    if (self->cancelled || !hp_download_is_running(download)) {
        hp_bundle_destroy(self);
        return;
    }
    if (status != 0)
        failed(self, status, err);
    else
        report(self, true);
    self->cut = status != 0;
    self->err = (hp_err_t){0};
    if (self->accepted) {
        hp_bundle_arrive(self);
    } else {
        for (size_t i = 0; i < self->count; i++)
            hp_bundle_ask_again(self, &self->files[i]); /* by itself, where the host gives no bundles */
        hp_bundle_destroy(self);
    }
    hp_transfer_wake(download->transfer);
}

void hp_bundle_resume_held(download_t *self)
{
    for (bundle_t *bundle = self->line.bundles; bundle != NULL; bundle = bundle->next)
        if (bundle->held && !bundle->cancelled && bundle->fetch != NULL && may_take(bundle)) {
            bundle->held = false;
            hp_fetch_resume(bundle->fetch);
        }
}

/* ---- asking ---- */

static size_t padded(size_t bytes)
{
    return (bytes + 511) / 512 * 512;
}

static size_t bound_of(const hp_download_file_row_t *row)
{
    return FRAME_BYTES + padded(strlen(row->source_path)) + padded((size_t)row->size);
}

/* How many of those that wait make one bundle, and how long it can be. */
static size_t choose(const download_t *self, size_t *bound)
{
    const hp_bundle_line_t *line = &self->line;
    size_t connections = HP_MAX(self->transfer->connections, 1u), left = waiting(line);
    size_t max = HP_MIN(HP_MAX(left / connections + 1, (size_t)BUNDLE_LEAST), (size_t)BUNDLE_FILES),
           count = 0;
    *bound = END_BYTES;
    while (count < HP_MIN(left, max)) {
        size_t one = bound_of(&line->rows.items[line->first + count]);
        if (count > 0 && *bound + one > BUNDLE_BYTES)
            break;
        *bound += one;
        count++;
    }
    return count;
}

static void start(download_t *self, source_host_t *host, const known_host_t *known)
{
    static const hp_fetch_callbacks_t callbacks = {
        .on_head = on_head, .on_data = on_data, .on_done = on_done};
    size_t bound, count = choose(self, &bound);
    bundle_t *bundle = hp_alloc(sizeof *bundle + count * sizeof bundle->files[0]);
    *bundle = (bundle_t){.next = self->line.bundles,
                         .download = self,
                         .host = host,
                         .bound = bound,
                         .weight = BUNDLE_BYTES,
                         .retry_after_s = -1,
                         .base = hp_strdup(self->row.base),
                         .count = count};
    json_t *paths = json_array();
    for (size_t i = 0; i < count; i++) {
        hp_download_file_row_t *row = &self->line.rows.items[self->line.first++];
        bundle->files[i] =
            (bundle_file_t){.row = *row, .executable = hp_transfer_lets_run(self->transfer, row)};
        json_array_append_new(paths, json_string(bundle->files[i].row.source_path));
    }
    json_t *json = json_pack("{s:o}", "paths", paths);
    char *body = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    self->line.bundles = bundle;
    self->leased += bundle->weight;
    host->lease_count++;
    hp_pending_add(&self->pending);
    hp_fetch_options_t options = {
        .endpoint = &known->endpoints[host->endpoint_index % known->endpoint_count],
        .path = "/hostpair/bundle",
        .method = "POST",
        .body = body,
        .body_length = strlen(body),
        .content_type = "application/json",
    };
    bundle->fetch = hp_fetch_start(self->transfer->fetcher, &options, &callbacks, bundle);
    free(body);
    hp_download_changed(self);
}

bool hp_bundle_schedule(download_t *self)
{
    hp_bundle_line_t *line = &self->line;
    if (waiting(line) > 0 && !has_bundles(self))
        take_all_up(self);
    if (waiting(line) > 0) {
        source_host_t *host = order_host(self);
        const known_host_t *known = hp_transfer_known(self->transfer, host->id);
        uint64_t now = hp_clock_ms();
        unsigned max = host->retry.failures > 0 ? 1 : self->transfer->connections;
        while (waiting(line) > 0 && hp_retry_is_due(&host->retry, now) && host->lease_count < max &&
               hp_download_has_budget(self, BUNDLE_BYTES))
            start(self, host, known);
    }
    trim(line);
    return !hp_bundle_is_idle(self);
}

void hp_bundle_stop(download_t *self)
{
    hp_bundle_line_t *line = &self->line;
    while (waiting(line) > 0)
        hp_download_file_row_dispose(&line->rows.items[line->first++]);
    hp_array_dispose(&line->rows);
    line->first = 0;
    line->unfit = false;
    for (bundle_t *bundle = line->bundles; bundle != NULL; bundle = bundle->next)
        if (bundle->fetch != NULL && !bundle->cancelled) {
            bundle->cancelled = true;
            hp_fetch_cancel(bundle->fetch);
        }
}
