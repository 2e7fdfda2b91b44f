/* GET /torrent/<path>: a metainfo file (metainfo.h) of one shared file.
 *
 * A piece is a chunk of hostpair's own downloads, so the piece layer is the one that stands in the store. The
 * host of the web seed is the one that the client used itself, taken from the request. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "layer_reply.h"
#include "metainfo.h"
#include "share/merkle.h"

#define HASHED_A_SECOND ((uint64_t)256 * 1024 * 1024) /* bytes; a guess for Retry-After */
#define RETRY_MAX       60                            /* seconds */

static const char torrent_type[] = "application/x-bittorrent";

typedef struct {
    hp_peer_t *peer;
    hp_http_request_t *request;
    hp_gate_t *gate; /* to be left at the end; NULL while outside */
    char *path;
    bool as_folder; /* the URL ends with "/" */
    uint64_t size, piece;
    uint8_t root[HP_SHA256_SIZE];
} torrent_t;

static void destroy(torrent_t *self)
{
    hp_gate_t *gate = self->gate;
    hp_http_release(self->request);
    free(self->path);
    free(self);
    if (gate != NULL)
        hp_gate_leave(gate);
}

/* ---- the reply ---- */

static void set_fields(const torrent_t *self)
{
    char *name = hp_sprintf("%s.torrent", hp_path_name(self->path));
    hp_http_set_attachment(self->request, name);
    hp_http_set_header(self->request, "Cache-Control", "no-cache");
    free(name);
}

static void refuse(torrent_t *self, int status)
{
    hp_peer_refuse(self->request, status);
    destroy(self);
}

/* The root of these bytes is not known yet. */
static void refuse_unhashed(torrent_t *self)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u",
             (unsigned)HP_MIN(1 + self->size / HASHED_A_SECOND, (uint64_t)RETRY_MAX));
    hp_http_set_header(self->request, "Retry-After", seconds);
    hp_http_reply_text_error(self->request, HP_E_BUSY, "The file is still being hashed");
    destroy(self);
}

/* The first piece of the layer is there, or is not. */
static void on_ready(void *arg, int status)
{
    torrent_t *self = arg;
    if (status == HP_E_NOT_FOUND) {
        refuse_unhashed(self); /* it has changed since it was opened */
    } else if (status != 0) {
        refuse(self, status);
    } else {
        set_fields(self);
        destroy(self);
    }
}

/* The layer of count digests belongs at *split. */
static int write_torrent(const torrent_t *self, uint64_t count, hp_buf_t *text, size_t *split)
{
    hp_metainfo_t what = {.authority = hp_http_header(self->request, "Host"),
                          .path = self->path,
                          .size = self->size,
                          .piece = self->piece,
                          .root = self->root,
                          .layer_count = count};
    return hp_metainfo_write(&what, text, split);
}

static char *copy(const char *data, size_t length)
{
    return memcpy(hp_alloc(length), data, length);
}

static void reply_layer(torrent_t *self, hp_layer_t *layer, uint64_t count)
{
    hp_buf_t text;
    size_t split;
    hp_buf_init(&text, HP_METAINFO_MAX);
    int rc = write_torrent(self, count, &text, &split);
    if (rc != 0) {
        hp_layer_close(layer);
        refuse(self, rc == HP_E_TOO_LARGE ? rc : HP_E_INTERNAL);
    } else {
        hp_layer_reply(&(hp_layer_reply_t){.request = self->request,
                                           .layer = layer,
                                           .count = count,
                                           .type = torrent_type,
                                           .head = copy(text.data, split),
                                           .head_length = split,
                                           .tail = copy(text.data + split, text.length - split),
                                           .tail_length = text.length - split,
                                           .ready = on_ready,
                                           .arg = self});
    }
    hp_buf_dispose(&text);
}

static void on_layer(void *arg, int status, hp_layer_t *layer, uint64_t count)
{
    torrent_t *self = arg;
    if (status == 0 && hp_http_gone(self->request)) {
        hp_layer_close(layer);
        destroy(self);
    } else if (status == HP_E_NOT_FOUND) {
        refuse_unhashed(self); /* it has changed since it was opened */
    } else if (status != 0) {
        refuse(self, status == HP_E_INVALID ? HP_E_INTERNAL : status);
    } else {
        reply_layer(self, layer, count);
    }
}

/* A file of at most one piece. */
static void reply_small(torrent_t *self)
{
    hp_buf_t text;
    size_t split;
    hp_buf_init(&text, HP_METAINFO_MAX);
    int rc = write_torrent(self, 0, &text, &split);
    if (rc != 0) {
        hp_peer_refuse(self->request, rc == HP_E_TOO_LARGE ? rc : HP_E_INTERNAL);
    } else {
        set_fields(self);
        hp_http_reply(self->request, 200, torrent_type, text.data, text.length);
    }
    hp_buf_dispose(&text);
    destroy(self);
}

static void on_turn(void *arg, int status)
{
    torrent_t *self = arg;
    char root[2 * HP_SHA256_SIZE + 1];
    if (status != 0) { /* the client has gone */
        destroy(self);
        return;
    }
    self->gate = self->peer->trees;
    hp_hex_encode(self->root, sizeof self->root, root);
    hp_layer_open(self->peer->share, root, self->size, self->piece, on_layer, self);
}

/* After the client has gone the peer may have, too. */
static void on_opened(void *arg, int status, const hp_share_file_t *file)
{
    torrent_t *self = arg;
    if (status == 0) {
        close(file->fd);
        if (hp_http_gone(self->request) || self->as_folder)
            status = HP_E_NOT_FOUND;
    }
    if (status != 0) {
        refuse(self, status);
        return;
    }
    self->size = (uint64_t)file->stat.st_size;
    self->piece = hp_chunk_size_for(self->size);
    if (self->size > 0 && hp_hex_decode(file->root, self->root, sizeof self->root) != 0)
        refuse_unhashed(self);
    else if (self->size <= self->piece)
        reply_small(self);
    else
        hp_gate_enter(self->peer->trees, self->request, on_turn, self);
}

void hp_peer_torrent(hp_peer_t *peer, hp_http_request_t *request, const char *encoded)
{
    if (!hp_metainfo_is_authority(hp_http_header(request, "Host"))) {
        hp_http_reply_text_error(request, HP_E_BAD_REQUEST,
                                 "Host has to be a host name or address, and a port");
        return;
    }
    bool as_folder;
    char *path = hp_peer_take_path(request, encoded, &as_folder);
    if (path == NULL)
        return;
    torrent_t *self = hp_alloc(sizeof *self);
    self->peer = peer;
    self->request = request;
    self->path = path;
    self->as_folder = as_folder;
    hp_http_addref(request);
    hp_share_open(peer->share, self->path, on_opened, self);
}
