/* Finding downloads: the list, page by page, and one by its number, which may have to be read from the store.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

#define PAGE_DOWNLOADS 200 /* of the list, made at one go */

bool hp_api_read_number(hp_http_request_t *request, const char *arg, int64_t *id)
{
    char *end;
    long long value = strtoll(arg, &end, 10);
    size_t length = strlen(arg);
    if (length > 0 && length <= 18 && strspn(arg, "0123456789") == length && *end == '\0') {
        *id = value;
        return true;
    }
    hp_http_reply_problem(request, HP_E_NOT_FOUND, NULL);
    return false;
}

/* ---- one download, which may have to be read from the store first ---- */

typedef struct {
    hp_api_op_t op;
    void (*handler)(hp_api_t *api, hp_http_request_t *request, const char *arg);
    char arg[20];
} with_op_t;

static void on_loaded(void *arg, int status, int64_t id, bool existing, const hp_err_t *err)
{
    with_op_t *with = arg;
    hp_err_t none = {0};
    (void)existing;
    if (status == HP_E_NOT_FOUND) {
        hp_err_set(&none, status, "there is no download %lld", (long long)id);
        err = &none;
    }
    status = hp_api_op_status(with, status);
    if (status != 0)
        hp_http_reply_problem(with->op.request, status, err);
    else
        with->handler(with->op.api, with->op.request, with->arg);
    hp_api_op_destroy(with);
}

void hp_api_with_download(hp_api_t *api, hp_http_request_t *request, const char *arg,
                          void (*handler)(hp_api_t *api, hp_http_request_t *request, const char *arg))
{
    int64_t id;
    if (!hp_api_read_number(request, arg, &id))
        return;
    if (hp_transfer_has(api->deps.transfer, id)) {
        handler(api, request, arg);
        return;
    }
    with_op_t *with = hp_api_op_create(sizeof *with, api, request);
    with->handler = handler;
    snprintf(with->arg, sizeof with->arg, "%lld", (long long)id);
    hp_transfer_load(api->deps.transfer, id, on_loaded, with);
}

/* ---- the list, a page at a time: there may be a hundred thousand ---- */

typedef struct {
    hp_api_op_t op;
    hp_transfer_page_t page;
    int64_t left; /* downloads that may still be listed */
    hp_http_stream_t *stream;
    hp_buf_t piece;
    bool begun; /* something was written already */
    bool any;   /* a download was */
} list_op_t;

static void on_list_end(void *arg)
{
    list_op_t *list = arg;
    hp_buf_dispose(&list->piece);
    hp_api_op_destroy(list);
}

static void add_download(void *arg, const hp_download_info_t *info)
{
    list_op_t *list = arg;
    char *text = hp_json_dump(hp_json_download(info));
    hp_buf_add_text(&list->piece, list->any ? "," : "");
    hp_buf_add_text(&list->piece, text);
    list->any = true;
    list->left--;
    free(text);
}

static void on_page(void *arg, int status, bool more, int64_t last, const hp_err_t *err)
{
    list_op_t *list = arg;
    bool ends = !more || list->left <= 0;
    if (status != 0)
        hp_log(HP_LOG_ERROR, "api: the list of downloads is cut short: %s", hp_err_text(err));
    if (ends)
        hp_buf_add_text(&list->piece, "]}");
    list->page.before = last;
    hp_http_stream_send(list->stream, list->piece.data, list->piece.length,
                        status != 0 || hp_api_is_closing(list->op.api) ? HP_STREAM_FAILED
                        : ends                                         ? HP_STREAM_LAST
                                                                       : HP_STREAM_MORE);
}

static void next_piece(void *arg, hp_http_stream_t *stream)
{
    list_op_t *list = arg;
    list->stream = stream;
    list->piece.length = 0;
    if (hp_api_is_closing(list->op.api)) {
        hp_http_stream_send(stream, "", 0, HP_STREAM_FAILED);
        return;
    }
    if (!list->begun)
        hp_buf_add_text(&list->piece, "{\"downloads\":[");
    list->begun = true;
    list->page.limit = (size_t)HP_MIN(list->left, (int64_t)PAGE_DOWNLOADS);
    hp_transfer_list(list->op.api->deps.transfer, &list->page, add_download, on_page, list);
}

void hp_api_get_downloads(hp_api_t *api, hp_http_request_t *request, const char *arg)
{
    static const char *const states[] = {
#define X(name, text) text,
        HP_DOWNLOAD_STATES(X)
#undef X
            NULL};
    hp_err_t err = {0};
    int state = -1;
    int64_t limit = 0, before = 0;
    (void)arg;
    int rc = hp_param_get_word(request, "state", states, &state, &err);
    if (rc == 0)
        rc = hp_param_get_int(request, "limit", 0, INT64_MAX, &limit, &err);
    if (rc == 0)
        rc = hp_param_get_int(request, "before", 1, INT64_MAX, &before, &err);
    if (rc != 0) {
        hp_http_reply_problem(request, rc, &err);
        return;
    }
    list_op_t *list = hp_api_op_create(sizeof *list, api, request);
    hp_buf_init(&list->piece, SIZE_MAX / 2);
    list->left = limit > 0 ? limit : INT64_MAX;
    list->page = (hp_transfer_page_t){.before = before, .one_state = state >= 0};
    if (state >= 0)
        list->page.state = (hp_download_state_t)state;
    hp_http_stream_t *stream = hp_http_reply_stream(request, 200, "application/json", next_piece, list);
    if (stream != NULL)
        hp_http_stream_on_end(stream, on_list_end);
    else
        on_list_end(list);
}
