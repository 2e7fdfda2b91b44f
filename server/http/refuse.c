/* Requests that never reach the handler. h2o answers some by itself: a body that is too long, a broken chunk,
 * an unknown expectation; a filter gives those replies the form of all others, and the client the time to
 * read them. Others are refused here, because hp_head_init found them to be unclear or too large. */
#include "internal.h"

#include <string.h>

#include "base/err.h"
#include "secured.h"

typedef struct {
    h2o_ostream_t super;
    h2o_iovec_t body;
} refusal_t;

static hp_connection_t *connection_of(h2o_req_t *req)
{
    h2o_socket_t *socket = req->conn->callbacks->get_socket(req->conn);
    return socket != NULL ? socket->on_close.data : NULL;
}

/* Runs when h2o lets go of the request. */
static void linger(void *data)
{
    hp_connection_t *connection = data;
    int fd = hp_connection_fd(connection);
    if (connection->secured != NULL)
        hp_secured_linger(connection);
    else if (fd >= 0 && !connection->cut)
        hp_linger_start(connection->listener, fd);
}

static void send_refusal(h2o_ostream_t *ostream, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
                         h2o_send_state_t state)
{
    (void)bufs;
    (void)count;
    (void)state;
    refusal_t *self = (refusal_t *)ostream;
    bool head = h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));
    h2o_ostream_send_next(ostream, req, &self->body, head ? 0 : 1, H2O_SEND_STATE_FINAL);
}

static const char *type_of(const hp_http_listener_t *listener)
{
    return listener->options.problem_json ? "application/problem+json" : "text/plain; charset=utf-8";
}

static h2o_iovec_t compose(const hp_http_listener_t *listener, h2o_mem_pool_t *pool, int status)
{
    int code = status == 503                                     ? HP_E_BUSY
               : status == 413 || status == 414 || status == 431 ? HP_E_TOO_LARGE
                                                                 : HP_E_BAD_REQUEST;
    const char *sentence = hp_err_sentence(code);
    char detail[160];
    size_t size = 512;
    char *text = h2o_mem_alloc_pool(pool, size);
    if (status == 411)
        snprintf(detail, sizeof detail,
                 "A body in chunks is not taken: send its length with it, in Content-Length");
    else if (status == 413)
        snprintf(detail, sizeof detail, "%s: %zu bytes in one request", sentence, listener->options.body_max);
    else
        snprintf(detail, sizeof detail, "%s", sentence);
    int n = listener->options.problem_json ? snprintf(text, size,
                                                      "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":"
                                                      "%d,\"detail\":\"%s\",\"code\":\"%s\"}",
                                                      sentence, status, detail, hp_err_slug(code))
                                           : snprintf(text, size, "%s.\n", detail);
    return h2o_iovec_init(text, (size_t)n);
}

void hp_refuse_request(hp_http_request_t *request, int status)
{
    h2o_iovec_t body = compose(request->connection->listener, &request->req->pool, status);
    request->req->http1_is_persistent = 0;
    hp_reply_static(request, status, type_of(request->connection->listener), body.base, body.len);
}

void hp_refuse_busy(hp_http_request_t *request)
{
    h2o_iovec_t body = compose(request->connection->listener, &request->req->pool, 503);
    hp_http_set_header(request, "Retry-After", "1");
    hp_reply_static(request, 503, type_of(request->connection->listener), body.base, body.len);
}

void hp_refuse_linger(h2o_req_t *req, hp_connection_t *connection)
{
    hp_request_at_disposal(req, linger, connection);
}

/* h2o gives up a body in chunks with 413 as soon as it is too long; shorter ones are refused after their end.
 */
static bool is_in_chunks(const hp_connection_t *connection)
{
    const h2o_buffer_t *input = connection->socket->input;
    hp_head_t head;
    bool chunks = hp_head_init(&head, input->bytes, input->size) == 411;
    hp_head_dispose(&head);
    return chunks;
}

static void on_setup_ostream(h2o_filter_t *filter, h2o_req_t *req, h2o_ostream_t **slot)
{
    (void)filter;
    hp_connection_t *connection = connection_of(req);
    if (connection == NULL || connection->request != NULL) {
        h2o_setup_next_ostream(req, slot);
        return;
    }
    if (req->res.status == 413 && is_in_chunks(connection))
        req->res.status = 411;
    if (req->res.status == 413 && hp_pieces_take(req, connection, slot))
        return;
    const char *type = type_of(connection->listener);
    refusal_t *self = (refusal_t *)h2o_add_ostream(req, sizeof *self, slot);
    self->super.do_send = send_refusal;
    self->body = compose(connection->listener, &req->pool, req->res.status);
    req->res.content_length = self->body.len;
    req->res.reason = hp_status_reason(req->res.status);
    req->res.headers.size = 0;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, type, strlen(type));
    hp_refuse_linger(req, connection);
    h2o_setup_next_ostream(req, &self->super.next);
}

void hp_refuse_register(h2o_pathconf_t *pathconf)
{
    h2o_create_filter(pathconf, sizeof(h2o_filter_t))->on_setup_ostream = on_setup_ostream;
}
