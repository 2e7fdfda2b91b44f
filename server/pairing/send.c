/* What goes to the other host: the steps of a session, and that a pairing is over. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "discovery/probe.h"
#include "pairing/internal.h"
#include "pairing/wire.h"

#define PAIR_PATH     "/hostpair/pair"
#define CONNECT_MS    3000 /* hosts on the same network */
#define TOTAL_MS      10000
#define REPLY_MAX     4096 /* bytes of a reply's body */
#define ADDRESSES_MAX 4    /* of a host, that steps 1 and 2 are tried at */

static const hp_retry_policy_t policy = {.first_ms = 1000, .max_ms = 4000, .jitter = HP_RETRY_JITTER};

/* At most one of both is set; none: nobody waits any more. */
struct hp_pairing_request {
    hp_pairings_t *owner;
    hp_pairing_t *pairing;
    hp_pairing_ending_t *ending;
    hp_fetch_t *fetch;
};

void hp_pairing_request_drop(hp_pairing_request_t **request)
{
    if (*request == NULL)
        return;
    (*request)->pairing = NULL;
    (*request)->ending = NULL;
    hp_fetch_cancel((*request)->fetch);
    *request = NULL;
}

static hp_pairing_request_t *start(hp_pairings_t *self, const hp_host_t *host, unsigned address,
                                   const char *method, const char *body, hp_fetch_reply_fn done)
{
    hp_pairing_request_t *request = hp_alloc(sizeof *request);
    request->owner = self;
    hp_hosts_question_t question = {.method = method,
                                    .path = PAIR_PATH,
                                    .body = body,
                                    .address = address,
                                    .reply_max = REPLY_MAX,
                                    .connect_ms = CONNECT_MS,
                                    .total_ms = TOTAL_MS};
    hp_pending_add(&self->pending);
    request->fetch = hp_hosts_ask(self->hosts, host, &question, done, request);
    return request;
}

/* ---- what the other host says to a step ---- */

/* what: may be text of the other host. */
static void fail(hp_pairing_t *pairing, const char *sentence, const char *what)
{
    char reason[200], clean[160];
    snprintf(reason, sizeof reason, "%s%s", sentence,
             hp_utf8_printable(what, strlen(what), clean, sizeof clean));
    hp_utf8_cut(reason);
    hp_pairing_end(pairing, HP_PAIRING_FAILED, reason);
}

static void judge_refusal(hp_pairing_t *pairing, const hp_fetch_reply_t *reply)
{
    int status = reply->head.status;
    char line[120];
    snprintf(line, sizeof line, "%.*s", (int)strcspn(reply->body, "\r\n"), reply->body);
    if (status == 404 || status == 405)
        fail(pairing, "The other host cannot be paired: it runs an older hostpair", "");
    else if (status == 429)
        fail(pairing, "The other host takes 10 tries an hour from here, and has had them", "");
    else
        fail(pairing, "The other host refused: ", line[0] != '\0' ? line : "it did not say why");
}

static void judge_first(hp_pairing_t *pairing, const hp_fetch_reply_t *reply)
{
    uint8_t nonce[HP_PAIRING_NONCE_SIZE];
    hp_err_t err = {0};
    bool is_tie = reply->head.status == 409 && !hp_pairing_session_prevails(&pairing->session);
    if (is_tie)
        return; /* it has begun as well, and its first step is on its way */
    if (reply->head.status != 200) {
        judge_refusal(pairing, reply);
    } else if (hp_pairing_wire_read_nonce(reply->body, reply->length, nonce, &err) != 0 ||
               hp_pairing_session_answered(&pairing->session, nonce, &err) != 0) {
        fail(pairing, "The other host's answer makes no sense: ", hp_err_text(&err));
    } else {
        hp_pairing_send(pairing, 2);
        hp_pairing_changed(pairing);
    }
}

static void judge_second(hp_pairing_t *pairing, const hp_fetch_reply_t *reply)
{
    if (reply->head.status != 204)
        judge_refusal(pairing, reply);
    else if (hp_pairing_session_revealed(&pairing->session, NULL) == 0)
        hp_pairing_changed(pairing);
}

static void again_later(hp_pairing_t *pairing)
{
    pairing->step = 3;
    pairing->address++;
    hp_retry_failed(&pairing->retry, &policy, hp_clock_ms());
    hp_pairings_schedule(pairing->owner);
}

/* The other host has no such pairing any more: what is stored here holds on one side only. */
static void come_undone(hp_pairing_t *pairing)
{
    hp_pairings_t *self = pairing->owner;
    char host[HP_PEER_ID_SIZE];
    memcpy(host, pairing->session.other, sizeof host);
    if (hp_pairing_session_is_open(&pairing->session)) {
        pairing->over_there = true;
        hp_pairing_end(pairing, HP_PAIRING_FAILED, "The pairing is over on the other side");
        return;
    }
    if (!hp_hosts_is_paired(self->hosts, host))
        return;
    hp_pairing_session_set_state(&pairing->session, HP_PAIRING_FAILED);
    snprintf(pairing->session.reason, sizeof pairing->session.reason,
             "The pairing is over on the other side");
    hp_pairing_changed(pairing);
    hp_hosts_set_pair(self->hosts, host, HP_PAIR_NONE, NULL, NULL);
}

static void judge_third(hp_pairing_t *pairing, const hp_fetch_reply_t *reply)
{
    int status = reply->head.status;
    if (status >= 400 && status < 500 && status != 429)
        come_undone(pairing);
    else if (status / 100 != 2)
        again_later(pairing);
}

static void on_step(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    hp_pairing_request_t *request = arg;
    hp_pairings_t *self = request->owner;
    hp_pairing_t *pairing = request->pairing;
    free(request);
    if (pairing != NULL) {
        int step = pairing->step;
        const hp_host_t *host = hp_hosts_find(self->hosts, pairing->session.other);
        pairing->request = NULL;
        pairing->step = 0;
        if (status == 0 && step == 1) {
            judge_first(pairing, reply);
        } else if (status == 0 && step == 2) {
            judge_second(pairing, reply);
        } else if (status == 0) {
            judge_third(pairing, reply);
        } else if (step == 3) {
            again_later(pairing);
        } else if (host != NULL && ++pairing->address < HP_MIN(host->address_count, (size_t)ADDRESSES_MAX)) {
            hp_pairing_send(pairing, step);
        } else {
            fail(pairing, "", hp_err_text(err));
        }
    }
    hp_pending_drop(&self->pending);
}

void hp_pairing_send_again(hp_pairing_t *pairing)
{
    hp_pairings_t *self = pairing->owner;
    const hp_host_t *host = hp_hosts_find(self->hosts, pairing->session.other);
    if (host == NULL || host->address_count == 0) {
        pairing->step = 0;
        fail(pairing, "No address of the host is known", "");
        return;
    }
    const hp_pairing_session_t *session = &pairing->session;
    char *body = hp_pairing_wire_step(pairing->step, pairing->step == 1   ? session->commitment
                                                     : pairing->step == 2 ? session->nonce
                                                                          : NULL);
    pairing->request = start(self, host, pairing->address, "POST", body, on_step);
    pairing->request->pairing = pairing;
    free(body);
}

void hp_pairing_send(hp_pairing_t *pairing, int step)
{
    hp_pairing_request_drop(&pairing->request);
    hp_retry_reset(&pairing->retry);
    pairing->step = step;
    hp_pairing_send_again(pairing);
}

/* ---- the end ---- */

static void on_end(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    (void)err;
    hp_pairing_request_t *request = arg;
    hp_pairings_t *self = request->owner;
    hp_pairing_ending_t *ending = request->ending;
    free(request);
    if (ending != NULL) {
        ending->request = NULL;
        int answer = status == 0 ? reply->head.status : 0;
        /* 404 and 405: it knows no pairing at all. Every other refusal may pass. */
        hp_pairing_ending_told(ending, answer / 100 == 2 || answer == 404 || answer == 405);
    }
    hp_pending_drop(&self->pending);
}

void hp_pairing_ending_send(hp_pairing_ending_t *ending)
{
    const hp_host_t *host = hp_hosts_find(ending->owner->hosts, ending->host);
    ending->request = start(ending->owner, host, ending->address, "DELETE", NULL, on_end);
    ending->request->ending = ending;
}
