/* Table download and the sums over its files. Sums are read from download_sum where they stand, and else made
 * from the rows of the files: those of an ended download stand there, those of one under way change with
 * every chunk. */
#include "db/download.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "db/statement.h"

enum {
    INSERT,
    UPDATE,
    SET_URL,
    SET_SECRETS,
    REMOVE,
    UNFINISHED,
    PAGE_ENDED,
    PAGE_STATE,
    COUNTS,
    GET,
    SUM,
    SUM_KEEP,
    PATH_TAKEN,
    PATH_KNOWN,
    FIND_ROOT,
    FIND_PATH,
    FIND_URL,
    FIND_ENDED,
    FIND_DONE,
    FIND_DONE_URL,
    CAN_KEEP,
    KEEP,
    UNKEEP,
    KEPT,
    FIND_KEPT,
    LOCAL_ROOT,
    LOCAL_PATH,
};

#define ENDED          "('done', 'failed', 'cancelled')"
#define CHUNKS_OF_FILE "(f.size / f.chunk_size + (f.size % f.chunk_size > 0))"
/* Bytes on record: full chunks; the last one counts as full until the file is done, which is right to within
 * a chunk. */
#define DONE_OF_FILE                                                                                         \
    "CASE WHEN f.state = 'done' THEN ifnull(f.size, 0) ELSE min(f.chunks_done * f.chunk_size, "              \
    "ifnull(f.size, 0)) END"
/* total() counts in floating point: sums of sizes near 2^63 do not overflow, the cast stops at the largest
 * integer. */
#define TOTAL(expression) "CAST(total(" expression ") AS INTEGER)"
#define SUM_COLUMNS                                                                                                                                                                                                                      \
    "CASE WHEN d.folder THEN NULL ELSE max(f.path) END, CASE WHEN d.folder THEN NULL ELSE max(f.root) END,"                                                                                                                              \
    " count(f.id), " TOTAL("f.state = 'done'") ", " TOTAL("f.state = 'failed'") ", " TOTAL(                                                                                                                                              \
        "f.verified") ", " TOTAL("f.id IS NOT NULL AND f.size IS NULL") ", " TOTAL("f.size") ", " TOTAL(DONE_OF_FILE) ", " TOTAL("CASE WHEN f.chunk_size > 0 THEN " CHUNKS_OF_FILE                                                       \
                                                                                                                                 " ELSE 0 END") ", " TOTAL("CASE WHEN f.state = 'done' AND f.chunk_size > 0 THEN ifnull(" CHUNKS_OF_FILE \
                                                                                                                                                           ", 0)"                                                                        \
                                                                                                                                                           " ELSE f.chunks_done END") ", ifnull(max(f.chunk_size), 0)"
#define SUM_TABLES "download d LEFT JOIN download_file f ON f.download = d.id"
#define COLUMNS                                                                                              \
    "d.id, d.base, d.path, d.folder, d.order_host, d.order_path, d.order_root, d.order_url, d.state, "       \
    "d.reason, d.error_code, d.error_detail, d.disk_wait, d.priority, d.limit_bps, d.created_at, "           \
    "d.finished_at, d.note, d.order_headers, d.order_certificate, s.path, s.root, s.files_total, "           \
    "s.files_done, s.files_failed, s.files_verified, "                                                       \
    "s.sizes_unknown, s.size, s.done_bytes, s.chunks_total, s.chunks_done, s.chunk_size"
#define TABLES    "download d LEFT JOIN download_sum s ON s.download = d.id"
#define FIRST_SUM 20 /* column of COLUMNS where those of SUM_COLUMNS begin */

static const hp_sql_t sql[] = {
    [INSERT] =
        {"download.insert",
         "INSERT INTO download (base, path, folder, order_host, order_path, order_root, order_url, state, "
         "reason,"
         " error_code, error_detail, note, order_headers, order_certificate, disk_wait, priority, limit_bps,"
         " created_at, finished_at)"
         " VALUES (:base, :path, :folder, :order_host, :order_path, :order_root, :order_url, :state, :reason,"
         " 0, '', :note, :order_headers, :order_certificate, 0, :priority, :limit_bps, :created_at, 0)"},
    [UPDATE] = {"download.update",
                "UPDATE download SET base = :base, path = :path, state = :state, reason = :reason, "
                "error_code = :error_code,"
                " error_detail = :error_detail, note = :note, disk_wait = :disk_wait, priority = :priority, "
                "limit_bps = "
                ":limit_bps,"
                " finished_at = :finished_at WHERE id = :id"},
    [SET_URL] = {"download.set_url", "UPDATE download SET order_url = :url WHERE id = :id"},
    [SET_SECRETS] = {"download.set_secrets",
                     "UPDATE download SET order_headers = :headers, order_certificate = :certificate"
                     " WHERE id = :id"},
    [REMOVE] = {"download.remove", "DELETE FROM download WHERE id = :id"},
    [UNFINISHED] = {"download.unfinished",
                    "SELECT " COLUMNS " FROM " TABLES
                    " WHERE d.state IN ('queued', 'running', 'paused', 'verifying') ORDER BY d.id"},
    [PAGE_ENDED] = {"download.page_ended",
                    "SELECT " COLUMNS " FROM download d INDEXED BY download_ended LEFT JOIN download_sum s"
                    " ON s.download = d.id WHERE d.state IN " ENDED " AND d.kept = 0 AND d.id < :before"
                    " ORDER BY d.id DESC LIMIT :limit"},
    [PAGE_STATE] =
        {"download.page_state",
         "SELECT " COLUMNS " FROM " TABLES
         " WHERE d.state = :state AND d.kept = 0 AND d.id < :before ORDER BY d.id DESC LIMIT :limit"},
    [COUNTS] = {"download.counts",
                "SELECT state, count(*) - CASE state WHEN 'cancelled' THEN (SELECT count(*) FROM download"
                " INDEXED BY download_kept WHERE kept = 1) ELSE 0 END FROM download GROUP BY state"},
    [GET] = {"download.get", "SELECT " COLUMNS " FROM " TABLES " WHERE d.id = :id AND d.kept = 0"},
    [SUM] = {"download.sum", "SELECT " SUM_COLUMNS " FROM " SUM_TABLES " WHERE d.id = :id GROUP BY d.id"},
    [SUM_KEEP] = {"download.sum_keep",
                  "INSERT INTO download_sum (download, path, root, files_total, files_done, files_failed,"
                  " files_verified, sizes_unknown, size, done_bytes, chunks_total, chunks_done, chunk_size)"
                  " SELECT d.id, " SUM_COLUMNS " FROM " SUM_TABLES " WHERE d.id = :id AND d.state IN " ENDED
                  " AND NOT EXISTS (SELECT 1 FROM download_sum WHERE download = :id) GROUP BY d.id"},
    [PATH_TAKEN] = {"download.path_taken", "SELECT 1 FROM download WHERE base = :base AND path = :path"
                                           " AND state NOT IN ('cancelled', 'done') LIMIT 1"},
    [PATH_KNOWN] = {"download.path_known", "SELECT 1 FROM download WHERE base = :base AND path = :path"
                                           " AND (state <> 'cancelled' OR kept = 1) LIMIT 1"},
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
    [FIND_ENDED] =
        {"download.find_ended",
         "SELECT id FROM download WHERE order_host = :host AND order_path = :path AND folder = :folder"
         " AND (state = 'failed' OR (state = 'done' AND folder = 1)) ORDER BY id DESC LIMIT 1"},
    [FIND_DONE] = {"download.find_done",
                   "SELECT id FROM download WHERE order_host = :host AND order_path = :path AND folder = 0"
                   " AND state = 'done' ORDER BY id DESC LIMIT 1"},
    [FIND_DONE_URL] = {"download.find_done_url", "SELECT id FROM download WHERE order_url = :url"
                                                 " AND state = 'done' ORDER BY id DESC LIMIT 1"},
    [CAN_KEEP] = {"download.can_keep", "SELECT 1 FROM download_file WHERE download = :id AND state <> 'done'"
                                       " AND part IS NOT NULL AND chunks_done > 0 LIMIT 1"},
    [KEEP] = {"download.keep", "UPDATE download SET kept = 1, state = 'cancelled' WHERE id = :id"},
    [UNKEEP] = {"download.unkeep", "UPDATE download SET kept = 0, state = :state, reason = '', note = :note,"
                                   " error_code = 0, error_detail = '', disk_wait = 0, finished_at = 0"
                                   " WHERE id = :id AND kept = 1"},
    [KEPT] = {"download.kept", "SELECT " COLUMNS " FROM download d INDEXED BY download_kept"
                               " LEFT JOIN download_sum s ON s.download = d.id WHERE d.kept = 1"
                               " ORDER BY d.id DESC"},
    [FIND_KEPT] =
        {"download.find_kept",
         "SELECT d.id FROM download d INDEXED BY download_kept WHERE d.kept = 1 AND d.base = :base"
         " AND (d.order_url = :url OR (d.order_host = :host AND d.order_path = :path AND d.folder = :folder)"
         " OR (d.folder = 0 AND :folder = 0 AND EXISTS (SELECT 1 FROM download_file f"
         " WHERE f.download = d.id AND f.root = :root))) ORDER BY d.id DESC LIMIT 1"},
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
};
HP_SQL_LIST(download, sql);

static char *copy(const char *text)
{
    return text != NULL ? hp_strdup(text) : NULL;
}

void hp_download_row_dispose(hp_download_row_t *row)
{
    char **texts[] = {
        &row->base,      &row->path,          &row->order_host,       &row->order_path,   &row->order_root,
        &row->order_url, &row->state,         &row->reason,           &row->error_detail, &row->root,
        &row->note,      &row->order_headers, &row->order_certificate};
    for (size_t i = 0; i < HP_COUNT(texts); i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
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
    hp_query_bind_root(&q, ":order_root", row->order_root);
    hp_query_bind_text(&q, ":order_url", row->order_url);
    hp_query_bind_text(&q, ":order_headers", row->order_headers);
    hp_query_bind_text(&q, ":order_certificate", row->order_certificate);
    hp_query_bind_text(&q, ":state", row->state);
    hp_query_bind_text(&q, ":reason", row->reason);
    hp_query_bind_text(&q, ":note", row->note != NULL ? row->note : "");
    hp_query_bind_int(&q, ":priority", row->priority);
    hp_query_bind_int(&q, ":limit_bps", row->limit_bps);
    hp_query_bind_int(&q, ":created_at", row->created_at);
    int rc = hp_query_run(&q, err);
    if (rc == 0)
        row->id = hp_db_last_id(db);
    return rc;
}

/* Nothing while it is under way, or where they stand already. */
static int keep_sums(hp_db_t *db, int64_t id, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SUM_KEEP]);
    hp_query_bind_int(&q, ":id", id);
    return hp_query_run(&q, err);
}

int hp_db_download_update(hp_db_t *db, const hp_download_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[UPDATE]);
    hp_query_bind_int(&q, ":id", row->id);
    hp_query_bind_text(&q, ":base", row->base);
    hp_query_bind_text(&q, ":path", row->path);
    hp_query_bind_text(&q, ":state", row->state);
    hp_query_bind_text(&q, ":reason", row->reason);
    hp_query_bind_int(&q, ":error_code", row->error_code);
    hp_query_bind_text(&q, ":error_detail", row->error_detail);
    hp_query_bind_text(&q, ":note", row->note != NULL ? row->note : "");
    hp_query_bind_int(&q, ":disk_wait", row->disk_wait);
    hp_query_bind_int(&q, ":priority", row->priority);
    hp_query_bind_int(&q, ":limit_bps", row->limit_bps);
    hp_query_bind_int(&q, ":finished_at", row->finished_at);
    int rc = hp_query_run(&q, err);
    return rc == 0 ? keep_sums(db, row->id, err) : rc;
}

int hp_db_download_set_url(hp_db_t *db, int64_t id, const char *url, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SET_URL]);
    hp_query_bind_int(&q, ":id", id);
    hp_query_bind_text(&q, ":url", url);
    return hp_query_run(&q, err);
}

int hp_db_download_set_secrets(hp_db_t *db, int64_t id, const char *headers, const char *certificate,
                               hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SET_SECRETS]);
    hp_query_bind_int(&q, ":id", id);
    hp_query_bind_text(&q, ":headers", headers);
    hp_query_bind_text(&q, ":certificate", certificate);
    return hp_query_run(&q, err);
}

int hp_db_download_remove(hp_db_t *db, int64_t id, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[REMOVE]);
    hp_query_bind_int(&q, ":id", id);
    return hp_query_run(&q, err);
}

static bool is_state(const char *text)
{
    static const char *const states[] = {"queued", "running", "paused",   "verifying",
                                         "done",   "failed",  "cancelled"};
    for (size_t i = 0; i < HP_COUNT(states); i++)
        if (strcmp(text, states[i]) == 0)
            return true;
    return false;
}

/* A value that hostpair never writes, and that would lead a download somewhere else. Before and after the
 * path of its file takes the place of its own. */
static int check_download(const hp_download_row_t *row, hp_err_t *err)
{
    const char *wrong = NULL;
    if (row->base == NULL || row->base[0] != '/')
        wrong = "its folder is no absolute path";
    else if (row->path == NULL || hp_path_check(row->path, strlen(row->path), NULL) != 0)
        wrong = "its path leads out of the folder, or is missing";
    else if (row->state == NULL || row->reason == NULL || row->error_detail == NULL || row->note == NULL)
        wrong = "a text is missing";
    else if (!is_state(row->state))
        wrong = "its state is none";
    else if (row->limit_bps < 0)
        wrong = "its limit is negative";
    if (wrong == NULL)
        return 0;
    return hp_err_set(err, HP_E_DB, "the database is damaged: download %lld: %s", (long long)row->id, wrong);
}

/* Columns as in SUM_COLUMNS from `first` on; row->path stands already. */
static void read_sums(hp_query_t *q, int first, hp_download_row_t *row)
{
    const char *path = hp_query_text(q, first);
    if (path != NULL) {
        free(row->path);
        row->path = hp_strdup(path);
    }
    row->root = hp_query_root(q, first + 1);
    row->files_total = hp_query_count(q, first + 2);
    row->files_done = hp_query_count(q, first + 3);
    row->files_failed = hp_query_count(q, first + 4);
    row->files_verified = hp_query_count(q, first + 5);
    row->sizes_unknown = hp_query_count(q, first + 6);
    row->size = hp_query_count(q, first + 7);
    row->done_bytes = hp_query_count(q, first + 8);
    row->chunks_total = hp_query_count(q, first + 9);
    row->chunks_done = hp_query_count(q, first + 10);
    row->chunk_size = hp_query_count(q, first + 11);
}

static int sum_up(hp_db_t *db, hp_download_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SUM]);
    hp_query_bind_int(&q, ":id", row->id);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        read_sums(&q, 0, row);
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

/* Columns as in COLUMNS. On failure the row is empty. */
static int read_download(hp_db_t *db, hp_query_t *q, hp_download_row_t *row, hp_err_t *err)
{
    *row = (hp_download_row_t){
        .id = hp_query_int(q, 0),
        .base = copy(hp_query_text(q, 1)),
        .path = copy(hp_query_text(q, 2)),
        .folder = hp_query_int(q, 3) != 0,
        .order_host = copy(hp_query_text(q, 4)),
        .order_path = copy(hp_query_text(q, 5)),
        .order_root = hp_query_root(q, 6),
        .order_url = copy(hp_query_text(q, 7)),
        .state = copy(hp_query_text(q, 8)),
        .reason = copy(hp_query_text(q, 9)),
        .error_code = (int)hp_query_int(q, 10),
        .error_detail = copy(hp_query_text(q, 11)),
        .disk_wait = hp_query_int(q, 12) != 0,
        .priority = (int)HP_MAX(HP_MIN(hp_query_int(q, 13), (int64_t)1), (int64_t)-1),
        .limit_bps = hp_query_int(q, 14),
        .created_at = hp_query_int(q, 15),
        .finished_at = hp_query_int(q, 16),
        .note = copy(hp_query_text(q, 17)),
        .order_headers = copy(hp_query_text(q, 18)),
        .order_certificate = copy(hp_query_text(q, 19)),
    };
    int rc = check_download(row, err);
    if (rc == 0 && hp_query_is_null(q, FIRST_SUM + 2))
        rc = sum_up(db, row, err);
    else if (rc == 0)
        read_sums(q, FIRST_SUM, row);
    if (rc == 0)
        rc = check_download(row, err);
    if (rc != 0)
        hp_download_row_dispose(row);
    return rc;
}

/* Calls fn with every row. A damaged one is named in the log and passed over. */
static int each_download(hp_db_t *db, hp_query_t *q, hp_db_download_fn fn, void *arg, hp_err_t *err)
{
    while (hp_query_row(q)) {
        hp_download_row_t row;
        hp_err_t damage = {0};
        if (read_download(db, q, &row, &damage) != 0) {
            hp_log(HP_LOG_ERROR, "%s", hp_err_text(&damage));
            continue;
        }
        fn(arg, &row);
        hp_download_row_dispose(&row);
    }
    return hp_query_end(q, err);
}

int hp_db_download_unfinished(hp_db_t *db, hp_db_download_fn fn, void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[UNFINISHED]);
    return each_download(db, &q, fn, arg, err);
}

int hp_db_download_ended(hp_db_t *db, const char *state, int64_t before, size_t limit, hp_db_download_fn fn,
                         void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[state != NULL ? PAGE_STATE : PAGE_ENDED]);
    if (state != NULL)
        hp_query_bind_text(&q, ":state", state);
    hp_query_bind_int(&q, ":before", before > 0 ? before : INT64_MAX);
    hp_query_bind_int(&q, ":limit", (int64_t)limit);
    return each_download(db, &q, fn, arg, err);
}

int hp_db_download_counts(hp_db_t *db, void (*fn)(void *arg, const char *state, int64_t count), void *arg,
                          hp_err_t *err)
{
    HP_QUERY(q, db, &sql[COUNTS]);
    while (hp_query_row(&q))
        fn(arg, hp_query_string(&q, 0), hp_query_count(&q, 1));
    return hp_query_end(&q, err);
}

int hp_db_download_get(hp_db_t *db, int64_t id, hp_download_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[GET]);
    hp_query_bind_int(&q, ":id", id);
    int rc = hp_query_one(&q, err);
    return rc == 0 ? read_download(db, &q, row, err) : rc;
}

static int has_path(hp_db_t *db, const hp_sql_t *statement, const char *base, const char *path, bool *has,
                    hp_err_t *err)
{
    HP_QUERY(q, db, statement);
    hp_query_bind_text(&q, ":base", base);
    hp_query_bind_text(&q, ":path", path);
    int rc = hp_query_one(&q, err);
    *has = rc == 0;
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

int hp_db_download_path_taken(hp_db_t *db, const char *base, const char *path, bool *taken, hp_err_t *err)
{
    return has_path(db, &sql[PATH_TAKEN], base, path, taken, err);
}

int hp_db_download_path_known(hp_db_t *db, const char *base, const char *path, bool *known, hp_err_t *err)
{
    return has_path(db, &sql[PATH_KNOWN], base, path, known, err);
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
        hp_query_bind_root(&q, ":root", root);
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

int hp_db_download_find_ended(hp_db_t *db, const char *host, const char *path, bool folder, int64_t *id,
                              hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FIND_ENDED]);
    hp_query_bind_text(&q, ":host", host);
    hp_query_bind_text(&q, ":path", path);
    hp_query_bind_int(&q, ":folder", folder);
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        *id = hp_query_int(&q, 0);
    return rc;
}

int hp_db_download_find_done(hp_db_t *db, const char *host, const char *path, const char *url, int64_t *id,
                             hp_err_t *err)
{
    HP_QUERY(q, db, &sql[url != NULL ? FIND_DONE_URL : FIND_DONE]);
    if (url != NULL) {
        hp_query_bind_text(&q, ":url", url);
    } else {
        hp_query_bind_text(&q, ":host", host);
        hp_query_bind_text(&q, ":path", path);
    }
    int rc = hp_query_one(&q, err);
    if (rc == 0)
        *id = hp_query_int(&q, 0);
    return rc;
}

int hp_db_download_keep(hp_db_t *db, int64_t id, bool *kept, hp_err_t *err)
{
    HP_QUERY(can, db, &sql[CAN_KEEP]);
    hp_query_bind_int(&can, ":id", id);
    int rc = hp_query_one(&can, err);
    *kept = rc == 0;
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? 0 : rc;
    HP_QUERY(q, db, &sql[KEEP]);
    hp_query_bind_int(&q, ":id", id);
    return hp_query_run(&q, err);
}

int hp_db_download_unkeep(hp_db_t *db, int64_t id, const char *state, const char *note, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[UNKEEP]);
    hp_query_bind_int(&q, ":id", id);
    hp_query_bind_text(&q, ":state", state);
    hp_query_bind_text(&q, ":note", note);
    return hp_query_run(&q, err);
}

int hp_db_download_kept(hp_db_t *db, hp_db_download_fn fn, void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[KEPT]);
    return each_download(db, &q, fn, arg, err);
}

int hp_db_download_find_kept(hp_db_t *db, const hp_download_row_t *order, int64_t *id, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FIND_KEPT]);
    hp_query_bind_text(&q, ":base", order->base);
    hp_query_bind_text(&q, ":url", order->order_url);
    hp_query_bind_text(&q, ":host", order->order_host);
    hp_query_bind_text(&q, ":path", order->order_path);
    hp_query_bind_int(&q, ":folder", order->folder);
    hp_query_bind_root(&q, ":root", order->order_root);
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
        hp_query_bind_root(&q, ":root", root);
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
