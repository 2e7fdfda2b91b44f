/* The life of the owner, and what people here ask for: send, read, list, remove, try again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "message/internal.h"

#define SENDERS 1024 /* whose messages are counted for HP_MESSAGES_A_MINUTE */

static const hp_messages_times_t default_times = {.backoff = 1000, .backoff_max = 60000};

static void finish(void *arg)
{
    hp_messages_t *self = arg;
    hp_rate_destroy(self->rate);
    free(self->unread.items);
    hp_signal_dispose(&self->event);
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self);
    if (closed != NULL)
        closed(closed_arg);
}

void hp_messages_post(hp_messages_t *self, hp_store_kind_t kind, hp_store_work_fn work, hp_store_done_fn done,
                      void *arg)
{
    hp_store_post_counted(self->store, &self->pending, kind, work, done, arg);
}

void hp_messages_emit(hp_messages_t *self, hp_message_event_t event, int64_t id)
{
    if (!self->closing)
        hp_signal_emit(&self->event, event, id);
}

void hp_messages_on_event(hp_messages_t *self, hp_message_event_fn *fn, void *arg)
{
    hp_signal_add(&self->event, fn, arg);
}

void hp_messages_off_event(hp_messages_t *self, hp_message_event_fn *fn, void *arg)
{
    hp_signal_remove(&self->event, fn, arg);
}

/* ---- sending ---- */

typedef struct send_job {
    hp_messages_t *self;
    char uid[33], from[HP_HOST_ID_SIZE], name[HP_MESSAGE_NAME_SIZE], to[HP_HOST_ID_SIZE];
    char *text;
    hp_message_offer_t offer; /* path NULL: none */
    int64_t now;
    char (*recipients)[HP_HOST_ID_SIZE];
    size_t recipient_count;
    hp_err_t refused; /* code 0: it may be sent */
    hp_message_t message;
    hp_unread_list_t unread; /* forgetting old messages may change it */
    hp_message_fn done;
    void *arg;
} send_job_t;

static bool takes_messages(const hp_host_t *host)
{
    return host->protocol >= 1 && !host->blocked;
}

static void add_recipient(send_job_t *job, const char *host)
{
    memcpy(job->recipients[job->recipient_count++], host, HP_HOST_ID_SIZE);
}

static int choose_recipients(send_job_t *job, hp_err_t *err)
{
    hp_hosts_t *hosts = job->self->hosts;
    bool everyone = strcmp(job->to, HP_MESSAGE_EVERYONE) == 0;
    size_t count = everyone ? hp_hosts_count(hosts) : 1;
    job->recipients = hp_alloc_array(count, sizeof *job->recipients);
    for (size_t i = 0; everyone && i < count; i++) {
        const hp_host_t *host = hp_hosts_at(hosts, i);
        if (takes_messages(host))
            add_recipient(job, host->id);
    }
    if (everyone)
        return 0;
    const hp_host_t *host = hp_hosts_find(hosts, job->to);
    if (host == NULL)
        return hp_err_set(err, HP_E_INVALID, "to: this host is not known");
    if (host->blocked)
        return hp_err_set(err, HP_E_CONFLICT, "That host is blocked: let it in again first");
    if (!takes_messages(host))
        return hp_err_set(err, HP_E_CONFLICT, "That host is a plain web server, which takes no messages");
    add_recipient(job, host->id);
    return 0;
}

static int work_send(hp_db_t *db, void *arg, hp_err_t *err)
{
    send_job_t *job = arg;
    if (job->refused.code != 0) {
        if (err != NULL)
            *err = job->refused;
        return job->refused.code;
    }
    hp_db_message_t row = {.uid = job->uid,
                           .host = job->from,
                           .name = job->name,
                           .recipient = job->to,
                           .text = job->text,
                           .sent_at = job->now,
                           .received_at = job->now,
                           .offer_path = job->offer.path,
                           .offer_size = job->offer.size,
                           .offer_root = job->offer.root[0] != '\0' ? job->offer.root : NULL};
    bool existing;
    int rc = hp_db_message_add(db, &row, &existing, err);
    for (size_t i = 0; rc == 0 && i < job->recipient_count; i++) {
        hp_db_delivery_t delivery = {.message = row.id,
                                     .host = job->recipients[i],
                                     .state = HP_DELIVERY_QUEUED,
                                     .reason = "",
                                     .at = job->now};
        rc = hp_db_delivery_set(db, &delivery, err);
    }
    if (rc == 0)
        rc = hp_db_message_prune(db, HP_MESSAGES_KEPT, err);
    if (rc == 0)
        rc = hp_unread_load(db, &job->unread, err);
    return rc != 0 ? rc : hp_message_load(db, row.id, &job->message, err);
}

static void on_sent(void *arg, int status, const hp_err_t *err)
{
    send_job_t *job = arg;
    hp_messages_t *self = job->self;
    for (size_t i = 0; status == 0 && i < job->recipient_count; i++)
        hp_outbox_wake(self, job->recipients[i]);
    job->done(job->arg, status, status == 0 ? &job->message : NULL, err);
    if (status == 0) {
        hp_unread_take(self, &job->unread);
        hp_messages_emit(self, HP_MESSAGE_CHANGED, job->message.id);
    }
    free(job->unread.items);
    hp_message_dispose(&job->message);
    free(job->text);
    free(job->offer.path);
    free(job->recipients);
    free(job);
}

static int check_send(send_job_t *job, hp_err_t *err)
{
    uint8_t random[16];
    int rc = hp_message_check_text(job->text, strlen(job->text), job->offer.path != NULL, err);
    if (rc == 0)
        rc = choose_recipients(job, err);
    if (rc == 0 && (rc = uv_random(NULL, NULL, random, sizeof random, 0, NULL)) != 0)
        hp_err_set(err, rc, "no random numbers: %s", uv_strerror(rc));
    if (rc == 0)
        hp_hex_encode(random, sizeof random, job->uid);
    return rc;
}

void hp_messages_send(hp_messages_t *self, const char *to, const char *text, const hp_message_offer_t *offer,
                      hp_message_fn done, void *arg)
{
    send_job_t *job = hp_alloc(sizeof *job);
    *job = (send_job_t){
        .self = self, .text = hp_strdup(text), .now = hp_clock_wall_ms(), .done = done, .arg = arg};
    snprintf(job->from, sizeof job->from, "%s", self->self->id);
    snprintf(job->name, sizeof job->name, "%s", self->self->name);
    snprintf(job->to, sizeof job->to, "%s", to);
    if (offer != NULL) {
        job->offer = *offer;
        job->offer.path = hp_strdup(offer->path);
    }
    int rc = check_send(job, &job->refused);
    job->refused.code = rc;
    hp_messages_post(self, rc == 0 ? HP_STORE_WRITE_SYNCED : HP_STORE_READ, work_send, on_sent, job);
}

/* ---- one message ---- */

typedef struct one_job {
    hp_messages_t *self;
    int64_t id, now, retried;
    hp_message_t message;
    hp_message_fn done;
    void *arg;
} one_job_t;

static one_job_t *make_one(hp_messages_t *self, int64_t id, hp_message_fn done, void *arg)
{
    one_job_t *job = hp_alloc(sizeof *job);
    *job = (one_job_t){.self = self, .id = id, .now = hp_clock_wall_ms(), .done = done, .arg = arg};
    return job;
}

static int work_get(hp_db_t *db, void *arg, hp_err_t *err)
{
    one_job_t *job = arg;
    return hp_message_load(db, job->id, &job->message, err);
}

/* What a queued delivery waits for is known here, not in the database. */
static void fill_reasons(const hp_messages_t *self, hp_message_t *message)
{
    for (size_t i = 0; i < message->delivery_count; i++) {
        hp_message_delivery_t *delivery = &message->deliveries[i];
        if (delivery->state == HP_DELIVERY_QUEUED)
            hp_outbox_reason(self, delivery->host, delivery->reason, sizeof delivery->reason);
    }
}

static void on_got(void *arg, int status, const hp_err_t *err)
{
    one_job_t *job = arg;
    hp_messages_t *self = job->self;
    fill_reasons(self, &job->message);
    job->done(job->arg, status, status == 0 ? &job->message : NULL, err);
    hp_message_dispose(&job->message);
    free(job);
}

void hp_messages_get(hp_messages_t *self, int64_t id, hp_message_fn done, void *arg)
{
    hp_messages_post(self, HP_STORE_READ, work_get, on_got, make_one(self, id, done, arg));
}

static int work_retry(hp_db_t *db, void *arg, hp_err_t *err)
{
    one_job_t *job = arg;
    int rc = hp_db_delivery_retry(db, job->id, job->now, &job->retried, err);
    return rc != 0 ? rc : hp_message_load(db, job->id, &job->message, err);
}

static void on_retried(void *arg, int status, const hp_err_t *err)
{
    one_job_t *job = arg;
    hp_messages_t *self = job->self;
    for (size_t i = 0; i < job->message.delivery_count; i++)
        if (status == 0 && job->retried > 0 && job->message.deliveries[i].state == HP_DELIVERY_QUEUED)
            hp_outbox_wake(self, job->message.deliveries[i].host);
    if (status == 0 && job->retried > 0)
        hp_messages_emit(self, HP_MESSAGE_CHANGED, job->id);
    on_got(job, status, err);
}

void hp_messages_retry(hp_messages_t *self, int64_t id, hp_message_fn done, void *arg)
{
    hp_messages_post(self, HP_STORE_WRITE, work_retry, on_retried, make_one(self, id, done, arg));
}

/* ---- the list ---- */

typedef struct list_job {
    hp_messages_t *self;
    char with[HP_HOST_ID_SIZE]; /* "" all */
    int64_t before;
    size_t limit, count;
    bool more;
    hp_message_t *messages; /* newest first until they are turned round */
    hp_messages_list_fn done;
    void *arg;
} list_job_t;

static void add_listed(void *arg, const hp_db_message_t *row)
{
    list_job_t *job = arg;
    job->more = job->count == job->limit;
    if (!job->more)
        hp_message_copy(&job->messages[job->count++], row);
}

static int work_list(hp_db_t *db, void *arg, hp_err_t *err)
{
    list_job_t *job = arg;
    job->messages = hp_alloc_array(job->limit, sizeof *job->messages);
    int rc = hp_db_message_each(db, job->with[0] != '\0' ? job->with : NULL, job->before, job->limit + 1,
                                add_listed, job, err);
    for (size_t i = 0; rc == 0 && i < job->count; i++)
        rc = hp_message_load_deliveries(db, &job->messages[i], err);
    for (size_t i = 0; i < job->count / 2; i++) {
        hp_message_t swap = job->messages[i];
        job->messages[i] = job->messages[job->count - 1 - i];
        job->messages[job->count - 1 - i] = swap;
    }
    return rc;
}

static void on_listed(void *arg, int status, const hp_err_t *err)
{
    list_job_t *job = arg;
    hp_messages_t *self = job->self;
    for (size_t i = 0; i < job->count; i++)
        fill_reasons(self, &job->messages[i]);
    job->done(job->arg, status, job->messages, job->count, job->more, err);
    for (size_t i = 0; i < job->count; i++)
        hp_message_dispose(&job->messages[i]);
    free(job->messages);
    free(job);
}

void hp_messages_list(hp_messages_t *self, const char *with, int64_t before, size_t limit,
                      hp_messages_list_fn done, void *arg)
{
    list_job_t *job = hp_alloc(sizeof *job);
    *job = (list_job_t){.self = self, .before = before, .limit = limit, .done = done, .arg = arg};
    snprintf(job->with, sizeof job->with, "%s", with != NULL ? with : "");
    hp_messages_post(self, HP_STORE_READ, work_list, on_listed, job);
}

/* ---- reading and removing ---- */

typedef struct change_job {
    hp_messages_t *self;
    char with[HP_HOST_ID_SIZE]; /* "" any */
    int64_t id;                 /* that is removed, or read up to */
    bool remove;
    hp_unread_list_t unread;
    hp_messages_done_fn done;
    void *arg;
} change_job_t;

static int work_change(hp_db_t *db, void *arg, hp_err_t *err)
{
    change_job_t *job = arg;
    int rc = job->remove ? hp_db_message_remove(db, job->id, err)
                         : hp_db_message_read(db, job->with[0] != '\0' ? job->with : NULL, job->id, err);
    return rc != 0 ? rc : hp_unread_load(db, &job->unread, err);
}

static void on_change(void *arg, int status, const hp_err_t *err)
{
    change_job_t *job = arg;
    hp_messages_t *self = job->self;
    if (status == 0)
        hp_unread_take(self, &job->unread);
    if (status == 0 && job->remove)
        hp_messages_emit(self, HP_MESSAGE_REMOVED, job->id);
    job->done(job->arg, status, err);
    free(job->unread.items);
    free(job);
}

static void post_change(hp_messages_t *self, const char *with, int64_t id, bool remove,
                        hp_messages_done_fn done, void *arg)
{
    change_job_t *job = hp_alloc(sizeof *job);
    *job = (change_job_t){.self = self, .id = id, .remove = remove, .done = done, .arg = arg};
    snprintf(job->with, sizeof job->with, "%s", with != NULL ? with : "");
    hp_messages_post(self, HP_STORE_WRITE_SYNCED, work_change, on_change, job);
}

void hp_messages_read(hp_messages_t *self, const char *with, int64_t up_to, hp_messages_done_fn done,
                      void *arg)
{
    post_change(self, with, up_to, false, done, arg);
}

void hp_messages_remove(hp_messages_t *self, int64_t id, hp_messages_done_fn done, void *arg)
{
    post_change(self, NULL, id, true, done, arg);
}

/* ---- life ---- */

static int work_unread(hp_db_t *db, void *arg, hp_err_t *err)
{
    return hp_unread_load(db, arg, err);
}

typedef struct look_job {
    hp_messages_t *self;
    hp_unread_list_t unread;
} look_job_t;

static int work_look(hp_db_t *db, void *arg, hp_err_t *err)
{
    return hp_unread_load(db, &((look_job_t *)arg)->unread, err);
}

static void on_looked(void *arg, int status, const hp_err_t *err)
{
    look_job_t *job = arg;
    if (status == 0)
        hp_unread_take(job->self, &job->unread);
    else
        hp_log(HP_LOG_ERROR, "what is unread cannot be counted: %s", hp_err_text(err));
    free(job->unread.items);
    free(job);
}

void hp_messages_look_at_unread(hp_messages_t *self)
{
    look_job_t *job = hp_alloc(sizeof *job);
    job->self = self;
    hp_messages_post(self, HP_STORE_READ, work_look, on_looked, job);
}

int hp_messages_create(hp_messages_t **out, uv_loop_t *loop, hp_store_t *store, hp_fetcher_t *fetcher,
                       hp_hosts_t *hosts, const hp_self_t *self_, hp_err_t *err)
{
    hp_unread_list_t unread = {.items = NULL};
    *out = NULL;
    int rc = hp_store_run_now(store, HP_STORE_READ, work_unread, &unread, err);
    if (rc != 0) {
        hp_err_prefix(err, "reading the messages: ");
        free(unread.items);
        return rc;
    }
    hp_messages_t *self = hp_alloc(sizeof *self);
    *self = (hp_messages_t){.loop = loop,
                            .store = store,
                            .fetcher = fetcher,
                            .hosts = hosts,
                            .self = self_,
                            .times = default_times,
                            .unread = unread,
                            .rate = hp_rate_create(HP_MESSAGES_A_MINUTE, 60000, SENDERS)};
    uv_timer_init(loop, &self->timer);
    self->timer.data = self;
    hp_hosts_on_event(hosts, hp_outbox_on_host, self);
    *out = self;
    return 0;
}

void hp_messages_set_times(hp_messages_t *self, const hp_messages_times_t *times)
{
    self->times = *times;
}

/* The hosts for which something was waiting when hostpair ended, one job each: there are few. */
typedef struct resume_job {
    hp_messages_t *self;
    char host[HP_HOST_ID_SIZE];
} resume_job_t;

static int work_resume(hp_db_t *db, void *arg, hp_err_t *err)
{
    resume_job_t *job = arg;
    char next[HP_HOST_ID_SIZE];
    int rc = hp_db_delivery_next_host(db, job->host, next, sizeof next, err);
    if (rc == 0)
        memcpy(job->host, next, sizeof next);
    return rc;
}

static void on_resume(void *arg, int status, const hp_err_t *err)
{
    resume_job_t *job = arg;
    hp_messages_t *self = job->self;
    if (status == 0 && !self->closing) {
        hp_outbox_wake(self, job->host);
        hp_messages_post(self, HP_STORE_READ, work_resume, on_resume, job);
    } else {
        if (status != 0 && status != HP_E_NOT_FOUND)
            hp_log(HP_LOG_ERROR, "the messages that wait cannot be read: %s", hp_err_text(err));
        free(job);
    }
}

void hp_messages_start(hp_messages_t *self)
{
    self->started = true;
    resume_job_t *job = hp_alloc(sizeof *job);
    job->self = self;
    hp_messages_post(self, HP_STORE_READ, work_resume, on_resume, job);
}

static void on_timer_closed(uv_handle_t *handle)
{
    hp_messages_t *self = handle->data;
    hp_pending_drop(&self->pending);
}

void hp_messages_destroy(hp_messages_t *self, void (*closed)(void *arg), void *arg)
{
    self->closing = true;
    self->closed = closed;
    self->closed_arg = arg;
    hp_hosts_off_event(self->hosts, hp_outbox_on_host, self);
    hp_accept_stop(self);
    hp_outbox_stop(self);
    hp_pending_add(&self->pending);
    uv_close((uv_handle_t *)&self->timer, on_timer_closed);
    hp_pending_when_none(&self->pending, finish, self);
}
