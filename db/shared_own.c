#include "db/shared_own.h"

#include <stdlib.h>

#include "base/mem.h"
#include "db/statement.h"

enum { LIST, HAS, SET, REMOVE };

/* What is below a path stands between path/ and path0, as '0' is the character after '/'. */
static const hp_sql_t sql[] = {
    [LIST] = {"shared_own.list",
              "SELECT path, size, mtime_ns FROM shared_own WHERE path = :path "
              "UNION ALL SELECT path, size, mtime_ns FROM shared_own WHERE path > :path || '/' AND "
              "path < :path || '0'"},
    [HAS] = {"shared_own.has",
             "SELECT 1 FROM shared_own WHERE path = :path AND size = :size AND mtime_ns = :mtime_ns"},
    [SET] = {"shared_own.set",
             "INSERT INTO shared_own (path, size, mtime_ns) VALUES (:path, :size, :mtime_ns) "
             "ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns"},
    [REMOVE] = {"shared_own.remove",
                "DELETE FROM shared_own WHERE path = :path OR (path > :path || '/' AND path < :path || '0')"},
};
HP_SQL_LIST(shared_own, sql);

void hp_shared_owns_dispose(hp_shared_owns_t *owns)
{
    for (size_t i = 0; i < owns->count; i++)
        free(owns->items[i].path);
    hp_array_dispose(owns);
}

int hp_shared_own_list(hp_db_t *db, const char *path, hp_shared_owns_t *owns, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LIST]);
    hp_query_bind_text(&q, ":path", path);
    while (hp_query_row(&q))
        *hp_array_add(owns) = (hp_shared_own_t){.path = hp_strdup(hp_query_string(&q, 0)),
                                                .size = (uint64_t)hp_query_count(&q, 1),
                                                .mtime_ns = hp_query_int(&q, 2)};
    return hp_query_end(&q, err);
}

int hp_shared_own_has(hp_db_t *db, const hp_shared_own_t *file, bool *has, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[HAS]);
    hp_query_bind_text(&q, ":path", file->path);
    hp_query_bind_int(&q, ":size", (int64_t)file->size);
    hp_query_bind_int(&q, ":mtime_ns", file->mtime_ns);
    *has = hp_query_row(&q);
    return hp_query_end(&q, err);
}

int hp_shared_own_set(hp_db_t *db, const hp_shared_own_t *file, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SET]);
    hp_query_bind_text(&q, ":path", file->path);
    hp_query_bind_int(&q, ":size", (int64_t)file->size);
    hp_query_bind_int(&q, ":mtime_ns", file->mtime_ns);
    return hp_query_run(&q, err);
}

int hp_shared_own_remove(hp_db_t *db, const char *path, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[REMOVE]);
    hp_query_bind_text(&q, ":path", path);
    return hp_query_run(&q, err);
}
