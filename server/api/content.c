/* The bytes of a download: GET /api/v1/downloads/{id}/content, which is in stream.c while it runs, and
 * /digest. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/mem.h"
#include "transfer/reader.h"

typedef struct {
    hp_api_op_t op;
    uv_work_t work;
    char *path;
    int algorithm; /* -1: the bytes themselves */
    int64_t id, finished_at;
    int fd; /* or a negative errno */
    struct stat stat;
} open_op_t;

static void open_file(uv_work_t *work)
{
    open_op_t *file = work->data;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file->fd < 0)
        file->fd = -errno;
    else if (fstat(file->fd, &file->stat) != 0 || !S_ISREG(file->stat.st_mode)) {
        close(file->fd);
        file->fd = -EISDIR;
    }
}

const char *hp_api_content_type(const char *name)
{
    static const char *const acting[] = {"text/javascript", "text/css", "application/wasm"};
    const char *type = hp_path_media_type(name);
    for (size_t i = 0; i < HP_COUNT(acting); i++)
        if (strcmp(type, acting[i]) == 0)
            return i < 2 ? "text/plain" : "application/octet-stream";
    return type;
}

static void reply_content(open_op_t *file)
{
    char etag[96];
    const struct stat *st = &file->stat;
    /* The tag that readers of the unfinished file got, unless the file was written to since. */
    if ((int64_t)st->st_mtim.tv_sec * 1000 <= file->finished_at)
        hp_reader_etag(file->id, st->st_ino, (uint64_t)st->st_size, etag);
    else
        snprintf(etag, sizeof etag, "\"%llx-%llx-%llx.%lx-%llx.%lx\"", (unsigned long long)st->st_ino,
                 (unsigned long long)st->st_size, (unsigned long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
                 (unsigned long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
    hp_http_set_header(file->op.request, "Content-Security-Policy", HP_CONTENT_POLICY);
    hp_http_reply_file(file->op.request, &(hp_http_file_t){
                                             .fd = file->fd,
                                             .stat = *st,
                                             .content_type = hp_api_content_type(file->path),
                                             .etag = etag,
                                         });
}

static void on_opened(uv_work_t *work, int canceled)
{
    open_op_t *file = work->data;
    hp_err_t err = {0};
    if (canceled != 0)
        file->fd = UV_ECANCELED;
    if (file->fd >= 0 && file->algorithm >= 0 && !hp_api_is_closing(file->op.api)) {
        hp_api_reply_digest(file->op.api, file->op.request, file->fd, &file->stat, file->algorithm);
    } else if (file->fd >= 0) {
        reply_content(file);
    } else if (file->fd == -EISDIR || file->fd == -ELOOP) {
        hp_err_set(&err, HP_E_CONFLICT, "this download is a folder");
        hp_http_reply_problem(file->op.request, HP_E_CONFLICT, &err);
    } else {
        hp_err_set(&err, HP_E_NOT_FOUND, "the file is no longer where it was downloaded to: %s",
                   hp_err_sentence(file->fd));
        hp_http_reply_problem(file->op.request, HP_E_NOT_FOUND, &err);
    }
    free(file->path);
    hp_api_op_destroy(file);
}

static void open_download(hp_api_t *api, hp_http_request_t *request, int64_t id, int algorithm)
{
    hp_download_info_t info;
    hp_err_t err;
    int rc = hp_transfer_get(api->deps.transfer, id, &info);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, NULL);
        return;
    }
    char *path = hp_transfer_final_path(api->deps.transfer, id);
    if (path == NULL && algorithm < 0) {
        hp_http_set_header(request, "Content-Security-Policy", HP_CONTENT_POLICY);
        hp_api_stream_content(api, request, id);
        return;
    }
    if (path == NULL) {
        hp_err_set(&err, HP_E_CONFLICT, "this download is not finished");
        hp_http_reply_problem(request, HP_E_CONFLICT, &err);
        return;
    }
    open_op_t *file = hp_api_op_create(sizeof *file, api, request);
    file->path = path;
    file->algorithm = algorithm;
    file->id = id;
    file->finished_at = info.finished_at;
    file->work.data = file;
    rc = uv_queue_work(api->deps.loop, &file->work, open_file, on_opened);
    if (rc != 0)
        on_opened(&file->work, rc);
}

static void get_content(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    if (hp_api_read_number(request, arg, &id))
        open_download(api, request, id, -1);
}

static void get_digest(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    int64_t id;
    int algorithm;
    hp_err_t err = {0};
    if (!hp_api_read_number(request, arg, &id))
        return;
    int rc = hp_api_read_algorithm(request, &algorithm, &err);
    if (rc != 0)
        hp_http_reply_problem(request, rc, &err);
    else
        open_download(api, request, id, algorithm);
}

void hp_api_get_download_content(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_api_with_download(api, request, arg, get_content);
}

void hp_api_get_download_digest(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    hp_api_with_download(api, request, arg, get_digest);
}
