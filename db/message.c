#include "db/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "db/statement.h"

#define MESSAGE_COLUMNS                                                                                      \
    "id, uid, host, name, recipient, incoming, text, sent_at, received_at, unread, offer_path, offer_size,"  \
    " offer_root"

enum {
    ADD,
    FIND,
    GET,
    EACH,
    EACH_WITH_HOST,
    EACH_TO_EVERYONE,
    PRUNE,
    PRUNE_HOST,
    REMOVE,
    READ,
    READ_HOST,
    UNREAD,
    DELIVERY_SET,
    DELIVERY_FINISH,
    DELIVERY_RETRY,
    DELIVERY_EACH,
    DELIVERY_QUEUED,
    DELIVERY_NEXT,
    DELIVERY_NEXT_HOST,
};

static const hp_sql_t sql[] = {
    [ADD] = {"message.add",
             "INSERT INTO message (uid, host, name, recipient, incoming, text, sent_at, received_at, unread,"
             " offer_path, offer_size, offer_root)"
             " VALUES (:uid, :host, :name, :recipient, :incoming, :text, :sent_at, :received_at, :unread,"
             " :offer_path, :offer_size, :offer_root)"
             " ON CONFLICT (host, uid) DO NOTHING"},
    [FIND] = {"message.find", "SELECT id FROM message WHERE host = :host AND uid = :uid"},
    [GET] = {"message.get", "SELECT " MESSAGE_COLUMNS " FROM message WHERE id = :id"},
    [EACH] = {"message.each",
              "SELECT " MESSAGE_COLUMNS " FROM message WHERE id < :before ORDER BY id DESC LIMIT :limit"},
    [EACH_WITH_HOST] =
        {"message.each_with_host",
         "SELECT " MESSAGE_COLUMNS " FROM message WHERE id IN ("
         " SELECT id FROM message WHERE incoming = 1 AND host = :host AND id < :before"
         " UNION ALL SELECT message FROM message_delivery WHERE host = :host AND message < :before)"
         " ORDER BY id DESC LIMIT :limit"},
    [EACH_TO_EVERYONE] = {"message.each_to_everyone",
                          "SELECT " MESSAGE_COLUMNS " FROM message WHERE recipient = '" HP_MESSAGE_EVERYONE
                          "'"
                          " AND id < :before ORDER BY id DESC LIMIT :limit"},
    [PRUNE] =
        {"message.prune",
         "DELETE FROM message WHERE id <= (SELECT id FROM message ORDER BY id DESC LIMIT 1 OFFSET :keep)"
         " AND id NOT IN (SELECT message FROM message_delivery WHERE state = 'queued')"},
    [PRUNE_HOST] =
        {"message.prune_host",
         "DELETE FROM message WHERE incoming = 1 AND host = :host AND id <= (SELECT id FROM message"
         " WHERE incoming = 1 AND host = :host ORDER BY id DESC LIMIT 1 OFFSET :keep)"},
    [REMOVE] = {"message.remove", "DELETE FROM message WHERE id = :id"},
    [READ] = {"message.read",
              "UPDATE message INDEXED BY message_unread SET unread = 0 WHERE unread = 1 AND id <= :up_to"},
    [READ_HOST] = {"message.read_host",
                   "UPDATE message SET unread = 0 WHERE unread = 1 AND host = :host AND id <= :up_to"},
    [UNREAD] = {"message.unread", "SELECT host, count(*) FROM message WHERE unread = 1 GROUP BY host"},
    [DELIVERY_SET] =
        {"message.delivery_set",
         "INSERT INTO message_delivery (message, host, state, reason, at)"
         " VALUES (:message, :host, :state, :reason, :at) ON CONFLICT (message, host) DO UPDATE SET"
         " state = excluded.state, reason = excluded.reason, at = excluded.at"},
    [DELIVERY_FINISH] = {"message.delivery_finish",
                         "UPDATE message_delivery SET state = :state, reason = :reason, at = :at"
                         " WHERE message = :message AND host = :host AND state = 'queued'"},
    [DELIVERY_RETRY] = {"message.delivery_retry",
                        "UPDATE message_delivery SET state = 'queued', reason = '', at = :at"
                        " WHERE message = :message AND state = 'failed'"},
    [DELIVERY_EACH] = {"message.delivery_each",
                       "SELECT message, host, state, reason, at FROM message_delivery"
                       " WHERE message = :message ORDER BY host"},
    [DELIVERY_QUEUED] = {"message.delivery_queued",
                         "SELECT message, host, state, reason, at FROM message_delivery"
                         " WHERE state = 'queued' AND host = :host ORDER BY message"},
    [DELIVERY_NEXT] = {"message.delivery_next",
                       "SELECT message FROM message_delivery WHERE state = 'queued' AND host = :host"
                       " ORDER BY message LIMIT 1"},
    [DELIVERY_NEXT_HOST] = {"message.delivery_next_host",
                            "SELECT host FROM message_delivery WHERE state = 'queued' AND host > :after"
                            " ORDER BY host LIMIT 1"},
};
HP_SQL_LIST(message, sql);

/* The column's CHECK allows no other name. */
static hp_delivery_state_t state_of(const char *name)
{
    for (int state = HP_DELIVERY_QUEUED; state < HP_DELIVERY_FAILED; state++)
        if (strcmp(name, hp_delivery_state_name((hp_delivery_state_t)state)) == 0)
            return (hp_delivery_state_t)state;
    return HP_DELIVERY_FAILED;
}

int hp_db_message_add(hp_db_t *db, hp_db_message_t *message, bool *existing, hp_err_t *err)
{
    HP_QUERY(add, db, &sql[ADD]);
    hp_query_bind_text(&add, ":uid", message->uid);
    hp_query_bind_text(&add, ":host", message->host);
    hp_query_bind_text(&add, ":name", message->name);
    hp_query_bind_text(&add, ":recipient", message->recipient);
    hp_query_bind_int(&add, ":incoming", message->incoming);
    hp_query_bind_text(&add, ":text", message->text);
    hp_query_bind_int(&add, ":sent_at", message->sent_at);
    hp_query_bind_int(&add, ":received_at", message->received_at);
    hp_query_bind_int(&add, ":unread", message->unread);
    hp_query_bind_text(&add, ":offer_path", message->offer_path);
    hp_query_bind_root(&add, ":offer_root", message->offer_path != NULL ? message->offer_root : NULL);
    if (message->offer_path != NULL)
        hp_query_bind_int(&add, ":offer_size", message->offer_size);
    else
        hp_query_bind_null(&add, ":offer_size");
    int rc = hp_query_run(&add, err);
    if (rc != 0)
        return rc;
    *existing = hp_db_changes(db) == 0;
    if (!*existing) {
        message->id = hp_db_last_id(db);
        return 0;
    }
    HP_QUERY(find, db, &sql[FIND]);
    hp_query_bind_text(&find, ":host", message->host);
    hp_query_bind_text(&find, ":uid", message->uid);
    rc = hp_query_one(&find, err);
    if (rc == 0)
        message->id = hp_query_int(&find, 0);
    return rc;
}

/* The row as the caller sees it. offer_root is made for it. */
static void give_message(hp_query_t *q, hp_db_message_fn fn, void *arg)
{
    const char *offer = hp_query_text(q, 10);
    if (offer != NULL && hp_path_check(offer, strlen(offer), NULL) != 0)
        offer = NULL; /* the database is damaged */
    char *root = offer != NULL ? hp_query_root(q, 12) : NULL;
    hp_db_message_t message = {
        .id = hp_query_int(q, 0),
        .uid = hp_query_string(q, 1),
        .host = hp_query_string(q, 2),
        .name = hp_query_string(q, 3),
        .recipient = hp_query_string(q, 4),
        .incoming = hp_query_int(q, 5) != 0,
        .text = hp_query_string(q, 6),
        .sent_at = hp_query_int(q, 7),
        .received_at = hp_query_int(q, 8),
        .unread = hp_query_int(q, 9) != 0,
        .offer_path = offer,
        .offer_size = hp_query_count(q, 11),
        .offer_root = root,
    };
    fn(arg, &message);
    free(root);
}

int hp_db_message_get(hp_db_t *db, int64_t id, hp_db_message_fn fn, void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[GET]);
    hp_query_bind_int(&q, ":id", id);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        give_message(&q, fn, arg);
    return rc;
}

int hp_db_message_each(hp_db_t *db, const char *with, int64_t before, size_t limit, hp_db_message_fn fn,
                       void *arg, hp_err_t *err)
{
    bool everyone = with != NULL && strcmp(with, HP_MESSAGE_EVERYONE) == 0;
    HP_QUERY(q, db, &sql[everyone ? EACH_TO_EVERYONE : with != NULL ? EACH_WITH_HOST : EACH]);
    if (with != NULL && !everyone)
        hp_query_bind_text(&q, ":host", with);
    hp_query_bind_int(&q, ":before", before > 0 ? before : INT64_MAX);
    hp_query_bind_int(&q, ":limit", (int64_t)limit);
    while (hp_query_row(&q))
        give_message(&q, fn, arg);
    return hp_query_end(&q, err);
}

int hp_db_message_prune(hp_db_t *db, size_t keep, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[PRUNE]);
    hp_query_bind_int(&q, ":keep", (int64_t)keep);
    return hp_query_run(&q, err);
}

int hp_db_message_prune_host(hp_db_t *db, const char *host, size_t keep, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[PRUNE_HOST]);
    hp_query_bind_text(&q, ":host", host);
    hp_query_bind_int(&q, ":keep", (int64_t)keep);
    return hp_query_run(&q, err);
}

int hp_db_message_remove(hp_db_t *db, int64_t id, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[REMOVE]);
    hp_query_bind_int(&q, ":id", id);
    int rc = hp_query_run(&q, err);
    if (rc != 0 || hp_db_changes(db) > 0)
        return rc;
    return hp_err_set(err, HP_E_NOT_FOUND, "there is no message %lld", (long long)id);
}

int hp_db_message_read(hp_db_t *db, const char *host, int64_t up_to, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[host != NULL ? READ_HOST : READ]);
    if (host != NULL)
        hp_query_bind_text(&q, ":host", host);
    hp_query_bind_int(&q, ":up_to", up_to > 0 ? up_to : INT64_MAX);
    return hp_query_run(&q, err);
}

int hp_db_message_each_unread(hp_db_t *db, hp_db_unread_fn fn, void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[UNREAD]);
    while (hp_query_row(&q))
        fn(arg, hp_query_string(&q, 0), hp_query_int(&q, 1));
    return hp_query_end(&q, err);
}

/* ---- deliveries ---- */

static int write_delivery(hp_query_t *q, const hp_db_delivery_t *delivery, hp_err_t *err)
{
    hp_query_bind_int(q, ":message", delivery->message);
    hp_query_bind_text(q, ":host", delivery->host);
    hp_query_bind_text(q, ":state", hp_delivery_state_name(delivery->state));
    hp_query_bind_text(q, ":reason", delivery->reason);
    hp_query_bind_int(q, ":at", delivery->at);
    return hp_query_run(q, err);
}

int hp_db_delivery_set(hp_db_t *db, const hp_db_delivery_t *delivery, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[DELIVERY_SET]);
    return write_delivery(&q, delivery, err);
}

int hp_db_delivery_finish(hp_db_t *db, const hp_db_delivery_t *delivery, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[DELIVERY_FINISH]);
    int rc = write_delivery(&q, delivery, err);
    return rc == 0 && hp_db_changes(db) == 0 ? HP_E_NOT_FOUND : rc;
}

int hp_db_delivery_retry(hp_db_t *db, int64_t message, int64_t at, int64_t *count, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[DELIVERY_RETRY]);
    hp_query_bind_int(&q, ":message", message);
    hp_query_bind_int(&q, ":at", at);
    int rc = hp_query_run(&q, err);
    *count = rc == 0 ? hp_db_changes(db) : 0;
    return rc;
}

static int each_delivery(hp_query_t *q, hp_db_delivery_fn fn, void *arg, hp_err_t *err)
{
    while (hp_query_row(q)) {
        hp_db_delivery_t delivery = {
            .message = hp_query_int(q, 0),
            .host = hp_query_string(q, 1),
            .state = state_of(hp_query_string(q, 2)),
            .reason = hp_query_string(q, 3),
            .at = hp_query_int(q, 4),
        };
        fn(arg, &delivery);
    }
    return hp_query_end(q, err);
}

int hp_db_delivery_each(hp_db_t *db, int64_t message, hp_db_delivery_fn fn, void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[DELIVERY_EACH]);
    hp_query_bind_int(&q, ":message", message);
    return each_delivery(&q, fn, arg, err);
}

int hp_db_delivery_each_queued(hp_db_t *db, const char *host, hp_db_delivery_fn fn, void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[DELIVERY_QUEUED]);
    hp_query_bind_text(&q, ":host", host);
    return each_delivery(&q, fn, arg, err);
}

int hp_db_delivery_next(hp_db_t *db, const char *host, int64_t *message, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[DELIVERY_NEXT]);
    hp_query_bind_text(&q, ":host", host);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        *message = hp_query_int(&q, 0);
    return rc;
}

int hp_db_delivery_next_host(hp_db_t *db, const char *after, char *host, size_t size, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[DELIVERY_NEXT_HOST]);
    hp_query_bind_text(&q, ":after", after);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        snprintf(host, size, "%s", hp_query_string(&q, 0));
    return rc;
}
