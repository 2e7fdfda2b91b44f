#include "db/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "db/statement.h"

enum { HOSTS, ADDRESSES, SAVE, SET_PAIRED, SET_UNPAIRED, ADD_ADDRESS, REMOVE_ADDRESSES, REMOVE };

static const hp_sql_t sql[] = {
    [HOSTS] = {"host.all",
               "SELECT id, name, instance, found_by, protocol, files, bytes, first_seen, "
               "last_seen, blocked, fingerprint, proven, paired_at, unpaired_at, added_as FROM host"},
    [ADDRESSES] = {"host.addresses", "SELECT address, port, answered_at FROM host_address WHERE host = :host "
                                     "ORDER BY answered_at DESC, address, port"},
    [SAVE] =
        {"host.save",
         "INSERT INTO host (id, name, instance, found_by, protocol, files, bytes, first_seen, "
         "last_seen, blocked, fingerprint, proven, added_as) "
         "VALUES (:id, :name, :instance, :found_by, :protocol, :files, :bytes, :first_seen, :last_seen, "
         ":blocked, :fingerprint, :proven, :added_as) "
         "ON CONFLICT (id) DO UPDATE SET name = excluded.name, instance = excluded.instance, found_by = "
         "excluded.found_by, "
         "protocol = excluded.protocol, files = excluded.files, bytes = excluded.bytes, last_seen = "
         "excluded.last_seen, blocked = excluded.blocked, "
         "fingerprint = ifnull(fingerprint, excluded.fingerprint), proven = max(proven, excluded.proven), "
         "added_as = ifnull(excluded.added_as, added_as) "
         "WHERE fingerprint IS NULL OR excluded.fingerprint IS NULL OR fingerprint = excluded.fingerprint"},
    [SET_PAIRED] = {"host.set_paired", "UPDATE host SET paired_at = :at, unpaired_at = NULL WHERE id = :id"},
    [SET_UNPAIRED] = {"host.set_unpaired",
                      "UPDATE host SET paired_at = NULL, unpaired_at = :at WHERE id = :id"},
    [ADD_ADDRESS] = {"host.add_address",
                     "INSERT OR REPLACE INTO host_address (host, address, port, answered_at) "
                     "VALUES (:host, :address, :port, :answered_at)"},
    [REMOVE_ADDRESSES] = {"host.remove_addresses", "DELETE FROM host_address WHERE host = :host"},
    [REMOVE] = {"host.remove", "DELETE FROM host WHERE id = :id"},
};
HP_SQL_LIST(host, sql);

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text != NULL ? text : "");
}

static int64_t number_or_unknown(hp_query_t *q, int column)
{
    return hp_query_is_null(q, column) ? -1 : HP_MAX(hp_query_int(q, column), (int64_t)-1);
}

static int load_addresses(hp_db_t *db, hp_host_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[ADDRESSES]);
    hp_query_bind_text(&q, ":host", row->id);
    while (row->address_count < HP_HOST_ROW_ADDRESSES && hp_query_row(&q)) {
        int64_t port = hp_query_int(&q, 1);
        const char *text = hp_query_string(&q, 0);
        if (port < 1 || port > UINT16_MAX || text[0] == '\0') /* the database is damaged */
            continue;
        hp_host_row_address_t *address = &row->addresses[row->address_count++];
        copy_text(address->address, sizeof address->address, text);
        address->port = (uint16_t)port;
        address->answered_at = hp_query_int(&q, 2);
    }
    return hp_query_end(&q, err);
}

static void read_key(hp_query_t *q, hp_host_row_t *row)
{
    size_t length;
    const void *fingerprint = hp_query_blob(q, 10, &length);
    row->has_fingerprint = fingerprint != NULL && length == sizeof row->fingerprint;
    if (!row->has_fingerprint)
        return;
    memcpy(row->fingerprint, fingerprint, length);
    row->proven = hp_query_int(q, 11) != 0;
    if (row->proven)
        row->paired_at = hp_query_int(q, 12);
    if (row->paired_at == 0)
        row->unpaired_at = hp_query_int(q, 13);
}

int hp_host_load(hp_db_t *db, hp_host_row_t **rows, size_t *count, hp_err_t *err)
{
    size_t used = 0, room = 16;
    hp_host_row_t *all = hp_alloc_array(room, sizeof *all);
    HP_QUERY(q, db, &sql[HOSTS]);
    while (hp_query_row(&q)) {
        if (used == room) {
            room *= 2;
            all = hp_realloc(all, room * sizeof *all);
        }
        const char *id = hp_query_string(&q, 0);
        if (id[0] == '\0' || strlen(id) >= sizeof all->id) {
            hp_log(HP_LOG_ERROR, "the database is damaged: the id of a host is none");
            continue;
        }
        hp_host_row_t *row = &all[used++];
        *row = (hp_host_row_t){.protocol = (int)hp_query_int(&q, 4),
                               .files = number_or_unknown(&q, 5),
                               .bytes = number_or_unknown(&q, 6),
                               .first_seen = hp_query_int(&q, 7),
                               .last_seen = hp_query_int(&q, 8),
                               .blocked = hp_query_int(&q, 9) != 0};
        read_key(&q, row);
        copy_text(row->id, sizeof row->id, id);
        copy_text(row->name, sizeof row->name, hp_query_text(&q, 1));
        copy_text(row->instance, sizeof row->instance, hp_query_text(&q, 2));
        copy_text(row->found_by, sizeof row->found_by, hp_query_text(&q, 3));
        copy_text(row->added_as, sizeof row->added_as, hp_query_text(&q, 14));
    }
    int rc = hp_query_end(&q, err);
    for (size_t i = 0; rc == 0 && i < used; i++)
        rc = load_addresses(db, &all[i], err);
    if (rc != 0) {
        free(all);
        return rc;
    }
    *rows = all;
    *count = used;
    return 0;
}

static void bind_number(hp_query_t *q, const char *parameter, int64_t value)
{
    if (value < 0)
        hp_query_bind_null(q, parameter);
    else
        hp_query_bind_int(q, parameter, value);
}

static int save_host(hp_db_t *db, const hp_host_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SAVE]);
    hp_query_bind_text(&q, ":id", row->id);
    hp_query_bind_text(&q, ":name", row->name);
    hp_query_bind_text(&q, ":instance", row->instance);
    hp_query_bind_text(&q, ":found_by", row->found_by);
    hp_query_bind_int(&q, ":protocol", row->protocol);
    bind_number(&q, ":files", row->files);
    bind_number(&q, ":bytes", row->bytes);
    hp_query_bind_int(&q, ":first_seen", row->first_seen);
    hp_query_bind_int(&q, ":last_seen", row->last_seen);
    hp_query_bind_int(&q, ":blocked", row->blocked);
    hp_query_bind_blob(&q, ":fingerprint", row->has_fingerprint ? row->fingerprint : NULL,
                       row->has_fingerprint ? sizeof row->fingerprint : 0);
    hp_query_bind_int(&q, ":proven", row->proven && row->has_fingerprint);
    if (row->added_as[0] != '\0')
        hp_query_bind_text(&q, ":added_as", row->added_as);
    else
        hp_query_bind_null(&q, ":added_as");
    int rc = hp_query_run(&q, err);
    if (rc == 0 && hp_db_changes(db) == 0)
        return hp_err_set(err, HP_E_CONFLICT, "the host %s has another key than the one it is known by",
                          row->id);
    return rc;
}

static int add_address(hp_db_t *db, const char *host, const hp_host_row_address_t *address, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[ADD_ADDRESS]);
    hp_query_bind_text(&q, ":host", host);
    hp_query_bind_text(&q, ":address", address->address);
    hp_query_bind_int(&q, ":port", address->port);
    hp_query_bind_int(&q, ":answered_at", address->answered_at);
    return hp_query_run(&q, err);
}

static int remove_addresses(hp_db_t *db, const char *host, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[REMOVE_ADDRESSES]);
    hp_query_bind_text(&q, ":host", host);
    return hp_query_run(&q, err);
}

int hp_host_save(hp_db_t *db, const hp_host_row_t *row, hp_err_t *err)
{
    int rc = hp_db_savepoint(db, err);
    if (rc != 0)
        return rc;
    rc = save_host(db, row, err);
    if (rc == 0)
        rc = remove_addresses(db, row->id, err);
    for (size_t i = 0; rc == 0 && i < row->address_count; i++)
        rc = add_address(db, row->id, &row->addresses[i], err);
    if (rc == 0)
        rc = hp_db_release(db, err);
    if (rc != 0)
        hp_db_revert(db);
    return rc;
}

int hp_host_set_paired(hp_db_t *db, const char *id, int64_t paired_at, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SET_PAIRED]);
    hp_query_bind_text(&q, ":id", id);
    if (paired_at != 0)
        hp_query_bind_int(&q, ":at", paired_at);
    else
        hp_query_bind_null(&q, ":at");
    int rc = hp_query_run(&q, err);
    return rc == 0 && hp_db_changes(db) == 0 ? HP_E_NOT_FOUND : rc;
}

int hp_host_set_unpaired(hp_db_t *db, const char *id, int64_t unpaired_at, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SET_UNPAIRED]);
    hp_query_bind_text(&q, ":id", id);
    hp_query_bind_int(&q, ":at", unpaired_at);
    int rc = hp_query_run(&q, err);
    return rc == 0 && hp_db_changes(db) == 0 ? HP_E_NOT_FOUND : rc;
}

int hp_host_remove(hp_db_t *db, const char *id, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[REMOVE]);
    hp_query_bind_text(&q, ":id", id);
    return hp_query_run(&q, err);
}
