#include "db/schema.h"

#include <stdio.h>

#include "base/path.h"
#include "db/statement.h"

/* application_id and user_version stand in the file's header and are part of the transaction. */
static int stamp(hp_db_t *db, int version, hp_err_t *err)
{
    char sql[100];
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", HP_DB_APPLICATION_ID,
             version);
    return hp_db_script(db, sql, "the version number", err);
}

/* Rows that refer to nothing would surface much later, as failures that nobody understands. */
static int check_references(hp_db_t *db, const char *name, hp_err_t *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(hp_db_handle(db), "PRAGMA foreign_key_check", -1, &stmt, NULL), result = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        result = hp_err_set(err, HP_E_DB, "%s leaves rows in %s that refer to missing rows of %s", name,
                            (const char *)sqlite3_column_text(stmt, 0),
                            (const char *)sqlite3_column_text(stmt, 2));
    else if (rc != SQLITE_DONE)
        result = hp_db_fail(db, rc, name, err);
    sqlite3_finalize(stmt);
    return result;
}

/* hp_unhex(text): 64 hex digits as 32 bytes, NULL for anything else. */
static void unhex(sqlite3_context *context, int count, sqlite3_value **values)
{
    uint8_t root[32];
    (void)count;
    const char *hex = (const char *)sqlite3_value_text(values[0]);
    if (hex != NULL && hp_hex_decode(hex, root, sizeof root) == 0)
        sqlite3_result_blob(context, root, sizeof root, SQLITE_TRANSIENT);
}

static int add_functions(hp_db_t *db, hp_err_t *err)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int result = sqlite3_create_function(hp_db_handle(db), "hp_unhex", 1, flags, NULL, unhex, NULL, NULL);
    return result == SQLITE_OK ? 0 : hp_db_fail(db, result, "making hp_unhex", err);
}

int hp_schema_create(hp_db_t *db, const hp_schema_t *schema, hp_err_t *err)
{
    int rc = add_functions(db, err);
    if (rc == 0)
        rc = hp_db_begin(db, err);
    for (size_t i = 0; rc == 0 && i < schema->table_count; i++)
        rc = hp_db_script(db, schema->tables[i].sql, schema->tables[i].name, err);
    if (rc == 0)
        rc = stamp(db, schema->version, err);
    if (rc == 0)
        rc = hp_db_commit(db, err);
    if (rc != 0)
        hp_db_rollback(db);
    return rc;
}

static int migrate_one(hp_db_t *db, const hp_schema_part_t *step, int to, hp_err_t *err)
{
    int rc = hp_db_begin(db, err);
    if (rc == 0)
        rc = hp_db_script(db, step->sql, step->name, err);
    if (rc == 0)
        rc = check_references(db, step->name, err);
    if (rc == 0)
        rc = stamp(db, to, err);
    if (rc == 0)
        rc = hp_db_commit(db, err);
    if (rc != 0)
        hp_db_rollback(db);
    return rc;
}

int hp_schema_migrate(hp_db_t *db, const hp_schema_t *schema, int from, hp_err_t *err)
{
    if (from == schema->version)
        return 0;
    int rc = add_functions(db, err);
    if (rc != 0)
        return rc;
    for (int version = from; version < schema->version; version++) {
        rc = migrate_one(db, &schema->migrations[version], version + 1, err);
        if (rc != 0) {
            hp_err_prefix(err, "bringing the database from version %d to %d: ", version, version + 1);
            return rc;
        }
    }
    return 0;
}
