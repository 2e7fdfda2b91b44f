#include "db/setting.h"

#include "base/mem.h"
#include "db/statement.h"

enum { GET, SET, REMOVE, EACH };

static const hp_sql_t sql[] = {
    [GET] = {"setting.get", "SELECT value FROM setting WHERE name = :name"},
    [SET] = {"setting.set", "INSERT INTO setting (name, value) VALUES (:name, :value)"
                            " ON CONFLICT (name) DO UPDATE SET value = excluded.value"},
    [REMOVE] = {"setting.remove", "DELETE FROM setting WHERE name = :name"},
    [EACH] = {"setting.each", "SELECT name, value FROM setting ORDER BY name"},
};
HP_SQL_LIST(setting, sql);

int hp_db_setting_get(hp_db_t *db, const char *name, char **value, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[GET]);
    hp_query_bind_text(&q, ":name", name);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        *value = hp_strdup(hp_query_string(&q, 0));
    return rc;
}

int hp_db_setting_set(hp_db_t *db, const char *name, const char *value, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[value != NULL ? SET : REMOVE]);
    hp_query_bind_text(&q, ":name", name);
    if (value != NULL)
        hp_query_bind_text(&q, ":value", value);
    return hp_query_run(&q, err);
}

int hp_db_setting_each(hp_db_t *db, void (*fn)(void *arg, const char *name, const char *value), void *arg,
                       hp_err_t *err)
{
    HP_QUERY(q, db, &sql[EACH]);
    while (hp_query_row(&q))
        fn(arg, hp_query_string(&q, 0), hp_query_string(&q, 1));
    return hp_query_end(&q, err);
}
