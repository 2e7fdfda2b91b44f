/* Tables message and message_delivery: what people sent each other, and where each message stands with each
 * host it goes to. */
#ifndef HP_DB_MESSAGE_H
#define HP_DB_MESSAGE_H

#include <stddef.h>

#include "db/db.h"

/* state, its name in the API and the database */
#define HP_DELIVERY_STATES(X) X(QUEUED, "queued") X(DELIVERED, "delivered") X(FAILED, "failed")
typedef enum {
#define X(name, text) HP_DELIVERY_##name,
    HP_DELIVERY_STATES(X)
#undef X
} hp_delivery_state_t;
const char *hp_delivery_state_name(hp_delivery_state_t state);

#define HP_MESSAGE_EVERYONE "everyone"

typedef struct hp_db_message {
    int64_t id;            /* given by the database */
    const char *uid;       /* given by the sending host */
    const char *host;      /* the sending host's id */
    const char *name;      /* the sender's name then */
    const char *recipient; /* a host id or HP_MESSAGE_EVERYONE */
    bool incoming;
    const char *text;
    int64_t sent_at, received_at; /* wall ms: the sender's clock, ours */
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

/* Adds a delivery, or changes the one of this message and host. */
int hp_db_delivery_set(hp_db_t *db, const hp_db_delivery_t *delivery, hp_err_t *err);

/* The deliveries of a message, by host. */
int hp_db_delivery_each(hp_db_t *db, int64_t message, hp_db_delivery_fn fn, void *arg, hp_err_t *err);

/* What waits to be delivered to a host, or (NULL) to any: by host, oldest message first. */
int hp_db_delivery_each_queued(hp_db_t *db, const char *host, hp_db_delivery_fn fn, void *arg, hp_err_t *err);

#endif
