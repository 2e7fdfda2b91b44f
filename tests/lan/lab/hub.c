/* The hub of the lab: STUN, and a relay that knows nobody. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "lab.h"
#include "path/address.h"
#include "tunnel/pump.h"
#include "tunnel/relay.h"
#include "tunnel/stun.h"
#include "tunnel/udp.h"

static uv_loop_t *loop;
static hp_pending_t pending;
static hp_list_t waiting;

typedef struct guest {
    hp_link_t link;
    uv_poll_t poll;
    int fd;
    char line[64];
    size_t have;
} guest_t;

static void on_question(void *arg, hp_udp_t *udp, const uint8_t *data, size_t length, size_t segment,
                        const hp_sockaddr_t *from)
{
    (void)arg;
    for (size_t at = 0; at < length; at += segment) {
        uint8_t out[HP_STUN_MAX];
        size_t size = hp_stun_answer(out, data + at, HP_MIN(segment, length - at), from);
        if (size > 0)
            hp_udp_send(udp, from, out, size, size);
    }
}

static void on_room(void *arg, hp_udp_t *udp)
{
    (void)arg;
    (void)udp;
}

static void free_guest(uv_handle_t *handle)
{
    free(HP_CONTAINER((uv_poll_t *)handle, guest_t, poll));
}

static void on_parted(void *arg)
{
    (void)arg;
}

static int leave(guest_t *self)
{
    hp_link_remove(&self->link);
    uv_close((uv_handle_t *)&self->poll, free_guest);
    return self->fd;
}

static void on_guest(uv_poll_t *poll, int status, int events)
{
    guest_t *self = HP_CONTAINER(poll, guest_t, poll);
    enum { LINE = 17 + HP_RELAY_TOKEN + 2 }; /* "HOSTPAIR-RELAY/1 <token>\r\n" */
    ssize_t got = recv(self->fd, self->line + self->have, LINE - self->have, 0);
    (void)status;
    (void)events;
    if (got <= 0) {
        close(leave(self));
        return;
    }
    self->have += (size_t)got;
    if (self->have < LINE)
        return;
    uv_poll_stop(poll);
    HP_LIST_EACH (at, &waiting) {
        guest_t *other = HP_CONTAINER(at, guest_t, link);
        hp_pump_t *pump;
        if (other == self || other->have < LINE || memcmp(other->line, self->line, LINE) != 0)
            continue;
        if (send(self->fd, "OK\r\n", 4, 0) != 4 || send(other->fd, "OK\r\n", 4, 0) != 4)
            must(-errno, "send");
        const int fds[2] = {leave(self), leave(other)};
        must(hp_pump_create(&pump, loop, fds, &(hp_pump_hooks_t){.ended = on_parted}, &pending), "pump");
        return;
    }
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
    uv_os_fd_t listener;
    (void)status;
    (void)events;
    uv_fileno((uv_handle_t *)poll, &listener);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    guest_t *self = hp_alloc(sizeof *self);
    self->fd = fd;
    must(uv_poll_init(loop, &self->poll, fd), "poll");
    uv_poll_start(&self->poll, UV_READABLE, on_guest);
    hp_list_add(&waiting, &self->link);
}

int run_hub(uv_loop_t *at, int argc, char **argv)
{
    uint16_t port = (uint16_t)atoi(argv[2]);
    hp_udp_events_t events = {.train = on_question, .writable = on_room};
    loop = at;
    hp_list_init(&waiting);
    for (int i = 3; i < argc; i++) {
        hp_sockaddr_t address;
        int on = 1;
        hp_udp_t *udp;
        must(hp_address_to_sockaddr(argv[i], port, &address), argv[i]);
        for (uint16_t k = 0; k < HP_STUN_PORTS; k++)
            must(hp_udp_create(&udp, loop, address.any.sa_family, (uint16_t)(port + k), &events, &pending),
                 "STUN");
        int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, &address.any, hp_sockaddr_length(&address)) != 0 || listen(fd, 128) != 0)
            must(-errno, "relay");
        uv_poll_t *poll = hp_alloc(sizeof *poll);
        must(uv_poll_init(loop, poll, fd), "poll");
        uv_poll_start(poll, UV_READABLE, on_accept);
    }
    printf("up\n");
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
