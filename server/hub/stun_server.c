#include "hub/stun_server.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pending.h"
#include "tunnel/stun.h"

#define SOCKETS   2
#define SLOTS     4096 /* addresses that are counted apart; others share a slot */
#define DATAGRAM  1500
#define SECOND_MS 1000

typedef struct port {
    uv_udp_t udp;
    hp_stun_server_t *server;
} port_t;

struct hp_stun_server {
    uv_loop_t *loop;
    port_t ports[SOCKETS];
    hp_pending_t pending; /* handles */
    uint64_t salt, second;
    uint8_t counts[SLOTS]; /* answers in this second */
    char buffer[DATAGRAM];
    hp_stun_counts_t totals;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)size;
    hp_stun_server_t *self = ((port_t *)handle->data)->server;
    *buf = uv_buf_init(self->buffer, sizeof self->buffer);
}

/* Mixes the bytes that tell one client from another into a slot. */
static size_t slot_of(const hp_stun_server_t *self, const hp_sockaddr_t *client)
{
    const uint8_t *bytes = (const uint8_t *)&client->v4.sin_addr;
    size_t length = 4;
    if (client->any.sa_family == AF_INET6) {
        bool v4 = IN6_IS_ADDR_V4MAPPED(&client->v6.sin6_addr);
        bytes = client->v6.sin6_addr.s6_addr + (v4 ? 12 : 0);
        length = v4 ? 4 : 8;
    }
    uint64_t hash = self->salt;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u; /* FNV-1a with a salt */
    return (size_t)(hash >> 32) % SLOTS;
}

static bool may_answer(hp_stun_server_t *self, const hp_sockaddr_t *client)
{
    uint64_t second = uv_now(self->loop) / SECOND_MS;
    if (second != self->second) {
        self->second = second;
        memset(self->counts, 0, sizeof self->counts);
    }
    uint8_t *count = &self->counts[slot_of(self, client)];
    if (*count >= HP_STUN_RATE)
        return false;
    (*count)++;
    return true;
}

static void on_datagram(uv_udp_t *udp, ssize_t length, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
    hp_stun_server_t *self = ((port_t *)udp->data)->server;
    hp_sockaddr_t client = {0};
    uint8_t answer[HP_STUN_MAX];
    if (length <= 0 || from == NULL || (flags & UV_UDP_PARTIAL) != 0)
        return;
    memcpy(&client, from, from->sa_family == AF_INET6 ? sizeof client.v6 : sizeof client.v4);
    size_t size = hp_stun_answer(answer, (const uint8_t *)buf->base, (size_t)length, &client);
    if (size == 0 || !may_answer(self, &client)) {
        self->totals.refused++;
        return;
    }
    uv_buf_t out = uv_buf_init((char *)answer, (unsigned)size);
    if (uv_udp_try_send(udp, &out, 1, from) > 0)
        self->totals.answered++;
}

static int bind_port(port_t *port, const char *address, uint16_t number)
{
    hp_sockaddr_t where = {0};
    bool v6 = strchr(address, ':') != NULL;
    int rc = v6 ? uv_ip6_addr(address, number, &where.v6) : uv_ip4_addr(address, number, &where.v4);
    if (rc == 0)
        rc = uv_udp_bind(&port->udp, &where.any, 0);
    return rc == 0 ? uv_udp_recv_start(&port->udp, on_alloc, on_datagram) : rc;
}

static void on_port_closed(uv_handle_t *handle)
{
    hp_stun_server_t *self = ((port_t *)handle->data)->server;
    hp_pending_drop(&self->pending);
}

static void finish(void *arg)
{
    hp_stun_server_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self);
    if (closed != NULL)
        closed(closed_arg);
}

void hp_stun_server_destroy(hp_stun_server_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    for (size_t i = 0; i < SOCKETS; i++)
        uv_close((uv_handle_t *)&self->ports[i].udp, on_port_closed);
    hp_pending_when_none(&self->pending, finish, self);
}

int hp_stun_server_create(hp_stun_server_t **server, uv_loop_t *loop, const char *address, uint16_t port,
                          hp_err_t *err)
{
    hp_stun_server_t *self = hp_alloc(sizeof *self);
    int rc = uv_random(NULL, NULL, &self->salt, sizeof self->salt, 0, NULL);
    self->loop = loop;
    for (size_t i = 0; i < SOCKETS; i++) {
        self->ports[i].server = self;
        self->ports[i].udp.data = &self->ports[i];
        uv_udp_init(loop, &self->ports[i].udp);
        hp_pending_add(&self->pending);
        if (rc == 0)
            rc = bind_port(&self->ports[i], address, (uint16_t)(port + i));
    }
    if (rc == 0) {
        *server = self;
        return 0;
    }
    hp_stun_server_destroy(self, NULL, NULL);
    return hp_err_set(err, rc, "UDP %s ports %u and %u cannot be used: %s", address, port, port + 1u,
                      uv_strerror(rc));
}

hp_stun_counts_t hp_stun_server_counts(const hp_stun_server_t *self)
{
    return self->totals;
}
