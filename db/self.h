/* Table self: who this host is. */
#ifndef HP_DB_SELF_H
#define HP_DB_SELF_H

#include "db/db.h"

typedef struct hp_db_self {
    char id[33];        /* 32 lower-case hex digits */
    int64_t created_at; /* wall ms */
} hp_db_self_t;

/* Who this host is; at the first start what `first` says, which is stored. self may be first. */
int hp_db_self_load(hp_db_t *db, const hp_db_self_t *first, hp_db_self_t *self, hp_err_t *err);

#endif
