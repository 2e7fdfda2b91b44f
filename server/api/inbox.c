/* /api/v1/inbox: what others want to give to this host. */
#include "inbox/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/mem.h"
#include "pool/pool.h"
#include "transfer/part.h"

#define FILES_SHOWN 100                       /* of one transfer; its numbers are over all of them */
#define BYTES_SHOWN ((size_t)32 * 1024)       /* of the names of these files */
#define ACCEPT_MAX  ((size_t)4 * 1024 * 1024) /* bytes: the ids of as many files as an offer may have */

static json_t *file_json(const hp_incoming_file_t *file)
{
    json_t *json = json_object();
    json_object_set_new(json, "id", hp_json_text(file->id));
    json_object_set_new(json, "name", hp_json_text(file->name));
    json_object_set_new(json, "folder", json_boolean(file->folder));
    json_object_set_new(json, "size",
                        file->size == HP_INBOX_ANY_SIZE ? json_null() : hp_json_count(file->size));
    json_object_set_new(json, "type", hp_json_text(file->type));
    json_object_set_new(json, "preview", hp_json_text_or_null(file->preview));
    json_object_set_new(json, "picture", hp_json_text_or_null(file->picture));
    json_object_set_new(json, "wanted", json_boolean(file->wanted));
    json_object_set_new(json, "done", json_boolean(file->done));
    json_object_set_new(json, "done_bytes", hp_json_count(file->received));
    json_object_set_new(json, "path", hp_json_text_or_null(file->path));
    return json;
}

static json_t *from_json(const hp_incoming_t *info)
{
    json_t *json = json_object();
    json_object_set_new(json, "name", hp_json_text(info->name));
    json_object_set_new(json, "address", hp_json_text(info->address));
    json_object_set_new(json, "kind", json_string(hp_sender_kind_name(info->kind)));
    json_object_set_new(json, "host", hp_json_text_or_null(info->host));
    return json;
}

/* shown: files at most, unless all are asked for also by the length of their names. */
static json_t *incoming_json(const hp_api_t *api, const hp_incoming_t *info, size_t shown)
{
    json_t *json = json_object(), *files = json_array();
    size_t bytes = 0;
    json_object_set_new(json, "id", json_integer(info->id));
    json_object_set_new(json, "from", from_json(info));
    for (size_t i = 0; i < HP_MIN(info->known_count, shown); i++) {
        hp_incoming_file_t file;
        if (!hp_inbox_file_at(api->deps.inbox, info->id, i, &file))
            break;
        bytes += strlen(file.id) + strlen(file.name) + strlen(file.type) + strlen(file.path);
        if (shown <= FILES_SHOWN && bytes > BYTES_SHOWN)
            break;
        json_array_append_new(files, file_json(&file));
    }
    json_object_set_new(json, "files", files);
    json_object_set_new(json, "files_total", hp_json_count(info->file_count));
    json_object_set_new(json, "files_done", hp_json_count(info->done_count));
    json_object_set_new(json, "size", hp_json_count(info->size));
    json_object_set_new(json, "done_bytes", hp_json_count(info->done_bytes));
    json_object_set_new(json, "folder", hp_json_text_or_null(info->folder));
    json_object_set_new(json, "state", json_string(hp_incoming_state_name(info->state)));
    json_object_set_new(json, "reason", hp_json_text_or_null(info->reason));
    json_object_set_new(json, "created_at", hp_json_time(info->created_at));
    json_object_set_new(json, "finished_at", hp_json_time_or_null(info->finished_at));
    return json;
}

json_t *hp_api_incoming_json(hp_api_t *api, int64_t id)
{
    hp_incoming_t info;
    return hp_inbox_get(api->deps.inbox, id, &info) ? incoming_json(api, &info, FILES_SHOWN) : NULL;
}

void hp_api_get_inbox(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < hp_inbox_count(api->deps.inbox); i++) {
        hp_incoming_t info;
        hp_inbox_at(api->deps.inbox, i, &info);
        json_array_append_new(list, incoming_json(api, &info, FILES_SHOWN));
    }
    json_object_set_new(json, "incoming", list);
    hp_http_reply_json(request, 200, json);
}

static void reply_error(hp_http_request_t *request, int64_t id, int status, hp_err_t *err)
{
    if (status == HP_E_NOT_FOUND)
        hp_err_set(err, status, "there is no transfer %lld", (long long)id);
    hp_http_reply_problem(request, status, err);
}

static void reply(hp_api_t *api, hp_http_request_t *request, int64_t id, size_t shown)
{
    hp_incoming_t info;
    hp_err_t err = {0};
    if (hp_inbox_get(api->deps.inbox, id, &info))
        hp_http_reply_json(request, 200, incoming_json(api, &info, shown));
    else
        reply_error(request, id, HP_E_NOT_FOUND, &err);
}

void hp_api_get_incoming(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    if (hp_api_read_number(request, arg, &id))
        reply(api, request, id, HP_INBOX_FILES_MAX);
}

typedef struct {
    hp_api_op_t op; /* first */
    int64_t id;
} decision_t;

static void on_accepted(void *arg, int status, const hp_err_t *err)
{
    decision_t *decision = arg;
    hp_err_t words = *err;
    status = hp_api_op_status(decision, status);
    if (status == 0)
        reply(decision->op.api, decision->op.request, decision->id, FILES_SHOWN);
    else
        reply_error(decision->op.request, decision->id, status, &words);
    hp_api_op_destroy(decision);
}

/* The ids in the list "files"; false when it is not given. */
static int read_files(const json_t *body, const char ***files, size_t *count, hp_err_t *err)
{
    const json_t *list = json_object_get(body, "files");
    *files = NULL;
    *count = 0;
    if (list == NULL || json_is_null(list))
        return 0;
    if (!json_is_array(list) || json_array_size(list) > HP_INBOX_FILES_MAX)
        return hp_err_set(err, HP_E_INVALID, "files: must be a list of at most %d ids", HP_INBOX_FILES_MAX);
    *files = hp_alloc_array(json_array_size(list), sizeof **files);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *id = json_string_value(json_array_get(list, i));
        if (id == NULL)
            return hp_err_set(err, HP_E_INVALID, "files: must be a list of ids, which are text");
        (*files)[(*count)++] = id;
    }
    return 0;
}

void hp_api_post_incoming_accept(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    static const char *const known[] = {"files", "to", NULL};
    hp_inbox_choice_t choice = {0};
    const char **files = NULL;
    hp_err_t err = {0};
    json_t *body = NULL;
    size_t length;
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    hp_http_body(request, &length);
    int rc = length > 0 ? hp_json_read_long_body(request, ACCEPT_MAX, known, &body, &err) : 0;
    if (rc == 0)
        rc = hp_json_get_text(body, "to", &choice.to, &err);
    if (rc == 0)
        rc = read_files(body, &files, &choice.count, &err);
    choice.files = files;
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
    } else {
        decision_t *decision = hp_api_op_create(sizeof *decision, api, request);
        decision->id = id;
        hp_inbox_accept(api->deps.inbox, id, &choice, on_accepted, decision);
    }
    free(files);
    json_decref(body);
}

static void end(hp_api_t *api, hp_http_request_t *request, const char *arg, bool decline)
{
    hp_err_t err = {0};
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    int rc = decline ? hp_inbox_decline(api->deps.inbox, id, &err)
                     : hp_inbox_cancel(api->deps.inbox, id, HP_INBOX_CANCELLED_HERE, &err);
    if (rc == 0)
        reply(api, request, id, FILES_SHOWN);
    else
        reply_error(request, id, rc, &err);
}

void hp_api_post_incoming_decline(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    end(api, request, arg, true);
}

void hp_api_post_incoming_cancel(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    end(api, request, arg, false);
}

/* ---- what came ---- */

typedef struct {
    hp_api_op_t op; /* first */
    char *base, *path;
    int fd;
    struct stat stat;
} open_op_t;

static int work_open(void *arg, hp_err_t *err)
{
    open_op_t *self = arg;
    self->fd = hp_part_open_final(self->base, self->path, err);
    if (self->fd >= 0 && (fstat(self->fd, &self->stat) != 0 || !S_ISREG(self->stat.st_mode))) {
        close(self->fd);
        self->fd = -ENOENT;
    }
    return self->fd >= 0 ? 0 : HP_E_NOT_FOUND;
}

static void on_opened(void *arg, int status, const hp_err_t *err)
{
    open_op_t *self = arg;
    (void)err;
    if (status == 0) {
        hp_http_set_header(self->op.request, "Content-Security-Policy", HP_CONTENT_POLICY);
        hp_http_reply_file(self->op.request,
                           &(hp_http_file_t){.fd = self->fd,
                                             .stat = self->stat,
                                             .content_type = hp_api_content_type(self->path)});
    } else {
        hp_err_t words;
        hp_err_set(&words, HP_E_NOT_FOUND, "the file is no longer where it landed: %s", self->path);
        hp_http_reply_problem(self->op.request, HP_E_NOT_FOUND, &words);
    }
    free(self->base);
    free(self->path);
    hp_api_op_destroy(self);
}

void hp_api_get_incoming_content(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    const char *name = hp_http_query(request, "file");
    hp_incoming_file_t file;
    hp_incoming_t info;
    hp_err_t err = {0};
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    if (!hp_inbox_get(api->deps.inbox, id, &info)) {
        reply_error(request, id, HP_E_NOT_FOUND, &err);
        return;
    }
    size_t index = name != NULL ? hp_inbox_file_find(api->deps.inbox, id, name) : SIZE_MAX;
    if (!hp_inbox_file_at(api->deps.inbox, id, index, &file) || !file.done) {
        hp_err_set(&err, HP_E_NOT_FOUND, "file: names none of this transfer that is done");
        hp_http_reply_problem(request, HP_E_NOT_FOUND, &err);
        return;
    }
    open_op_t *self = hp_api_op_create(sizeof *self, api, request);
    self->base = hp_strdup(info.base);
    self->path = hp_strdup(file.path);
    hp_pool_post(api->deps.loop, NULL, work_open, on_opened, self);
}
