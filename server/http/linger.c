/* A connection that is closed while the client still sends is reset, and the client may never see the reply
 * that says why. So, after an early refusal, what still comes is read and dropped for a moment (RFC 9112
 * section 9.6). */
#include "internal.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define LINGER_MS    2000
#define LINGER_BYTES ((size_t)64 * 1024 * 1024)
#define LINGER_MAX   64 /* at a time: they count in no other limit */

typedef struct {
    hp_http_listener_t *listener;
    h2o_linklist_t link;
    uv_tcp_t tcp;
    uv_timer_t timer;
    size_t read;
    char scratch[16 * 1024];
} linger_t;

static void on_timer_closed(uv_handle_t *handle)
{
    linger_t *self = handle->data;
    hp_http_listener_t *listener = self->listener;
    free(self);
    hp_pending_drop(&listener->pending);
}

static void on_tcp_closed(uv_handle_t *handle)
{
    linger_t *self = handle->data;
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
}

static void finish(linger_t *self)
{
    if (!h2o_linklist_is_linked(&self->link))
        return;
    h2o_linklist_unlink(&self->link);
    self->listener->linger_count--;
    uv_close((uv_handle_t *)&self->tcp, on_tcp_closed);
}

void hp_linger_end_all(hp_http_listener_t *listener)
{
    while (!h2o_linklist_is_empty(&listener->lingering))
        finish(H2O_STRUCT_FROM_MEMBER(linger_t, link, listener->lingering.next));
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    linger_t *self = handle->data;
    *buf = uv_buf_init(self->scratch, sizeof self->scratch);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    linger_t *self = stream->data;
    if (n > 0)
        self->read += (size_t)n;
    if (n < 0 || self->read > LINGER_BYTES)
        finish(self);
}

static void on_timeout(uv_timer_t *timer)
{
    finish(timer->data);
}

void hp_linger_start(hp_http_listener_t *listener, int socket_fd)
{
    if (listener->closing || listener->linger_count == LINGER_MAX)
        return;
    int fd = fcntl(socket_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return;
    linger_t *self = hp_alloc(sizeof *self);
    self->listener = listener;
    hp_pending_add(&listener->pending);
    h2o_linklist_insert(&listener->lingering, &self->link);
    listener->linger_count++;
    uv_tcp_init(listener->loop, &self->tcp);
    uv_timer_init(listener->loop, &self->timer);
    self->tcp.data = self->timer.data = self;
    shutdown(fd, SHUT_WR);
    if (uv_tcp_open(&self->tcp, fd) != 0) {
        close(fd);
        finish(self);
        return;
    }
    uv_timer_start(&self->timer, on_timeout, LINGER_MS, 0);
    if (uv_read_start((uv_stream_t *)&self->tcp, on_alloc, on_read) != 0)
        finish(self);
}
