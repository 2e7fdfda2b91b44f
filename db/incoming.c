#include "db/incoming.h"

#include <stdlib.h>

#include "db/statement.h"

enum { SET, EACH, PRUNE, LAST, FILE_SET, FILE_EACH };

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
               "DELETE FROM incoming WHERE state <> 'receiving' AND id <= (SELECT id FROM incoming"
               " WHERE state <> 'receiving' ORDER BY id DESC LIMIT 1 OFFSET :keep)"},
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
        fn(arg, &row);
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
        fn(arg, &row);
        free(sha256);
    }
    return hp_query_end(&q, err);
}

int hp_db_incoming_prune(hp_db_t *db, size_t keep, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[PRUNE]);
    hp_query_bind_int(&q, ":keep", (int64_t)keep);
    return hp_query_run(&q, err);
}

int hp_db_incoming_last(hp_db_t *db, int64_t *id, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LAST]);
    *id = 0;
    if (hp_query_row(&q))
        *id = hp_query_int(&q, 0);
    return hp_query_end(&q, err);
}
