/* Search over the lists of all hosts (remote_file.h, "pages and search"): files with one content are one
 * result.
 *
 * The packed names of a list are read once for each word. An entry whose name holds a word is a match when
 * the other words are in its name, too, or in the path of its folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "db/remote_match.h"
#include "db/remote_pack.h"

#define SEARCH_MATCHES                                                                                       \
    2000                /* matches that a search over all hosts groups at least, shared among the lists      \
                         */
#define SEARCH_SPARE 4  /* matches for each result that may be given: several may be one content */
#define SEARCH_LEAST 20 /* of one list */

enum { FILE_BY_ID, FOLDER_BY_ID, FOLDER_PATH, LISTS };

static const hp_sql_t sql[] = {
    [FILE_BY_ID] = {"remote_search.file_by_id",
                    "SELECT l.host, d.path, f.name, f.size, f.mtime, f.root, f.executable FROM remote_file f"
                    " CROSS JOIN remote_folder d ON d.id = f.folder CROSS JOIN remote_list l ON l.id = d.list"
                    " WHERE f.id = :id"},
    [FOLDER_BY_ID] = {"remote_search.folder_by_id",
                      "SELECT l.host, d.path, d.name, d.bytes FROM remote_folder d"
                      " CROSS JOIN remote_list l ON l.id = d.list WHERE d.id = :id"},
    [FOLDER_PATH] = {"remote_search.folder_path", "SELECT path FROM remote_folder WHERE id = :id"},
    [LISTS] = {"remote_search.lists", "SELECT id FROM remote_list WHERE state = 'shown' ORDER BY id"},
};
HP_SQL_LIST(remote_search, sql);

typedef struct words {
    char text[HP_NAME_MAX + 1]; /* in lower case, each word ended by a zero byte */
    const char *items[HP_REMOTE_WORDS_MAX];
    size_t count;
} words_t;

typedef struct match {
    int64_t id;
    bool is_folder;
} match_t;

typedef struct all_search {
    hp_db_t *db;
    hp_remote_results_t *results;
    size_t limit;
    const words_t *words;
    size_t word;      /* the one that is looked for in the names now */
    int64_t list;     /* in which they are */
    match_t *matches; /* of this list */
    size_t match_count, match_room;
    int64_t folder;             /* whose path is kept; 0 none */
    char path[HP_PATH_MAX + 1]; /* of it, in lower case */
    int rc;                     /* of looking that up */
    hp_err_t *err;
} all_search_t;

static int split(const char *q, words_t *words, hp_err_t *err)
{
    size_t length = strlen(q);
    char *rest = NULL;
    words->count = 0;
    if (length > HP_NAME_MAX)
        return hp_err_set(err, HP_E_INVALID, "q has more than %d bytes", HP_NAME_MAX);
    hp_remote_fold(q, length, words->text);
    words->text[length] = '\0';
    for (char *word = strtok_r(words->text, " \t", &rest); word != NULL;
         word = strtok_r(NULL, " \t", &rest)) {
        if (words->count == HP_REMOTE_WORDS_MAX)
            return hp_err_set(err, HP_E_INVALID, "q has more than %d words", HP_REMOTE_WORDS_MAX);
        words->items[words->count++] = word;
    }
    return words->count > 0 ? 0 : hp_err_set(err, HP_E_INVALID, "q is empty");
}

/* The path of a folder of the list, in search->path. Neighbours in a list are in the same folder as a rule.
 */
static int find_path(all_search_t *search, uint32_t number)
{
    int64_t id = HP_REMOTE_ID(search->list, number);
    if (id == search->folder)
        return 0;
    HP_QUERY(q, search->db, &sql[FOLDER_PATH]);
    hp_query_bind_int(&q, ":id", id);
    int rc = hp_query_one(&q, search->err);
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? hp_err_set(search->err, HP_E_DB,
                                                 "the packed form of a list names a folder that is not there")
                                    : rc;
    const char *path = hp_query_text(&q, 0);
    size_t length = HP_MIN(strlen(path), (size_t)HP_PATH_MAX);
    hp_remote_fold(path, length, search->path);
    search->path[length] = '\0';
    search->folder = id;
    return hp_query_end(&q, search->err);
}

/* Whether the words that the name lacks are in the path of the folder. */
static bool fits(all_search_t *search, const char *name, uint32_t folder)
{
    for (size_t i = 0; i < search->words->count && search->rc == 0; i++) {
        const char *word = search->words->items[i];
        if (strstr(name, word) != NULL)
            continue;
        search->rc = find_path(search, folder);
        if (search->rc != 0 || strstr(search->path, word) == NULL)
            return false;
    }
    return search->rc == 0;
}

static bool on_any_match(void *arg, const hp_remote_match_t *match)
{
    all_search_t *search = arg;
    hp_remote_key_t key;
    for (size_t i = 0; i < search->word; i++)
        if (strstr(match->name, search->words->items[i]) != NULL)
            return true; /* seen when that word was looked for */
    hp_remote_key_get(match->key, &key);
    if (!fits(search, match->name, key.folder))
        return search->rc == 0;
    if (search->match_count == search->match_room) {
        search->results->more = true;
        return false;
    }
    search->matches[search->match_count++] = (match_t){.id = match->id, .is_folder = key.is_folder};
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
        if (!results->items[i].is_folder && same_content(&results->items[i], file)) {
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

static int group_file(all_search_t *search, int64_t id, hp_err_t *err)
{
    hp_remote_file_t file;
    HP_QUERY(q, search->db, &sql[FILE_BY_ID]);
    hp_query_bind_int(&q, ":id", id);
    int rc = hp_query_one(&q, err);
    if (rc == HP_E_NOT_FOUND)
        return hp_err_set(err, HP_E_DB, "the packed form of a list names an entry that is not there");
    if (rc != 0)
        return rc;
    hp_remote_file_from_row(&q, 0, &file);
    rc = hp_query_end(&q, err);
    if (rc == 0)
        rc = group(search->db, search, &file, err);
    hp_remote_file_dispose(&file);
    return rc;
}

/* Each folder is a result of its own: what is in it cannot be compared. */
static int add_folder(all_search_t *search, int64_t id, hp_err_t *err)
{
    hp_remote_results_t *results = search->results;
    if (results->count == search->limit) {
        results->more = true;
        return 0;
    }
    HP_QUERY(q, search->db, &sql[FOLDER_BY_ID]);
    hp_query_bind_int(&q, ":id", id);
    int rc = hp_query_one(&q, err);
    if (rc == HP_E_NOT_FOUND)
        return hp_err_set(err, HP_E_DB, "the packed form of a list names a folder that is not there");
    if (rc != 0)
        return rc;
    hp_remote_result_t *result = &results->items[results->count++];
    *result = (hp_remote_result_t){
        .is_folder = true, .name = hp_strdup(hp_query_string(&q, 2)), .size = hp_query_count(&q, 3)};
    add_copy(result, hp_query_string(&q, 0), hp_query_string(&q, 1));
    return hp_query_end(&q, err);
}

static int search_list(all_search_t *search, hp_err_t *err)
{
    int rc = 0;
    search->match_count = 0;
    search->folder = 0;
    for (search->word = 0; rc == 0 && search->word < search->words->count; search->word++) {
        rc = hp_remote_match(search->db, search->list, search->words->items[search->word], false,
                             on_any_match, search, err);
        if (rc == 0)
            rc = search->rc;
    }
    for (size_t i = 0; rc == 0 && i < search->match_count; i++) {
        const match_t *match = &search->matches[i];
        rc = match->is_folder ? add_folder(search, match->id, err) : group_file(search, match->id, err);
    }
    return rc;
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
    if (x->is_folder != y->is_folder)
        return x->is_folder ? -1 : 1;
    int order = strcasecmp(x->name, y->name);
    return order != 0 ? order : x->size < y->size ? -1 : x->size > y->size;
}

int hp_remote_search(hp_db_t *db, const char *q, size_t limit, hp_remote_results_t *results, hp_err_t *err)
{
    words_t words;
    *results = (hp_remote_results_t){0};
    if (limit < 1 || limit > HP_REMOTE_RESULTS_MAX)
        return hp_err_set(err, HP_E_INVALID, "limit is not between 1 and %d", HP_REMOTE_RESULTS_MAX);
    int rc = split(q, &words, err);
    if (rc != 0)
        return rc;
    int64_t *lists;
    size_t count;
    rc = shown_lists(db, &lists, &count, err);
    results->items = hp_alloc_array(limit, sizeof *results->items);
    all_search_t *search = hp_alloc(sizeof *search);
    *search = (all_search_t){.db = db, .results = results, .limit = limit, .words = &words, .err = err};
    size_t matches = HP_MAX((size_t)SEARCH_MATCHES, limit * SEARCH_SPARE);
    search->match_room = HP_MAX(matches / HP_MAX(count, (size_t)1), (size_t)SEARCH_LEAST);
    search->matches = hp_alloc_array(search->match_room, sizeof *search->matches);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        search->list = lists[i];
        rc = search_list(search, err);
    }
    free(search->matches);
    free(search);
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
