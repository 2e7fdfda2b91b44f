#include "db/traffic.h"

#include "db/statement.h"

enum { ADD, EACH, PRUNE };

static const hp_sql_t sql[] = {
    [ADD] = {"traffic.add",
             "INSERT INTO traffic (minute, down_bytes, up_bytes) VALUES (:minute, :down, :up)"
             " ON CONFLICT (minute) DO UPDATE SET"
             " down_bytes = down_bytes + excluded.down_bytes, up_bytes = up_bytes + excluded.up_bytes"},
    [EACH] = {"traffic.each",
              "SELECT minute, down_bytes, up_bytes FROM traffic WHERE minute >= :since ORDER BY minute"},
    [PRUNE] = {"traffic.prune", "DELETE FROM traffic WHERE minute < :before"},
};
HP_SQL_LIST(traffic, sql);

int hp_db_traffic_add(hp_db_t *db, const hp_db_traffic_t *traffic, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[ADD]);
    hp_query_bind_int(&q, ":minute", traffic->minute);
    hp_query_bind_int(&q, ":down", (int64_t)traffic->down_bytes);
    hp_query_bind_int(&q, ":up", (int64_t)traffic->up_bytes);
    return hp_query_run(&q, err);
}

int hp_db_traffic_each(hp_db_t *db, int64_t since, void (*fn)(void *arg, const hp_db_traffic_t *traffic),
                       void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[EACH]);
    hp_query_bind_int(&q, ":since", since);
    while (hp_query_row(&q)) {
        hp_db_traffic_t row = {
            .minute = hp_query_int(&q, 0),
            .down_bytes = (uint64_t)hp_query_count(&q, 1),
            .up_bytes = (uint64_t)hp_query_count(&q, 2),
        };
        fn(arg, &row);
    }
    return hp_query_end(&q, err);
}

int hp_db_traffic_prune(hp_db_t *db, int64_t before, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[PRUNE]);
    hp_query_bind_int(&q, ":before", before);
    return hp_query_run(&q, err);
}
