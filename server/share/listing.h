/* Pages of what is shared, folder by folder, for people. Loop thread. */
#ifndef HP_SHARE_LISTING_H
#define HP_SHARE_LISTING_H

#include "share/share.h"

typedef enum { HP_SHARE_BY_NAME, HP_SHARE_BY_SIZE, HP_SHARE_BY_TIME } hp_share_sort_t;

#define HP_SHARE_PAGE_MAX 1000

typedef struct hp_share_query {
    const char *folder; /* "" or NULL: the top; with q: everything below it */
    const char *q;      /* NULL: the folder itself; else names that contain it, whatever the case */
    hp_share_sort_t sort;
    bool descending;
    size_t limit;       /* 1 to HP_SHARE_PAGE_MAX entries, folders and files together */
    const char *cursor; /* next of the page before; NULL for the first */
    bool (*given_up)(
        void *arg); /* asked from time to time: whether the page is not wanted any more; or NULL */
} hp_share_query_t;

/* A file, or a folder with the sums of what is in it. Folders come before files and are sorted by name,
 * whatever the files are sorted by. */
typedef struct hp_share_entry {
    bool is_folder;
    int64_t key; /* what files are sorted by; 0 by name */
    char *path;
    uint64_t size;  /* of a folder: of all files in it */
    uint64_t files; /* of a folder */
    int64_t mtime_ns;
    char root[65]; /* "" not known */
    bool own;      /* a file that hostpair put there: it may be removed */
} hp_share_entry_t;

typedef struct hp_share_page {
    const hp_share_entry_t *entries;
    size_t count;
    const char *next;        /* cursor of the page after this one; NULL at the end */
    uint64_t files, folders; /* of all pages */
} hp_share_page_t;

/* status: 0; HP_E_INVALID (cursor, folder); HP_E_NOT_FOUND: nothing is shared in that folder; UV_ECANCELED:
 * given up. page is valid during the call, NULL unless 0. done runs once, perhaps inside the call. */
typedef void (*hp_share_page_fn)(void *arg, int status, const hp_share_page_t *page, const hp_err_t *err);
void hp_share_page(hp_share_t *share, const hp_share_query_t *query, hp_share_page_fn done, void *arg);

#endif
