#include "db/rename.h"

#include <stdio.h>
#include <string.h>

#include "db/statement.h"

enum { BY_ALIAS, EACH_ALIAS, OWN_ID, SET_OWN_ID };

static const hp_sql_t sql[] = {
    [BY_ALIAS] = {"host_alias.get", "SELECT host FROM host_alias WHERE alias = :alias"},
    [EACH_ALIAS] = {"host_alias.each", "SELECT alias, host FROM host_alias ORDER BY alias"},
    [OWN_ID] = {"self.id", "SELECT id FROM self WHERE one = 1"},
    [SET_OWN_ID] = {"self.rename", "UPDATE self SET former_id = id, id = :new WHERE one = 1"},
};
HP_SQL_LIST(rename, sql);

/* In this order: what refers to the new host comes after it, what would collide goes before the rest moves.
 */
static const hp_sql_t host_sql[] = {
    {"host_rename.host",
     "INSERT INTO host (id, name, protocol, found_by, instance, files, bytes, first_seen, last_seen, blocked,"
     " added_as)"
     " SELECT :new, name, protocol, found_by, instance, files, bytes, first_seen, last_seen, blocked, "
     "added_as"
     " FROM host WHERE id = :old ON CONFLICT (id) DO UPDATE SET"
     " first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen),"
     " blocked = max(blocked, excluded.blocked), added_as = ifnull(excluded.added_as, added_as)"},
    {"host_rename.addresses",
     "INSERT INTO host_address (host, address, port, answered_at)"
     " SELECT :new, address, port, answered_at FROM host_address WHERE host = :old"
     " ON CONFLICT (host, address, port) DO UPDATE SET answered_at = max(answered_at, excluded.answered_at)"},
    {"host_rename.aliases", "UPDATE host_alias SET host = :new WHERE host = :old"},
    {"host_rename.no_alias", "DELETE FROM host_alias WHERE alias = :new"},
    {"host_rename.alias", "INSERT INTO host_alias (alias, host) SELECT :old, :new FROM host WHERE id = :new"
                          " ON CONFLICT (alias) DO UPDATE SET host = excluded.host"},
    {"host_rename.old", "DELETE FROM host WHERE id = :old"},
    {"host_rename.second_list",
     "UPDATE remote_list SET state = 'dropped' WHERE host = :old AND state = 'shown'"
     " AND EXISTS (SELECT 1 FROM remote_list WHERE host = :new AND state = 'shown')"},
    {"host_rename.lists", "UPDATE remote_list SET host = :new WHERE host = :old"},
    {"host_rename.downloads", "UPDATE download SET order_host = :new WHERE order_host = :old"},
    {"host_rename.chunks",
     "UPDATE chunk SET source = (SELECT n.id FROM download_source o JOIN download_source n"
     " ON n.file = o.file AND n.host = :new AND n.path = o.path WHERE o.id = chunk.source)"
     " WHERE (file, source) IN (SELECT o.file, o.id FROM download_source o JOIN download_source n"
     " ON n.file = o.file AND n.host = :new AND n.path = o.path WHERE o.host = :old)"},
    {"host_rename.second_sources",
     "DELETE FROM download_source WHERE host = :old AND EXISTS (SELECT 1 FROM download_source n"
     " WHERE n.file = download_source.file AND n.host = :new AND n.path = download_source.path)"},
    {"host_rename.sources", "UPDATE download_source SET host = :new WHERE host = :old"},
};
HP_SQL_LIST(host_rename, host_sql);

static const hp_sql_t message_sql[] = {
    {"message_rename.second", "DELETE FROM message WHERE host = :old AND EXISTS (SELECT 1 FROM message n"
                              " WHERE n.host = :new AND n.uid = message.uid)"},
    {"message_rename.sender", "UPDATE message SET host = :new WHERE host = :old"},
    {"message_rename.recipient", "UPDATE message SET recipient = :new WHERE recipient = :old"},
    {"message_rename.delivered",
     "UPDATE message_delivery SET state = 'delivered', reason = '' WHERE host = :new"
     " AND EXISTS (SELECT 1 FROM message_delivery o WHERE o.message = message_delivery.message"
     " AND o.host = :old AND o.state = 'delivered')"},
    {"message_rename.second_deliveries",
     "DELETE FROM message_delivery WHERE host = :old AND EXISTS (SELECT 1 FROM message_delivery n"
     " WHERE n.message = message_delivery.message AND n.host = :new)"},
    {"message_rename.deliveries", "UPDATE message_delivery SET host = :new WHERE host = :old"},
};
HP_SQL_LIST(message_rename, message_sql);

static int run_all(hp_db_t *db, const hp_sql_t *statements, size_t count, const char *old, const char *new,
                   hp_err_t *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        HP_QUERY(q, db, &statements[i]);
        if (strstr(statements[i].text, ":old") != NULL)
            hp_query_bind_text(&q, ":old", old);
        if (strstr(statements[i].text, ":new") != NULL)
            hp_query_bind_text(&q, ":new", new);
        rc = hp_query_run(&q, err);
    }
    return rc;
}

int hp_db_host_rename(hp_db_t *db, const char *old, const char *new, hp_err_t *err)
{
    if (strcmp(old, new) == 0)
        return 0;
    int rc = hp_db_savepoint(db, err);
    if (rc != 0)
        return rc;
    rc = run_all(db, host_sql, sizeof host_sql / sizeof *host_sql, old, new, err);
    if (rc == 0)
        rc = run_all(db, message_sql, sizeof message_sql / sizeof *message_sql, old, new, err);
    if (rc == 0)
        rc = hp_db_release(db, err);
    if (rc != 0)
        hp_db_revert(db);
    return rc;
}

int hp_db_host_by_alias(hp_db_t *db, const char *alias, char *host, size_t size, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[BY_ALIAS]);
    hp_query_bind_text(&q, ":alias", alias);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        snprintf(host, size, "%s", hp_query_string(&q, 0));
    return rc;
}

int hp_db_host_each_alias(hp_db_t *db, void (*fn)(void *arg, const char *alias, const char *host), void *arg,
                          hp_err_t *err)
{
    HP_QUERY(q, db, &sql[EACH_ALIAS]);
    while (hp_query_row(&q))
        fn(arg, hp_query_string(&q, 0), hp_query_string(&q, 1));
    return hp_query_end(&q, err);
}

static int own_id(hp_db_t *db, char id[33], hp_err_t *err)
{
    HP_QUERY(q, db, &sql[OWN_ID]);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        snprintf(id, 33, "%s", hp_query_string(&q, 0));
    return rc;
}

static int set_own_id(hp_db_t *db, const char *new, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SET_OWN_ID]);
    hp_query_bind_text(&q, ":new", new);
    return hp_query_run(&q, err);
}

int hp_db_self_rename(hp_db_t *db, const char *new, hp_err_t *err)
{
    char old[33];
    int rc = own_id(db, old, err);
    if (rc != 0 || strcmp(old, new) == 0)
        return rc;
    rc = hp_db_savepoint(db, err);
    if (rc != 0)
        return rc;
    rc = set_own_id(db, new, err);
    if (rc == 0)
        rc = run_all(db, message_sql, sizeof message_sql / sizeof *message_sql, old, new, err);
    if (rc == 0)
        rc = hp_db_release(db, err);
    if (rc != 0)
        hp_db_revert(db);
    return rc;
}
