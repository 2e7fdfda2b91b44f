#include "db/shared_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "db/shared_row.h"

#define SWEEP_ROWS 5000 /* looked at in one step */

enum {
    STATE_LOAD,
    STATE_SAVE,
    COMMIT,
    GET,
    TWIN,
    ADD,
    CHANGE,
    REMOVE,
    SCAN,
    REMOVE_ID,
    PAGE,
    PAGE_FIRST,
    LAST_ID,
    LATEST,
    ROOT_OF,
    LAYER_DROP,
};

static const hp_sql_t sql[] = {
    [STATE_LOAD] = {"share.load",
                    "SELECT folder, device, complete, revision, files, bytes, hashed_bytes FROM share"},
    [STATE_SAVE] = {"share.save",
                    "INSERT INTO share (one, folder, device, complete, revision, files, bytes, hashed_bytes)"
                    " VALUES (1, :folder, :device, :complete, 1, 0, 0, 0)"
                    " ON CONFLICT (one) DO UPDATE SET folder = excluded.folder, device = excluded.device,"
                    " complete = excluded.complete, revision = revision + 1"},
    [COMMIT] = {"share.commit", "UPDATE share SET files = files + :files, bytes = bytes + :bytes,"
                                " hashed_bytes = hashed_bytes + :hashed, revision = revision + :step"},
    [GET] = {"shared_file.get",
             "SELECT id, device, inode, size, mtime_ns, ctime_ns, root, executable FROM shared_file"
             " WHERE path = :path"},
    [TWIN] = {"shared_file.twin",
              "SELECT id, device, inode, size, mtime_ns, ctime_ns, root, executable FROM shared_file"
              " WHERE inode = :inode AND device = :device"
              " AND (size <> :size OR mtime_ns <> :mtime OR ctime_ns <> :ctime) LIMIT 1"},
    [ADD] = {"shared_file.add",
             "INSERT INTO shared_file (path, device, inode, size, mtime_ns, ctime_ns, root, executable)"
             " VALUES (:path, :device, :inode, :size, :mtime, :ctime, :root, :executable)"},
    /* Another file under this name does not wait for what became of the one before it. */
    [CHANGE] = {"shared_file.change",
                "UPDATE shared_file SET device = :device, inode = :inode, size = :size,"
                " mtime_ns = :mtime, ctime_ns = :ctime, root = :root, executable = :executable,"
                " hash_after = iif(device = :device AND inode = :inode, hash_after, 0) WHERE id = :id"},
    [REMOVE] = {"shared_file.remove", "DELETE FROM shared_file WHERE path = :path RETURNING size, root"},
    [SCAN] =
        {"shared_file.scan",
         "SELECT id, path FROM shared_file WHERE path > :after AND path < :end ORDER BY path LIMIT :limit"},
    [REMOVE_ID] = {"shared_file.remove_id", "DELETE FROM shared_file WHERE id = :id RETURNING size, root"},
    [PAGE] = {"shared_file.page",
              "SELECT " HP_SHARED_COLUMNS " FROM shared_file WHERE path > :after ORDER BY path LIMIT :limit"},
    [PAGE_FIRST] = {"shared_file.page_first",
                    "SELECT " HP_SHARED_COLUMNS " FROM shared_file ORDER BY path LIMIT :limit"},
    [LAST_ID] = {"shared_file.last_id", "SELECT coalesce(max(id), 0) FROM shared_file"},
    [LATEST] = {"shared_file.latest",
                "SELECT " HP_SHARED_COLUMNS " FROM shared_file"
                " WHERE id < :before AND id >= :from AND root IS NOT NULL ORDER BY id DESC"},
    [ROOT_OF] = {"shared_file.root_of",
                 "SELECT root FROM shared_file WHERE " HP_SHARED_SAME_BYTES " AND root IS NOT NULL LIMIT 1"},
    [LAYER_DROP] = {"shared_layer.drop",
                    "DELETE FROM shared_layer WHERE root = :root"
                    " AND NOT EXISTS (SELECT 1 FROM shared_file WHERE root = :root AND size = :size)"},
};
HP_SQL_LIST(shared_file, sql);

/* ---- the folder as a whole ---- */

void hp_shared_state_dispose(hp_shared_state_t *state)
{
    free(state->folder);
    state->folder = NULL;
}

int hp_shared_state_load(hp_db_t *db, hp_shared_state_t *state, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[STATE_LOAD]);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc;
    state->folder = hp_strdup(hp_query_string(&q, 0));
    state->device = (uint64_t)hp_query_int(&q, 1);
    state->complete = hp_query_int(&q, 2) != 0;
    state->revision = (uint64_t)hp_query_int(&q, 3);
    state->files = (uint64_t)hp_query_count(&q, 4);
    state->bytes = (uint64_t)hp_query_count(&q, 5);
    state->hashed_bytes = (uint64_t)hp_query_count(&q, 6);
    return 0;
}

int hp_shared_state_save(hp_db_t *db, const char *folder, uint64_t device, bool complete, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[STATE_SAVE]);
    hp_query_bind_text(&q, ":folder", folder);
    hp_query_bind_int(&q, ":device", (int64_t)device);
    hp_query_bind_int(&q, ":complete", complete);
    return hp_query_run(&q, err);
}

int hp_shared_commit(hp_db_t *db, const hp_shared_change_t *change, hp_err_t *err)
{
    if (change->rows == 0)
        return 0;
    HP_QUERY(q, db, &sql[COMMIT]);
    hp_query_bind_int(&q, ":files", change->files);
    hp_query_bind_int(&q, ":bytes", change->bytes);
    hp_query_bind_int(&q, ":hashed", change->hashed_bytes);
    hp_query_bind_int(&q, ":step", 1);
    return hp_query_run(&q, err);
}

char *hp_shared_database(hp_db_t *db)
{
    const char *path = sqlite3_db_filename(hp_db_handle(db), "main");
    return path != NULL && path[0] != '\0' ? hp_strdup(path) : NULL;
}

/* ---- rows ---- */

/* A row with this root is gone or has another one now: the layer goes with the last. Of the sizes that files
 * with one root can have only one is large enough for a layer (see hp_shared_content_t), so layers are kept
 * by the root alone. */
static int drop_layer(hp_db_t *db, uint64_t size, const uint8_t *root, hp_err_t *err)
{
    if (size <= HP_SHARED_LAYER_OVER)
        return 0;
    HP_QUERY(q, db, &sql[LAYER_DROP]);
    hp_shared_bind_root(&q, root);
    hp_query_bind_int(&q, ":size", (int64_t)size);
    return hp_query_run(&q, err);
}

int hp_shared_root_of(hp_db_t *db, const hp_shared_identity_t *identity, uint8_t root[HP_SHARED_ROOT_SIZE],
                      hp_err_t *err)
{
    HP_QUERY(q, db, &sql[ROOT_OF]);
    hp_shared_bind_identity(&q, identity);
    int rc = hp_query_one(&q, err);
    return rc == 0 && !hp_shared_read_root(&q, 0, root) ? HP_E_NOT_FOUND : rc;
}

typedef struct hp_old_row {
    int64_t id; /* 0: none */
    hp_shared_identity_t identity;
    bool executable, rooted;
    uint8_t root[HP_SHARED_ROOT_SIZE];
} hp_old_row_t;

/* Fills old from a query whose columns are those of GET. */
static int read_old_row(hp_query_t *q, hp_old_row_t *old, hp_err_t *err)
{
    int rc = hp_query_one(q, err);
    old->id = 0;
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? 0 : rc;
    old->id = hp_query_int(q, 0);
    hp_shared_read_identity(q, 1, &old->identity);
    old->rooted = hp_shared_read_root(q, 6, old->root);
    old->executable = hp_query_int(q, 7) != 0;
    return 0;
}

static int get_row(hp_db_t *db, const char *path, hp_old_row_t *old, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[GET]);
    hp_query_bind_text(&q, ":path", path);
    return read_old_row(&q, old, err);
}

/* A row with the same device and inode that is behind. */
static int get_twin(hp_db_t *db, const hp_shared_identity_t *identity, hp_old_row_t *old, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[TWIN]);
    hp_shared_bind_identity(&q, identity);
    return read_old_row(&q, old, err);
}

static int write_row(hp_db_t *db, const char *path, int64_t id, const hp_shared_identity_t *identity,
                     bool executable, const uint8_t *root, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[id != 0 ? CHANGE : ADD]);
    if (id != 0)
        hp_query_bind_int(&q, ":id", id);
    else
        hp_query_bind_text(&q, ":path", path);
    hp_shared_bind_identity(&q, identity);
    hp_query_bind_int(&q, ":executable", executable);
    hp_shared_bind_root(&q, root);
    return hp_query_run(&q, err);
}

/* Puts the file into the row, which is a new one when old has no id; root: when it is known. */
static int put_row(hp_db_t *db, const char *path, const hp_old_row_t *old,
                   const hp_shared_identity_t *identity, bool executable, const uint8_t *root,
                   hp_shared_change_t *change, hp_err_t *err)
{
    int rc = write_row(db, path, old->id, identity, executable, root, err);
    if (rc != 0)
        return rc;
    change->rows++;
    change->bytes += (int64_t)identity->size;
    if (root != NULL)
        change->hashed_bytes += (int64_t)identity->size;
    else if (identity->size > 0)
        change->unhashed = true;
    if (old->id == 0) {
        change->files++;
        return 0;
    }
    change->bytes -= (int64_t)old->identity.size;
    if (!old->rooted)
        return 0;
    change->hashed_bytes -= (int64_t)old->identity.size;
    return drop_layer(db, old->identity.size, old->root, err);
}

/* *root becomes known, or NULL when there is none. */
static int find_root(hp_db_t *db, const hp_shared_identity_t *identity, uint8_t known[HP_SHARED_ROOT_SIZE],
                     const uint8_t **root, hp_err_t *err)
{
    int rc = identity->size > 0 ? hp_shared_root_of(db, identity, known, err) : HP_E_NOT_FOUND;
    *root = rc == 0 ? known : NULL;
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

int hp_shared_put(hp_db_t *db, const char *path, const hp_shared_identity_t *identity, bool executable,
                  int64_t *id, hp_shared_change_t *change, hp_err_t *err)
{
    hp_old_row_t old;
    uint8_t known[HP_SHARED_ROOT_SIZE];
    const uint8_t *root;
    int rc = get_row(db, path, &old, err);
    if (rc != 0)
        return rc;
    *id = old.id;
    if (old.id != 0 && memcmp(&old.identity, identity, sizeof *identity) == 0 && old.executable == executable)
        return 0;
    rc = find_root(db, identity, known, &root, err);
    if (rc == 0)
        rc = put_row(db, path, &old, identity, executable, root, change, err);
    if (old.id == 0)
        *id = hp_db_last_id(db);
    return rc;
}

int hp_shared_put_twins(hp_db_t *db, const hp_shared_identity_t *identity, bool executable,
                        hp_shared_change_t *change, hp_err_t *err)
{
    hp_old_row_t twin;
    uint8_t known[HP_SHARED_ROOT_SIZE];
    const uint8_t *root;
    int rc = get_twin(db, identity, &twin, err);
    if (rc != 0 || twin.id == 0)
        return rc;
    rc = find_root(db, identity, known, &root, err);
    while (rc == 0 && twin.id != 0) {
        rc = put_row(db, NULL, &twin, identity, executable, root, change, err);
        if (rc == 0)
            rc = get_twin(db, identity, &twin, err);
    }
    return rc;
}

/* Runs a statement that deletes one row and returns its size and root. */
static int run_remove(hp_db_t *db, hp_query_t *q, hp_shared_change_t *change, hp_err_t *err)
{
    uint8_t root[HP_SHARED_ROOT_SIZE];
    int rc = hp_query_one(q, err);
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? 0 : rc;
    uint64_t size = (uint64_t)hp_query_count(q, 0);
    bool rooted = hp_shared_read_root(q, 1, root);
    rc = hp_query_run(q, err); /* to the end: only then is the row gone for certain */
    if (rc != 0)
        return rc;
    change->rows++;
    change->files--;
    change->bytes -= (int64_t)size;
    if (!rooted)
        return 0;
    change->hashed_bytes -= (int64_t)size;
    return drop_layer(db, size, root, err);
}

int hp_shared_remove(hp_db_t *db, const char *path, hp_shared_change_t *change, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[REMOVE]);
    hp_query_bind_text(&q, ":path", path);
    return run_remove(db, &q, change, err);
}

static int remove_id(hp_db_t *db, int64_t id, hp_shared_change_t *change, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[REMOVE_ID]);
    hp_query_bind_int(&q, ":id", id);
    return run_remove(db, &q, change, err);
}

int hp_shared_sweep(hp_db_t *db, const char *below, hp_shared_keep_fn keep, void *arg, char **after,
                    hp_shared_change_t *change, hp_err_t *err)
{
    /* The paths below "a" lie between "a/" and "a0": '0' follows '/'. No UTF-8 begins with the byte 0xff. */
    char *start = *after != NULL ? *after : below[0] != '\0' ? hp_sprintf("%s/", below) : hp_strdup("");
    char *end = below[0] != '\0' ? hp_sprintf("%s0", below) : hp_strdup("\xff");
    HP_ARRAY(int64_t) gone = {0};
    size_t seen = 0;
    char *last = NULL;
    *after = NULL;

    hp_query_t q;
    hp_query_begin(&q, db, &sql[SCAN]);
    hp_query_bind_text(&q, ":after", start);
    hp_query_bind_text(&q, ":end", end);
    hp_query_bind_int(&q, ":limit", SWEEP_ROWS);
    for (; hp_query_row(&q); seen++) {
        int64_t id = hp_query_int(&q, 0);
        if (keep == NULL || !keep(arg, id, hp_query_string(&q, 1)))
            *hp_array_add(&gone) = id;
        if (seen + 1 == SWEEP_ROWS)
            last = hp_strdup(hp_query_string(&q, 1));
    }
    int rc = hp_query_end(&q, err);
    for (size_t i = 0; i < gone.count && rc == 0; i++)
        rc = remove_id(db, gone.items[i], change, err);
    if (rc == 0)
        *after = last;
    else
        free(last);
    hp_array_dispose(&gone);
    free(end);
    free(start);
    return rc;
}

int hp_shared_page(hp_db_t *db, const char *after, size_t limit, hp_shared_rows_t *rows, hp_err_t *err)
{
    *rows = (hp_shared_rows_t){.items = hp_alloc_array(limit, sizeof *rows->items)};
    HP_QUERY(q, db, &sql[after != NULL ? PAGE : PAGE_FIRST]);
    if (after != NULL)
        hp_query_bind_text(&q, ":after", after);
    hp_query_bind_int(&q, ":limit", (int64_t)limit);
    int rc = hp_shared_read_rows(&q, rows, limit, err);
    if (rc != 0)
        hp_shared_rows_dispose(rows);
    return rc;
}

static int last_id(hp_db_t *db, int64_t *id, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LAST_ID]);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        *id = hp_query_int(&q, 0);
    return rc;
}

int hp_shared_latest(hp_db_t *db, int64_t *before, int64_t span, hp_shared_rows_t *rows, hp_err_t *err)
{
    int64_t last = *before;
    int rc = *before == INT64_MAX ? last_id(db, &last, err) : 0;
    if (rc != 0)
        return rc;
    if (*before == INT64_MAX)
        last++;
    int64_t from = last > span ? last - span : 1;
    *rows = (hp_shared_rows_t){.items = hp_alloc_array((size_t)span, sizeof *rows->items)};
    HP_QUERY(q, db, &sql[LATEST]);
    hp_query_bind_int(&q, ":before", last);
    hp_query_bind_int(&q, ":from", from);
    rc = hp_shared_read_rows(&q, rows, (size_t)span, err);
    if (rc != 0)
        hp_shared_rows_dispose(rows);
    else
        *before = from > 1 ? from : 0;
    return rc;
}
