/* What other hosts ask. A host that is not known yet is looked up where it says that it listens: the person
 * here has to see whom the digits are from, and the steps of this side have to reach it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "pairing/internal.h"
#include "pairing/wire.h"

#define VERIFYING_MAX 16 /* lookups at a time */
#define BUSY_S        2

/* A lookup in the registry, which cannot be taken back: its answer may come when nobody waits any more. */
struct hp_pairing_verifying {
    hp_link_t link;
    hp_pairings_t *self; /* NULL: nobody waits */
    hp_who_t who;
    uint8_t commitment[HP_PAIRING_NONCE_SIZE];
    hp_pairing_answer_fn answer;
    void *arg;
};

static void refuse(hp_pairing_answer_fn answer, void *arg, const hp_err_t *err)
{
    answer(arg, err->code, NULL, err->code == HP_E_BUSY ? BUSY_S : 0, err);
}

/* ---- step 1 ---- */

static bool is_known(const hp_host_t *host, const hp_who_t *who)
{
    return host != NULL && host->proven &&
           memcmp(host->fingerprint, who->fingerprint, sizeof who->fingerprint) == 0;
}

/* The host that asks is known and has proven who it is. */
static void begin(hp_pairings_t *self, const hp_host_t *host, const uint8_t *commitment,
                  hp_pairing_answer_fn answer, void *arg)
{
    hp_err_t err = {0};
    uint8_t nonce[HP_PAIRING_NONCE_SIZE];
    char hex[HP_PAIRING_HEX_SIZE];
    hp_pairing_t *pairing = hp_pairing_find(self, host->id);
    if (pairing != NULL && hp_pairing_session_prevails(&pairing->session)) {
        hp_err_set(&err, HP_E_CONFLICT, "both hosts have begun, and this one's pairing goes on");
        refuse(answer, arg, &err);
        return;
    }
    if (hp_pairing_nonce(nonce, &err) != 0 || (pairing = hp_pairing_make(self, host->id, &err)) == NULL) {
        refuse(answer, arg, &err);
        return;
    }
    hp_pairing_session_accept(&pairing->session, self->self->id, host->id, nonce, commitment, hp_clock_ms());
    hp_pairing_changed(pairing);
    hp_hex_encode(nonce, sizeof nonce, hex);
    answer(arg, 0, hex, 0, NULL);
}

static void on_verified(void *arg, int status)
{
    hp_pairing_verifying_t *verifying = arg;
    hp_pairings_t *self = verifying->self;
    if (self != NULL) {
        hp_err_t err;
        const hp_host_t *host = hp_hosts_find(self->hosts, verifying->who.id);
        hp_link_remove(&verifying->link);
        if (is_known(host, &verifying->who)) {
            begin(self, host, verifying->commitment, verifying->answer, verifying->arg);
        } else {
            bool busy = status == HP_E_BUSY || status == UV_ECANCELED;
            hp_err_set(&err, busy ? HP_E_BUSY : HP_E_FORBIDDEN,
                       "the host that asks is not found where it says that it listens");
            refuse(verifying->answer, verifying->arg, &err);
        }
        hp_pending_drop(&self->pending);
    }
    free(verifying);
}

static size_t count_verifying(const hp_pairings_t *self)
{
    size_t count = 0;
    for (const hp_link_t *link = self->verifying.head.next; link != &self->verifying.head; link = link->next)
        count++;
    return count;
}

static void verify(hp_pairings_t *self, const hp_pairing_step_t *step, const uint8_t *commitment,
                   hp_pairing_answer_fn answer, void *arg)
{
    hp_endpoint_t at;
    hp_err_t err;
    if (step->who->way != HP_WAY_LAN || step->port == 0 ||
        hp_endpoint_make(&at, HP_SCHEME_TLS, step->who->address, step->port) != 0) {
        hp_err_set(&err, HP_E_FORBIDDEN, "the host that asks is not known here");
        refuse(answer, arg, &err);
        return;
    }
    if (count_verifying(self) >= VERIFYING_MAX) {
        hp_err_set(&err, HP_E_BUSY, "too many hosts are being looked up");
        refuse(answer, arg, &err);
        return;
    }
    hp_pairing_verifying_t *verifying = hp_alloc(sizeof *verifying);
    *verifying = (hp_pairing_verifying_t){.self = self, .who = *step->who, .answer = answer, .arg = arg};
    memcpy(verifying->commitment, commitment, sizeof verifying->commitment);
    hp_list_add(&self->verifying, &verifying->link);
    hp_pending_add(&self->pending);
    hp_hosts_verify(self->hosts, &at, HP_FOUND_SCAN, on_verified, verifying);
}

void hp_pairing_asks_cancel(hp_pairings_t *self)
{
    hp_err_t err;
    hp_err_set(&err, UV_ECANCELED, "hostpair is being shut down");
    HP_LIST_EACH (link, &self->verifying) {
        hp_pairing_verifying_t *verifying = HP_CONTAINER(link, hp_pairing_verifying_t, link);
        hp_link_remove(link);
        verifying->self = NULL;
        refuse(verifying->answer, verifying->arg, &err);
        hp_pending_drop(&self->pending);
    }
}

static void take_first(hp_pairings_t *self, const hp_pairing_step_t *step, const uint8_t *commitment,
                       hp_pairing_answer_fn answer, void *arg)
{
    const hp_host_t *host = hp_hosts_find(self->hosts, step->who->id);
    uint64_t wait = hp_rate_take(self->begun, step->who->id, hp_clock_ms());
    if (wait > 0) {
        hp_err_t err;
        hp_err_set(&err, HP_E_TOO_MANY, "this host has begun to pair %d times within an hour",
                   HP_PAIRINGS_AN_HOUR);
        answer(arg, HP_E_TOO_MANY, NULL, (unsigned)((wait + 999) / 1000), &err);
    } else if (is_known(host, step->who)) {
        begin(self, host, commitment, answer, arg);
    } else {
        verify(self, step, commitment, answer, arg);
    }
}

/* ---- steps 2 and 3 ---- */

static void take_second(hp_pairing_t *pairing, const uint8_t *nonce, hp_pairing_answer_fn answer, void *arg)
{
    hp_err_t err = {0};
    bool was_waiting = pairing->session.state == HP_PAIRING_WAITING;
    int rc = hp_pairing_session_reveal(&pairing->session, nonce, &err);
    if (was_waiting && pairing->session.state != HP_PAIRING_WAITING)
        hp_pairing_changed(pairing);
    answer(arg, rc, NULL, 0, &err);
}

typedef struct third {
    hp_pairing_answer_fn answer;
    void *arg;
} third_t;

static void on_stored(void *arg, int status, const hp_err_t *err)
{
    third_t *third = arg;
    third->answer(third->arg, status, NULL, 0, err);
    free(third);
}

static void take_third(hp_pairing_t *pairing, hp_pairing_answer_fn answer, void *arg)
{
    hp_err_t err = {0};
    int rc = hp_pairing_session_confirmed_there(&pairing->session, &err);
    if (rc == 0 && hp_pairing_session_is_agreed(&pairing->session)) {
        third_t *third = hp_alloc(sizeof *third);
        *third = (third_t){.answer = answer, .arg = arg};
        hp_pairing_store(pairing, on_stored, third);
    } else {
        answer(arg, rc, NULL, 0, &err);
    }
}

void hp_pairings_take(hp_pairings_t *self, const hp_pairing_step_t *step, hp_pairing_answer_fn answer,
                      void *arg)
{
    int number = 0;
    uint8_t value[HP_PAIRING_NONCE_SIZE];
    hp_err_t err = {0};
    if (step->who->id[0] == '\0')
        hp_err_set(&err, HP_E_FORBIDDEN, "only a host that proves its key by TLS can be paired");
    else if (self->closing)
        hp_err_set(&err, HP_E_BUSY, "hostpair is being shut down");
    else if (hp_pairing_wire_read_step(step->data, step->length, &number, value, &err) == 0 && number == 1) {
        take_first(self, step, value, answer, arg);
        return;
    }
    hp_pairing_t *pairing = err.code == 0 ? hp_pairing_find(self, step->who->id) : NULL;
    if (err.code != 0)
        refuse(answer, arg, &err);
    else if (pairing != NULL && number == 2)
        take_second(pairing, value, answer, arg);
    else if (number == 3 && hp_hosts_is_paired(self->hosts, step->who->id) &&
             (pairing == NULL || !hp_pairing_session_is_open(&pairing->session)))
        answer(arg, 0, NULL, 0, NULL); /* heard before: its answer got lost */
    else if (pairing != NULL)
        take_third(pairing, answer, arg);
    else {
        hp_err_set(&err, HP_E_CONFLICT, "there is no pairing with this host");
        refuse(answer, arg, &err);
    }
}
