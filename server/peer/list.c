/* GET /list: every file at any depth as one JSON object a line, then the empty folders for those who ask for
 * them; or the names in the folder as text (names.c). */
#include "internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "share/row_json.h"

#define PAGE_ROWS 250 /* a page is in memory until its client has taken it */
#define PAGE_MAX                                                                                             \
    ((size_t)64 * 1024 * 1024) /* bytes: above PAGE_ROWS of the longest paths, each byte escaped */

static const char ndjson[] = "application/x-ndjson";

typedef struct {
    hp_peer_t *peer;
    hp_http_request_t *request;
    hp_http_stream_t *stream; /* once the reply has begun */
    char etag[HP_PEER_TAG_SIZE + 2];
    bool with_folders; /* the empty ones are wanted, after all files */
    bool folders;      /* it has come to them */
    char *after;       /* the last path that was read; NULL none */
    hp_buf_t page;
    bool page_ready; /* the first one, read before the stream was there */
    bool last;
} list_t;

static void destroy(list_t *self)
{
    hp_http_release(self->request);
    free(self->after);
    hp_buf_dispose(&self->page);
    free(self);
}

static void on_end(void *arg)
{
    destroy(arg);
}

static void take_page(list_t *self, const hp_share_row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hp_share_row_add_json(&self->page, &rows[i]);
    free(self->after);
    self->after = count > 0 ? hp_strdup(rows[count - 1].path) : NULL;
    self->last = count < PAGE_ROWS && self->folders == self->with_folders;
    if (count < PAGE_ROWS && !self->last) {
        self->folders = true;
        free(self->after);
        self->after = NULL;
    }
}

/* The stream has a copy, and may have ended self on return. */
static void send_page(list_t *self)
{
    hp_buf_t page = self->page;
    hp_buf_init(&self->page, PAGE_MAX);
    hp_http_stream_send(self->stream, page.data, page.length, self->last ? HP_STREAM_LAST : HP_STREAM_MORE);
    hp_buf_dispose(&page);
}

/* The files have all been read into the page, and the folders are still to come. */
static bool turns_to_folders(const list_t *self)
{
    return self->folders && self->after == NULL && !self->last;
}

static void on_next_rows(void *arg, int status, const hp_share_row_t *rows, size_t count)
{
    list_t *self = arg;
    if (status != 0 || hp_http_gone(self->request)) { /* the peer may have gone, too */
        hp_http_stream_send(self->stream, NULL, 0, HP_STREAM_FAILED);
        return;
    }
    take_page(self, rows, count);
    if (turns_to_folders(self))
        hp_gate_rows(self->peer->index, self->request, true, NULL, PAGE_ROWS, on_next_rows, self);
    else
        send_page(self);
}

static void on_next(void *arg, hp_http_stream_t *stream)
{
    list_t *self = arg;
    self->stream = stream;
    if (self->page_ready) {
        self->page_ready = false;
        send_page(self);
    } else {
        hp_gate_rows(self->peer->index, self->request, self->folders, self->after, PAGE_ROWS, on_next_rows,
                     self);
    }
}

static void on_first_rows(void *arg, int status, const hp_share_row_t *rows, size_t count)
{
    list_t *self = arg;
    hp_http_request_t *request = self->request;
    if (hp_http_gone(request)) { /* the peer may have gone, too */
        destroy(self);
        return;
    }
    if (status != 0) {
        hp_peer_refuse(request, status);
        destroy(self);
        return;
    }
    take_page(self, rows, count);
    if (turns_to_folders(self)) {
        hp_gate_rows(self->peer->index, request, true, NULL, PAGE_ROWS, on_first_rows, self);
    } else {
        hp_http_set_header(request, "ETag", self->etag);
        if (self->last) {
            hp_http_reply(request, 200, ndjson, self->page.data, self->page.length);
            destroy(self);
        } else {
            self->page_ready = true;
            self->stream = hp_http_reply_stream(request, 200, ndjson, on_next, self);
            if (self->stream != NULL)
                hp_http_stream_on_end(self->stream, on_end);
            else
                destroy(self);
        }
    }
}

void hp_peer_list_tag(const hp_peer_t *peer, char out[HP_PEER_TAG_SIZE])
{
    snprintf(out, HP_PEER_TAG_SIZE, "%s-%" PRIu64, peer->self->id, hp_share_revision(peer->share));
}

/* The tag is that of the revision before the first row was read. If the index changes meanwhile, later rows
 * may be newer than the tag says; that is harmless, since a revision that has passed never matches again and
 * the client fetches anew. */
static void list_rows(hp_peer_t *peer, hp_http_request_t *request)
{
    list_t *self = hp_alloc(sizeof *self);
    char tag[HP_PEER_TAG_SIZE];
    self->peer = peer;
    self->request = request;
    hp_http_addref(request);
    hp_buf_init(&self->page, PAGE_MAX);
    hp_peer_list_tag(peer, tag);
    snprintf(self->etag, sizeof self->etag, "\"%s\"", tag);
    if (hp_http_not_modified(request, self->etag)) {
        hp_http_set_header(request, "ETag", self->etag);
        hp_http_reply_empty(request, 304);
        destroy(self);
        return;
    }
    self->with_folders = hp_http_header(request, "Hostpair-Folders") != NULL;
    hp_gate_rows(peer->index, request, false, NULL, PAGE_ROWS, on_first_rows, self);
}

void hp_peer_list(hp_peer_t *peer, hp_http_request_t *request)
{
    hp_http_set_header(request, "Vary", "Accept, Hostpair-Folders");
    hp_http_set_header(request, "Cache-Control", "no-cache");
    if (hp_http_accepts(request, ndjson))
        list_rows(peer, request);
    else
        hp_peer_list_names(peer, request);
}
