/* GET /manifest/<root>?chunk=N&size=S: one layer of a file's hash tree. A root alone does not say which file
 * it is (db/shared_file.h), so who knows the size says it; without it the layer is that of the largest. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "layer_reply.h"

#define CHUNK_MIN 16384

typedef struct {
    hp_peer_t *peer; /* while the client is there */
    hp_http_request_t *request;
    hp_gate_t *gate; /* to be left at the end; NULL while outside */
    char root[65];
    uint64_t size, chunk;
    char etag[112];
} manifest_t;

/* A number from 1 on, in decimal; 0 for anything else. */
static uint64_t read_number(const char *text)
{
    uint64_t n = 0;
    if (text == NULL || *text < '1' || *text > '9')
        return 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (n > (UINT64_MAX - 9) / 10)
            return 0;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    return *text == '\0' ? n : 0;
}

static bool is_root(const char *text)
{
    uint8_t digest[32];
    return strspn(text, "0123456789abcdef") == 64 && hp_hex_decode(text, digest, sizeof digest) == 0;
}

static void destroy(manifest_t *self)
{
    hp_gate_t *gate = self->gate;
    hp_http_release(self->request);
    free(self);
    if (gate != NULL)
        hp_gate_leave(gate);
}

static void on_ready(void *arg, int status)
{
    manifest_t *self = arg;
    if (status != 0) {
        hp_peer_refuse(self->request, status);
    } else {
        /* The root and the size name the bytes for ever. */
        hp_http_set_header(self->request, "ETag", self->etag);
        hp_http_set_header(self->request, "Cache-Control", "public, max-age=31536000, immutable");
    }
    destroy(self);
}

static void on_opened(void *arg, int status, hp_layer_t *layer, uint64_t count)
{
    manifest_t *self = arg;
    if (status != 0) {
        hp_peer_refuse(self->request, status == HP_E_INVALID ? HP_E_BAD_REQUEST : status);
        destroy(self);
        return;
    }
    hp_layer_reply(&(hp_layer_reply_t){.request = self->request,
                                       .layer = layer,
                                       .count = count,
                                       .type = "application/octet-stream",
                                       .ready = on_ready,
                                       .arg = self});
}

static void on_turn(void *arg, int status)
{
    manifest_t *self = arg;
    if (status != 0) { /* the client has gone */
        destroy(self);
        return;
    }
    self->gate = self->peer->trees;
    hp_layer_open(self->peer->share, self->root, self->size, self->chunk, on_opened, self);
}

void hp_peer_manifest(hp_peer_t *peer, hp_http_request_t *request, const char *root)
{
    if (!is_root(root)) {
        hp_peer_refuse(request, HP_E_NOT_FOUND);
        return;
    }
    uint64_t chunk = read_number(hp_http_query(request, "chunk"));
    const char *size_text = hp_http_query(request, "size");
    uint64_t size = read_number(size_text);
    if (chunk < CHUNK_MIN || (chunk & (chunk - 1)) != 0) {
        hp_http_reply_text_error(request, HP_E_BAD_REQUEST, "chunk has to be a power of two, at least 16384");
        return;
    }
    if (size_text != NULL && (size == 0 || size > INT64_MAX)) {
        hp_http_reply_text_error(request, HP_E_BAD_REQUEST, "size has to be a number of bytes, at least 1");
        return;
    }
    manifest_t *self = hp_alloc(sizeof *self);
    self->peer = peer;
    self->request = request;
    self->size = size;
    self->chunk = chunk;
    snprintf(self->root, sizeof self->root, "%s", root);
    snprintf(self->etag, sizeof self->etag, "\"%s-%llu-%llu\"", root, (unsigned long long)chunk,
             (unsigned long long)size);
    hp_peer_offer_plain(peer, request);
    hp_http_addref(request);
    hp_gate_enter(peer->trees, request, on_turn, self);
}
