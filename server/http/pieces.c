/* Request bodies of any length, which the handler takes piece by piece.
 *
 * h2o 2.2.5 reads a body whole before it calls a handler. But it answers 413 to one that is longer than
 * body_max as soon as the header section is there, and reads nothing of it. A filter sees that reply before
 * it leaves (refuse.c). Where the handler wants the body in pieces, an output stream on top of h2o's swallows
 * the reply; the request is then given to the handler as any other, and the body is read here, from the same
 * socket. The handler's own reply passes the output stream as if it were not there.
 *
 * h2o has marked the connection as one that ends with the reply by then. So nobody has to know where the next
 * request would begin. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

struct hp_pieces {
    uint64_t length;     /* of the body */
    uint64_t taken;      /* by the handler */
    hp_http_piece_fn fn; /* NULL: no piece is asked for */
    void *arg;
    bool expects; /* the client waits for "100 Continue", which goes out with the first piece asked for */
};

typedef struct {
    h2o_ostream_t super;
    hp_connection_t *connection;
    bool begun;
} opening_t;

/* ---- from h2o's refusal to the handler ---- */

static void begin(h2o_req_t *req, hp_connection_t *connection)
{
    int refused;
    hp_http_request_t *self = hp_request_create(req, connection, &refused);
    char *length = hp_head_field(&self->head, "Content-Length");
    char *expect = hp_head_field(&self->head, "Expect");
    self->pieces = hp_alloc(sizeof *self->pieces);
    self->pieces->length = length != NULL ? strtoull(length, NULL, 10) : 0;
    self->pieces->expects = expect != NULL && strcasecmp(expect, "100-continue") == 0;
    free(length);
    free(expect);
    req->res.status = 0;
    req->res.reason = "";
    req->res.content_length = SIZE_MAX;
    req->res.headers.size = 0;
    h2o_buffer_consume(&connection->socket->input, self->head.length);
    hp_refuse_linger(req, connection);
    hp_request_handle(self, refused);
}

static void on_send(h2o_ostream_t *ostream, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
                    h2o_send_state_t state)
{
    opening_t *self = (opening_t *)ostream;
    if (self->begun) {
        h2o_ostream_send_next(ostream, req, bufs, count, state);
        return;
    }
    self->begun = true;
    begin(req, self->connection);
}

bool hp_pieces_take(h2o_req_t *req, hp_connection_t *connection, h2o_ostream_t **slot)
{
    const hp_http_options_t *options = &connection->listener->options;
    h2o_buffer_t *input = connection->socket->input;
    hp_head_t head;
    if (options->takes_pieces == NULL)
        return false;
    bool takes = hp_head_init(&head, input->bytes, input->size) == 0 &&
                 options->takes_pieces(options->arg, head.method, head.path);
    hp_head_dispose(&head);
    if (!takes)
        return false;
    opening_t *self = (opening_t *)h2o_add_ostream(req, sizeof *self, slot);
    self->super.do_send = on_send;
    self->connection = connection;
    self->begun = false;
    return true;
}

/* ---- the body ---- */

static uint64_t left(const hp_pieces_t *pieces)
{
    return pieces->length - pieces->taken;
}

static size_t next_length(const hp_pieces_t *pieces)
{
    return (size_t)HP_MIN(left(pieces), (uint64_t)HP_HTTP_PIECE);
}

static void on_read(h2o_socket_t *socket, const char *error);

/* Reads until the next piece is there. */
static void read_ahead(hp_http_request_t *self)
{
    h2o_socket_t *socket = self->connection->socket;
    size_t length = next_length(self->pieces);
    bool wanted = !self->replied && socket->input->size < length;
    if (wanted && !h2o_socket_is_reading(socket)) {
        h2o_buffer_reserve(&socket->input, length - socket->input->size);
        h2o_socket_read_start(socket, on_read);
    } else if (!wanted && h2o_socket_is_reading(socket)) {
        h2o_socket_read_stop(socket);
    }
}

/* Gives a piece once there is a whole one, or the rest. */
static bool give(hp_http_request_t *self)
{
    hp_pieces_t *pieces = self->pieces;
    h2o_socket_t *socket = self->connection->socket;
    size_t want = next_length(pieces);
    if (socket->input->size < want)
        return false;
    void *data = want > 0 ? memcpy(hp_alloc(want), socket->input->bytes, want) : NULL;
    h2o_buffer_consume(&socket->input, want);
    pieces->taken += want;
    read_ahead(self);
    hp_http_piece_fn fn = pieces->fn;
    pieces->fn = NULL;
    fn(pieces->arg, data, want, left(pieces) == 0);
    return true;
}

static void on_read(h2o_socket_t *socket, const char *error)
{
    hp_connection_t *connection = socket->on_close.data;
    hp_http_request_t *self = connection->request;
    if (error != NULL) {
        h2o_socket_read_stop(socket);
        if (self == NULL || !self->replied) /* to whoever sends no more a reply may still go */
            hp_connection_cut(connection);
    } else if (self == NULL || self->pieces == NULL) {
        h2o_socket_read_stop(socket);
    } else if (self->pieces->fn == NULL || !give(self)) {
        read_ahead(self);
    }
}

static void read_on(hp_http_request_t *self)
{
    if (!give(self))
        read_ahead(self);
}

static void on_continued(h2o_socket_t *socket, const char *error)
{
    hp_connection_t *connection = socket->on_close.data;
    hp_http_request_t *self = connection->request;
    if (self == NULL)
        return;
    self->writing = false;
    if (connection->cut)
        hp_request_abort(self);
    else if (error != NULL)
        hp_connection_cut(connection);
    else
        read_on(self);
}

static void send_continue(hp_http_request_t *self)
{
    static h2o_iovec_t line = {H2O_STRLIT("HTTP/1.1 100 Continue\r\n\r\n")};
    self->writing = true;
    h2o_socket_write(self->connection->socket, &line, 1, on_continued);
}

/* One that h2o has read already. */
static void give_whole(hp_http_request_t *self, hp_http_piece_fn fn, void *arg)
{
    size_t length = self->body_given ? 0 : self->req->entity.len;
    void *data = length > 0 ? memcpy(hp_alloc(length), self->req->entity.base, length) : NULL;
    self->body_given = true;
    fn(arg, data, length, true);
}

void hp_http_body_next(hp_http_request_t *self, hp_http_piece_fn fn, void *arg)
{
    hp_pieces_t *pieces = self->pieces;
    if (self->req == NULL)
        return;
    if (pieces == NULL) {
        give_whole(self, fn, arg);
        return;
    }
    pieces->fn = fn;
    pieces->arg = arg;
    bool expects = pieces->expects && self->connection->socket->input->size == 0;
    pieces->expects = false;
    if (expects)
        send_continue(self);
    else
        read_on(self);
}

uint64_t hp_http_body_length(const hp_http_request_t *self)
{
    if (self->pieces != NULL)
        return self->pieces->length;
    return self->req != NULL ? self->req->entity.len : self->body_length;
}

uint64_t hp_pieces_awaited(const hp_http_request_t *self)
{
    const hp_pieces_t *pieces = self->pieces;
    const h2o_socket_t *socket = self->connection != NULL ? self->connection->socket : NULL;
    return pieces != NULL && pieces->fn != NULL && socket != NULL ? pieces->taken + socket->input->size
                                                                  : UINT64_MAX;
}

void hp_pieces_dispose(hp_http_request_t *self)
{
    free(self->pieces);
    self->pieces = NULL;
}
