/* A QUIC stream joined to a file descriptor.
 *
 * Two flows that know nothing of each other. Out: bytes are read from fd into chunks and stay there until the
 * other side has acknowledged them, for QUIC sends them again when they are lost; reading stops while
 * UNSENT_MAX bytes wait for the network, and while the stream holds its share of all buffers. In: ngtcp2's
 * callback copies bytes into chunks, and once a turn of the loop they are written to fd together (a write for
 * every packet costs more than the copy); the other side may send as many bytes more as the reader took. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    /* Bytes that are read ahead of the network. A sender that runs out of them, or of the other side's
     * window, counts as limited by the application, and BBR does not leave its start, where it sends at 2.8
     * times the speed of the line, for as long. */
    UNSENT_MAX = 2 << 20,
    PIECES = 16,           /* of one write to fd */
    PAIR_BUFFER = 1 << 20, /* bytes asked for; the kernel gives what its limit allows */
};

static void watch(hp_quic_stream_t *self);

/* A pair of sockets holds 208 KiB by default, which is a system call and a turn of the loop too often on a
 * fast link. TCP finds its own size. */
void hp_quic_stream_widen(int fd)
{
    int domain = 0, size = PAIR_BUFFER;
    socklen_t length = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

hp_quic_stream_t *hp_quic_stream_create(hp_quic_conn_t *conn, int fd)
{
    hp_quic_stream_t *self = hp_alloc(sizeof *self);
    self->quic = conn->quic;
    self->conn = conn;
    self->pending = conn->quic->pending;
    self->id = -1;
    self->fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    hp_quic_stream_widen(fd);
    hp_list_add(&conn->unopened, &self->link);
    conn->stream_count++;
    return self;
}

static void free_if_done(hp_quic_stream_t *self)
{
    if (self->conn == NULL && self->fd < 0 && !self->polled)
        free(self);
}

static void on_poll_closed(uv_handle_t *handle)
{
    hp_quic_stream_t *self = HP_CONTAINER((uv_poll_t *)handle, hp_quic_stream_t, poll);
    hp_pending_t *pending = self->pending;
    self->polled = false;
    free_if_done(self);
    hp_pending_drop(pending);
}

static void close_fd(hp_quic_stream_t *self, bool abrupt)
{
    struct linger drop = {1, 0};
    if (self->conn == NULL)
        hp_link_remove(&self->link); /* nothing is awaited any more but libuv */
    if (self->fd < 0)
        return;
    if (abrupt) /* TCP sends a reset then; other sockets do not mind */
        setsockopt(self->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
    if (self->polled)
        uv_close((uv_handle_t *)&self->poll, on_poll_closed);
    close(self->fd);
    self->fd = -1;
}

/* The reader took bytes, or will never take them: the other side may send as many more. */
static void give_credit(hp_quic_stream_t *self, size_t length)
{
    hp_quic_conn_t *conn = self->conn;
    self->quic->held -= length;
    if (conn == NULL || length == 0)
        return;
    if (!self->finished)
        ngtcp2_conn_extend_max_stream_offset(conn->ngtcp2, self->id, length);
    size_t owed = HP_MIN(conn->owed, length);
    conn->owed -= owed;
    ngtcp2_conn_extend_max_offset(conn->ngtcp2, owed);
    hp_quic_touch(conn);
}

static void drop_in(hp_quic_stream_t *self)
{
    size_t length = (size_t)(self->in.end - self->in.first);
    hp_queue_drop(&self->in, &self->quic->in, self->in.end);
    give_credit(self, length);
}

/* Takes the stream out of its connection; all that is left of it is what the reader has not read. */
static void leave(hp_quic_stream_t *self)
{
    hp_quic_conn_t *conn = self->conn;
    hp_queue_drop(&self->out, &self->quic->out, self->out.end);
    if (--conn->stream_count == 0)
        conn->unused_since = hp_clock_ms();
    hp_link_remove(&self->link);
    hp_link_remove(&self->ready);
    hp_link_remove(&self->received);
    hp_link_remove(&self->starved);
    self->conn = NULL;
    hp_list_add(&self->quic->detached, &self->link);
}

/* All is read, or nobody reads. */
static void end(hp_quic_stream_t *self)
{
    if (self->conn != NULL) {
        if (self->finished && !ngtcp2_conn_is_local_stream(self->conn->ngtcp2, self->id))
            ngtcp2_conn_extend_max_streams_bidi(self->conn->ngtcp2, 1);
        hp_quic_touch(self->conn);
        leave(self);
    }
    close_fd(self, false);
    free_if_done(self);
}

/* What is at fd is gone: the other side learns it by a reset. */
static void cut(hp_quic_stream_t *self)
{
    drop_in(self);
    close_fd(self, true);
    if (self->conn == NULL || self->finished) {
        end(self);
        return;
    }
    self->cut = true;
    hp_link_remove(&self->ready);
    hp_link_remove(&self->starved);
    hp_ngtcp2_reset_stream(self->conn->ngtcp2, self->id, STREAM_ERROR_CUT);
    hp_quic_touch(self->conn);
}

/* ---- out ---- */

static size_t unsent(const hp_quic_stream_t *self)
{
    return (size_t)(self->out.end - self->sent);
}

static void update_ready(hp_quic_stream_t *self)
{
    bool ready = self->conn != NULL && self->id >= 0 && !self->cut && !self->finished && !self->blocked &&
                 (unsent(self) > 0 || (self->out_end && !self->fin_sent));
    if (!ready) {
        hp_link_remove(&self->ready);
    } else if (!hp_link_is_linked(&self->ready)) {
        hp_list_add(&self->conn->ready, &self->ready);
        hp_quic_touch(self->conn);
    }
}

static bool may_read(const hp_quic_stream_t *self)
{
    return self->conn != NULL && self->id >= 0 && self->fd >= 0 && !self->out_end && !self->cut &&
           !self->finished && unsent(self) < (self->blocked ? HP_CHUNK : UNSENT_MAX) &&
           self->out.end - self->out.first + HP_CHUNK <= HP_QUEUE_MAX;
}

/* Reads from fd as much as may wait. False: fd is broken. */
static bool fill(hp_quic_stream_t *self)
{
    while (may_read(self)) {
        size_t room;
        if (hp_queue_held(&self->out) >= hp_chunks_share(&self->quic->out)) {
            if (!hp_link_is_linked(&self->starved))
                hp_list_add(&self->quic->starved, &self->starved);
            break;
        }
        uint8_t *to = hp_queue_room(&self->out, &self->quic->out, &room);
        ssize_t got = read(self->fd, to, room);
        if (got > 0) {
            hp_queue_added(&self->out, (size_t)got);
            continue;
        }
        if (self->out.first == self->out.end)
            hp_queue_drop(&self->out, &self->quic->out, self->out.end);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno != EAGAIN)
            return false;
        self->out_end = got == 0;
        break;
    }
    update_ready(self);
    return true;
}

size_t hp_quic_stream_unsent(const hp_quic_stream_t *self, ngtcp2_vec out[2], size_t *pieces, bool *last)
{
    size_t total = 0;
    *pieces = 0;
    for (uint64_t at = self->sent; at < self->out.end && *pieces < 2;) {
        size_t size;
        out[*pieces].base = (uint8_t *)hp_queue_at(&self->out, at, &size);
        out[(*pieces)++].len = size;
        at += size;
        total += size;
    }
    *last = self->out_end && self->sent + total == self->out.end;
    return total;
}

void hp_quic_stream_sent(hp_quic_stream_t *self, size_t length, bool last)
{
    self->sent += length;
    self->fin_sent = self->fin_sent || last;
    hp_link_remove(&self->ready); /* the others come first now */
    update_ready(self);
    watch(self);
}

void hp_quic_stream_acked(hp_quic_stream_t *self, uint64_t offset)
{
    hp_queue_drop(&self->out, &self->quic->out, HP_MIN(offset, self->out.end));
    watch(self);
}

void hp_quic_stream_set_blocked(hp_quic_stream_t *self, bool blocked)
{
    self->blocked = blocked;
    update_ready(self);
}

void hp_quic_feed_starved(hp_quic_t *self)
{
    if (hp_chunks_share(&self->out) == 0)
        return;
    HP_LIST_EACH (at, &self->starved) {
        hp_quic_stream_t *stream = HP_CONTAINER(at, hp_quic_stream_t, starved);
        if (hp_queue_held(&stream->out) >= hp_chunks_share(&self->out))
            continue;
        hp_link_remove(at);
        watch(stream);
    }
}

/* ---- in ---- */

int hp_quic_stream_take(hp_quic_stream_t *self, const uint8_t *data, size_t length, bool last)
{
    hp_quic_conn_t *conn = self->conn;
    if (self->in.end - self->in.first + length > HP_QUEUE_MAX)
        return HP_E_TOO_LARGE;
    self->in_end = self->in_end || last;
    if (self->fd < 0) {
        ngtcp2_conn_extend_max_offset(conn->ngtcp2, length);
        return 0;
    }
    hp_queue_add(&self->in, &self->quic->in, data, length);
    self->quic->held += length;
    if (self->quic->held <= HP_QUIC_EAGER)
        ngtcp2_conn_extend_max_offset(conn->ngtcp2, length);
    else
        conn->owed += length;
    if (!hp_link_is_linked(&self->received))
        hp_list_add(&conn->received, &self->received);
    return 0;
}

/* Writes what fd takes. False: fd is broken. */
static bool drain(hp_quic_stream_t *self)
{
    while (self->in.first < self->in.end) {
        struct iovec parts[PIECES];
        struct msghdr message = {.msg_iov = parts};
        for (uint64_t at = self->in.first; at < self->in.end && message.msg_iovlen < PIECES;) {
            struct iovec *part = &parts[message.msg_iovlen++];
            part->iov_base = (void *)hp_queue_at(&self->in, at, &part->iov_len);
            at += part->iov_len;
        }
        ssize_t put = sendmsg(self->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno == EAGAIN;
        hp_queue_drop(&self->in, &self->quic->in, self->in.first + (uint64_t)put);
        give_credit(self, (size_t)put);
    }
    return true;
}

void hp_quic_stream_pass_on(hp_quic_stream_t *self)
{
    hp_link_remove(&self->received);
    if (self->fd < 0)
        return;
    if (!drain(self)) {
        cut(self);
        return;
    }
    if (self->in.first == self->in.end && self->in_end && !self->in_shut) {
        self->in_shut = true;
        shutdown(self->fd, SHUT_WR);
    }
    if (self->in.first == self->in.end && (self->finished || self->conn == NULL))
        end(self);
    else
        watch(self);
}

/* ---- both ---- */

void hp_quic_stream_finish(hp_quic_stream_t *self, bool early)
{
    self->finished = true;
    hp_link_remove(&self->ready);
    hp_link_remove(&self->starved);
    if (early && self->fd >= 0) {
        drop_in(self);
        close_fd(self, true);
    }
    if (self->fd < 0)
        end(self);
    else if (self->in.first == self->in.end)
        hp_quic_stream_pass_on(self);
}

void hp_quic_stream_detach(hp_quic_stream_t *self)
{
    bool whole = self->in_end && self->fd >= 0;
    if (!whole)
        drop_in(self);
    leave(self);
    if (whole) {
        hp_quic_stream_pass_on(self);
        return;
    }
    close_fd(self, true);
    free_if_done(self);
}

void hp_quic_end_detached(hp_quic_t *self)
{
    HP_LIST_EACH (at, &self->detached) {
        hp_quic_stream_t *stream = HP_CONTAINER(at, hp_quic_stream_t, link);
        drop_in(stream);
        close_fd(stream, true);
        free_if_done(stream);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    hp_quic_stream_t *self = HP_CONTAINER(poll, hp_quic_stream_t, poll);
    if (status < 0)
        self->interest = 0; /* libuv has stopped it */
    if (status < 0 || ((events & UV_READABLE) != 0 && !fill(self))) {
        cut(self);
        return;
    }
    if ((events & UV_DISCONNECT) != 0)
        self->hung_up = true;
    if ((events & UV_WRITABLE) != 0)
        hp_quic_stream_pass_on(self);
    else
        watch(self);
}

/* Polls fd for what may be done now. */
static void watch(hp_quic_stream_t *self)
{
    int interest = 0;
    if (self->fd < 0 || self->id < 0)
        return;
    if (may_read(self) && !hp_link_is_linked(&self->starved))
        interest |= UV_READABLE;
    else if (!self->hung_up)
        interest |= UV_DISCONNECT;
    if (self->in.first < self->in.end)
        interest |= UV_WRITABLE;
    if (interest == self->interest)
        return;
    if (!self->polled) {
        if (uv_poll_init(self->quic->loop, &self->poll, self->fd) != 0)
            return; /* epoll is out of memory: the stream stands still until its connection ends */
        hp_pending_add(self->pending);
        self->polled = true;
    }
    self->interest = interest;
    if (interest != 0)
        uv_poll_start(&self->poll, interest, on_poll);
    else
        uv_poll_stop(&self->poll);
}

void hp_quic_stream_opened(hp_quic_stream_t *self, int64_t id)
{
    self->id = id;
    ngtcp2_conn_set_stream_user_data(self->conn->ngtcp2, id, self);
    hp_link_remove(&self->link);
    hp_list_add(&self->conn->streams, &self->link);
    watch(self);
}
