/* Replies that are produced piece by piece. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct hp_http_stream {
    hp_http_request_t *request; /* NULL once it is over */
    hp_http_stream_next_fn next;
    void (*end)(void *arg);
    void *arg;
    bool asked;    /* next was called and not answered yet */
    bool unframed; /* HTTP/1.0: its end is the connection's */
    bool limited;  /* by the limit that the listener was given */
    char *data;    /* on its way: so many bytes of it have been sent */
    size_t length, sent;
    h2o_send_state_t state; /* of the last of them */
};

static void destroy(hp_http_stream_t *self)
{
    void (*end)(void *arg) = self->end;
    void *arg = self->arg;
    free(self->data);
    free(self);
    if (end != NULL)
        end(arg);
}

/* What may go now. */
static void send_data(hp_http_stream_t *self)
{
    hp_http_listener_t *listener = self->request->connection->listener;
    const char *data = self->data != NULL ? self->data + self->sent : NULL;
    size_t length = self->length - self->sent;
    if (self->limited && length > 0) {
        if (hp_sender_is_limited(&listener->sender))
            length = HP_MIN(length, HP_LIMITED_BYTES);
        length = hp_sender_take(&listener->sender, length);
        if (length == 0) {
            hp_turns_wait(self->request);
            return;
        }
    }
    self->sent += length;
    hp_reply_send(self->request, data, length,
                  self->sent == self->length ? self->state : H2O_SEND_STATE_IN_PROGRESS);
}

static void take_data(hp_http_stream_t *self, void *data, size_t length)
{
    free(self->data);
    self->data = data;
    self->length = length;
    self->sent = 0;
}

static void on_turn(hp_http_request_t *request)
{
    hp_http_stream_t *self = request->reply;
    if (self->asked)
        return;
    if (self->sent < self->length) {
        send_data(self);
        return;
    }
    take_data(self, NULL, 0);
    self->asked = true;
    self->next(self->arg, self);
}

static void on_disposed(hp_http_request_t *request)
{
    hp_http_stream_t *self = request->reply;
    self->request = NULL;
    if (!self->asked)
        destroy(self);
}

/* An unframed body that ends early would look whole: the client gets a reset instead. */
static void make_end_abrupt(hp_http_stream_t *self)
{
    if (self->unframed)
        hp_connection_make_abrupt(self->request->connection);
}

hp_http_stream_t *hp_http_reply_stream_sized(hp_http_request_t *request, int status, const char *content_type,
                                             size_t size, hp_http_stream_next_fn next, void *arg)
{
    static const hp_reply_type_t type = {.turn = on_turn, .disposed = on_disposed};
    h2o_req_t *req = hp_reply_begin_body(request, status, content_type, size);
    if (req == NULL)
        return NULL;
    hp_http_stream_t *self = hp_alloc(sizeof *self);
    self->request = request;
    self->next = next;
    self->arg = arg;
    self->unframed = size == SIZE_MAX && request->head.minor == 0;
    if (self->unframed)
        req->http1_is_persistent = 0;
    /* h2o chunks a 200 only, and does not write the status before the first byte is sent. */
    req->res.status = 200;
    hp_reply_start(request, &type, self);
    req->res.status = status;
    hp_turns_queue(request);
    return self;
}

hp_http_stream_t *hp_http_reply_stream(hp_http_request_t *request, int status, const char *content_type,
                                       hp_http_stream_next_fn next, void *arg)
{
    return hp_http_reply_stream_sized(request, status, content_type, SIZE_MAX, next, arg);
}

void hp_http_stream_on_end(hp_http_stream_t *self, void (*end)(void *arg))
{
    self->end = end;
}

void hp_http_stream_set_limited(hp_http_stream_t *self)
{
    self->limited = true;
}

void hp_http_stream_send_owned(hp_http_stream_t *self, void *data, size_t length,
                               hp_http_stream_state_t state)
{
    static const h2o_send_state_t states[] = {H2O_SEND_STATE_IN_PROGRESS, H2O_SEND_STATE_FINAL,
                                              H2O_SEND_STATE_ERROR};
    self->asked = false;
    take_data(self, data, state != HP_STREAM_FAILED ? length : 0);
    if (self->request == NULL) {
        destroy(self);
        return;
    }
    if (self->request->ended)
        return;
    if (length == 0 && state == HP_STREAM_MORE) {
        hp_turns_queue(self->request);
        return;
    }
    if (state == HP_STREAM_FAILED)
        make_end_abrupt(self);
    self->state = states[state];
    send_data(self);
}

void hp_http_stream_send(hp_http_stream_t *self, const void *data, size_t length,
                         hp_http_stream_state_t state)
{
    hp_http_stream_send_owned(self, length > 0 ? memcpy(hp_alloc(length), data, length) : NULL, length,
                              state);
}
