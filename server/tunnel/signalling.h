/* What two hosts tell each other through a hub before they can reach each other: the values, and the
 * interface that whoever talks to a hub implements (server/rendezvous over a hub's HTTP API; tests in
 * memory).
 *
 * How a direct way comes about: one host offers its addresses under a session that it invents; the other
 * answers with its own under the same session; the hub then tells both "go", with a key that it made, the
 * other's addresses and how long to wait, so that both begin at the same moment. A relayed connection comes
 * about by one host asking the hub for a relay to the other; both get the relay's address and a token that is
 * good for one connection.
 *
 * All calls on the loop thread. Values are copied by whoever keeps them. */
#ifndef HP_TUNNEL_SIGNALLING_H
#define HP_TUNNEL_SIGNALLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sockaddr.h"

#define HP_SESSION_SIZE        33 /* 32 lower-case hex digits and NUL */
#define HP_SESSION_KEY         32 /* bytes */
#define HP_CANDIDATES_MAX      8  /* addresses of one host in one offer */
#define HP_STUN_PORTS          2
#define HP_RELAY_TOKEN         32   /* hex digits */
#define HP_SIGNALLING_WAIT_MAX 2000 /* ms: a longer wait_ms is cut to this */

/* kind, name on the wire */
#define HP_CANDIDATE_KINDS(X)                                                                                \
    X(LOCAL, "local")   /* of an interface */                                                                \
    X(MAPPED, "mapped") /* as the hub sees it */                                                             \
    X(PORT, "port")     /* a port that the router was asked to open */

typedef enum {
#define X(name, text) HP_CANDIDATE_##name,
    HP_CANDIDATE_KINDS(X)
#undef X
} hp_candidate_kind_t;

typedef struct hp_candidate {
    hp_candidate_kind_t kind;
    hp_sockaddr_t address;
} hp_candidate_t;

/* How a host's network treats UDP. kind, name on the wire */
#define HP_MAPPINGS(X)                                                                                       \
    X(UNKNOWN, "unknown") /* only one port of the hub answered */                                            \
    X(FIXED, "fixed")     /* every destination sees the same address */                                      \
    X(VARYING, "varying") /* every destination sees another port */                                          \
    X(BLOCKED, "blocked") /* no answer to STUN came */

typedef enum {
#define X(name, text) HP_MAPPING_##name,
    HP_MAPPINGS(X)
#undef X
} hp_mapping_t;

/* Names on the wire; parse gives 0 or HP_E_INVALID. */
const char *hp_candidate_kind_name(hp_candidate_kind_t kind);
int hp_candidate_kind_parse(const char *text, hp_candidate_kind_t *out);
const char *hp_mapping_name(hp_mapping_t mapping);
int hp_mapping_parse(const char *text, hp_mapping_t *out);

/* Where this host can be reached, for one session. */
typedef struct hp_offer {
    char session[HP_SESSION_SIZE];
    hp_mapping_t mapping;
    size_t count;
    hp_candidate_t candidates[HP_CANDIDATES_MAX];
} hp_offer_t;

/* Begin now: the other host's offer, and the key of the session. */
typedef struct hp_go {
    hp_offer_t peer;
    uint8_t key[HP_SESSION_KEY];
    uint32_t wait_ms;
} hp_go_t;

/* A relay that waits for both hosts. */
typedef struct hp_relay_at {
    hp_sockaddr_t address; /* TCP */
    bool elsewhere;        /* not where the hub itself was reached */
    char token[HP_RELAY_TOKEN + 1];
} hp_relay_at_t;

/* The way to a hub. Functions return at once; what comes of them arrives as the events of tunnel.h. */
typedef struct hp_signalling {
    /* Whether the hub is reachable at present. */
    bool (*online)(void *arg);
    /* The hub's STUN ports, in out; the first two of one family belong to different ports. Returns how many.
     */
    size_t (*stun)(void *arg, hp_sockaddr_t out[2 * HP_STUN_PORTS]);
    /* Sends an offer to the host with this id. 0, or a negative code when it cannot be sent; an error that
     * comes later is reported by hp_tunnel_offer_failed. */
    int (*offer)(void *arg, const char *id, const hp_offer_t *offer);
    /* Asks for a relay to the host with this id. 0 or a negative code; later exactly one
     * hp_tunnel_relay_answer with the same request. */
    int (*relay)(void *arg, const char *id, uint64_t request);
    /* An answer of the host with this id was to come through the hub, and did not: does what the hub sends
     * still come here? NULL: nobody finds out. */
    void (*doubt)(void *arg, const char *id);
    void *arg;
} hp_signalling_t;

#endif
