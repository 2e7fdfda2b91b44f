/* Messages between hosts: the one owner of what people wrote to each other. It takes what other hosts send,
 * keeps it, and delivers what is sent from here: to each host in order, one message at a time, until the host
 * has it or refuses it.
 *
 * Invariants
 * 1. Loop thread only. The database holds every message and where it stands; nothing but what is on its way
 *    just now is in memory. The store, the fetcher and the registry outlive this.
 * 2. A message is stored before anybody is told of it: before POST /message is answered 202, and before a
 *    delivery begins. It is delivered at least once, and kept at most once by the receiver, which knows it by
 *    its sender and the id that the sender gave it.
 * 3. A host gets its messages in the order in which they were sent. One that it refuses for good (any 4xx but
 *    429) has failed, and the next one follows; everything else is tried again, later and later, or as soon
 *    as the host is online again.
 * 4. A done function runs once, on the loop; with UV_ECANCELED at teardown. What it is given lives during the
 *    call.
 */
#ifndef HP_MESSAGE_MESSAGE_H
#define HP_MESSAGE_MESSAGE_H

#include <uv.h>

#include "base/err.h"
#include "base/delivery.h"
#include "discovery/hosts.h"
#include "fetch/fetch.h"
#include "message/body.h"
#include "path/who.h"
#include "store/store.h"

typedef struct hp_messages hp_messages_t;

typedef struct hp_message_delivery {
    char host[HP_HOST_ID_SIZE];
    hp_delivery_state_t state;
    char reason[200]; /* why it failed, or what it waits for; "" */
    int64_t at;       /* wall ms: since when */
} hp_message_delivery_t;

typedef struct hp_message {
    int64_t id; /* ours; in the order of arrival */
    char uid[HP_MESSAGE_UID_MAX + 1];
    char from[HP_HOST_ID_SIZE], from_name[HP_MESSAGE_NAME_SIZE];
    char to[HP_HOST_ID_SIZE]; /* or HP_MESSAGE_EVERYONE */
    bool incoming, unread;
    char *text;
    int64_t sent_at, received_at; /* wall ms: the sender's clock, ours */
    bool has_offer;
    hp_message_offer_t offer;
    hp_message_delivery_t *deliveries; /* by host */
    size_t delivery_count;
} hp_message_t;

/* ---- life ---- */

int hp_messages_create(hp_messages_t **messages, uv_loop_t *loop, hp_store_t *store, hp_fetcher_t *fetcher,
                       hp_hosts_t *hosts, const hp_self_t *self, hp_err_t *err);
void hp_messages_start(hp_messages_t *messages); /* begins to deliver */
void hp_messages_destroy(hp_messages_t *messages, void (*closed)(void *arg), void *arg);

/* For any number of listeners: this message is new, or its deliveries changed (HP_MESSAGE_CHANGED), it was
 * removed, or what is unread changed (id 0). */
typedef enum { HP_MESSAGE_CHANGED, HP_MESSAGE_REMOVED, HP_MESSAGE_UNREAD } hp_message_event_t;
typedef void hp_message_event_fn(void *arg, hp_message_event_t event, int64_t id);
void hp_messages_on_event(hp_messages_t *messages, hp_message_event_fn *fn, void *arg);
/* The listener is not called any more. */
void hp_messages_off_event(hp_messages_t *messages, hp_message_event_fn *fn, void *arg);

/* ---- from other hosts ---- */

/* A POST /message. port: where the sender says that it listens, 0 if it does not. */
typedef struct hp_message_post {
    const hp_who_t *who;
    uint16_t port;
    const char *data;
    size_t length;
} hp_message_post_t;

/* status: 0, also for one that is there already. HP_E_TOO_MANY from this host, with the seconds to wait;
 * HP_E_BAD_JSON, HP_E_INVALID; HP_E_MISDIRECTED; HP_E_FORBIDDEN when the sender has not proven that it is the
 * host that the message names, or is not known and not found where it says that it listens; HP_E_BLOCKED;
 * HP_E_BUSY or the store's error: to be sent again. data is copied. done may run inside the call. */
typedef void (*hp_messages_accept_fn)(void *arg, int status, unsigned retry_after_s, const hp_err_t *err);
void hp_messages_accept(hp_messages_t *messages, const hp_message_post_t *post, hp_messages_accept_fn done,
                        void *arg);

/* ---- for people here ---- */

typedef void (*hp_message_fn)(void *arg, int status, const hp_message_t *message, const hp_err_t *err);
typedef void (*hp_messages_done_fn)(void *arg, int status, const hp_err_t *err);

/* to: a host's id or HP_MESSAGE_EVERYONE. HP_E_INVALID naming the field; HP_E_CONFLICT when that host is
 * blocked or takes no messages. offer may be NULL. done never runs inside the call. */
void hp_messages_send(hp_messages_t *messages, const char *to, const char *text,
                      const hp_message_offer_t *offer, hp_message_fn done, void *arg);

/* HP_E_NOT_FOUND. */
void hp_messages_get(hp_messages_t *messages, int64_t id, hp_message_fn done, void *arg);

/* The newest `limit` messages with an id below `before` (0: all), the oldest of them first; more: there are
 * older ones. with: NULL, a host's id or HP_MESSAGE_EVERYONE, as hp_db_message_each has it. */
typedef void (*hp_messages_list_fn)(void *arg, int status, const hp_message_t *messages, size_t count,
                                    bool more, const hp_err_t *err);
void hp_messages_list(hp_messages_t *messages, const char *with, int64_t before, size_t limit,
                      hp_messages_list_fn done, void *arg);

/* Marks as read what came from a host (NULL: any) up to an id (0: all). */
void hp_messages_read(hp_messages_t *messages, const char *with, int64_t up_to, hp_messages_done_fn done,
                      void *arg);

/* Forgets a message; what was not delivered yet will not be. HP_E_NOT_FOUND. */
void hp_messages_remove(hp_messages_t *messages, int64_t id, hp_messages_done_fn done, void *arg);

/* Queues again what failed. */
void hp_messages_retry(hp_messages_t *messages, int64_t id, hp_message_fn done, void *arg);

/* The number of unread messages, in all and of the index-th host that has any (NULL past the end). */
uint64_t hp_messages_unread(const hp_messages_t *messages);
const char *hp_messages_unread_of(const hp_messages_t *messages, size_t index, uint64_t *count);

/* How long things take, ms; for tests. */
typedef struct hp_messages_times {
    unsigned backoff, backoff_max; /* between tries: 1 s, doubled up to 60 s */
} hp_messages_times_t;
void hp_messages_set_times(hp_messages_t *messages, const hp_messages_times_t *times);

#endif
