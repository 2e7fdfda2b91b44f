/* Tables download_source and chunk: where the files of downloads come from, and which parts of them are
 * there. */
#include "db/download.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "db/statement.h"

enum {
    SOURCE_PUT,
    SOURCE_EACH,
    SOURCE_FORGIVE,
    SOURCE_CLEAR,
    SOURCE_MOVE,
    CHUNK_ADD,
    CHUNK_REMOVE,
    CHUNK_CLEAR,
    CHUNK_EACH,
    GIVEN,
};

static const hp_sql_t sql[] = {
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
    [SOURCE_MOVE] = {"download_source.move",
                     "UPDATE OR IGNORE download_source SET host = :host, path = :path, set_aside = NULL"
                     " WHERE file IN (SELECT id FROM download_file WHERE download = :download)"},
    [CHUNK_ADD] = {"chunk.add", "INSERT INTO chunk (file, number, digest, source)"
                                " VALUES (:file, :number, :digest, :source) ON CONFLICT (file, number)"
                                " DO UPDATE SET digest = excluded.digest, source = excluded.source"},
    [CHUNK_REMOVE] = {"chunk.remove", "DELETE FROM chunk WHERE file = :file AND number = :number"},
    [CHUNK_CLEAR] = {"chunk.clear", "DELETE FROM chunk WHERE file = :file"},
    [CHUNK_EACH] = {"chunk.each",
                    "SELECT file, number, digest, source FROM chunk WHERE file = :file ORDER BY number"},
    [GIVEN] =
        {"download.given",
         "SELECT f.id, c.number, s.host, min(f.chunk_size, ifnull(f.size - c.number * f.chunk_size, "
         "f.chunk_size))"
         " FROM download_file f LEFT JOIN chunk c ON c.file = f.id AND (f.id > :file OR c.number > :number)"
         " LEFT JOIN download_source s ON s.id = c.source"
         " WHERE f.download = :download AND f.id >= :file ORDER BY f.id, c.number LIMIT :limit"},
};
HP_SQL_LIST(chunk, sql);

static char *copy(const char *text)
{
    return text != NULL ? hp_strdup(text) : NULL;
}

void hp_download_source_row_dispose(hp_download_source_row_t *row)
{
    free(row->host);
    free(row->path);
    free(row->etag);
    free(row->set_aside);
    *row = (hp_download_source_row_t){0};
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
            .host = hp_strdup(hp_query_string(&q, 2)),
            .path = hp_strdup(hp_query_string(&q, 3)),
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

int hp_db_download_source_move(hp_db_t *db, int64_t download, const char *host, const char *path,
                               hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SOURCE_MOVE]);
    hp_query_bind_int(&q, ":download", download);
    hp_query_bind_text(&q, ":host", host);
    hp_query_bind_text(&q, ":path", path);
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
        hp_chunk_row_t row = {
            .file = hp_query_int(&q, 0), .number = hp_query_int(&q, 1), .source = hp_query_int(&q, 3)};
        size_t length = 0;
        const void *digest = hp_query_blob(&q, 2, &length);
        if (row.number < 0 || digest == NULL || length != sizeof row.digest) {
            hp_log(HP_LOG_ERROR,
                   "the database is damaged: chunk %lld of file %lld: its number or digest is none",
                   (long long)row.number, (long long)row.file);
            continue; /* it is fetched again */
        }
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
            fn(arg, hp_query_text(&q, 2), hp_query_count(&q, 3));
    }
    *more = rows == limit;
    return hp_query_end(&q, err);
}
