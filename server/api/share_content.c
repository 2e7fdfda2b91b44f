/* The bytes of a shared file, for the page's preview: GET /api/v1/share/content/{path...}. The page may not
 * ask the peer listener, which is another origin. */
#include <stdio.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/clock.h"
#include "base/mem.h"

#define SETTLED_MS 2500 /* a file changed less long ago could change again without another time */

typedef struct {
    hp_api_op_t op;
    const char *type; /* by the name */
} content_op_t;

static void on_opened(void *arg, int status, const hp_share_file_t *file)
{
    content_op_t *content = arg;
    hp_api_op_t *op = &content->op;
    if (status != 0 || hp_api_is_closing(op->api)) {
        if (status == 0)
            close(file->fd);
        hp_http_reply_problem(op->request, status != 0 ? status : HP_E_BUSY, NULL);
        hp_api_op_destroy(op);
        return;
    }
    char etag[112];
    const struct stat *st = &file->stat;
    int64_t age = hp_clock_wall_ms() - (int64_t)st->st_ctim.tv_sec * 1000;
    bool settled = age > SETTLED_MS || age < -SETTLED_MS; /* the clock was set back since */
    snprintf(etag, sizeof etag, "%s\"%llx-%llx-%llx-%llx.%lx-%llx.%lx\"", settled ? "" : "W/",
             (unsigned long long)st->st_dev, (unsigned long long)st->st_ino, (unsigned long long)st->st_size,
             (unsigned long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
             (unsigned long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
    hp_http_set_header(op->request, "Content-Security-Policy", HP_CONTENT_POLICY);
    hp_http_set_header(op->request, "Cache-Control", "no-cache");
    hp_http_reply_file(
        op->request,
        &(hp_http_file_t){.fd = file->fd, .stat = *st, .content_type = content->type, .etag = etag});
    hp_api_op_destroy(op);
}

void hp_api_get_share_content(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    content_op_t *content = hp_api_op_create(sizeof *content, api, request);
    content->type = hp_api_content_type(arg);
    hp_share_open(api->deps.share, arg, on_opened, content);
}
