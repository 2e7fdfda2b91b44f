/* What the files of server/pairing share: the owner, and one attempt with a host. */
#ifndef HP_PAIRING_INTERNAL_H
#define HP_PAIRING_INTERNAL_H

#include "base/list.h"
#include "base/pending.h"
#include "base/rate.h"
#include "base/retry.h"
#include "base/signal.h"
#include "pairing/pairing.h"
#include "pairing/session.h"

#define HP_PAIRINGS_AN_HOUR 10 /* that one host may begin */

typedef struct hp_pairing_request hp_pairing_request_t; /* send.c: a request that is out */
typedef struct hp_pairing_verifying hp_pairing_verifying_t;

typedef struct hp_pairing {
    hp_link_t link;
    hp_pairings_t *owner;
    hp_pairing_session_t session;
    int64_t expires_at; /* wall ms */
    uint64_t ended_ms;  /* when it ended; 0: it is open */
    hp_pairing_request_t *request;
    int step;         /* that is out, or due at retry.at; 0: none */
    unsigned address; /* of the host's, that is asked next */
    hp_retry_t retry;
    bool storing;
    bool over_there; /* it failed as the other side has ended it: why may still be told */
} hp_pairing_t;

/* A host that has still to hear that a pairing is over. */
typedef struct hp_pairing_ending {
    hp_link_t link;
    hp_pairings_t *owner;
    char host[HP_PEER_ID_SIZE];
    bool kept; /* until it has heard it; else it is told once */
    unsigned address;
    hp_retry_t retry;
    hp_pairing_request_t *request;
} hp_pairing_ending_t;

struct hp_pairings {
    uv_loop_t *loop;
    hp_fetcher_t *fetcher;
    hp_hosts_t *hosts;
    const hp_self_t *self;
    hp_list_t pairings, endings;
    size_t count;
    hp_rate_t *begun;    /* of each host's id */
    hp_list_t verifying; /* ask.c */
    uv_timer_t timer;
    HP_SIGNAL(hp_pairing_event_fn) event;
    hp_pending_t pending;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- pairing.c ---- */

hp_pairing_t *hp_pairing_find(const hp_pairings_t *self, const char *host);
/* The one of this host, new or over, for a new session. NULL with HP_E_BUSY in err: too many are open. */
hp_pairing_t *hp_pairing_make(hp_pairings_t *self, const char *host, hp_err_t *err);
void hp_pairing_drop(hp_pairing_t *pairing);
/* Its session has changed: tells it, and sees to what follows from that. */
void hp_pairing_changed(hp_pairing_t *pairing);
/* Ends an open one, and tells the other host if it may know of it. */
void hp_pairing_end(hp_pairing_t *pairing, hp_pairing_state_t state, const char *reason);
/* Both have confirmed: stores it. done may be NULL. */
void hp_pairing_store(hp_pairing_t *pairing, hp_pairing_done_fn done, void *arg);
void hp_pairings_schedule(hp_pairings_t *self);

/* ---- send.c ---- */

/* Sends a step of the session; what was out before is given up. */
void hp_pairing_send(hp_pairing_t *pairing, int step);
void hp_pairing_send_again(hp_pairing_t *pairing);
/* Nobody waits for the answer any more. */
void hp_pairing_request_drop(hp_pairing_request_t **request);
void hp_pairing_ending_send(hp_pairing_ending_t *ending);

/* ---- ending.c ---- */

/* The host is told that there is no pairing: once, or (kept) until it has heard it. */
void hp_pairing_ending_add(hp_pairings_t *self, const char *host, bool kept);
void hp_pairing_ending_remove(hp_pairings_t *self, const char *host);
/* Those that are due and whose host is there. */
void hp_pairing_endings_run(hp_pairings_t *self);
/* When the next one is due; UINT64_MAX: none is. */
uint64_t hp_pairing_endings_next(const hp_pairings_t *self);
/* It was told (0), or could not be. */
void hp_pairing_ending_told(hp_pairing_ending_t *ending, bool heard);
/* Its host came online. */
void hp_pairing_endings_wake(hp_pairings_t *self, const char *host);

/* ---- ask.c ---- */

/* Lookups of hosts that are under way are of no interest any more: their answers are UV_ECANCELED. */
void hp_pairing_asks_cancel(hp_pairings_t *self);

#endif
