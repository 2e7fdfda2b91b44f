/* Table traffic: bytes of file contents a minute, for the graphs. A minute is counted from 1970 UTC: wall ms
 * / 60000. */
#ifndef HP_DB_TRAFFIC_H
#define HP_DB_TRAFFIC_H

#include "db/db.h"

typedef struct hp_db_traffic {
    int64_t minute;
    uint64_t down_bytes, up_bytes; /* received, sent */
} hp_db_traffic_t;

/* Adds to what the minute has already. */
int hp_db_traffic_add(hp_db_t *db, const hp_db_traffic_t *traffic, hp_err_t *err);

/* The minutes from `since` on that had traffic, oldest first. */
int hp_db_traffic_each(hp_db_t *db, int64_t since, void (*fn)(void *arg, const hp_db_traffic_t *traffic),
                       void *arg, hp_err_t *err);

/* Forgets the minutes before `before`. */
int hp_db_traffic_prune(hp_db_t *db, int64_t before, hp_err_t *err);

#endif
