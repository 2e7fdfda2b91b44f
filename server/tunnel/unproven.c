#include "tunnel/unproven.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rate.h"
#include "path/address.h"

enum {
    ADDRESSES =
        512,    /* that are counted apart; of more, the one that was not sent to for longest is forgotten */
    RELAYS = 8, /* that have answered and are remembered */
    MINUTE_MS = 60000,
    ALL_MS = 10000,
};

struct hp_unproven {
    hp_rate_t *packets, *all, *connections;
    hp_sockaddr_t relays[RELAYS];
    size_t next;
};

hp_unproven_t *hp_unproven_create(void)
{
    hp_unproven_t *self = hp_alloc(sizeof *self);
    self->packets = hp_rate_create(HP_UNPROVEN_PACKETS, MINUTE_MS, ADDRESSES);
    self->all = hp_rate_create(HP_UNPROVEN_ALL, ALL_MS, 1);
    self->connections = hp_rate_create(HP_UNPROVEN_CONNECTIONS, MINUTE_MS, 1);
    return self;
}

void hp_unproven_destroy(hp_unproven_t *self)
{
    hp_rate_destroy(self->packets);
    hp_rate_destroy(self->all);
    hp_rate_destroy(self->connections);
    free(self);
}

/* Who is meant: a host, of which IPv6 gives a whole /64. */
static char *name_of(const hp_sockaddr_t *address, char name[HP_ADDRESS_TEXT])
{
    hp_sockaddr_t host = *address;
    uint16_t port;
    if (host.any.sa_family == AF_INET6)
        memset(&host.v6.sin6_addr.s6_addr[8], 0, 8);
    hp_address_from_sockaddr(&host, name, &port);
    return name;
}

bool hp_unproven_packet(hp_unproven_t *self, const hp_sockaddr_t *to, uint64_t now)
{
    char name[HP_ADDRESS_TEXT];
    return hp_rate_take(self->packets, name_of(to, name), now) == 0 && hp_rate_take(self->all, "", now) == 0;
}

void hp_unproven_answered(hp_unproven_t *self, const hp_sockaddr_t *from)
{
    char name[HP_ADDRESS_TEXT];
    hp_rate_forget(self->packets, name_of(from, name));
}

static bool is_relay(const hp_unproven_t *self, const hp_sockaddr_t *at)
{
    for (size_t i = 0; i < RELAYS; i++)
        if (hp_sockaddr_equal(&self->relays[i], at))
            return true;
    return false;
}

bool hp_unproven_connection(hp_unproven_t *self, const hp_sockaddr_t *to, uint64_t now)
{
    return is_relay(self, to) || hp_rate_take(self->connections, "", now) == 0;
}

void hp_unproven_relay(hp_unproven_t *self, const hp_sockaddr_t *at)
{
    if (!is_relay(self, at))
        self->relays[self->next++ % RELAYS] = *at;
}
