/* Pairing: two people who look at their hosts compare six digits, and from then on each host knows that the
 * other's key is that of the other person's host. Owns the attempts that are open, and tells the other host
 * when a pairing has ended. Which hosts are paired is kept in the registry (discovery/hosts.h). The protocol
 * is in server/peer/PROTOCOL.md, "Pairing"; session.h has the states.
 *
 * Invariants
 * 1. Loop thread only.
 * 2. There is one attempt a host, and HP_PAIRINGS_OPEN open ones in all. One that is over is kept for
 *    HP_PAIRING_KEPT_MS, so that a person sees how it ended.
 * 3. A host is paired here once both people have confirmed and that is stored and synced. If it may be stored
 *    on one side only, the other side says that it ended until that is heard, over restarts as well.
 * 4. Nobody takes part without having proven its key on that very connection.
 */
#ifndef HP_PAIRING_PAIRING_H
#define HP_PAIRING_PAIRING_H

#include <uv.h>

#include "base/err.h"
#include "discovery/hosts.h"
#include "fetch/fetch.h"
#include "pairing/state.h"
#include "path/who.h"

#define HP_PAIRINGS_OPEN   32
#define HP_PAIRING_KEPT_MS 600000

typedef struct hp_pairings hp_pairings_t;

typedef struct hp_pairing_info {
    char host[HP_HOST_ID_SIZE];
    char code[8]; /* six digits; "" until both sides know them */
    hp_pairing_state_t state;
    bool incoming;
    int64_t expires_at; /* wall ms */
    const char *reason; /* "" none; valid until the next return to the loop */
} hp_pairing_info_t;

/* The fetcher, the registry and self outlive it. */
hp_pairings_t *hp_pairings_create(uv_loop_t *loop, hp_fetcher_t *fetcher, hp_hosts_t *hosts,
                                  const hp_self_t *self);
/* Goes on telling hosts of pairings that ended while they were away. */
void hp_pairings_start(hp_pairings_t *self);
/* Whoever waits for an answer gets UV_ECANCELED. */
void hp_pairings_destroy(hp_pairings_t *self, void (*closed)(void *arg), void *arg);

/* The attempt with this host has changed; it is gone when hp_pairings_get does not find it. */
typedef void hp_pairing_event_fn(void *arg, const char *host);
void hp_pairings_on_event(hp_pairings_t *self, hp_pairing_event_fn *fn, void *arg);
void hp_pairings_off_event(hp_pairings_t *self, hp_pairing_event_fn *fn, void *arg);

size_t hp_pairings_count(const hp_pairings_t *self);
void hp_pairings_at(const hp_pairings_t *self, size_t index, hp_pairing_info_t *info);
bool hp_pairings_get(const hp_pairings_t *self, const char *host, hp_pairing_info_t *info);

/* ---- what a person here does ---- */

/* Begins; where an attempt is open already, by whomever, that is the one. HP_E_NOT_FOUND; HP_E_CONFLICT: the
 * host is paired, blocked, or has no key; HP_E_BUSY: too many are open. */
int hp_pairings_begin(hp_pairings_t *self, const char *host, hp_err_t *err);

/* The digits are the same. HP_E_NOT_FOUND: nothing is open; HP_E_CONFLICT: no digits yet, or it is over. */
int hp_pairings_confirm(hp_pairings_t *self, const char *host, hp_err_t *err);

/* Refuses an open attempt, ends a pairing, and tells the other host, now or once it is back. done runs once,
 * perhaps inside the call: 0 also when there was nothing to end, HP_E_NOT_FOUND for an unknown host, or why
 * it cannot be stored. */
typedef void (*hp_pairing_done_fn)(void *arg, int status, const hp_err_t *err);
void hp_pairings_end(hp_pairings_t *self, const char *host, hp_pairing_done_fn done, void *arg);

/* ---- what another host does ---- */

/* A step. answer runs once, perhaps inside the call: 0 with the nonce in hex for step 1 (NULL for the
 * others), or an error; retry_after_s is 0 where it makes no sense to try again. */
typedef struct hp_pairing_step {
    const hp_who_t *who;
    uint16_t port; /* where it says that it listens; 0: it does not */
    const void *data;
    size_t length; /* of the body */
} hp_pairing_step_t;
typedef void (*hp_pairing_answer_fn)(void *arg, int status, const char *nonce, unsigned retry_after_s,
                                     const hp_err_t *err);
void hp_pairings_take(hp_pairings_t *self, const hp_pairing_step_t *step, hp_pairing_answer_fn answer,
                      void *arg);

/* Its person has refused or ended it. done as above; 0 also when there was nothing to end. */
void hp_pairings_take_end(hp_pairings_t *self, const hp_who_t *who, hp_pairing_done_fn done, void *arg);

#endif
