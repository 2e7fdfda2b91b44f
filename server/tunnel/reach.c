#include "tunnel/reach.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

static const hp_retry_policy_t rest_policy = {HP_REACH_REST_MS, HP_REACH_REST_MAX_MS, HP_RETRY_JITTER};

static const char *const names[] = {
#define X(name, text) [HP_REACH_##name] = (text),
    HP_REACH_STATES(X)
#undef X
};

const char *hp_reach_state_name(hp_reach_state_t state)
{
    return names[state];
}

void hp_reach_init(hp_reach_t *self, const char *own_id, const char *id, const hp_reach_ops_t *ops)
{
    *self = (hp_reach_t){.ops = *ops, .due = UINT64_MAX};
    snprintf(self->own_id, sizeof self->own_id, "%s", own_id);
    snprintf(self->id, sizeof self->id, "%s", id);
}

bool hp_reach_is_first(const hp_reach_t *self)
{
    return strcmp(self->own_id, self->id) < 0;
}

bool hp_reach_is_promising(const hp_reach_t *self)
{
    return !self->hopeless && self->state >= HP_REACH_GATHER && self->state <= HP_REACH_HANDSHAKE;
}

static void set_reason(hp_reach_t *self, const char *reason)
{
    snprintf(self->reason, sizeof self->reason, "%s", reason);
}

/* The only writer of the state. due: when it ends by itself. */
static void set_state(hp_reach_t *self, hp_reach_state_t state, uint64_t due)
{
    hp_log(HP_LOG_DEBUG, "tunnel: %.8s: %s -> %s%s%s", self->id, names[self->state], names[state],
           self->reason[0] != '\0' ? ": " : "", self->reason);
    self->state = state;
    self->due = due;
    switch (state) {
    case HP_REACH_IDLE:
        self->ops.stop(self->ops.arg);
        self->ops.rest(self->ops.arg);
        break;
    case HP_REACH_GATHER:
    case HP_REACH_DIRECT:
    case HP_REACH_RELAY:
        self->ops.stop(self->ops.arg);
        break;
    case HP_REACH_OFFER:
    case HP_REACH_PUNCH:
    case HP_REACH_HANDSHAKE:
        break;
    }
    self->ops.changed(self->ops.arg);
}

static void gather(hp_reach_t *self, bool initiator)
{
    self->initiator = initiator;
    self->hopeless = false;
    set_state(self, HP_REACH_GATHER, UINT64_MAX); /* gathering ends by itself */
    self->ops.gather(self->ops.arg, self->tries > 0 || self->rests.failures > 0);
}

static void begin_session(hp_reach_t *self)
{
    uint8_t random[(HP_SESSION_SIZE - 1) / 2];
    self->again = self->missed = false;
    gnutls_rnd(GNUTLS_RND_NONCE, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(self->own.session + 2 * i, 3, "%02x", random[i]);
    gather(self, true);
}

/* No try of this session is left. */
static void give_up(hp_reach_t *self, uint64_t now)
{
    self->tries = self->unanswered = 0;
    if (self->again) { /* meanwhile there is something new to try */
        hp_retry_reset(&self->rests);
        begin_session(self);
    } else if (self->up) { /* what stood is still there */
        set_state(self, HP_REACH_DIRECT, UINT64_MAX);
    } else {
        set_state(self, HP_REACH_RELAY, hp_retry_failed(&self->rests, &rest_policy, now));
    }
}

static void try_again(hp_reach_t *self, uint64_t now)
{
    unsigned most = self->hopeless ? 1 : HP_REACH_TRIES;
    self->tries++;
    if (!self->initiator || self->tries >= most)
        give_up(self, now);
    else
        begin_session(self);
}

/* ---- wishes ---- */

void hp_reach_want(hp_reach_t *self, uint64_t now)
{
    if (self->state == HP_REACH_IDLE || (self->state == HP_REACH_RELAY && self->due <= now))
        begin_session(self);
}

void hp_reach_leave(hp_reach_t *self)
{
    if (self->state == HP_REACH_IDLE)
        return;
    self->up = self->again = self->missed = false;
    self->tries = self->unanswered = 0;
    hp_retry_reset(&self->rests);
    set_reason(self, "");
    set_state(self, HP_REACH_IDLE, UINT64_MAX);
}

void hp_reach_again(hp_reach_t *self)
{
    if (self->state == HP_REACH_IDLE)
        return;
    self->again = true;
    if (self->state != HP_REACH_DIRECT && self->state != HP_REACH_RELAY)
        return; /* after the try that is under way, should it fail */
    self->tries = 0;
    hp_retry_reset(&self->rests);
    begin_session(self);
}

/* ---- the hub ---- */

static void send_offer(hp_reach_t *self, uint64_t now)
{
    int rc = self->ops.offer(self->ops.arg, &self->own);
    if (rc != 0) {
        set_reason(self, "the hub cannot be reached");
        self->missed = true;
        give_up(self, now);
        return;
    }
    set_state(self, HP_REACH_OFFER, now + HP_REACH_OFFER_MS);
}

void hp_reach_offered(hp_reach_t *self, const hp_offer_t *offer, uint64_t now)
{
    bool same = strcmp(offer->session, self->own.session) == 0;
    if (same && self->state >= HP_REACH_GATHER && self->state <= HP_REACH_HANDSHAKE)
        return; /* the answer to the own offer: go follows */
    bool leads = self->initiator && hp_reach_is_first(self);
    if (leads && (self->state == HP_REACH_OFFER ||
                  (self->state == HP_REACH_PUNCH && now < self->begun_at + HP_REACH_CROSSING_MS)))
        return; /* both offered, and the other host follows this one, or has followed it already */
    snprintf(self->own.session, sizeof self->own.session, "%s", offer->session);
    self->other_mapping = offer->mapping;
    if (self->state == HP_REACH_OFFER || self->state == HP_REACH_GATHER) {
        self->initiator = false; /* what was, or is being, gathered serves for the other's session */
        if (self->state == HP_REACH_OFFER)
            send_offer(self, now);
        return;
    }
    if (self->state == HP_REACH_PUNCH || self->state == HP_REACH_HANDSHAKE)
        self->tries++; /* the other host has given up this try */
    gather(self, false);
}

void hp_reach_offer_failed(hp_reach_t *self, const char *session, const hp_err_t *err, uint64_t now)
{
    if (self->state != HP_REACH_OFFER || strcmp(session, self->own.session) != 0)
        return;
    set_reason(self, hp_err_text(err));
    give_up(self, now);
}

static bool is_same_router(const hp_offer_t *a, const hp_offer_t *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < b->count; k++)
            if (a->candidates[i].kind == HP_CANDIDATE_MAPPED &&
                b->candidates[k].kind == HP_CANDIDATE_MAPPED &&
                hp_sockaddr_same_host(&a->candidates[i].address, &b->candidates[k].address))
                return true;
    return false;
}

/* What both networks are like, in a sentence for the person, and whether it leaves hope. */
static void judge_networks(hp_reach_t *self, const hp_offer_t *other)
{
    hp_mapping_t own = self->own.mapping;
    self->other_mapping = other->mapping;
    self->hopeless = true;
    if (own == HP_MAPPING_BLOCKED && other->mapping == HP_MAPPING_BLOCKED)
        set_reason(self, "neither network lets UDP through");
    else if (own == HP_MAPPING_BLOCKED)
        set_reason(self, "this network lets no UDP through");
    else if (other->mapping == HP_MAPPING_BLOCKED)
        set_reason(self, "the other network lets no UDP through");
    else if (own == HP_MAPPING_VARYING && other->mapping == HP_MAPPING_VARYING)
        set_reason(self, "both networks change ports on every connection");
    else if (own == HP_MAPPING_VARYING)
        set_reason(self, "this network changes ports on every connection, and the other takes packets only "
                         "from known ones");
    else if (other->mapping == HP_MAPPING_VARYING)
        set_reason(self, "the other network changes ports on every connection, and this one takes packets "
                         "only from known ones");
    else {
        self->hopeless = false;
        set_reason(self, "the routers between both networks let no packets through");
    }
    if (is_same_router(&self->own, other))
        self->hopeless = false;
}

void hp_reach_go(hp_reach_t *self, const hp_go_t *go, uint64_t now)
{
    if (self->state != HP_REACH_OFFER || strcmp(go->peer.session, self->own.session) != 0)
        return;
    judge_networks(self, &go->peer);
    self->unanswered = 0;
    self->begun_at = now;
    uint32_t wait = HP_MIN(go->wait_ms, (uint32_t)HP_SIGNALLING_WAIT_MAX);
    set_state(self, HP_REACH_PUNCH, now + wait + HP_REACH_PUNCH_MS);
    self->ops.punch(self->ops.arg, go);
}

/* ---- what was done ---- */

void hp_reach_gathered(hp_reach_t *self, const hp_offer_t *found, uint64_t now)
{
    if (self->state != HP_REACH_GATHER)
        return;
    self->own.mapping = found->mapping;
    self->own.count = found->count;
    memcpy(self->own.candidates, found->candidates, sizeof self->own.candidates);
    send_offer(self, now);
}

void hp_reach_punched(hp_reach_t *self, uint64_t now)
{
    if (self->state == HP_REACH_PUNCH)
        set_state(self, HP_REACH_HANDSHAKE, now + HP_REACH_HANDSHAKE_MS);
}

void hp_reach_confirmed(hp_reach_t *self)
{
    self->up = true;
    self->again = false;
    self->tries = 0;
    hp_retry_reset(&self->rests);
    set_reason(self, "");
    set_state(self, HP_REACH_DIRECT, UINT64_MAX);
}

void hp_reach_failed(hp_reach_t *self, const char *reason, uint64_t now)
{
    if (self->state != HP_REACH_PUNCH && self->state != HP_REACH_HANDSHAKE)
        return;
    set_reason(self, reason);
    try_again(self, now);
}

void hp_reach_refused(hp_reach_t *self, const char *reason, uint64_t now)
{
    if (self->state != HP_REACH_PUNCH && self->state != HP_REACH_HANDSHAKE)
        return;
    set_reason(self, reason);
    give_up(self, now);
}

void hp_reach_lost(hp_reach_t *self, bool wanted, const char *reason, uint64_t now)
{
    self->up = false;
    if (self->state != HP_REACH_DIRECT) {
        self->ops.changed(self->ops.arg);
        return; /* another is being looked for already */
    }
    set_reason(self, reason);
    self->tries = 0;
    if (wanted)
        begin_session(self);
    else
        set_state(self, HP_REACH_RELAY, now);
}

void hp_reach_tick(hp_reach_t *self, uint64_t now)
{
    if (now < self->due)
        return;
    switch (self->state) {
    case HP_REACH_OFFER:
        set_reason(self, "the other host does not answer through the hub");
        /* A hub says who is away: the offer was lost, most likely, as the other host was just connecting. */
        if (self->initiator && ++self->unanswered < HP_REACH_OFFERS)
            begin_session(self);
        else
            give_up(self, now);
        self->ops.unheard(self->ops.arg);
        break;
    case HP_REACH_PUNCH: /* the reason is what the networks are like */
        try_again(self, now);
        break;
    case HP_REACH_HANDSHAKE:
        set_reason(self, "packets came through, but no answer to the handshake");
        try_again(self, now);
        break;
    case HP_REACH_RELAY:
        begin_session(self);
        break;
    case HP_REACH_IDLE:
    case HP_REACH_GATHER:
    case HP_REACH_DIRECT:
        self->due = UINT64_MAX;
        break;
    }
}
