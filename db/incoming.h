/* Tables incoming and incoming_file: what others gave to this host. */
#ifndef HP_DB_INCOMING_H
#define HP_DB_INCOMING_H

#include <stddef.h>

#include "base/incoming.h"
#include "db/db.h"

typedef struct hp_db_incoming {
    int64_t id;
    const char *token;
    hp_sender_kind_t kind;
    const char *name, *address, *host;
    const char *base, *folder;
    hp_incoming_state_t state; /* never ASKING */
    const char *reason;
    int64_t files; /* in the offer */
    int64_t created_at, finished_at;
} hp_db_incoming_t;

typedef struct hp_db_incoming_file {
    int64_t number;
    const char *name, *key, *type;
    int64_t size;       /* -1: unknown */
    const char *sha256; /* 64 hex digits; NULL */
    bool wanted, done;
    const char *path;
    int64_t received;
    const char *part; /* "" none */
    int64_t inode;    /* of a file that is fetched as a download: 1 when that is not only this transfer's */
    bool folder;
    int64_t download; /* 0 none */
} hp_db_incoming_file_t;

/* Of several files. */
typedef struct hp_db_incoming_sums {
    uint64_t wanted, done; /* how many */
    uint64_t size;         /* of the wanted ones whose size is known */
    uint64_t received;
} hp_db_incoming_sums_t;

/* Text in rows is valid during the call of fn. */
typedef void (*hp_db_incoming_fn)(void *arg, const hp_db_incoming_t *incoming);
typedef void (*hp_db_incoming_file_fn)(void *arg, const hp_db_incoming_file_t *file);

/* Adds it, or changes folder, state, reason and end of the one with this id. */
int hp_db_incoming_set(hp_db_t *db, const hp_db_incoming_t *incoming, hp_err_t *err);
/* Adds a file, or changes the one with this number. */
int hp_db_incoming_file_set(hp_db_t *db, int64_t incoming, const hp_db_incoming_file_t *file, hp_err_t *err);
/* All that are on record, oldest first. A row that no hostpair has written (a folder that leads elsewhere) is
 * named in the log and passed over, here and below. */
int hp_db_incoming_each(hp_db_t *db, hp_db_incoming_fn fn, void *arg, hp_err_t *err);
/* The first `limit` files of one. */
int hp_db_incoming_file_each(hp_db_t *db, int64_t incoming, size_t limit, hp_db_incoming_file_fn fn,
                             void *arg, hp_err_t *err);
/* Over all files of one but the first `skip`. */
int hp_db_incoming_file_sums(hp_db_t *db, int64_t incoming, size_t skip, hp_db_incoming_sums_t *sums,
                             hp_err_t *err);
/* Forgets all but the newest of those that are over: `keep` that were accepted, which have a base, and
 * `keep_others` that nobody accepted. */
int hp_db_incoming_prune(hp_db_t *db, size_t keep, size_t keep_others, hp_err_t *err);
/* The highest id; 0: none is on record. */
int hp_db_incoming_last(hp_db_t *db, int64_t *id, hp_err_t *err);

#endif
