/* GET /api/v1/share/files: what this host offers, as pages of a folder.
 *
 * The index knows paths, not folders, and has them in byte order. So a page is made by one pass over the rows
 * below the folder, which adds up the folders as it meets them (all that is below one stands together) and
 * keeps the rows that come first after the cursor. The pass is cut into jobs of STEP_ROWS rows, so that it
 * never holds up the store for long. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/internal.h"
#include "base/mem.h"
#include "db/shared_file.h"

#define STEP_ROWS    4000 /* of one job: some milliseconds */
#define PAGE_DEFAULT 200
#define PAGE_MAX     1000

typedef enum { BY_NAME, BY_SIZE, BY_TIME } sort_t;

/* A row of the page: a file, or a folder with the sums of what is in it. */
typedef struct {
    bool is_folder;
    int64_t key; /* what files are sorted by; 0 by name */
    char *path;
    uint64_t size;  /* of a folder: of all files in it */
    uint64_t files; /* of a folder */
    int64_t mtime_ms;
    char root[65];
} row_t;

/* A folder that the pass is in: the first `length` bytes of the present path. */
typedef struct {
    size_t length;
    uint64_t files, bytes;
} open_folder_t;

typedef struct {
    hp_api_op_t op;
    char *folder, *q; /* folder with its slash, "" for the top; q NULL: no filter */
    sort_t sort;
    bool descending;
    size_t limit;
    row_t *cursor; /* NULL: from the start */

    char *after;                /* where the next job goes on; NULL at the start */
    char path[HP_PATH_MAX + 1]; /* of the last row, for its folders */
    open_folder_t *open;
    size_t open_count, open_room;
    bool done, any;
    uint64_t files, folders; /* of all pages */
    row_t *rows;             /* the first ones after the cursor: room for twice a page */
    size_t count;
} list_op_t;

static void row_dispose(row_t *row)
{
    free(row->path);
}

static void list_destroy(list_op_t *list)
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
    hp_api_op_destroy(list);
}

/* ---- the order of a page ---- */

static int compare(const list_op_t *list, const row_t *a, const row_t *b)
{
    if (a->is_folder != b->is_folder)
        return a->is_folder ? -1 : 1;
    /* Folders are sorted by name, whatever the files are sorted by. */
    bool down = list->descending && (!a->is_folder || list->sort == BY_NAME);
    int order = a->key < b->key ? -1 : a->key > b->key;
    if (order == 0)
        order = strcasecmp(hp_path_name(a->path), hp_path_name(b->path));
    if (order == 0)
        order = strcmp(a->path, b->path);
    return down ? -order : order;
}

static int compare_rows(const void *a, const void *b, void *arg)
{
    return compare(arg, a, b);
}

/* Sorts the rows and keeps those of this page and the first one of the next. */
static void shrink(list_op_t *list)
{
    qsort_r(list->rows, list->count, sizeof *list->rows, compare_rows, list);
    while (list->count > list->limit + 1)
        row_dispose(&list->rows[--list->count]);
}

/* Takes the row's path. */
static void offer(list_op_t *list, row_t row)
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

static bool matches(const list_op_t *list, const char *name, size_t length)
{
    char text[HP_NAME_MAX + 1];
    if (list->q == NULL)
        return true;
    snprintf(text, sizeof text, "%.*s", (int)length, name);
    return strcasestr(text, list->q) != NULL;
}

static void close_folder(list_op_t *list)
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

static void open_folders(list_op_t *list, const char *path, size_t from)
{
    for (const char *slash = strchr(path + from, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        if (list->open_count == list->open_room) {
            list->open_room = HP_MAX(list->open_room * 2, (size_t)16);
            list->open = hp_realloc(list->open, list->open_room * sizeof *list->open);
        }
        list->open[list->open_count++] = (open_folder_t){.length = (size_t)(slash - path)};
    }
}

static void add_file(list_op_t *list, const hp_shared_row_t *row)
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
    row_t file = {
        .path = hp_strdup(path), .size = row->identity.size, .mtime_ms = row->identity.mtime_ns / 1000000};
    file.key = list->sort == BY_SIZE ? (int64_t)file.size : list->sort == BY_TIME ? file.mtime_ms : 0;
    if (row->rooted)
        hp_hex_encode(row->root, sizeof row->root, file.root);
    offer(list, file);
}

static void finish_pass(list_op_t *list)
{
    while (list->open_count > 0)
        close_folder(list);
    shrink(list);
    list->done = true;
}

/* Store thread. */
static int pass_step(hp_db_t *db, void *arg, hp_err_t *err)
{
    list_op_t *list = arg;
    hp_shared_rows_t rows;
    int rc = hp_shared_page(db, list->after, STEP_ROWS, &rows, err);
    if (rc != 0)
        return rc;
    size_t length = strlen(list->folder), i = 0;
    for (; i < rows.count && strncmp(rows.items[i].path, list->folder, length) == 0; i++) {
        add_file(list, &rows.items[i]);
        list->any = true;
    }
    if (i < rows.count || rows.count < STEP_ROWS) {
        finish_pass(list);
    } else {
        free(list->after);
        list->after = hp_strdup(rows.items[rows.count - 1].path);
    }
    hp_shared_rows_dispose(&rows);
    return 0;
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
        return hp_err_set(err, HP_E_INVALID, "cursor: is not one that a page gave");
    *cursor = hp_alloc(sizeof **cursor);
    **cursor = (row_t){.is_folder = kind == 'd', .key = key, .path = hp_strdup(path)};
    return 0;
}

/* ---- the reply ---- */

static json_t *folder_json(const row_t *row, bool with_path)
{
    json_t *json = json_object();
    json_object_set_new(json, "name", hp_json_text(hp_path_name(row->path)));
    if (with_path)
        json_object_set_new(json, "path", hp_json_text(row->path));
    json_object_set_new(json, "files", hp_json_count(row->files));
    json_object_set_new(json, "bytes", hp_json_count(row->size));
    return json;
}

static json_t *file_json(const row_t *row)
{
    json_t *json = json_object();
    json_object_set_new(json, "path", hp_json_text(row->path));
    json_object_set_new(json, "name", hp_json_text(hp_path_name(row->path)));
    json_object_set_new(json, "size", hp_json_count(row->size));
    json_object_set_new(json, "mtime", hp_json_time(row->mtime_ms));
    json_object_set_new(json, "type", json_string(hp_path_media_type(row->path)));
    json_object_set_new(json, "root", hp_json_text_or_null(row->root));
    json_object_set_new(json, "local", json_null());
    return json;
}

static void reply_page(list_op_t *list)
{
    json_t *json = json_object(), *folders = json_array(), *files = json_array();
    size_t count = HP_MIN(list->count, list->limit);
    for (size_t i = 0; i < count; i++) {
        const row_t *row = &list->rows[i];
        json_array_append_new(row->is_folder ? folders : files,
                              row->is_folder ? folder_json(row, list->q != NULL) : file_json(row));
    }
    char *next = list->count > count ? cursor_write(&list->rows[count - 1]) : NULL;
    json_object_set_new(json, "folders", folders);
    json_object_set_new(json, "files", files);
    json_object_set_new(json, "next", hp_json_text_or_null(next));
    json_object_set_new(json, "total", hp_json_count(list->files));
    json_object_set_new(json, "folders_total", hp_json_count(list->folders));
    free(next);
    hp_http_reply_json(list->op.request, 200, json);
}

static void on_step(void *arg, int status, const hp_err_t *err)
{
    list_op_t *list = arg;
    if (status == 0 && !list->done && !hp_api_is_closing(list->op.api) && !hp_http_gone(list->op.request)) {
        hp_store_post(list->op.api->deps.store, HP_STORE_READ, pass_step, on_step, list);
        return;
    }
    hp_err_t missing;
    if (status == 0 && list->done && !list->any && list->folder[0] != '\0') {
        status = hp_err_set(&missing, HP_E_NOT_FOUND, "nothing is shared in %.*s",
                            (int)strlen(list->folder) - 1, list->folder);
        err = &missing;
    }
    if (status == 0 && list->done)
        reply_page(list);
    else
        hp_http_reply_problem(list->op.request, status != 0 ? status : HP_E_BUSY, err);
    list_destroy(list);
}

static int read_query(hp_http_request_t *request, list_op_t *list, hp_err_t *err)
{
    static const char *const sorts[] = {"name", "size", "mtime", NULL}, *const orders[] = {"asc", "desc",
                                                                                           NULL};
    int sort = BY_NAME, order = 0;
    int64_t limit = PAGE_DEFAULT;
    const char *folder = NULL, *q = NULL, *cursor = NULL;
    int rc = hp_param_get_word(request, "sort", sorts, &sort, err);
    if (rc == 0)
        rc = hp_param_get_word(request, "order", orders, &order, err);
    if (rc == 0)
        rc = hp_param_get_int(request, "limit", 1, PAGE_MAX, &limit, err);
    if (rc == 0)
        rc = hp_param_get_text(request, "folder", &folder, err);
    if (rc == 0)
        rc = hp_param_get_text(request, "q", &q, err);
    if (rc == 0)
        rc = hp_param_get_text(request, "cursor", &cursor, err);
    if (rc == 0 && cursor != NULL)
        rc = cursor_read(cursor, &list->cursor, err);
    if (rc == 0 && folder != NULL && folder[0] != '\0' &&
        (rc = hp_path_check(folder, strlen(folder), err)) != 0)
        hp_err_prefix(err, "folder: ");
    if (rc != 0)
        return rc;
    list->folder = folder != NULL ? hp_sprintf("%s/", folder) : hp_strdup("");
    list->after = hp_strdup(list->folder);
    list->q = q != NULL ? hp_strdup(q) : NULL;
    list->sort = (sort_t)sort;
    list->descending = order == 1;
    list->limit = (size_t)limit;
    list->rows = hp_alloc_array(2 * (list->limit + 1), sizeof *list->rows);
    return 0;
}

void hp_api_get_share_files(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_err_t err = {0};
    list_op_t *list = hp_api_op_create(sizeof *list, api, request);
    int rc = read_query(request, list, &err);
    if (rc == 0) {
        hp_store_post(api->deps.store, HP_STORE_READ, pass_step, on_step, list);
        return;
    }
    hp_http_reply_problem(request, rc, &err);
    list_destroy(list);
}
