/* Pages of a folder and search in remote lists (remote_file.h, "pages and search").
 *
 * Sorted by name, a folder's page is read from the index. Everything else reads all entries of a list in
 * their packed form, a thousand at a time, and keeps the rows of one page that come first after the cursor
 * (page_heap_t): a million names or keys are 20 to 25 MB, which takes 10 to 40 ms, whatever is asked.
 * Lists are mostly sorted by path, and times and sizes often follow the names, so a descending page reads
 * from the end: most rows are then turned away at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bitmap.h"
#include "base/mem.h"
#include "base/path.h"
#include "db/remote_pack.h"

#define SMALL_FOLDER   4000 /* files; fewer are sorted from their rows */
#define SEARCH_MATCHES 2000 /* matches that a search over all hosts groups, shared among the lists */
#define SEARCH_LEAST   20   /* of one list */
#define CURSOR_MAX     1024

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
    NAMES_UP,
    NAMES_DOWN,
    KEYS_UP,
    KEYS_DOWN,
    KEYS_AT,
    LISTS,
};

#define FILE_TABLES                                                                                          \
    "remote_file f CROSS JOIN remote_folder d ON d.id = f.folder CROSS JOIN remote_list l ON l.id = d.list "
#define BLOCKS_OF_LIST "id >= :list << 32 AND id < (:list + 1) << 32 "
#define FILE_COLUMNS   "l.host, d.path, f.name, f.size, f.mtime, f.root"

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
    [NAMES_UP] = {"remote_page.names_up",
                  "SELECT id, names FROM remote_names WHERE " BLOCKS_OF_LIST "ORDER BY id"},
    [NAMES_DOWN] = {"remote_page.names_down",
                    "SELECT id, names FROM remote_names WHERE " BLOCKS_OF_LIST "ORDER BY id DESC"},
    [KEYS_UP] = {"remote_page.keys_up",
                 "SELECT id, keys FROM remote_keys WHERE " BLOCKS_OF_LIST "ORDER BY id"},
    [KEYS_DOWN] = {"remote_page.keys_down",
                   "SELECT id, keys FROM remote_keys WHERE " BLOCKS_OF_LIST "ORDER BY id DESC"},
    [KEYS_AT] = {"remote_page.keys_at", "SELECT keys FROM remote_keys WHERE id = :id"},
    [LISTS] = {"remote_page.lists", "SELECT id FROM remote_list WHERE state = 'shown' ORDER BY id"},
};
HP_SQL_LIST(remote_page, sql);

/* ---- rows in the order of a page ---- */

typedef struct item {
    bool is_folder;
    int64_t key; /* size or time; 0 when sorted by name */
    int64_t id;
    const char *name; /* in lower case; "" when not sorted by name */
} item_t;

/* An item with room for its name: one that is kept, or a cursor. */
typedef struct kept_item {
    item_t item;
    char name[HP_NAME_MAX + 1];
} kept_item_t;

static void keep(kept_item_t *kept, const item_t *item)
{
    kept->item = *item;
    snprintf(kept->name, sizeof kept->name, "%s", item->name);
    kept->item.name = kept->name;
}

/* The first `room` items after the cursor: a heap with the last of them on top. */
typedef struct page_heap {
    hp_remote_sort_t sort;
    bool descending;
    const item_t *cursor; /* NULL: from the start */
    kept_item_t **items;
    size_t count, room;
    int64_t folders, files; /* all that were offered */
} page_heap_t;

static int compare(const page_heap_t *heap, const item_t *a, const item_t *b)
{
    if (a->is_folder != b->is_folder)
        return a->is_folder ? -1 : 1;
    /* Folders are sorted by name, whatever the files are sorted by. */
    bool by_name = heap->sort == HP_REMOTE_BY_NAME || a->is_folder;
    bool down = heap->descending && !(a->is_folder && heap->sort != HP_REMOTE_BY_NAME);
    int order = by_name ? strcmp(a->name, b->name) : a->key < b->key ? -1 : a->key > b->key;
    if (order == 0)
        order = a->id < b->id ? -1 : a->id > b->id;
    return down ? -order : order;
}

static void sift_down(page_heap_t *heap, size_t at)
{
    for (;;) {
        size_t largest = at, left = 2 * at + 1, right = left + 1;
        if (left < heap->count && compare(heap, &heap->items[left]->item, &heap->items[largest]->item) > 0)
            largest = left;
        if (right < heap->count && compare(heap, &heap->items[right]->item, &heap->items[largest]->item) > 0)
            largest = right;
        if (largest == at)
            return;
        kept_item_t *other = heap->items[at];
        heap->items[at] = heap->items[largest];
        heap->items[largest] = other;
        at = largest;
    }
}

static void offer(page_heap_t *heap, const item_t *item)
{
    if (item->is_folder)
        heap->folders++;
    else
        heap->files++;
    if (heap->cursor != NULL && compare(heap, item, heap->cursor) <= 0)
        return;
    if (heap->count == heap->room) {
        if (compare(heap, item, &heap->items[0]->item) >= 0)
            return;
        keep(heap->items[0], item);
        sift_down(heap, 0);
        return;
    }
    size_t at = heap->count++;
    heap->items[at] = hp_alloc(sizeof(kept_item_t));
    keep(heap->items[at], item);
    while (at > 0 && compare(heap, &heap->items[at]->item, &heap->items[(at - 1) / 2]->item) > 0) {
        kept_item_t *other = heap->items[at];
        heap->items[at] = heap->items[(at - 1) / 2];
        heap->items[(at - 1) / 2] = other;
        at = (at - 1) / 2;
    }
}

/* Puts the items in the order of the page. */
static void heap_sort(page_heap_t *heap)
{
    size_t count = heap->count;
    while (heap->count > 1) {
        kept_item_t *last = heap->items[0];
        heap->items[0] = heap->items[--heap->count];
        heap->items[heap->count] = last;
        sift_down(heap, 0);
    }
    heap->count = count;
}

static void heap_dispose(page_heap_t *heap)
{
    for (size_t i = 0; i < heap->count; i++)
        free(heap->items[i]);
    free(heap->items);
}

/* ---- cursors: "d" or "f", the key, the id, the name, with "_" between them ---- */

static char *cursor_write(const item_t *item)
{
    char *name = hp_path_encode(item->name, strlen(item->name), false);
    char *text = hp_sprintf("%c_%lld_%lld_%s", item->is_folder ? 'd' : 'f', (long long)item->key,
                            (long long)item->id, name);
    free(name);
    return text;
}

static int cursor_read(const char *text, kept_item_t *cursor, hp_err_t *err)
{
    char kind;
    long long key, id;
    size_t length;
    int used = 0;
    if (strlen(text) > CURSOR_MAX || sscanf(text, "%c_%lld_%lld_%n", &kind, &key, &id, &used) != 3 ||
        used == 0 || (kind != 'd' && kind != 'f') ||
        hp_path_decode(text + used, strlen(text + used), cursor->name, sizeof cursor->name, &length) != 0)
        return hp_err_set(err, HP_E_INVALID, "cursor is not one that a page gave");
    cursor->item = (item_t){.is_folder = kind == 'd', .key = key, .id = id, .name = cursor->name};
    return 0;
}

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

static int fetch_rows(hp_db_t *db, page_heap_t *heap, size_t limit, hp_remote_page_t *page, hp_err_t *err)
{
    heap_sort(heap);
    size_t count = HP_MIN(heap->count, limit - rows_of(page));
    for (size_t i = 0; i < count; i++) {
        const item_t *item = &heap->items[i]->item;
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
        page->next = cursor_write(&heap->items[count - 1]->item);
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
                        const item_t *from, size_t limit, hp_remote_page_t *page, bool *end, hp_err_t *err)
{
    kept_item_t last = {.item = {.is_folder = !files, .name = last.name}};
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
        snprintf(last.name, sizeof last.name, "%s", hp_query_text(&q, 1));
        if (files)
            add_file(page, &q, 2);
        else
            add_folder(page, &q, 2);
    }
    int rc = hp_query_end(&q, err);
    if (rc == 0 && !*end)
        page->next = cursor_write(&last.item);
    return rc;
}

/* ---- a folder, by size or time ---- */

static int64_t key_of(hp_remote_sort_t sort, int64_t size, int64_t mtime)
{
    return sort == HP_REMOTE_BY_SIZE ? size : sort == HP_REMOTE_BY_TIME ? mtime : 0;
}

static int offer_small_folder(hp_db_t *db, int64_t folder, page_heap_t *heap, hp_err_t *err)
{
    HP_QUERY(q, db, &sql[FILE_KEYS]);
    hp_query_bind_int(&q, ":folder", folder);
    while (hp_query_row(&q)) {
        item_t item = {.id = hp_query_int(&q, 0), .name = ""};
        item.key = key_of(heap->sort, hp_query_is_null(&q, 1) ? HP_REMOTE_NO_SIZE : hp_query_int(&q, 1),
                          hp_query_is_null(&q, 2) ? HP_REMOTE_NO_TIME : hp_query_int(&q, 2));
        offer(heap, &item);
    }
    return hp_query_end(&q, err);
}

static int offer_large_folder(hp_db_t *db, int64_t list, int64_t folder, page_heap_t *heap, hp_err_t *err)
{
    uint32_t number = HP_REMOTE_NUMBER(folder);
    item_t item = {.name = ""};
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
            offer(heap, &item);
        }
    }
    return hp_query_end(&q, err);
}

/* The folders fill the page exactly: the next one begins with the files. */
static char *cursor_after_folders(const hp_remote_page_t *page, bool descending)
{
    item_t item = {.is_folder = true,
                   .id = descending ? 0 : INT64_MAX,
                   .name = page->folders[page->folder_count - 1].name};
    return cursor_write(&item);
}

static int read_folder(hp_db_t *db, const hp_remote_query_t *query, int64_t list, const folder_row_t *folder,
                       const item_t *cursor, hp_remote_page_t *page, hp_err_t *err)
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
    const item_t *from = cursor != NULL && !cursor->is_folder ? cursor : NULL;
    if (rows_of(page) == query->limit) {
        if (folder->own_files > 0)
            page->next = cursor_after_folders(page, down);
        return 0;
    }
    if (by_name)
        return read_by_name(db, &sql[down ? FILES_DOWN : FILES_UP], true, down, folder->id, from,
                            query->limit, page, &end, err);
    page_heap_t heap = {
        .sort = query->sort, .descending = query->descending, .room = query->limit - rows_of(page) + 1};
    heap.items = hp_alloc_array(heap.room, sizeof(void *));
    heap.cursor = from;
    rc = folder->own_files <= SMALL_FOLDER ? offer_small_folder(db, folder->id, &heap, err)
                                           : offer_large_folder(db, list, folder->id, &heap, err);
    if (rc == 0)
        rc = fetch_rows(db, &heap, query->limit, page, err);
    heap_dispose(&heap);
    return rc;
}

/* ---- names that contain a text ---- */

typedef struct match {
    int64_t id;
    const char *name;   /* in lower case, with NUL */
    const uint8_t *key; /* HP_REMOTE_KEY_SIZE bytes */
} match_t;

/* Whether to go on. */
typedef bool (*match_fn)(void *arg, const match_t *match);

/* One block of names: calls fn for each that contains needle. */
static int match_block(hp_db_t *db, int64_t first, const char *names, size_t length, const char *needle,
                       size_t needle_length, match_fn fn, void *arg, bool *go_on, hp_err_t *err)
{
    const char *end = names + length, *name = names, *hit = memmem(names, length, needle, needle_length);
    if (hit == NULL)
        return 0;
    HP_QUERY(q, db, &sql[KEYS_AT]);
    hp_query_bind_int(&q, ":id", first);
    int rc = hp_query_one(&q, err);
    if (rc != 0)
        return rc != HP_E_NOT_FOUND ? rc : hp_err_set(err, HP_E_DB, "names of a list have no keys");
    size_t keys_length, index = 0;
    const uint8_t *keys = hp_query_blob(&q, 0, &keys_length);
    while (hit != NULL && *go_on) {
        const char *stop = memchr(name, '\0', (size_t)(end - name));
        while (stop != NULL && stop < hit) {
            name = stop + 1;
            index++;
            stop = memchr(name, '\0', (size_t)(end - name));
        }
        if (stop == NULL || (index + 1) * HP_REMOTE_KEY_SIZE > keys_length)
            return hp_err_set(err, HP_E_DB, "names and keys of a list do not fit each other");
        match_t match = {
            .id = first + (int64_t)index, .name = name, .key = keys + index * HP_REMOTE_KEY_SIZE};
        *go_on = fn(arg, &match);
        name = stop + 1;
        index++;
        hit = memmem(name, (size_t)(end - name), needle, needle_length);
    }
    return hp_query_end(&q, err);
}

/* All names of a list that contain the text; from the end when descending (only the blocks, not within one).
 */
static int match_list(hp_db_t *db, int64_t list, const char *q_text, bool descending, match_fn fn, void *arg,
                      hp_err_t *err)
{
    size_t length = strlen(q_text);
    if (length > HP_NAME_MAX)
        return 0;
    char needle[HP_NAME_MAX + 1];
    hp_remote_fold(q_text, length, needle);
    bool go_on = true;
    HP_QUERY(q, db, &sql[descending ? NAMES_DOWN : NAMES_UP]);
    hp_query_bind_int(&q, ":list", list);
    while (go_on && hp_query_row(&q)) {
        size_t size;
        const char *names = hp_query_blob(&q, 1, &size);
        if (names == NULL)
            continue;
        int rc = match_block(db, hp_query_int(&q, 0), names, size, needle, length, fn, arg, &go_on, err);
        if (rc != 0)
            return rc;
    }
    return hp_query_end(&q, err);
}

typedef struct page_search {
    page_heap_t heap;
    const hp_bitmap_t *inside; /* numbers of the folders that count; NULL: all */
} page_search_t;

static bool on_page_match(void *arg, const match_t *match)
{
    page_search_t *search = arg;
    hp_remote_key_t key;
    hp_remote_key_get(match->key, &key);
    if (search->inside != NULL &&
        (key.folder >= search->inside->size || !hp_bitmap_get(search->inside, key.folder)))
        return true;
    item_t item = {.is_folder = key.is_folder, .id = match->id, .name = ""};
    if (search->heap.sort == HP_REMOTE_BY_NAME || key.is_folder)
        item.name = match->name;
    else
        item.key = key_of(search->heap.sort, key.size, key.mtime);
    offer(&search->heap, &item);
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
                         const folder_row_t *folder, const item_t *cursor, hp_remote_page_t *page,
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
        rc = match_list(db, list, query->q, query->descending, on_page_match, &search, err);
    page->folders_total = search.heap.folders;
    page->files_total = search.heap.files;
    if (rc == 0)
        rc = fetch_rows(db, &search.heap, query->limit, page, err);
    heap_dispose(&search.heap);
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
    kept_item_t cursor = {.name = ""};
    folder_row_t folder = {0};
    int64_t list;
    if (query->limit < 1 || query->limit > HP_REMOTE_PAGE_MAX)
        return hp_err_set(err, HP_E_INVALID, "limit is not between 1 and %d", HP_REMOTE_PAGE_MAX);
    int rc = query->cursor != NULL ? cursor_read(query->cursor, &cursor, err) : 0;
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
    const item_t *from = query->cursor != NULL ? &cursor.item : NULL;
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

/* ---- all hosts ---- */

typedef struct all_search {
    hp_remote_results_t *results;
    size_t limit;
    int64_t *ids; /* of this list's matches */
    size_t id_count, id_room;
} all_search_t;

static bool on_any_match(void *arg, const match_t *match)
{
    all_search_t *search = arg;
    hp_remote_key_t key;
    hp_remote_key_get(match->key, &key);
    if (key.is_folder)
        return true;
    if (search->id_count == search->id_room) {
        search->results->more = true;
        return false;
    }
    search->ids[search->id_count++] = match->id;
    return true;
}

static void add_copy(hp_remote_result_t *result, const char *host, const char *path)
{
    if (result->copy_count == HP_REMOTE_COPIES_MAX)
        return;
    for (size_t i = 0; i < result->copy_count; i++)
        if (strcmp(result->copies[i].host, host) == 0 && strcmp(result->copies[i].path, path) == 0)
            return;
    result->copies = hp_realloc(result->copies, (result->copy_count + 1) * sizeof *result->copies);
    hp_remote_copy_t *copy = &result->copies[result->copy_count++];
    snprintf(copy->host, sizeof copy->host, "%s", host);
    copy->path = hp_strdup(path);
}

static bool same_content(const hp_remote_result_t *result, const hp_remote_file_t *file)
{
    if (result->root[0] != '\0' || file->root[0] != '\0')
        return strcmp(result->root, file->root) == 0 && result->size == file->size;
    return result->size == file->size && strcmp(result->name, file->name) == 0;
}

/* The other files with the content of a result, whatever their names. */
static int add_same_root(hp_db_t *db, hp_remote_result_t *result, hp_err_t *err)
{
    hp_remote_files_t same;
    int rc = hp_remote_file_by_root(db, result->root, result->size, HP_REMOTE_COPIES_MAX, &same, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < same.count; i++)
        add_copy(result, same.items[i].host, same.items[i].path);
    hp_remote_files_dispose(&same);
    return 0;
}

static int group(hp_db_t *db, all_search_t *search, const hp_remote_file_t *file, hp_err_t *err)
{
    hp_remote_results_t *results = search->results;
    for (size_t i = 0; i < results->count; i++) {
        if (same_content(&results->items[i], file)) {
            add_copy(&results->items[i], file->host, file->path);
            return 0;
        }
    }
    if (results->count == search->limit) {
        results->more = true;
        return 0;
    }
    hp_remote_result_t *result = &results->items[results->count++];
    *result = (hp_remote_result_t){.name = hp_strdup(file->name), .size = file->size};
    memcpy(result->root, file->root, sizeof result->root);
    add_copy(result, file->host, file->path);
    return result->root[0] != '\0' ? add_same_root(db, result, err) : 0;
}

static int group_list(hp_db_t *db, all_search_t *search, hp_err_t *err)
{
    for (size_t i = 0; i < search->id_count; i++) {
        hp_remote_file_t file;
        HP_QUERY(q, db, &sql[FILE_BY_ID]);
        hp_query_bind_int(&q, ":id", search->ids[i]);
        int rc = hp_query_one(&q, err);
        if (rc == HP_E_NOT_FOUND)
            return hp_err_set(err, HP_E_DB, "the packed form of a list names an entry that is not there");
        if (rc != 0)
            return rc;
        hp_remote_file_from_row(&q, 0, &file);
        rc = hp_query_end(&q, err);
        if (rc == 0)
            rc = group(db, search, &file, err);
        hp_remote_file_dispose(&file);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int shown_lists(hp_db_t *db, int64_t **lists, size_t *count, hp_err_t *err)
{
    size_t room = 0;
    *lists = NULL;
    *count = 0;
    HP_QUERY(q, db, &sql[LISTS]);
    while (hp_query_row(&q)) {
        if (*count == room) {
            room = HP_MAX(room * 2, (size_t)16);
            *lists = hp_realloc(*lists, room * sizeof **lists);
        }
        (*lists)[(*count)++] = hp_query_int(&q, 0);
    }
    return hp_query_end(&q, err);
}

static int by_name(const void *a, const void *b)
{
    const hp_remote_result_t *x = a, *y = b;
    int order = strcasecmp(x->name, y->name);
    return order != 0 ? order : x->size < y->size ? -1 : x->size > y->size;
}

int hp_remote_search(hp_db_t *db, const char *q, size_t limit, hp_remote_results_t *results, hp_err_t *err)
{
    *results = (hp_remote_results_t){0};
    if (q[0] == '\0' || limit < 1 || limit > HP_REMOTE_PAGE_MAX)
        return hp_err_set(err, HP_E_INVALID, q[0] == '\0' ? "q is empty" : "limit is not between 1 and %d",
                          HP_REMOTE_PAGE_MAX);
    int64_t *lists;
    size_t count;
    int rc = shown_lists(db, &lists, &count, err);
    results->items = hp_alloc_array(limit, sizeof *results->items);
    all_search_t search = {.results = results, .limit = limit};
    search.id_room = HP_MAX((size_t)SEARCH_MATCHES / HP_MAX(count, (size_t)1), (size_t)SEARCH_LEAST);
    search.ids = hp_alloc_array(search.id_room, sizeof *search.ids);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        search.id_count = 0;
        rc = match_list(db, lists[i], q, false, on_any_match, &search, err);
        if (rc == 0)
            rc = group_list(db, &search, err);
    }
    free(search.ids);
    free(lists);
    if (rc != 0)
        hp_remote_results_dispose(results);
    else
        qsort(results->items, results->count, sizeof *results->items, by_name);
    return rc;
}

void hp_remote_results_dispose(hp_remote_results_t *results)
{
    for (size_t i = 0; i < results->count; i++) {
        hp_remote_result_t *result = &results->items[i];
        for (size_t k = 0; k < result->copy_count; k++)
            free(result->copies[k].path);
        free(result->copies);
        free(result->name);
    }
    free(results->items);
    *results = (hp_remote_results_t){0};
}
