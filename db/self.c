#include "db/self.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "db/statement.h"

enum { ADD, GET };

static const hp_sql_t sql[] = {
    [ADD] = {"self.add", "INSERT INTO self (one, id, created_at) VALUES (1, :id, :created_at)"
                         " ON CONFLICT (one) DO NOTHING"},
    [GET] = {"self.get", "SELECT id, created_at, former_id FROM self WHERE one = 1"},
};
HP_SQL_LIST(self, sql);

static bool is_id(const char *text)
{
    return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

int hp_db_self_load(hp_db_t *db, const hp_db_self_t *first, hp_db_self_t *self, hp_err_t *err)
{
    HP_QUERY(add, db, &sql[ADD]);
    hp_query_bind_text(&add, ":id", first->id);
    hp_query_bind_int(&add, ":created_at", first->created_at);
    int rc = hp_query_run(&add, err);
    if (rc != 0)
        return rc;

    HP_QUERY(get, db, &sql[GET]);
    rc = hp_query_one(&get, err);
    if (rc != 0)
        return rc;
    const char *id = hp_query_string(&get, 0), *former = hp_query_string(&get, 2);
    if (!is_id(id))
        hp_log(HP_LOG_ERROR, "the database is damaged: the id of this host is none");
    snprintf(self->id, sizeof self->id, "%s", is_id(id) ? id : first->id);
    self->created_at = hp_query_int(&get, 1);
    snprintf(self->former_id, sizeof self->former_id, "%s", is_id(former) ? former : "");
    return 0;
}
