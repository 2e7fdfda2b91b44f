/* What other hosts send. A message is kept only when the host that it names has proven, on the connection by
 * which it came, that it is that host. A host that is not known yet is looked up where it says that it
 * listens, so that an answer finds it. Hosts that cannot prove who they are (hostpair 0.1) are refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/options.h"
#include "message/internal.h"

#define ACCEPTING_MAX 64   /* posts at a time that are being verified or stored */
#define PENDING_MAX   1000 /* jobs in the store; with more of them a message is asked for again */
#define PRUNE_EVERY   64   /* messages */

typedef struct hp_verifying verifying_t;

typedef struct accept {
    hp_messages_t *self;
    hp_who_t who;
    uint16_t port; /* where it says that it listens; 0: it does not */
    hp_message_body_t body;
    char name[HP_MESSAGE_NAME_SIZE];
    int64_t received_at, id;
    bool existing;
    hp_unread_list_t unread;
    hp_messages_accept_fn done;
    void *arg;
} accept_t;

/* A question to the registry that cannot be taken back: its answer may come after the request has ended. */
struct hp_verifying {
    accept_t *accept; /* NULL: the request has ended */
    verifying_t *next, **link;
};

static void end(accept_t *accept, int status, const hp_err_t *err)
{
    hp_messages_t *self = accept->self;
    accept->done(accept->arg, status, status == HP_E_BUSY ? 1 : 0, err);
    hp_message_body_dispose(&accept->body);
    free(accept->unread.items);
    free(accept);
    self->accepting--;
    hp_pending_drop(&self->pending);
}

/* ---- storing ---- */

static int work_store(hp_db_t *db, void *arg, hp_err_t *err)
{
    accept_t *accept = arg;
    const hp_message_body_t *body = &accept->body;
    hp_db_message_t row = {.uid = body->uid,
                           .host = body->from,
                           .name = accept->name,
                           .recipient = accept->self->self->id,
                           .incoming = true,
                           .unread = true,
                           .text = body->text,
                           .sent_at = body->sent_at,
                           .received_at = accept->received_at,
                           .offer_path = body->offer.path,
                           .offer_size = body->offer.size,
                           .offer_root = body->offer.root[0] != '\0' ? body->offer.root : NULL};
    int rc = hp_db_message_add(db, &row, &accept->existing, err);
    if (rc != 0 || accept->existing)
        return rc;
    accept->id = row.id;
    if (row.id % PRUNE_EVERY == 0) {
        rc = hp_db_message_prune_host(db, row.host, HP_MESSAGES_KEPT_HOST, err);
        if (rc == 0)
            rc = hp_db_message_prune(db, HP_MESSAGES_KEPT, err);
    }
    return rc != 0 ? rc : hp_unread_load(db, &accept->unread, err);
}

static void on_stored(void *arg, int status, const hp_err_t *err)
{
    accept_t *accept = arg;
    hp_messages_t *self = accept->self;
    if (status == 0 && !accept->existing) {
        hp_unread_take(self, &accept->unread);
        hp_messages_emit(self, HP_MESSAGE_CHANGED, accept->id);
    }
    end(accept, status, err);
}

static void store(accept_t *accept, const hp_host_t *host)
{
    hp_messages_t *self = accept->self;
    const char *name = accept->body.name[0] != '\0' ? accept->body.name : host->name;
    snprintf(accept->name, sizeof accept->name, "%s", name);
    hp_hosts_report(self->hosts, host->id, true);
    hp_store_post(self->store, HP_STORE_WRITE_SYNCED, work_store, on_stored, accept);
}

/* ---- who sends it ---- */

static void refuse(accept_t *accept, const char *why)
{
    hp_err_t err;
    end(accept, hp_err_set(&err, HP_E_FORBIDDEN, "%s", why), &err);
}

static void take_from(accept_t *accept, const hp_host_t *host)
{
    hp_err_t err;
    if (host->blocked)
        end(accept, hp_err_set(&err, HP_E_BLOCKED, "this host is blocked here"), &err);
    else
        store(accept, host);
}

static void forget(verifying_t *verifying)
{
    *verifying->link = verifying->next;
    if (verifying->next != NULL)
        verifying->next->link = verifying->link;
}

static void on_verified(void *arg, int status)
{
    verifying_t *verifying = arg;
    accept_t *accept = verifying->accept;
    hp_err_t err;
    if (accept != NULL)
        forget(verifying);
    free(verifying);
    if (accept == NULL)
        return;
    const hp_host_t *host = hp_hosts_find(accept->self->hosts, accept->who.id);
    if (host != NULL)
        take_from(accept, host);
    else if (status == HP_E_BUSY || status == UV_ECANCELED)
        end(accept, hp_err_set(&err, HP_E_BUSY, "the sender cannot be looked up right now"), &err);
    else
        end(accept,
            hp_err_set(&err, HP_E_FORBIDDEN, "the host that sends this is not found at %s port %u: %s",
                       accept->who.address, accept->port,
                       status == 0 ? "another one answers there" : hp_err_sentence(status)),
            &err);
}

static void verify(accept_t *accept, const hp_endpoint_t *at)
{
    hp_messages_t *self = accept->self;
    verifying_t *verifying = hp_alloc(sizeof *verifying);
    *verifying = (verifying_t){.accept = accept, .next = self->verifying, .link = &self->verifying};
    if (self->verifying != NULL)
        self->verifying->link = &verifying->next;
    self->verifying = verifying;
    hp_hosts_verify(self->hosts, at, HP_FOUND_MESSAGE, on_verified, verifying);
}

void hp_accept_stop(hp_messages_t *self)
{
    while (self->verifying != NULL) {
        verifying_t *verifying = self->verifying;
        accept_t *accept = verifying->accept;
        hp_err_t err;
        forget(verifying);
        verifying->accept = NULL;
        end(accept, hp_err_set(&err, HP_E_BUSY, "hostpair is being stopped"), &err);
    }
}

static void check_sender(accept_t *accept)
{
    hp_messages_t *self = accept->self;
    const char *id = accept->who.id;
    hp_err_t err;
    hp_endpoint_t at;
    const hp_host_t *host = id[0] != '\0' ? hp_hosts_find(self->hosts, id) : NULL;
    if (accept->body.to[0] != '\0' && strcmp(accept->body.to, self->self->id) != 0)
        end(accept, hp_err_set(&err, HP_E_MISDIRECTED, "this is meant for another host"), &err);
    else if (id[0] == '\0')
        refuse(accept, "messages are taken from hosts that prove who they are: from hostpair 0.2 on");
    else if (strcmp(accept->body.from, id) != 0)
        refuse(accept, "the host that sends this is not the one that the message names");
    else if (strcmp(id, self->self->id) == 0)
        refuse(accept, "the host that sends this has the key of this one");
    else if (host != NULL)
        take_from(accept, host);
    else if (hp_endpoint_make(&at, HP_SCHEME_TLS, accept->who.address, accept->port) != 0)
        refuse(accept, "this host is not known, and it does not say where it listens");
    else
        verify(accept, &at);
}

/* A message counts for the host that sent it; while that is not known, for its address as well, because keys
 * cost nothing. */
static uint64_t count_sender(hp_messages_t *self, const hp_who_t *who)
{
    char client[HP_ADDRESS_CLIENT_SIZE];
    uint64_t now = hp_clock_ms(), wait = who->id[0] != '\0' ? hp_rate_take(self->rate, who->id, now) : 0;
    if (who->id[0] != '\0' && hp_hosts_find(self->hosts, who->id) != NULL)
        return wait;
    uint64_t wait_here = hp_rate_take(self->rate, hp_address_client(who->address, client), now);
    return HP_MAX(wait, wait_here);
}

void hp_messages_accept(hp_messages_t *self, const hp_message_post_t *post, hp_messages_accept_fn done,
                        void *arg)
{
    hp_err_t err = {0};
    hp_message_body_t body = {.text = NULL};
    uint64_t wait = count_sender(self, post->who);
    if (wait > 0) {
        hp_err_set(&err, HP_E_TOO_MANY, "at most %d messages a minute are taken from one host",
                   HP_MESSAGES_A_MINUTE);
        done(arg, HP_E_TOO_MANY, (unsigned)((wait + 999) / 1000), &err);
        return;
    }
    int rc = hp_message_body_parse(post->data, post->length, &body, &err);
    if (rc == 0 &&
        (self->closing || self->accepting >= ACCEPTING_MAX || hp_store_pending(self->store) >= PENDING_MAX))
        rc = hp_err_set(&err, HP_E_BUSY, "there are too many messages at once");
    if (rc != 0) {
        hp_message_body_dispose(&body);
        done(arg, rc, rc == HP_E_BUSY ? 1 : 0, &err);
        return;
    }
    accept_t *accept = hp_alloc(sizeof *accept);
    *accept = (accept_t){.self = self,
                         .who = *post->who,
                         .port = post->port,
                         .body = body,
                         .received_at = hp_clock_wall_ms(),
                         .done = done,
                         .arg = arg};
    self->accepting++;
    hp_pending_add(&self->pending);
    check_sender(accept);
}
