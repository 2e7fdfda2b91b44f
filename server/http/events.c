/* Server-sent events (HTML Living Standard section 9.2). */
#include "internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

struct hp_http_events {
    hp_http_request_t *request;
    void (*on_close)(void *arg);
    void *arg;
    hp_buf_t waiting;
    char *sent; /* on its way */
};

static void on_turn(hp_http_request_t *request)
{
    hp_http_events_t *self = request->reply;
    size_t length = self->waiting.length;
    free(self->sent);
    self->sent = NULL;
    if (length == 0)
        return;
    self->sent = hp_buf_take(&self->waiting);
    hp_reply_send(request, self->sent, length, H2O_SEND_STATE_IN_PROGRESS);
}

static void on_disposed(hp_http_request_t *request)
{
    hp_http_events_t *self = request->reply;
    void (*on_close)(void *arg) = self->on_close;
    void *arg = self->arg;
    hp_buf_dispose(&self->waiting);
    free(self->sent);
    free(self);
    if (on_close != NULL)
        on_close(arg);
}

hp_http_events_t *hp_http_reply_events(hp_http_request_t *request, void (*on_close)(void *arg), void *arg)
{
    static const hp_reply_type_t type = {.turn = on_turn, .disposed = on_disposed, .pushed = true};
    hp_http_set_header(request, "Cache-Control", "no-store");
    h2o_req_t *req = hp_reply_begin_body(request, 200, "text/event-stream", SIZE_MAX);
    if (req == NULL)
        return NULL;
    hp_http_events_t *self = hp_alloc(sizeof *self);
    self->request = request;
    self->on_close = on_close;
    self->arg = arg;
    hp_buf_init(&self->waiting, HP_EVENTS_BACKLOG);
    if (request->head.minor == 0)
        req->http1_is_persistent = 0;
    hp_reply_start(request, &type, self);
    return self;
}

/* Whole blocks only: a client that does not keep up is cut, it never sees half an event. */
static void push(hp_http_events_t *self, hp_buf_t *block, int overflow)
{
    if (!self->request->ended) {
        if (overflow != 0 || hp_buf_add(&self->waiting, block->data, block->length) != 0) {
            hp_log(HP_LOG_INFO, "%s: an event stream of %s fell behind",
                   self->request->connection->listener->name, self->request->connection->who.address);
            hp_buf_dispose(block);
            hp_connection_cut(self->request->connection);
            return;
        }
        hp_turns_queue(self->request);
    }
    hp_buf_dispose(block);
}

void hp_http_events_send(hp_http_events_t *self, uint64_t id, const char *event, const char *data)
{
    hp_buf_t block;
    hp_buf_init(&block, HP_EVENTS_BACKLOG);
    int overflow = hp_buf_printf(&block, "id: %" PRIu64 "\nevent: %s\n", id, event);
    for (const char *line = data;;) {
        size_t length = strcspn(line, "\r\n");
        overflow |= hp_buf_add_text(&block, "data: ") | hp_buf_add(&block, line, length) |
                    hp_buf_add_text(&block, "\n");
        if (line[length] == '\0')
            break;
        line += length + (line[length] == '\r' && line[length + 1] == '\n' ? 2 : 1);
    }
    overflow |= hp_buf_add_text(&block, "\n");
    push(self, &block, overflow);
}

void hp_http_events_comment(hp_http_events_t *self)
{
    hp_buf_t block;
    hp_buf_init(&block, HP_EVENTS_BACKLOG);
    push(self, &block, hp_buf_add_text(&block, ":\n\n"));
}
