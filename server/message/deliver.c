/* What goes to other hosts. Each host for which something waits has an outbox, which sends the oldest of its
 * messages, writes down what became of it, and takes the next:
 *
 *     READY    waits for its turn: only so many outboxes are busy at a time
 *     LOADING  reads its oldest message from the database; there is none: the outbox goes
 *     SENDING  the request is out
 *     KEEPING  what became of the message is being written
 *     WAITING  for a time, or for the host to come online or to be let in again
 *
 * Nothing is lost when hostpair is killed in any of them: what the database calls queued is sent again, and
 * the receiver knows a message that it has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/retry.h"
#include "base/utf8.h"
#include "message/internal.h"

#define SENDING_MAX 32    /* outboxes that are busy at a time */
#define CONNECT_MS  3000  /* hosts on the same network */
#define TOTAL_MS    20000 /* the receiver may have to find out who we are first */
#define REPLY_MAX   4096  /* bytes of a reply's body */
#define DISK_MS     5000  /* after a write that failed */
#define NEVER       UINT64_MAX

/* state, its name in the log */
#define OUTBOX_STATES(X)                                                                                     \
    X(READY, "ready")     /* for its turn */                                                                 \
    X(LOADING, "loading") /* its oldest message */                                                           \
    X(SENDING, "sending") /* the request is out */                                                           \
    X(KEEPING, "keeping") /* what became of it */                                                            \
    X(WAITING, "waiting") /* for a time or the host */
typedef enum {
#define X(name, text) OUTBOX_##name,
    OUTBOX_STATES(X)
#undef X
} outbox_state_t;

static const char *const state_names[] = {
#define X(name, text) text,
    OUTBOX_STATES(X)
#undef X
};

struct hp_outbox {
    hp_outbox_t *next;
    hp_messages_t *self;
    char host[HP_HOST_ID_SIZE];
    outbox_state_t state;
    bool more; /* something may have been queued since the last look */
    hp_fetch_t *fetch;
    int64_t message;  /* the one that is being sent */
    hp_retry_t retry; /* its time while WAITING; NEVER: when the host is there again */
    bool patient;     /* the host said how long to wait */
    char reason[200]; /* what it waits for */
};

static const char offline[] = "it is offline";

static void run(hp_messages_t *self);

/* ---- states ---- */

static bool is_busy(outbox_state_t state)
{
    return state == OUTBOX_LOADING || state == OUTBOX_SENDING || state == OUTBOX_KEEPING;
}

static void set_state(hp_outbox_t *outbox, outbox_state_t state)
{
    hp_log(HP_LOG_DEBUG, "messages to %.8s: %s -> %s", outbox->host, state_names[outbox->state],
           state_names[state]);
    outbox->self->sending -= is_busy(outbox->state);
    outbox->self->sending += is_busy(state);
    outbox->state = state;
}

static void schedule(hp_messages_t *self)
{
    uint64_t next = NEVER, now = hp_clock_ms();
    for (const hp_outbox_t *outbox = self->outboxes; outbox != NULL; outbox = outbox->next)
        if (outbox->state == OUTBOX_WAITING)
            next = HP_MIN(next, outbox->retry.at);
    if (self->closing)
        return;
    if (next == NEVER)
        uv_timer_stop(&self->timer);
    else
        uv_timer_start(&self->timer, hp_outbox_on_timer, next > now ? next - now : 0, 0);
}

static void wait_until(hp_outbox_t *outbox, uint64_t retry_at, const char *reason)
{
    set_state(outbox, OUTBOX_WAITING);
    outbox->retry.at = retry_at;
    snprintf(outbox->reason, sizeof outbox->reason, "%s", reason);
    hp_utf8_cut(outbox->reason);
    schedule(outbox->self);
}

static hp_outbox_t *find(const hp_messages_t *self, const char *host)
{
    hp_outbox_t *outbox = self->outboxes;
    while (outbox != NULL && strcmp(outbox->host, host) != 0)
        outbox = outbox->next;
    return outbox;
}

/* Nothing waits for the host any more. */
static void remove_outbox(hp_outbox_t *outbox)
{
    hp_messages_t *self = outbox->self;
    self->sending -= is_busy(outbox->state);
    hp_outbox_t **at = &self->outboxes;
    while (*at != outbox)
        at = &(*at)->next;
    *at = outbox->next;
    if (!self->closing)
        hp_hosts_set_waiting(self->hosts, outbox->host, HP_WAIT_MESSAGE, false);
    free(outbox);
}

static void retry(hp_outbox_t *outbox, int retry_after_s, const char *reason)
{
    const hp_messages_times_t *times = &outbox->self->times;
    const hp_retry_policy_t policy = {
        .first_ms = times->backoff, .max_ms = times->backoff_max, .jitter = HP_RETRY_JITTER};
    uint64_t now = hp_clock_ms();
    outbox->patient = retry_after_s >= 0;
    if (outbox->patient)
        hp_retry_asked_to_wait(&outbox->retry, &policy, now, (uint64_t)retry_after_s * 1000);
    else
        hp_retry_failed(&outbox->retry, &policy, now);
    wait_until(outbox, outbox->retry.at, reason);
    hp_messages_emit(outbox->self, HP_MESSAGE_CHANGED, outbox->message);
}

/* ---- what became of it ---- */

typedef struct keep_job {
    hp_outbox_t *outbox;
    char host[HP_HOST_ID_SIZE];
    int64_t message; /* 0: all that wait for the host */
    hp_delivery_state_t state;
    char reason[200];
    int64_t now;
    HP_ARRAY(int64_t) ids; /* of the messages that changed */
} keep_job_t;

static void add_id(void *arg, const hp_db_delivery_t *delivery)
{
    keep_job_t *job = arg;
    *hp_array_add(&job->ids) = delivery->message;
}

static int work_keep(hp_db_t *db, void *arg, hp_err_t *err)
{
    keep_job_t *job = arg;
    hp_db_delivery_t delivery = {.message = job->message, .host = job->host};
    int rc = 0;
    if (job->message == 0)
        rc = hp_db_delivery_each_queued(db, job->host, add_id, job, err);
    else
        add_id(job, &delivery);
    delivery.state = job->state;
    delivery.reason = job->reason;
    delivery.at = job->now;
    for (size_t i = 0; rc == 0 && i < job->ids.count; i++) {
        delivery.message = job->ids.items[i];
        rc = hp_db_delivery_finish(db, &delivery, err);
        if (rc == HP_E_NOT_FOUND) /* removed by a person meanwhile */
            rc = 0;
    }
    return rc;
}

static void on_kept(void *arg, int status, const hp_err_t *err)
{
    keep_job_t *job = arg;
    hp_outbox_t *outbox = job->outbox;
    hp_messages_t *self = outbox->self;
    if (status == 0) {
        outbox->retry.failures = 0;
        set_state(outbox, OUTBOX_READY);
        for (size_t i = 0; i < job->ids.count; i++)
            hp_messages_emit(self, HP_MESSAGE_CHANGED, job->ids.items[i]);
    } else {
        hp_log(HP_LOG_ERROR, "what became of a message cannot be written: %s", hp_err_text(err));
        wait_until(outbox, hp_clock_ms() + DISK_MS, "the database cannot be written");
    }
    hp_array_dispose(&job->ids);
    free(job);
    if (self->closing)
        remove_outbox(outbox);
    else
        run(self);
}

static void keep(hp_outbox_t *outbox, int64_t message, hp_delivery_state_t state, const char *reason)
{
    set_state(outbox, OUTBOX_KEEPING);
    keep_job_t *job = hp_alloc(sizeof *job);
    *job = (keep_job_t){.outbox = outbox, .message = message, .state = state, .now = hp_clock_wall_ms()};
    memcpy(job->host, outbox->host, sizeof job->host);
    snprintf(job->reason, sizeof job->reason, "%s", reason);
    hp_utf8_cut(job->reason);
    hp_messages_post(outbox->self, HP_STORE_WRITE, work_keep, on_kept, job);
}

/* ---- sending ---- */

/* What the other side says, fit for a person: the first line, printable, at most so much. */
static char *first_line(const hp_fetch_reply_t *reply, char out[120])
{
    size_t length = 0;
    while (length < reply->length && reply->body[length] != '\n' && reply->body[length] != '\r')
        length++;
    return hp_utf8_printable(reply->body, length, out, 120);
}

static void judge(hp_outbox_t *outbox, const hp_fetch_reply_t *reply)
{
    char said[120], reason[200];
    int status = reply->head.status;
    first_line(reply, said);
    const char *colon = said[0] != '\0' ? ": " : "";
    if (status >= 200 && status < 300) {
        hp_hosts_report(outbox->self->hosts, outbox->host, true);
        keep(outbox, outbox->message, HP_DELIVERY_DELIVERED, "");
    } else if (status == 429 || status == 503) {
        retry(outbox, reply->head.retry_after_s, "it asks to wait before the next one");
    } else if (status == 421) {
        /* Another host has the address now; a probe will tell. */
        hp_hosts_report(outbox->self->hosts, outbox->host, false);
        retry(outbox, -1, "another host answers at its address");
    } else if (status >= 500 || status == 408 || status == 425) {
        snprintf(reason, sizeof reason, "it answered %d%s%s", status, colon, said);
        retry(outbox, reply->head.retry_after_s, reason);
    } else {
        if (status == 404 || status == 405)
            snprintf(reason, sizeof reason, "it takes no messages");
        else
            snprintf(reason, sizeof reason, "it refused the message (%d)%s%s", status, colon, said);
        keep(outbox, outbox->message, HP_DELIVERY_FAILED, reason);
    }
}

static void on_reply(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    hp_outbox_t *outbox = arg;
    hp_messages_t *self = outbox->self;
    outbox->fetch = NULL;
    if (self->closing) {
        remove_outbox(outbox);
    } else if (status == UV_ECANCELED) { /* the host was removed */
        set_state(outbox, OUTBOX_READY);
    } else if (status != 0) {
        hp_hosts_report(self->hosts, outbox->host, false);
        retry(outbox, -1, hp_err_text(err));
    } else {
        judge(outbox, reply);
    }
    if (!self->closing)
        run(self);
    hp_pending_drop(&self->pending);
}

static void send_message(hp_outbox_t *outbox, const hp_message_t *message, const hp_host_t *host)
{
    hp_messages_t *self = outbox->self;
    hp_message_body_t body = {.text = message->text,
                              .sent_at = message->sent_at,
                              .has_offer = message->has_offer,
                              .offer = message->offer};
    snprintf(body.uid, sizeof body.uid, "%s", message->uid);
    snprintf(body.from, sizeof body.from, "%.32s", self->self->id);
    snprintf(body.to, sizeof body.to, "%.32s", strlen(host->id) == 32 ? host->id : "");
    snprintf(body.name, sizeof body.name, "%s", message->from_name);
    char *text = hp_message_body_format(&body);
    /* Another address after each failure: the registry's first one answered last, but that may be over. */
    hp_hosts_question_t question = {.method = "POST",
                                    .path = "/message",
                                    .body = text,
                                    .address = outbox->retry.failures,
                                    .reply_max = REPLY_MAX,
                                    .connect_ms = CONNECT_MS,
                                    .total_ms = TOTAL_MS};
    set_state(outbox, OUTBOX_SENDING);
    outbox->reason[0] = '\0';
    outbox->message = message->id;
    hp_pending_add(&self->pending);
    outbox->fetch = hp_hosts_ask(self->hosts, host, &question, on_reply, outbox);
    free(text);
}

/* ---- the next message ---- */

typedef struct load_job {
    hp_outbox_t *outbox;
    char host[HP_HOST_ID_SIZE];
    hp_message_t message;
} load_job_t;

static void copy_row(void *arg, const hp_db_message_t *row)
{
    hp_message_copy(arg, row);
}

static int work_load(hp_db_t *db, void *arg, hp_err_t *err)
{
    load_job_t *job = arg;
    int64_t id;
    int rc = hp_db_delivery_next(db, job->host, &id, err);
    return rc != 0 ? rc : hp_db_message_get(db, id, copy_row, &job->message, err);
}

static bool can_be_reached(const hp_host_t *host)
{
    return host->online && !host->blocked && host->address_count > 0;
}

static void on_loaded(void *arg, int status, const hp_err_t *err)
{
    load_job_t *job = arg;
    hp_outbox_t *outbox = job->outbox;
    hp_messages_t *self = outbox->self;
    const hp_host_t *host = self->closing ? NULL : hp_hosts_find(self->hosts, outbox->host);
    if (self->closing || (status == HP_E_NOT_FOUND && !outbox->more)) {
        remove_outbox(outbox);
    } else if (status == HP_E_NOT_FOUND || (status == 0 && (host == NULL || !can_be_reached(host)))) {
        outbox->more = true;
        set_state(outbox, OUTBOX_READY);
    } else if (status != 0) {
        hp_log(HP_LOG_ERROR, "a message that waits cannot be read: %s", hp_err_text(err));
        wait_until(outbox, hp_clock_ms() + DISK_MS, "the database cannot be read");
    } else {
        send_message(outbox, &job->message, host);
    }
    hp_message_dispose(&job->message);
    free(job);
    if (!self->closing)
        run(self);
}

static void load(hp_outbox_t *outbox)
{
    set_state(outbox, OUTBOX_LOADING);
    outbox->more = false;
    load_job_t *job = hp_alloc(sizeof *job);
    job->outbox = outbox;
    memcpy(job->host, outbox->host, sizeof job->host);
    /* Not as a read, which would see what is not committed yet and may be taken back. */
    hp_messages_post(outbox->self, HP_STORE_WRITE, work_load, on_loaded, job);
}

static void begin(hp_outbox_t *outbox)
{
    const hp_host_t *host = hp_hosts_find(outbox->self->hosts, outbox->host);
    if (host == NULL && outbox->more) {
        outbox->more = false;
        keep(outbox, 0, HP_DELIVERY_FAILED, "the host was removed here");
    } else if (host == NULL) {
        load(outbox); /* finds nothing */
    } else if (host->blocked) {
        wait_until(outbox, NEVER, "it is blocked here");
    } else if (!can_be_reached(host)) {
        wait_until(outbox, NEVER, offline);
    } else {
        load(outbox);
    }
}

/* Neither begin nor what it calls removes an outbox. */
static void run(hp_messages_t *self)
{
    for (hp_outbox_t *outbox = self->outboxes; outbox != NULL && self->started && self->sending < SENDING_MAX;
         outbox = outbox->next)
        if (outbox->state == OUTBOX_READY)
            begin(outbox);
}

/* ---- what others tell ---- */

void hp_outbox_wake(hp_messages_t *self, const char *host)
{
    if (self->closing)
        return;
    hp_outbox_t *outbox = find(self, host);
    if (outbox == NULL) {
        hp_outbox_t **end = &self->outboxes;
        while (*end != NULL)
            end = &(*end)->next;
        *end = outbox = hp_alloc(sizeof *outbox);
        outbox->self = self;
        snprintf(outbox->host, sizeof outbox->host, "%s", host);
        hp_hosts_set_waiting(self->hosts, host, HP_WAIT_MESSAGE, true);
    }
    outbox->more = true;
    run(self);
}

static void on_removed(hp_outbox_t *outbox)
{
    if (outbox->fetch != NULL)
        hp_fetch_cancel(outbox->fetch);
    else if (outbox->state == OUTBOX_WAITING)
        set_state(outbox, OUTBOX_READY);
}

/* What waits for the host is stored under its new id already; what is under way for the old one goes on. */
static void on_renamed(hp_messages_t *self, const hp_host_t *host)
{
    hp_outbox_t *old = find(self, host->former_id), *known = find(self, host->id);
    hp_messages_look_at_unread(self);
    if (old == NULL)
        return;
    if (known != NULL && !is_busy(known->state))
        remove_outbox(known);
    memcpy(old->host, host->id, sizeof old->host);
    hp_hosts_set_waiting(self->hosts, old->host, HP_WAIT_MESSAGE, true);
    old->more = true;
    old->retry.failures = 0;
    if (old->state == OUTBOX_WAITING)
        set_state(old, OUTBOX_READY);
    run(self);
}

void hp_outbox_on_host(void *arg, hp_host_event_t event, const hp_host_t *host)
{
    hp_messages_t *self = arg;
    hp_outbox_t *outbox = find(self, host->id);
    if (event == HP_HOST_RENAMED) {
        on_renamed(self, host);
        return;
    }
    if (outbox == NULL)
        return;
    if (event == HP_HOST_REMOVED) {
        on_removed(outbox);
    } else if (event == HP_HOST_ONLINE && !outbox->patient) {
        outbox->retry.failures = 0;
        outbox->retry.at = NEVER;
    } else if (event == HP_HOST_OFFLINE && outbox->state == OUTBOX_WAITING && !outbox->patient) {
        wait_until(outbox, NEVER, offline);
        hp_messages_emit(self, HP_MESSAGE_CHANGED, outbox->message);
    }
    /* Looks again: it can be reached now, or the reason has become another one. */
    if (outbox->state == OUTBOX_WAITING && outbox->retry.at == NEVER)
        set_state(outbox, OUTBOX_READY);
    run(self);
}

void hp_outbox_on_timer(uv_timer_t *timer)
{
    hp_messages_t *self = timer->data;
    uint64_t now = hp_clock_ms();
    for (hp_outbox_t *outbox = self->outboxes; outbox != NULL; outbox = outbox->next) {
        if (outbox->state == OUTBOX_WAITING && outbox->retry.at <= now) {
            outbox->patient = false;
            set_state(outbox, OUTBOX_READY);
        }
    }
    run(self);
    schedule(self);
}

void hp_outbox_reason(const hp_messages_t *self, const char *host, char *out, size_t size)
{
    const hp_outbox_t *outbox = find(self, host);
    const char *reason = outbox != NULL && outbox->state == OUTBOX_WAITING ? outbox->reason : "";
    snprintf(out, size, "%s", reason);
}

void hp_outbox_stop(hp_messages_t *self)
{
    for (hp_outbox_t *outbox = self->outboxes, *next; outbox != NULL; outbox = next) {
        next = outbox->next;
        if (outbox->fetch != NULL)
            hp_fetch_cancel(outbox->fetch);
        else if (!is_busy(outbox->state))
            remove_outbox(outbox);
    }
}
