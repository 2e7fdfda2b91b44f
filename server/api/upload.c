/* Files put into the shared folder and taken out of it: PUT and DELETE /api/v1/share/files/{path...}; and
 * those that are set aside for one host: PUT /api/v1/aside/{path...}.
 *
 * A piece of a file is a request with Content-Range; "bytes * /TOTAL" (without the space) asks how much is
 * there; a request without that field is a whole file. "If-None-Match: *" refuses each of these (412) when a
 * file of that name is there already. A folder with files in it is removed only when "recursive=true" says
 * so: asking a person first is up to the page. */
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"
#include "base/range.h"
#include "share/aside.h"
#include "share/put.h"

static json_t *received_json(const char *path, const hp_share_stored_t *stored, uint64_t total)
{
    json_t *json = json_object();
    json_object_set_new(json, "path", hp_json_text(path));
    json_object_set_new(json, "received", hp_json_count(stored->received));
    json_object_set_new(json, "total", hp_json_count(total));
    return json;
}

static json_t *file_json(const char *path, const struct stat *st)
{
    const char *name = hp_path_name(path);
    json_t *json = json_object();
    json_object_set_new(json, "path", hp_json_text(path));
    json_object_set_new(json, "name", hp_json_text(name));
    json_object_set_new(json, "size", hp_json_count((uint64_t)st->st_size));
    json_object_set_new(json, "mtime",
                        hp_json_time((int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000));
    json_object_set_new(json, "type", json_string(hp_path_media_type(name)));
    json_object_set_new(json, "root", json_null());
    json_object_set_new(json, "local", json_null());
    return json;
}

typedef struct {
    hp_api_op_t op;
    char *path;
    uint64_t total;
} put_op_t;

static void on_put(void *arg, int status, const hp_share_stored_t *stored, const hp_err_t *err)
{
    put_op_t *put = arg;
    if (status != 0)
        hp_http_reply_problem(put->op.request, status, err);
    else if (stored->finished)
        hp_http_reply_json(put->op.request, stored->existed ? 200 : 201,
                           file_json(stored->path, &stored->stat));
    else
        hp_http_reply_json(put->op.request, 202, received_json(stored->path, stored, put->total));
    free(put->path);
    hp_api_op_destroy(put);
}

/* Which piece of what the request holds. */
static int read_piece(hp_http_request_t *request, hp_share_piece_t *piece, hp_err_t *err)
{
    const char *match = hp_http_header(request, "If-None-Match");
    hp_body_range_t range;
    piece->is_new = match != NULL && strcmp(match, "*") == 0;
    piece->data = hp_http_body(request, &piece->length);
    int rc = hp_range_of_body(hp_http_header(request, "Content-Range"), piece->length, &range, err);
    if (rc == 0 && range.total > HP_SHARE_PUT_MAX)
        rc = hp_err_set(err, HP_E_BAD_REQUEST, "Content-Range: no file is that large");
    piece->first = range.first;
    piece->total = range.total;
    piece->ask = range.asks && range.total > 0;
    return rc;
}

typedef void put_fn(hp_share_t *share, const char *path, const hp_share_piece_t *piece, hp_share_put_fn done,
                    void *arg);

static void put_file(hp_api_t *api, hp_http_request_t *request, const char *path, put_fn *into)
{
    hp_err_t err = {0};
    hp_share_piece_t piece = {0};
    int rc = read_piece(request, &piece, &err);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    put_op_t *put = hp_api_op_create(sizeof *put, api, request);
    put->path = hp_strdup(path);
    put->total = piece.total;
    into(api->deps.share, put->path, &piece, on_put, put);
}

void hp_api_put_share_file(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    put_file(api, request, arg, hp_share_put);
}

void hp_api_put_aside(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    put_file(api, request, arg, hp_aside_put);
}

void hp_api_delete_share_file(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    static const char *const words[] = {"false", "true", NULL};
    hp_err_t err = {0};
    int word = 0;
    int rc = hp_param_get_word(request, "recursive", words, &word, &err);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    hp_share_removal_t removal = {
        .tree = word == 1,
        .keep = {api->deps.options->data, hp_settings_text(api->deps.settings, "downloads_folder")}};
    hp_share_remove(api->deps.share, arg, &removal, hp_api_op_reply_empty,
                    hp_api_op_create(sizeof(hp_api_op_t), api, request));
}
