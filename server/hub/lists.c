/* Sealed lists and tags: what members offer, for the others to look at while they are away. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/range.h"
#include "hub/internal.h"
#include "hub/json.h"

static void on_changed(void *arg, int status, const hp_err_t *err)
{
    hp_hub_op_t *op = arg;
    if (!hp_hub_refused(op->request, status, err))
        hp_http_reply_empty(op->request, 204);
    hp_hub_op_destroy(op);
}

/* ---- PUT, DELETE /hub/v1/groups/{gid}/lists/self?etag= ---- */

typedef struct {
    hp_hub_op_t op; /* first */
    bool last;      /* the list is complete with this piece */
    char etag[HP_DB_HUB_ETAG_SIZE];
    uint64_t size;
} put_t;

static void on_put(void *arg, int status, const hp_err_t *err)
{
    put_t *put = arg;
    if (status == 0 && put->last) {
        hp_hub_t *hub = put->op.hub;
        json_t *list = json_pack("{s:s,s:I}", "etag", put->etag, "size", (json_int_t)put->size);
        json_t *json = json_pack("{s:o,s:s,s:o}", "group", hp_hub_hex_json(put->op.gid, 16), "id", put->op.id,
                                 "list", list);
        hp_presence_tell(hub->presence, put->op.gid,
                         hp_presence_member(hub->presence, put->op.gid, put->op.id), "list", json);
    }
    on_changed(put, status, err);
}

/* The piece that the request brings, by its Content-Range (RFC 9110 section 14.4). */
static int read_piece(hp_http_request_t *request, hp_db_hub_piece_t *piece, hp_err_t *err)
{
    const char *etag = hp_http_query(request, "etag"), *range = hp_http_header(request, "Content-Range");
    uint64_t first, last, total;
    int end = 0;
    piece->data = hp_http_body(request, &piece->length);
    if (etag == NULL || strlen(etag) < 8 || strlen(etag) >= sizeof piece->etag ||
        strspn(etag, "0123456789abcdef") != strlen(etag))
        return hp_err_set(err, HP_E_INVALID, "\"etag\" is to be 8 to %zu lower-case hex digits",
                          sizeof piece->etag - 1);
    if (range == NULL || strlen(range) > 80 ||
        sscanf(range, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64 "%n", &first, &last, &total, &end) != 3 ||
        range[end] != '\0' || last < first || last >= total || last - first + 1 != piece->length)
        return hp_err_set(err, HP_E_INVALID, "Content-Range does not describe the body");
    if (total > HP_HUB_LIST_MAX)
        return hp_err_set(err, HP_E_TOO_LARGE, "a list has at most %llu bytes",
                          (unsigned long long)HP_HUB_LIST_MAX);
    if (piece->length != HP_HUB_PIECE && last + 1 != total)
        return hp_err_set(err, HP_E_INVALID, "every piece but the last has %zu bytes", HP_HUB_PIECE);
    snprintf(piece->etag, sizeof piece->etag, "%s", etag);
    piece->offset = first;
    piece->total = total;
    return 0;
}

void hp_hub_put_list(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)rest;
    hp_err_t err = {0};
    hp_db_hub_piece_t piece = {0};
    if (hp_hub_refused(request, read_piece(request, &piece, &err), &err))
        return;
    put_t *put = hp_hub_op_create(sizeof *put, hub, request);
    memcpy(put->op.gid, gid, sizeof put->op.gid);
    put->last = piece.offset + piece.length == piece.total;
    memcpy(put->etag, piece.etag, sizeof put->etag);
    put->size = piece.total;
    memcpy(piece.gid, gid, sizeof piece.gid);
    memcpy(piece.host, put->op.id, sizeof piece.host);
    hub->backend->put_piece(hub->backend, &piece, on_put, put);
}

void hp_hub_delete_list(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)rest;
    hp_hub_op_t *op = hp_hub_op_create(sizeof *op, hub, request);
    hub->backend->remove_list(hub->backend, gid, op->id, on_changed, op);
}

/* ---- GET /hub/v1/groups/{gid}/lists/{id}: piece by piece ---- */

typedef struct {
    hp_hub_op_t op; /* first */
    char host[HP_PEER_ID_SIZE];
    char etag[HP_DB_HUB_ETAG_SIZE];
    hp_http_stream_t *stream; /* waits for a piece; NULL: it has not asked */
    void *first;              /* read before the reply began; NULL: sent */
    size_t first_length;
    uint64_t offset, total;
} get_t;

static void end_get(void *arg)
{
    get_t *get = arg;
    free(get->first);
    hp_hub_op_destroy(get);
}

static void send_piece(get_t *get, int status, const void *data, size_t length)
{
    hp_http_stream_t *stream = get->stream;
    get->stream = NULL;
    get->offset += length;
    hp_http_stream_send(stream, data, length,
                        status != 0 || length == 0 ? HP_STREAM_FAILED
                        : get->offset < get->total ? HP_STREAM_MORE
                                                   : HP_STREAM_LAST);
}

static void on_piece(void *arg, int status, const char *etag, uint64_t total, const void *data, size_t length,
                     const hp_err_t *err)
{
    (void)etag, (void)total, (void)err;
    send_piece(arg, status, data, length);
}

static void on_next(void *arg, hp_http_stream_t *stream)
{
    get_t *get = arg;
    hp_hub_t *hub = get->op.hub;
    get->stream = stream;
    if (get->first == NULL) {
        hub->backend->get_piece(hub->backend, get->op.gid, get->host, get->etag, get->offset, on_piece, get);
        return;
    }
    void *first = get->first;
    get->first = NULL;
    send_piece(get, 0, first, get->first_length);
    free(first);
}

static void on_first_piece(void *arg, int status, const char *etag, uint64_t total, const void *data,
                           size_t length, const hp_err_t *err)
{
    get_t *get = arg;
    hp_http_request_t *request = get->op.request;
    char quoted[HP_DB_HUB_ETAG_SIZE + 2];
    if (hp_hub_refused(request, status, err)) {
        end_get(get);
        return;
    }
    snprintf(get->etag, sizeof get->etag, "%s", etag);
    snprintf(quoted, sizeof quoted, "\"%s\"", etag);
    hp_http_set_header(request, "ETag", quoted);
    if (hp_http_not_modified(request, quoted)) {
        hp_http_reply_empty(request, 304);
        end_get(get);
        return;
    }
    get->total = total;
    get->first = memcpy(hp_alloc(length), data, length);
    get->first_length = length;
    hp_http_stream_t *stream =
        hp_http_reply_stream_sized(request, 200, "application/octet-stream", (size_t)total, on_next, get);
    if (stream != NULL)
        hp_http_stream_on_end(stream, end_get);
    else
        end_get(get);
}

void hp_hub_get_list(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *host)
{
    get_t *get = hp_hub_op_create(sizeof *get, hub, request);
    memcpy(get->op.gid, gid, sizeof get->op.gid);
    snprintf(get->host, sizeof get->host, "%s", host);
    hub->backend->get_piece(hub->backend, gid, get->host, "", 0, on_first_piece, get);
}

/* ---- POST, GET /hub/v1/groups/{gid}/have ---- */

/* The tags of a field, 16 bytes each; absent: none. */
static int read_tags(const json_t *body, const char *field, uint8_t *out, size_t *count, hp_err_t *err)
{
    const json_t *list = json_object_get(body, field);
    *count = json_array_size(list);
    if ((list != NULL && !json_is_array(list)) || *count > HP_HUB_TAGS)
        return hp_err_set(err, HP_E_INVALID, "\"%s\" is to be a list of at most %d tags", field, HP_HUB_TAGS);
    for (size_t i = 0; i < *count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL || hp_hex_decode(text, out + i * 16, 16) != 0)
            return hp_err_set(err, HP_E_INVALID, "\"%s\": number %zu is not 32 lower-case hex digits", field,
                              i);
    }
    return 0;
}

void hp_hub_post_have(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)rest;
    json_t *body;
    hp_err_t err = {0};
    if (hp_hub_refused(request, hp_http_json(request, &body, &err), &err))
        return;
    uint8_t *tags = hp_alloc((size_t)2 * HP_HUB_TAGS * 16);
    hp_db_hub_tags_t row = {.reset = json_is_true(json_object_get(body, "reset")),
                            .add = tags,
                            .remove = tags + (size_t)HP_HUB_TAGS * 16,
                            .max = HP_HUB_TAGS_MAX};
    int rc = read_tags(body, "add", tags, &row.add_count, &err);
    if (rc == 0)
        rc = read_tags(body, "remove", tags + (size_t)HP_HUB_TAGS * 16, &row.remove_count, &err);
    json_decref(body);
    if (!hp_hub_refused(request, rc, &err)) {
        hp_hub_op_t *op = hp_hub_op_create(sizeof *op, hub, request);
        memcpy(row.gid, gid, sizeof row.gid);
        memcpy(row.host, op->id, sizeof row.host);
        hub->backend->tags(hub->backend, &row, on_changed, op);
    }
    free(tags);
}

static void on_have(void *arg, int status, const char (*hosts)[33], size_t count, const hp_err_t *err)
{
    hp_hub_op_t *op = arg;
    if (!hp_hub_refused(op->request, status, err)) {
        json_t *list = json_array();
        for (size_t i = 0; i < count; i++)
            json_array_append_new(list, json_string(hosts[i]));
        hp_http_reply_json(op->request, 200, json_pack("{s:o}", "hosts", list));
    }
    hp_hub_op_destroy(op);
}

void hp_hub_get_have(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16], const char *rest)
{
    (void)rest;
    uint8_t tag[16];
    hp_err_t err = {0};
    const char *text = hp_http_query(request, "tag");
    int rc = text != NULL && hp_hex_decode(text, tag, sizeof tag) == 0
                 ? 0
                 : hp_err_set(&err, HP_E_INVALID, "\"tag\" is to be 32 lower-case hex digits");
    if (hp_hub_refused(request, rc, &err))
        return;
    hp_hub_op_t *op = hp_hub_op_create(sizeof *op, hub, request);
    hub->backend->have(hub->backend, gid, tag, 100, on_have, op);
}
