/* Building a remote list (remote_file.h, "lists").
 *
 * Rows arrive in the order of the host's list, mostly sorted by path, so that tables and the index of names
 * grow at their ends. Two things would not: the files and bytes of every folder above a file, and the index
 * of roots, whose key is random. The sums are kept in memory for the folders in use (kept[]) and written once
 * a batch. The roots are collected into runs of RUN entries, sorted, and written in that order: a run touches
 * each page of the index about once instead of once a file.
 *
 * kept[] holds whole branches: when a folder is used, so are all folders above it, a moment later. The one
 * that was not used for the longest time is therefore never above one that stays, and `parent` always points
 * to a kept one. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "db/remote_pack.h"

#define RUN         ((size_t)256 * 1024) /* roots sorted at a time: 4 MiB */
#define RUN_PER_ADD ((size_t)2500)       /* roots written with every batch: more than a batch brings */
#define DEPTH_MAX   128                  /* folders above a file; a deeper one is passed over */
#define BLOCK_MAX   (16 << 20) /* bytes of names that one batch can bring, with all its new folders */
#define TEXT_LEAST  (16 << 20) /* bytes of names that any list may have */
#define TEXT_A_FILE 300        /* and so many more for each file that it may have */
#define BYTES_MAX   (INT64_C(1) << 62)

_Static_assert(DEPTH_MAX + 2 < HP_REMOTE_FOLDERS_KEPT, "a whole branch is kept");

typedef struct kept_folder {
    int64_t id;
    char *path;
    size_t length;
    int parent; /* index in kept[]; -1 for the top */
    uint64_t used;
    int64_t files, bytes, own_files, own_folders; /* to be added to its row */
} kept_folder_t;

typedef struct root_entry {
    int64_t prefix;
    uint32_t number;
} root_entry_t;

typedef struct root_run {
    root_entry_t *items;
    size_t count, room, written;
} root_run_t;

struct hp_remote_import {
    int64_t list;
    uint32_t next; /* number of the next entry */
    int64_t files, bytes;
    int64_t most;          /* files */
    int64_t text_left;     /* bytes of names that may still come */
    unsigned folders_left; /* empty folders that may still come */
    uint64_t tick;
    kept_folder_t kept[HP_REMOTE_FOLDERS_KEPT];
    int kept_count, last; /* last: the folder of the last file */
    hp_buf_t highest;     /* the greatest path so far: one above it is new */
    hp_buf_t names, keys; /* the block being packed */
    uint32_t block;       /* number of its first entry */
    root_run_t filling, draining;
};

enum {
    BEGIN,
    ADD_FOLDER,
    ADD_TO_FOLDER,
    FOLDER_AT,
    ADD_FILE,
    HAS_FILE,
    ADD_ROOT,
    ADD_NAMES,
    ADD_KEYS,
    DROP_OLD,
    SHOW,
    DROP
};

static const hp_sql_t sql[] = {
    [BEGIN] = {"remote_import.begin", "INSERT INTO remote_list (host, state, etag, files, bytes, fetched_at) "
                                      "VALUES (:host, 'building', NULL, 0, 0, 0)"},
    [ADD_FOLDER] =
        {"remote_import.add_folder",
         "INSERT INTO remote_folder (id, list, parent, path, name, files, bytes, own_files, own_folders) "
         "VALUES (:id, :list, :parent, :path, :name, 0, 0, 0, 0)"},
    [ADD_TO_FOLDER] =
        {"remote_import.add_to_folder",
         "UPDATE remote_folder SET files = files + :files, bytes = bytes + :bytes, "
         "own_files = own_files + :own_files, own_folders = own_folders + :own_folders WHERE id = :id"},
    [FOLDER_AT] = {"remote_import.folder_at",
                   "SELECT id FROM remote_folder WHERE list = :list AND path = :path"},
    [ADD_FILE] = {"remote_import.add_file",
                  "INSERT INTO remote_file (id, folder, name, size, mtime, root, executable) "
                  "VALUES (:id, :folder, :name, :size, :mtime, :root, :executable)"},
    [HAS_FILE] = {"remote_import.has_file",
                  "SELECT 1 FROM remote_file WHERE folder = :folder AND name = :name "
                  "AND name = :name COLLATE BINARY LIMIT 1"},
    [ADD_ROOT] = {"remote_import.add_root",
                  "INSERT INTO remote_root (list, prefix, file) VALUES (:list, :prefix, :file)"},
    [ADD_NAMES] = {"remote_import.add_names", "INSERT INTO remote_names (id, names) VALUES (:id, :names)"},
    [ADD_KEYS] = {"remote_import.add_keys", "INSERT INTO remote_keys (id, keys) VALUES (:id, :keys)"},
    [DROP_OLD] = {"remote_import.drop_old", "UPDATE remote_list SET state = 'dropped' WHERE state = 'shown'"
                                            " AND host = (SELECT host FROM remote_list WHERE id = :id)"},
    [SHOW] = {"remote_import.show",
              "UPDATE remote_list SET state = 'shown', etag = :etag, files = :files, bytes = :bytes, "
              "fetched_at = :fetched_at WHERE id = :id"},
    [DROP] = {"remote_import.drop",
              "UPDATE remote_list SET state = 'dropped' WHERE id = :id AND state = 'building'"},
};
HP_SQL_LIST(remote_import, sql);

static void import_free(hp_remote_import_t *import)
{
    for (int i = 0; i < import->kept_count; i++)
        free(import->kept[i].path);
    hp_buf_dispose(&import->highest);
    hp_buf_dispose(&import->names);
    hp_buf_dispose(&import->keys);
    hp_array_dispose(&import->filling);
    hp_array_dispose(&import->draining);
    free(import);
}

static int insert_folder(hp_db_t *db, hp_remote_import_t *import, uint32_t number, int64_t parent,
                         const char *path, size_t length, hp_err_t *err)
{
    char *copy = hp_strndup(path, length);
    HP_QUERY(q, db, &sql[ADD_FOLDER]);
    hp_query_bind_int(&q, ":id", HP_REMOTE_ID(import->list, number));
    hp_query_bind_int(&q, ":list", import->list);
    if (parent < 0)
        hp_query_bind_null(&q, ":parent");
    else
        hp_query_bind_int(&q, ":parent", parent);
    hp_query_bind_text(&q, ":path", copy);
    hp_query_bind_text(&q, ":name", hp_path_name(copy));
    int rc = hp_query_run(&q, err);
    free(copy);
    return rc;
}

int hp_remote_import_begin(hp_db_t *db, const char *host, int64_t most, hp_remote_import_t **out,
                           hp_err_t *err)
{
    *out = NULL;
    int64_t list;
    {
        HP_QUERY(q, db, &sql[BEGIN]);
        hp_query_bind_text(&q, ":host", host);
        int rc = hp_query_run(&q, err);
        if (rc != 0)
            return rc;
        list = hp_db_last_id(db);
    }
    hp_remote_import_t *import = hp_alloc(sizeof *import);
    import->list = list;
    import->most = HP_MIN(most, (int64_t)HP_REMOTE_FILES_MAX);
    import->folders_left = HP_REMOTE_EMPTY_MAX;
    import->text_left = TEXT_LEAST + import->most * TEXT_A_FILE;
    hp_buf_init(&import->highest, HP_PATH_MAX);
    hp_buf_init(&import->names, BLOCK_MAX);
    hp_buf_init(&import->keys, BLOCK_MAX);
    int rc = insert_folder(db, import, 0, -1, "", 0, err);
    if (rc != 0) {
        import_free(import);
        return rc;
    }
    import->kept[0] = (kept_folder_t){.id = HP_REMOTE_ID(list, 0), .path = hp_strdup(""), .parent = -1};
    import->kept_count = 1;
    import->next = import->block = 1;
    *out = import;
    return 0;
}

/* Counts the bytes of a name that is written down. */
static int take_text(hp_remote_import_t *import, size_t length, hp_err_t *err)
{
    import->text_left -= (int64_t)length;
    return import->text_left >= 0
               ? 0
               : hp_err_set(err, HP_E_TOO_LARGE, "the names of its files and folders are too long in all");
}

/* Adds an entry to the block. A folder's size and time are not known. */
static int pack(hp_remote_import_t *import, const char *name, size_t length, const hp_remote_key_t *key)
{
    char folded[HP_NAME_MAX + 1];
    uint8_t packed[HP_REMOTE_KEY_SIZE];
    hp_remote_fold(name, length, folded);
    folded[length] = '\0';
    hp_remote_key_put(packed, key);
    int rc = hp_buf_add(&import->names, folded, length + 1);
    return rc != 0 ? rc : hp_buf_add(&import->keys, packed, sizeof packed);
}

static int write_sums(hp_db_t *db, kept_folder_t *folder, hp_err_t *err)
{
    if (folder->files == 0 && folder->own_folders == 0)
        return 0;
    HP_QUERY(q, db, &sql[ADD_TO_FOLDER]);
    hp_query_bind_int(&q, ":id", folder->id);
    hp_query_bind_int(&q, ":files", folder->files);
    hp_query_bind_int(&q, ":bytes", folder->bytes);
    hp_query_bind_int(&q, ":own_files", folder->own_files);
    hp_query_bind_int(&q, ":own_folders", folder->own_folders);
    folder->files = folder->bytes = folder->own_files = folder->own_folders = 0;
    return hp_query_run(&q, err);
}

/* A free place in kept[]: a new one, or that of the folder that was not used for the longest time. */
static int make_room(hp_db_t *db, hp_remote_import_t *import, int *at, hp_err_t *err)
{
    if (import->kept_count < HP_REMOTE_FOLDERS_KEPT) {
        *at = import->kept_count++;
        return 0;
    }
    int oldest = 1;
    for (int i = 2; i < import->kept_count; i++)
        if (import->kept[i].used < import->kept[oldest].used)
            oldest = i;
    int rc = write_sums(db, &import->kept[oldest], err);
    free(import->kept[oldest].path);
    import->kept[oldest] = (kept_folder_t){.path = NULL, .length = SIZE_MAX};
    *at = oldest;
    return rc;
}

static int find_folder(hp_db_t *db, hp_remote_import_t *import, const char *path, size_t length, int64_t *id,
                       hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FOLDER_AT]);
    hp_query_bind_int(&q, ":list", import->list);
    hp_query_bind_text_length(&q, ":path", path, length);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc;
    *id = hp_query_int(&q, 0);
    return hp_query_end(&q, err);
}

static int add_folder(hp_db_t *db, hp_remote_import_t *import, kept_folder_t *parent, const char *path,
                      size_t length, int64_t *id, hp_err_t *err)
{
    size_t skip = parent->length > 0 ? parent->length + 1 : 0;
    int rc = take_text(import, length, err);
    if (rc != 0)
        return rc;
    hp_remote_key_t key = {.folder = HP_REMOTE_NUMBER(parent->id),
                           .is_folder = true,
                           .size = HP_REMOTE_NO_SIZE,
                           .mtime = HP_REMOTE_NO_TIME};
    rc = pack(import, path + skip, length - skip, &key);
    if (rc != 0)
        return hp_err_set(err, rc, "the list has too many new folders at one place");
    uint32_t number = import->next++;
    parent->own_folders++;
    *id = HP_REMOTE_ID(import->list, number);
    return insert_folder(db, import, number, parent->id, path, length, err);
}

static size_t parent_length(const char *path, size_t length)
{
    while (length > 0 && path[length - 1] != '/')
        length--;
    return length > 0 ? length - 1 : 0;
}

/* Marks a folder and all above it as used now, the upper ones later. */
static void touch(hp_remote_import_t *import, int at)
{
    for (; at >= 0; at = import->kept[at].parent)
        import->kept[at].used = ++import->tick;
}

/* The place of a folder in kept[], made if it is new. path needs no NUL. */
static int keep_folder(hp_db_t *db, hp_remote_import_t *import, const char *path, size_t length, int *at,
                       hp_err_t *err)
{
    for (int i = 0; i < import->kept_count; i++) {
        kept_folder_t *folder = &import->kept[i];
        if (folder->length == length && memcmp(folder->path, path, length) == 0) {
            *at = i;
            return 0;
        }
    }
    int parent;
    int rc = keep_folder(db, import, path, parent_length(path, length), &parent, err);
    if (rc != 0)
        return rc;
    touch(import, parent); /* so that making room does not take it */
    rc = make_room(db, import, at, err);
    int64_t id = 0;
    if (rc == 0)
        rc = find_folder(db, import, path, length, &id, err);
    if (rc == HP_E_NOT_FOUND)
        rc = add_folder(db, import, &import->kept[parent], path, length, &id, err);
    if (rc != 0)
        return rc;
    import->kept[*at] =
        (kept_folder_t){.id = id, .path = hp_strndup(path, length), .length = length, .parent = parent};
    touch(import, *at);
    return 0;
}

/* Whether the path is in the list already. Only one that is not above all others before it has to be looked
 * up. */
static int is_there(hp_db_t *db, hp_remote_import_t *import, int64_t folder, const char *path, size_t length,
                    bool *there, hp_err_t *err)
{
    hp_buf_t *highest = &import->highest;
    size_t shared = HP_MIN(length, highest->length);
    int order = shared > 0 ? memcmp(path, highest->data, shared) : 0;
    *there = false;
    if (order > 0 || (order == 0 && length > highest->length)) {
        hp_buf_clear(highest);
        return hp_buf_add(highest, path, length);
    }
    HP_QUERY(q, db, &sql[HAS_FILE]);
    hp_query_bind_int(&q, ":folder", folder);
    hp_query_bind_text(&q, ":name", hp_path_name(path));
    int rc = hp_query_one(&q, err);
    if (rc == HP_E_NOT_FOUND)
        return 0;
    *there = rc == 0;
    return rc != 0 ? rc : hp_query_end(&q, err);
}

static int insert_file(hp_db_t *db, int64_t id, int64_t folder, const hp_remote_entry_t *entry, int64_t size,
                       hp_err_t *err)
{
    HP_QUERY(q, db, &sql[ADD_FILE]);
    hp_query_bind_int(&q, ":id", id);
    hp_query_bind_int(&q, ":folder", folder);
    hp_query_bind_text(&q, ":name", hp_path_name(entry->path));
    if (size < 0)
        hp_query_bind_null(&q, ":size");
    else
        hp_query_bind_int(&q, ":size", size);
    if (entry->mtime == HP_REMOTE_NO_TIME)
        hp_query_bind_null(&q, ":mtime");
    else
        hp_query_bind_int(&q, ":mtime", entry->mtime);
    hp_query_bind_blob(&q, ":root", entry->rooted ? entry->root : NULL, entry->rooted ? 32 : 0);
    hp_query_bind_int(&q, ":executable", entry->executable);
    return hp_query_run(&q, err);
}

static void collect_root(root_run_t *run, const uint8_t root[32], uint32_t number)
{
    *hp_array_add(run) = (root_entry_t){.prefix = hp_remote_root_prefix(root), .number = number};
}

static int add_file(hp_db_t *db, hp_remote_import_t *import, const hp_remote_entry_t *entry, size_t length,
                    hp_err_t *err)
{
    size_t above = parent_length(entry->path, length);
    kept_folder_t *last = &import->kept[import->last];
    if (last->length != above || memcmp(last->path, entry->path, above) != 0) {
        int rc = keep_folder(db, import, entry->path, above, &import->last, err);
        if (rc != 0)
            return rc;
        last = &import->kept[import->last];
    }
    bool there;
    int rc = is_there(db, import, last->id, entry->path, length, &there, err);
    if (rc != 0 || there)
        return rc;
    if (import->files >= import->most)
        return hp_err_set(err, HP_E_TOO_LARGE,
                          "the list has more than %lld files, far more than the host says it offers",
                          (long long)import->most);
    /* A list that claims more than fits an integer is not believed: the size counts as unknown. */
    int64_t size = entry->size <= BYTES_MAX - import->bytes ? entry->size : HP_REMOTE_NO_SIZE;
    int64_t bytes = HP_MAX(size, 0);
    hp_remote_key_t key = {.folder = HP_REMOTE_NUMBER(last->id), .size = size, .mtime = entry->mtime};
    const char *name = hp_path_name(entry->path);
    rc = take_text(import, strlen(name), err);
    if (rc != 0)
        return rc;
    rc = pack(import, name, strlen(name), &key);
    if (rc != 0)
        return hp_err_set(err, rc, "the list has too many names at one place");
    uint32_t number = import->next++;
    import->files++;
    import->bytes += bytes;
    last->own_files++;
    touch(import, import->last);
    for (int i = import->last; i >= 0; i = import->kept[i].parent) {
        import->kept[i].files++;
        import->kept[i].bytes += bytes;
    }
    if (entry->rooted)
        collect_root(&import->filling, entry->root, number);
    return insert_file(db, HP_REMOTE_ID(import->list, number), last->id, entry, size, err);
}

static int add_empty(hp_db_t *db, hp_remote_import_t *import, const char *path, size_t length, hp_err_t *err)
{
    if (import->folders_left == 0)
        return 0;
    import->folders_left--;
    return keep_folder(db, import, path, length, &import->last, err);
}

static int add_entry(hp_db_t *db, hp_remote_import_t *import, const hp_remote_entry_t *entry, hp_err_t *err)
{
    size_t length = strlen(entry->path), depth = 0;
    for (const char *p = entry->path; *p != '\0'; p++)
        depth += *p == '/';
    if (depth > DEPTH_MAX || length > HP_PATH_MAX)
        return 0;
    return entry->is_folder ? add_empty(db, import, entry->path, length, err)
                            : add_file(db, import, entry, length, err);
}

static int write_block(hp_db_t *db, hp_remote_import_t *import, hp_err_t *err)
{
    if (import->names.length == 0)
        return 0;
    int64_t id = HP_REMOTE_ID(import->list, import->block);
    int rc;
    {
        HP_QUERY(q, db, &sql[ADD_NAMES]);
        hp_query_bind_int(&q, ":id", id);
        hp_query_bind_blob(&q, ":names", import->names.data, import->names.length);
        rc = hp_query_run(&q, err);
    }
    if (rc == 0) {
        HP_QUERY(q, db, &sql[ADD_KEYS]);
        hp_query_bind_int(&q, ":id", id);
        hp_query_bind_blob(&q, ":keys", import->keys.data, import->keys.length);
        rc = hp_query_run(&q, err);
    }
    hp_buf_clear(&import->names);
    hp_buf_clear(&import->keys);
    import->block = import->next;
    return rc;
}

static int by_prefix(const void *a, const void *b)
{
    const root_entry_t *x = a, *y = b;
    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Writes the next roots of the sorted run; starts on the other one when it is full, or when all of them are
 * wanted. */
static int write_roots(hp_db_t *db, hp_remote_import_t *import, bool all, size_t most, hp_err_t *err)
{
    root_run_t *run = &import->draining;
    if (run->written == run->count && (import->filling.count >= RUN || (all && import->filling.count > 0))) {
        root_run_t empty = *run;
        empty.count = empty.written = 0;
        *run = import->filling;
        import->filling = empty;
        qsort(run->items, run->count, sizeof *run->items, by_prefix);
    }
    for (; most > 0 && run->written < run->count; most--, run->written++) {
        HP_QUERY(q, db, &sql[ADD_ROOT]);
        hp_query_bind_int(&q, ":list", import->list);
        hp_query_bind_int(&q, ":prefix", run->items[run->written].prefix);
        hp_query_bind_int(&q, ":file", HP_REMOTE_ID(import->list, run->items[run->written].number));
        int rc = hp_query_run(&q, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int hp_remote_import_add(hp_db_t *db, hp_remote_import_t *import, const hp_remote_entry_t *entries,
                         size_t count, hp_err_t *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_entry(db, import, &entries[i], err);
    for (int i = 0; rc == 0 && i < import->kept_count; i++)
        rc = write_sums(db, &import->kept[i], err);
    if (rc == 0)
        rc = write_block(db, import, err);
    return rc != 0 ? rc : write_roots(db, import, false, RUN_PER_ADD, err);
}

static int show(hp_db_t *db, hp_remote_import_t *import, const char *etag, int64_t fetched_at, hp_err_t *err)
{
    int rc;
    {
        HP_QUERY(q, db, &sql[DROP_OLD]);
        hp_query_bind_int(&q, ":id", import->list); /* its host may have another id by now (db/rename.h) */
        rc = hp_query_run(&q, err);
    }
    if (rc != 0)
        return rc;
    HP_QUERY(q, db, &sql[SHOW]);
    hp_query_bind_int(&q, ":id", import->list);
    hp_query_bind_text(&q, ":etag", etag != NULL && etag[0] != '\0' ? etag : NULL);
    hp_query_bind_int(&q, ":files", import->files);
    hp_query_bind_int(&q, ":bytes", import->bytes);
    hp_query_bind_int(&q, ":fetched_at", fetched_at);
    return hp_query_run(&q, err);
}

int hp_remote_import_publish(hp_db_t *db, hp_remote_import_t *import, const char *etag, int64_t fetched_at,
                             bool *done, hp_err_t *err)
{
    *done = false;
    int rc = write_roots(db, import, true, 2 * RUN_PER_ADD, err);
    if (rc != 0 || import->draining.written < import->draining.count || import->filling.count > 0)
        return rc;
    rc = show(db, import, etag, fetched_at, err);
    *done = rc == 0;
    return rc;
}

int hp_remote_import_abandon(hp_db_t *db, hp_remote_import_t *import, hp_err_t *err)
{
    if (import == NULL)
        return 0;
    int64_t list = import->list;
    import_free(import);
    HP_QUERY(q, db, &sql[DROP]);
    hp_query_bind_int(&q, ":id", list);
    return hp_query_run(&q, err);
}

int64_t hp_remote_import_files(const hp_remote_import_t *import)
{
    return import->files;
}

int64_t hp_remote_import_bytes(const hp_remote_import_t *import)
{
    return import->bytes;
}
