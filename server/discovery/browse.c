#include "discovery/browse.h"

#include <stdlib.h>

#include "base/mem.h"
#include "db/download.h"
#include "db/remote_file.h"
#include "discovery/internal.h"

typedef struct {
    char *host, *folder, *q, *cursor;
    hp_remote_query_t query; /* its texts are the ones above */
    hp_browse_page_fn show_page;
    size_t limit;
    bool *more;
    hp_browse_result_fn show_result;
    hp_browse_done_fn done;
    void *arg;
} browse_t;

static char *copy(const char *text)
{
    return text != NULL ? hp_strdup(text) : NULL;
}

static browse_t *create(hp_browse_done_fn done, void *arg)
{
    browse_t *self = hp_alloc(sizeof *self);
    self->done = done;
    self->arg = arg;
    return self;
}

static void on_done(void *arg, int status, const hp_err_t *err)
{
    browse_t *self = arg;
    self->done(self->arg, status, err);
    free(self->host);
    free(self->folder);
    free(self->q);
    free(self->cursor);
    free(self);
}

/* ---- pages, in the store's thread ---- */

static int fill_files(hp_db_t *db, const hp_remote_files_t *rows, hp_browse_file_t *files, hp_err_t *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < rows->count; i++) {
        const hp_remote_file_t *row = &rows->items[i];
        files[i] = (hp_browse_file_t){.path = row->path,
                                      .name = row->name,
                                      .size = row->size,
                                      .has_time = row->mtime != HP_REMOTE_NO_TIME,
                                      .mtime = row->mtime,
                                      .root = row->root};
        rc = hp_db_download_local(db, row->root[0] != '\0' ? row->root : NULL, row->size, row->host,
                                  row->path, &files[i].local, err);
    }
    return rc;
}

static int read_page(hp_db_t *db, void *arg, hp_err_t *err)
{
    browse_t *self = arg;
    hp_remote_page_t page;
    int rc = hp_remote_page_read(db, &self->query, &page, err);
    if (rc != 0)
        return rc;
    hp_browse_folder_t *folders = hp_alloc_array(page.folder_count, sizeof *folders);
    hp_browse_file_t *files = hp_alloc_array(page.files.count, sizeof *files);
    for (size_t i = 0; i < page.folder_count; i++)
        folders[i] = (hp_browse_folder_t){.path = page.folders[i].path,
                                          .name = page.folders[i].name,
                                          .files = page.folders[i].files,
                                          .bytes = page.folders[i].bytes};
    rc = fill_files(db, &page.files, files, err);
    if (rc == 0)
        self->show_page(self->arg, &(hp_browse_page_t){.folders = folders,
                                                       .folder_count = page.folder_count,
                                                       .files = files,
                                                       .file_count = page.files.count,
                                                       .next = page.next,
                                                       .folders_total = page.folders_total,
                                                       .files_total = page.files_total});
    free(folders);
    free(files);
    hp_remote_page_dispose(&page);
    return rc;
}

void hp_browse_page(hp_hosts_t *hosts, const hp_browse_query_t *query, hp_browse_page_fn show,
                    hp_browse_done_fn done, void *arg)
{
    static const hp_remote_sort_t sorts[] = {[HP_BROWSE_BY_NAME] = HP_REMOTE_BY_NAME,
                                             [HP_BROWSE_BY_SIZE] = HP_REMOTE_BY_SIZE,
                                             [HP_BROWSE_BY_TIME] = HP_REMOTE_BY_TIME};
    browse_t *self = create(done, arg);
    self->show_page = show;
    self->host = copy(query->host);
    self->folder = copy(query->folder);
    self->q = copy(query->q);
    self->cursor = copy(query->cursor);
    self->query = (hp_remote_query_t){.host = self->host,
                                      .folder = self->folder,
                                      .q = self->q,
                                      .sort = sorts[query->sort],
                                      .descending = query->descending,
                                      .limit = query->limit,
                                      .cursor = self->cursor};
    hp_store_post_counted(hosts->store, &hosts->pending, HP_STORE_READ, read_page, on_done, self);
}

/* ---- search, in the store's thread ---- */

static void show_result(browse_t *self, const hp_remote_result_t *row)
{
    hp_browse_copy_t *copies = hp_alloc_array(row->copy_count, sizeof *copies);
    for (size_t i = 0; i < row->copy_count; i++)
        copies[i] = (hp_browse_copy_t){.host = row->copies[i].host, .path = row->copies[i].path};
    self->show_result(self->arg, &(hp_browse_result_t){.is_folder = row->is_folder,
                                                       .name = row->name,
                                                       .size = row->size,
                                                       .root = row->root,
                                                       .copies = copies,
                                                       .copy_count = row->copy_count});
    free(copies);
}

static int search(hp_db_t *db, void *arg, hp_err_t *err)
{
    browse_t *self = arg;
    hp_remote_results_t results;
    int rc = hp_remote_search(db, self->q, self->limit, &results, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < results.count; i++)
        show_result(self, &results.items[i]);
    *self->more = results.more;
    hp_remote_results_dispose(&results);
    return 0;
}

void hp_browse_search(hp_hosts_t *hosts, const char *q, size_t limit, bool *more, hp_browse_result_fn show,
                      hp_browse_done_fn done, void *arg)
{
    browse_t *self = create(done, arg);
    self->q = hp_strdup(q);
    self->limit = limit;
    self->more = more;
    self->show_result = show;
    hp_store_post_counted(hosts->store, &hosts->pending, HP_STORE_READ, search, on_done, self);
}
