/* GET /api/v1/downloads/{id}/content of a download that is still running: the bytes asked for are fetched
 * first, and the reply waits for them. One range, or the whole; the entity tag stays the same when the
 * download is done, so that a player that seeks does not start over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"
#include "base/path.h"
#include "http/conditions.h"
#include "transfer/reader.h"

typedef struct stream {
    hp_http_request_t *request;
    hp_reader_t *content;  /* NULL once closed */
    hp_http_stream_t *out; /* waits for an answer; NULL: none asked */
    uint64_t offset, end;
} stream_t;

static void on_read(void *arg, int status, const void *data, size_t length)
{
    stream_t *self = arg;
    hp_http_stream_t *out = self->out;
    self->out = NULL;
    if (status != 0) {
        hp_http_stream_send(out, NULL, 0, HP_STREAM_FAILED);
        return;
    }
    self->offset += length;
    hp_http_stream_send(out, data, length, self->offset < self->end ? HP_STREAM_MORE : HP_STREAM_LAST);
}

static void on_next(void *arg, hp_http_stream_t *out)
{
    stream_t *self = arg;
    self->out = out;
    hp_reader_read(self->content, self->offset,
                   (size_t)HP_MIN(self->end - self->offset, (uint64_t)HP_READER_PIECE), on_read, self);
}

static void on_end(void *arg)
{
    stream_t *self = arg;
    hp_http_on_gone(self->request, NULL, NULL);
    hp_http_release(self->request);
    if (self->content != NULL)
        hp_reader_close(self->content);
    free(self);
}

/* A read may wait for long, and what it waits for is fetched first: not for a client that has gone. */
static void on_gone(void *arg)
{
    stream_t *self = arg;
    hp_reader_t *content = self->content;
    if (self->out == NULL)
        return;
    self->content = NULL;
    hp_reader_close(content); /* answers the read, which ends the stream */
}

/* What is to be sent, or a reply that is complete already: false. */
static bool choose(hp_http_request_t *request, const hp_reader_info_t *info, hp_range_t *range, int *status)
{
    hp_conditions_t conditions = {
        .if_match = hp_http_header(request, "if-match"),
        .if_none_match = hp_http_header(request, "if-none-match"),
        .if_range = hp_http_header(request, "if-range"),
        .range = hp_http_header(request, "range"),
    };
    hp_representation_t file = {.etag = info->etag, .size = info->size};
    hp_range_t ranges[HP_RANGES_MAX];
    size_t count = 0;
    char text[96];
    bool head = strcmp(hp_http_method(request), "HEAD") == 0;
    *range = (hp_range_t){.first = 0, .end = info->size};
    *status = 200;
    switch (hp_conditions_evaluate(&conditions, head, &file, ranges, &count)) {
    case HP_OUTCOME_NOT_MODIFIED:
        hp_http_reply_empty(request, 304);
        return false;
    case HP_OUTCOME_FAILED:
        hp_http_reply_problem(request, HP_E_PRECONDITION, NULL);
        return false;
    case HP_OUTCOME_UNSATISFIABLE:
        snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)info->size);
        hp_http_set_header(request, "Content-Range", text);
        hp_http_reply_problem(request, HP_E_BAD_RANGE, NULL);
        return false;
    case HP_OUTCOME_RANGES:
        if (count == 1) {
            *range = ranges[0];
            *status = 206;
            snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)range->first,
                     (unsigned long long)range->end - 1, (unsigned long long)info->size);
            hp_http_set_header(request, "Content-Range", text);
        }
        break; /* several ranges: the whole, as RFC 9110 section 14.2 allows */
    case HP_OUTCOME_WHOLE:
        break;
    }
    return true;
}

void hp_api_stream_content(hp_api_t *api, hp_http_request_t *request, int64_t id)
{
    hp_reader_t *content = NULL;
    hp_reader_info_t info;
    hp_err_t err = {0};
    int rc = hp_reader_open(api->deps.transfer, id, &content, &info, &err);
    if (rc != 0) {
        if (rc == HP_E_BUSY)
            hp_http_set_header(request, "Retry-After", "1");
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    hp_range_t range;
    int status;
    hp_http_set_header(request, "ETag", info.etag);
    hp_http_set_header(request, "Accept-Ranges", "bytes");
    hp_http_set_header(request, "Cache-Control", "no-cache");
    if (!choose(request, &info, &range, &status)) {
        hp_reader_close(content);
        return;
    }
    stream_t *self = hp_alloc(sizeof *self);
    *self = (stream_t){.request = request, .content = content, .offset = range.first, .end = range.end};
    hp_http_addref(request);
    hp_http_stream_t *out = hp_http_reply_stream_sized(request, status, hp_api_content_type(info.name),
                                                       (size_t)(range.end - range.first), on_next, self);
    if (out == NULL) {
        on_end(self);
        return;
    }
    hp_http_stream_on_end(out, on_end);
    hp_http_on_gone(request, on_gone, self);
}
