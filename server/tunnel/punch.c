#include "tunnel/punch.h"

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { FAST_ROUNDS = 5 };
static const uint64_t fast_ns = 20000000, slow_ns = 100000000;

/* Addresses that are no other host's: a hub must not make hosts send there. */
static bool is_usable(const hp_sockaddr_t *address)
{
    if (hp_sockaddr_port(address) == 0)
        return false;
    if (address->any.sa_family == AF_INET) {
        uint32_t ip = ntohl(address->v4.sin_addr.s_addr);
        return ip >> 24 != 0 && ip >> 24 != 127 && ip >> 28 < 14;
    }
    const struct in6_addr *ip = &address->v6.sin6_addr;
    return address->any.sa_family == AF_INET6 && !IN6_IS_ADDR_UNSPECIFIED(ip) && !IN6_IS_ADDR_LOOPBACK(ip) &&
           !IN6_IS_ADDR_MULTICAST(ip) && !IN6_IS_ADDR_V4MAPPED(ip) && !IN6_IS_ADDR_LINKLOCAL(ip);
}

static hp_punch_target_t *find(hp_punch_t *self, const hp_sockaddr_t *address)
{
    for (size_t i = 0; i < self->count; i++)
        if (hp_sockaddr_equal(&self->targets[i].address, address))
            return &self->targets[i];
    return NULL;
}

static hp_punch_target_t *add(hp_punch_t *self, const hp_sockaddr_t *address)
{
    if (self->count == HP_PUNCH_TARGETS || !is_usable(address))
        return NULL;
    hp_punch_target_t *target = &self->targets[self->count++];
    *target = (hp_punch_target_t){.address = *address};
    return target;
}

void hp_punch_init(hp_punch_t *self, const hp_go_t *go, bool first, uint64_t start)
{
    *self = (hp_punch_t){.own_role = first ? 'a' : 'b', .other_role = first ? 'b' : 'a', .due = start};
    memcpy(self->session, go->peer.session, sizeof self->session);
    memcpy(self->key, go->key, sizeof self->key);
    for (size_t i = 0; i < go->peer.count && i < HP_CANDIDATES_MAX; i++) {
        const hp_candidate_t *candidate = &go->peer.candidates[i];
        if (find(self, &candidate->address) != NULL)
            continue;
        hp_punch_target_t *target = add(self, &candidate->address);
        if (target != NULL)
            target->kind = candidate->kind;
    }
}

static void ask(hp_punch_t *self, const hp_sockaddr_t *to, uint64_t now, hp_punch_send_fn send, void *arg)
{
    uint8_t out[HP_STUN_MAX];
    char username[HP_SESSION_SIZE + 2];
    size_t slot = self->asked_next++ % HP_COUNT(self->asked);
    gnutls_rnd(GNUTLS_RND_NONCE, self->asked[slot].transaction, HP_STUN_TRANSACTION);
    self->asked[slot].at = now;
    snprintf(username, sizeof username, "%s:%c", self->session, self->own_role);
    size_t length = hp_stun_write(out, &(hp_stun_message_t){.type = HP_STUN_REQUEST,
                                                            .transaction = self->asked[slot].transaction,
                                                            .username = username,
                                                            .key = self->key,
                                                            .key_length = sizeof self->key});
    send(arg, to, out, length);
}

uint64_t hp_punch_tick(hp_punch_t *self, uint64_t now, hp_punch_send_fn send, void *arg)
{
    while (self->due <= now && self->round < HP_PUNCH_ROUNDS) {
        for (size_t i = 0; i < self->count; i++)
            ask(self, &self->targets[i].address, now, send, arg);
        self->round++;
        self->due = now + (self->round < FAST_ROUNDS ? fast_ns : slow_ns);
    }
    return self->round < HP_PUNCH_ROUNDS ? self->due : UINT64_MAX;
}

static hp_punch_got_t on_request(hp_punch_t *self, uint64_t now, const hp_stun_t *stun,
                                 const hp_sockaddr_t *from, hp_punch_send_fn send, void *arg)
{
    uint8_t out[HP_STUN_MAX];
    char username[HP_SESSION_SIZE + 2];
    snprintf(username, sizeof username, "%s:%c", self->session, self->other_role);
    if (strcmp(stun->username, username) != 0 || !hp_stun_verify(stun, self->key, sizeof self->key))
        return HP_PUNCH_FOREIGN;
    bool begun = self->round > 0;
    size_t length = hp_stun_write(out, &(hp_stun_message_t){.type = HP_STUN_SUCCESS,
                                                            .transaction = stun->transaction,
                                                            .mapped = from,
                                                            .key = self->key,
                                                            .key_length = sizeof self->key});
    hp_punch_target_t *target = find(self, from);
    bool is_new = target == NULL;
    if (is_new && (target = add(self, from)) != NULL)
        target->learned = true;
    if (target != NULL)
        target->heard = true;
    send(arg, from, out, length);
    if (is_new && target != NULL &&
        begun) /* its router gave it another port towards this host: ask there at once */
        ask(self, from, now, send, arg);
    return HP_PUNCH_REQUEST;
}

hp_punch_got_t hp_punch_packet(hp_punch_t *self, uint64_t now, const hp_stun_t *stun,
                               const hp_sockaddr_t *from, hp_punch_send_fn send, void *arg)
{
    if (stun->type == HP_STUN_REQUEST)
        return on_request(self, now, stun, from, send, arg);
    if (stun->type != HP_STUN_SUCCESS)
        return HP_PUNCH_FOREIGN;
    for (size_t i = 0; i < HP_COUNT(self->asked); i++) {
        if (self->asked[i].at == 0 ||
            memcmp(self->asked[i].transaction, stun->transaction, HP_STUN_TRANSACTION) != 0)
            continue;
        if (!hp_stun_verify(stun, self->key, sizeof self->key))
            return HP_PUNCH_FOREIGN;
        if (self->rtt == 0)
            self->rtt = HP_MAX(now - self->asked[i].at, (uint64_t)1);
        self->asked[i].at = 0;
        hp_punch_target_t *target = find(self, from);
        if (target != NULL)
            target->answered = true;
        return HP_PUNCH_ANSWER;
    }
    return HP_PUNCH_FOREIGN;
}

bool hp_punch_heard(const hp_punch_t *self, const hp_sockaddr_t *from)
{
    hp_punch_target_t *target = find((hp_punch_t *)self, from);
    return target != NULL && target->heard;
}
