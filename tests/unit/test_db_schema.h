/* What a database looks like, as text, and databases of any version: for the tests of the schema. */
#ifndef TEST_DB_SCHEMA_H
#define TEST_DB_SCHEMA_H

#include "test_db_help.h"

#include <ctype.h>

#include "base/buf.h"
#include "base/mem.h"
#include "db/db.h"
#include "db/schema.h"
#include "db/statement.h"

/* ---- what a database looks like, as sorted lines ---- */

typedef struct lines {
    char **items;
    size_t count;
} lines_t;

static inline void add_line(lines_t *lines, char *line)
{
    lines->items = hp_realloc(lines->items, (lines->count + 1) * sizeof *lines->items);
    lines->items[lines->count++] = line;
}

static inline void free_lines(lines_t *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i]);
    free(lines->items);
}

static inline int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* SQL without comments, with one space for any other run of white space. Comments and layout are no part of a
 * table. */
static inline char *plain_sql(const char *sql)
{
    char *out = hp_alloc(strlen(sql) + 1), *end = out;
    for (const char *p = sql; *p != '\0'; p++) {
        if (p[0] == '-' && p[1] == '-')
            p += strcspn(p, "\n");
        if (*p == '\0')
            break;
        if (!isspace((unsigned char)*p))
            *end++ = *p;
        else if (end > out && end[-1] != ' ' && end[-1] != '(')
            *end++ = ' ';
        if (*p == ')' && end > out + 1 && end[-2] == ' ')
            end--, end[-1] = ')';
    }
    *end = '\0';
    return out;
}

/* The pragmas say everything of a table but its checks. */
static inline void add_checks(lines_t *lines, const char *table, const char *sql)
{
    char *plain = plain_sql(sql);
    for (const char *p = plain; (p = strstr(p, "CHECK (")) != NULL;) {
        const char *start = p + strlen("CHECK ");
        int depth = 0;
        for (p = start; *p != '\0'; p++) {
            depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
            if (depth == 0)
                break;
        }
        add_line(lines, hp_sprintf("table %s: check %.*s", table, (int)(p - start + 1), start));
    }
    free(plain);
}

static inline void add_rows(lines_t *lines, sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL), SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW)
        add_line(lines, hp_strdup((const char *)sqlite3_column_text(stmt, 0)));
    sqlite3_finalize(stmt);
}

static inline void add_collations(lines_t *lines, sqlite3 *handle)
{
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(handle,
                                        "SELECT t.name, c.name FROM pragma_table_list AS t,"
                                        " pragma_table_xinfo(t.name) AS c WHERE t.schema = 'main'",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(stmt, 0);
        const char *column = (const char *)sqlite3_column_text(stmt, 1), *collation;
        int counts;
        assert_int_equal(sqlite3_table_column_metadata(handle, "main", table, column, NULL, &collation, NULL,
                                                       NULL, &counts),
                         SQLITE_OK);
        add_line(lines, hp_sprintf("column %s.%s: collates %s%s", table, column, collation,
                                   counts ? ", never used again" : ""));
    }
    sqlite3_finalize(stmt);
}

static inline lines_t describe(hp_db_t *db)
{
    static const char *const queries[] = {
        "SELECT printf('table %s: %s%s%s', name, type, iif(strict, ', strict', ''), iif(wr, ', without "
        "rowid', ''))"
        " FROM pragma_table_list WHERE schema = 'main'",
        "SELECT printf('column %s.%s: %s%s%s%s', t.name, c.name, c.type, iif(c.\"notnull\", ' not null', ''),"
        " iif(c.dflt_value IS NULL, '', ' default ' || c.dflt_value), iif(c.pk, ' key ' || c.pk, ''))"
        " FROM pragma_table_list AS t, pragma_table_xinfo(t.name) AS c WHERE t.schema = 'main'",
        /* Indices that SQLite makes by itself are numbered in the order of the constraints: they go by their
           columns. */
        "SELECT printf('index on %s(%s): %s%s%s', t.name,"
        " (SELECT group_concat(coalesce(x.name, '?') || ' ' || x.coll || iif(x.\"desc\", ' desc', ''))"
        "  FROM pragma_index_xinfo(i.name) AS x WHERE x.key),"
        " iif(i.\"unique\", 'unique ', ''), i.origin, iif(i.partial, ' partial', ''))"
        " FROM pragma_table_list AS t, pragma_index_list(t.name) AS i WHERE t.schema = 'main'",
        "SELECT printf('reference %s.%s: %s.%s on delete %s on update %s', t.name, f.\"from\", f.\"table\","
        " coalesce(f.\"to\", 'key'), f.on_delete, f.on_update)"
        " FROM pragma_table_list AS t, pragma_foreign_key_list(t.name) AS f WHERE t.schema = 'main'",
    };
    sqlite3 *handle = hp_db_handle(db);
    lines_t lines = {0};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        add_rows(&lines, handle, queries[i]);
    add_collations(&lines, handle);

    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(handle,
                                        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL", -1,
                                        &stmt, NULL),
                     SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(stmt, 0);
        const char *name = (const char *)sqlite3_column_text(stmt, 1);
        const char *sql = (const char *)sqlite3_column_text(stmt, 2);
        if (strcmp(type, "table") == 0) {
            add_checks(&lines, name, sql);
            continue;
        }
        char *plain = plain_sql(sql); /* indices, triggers and views are never altered in place */
        add_line(&lines, hp_sprintf("%s %s: %s", type, name, plain));
        free(plain);
    }
    sqlite3_finalize(stmt);
    qsort(lines.items, lines.count, sizeof *lines.items, by_text);
    return lines;
}

/* The lines that only one of the two has, as text for the caller to free; "" when they are the same. */
static inline char *differences(hp_db_t *fresh, hp_db_t *other)
{
    hp_buf_t out;
    hp_buf_init(&out, 1 << 20);
    hp_buf_add_text(&out, "");
    lines_t a = describe(fresh), b = describe(other);
    size_t i = 0, k = 0;
    while (i < a.count || k < b.count) {
        int order = i == a.count ? 1 : k == b.count ? -1 : strcmp(a.items[i], b.items[k]);
        if (order < 0)
            hp_buf_printf(&out, "only in schema/: %s\n", a.items[i]);
        else if (order > 0)
            hp_buf_printf(&out, "only by migrations/: %s\n", b.items[k]);
        i += order <= 0;
        k += order >= 0;
    }
    free_lines(&a);
    free_lines(&b);
    return hp_buf_take(&out);
}

static inline void assert_same_tables(hp_db_t *fresh, hp_db_t *other)
{
    char *text = differences(fresh, other);
    if (text[0] != '\0')
        fail_msg("the tables differ:\n%s", text);
    free(text);
}

/* ---- databases of any version ---- */

static inline hp_db_t *open_schema(const char *path, const hp_schema_t *schema)
{
    hp_db_t *db;
    hp_err_t err = {0};
    if (hp_db_open_schema(path, schema, &db, &err) != 0)
        fail_msg("%s", hp_err_text(&err));
    return db;
}

static inline void run(hp_db_t *db, const char *sql)
{
    hp_err_t err = {0};
    if (hp_db_script(db, sql, "test", &err) != 0)
        fail_msg("%s", hp_err_text(&err));
}

static inline char *text_of(hp_db_t *db, const char *sql)
{
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v2(hp_db_handle(db), sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(hp_db_handle(db)));
    if (sqlite3_step(stmt) != SQLITE_ROW)
        fail_msg("%s: no row, or %s", sql, sqlite3_errmsg(hp_db_handle(db)));
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    char *copy = hp_strdup(text != NULL ? text : "NULL");
    sqlite3_finalize(stmt);
    return copy;
}

static inline void assert_text(hp_db_t *db, const char *sql, const char *expected)
{
    char *text = text_of(db, sql);
    if (strcmp(text, expected) != 0)
        fail_msg("%s: \"%s\", expected \"%s\"", sql, text, expected);
    free(text);
}

/* A database as a hostpair of that version would have made it: by the migrations up to there. */
static inline hp_db_t *make_version(const char *path, const hp_schema_t *latest, int version)
{
    hp_schema_t old = {.version = version,
                       .tables = latest->migrations,
                       .table_count = (size_t)version,
                       .migrations = latest->migrations};
    return open_schema(path, &old);
}

/* Holds the database against the lines "-- expect VALUE: QUERY" of the fixture; returns how many there are.
 */
static inline int check_expectations(hp_db_t *db, char *fixture)
{
    static const char mark[] = "-- expect ";
    int count = 0;
    char *rest = NULL;
    for (char *line = strtok_r(fixture, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, mark, sizeof mark - 1) != 0)
            continue;
        char *value = line + sizeof mark - 1, *query = strstr(value, ": ");
        assert_non_null(query);
        *query = '\0';
        assert_text(db, query + 2, value);
        count++;
    }
    return count;
}

#endif
