/* The index knows paths, not folders, and has them in byte order. So a page is made by one pass over the rows
 * below the folder, which adds up the folders as it meets them (all that is below one stands together) and
 * keeps the rows that come first after the cursor. The pass is cut into jobs of STEP_ROWS rows, so that it
 * never holds up the store for long. */
#include "share/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/path.h"
#include "db/shared_file.h"
#include "db/shared_own.h"
#include "share/away.h"

#define STEP_ROWS 4000 /* of one job: some milliseconds */

typedef hp_share_entry_t row_t;

/* A folder that the pass is in: the first `length` bytes of the present path. */
typedef struct {
    size_t length;
    uint64_t files, bytes;
} open_folder_t;

typedef struct {
    hp_share_t *share;
    hp_share_page_fn page_done;
    void *arg;
    bool (*given_up)(void *arg);
    char *folder, *q; /* folder with its slash, "" for the top; q NULL: no filter */
    hp_share_sort_t sort;
    bool descending;
    size_t limit;
    row_t *cursor; /* NULL: from the start */

    hp_away_t away;
    char *after;                /* where the next job goes on; NULL at the start */
    char path[HP_PATH_MAX + 1]; /* of the last row, for its folders */
    open_folder_t *open;
    size_t open_count, open_room;
    bool done, any;
    uint64_t files, folders; /* of all pages */
    row_t *rows;             /* the first ones after the cursor: room for twice a page */
    size_t count;
} listing_t;

static void row_dispose(row_t *row)
{
    free(row->path);
}

static void list_destroy(listing_t *list)
{
    for (size_t i = 0; i < list->count; i++)
        row_dispose(&list->rows[i]);
    if (list->cursor != NULL)
        row_dispose(list->cursor);
    free(list->cursor);
    free(list->rows);
    free(list->open);
    free(list->after);
    free(list->folder);
    free(list->q);
    hp_away_dispose(&list->away);
    hp_pending_drop(&list->share->pending);
    free(list);
}

/* ---- how a page is sorted ---- */

static int compare(const listing_t *list, const row_t *a, const row_t *b)
{
    if (a->is_folder != b->is_folder)
        return a->is_folder ? -1 : 1;
    /* Folders are sorted by name, whatever the files are sorted by. */
    bool down = list->descending && (!a->is_folder || list->sort == HP_SHARE_BY_NAME);
    int difference = a->key < b->key ? -1 : a->key > b->key;
    if (difference == 0)
        difference = strcasecmp(hp_path_name(a->path), hp_path_name(b->path));
    if (difference == 0)
        difference = strcmp(a->path, b->path);
    return down ? -difference : difference;
}

static int compare_rows(const void *a, const void *b, void *arg)
{
    return compare(arg, a, b);
}

/* Sorts the rows and keeps those of this page and the first one of the next. */
static void shrink(listing_t *list)
{
    qsort_r(list->rows, list->count, sizeof *list->rows, compare_rows, list);
    while (list->count > list->limit + 1)
        row_dispose(&list->rows[--list->count]);
}

/* Takes the row's path. */
static void offer(listing_t *list, row_t row)
{
    if (row.is_folder)
        list->folders++;
    else
        list->files++;
    if (list->cursor != NULL && compare(list, &row, list->cursor) <= 0) {
        row_dispose(&row);
        return;
    }
    list->rows[list->count++] = row;
    if (list->count == 2 * (list->limit + 1))
        shrink(list);
}

/* ---- the pass ---- */

static bool matches(const listing_t *list, const char *name, size_t length)
{
    char text[HP_NAME_MAX + 1];
    if (list->q == NULL)
        return true;
    snprintf(text, sizeof text, "%.*s", (int)length, name);
    return strcasestr(text, list->q) != NULL;
}

static void close_folder(listing_t *list)
{
    const open_folder_t *folder = &list->open[--list->open_count];
    size_t above = list->open_count > 0 ? list->open[list->open_count - 1].length + 1 : strlen(list->folder);
    bool shown =
        list->q != NULL ? matches(list, list->path + above, folder->length - above) : list->open_count == 0;
    if (shown)
        offer(list, (row_t){
                        .is_folder = true,
                        .path = hp_strndup(list->path, folder->length),
                        .size = folder->bytes,
                        .files = folder->files,
                    });
}

static void open_folders(listing_t *list, const char *path, size_t from)
{
    for (const char *slash = strchr(path + from, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        if (list->open_count == list->open_room) {
            list->open_room = HP_MAX(list->open_room * 2, (size_t)16);
            list->open = hp_realloc(list->open, list->open_room * sizeof *list->open);
        }
        list->open[list->open_count++] = (open_folder_t){.length = (size_t)(slash - path)};
    }
}

static void add_file(listing_t *list, const hp_shared_row_t *row)
{
    size_t length = strlen(list->folder), shared = length;
    const char *path = row->path;
    while (list->open_count > 0) {
        size_t n = list->open[list->open_count - 1].length;
        if (strncmp(list->path, path, n) == 0 && path[n] == '/') {
            shared = n + 1;
            break;
        }
        close_folder(list);
    }
    open_folders(list, path, shared);
    snprintf(list->path, sizeof list->path, "%s", path);
    for (size_t i = 0; i < list->open_count; i++) {
        list->open[i].files++;
        list->open[i].bytes += row->identity.size;
    }
    const char *name = hp_path_name(path);
    if (list->q != NULL ? !matches(list, name, strlen(name)) : list->open_count > 0)
        return;
    row_t file = {.path = hp_strdup(path), .size = row->identity.size, .mtime_ns = row->identity.mtime_ns};
    file.key = list->sort == HP_SHARE_BY_SIZE   ? (int64_t)file.size
               : list->sort == HP_SHARE_BY_TIME ? file.mtime_ns / 1000000
                                                : 0;
    if (row->rooted)
        hp_hex_encode(row->root, sizeof row->root, file.root);
    offer(list, file);
}

static void finish_pass(listing_t *list)
{
    while (list->open_count > 0)
        close_folder(list);
    shrink(list);
    list->done = true;
}

/* Finds which files of the page hostpair put there. None is removed from a folder that is shared in place. */
static int find_own(listing_t *list, hp_db_t *db, hp_err_t *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        row_t *row = &list->rows[i];
        const char *below;
        if (row->is_folder || hp_place_find(list->away.place, row->path, &below) != 0)
            continue;
        char *path = hp_sprintf("%s/%s", list->away.place->folders[0].path, row->path);
        hp_shared_own_t file = {.path = path, .size = row->size, .mtime_ns = row->mtime_ns};
        rc = hp_shared_own_has(db, &file, &row->own, err);
        free(path);
    }
    return rc;
}

/* Store thread. */
static int pass_step(hp_db_t *db, void *arg, hp_err_t *err)
{
    listing_t *list = arg;
    hp_shared_rows_t rows;
    int rc = hp_shared_page(db, list->after, STEP_ROWS, &rows, err);
    if (rc != 0)
        return rc;
    size_t length = strlen(list->folder), i = 0;
    char *skip = NULL;
    for (; i < rows.count && strncmp(rows.items[i].path, list->folder, length) == 0; i++) {
        skip = hp_away_skip(&list->away, rows.items[i].path, false);
        if (skip != NULL)
            break;
        add_file(list, &rows.items[i]);
        list->any = true;
    }
    if (skip != NULL) {
        free(list->after);
        list->after = skip;
    } else if (i < rows.count || rows.count < STEP_ROWS) {
        finish_pass(list);
        rc = find_own(list, db, err);
    } else {
        free(list->after);
        list->after = hp_strdup(rows.items[rows.count - 1].path);
    }
    hp_shared_rows_dispose(&rows);
    return rc;
}

/* ---- cursors: "d" or "f", the key, the path ---- */

static char *cursor_write(const row_t *row)
{
    char *path = hp_path_encode(row->path, strlen(row->path), false);
    char *text = hp_sprintf("%c_%lld_%s", row->is_folder ? 'd' : 'f', (long long)row->key, path);
    free(path);
    return text;
}

static int cursor_read(const char *text, row_t **cursor, hp_err_t *err)
{
    char kind, path[HP_PATH_MAX + 1];
    long long key;
    size_t length;
    int used = 0;
    if (sscanf(text, "%c_%lld_%n", &kind, &key, &used) != 2 || used == 0 || (kind != 'd' && kind != 'f') ||
        hp_path_decode(text + used, strlen(text + used), path, sizeof path, &length) != 0)
        return hp_err_set(err, HP_E_INVALID, "cursor: was not given by any page");
    *cursor = hp_alloc(sizeof **cursor);
    **cursor = (row_t){.is_folder = kind == 'd', .key = key, .path = hp_strdup(path)};
    return 0;
}

/* ---- on the loop ---- */

static void end(listing_t *list, int status, const hp_err_t *err)
{
    if (status != 0) {
        list->page_done(list->arg, status, NULL, err);
    } else {
        size_t count = HP_MIN(list->count, list->limit);
        char *next = list->count > count ? cursor_write(&list->rows[count - 1]) : NULL;
        hp_share_page_t page = {.entries = list->rows,
                                .count = count,
                                .next = next,
                                .files = list->files,
                                .folders = list->folders};
        list->page_done(list->arg, 0, &page, err);
        free(next);
    }
    list_destroy(list);
}

/* Whether the shared folder that the list is about is not there. */
static bool is_away(const listing_t *list)
{
    const char *below;
    return list->away.missing[hp_place_find(list->away.place, list->folder, &below)];
}

static void on_step(void *arg, int status, const hp_err_t *err)
{
    listing_t *list = arg;
    hp_err_t missing = {0};
    if (status == 0 && !list->done) {
        if (list->share->closing || (list->given_up != NULL && list->given_up(list->arg))) {
            end(list, hp_err_set(&missing, UV_ECANCELED, "the list is not wanted any more"), &missing);
            return;
        }
        hp_store_post(list->share->store, HP_STORE_READ, pass_step, on_step, list);
        return;
    }
    if (status == 0 && !list->any && list->folder[0] != '\0' && !is_away(list)) {
        status = hp_err_set(&missing, HP_E_NOT_FOUND, "nothing is shared in %.*s",
                            (int)strlen(list->folder) - 1, list->folder);
        err = &missing;
    }
    end(list, status, err);
}

static int read_query(listing_t *list, const hp_share_query_t *query, hp_err_t *err)
{
    const char *folder = query->folder != NULL ? query->folder : "";
    int rc = query->cursor != NULL ? cursor_read(query->cursor, &list->cursor, err) : 0;
    if (rc == 0 && folder[0] != '\0' && (rc = hp_path_check(folder, strlen(folder), err)) != 0)
        hp_err_prefix(err, "folder: ");
    list->folder = folder[0] != '\0' ? hp_sprintf("%s/", folder) : hp_strdup("");
    list->after = hp_strdup(list->folder);
    list->q = query->q != NULL ? hp_strdup(query->q) : NULL;
    list->sort = query->sort;
    list->descending = query->descending;
    list->limit = query->limit;
    list->given_up = query->given_up;
    list->rows = hp_alloc_array(2 * (list->limit + 1), sizeof *list->rows);
    return rc;
}

void hp_share_page(hp_share_t *share, const hp_share_query_t *query, hp_share_page_fn done, void *arg)
{
    hp_err_t err = {0};
    listing_t *list = hp_alloc(sizeof *list);
    list->share = share;
    list->page_done = done;
    list->arg = arg;
    hp_away_init(&list->away, share);
    hp_pending_add(&share->pending);
    int rc = read_query(list, query, &err);
    if (rc == 0 && !share->missing)
        hp_store_post(share->store, HP_STORE_READ, pass_step, on_step, list);
    else
        end(list, rc, &err); /* nothing is offered of a folder that is not there */
}
