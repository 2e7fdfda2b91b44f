#include "db/statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"

static const hp_sql_list_t *const lists[] = {
#define X(table) &hp_sql_##table,
    HP_SQL_LISTS(X)
#undef X
};

/* A mistake in the code, not in the data: going on could write to the wrong row. */
static _Noreturn void mistake(const hp_sql_t *sql, const char *what, const char *which)
{
    fprintf(stderr, "hostpair: statement %s: %s%s\n", sql->name != NULL ? sql->name : "?", what, which);
    abort();
}

static int prepare_one(hp_db_t *db, const hp_sql_t *sql, hp_prepared_t *prepared, hp_err_t *err)
{
    const char *rest = NULL;
    int rc = sqlite3_prepare_v3(hp_db_handle(db), sql->text, -1, SQLITE_PREPARE_PERSISTENT, &prepared->stmt,
                                &rest);
    if (rc != SQLITE_OK)
        return hp_db_fail(db, rc, sql->name, err);
    if (prepared->stmt == NULL || rest[strspn(rest, " \n\t;")] != '\0')
        mistake(sql, "is not exactly one statement", "");
    int parameters = sqlite3_bind_parameter_count(prepared->stmt);
    if (parameters > 64)
        mistake(sql, "has more than 64 parameters", "");
    for (int i = 1; i <= parameters; i++)
        if (sqlite3_bind_parameter_name(prepared->stmt, i) == NULL)
            mistake(sql, "has a parameter without a name", "");
    return 0;
}

int hp_statements_prepare(hp_db_t *db, hp_err_t *err)
{
    hp_prepared_t **all = hp_db_prepared(db);
    for (size_t i = 0; i < HP_SQL_LIST_COUNT; i++) {
        all[i] = hp_alloc_array(lists[i]->count, sizeof **all);
        for (size_t k = 0; k < lists[i]->count; k++) {
            int rc = prepare_one(db, &lists[i]->items[k], &all[i][k], err);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

void hp_statements_finalize(hp_db_t *db)
{
    hp_prepared_t **all = hp_db_prepared(db);
    for (size_t i = 0; i < HP_SQL_LIST_COUNT; i++) {
        if (all[i] == NULL)
            continue;
        for (size_t k = 0; k < lists[i]->count; k++)
            sqlite3_finalize(all[i][k].stmt);
        free(all[i]);
        all[i] = NULL;
    }
}

static hp_prepared_t *find(hp_db_t *db, const hp_sql_t *sql)
{
    for (size_t i = 0; i < HP_SQL_LIST_COUNT; i++) {
        uintptr_t first = (uintptr_t)lists[i]->items, at = (uintptr_t)sql;
        if (at >= first && at < first + lists[i]->count * sizeof *sql)
            return &hp_db_prepared(db)[i][(at - first) / sizeof *sql];
    }
    mistake(sql, "is in none of the lists that HP_SQL_LISTS names", "");
}

void hp_query_begin(hp_query_t *self, hp_db_t *db, const hp_sql_t *sql)
{
    self->db = db;
    self->sql = sql;
    self->prepared = find(db, sql);
    self->status = SQLITE_OK;
    self->stepped = false;
    self->bound = 0;
    self->err.code = 0;
    self->err.detail[0] = '\0';
    if (self->prepared->busy)
        mistake(sql, "is used again while it runs", "");
    self->prepared->busy = true;
}

static void release(hp_query_t *self)
{
    if (self->prepared == NULL)
        return;
    /* The result of reset repeats the error of the last step, which is already kept. */
    sqlite3_reset(self->prepared->stmt);
    sqlite3_clear_bindings(self->prepared->stmt);
    self->prepared->busy = false;
    self->prepared = NULL;
}

void hp_query_cleanup(hp_query_t *self)
{
    release(self);
}

static void keep_error(hp_query_t *self, int result)
{
    if (self->status == SQLITE_OK && result != SQLITE_OK) {
        self->status = result;
        hp_db_fail(self->db, result, self->sql->name, &self->err);
    }
}

static int parameter_index(hp_query_t *self, const char *parameter)
{
    if (self->prepared == NULL || self->stepped)
        mistake(self->sql, "is bound after it ran: ", parameter);
    int i = sqlite3_bind_parameter_index(self->prepared->stmt, parameter);
    if (i == 0)
        mistake(self->sql, "has no parameter ", parameter);
    self->bound |= UINT64_C(1) << (i - 1);
    return i;
}

void hp_query_bind_text(hp_query_t *self, const char *parameter, const char *text)
{
    hp_query_bind_text_length(self, parameter, text, text != NULL ? strlen(text) : 0);
}

void hp_query_bind_text_length(hp_query_t *self, const char *parameter, const char *text, size_t length)
{
    int i = parameter_index(self, parameter);
    keep_error(self, sqlite3_bind_text64(self->prepared->stmt, i, text, length, SQLITE_STATIC, SQLITE_UTF8));
}

void hp_query_bind_int(hp_query_t *self, const char *parameter, int64_t value)
{
    int i = parameter_index(self, parameter);
    keep_error(self, sqlite3_bind_int64(self->prepared->stmt, i, value));
}

void hp_query_bind_blob(hp_query_t *self, const char *parameter, const void *data, size_t length)
{
    int i = parameter_index(self, parameter);
    keep_error(self, sqlite3_bind_blob64(self->prepared->stmt, i, data, length, SQLITE_STATIC));
}

void hp_query_bind_root(hp_query_t *self, const char *parameter, const char *hex)
{
    uint8_t root[32];
    int i = parameter_index(self, parameter);
    if (hex == NULL) {
        keep_error(self, sqlite3_bind_null(self->prepared->stmt, i));
    } else if (hp_hex_decode(hex, root, sizeof root) == 0) {
        keep_error(self, sqlite3_bind_blob64(self->prepared->stmt, i, root, sizeof root, SQLITE_TRANSIENT));
    } else if (self->status == SQLITE_OK) {
        self->status = SQLITE_MISMATCH;
        hp_err_set(&self->err, HP_E_INVALID, "%s: \"%s\" is no root", self->sql->name, hex);
    }
}

void hp_query_bind_null(hp_query_t *self, const char *parameter)
{
    int i = parameter_index(self, parameter);
    keep_error(self, sqlite3_bind_null(self->prepared->stmt, i));
}

static void check_bound(hp_query_t *self)
{
    int parameters = sqlite3_bind_parameter_count(self->prepared->stmt);
    for (int i = 1; i <= parameters; i++)
        if ((self->bound >> (i - 1) & 1) == 0)
            mistake(self->sql, "runs without a value for ",
                    sqlite3_bind_parameter_name(self->prepared->stmt, i));
}

bool hp_query_row(hp_query_t *self)
{
    if (self->prepared == NULL)
        mistake(self->sql, "is stepped after its end", "");
    if (!self->stepped) {
        check_bound(self);
        self->stepped = true;
    }
    if (self->status != SQLITE_OK)
        return false;
    int rc = sqlite3_step(self->prepared->stmt);
    if (rc == SQLITE_ROW)
        return true;
    keep_error(self, rc == SQLITE_DONE ? SQLITE_OK : rc);
    return false;
}

int hp_query_end(hp_query_t *self, hp_err_t *err)
{
    release(self);
    if (self->status == SQLITE_OK)
        return 0;
    return hp_err_set(err, self->err.code, "%s", self->err.detail);
}

int hp_query_run(hp_query_t *self, hp_err_t *err)
{
    while (hp_query_row(self))
        continue;
    return hp_query_end(self, err);
}

int hp_query_one(hp_query_t *self, hp_err_t *err)
{
    if (hp_query_row(self))
        return 0;
    int rc = hp_query_end(self, err);
    return rc != 0 ? rc : HP_E_NOT_FOUND;
}

static sqlite3_stmt *column_of(hp_query_t *self, int column)
{
    /* sqlite3_data_count is 0 unless the statement stands on a row. */
    if (self->prepared == NULL || column < 0 || column >= sqlite3_data_count(self->prepared->stmt))
        mistake(self->sql, "is asked for a column that it does not have", "");
    return self->prepared->stmt;
}

int64_t hp_query_int(hp_query_t *self, int column)
{
    return sqlite3_column_int64(column_of(self, column), column);
}

int64_t hp_query_count(hp_query_t *self, int column)
{
    return HP_MAX(hp_query_int(self, column), (int64_t)0);
}

const char *hp_query_text(hp_query_t *self, int column)
{
    return (const char *)sqlite3_column_text(column_of(self, column), column);
}

const void *hp_query_blob(hp_query_t *self, int column, size_t *length)
{
    sqlite3_stmt *stmt = column_of(self, column);
    const void *data = sqlite3_column_blob(stmt, column);
    *length = (size_t)sqlite3_column_bytes(stmt, column);
    if (data == NULL && sqlite3_column_type(stmt, column) != SQLITE_NULL)
        return "";
    return data;
}

const char *hp_query_string(hp_query_t *self, int column)
{
    const char *text = hp_query_text(self, column);
    return text != NULL ? text : "";
}

char *hp_query_root(hp_query_t *self, int column)
{
    size_t length;
    const void *root = hp_query_blob(self, column, &length);
    if (root == NULL || length != 32)
        return NULL;
    char *hex = hp_alloc(65);
    hp_hex_encode(root, 32, hex);
    return hex;
}

bool hp_query_is_null(hp_query_t *self, int column)
{
    return sqlite3_column_type(column_of(self, column), column) == SQLITE_NULL;
}
