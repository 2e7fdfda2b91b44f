#include "doctor/tcp_check.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "path/address.h"

struct hp_tcp_check {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connect;
    hp_tcp_check_fn done;
    void *arg;
    uint64_t began;
    int status;
    bool over;
    unsigned open; /* handles */
};

static void on_closed(uv_handle_t *handle)
{
    hp_tcp_check_t *self = handle->data;
    if (--self->open > 0)
        return;
    uint64_t ms = hp_clock_ms() - self->began;
    self->done(self->arg, self->status, (unsigned)HP_MIN(ms, (uint64_t)60000));
    free(self);
}

static void end(hp_tcp_check_t *self, int status)
{
    if (self->over)
        return;
    self->over = true;
    self->status = status;
    uv_close((uv_handle_t *)&self->tcp, on_closed);
    uv_close((uv_handle_t *)&self->timer, on_closed);
}

static void on_connected(uv_connect_t *connect, int status)
{
    end(connect->data, status);
}

/* Also where there was nothing to wait for: done is never called inside the start. */
static void on_time(uv_timer_t *timer)
{
    hp_tcp_check_t *self = timer->data;
    end(self, self->status);
}

hp_tcp_check_t *hp_tcp_check_start(uv_loop_t *loop, const hp_endpoint_t *at, hp_tcp_check_fn done, void *arg)
{
    char text[HP_ENDPOINT_ADDRESS_SIZE];
    hp_sockaddr_t address;
    hp_tcp_check_t *self = hp_alloc(sizeof *self);
    self->done = done;
    self->arg = arg;
    self->began = hp_clock_ms();
    self->open = 2;
    self->tcp.data = self->timer.data = self->connect.data = self;
    uv_tcp_init(loop, &self->tcp);
    uv_timer_init(loop, &self->timer);
    int rc = hp_address_to_sockaddr(hp_endpoint_address(at, text), at->port, &address);
    if (rc == 0)
        rc = uv_tcp_connect(&self->connect, &self->tcp, &address.any, on_connected);
    self->status = rc == 0 ? UV_ETIMEDOUT : rc;
    uv_timer_start(&self->timer, on_time, rc == 0 ? HP_TCP_CHECK_MS : 0, 0);
    return self;
}

void hp_tcp_check_cancel(hp_tcp_check_t *self)
{
    end(self, UV_ECANCELED);
}
