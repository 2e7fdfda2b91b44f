/* Tables are copied row by row: where reading one breaks off, it is read again from its other end, until it
 * breaks off there. What lies between is lost. */
#include "db/salvage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "db/schema.h"
#include "db/statement.h"

#define COLUMNS_MAX 64
#define TABLES_MAX  100
#define SQL_MAX     8192

typedef struct table {
    char name[64];
    char columns[2000]; /* that both databases have, with commas between them */
    char marks[200];    /* as many question marks */
    char key[200];      /* what its rows are ordered by */
    int count;          /* of columns */
} table_t;

/* The first row's first column; -1 where that cannot be read. */
static int64_t read_number(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static bool has_column(sqlite3 *handle, const char *table, const char *column)
{
    return sqlite3_table_column_metadata(handle, "main", table, column, NULL, NULL, NULL, NULL, NULL) ==
           SQLITE_OK;
}

static void add_name(char *list, size_t size, const char *name, const char *between)
{
    size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s", used > 0 ? between : "", name);
}

/* Fills what the two have in common; count stays 0 when that is nothing. */
static void compare_table(sqlite3 *old, sqlite3 *fresh, table_t *table)
{
    char sql[200];
    bool without_rowid = false;
    sqlite3_stmt *stmt = NULL;
    snprintf(sql, sizeof sql, "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = '%s'",
             table->name);
    without_rowid = read_number(fresh, sql) == 1;
    snprintf(sql, sizeof sql, "SELECT name, pk FROM pragma_table_xinfo('%s') ORDER BY cid", table->name);
    if (sqlite3_prepare_v2(fresh, sql, -1, &stmt, NULL) != SQLITE_OK)
        return;
    while (sqlite3_step(stmt) == SQLITE_ROW && table->count < COLUMNS_MAX) {
        const char *column = (const char *)sqlite3_column_text(stmt, 0);
        if (!has_column(old, table->name, column))
            continue;
        add_name(table->columns, sizeof table->columns, column, ", ");
        add_name(table->marks, sizeof table->marks, "?", ", ");
        if (without_rowid && sqlite3_column_int(stmt, 1) > 0)
            add_name(table->key, sizeof table->key, column, ", ");
        table->count++;
    }
    sqlite3_finalize(stmt);
    if (!without_rowid)
        snprintf(table->key, sizeof table->key, "rowid");
}

/* The key in the other direction. */
static char *descending(const char *key)
{
    hp_buf_t out;
    hp_buf_init(&out, SQL_MAX);
    for (const char *p = key; *p != '\0'; p++) {
        if (*p == ',')
            hp_buf_add_text(&out, " DESC");
        hp_buf_add(&out, p, 1);
    }
    hp_buf_add_text(&out, " DESC");
    return hp_buf_take(&out);
}

/* A row that breaks a rule of the new table is left out. */
static int insert_row(hp_db_t *fresh, sqlite3_stmt *insert, sqlite3_stmt *row, int columns, int64_t *rows,
                      hp_err_t *err)
{
    for (int i = 0; i < columns; i++)
        sqlite3_bind_value(insert, i + 1, sqlite3_column_value(row, i));
    int rc = sqlite3_step(insert);
    if (rc == SQLITE_DONE)
        *rows += sqlite3_changes(hp_db_handle(fresh));
    sqlite3_reset(insert);
    sqlite3_clear_bindings(insert);
    if (rc == SQLITE_DONE || (rc & 0xff) == SQLITE_CONSTRAINT || (rc & 0xff) == SQLITE_MISMATCH)
        return 0;
    return hp_db_fail(fresh, rc, "taking over a row", err);
}

/* Copies until the end, or until reading breaks off: *whole tells which. */
static int copy_rows(sqlite3 *old, hp_db_t *fresh, const table_t *table, const char *order, int64_t *rows,
                     bool *whole, hp_err_t *err)
{
    char sql[SQL_MAX];
    sqlite3_stmt *read = NULL, *insert = NULL;
    *whole = false;
    snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO %s (%s) VALUES (%s)", table->name, table->columns,
             table->marks);
    int rc = sqlite3_prepare_v2(hp_db_handle(fresh), sql, -1, &insert, NULL), result = 0;
    if (rc != SQLITE_OK)
        return hp_db_fail(fresh, rc, table->name, err);
    snprintf(sql, sizeof sql, "SELECT %s FROM %s NOT INDEXED ORDER BY %s", table->columns, table->name,
             order);
    rc = sqlite3_prepare_v2(old, sql, -1, &read, NULL);
    if (rc == SQLITE_OK) {
        while (result == 0 && (rc = sqlite3_step(read)) == SQLITE_ROW)
            result = insert_row(fresh, insert, read, table->count, rows, err);
        *whole = rc == SQLITE_DONE;
    }
    sqlite3_finalize(read);
    sqlite3_finalize(insert);
    return result;
}

static int copy_table(sqlite3 *old, hp_db_t *fresh, table_t *table, int64_t *rows, hp_err_t *err)
{
    compare_table(old, hp_db_handle(fresh), table);
    if (table->count == 0)
        return 0;
    bool whole;
    int rc = copy_rows(old, fresh, table, table->key, rows, &whole, err);
    if (rc != 0 || whole)
        return rc;
    char *back = descending(table->key);
    rc = copy_rows(old, fresh, table, back, rows, &whole, err);
    free(back);
    return rc;
}

/* Rows of the tables that refer to another go with the row that they refer to. */
static int drop_orphans(hp_db_t *fresh, hp_err_t *err)
{
    sqlite3_stmt *stmt = NULL;
    int result = 0;
    int rc = sqlite3_prepare_v2(hp_db_handle(fresh),
                                "SELECT t.name, f.\"from\", f.\"table\", f.\"to\" FROM pragma_table_list t,"
                                " pragma_foreign_key_list(t.name) f WHERE t.schema = 'main'",
                                -1, &stmt, NULL);
    while (rc == SQLITE_OK && result == 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        const unsigned char *from = sqlite3_column_text(stmt, 1);
        char *sql =
            hp_sprintf("DELETE FROM %s WHERE %s NOT IN (SELECT %s FROM %s)", sqlite3_column_text(stmt, 0),
                       from, sqlite3_column_text(stmt, 3), sqlite3_column_text(stmt, 2));
        result = hp_db_script(fresh, sql, "dropping rows without the one they belong to", err);
        free(sql);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_OK ? result : hp_db_fail(fresh, rc, "reading the new tables", err);
}

/* Chunks come before their files, whose count of chunks a trigger would raise; sums after the files, whose
 * insertion drops them. */
static int list_tables(hp_db_t *fresh, table_t *tables, size_t *count, hp_err_t *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(
        hp_db_handle(fresh),
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        " AND name NOT LIKE 'remote%' ORDER BY name <> 'chunk', name = 'download_sum', name",
        -1, &stmt, NULL);
    *count = 0;
    if (rc != SQLITE_OK)
        return hp_db_fail(fresh, rc, "reading the new tables", err);
    while (sqlite3_step(stmt) == SQLITE_ROW && *count < TABLES_MAX)
        snprintf(tables[(*count)++].name, sizeof tables->name, "%s", sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return 0;
}

static int copy_all(sqlite3 *old, hp_db_t *fresh, int64_t *rows, hp_err_t *err)
{
    size_t count;
    table_t *tables = hp_alloc_array(TABLES_MAX, sizeof *tables);
    int rc = hp_db_script(fresh, "PRAGMA foreign_keys = OFF", "setting it up", err);
    if (rc == 0)
        rc = list_tables(fresh, tables, &count, err);
    if (rc == 0)
        rc = hp_db_begin(fresh, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = copy_table(old, fresh, &tables[i], rows, err);
    /* A row that refers to one that goes may be referred to itself. */
    for (int i = 0; rc == 0 && i < 3; i++)
        rc = drop_orphans(fresh, err);
    if (rc == 0)
        rc = hp_db_commit(fresh, err);
    if (rc == 0)
        rc = hp_db_checkpoint(fresh, err);
    free(tables);
    return rc;
}

/* What the damaged database can still say of itself. */
static int version_of(sqlite3 *old)
{
    int64_t version = read_number(old, "PRAGMA user_version");
    return version >= 1 && version <= hp_schema_latest.version ? (int)version : hp_schema_latest.version;
}

static bool is_empty(const char *path)
{
    struct stat st;
    return stat(path, &st) != 0 || st.st_size == 0;
}

/* Opening it for reading makes a journal where there is none. */
static void drop_empty_journal(const char *path)
{
    char *journal = hp_sprintf("%s-wal", path), *index = hp_sprintf("%s-shm", path);
    if (is_empty(journal)) {
        unlink(journal);
        unlink(index);
    }
    free(index);
    free(journal);
}

int hp_db_salvage(const char *damaged, const char *fresh, int64_t *rows, hp_err_t *err)
{
    sqlite3 *old = NULL;
    hp_db_t *db = NULL;
    *rows = 0;
    int rc = sqlite3_open_v2(damaged, &old, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    bool readable = rc == SQLITE_OK;
    if (readable) {
        sqlite3_db_config(old, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_db_config(old, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_db_config(old, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_exec(old, "PRAGMA query_only = ON", NULL, NULL, NULL);
    }
    int version = version_of(old);
    hp_schema_t schema = {.version = version,
                          .tables = hp_schema_latest.migrations,
                          .table_count = (size_t)version,
                          .migrations = hp_schema_latest.migrations};
    rc = hp_db_open_schema(fresh, &schema, &db, err);
    if (rc == 0 && readable)
        rc = copy_all(old, db, rows, err);
    hp_db_close(db);
    sqlite3_close(old);
    drop_empty_journal(damaged);
    if (rc != 0)
        hp_db_unlink(fresh);
    return rc;
}
