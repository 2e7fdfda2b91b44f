/* A request's life, and what its accessors read. */
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/range.h"
#include "base/sockaddr.h"
#include "base/utf8.h"
#include "os/socket_owner.h"
#include "os/tcp.h"

/* A text that an accessor returned: kept under its key until the last release. */
struct hp_text {
    hp_text_t *next;
    char *value; /* or NULL */
    char key[];  /* "h:" or "q:" and the name */
};

static void destroy(hp_http_request_t *self)
{
    while (self->texts != NULL) {
        hp_text_t *text = self->texts;
        self->texts = text->next;
        free(text->value);
        free(text);
    }
    hp_head_dispose(&self->head);
    free(self->body);
    free(self);
}

typedef struct {
    void (*fn)(void *data);
    void *data;
} disposal_t;

static void run_disposal(void *memory)
{
    disposal_t *disposal = memory;
    disposal->fn(disposal->data);
}

void hp_request_at_disposal(h2o_req_t *req, void (*fn)(void *data), void *data)
{
    disposal_t *disposal = h2o_mem_alloc_shared(&req->pool, sizeof *disposal, run_disposal);
    *disposal = (disposal_t){fn, data};
}

static void on_dispose(void *data)
{
    hp_http_request_t *self = data;
    hp_connection_t *connection = self->connection;
    hp_turns_forget(self);
    hp_pieces_dispose(self);
    self->req = NULL;
    self->connection = NULL;
    self->writing = false;
    hp_connection_became_idle(connection);
    self->refs++; /* the callbacks below may release theirs */
    if (self->type != NULL)
        self->type->disposed(self);
    if (!self->finished && self->gone != NULL)
        self->gone(self->gone_arg);
    if (--self->refs == 0)
        destroy(self);
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    (void)req;
    hp_http_request_t *self = (hp_http_request_t *)generator;
    self->writing = false;
    if (self->connection->cut) /* while h2o was writing, whose socket took it all the same */
        hp_request_abort(self);
    else
        hp_turns_queue(self);
}

static void note(hp_connection_t *connection, hp_http_request_t *request)
{
    const char *agent = hp_http_header(request, "User-Agent");
    hp_utf8_printable(request->head.path, strlen(request->head.path), connection->path,
                      sizeof connection->path);
    hp_utf8_printable(agent != NULL ? agent : "", agent != NULL ? strlen(agent) : 0, connection->user_agent,
                      sizeof connection->user_agent);
}

hp_http_request_t *hp_request_create(h2o_req_t *req, hp_connection_t *connection, int *refused)
{
    h2o_socket_t *socket = connection->socket;
    hp_http_request_t *self = hp_alloc(sizeof *self);
    self->generator.proceed = on_proceed;
    self->req = req;
    self->connection = connection;
    self->refs = 1;
    self->who = connection->who;
    hp_request_at_disposal(req, on_dispose, self);
    hp_connection_became_busy(connection, self);
    *refused = hp_head_init(&self->head, socket->input->bytes, socket->input->size);
    self->is_head = strcmp(self->head.method, "HEAD") == 0;
    note(connection, self);
    return self;
}

void hp_request_handle(hp_http_request_t *self, int refused)
{
    hp_connection_t *connection = self->connection;
    if (connection->cut) /* it was cut while the request was on its way */
        hp_request_abort(self);
    else if (refused != 0)
        hp_refuse_request(self, refused);
    else if (connection->listener->busy_count > connection->listener->busy_max)
        hp_refuse_busy(self);
    else
        connection->listener->options.handler(connection->listener->options.arg, self);
    hp_http_release(self);
}

int hp_request_on_req(h2o_handler_t *handler, h2o_req_t *req)
{
    (void)handler;
    h2o_socket_t *socket = req->conn->callbacks->get_socket(req->conn);
    int refused;
    hp_http_request_t *self = hp_request_create(req, socket->on_close.data, &refused);
    hp_request_handle(self, refused);
    return 0;
}

void hp_http_addref(hp_http_request_t *self)
{
    self->refs++;
}

void hp_http_release(hp_http_request_t *self)
{
    if (--self->refs > 0)
        return;
    if (self->req == NULL) {
        destroy(self);
    } else if (!self->replied) {
        hp_log(HP_LOG_ERROR, "%s: %s %s was left without a reply", self->connection->listener->name,
               self->head.method, self->connection->path);
        hp_http_reply_problem(self, HP_E_INTERNAL, NULL);
    }
}

bool hp_http_gone(const hp_http_request_t *self)
{
    return self->req == NULL;
}

void *hp_http_arg(const hp_http_request_t *self)
{
    return self->req != NULL ? self->connection->listener->options.arg : NULL;
}

void hp_http_on_gone(hp_http_request_t *self, void (*fn)(void *arg), void *arg)
{
    self->gone = fn;
    self->gone_arg = arg;
}

void hp_request_abort(hp_http_request_t *self)
{
    if (self->req == NULL || self->writing || self->ended)
        return;
    hp_turns_forget(self);
    self->ended = self->writing = true;
    self->req->http1_is_persistent = 0;
    if (!self->replied) {
        /* The socket is shut already: writing these fields fails, which is what ends the connection. */
        self->replied = true;
        self->req->res.status = 503;
        self->req->res.content_length = 0;
        h2o_start_response(self->req, &self->generator);
    }
    h2o_send(self->req, NULL, 0, H2O_SEND_STATE_ERROR);
}

/* ---- accessors ---- */

const char *hp_http_method(const hp_http_request_t *self)
{
    return self->head.method;
}

const char *hp_http_path(const hp_http_request_t *self)
{
    return self->head.path;
}

const char *hp_http_query_text(const hp_http_request_t *self)
{
    return self->head.query;
}

static const char *kept(hp_http_request_t *self, const char *kind, const char *name,
                        char *(*read)(const hp_head_t *head, const char *name))
{
    for (const hp_text_t *text = self->texts; text != NULL; text = text->next)
        if (strncmp(text->key, kind, 2) == 0 && strcmp(text->key + 2, name) == 0)
            return text->value;
    hp_text_t *text = hp_alloc(sizeof *text + strlen(name) + 3);
    memcpy(text->key, kind, 2);
    memcpy(text->key + 2, name, strlen(name) + 1);
    text->value = read(&self->head, name);
    text->next = self->texts;
    self->texts = text;
    return text->value;
}

const char *hp_http_query(hp_http_request_t *self, const char *name)
{
    return self->head.query != NULL ? kept(self, "q:", name, hp_head_query) : NULL;
}

const char *hp_http_header(hp_http_request_t *self, const char *name)
{
    if (self->head.authority != NULL && strcasecmp(name, "Host") == 0)
        return self->head.authority;
    return kept(self, "h:", name, hp_head_field);
}

const void *hp_http_body(hp_http_request_t *self, size_t *length)
{
    if (self->body == NULL && self->req != NULL && self->req->entity.len > 0) {
        self->body_length = self->req->entity.len;
        self->body = memcpy(hp_alloc(self->body_length), self->req->entity.base, self->body_length);
    }
    *length = self->body_length;
    return self->body;
}

const char *hp_http_client(const hp_http_request_t *self, uint16_t *port)
{
    if (port != NULL)
        *port = self->who.port;
    return self->who.address;
}

bool hp_http_here(const hp_http_request_t *self, char address[64], uint16_t *port)
{
    hp_sockaddr_t here;
    socklen_t length = sizeof here;
    hp_connection_t *connection = self->connection;
    if (connection == NULL || getsockname(hp_connection_fd(connection), &here.any, &length) != 0)
        return false;
    *port = ntohs(hp_sockaddr_port(&here));
    if (here.any.sa_family == AF_INET)
        return uv_ip4_name(&here.v4, address, 64) == 0;
    if (here.any.sa_family != AF_INET6)
        return false;
    if (!IN6_IS_ADDR_V4MAPPED(&here.v6.sin6_addr))
        return !IN6_IS_ADDR_LINKLOCAL(&here.v6.sin6_addr) && uv_ip6_name(&here.v6, address, 64) == 0;
    return inet_ntop(AF_INET, here.v6.sin6_addr.s6_addr + 12, address, 64) != NULL;
}

const hp_who_t *hp_http_who(const hp_http_request_t *self)
{
    return &self->who;
}

int hp_http_owner(const hp_http_request_t *self, int asker, uid_t *uid)
{
    hp_connection_t *connection = self->connection;
    hp_sockaddr_t client, here;
    socklen_t client_length = sizeof client, here_length = sizeof here;
    if (connection == NULL)
        return -ENOENT;
    if (!connection->owner_known) {
        int fd = hp_connection_fd(connection);
        bool known = getpeername(fd, &client.any, &client_length) == 0 &&
                     getsockname(fd, &here.any, &here_length) == 0;
        connection->owner_error =
            known ? hp_os_socket_owner(asker, &client, &here, &connection->owner) : -errno;
        connection->owner_known = true;
    }
    *uid = connection->owner;
    return connection->owner_error;
}

uint32_t hp_http_rtt_us(const hp_http_request_t *self)
{
    return self->connection != NULL ? hp_tcp_rtt_us(hp_connection_fd(self->connection)) : 0;
}

bool hp_http_accepts(hp_http_request_t *self, const char *media_type)
{
    const char *accept = hp_http_header(self, "Accept");
    return accept != NULL && hp_accept_names(accept, media_type);
}

bool hp_http_not_modified(hp_http_request_t *self, const char *etag)
{
    const char *list = hp_http_header(self, "If-None-Match");
    return list != NULL && hp_etag_list_matches(list, strlen(list), etag, false);
}

int hp_http_json(hp_http_request_t *self, json_t **json, hp_err_t *err)
{
    size_t length;
    const char *body = hp_http_body(self, &length);
    json_error_t where;
    *json = json_loadb(body != NULL ? body : "", length,
                       JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    if (*json != NULL)
        return 0;
    char text[JSON_ERROR_TEXT_LENGTH];
    hp_utf8_printable(where.text, strlen(where.text), text, sizeof text);
    return hp_err_set(err, HP_E_BAD_JSON, "the body is not JSON: line %d, column %d: %s", where.line,
                      where.column, text);
}
