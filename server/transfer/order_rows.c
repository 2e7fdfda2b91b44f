/* From an order to its rows: whether the content is here or on its way already, which name is free, what is
 * to be fetched.
 *
 * All of it is one job of the store thread, so that two orders cannot reserve the same name; the only disk
 * access there is to look what stands under a name. */
#include "transfer/order.h"

#include <stdlib.h>
#include <string.h>

#include "base/landing.h"
#include "base/utf8.h"
#include "db/remote_file.h"
#include "transfer/update.h"
#include "transfer/web_name.h"

#define CANDIDATES_MAX 10000
#define FOLDER_PAGE    1000

/* Where name lands, whatever stands there; note as below. */
static int find_landing(const char *base, const char *to, const char *name, char landing[HP_PATH_MAX + 1],
                        char **note, hp_err_t *err)
{
    char *wanted = to != NULL ? hp_sprintf("%s/%s", to, name) : hp_strdup(name);
    hp_utf8_straighten(wanted + (to != NULL ? strlen(to) + 1 : 0));
    int rc = hp_path_check(wanted, strlen(wanted), err);
    if (rc == 0 && hp_landing_path(base, wanted, landing))
        *note = hp_download_renamed_note(wanted, landing, 1);
    free(wanted);
    return rc;
}

int hp_order_reserve_name(hp_db_t *db, const char *base, const char *to, const char *name, char **path,
                          char **note, hp_err_t *err)
{
    char landing[HP_PATH_MAX + 1];
    int rc = find_landing(base, to, name, landing, note, err);
    if (rc != 0)
        return rc;
    const char *last = hp_path_name(landing);
    for (unsigned n = 0; n < CANDIDATES_MAX; n++) {
        char candidate[HP_NAME_MAX + 1];
        hp_path_candidate(last, n, candidate);
        char *full = hp_sprintf("%.*s%s", (int)(last - landing), landing, candidate);
        bool taken = false, is_free = false;
        rc = hp_path_check(full, strlen(full), err);
        if (rc == 0)
            rc = hp_db_download_path_taken(db, base, full, &taken, err);
        if (rc == 0 && !taken)
            rc = hp_part_is_free(base, full, &is_free, err);
        if (rc == HP_E_NO_DISK) { /* it waits; when the disk is back, what stands there is not replaced */
            is_free = true;
            rc = 0;
        }
        if (rc == 0 && !taken && is_free) {
            *path = full;
            return 0;
        }
        free(full);
        if (rc != 0)
            return rc;
    }
    return hp_err_set(err, HP_E_EXISTS, "No free name for %s", name);
}

int hp_order_more_than_offered(uint64_t size, uint64_t offered, hp_err_t *err)
{
    return hp_err_set(err, HP_E_TOO_LARGE, "The file has %llu bytes, and %llu were offered",
                      (unsigned long long)size, (unsigned long long)offered);
}

/* Whether the file of a finished download stands there as it was fetched. */
static int is_as_fetched(hp_db_t *db, const hp_download_row_t *download, bool *same, hp_err_t *err)
{
    hp_download_file_row_t file;
    size_t count = 0;
    int rc = hp_db_download_file_page(db, download->id, 0, &file, 1, &count, err);
    *same = false;
    if (rc == 0 && count > 0) {
        int64_t mtime_ns;
        rc = hp_order_look(download, &file, same, &mtime_ns, err);
        hp_download_file_row_dispose(&file);
    }
    return rc;
}

/* What was kept is fetched as this order says, not as the one that was cancelled; why that failed is
 * forgotten.
 */
static int take_over(hp_db_t *db, const order_t *self, hp_err_t *err)
{
    hp_download_row_t row;
    int rc = hp_db_download_get(db, self->id, &row, err);
    if (rc != 0)
        return rc;
    row.priority = self->priority;
    row.limit_bps = self->limit_bps;
    rc = hp_db_download_update(db, &row, err);
    hp_download_row_dispose(&row);
    if (rc == 0 && self->url != NULL)
        rc = hp_db_download_set_secrets(db, self->id, self->headers, self->certificate, err);
    if (rc == 0)
        rc = hp_db_download_source_forgive(db, self->id, err);
    return rc == 0 ? hp_db_download_file_reopen(db, self->id, err) : rc;
}

/* What was kept of a cancelled download of the same goes on. */
static int find_kept(hp_db_t *db, order_t *self, const char *root, hp_err_t *err)
{
    const hp_download_row_t wanted = {.base = self->base,
                                      .order_url = self->url,
                                      .order_host = self->host,
                                      .order_path = self->folder != NULL ? self->folder : self->path,
                                      .order_root = (char *)root,
                                      .folder = self->folder != NULL};
    if (self->to != NULL) /* it is wanted at another place */
        return 0;
    int rc = hp_db_download_find_kept(db, &wanted, &self->id, err);
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? 0 : rc;
    self->resumed = true;
    rc = hp_db_download_unkeep(db, self->id, "queued", "Goes on with what was kept of it", err);
    const char *place = self->folder != NULL ? self->folder : self->path;
    if (rc == 0)
        rc = take_over(db, self, err);
    return rc == 0 && place != NULL ? hp_order_update_kept(db, self->id, self->host, place, err) : rc;
}

/* The download that has this content already or will have it; a finished one only while its file is there,
 * and has not been changed since. */
static int find_existing(hp_db_t *db, order_t *self, const char *root, int64_t size, hp_err_t *err)
{
    int64_t id = 0;
    if (self->copy)
        return 0;
    int rc = hp_db_download_find(db, root, size, self->host, self->folder != NULL ? self->folder : self->path,
                                 self->url, self->folder != NULL, &id, err);
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? find_kept(db, self, root, err) : rc;
    hp_download_row_t row;
    rc = hp_db_download_get(db, id, &row, err);
    if (rc != 0)
        return rc == HP_E_NOT_FOUND ? 0 : rc;
    bool there = true;
    if (strcmp(row.state, "done") == 0)
        rc = is_as_fetched(db, &row, &there, err);
    hp_download_row_dispose(&row);
    if (rc == 0 && !there)
        return find_kept(db, self, root, err);
    if (rc == 0) {
        self->existing = true;
        self->id = id;
    }
    return rc;
}

static int insert_download(hp_db_t *db, order_t *self, char *path, hp_err_t *err)
{
    hp_download_row_t row = {
        .base = self->base,
        .path = path,
        .folder = self->folder != NULL,
        .order_host = self->host,
        .order_path = self->folder != NULL ? self->folder : self->path,
        .order_root = self->root,
        .order_url = self->url,
        .order_headers = self->url != NULL ? self->headers : NULL,
        .order_certificate = self->url != NULL ? self->certificate : NULL,
        .state = (char *)"queued",
        .reason = (char *)"",
        .note = self->note != NULL ? self->note : (char *)"",
        .priority = self->priority,
        .limit_bps = self->limit_bps,
        .created_at = hp_clock_wall_ms(),
    };
    int rc = hp_db_download_insert(db, &row, err);
    self->id = row.id;
    return rc;
}

/* path: where a file stands that may be the one that is wanted, and that no other order holds; else NULL. If
 * it turns out to be another one, what is fetched gets a free name in the end. */
static int find_standing(hp_db_t *db, order_t *self, const char *name, const hp_remote_file_t *listed,
                         char **path, hp_err_t *err)
{
    char landing[HP_PATH_MAX + 1], *note = NULL;
    bool taken = true;
    if (self->copy || listed == NULL)
        return 0;
    int rc = find_landing(self->base, self->to, name, landing, &note, err);
    if (rc == 0 && hp_order_may_stand(self->base, landing, listed->size, listed->root))
        rc = hp_db_download_path_taken(db, self->base, landing, &taken, err);
    if (rc == 0 && !taken) {
        *path = hp_strdup(landing);
        self->note = note;
        note = NULL;
    }
    free(note);
    return rc;
}

static int add_file(hp_db_t *db, order_t *self, const char *name, const char *source_path,
                    const hp_remote_file_t *listed, hp_err_t *err)
{
    char *path = NULL;
    int rc = listed != NULL && listed->size > 0 ? hp_part_takes(self->base, (uint64_t)listed->size, err) : 0;
    if (listed != NULL && listed->size > 0 && (uint64_t)listed->size > self->most)
        rc = hp_order_more_than_offered((uint64_t)listed->size, self->most, err);
    if (rc == 0 || rc == HP_E_NO_DISK) /* then it waits */
        rc = find_standing(db, self, name, listed, &path, err);
    bool stands = path != NULL;
    if (rc == 0 && !stands)
        rc = hp_order_reserve_name(db, self->base, self->to, name, &path, &self->note, err);
    if (rc == 0)
        rc = insert_download(db, self, path, err);
    if (rc == 0)
        rc = hp_order_insert_file(db, self->id, path, source_path, listed, stands, self->never_runs, err);
    free(path);
    return rc;
}

static int insert_page(hp_db_t *db, order_t *self, const char *path, size_t skip,
                       const hp_remote_files_t *files, hp_err_t *err)
{
    for (size_t i = 0; i < files->count; i++) {
        const hp_remote_file_t *file = &files->items[i];
        char *full = hp_sprintf("%s/%s", path, file->path + skip);
        int rc = hp_path_check(full, strlen(full), err);
        bool may_stand =
            rc == 0 && self->adopts && hp_order_may_stand(self->base, full, file->size, file->root);
        if (rc == 0)
            rc = hp_order_insert_file(db, self->id, full, file->path, file, may_stand, self->never_runs, err);
        free(full);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int has_empty_folders(hp_db_t *db, const order_t *self, bool *has, hp_err_t *err)
{
    hp_remote_files_t folders;
    int rc = hp_remote_empty_below(db, self->host, self->folder, NULL, 1, &folders, err);
    *has = rc == 0 && folders.count > 0;
    hp_remote_files_dispose(&folders);
    return rc;
}

/* Where the folder lands. A folder of this name that stands there, of no other order, may be this one: then
 * path stays NULL, and some of its files are looked at before anything is recorded. */
static int choose_folder(hp_db_t *db, order_t *self, const char *name, char **path, hp_err_t *err)
{
    char landing[HP_PATH_MAX + 1], *note = NULL;
    bool is_free = true, known = true;
    int rc = self->copy ? 0 : find_landing(self->base, self->to, name, landing, &note, err);
    free(note);
    if (rc == 0 && !self->copy && hp_part_is_free(self->base, landing, &is_free, NULL) == 0 && !is_free)
        rc = hp_db_download_path_known(db, self->base, landing, &known, err);
    if (rc == 0 && !known && !self->looked) {
        hp_standing_dispose(&self->standing);
        rc = hp_standing_find(db, self->base, landing, self->host, self->folder, &self->standing, err);
        if (rc != 0 || self->standing.count > 0)
            return rc;
    }
    self->adopts = self->adopts && !known;
    if (rc == 0 && self->adopts) {
        *path = hp_strdup(landing);
        self->note = hp_strdup("It was here already: what is the same stays");
    } else if (rc == 0) {
        rc = hp_order_reserve_name(db, self->base, self->to, name, path, &self->note, err);
    }
    return rc;
}

static int add_folder(hp_db_t *db, order_t *self, hp_err_t *err)
{
    const char *host_name = "files";
    char *path = NULL, *after = NULL;
    const char *name = self->folder[0] != '\0' ? hp_path_name(self->folder) : host_name;
    size_t skip = self->folder[0] != '\0' ? strlen(self->folder) + 1 : 0;
    hp_remote_files_t files = {0};
    int rc = hp_remote_file_below(db, self->host, self->folder, NULL, FOLDER_PAGE, &files, err);
    bool listed = files.count > 0;
    if (rc == 0 && !listed)
        rc = has_empty_folders(db, self, &listed, err);
    if (rc == 0 && !listed)
        rc = hp_err_set(err, HP_E_NOT_FOUND, "The host lists no files in the folder \"%s\"", self->folder);
    if (rc == 0)
        rc = choose_folder(db, self, name, &path, err);
    if (rc == 0 && path != NULL)
        rc = insert_download(db, self, path, err);
    while (rc == 0 && path != NULL && files.count > 0) {
        rc = insert_page(db, self, path, skip, &files, err);
        free(after);
        after = hp_strdup(files.items[files.count - 1].path);
        bool last = files.count < FOLDER_PAGE;
        hp_remote_files_dispose(&files);
        files = (hp_remote_files_t){0};
        if (rc == 0 && !last)
            rc = hp_remote_file_below(db, self->host, self->folder, after, FOLDER_PAGE, &files, err);
    }
    hp_remote_files_dispose(&files);
    free(after);
    free(path);
    return rc;
}

static int add_root(hp_db_t *db, order_t *self, hp_err_t *err)
{
    hp_remote_files_t files = {0};
    int rc = hp_remote_file_by_root(db, self->root, self->size, 1, &files, err);
    if (rc == 0 && files.count == 0)
        rc = hp_err_set(err, HP_E_NOT_FOUND, "No known host has a file with this root%s",
                        self->size != HP_DB_SIZE_UNKNOWN ? " and size" : "");
    if (rc == 0)
        rc = add_file(db, self, files.items[0].name, "", &files.items[0], err);
    hp_remote_files_dispose(&files);
    return rc;
}

/* A folder that was fetched, or whatever failed. */
static int find_ended(hp_db_t *db, order_t *self, const char *path, hp_err_t *err)
{
    if (self->copy)
        return 0;
    int rc = hp_order_update(db, self->base, self->host, path, self->folder != NULL, self->to,
                             self->never_runs, &self->id, &self->updated, err);
    self->existing = rc == 0;
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

/* A finished file that no root tells of: the same place with the same size and time, or a URL whose server
 * says that nothing has changed. */
static int find_done(hp_db_t *db, order_t *self, const hp_remote_file_t *listed, hp_err_t *err)
{
    char *etag = NULL;
    bool asks = self->url != NULL && !self->unchanged;
    if (self->copy || (asks && self->asked))
        return 0;
    int rc = hp_order_find_done(db, self->host, self->path, self->url, listed, &self->id, asks ? &etag : NULL,
                                err);
    if (rc == 0 && asks)
        self->etag = etag; /* without one nobody can tell */
    else if (rc == 0)
        self->existing = true;
    else
        free(etag);
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

static int add_path(hp_db_t *db, order_t *self, hp_err_t *err)
{
    hp_remote_file_t file = {0};
    int rc = hp_remote_file_find(db, self->host, self->path, &file, err);
    bool listed = rc == 0;
    if (rc != 0 && rc != HP_E_NOT_FOUND)
        return rc;
    rc = listed && file.root[0] != '\0' ? find_existing(db, self, file.root, file.size, err) : 0;
    if (rc == 0 && !self->existing && !self->resumed && listed && file.root[0] == '\0')
        rc = find_done(db, self, &file, err);
    if (rc == 0 && !self->existing && !self->resumed)
        rc = find_ended(db, self, self->path, err);
    if (rc == 0 && !self->existing && !self->resumed)
        rc = add_file(db, self, hp_path_name(self->path), self->path, listed ? &file : NULL, err);
    if (listed)
        hp_remote_file_dispose(&file);
    return rc;
}

int hp_order_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    order_t *self = arg;
    int rc = 0;
    if (self->root != NULL && self->size == HP_DB_SIZE_UNKNOWN)
        rc = hp_remote_size_by_root(db, self->root, &self->size, err);
    if (rc == 0 || rc == HP_E_NOT_FOUND)
        rc = find_existing(db, self, self->root, self->size, err);
    if (rc == 0 && !self->existing && !self->resumed && self->folder != NULL)
        rc = find_ended(db, self, self->folder, err);
    if (rc == 0 && !self->existing && !self->resumed && self->url != NULL)
        rc = find_done(db, self, NULL, err);
    if (rc == 0 && self->etag != NULL && !self->asked)
        return 0;
    if (rc == 0 && !self->existing && !self->resumed) {
        char name[HP_NAME_MAX + 1];
        if (self->url != NULL) {
            hp_web_name_of_url(self->url, name);
            rc = add_file(db, self, name, "", NULL, err);
        } else if (self->root != NULL) {
            rc = add_root(db, self, err);
        } else if (self->folder != NULL) {
            rc = add_folder(db, self, err);
        } else {
            rc = add_path(db, self, err);
        }
    }
    if (rc == 0 && self->standing.count == 0)
        rc = hp_db_download_get(db, self->id, &self->row, err);
    return rc;
}
