#include "db/schema.h"

#include <stdio.h>

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

int hp_schema_create(hp_db_t *db, const hp_schema_t *schema, hp_err_t *err)
{
    int rc = hp_db_begin(db, err);
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
    for (int version = from; version < schema->version; version++) {
        int rc = migrate_one(db, &schema->migrations[version], version + 1, err);
        if (rc != 0) {
            hp_err_prefix(err, "bringing the database from version %d to %d: ", version, version + 1);
            return rc;
        }
    }
    return 0;
}
