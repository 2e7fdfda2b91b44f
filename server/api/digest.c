/* Digests of whole files as other programs print them: GET /api/v1/share/digest, and what
 * /downloads/{id}/digest shares with it. */
#include "share/digest.h"

#include <unistd.h>

#include "api/internal.h"

typedef struct {
    hp_api_op_t op;
    int algorithm;
} digest_op_t;

static void on_digest(void *arg, int status, const hp_digest_t *digest, const hp_err_t *err)
{
    digest_op_t *op = arg;
    if (status != 0) {
        hp_http_reply_problem(op->op.request, status, err);
    } else {
        bool known = digest->hex[0] != '\0';
        json_t *json = json_object();
        json_object_set_new(json, "algorithm", json_string(hp_digest_names[op->algorithm]));
        json_object_set_new(json, "hex", hp_json_text_or_null(digest->hex));
        if (!known) {
            json_object_set_new(json, "done_bytes", hp_json_count(digest->done_bytes));
            json_object_set_new(json, "size", hp_json_count(digest->size));
        }
        hp_http_reply_json(op->op.request, known ? 200 : 202, json);
    }
    hp_api_op_destroy(op);
}

void hp_api_reply_digest(hp_api_t *api, hp_http_request_t *request, int fd, const struct stat *st,
                         int algorithm)
{
    digest_op_t *op = hp_api_op_create(sizeof *op, api, request);
    op->algorithm = algorithm;
    hp_digests_get(api->digests, fd, st, algorithm, on_digest, op);
}

int hp_api_read_algorithm(hp_http_request_t *request, int *algorithm, hp_err_t *err)
{
    *algorithm = -1;
    int rc = hp_param_get_word(request, "algorithm", hp_digest_names, algorithm, err);
    return rc == 0 && *algorithm < 0 ? hp_err_set(err, HP_E_INVALID, "algorithm: is missing") : rc;
}

static void on_opened(void *arg, int status, const hp_share_file_t *file)
{
    digest_op_t *op = arg;
    if (status == 0 && !hp_api_is_closing(op->op.api)) {
        hp_api_reply_digest(op->op.api, op->op.request, file->fd, &file->stat, op->algorithm);
    } else {
        if (status == 0)
            close(file->fd);
        hp_http_reply_problem(op->op.request, status != 0 ? status : HP_E_BUSY, NULL);
    }
    hp_api_op_destroy(op);
}

void hp_api_get_share_digest(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    (void)arg;
    hp_err_t err = {0};
    int algorithm;
    const char *path = NULL;
    int rc = hp_api_read_algorithm(request, &algorithm, &err);
    if (rc == 0)
        rc = hp_param_get_text(request, "path", &path, &err);
    if (rc == 0 && path == NULL)
        rc = hp_err_set(&err, HP_E_INVALID, "path: is missing");
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    digest_op_t *op = hp_api_op_create(sizeof *op, api, request);
    op->algorithm = algorithm;
    hp_share_open(api->deps.share, path, on_opened, op);
}
