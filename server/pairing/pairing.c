/* The life of the owner and of the attempts, and what people here do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pairing/internal.h"

#define NEVER     UINT64_MAX
#define BEGINNERS 256 /* hosts whose pairings are counted for HP_PAIRINGS_AN_HOUR */

/* ---- attempts ---- */

hp_pairing_t *hp_pairing_find(const hp_pairings_t *self, const char *host)
{
    HP_LIST_EACH (link, &self->pairings) {
        hp_pairing_t *pairing = HP_CONTAINER(link, hp_pairing_t, link);
        if (strcmp(pairing->session.other, host) == 0)
            return pairing;
    }
    return NULL;
}

static size_t count_open(const hp_pairings_t *self)
{
    size_t count = 0;
    HP_LIST_EACH (link, &self->pairings)
        count += hp_pairing_session_is_open(&HP_CONTAINER(link, hp_pairing_t, link)->session);
    return count;
}

void hp_pairing_drop(hp_pairing_t *pairing)
{
    hp_pairing_request_drop(&pairing->request);
    hp_link_remove(&pairing->link);
    pairing->owner->count--;
    free(pairing);
}

hp_pairing_t *hp_pairing_make(hp_pairings_t *self, const char *host, hp_err_t *err)
{
    hp_pairing_t *pairing = hp_pairing_find(self, host);
    bool is_open = pairing != NULL && hp_pairing_session_is_open(&pairing->session);
    if (!is_open && count_open(self) >= HP_PAIRINGS_OPEN) {
        hp_err_set(err, HP_E_BUSY, "Too many pairings are open: wait until one is over");
        return NULL;
    }
    if (pairing == NULL) {
        pairing = hp_alloc(sizeof *pairing);
        hp_list_add(&self->pairings, &pairing->link);
        self->count++;
    }
    hp_pairing_request_drop(&pairing->request);
    hp_link_t link = pairing->link;
    *pairing =
        (hp_pairing_t){.link = link, .owner = self, .expires_at = hp_clock_wall_ms() + HP_PAIRING_LIFE_MS};
    hp_pairing_ending_remove(self, host);
    return pairing;
}

static const char *name_of(const hp_pairings_t *self, const char *id)
{
    const hp_host_t *host = hp_hosts_find(self->hosts, id);
    return host != NULL && host->name[0] != '\0' ? host->name : id;
}

void hp_pairing_changed(hp_pairing_t *pairing)
{
    hp_pairings_t *self = pairing->owner;
    char host[HP_PEER_ID_SIZE];
    memcpy(host, pairing->session.other, sizeof host);
    if (!hp_pairing_session_is_open(&pairing->session) && pairing->ended_ms == 0) {
        pairing->ended_ms = hp_clock_ms();
        hp_log(HP_LOG_INFO, "pairing with %s (%.8s): %s%s%s", name_of(self, host), host,
               hp_pairing_state_name(pairing->session.state), pairing->session.reason[0] != '\0' ? ": " : "",
               pairing->session.reason);
    }
    hp_pairings_schedule(self);
    if (!self->closing)
        hp_signal_emit(&self->event, host);
}

/* ---- the end of an attempt ---- */

static void on_ended(void *arg, int status, const hp_err_t *err)
{
    hp_pairings_t *self = arg;
    if (status != 0)
        hp_log(HP_LOG_ERROR, "that a pairing has ended cannot be stored: %s", hp_err_text(err));
    hp_pending_drop(&self->pending);
}

/* The other host may have stored a pairing to which this one's person has agreed: it has to hear of the end,
 * whenever that is. */
static void retract(hp_pairings_t *self, const char *host)
{
    hp_pending_add(&self->pending);
    int rc = hp_hosts_set_pair(self->hosts, host, HP_PAIR_ENDED, on_ended, self);
    if (rc != 0) /* it was removed */
        hp_pending_drop(&self->pending);
    else
        hp_pairing_ending_add(self, host, true);
}

void hp_pairing_end(hp_pairing_t *pairing, hp_pairing_state_t state, const char *reason)
{
    hp_pairings_t *self = pairing->owner;
    hp_pairing_session_t *session = &pairing->session;
    if (!hp_pairing_session_is_open(session))
        return;
    bool agreed_here = session->confirmed_here;
    bool known_there = session->incoming || session->state != HP_PAIRING_ASKED || state == HP_PAIRING_REFUSED;
    hp_pairing_request_drop(&pairing->request);
    pairing->step = 0;
    hp_pairing_session_end(session, state, reason);
    if (agreed_here || hp_hosts_is_paired(self->hosts, session->other))
        retract(self, session->other);
    else if (known_there)
        hp_pairing_ending_add(self, session->other, false);
    hp_pairing_changed(pairing);
}

/* ---- storing ---- */

typedef struct store_job {
    hp_pairings_t *self;
    char host[HP_PEER_ID_SIZE];
    hp_pairing_done_fn done;
    void *arg;
} store_job_t;

static void on_stored(void *arg, int status, const hp_err_t *err)
{
    store_job_t *job = arg;
    hp_pairings_t *self = job->self;
    hp_pairing_t *pairing = hp_pairing_find(self, job->host);
    bool waits = pairing != NULL && pairing->storing;
    if (waits)
        pairing->storing = false;
    if (waits && status == 0) {
        hp_pairing_session_stored(&pairing->session);
        hp_pairing_changed(pairing);
    } else if (waits && status != UV_ECANCELED) {
        hp_pairing_end(pairing, HP_PAIRING_FAILED, hp_err_text(err));
    }
    if (job->done != NULL)
        job->done(job->arg, status, err);
    free(job);
    hp_pending_drop(&self->pending);
}

void hp_pairing_store(hp_pairing_t *pairing, hp_pairing_done_fn done, void *arg)
{
    hp_pairings_t *self = pairing->owner;
    store_job_t *job = hp_alloc(sizeof *job);
    *job = (store_job_t){.self = self, .done = done, .arg = arg};
    memcpy(job->host, pairing->session.other, sizeof job->host);
    pairing->storing = true;
    hp_pending_add(&self->pending);
    int rc = hp_hosts_set_pair(self->hosts, job->host, HP_PAIR_PAIRED, on_stored, job);
    if (rc != 0) {
        hp_err_t err;
        hp_err_set(&err, rc, "The host was removed");
        on_stored(job, rc, &err);
    }
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer)
{
    hp_pairings_t *self = timer->data;
    uint64_t now = hp_clock_ms();
    HP_LIST_EACH (link, &self->pairings) {
        hp_pairing_t *pairing = HP_CONTAINER(link, hp_pairing_t, link);
        if (pairing->ended_ms != 0 && now >= pairing->ended_ms + HP_PAIRING_KEPT_MS) {
            hp_pairing_drop(pairing);
            continue;
        }
        hp_pairing_session_t before = pairing->session;
        if (hp_pairing_session_tick(&before, now))
            hp_pairing_end(pairing, before.state, before.reason);
        else if (now >= pairing->session.ends_ms)
            pairing->step = 0;
        else if (pairing->step != 0 && pairing->request == NULL && hp_retry_is_due(&pairing->retry, now))
            hp_pairing_send_again(pairing);
    }
    hp_pairing_endings_run(self);
    hp_pairings_schedule(self);
}

static uint64_t next_of(const hp_pairing_t *pairing)
{
    uint64_t next =
        pairing->ended_ms != 0 ? pairing->ended_ms + HP_PAIRING_KEPT_MS : pairing->session.ends_ms;
    if (hp_pairing_session_is_agreed(&pairing->session))
        next = NEVER; /* the store's answer is the next thing */
    if (pairing->step != 0 && pairing->request == NULL)
        next = HP_MIN(next, pairing->retry.at);
    return next;
}

void hp_pairings_schedule(hp_pairings_t *self)
{
    if (self->closing)
        return;
    uint64_t next = hp_pairing_endings_next(self), now = hp_clock_ms();
    HP_LIST_EACH (link, &self->pairings)
        next = HP_MIN(next, next_of(HP_CONTAINER(link, hp_pairing_t, link)));
    if (next == NEVER)
        uv_timer_stop(&self->timer);
    else
        uv_timer_start(&self->timer, on_timer, next > now ? next - now : 1, 0);
}

/* ---- reading ---- */

static void fill(const hp_pairing_t *pairing, hp_pairing_info_t *info)
{
    const hp_pairing_session_t *session = &pairing->session;
    *info = (hp_pairing_info_t){.state = session->state,
                                .incoming = session->incoming,
                                .expires_at = pairing->expires_at,
                                .reason = session->reason};
    snprintf(info->host, sizeof info->host, "%s", session->other);
    if (session->state != HP_PAIRING_WAITING) /* before the other host has this one's nonce it knows none */
        snprintf(info->code, sizeof info->code, "%s", session->code);
}

size_t hp_pairings_count(const hp_pairings_t *self)
{
    return self->count;
}

void hp_pairings_at(const hp_pairings_t *self, size_t index, hp_pairing_info_t *info)
{
    HP_LIST_EACH (link, &self->pairings)
        if (index-- == 0)
            fill(HP_CONTAINER(link, hp_pairing_t, link), info);
}

bool hp_pairings_get(const hp_pairings_t *self, const char *host, hp_pairing_info_t *info)
{
    const hp_pairing_t *pairing = hp_pairing_find(self, host);
    if (pairing != NULL)
        fill(pairing, info);
    return pairing != NULL;
}

void hp_pairings_on_event(hp_pairings_t *self, hp_pairing_event_fn *fn, void *arg)
{
    hp_signal_add(&self->event, fn, arg);
}

void hp_pairings_off_event(hp_pairings_t *self, hp_pairing_event_fn *fn, void *arg)
{
    hp_signal_remove(&self->event, fn, arg);
}

/* ---- what a person here does ---- */

static int check_host(const hp_host_t *host, const char *id, hp_err_t *err)
{
    if (host == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "there is no host %s", id);
    if (!host->proven)
        return hp_err_set(err, HP_E_CONFLICT,
                          "This host has not proven who it is: only hosts that speak TLS can be paired");
    if (host->blocked)
        return hp_err_set(err, HP_E_CONFLICT, "This host is blocked: unblock it first");
    return 0;
}

int hp_pairings_begin(hp_pairings_t *self, const char *id, hp_err_t *err)
{
    const hp_host_t *host = hp_hosts_find(self->hosts, id);
    int rc = check_host(host, id, err);
    if (rc != 0)
        return rc;
    hp_pairing_t *pairing = hp_pairing_find(self, host->id);
    if (pairing != NULL && hp_pairing_session_is_open(&pairing->session))
        return 0;
    if (host->paired)
        return hp_err_set(err, HP_E_CONFLICT, "This host is paired already");
    uint8_t nonce[HP_PAIRING_NONCE_SIZE];
    rc = hp_pairing_nonce(nonce, err);
    if (rc != 0)
        return rc;
    pairing = hp_pairing_make(self, host->id, err);
    if (pairing == NULL)
        return HP_E_BUSY;
    hp_pairing_session_begin(&pairing->session, self->self->id, host->id, nonce, hp_clock_ms());
    hp_pairing_send(pairing, 1);
    hp_pairing_changed(pairing);
    return 0;
}

int hp_pairings_confirm(hp_pairings_t *self, const char *host, hp_err_t *err)
{
    hp_pairing_t *pairing = hp_pairing_find(self, host);
    if (pairing == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "There is no pairing with this host");
    bool again = pairing->session.confirmed_here;
    int rc = hp_pairing_session_confirm(&pairing->session, err);
    if (rc != 0 || again)
        return rc;
    hp_pairing_send(pairing, 3);
    if (hp_pairing_session_is_agreed(&pairing->session))
        hp_pairing_store(pairing, NULL, NULL);
    hp_pairing_changed(pairing);
    return 0;
}

typedef struct end_job {
    hp_pairings_t *self;
    char host[HP_PEER_ID_SIZE];
    bool here; /* a person here has ended it: the other host has to hear of it */
    hp_pairing_done_fn done;
    void *arg;
} end_job_t;

static void on_unpaired(void *arg, int status, const hp_err_t *err)
{
    end_job_t *job = arg;
    hp_pairings_t *self = job->self;
    if (status == 0 && job->here && !self->closing)
        hp_pairing_ending_add(self, job->host, true);
    if (status == 0)
        hp_log(HP_LOG_INFO, "%s (%.8s) is not paired any more", name_of(self, job->host), job->host);
    job->done(job->arg, status, err);
    free(job);
    hp_pending_drop(&self->pending);
}

static void unpair(hp_pairings_t *self, const char *host, bool here, hp_pairing_done_fn done, void *arg)
{
    end_job_t *job = hp_alloc(sizeof *job);
    *job = (end_job_t){.self = self, .here = here, .done = done, .arg = arg};
    snprintf(job->host, sizeof job->host, "%.32s", host);
    hp_pending_add(&self->pending);
    int rc = hp_hosts_set_pair(self->hosts, host, here ? HP_PAIR_ENDED : HP_PAIR_NONE, on_unpaired, job);
    if (rc != 0)
        on_unpaired(job, rc, NULL);
}

/* One that led to a pairing which is over. */
static void forget_paired(hp_pairings_t *self, const char *host)
{
    hp_pairing_t *pairing = hp_pairing_find(self, host);
    if (pairing == NULL || pairing->session.state != HP_PAIRING_PAIRED)
        return;
    hp_pairing_drop(pairing);
    hp_signal_emit(&self->event, host);
}

void hp_pairings_end(hp_pairings_t *self, const char *id, hp_pairing_done_fn done, void *arg)
{
    const hp_host_t *host = hp_hosts_find(self->hosts, id);
    hp_pairing_t *pairing = hp_pairing_find(self, id);
    hp_err_t err;
    if (host == NULL) {
        done(arg, hp_err_set(&err, HP_E_NOT_FOUND, "there is no host %s", id), &err);
        return;
    }
    if (pairing != NULL)
        hp_pairing_end(pairing, HP_PAIRING_REFUSED, "It was refused here");
    if (host->paired) {
        forget_paired(self, host->id);
        unpair(self, host->id, true, done, arg);
    } else {
        done(arg, 0, NULL);
    }
}

void hp_pairings_take_end(hp_pairings_t *self, const hp_who_t *who, hp_pairing_done_fn done, void *arg)
{
    const hp_host_t *host = hp_hosts_find(self->hosts, who->id);
    hp_pairing_t *pairing = hp_pairing_find(self, who->id);
    if (pairing != NULL && (hp_pairing_session_is_open(&pairing->session) || pairing->over_there)) {
        hp_pairing_request_drop(&pairing->request);
        pairing->step = 0;
        pairing->over_there = false;
        hp_pairing_session_set_state(&pairing->session, HP_PAIRING_REFUSED);
        snprintf(pairing->session.reason, sizeof pairing->session.reason, "It was refused on the other side");
        hp_pairing_changed(pairing);
    }
    hp_pairing_ending_remove(self, who->id);
    if (host != NULL && (host->paired || host->unpaired)) {
        forget_paired(self, host->id);
        unpair(self, host->id, false, done, arg);
    } else {
        done(arg, 0, NULL);
    }
}

/* ---- life ---- */

static void on_host(void *arg, hp_host_event_t event, const hp_host_t *host)
{
    hp_pairings_t *self = arg;
    hp_pairing_t *pairing = hp_pairing_find(self, host->id);
    if (event == HP_HOST_ONLINE) {
        hp_pairing_endings_wake(self, host->id);
    } else if (event == HP_HOST_REMOVED) {
        if (pairing != NULL)
            hp_pairing_drop(pairing);
        hp_pairing_ending_remove(self, host->id);
    } else if (event == HP_HOST_BLOCKED && pairing != NULL) {
        hp_pairing_end(pairing, HP_PAIRING_REFUSED, "The host was blocked here");
    }
}

hp_pairings_t *hp_pairings_create(uv_loop_t *loop, hp_fetcher_t *fetcher, hp_hosts_t *hosts,
                                  const hp_self_t *self)
{
    hp_pairings_t *made = hp_alloc(sizeof *made);
    *made = (hp_pairings_t){.loop = loop,
                            .fetcher = fetcher,
                            .hosts = hosts,
                            .self = self,
                            .begun = hp_rate_create(HP_PAIRINGS_AN_HOUR, 3600000, BEGINNERS)};
    hp_list_init(&made->pairings);
    hp_list_init(&made->endings);
    hp_list_init(&made->verifying);
    uv_timer_init(loop, &made->timer);
    made->timer.data = made;
    hp_hosts_on_event(hosts, on_host, made);
    return made;
}

void hp_pairings_start(hp_pairings_t *self)
{
    for (size_t i = 0; i < hp_hosts_count(self->hosts); i++) {
        const hp_host_t *host = hp_hosts_at(self->hosts, i);
        if (host->unpaired)
            hp_pairing_ending_add(self, host->id, true);
    }
}

static void finish(void *arg)
{
    hp_pairings_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    hp_signal_dispose(&self->event);
    hp_rate_destroy(self->begun);
    free(self);
    if (closed != NULL)
        closed(closed_arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_pairings_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

void hp_pairings_destroy(hp_pairings_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    hp_hosts_off_event(self->hosts, on_host, self);
    HP_LIST_EACH (link, &self->pairings)
        hp_pairing_drop(HP_CONTAINER(link, hp_pairing_t, link));
    HP_LIST_EACH (link, &self->endings)
        hp_pairing_ending_remove(self, HP_CONTAINER(link, hp_pairing_ending_t, link)->host);
    hp_pairing_asks_cancel(self);
    hp_pending_add(&self->pending);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
    hp_pending_when_none(&self->pending, finish, self);
}
