/* The page's own files: embedded in the binary (web/assets.h), or read from --web-root at each request. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "api/internal.h"
#include "os/beneath.h"
#include "base/mem.h"
#include "web/assets.h"

/* Everything comes from here, and nothing of it is inline. */
#define CONTENT_POLICY                                                                                       \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "      \
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "        \
    "frame-ancestors 'none'"

static void set_page_headers(hp_http_request_t *request, bool immutable)
{
    hp_http_set_header(request, "Content-Security-Policy", CONTENT_POLICY);
    hp_http_set_header(request, "Cache-Control",
                       immutable ? "public, max-age=31536000, immutable" : "no-cache");
}

/* ---- embedded ---- */

static const hp_asset_t *find_asset(const char *path)
{
    for (size_t i = 0; i < hp_assets_count; i++)
        if (strcmp(hp_assets[i].path, path) == 0)
            return &hp_assets[i];
    return NULL;
}

/* Whether Accept-Encoding (RFC 9110 section 12.5.3) takes gzip. */
static bool takes_gzip(const char *field)
{
    bool takes = false;
    for (const char *p = field; p != NULL && *p != '\0';) {
        p += strspn(p, " \t,");
        size_t length = strcspn(p, ","), name = strcspn(p, " \t,;");
        bool gzip =
            (name == 4 && strncasecmp(p, "gzip", 4) == 0) || (name == 6 && strncasecmp(p, "x-gzip", 6) == 0);
        if (gzip || (name == 1 && *p == '*')) {
            char item[64];
            snprintf(item, sizeof item, "%.*s", (int)HP_MIN(length, sizeof item - 1), p);
            const char *q = strcasestr(item, "q=");
            bool refused = q != NULL && strtod(q + 2, NULL) <= 0;
            if (gzip)
                return !refused;
            takes = !refused;
        }
        p += length;
    }
    return takes;
}

/* The decoded file, malloced; NULL when the table is broken. */
static uint8_t *decode(const hp_asset_t *asset)
{
    uint8_t *out = hp_alloc(asset->size);
    z_stream stream = {
        .next_in = (z_const Bytef *)(uintptr_t)asset->gzip,
        .avail_in = (uInt)asset->gzip_size,
        .next_out = out,
        .avail_out = (uInt)asset->size,
    };
    bool whole = inflateInit2(&stream, 15 + 16) == Z_OK;
    if (whole) {
        whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_out == 0;
        inflateEnd(&stream);
    }
    if (!whole) {
        free(out);
        return NULL;
    }
    return out;
}

static void serve_embedded(hp_http_request_t *request, const char *path)
{
    const hp_asset_t *asset = find_asset(path);
    if (asset == NULL) {
        hp_http_reply_problem(request, HP_E_NOT_FOUND, NULL);
        return;
    }
    set_page_headers(request, asset->immutable);
    hp_http_set_header(request, "ETag", asset->etag);
    hp_http_set_header(request, "Vary", "Accept-Encoding");
    if (hp_http_not_modified(request, asset->etag)) {
        hp_http_reply_empty(request, 304);
    } else if (takes_gzip(hp_http_header(request, "Accept-Encoding"))) {
        hp_http_set_header(request, "Content-Encoding", "gzip");
        hp_http_reply(request, 200, asset->type, asset->gzip, asset->gzip_size);
    } else {
        uint8_t *body = decode(asset);
        if (body != NULL)
            hp_http_reply_owned(request, 200, asset->type, body, asset->size);
        else
            hp_http_reply_problem(request, HP_E_INTERNAL, NULL);
    }
}

/* ---- from a folder ---- */

typedef struct {
    hp_api_op_t op;
    uv_work_t work;
    char path[HP_PATH_MAX + 1];
    int fd; /* or a negative errno */
    struct stat stat;
} file_op_t;

static void open_file(uv_work_t *work)
{
    file_op_t *file = work->data;
    int folder = open(file->op.api->deps.options->web_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    file->fd = folder < 0 ? -errno : hp_beneath_open(folder, file->path, O_RDONLY, 0, HP_BENEATH_LINKS);
    if (folder >= 0)
        close(folder);
    if (file->fd >= 0 && (fstat(file->fd, &file->stat) != 0 || !S_ISREG(file->stat.st_mode))) {
        close(file->fd);
        file->fd = -ENOENT;
    }
}

static void on_opened(uv_work_t *work, int canceled)
{
    file_op_t *file = work->data;
    hp_http_request_t *request = file->op.request;
    if (canceled != 0 || file->fd < 0) {
        hp_http_reply_problem(request, HP_E_NOT_FOUND, NULL);
    } else {
        char etag[96], type[128];
        const char *media_type = hp_path_media_type(file->path);
        snprintf(etag, sizeof etag, "\"%llx-%llx-%llx\"", (unsigned long long)file->stat.st_ino,
                 (unsigned long long)file->stat.st_size,
                 (unsigned long long)file->stat.st_mtim.tv_sec * 1000000000u +
                     (unsigned long long)file->stat.st_mtim.tv_nsec);
        snprintf(type, sizeof type, "%s%s", media_type,
                 strncmp(media_type, "text/", 5) == 0 ? "; charset=utf-8" : "");
        set_page_headers(request, false);
        hp_http_reply_file(
            request,
            &(hp_http_file_t){.fd = file->fd, .stat = file->stat, .content_type = type, .etag = etag});
    }
    hp_api_op_destroy(file);
}

static void serve_from_folder(hp_api_t *api, hp_http_request_t *request, const char *path)
{
    file_op_t *file = hp_api_op_create(sizeof *file, api, request);
    size_t length;
    const char *name = strcmp(path, "/") == 0 ? "/index.html" : path;
    int rc = hp_path_decode(name + 1, strlen(name + 1), file->path, sizeof file->path, &length);
    if (rc == 0)
        rc = hp_path_check(file->path, length, NULL);
    file->work.data = file;
    if (rc == 0)
        rc = uv_queue_work(api->deps.loop, &file->work, open_file, on_opened);
    if (rc != 0) {
        hp_http_reply_problem(request, HP_E_NOT_FOUND, NULL);
        hp_api_op_destroy(file);
    }
}

void hp_api_serve_asset(hp_api_t *api, hp_http_request_t *request)
{
    const char *method = hp_http_method(request), *path = hp_http_path(request);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        hp_http_reply_method(request, "GET, HEAD");
    else if (api->deps.options->web_root != NULL)
        serve_from_folder(api, request, path);
    else
        serve_embedded(request, path);
}
