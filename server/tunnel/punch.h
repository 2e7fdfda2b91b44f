/* Opening two routers for each other: both hosts send STUN requests to every address of the other at the same
 * time, answer what comes, and learn which way both directions work.
 *
 * Invariants
 * 1. Sends and receives through its caller and is told the time: no descriptor, no clock of its own. One
 *    thread.
 * 2. Nothing is asked before the time that both hosts agreed on: at a Linux router a packet that arrives
 * before the own one has left can take the port that the own one needs.
 * 3. Requests and answers count only with the session's key and, for requests, the other side's name in it.
 * 4. Bounded: HP_PUNCH_TARGETS addresses, HP_PUNCH_ROUNDS requests to each. */
#ifndef HP_TUNNEL_PUNCH_H
#define HP_TUNNEL_PUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tunnel/signalling.h"
#include "tunnel/stun.h"

#define HP_PUNCH_TARGETS   12 /* the other side's candidates, and addresses that its packets came from */
#define HP_PUNCH_ROUNDS    24 /* at 0, 20, 40, 60, 80 ms, then every 100 ms: about 2 s */
#define HP_PUNCH_WINDOW_MS 2000

typedef struct hp_punch_target {
    hp_sockaddr_t address;
    hp_candidate_kind_t kind;
    bool learned;  /* not a candidate: the other side's packets came from there */
    bool heard;    /* an authentic request came from there */
    bool answered; /* and an authentic answer to one of this side */
} hp_punch_target_t;

typedef struct hp_punch {
    char session[HP_SESSION_SIZE];
    uint8_t key[HP_SESSION_KEY];
    char own_role, other_role;
    hp_punch_target_t targets[HP_PUNCH_TARGETS];
    size_t count;
    uint64_t due; /* ns */
    unsigned round;
    /* The latest requests, to know answers and to measure the round trip. */
    struct {
        uint8_t transaction[HP_STUN_TRANSACTION];
        uint64_t at; /* ns; 0: empty */
    } asked[64];
    size_t asked_next;
    uint64_t rtt; /* ns, of the first answer; 0: none came */
} hp_punch_t;

typedef void (*hp_punch_send_fn)(void *arg, const hp_sockaddr_t *to, const uint8_t *data, size_t length);

/* first: whether this host has the smaller id. start: when to begin, ns. Candidates that no host can have,
 * and more than fit, are left out. */
void hp_punch_init(hp_punch_t *self, const hp_go_t *go, bool first, uint64_t start);

/* Sends what is due and returns when to come again, UINT64_MAX when nothing will be. */
uint64_t hp_punch_tick(hp_punch_t *self, uint64_t now, hp_punch_send_fn send, void *arg);

typedef enum {
    HP_PUNCH_FOREIGN, /* not of this session */
    HP_PUNCH_REQUEST, /* the other side's request; it was answered */
    HP_PUNCH_ANSWER,  /* both directions work */
} hp_punch_got_t;

hp_punch_got_t hp_punch_packet(hp_punch_t *self, uint64_t now, const hp_stun_t *stun,
                               const hp_sockaddr_t *from, hp_punch_send_fn send, void *arg);

/* Whether an authentic request came from this address. */
bool hp_punch_heard(const hp_punch_t *self, const hp_sockaddr_t *from);

#endif
