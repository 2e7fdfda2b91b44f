/* One attempt to pair with one other host: a state machine without clock, network or memory of its own. What
 * is sent, and when, is the owner's business (pairing.c).
 *
 *     IDLE -> ASKED -> WAITING -> CONFIRM -> CONFIRMED -> PAIRED      this host began
 *     IDLE ----------> WAITING -> CONFIRM -> CONFIRMED -> PAIRED      the other one began
 *
 *     ASKED      the commitment is out; the other host's nonce is missing
 *     WAITING    both nonces are here as far as they may be: this host's reveal is out, or the other's
 * missing CONFIRM    the digits are known; the person here compares them CONFIRMED  the person here has
 * confirmed; the other person has not, or the pairing is being stored PAIRED, REFUSED, EXPIRED, FAILED   over
 *
 * Every state but the last four may end in REFUSED, EXPIRED or FAILED. Times are what the caller gives. One
 * thread. */
#ifndef HP_PAIRING_SESSION_H
#define HP_PAIRING_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "identity/pairing_code.h"
#include "pairing/state.h"
#include "path/endpoint.h"

#define HP_PAIRING_LIFE_MS 120000 /* from the first step to the second confirmation */

typedef struct hp_pairing_session {
    char self[HP_PEER_ID_SIZE], other[HP_PEER_ID_SIZE];
    hp_pairing_state_t state;
    bool incoming; /* the other host began */
    uint8_t nonce[HP_PAIRING_NONCE_SIZE];
    uint8_t other_nonce[HP_PAIRING_NONCE_SIZE];
    uint8_t commitment[HP_PAIRING_NONCE_SIZE]; /* of whoever began, to its nonce */
    char code[HP_PAIRING_CODE_SIZE];           /* "" until both nonces are known */
    bool confirmed_here, confirmed_there;
    uint64_t ends_ms; /* monotonic */
    char reason[200]; /* why it ended without a pair, a sentence; "" */
} hp_pairing_session_t;

/* The one writer of a state; it logs. */
void hp_pairing_session_set_state(hp_pairing_session_t *self, hp_pairing_state_t state);

bool hp_pairing_session_is_open(const hp_pairing_session_t *self);

/* IDLE -> ASKED: this host begins, with its nonce. */
void hp_pairing_session_begin(hp_pairing_session_t *self, const char *own_id, const char *other_id,
                              const uint8_t nonce[HP_PAIRING_NONCE_SIZE], uint64_t now);

/* IDLE -> WAITING: the other host begins, with its commitment. */
void hp_pairing_session_accept(hp_pairing_session_t *self, const char *own_id, const char *other_id,
                               const uint8_t nonce[HP_PAIRING_NONCE_SIZE],
                               const uint8_t commitment[HP_PAIRING_NONCE_SIZE], uint64_t now);

/* Both hosts have begun at the same moment: whether this one's attempt stays. That of the smaller id does. */
bool hp_pairing_session_prevails(const hp_pairing_session_t *self);

/* ASKED -> WAITING: the other host's nonce. 0, or HP_E_CONFLICT. */
int hp_pairing_session_answered(hp_pairing_session_t *self, const uint8_t nonce[HP_PAIRING_NONCE_SIZE],
                                hp_err_t *err);

/* WAITING -> CONFIRM: the other host has taken this one's nonce. */
int hp_pairing_session_revealed(hp_pairing_session_t *self, hp_err_t *err);

/* WAITING -> CONFIRM, where the other host began: its nonce. The same one again changes nothing.
 * HP_E_CONFLICT when none is expected; HP_E_FORBIDDEN when it does not fit the commitment: FAILED then. */
int hp_pairing_session_reveal(hp_pairing_session_t *self, const uint8_t nonce[HP_PAIRING_NONCE_SIZE],
                              hp_err_t *err);

/* CONFIRM -> CONFIRMED: the person here has found the digits to be the same. Again: changes nothing.
 * HP_E_CONFLICT when there is nothing to compare. */
int hp_pairing_session_confirm(hp_pairing_session_t *self, hp_err_t *err);

/* The person there has. HP_E_CONFLICT while this host does not know the digits. */
int hp_pairing_session_confirmed_there(hp_pairing_session_t *self, hp_err_t *err);

/* Both people have. */
bool hp_pairing_session_is_agreed(const hp_pairing_session_t *self);

/* CONFIRMED -> PAIRED: it is stored. */
void hp_pairing_session_stored(hp_pairing_session_t *self);

/* REFUSED, EXPIRED or FAILED, with a sentence. Nothing when it is over already. */
void hp_pairing_session_end(hp_pairing_session_t *self, hp_pairing_state_t state, const char *reason);

/* Ends it when its time is over and the people have not agreed. Whether it did. */
bool hp_pairing_session_tick(hp_pairing_session_t *self, uint64_t now);

#endif
