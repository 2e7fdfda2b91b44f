/* Pages of a folder, and of what a search in one host's list finds (remote_file.h, "pages and search").
 *
 * Sorted by name, a folder's page is read from the index. Everything else reads all entries of a list in
 * their packed form, a thousand at a time, and keeps the rows of one page that come first after the cursor
 * (remote_order.h): a million names or keys are 20 to 25 MB, which takes 10 to 40 ms, whatever is asked.
 * Lists are mostly sorted by path, and times and sizes often follow the names, so a descending page reads
 * from the end: most rows are then turned away at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bitmap.h"
#include "base/mem.h"
#include "base/path.h"
#include "db/remote_match.h"
#include "db/remote_order.h"
#include "db/remote_pack.h"

#define SMALL_FOLDER 4000 /* files; fewer are sorted from their rows */

enum {
    FOLDER_AT,
    FOLDERS_UP,
    FOLDERS_DOWN,
    FILES_UP,
    FILES_DOWN,
    FILE_KEYS,
    FILE_BY_ID,
    FOLDER_BY_ID,
    SUBFOLDERS,
    KEYS_UP,
    KEYS_DOWN,
};

#define FILE_TABLES                                                                                          \
    "remote_file f CROSS JOIN remote_folder d ON d.id = f.folder CROSS JOIN remote_list l ON l.id = d.list "
#define BLOCKS_OF_LIST "id >= :list << 32 AND id < (:list + 1) << 32 "
#define FILE_COLUMNS   "l.host, d.path, f.name, f.size, f.mtime, f.root, f.executable"

static const hp_sql_t sql[] = {
    [FOLDER_AT] =
        {"remote_page.folder_at",
         "SELECT id, own_files, own_folders FROM remote_folder WHERE list = :list AND path = :path"},
    [FOLDERS_UP] = {"remote_page.folders_up", "SELECT id, name, path, files, bytes FROM remote_folder "
                                              "WHERE parent = :folder AND (name, id) > (:name, :id) "
                                              "ORDER BY name, id LIMIT :limit"},
    [FOLDERS_DOWN] = {"remote_page.folders_down", "SELECT id, name, path, files, bytes FROM remote_folder "
                                                  "WHERE parent = :folder AND (name, id) < (:name, :id) "
                                                  "ORDER BY name DESC, id DESC LIMIT :limit"},
    [FILES_UP] = {"remote_page.files_up", "SELECT f.id, f.name, " FILE_COLUMNS " FROM " FILE_TABLES
                                          "WHERE f.folder = :folder AND (f.name, f.id) > (:name, :id) "
                                          "ORDER BY f.name, f.id LIMIT :limit"},
    [FILES_DOWN] = {"remote_page.files_down", "SELECT f.id, f.name, " FILE_COLUMNS " FROM " FILE_TABLES
                                              "WHERE f.folder = :folder AND (f.name, f.id) < (:name, :id) "
                                              "ORDER BY f.name DESC, f.id DESC LIMIT :limit"},
    [FILE_KEYS] = {"remote_page.file_keys", "SELECT id, size, mtime FROM remote_file WHERE folder = :folder"},
    [FILE_BY_ID] = {"remote_page.file_by_id", "SELECT " FILE_COLUMNS " FROM " FILE_TABLES "WHERE f.id = :id"},
    [FOLDER_BY_ID] = {"remote_page.folder_by_id",
                      "SELECT path, files, bytes FROM remote_folder WHERE id = :id"},
    [SUBFOLDERS] = {"remote_page.subfolders",
                    "SELECT id FROM remote_folder WHERE list = :list AND path > :from AND path < :end"},
    [KEYS_UP] = {"remote_page.keys_up",
                 "SELECT id, keys FROM remote_keys WHERE " BLOCKS_OF_LIST "ORDER BY id"},
    [KEYS_DOWN] = {"remote_page.keys_down",
                   "SELECT id, keys FROM remote_keys WHERE " BLOCKS_OF_LIST "ORDER BY id DESC"},
};
HP_SQL_LIST(remote_page, sql);

/* ---- the page being filled ---- */

static void add_file(hp_remote_page_t *page, hp_query_t *q, int column)
{
    hp_remote_file_from_row(q, column, &page->files.items[page->files.count++]);
}

static void add_folder(hp_remote_page_t *page, hp_query_t *q, int column)
{
    hp_remote_folder_from_row(q, column, &page->folders[page->folder_count++]);
}

static size_t rows_of(const hp_remote_page_t *page)
{
    return page->folder_count + page->files.count;
}

static int fetch_rows(hp_db_t *db, hp_remote_heap_t *heap, size_t limit, hp_remote_page_t *page,
                      hp_err_t *err)
{
    hp_remote_heap_sort(heap);
    size_t count = HP_MIN(heap->count, limit - rows_of(page));
    for (size_t i = 0; i < count; i++) {
        const hp_remote_item_t *item = &heap->items[i]->item;
        HP_QUERY(q, db, &sql[item->is_folder ? FOLDER_BY_ID : FILE_BY_ID]);
        hp_query_bind_int(&q, ":id", item->id);
        int rc = hp_query_one(&q, err);
        if (rc == HP_E_NOT_FOUND)
            return hp_err_set(err, HP_E_DB, "the packed form of a list names an entry that is not there");
        if (rc != 0)
            return rc;
        if (item->is_folder)
            add_folder(page, &q, 0);
        else
            add_file(page, &q, 0);
    }
    if (count < heap->count)
        page->next = hp_remote_cursor_write(&heap->items[count - 1]->item);
    return 0;
}

/* ---- a folder, by name ---- */

typedef struct folder_row {
    int64_t id, own_files, own_folders;
} folder_row_t;

/* Greater than every name: no name has more than 255 bytes. */
static const char *last_name(void)
{
    static char name[HP_NAME_MAX + 2];
    if (name[0] == '\0')
        for (size_t i = 0; i + 4 < sizeof name; i += 4)
            memcpy(name + i, "\xf4\x8f\xbf\xbf", 4);
    return name;
}

/* Rows of one statement after `from` (NULL: from the start) until the page is full; *end tells that there are
 * no more. */
static int read_by_name(hp_db_t *db, const hp_sql_t *statement, bool files, bool descending, int64_t folder,
                        const hp_remote_item_t *from, size_t limit, hp_remote_page_t *page, bool *end,
                        hp_err_t *err)
{
    hp_remote_kept_item_t last = {.item = {.is_folder = !files, .name = last.name}};
    HP_QUERY(q, db, statement);
    hp_query_bind_int(&q, ":folder", folder);
    hp_query_bind_text(&q, ":name", from != NULL ? from->name : descending ? last_name() : "");
    hp_query_bind_int(&q, ":id", from != NULL ? from->id : descending ? INT64_MAX : -1);
    hp_query_bind_int(&q, ":limit", (int64_t)(limit - rows_of(page) + 1));
    *end = true;
    while (hp_query_row(&q)) {
        if (rows_of(page) == limit) {
            *end = false;
            break;
        }
        last.item.id = hp_query_int(&q, 0);
        snprintf(last.name, sizeof last.name, "%s", hp_query_string(&q, 1));
        if (files)
            add_file(page, &q, 2);
        else
            add_folder(page, &q, 2);
    }
    int rc = hp_query_end(&q, err);
    if (rc == 0 && !*end)
        page->next = hp_remote_cursor_write(&last.item);
    return rc;
}

/* ---- a folder, by size or time ---- */

static int64_t key_of(hp_remote_sort_t sort, int64_t size, int64_t mtime)
{
    return sort == HP_REMOTE_BY_SIZE ? size : sort == HP_REMOTE_BY_TIME ? mtime : 0;
}

static int offer_small_folder(hp_db_t *db, int64_t folder, hp_remote_heap_t *heap, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FILE_KEYS]);
    hp_query_bind_int(&q, ":folder", folder);
    while (hp_query_row(&q)) {
        hp_remote_item_t item = {.id = hp_query_int(&q, 0), .name = ""};
        item.key = key_of(heap->sort, hp_query_is_null(&q, 1) ? HP_REMOTE_NO_SIZE : hp_query_int(&q, 1),
                          hp_query_is_null(&q, 2) ? HP_REMOTE_NO_TIME : hp_query_int(&q, 2));
        hp_remote_heap_offer(heap, &item);
    }
    return hp_query_end(&q, err);
}

static int offer_large_folder(hp_db_t *db, int64_t list, int64_t folder, hp_remote_heap_t *heap,
                              hp_err_t *err)
{
    uint32_t number = HP_REMOTE_NUMBER(folder);
    hp_remote_item_t item = {.name = ""};
    HP_QUERY(q, db, &sql[heap->descending ? KEYS_DOWN : KEYS_UP]);
    hp_query_bind_int(&q, ":list", list);
    while (hp_query_row(&q)) {
        size_t length;
        int64_t first = hp_query_int(&q, 0);
        const uint8_t *keys = hp_query_blob(&q, 1, &length);
        for (size_t i = 0; keys != NULL && i < length / HP_REMOTE_KEY_SIZE; i++) {
            hp_remote_key_t key;
            hp_remote_key_get(keys + i * HP_REMOTE_KEY_SIZE, &key);
            if (key.folder != number || key.is_folder)
                continue;
            item.id = first + (int64_t)i;
            item.key = key_of(heap->sort, key.size, key.mtime);
            hp_remote_heap_offer(heap, &item);
        }
    }
    return hp_query_end(&q, err);
}

/* The folders fill the page exactly: the next one begins with the files. */
static char *cursor_after_folders(const hp_remote_page_t *page, bool descending)
{
    hp_remote_item_t item = {.is_folder = true,
                             .id = descending ? 0 : INT64_MAX,
                             .name = page->folders[page->folder_count - 1].name};
    return hp_remote_cursor_write(&item);
}

static int read_folder(hp_db_t *db, const hp_remote_query_t *query, int64_t list, const folder_row_t *folder,
                       const hp_remote_item_t *cursor, hp_remote_page_t *page, hp_err_t *err)
{
    bool by_name = query->sort == HP_REMOTE_BY_NAME, down = by_name && query->descending, end = true;
    int rc = 0;
    page->folders_total = folder->own_folders;
    page->files_total = folder->own_files;
    if (cursor == NULL || cursor->is_folder)
        rc = read_by_name(db, &sql[down ? FOLDERS_DOWN : FOLDERS_UP], false, down, folder->id, cursor,
                          query->limit, page, &end, err);
    if (rc != 0 || !end)
        return rc;
    const hp_remote_item_t *from = cursor != NULL && !cursor->is_folder ? cursor : NULL;
    if (rows_of(page) == query->limit) {
        if (folder->own_files > 0)
            page->next = cursor_after_folders(page, down);
        return 0;
    }
    if (by_name)
        return read_by_name(db, &sql[down ? FILES_DOWN : FILES_UP], true, down, folder->id, from,
                            query->limit, page, &end, err);
    hp_remote_heap_t heap = {
        .sort = query->sort, .descending = query->descending, .room = query->limit - rows_of(page) + 1};
    heap.items = hp_alloc_array(heap.room, sizeof(void *));
    heap.cursor = from;
    rc = folder->own_files <= SMALL_FOLDER ? offer_small_folder(db, folder->id, &heap, err)
                                           : offer_large_folder(db, list, folder->id, &heap, err);
    if (rc == 0)
        rc = fetch_rows(db, &heap, query->limit, page, err);
    hp_remote_heap_dispose(&heap);
    return rc;
}

typedef struct page_search {
    hp_remote_heap_t heap;
    const hp_bitmap_t *inside; /* numbers of the folders that count; NULL: all */
} page_search_t;

static bool on_page_match(void *arg, const hp_remote_match_t *match)
{
    page_search_t *search = arg;
    hp_remote_key_t key;
    hp_remote_key_get(match->key, &key);
    if (search->inside != NULL &&
        (key.folder >= search->inside->size || !hp_bitmap_get(search->inside, key.folder)))
        return true;
    hp_remote_item_t item = {.is_folder = key.is_folder, .id = match->id, .name = ""};
    if (search->heap.sort == HP_REMOTE_BY_NAME || key.is_folder)
        item.name = match->name;
    else
        item.key = key_of(search->heap.sort, key.size, key.mtime);
    hp_remote_heap_offer(&search->heap, &item);
    return true;
}

/* Marks the folder and those below it. */
static int mark_inside(hp_db_t *db, int64_t list, const char *path, int64_t folder, hp_bitmap_t *inside,
                       hp_err_t *err)
{
    char *from = hp_sprintf("%s/", path), *end = hp_sprintf("%s0", path);
    uint32_t highest = HP_REMOTE_NUMBER(folder);
    int rc = 0;
    for (int pass = 0; pass < 2 && rc == 0; pass++) {
        if (pass == 1) {
            hp_bitmap_init(inside, highest + 1);
            hp_bitmap_set(inside, HP_REMOTE_NUMBER(folder));
        }
        HP_QUERY(q, db, &sql[SUBFOLDERS]);
        hp_query_bind_int(&q, ":list", list);
        hp_query_bind_text(&q, ":from", from);
        hp_query_bind_text(&q, ":end", end);
        while (hp_query_row(&q)) {
            uint32_t number = HP_REMOTE_NUMBER(hp_query_int(&q, 0));
            highest = HP_MAX(highest, number);
            if (pass == 1)
                hp_bitmap_set(inside, number);
        }
        rc = hp_query_end(&q, err);
    }
    free(from);
    free(end);
    return rc;
}

static int search_folder(hp_db_t *db, const hp_remote_query_t *query, int64_t list,
                         const folder_row_t *folder, const hp_remote_item_t *cursor, hp_remote_page_t *page,
                         hp_err_t *err)
{
    page_search_t search = {
        .heap = {.sort = query->sort, .descending = query->descending, .room = query->limit + 1}};
    hp_bitmap_t inside = {0};
    int rc = 0;
    if (query->folder != NULL && query->folder[0] != '\0') {
        rc = mark_inside(db, list, query->folder, folder->id, &inside, err);
        search.inside = &inside;
    }
    search.heap.cursor = cursor;
    search.heap.items = hp_alloc_array(search.heap.room, sizeof(void *));
    if (rc == 0)
        rc = hp_remote_match(db, list, query->q, query->descending, on_page_match, &search, err);
    page->folders_total = search.heap.folders;
    page->files_total = search.heap.files;
    if (rc == 0)
        rc = fetch_rows(db, &search.heap, query->limit, page, err);
    hp_remote_heap_dispose(&search.heap);
    hp_bitmap_dispose(&inside);
    return rc;
}

static int folder_by_path(hp_db_t *db, int64_t list, const char *path, folder_row_t *row, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FOLDER_AT]);
    hp_query_bind_int(&q, ":list", list);
    hp_query_bind_text(&q, ":path", path);
    int rc = hp_query_one(&q, err);
    if (rc == HP_E_NOT_FOUND)
        return hp_err_set(err, rc, "the host has no folder of that name");
    if (rc != 0)
        return rc;
    *row = (folder_row_t){
        .id = hp_query_int(&q, 0), .own_files = hp_query_int(&q, 1), .own_folders = hp_query_int(&q, 2)};
    return hp_query_end(&q, err);
}

int hp_remote_page_read(hp_db_t *db, const hp_remote_query_t *query, hp_remote_page_t *page, hp_err_t *err)
{
    *page = (hp_remote_page_t){0};
    hp_remote_kept_item_t cursor = {.name = ""};
    folder_row_t folder = {0};
    int64_t list;
    if (query->limit < 1 || query->limit > HP_REMOTE_PAGE_MAX)
        return hp_err_set(err, HP_E_INVALID, "limit is not between 1 and %d", HP_REMOTE_PAGE_MAX);
    int rc = query->cursor != NULL ? hp_remote_cursor_read(query->cursor, &cursor, err) : 0;
    if (rc != 0)
        return rc;
    rc = hp_remote_list_id(db, query->host, &list, err);
    if (rc == HP_E_NOT_FOUND)
        return hp_err_set(err, rc, "the list of that host's files has not been fetched yet");
    if (rc == 0)
        rc = folder_by_path(db, list, query->folder != NULL ? query->folder : "", &folder, err);
    if (rc != 0)
        return rc;
    page->folders = hp_alloc_array(query->limit, sizeof *page->folders);
    page->files.items = hp_alloc_array(query->limit, sizeof *page->files.items);
    const hp_remote_item_t *from = query->cursor != NULL ? &cursor.item : NULL;
    rc = query->q != NULL && query->q[0] != '\0' ? search_folder(db, query, list, &folder, from, page, err)
                                                 : read_folder(db, query, list, &folder, from, page, err);
    if (rc != 0)
        hp_remote_page_dispose(page);
    return rc;
}

void hp_remote_page_dispose(hp_remote_page_t *page)
{
    for (size_t i = 0; i < page->folder_count; i++)
        free(page->folders[i].path);
    free(page->folders);
    hp_remote_files_dispose(&page->files);
    free(page->next);
    *page = (hp_remote_page_t){0};
}
