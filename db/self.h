/* Table self: who this host is. */
#ifndef HP_DB_SELF_H
#define HP_DB_SELF_H

#include "db/db.h"

typedef struct hp_db_self {
    char id[33];        /* 32 lower-case hex digits */
    int64_t created_at; /* wall ms */
    char former_id[33]; /* what id was before it came of the key; "" there was none */
} hp_db_self_t;

/* Who this host is; at the first start what `first` says, which is stored. self may be first.
 * db/rename.h changes it. */
int hp_db_self_load(hp_db_t *db, const hp_db_self_t *first, hp_db_self_t *self, hp_err_t *err);

#endif
