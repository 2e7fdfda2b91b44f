/* The file lists of other hosts, as they were last fetched: pages of a folder, search, and where a content
 * can be had.
 *
 * A list is built in batches beside the one that is shown, and takes its place in one transaction
 * (hp_remote_import_*): a transfer that breaks never harms the old list, and what is shown is never a
 * mixture. What is no longer shown is removed in small steps (hp_remote_sweep), so that no job holds up the
 * store for long.
 *
 * Invariants
 * 1. A host has at most one shown list. Every query sees shown lists only, whether the host is online or not.
 * 2. All paths in here passed hp_path_check; they and all names are still text of strangers.
 * 3. Memory is bounded whatever the number of rows: an import keeps at most HP_REMOTE_FOLDERS_KEPT folders
 * and two sorted runs.
 * 4. A page or a search takes well under 50 ms at 1,000,000 rows: it uses an index, or reads the packed names
 * or keys (see schema/remote_file.sql), which are a few hundred megabytes a second slow at worst.
 *
 * The store's thread, like everything in db/. Results are malloced; the matching dispose frees them, on any
 * thread.
 */
#ifndef HP_DB_REMOTE_FILE_H
#define HP_DB_REMOTE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"

#define HP_REMOTE_NO_SIZE   (-1)
#define HP_REMOTE_NO_TIME   INT64_MIN
#define HP_REMOTE_HOST_SIZE 80 /* as HP_HOST_ID_SIZE */

typedef struct hp_remote_file {
    char host[HP_REMOTE_HOST_SIZE];
    char *path;       /* from the top of the host's folder */
    const char *name; /* its last segment, inside path */
    int64_t size;     /* HP_REMOTE_NO_SIZE unknown */
    int64_t mtime;    /* wall ms; HP_REMOTE_NO_TIME unknown */
    char root[65];    /* hex; "" unknown */
    bool executable;
} hp_remote_file_t;

typedef struct hp_remote_files {
    hp_remote_file_t *items;
    size_t count;
} hp_remote_files_t;
void hp_remote_file_dispose(hp_remote_file_t *file);
void hp_remote_files_dispose(hp_remote_files_t *files);

/* ---- one file, a folder, a content (what downloads need) ---- */

/* A file by host and path. 0 with file for the caller to dispose, HP_E_NOT_FOUND (err untouched), or a
 * database error. */
int hp_remote_file_find(hp_db_t *db, const char *host, const char *path, hp_remote_file_t *file,
                        hp_err_t *err);

/* Every file with this root (64 hex digits) and size, of all hosts; at most limit. HP_REMOTE_NO_SIZE: of any
 * size, which may be different contents (db/shared_file.h). None is 0 with count 0. */
int hp_remote_file_by_root(hp_db_t *db, const char *root, int64_t size, size_t limit,
                           hp_remote_files_t *files, hp_err_t *err);

/* The size of the files with this root; where lists disagree, that of most of them, and among equals the
 * largest. 0, HP_E_NOT_FOUND (err untouched) or HP_E_INVALID. */
int hp_remote_size_by_root(hp_db_t *db, const char *root, int64_t *size, hp_err_t *err);

/* The files of a folder at any depth, in a fixed order; "" is everything. after is the path of the last one
 * of the previous call, NULL at the start. At most limit; fewer means that there are no more. An unknown
 * folder gives none. */
int hp_remote_file_below(hp_db_t *db, const char *host, const char *folder, const char *after, size_t limit,
                         hp_remote_files_t *files, hp_err_t *err);

/* The folders below one, or it itself, that have nothing in them, by path; as hp_remote_file_below. Of a row
 * path and name count. */
int hp_remote_empty_below(hp_db_t *db, const char *host, const char *folder, const char *after, size_t limit,
                          hp_remote_files_t *folders, hp_err_t *err);

/* ---- pages and search (what people see) ---- */

typedef enum { HP_REMOTE_BY_NAME, HP_REMOTE_BY_SIZE, HP_REMOTE_BY_TIME } hp_remote_sort_t;

typedef struct hp_remote_query {
    const char *host;
    const char *folder; /* "" or NULL: the top; with q: everything below it */
    const char *q;      /* NULL or "": the folder itself; else names that contain it, whatever the case */
    hp_remote_sort_t sort;
    bool descending;
    size_t limit;       /* 1 to HP_REMOTE_PAGE_MAX rows, folders and files together */
    const char *cursor; /* next of the page before, NULL for the first */
} hp_remote_query_t;

#define HP_REMOTE_PAGE_MAX 1000

typedef struct hp_remote_folder {
    char *path;
    const char *name;     /* its last segment, inside path */
    int64_t files, bytes; /* at any depth */
} hp_remote_folder_t;

/* Folders come before files; they are sorted by name, whatever the files are sorted by. Names are ordered
 * without regard to ASCII case. */
typedef struct hp_remote_page {
    hp_remote_folder_t *folders;
    size_t folder_count;
    hp_remote_files_t files;
    char *next;                         /* cursor of the page after this one; NULL at the end */
    int64_t folders_total, files_total; /* of all pages */
} hp_remote_page_t;

/* 0; HP_E_NOT_FOUND: no list of that host, or no such folder in it (the words in err); HP_E_INVALID: a bad
 * cursor or limit. */
int hp_remote_page_read(hp_db_t *db, const hp_remote_query_t *query, hp_remote_page_t *page, hp_err_t *err);
void hp_remote_page_dispose(hp_remote_page_t *page);

typedef struct hp_remote_copy {
    char host[HP_REMOTE_HOST_SIZE];
    char *path;
} hp_remote_copy_t;

/* A folder, or one content: files with the same root, or without one the same name and size. */
typedef struct hp_remote_result {
    bool is_folder; /* size: of all files below it */
    char *name;     /* of the first copy that was found */
    int64_t size;
    char root[65];
    hp_remote_copy_t *copies;
    size_t copy_count;
} hp_remote_result_t;

typedef struct hp_remote_results {
    hp_remote_result_t *items;
    size_t count;
    bool more; /* there is more than fits the limit */
} hp_remote_results_t;

/* Folders and files of all hosts, sorted by name: those whose paths contain every word of q, in any order,
 * and whose own names contain at least one of them. q has 1 to HP_REMOTE_WORDS_MAX words with blanks between
 * them. At most limit results (1 to HP_REMOTE_RESULTS_MAX) with at most HP_REMOTE_COPIES_MAX copies each. */
#define HP_REMOTE_WORDS_MAX   16
#define HP_REMOTE_RESULTS_MAX 5000
#define HP_REMOTE_COPIES_MAX  256
int hp_remote_search(hp_db_t *db, const char *q, size_t limit, hp_remote_results_t *results, hp_err_t *err);
void hp_remote_results_dispose(hp_remote_results_t *results);

/* ---- lists (what discovery needs) ---- */

typedef struct hp_remote_list {
    char etag[256]; /* "" none */
    int64_t files, bytes, fetched_at;
} hp_remote_list_t;

/* The shown list of a host. 0 or HP_E_NOT_FOUND. */
int hp_remote_list_get(hp_db_t *db, const char *host, hp_remote_list_t *list, hp_err_t *err);

/* Notes that the shown list is still right (304). */
int hp_remote_list_touch(hp_db_t *db, const char *host, int64_t fetched_at, hp_err_t *err);

typedef struct hp_remote_entry {
    const char *path; /* passed hp_path_check */
    bool is_folder;   /* an empty one: it has a path alone */
    int64_t size, mtime;
    bool executable;
    bool rooted;
    uint8_t root[32];
} hp_remote_entry_t;

#define HP_REMOTE_BATCH        1000 /* entries of one add: a few milliseconds */
#define HP_REMOTE_FOLDERS_KEPT 256

#define HP_REMOTE_EMPTY_MAX 10000   /* empty folders of one list; others are left out */
#define HP_REMOTE_FILES_MAX 2000000 /* of one list, whatever the host says */

/* A list that is being built; lives in memory from begin to publish or abandon. It takes at most `most`
 * files, and names of 300 bytes a file on average: more makes add fail with HP_E_TOO_LARGE. */
typedef struct hp_remote_import hp_remote_import_t;
int hp_remote_import_begin(hp_db_t *db, const char *host, int64_t most, hp_remote_import_t **import,
                           hp_err_t *err);

/* Adds at most HP_REMOTE_BATCH entries; a path that is there already is passed over. After an error the
 * import can only be abandoned. */
int hp_remote_import_add(hp_db_t *db, hp_remote_import_t *import, const hp_remote_entry_t *entries,
                         size_t count, hp_err_t *err);

/* Does a part of what remains to be done; call it, each time in a job of its own, until *done. The last one
 * shows the list in place of the old one. The import is the caller's to abandon afterwards, which then only
 * frees it. */
int hp_remote_import_publish(hp_db_t *db, hp_remote_import_t *import, const char *etag, int64_t fetched_at,
                             bool *done, hp_err_t *err);

/* Frees the import; its rows go with the next sweep unless it was published. import may be NULL. */
int hp_remote_import_abandon(hp_db_t *db, hp_remote_import_t *import, hp_err_t *err);
int64_t hp_remote_import_files(const hp_remote_import_t *import);
int64_t hp_remote_import_bytes(const hp_remote_import_t *import);

/* Marks all lists of a host for removal. */
int hp_remote_list_forget(hp_db_t *db, const char *host, hp_err_t *err);

/* At start: lists whose building was cut off are marked for removal. */
int hp_remote_list_recover(hp_db_t *db, hp_err_t *err);

/* Removes a few thousand rows of lists marked for removal; *more while there are others. */
int hp_remote_sweep(hp_db_t *db, bool *more, hp_err_t *err);

#endif
