/* Table shared_place: the folders that are shared besides the main one. What their names may be is the
 * caller's business. The store's thread; results are malloced for the caller. */
#ifndef HP_DB_SHARED_PLACE_H
#define HP_DB_SHARED_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/array.h"
#include "base/err.h"
#include "db/db.h"

typedef struct hp_shared_place {
    char *name, *path;
    uint64_t device; /* when it was last walked and not empty; 0: never */
} hp_shared_place_t;

typedef HP_ARRAY(hp_shared_place_t) hp_shared_places_t;
void hp_shared_places_dispose(hp_shared_places_t *folders);

/* By name. A row whose name or path can be none is named in the log and passed over. */
int hp_shared_place_list(hp_db_t *db, hp_shared_places_t *folders, hp_err_t *err);

int hp_shared_place_add(hp_db_t *db, const char *name, const char *path, hp_err_t *err);
int hp_shared_place_remove(hp_db_t *db, const char *name, hp_err_t *err);
int hp_shared_place_set_device(hp_db_t *db, const char *name, uint64_t device, hp_err_t *err);

#endif
