#include "layer_reply.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

typedef struct {
    hp_layer_reply_t reply;
    hp_http_stream_t *stream;
    uint64_t sent;  /* digests */
    uint8_t *first; /* the first piece, made before the reply begins */
    size_t first_count;
} state_t;

static void destroy(void *arg)
{
    state_t *self = arg;
    hp_layer_close(self->reply.layer);
    free(self->reply.head);
    free(self->reply.tail);
    free(self->first);
    free(self);
}

/* Sending may be the end of self. */
static void send_part(state_t *self, const void *data, size_t length, bool last)
{
    hp_http_stream_send(self->stream, data, length, last ? HP_STREAM_LAST : HP_STREAM_MORE);
}

static void send_digests(state_t *self, const uint8_t *digests, size_t count)
{
    self->sent += count;
    send_part(self, digests, count * HP_DIGEST_SIZE,
              self->sent == self->reply.count && self->reply.tail == NULL);
}

static void on_piece(void *arg, int status, const uint8_t *digests, size_t count)
{
    state_t *self = arg;
    if (status != 0)
        hp_http_stream_send(self->stream, NULL, 0, HP_STREAM_FAILED);
    else
        send_digests(self, digests, count);
}

static void on_next(void *arg, hp_http_stream_t *stream)
{
    state_t *self = arg;
    self->stream = stream;
    if (self->reply.head != NULL) {
        char *head = self->reply.head;
        self->reply.head = NULL;
        send_part(self, head, self->reply.head_length, false);
        free(head);
    } else if (self->first != NULL) {
        uint8_t *first = self->first;
        self->first = NULL;
        send_digests(self, first, self->first_count);
        free(first);
    } else if (self->sent < self->reply.count) {
        hp_layer_next(self->reply.layer, on_piece, self);
    } else {
        send_part(self, self->reply.tail, self->reply.tail_length, true);
    }
}

/* All of it is here. */
static void reply_whole(state_t *self, const uint8_t *digests, size_t total)
{
    const hp_layer_reply_t *reply = &self->reply;
    size_t length = reply->count * HP_DIGEST_SIZE;
    uint8_t *body = hp_alloc(total);
    if (reply->head != NULL)
        memcpy(body, reply->head, reply->head_length);
    memcpy(body + reply->head_length, digests, length);
    if (reply->tail != NULL)
        memcpy(body + reply->head_length + length, reply->tail, reply->tail_length);
    hp_http_reply_owned(reply->request, 200, reply->type, body, total);
    destroy(self);
}

static void on_first_piece(void *arg, int status, const uint8_t *digests, size_t count)
{
    state_t *self = arg;
    hp_http_request_t *request = self->reply.request;
    size_t total = self->reply.head_length + self->reply.count * HP_DIGEST_SIZE + self->reply.tail_length;
    self->reply.ready(self->reply.arg, status);
    if (status != 0) {
        destroy(self);
    } else if (count == self->reply.count) {
        reply_whole(self, digests, total);
    } else {
        self->first = memcpy(hp_alloc(count * HP_DIGEST_SIZE), digests, count * HP_DIGEST_SIZE);
        self->first_count = count;
        self->stream = hp_http_reply_stream_sized(request, 200, self->reply.type, total, on_next, self);
        if (self->stream != NULL)
            hp_http_stream_on_end(self->stream, destroy);
        else
            destroy(self);
    }
    hp_http_release(request);
}

void hp_layer_reply(const hp_layer_reply_t *reply)
{
    state_t *self = hp_alloc(sizeof *self);
    self->reply = *reply;
    hp_http_addref(reply->request);
    hp_layer_next(reply->layer, on_first_piece, self);
}
