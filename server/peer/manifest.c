/* GET /manifest/<root>?chunk=N&size=S: one layer of a file's hash tree. A root alone does not say which file
 * it is (db/shared_file.h), so who knows the size says it; without it the layer is that of the largest. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"

#define CHUNK_MIN   16384
#define DIGEST_SIZE 32

static const char type[] = "application/octet-stream";

typedef struct {
    hp_http_request_t *request; /* until the reply begins */
    hp_http_stream_t *stream;   /* from then on */
    hp_layer_t *layer;
    uint64_t count, sent; /* digests */
    uint8_t *first;       /* the first piece, made before the reply begins */
    size_t first_count;
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

static void destroy(void *arg)
{
    manifest_t *self = arg;
    if (self->layer != NULL)
        hp_layer_close(self->layer);
    free(self->first);
    free(self);
}

static void send_piece(manifest_t *self, const uint8_t *digests, size_t count)
{
    self->sent += count;
    hp_http_stream_send(self->stream, digests, count * DIGEST_SIZE,
                        self->sent == self->count ? HP_STREAM_LAST : HP_STREAM_MORE);
}

static void on_piece(void *arg, int status, const uint8_t *digests, size_t count)
{
    manifest_t *self = arg;
    if (status != 0)
        hp_http_stream_send(self->stream, NULL, 0, HP_STREAM_FAILED);
    else
        send_piece(self, digests, count);
}

static void on_next(void *arg, hp_http_stream_t *stream)
{
    manifest_t *self = arg;
    self->stream = stream;
    if (self->first == NULL) {
        hp_layer_next(self->layer, on_piece, self);
        return;
    }
    uint8_t *first = self->first;
    self->first = NULL;
    send_piece(self, first, self->first_count); /* which may be the end of self */
    free(first);
}

/* Answers with what is known to be there: so a layer whose file has gone is a 404 and no broken reply. */
static void on_first_piece(void *arg, int status, const uint8_t *digests, size_t count)
{
    manifest_t *self = arg;
    hp_http_request_t *request = self->request;
    if (status != 0) {
        hp_peer_refuse(request, status);
        destroy(self);
        hp_http_release(request);
        return;
    }
    /* The root and the size name the bytes for ever. */
    hp_http_set_header(request, "ETag", self->etag);
    hp_http_set_header(request, "Cache-Control", "public, max-age=31536000, immutable");
    if (count == self->count) {
        hp_http_reply(request, 200, type, digests, count * DIGEST_SIZE);
        destroy(self);
    } else {
        self->first = memcpy(hp_alloc(count * DIGEST_SIZE), digests, count * DIGEST_SIZE);
        self->first_count = count;
        self->stream =
            hp_http_reply_stream_sized(request, 200, type, self->count * DIGEST_SIZE, on_next, self);
        if (self->stream != NULL)
            hp_http_stream_on_end(self->stream, destroy);
        else
            destroy(self);
    }
    hp_http_release(request);
}

static void on_opened(void *arg, int status, hp_layer_t *layer, uint64_t count)
{
    manifest_t *self = arg;
    if (status != 0) {
        hp_peer_refuse(self->request, status == HP_E_INVALID ? HP_E_BAD_REQUEST : status);
        hp_http_release(self->request);
        destroy(self);
        return;
    }
    self->layer = layer;
    self->count = count;
    hp_layer_next(layer, on_first_piece, self);
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
    self->request = request;
    snprintf(self->etag, sizeof self->etag, "\"%s-%llu-%llu\"", root, (unsigned long long)chunk,
             (unsigned long long)size);
    hp_http_addref(request);
    hp_layer_open(peer->share, root, size, chunk, on_opened, self);
}
