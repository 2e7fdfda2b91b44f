#include "db/remote_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "db/remote_pack.h"

/* Rows that one sweep removes: a few milliseconds. */
#define SWEEP_ROWS 2000

/* host, folder path, name, size, mtime, root, executable */
#define FILE_COLUMNS "l.host, d.path, f.name, f.size, f.mtime, f.root, f.executable"

enum {
    LIST_ID,
    LIST_GET,
    LIST_TOUCH,
    LIST_FORGET,
    LIST_RECOVER,
    FIND,
    BY_ROOT,
    SIZE_BY_ROOT,
    FOLDER_AT,
    FOLDERS_BELOW,
    FILES_AFTER,
    EMPTY_BELOW,
    DROPPED
};

static const hp_sql_t sql[] = {
    [LIST_ID] = {"remote_file.list_id", "SELECT id FROM remote_list WHERE host = :host AND state = 'shown'"},
    [LIST_GET] =
        {"remote_file.list_get",
         "SELECT etag, files, bytes, fetched_at FROM remote_list WHERE host = :host AND state = 'shown'"},
    [LIST_TOUCH] = {"remote_file.list_touch",
                    "UPDATE remote_list SET fetched_at = :fetched_at WHERE host = :host AND state = 'shown'"},
    [LIST_FORGET] = {"remote_file.list_forget",
                     "UPDATE remote_list SET state = 'dropped' WHERE host = :host"},
    [LIST_RECOVER] = {"remote_file.list_recover",
                      "UPDATE remote_list SET state = 'dropped' WHERE state = 'building'"},
    [FIND] = {"remote_file.find",
              "SELECT " FILE_COLUMNS
              ", f.id FROM remote_list l CROSS JOIN remote_folder d CROSS JOIN remote_file f "
              "WHERE l.host = :host AND l.state = 'shown' AND d.list = l.id AND d.path = :folder AND "
              "f.folder = d.id "
              "AND f.name = :name AND f.name = :name COLLATE BINARY LIMIT 1"},
    [BY_ROOT] =
        {"remote_file.by_root",
         "SELECT " FILE_COLUMNS " FROM remote_list l CROSS JOIN remote_root r CROSS JOIN remote_file f "
         "CROSS JOIN remote_folder d WHERE l.state = 'shown' AND r.list = l.id AND r.prefix = :prefix "
         "AND f.id = r.file AND f.root = :root AND (:size IS NULL OR f.size = :size) "
         "AND d.id = f.folder LIMIT :limit"},
    [SIZE_BY_ROOT] = {"remote_file.size_by_root",
                      "SELECT f.size FROM remote_list l CROSS JOIN remote_root r CROSS JOIN remote_file f "
                      "WHERE l.state = 'shown' AND r.list = l.id AND r.prefix = :prefix AND f.id = r.file "
                      "AND f.root = :root AND f.size IS NOT NULL GROUP BY f.size "
                      "ORDER BY count(*) DESC, f.size DESC LIMIT 1"},
    [FOLDER_AT] = {"remote_file.folder_at",
                   "SELECT id FROM remote_folder WHERE list = :list AND path = :path"},
    [FOLDERS_BELOW] =
        {"remote_file.folders_below",
         "SELECT id FROM remote_folder WHERE list = :list AND path >= :from AND path < :end ORDER BY path"},
    [FILES_AFTER] =
        {"remote_file.files_after",
         "SELECT " FILE_COLUMNS " FROM remote_file f CROSS JOIN remote_folder d CROSS JOIN remote_list l "
         "WHERE f.folder = :folder AND (f.name, f.id) > (:name, :id) AND d.id = f.folder AND l.id = d.list "
         "ORDER BY f.name, f.id LIMIT :limit"},
    [EMPTY_BELOW] =
        {"remote_file.empty_below",
         "SELECT path FROM remote_folder WHERE list = :list AND path > :after AND path >= :folder "
         "AND path < :end AND (path = :folder OR path >= :from) AND path <> '' AND own_files = 0 "
         "AND own_folders = 0 ORDER BY path LIMIT :limit"},
    [DROPPED] = {"remote_file.dropped", "SELECT id FROM remote_list WHERE state = 'dropped' LIMIT 1"},
};
HP_SQL_LIST(remote_file, sql);

/* What removes a list, in this order. Each takes :list or a range of ids, and :limit. */
static const hp_sql_t sweep_sql[] = {
    {"remote_sweep.roots", "DELETE FROM remote_root WHERE (list, prefix, file) IN "
                           "(SELECT list, prefix, file FROM remote_root WHERE list = :list LIMIT :limit)"},
    {"remote_sweep.names", "DELETE FROM remote_names WHERE id IN "
                           "(SELECT id FROM remote_names WHERE id >= :list << 32 AND id < (:list + 1) << 32 "
                           "LIMIT max(1, :limit / 100))"},
    {"remote_sweep.keys", "DELETE FROM remote_keys WHERE id IN "
                          "(SELECT id FROM remote_keys WHERE id >= :list << 32 AND id < (:list + 1) << 32 "
                          "LIMIT max(1, :limit / 100))"},
    {"remote_sweep.files",
     "DELETE FROM remote_file WHERE id IN "
     "(SELECT id FROM remote_file WHERE id >= :list << 32 AND id < (:list + 1) << 32 LIMIT :limit)"},
    {"remote_sweep.folders",
     "DELETE FROM remote_folder WHERE id IN "
     "(SELECT id FROM remote_folder WHERE id >= :list << 32 AND id < (:list + 1) << 32 LIMIT :limit)"},
    {"remote_sweep.list", "DELETE FROM remote_list WHERE id = :list AND :limit > 0"},
};
HP_SQL_LIST(remote_sweep, sweep_sql);

void hp_remote_file_dispose(hp_remote_file_t *file)
{
    free(file->path);
    *file = (hp_remote_file_t){.size = HP_REMOTE_NO_SIZE, .mtime = HP_REMOTE_NO_TIME};
}

void hp_remote_files_dispose(hp_remote_files_t *files)
{
    for (size_t i = 0; i < files->count; i++)
        hp_remote_file_dispose(&files->items[i]);
    free(files->items);
    *files = (hp_remote_files_t){0};
}

int hp_remote_list_id(hp_db_t *db, const char *host, int64_t *list, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LIST_ID]);
    hp_query_bind_text(&q, ":host", host);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc;
    *list = hp_query_int(&q, 0);
    return hp_query_end(&q, err);
}

/* The folder's part of a path: "" for a file at the top. */
static size_t folder_length(const char *path)
{
    const char *name = hp_path_name(path);
    return name == path ? 0 : (size_t)(name - path) - 1;
}

static int find_with_id(hp_db_t *db, const char *host, const char *path, hp_remote_file_t *file, int64_t *id,
                        hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FIND]);
    hp_query_bind_text(&q, ":host", host);
    hp_query_bind_text_length(&q, ":folder", path, folder_length(path));
    hp_query_bind_text(&q, ":name", hp_path_name(path));
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc;
    hp_remote_file_from_row(&q, 0, file);
    *id = hp_query_int(&q, 7);
    return hp_query_end(&q, err);
}

int hp_remote_file_find(hp_db_t *db, const char *host, const char *path, hp_remote_file_t *file,
                        hp_err_t *err)
{
    int64_t id;
    return find_with_id(db, host, path, file, &id, err);
}

static void append(hp_remote_files_t *files, size_t *room, hp_query_t *q)
{
    if (files->count == *room) {
        *room = HP_MAX(*room * 2, (size_t)16);
        files->items = hp_realloc(files->items, *room * sizeof *files->items);
    }
    hp_remote_file_from_row(q, 0, &files->items[files->count++]);
}

static int bind_root(hp_query_t *q, const char *root, uint8_t digest[32], hp_err_t *err)
{
    if (hp_hex_decode(root, digest, 32) != 0)
        return hp_err_set(err, HP_E_INVALID, "%s is no root", root);
    hp_query_bind_int(q, ":prefix", hp_remote_root_prefix(digest));
    hp_query_bind_blob(q, ":root", digest, 32);
    return 0;
}

int hp_remote_size_by_root(hp_db_t *db, const char *root, int64_t *size, hp_err_t *err)
{
    uint8_t digest[32];
    HP_QUERY(q, db, &sql[SIZE_BY_ROOT]);
    int rc = bind_root(&q, root, digest, err);
    if (rc == 0)
        rc = hp_query_one(&q, err);
    if (rc == 0)
        *size = hp_query_int(&q, 0);
    return rc;
}

int hp_remote_file_by_root(hp_db_t *db, const char *root, int64_t size, size_t limit,
                           hp_remote_files_t *files, hp_err_t *err)
{
    *files = (hp_remote_files_t){0};
    uint8_t digest[32];
    size_t room = 0;
    HP_QUERY(q, db, &sql[BY_ROOT]);
    int rc = bind_root(&q, root, digest, err);
    if (rc != 0)
        return rc;
    if (size == HP_REMOTE_NO_SIZE)
        hp_query_bind_null(&q, ":size");
    else
        hp_query_bind_int(&q, ":size", size);
    hp_query_bind_int(&q, ":limit", (int64_t)limit);
    while (hp_query_row(&q))
        append(files, &room, &q);
    rc = hp_query_end(&q, err);
    if (rc != 0)
        hp_remote_files_dispose(files);
    return rc;
}

static int files_after(hp_db_t *db, int64_t folder, const char *name, int64_t id, size_t limit,
                       hp_remote_files_t *files, size_t *room, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FILES_AFTER]);
    hp_query_bind_int(&q, ":folder", folder);
    hp_query_bind_text(&q, ":name", name);
    hp_query_bind_int(&q, ":id", id);
    hp_query_bind_int(&q, ":limit", (int64_t)(limit - files->count));
    while (hp_query_row(&q))
        append(files, room, &q);
    return hp_query_end(&q, err);
}

static int folder_at(hp_db_t *db, int64_t list, const char *path, size_t length, int64_t *id, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FOLDER_AT]);
    hp_query_bind_int(&q, ":list", list);
    hp_query_bind_text_length(&q, ":path", path, length);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc;
    *id = hp_query_int(&q, 0);
    return hp_query_end(&q, err);
}

/* The files of the folders with from <= path < end. */
static int files_below(hp_db_t *db, int64_t list, const char *from, const char *end, size_t limit,
                       hp_remote_files_t *files, size_t *room, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FOLDERS_BELOW]);
    hp_query_bind_int(&q, ":list", list);
    hp_query_bind_text(&q, ":from", from);
    hp_query_bind_text(&q, ":end", end);
    while (files->count < limit && hp_query_row(&q)) {
        int rc = files_after(db, hp_query_int(&q, 0), "", -1, limit, files, room, err);
        if (rc != 0)
            return rc;
    }
    return hp_query_end(&q, err);
}

/* The rest of the folder that holds the file `after`. 0 also when the file or the folder has gone. */
static int rest_of_folder(hp_db_t *db, const char *host, int64_t list, const char *after, size_t limit,
                          hp_remote_files_t *files, size_t *room, hp_err_t *err)
{
    int64_t folder, id = INT64_MAX;
    hp_remote_file_t file = {0};
    int rc = find_with_id(db, host, after, &file, &id, err);
    hp_remote_file_dispose(&file);
    if (rc != 0 && rc != HP_E_NOT_FOUND)
        return rc;
    rc = folder_at(db, list, after, folder_length(after), &folder, err);
    if (rc == 0)
        rc = files_after(db, folder, hp_path_name(after), id, limit, files, room, err);
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

/* Order: the folder's own files, then its folders by path, each one's files by name. */
int hp_remote_file_below(hp_db_t *db, const char *host, const char *folder, const char *after, size_t limit,
                         hp_remote_files_t *files, hp_err_t *err)
{
    *files = (hp_remote_files_t){0};
    int64_t list, id;
    int rc = hp_remote_list_id(db, host, &list, err);
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? 0 : rc;
    size_t room = 0, length = strlen(folder), stop = after != NULL ? folder_length(after) : length;
    /* Folders below it: "folder/" <= path < "folder0", as '0' follows '/'. No path holds a control character.
     */
    char *end = length == 0 ? hp_strdup("\xff") : hp_sprintf("%s0", folder);
    char *from = stop != length ? hp_sprintf("%.*s\x01", (int)stop, after)
                 : length == 0  ? hp_strdup("\x01")
                                : hp_sprintf("%s/", folder);
    if (after != NULL) {
        rc = rest_of_folder(db, host, list, after, limit, files, &room, err);
    } else {
        rc = folder_at(db, list, folder, length, &id, err);
        if (rc == 0)
            rc = files_after(db, id, "", -1, limit, files, &room, err);
        else if (rc == HP_E_NOT_FOUND)
            rc = 0;
    }
    if (rc == 0)
        rc = files_below(db, list, from, end, limit, files, &room, err);
    free(from);
    free(end);
    if (rc != 0)
        hp_remote_files_dispose(files);
    return rc;
}

int hp_remote_empty_below(hp_db_t *db, const char *host, const char *folder, const char *after, size_t limit,
                          hp_remote_files_t *folders, hp_err_t *err)
{
    *folders = (hp_remote_files_t){0};
    int64_t list;
    int rc = hp_remote_list_id(db, host, &list, err);
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? 0 : rc;
    char *from = folder[0] != '\0' ? hp_sprintf("%s/", folder) : hp_strdup("");
    char *end = folder[0] != '\0' ? hp_sprintf("%s0", folder) : hp_strdup("\xff");
    folders->items = hp_alloc_array(limit, sizeof *folders->items);
    {
        HP_QUERY(q, db, &sql[EMPTY_BELOW]);
        hp_query_bind_int(&q, ":list", list);
        hp_query_bind_text(&q, ":after", after != NULL ? after : "");
        hp_query_bind_text(&q, ":folder", folder);
        hp_query_bind_text(&q, ":from", from);
        hp_query_bind_text(&q, ":end", end);
        hp_query_bind_int(&q, ":limit", (int64_t)limit);
        while (folders->count < limit && hp_query_row(&q)) {
            hp_remote_file_t *row = &folders->items[folders->count++];
            *row = (hp_remote_file_t){.path = hp_strdup(hp_query_string(&q, 0)),
                                      .size = HP_REMOTE_NO_SIZE,
                                      .mtime = HP_REMOTE_NO_TIME};
            row->name = hp_path_name(row->path);
        }
        rc = hp_query_end(&q, err);
    }
    free(from);
    free(end);
    if (rc != 0)
        hp_remote_files_dispose(folders);
    return rc;
}

int hp_remote_list_get(hp_db_t *db, const char *host, hp_remote_list_t *list, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LIST_GET]);
    hp_query_bind_text(&q, ":host", host);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc;
    const char *etag = hp_query_text(&q, 0);
    *list = (hp_remote_list_t){
        .files = hp_query_count(&q, 1), .bytes = hp_query_count(&q, 2), .fetched_at = hp_query_int(&q, 3)};
    if (etag != NULL && strlen(etag) < sizeof list->etag)
        memcpy(list->etag, etag, strlen(etag) + 1);
    return hp_query_end(&q, err);
}

int hp_remote_list_touch(hp_db_t *db, const char *host, int64_t fetched_at, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LIST_TOUCH]);
    hp_query_bind_text(&q, ":host", host);
    hp_query_bind_int(&q, ":fetched_at", fetched_at);
    return hp_query_run(&q, err);
}

int hp_remote_list_forget(hp_db_t *db, const char *host, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LIST_FORGET]);
    hp_query_bind_text(&q, ":host", host);
    return hp_query_run(&q, err);
}

int hp_remote_list_recover(hp_db_t *db, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LIST_RECOVER]);
    return hp_query_run(&q, err);
}

static int dropped_list(hp_db_t *db, int64_t *list, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[DROPPED]);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc;
    *list = hp_query_int(&q, 0);
    return hp_query_end(&q, err);
}

int hp_remote_sweep(hp_db_t *db, bool *more, hp_err_t *err)
{
    *more = false;
    int64_t list;
    int rc = dropped_list(db, &list, err);
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? 0 : rc;
    int64_t left = SWEEP_ROWS;
    for (size_t i = 0; i < HP_COUNT(sweep_sql) && left > 0; i++) {
        HP_QUERY(q, db, &sweep_sql[i]);
        hp_query_bind_int(&q, ":list", list);
        hp_query_bind_int(&q, ":limit", left);
        rc = hp_query_run(&q, err);
        if (rc != 0)
            return rc;
        int64_t rows = hp_db_changes(db);
        left -= i == 1 || i == 2 ? rows * 100 : rows; /* a packed row is large */
    }
    *more = true;
    return 0;
}
