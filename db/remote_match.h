/* The names of a list that contain a text, found in their packed form. For db/remote_*.c alone. The store's
 * thread. */
#ifndef HP_DB_REMOTE_MATCH_H
#define HP_DB_REMOTE_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"

typedef struct hp_remote_match {
    int64_t id;
    const char *name;   /* in lower case, with NUL */
    const uint8_t *key; /* HP_REMOTE_KEY_SIZE bytes */
} hp_remote_match_t;

/* Whether to go on. */
typedef bool (*hp_remote_match_fn)(void *arg, const hp_remote_match_t *match);

/* All names of a list that contain the text; from the end when descending (only the blocks, not within one).
 */
int hp_remote_match(hp_db_t *db, int64_t list, const char *q_text, bool descending, hp_remote_match_fn fn,
                    void *arg, hp_err_t *err);

#endif
