#include "db/download.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "db/statement.h"

enum {
    INSERT,
    UPDATE,
    REMOVE,
    EACH,
    GET,
    PATH_TAKEN,
    FIND_ROOT,
    FIND_PATH,
    FIND_URL,
    LOCAL_ROOT,
    LOCAL_PATH,
    FILE_INSERT,
    FILE_UPDATE,
    FILE_NEXT,
    FILE_UNFINISHED,
    FILE_PAGE,
    FILE_REOPEN,
    LEFT_ADD,
    LEFT_EACH,
    SOURCE_PUT,
    SOURCE_EACH,
    SOURCE_FORGIVE,
    SOURCE_CLEAR,
    CHUNK_ADD,
    CHUNK_REMOVE,
    CHUNK_CLEAR,
    CHUNK_EACH,
    GIVEN,
};

#define CHUNKS_OF_FILE "(f.size + f.chunk_size - 1) / f.chunk_size"
/* Bytes on record: full chunks; the last one counts as full until the file is done, which is right to within
 * a chunk. */
#define DONE_OF_FILE                                                                                         \
    "CASE WHEN f.state = 'done' THEN ifnull(f.size, 0) ELSE min(f.chunks_done * f.chunk_size, "              \
    "ifnull(f.size, 0)) END"
#define DOWNLOAD_COLUMNS                                                                                     \
    "d.id, d.base, CASE WHEN d.folder THEN d.path ELSE ifnull(max(f.path), d.path) END, d.folder, "          \
    "d.order_host, d.order_path, d.order_root, d.order_url, d.state, "                                       \
    "d.reason,"                                                                                              \
    " d.error_code, d.error_detail, d.disk_wait, d.priority, d.limit_bps, total(f.verified), d.created_at, " \
    "d.finished_at,"                                                                                         \
    " count(f.id), total(f.state = 'done'), total(f.state = 'failed'), total(f.size IS NULL), "              \
    "total(f.size),"                                                                                         \
    " total(" DONE_OF_FILE "), total(CASE WHEN f.chunk_size > 0 THEN " CHUNKS_OF_FILE " ELSE 0 END),"        \
    " total(CASE WHEN f.state = 'done' AND f.chunk_size > 0 THEN ifnull(" CHUNKS_OF_FILE ", 0)"              \
    " ELSE f.chunks_done END), max(f.chunk_size), CASE WHEN d.folder THEN NULL ELSE max(f.root) END"
#define FILE_COLUMNS                                                                                         \
    "id, download, path, source_path, state, error, size, root, chunk_size, chunks_done, verified, part, "   \
    "device, "                                                                                               \
    "inode, boot_id"

static const hp_sql_t sql[] = {
    [INSERT] =
        {"download.insert",
         "INSERT INTO download (base, path, folder, order_host, order_path, order_root, order_url, state, "
         "reason,"
         " error_code, error_detail, disk_wait, priority, limit_bps, created_at, finished_at)"
         " VALUES (:base, :path, :folder, :order_host, :order_path, :order_root, :order_url, :state, :reason,"
         " 0, '', 0, :priority, :limit_bps, :created_at, 0)"},
    [UPDATE] =
        {"download.update",
         "UPDATE download SET path = :path, state = :state, reason = :reason, error_code = :error_code,"
         " error_detail = :error_detail, disk_wait = :disk_wait, priority = :priority, limit_bps = "
         ":limit_bps,"
         " finished_at = :finished_at WHERE id = :id"},
    [REMOVE] = {"download.remove", "DELETE FROM download WHERE id = :id"},
    [EACH] = {"download.each",
              "SELECT " DOWNLOAD_COLUMNS " FROM download d LEFT JOIN download_file f ON f.download = d.id"
              " GROUP BY d.id ORDER BY d.id"},
    [GET] = {"download.get",
             "SELECT " DOWNLOAD_COLUMNS " FROM download d LEFT JOIN download_file f ON f.download = d.id"
             " WHERE d.id = :id GROUP BY d.id"},
    [PATH_TAKEN] = {"download.path_taken", "SELECT 1 FROM download WHERE base = :base AND path = :path"
                                           " AND state NOT IN ('cancelled', 'done') LIMIT 1"},
    [FIND_ROOT] =
        {"download.find_root",
         "SELECT d.id FROM download_file f JOIN download d ON d.id = f.download WHERE f.root = :root"
         " AND (:size IS NULL OR f.size IS NULL OR f.size = :size)"
         " AND d.folder = 0 AND d.state NOT IN ('cancelled', 'failed') ORDER BY d.id DESC LIMIT 1"},
    [FIND_PATH] =
        {"download.find_path",
         "SELECT id FROM download WHERE order_host = :host AND order_path = :path AND folder = :folder"
         " AND state NOT IN ('cancelled', 'failed', 'done') ORDER BY id DESC LIMIT 1"},
    [FIND_URL] = {"download.find_url",
                  "SELECT id FROM download WHERE order_url = :url"
                  " AND state NOT IN ('cancelled', 'failed', 'done') ORDER BY id DESC LIMIT 1"},
    [LOCAL_ROOT] = {"download.local_root",
                    "SELECT min(CASE WHEN f.state = 'done' THEN 0 ELSE 1 END) FROM download_file f"
                    " JOIN download d ON d.id = f.download WHERE f.root = :root AND f.state <> 'failed'"
                    " AND (:size IS NULL OR f.size IS NULL OR f.size = :size)"
                    " AND d.state NOT IN ('cancelled', 'failed')"},
    [LOCAL_PATH] = {"download.local_path",
                    "SELECT min(CASE WHEN f.state = 'done' THEN 0 ELSE 1 END) FROM download_source s"
                    " JOIN download_file f ON f.id = s.file JOIN download d ON d.id = f.download"
                    " WHERE s.host = :host AND s.path = :path AND f.state <> 'failed'"
                    " AND d.state NOT IN ('cancelled', 'failed')"},
    [FILE_INSERT] = {"download_file.insert", "INSERT INTO download_file (download, path, source_path, state, "
                                             "error, size, root, verified, chunk_size,"
                                             " chunks_done) VALUES (:download, :path, :source_path, :state, "
                                             "'', :size, :root, 0, :chunk_size, 0)"},
    [FILE_UPDATE] =
        {"download_file.update",
         "UPDATE download_file SET path = :path, state = :state, error = :error, size = :size, root = :root,"
         " chunk_size = :chunk_size, verified = :verified, part = :part, device = :device, inode = :inode, "
         "boot_id = :boot_id"
         " WHERE id = :id"},
    [FILE_NEXT] = {"download_file.next",
                   "SELECT " FILE_COLUMNS " FROM download_file WHERE download = :download"
                   " AND id > :after AND state IN ('open', 'finishing') ORDER BY id LIMIT :max"},
    [FILE_UNFINISHED] =
        {"download_file.unfinished",
         "SELECT " FILE_COLUMNS " FROM download_file"
         " WHERE download = :download AND id > :after AND state <> 'done' ORDER BY id LIMIT :max"},
    [FILE_PAGE] = {"download_file.page",
                   "SELECT " FILE_COLUMNS " FROM download_file WHERE download = :download"
                   " AND id > :after ORDER BY id LIMIT :max"},
    [FILE_REOPEN] = {"download_file.reopen", "UPDATE download_file SET state = 'open', error = ''"
                                             " WHERE download = :download AND state = 'failed'"},
    [LEFT_ADD] = {"download_left.add", "INSERT OR REPLACE INTO download_left (file, part, device, inode)"
                                       " VALUES (:file, :part, :device, :inode)"},
    [LEFT_EACH] = {"download_left.each", "SELECT part, device, inode FROM download_left WHERE file = :file"},
    [SOURCE_PUT] = {"download_source.put",
                    "INSERT INTO download_source (file, host, path, etag, set_aside)"
                    " VALUES (:file, :host, :path, :etag, :set_aside) ON CONFLICT (file, host, path)"
                    " DO UPDATE SET etag = excluded.etag, set_aside = excluded.set_aside RETURNING id"},
    [SOURCE_EACH] =
        {"download_source.each",
         "SELECT id, file, host, path, etag, set_aside FROM download_source WHERE file = :file ORDER BY id"},
    [SOURCE_FORGIVE] = {"download_source.forgive",
                        "UPDATE download_source SET set_aside = NULL WHERE set_aside IS NOT NULL AND file IN"
                        " (SELECT id FROM download_file WHERE download = :download)"},
    [SOURCE_CLEAR] = {"download_source.clear", "UPDATE download_source SET etag = NULL WHERE file = :file"},
    [CHUNK_ADD] = {"chunk.add",
                   "INSERT INTO chunk (file, number, digest, source, at)"
                   " VALUES (:file, :number, :digest, :source, :at) ON CONFLICT (file, number)"
                   " DO UPDATE SET digest = excluded.digest, source = excluded.source, at = excluded.at"},
    [CHUNK_REMOVE] = {"chunk.remove", "DELETE FROM chunk WHERE file = :file AND number = :number"},
    [CHUNK_CLEAR] = {"chunk.clear", "DELETE FROM chunk WHERE file = :file"},
    [CHUNK_EACH] = {"chunk.each",
                    "SELECT file, number, digest, source, at FROM chunk WHERE file = :file ORDER BY number"},
    [GIVEN] =
        {"download.given",
         "SELECT f.id, c.number, s.host, min(f.chunk_size, ifnull(f.size - c.number * f.chunk_size, "
         "f.chunk_size))"
         " FROM download_file f LEFT JOIN chunk c ON c.file = f.id AND (f.id > :file OR c.number > :number)"
         " LEFT JOIN download_source s ON s.id = c.source"
         " WHERE f.download = :download AND f.id >= :file ORDER BY f.id, c.number LIMIT :limit"},
};
HP_SQL_LIST(download, sql);

static char *copy(const char *text)
{
    return text != NULL ? hp_strdup(text) : NULL;
}

void hp_download_row_dispose(hp_download_row_t *row)
{
    char **texts[] = {&row->base,      &row->path,  &row->order_host, &row->order_path,   &row->order_root,
                      &row->order_url, &row->state, &row->reason,     &row->error_detail, &row->root};
    for (size_t i = 0; i < HP_COUNT(texts); i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
}

void hp_download_file_row_dispose(hp_download_file_row_t *row)
{
    char **texts[] = {&row->path, &row->source_path, &row->state,  &row->error,
                      &row->root, &row->part,        &row->boot_id};
    for (size_t i = 0; i < HP_COUNT(texts); i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
}

void hp_download_source_row_dispose(hp_download_source_row_t *row)
{
    free(row->host);
    free(row->path);
    free(row->etag);
    free(row->set_aside);
    *row = (hp_download_source_row_t){0};
}

/* ---- orders ---- */

int hp_db_download_insert(hp_db_t *db, hp_download_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[INSERT]);
    hp_query_bind_text(&q, ":base", row->base);
    hp_query_bind_text(&q, ":path", row->path);
    hp_query_bind_int(&q, ":folder", row->folder);
    hp_query_bind_text(&q, ":order_host", row->order_host);
    hp_query_bind_text(&q, ":order_path", row->order_path);
    hp_query_bind_text(&q, ":order_root", row->order_root);
    hp_query_bind_text(&q, ":order_url", row->order_url);
    hp_query_bind_text(&q, ":state", row->state);
    hp_query_bind_text(&q, ":reason", row->reason);
    hp_query_bind_int(&q, ":priority", row->priority);
    hp_query_bind_int(&q, ":limit_bps", row->limit_bps);
    hp_query_bind_int(&q, ":created_at", row->created_at);
    int rc = hp_query_run(&q, err);
    if (rc == 0)
        row->id = hp_db_last_id(db);
    return rc;
}

int hp_db_download_update(hp_db_t *db, const hp_download_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[UPDATE]);
    hp_query_bind_int(&q, ":id", row->id);
    hp_query_bind_text(&q, ":path", row->path);
    hp_query_bind_text(&q, ":state", row->state);
    hp_query_bind_text(&q, ":reason", row->reason);
    hp_query_bind_int(&q, ":error_code", row->error_code);
    hp_query_bind_text(&q, ":error_detail", row->error_detail);
    hp_query_bind_int(&q, ":disk_wait", row->disk_wait);
    hp_query_bind_int(&q, ":priority", row->priority);
    hp_query_bind_int(&q, ":limit_bps", row->limit_bps);
    hp_query_bind_int(&q, ":finished_at", row->finished_at);
    return hp_query_run(&q, err);
}

int hp_db_download_remove(hp_db_t *db, int64_t id, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[REMOVE]);
    hp_query_bind_int(&q, ":id", id);
    return hp_query_run(&q, err);
}

static void read_download(hp_query_t *q, hp_download_row_t *row)
{
    *row = (hp_download_row_t){
        .id = hp_query_int(q, 0),
        .base = copy(hp_query_text(q, 1)),
        .path = copy(hp_query_text(q, 2)),
        .folder = hp_query_int(q, 3) != 0,
        .order_host = copy(hp_query_text(q, 4)),
        .order_path = copy(hp_query_text(q, 5)),
        .order_root = copy(hp_query_text(q, 6)),
        .order_url = copy(hp_query_text(q, 7)),
        .state = copy(hp_query_text(q, 8)),
        .reason = copy(hp_query_text(q, 9)),
        .error_code = (int)hp_query_int(q, 10),
        .error_detail = copy(hp_query_text(q, 11)),
        .disk_wait = hp_query_int(q, 12) != 0,
        .priority = (int)hp_query_int(q, 13),
        .limit_bps = hp_query_int(q, 14),
        .files_verified = hp_query_int(q, 15),
        .created_at = hp_query_int(q, 16),
        .finished_at = hp_query_int(q, 17),
        .files_total = hp_query_int(q, 18),
        .files_done = hp_query_int(q, 19),
        .files_failed = hp_query_int(q, 20),
        .sizes_unknown = hp_query_int(q, 21),
        .size = hp_query_int(q, 22),
        .done_bytes = hp_query_int(q, 23),
        .chunks_total = hp_query_int(q, 24),
        .chunks_done = hp_query_int(q, 25),
        .chunk_size = hp_query_int(q, 26),
        .root = copy(hp_query_text(q, 27)),
    };
}

int hp_db_download_each(hp_db_t *db, void (*fn)(void *arg, const hp_download_row_t *row), void *arg,
                        hp_err_t *err)
{
    HP_QUERY(q, db, &sql[EACH]);
    while (hp_query_row(&q)) {
        hp_download_row_t row;
        read_download(&q, &row);
        fn(arg, &row);
        hp_download_row_dispose(&row);
    }
    return hp_query_end(&q, err);
}

int hp_db_download_get(hp_db_t *db, int64_t id, hp_download_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[GET]);
    hp_query_bind_int(&q, ":id", id);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        read_download(&q, row);
    return rc;
}

int hp_db_download_path_taken(hp_db_t *db, const char *base, const char *path, bool *taken, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[PATH_TAKEN]);
    hp_query_bind_text(&q, ":base", base);
    hp_query_bind_text(&q, ":path", path);
    int rc = hp_query_one(&q, err);
    *taken = rc == 0;
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

static void bind_size(hp_query_t *q, int64_t size)
{
    if (size == HP_DB_SIZE_UNKNOWN)
        hp_query_bind_null(q, ":size");
    else
        hp_query_bind_int(q, ":size", size);
}

int hp_db_download_find(hp_db_t *db, const char *root, int64_t size, const char *host, const char *path,
                        const char *url, bool folder, int64_t *id, hp_err_t *err)
{
    if (root != NULL && !folder) {
        HP_QUERY(q, db, &sql[FIND_ROOT]);
        hp_query_bind_text(&q, ":root", root);
        bind_size(&q, size);
        int rc = hp_query_one(&q, err);
        if (rc == 0)
            *id = hp_query_int(&q, 0);
        if (rc != HP_E_NOT_FOUND)
            return rc;
    }
    if (url != NULL) {
        HP_QUERY(q, db, &sql[FIND_URL]);
        hp_query_bind_text(&q, ":url", url);
        int rc = hp_query_one(&q, err);
        if (rc == 0)
            *id = hp_query_int(&q, 0);
        return rc;
    }
    if (host == NULL || path == NULL)
        return HP_E_NOT_FOUND;
    HP_QUERY(q, db, &sql[FIND_PATH]);
    hp_query_bind_text(&q, ":host", host);
    hp_query_bind_text(&q, ":path", path);
    hp_query_bind_int(&q, ":folder", folder);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        *id = hp_query_int(&q, 0);
    return rc;
}

int hp_db_download_local(hp_db_t *db, const char *root, int64_t size, const char *host, const char *path,
                         const char **local, hp_err_t *err)
{
    bool by_root = root != NULL && root[0] != '\0';
    HP_QUERY(q, db, &sql[by_root ? LOCAL_ROOT : LOCAL_PATH]);
    if (by_root) {
        hp_query_bind_text(&q, ":root", root);
        bind_size(&q, size);
    } else {
        hp_query_bind_text(&q, ":host", host);
        hp_query_bind_text(&q, ":path", path);
    }
    *local = NULL;
    int rc = hp_query_one(&q, err);
    if (rc == 0 && !hp_query_is_null(&q, 0))
        *local = hp_query_int(&q, 0) == 0 ? "done" : "downloading";
    return rc;
}

/* ---- files ---- */

int hp_db_download_file_insert(hp_db_t *db, hp_download_file_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FILE_INSERT]);
    hp_query_bind_int(&q, ":download", row->download);
    hp_query_bind_text(&q, ":path", row->path);
    hp_query_bind_text(&q, ":source_path", row->source_path);
    hp_query_bind_text(&q, ":state", row->state);
    bind_size(&q, row->size);
    hp_query_bind_text(&q, ":root", row->root);
    hp_query_bind_int(&q, ":chunk_size", row->chunk_size);
    int rc = hp_query_run(&q, err);
    if (rc == 0)
        row->id = hp_db_last_id(db);
    return rc;
}

int hp_db_download_file_update(hp_db_t *db, const hp_download_file_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FILE_UPDATE]);
    hp_query_bind_int(&q, ":id", row->id);
    hp_query_bind_text(&q, ":path", row->path);
    hp_query_bind_text(&q, ":state", row->state);
    hp_query_bind_text(&q, ":error", row->error);
    bind_size(&q, row->size);
    hp_query_bind_text(&q, ":root", row->root);
    hp_query_bind_int(&q, ":chunk_size", row->chunk_size);
    hp_query_bind_int(&q, ":verified", row->verified);
    hp_query_bind_text(&q, ":part", row->part);
    if (row->part != NULL) {
        hp_query_bind_int(&q, ":device", (int64_t)row->device);
        hp_query_bind_int(&q, ":inode", (int64_t)row->inode);
    } else {
        hp_query_bind_null(&q, ":device");
        hp_query_bind_null(&q, ":inode");
    }
    hp_query_bind_text(&q, ":boot_id", row->boot_id);
    return hp_query_run(&q, err);
}

static void read_file(hp_query_t *q, hp_download_file_row_t *row)
{
    *row = (hp_download_file_row_t){
        .id = hp_query_int(q, 0),
        .download = hp_query_int(q, 1),
        .path = copy(hp_query_text(q, 2)),
        .source_path = copy(hp_query_text(q, 3)),
        .state = copy(hp_query_text(q, 4)),
        .error = copy(hp_query_text(q, 5)),
        .size = hp_query_is_null(q, 6) ? HP_DB_SIZE_UNKNOWN : hp_query_int(q, 6),
        .root = copy(hp_query_text(q, 7)),
        .chunk_size = hp_query_int(q, 8),
        .chunks_done = hp_query_int(q, 9),
        .verified = hp_query_int(q, 10) != 0,
        .part = copy(hp_query_text(q, 11)),
        .device = (uint64_t)hp_query_int(q, 12),
        .inode = (uint64_t)hp_query_int(q, 13),
        .boot_id = copy(hp_query_text(q, 14)),
    };
}

static int read_files(hp_db_t *db, const hp_sql_t *statement, int64_t download, int64_t after,
                      hp_download_file_row_t *rows, size_t max, size_t *count, hp_err_t *err)
{
    HP_QUERY(q, db, statement);
    hp_query_bind_int(&q, ":download", download);
    hp_query_bind_int(&q, ":after", after);
    hp_query_bind_int(&q, ":max", (int64_t)max);
    *count = 0;
    while (*count < max && hp_query_row(&q))
        read_file(&q, &rows[(*count)++]);
    int rc = hp_query_end(&q, err);
    if (rc != 0) {
        while (*count > 0)
            hp_download_file_row_dispose(&rows[--*count]);
    }
    return rc;
}

int hp_db_download_file_next(hp_db_t *db, int64_t download, int64_t after, hp_download_file_row_t *rows,
                             size_t max, size_t *count, hp_err_t *err)
{
    return read_files(db, &sql[FILE_NEXT], download, after, rows, max, count, err);
}

int hp_db_download_file_unfinished(hp_db_t *db, int64_t download, int64_t after, hp_download_file_row_t *rows,
                                   size_t max, size_t *count, hp_err_t *err)
{
    return read_files(db, &sql[FILE_UNFINISHED], download, after, rows, max, count, err);
}

int hp_db_download_file_page(hp_db_t *db, int64_t download, int64_t after, hp_download_file_row_t *rows,
                             size_t max, size_t *count, hp_err_t *err)
{
    return read_files(db, &sql[FILE_PAGE], download, after, rows, max, count, err);
}

int hp_db_download_file_reopen(hp_db_t *db, int64_t download, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FILE_REOPEN]);
    hp_query_bind_int(&q, ":download", download);
    return hp_query_run(&q, err);
}

int hp_db_download_left_add(hp_db_t *db, int64_t file, const char *part, uint64_t device, uint64_t inode,
                            hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LEFT_ADD]);
    hp_query_bind_int(&q, ":file", file);
    hp_query_bind_text(&q, ":part", part);
    hp_query_bind_int(&q, ":device", (int64_t)device);
    hp_query_bind_int(&q, ":inode", (int64_t)inode);
    return hp_query_run(&q, err);
}

int hp_db_download_left_each(hp_db_t *db, int64_t file,
                             void (*fn)(void *arg, const char *part, uint64_t device, uint64_t inode),
                             void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LEFT_EACH]);
    hp_query_bind_int(&q, ":file", file);
    while (hp_query_row(&q))
        fn(arg, hp_query_text(&q, 0), (uint64_t)hp_query_int(&q, 1), (uint64_t)hp_query_int(&q, 2));
    return hp_query_end(&q, err);
}

/* ---- sources ---- */

int hp_db_download_source_put(hp_db_t *db, hp_download_source_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SOURCE_PUT]);
    hp_query_bind_int(&q, ":file", row->file);
    hp_query_bind_text(&q, ":host", row->host);
    hp_query_bind_text(&q, ":path", row->path);
    hp_query_bind_text(&q, ":etag", row->etag);
    hp_query_bind_text(&q, ":set_aside", row->set_aside);
    while (hp_query_row(&q))
        row->id = hp_query_int(&q, 0);
    return hp_query_end(&q, err);
}

int hp_db_download_source_each(hp_db_t *db, int64_t file,
                               void (*fn)(void *arg, const hp_download_source_row_t *row), void *arg,
                               hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SOURCE_EACH]);
    hp_query_bind_int(&q, ":file", file);
    while (hp_query_row(&q)) {
        hp_download_source_row_t row = {
            .id = hp_query_int(&q, 0),
            .file = hp_query_int(&q, 1),
            .host = copy(hp_query_text(&q, 2)),
            .path = copy(hp_query_text(&q, 3)),
            .etag = copy(hp_query_text(&q, 4)),
            .set_aside = copy(hp_query_text(&q, 5)),
        };
        fn(arg, &row);
        hp_download_source_row_dispose(&row);
    }
    return hp_query_end(&q, err);
}

int hp_db_download_source_forgive(hp_db_t *db, int64_t download, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SOURCE_FORGIVE]);
    hp_query_bind_int(&q, ":download", download);
    return hp_query_run(&q, err);
}

int hp_db_download_source_clear(hp_db_t *db, int64_t file, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SOURCE_CLEAR]);
    hp_query_bind_int(&q, ":file", file);
    return hp_query_run(&q, err);
}

/* ---- chunks ---- */

int hp_db_chunk_add(hp_db_t *db, const hp_chunk_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[CHUNK_ADD]);
    hp_query_bind_int(&q, ":file", row->file);
    hp_query_bind_int(&q, ":number", row->number);
    hp_query_bind_blob(&q, ":digest", row->digest, sizeof row->digest);
    hp_query_bind_int(&q, ":source", row->source);
    hp_query_bind_int(&q, ":at", row->at);
    return hp_query_run(&q, err);
}

int hp_db_chunk_remove(hp_db_t *db, int64_t file, int64_t number, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[CHUNK_REMOVE]);
    hp_query_bind_int(&q, ":file", file);
    hp_query_bind_int(&q, ":number", number);
    return hp_query_run(&q, err);
}

int hp_db_chunk_clear(hp_db_t *db, int64_t file, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[CHUNK_CLEAR]);
    hp_query_bind_int(&q, ":file", file);
    return hp_query_run(&q, err);
}

int hp_db_chunk_each(hp_db_t *db, int64_t file, void (*fn)(void *arg, const hp_chunk_row_t *row), void *arg,
                     hp_err_t *err)
{
    HP_QUERY(q, db, &sql[CHUNK_EACH]);
    hp_query_bind_int(&q, ":file", file);
    while (hp_query_row(&q)) {
        hp_chunk_row_t row = {.file = hp_query_int(&q, 0),
                              .number = hp_query_int(&q, 1),
                              .source = hp_query_int(&q, 3),
                              .at = hp_query_int(&q, 4)};
        size_t length = 0;
        const void *digest = hp_query_blob(&q, 2, &length);
        if (length == sizeof row.digest)
            memcpy(row.digest, digest, length);
        fn(arg, &row);
    }
    return hp_query_end(&q, err);
}

int hp_db_download_given(hp_db_t *db, int64_t download, hp_download_given_t *at, int64_t limit, bool *more,
                         void (*fn)(void *arg, const char *host, int64_t bytes), void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[GIVEN]);
    hp_query_bind_int(&q, ":download", download);
    hp_query_bind_int(&q, ":file", at->file);
    hp_query_bind_int(&q, ":number", at->number);
    hp_query_bind_int(&q, ":limit", limit);
    int64_t rows = 0;
    for (; hp_query_row(&q); rows++) {
        bool is_chunk = !hp_query_is_null(&q, 1); /* else a file with none, or none left */
        at->file = hp_query_int(&q, 0);
        at->number = is_chunk ? hp_query_int(&q, 1) : INT64_MAX;
        if (is_chunk)
            fn(arg, hp_query_text(&q, 2), hp_query_int(&q, 3));
    }
    *more = rows == limit;
    return hp_query_end(&q, err);
}
