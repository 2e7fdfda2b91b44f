/* Fetching the file list of one host: GET /list, line by line into the store as one import
 * (db/remote_file.h), which replaces the old list only when the whole reply arrived. Loop thread; the parsing
 * is pure.
 *
 * Memory is bounded whatever the length of the list: at most HP_FILE_LIST_JOBS batches wait for the store,
 * then the socket is not read. */
#ifndef HP_DISCOVERY_FILE_LIST_H
#define HP_DISCOVERY_FILE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/remote_file.h"
#include "fetch/fetch.h"
#include "store/store.h"

#define HP_FILE_LIST_LINE_MAX ((size_t)32 * 1024)
#define HP_FILE_LIST_JOBS     2

/* One line of application/x-ndjson, without its end. The path is copied to path (HP_PATH_MAX + 1 bytes), to
 * which entry->path then points. 0, or HP_E_INVALID for a line that is passed over. */
int hp_file_list_parse_json(const char *line, size_t length, char *path, hp_remote_entry_t *entry,
                            hp_err_t *err);

/* One line of text/plain: a name directly in the folder. */
int hp_file_list_parse_text(const char *line, size_t length, char *path, hp_remote_entry_t *entry,
                            hp_err_t *err);

typedef struct hp_file_list_result {
    bool unchanged; /* 304: the stored list is still right */
    int64_t files, bytes;
    uint64_t bad_lines; /* passed over */
    uint64_t unhashed;  /* files that are not empty and have no root; of a new list */
    char tag[256];      /* the strong ETag of the list that is stored now, without its quotes; "" none */
} hp_file_list_result_t;

typedef struct hp_file_list hp_file_list_t;

/* done runs once, never inside the call, when nothing of it is left in the store's queue. */
typedef void (*hp_file_list_fn)(void *arg, int status, const hp_file_list_result_t *result,
                                const hp_err_t *err);

/* host: its id; offered: how many files it says it offers, negative unknown: a list with far more of them is
 * given up with HP_E_TOO_LARGE, so that no host fills the disk; force: without If-None-Match. */
hp_file_list_t *hp_file_list_start(hp_store_t *store, hp_fetcher_t *fetcher, const char *host,
                                   const hp_endpoint_t *endpoint, int64_t offered, bool force,
                                   hp_file_list_fn done, void *arg);

/* The same of a list that is here already, as text in JSON lines, which is freed. It is kept without a
 * validator, so that the host is asked for its list when it is there. where: for the log. */
hp_file_list_t *hp_file_list_take(hp_store_t *store, const char *host, const char *where, char *text,
                                  size_t length, hp_file_list_fn done, void *arg);

/* done runs with UV_ECANCELED. Nothing is added to the store from now on but the end of the import. */
void hp_file_list_cancel(hp_file_list_t *list);

#endif
