#include "pairing/session.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"

static const char *const log_names[] = {
#define X(name, text, api) text,
    HP_PAIRING_STATES(X)
#undef X
};

static const char *const api_names[] = {
#define X(name, text, api) api,
    HP_PAIRING_STATES(X)
#undef X
};

const char *hp_pairing_state_name(hp_pairing_state_t state)
{
    return api_names[state];
}

void hp_pairing_session_set_state(hp_pairing_session_t *self, hp_pairing_state_t state)
{
    hp_log(HP_LOG_DEBUG, "pairing with %.8s: %s -> %s", self->other, log_names[self->state],
           log_names[state]);
    self->state = state;
}

bool hp_pairing_session_is_open(const hp_pairing_session_t *self)
{
    return self->state > HP_PAIRING_IDLE && self->state < HP_PAIRING_PAIRED;
}

static void init(hp_pairing_session_t *self, const char *own_id, const char *other_id,
                 const uint8_t nonce[HP_PAIRING_NONCE_SIZE], uint64_t now)
{
    *self = (hp_pairing_session_t){.state = HP_PAIRING_IDLE, .ends_ms = now + HP_PAIRING_LIFE_MS};
    snprintf(self->self, sizeof self->self, "%.32s", own_id);
    snprintf(self->other, sizeof self->other, "%.32s", other_id);
    memcpy(self->nonce, nonce, sizeof self->nonce);
}

void hp_pairing_session_begin(hp_pairing_session_t *self, const char *own_id, const char *other_id,
                              const uint8_t nonce[HP_PAIRING_NONCE_SIZE], uint64_t now)
{
    init(self, own_id, other_id, nonce, now);
    hp_pairing_commit(nonce, self->commitment);
    hp_pairing_session_set_state(self, HP_PAIRING_ASKED);
}

void hp_pairing_session_accept(hp_pairing_session_t *self, const char *own_id, const char *other_id,
                               const uint8_t nonce[HP_PAIRING_NONCE_SIZE],
                               const uint8_t commitment[HP_PAIRING_NONCE_SIZE], uint64_t now)
{
    init(self, own_id, other_id, nonce, now);
    self->incoming = true;
    memcpy(self->commitment, commitment, sizeof self->commitment);
    hp_pairing_session_set_state(self, HP_PAIRING_WAITING);
}

bool hp_pairing_session_prevails(const hp_pairing_session_t *self)
{
    /* The other host's first step may come after its answer to this one's. */
    bool early = self->state == HP_PAIRING_ASKED || self->state == HP_PAIRING_WAITING;
    return early && !self->incoming && strcmp(self->self, self->other) < 0;
}

static int out_of_turn(const hp_pairing_session_t *self, hp_err_t *err)
{
    return hp_err_set(err, HP_E_CONFLICT, "this step does not follow: the pairing is %s",
                      log_names[self->state]);
}

/* Both nonces are known. */
static int compute(hp_pairing_session_t *self, hp_err_t *err)
{
    const uint8_t *first = self->incoming ? self->other_nonce : self->nonce;
    const uint8_t *second = self->incoming ? self->nonce : self->other_nonce;
    if (hp_pairing_code(self->self, self->other, first, second, self->code) == 0)
        return 0;
    hp_pairing_session_end(self, HP_PAIRING_FAILED, "a host without a key cannot be paired");
    return hp_err_set(err, HP_E_CONFLICT, "%s", self->reason);
}

int hp_pairing_session_answered(hp_pairing_session_t *self, const uint8_t nonce[HP_PAIRING_NONCE_SIZE],
                                hp_err_t *err)
{
    if (self->state != HP_PAIRING_ASKED)
        return out_of_turn(self, err);
    memcpy(self->other_nonce, nonce, sizeof self->other_nonce);
    int rc = compute(self, err);
    if (rc == 0)
        hp_pairing_session_set_state(self, HP_PAIRING_WAITING);
    return rc;
}

int hp_pairing_session_revealed(hp_pairing_session_t *self, hp_err_t *err)
{
    if (self->state != HP_PAIRING_WAITING || self->incoming)
        return out_of_turn(self, err);
    hp_pairing_session_set_state(self, HP_PAIRING_CONFIRM);
    return 0;
}

int hp_pairing_session_reveal(hp_pairing_session_t *self, const uint8_t nonce[HP_PAIRING_NONCE_SIZE],
                              hp_err_t *err)
{
    bool again = self->code[0] != '\0' && memcmp(nonce, self->other_nonce, sizeof self->other_nonce) == 0;
    if (self->incoming && again && self->state >= HP_PAIRING_CONFIRM && self->state <= HP_PAIRING_PAIRED)
        return 0;
    if (!self->incoming || self->state != HP_PAIRING_WAITING)
        return out_of_turn(self, err);
    if (!hp_pairing_fits(self->commitment, nonce)) {
        hp_pairing_session_end(self, HP_PAIRING_FAILED,
                               "The other host did not keep to what it had committed itself to");
        return hp_err_set(err, HP_E_FORBIDDEN, "the nonce does not fit the commitment");
    }
    memcpy(self->other_nonce, nonce, sizeof self->other_nonce);
    int rc = compute(self, err);
    if (rc == 0)
        hp_pairing_session_set_state(self, HP_PAIRING_CONFIRM);
    return rc;
}

int hp_pairing_session_confirm(hp_pairing_session_t *self, hp_err_t *err)
{
    if (self->confirmed_here && (self->state == HP_PAIRING_CONFIRMED || self->state == HP_PAIRING_PAIRED))
        return 0;
    if (self->state != HP_PAIRING_CONFIRM)
        return hp_err_set(err, HP_E_CONFLICT,
                          hp_pairing_session_is_open(self) ? "There are no digits to compare yet"
                                                           : "This pairing is over");
    self->confirmed_here = true;
    hp_pairing_session_set_state(self, HP_PAIRING_CONFIRMED);
    return 0;
}

int hp_pairing_session_confirmed_there(hp_pairing_session_t *self, hp_err_t *err)
{
    if (self->code[0] == '\0' || self->state < HP_PAIRING_WAITING || self->state > HP_PAIRING_PAIRED)
        return out_of_turn(self, err);
    self->confirmed_there = true;
    return 0;
}

bool hp_pairing_session_is_agreed(const hp_pairing_session_t *self)
{
    return self->state == HP_PAIRING_CONFIRMED && self->confirmed_here && self->confirmed_there;
}

void hp_pairing_session_stored(hp_pairing_session_t *self)
{
    if (hp_pairing_session_is_agreed(self))
        hp_pairing_session_set_state(self, HP_PAIRING_PAIRED);
}

void hp_pairing_session_end(hp_pairing_session_t *self, hp_pairing_state_t state, const char *reason)
{
    if (!hp_pairing_session_is_open(self))
        return;
    snprintf(self->reason, sizeof self->reason, "%s", reason);
    hp_utf8_cut(self->reason);
    hp_pairing_session_set_state(self, state);
}

bool hp_pairing_session_tick(hp_pairing_session_t *self, uint64_t now)
{
    if (!hp_pairing_session_is_open(self) || hp_pairing_session_is_agreed(self) || now < self->ends_ms)
        return false;
    hp_pairing_session_end(self, HP_PAIRING_EXPIRED,
                           self->state == HP_PAIRING_CONFIRM
                               ? "The digits were not confirmed here within two minutes"
                               : "The other side did not confirm within two minutes");
    return true;
}
