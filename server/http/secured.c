#include "secured.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/identity.h"
#include "secure/channel.h"

#define HANDSHAKE_BYTES_MAX ((size_t)32 * 1024)  /* of a client, before it is known */
#define SINK_KEPT           ((size_t)256 * 1024) /* a larger sink gives its memory back */

struct hp_secured {
    hp_connection_t *connection;
    hp_channel_t *channel;
    uv_tcp_t inner;  /* h2o's end of the pair */
    uv_poll_t outer; /* ours */
    int fd;          /* ours; -1: not yet, or closed */
    int inner_fd;
    bool opened; /* the handshake is over, the pair exists */
    bool closed;
    bool reading;    /* the client's socket */
    bool read_ended; /* the client sends no more */
    bool passed;     /* bytes went to h2o through the pair, and may still be there */
    bool drained;    /* h2o has closed its end, and everything was encrypted */
    bool linger, abrupt, turn_wanted;
    int polled; /* what outer waits for */
    uv_write_t write;
    uint8_t *pending; /* ciphertext on its way; NULL: none */
    uint8_t *input;   /* ciphertext not decrypted yet */
    size_t input_length;
    uint8_t *held; /* plaintext that neither h2o nor the pair has taken */
    size_t held_length, held_at;
    size_t handshake_bytes;
    h2o_linklist_t link; /* in the listener's handshakes */
};

static void decrypt(hp_secured_t *self);
static void pump(hp_secured_t *self);
static void watch(hp_secured_t *self);

/* ---- the client's socket ---- */

static void fail(hp_secured_t *self)
{
    hp_connection_cut(self->connection);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    hp_http_listener_t *listener = HP_CONTAINER(handle, hp_connection_t, tcp)->listener;
    *buf = uv_buf_init((char *)listener->cipher, HP_CIPHER_BYTES);
}

/* Takes bytes of the client that cannot be decrypted at once. */
static void keep_input(hp_secured_t *self, const uint8_t *data, size_t length)
{
    if (length == 0)
        return;
    self->input = hp_realloc(self->input, self->input_length + length);
    memmove(self->input + self->input_length, data, length);
    self->input_length += length;
}

static void queue_handshake(hp_secured_t *self)
{
    hp_http_listener_t *listener = self->connection->listener;
    if (h2o_linklist_is_linked(&self->link) || self->pending != NULL)
        return;
    h2o_linklist_insert(&listener->handshakes, &self->link);
    hp_turns_wake(listener);
}

static void take_input(hp_secured_t *self, const uint8_t *data, size_t length)
{
    if (self->opened && self->input_length == 0) {
        hp_channel_set_input(self->channel, data, length);
        decrypt(self);
        return;
    }
    keep_input(self, data, length);
    if (!self->opened) {
        queue_handshake(self);
        watch(self); /* what follows the handshake waits in the socket */
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    hp_connection_t *connection = HP_CONTAINER(stream, hp_connection_t, tcp);
    hp_secured_t *self = connection->secured;
    if (n > 0) {
        take_input(self, (const uint8_t *)buf->base, (size_t)n);
    } else if (n == UV_EOF && self->opened) {
        self->read_ended = true;
        watch(self);
        decrypt(self);
    } else if (n < 0) {
        fail(self);
    }
}

/* ---- what leaves ---- */

static void on_drained(hp_secured_t *self)
{
    if (self->drained) {
        hp_secured_close(self->connection);
        return;
    }
    pump(self);
    decrypt(self);
    if (!self->opened && self->input_length > 0)
        queue_handshake(self);
    if (self->turn_wanted && self->pending == NULL && !self->closed) {
        self->turn_wanted = false;
        if (self->connection->request != NULL && !self->connection->request->ended)
            hp_turns_queue(self->connection->request);
    }
    watch(self);
}

static void on_written(uv_write_t *write, int status)
{
    hp_secured_t *self = HP_CONTAINER(write, hp_secured_t, write);
    free(self->pending);
    self->pending = NULL;
    if (self->closed)
        return;
    if (status != 0)
        fail(self);
    else
        on_drained(self);
}

/* Sends what the channel has put into the sink. What the socket does not take waits. */
static void flush(hp_secured_t *self)
{
    hp_channel_sink_t *sink = &self->connection->listener->sink;
    uv_stream_t *stream = (uv_stream_t *)&self->connection->tcp;
    size_t length = sink->length;
    sink->length = 0;
    if (length == 0 || self->closed)
        return;
    uv_buf_t bytes = uv_buf_init((char *)sink->data, (unsigned)length);
    int n = uv_try_write(stream, &bytes, 1);
    if (n < 0 && n != UV_EAGAIN) {
        fail(self);
        return;
    }
    size_t sent = n > 0 ? (size_t)n : 0;
    if (sent < length) {
        self->pending = memcpy(hp_alloc(length - sent), sink->data + sent, length - sent);
        bytes = uv_buf_init((char *)self->pending, (unsigned)(length - sent));
        int rc = uv_write(&self->write, stream, &bytes, 1, on_written);
        if (rc != 0) {
            free(self->pending);
            self->pending = NULL;
            fail(self);
        }
    }
    if (sink->capacity > SINK_KEPT) {
        free(sink->data);
        *sink = (hp_channel_sink_t){0};
    }
}

/* ---- to h2o ---- */

/* Whether what went through the pair has all been read. */
static bool pair_is_empty(hp_secured_t *self)
{
    int bytes = 0;
    if (self->passed && ioctl(self->inner_fd, FIONREAD, &bytes) == 0 && bytes == 0)
        self->passed = false;
    return !self->passed;
}

static void tell_end(hp_secured_t *self)
{
    if (self->read_ended && self->held == NULL && self->input_length == 0 && self->fd >= 0)
        shutdown(self->fd, SHUT_WR);
}

/* Through the pair; what it does not take is held. */
static void pass(hp_secured_t *self, const uint8_t *data, size_t length)
{
    ssize_t n = self->fd >= 0 ? send(self->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL) : (ssize_t)length;
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        n = (ssize_t)length; /* h2o has closed its end: nobody wants it */
    size_t taken = n > 0 ? (size_t)n : 0;
    self->passed = true;
    if (taken == length)
        return;
    self->held = memcpy(hp_alloc(length - taken), data + taken, length - taken);
    self->held_length = length - taken;
    self->held_at = 0;
}

static void deliver(hp_secured_t *self, const uint8_t *data, size_t length)
{
    h2o_socket_t *socket = self->connection->socket;
    if (socket == NULL || socket->_cb.read == NULL || !pair_is_empty(self)) {
        pass(self, data, length);
        return;
    }
    h2o_iovec_t room = h2o_buffer_reserve(&socket->input, length);
    memcpy(room.base, data, length);
    socket->input->size += length;
    socket->bytes_read = length;
    socket->_cb.read(socket, NULL);
}

static void send_held(hp_secured_t *self)
{
    uint8_t *held = self->held;
    size_t at = self->held_at, length = self->held_length;
    if (held == NULL)
        return;
    self->held = NULL;
    pass(self, held + at, length - at);
    free(held);
}

/* ---- the pair ---- */

static void on_inner_closed(uv_handle_t *handle)
{
    hp_secured_t *self = HP_CONTAINER(handle, hp_secured_t, inner);
    hp_connection_release(self->connection);
}

static void on_outer_closed(uv_handle_t *handle)
{
    hp_secured_t *self = HP_CONTAINER(handle, hp_secured_t, outer);
    hp_connection_release(self->connection);
}

/* h2o has closed its socket, whose handle follows. */
static void on_h2o_closed(void *data)
{
    hp_connection_t *connection = data;
    connection->socket = NULL;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    hp_secured_t *self = HP_CONTAINER(poll, hp_secured_t, outer);
    (void)events;
    if (status < 0)
        self->polled = 0; /* h2o has closed its end, and left bytes unread; libuv looks no more */
    send_held(self);
    pump(self);
    decrypt(self);
    watch(self);
}

/* Has both sockets watched for what can be used now. */
static void watch(hp_secured_t *self)
{
    if (self->closed)
        return;
    bool may_read = !self->read_ended && self->pending == NULL && self->held == NULL &&
                    self->input_length < (self->opened ? 1 : HANDSHAKE_BYTES_MAX);
    if (may_read != self->reading) {
        uv_stream_t *stream = (uv_stream_t *)&self->connection->tcp;
        self->reading = may_read;
        if (!may_read)
            uv_read_stop(stream);
        else if (uv_read_start(stream, on_alloc, on_read) != 0)
            fail(self);
    }
    if (!self->opened || self->closed)
        return;
    int wanted =
        (self->pending == NULL && !self->drained ? UV_READABLE : 0) | (self->held != NULL ? UV_WRITABLE : 0);
    if (wanted == self->polled)
        return;
    self->polled = wanted;
    if (wanted == 0)
        uv_poll_stop(&self->outer);
    else if (uv_poll_start(&self->outer, wanted, on_poll) != 0)
        fail(self);
}

static bool make_pair(hp_secured_t *self)
{
    hp_connection_t *connection = self->connection;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    uv_tcp_init(connection->listener->loop, &self->inner);
    hp_connection_addref(connection);
    if (uv_tcp_open(&self->inner, pair[0]) != 0) {
        close(pair[0]);
        close(pair[1]);
        uv_close((uv_handle_t *)&self->inner, on_inner_closed);
        return false;
    }
    if (uv_poll_init(connection->listener->loop, &self->outer, pair[1]) != 0) {
        close(pair[1]);
        uv_close((uv_handle_t *)&self->inner, on_inner_closed);
        return false;
    }
    hp_connection_addref(connection);
    self->inner_fd = pair[0];
    self->fd = pair[1];
    self->opened = true;
    connection->socket = h2o_uv_socket_create((uv_stream_t *)&self->inner, on_inner_closed);
    connection->socket->on_close.cb = on_h2o_closed;
    connection->socket->on_close.data = connection;
    h2o_accept(&connection->listener->accept, connection->socket);
    return true;
}

/* ---- the handshake ---- */

/* An answer that the client can read, then the end. */
static void refuse(hp_secured_t *self)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
                               "Connection: close\r\n\r\n";
    self->drained = true;
    hp_channel_write(self->channel, busy, sizeof busy - 1);
    hp_channel_end(self->channel);
    flush(self);
    if (!self->closed && self->pending == NULL)
        hp_secured_close(self->connection);
}

/* The handshake is complete: who it is, and whether there is room for it. */
static void open_pair(hp_secured_t *self)
{
    hp_connection_t *connection = self->connection;
    hp_who_t *who = &connection->who;
    connection->begun_at = 0;
    connection->quiet_since = uv_now(connection->listener->loop);
    who->encrypted = true;
    if (who->id[0] == '\0' && hp_channel_proven(self->channel, who->fingerprint))
        hp_identity_id_of(who->fingerprint, who->id);
    if (who->way != HP_WAY_LAN && who->id[0] == '\0')
        fail(self); /* only hosts come that way */
    else if (!hp_connection_count_secured(connection))
        refuse(self);
    else if (!make_pair(self)) {
        hp_log(HP_LOG_WARN, "%s: no sockets are left for the connection of %s", connection->listener->name,
               who->address);
        fail(self);
    }
}

bool hp_secured_turn(hp_http_listener_t *listener, uint64_t end_ns)
{
    while (!h2o_linklist_is_empty(&listener->handshakes)) {
        hp_secured_t *self = H2O_STRUCT_FROM_MEMBER(hp_secured_t, link, listener->handshakes.next);
        h2o_linklist_unlink(&self->link);
        decrypt(self);
        if (hp_clock_ns() >= end_ns)
            break;
    }
    return !h2o_linklist_is_empty(&listener->handshakes);
}

/* ---- from the client ---- */

/* The channel is broken: the client reads the alert that says why, unless it is in the middle of requests. */
static void break_off(hp_secured_t *self)
{
    if (self->opened) {
        fail(self);
        return;
    }
    self->drained = true;
    if (self->pending == NULL)
        hp_secured_close(self->connection);
}

/* One step of the channel: false when no more can be done now. */
static bool step(hp_secured_t *self)
{
    uint8_t *plain = self->connection->listener->plain;
    ssize_t n = hp_channel_read(self->channel, plain, HP_PLAIN_BYTES);
    flush(self);
    if (self->closed)
        return false;
    if (!self->opened && !self->drained && hp_channel_is_open(self->channel))
        open_pair(self);
    if (self->closed || self->drained)
        return false;
    if (n == HP_CHANNEL_END) {
        self->read_ended = true;
        tell_end(self);
    } else if (n < 0) {
        break_off(self);
    } else if (n > 0) {
        deliver(self, plain, (size_t)n);
    }
    return n > 0 && !self->closed;
}

static void decrypt(hp_secured_t *self)
{
    if (self->closed || self->drained)
        return;
    uint8_t *own = self->input;
    size_t length = self->input_length;
    if (own != NULL) {
        hp_channel_set_input(self->channel, own, self->input_length);
        self->input = NULL;
        self->input_length = 0;
    }
    bool more = hp_channel_input_left(self->channel) > 0; /* nothing is left inside: records are read whole */
    while (more && self->pending == NULL && self->held == NULL)
        more = step(self);
    size_t left = self->closed || !more ? 0 : hp_channel_input_left(self->channel);
    if (!self->opened && !self->closed && (self->handshake_bytes += length) > HANDSHAKE_BYTES_MAX) {
        fail(self);
        left = 0;
    }
    if (left > 0)
        keep_input(self, hp_channel_input(self->channel), left);
    hp_channel_set_input(self->channel, NULL, 0);
    free(own);
    if (self->read_ended && !self->closed && self->input_length == 0)
        tell_end(self);
    watch(self);
}

/* ---- from h2o ---- */

static void end_output(hp_secured_t *self)
{
    self->drained = true;
    if (self->abrupt) {
        fail(self);
        return;
    }
    hp_channel_end(self->channel);
    flush(self);
    if (!self->closed && self->pending == NULL)
        hp_secured_close(self->connection);
}

static void pump(hp_secured_t *self)
{
    uint8_t *hand = self->connection->listener->hand;
    while (self->opened && !self->closed && !self->drained && self->pending == NULL) {
        ssize_t n = recv(self->fd, hand, HP_HAND_BYTES, MSG_DONTWAIT);
        if (n < 0 && errno == ECONNRESET)
            n = 0; /* h2o has closed its end, and left bytes of the client unread */
        if (n > 0 && hp_channel_write(self->channel, hand, (size_t)n) == 0)
            flush(self);
        else if (n > 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            fail(self);
        else if (n == 0)
            end_output(self);
        else if (errno == EAGAIN)
            break;
    }
}

void hp_secured_pump(hp_connection_t *connection)
{
    pump(connection->secured);
    watch(connection->secured);
}

static bool is_clear(hp_secured_t *self)
{
    self->turn_wanted = self->pending != NULL;
    return self->pending == NULL && !self->closed && !self->drained;
}

bool hp_secured_is_clear(hp_connection_t *connection)
{
    hp_secured_pump(connection);
    return is_clear(connection->secured);
}

bool hp_secured_send(hp_connection_t *connection, const void *data, size_t length)
{
    hp_secured_t *self = connection->secured;
    if (hp_channel_write(self->channel, data, length) == 0)
        flush(self);
    else
        fail(self);
    watch(self);
    return is_clear(self);
}

/* ---- its life ---- */

void hp_secured_start(hp_connection_t *connection, const uint8_t *first, size_t length)
{
    hp_secured_t *self = hp_alloc(sizeof *self);
    self->connection = connection;
    self->channel = hp_channel_accept(connection->listener->options.secure, &connection->listener->sink);
    self->fd = self->inner_fd = -1;
    connection->secured = self;
    connection->begun_at = uv_now(connection->listener->loop);
    watch(self);
    if (!self->closed)
        take_input(self, first, length);
}

size_t hp_secured_come(const hp_connection_t *connection)
{
    const hp_secured_t *self = connection->secured;
    size_t come = connection->socket != NULL ? connection->socket->input->size : 0;
    return come + self->held_length * (self->held != NULL) + (self->opened ? self->input_length : 0);
}

bool hp_secured_is_writing(const hp_connection_t *connection)
{
    return connection->secured->pending != NULL;
}

bool hp_secured_is_open(const hp_connection_t *connection)
{
    return connection->secured->opened;
}

void hp_secured_linger(hp_connection_t *connection)
{
    connection->secured->linger = true;
}

void hp_secured_make_abrupt(hp_connection_t *connection)
{
    connection->secured->abrupt = true;
}

void hp_secured_close(hp_connection_t *connection)
{
    hp_secured_t *self = connection->secured;
    if (self->closed)
        return;
    self->closed = true;
    if (h2o_linklist_is_linked(&self->link))
        h2o_linklist_unlink(&self->link);
    if (self->linger && !connection->cut)
        hp_linger_start(connection->listener, hp_connection_fd(connection));
    if (self->fd >= 0) {
        uv_close((uv_handle_t *)&self->outer, on_outer_closed);
        close(self->fd);
        self->fd = -1;
    }
    hp_connection_close_tcp(connection);
}

void hp_secured_destroy(hp_secured_t *self)
{
    hp_channel_destroy(self->channel);
    free(self->pending);
    free(self->input);
    free(self->held);
    free(self);
}
