/* The direct way to one host of another network, as a state machine: looked for, found, lost, and looked for
 * again.
 *
 *     state      what leads to another
 *     idle       it is wanted, or the other host offers: gather
 *     gather     the own addresses are known: offer
 *     offer      the hub has both offers: punch; no answer: gather, or relay after HP_REACH_OFFERS of them
 *     punch      packets come both ways: handshake; none: gather for the next try, or relay when none is left
 *     handshake  the key is proven: direct; else as from punch
 *     direct     it is lost: gather; it is lost and nobody wants it: relay
 *     relay      a rest is over, or there is something new to try: gather
 *     any        nobody has wanted it for a while: idle
 *
 * In every state but direct new connections are relayed, where a hub relays: relay means no more than that
 * nothing else is under way.
 *
 * Invariants
 * 1. Pure: what is to be done goes through hp_reach_ops_t, what happened comes in as an event with the time.
 * One function, set_state(), changes the state.
 * 2. A direct way that stands is kept while another is looked for (`up`); it ends when the new one is proven,
 * or when hp_reach_lost says so.
 * 3. When both hosts offer at the same time, the session of the host with the smaller id counts.
 * 4. Each try after the first uses new ports; after HP_REACH_TRIES of them this side begins none for 35 s and
 * more: a router that holds a spoiled mapping would be kept holding it. The host that made the offer tries
 * again, the other follows. */
#ifndef HP_TUNNEL_REACH_H
#define HP_TUNNEL_REACH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/retry.h"
#include "path/endpoint.h"
#include "tunnel/signalling.h"

#define HP_REACH_TRIES    3
#define HP_REACH_OFFERS   3    /* without an answer, in a row */
#define HP_REACH_OFFER_MS 5000 /* for the other host's answer to come through the hub */
#define HP_REACH_PUNCH_MS 2000
#define HP_REACH_CROSSING_MS                                                                                 \
    1000 /* an offer that the other host made before it followed this one may come so late */
#define HP_REACH_HANDSHAKE_MS 5500
#define HP_REACH_REST_MS      35000 /* after the last try; twice as long after the next, and so on */
#define HP_REACH_REST_MAX_MS  300000

#define HP_REACH_STATES(X)                                                                                   \
    X(IDLE, "idle")                                                                                          \
    X(GATHER, "gather")                                                                                      \
    X(OFFER, "offer")                                                                                        \
    X(PUNCH, "punch")                                                                                        \
    X(HANDSHAKE, "handshake")                                                                                \
    X(DIRECT, "direct")                                                                                      \
    X(RELAY, "relay")

typedef enum {
#define X(name, text) HP_REACH_##name,
    HP_REACH_STATES(X)
#undef X
} hp_reach_state_t;

typedef struct hp_reach_ops {
    /* Learn the own addresses, from new ports where fresh: hp_reach_gathered follows. */
    void (*gather)(void *arg, bool fresh);
    /* Send an offer or an answer. 0 or a negative code. */
    int (*offer)(void *arg, const hp_offer_t *offer);
    /* Open the routers after go->wait_ms, then shake hands: hp_reach_punched, hp_reach_confirmed or
     * hp_reach_failed follow. */
    void (*punch)(void *arg, const hp_go_t *go);
    /* The hub was to bring an answer, and did not. */
    void (*unheard)(void *arg);
    /* End gathering, punching and shaking hands; what stands stays. */
    void (*stop)(void *arg);
    /* End what stands as well. */
    void (*rest)(void *arg);
    /* The state, up or the reason has changed. */
    void (*changed)(void *arg);
    void *arg;
} hp_reach_ops_t;

typedef struct hp_reach {
    char own_id[HP_PEER_ID_SIZE], id[HP_PEER_ID_SIZE];
    hp_reach_ops_t ops;
    hp_reach_state_t state;
    bool up;             /* a direct way stands */
    bool initiator;      /* of the session: tries again */
    bool again;          /* begin anew when the try that is under way has failed */
    bool missed;         /* the last try could not even begin, for want of the hub */
    bool hopeless;       /* what is known of both networks says that a direct way is unlikely */
    uint64_t due;        /* ms: the present state's end; UINT64_MAX: none */
    uint64_t begun_at;   /* ms: when the last punching began */
    unsigned tries;      /* that failed in a row */
    unsigned unanswered; /* offers, in a row */
    hp_retry_t rests;
    hp_offer_t own; /* of the session that is under way */
    hp_mapping_t other_mapping;
    char reason[200];
} hp_reach_t;

void hp_reach_init(hp_reach_t *self, const char *own_id, const char *id, const hp_reach_ops_t *ops);

const char *hp_reach_state_name(hp_reach_state_t state);

/* Somebody wants a connection. */
void hp_reach_want(hp_reach_t *self, uint64_t now);
/* Nobody has wanted one for long. */
void hp_reach_leave(hp_reach_t *self);
/* Something changed that may help (addresses of this machine, the hub is back, the router opened a port):
 * look again, at once or after the try that is under way. */
void hp_reach_again(hp_reach_t *self);

/* Of the hub. */
void hp_reach_offered(hp_reach_t *self, const hp_offer_t *offer, uint64_t now);
void hp_reach_offer_failed(hp_reach_t *self, const char *session, const hp_err_t *err, uint64_t now);
void hp_reach_go(hp_reach_t *self, const hp_go_t *go, uint64_t now);

/* Of what was asked to be done. found: mapping and candidates; its session is of no account. */
void hp_reach_gathered(hp_reach_t *self, const hp_offer_t *found, uint64_t now);
void hp_reach_punched(hp_reach_t *self, uint64_t now);
void hp_reach_confirmed(hp_reach_t *self);
void hp_reach_failed(hp_reach_t *self, const char *reason, uint64_t now);
/* Another host answered, or this one is not wanted there: another try would end the same. */
void hp_reach_refused(hp_reach_t *self, const char *reason, uint64_t now);
/* The way that stood is gone. wanted: somebody used it. */
void hp_reach_lost(hp_reach_t *self, bool wanted, const char *reason, uint64_t now);

/* The time has come; call at `due`. */
void hp_reach_tick(hp_reach_t *self, uint64_t now);

/* Whether a direct way may stand within a moment, so that waiting for it is better than a relay. */
bool hp_reach_is_promising(const hp_reach_t *self);
/* Whether this host begins the handshake. */
bool hp_reach_is_first(const hp_reach_t *self);

#endif
