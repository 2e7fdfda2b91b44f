/* Search over the lists of all hosts (remote_file.h, "pages and search"): files with one content are one
 * result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "db/remote_match.h"
#include "db/remote_pack.h"

#define SEARCH_MATCHES 2000 /* matches that a search over all hosts groups, shared among the lists */
#define SEARCH_LEAST   20   /* of one list */

enum { FILE_BY_ID, LISTS };

static const hp_sql_t sql[] = {
    [FILE_BY_ID] = {"remote_search.file_by_id",
                    "SELECT l.host, d.path, f.name, f.size, f.mtime, f.root FROM remote_file f"
                    " CROSS JOIN remote_folder d ON d.id = f.folder CROSS JOIN remote_list l ON l.id = d.list"
                    " WHERE f.id = :id"},
    [LISTS] = {"remote_search.lists", "SELECT id FROM remote_list WHERE state = 'shown' ORDER BY id"},
};
HP_SQL_LIST(remote_search, sql);

typedef struct all_search {
    hp_remote_results_t *results;
    size_t limit;
    int64_t *ids; /* of this list's matches */
    size_t id_count, id_room;
} all_search_t;

static bool on_any_match(void *arg, const hp_remote_match_t *match)
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
        rc = hp_remote_match(db, lists[i], q, false, on_any_match, &search, err);
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
