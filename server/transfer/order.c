/* From what a person ordered to a committed download: the content is looked up, the name reserved, the rows
 * written.
 *
 * All of it is one job of the store thread, so that two orders cannot reserve the same name; the only disk
 * access there is to look whether a name is free. */
#include "transfer/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/landing.h"
#include "base/utf8.h"
#include "db/remote_file.h"
#include "transfer/standing.h"
#include "transfer/update.h"
#include "transfer/url_order.h"
#include "transfer/web_name.h"

#define CANDIDATES_MAX 10000
#define FOLDER_PAGE    1000
#define UNCHANGED_MS   5000 /* a server is not waited for longer that is asked whether a file is the same */

typedef struct order {
    hp_transfer_t *transfer;
    hp_download_fn done;
    void *arg;
    char *host, *path, *folder, *root, *url, *to;
    char *base;
    char *headers, *certificate;
    char *note;   /* that the name is another one; NULL */
    int64_t size; /* of the content that root names; HP_DB_SIZE_UNKNOWN */
    int priority;
    int64_t limit_bps;
    bool copy; /* another one, whatever is there */
    bool given, never_runs;
    uint64_t most; /* bytes of a file; UINT64_MAX: any number */
    bool existing;
    bool resumed;           /* one that was cancelled and kept goes on */
    bool updated;           /* the existing one was done, and goes on with what is new at the host */
    hp_standing_t standing; /* what has to be looked at first, where the folder is to land */
    bool looked;            /* that was done */
    bool adopts;            /* the folder that stands there is taken for this one */
    char *etag;     /* of what was fetched from the URL: whether it is still that is asked first; NULL */
    bool asked;     /* that was done */
    bool unchanged; /* it is */
    int64_t id;
    hp_download_row_t row; /* read back */
} order_t;

static void order_free(order_t *self)
{
    char *texts[] = {self->host, self->path, self->folder,  self->root,        self->url, self->to,
                     self->base, self->note, self->headers, self->certificate, self->etag};
    for (size_t i = 0; i < HP_COUNT(texts); i++)
        free(texts[i]);
    hp_download_row_dispose(&self->row);
    hp_standing_dispose(&self->standing);
    free(self);
}

/* ---- store thread ---- */

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

static int work_order(hp_db_t *db, void *arg, hp_err_t *err)
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

/* ---- loop ---- */

static int parse_state(const char *name, hp_download_state_t *state)
{
    for (int i = HP_DOWNLOAD_QUEUED; i <= HP_DOWNLOAD_CANCELLED; i++)
        if (strcmp(name, hp_download_state_name((hp_download_state_t)i)) == 0) {
            *state = (hp_download_state_t)i;
            return 0;
        }
    return HP_E_INVALID;
}

static char *copy(const char *text)
{
    return text != NULL ? hp_strdup(text) : NULL;
}

void hp_download_copy_row(const hp_download_row_t *from, hp_download_row_t *to)
{
    *to = *from;
    char **texts[] = {
        &to->base,      &to->path,          &to->order_host,       &to->order_path,   &to->order_root,
        &to->order_url, &to->state,         &to->reason,           &to->error_detail, &to->root,
        &to->note,      &to->order_headers, &to->order_certificate};
    for (size_t i = 0; i < HP_COUNT(texts); i++)
        *texts[i] = copy(*texts[i]);
}

download_t *hp_download_make(hp_transfer_t *transfer, const hp_download_row_t *row)
{
    download_t *self = hp_alloc(sizeof *self);
    self->transfer = transfer;
    hp_download_copy_row(row, &self->row);
    self->name = hp_strdup(hp_path_name(row->path));
    self->header_lines = hp_url_split_headers(row->order_headers);
    if (parse_state(row->state, &self->state) != 0)
        self->state = HP_DOWNLOAD_PAUSED;
    /* What ran when the process ended goes on by itself. */
    if (hp_download_is_running(self))
        self->state = HP_DOWNLOAD_QUEUED;
    hp_bucket_set(&self->bucket, (uint64_t)row->limit_bps);
    return self;
}

download_t *hp_download_from_row(hp_transfer_t *transfer, const hp_download_row_t *row)
{
    download_t *self = hp_download_make(transfer, row);
    download_t **link = &transfer->downloads; /* newest first */
    while (*link != NULL && (*link)->row.id > row->id)
        link = &(*link)->next;
    self->next = *link;
    *link = self;
    transfer->count++;
    transfer->cursor = NULL;
    if (!hp_download_has_ended(self))
        transfer->counts[self->state]++; /* ended ones are counted already */
    hp_transfer_activate(transfer, self);
    return self;
}

bool hp_transfer_is_being_removed(const hp_transfer_t *transfer, int64_t id)
{
    for (const download_t *d = transfer->downloads; d != NULL; d = d->next)
        if (d->row.id == id)
            return d->removing;
    return false;
}

static void post_order(order_t *self);

static void on_asked(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err)
{
    order_t *self = arg;
    hp_transfer_t *transfer = self->transfer;
    (void)err; /* what nobody can tell is fetched */
    self->unchanged =
        status == 0 && (reply->head.status == 304 || (reply->head.status == 200 && reply->head.etag_strong &&
                                                      strcmp(reply->head.etag, self->etag) == 0));
    post_order(self);
    hp_pending_drop(&transfer->pending);
}

/* Whether the file at the URL is still the one that was fetched. */
static void ask_whether_unchanged(order_t *self)
{
    hp_transfer_t *transfer = self->transfer;
    const char **headers = hp_url_split_headers(self->headers);
    const hp_fetch_options_t options = {.method = "HEAD",
                                        .url = self->url,
                                        .headers = headers,
                                        .certificate = self->certificate,
                                        .if_none_match = self->etag,
                                        .body_max = 1,
                                        .total_ms = UNCHANGED_MS};
    self->asked = true;
    hp_pending_add(&transfer->pending);
    hp_fetch_get(transfer->fetcher, &options, on_asked, self);
    free(headers);
}

static void on_looked(void *arg, int status, bool same, const hp_err_t *err)
{
    order_t *self = arg;
    hp_transfer_t *transfer = self->transfer;
    if (status == 0) {
        self->looked = true;
        self->adopts = same;
        post_order(self);
        return;
    }
    hp_err_t stops = {0};
    if (status == UV_ECANCELED)
        hp_err_set(&stops, status, "hostpair is stopping");
    if (self->done != NULL)
        self->done(self->arg, status, 0, false, status == UV_ECANCELED ? &stops : err);
    order_free(self);
    hp_transfer_wake(transfer);
}

static void on_ordered(void *arg, int status, const hp_err_t *err)
{
    order_t *self = arg;
    hp_transfer_t *transfer = self->transfer;
    if (status == 0 && self->standing.count > 0) {
        hp_standing_look(transfer, self->base, &self->standing, on_looked, self);
        return;
    }
    if (status == 0 && self->etag != NULL && !self->asked) {
        ask_whether_unchanged(self);
        return;
    }
    if (status == 0 && self->existing && !transfer->stopping &&
        hp_transfer_is_being_removed(transfer, self->id)) {
        /* What was found goes: asked again, until it has gone. */
        self->existing = false;
        hp_download_row_dispose(&self->row);
        post_order(self);
        return;
    }
    if (status == 0 && self->updated)
        hp_download_update(transfer, &self->row);
    if (status == 0 && hp_transfer_find(transfer, self->id) == NULL) {
        download_t *download = hp_download_from_row(transfer, &self->row);
        if (!self->existing)
            hp_log(HP_LOG_INFO, "download %lld (%s): ordered", (long long)self->id, download->name);
        hp_download_changed(download);
    }
    if (status == 0 && self->existing && !self->given && transfer->hooks.wanted != NULL)
        transfer->hooks.wanted(transfer->hooks.arg, self->id);
    if (self->done != NULL)
        self->done(self->arg, status, self->id, self->existing, err);
    order_free(self);
    hp_transfer_wake(transfer);
}

static void post_order(order_t *self)
{
    hp_store_post_counted(self->transfer->store, &self->transfer->pending, HP_STORE_WRITE_SYNCED, work_order,
                          on_ordered, self);
}

/* What the link leads to at a host, as its page shows it: the path of a file, or with a slash at its end that
 * of a folder. after: the link from the slash after the host on. False: something else. */
static bool read_host_link(const char *after, char decoded[HP_PATH_MAX + 1])
{
    static const char page[] = "/?folder=", always[] = "/files/";
    size_t used = 0, length;
    if (strncmp(after, page, strlen(page)) == 0) {
        after += strlen(page);
        length = strcspn(after, "&#");
        if (hp_path_decode(after, length, decoded, HP_PATH_MAX, &used) != 0 || used == 0)
            return false;
        if (decoded[used - 1] != '/')
            memcpy(decoded + used++, "/", 2);
    } else {
        bool reserved = after[0] == '/' && strncmp(after, always, strlen(always)) != 0 &&
                        hp_source_is_reserved(after + 1, strcspn(after + 1, "/"));
        if (after[0] != '/' || strpbrk(after, "?#") != NULL || reserved)
            return false;
        after += strncmp(after, always, strlen(always)) == 0 ? strlen(always) : 1;
        if (hp_path_decode(after, strlen(after), decoded, HP_PATH_MAX + 1, &used) != 0 || used == 0)
            return false;
    }
    size_t named = decoded[used - 1] == '/' ? used - 1 : used;
    return strlen(decoded) == used && hp_path_check(decoded, named, NULL) == 0 && !hp_path_is_part(decoded);
}

/* Whether people reach the host by this "address:port" or "name:port". */
static bool is_place_of(const known_host_t *host, const char *place, size_t length)
{
    if (strlen(host->added_as) == length && strncasecmp(host->added_as, place, length) == 0)
        return true;
    for (size_t i = 0; i < host->endpoint_count; i++) {
        char text[HP_ENDPOINT_URL_SIZE];
        const char *own = strstr(hp_endpoint_url(&host->endpoints[i], text), "://");
        if (own != NULL && strlen(own + 3) == length && strncasecmp(own + 3, place, length) == 0)
            return true;
    }
    return false;
}

/* A link to a host that is known is an order of the file or folder there: with its other addresses, hash
 * trees and other hosts' copies. */
static void take_host_link(order_t *self)
{
    const char *place = strstr(self->url, "://") + 3;
    size_t length = strcspn(place, "/?#");
    char path[HP_PATH_MAX + 1];
    if (!read_host_link(place + length, path))
        return;
    const known_host_t *host = self->transfer->hosts;
    while (host != NULL && !is_place_of(host, place, length))
        host = host->next;
    if (host == NULL)
        return;
    char *end = path + strlen(path) - 1;
    bool folder = *end == '/';
    if (folder)
        *end = '\0';
    self->host = hp_strdup(host->id);
    *(folder ? &self->folder : &self->path) = hp_strdup(path);
    free(self->url);
    self->url = NULL;
}

/* For failures that need no store: told from the loop's own turn, never inside the call. */
typedef struct refusal {
    uv_timer_t timer;
    hp_transfer_t *transfer;
    hp_download_fn done;
    void *arg;
    hp_err_t err;
} refusal_t;

static void on_refusal_closed(uv_handle_t *handle)
{
    refusal_t *self = HP_CONTAINER((uv_timer_t *)handle, refusal_t, timer);
    hp_transfer_t *transfer = self->transfer;
    hp_pending_drop(&transfer->pending);
    hp_transfer_wake(transfer);
    free(self);
}

static void on_refusal(uv_timer_t *timer)
{
    refusal_t *self = HP_CONTAINER(timer, refusal_t, timer);
    self->done(self->arg, self->err.code, 0, false, &self->err);
    uv_close((uv_handle_t *)timer, on_refusal_closed);
}

void hp_transfer_refuse(hp_transfer_t *transfer, const hp_err_t *err, hp_download_fn done, void *arg)
{
    if (done == NULL)
        return;
    refusal_t *self = hp_alloc(sizeof *self);
    *self = (refusal_t){.transfer = transfer, .done = done, .arg = arg, .err = *err};
    hp_pending_add(&transfer->pending);
    uv_timer_init(transfer->loop, &self->timer);
    uv_timer_start(&self->timer, on_refusal, 0, 0);
}

int hp_order_check_url(const char *url, hp_err_t *err)
{
    size_t scheme = strncasecmp(url, "http://", 7) == 0 ? 7 : strncasecmp(url, "https://", 8) == 0 ? 8 : 0;
    if (scheme == 0)
        return hp_err_set(err, HP_E_INVALID, "url: only http:// and https:// can be downloaded");
    if (url[scheme] == '\0' || url[scheme] == '/' || strlen(url) > 8000)
        return hp_err_set(err, HP_E_INVALID, "url: there is no host in it, or it is too long");
    for (const char *p = url; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return hp_err_set(err, HP_E_INVALID, "url: there is a space or a control character in it");
    return 0;
}

static int check_url_extras(const hp_download_order_t *order, hp_err_t *err)
{
    char hex[65];
    if (order->url == NULL && (order->headers != NULL || order->certificate != NULL))
        return hp_err_set(err, HP_E_INVALID, "%s: stands only beside url",
                          order->headers != NULL ? "headers" : "certificate");
    int rc = order->headers != NULL ? hp_url_check_headers(order->headers, err) : 0;
    if (rc == 0 && order->certificate != NULL)
        rc = hp_url_read_certificate(order->certificate, hex, err);
    if (rc == 0 && order->certificate != NULL && strncasecmp(order->url, "https://", 8) != 0)
        rc = hp_err_set(err, HP_E_INVALID, "certificate: stands only beside an https:// url");
    return rc;
}

static int check_order(const hp_transfer_t *transfer, const hp_download_order_t *order, hp_err_t *err)
{
    int wanted =
        (order->path != NULL) + (order->folder != NULL) + (order->root != NULL) + (order->url != NULL);
    if (wanted != 1)
        return hp_err_set(err, HP_E_INVALID,
                          "Give exactly one of path (with host), folder (with host), root, url");
    if ((order->path != NULL || order->folder != NULL) && order->host == NULL)
        return hp_err_set(err, HP_E_INVALID, "host: missing");
    if (order->host != NULL && hp_transfer_known(transfer, order->host) == NULL)
        return hp_err_set(err, HP_E_NOT_FOUND, "host: no host with the id %s is known", order->host);
    if (order->priority < -1 || order->priority > 1)
        return hp_err_set(err, HP_E_INVALID, "priority: -1, 0 or 1");
    if (order->size > INT64_MAX || (order->size != 0 && order->root == NULL))
        return hp_err_set(err, HP_E_INVALID, "size: stands only beside root");
    if (order->limit_bps > INT64_MAX)
        return hp_err_set(err, HP_E_INVALID, "limit_bps: too large");
    uint8_t root[HP_SHA256_SIZE];
    int rc = 0;
    if (order->root != NULL &&
        (strlen(order->root) != 64 || hp_hex_decode(order->root, root, sizeof root) != 0))
        return hp_err_set(err, HP_E_INVALID, "root: 64 hex digits");
    if (order->url != NULL)
        rc = hp_order_check_url(order->url, err);
    if (rc == 0)
        rc = check_url_extras(order, err);
    if (rc == 0 && order->path != NULL && (rc = hp_path_check(order->path, strlen(order->path), err)) != 0)
        hp_err_prefix(err, "path: ");
    if (rc == 0 && order->path != NULL && hp_path_is_part(order->path))
        rc = hp_err_set(err, HP_E_BAD_NAME, "path: part files of downloads are not shared");
    if (rc == 0 && order->folder != NULL && order->folder[0] != '\0' &&
        (rc = hp_path_check(order->folder, strlen(order->folder), err)) != 0)
        hp_err_prefix(err, "folder: ");
    if (rc == 0 && order->to != NULL && order->to[0] != '\0' &&
        (rc = hp_path_check(order->to, strlen(order->to), err)) != 0)
        hp_err_prefix(err, "to: ");
    return rc;
}

void hp_transfer_add(hp_transfer_t *transfer, const hp_download_order_t *order, hp_download_fn done,
                     void *arg)
{
    hp_err_t err = {0};
    if (check_order(transfer, order, &err) != 0) {
        hp_transfer_refuse(transfer, &err, done, arg);
        return;
    }
    order_t *self = hp_alloc(sizeof *self);
    *self = (order_t){
        .transfer = transfer,
        .done = done,
        .arg = arg,
        .host = copy(order->host),
        .path = copy(order->path),
        .folder = copy(order->folder),
        .root = copy(order->root),
        .url = copy(order->url),
        .headers = order->headers != NULL && order->headers[0] != '\0' ? hp_strdup(order->headers) : NULL,
        .to = order->to != NULL && order->to[0] != '\0' ? hp_strdup(order->to) : NULL,
        .base = hp_strdup(transfer->folder),
        .copy = order->copy,
        .given = order->given,
        .never_runs = order->given && order->never_runs,
        .most = order->given ? order->most : UINT64_MAX,
        .priority = order->priority,
        .limit_bps = (int64_t)order->limit_bps,
        .size = order->size != 0 ? (int64_t)order->size : HP_DB_SIZE_UNKNOWN,
    };
    for (char *p = self->root; p != NULL && *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    if (order->certificate != NULL) {
        self->certificate = hp_alloc(65);
        hp_url_read_certificate(order->certificate, self->certificate, NULL); /* checked above */
    }
    if (self->url != NULL && self->headers == NULL && self->certificate == NULL)
        take_host_link(self);
    post_order(self);
}
