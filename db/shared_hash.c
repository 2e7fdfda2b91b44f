/* Hashes of shared files (shared_file.h, "hashes"): which files are next, the roots and layers that are
 * known. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "db/shared_row.h"

/* Rows that are looked at for files that have settled. When none of so many has, there is time. */
#define SETTLE_ROWS 2000
/* A ctime so far ahead comes from a clock that was set back: it moves no more. */
#define FUTURE_NS 2000000000
/* A ctime that is a multiple of this may come from a coarse clock. */
#define COARSE_NS      10000000
#define NS_PER_MS      1000000
#define CHUNK_SIZE_MIN 16384 /* a leaf of the hash tree */

enum {
    SET_ROOT,
    SET_LATER,
    WAKE,
    NEWEST,
    SMALLEST,
    UNHASHED_ANY,
    WAITING_FIRST,
    FIND,
    FIND_LARGEST,
    LAYER_GET,
    LAYER_READ,
    LAYER_ADD,
};

#define TO_HASH "root IS NULL AND size > 0 AND hash_after = 0"
#define SETTLED                                                                                              \
    "(ctime_ns > :future OR ctime_ns < :coarse OR (ctime_ns < :settled AND ctime_ns % :step <> 0))"

static const hp_sql_t sql[] = {
    [SET_ROOT] = {"shared_file.set_root", "UPDATE shared_file SET root = :root, hash_after = 0"
                                          " WHERE " HP_SHARED_SAME_BYTES " AND root IS NULL"},
    [SET_LATER] = {"shared_file.set_later",
                   "UPDATE shared_file SET hash_after = :after"
                   " WHERE path = :path AND device = :device AND inode = :inode AND root IS NULL"},
    [WAKE] = {"shared_file.wake",
              "UPDATE shared_file SET hash_after = 0 WHERE hash_after > 0 AND hash_after <= :now"},
    [NEWEST] = {"shared_file.newest",
                "SELECT " HP_SHARED_COLUMNS " FROM (SELECT * FROM shared_file INDEXED BY shared_file_newest"
                " WHERE " TO_HASH " ORDER BY ctime_ns DESC LIMIT :scan) WHERE " SETTLED " LIMIT :limit"},
    [SMALLEST] = {"shared_file.smallest",
                  "SELECT " HP_SHARED_COLUMNS
                  " FROM (SELECT * FROM shared_file INDEXED BY shared_file_smallest"
                  " WHERE " TO_HASH " ORDER BY size LIMIT :scan) WHERE " SETTLED " LIMIT :limit"},
    [UNHASHED_ANY] = {"shared_file.unhashed_any", "SELECT 1 FROM shared_file WHERE " TO_HASH " LIMIT 1"},
    [WAITING_FIRST] = {"shared_file.waiting_first",
                       "SELECT hash_after FROM shared_file WHERE hash_after > 0 ORDER BY hash_after LIMIT 1"},
    [FIND] = {"shared_file.find",
              "SELECT " HP_SHARED_COLUMNS " FROM shared_file WHERE root = :root AND size = :size LIMIT 1"},
    [FIND_LARGEST] = {"shared_file.find_largest", "SELECT " HP_SHARED_COLUMNS " FROM shared_file"
                                                  " WHERE root = :root ORDER BY size DESC LIMIT 1"},
    [LAYER_GET] = {"shared_layer.get",
                   "SELECT chunk_size, length(digests) FROM shared_layer WHERE root = :root"},
    [LAYER_READ] = {"shared_layer.read",
                    "SELECT substr(digests, :from, :length) FROM shared_layer WHERE root = :root"},
    [LAYER_ADD] =
        {"shared_layer.add",
         "INSERT INTO shared_layer (root, chunk_size, digests) VALUES (:root, :chunk_size, :digests)"
         " ON CONFLICT (root) DO UPDATE SET chunk_size = excluded.chunk_size, digests = excluded.digests"},
};
HP_SQL_LIST(shared_hash, sql);

int hp_shared_set_root(hp_db_t *db, const hp_shared_identity_t *identity,
                       const uint8_t root[HP_SHARED_ROOT_SIZE], uint64_t chunk_size, const uint8_t *digests,
                       uint64_t count, hp_shared_change_t *change, hp_err_t *err)
{
    HP_QUERY(update, db, &sql[SET_ROOT]);
    hp_shared_bind_root(&update, root);
    hp_shared_bind_identity(&update, identity);
    int rc = hp_query_run(&update, err);
    int64_t rows = rc == 0 ? hp_db_changes(db) : 0;
    if (rows == 0)
        return rc;
    change->rows += (uint64_t)rows;
    change->hashed_bytes += rows * (int64_t)identity->size;
    if (count <= 1)
        return 0;
    HP_QUERY(insert, db, &sql[LAYER_ADD]);
    hp_shared_bind_root(&insert, root);
    hp_query_bind_int(&insert, ":chunk_size", (int64_t)chunk_size);
    hp_query_bind_blob(&insert, ":digests", digests, count * HP_SHARED_ROOT_SIZE);
    return hp_query_run(&insert, err);
}

int hp_shared_set_later(hp_db_t *db, const char *path, const hp_shared_identity_t *identity,
                        int64_t hash_after, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[SET_LATER]);
    hp_query_bind_text(&q, ":path", path);
    hp_query_bind_int(&q, ":device", (int64_t)identity->device);
    hp_query_bind_int(&q, ":inode", (int64_t)identity->inode);
    hp_query_bind_int(&q, ":after", hash_after);
    return hp_query_run(&q, err);
}

static void bind_settled(hp_query_t *q, int64_t now_ns, int64_t settle_ns, int64_t settle_coarse_ns,
                         size_t limit)
{
    hp_query_bind_int(q, ":future", now_ns + FUTURE_NS);
    hp_query_bind_int(q, ":settled", now_ns - settle_ns);
    hp_query_bind_int(q, ":coarse", now_ns - settle_coarse_ns);
    hp_query_bind_int(q, ":step", COARSE_NS);
    hp_query_bind_int(q, ":scan", SETTLE_ROWS);
    hp_query_bind_int(q, ":limit", (int64_t)limit);
}

/* Takes turns between the two lists, leaving out what was taken already. Frees them. */
static void merge(hp_shared_rows_t *a, hp_shared_rows_t *b, hp_shared_rows_t *out)
{
    *out = (hp_shared_rows_t){.items = hp_alloc_array(a->count + b->count, sizeof *out->items)};
    for (size_t i = 0; i < 2 * HP_MAX(a->count, b->count); i++) {
        hp_shared_rows_t *from = i % 2 == 0 ? a : b;
        if (i / 2 >= from->count)
            continue;
        hp_shared_row_t *row = &from->items[i / 2];
        bool twice = false;
        for (size_t k = 0; k < out->count && !twice; k++)
            twice = memcmp(&out->items[k].identity, &row->identity, sizeof row->identity) == 0;
        if (twice)
            continue;
        out->items[out->count++] = *row;
        row->path = NULL;
    }
    hp_shared_rows_dispose(a);
    hp_shared_rows_dispose(b);
}

/* How long until there may be something to hash, when there is nothing now. */
static int find_wait(hp_db_t *db, int64_t now_ns, int64_t settle_coarse_ns, int64_t *wait_ms, hp_err_t *err)
{
    HP_QUERY(any, db, &sql[UNHASHED_ANY]);
    int rc = hp_query_one(&any, err);
    if (rc == 0)
        *wait_ms = settle_coarse_ns / NS_PER_MS / 10 + 1; /* a file that has not settled */
    if (rc != HP_E_NOT_FOUND)
        return rc;
    HP_QUERY(first, db, &sql[WAITING_FIRST]);
    rc = hp_query_one(&first, err);
    *wait_ms = -1;
    if (rc == 0)
        *wait_ms = HP_MAX(hp_query_int(&first, 0) - now_ns / NS_PER_MS, 1);
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

int hp_shared_unhashed(hp_db_t *db, size_t limit, int64_t now_ns, int64_t settle_ns, int64_t settle_coarse_ns,
                       hp_shared_rows_t *rows, int64_t *wait_ms, hp_err_t *err)
{
    size_t half = limit / 2;
    hp_shared_rows_t newest = {.items = hp_alloc_array(half, sizeof *newest.items)};
    hp_shared_rows_t smallest = {.items = hp_alloc_array(half, sizeof *smallest.items)};
    *rows = (hp_shared_rows_t){0};
    *wait_ms = 0;

    HP_QUERY(wake, db, &sql[WAKE]);
    hp_query_bind_int(&wake, ":now", now_ns / NS_PER_MS);
    int rc = hp_query_run(&wake, err);
    if (rc == 0) {
        HP_QUERY(q, db, &sql[NEWEST]);
        bind_settled(&q, now_ns, settle_ns, settle_coarse_ns, half);
        rc = hp_shared_read_rows(&q, &newest, half, err);
    }
    if (rc == 0) {
        HP_QUERY(q, db, &sql[SMALLEST]);
        bind_settled(&q, now_ns, settle_ns, settle_coarse_ns, half);
        rc = hp_shared_read_rows(&q, &smallest, half, err);
    }
    if (rc == 0 && newest.count + smallest.count == 0)
        rc = find_wait(db, now_ns, settle_coarse_ns, wait_ms, err);
    if (rc != 0) {
        hp_shared_rows_dispose(&newest);
        hp_shared_rows_dispose(&smallest);
        return rc;
    }
    merge(&newest, &smallest, rows);
    return 0;
}

void hp_shared_content_dispose(hp_shared_content_t *content)
{
    free(content->file.path);
    *content = (hp_shared_content_t){0};
}

static int read_layer(hp_db_t *db, hp_shared_content_t *content, hp_err_t *err)
{
    if (content->file.identity.size <= HP_SHARED_LAYER_OVER)
        return 0;
    HP_QUERY(q, db, &sql[LAYER_GET]);
    hp_shared_bind_root(&q, content->file.root);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? 0 : rc;
    uint64_t chunk = (uint64_t)hp_query_int(&q, 0), size = content->file.identity.size;
    uint64_t length = (uint64_t)hp_query_int(&q, 1);
    if (chunk < CHUNK_SIZE_MIN || (chunk & (chunk - 1)) != 0 ||
        length != (size / chunk + (size % chunk != 0)) * HP_SHARED_ROOT_SIZE) {
        hp_log(HP_LOG_ERROR, "the database is damaged: a layer of %s does not fit it; it is not used",
               content->file.path);
        return 0;
    }
    content->chunk_size = chunk;
    content->count = length / HP_SHARED_ROOT_SIZE;
    return 0;
}

int hp_shared_layer_read(hp_db_t *db, const uint8_t root[HP_SHARED_ROOT_SIZE], uint64_t first, uint64_t count,
                         uint8_t *digests, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[LAYER_READ]);
    hp_shared_bind_root(&q, root);
    hp_query_bind_int(&q, ":from", (int64_t)(first * HP_SHARED_ROOT_SIZE + 1));
    hp_query_bind_int(&q, ":length", (int64_t)(count * HP_SHARED_ROOT_SIZE));
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc;
    size_t length;
    const void *found = hp_query_blob(&q, 0, &length);
    if (length != count * HP_SHARED_ROOT_SIZE)
        return HP_E_NOT_FOUND;
    memcpy(digests, found, length);
    return 0;
}

int hp_shared_find(hp_db_t *db, const uint8_t root[HP_SHARED_ROOT_SIZE], uint64_t size,
                   hp_shared_content_t *content, hp_err_t *err)
{
    *content = (hp_shared_content_t){0};
    HP_QUERY(q, db, &sql[size != 0 ? FIND : FIND_LARGEST]);
    hp_shared_bind_root(&q, root);
    if (size != 0)
        hp_query_bind_int(&q, ":size", (int64_t)size);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc;
    hp_shared_read_row(&q, &content->file);
    rc = read_layer(db, content, err);
    if (rc != 0)
        hp_shared_content_dispose(content);
    return rc;
}
