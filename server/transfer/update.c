/* A folder that was fetched is ordered again: what is new or another version at the host is fetched, what is
 * the same stays. A file that somebody changed here is not replaced: the host's comes beside it, under a free
 * name. One of the same size with another time is hashed before that (same.c): it may only have been copied.
 */
#include "transfer/internal.h"

#include <stdlib.h>
#include <string.h>

#include "db/remote_file.h"
#include "transfer/update.h"

#define PAGE     1000
#define SLACK_MS 2000 /* FAT keeps times to 2 s, exFAT some to a second */

bool hp_order_lets_run(const hp_remote_file_t *listed)
{
    return listed->executable && strncmp(listed->host, "addr-", strlen("addr-")) != 0;
}

int hp_order_insert_file(hp_db_t *db, int64_t download, const char *path, const char *source_path,
                         const hp_remote_file_t *listed, bool may_stand, bool never_runs, hp_err_t *err)
{
    hp_download_file_row_t row = {
        .download = download,
        .path = (char *)path,
        .source_path = (char *)source_path,
        .state = (char *)"open",
        .size = HP_DB_SIZE_UNKNOWN,
        .replaces_ns = may_stand ? HP_DB_MAY_STAND : 0,
    };
    if (listed != NULL) {
        row.size = listed->size;
        row.root = listed->root[0] != '\0' ? (char *)listed->root : NULL;
        row.mtime_ms = listed->mtime != HP_REMOTE_NO_TIME ? listed->mtime : 0;
        row.executable = !never_runs && hp_order_lets_run(listed);
    }
    return hp_db_download_file_insert(db, &row, err);
}

bool hp_order_may_stand(const char *base, const char *path, int64_t size, const char *root)
{
    uint64_t there;
    int64_t mtime_ns;
    bool known = size > 0 ? root != NULL && root[0] != '\0' : size == 0;
    return known && hp_part_look(base, path, &there, &mtime_ns, NULL) == 0 && (int64_t)there == size;
}

int hp_order_look(const hp_download_row_t *download, const hp_download_file_row_t *file, bool *same,
                  int64_t *mtime_ns, hp_err_t *err)
{
    uint64_t size;
    *same = false;
    *mtime_ns = 0;
    int rc = hp_part_look(download->base, file->path, &size, mtime_ns, err);
    if (rc == HP_E_NO_DISK) { /* nobody knows; it is not fetched a second time */
        *same = true;
        return 0;
    }
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? 0 : rc;
    int64_t mtime = *mtime_ns / 1000000;
    bool coarse = *mtime_ns % 1000000000 == 0 && llabs(mtime - file->mtime_ms) <= SLACK_MS;
    bool as_then = file->mtime_ms != 0         ? mtime == file->mtime_ms || coarse
                   : download->finished_at > 0 ? mtime <= download->finished_at
                                               : true;
    *same = as_then && file->size == (int64_t)size;
    return 0;
}

bool hp_order_is_version(const hp_download_row_t *download, const hp_download_file_row_t *file,
                         const hp_remote_file_t *listed)
{
    if (file->root != NULL && listed->root[0] != '\0')
        return strcmp(file->root, listed->root) == 0 && file->size == listed->size;
    if (file->size != listed->size)
        return false;
    if (file->mtime_ms == 0 || listed->mtime == HP_REMOTE_NO_TIME)
        return listed->mtime <= download->finished_at;
    /* One that a reply has told is of whole seconds. */
    return file->mtime_ms == listed->mtime ||
           (file->mtime_ms % 1000 == 0 && file->mtime_ms / 1000 == listed->mtime / 1000);
}

static void take_etag(void *arg, const hp_download_source_row_t *row)
{
    char **etag = arg;
    if (*etag == NULL && row->etag != NULL)
        *etag = hp_strdup(row->etag);
}

int hp_order_find_done(hp_db_t *db, const char *host, const char *path, const char *url,
                       const hp_remote_file_t *listed, int64_t *id, char **etag, hp_err_t *err)
{
    hp_download_row_t row;
    hp_download_file_row_t file;
    size_t count = 0;
    int rc = hp_db_download_find_done(db, host, path, url, id, err);
    if (rc == 0)
        rc = hp_db_download_get(db, *id, &row, err);
    if (rc != 0)
        return rc;
    bool same = false;
    int64_t mtime_ns;
    rc = hp_db_download_file_page(db, *id, 0, &file, 1, &count, err);
    if (rc == 0 && count > 0) {
        rc = hp_order_look(&row, &file, &same, &mtime_ns, err);
        same = same && (listed == NULL || hp_order_is_version(&row, &file, listed));
        if (rc == 0 && same && etag != NULL)
            rc = hp_db_download_source_each(db, file.id, take_etag, etag, err);
        hp_download_file_row_dispose(&file);
    }
    hp_download_row_dispose(&row);
    return rc == 0 && !same ? HP_E_NOT_FOUND : rc;
}

typedef struct update {
    hp_db_t *db;
    hp_download_row_t row;
    HP_ARRAY(hp_download_file_row_t) files; /* by source_path */
    int64_t fresh;                          /* files that are fetched */
    int64_t compared;                       /* files that are hashed, and fetched if they are others */
    bool never_runs;
} update_t;

static int compare_files(const void *a, const void *b)
{
    const hp_download_file_row_t *x = a, *y = b;
    return strcmp(x->source_path, y->source_path);
}

static int read_files(update_t *self, hp_err_t *err)
{
    hp_download_file_row_t *page = hp_alloc_array(PAGE, sizeof *page);
    size_t count = PAGE;
    int rc = 0;
    for (int64_t after = 0; rc == 0 && count == PAGE;) {
        rc = hp_db_download_file_page(self->db, self->row.id, after, page, PAGE, &count, err);
        for (size_t i = 0; rc == 0 && i < count; i++) {
            after = page[i].id;
            *hp_array_add(&self->files) = page[i];
        }
    }
    free(page);
    if (self->files.count > 0)
        qsort(self->files.items, self->files.count, sizeof *self->files.items, compare_files);
    return rc;
}

/* root: what is wanted; "" unknown. */
static int reopen(update_t *self, hp_download_file_row_t *file, const hp_remote_file_t *listed,
                  const char *root, int64_t replaces_ns, hp_err_t *err)
{
    hp_download_file_row_t row = *file;
    row.state = (char *)"open";
    row.error = (char *)"";
    row.size = listed->size;
    row.root = root[0] != '\0' ? (char *)root : NULL;
    row.chunk_size = 0;
    row.verified = false;
    row.part = row.boot_id = NULL;
    row.mtime_ms = listed->mtime != HP_REMOTE_NO_TIME ? listed->mtime : 0;
    row.executable = !self->never_runs && hp_order_lets_run(listed);
    row.replaces_ns = replaces_ns;
    int rc = hp_db_chunk_clear(self->db, row.id, err);
    if (rc == 0 && file->part != NULL)
        rc = hp_db_download_left_add(self->db, row.id, file->part, file->device, file->inode, err);
    if (rc == 0)
        rc = hp_db_download_source_clear(self->db, row.id, err);
    *(replaces_ns == HP_DB_MAY_STAND ? &self->compared : &self->fresh) += 1;
    return rc == 0 ? hp_db_download_file_update(self->db, &row, err) : rc;
}

/* Goes on with what is there of it, unless the host has another version now. One that is finishing is whole.
 */
static int take_unfinished(update_t *self, hp_download_file_row_t *file, const hp_remote_file_t *listed,
                           hp_err_t *err)
{
    if (strcmp(file->state, "finishing") == 0 || hp_order_is_version(&self->row, file, listed))
        return 0;
    return reopen(self, file, listed, listed->root, 0, err);
}

static int take(update_t *self, const hp_remote_file_t *listed, size_t skip, hp_err_t *err)
{
    hp_download_file_row_t key = {.source_path = listed->path};
    hp_download_file_row_t *file =
        self->files.count > 0 ? bsearch(&key, self->files.items, self->files.count, sizeof key, compare_files)
                              : NULL;
    if (file == NULL && !self->row.folder) /* it was ordered from another place */
        return 0;
    if (file == NULL) {
        char *path = hp_sprintf("%s/%s", self->row.path, listed->path + skip);
        int rc = hp_path_check(path, strlen(path), err);
        bool may_stand = rc == 0 && hp_order_may_stand(self->row.base, path, listed->size, listed->root);
        if (rc == 0)
            rc = hp_order_insert_file(self->db, self->row.id, path, listed->path, listed, may_stand,
                                      self->never_runs, err);
        *(may_stand ? &self->compared : &self->fresh) += 1;
        free(path);
        return rc;
    }
    if (strcmp(file->state, "done") != 0)
        return take_unfinished(self, file, listed, err);
    bool same;
    int64_t mtime_ns;
    int rc = hp_order_look(&self->row, file, &same, &mtime_ns, err);
    bool is_version = hp_order_is_version(&self->row, file, listed);
    if (rc != 0 || (same && is_version))
        return rc;
    const char *root =
        listed->root[0] == '\0' && is_version && file->root != NULL ? file->root : listed->root;
    if (!same && hp_order_may_stand(self->row.base, file->path, listed->size, root))
        return reopen(self, file, listed, root, HP_DB_MAY_STAND, err);
    return reopen(self, file, listed, listed->root, same ? mtime_ns : 0, err);
}

static int take_list(update_t *self, const char *host, const char *folder, hp_err_t *err)
{
    size_t skip = folder[0] != '\0' ? strlen(folder) + 1 : 0;
    char *after = NULL;
    int rc;
    size_t count;
    do {
        hp_remote_files_t files = {0};
        rc = hp_remote_file_below(self->db, host, folder, after, PAGE, &files, err);
        count = files.count;
        for (size_t i = 0; rc == 0 && i < count; i++)
            rc = take(self, &files.items[i], skip, err);
        free(after);
        after = rc == 0 && count > 0 ? hp_strdup(files.items[count - 1].path) : NULL;
        hp_remote_files_dispose(&files);
    } while (rc == 0 && count == PAGE);
    free(after);
    return rc;
}

/* A single file, which nobody may list. */
static int take_one(update_t *self, const char *host, const char *path, hp_err_t *err)
{
    hp_remote_file_t listed = {0};
    int rc = hp_remote_file_find(self->db, host, path, &listed, err);
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? 0 : rc;
    if (self->files.count == 1)
        rc = take(self, &listed, 0, err);
    hp_remote_file_dispose(&listed);
    return rc;
}

/* What the host lists now goes into the rows of the download. */
static int take_listed(update_t *self, const char *host, const char *path, hp_err_t *err)
{
    int rc = read_files(self, err);
    if (rc == 0)
        rc = self->row.folder ? take_list(self, host, path, err) : take_one(self, host, path, err);
    return rc;
}

static void dispose(update_t *self)
{
    for (size_t i = 0; i < self->files.count; i++)
        hp_download_file_row_dispose(&self->files.items[i]);
    hp_array_dispose(&self->files);
    hp_download_row_dispose(&self->row);
}

/* Whether it landed where this order wants it, and is still there. What failed may never have been. */
static bool is_wanted_there(const hp_download_row_t *row, const char *base, const char *to)
{
    size_t length = (size_t)(hp_path_name(row->path) - row->path);
    bool is_free = true;
    if (strcmp(row->base, base) != 0 || strlen(to) != (length > 0 ? length - 1 : 0) ||
        strncmp(row->path, to, strlen(to)) != 0)
        return false;
    if (strcmp(row->state, "failed") == 0)
        return true;
    int rc = hp_part_is_free(base, row->path, &is_free, NULL);
    return rc == 0 && !is_free;
}

static char *make_note(const update_t *self, int64_t folders)
{
    long long fresh = (long long)self->fresh, compared = (long long)self->compared;
    if (fresh > 0 && compared > 0)
        return hp_sprintf("Ordered again: %lld files were new or had changed; %lld of them have another time "
                          "here, and are compared first",
                          fresh + compared, compared);
    if (compared > 0)
        return hp_sprintf("Ordered again: %lld files have another time here, and are compared", compared);
    if (fresh > 0)
        return hp_sprintf("Ordered again: %lld files were new or had changed", fresh);
    return hp_sprintf("Ordered again: %lld empty folders were not there", (long long)folders);
}

int hp_order_update(hp_db_t *db, const char *base, const char *host, const char *path, bool folder,
                    const char *to, bool never_runs, int64_t *id, bool *updated, hp_err_t *err)
{
    update_t self = {.db = db, .never_runs = never_runs};
    int rc = hp_db_download_find_ended(db, host, path, folder, id, err);
    if (rc == 0)
        rc = hp_db_download_get(db, *id, &self.row, err);
    if (rc != 0)
        return rc;
    bool failed = strcmp(self.row.state, "failed") == 0;
    rc = is_wanted_there(&self.row, base, to != NULL ? to : "") ? take_listed(&self, host, path, err)
                                                                : HP_E_NOT_FOUND;
    int64_t folders = 0;
    if (rc == 0 && folder)
        rc = hp_order_count_missing_folders(db, &self.row, &folders, err);
    bool fresh = self.fresh > 0 || self.compared > 0 || folders > 0;
    *updated = rc == 0 && (failed || fresh);
    if (*updated && fresh) {
        free(self.row.note);
        self.row.note = make_note(&self, folders);
    }
    if (*updated && !failed) { /* one that failed is tried again on the loop */
        free(self.row.state);
        self.row.state = hp_strdup("queued");
        self.row.finished_at = 0;
    }
    if (*updated)
        rc = hp_db_download_update(db, &self.row, err);
    dispose(&self);
    return rc;
}

int hp_order_update_kept(hp_db_t *db, int64_t id, const char *host, const char *path, hp_err_t *err)
{
    update_t self = {.db = db};
    int rc = hp_db_download_get(db, id, &self.row, err);
    if (rc != 0)
        return rc;
    rc = take_listed(&self, host, path, err);
    if (rc == 0)
        rc = hp_db_download_file_reopen(db, id, err);
    if (rc == 0)
        rc = hp_db_download_source_forgive(db, id, err);
    dispose(&self);
    return rc;
}

void hp_download_update(hp_transfer_t *transfer, const hp_download_row_t *row)
{
    download_t *self = hp_transfer_find(transfer, row->id);
    bool failed = strcmp(row->state, "failed") == 0;
    if (self == NULL && !failed) {
        transfer->counts[HP_DOWNLOAD_DONE]--; /* it is counted anew as it is taken up */
        return;
    }
    if (self == NULL) {
        self = hp_download_from_row(transfer, row);
    } else {
        self->sums_stale |= self->items != NULL; /* of a run that has not gone yet */
        hp_download_row_dispose(&self->row);
        hp_download_copy_row(row, &self->row);
    }
    if (failed)
        hp_transfer_retry(transfer, row->id, NULL, NULL);
    else
        hp_download_set_state(self, HP_DOWNLOAD_QUEUED, "", 0, "");
}
