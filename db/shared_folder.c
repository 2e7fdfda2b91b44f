/* Table shared_folder: the empty folders of the share (shared_file.h). */
#include "db/shared_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "db/statement.h"

enum { PUT, SCAN, REMOVE, PAGE };

static const hp_sql_t sql[] = {
    [PUT] = {"shared_folder.put", "INSERT OR IGNORE INTO shared_folder (path) VALUES (:path)"},
    [SCAN] = {"shared_folder.scan",
              "SELECT path FROM shared_folder WHERE path >= :from AND path < :end ORDER BY path"},
    [REMOVE] = {"shared_folder.remove", "DELETE FROM shared_folder WHERE path = :path"},
    [PAGE] = {"shared_folder.page",
              "SELECT path FROM shared_folder WHERE path > :after ORDER BY path LIMIT :limit"},
};
HP_SQL_LIST(shared_folder, sql);

static int remove_folder(hp_db_t *db, const char *path, hp_shared_change_t *change, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[REMOVE]);
    hp_query_bind_text(&q, ":path", path);
    int rc = hp_query_run(&q, err);
    if (rc == 0 && hp_db_changes(db) > 0)
        change->rows++;
    return rc;
}

int hp_shared_folder_filled(hp_db_t *db, const char *path, hp_shared_change_t *change, hp_err_t *err)
{
    char *above = hp_strdup(path);
    int rc = 0;
    for (char *slash; rc == 0 && (slash = strrchr(above, '/')) != NULL;) {
        *slash = '\0';
        rc = remove_folder(db, above, change, err);
    }
    free(above);
    return rc;
}

int hp_shared_folder_put(hp_db_t *db, const char *path, hp_shared_change_t *change, hp_err_t *err)
{
    int64_t before = (int64_t)change->rows;
    int rc;
    {
        HP_QUERY(q, db, &sql[PUT]);
        hp_query_bind_text(&q, ":path", path);
        rc = hp_query_run(&q, err);
        if (rc == 0 && hp_db_changes(db) > 0)
            change->rows++;
    }
    if ((int64_t)change->rows == before)
        return rc;
    return hp_shared_folder_filled(db, path, change, err);
}

typedef HP_ARRAY(char *) paths_t;

/* The rows with from <= path < end that are not to stay are added to gone. */
static int find_gone(hp_db_t *db, const char *from, const char *end, hp_shared_keep_folder_fn keep, void *arg,
                     paths_t *gone, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SCAN]);
    hp_query_bind_text(&q, ":from", from);
    hp_query_bind_text(&q, ":end", end);
    while (hp_query_row(&q)) {
        const char *path = hp_query_string(&q, 0);
        if (!keep(arg, path))
            *hp_array_add(gone) = hp_strdup(path);
    }
    return hp_query_end(&q, err);
}

int hp_shared_folder_sweep(hp_db_t *db, const char *below, hp_shared_keep_folder_fn keep, void *arg,
                           hp_shared_change_t *change, hp_err_t *err)
{
    /* The paths below "a" lie between "a/" and "a0": '0' follows '/'. No UTF-8 begins with the byte 0xff. */
    char *from = below[0] != '\0' ? hp_sprintf("%s/", below) : hp_strdup("");
    char *end = below[0] != '\0' ? hp_sprintf("%s0", below) : hp_strdup("\xff");
    paths_t gone = {0};
    int rc = below[0] != '\0' && !keep(arg, below) ? remove_folder(db, below, change, err) : 0;
    if (rc == 0)
        rc = find_gone(db, from, end, keep, arg, &gone, err);
    for (size_t i = 0; i < gone.count; i++) {
        if (rc == 0)
            rc = remove_folder(db, gone.items[i], change, err);
        free(gone.items[i]);
    }
    hp_array_dispose(&gone);
    free(end);
    free(from);
    return rc;
}

int hp_shared_folder_page(hp_db_t *db, const char *after, size_t limit, hp_shared_rows_t *rows, hp_err_t *err)
{
    *rows = (hp_shared_rows_t){.items = hp_alloc_array(limit, sizeof *rows->items)};
    HP_QUERY(q, db, &sql[PAGE]);
    hp_query_bind_text(&q, ":after", after != NULL ? after : "");
    hp_query_bind_int(&q, ":limit", (int64_t)limit);
    while (rows->count < limit && hp_query_row(&q))
        rows->items[rows->count++] = (hp_shared_row_t){.path = hp_strdup(hp_query_string(&q, 0))};
    int rc = hp_query_end(&q, err);
    if (rc != 0)
        hp_shared_rows_dispose(rows);
    return rc;
}
