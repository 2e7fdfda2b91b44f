#include "db/shared_place.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "db/statement.h"

enum { LIST, ADD, REMOVE, SET_DEVICE };

static const hp_sql_t sql[] = {
    [LIST] = {"shared_place.list", "SELECT name, path, device FROM shared_place ORDER BY name"},
    [ADD] = {"shared_place.add", "INSERT INTO shared_place (name, path) VALUES (:name, :path)"},
    [REMOVE] = {"shared_place.remove", "DELETE FROM shared_place WHERE name = :name"},
    [SET_DEVICE] = {"shared_place.set_device", "UPDATE shared_place SET device = :device WHERE name = :name"},
};
HP_SQL_LIST(shared_place, sql);

void hp_shared_places_dispose(hp_shared_places_t *folders)
{
    for (size_t i = 0; i < folders->count; i++) {
        free(folders->items[i].name);
        free(folders->items[i].path);
    }
    hp_array_dispose(folders);
}

int hp_shared_place_list(hp_db_t *db, hp_shared_places_t *folders, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LIST]);
    while (hp_query_row(&q)) {
        const char *name = hp_query_string(&q, 0), *path = hp_query_string(&q, 1);
        if (hp_path_check(name, strlen(name), NULL) != 0 || strchr(name, '/') != NULL || path[0] != '/') {
            hp_log(HP_LOG_ERROR, "the database is damaged: a shared folder has no name or no absolute path");
            continue;
        }
        *hp_array_add(folders) = (hp_shared_place_t){
            .name = hp_strdup(name), .path = hp_strdup(path), .device = (uint64_t)hp_query_int(&q, 2)};
    }
    return hp_query_end(&q, err);
}

int hp_shared_place_add(hp_db_t *db, const char *name, const char *path, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[ADD]);
    hp_query_bind_text(&q, ":name", name);
    hp_query_bind_text(&q, ":path", path);
    return hp_query_run(&q, err);
}

int hp_shared_place_remove(hp_db_t *db, const char *name, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[REMOVE]);
    hp_query_bind_text(&q, ":name", name);
    return hp_query_run(&q, err);
}

int hp_shared_place_set_device(hp_db_t *db, const char *name, uint64_t device, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SET_DEVICE]);
    hp_query_bind_text(&q, ":name", name);
    hp_query_bind_int(&q, ":device", (int64_t)device);
    return hp_query_run(&q, err);
}
