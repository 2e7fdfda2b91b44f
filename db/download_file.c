/* Table download_file and download_left: the files of downloads, and their part files. */
#include "db/download.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "db/statement.h"

#define CHUNK_SIZE_MIN 16384     /* a leaf of the hash tree */
#define CHUNKS_MAX     (1 << 20) /* of one file; with more of them the chunk size is wrong */

enum {
    FILE_INSERT,
    FILE_UPDATE,
    FILES_DONE,
    FILE_NEXT,
    FILE_UNFINISHED,
    FILE_PAGE,
    FILE_REOPEN,
    LEFT_ADD,
    LEFT_EACH
};

#define FILE_COLUMNS                                                                                         \
    "id, download, path, source_path, state, error, size, root, chunk_size, chunks_done, verified, part, "   \
    "device, inode, boot_id, mtime_ms, replaces_ns, executable, born_ns"

static const hp_sql_t sql[] = {
    [FILE_INSERT] = {"download_file.insert",
                     "INSERT INTO download_file (download, path, source_path, state, "
                     "error, size, root, verified, chunk_size,"
                     " chunks_done, mtime_ms, replaces_ns, executable) VALUES (:download, :path, "
                     ":source_path, :state, "
                     "'', :size, :root, 0, :chunk_size, 0, :mtime_ms, :replaces_ns, :executable)"},
    [FILE_UPDATE] =
        {"download_file.update",
         "UPDATE download_file SET path = :path, state = :state, error = :error, size = :size, root = :root,"
         " chunk_size = :chunk_size, verified = :verified, part = :part, device = :device, inode = :inode, "
         "boot_id = :boot_id, mtime_ms = :mtime_ms, replaces_ns = :replaces_ns, executable = :executable, "
         "born_ns = :born_ns"
         " WHERE id = :id"},
    [FILES_DONE] =
        {"download_file.files_done",
         "UPDATE download_file SET state = 'done', error = '', chunk_size = :chunk_size, verified = 1"
         " WHERE id BETWEEN :first AND :last AND download = :download"},
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
};
HP_SQL_LIST(download_file, sql);

static char *copy(const char *text)
{
    return text != NULL ? hp_strdup(text) : NULL;
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

static void bind_size(hp_query_t *q, int64_t size)
{
    if (size == HP_DB_SIZE_UNKNOWN)
        hp_query_bind_null(q, ":size");
    else
        hp_query_bind_int(q, ":size", size);
}

int hp_db_download_file_insert(hp_db_t *db, hp_download_file_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FILE_INSERT]);
    hp_query_bind_int(&q, ":download", row->download);
    hp_query_bind_text(&q, ":path", row->path);
    hp_query_bind_text(&q, ":source_path", row->source_path);
    hp_query_bind_text(&q, ":state", row->state);
    bind_size(&q, row->size);
    hp_query_bind_root(&q, ":root", row->root);
    hp_query_bind_int(&q, ":chunk_size", row->chunk_size);
    hp_query_bind_int(&q, ":mtime_ms", row->mtime_ms);
    hp_query_bind_int(&q, ":replaces_ns", row->replaces_ns);
    hp_query_bind_int(&q, ":executable", row->executable);
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
    hp_query_bind_root(&q, ":root", row->root);
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
    hp_query_bind_int(&q, ":mtime_ms", row->mtime_ms);
    hp_query_bind_int(&q, ":replaces_ns", row->replaces_ns);
    hp_query_bind_int(&q, ":executable", row->executable);
    hp_query_bind_int(&q, ":born_ns", row->born_ns);
    return hp_query_run(&q, err);
}

int hp_db_download_files_done(hp_db_t *db, int64_t download, int64_t first, int64_t last, int64_t chunk_size,
                              hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FILES_DONE]);
    hp_query_bind_int(&q, ":download", download);
    hp_query_bind_int(&q, ":first", first);
    hp_query_bind_int(&q, ":last", last);
    hp_query_bind_int(&q, ":chunk_size", chunk_size);
    return hp_query_run(&q, err);
}

static bool is_state(const char *text)
{
    return strcmp(text, "open") == 0 || strcmp(text, "finishing") == 0 || strcmp(text, "done") == 0 ||
           strcmp(text, "failed") == 0;
}

/* A value that hostpair never writes: a name that leads elsewhere, sizes that nothing can be computed with.
 */
static int check_file(const hp_download_file_row_t *row, hp_err_t *err)
{
    const char *wrong = NULL;
    uint64_t chunk = (uint64_t)row->chunk_size;
    if (row->path == NULL || hp_path_check(row->path, strlen(row->path), NULL) != 0)
        wrong = "its path leads out of the folder, or is missing";
    else if (row->source_path == NULL || row->state == NULL || row->error == NULL)
        wrong = "a text is missing";
    else if (!is_state(row->state))
        wrong = "its state is none";
    else if (row->part != NULL && (strchr(row->part, '/') != NULL || !hp_path_is_part(row->part)))
        wrong = "the name of its part file is none";
    else if (row->size < HP_DB_SIZE_UNKNOWN)
        wrong = "its size is negative";
    else if (chunk != 0 && (row->chunk_size < CHUNK_SIZE_MIN || (chunk & (chunk - 1)) != 0 ||
                            (row->size > 0 && row->size / row->chunk_size >= CHUNKS_MAX)))
        wrong = "its chunk size is none";
    else if (row->chunks_done < 0)
        wrong = "the number of its chunks is negative";
    if (wrong == NULL)
        return 0;
    return hp_err_set(err, HP_E_DB, "the database is damaged: file %lld of download %lld: %s",
                      (long long)row->id, (long long)row->download, wrong);
}

static int read_file(hp_query_t *q, hp_download_file_row_t *row, hp_err_t *err)
{
    *row = (hp_download_file_row_t){
        .id = hp_query_int(q, 0),
        .download = hp_query_int(q, 1),
        .path = copy(hp_query_text(q, 2)),
        .source_path = copy(hp_query_text(q, 3)),
        .state = copy(hp_query_text(q, 4)),
        .error = copy(hp_query_text(q, 5)),
        .size = hp_query_is_null(q, 6) ? HP_DB_SIZE_UNKNOWN : hp_query_int(q, 6),
        .root = hp_query_root(q, 7),
        .chunk_size = hp_query_int(q, 8),
        .chunks_done = hp_query_int(q, 9),
        .verified = hp_query_int(q, 10) != 0,
        .part = copy(hp_query_text(q, 11)),
        .device = (uint64_t)hp_query_int(q, 12),
        .inode = (uint64_t)hp_query_int(q, 13),
        .boot_id = copy(hp_query_text(q, 14)),
        .mtime_ms = hp_query_int(q, 15),
        .replaces_ns = hp_query_int(q, 16),
        .executable = hp_query_int(q, 17) != 0,
        .born_ns = hp_query_int(q, 18),
    };
    int rc = check_file(row, err);
    if (rc != 0)
        hp_download_file_row_dispose(row);
    return rc;
}

static int read_files(hp_db_t *db, const hp_sql_t *statement, int64_t download, int64_t after,
                      hp_download_file_row_t *rows, size_t max, size_t *count, hp_err_t *err)
{
    HP_QUERY(q, db, statement);
    hp_query_bind_int(&q, ":download", download);
    hp_query_bind_int(&q, ":after", after);
    hp_query_bind_int(&q, ":max", (int64_t)max);
    int rc = 0;
    *count = 0;
    while (rc == 0 && *count < max && hp_query_row(&q)) {
        rc = read_file(&q, &rows[*count], err);
        *count += rc == 0;
    }
    if (rc == 0)
        rc = hp_query_end(&q, err);
    while (rc != 0 && *count > 0)
        hp_download_file_row_dispose(&rows[--*count]);
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
    while (hp_query_row(&q)) {
        const char *part = hp_query_string(&q, 0);
        if (strchr(part, '/') == NULL && hp_path_is_part(part)) /* else nothing that hostpair left */
            fn(arg, part, (uint64_t)hp_query_int(&q, 1), (uint64_t)hp_query_int(&q, 2));
    }
    return hp_query_end(&q, err);
}
