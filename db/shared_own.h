/* Table shared_own: the files that hostpair itself put into the shared folders. A file that has another size
 * or time than its row is not the one that was put there. A row may outlive its file. The store's thread;
 * results are malloced for the caller. */
#ifndef HP_DB_SHARED_OWN_H
#define HP_DB_SHARED_OWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/array.h"
#include "base/err.h"
#include "db/db.h"

typedef struct hp_shared_own {
    char *path;       /* absolute */
    uint64_t size;    /* bytes */
    int64_t mtime_ns; /* since 1970 */
} hp_shared_own_t;

typedef HP_ARRAY(hp_shared_own_t) hp_shared_owns_t;
void hp_shared_owns_dispose(hp_shared_owns_t *owns);

/* The row of that path and those below it, by the bytes of their paths. Adds to owns. */
int hp_shared_own_list(hp_db_t *db, const char *path, hp_shared_owns_t *owns, hp_err_t *err);

/* Whether the file is as it was put there. */
int hp_shared_own_has(hp_db_t *db, const hp_shared_own_t *file, bool *has, hp_err_t *err);

/* In place of the row of that path. */
int hp_shared_own_set(hp_db_t *db, const hp_shared_own_t *file, hp_err_t *err);

/* The row of that path and those below it. */
int hp_shared_own_remove(hp_db_t *db, const char *path, hp_err_t *err);

#endif
