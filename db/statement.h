/* The statements of db/<table>.c: listed once in each file, prepared when the database is opened, finalised
 * when it is closed. For the sources of db/ alone: no SQLite type leaves this folder.
 *
 * A file of statements looks like this:
 *
 *     enum { GET, SET };
 *     static const hp_sql_t sql[] = {
 *         [GET] = {"setting.get", "SELECT value FROM setting WHERE name = :name"},
 *         [SET] = {"setting.set", "INSERT INTO setting ..."},
 *     };
 *     HP_SQL_LIST(setting, sql);       and X(setting) in HP_SQL_LISTS below
 *
 *     HP_QUERY(q, db, &sql[GET]);                     until the end of the block, however it is left
 *     hp_query_bind_text(&q, ":name", name);
 *     while (hp_query_row(&q))
 *         use(hp_query_text(&q, 0));
 *     return hp_query_end(&q, err);
 *
 * Invariants
 * 1. An error is kept in the query: row says false, and end (or run, or one) reports it with the statement's
 * name.
 * 2. Bound text and blobs are not copied: they live until the query ends. Column text and blobs live until
 * the next row.
 * 3. Mistakes in the code abort with the statement's name: a parameter that does not exist or was left
 * unbound, a statement used again while it runs, a column out of range, a statement that is in no list.
 */
#ifndef HP_DB_STATEMENT_H
#define HP_DB_STATEMENT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"

/* Every source of db/ that has statements. */
#define HP_SQL_LISTS(X)                                                                                      \
    X(self)                                                                                                  \
    X(setting)                                                                                               \
    X(traffic)                                                                                               \
    X(message)                                                                                               \
    X(download)                                                                                              \
    X(incoming)                                                                                              \
    X(download_file)                                                                                         \
    X(chunk)                                                                                                 \
    X(rename)                                                                                                \
    X(host_rename)                                                                                           \
    X(message_rename)                                                                                        \
    X(group)                                                                                                 \
    X(host)                                                                                                  \
    X(remote_file)                                                                                           \
    X(remote_sweep)                                                                                          \
    X(remote_import)                                                                                         \
    X(remote_match)                                                                                          \
    X(remote_search)                                                                                         \
    X(remote_page)                                                                                           \
    X(shared_file)                                                                                           \
    X(shared_folder)                                                                                         \
    X(hub)                                                                                                   \
    X(hub_list)                                                                                              \
    X(shared_own)                                                                                            \
    X(shared_place)                                                                                          \
    X(shared_hash)

typedef struct hp_sql {
    const char *name; /* "table.verb", as errors call it */
    const char *text; /* one statement with named parameters */
} hp_sql_t;

typedef struct hp_sql_list {
    const hp_sql_t *items;
    size_t count;
} hp_sql_list_t;

#define HP_SQL_LIST(table, array)                                                                            \
    const hp_sql_list_t hp_sql_##table = {(array), sizeof(array) / sizeof *(array)}

#define X(table) extern const hp_sql_list_t hp_sql_##table;
HP_SQL_LISTS(X)
#undef X

enum {
#define X(table) HP_SQL_LIST_OF_##table,
    HP_SQL_LISTS(X)
#undef X
        HP_SQL_LIST_COUNT
};

/* A statement as it hangs on an open database. */
typedef struct hp_prepared {
    sqlite3_stmt *stmt;
    bool busy; /* a query stands on it */
} hp_prepared_t;

typedef struct hp_query {
    hp_db_t *db;
    const hp_sql_t *sql;
    hp_prepared_t *prepared; /* NULL once ended */
    int status;              /* SQLITE_OK, or the first error */
    bool stepped;
    uint64_t bound; /* one bit a parameter */
    hp_err_t err;   /* the words of status */
} hp_query_t;

/* Declares the query `name` and begins it; it is ended when the block is left. */
#define HP_QUERY(name, db, sql)                                                                              \
    __attribute__((cleanup(hp_query_cleanup))) hp_query_t name;                                              \
    hp_query_begin(&name, (db), (sql))

void hp_query_begin(hp_query_t *self, hp_db_t *db, const hp_sql_t *sql);
void hp_query_cleanup(hp_query_t *self);

/* All parameters are bound before the first row. NULL text or data binds NULL. */
void hp_query_bind_text(hp_query_t *self, const char *parameter, const char *text);
void hp_query_bind_text_length(hp_query_t *self, const char *parameter, const char *text, size_t length);
void hp_query_bind_int(hp_query_t *self, const char *parameter, int64_t value);
void hp_query_bind_blob(hp_query_t *self, const char *parameter, const void *data, size_t length);
/* 64 hex digits as 32 bytes; anything else makes the query fail with HP_E_INVALID. */
void hp_query_bind_root(hp_query_t *self, const char *parameter, const char *hex);
void hp_query_bind_null(hp_query_t *self, const char *parameter);

/* Whether there is a (next) row. false at the end and after an error. */
bool hp_query_row(hp_query_t *self);

/* Resets the statement. 0, or the error that stopped it. */
int hp_query_end(hp_query_t *self, hp_err_t *err);

/* Steps to the end, for statements without rows, and ends. */
int hp_query_run(hp_query_t *self, hp_err_t *err);

/* The first row: 0 with the query standing on it; HP_E_NOT_FOUND (err untouched) or an error with the query
 * ended. */
int hp_query_one(hp_query_t *self, hp_err_t *err);

/* Columns of the present row, from 0. Text has a NUL; text and blob are NULL for NULL, a blob of no bytes is
 * never NULL. */
int64_t hp_query_int(hp_query_t *self, int column);
const char *hp_query_text(hp_query_t *self, int column);
const void *hp_query_blob(hp_query_t *self, int column, size_t *length);
/* A number, but 0 for a negative one: for sizes and counts, which are negative in a damaged file alone. */
int64_t hp_query_count(hp_query_t *self, int column);
/* The same, but "" for NULL: for columns that are NOT NULL unless the file is damaged. */
const char *hp_query_string(hp_query_t *self, int column);
/* 32 bytes as 64 hex digits, for the caller to free; NULL for anything else. */
char *hp_query_root(hp_query_t *self, int column);
bool hp_query_is_null(hp_query_t *self, int column);

/* Rows that the last INSERT, UPDATE or DELETE changed, and the id of the last INSERT. */
int64_t hp_db_changes(const hp_db_t *db);
int64_t hp_db_last_id(const hp_db_t *db);

/* ---- for db.c and schema.c ---- */

/* Prepares every list. 0, or HP_E_DB naming the statement. */
int hp_statements_prepare(hp_db_t *db, hp_err_t *err);
void hp_statements_finalize(hp_db_t *db);

/* Runs SQL that has no parameters and whose rows do not matter; what names it in errors. */
int hp_db_script(hp_db_t *db, const char *sql, const char *what, hp_err_t *err);

/* Turns SQLite's result code into hostpair's, with the words. */
int hp_db_fail(const hp_db_t *db, int result, const char *what, hp_err_t *err);

/* The connection, for tests that look behind the statements. */
sqlite3 *hp_db_handle(const hp_db_t *db);

/* Where an open database keeps its statements: one array a list, in the order of HP_SQL_LISTS. */
hp_prepared_t **hp_db_prepared(hp_db_t *db);

#endif
