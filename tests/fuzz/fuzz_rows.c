// libs: db os base
/* Rows of a damaged database, read by the functions that read them at the start of the program and for its
 * answers: whatever stands in a row, what is taken of it keeps its promises. Paths stay below their folders,
 * sizes are not negative, chunk sizes are ones, nobody is trusted who has proven nothing.
 *
 * A database with a few good rows is made once, without types and constraints. Each input is a row of changes
 * of single values: the number of the column, the kind of the value, and the value. Then all is read, and the
 * changes are taken back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "db/download.h"
#include "db/group.h"
#include "db/host.h"
#include "db/hub.h"
#include "db/incoming.h"
#include "db/message.h"
#include "db/remote_file.h"
#include "db/rename.h"
#include "db/self.h"
#include "db/setting.h"
#include "db/shared_file.h"
#include "db/shared_place.h"
#include "db/statement.h"
#include "db/traffic.h"

#include "promise.h"

#define LEAF        16384 /* bytes, of the hash tree */
#define COLUMNS_MAX 300
#define CHANGES_MAX 16
#define ROWS        32 /* that are asked for at a time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rows[] =
    "INSERT INTO self VALUES (1, '00112233445566778899aabbccddeeff', 1000, NULL);"
    "INSERT INTO setting VALUES ('name', 'attic'), ('running_downloads', '3');"
    "INSERT INTO host VALUES"
    " ('0123456789abcdef0123456789abcdef', 'cellar', 1, 'scan', 'aa', 3, 4096, 1, 2, 0, zeroblob(32), 1, 5, "
    "NULL, NULL),"
    " ('addr-192.168.1.9-80', 'printer', 0, 'hand', '', NULL, NULL, 1, 2, 1, NULL, 0, NULL, NULL, "
    "'printer:80');"
    "INSERT INTO host_alias VALUES ('addr-192.168.1.7-9000', '0123456789abcdef0123456789abcdef');"
    "INSERT INTO host_address VALUES"
    " ('0123456789abcdef0123456789abcdef', '192.168.1.7', 9000, 7), ('addr-192.168.1.9-80', '192.168.1.9', "
    "80, 8);"
    "INSERT INTO download VALUES"
    " (1, '/srv/downloads', 'film.mkv', 0, '0123456789abcdef0123456789abcdef', 'film.mkv', NULL, NULL, "
    "'running', '',"
    "  0, '', '', NULL, NULL, 0, 1, 0, 10, 0, 0),"
    " (2, '/srv/downloads', 'photos', 1, '0123456789abcdef0123456789abcdef', 'photos', NULL, NULL, 'done', "
    "'',"
    "  0, '', 'a note', NULL, NULL, 0, 0, 0, 11, 12, 0),"
    " (3, '/srv/downloads', 'a.iso', 0, NULL, NULL, NULL, 'https://example.org/a.iso', 'cancelled', '',"
    "  0, '', '', 'X-A: b', NULL, 0, 0, 100, 13, 14, 1),"
    " (4, '/srv/downloads', 'b.txt', 0, NULL, NULL, zeroblob(32), NULL, 'failed', '', -10009, 'too large', "
    "'',"
    "  NULL, NULL, 0, -1, 0, 15, 16, 0);"
    "INSERT INTO download_file VALUES"
    " (1, 1, 'film.mkv', 'film.mkv', 'open', '', 5000000, zeroblob(32), 1048576, 2, 0, "
    "'.film.mkv.1.hostpair-part',"
    "  5, 6, 'boot', 7, 0, 0, 8),"
    " (2, 2, 'photos/a.jpg', 'photos/a.jpg', 'done', '', 20000, zeroblob(32), 1048576, 0, 1, NULL, NULL, "
    "NULL, NULL,"
    "  9, 0, 0, 0),"
    " (3, 2, 'photos/b.jpg', 'photos/b.jpg', 'failed', 'gone', NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, "
    "0, 3, 1, 0),"
    " (4, 3, 'a.iso', '', 'open', '', 3000000, NULL, 1048576, 1, 0, '.a.iso.3.hostpair-part', 5, 9, 'boot', "
    "0, 0, 0, 0),"
    " (5, 4, 'b.txt', 'b.txt', 'finishing', '', 10, zeroblob(32), 1048576, 0, 0, NULL, NULL, NULL, NULL, 0, "
    "0, 0, 0);"
    "INSERT INTO download_sum VALUES (2, NULL, NULL, 2, 1, 1, 1, 1, 20000, 20000, 1, 1, 1048576);"
    "INSERT INTO download_left VALUES (1, '.film.mkv.9.hostpair-part', 5, 7);"
    "INSERT INTO download_source VALUES"
    " (1, 1, '0123456789abcdef0123456789abcdef', 'film.mkv', '\"tag\"', NULL),"
    " (2, 4, 'https://example.org', 'https://example.org/a.iso', NULL, 'it was slow');"
    "INSERT INTO chunk VALUES (1, 0, zeroblob(32), 1), (1, 3, zeroblob(32), 1), (4, 0, zeroblob(32), 2);"
    "INSERT INTO incoming VALUES"
    " (1, '00112233445566778899aabbccddeeff', 'hostpair', 'cellar', '192.168.1.7', "
    "'0123456789abcdef0123456789abcdef',"
    "  '/srv/downloads', 'From cellar', 'receiving', '', 2, 1, 0),"
    " (2, 'ff112233445566778899aabbccddeeff', 'browser', 'phone', '192.168.1.8', '', '', '', 'declined', "
    "'no', 1, 1, 2);"
    "INSERT INTO incoming_file VALUES"
    " (1, 0, 'x/a.txt', 'k0', 'text/plain', 100, zeroblob(32), 1, 0, '', 50, '.a.txt.7.hostpair-part', 3, 0, "
    "0),"
    " (1, 1, 'b.txt', 'k1', 'text/plain', NULL, NULL, 1, 1, 'From cellar/b.txt', 9, '', 0, 0, 0),"
    " (2, 0, 'c.txt', 'k2', 'text/plain', 100, NULL, 0, 0, '', 0, '', 0, 1, 1);"
    "INSERT INTO message VALUES"
    " (1, 'u1', '0123456789abcdef0123456789abcdef', 'cellar', '00112233445566778899aabbccddeeff', 1, 'hello',"
    "  'film.mkv', 5000000, zeroblob(32), 1, 1, 2),"
    " (2, 'u2', '00112233445566778899aabbccddeeff', 'attic', 'everyone', 0, 'hi', NULL, NULL, NULL, 0, 3, 4);"
    "INSERT INTO message_delivery VALUES"
    " (2, '0123456789abcdef0123456789abcdef', 'queued', '', 5), (2, 'addr-192.168.1.9-80', 'failed', 'away', "
    "6);"
    "INSERT INTO member_group VALUES"
    " (1, zeroblob(16), 'family', 'hub.example:9000', zeroblob(16), zeroblob(16), 1, 'member', 4, 1);"
    "INSERT INTO group_member VALUES"
    " (1, zeroblob(32), '0123456789abcdef0123456789abcdef', zeroblob(32), 'cellar', 2, 'aa', 3);"
    "INSERT INTO hub_group VALUES (zeroblob(16), zeroblob(32), '192.168.1.0', 1);"
    "INSERT INTO hub_member VALUES"
    " (zeroblob(16), '0123456789abcdef0123456789abcdef', zeroblob(32), 'cellar', zeroblob(32), 2, 'aa', 4);"
    "INSERT INTO hub_list_piece VALUES (zeroblob(16), '0123456789abcdef0123456789abcdef', 'aa', 0, "
    "zeroblob(4));"
    "INSERT INTO hub_tag VALUES (zeroblob(16), zeroblob(16), '0123456789abcdef0123456789abcdef');"
    "INSERT INTO share VALUES (1, '/srv/share', 5, 1, 9, 2, 5000100, 5000000);"
    "INSERT INTO shared_place VALUES ('music', '/srv/music', 5);"
    "INSERT INTO shared_folder VALUES ('empty');"
    "INSERT INTO shared_file VALUES"
    " (1, 'film.mkv', 5, 6, 5000000, 7, 8, zeroblob(32), 0, 0), (2, 'music/a.ogg', 5, 7, 100, 8, 9, NULL, 0, "
    "1);"
    "INSERT INTO shared_layer VALUES (zeroblob(32), 1048576, zeroblob(160));"
    "INSERT INTO traffic VALUES (1, 2, 3);";

static hp_db_t *db;

/* Each sets one column of all rows of its table. */
static sqlite3_stmt *updates[COLUMNS_MAX];
static size_t column_count;

/* ---- the database ---- */

static void run(const char *sql)
{
    char *words = NULL;
    if (sqlite3_exec(hp_db_handle(db), sql, NULL, NULL, &words) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, words);
        abort();
    }
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(hp_db_handle(db), sql, -1, &stmt, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(hp_db_handle(db)));
        abort();
    }
    return stmt;
}

/* Has every column take any value: the schema that is there, without types and constraints. Keys stay. */
static void loosen_schema(void)
{
    static const struct {
        const char *from, *to;
    } words[] = {
        {" IS NOT NULL", " NOTNULL"}, /* in checks */
        {" NOT NULL", ""},
        {") STRICT, WITHOUT ROWID", ") WITHOUT ROWID"},
        {") STRICT", ")"},
        {" TEXT", ""},
        {" BLOB", ""},
        {" INTEGER PRIMARY KEY", " ROW NUMBER"},
        {" INTEGER", ""},
        {" ROW NUMBER", " INTEGER PRIMARY KEY"},
    };
    sqlite3_db_config(hp_db_handle(db), SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    run("PRAGMA writable_schema = ON");
    for (size_t i = 0; i < HP_COUNT(words); i++) {
        char *sql = sqlite3_mprintf("UPDATE sqlite_schema SET sql = replace(sql, %Q, %Q) WHERE type = 'table'"
                                    " AND name NOT LIKE 'sqlite%%'",
                                    words[i].from, words[i].to);
        run(sql);
        sqlite3_free(sql);
    }
    run("PRAGMA writable_schema = RESET; PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF");
}

/* One list of another host, by the functions that write it. */
static void import_list(void)
{
    static const hp_remote_entry_t entries[] = {
        {.path = "film.mkv", .size = 5000000, .mtime = 1, .rooted = true, .root = {1}},
        {.path = "photos/a.jpg", .size = 20000, .mtime = HP_REMOTE_NO_TIME},
        {.path = "photos/b.jpg", .size = HP_REMOTE_NO_SIZE, .mtime = 3, .executable = true},
        {.path = "empty", .is_folder = true},
    };
    hp_remote_import_t *import = NULL;
    bool done = false;
    promise(hp_remote_import_begin(db, "0123456789abcdef0123456789abcdef", 100, &import, NULL) == 0);
    promise(hp_remote_import_add(db, import, entries, HP_COUNT(entries), NULL) == 0);
    while (!done)
        promise(hp_remote_import_publish(db, import, "\"tag\"", 5, &done, NULL) == 0);
    promise(hp_remote_import_abandon(db, import, NULL) == 0);
}

static void find_columns(void)
{
    sqlite3_stmt *list = prepare("SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c"
                                 " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY 1, c.cid");
    while (sqlite3_step(list) == SQLITE_ROW) {
        promise(column_count < COLUMNS_MAX);
        char *sql = hp_sprintf("UPDATE OR IGNORE \"%s\" SET \"%s\" = ?1", sqlite3_column_text(list, 0),
                               sqlite3_column_text(list, 1));
        updates[column_count++] = prepare(sql);
        free(sql);
    }
    sqlite3_finalize(list);
}

static void set_up(void)
{
    hp_err_t err = {0};
    hp_log_set_level((hp_log_level_t)-1); /* of nothing: each damaged row would be a line */
    promise(hp_db_open_memory(&db, &err) == 0);
    loosen_schema();
    run(rows);
    import_list();
    find_columns();
}

/* ---- the changes ---- */

typedef struct {
    const uint8_t *p, *end;
} input_t;

static uint8_t next(input_t *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

/* Binds a value of any type. */
static void bind_value(input_t *in, sqlite3_stmt *stmt)
{
    uint8_t kind = next(in);
    int64_t number = 0;
    double real = 0;
    size_t length = kind >> 3, left = (size_t)(in->end - in->p);
    switch (kind & 7) {
    case 0:
        sqlite3_bind_null(stmt, 1);
        return;
    case 1:
        sqlite3_bind_int64(stmt, 1, (int8_t)next(in));
        return;
    case 2:
        memcpy(&number, in->p, HP_MIN(left, sizeof number));
        in->p += HP_MIN(left, sizeof number);
        sqlite3_bind_int64(stmt, 1, number);
        return;
    case 3:
        memcpy(&real, in->p, HP_MIN(left, sizeof real));
        in->p += HP_MIN(left, sizeof real);
        sqlite3_bind_double(stmt, 1, real);
        return;
    case 4:
        sqlite3_bind_zeroblob(stmt, 1, next(in) * 4);
        return;
    case 5:
        sqlite3_bind_int64(stmt, 1, (int64_t)((UINT64_C(1) << (next(in) & 63)) - (kind >> 7)));
        return;
    default:
        length *= next(in) % 16 + 1u;
        length = HP_MIN(length, (size_t)(in->end - in->p));
        if ((kind & 7) == 6)
            sqlite3_bind_text(stmt, 1, (const char *)in->p, (int)length, SQLITE_STATIC);
        else
            sqlite3_bind_blob(stmt, 1, in->p, (int)length, SQLITE_STATIC);
        in->p += length;
    }
}

static void change(input_t *in)
{
    size_t column = next(in);
    column = (column | (size_t)next(in) << 8) % column_count;
    sqlite3_stmt *stmt = updates[column];
    bind_value(in, stmt);
    sqlite3_step(stmt); /* what a key does not allow is not changed */
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

/* ---- promises ---- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(*words, text) == 0)
            return true;
    return false;
}

static bool is_below(const char *path)
{
    return path != NULL && hp_path_check(path, strlen(path), NULL) == 0;
}

static bool is_hex(const char *text, size_t length)
{
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

static bool is_part(const char *name)
{
    return strchr(name, '/') == NULL && hp_path_is_part(name);
}

static void check_source(void *arg, const hp_download_source_row_t *row)
{
    (void)arg;
    promise(row->host != NULL && row->path != NULL);
}

static void check_left(void *arg, const char *part, uint64_t device, uint64_t inode)
{
    (void)arg, (void)device, (void)inode;
    promise(is_part(part));
}

static void check_chunk(void *arg, const hp_chunk_row_t *row)
{
    (void)arg;
    promise(row->number >= 0);
}

static void check_given(void *arg, const char *host, int64_t bytes)
{
    (void)arg, (void)host;
    promise(bytes >= 0);
}

static void check_file(const hp_download_file_row_t *row)
{
    static const char *const states[] = {"open", "finishing", "done", "failed", NULL};
    uint64_t chunk = (uint64_t)row->chunk_size;
    promise(is_below(row->path) && row->source_path != NULL && row->error != NULL);
    promise(is_one_of(row->state, states) && row->size >= HP_DB_SIZE_UNKNOWN && row->chunks_done >= 0);
    promise(row->part == NULL || is_part(row->part));
    promise(row->root == NULL || is_hex(row->root, 64));
    promise(chunk == 0 || (row->chunk_size >= LEAF && (chunk & (chunk - 1)) == 0));
    (void)hp_db_download_source_each(db, row->id, check_source, NULL, NULL);
    (void)hp_db_download_left_each(db, row->id, check_left, NULL, NULL);
    (void)hp_db_chunk_each(db, row->id, check_chunk, NULL, NULL);
}

typedef int (*files_fn)(hp_db_t *db, int64_t download, int64_t after, hp_download_file_row_t *rows,
                        size_t max, size_t *count, hp_err_t *err);

static void check_files(int64_t download)
{
    static const files_fn fns[] = {hp_db_download_file_next, hp_db_download_file_unfinished,
                                   hp_db_download_file_page};
    for (size_t i = 0; i < HP_COUNT(fns); i++) {
        hp_download_file_row_t files[4];
        size_t count = 0;
        if (fns[i](db, download, 0, files, HP_COUNT(files), &count, NULL) != 0)
            continue;
        for (size_t k = 0; k < count; k++) {
            check_file(&files[k]);
            hp_download_file_row_dispose(&files[k]);
        }
    }
    hp_download_given_t at = {.number = -1};
    bool more = true;
    for (int turns = 0; more && turns < 8; turns++)
        if (hp_db_download_given(db, download, &at, 4, &more, check_given, NULL, NULL) != 0)
            break;
}

static void check_download(void *arg, const hp_download_row_t *row)
{
    static const char *const states[] = {"queued", "running", "paused",    "verifying",
                                         "done",   "failed",  "cancelled", NULL};
    const int64_t counts[] = {row->files_total,   row->files_done, row->files_failed, row->files_verified,
                              row->sizes_unknown, row->size,       row->done_bytes,   row->chunks_total,
                              row->chunks_done,   row->chunk_size, row->limit_bps};
    (void)arg;
    promise(row->base[0] == '/' && is_below(row->path) && is_one_of(row->state, states));
    promise(row->reason != NULL && row->error_detail != NULL && row->note != NULL);
    promise(row->priority >= -1 && row->priority <= 1);
    promise(row->order_root == NULL || is_hex(row->order_root, 64));
    promise(row->root == NULL || is_hex(row->root, 64));
    for (size_t i = 0; i < HP_COUNT(counts); i++)
        promise(counts[i] >= 0);
}

static void check_count(void *arg, const char *state, int64_t count)
{
    (void)arg;
    promise(state != NULL && count >= 0);
}

static void check_downloads(void)
{
    hp_download_row_t row;
    (void)hp_db_download_unfinished(db, check_download, NULL, NULL);
    (void)hp_db_download_ended(db, NULL, 0, ROWS, check_download, NULL, NULL);
    (void)hp_db_download_ended(db, "failed", 0, ROWS, check_download, NULL, NULL);
    (void)hp_db_download_kept(db, check_download, NULL, NULL);
    (void)hp_db_download_counts(db, check_count, NULL, NULL);
    for (int64_t id = 1; id <= 4; id++) {
        if (hp_db_download_get(db, id, &row, NULL) == 0) {
            check_download(NULL, &row);
            hp_download_row_dispose(&row);
        }
        check_files(id);
    }
}

static void check_alias(void *arg, const char *alias, const char *host)
{
    (void)arg;
    promise(alias != NULL && host != NULL);
}

static void check_hosts(void)
{
    hp_host_row_t *all = NULL;
    size_t count = 0;
    if (hp_host_load(db, &all, &count, NULL) == 0)
        for (size_t i = 0; i < count; i++) {
            const hp_host_row_t *row = &all[i];
            promise(row->id[0] != '\0' && row->address_count <= HP_HOST_ROW_ADDRESSES);
            promise(row->files >= -1 && row->bytes >= -1);
            promise(!row->proven || row->has_fingerprint); /* nobody has proven a key that is not known */
            promise(row->paired_at == 0 || row->proven);   /* nor is paired without it */
            promise(row->unpaired_at == 0 || row->paired_at == 0);
            for (size_t k = 0; k < row->address_count; k++)
                promise(row->addresses[k].port != 0 && row->addresses[k].address[0] != '\0');
        }
    free(all);
    (void)hp_db_host_each_alias(db, check_alias, NULL, NULL);
}

static void check_incoming_file(void *arg, const hp_db_incoming_file_t *row)
{
    (void)arg;
    promise(row->number >= 0 && row->size >= -1 && row->received >= 0 && row->download >= 0);
    promise(is_below(row->name) && (row->path[0] == '\0' || is_below(row->path)));
    promise(row->part[0] == '\0' || is_part(row->part));
    promise(row->sha256 == NULL || is_hex(row->sha256, 64));
}

static void check_incoming(void *arg, const hp_db_incoming_t *row)
{
    (void)arg;
    promise(is_hex(row->token, 32) && row->state != HP_INCOMING_ASKING && row->files >= 0);
    promise(row->base[0] == '\0' || row->base[0] == '/');
    promise(row->folder[0] == '\0' || is_below(row->folder));
    promise(hp_incoming_is_over(row->state) || (row->base[0] != '\0' && row->folder[0] != '\0'));
}

static void check_inbox(void)
{
    int64_t last;
    (void)hp_db_incoming_each(db, check_incoming, NULL, NULL);
    for (int64_t id = 1; id <= 2; id++) {
        hp_db_incoming_sums_t sums = {0};
        (void)hp_db_incoming_file_each(db, id, ROWS, check_incoming_file, NULL, NULL);
        if (hp_db_incoming_file_sums(db, id, 0, &sums, NULL) == 0)
            promise(sums.wanted <= INT64_MAX && sums.done <= INT64_MAX && sums.size <= INT64_MAX &&
                    sums.received <= INT64_MAX);
    }
    (void)hp_db_incoming_last(db, &last, NULL);
}

static void check_delivery(void *arg, const hp_db_delivery_t *row)
{
    (void)arg;
    promise(row->host != NULL && row->reason != NULL && row->state <= HP_DELIVERY_FAILED);
}

static void check_message(void *arg, const hp_db_message_t *row)
{
    (void)arg;
    promise(row->uid != NULL && row->host != NULL && row->text != NULL && row->recipient != NULL);
    promise(row->offer_path == NULL || (is_below(row->offer_path) && row->offer_size >= 0));
    promise(row->offer_root == NULL || is_hex(row->offer_root, 64));
}

static void check_unread(void *arg, const char *host, int64_t count)
{
    (void)arg;
    promise(host != NULL && count > 0);
}

static void check_messages(void)
{
    int64_t message;
    char host[HP_REMOTE_HOST_SIZE];
    (void)hp_db_message_each(db, NULL, 0, ROWS, check_message, NULL, NULL);
    (void)hp_db_message_each(db, "everyone", 0, ROWS, check_message, NULL, NULL);
    (void)hp_db_message_each_unread(db, check_unread, NULL, NULL);
    (void)hp_db_delivery_each(db, 2, check_delivery, NULL, NULL);
    (void)hp_db_delivery_next_host(db, "", host, sizeof host, NULL);
    (void)hp_db_delivery_next(db, "0123456789abcdef0123456789abcdef", &message, NULL);
}

static void check_member(void *arg, const hp_db_group_member_t *row)
{
    (void)arg;
    promise(strlen(row->host) == 32);
}

static void check_group(void *arg, const hp_db_group_t *row)
{
    (void)arg;
    promise(row->hub_pin_length == 16 || row->hub_pin_length == 32);
    promise(row->list_revision >= 0);
    (void)hp_db_group_member_each(db, row->id, check_member, NULL, NULL);
}

static void check_hub_member(void *arg, const hp_db_hub_member_t *row)
{
    (void)arg;
    promise(row->list_size <= INT64_MAX);
}

static void check_groups(void)
{
    static const uint8_t gid[16];
    char etag[HP_DB_HUB_ETAG_SIZE] = "";
    uint64_t total = 0;
    void *data = NULL;
    size_t length = 0;
    hp_db_hub_counts_t counts;
    (void)hp_db_group_each(db, check_group, NULL, NULL);
    (void)hp_db_hub_members(db, gid, check_hub_member, NULL, NULL);
    (void)hp_db_hub_counts(db, &counts, NULL);
    if (hp_db_hub_list_piece(db, gid, "0123456789abcdef0123456789abcdef", etag, 0, &total, &data, &length,
                             NULL) == 0)
        promise(length <= total && total <= INT64_MAX);
    free(data);
}

/* Whoever opens a shared file or names it to others checks its path. */
static void check_shared(const hp_shared_rows_t *list)
{
    for (size_t i = 0; i < list->count; i++)
        promise(list->items[i].path != NULL && list->items[i].identity.size <= INT64_MAX);
}

static void check_content(void)
{
    static const uint8_t root[HP_SHARED_ROOT_SIZE];
    hp_shared_content_t content;
    if (hp_shared_find(db, root, 0, &content, NULL) != 0)
        return;
    uint64_t chunk = content.chunk_size, size = content.file.identity.size;
    promise(size <= INT64_MAX && (chunk == 0) == (content.count == 0));
    promise(chunk == 0 || (chunk >= LEAF && (chunk & (chunk - 1)) == 0));
    promise(chunk == 0 || content.count == (size + chunk - 1) / chunk);
    if (content.count > 0 && content.count < 4096) {
        uint8_t *digests = hp_alloc_array(content.count, HP_SHARED_ROOT_SIZE);
        (void)hp_shared_layer_read(db, root, 0, content.count, digests, NULL);
        free(digests);
    }
    hp_shared_content_dispose(&content);
}

static void check_share(void)
{
    hp_shared_state_t state = {0};
    hp_shared_rows_t list = {0};
    hp_shared_places_t places = {0};
    int64_t wait, before = INT64_MAX;
    if (hp_shared_state_load(db, &state, NULL) == 0) {
        promise(state.files <= INT64_MAX && state.bytes <= INT64_MAX && state.hashed_bytes <= INT64_MAX);
        hp_shared_state_dispose(&state);
    }
    if (hp_shared_page(db, NULL, ROWS, &list, NULL) == 0)
        check_shared(&list);
    hp_shared_rows_dispose(&list);
    if (hp_shared_folder_page(db, NULL, ROWS, &list, NULL) == 0)
        check_shared(&list);
    hp_shared_rows_dispose(&list);
    if (hp_shared_latest(db, &before, ROWS, &list, NULL) == 0)
        check_shared(&list);
    hp_shared_rows_dispose(&list);
    if (hp_shared_unhashed(db, ROWS, 1000000000, 1000, 2000, &list, &wait, NULL) == 0) {
        check_shared(&list);
        promise(wait >= -1);
    }
    hp_shared_rows_dispose(&list);
    (void)hp_shared_place_list(db, &places, NULL);
    for (size_t i = 0; i < places.count; i++)
        promise(is_below(places.items[i].name) && strchr(places.items[i].name, '/') == NULL &&
                places.items[i].path[0] == '/');
    hp_shared_places_dispose(&places);
    check_content();
}

/* An order checks the path again. */
static void check_remote_file(const hp_remote_file_t *file)
{
    promise(file->size >= HP_REMOTE_NO_SIZE && (file->root[0] == '\0' || is_hex(file->root, 64)));
    promise(file->name >= file->path && file->name <= file->path + strlen(file->path));
}

static void check_remote_files(hp_remote_files_t *files)
{
    for (size_t i = 0; i < files->count; i++)
        check_remote_file(&files->items[i]);
    hp_remote_files_dispose(files);
}

static void check_remote(void)
{
    static const char host[] = "0123456789abcdef0123456789abcdef";
    hp_remote_query_t query = {.host = host, .limit = ROWS};
    hp_remote_page_t page;
    hp_remote_results_t results;
    hp_remote_files_t files = {0};
    hp_remote_list_t list;
    for (int i = 0; i < 3; i++) {
        query.sort = i == 1 ? HP_REMOTE_BY_SIZE : HP_REMOTE_BY_NAME;
        query.q = i == 2 ? "jpg" : NULL;
        if (hp_remote_page_read(db, &query, &page, NULL) != 0)
            continue;
        for (size_t k = 0; k < page.folder_count; k++)
            promise(page.folders[k].path != NULL && page.folders[k].files >= 0 && page.folders[k].bytes >= 0);
        for (size_t k = 0; k < page.files.count; k++)
            check_remote_file(&page.files.items[k]);
        hp_remote_page_dispose(&page);
    }
    if (hp_remote_search(db, "film", ROWS, &results, NULL) == 0)
        hp_remote_results_dispose(&results);
    if (hp_remote_file_below(db, host, "photos", NULL, ROWS, &files, NULL) == 0)
        check_remote_files(&files);
    if (hp_remote_list_get(db, host, &list, NULL) == 0)
        promise(list.files >= 0 && list.bytes >= 0);
}

static void check_setting(void *arg, const char *name, const char *value)
{
    (void)arg;
    promise(name != NULL && value != NULL);
}

static void check_traffic(void *arg, const hp_db_traffic_t *row)
{
    (void)arg;
    promise(row->down_bytes <= INT64_MAX && row->up_bytes <= INT64_MAX);
}

static void check_rest(void)
{
    hp_db_self_t first = {.id = "00112233445566778899aabbccddeeff", .created_at = 1}, self = {.id = ""};
    bool more = false;
    if (hp_db_self_load(db, &first, &self, NULL) == 0)
        promise(is_hex(self.id, 32) && (self.former_id[0] == '\0' || is_hex(self.former_id, 32)));
    (void)hp_db_setting_each(db, check_setting, NULL, NULL);
    (void)hp_db_traffic_each(db, INT64_MIN, check_traffic, NULL, NULL);
    (void)hp_remote_list_recover(db, NULL);
    (void)hp_remote_sweep(db, &more, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input_t in = {data, data + size};
    if (db == NULL)
        set_up();
    run("BEGIN");
    for (int i = 0; i < CHANGES_MAX && in.p < in.end; i++)
        change(&in);
    check_downloads();
    check_hosts();
    check_inbox();
    check_messages();
    check_groups();
    check_share();
    check_remote();
    check_rest();
    run("ROLLBACK");
    return 0;
}
