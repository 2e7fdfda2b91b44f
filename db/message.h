/* Tables message and message_delivery: what people sent each other, and where each message stands with each
 * host it goes to. */
#ifndef HP_DB_MESSAGE_H
#define HP_DB_MESSAGE_H

#include <stddef.h>

#include "base/delivery.h"
#include "db/db.h"

typedef struct hp_db_message {
    int64_t id;            /* given by the database */
    const char *uid;       /* given by the sending host */
    const char *host;      /* the sending host's id */
    const char *name;      /* the sender's name then */
    const char *recipient; /* a host id or HP_MESSAGE_EVERYONE */
    bool incoming;
    bool unread;
    const char *text;
    int64_t sent_at, received_at; /* wall ms: the sender's clock, ours */
    const char *offer_path;       /* a file that the sender offers; NULL none */
    int64_t offer_size;           /* bytes; with an offer */
    const char *offer_root;       /* 64 hex digits; NULL unknown */
} hp_db_message_t;

typedef struct hp_db_delivery {
    int64_t message;
    const char *host;
    hp_delivery_state_t state;
    const char *reason; /* why it failed, a sentence; "" */
    int64_t at;         /* wall ms */
} hp_db_delivery_t;

/* Text in rows is valid during the call of fn. */
typedef void (*hp_db_message_fn)(void *arg, const hp_db_message_t *message);
typedef void (*hp_db_delivery_fn)(void *arg, const hp_db_delivery_t *delivery);
typedef void (*hp_db_unread_fn)(void *arg, const char *host, int64_t count);

/* Stores a message and sets its id. One of the same host and uid that is there already stays as it is: its
 * id, existing true. */
int hp_db_message_add(hp_db_t *db, hp_db_message_t *message, bool *existing, hp_err_t *err);

/* Calls fn with the message, or HP_E_NOT_FOUND. */
int hp_db_message_get(hp_db_t *db, int64_t id, hp_db_message_fn fn, void *arg, hp_err_t *err);

/* The newest `limit` messages with an id below `before` (0: all), newest first. with: NULL for all; a host id
 * for what came from it and what went to it, also as one of everyone; HP_MESSAGE_EVERYONE for what was sent
 * to everyone. */
int hp_db_message_each(hp_db_t *db, const char *with, int64_t before, size_t limit, hp_db_message_fn fn,
                       void *arg, hp_err_t *err);

/* Forgets all but the newest `keep` messages, but none that still has to be delivered. */
int hp_db_message_prune(hp_db_t *db, size_t keep, hp_err_t *err);

/* Forgets all but the newest `keep` messages that a host sent, so that one that never stops does not push out
 * the others'. */
int hp_db_message_prune_host(hp_db_t *db, const char *host, size_t keep, hp_err_t *err);

/* Forgets a message and its deliveries, also one that still has to be delivered. HP_E_NOT_FOUND. */
int hp_db_message_remove(hp_db_t *db, int64_t id, hp_err_t *err);

/* Marks as read what came from a host, or (NULL) from any, up to the id `up_to` (0: all). */
int hp_db_message_read(hp_db_t *db, const char *host, int64_t up_to, hp_err_t *err);

/* The hosts of which messages are unread, and how many. */
int hp_db_message_each_unread(hp_db_t *db, hp_db_unread_fn fn, void *arg, hp_err_t *err);

/* Adds a delivery, or changes the one of this message and host. */
int hp_db_delivery_set(hp_db_t *db, const hp_db_delivery_t *delivery, hp_err_t *err);

/* Changes a delivery that is still queued. HP_E_NOT_FOUND when there is none: it was removed meanwhile. */
int hp_db_delivery_finish(hp_db_t *db, const hp_db_delivery_t *delivery, hp_err_t *err);

/* Queues again the deliveries of a message that failed, and says how many. */
int hp_db_delivery_retry(hp_db_t *db, int64_t message, int64_t at, int64_t *count, hp_err_t *err);

/* The deliveries of a message, by host. */
int hp_db_delivery_each(hp_db_t *db, int64_t message, hp_db_delivery_fn fn, void *arg, hp_err_t *err);

/* What waits to be delivered to a host, oldest message first. */
int hp_db_delivery_each_queued(hp_db_t *db, const char *host, hp_db_delivery_fn fn, void *arg, hp_err_t *err);

/* The oldest message that waits to be delivered to a host, or HP_E_NOT_FOUND. */
int hp_db_delivery_next(hp_db_t *db, const char *host, int64_t *message, hp_err_t *err);

/* The first host after `after` (by id, "" the first of all) for which something waits; HP_E_NOT_FOUND. */
int hp_db_delivery_next_host(hp_db_t *db, const char *after, char *host, size_t size, hp_err_t *err);

#endif
