/* One list, from the request to the import that is shown.
 *
 * The store's jobs run in posting order: begin, add, add, ..., publish until it is done, abandon (which frees
 * the import, and marks its rows for removal unless they are shown). next_step() decides what comes next
 * whenever something has ended; nothing is posted after abandon, so `import` is used by one thread at a time
 * without a lock. */
#include "discovery/file_list.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"

#define TOTAL_MS      (20 * 60 * 1000)    /* of the whole transfer */
#define BODY_MAX      (UINT64_C(4) << 30) /* bytes of a list */
#define SIZE_BELIEVED (INT64_C(1) << 60)  /* bytes of a file that are believed */
#define LIST_SLACK    100000 /* files that a list may have besides twice as many as the host offers */
#define LIST_UNKNOWN  200000 /* files of the list of a host that does not say how many it offers */
#define TEXT_PIECE    ((size_t)32 * 1024) /* bytes of a text that are read in one go */
#define PATHS_MAX     ((size_t)HP_REMOTE_BATCH * (HP_PATH_MAX + 1))

typedef struct batch {
    hp_remote_entry_t entries[HP_REMOTE_BATCH];
    size_t offsets[HP_REMOTE_BATCH]; /* of the paths */
    size_t count;
    hp_buf_t paths;
} batch_t;

typedef struct job {
    hp_file_list_t *list;
    batch_t *batch; /* of an add */
} job_t;

struct hp_file_list {
    hp_store_t *store;
    hp_fetcher_t *fetcher;
    char host[HP_REMOTE_HOST_SIZE];
    hp_endpoint_t endpoint;
    char where[HP_ENDPOINT_TEXT_SIZE]; /* of it */
    int64_t most;                      /* files that it may have */
    bool force;
    hp_file_list_fn done;
    void *arg;

    hp_fetch_t *fetch; /* while under way */
    char *text;        /* instead of a reply; NULL: the host is asked */
    size_t text_length, text_at;
    bool held; /* on_data waits for the store */
    bool json;
    bool finished; /* the whole reply arrived */
    bool published, abandoned;
    int status; /* of the first thing that failed */
    hp_err_t err;
    unsigned jobs; /* posted, not done */
    char old_etag[256], new_etag[256];
    hp_buf_t line;              /* the part of a line that has arrived */
    bool too_long;              /* the rest of this line is passed over */
    batch_t *batch;             /* being filled */
    hp_remote_import_t *import; /* the store thread's while jobs > 0 */
    hp_file_list_result_t result;
};

/* ---- lines ---- */

static int take_path(const char *text, size_t length, char *path, hp_err_t *err)
{
    if (hp_path_check(text, length, err) != 0)
        return HP_E_INVALID;
    memcpy(path, text, length);
    path[length] = '\0';
    return hp_path_is_part(path) ? hp_err_set(err, HP_E_INVALID, "it is an unfinished download of hostpair's")
                                 : 0;
}

int hp_file_list_parse_json(const char *line, size_t length, char *path, hp_remote_entry_t *entry,
                            hp_err_t *err)
{
    *entry = (hp_remote_entry_t){.path = path, .size = HP_REMOTE_NO_SIZE, .mtime = HP_REMOTE_NO_TIME};
    json_t *object = json_loadb(line, length, 0, NULL);
    const json_t *name = json_object_get(object, "path"), *size = json_object_get(object, "size");
    const json_t *folder = json_object_get(object, "folder");
    entry->is_folder = name == NULL && json_is_string(folder);
    if (entry->is_folder)
        name = folder;
    const json_t *mtime = json_object_get(object, "mtime"), *root = json_object_get(object, "root");
    int rc = 0;
    if (!json_is_object(object) || !json_is_string(name))
        rc = hp_err_set(err, HP_E_INVALID, "it is not a JSON object with a path");
    else
        rc = take_path(json_string_value(name), json_string_length(name), path, err);
    if (rc == 0 && json_is_integer(size) && json_integer_value(size) >= 0 &&
        json_integer_value(size) <= SIZE_BELIEVED)
        entry->size = json_integer_value(size);
    else if (rc == 0 && size != NULL && !json_is_null(size))
        rc = hp_err_set(err, HP_E_INVALID, "its size is not possible");
    if (rc == 0 && json_is_string(mtime) &&
        hp_clock_parse_rfc3339(json_string_value(mtime), &entry->mtime) != 0)
        entry->mtime = HP_REMOTE_NO_TIME;
    entry->executable = json_is_true(json_object_get(object, "executable"));
    if (rc == 0 && json_is_string(root)) {
        entry->rooted = hp_hex_decode(json_string_value(root), entry->root, sizeof entry->root) == 0;
        if (!entry->rooted)
            rc = hp_err_set(err, HP_E_INVALID, "its root is not 64 hex digits");
    }
    json_decref(object);
    return rc;
}

int hp_file_list_parse_text(const char *line, size_t length, char *path, hp_remote_entry_t *entry,
                            hp_err_t *err)
{
    *entry = (hp_remote_entry_t){.path = path, .size = HP_REMOTE_NO_SIZE, .mtime = HP_REMOTE_NO_TIME};
    if (memchr(line, '/', length) != NULL)
        return hp_err_set(err, HP_E_INVALID, "it is not the name of a file in the folder itself");
    return take_path(line, length, path, err);
}

/* ---- jobs ---- */

static void next_step(hp_file_list_t *self);

static void fail(hp_file_list_t *self, int status, const hp_err_t *err)
{
    if (self->status != 0)
        return;
    self->status = status;
    self->err = *err;
    if (self->fetch != NULL)
        hp_fetch_cancel(self->fetch);
}

static void batch_free(batch_t *batch)
{
    if (batch == NULL)
        return;
    hp_buf_dispose(&batch->paths);
    free(batch);
}

static void on_job_done(void *arg, int status, const hp_err_t *err)
{
    job_t *job = arg;
    hp_file_list_t *self = job->list;
    batch_free(job->batch);
    free(job);
    self->jobs--;
    if (status != 0)
        fail(self, status, err);
    next_step(self);
}

static void post(hp_file_list_t *self, hp_store_kind_t kind, hp_store_work_fn work, batch_t *batch)
{
    job_t *job = hp_alloc(sizeof *job);
    job->list = self;
    job->batch = batch;
    self->jobs++;
    hp_store_post(self->store, kind, work, on_job_done, job);
}

static void set_tag(hp_file_list_t *self, const char *etag)
{
    size_t length = strlen(etag);
    self->result.tag[0] = '\0';
    if (length > 2 && etag[0] == '"')
        snprintf(self->result.tag, sizeof self->result.tag, "%.*s", (int)length - 2, etag + 1);
}

static int work_read_etag(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_file_list_t *self = ((job_t *)arg)->list;
    hp_remote_list_t list = {0};
    int rc = hp_remote_list_get(db, self->host, &list, err);
    memcpy(self->old_etag, list.etag, sizeof self->old_etag);
    return rc == HP_E_NOT_FOUND ? 0 : rc;
}

static int work_touch(hp_db_t *db, void *arg, hp_err_t *err)
{
    return hp_remote_list_touch(db, ((job_t *)arg)->list->host, hp_clock_wall_ms(), err);
}

static int work_begin(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_file_list_t *self = ((job_t *)arg)->list;
    return hp_remote_import_begin(db, self->host, self->most, &self->import, err);
}

static int work_add(hp_db_t *db, void *arg, hp_err_t *err)
{
    job_t *job = arg;
    if (job->list->import == NULL)
        return hp_err_set(err, UV_ECANCELED, "the list was given up");
    for (size_t i = 0; i < job->batch->count; i++)
        job->batch->entries[i].path = job->batch->paths.data + job->batch->offsets[i];
    return hp_remote_import_add(db, job->list->import, job->batch->entries, job->batch->count, err);
}

static int work_publish(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_file_list_t *self = ((job_t *)arg)->list;
    self->result.files = hp_remote_import_files(self->import);
    self->result.bytes = hp_remote_import_bytes(self->import);
    return hp_remote_import_publish(db, self->import, self->new_etag, hp_clock_wall_ms(), &self->published,
                                    err);
}

static int work_abandon(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_file_list_t *self = ((job_t *)arg)->list;
    hp_remote_import_t *import = self->import;
    self->import = NULL;
    return hp_remote_import_abandon(db, import, err);
}

/* ---- the reply ---- */

static void post_batch(hp_file_list_t *self)
{
    post(self, HP_STORE_WRITE, work_add, self->batch);
    self->batch = NULL;
}

static void bad_line(hp_file_list_t *self, const char *line, size_t length, const hp_err_t *err)
{
    if (self->result.bad_lines++ > 0)
        return;
    char shown[200];
    hp_log(HP_LOG_WARN, "the list of %s has a bad line, which is passed over: %s: %s", self->where,
           hp_err_text(err), hp_utf8_printable(line, HP_MIN(length, (size_t)150), shown, sizeof shown));
}

static void on_line(hp_file_list_t *self, const char *line, size_t length)
{
    hp_err_t err = {0};
    char path[HP_PATH_MAX + 1];
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (self->batch == NULL) {
        self->batch = hp_alloc(sizeof *self->batch);
        hp_buf_init(&self->batch->paths, PATHS_MAX);
    }
    batch_t *batch = self->batch;
    hp_remote_entry_t *entry = &batch->entries[batch->count];
    int rc = self->json ? hp_file_list_parse_json(line, length, path, entry, &err)
                        : hp_file_list_parse_text(line, length, path, entry, &err);
    if (rc == 0) {
        batch->offsets[batch->count] = batch->paths.length;
        rc = hp_buf_add(&batch->paths, path, strlen(path) + 1);
    }
    if (rc != 0) {
        bad_line(self, line, length, &err);
        return;
    }
    self->result.unhashed += entry->size > 0 && !entry->rooted;
    if (++batch->count == HP_REMOTE_BATCH)
        post_batch(self);
}

static void on_long_line(hp_file_list_t *self)
{
    hp_err_t err = {0};
    hp_err_set(&err, HP_E_INVALID, "it has more than %zu bytes", HP_FILE_LIST_LINE_MAX);
    bad_line(self, self->line.data, self->line.length, &err);
    hp_buf_clear(&self->line);
    self->too_long = true;
}

static int on_data(void *arg, const uint8_t *data, size_t length)
{
    hp_file_list_t *self = arg;
    if (self->status != 0)
        return self->status;
    if (self->jobs >= HP_FILE_LIST_JOBS) {
        self->held = true;
        return HP_FETCH_HOLD;
    }
    const char *at = (const char *)data, *end = at + length;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t piece = (size_t)((stop != NULL ? stop : end) - at);
        if (self->too_long) {
            self->too_long = stop == NULL;
        } else if (stop != NULL && self->line.length == 0 && piece <= HP_FILE_LIST_LINE_MAX) {
            on_line(self, at, piece); /* all of it is here: no copy */
        } else if (hp_buf_add(&self->line, at, piece) != 0) {
            on_long_line(self);
            self->too_long = stop == NULL;
        } else if (stop != NULL) {
            on_line(self, self->line.data, self->line.length);
            hp_buf_clear(&self->line);
        }
        at = stop != NULL ? stop + 1 : end;
    }
    return 0;
}

static bool has_type(const char *content_type, const char *type)
{
    size_t length = strlen(type);
    return strncasecmp(content_type, type, length) == 0 && strchr("; \t", content_type[length]) != NULL;
}

static int on_head(void *arg, const hp_fetch_head_t *head)
{
    hp_file_list_t *self = arg;
    if (head->status == 304 && self->old_etag[0] != '\0' && !self->force) {
        self->result.unchanged = true;
        set_tag(self, self->old_etag);
        return 0;
    }
    self->json = has_type(head->content_type, "application/x-ndjson");
    bool text = head->content_type[0] == '\0' || has_type(head->content_type, "text/plain") ||
                has_type(head->content_type, "application/octet-stream");
    hp_err_t err = {0};
    char shown[80];
    if (head->status != 200)
        hp_err_set(&err, HP_E_STATUS, "it answers %d to GET /list", head->status);
    else if (!self->json && !text)
        hp_err_set(&err, HP_E_PROTOCOL, "its list has the type %s",
                   hp_utf8_printable(head->content_type, strlen(head->content_type), shown, sizeof shown));
    if (err.code != 0) {
        /* Not through fail(): the return value ends the request. */
        self->status = err.code;
        self->err = err;
        return err.code;
    }
    if (strlen(head->etag) < sizeof self->new_etag)
        memcpy(self->new_etag, head->etag, strlen(head->etag) + 1);
    set_tag(self, self->new_etag);
    post(self, HP_STORE_WRITE, work_begin, NULL);
    return 0;
}

/* What the reply's end means: nothing is added to the list any more. */
static void end_of_list(hp_file_list_t *self)
{
    self->finished = true;
    if (self->line.length > 0)
        on_line(self, self->line.data, self->line.length);
    if (self->batch != NULL && self->batch->count > 0)
        post_batch(self);
}

static void on_fetched(void *arg, int status, const hp_err_t *err)
{
    hp_file_list_t *self = arg;
    self->fetch = NULL;
    self->held = false;
    if (status != 0)
        fail(self, status, err);
    else if (self->status == 0) {
        end_of_list(self);
        if (self->result.unchanged)
            post(self, HP_STORE_WRITE_LAZY, work_touch, NULL);
    }
    next_step(self);
}

static void fetch(hp_file_list_t *self)
{
    static const hp_fetch_callbacks_t callbacks = {
        .on_head = on_head, .on_data = on_data, .on_done = on_fetched};
    static const char *const headers[] = {"Hostpair-Folders: 1", NULL};
    hp_fetch_options_t options = {.endpoint = &self->endpoint,
                                  .headers = headers,
                                  .path = "/list",
                                  .accept = "application/x-ndjson, text/plain;q=0.5",
                                  .if_none_match =
                                      self->force || self->old_etag[0] == '\0' ? NULL : self->old_etag,
                                  .body_max = BODY_MAX,
                                  .total_ms = TOTAL_MS};
    self->fetch = hp_fetch_start(self->fetcher, &options, &callbacks, self);
}

/* The text that is here already goes the way of a reply, as fast as the store takes it. */
static void feed(hp_file_list_t *self)
{
    while (self->status == 0 && self->jobs < HP_FILE_LIST_JOBS && self->text_at < self->text_length) {
        size_t length = HP_MIN(self->text_length - self->text_at, TEXT_PIECE);
        on_data(self, (const uint8_t *)self->text + self->text_at, length);
        self->text_at += length;
    }
    if (self->status == 0 && self->text_at == self->text_length)
        end_of_list(self);
}

static void finish(hp_file_list_t *self)
{
    if (self->result.bad_lines > 0)
        hp_log(HP_LOG_WARN, "the list of %s has %llu bad lines in all", self->where,
               (unsigned long long)self->result.bad_lines);
    self->done(self->arg, self->status, &self->result, &self->err);
    batch_free(self->batch);
    hp_buf_dispose(&self->line);
    free(self->text);
    free(self);
}

static void next_step(hp_file_list_t *self)
{
    if (self->held && self->jobs < HP_FILE_LIST_JOBS) {
        self->held = false;
        hp_fetch_resume(self->fetch);
    }
    if (self->text != NULL && self->status == 0 && !self->finished)
        feed(self);
    if (self->fetch != NULL || self->jobs > 0)
        return;
    if (self->status == 0 && !self->finished)
        fetch(self); /* the stored validator is read */
    else if (self->status == 0 && !self->result.unchanged && !self->published)
        post(self, HP_STORE_WRITE, work_publish, NULL);
    else if (self->import != NULL && !self->abandoned) {
        self->abandoned = true;
        post(self, HP_STORE_WRITE, work_abandon, NULL);
    } else
        finish(self);
}

hp_file_list_t *hp_file_list_start(hp_store_t *store, hp_fetcher_t *fetcher, const char *host,
                                   const hp_endpoint_t *endpoint, int64_t offered, bool force,
                                   hp_file_list_fn done, void *arg)
{
    hp_file_list_t *self = hp_alloc(sizeof *self);
    self->store = store;
    self->fetcher = fetcher;
    snprintf(self->host, sizeof self->host, "%s", host);
    self->endpoint = *endpoint;
    hp_endpoint_format(endpoint, self->where);
    self->most = offered >= 0 ? HP_MIN(offered, (int64_t)HP_REMOTE_FILES_MAX) * 2 + LIST_SLACK : LIST_UNKNOWN;
    self->force = force;
    self->done = done;
    self->arg = arg;
    hp_buf_init(&self->line, HP_FILE_LIST_LINE_MAX);
    post(self, HP_STORE_READ, work_read_etag, NULL);
    return self;
}

hp_file_list_t *hp_file_list_take(hp_store_t *store, const char *host, const char *where, char *text,
                                  size_t length, hp_file_list_fn done, void *arg)
{
    hp_file_list_t *self = hp_alloc(sizeof *self);
    self->store = store;
    snprintf(self->host, sizeof self->host, "%s", host);
    snprintf(self->where, sizeof self->where, "%s", where);
    self->json = true;
    self->text = text;
    self->text_length = length;
    self->most = HP_REMOTE_FILES_MAX; /* its writer has proven to be a member */
    self->done = done;
    self->arg = arg;
    hp_buf_init(&self->line, HP_FILE_LIST_LINE_MAX);
    post(self, HP_STORE_WRITE, work_begin, NULL);
    return self;
}

void hp_file_list_cancel(hp_file_list_t *list)
{
    hp_err_t err = {0};
    hp_err_set(&err, UV_ECANCELED, "the list was given up");
    fail(list, UV_ECANCELED, &err);
}
