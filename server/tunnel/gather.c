#include "tunnel/gather.h"

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { LOCAL_V4_MAX = 3, LOCAL_V6_MAX = 2 };
static const uint64_t ms_ns = 1000000;
/* When to ask again what was not answered, ms after the start. */
static const uint64_t rounds_ms[] = {0, 100, 250, 500, 900};

void hp_gather_init(hp_gather_t *self, const hp_sockaddr_t *servers, size_t count, uint64_t now)
{
    *self = (hp_gather_t){.started = now, .due = now};
    for (size_t i = 0; i < count && i < HP_COUNT(self->asks); i++) {
        hp_gather_ask_t *ask = &self->asks[self->count++];
        ask->server = servers[i];
        gnutls_rnd(GNUTLS_RND_NONCE, ask->transaction, sizeof ask->transaction);
    }
}

static bool is_complete(const hp_gather_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (!self->asks[i].answered)
            return false;
    return true;
}

static uint64_t end_of(const hp_gather_t *self)
{
    uint64_t end = self->started + HP_GATHER_MS * ms_ns;
    return self->answered_at == 0 ? end : HP_MIN(end, self->answered_at + HP_GATHER_SECOND_MS * ms_ns);
}

uint64_t hp_gather_tick(hp_gather_t *self, uint64_t now, hp_gather_send_fn send, void *arg)
{
    if (is_complete(self) || now >= end_of(self))
        return 0;
    while (self->round < HP_COUNT(rounds_ms) && now >= self->started + rounds_ms[self->round] * ms_ns) {
        for (size_t i = 0; i < self->count; i++) {
            uint8_t out[HP_STUN_MAX];
            hp_stun_message_t question = {.type = HP_STUN_REQUEST, .transaction = self->asks[i].transaction};
            if (!self->asks[i].answered)
                send(arg, &self->asks[i].server, out, hp_stun_write(out, &question));
        }
        self->round++;
    }
    if (self->round == HP_COUNT(rounds_ms))
        return end_of(self);
    return HP_MIN(self->started + rounds_ms[self->round] * ms_ns, end_of(self));
}

bool hp_gather_packet(hp_gather_t *self, uint64_t now, const hp_stun_t *stun, const hp_sockaddr_t *from)
{
    if (stun->type != HP_STUN_SUCCESS || !stun->has_mapped)
        return false;
    for (size_t i = 0; i < self->count; i++) {
        hp_gather_ask_t *ask = &self->asks[i];
        if (memcmp(ask->transaction, stun->transaction, sizeof ask->transaction) != 0 ||
            !hp_sockaddr_equal(&ask->server, from))
            continue;
        if (!ask->answered && stun->mapped.any.sa_family == from->any.sa_family) {
            ask->answered = true;
            ask->mapped = stun->mapped;
            if (self->answered_at == 0)
                self->answered_at = now;
        }
        return true;
    }
    return false;
}

hp_mapping_t hp_gather_mapping(const hp_gather_t *self)
{
    const hp_gather_ask_t *first = NULL;
    bool v4 = false;
    for (size_t i = 0; i < self->count; i++)
        v4 = v4 || self->asks[i].server.any.sa_family == AF_INET;
    for (size_t i = 0; i < self->count; i++) {
        const hp_gather_ask_t *ask = &self->asks[i];
        if (!ask->answered || (ask->server.any.sa_family == AF_INET) != v4)
            continue;
        if (first != NULL)
            return hp_sockaddr_equal(&first->mapped, &ask->mapped) ? HP_MAPPING_FIXED : HP_MAPPING_VARYING;
        first = ask;
    }
    return first == NULL && self->count > 0 ? HP_MAPPING_BLOCKED : HP_MAPPING_UNKNOWN;
}

static bool add(hp_offer_t *offer, hp_candidate_kind_t kind, const hp_sockaddr_t *address)
{
    for (size_t i = 0; i < offer->count; i++)
        if (hp_sockaddr_equal(&offer->candidates[i].address, address))
            return false;
    if (offer->count == HP_CANDIDATES_MAX)
        return false;
    offer->candidates[offer->count++] = (hp_candidate_t){.kind = kind, .address = *address};
    return true;
}

/* The address from which packets to a server leave. */
static bool source_towards(const hp_sockaddr_t *server, hp_sockaddr_t *out)
{
    socklen_t length = sizeof *out;
    int fd = socket(server->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool known = connect(fd, &server->any, hp_sockaddr_length(server)) == 0 &&
                 getsockname(fd, &out->any, &length) == 0;
    close(fd);
    return known;
}

static void set_port(hp_sockaddr_t *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = htons(port);
    else
        address->v4.sin_port = htons(port);
}

static bool is_local_candidate(const struct ifaddrs *entry, hp_sockaddr_t *out)
{
    *out = (hp_sockaddr_t){0};
    if (entry->ifa_addr == NULL || (entry->ifa_flags & IFF_UP) == 0 || (entry->ifa_flags & IFF_LOOPBACK) != 0)
        return false;
    if (entry->ifa_addr->sa_family == AF_INET) {
        memcpy(&out->v4, entry->ifa_addr, sizeof out->v4);
        return ntohl(out->v4.sin_addr.s_addr) >> 16 != 0xa9fe; /* link-local: only without any other */
    }
    if (entry->ifa_addr->sa_family != AF_INET6)
        return false;
    memcpy(&out->v6, entry->ifa_addr, sizeof out->v6);
    out->v6.sin6_scope_id = 0;
    return !IN6_IS_ADDR_LINKLOCAL(&out->v6.sin6_addr) && !IN6_IS_ADDR_V4MAPPED(&out->v6.sin6_addr);
}

static void add_local(hp_offer_t *offer, uint16_t port4, uint16_t port6)
{
    struct ifaddrs *all = NULL;
    unsigned v4 = 0, v6 = 0;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *entry = all; entry != NULL; entry = entry->ifa_next) {
        hp_sockaddr_t address;
        if (!is_local_candidate(entry, &address))
            continue;
        bool is_v6 = address.any.sa_family == AF_INET6;
        uint16_t port = is_v6 ? port6 : port4;
        set_port(&address, port);
        if (port != 0 && (is_v6 ? v6 < LOCAL_V6_MAX : v4 < LOCAL_V4_MAX) &&
            add(offer, HP_CANDIDATE_LOCAL, &address))
            *(is_v6 ? &v6 : &v4) += 1;
    }
    freeifaddrs(all);
}

void hp_gather_candidates(const hp_gather_t *self, hp_offer_t *offer, uint16_t port4, uint16_t port6,
                          const hp_sockaddr_t *opened)
{
    offer->count = 0;
    offer->mapping = hp_gather_mapping(self);
    for (size_t i = 0; i < self->count;
         i++) { /* where the interface towards the hub is, there is the network */
        hp_sockaddr_t source = {0};
        if (!source_towards(&self->asks[i].server, &source))
            continue;
        set_port(&source, source.any.sa_family == AF_INET6 ? port6 : port4);
        add(offer, HP_CANDIDATE_LOCAL, &source);
    }
    for (size_t i = 0; i < self->count; i++)
        if (self->asks[i].answered)
            add(offer, HP_CANDIDATE_MAPPED, &self->asks[i].mapped);
    if (opened != NULL)
        add(offer, HP_CANDIDATE_PORT, opened);
    add_local(offer, port4, port6);
}

static bool is_same_network(const struct ifaddrs *entry, const hp_sockaddr_t *address)
{
    if (entry->ifa_addr == NULL || entry->ifa_netmask == NULL || (entry->ifa_flags & IFF_UP) == 0 ||
        (entry->ifa_flags & IFF_LOOPBACK) != 0 || entry->ifa_addr->sa_family != address->any.sa_family)
        return false;
    hp_sockaddr_t own = {0}, mask = {0};
    memcpy(&own, entry->ifa_addr, hp_sockaddr_length(address));
    memcpy(&mask, entry->ifa_netmask, hp_sockaddr_length(address));
    if (address->any.sa_family == AF_INET)
        return mask.v4.sin_addr.s_addr != UINT32_MAX &&
               ((own.v4.sin_addr.s_addr ^ address->v4.sin_addr.s_addr) & mask.v4.sin_addr.s_addr) == 0;
    for (size_t i = 0; i < 16; i++)
        if (((own.v6.sin6_addr.s6_addr[i] ^ address->v6.sin6_addr.s6_addr[i]) &
             mask.v6.sin6_addr.s6_addr[i]) != 0)
            return false;
    return mask.v6.sin6_addr.s6_addr[15] != 0xff;
}

bool hp_gather_is_near(const hp_sockaddr_t *address)
{
    struct ifaddrs *all = NULL;
    bool near = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *entry = all; entry != NULL && !near; entry = entry->ifa_next)
        near = is_same_network(entry, address);
    freeifaddrs(all);
    return near;
}
