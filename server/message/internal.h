/* What the files of this folder share: messages.c (life, and what people here ask for), accept.c (what other
 * hosts send), deliver.c (what goes to them), load.c (messages as they stand in the database). */
#ifndef HP_MESSAGE_INTERNAL_H
#define HP_MESSAGE_INTERNAL_H

#include "base/rate.h"
#include "base/signal.h"
#include "db/message.h"
#include "message/message.h"

#define HP_MESSAGES_KEPT      10000 /* in all, besides those that wait */
#define HP_MESSAGES_KEPT_HOST 2000  /* of one sending host */
#define HP_MESSAGES_A_MINUTE  20    /* that one host, or one address, may send */

/* Of one host: what is unread. */
typedef struct hp_unread {
    char host[HP_HOST_ID_SIZE];
    uint64_t count;
} hp_unread_t;

/* All of them; made in the store's thread, then handed to the loop. */
typedef struct hp_unread_list {
    hp_unread_t *items;
    size_t count, room;
} hp_unread_list_t;

typedef struct hp_outbox hp_outbox_t; /* deliver.c */

struct hp_messages {
    uv_loop_t *loop;
    hp_store_t *store;
    hp_fetcher_t *fetcher;
    hp_hosts_t *hosts;
    const hp_self_t *self;
    hp_messages_times_t times;
    HP_SIGNAL(hp_message_event_fn) event;
    hp_unread_list_t unread;

    hp_rate_t *rate;                /* of each sender: a host's id, an address */
    unsigned accepting;             /* posts that are being verified or stored */
    struct hp_verifying *verifying; /* of them, those whose sender is being asked who it is (accept.c) */

    hp_outbox_t *outboxes; /* hosts for which something may wait */
    unsigned sending;      /* of them, those that are busy with a message */
    uv_timer_t timer;      /* for the next try */
    bool started;

    bool closing;
    hp_pending_t pending; /* jobs, requests and checks that will still call back */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- messages.c ---- */

void hp_messages_emit(hp_messages_t *self, hp_message_event_t event, int64_t id);

/* Posts a job that counts as outstanding. */
void hp_messages_post(hp_messages_t *self, hp_store_kind_t kind, hp_store_work_fn work, hp_store_done_fn done,
                      void *arg);

/* ---- load.c ---- */

/* Store thread. The message with its deliveries, for hp_message_dispose. */
int hp_message_load(hp_db_t *db, int64_t id, hp_message_t *message, hp_err_t *err);
void hp_message_copy(hp_message_t *message, const hp_db_message_t *row);
int hp_message_load_deliveries(hp_db_t *db, hp_message_t *message, hp_err_t *err);
void hp_message_dispose(hp_message_t *message);

/* Store thread. */
int hp_unread_load(hp_db_t *db, hp_unread_list_t *list, hp_err_t *err);
/* Looks again what is unread, and tells when it differs. */
void hp_messages_look_at_unread(hp_messages_t *self);
/* Takes the list; tells when it differs. */
void hp_unread_take(hp_messages_t *self, hp_unread_list_t *list);

/* ---- accept.c ---- */

/* Ends the posts whose sender is being asked. */
void hp_accept_stop(hp_messages_t *self);

/* ---- deliver.c ---- */

/* Something waits for this host since now. */
void hp_outbox_wake(hp_messages_t *self, const char *host);
void hp_outbox_on_host(void *arg, hp_host_event_t event, const hp_host_t *host);
/* What a queued delivery to this host waits for; "" when it is just about to be tried. */
void hp_outbox_reason(const hp_messages_t *self, const char *host, char *out, size_t size);
/* Cancels what is on its way, and forgets what rests. */
void hp_outbox_stop(hp_messages_t *self);
void hp_outbox_on_timer(uv_timer_t *timer);

#endif
