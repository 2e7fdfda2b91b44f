/* What people see of other hosts' files: pages of a host's list, and a search over the lists of all hosts.
 *
 * A page or a result is built in the store's thread, where it may take milliseconds, and shown there: `show`
 * runs on that thread, before done, and must not touch what belongs to the loop. Everything it is given is
 * valid during the call only. Calls are made on the loop; done runs there once, never inside the call. */
#ifndef HP_DISCOVERY_BROWSE_H
#define HP_DISCOVERY_BROWSE_H

#include "discovery/hosts.h"

typedef enum { HP_BROWSE_BY_NAME, HP_BROWSE_BY_SIZE, HP_BROWSE_BY_TIME } hp_browse_sort_t;

#define HP_BROWSE_PAGE_MAX 1000

typedef struct hp_browse_query {
    const char *host;
    const char *folder; /* "" or NULL: the top; with q: everything below it */
    const char *q;      /* NULL or "": the folder itself; else names that contain it, whatever the case */
    hp_browse_sort_t sort;
    bool descending;
    size_t limit;       /* 1 to HP_BROWSE_PAGE_MAX rows, folders and files together */
    const char *cursor; /* next of the page before; NULL for the first */
} hp_browse_query_t;

typedef struct hp_browse_folder {
    const char *path, *name;
    int64_t files, bytes; /* at any depth; below 0: not known */
} hp_browse_folder_t;

typedef struct hp_browse_file {
    const char *path, *name;
    int64_t size; /* below 0: not known */
    bool has_time;
    int64_t mtime;     /* wall ms */
    const char *root;  /* "" not known */
    const char *local; /* "done" or "downloading" when this host has or fetches the content; NULL */
} hp_browse_file_t;

typedef struct hp_browse_page {
    const hp_browse_folder_t *folders;
    size_t folder_count;
    const hp_browse_file_t *files;
    size_t file_count;
    const char *next;                   /* NULL at the end */
    int64_t folders_total, files_total; /* of all pages */
} hp_browse_page_t;

typedef void (*hp_browse_page_fn)(void *arg, const hp_browse_page_t *page);
typedef void (*hp_browse_done_fn)(void *arg, int status, const hp_err_t *err);

/* The query is copied. HP_E_NOT_FOUND: no list of that host, or no such folder in it; HP_E_INVALID: a bad
 * cursor or limit. */
void hp_browse_page(hp_hosts_t *hosts, const hp_browse_query_t *query, hp_browse_page_fn show,
                    hp_browse_done_fn done, void *arg);

/* A folder, or one content: files with the same root, or without one the same name and size. */
typedef struct hp_browse_copy {
    const char *host, *path;
} hp_browse_copy_t;

typedef struct hp_browse_result {
    bool is_folder;
    const char *name; /* of the first copy that was found */
    int64_t size;     /* of a folder: of all files below it; below 0: not known */
    const char *root; /* "" not known */
    const hp_browse_copy_t *copies;
    size_t copy_count;
} hp_browse_result_t;

/* Called for each result: folders first, sorted by name. */
typedef void (*hp_browse_result_fn)(void *arg, const hp_browse_result_t *result);

#define HP_BROWSE_RESULTS_MAX 5000 /* limit of a search */

/* Folders and files of all hosts whose paths contain every word of q, in any order, and whose own names
 * contain at least one of them. HP_E_INVALID: q has no word, or more than 16. *more, written before done:
 * there is more than fits the limit; it belongs to the caller. */
void hp_browse_search(hp_hosts_t *hosts, const char *q, size_t limit, bool *more, hp_browse_result_fn show,
                      hp_browse_done_fn done, void *arg);

#endif
