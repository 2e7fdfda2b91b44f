#include "db/incoming.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/path.h"
#include "db/statement.h"

enum { SET, EACH, PRUNE, LAST, FILE_SET, FILE_EACH, FILE_SUMS };

static const hp_sql_t sql[] = {
    [SET] = {"incoming.set",
             "INSERT INTO incoming (id, token, kind, name, address, host, base, folder, state, reason, files,"
             " created_at, finished_at) VALUES (:id, :token, :kind, :name, :address, :host, :base, :folder,"
             " :state, :reason, :files, :created_at, :finished_at)"
             " ON CONFLICT (id) DO UPDATE SET base = excluded.base, folder = excluded.folder,"
             " state = excluded.state, reason = excluded.reason, files = excluded.files,"
             " finished_at = excluded.finished_at"},
    [EACH] = {"incoming.each",
              "SELECT id, token, kind, name, address, host, base, folder, state, reason, files, created_at,"
              " finished_at FROM incoming ORDER BY id"},
    [PRUNE] = {"incoming.prune",
               "DELETE FROM incoming WHERE state <> 'receiving' AND (base <> '') = :accepted"
               " AND id <= (SELECT id FROM incoming WHERE state <> 'receiving'"
               " AND (base <> '') = :accepted ORDER BY id DESC LIMIT 1 OFFSET :keep)"},
    [LAST] = {"incoming.last", "SELECT max(id) FROM incoming"},
    [FILE_SET] =
        {"incoming_file.set",
         "INSERT INTO incoming_file (incoming, number, name, key, type, size, sha256, wanted, done, path,"
         " received, part, inode, folder, download) VALUES (:incoming, :number, :name, :key, :type, :size, "
         ":sha256, :wanted,"
         " :done, :path, :received, :part, :inode, :folder, :download)"
         " ON CONFLICT (incoming, number) DO UPDATE SET size = excluded.size, wanted = excluded.wanted,"
         " done = excluded.done, path = excluded.path, received = excluded.received, part = excluded.part,"
         " inode = excluded.inode, download = excluded.download"},
    [FILE_EACH] = {"incoming_file.each",
                   "SELECT number, name, key, type, size, sha256, wanted, done, path, received, part, inode,"
                   " folder, download"
                   " FROM incoming_file WHERE incoming = :incoming ORDER BY number LIMIT :limit"},
    /* total() and not sum(), which fails where sizes that a sender made up are too large. */
    [FILE_SUMS] = {"incoming_file.sums",
                   "SELECT sum(wanted), sum(done), total(CASE WHEN wanted = 1 THEN size END), total(received)"
                   " FROM incoming_file WHERE incoming = :incoming AND number >= :skip"},
};
HP_SQL_LIST(incoming, sql);

int hp_db_incoming_set(hp_db_t *db, const hp_db_incoming_t *incoming, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SET]);
    hp_query_bind_int(&q, ":id", incoming->id);
    hp_query_bind_text(&q, ":token", incoming->token);
    hp_query_bind_text(&q, ":kind", hp_sender_kind_name(incoming->kind));
    hp_query_bind_text(&q, ":name", incoming->name);
    hp_query_bind_text(&q, ":address", incoming->address);
    hp_query_bind_text(&q, ":host", incoming->host);
    hp_query_bind_text(&q, ":base", incoming->base);
    hp_query_bind_text(&q, ":folder", incoming->folder);
    hp_query_bind_text(&q, ":state", hp_incoming_state_name(incoming->state));
    hp_query_bind_text(&q, ":reason", incoming->reason);
    hp_query_bind_int(&q, ":files", incoming->files);
    hp_query_bind_int(&q, ":created_at", incoming->created_at);
    hp_query_bind_int(&q, ":finished_at", incoming->finished_at);
    return hp_query_run(&q, err);
}

int hp_db_incoming_file_set(hp_db_t *db, int64_t incoming, const hp_db_incoming_file_t *file, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FILE_SET]);
    hp_query_bind_int(&q, ":incoming", incoming);
    hp_query_bind_int(&q, ":number", file->number);
    hp_query_bind_text(&q, ":name", file->name);
    hp_query_bind_text(&q, ":key", file->key);
    hp_query_bind_text(&q, ":type", file->type);
    if (file->size < 0)
        hp_query_bind_null(&q, ":size");
    else
        hp_query_bind_int(&q, ":size", file->size);
    hp_query_bind_root(&q, ":sha256", file->sha256);
    hp_query_bind_int(&q, ":wanted", file->wanted);
    hp_query_bind_int(&q, ":done", file->done);
    hp_query_bind_text(&q, ":path", file->path);
    hp_query_bind_int(&q, ":received", file->received);
    hp_query_bind_text(&q, ":part", file->part);
    hp_query_bind_int(&q, ":inode", file->inode);
    hp_query_bind_int(&q, ":folder", file->folder);
    hp_query_bind_int(&q, ":download", file->download);
    return hp_query_run(&q, err);
}

static bool is_below(const char *path)
{
    return hp_path_check(path, strlen(path), NULL) == 0;
}

/* Whether hostpair can have written the row: a folder that leads elsewhere, a transfer that lands nowhere and
 * a token that everybody knows are not its own. */
static bool is_row(const hp_db_incoming_t *row)
{
    bool lands = row->base[0] == '/' && is_below(row->folder);
    bool nowhere = row->base[0] == '\0' && row->folder[0] == '\0' && hp_incoming_is_over(row->state);
    return (lands || nowhere) && row->state != HP_INCOMING_ASKING && row->files >= 0 &&
           strlen(row->token) == 32 && strspn(row->token, "0123456789abcdef") == 32;
}

static bool is_file_row(const hp_db_incoming_file_t *row)
{
    return row->number >= 0 && row->size >= -1 && row->received >= 0 && row->download >= 0 &&
           is_below(row->name) && (row->path[0] == '\0' || is_below(row->path)) &&
           (row->part[0] == '\0' || (strchr(row->part, '/') == NULL && hp_path_is_part(row->part)));
}

int hp_db_incoming_each(hp_db_t *db, hp_db_incoming_fn fn, void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[EACH]);
    while (hp_query_row(&q)) {
        hp_db_incoming_t row = {
            .id = hp_query_int(&q, 0),
            .token = hp_query_string(&q, 1),
            .kind = hp_sender_kind_of(hp_query_string(&q, 2)),
            .name = hp_query_string(&q, 3),
            .address = hp_query_string(&q, 4),
            .host = hp_query_string(&q, 5),
            .base = hp_query_string(&q, 6),
            .folder = hp_query_string(&q, 7),
            .state = hp_incoming_state_of(hp_query_string(&q, 8)),
            .reason = hp_query_string(&q, 9),
            .files = hp_query_int(&q, 10),
            .created_at = hp_query_int(&q, 11),
            .finished_at = hp_query_int(&q, 12),
        };
        if (is_row(&row))
            fn(arg, &row);
        else
            hp_log(HP_LOG_ERROR, "the database is damaged: transfer %lld: a value is none of hostpair's",
                   (long long)row.id);
    }
    return hp_query_end(&q, err);
}

int hp_db_incoming_file_each(hp_db_t *db, int64_t incoming, size_t limit, hp_db_incoming_file_fn fn,
                             void *arg, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FILE_EACH]);
    hp_query_bind_int(&q, ":incoming", incoming);
    hp_query_bind_int(&q, ":limit", (int64_t)limit);
    while (hp_query_row(&q)) {
        char *sha256 = hp_query_root(&q, 5);
        hp_db_incoming_file_t row = {
            .number = hp_query_int(&q, 0),
            .name = hp_query_string(&q, 1),
            .key = hp_query_string(&q, 2),
            .type = hp_query_string(&q, 3),
            .size = hp_query_is_null(&q, 4) ? -1 : hp_query_int(&q, 4),
            .sha256 = sha256,
            .wanted = hp_query_int(&q, 6) != 0,
            .done = hp_query_int(&q, 7) != 0,
            .path = hp_query_string(&q, 8),
            .received = hp_query_int(&q, 9),
            .part = hp_query_string(&q, 10),
            .inode = hp_query_int(&q, 11),
            .folder = hp_query_int(&q, 12) != 0,
            .download = hp_query_int(&q, 13),
        };
        if (is_file_row(&row))
            fn(arg, &row);
        else
            hp_log(HP_LOG_ERROR,
                   "the database is damaged: file %lld of transfer %lld: a value is none of "
                   "hostpair's",
                   (long long)row.number, (long long)incoming);
        free(sha256);
    }
    return hp_query_end(&q, err);
}

int hp_db_incoming_file_sums(hp_db_t *db, int64_t incoming, size_t skip, hp_db_incoming_sums_t *sums,
                             hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FILE_SUMS]);
    hp_query_bind_int(&q, ":incoming", incoming);
    hp_query_bind_int(&q, ":skip", (int64_t)skip);
    if (hp_query_row(&q))
        *sums = (hp_db_incoming_sums_t){.wanted = (uint64_t)hp_query_count(&q, 0),
                                        .done = (uint64_t)hp_query_count(&q, 1),
                                        .size = (uint64_t)hp_query_count(&q, 2),
                                        .received = (uint64_t)hp_query_count(&q, 3)};
    return hp_query_end(&q, err);
}

static int prune(hp_db_t *db, bool accepted, size_t keep, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[PRUNE]);
    hp_query_bind_int(&q, ":accepted", accepted);
    hp_query_bind_int(&q, ":keep", (int64_t)keep);
    return hp_query_run(&q, err);
}

int hp_db_incoming_prune(hp_db_t *db, size_t keep, size_t keep_others, hp_err_t *err)
{
    int rc = prune(db, true, keep, err);
    return rc != 0 ? rc : prune(db, false, keep_others, err);
}

int hp_db_incoming_last(hp_db_t *db, int64_t *id, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LAST]);
    *id = 0;
    if (hp_query_row(&q))
        *id = hp_query_int(&q, 0);
    return hp_query_end(&q, err);
}
