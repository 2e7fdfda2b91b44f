// libs: fetch secure identity path os base
/* A source's whole reply, as the HTTP client takes it from a connection: in pieces of any size, and with a
 * receiver that holds it up, it is the same reply as in one go, and never more than was asked for and
 * promised. The first byte says what is asked, the second in which pieces the reply comes, the next two which
 * range; the rest is the reply.
 *
 * The connection is one to a member of a group (fetch/member.c), so that its other end is here. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fetch/fetch.h"

#include "promise.h"

#define ASKED_HEAD   1
#define ASKED_RANGE  2
#define ASKED_LITTLE 4 /* at most BODY_MAX bytes are taken */
#define HOLDS        8
#define BODY_MAX     64
#define TURNS_MAX    100000 /* of the loop, for one reply */

static const uint8_t fingerprint[32] = {1, 2, 3};

static uv_loop_t loop;
static hp_fetcher_t *fetcher;

/* One request and how it went. */
typedef struct {
    bool holds, held;
    hp_fetch_t *fetch;
    int fd; /* the source's end of the connection; -1: none */
    hp_connector_chosen_fn chosen;
    void *chosen_arg;

    bool done, has_head;
    int status;
    hp_fetch_head_t head; /* without its texts */
    char texts[1024];     /* some of them, one after the other */
    hp_buf_t body;
} reply_t;
static reply_t *now;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the connection ---- */

static int choose(void *arg, const char *id, hp_connector_chosen_fn chosen, void *chosen_arg)
{
    (void)arg, (void)id;
    now->chosen = chosen;
    now->chosen_arg = chosen_arg;
    return 0;
}

static void dial(void *arg, const char *id, hp_way_t way, int fd)
{
    (void)arg, (void)id, (void)way;
    promise(now->fd < 0); /* a reply is asked for once */
    now->fd = fd;
}

/* A client for one reply: it keeps no connection, and nothing else. */
static void create_client(void)
{
    hp_connector_t connector = {.choose = choose, .dial = dial};
    promise(hp_fetcher_create(&fetcher, &loop, NULL) == 0);
    promise(hp_fetcher_set_connector(fetcher, &connector, NULL) == 0);
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void destroy_client(void)
{
    bool closed = false;
    hp_fetcher_destroy(fetcher, on_closed, &closed);
    while (!closed)
        uv_run(&loop, UV_RUN_ONCE);
}

static void turn(void)
{
    reply_t *self = now;
    uv_run(&loop, UV_RUN_NOWAIT);
    if (self->chosen != NULL) {
        hp_connector_chosen_fn chosen = self->chosen;
        self->chosen = NULL;
        chosen(self->chosen_arg, HP_WAY_DIRECT, NULL);
    }
    if (self->held && !self->done)
        hp_fetch_resume(self->fetch);
    self->held = false;
}

/* Takes the request, so that the connection can end without a reset. */
static void drain(int fd)
{
    char request[4096];
    while (recv(fd, request, sizeof request, MSG_DONTWAIT) > 0)
        continue;
}

static void send_reply(reply_t *self, const uint8_t *reply, size_t size, size_t piece)
{
    int on = 1;
    setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (size_t at = 0; at < size && !self->done; at += piece) {
        drain(self->fd);
        if (send(self->fd, reply + at, HP_MIN(piece, size - at), MSG_NOSIGNAL) < 0)
            break; /* it has ended there */
        turn();
    }
    drain(self->fd);
    shutdown(self->fd, SHUT_WR);
}

/* ---- the request ---- */

static int on_head(void *arg, const hp_fetch_head_t *head)
{
    reply_t *self = arg;
    promise(!self->has_head && !self->done);
    self->has_head = true;
    self->head = *head;
    snprintf(self->texts, sizeof self->texts, "%s\n%s\n%s\n%s", head->etag, head->content_type,
             head->hostpair_root, head->last_modified);
    return 0;
}

static int on_data(void *arg, const uint8_t *data, size_t length)
{
    reply_t *self = arg;
    promise(self->has_head && !self->done && length > 0);
    if (self->holds && !self->held && self->body.length % 3 == 0) {
        self->held = true;
        self->holds = false; /* the same bytes come again, and are taken then */
        return HP_FETCH_HOLD;
    }
    promise(hp_buf_add(&self->body, data, length) == 0);
    return 0;
}

static void on_done(void *arg, int status, const hp_err_t *err)
{
    reply_t *self = arg;
    promise(!self->done && (status == 0 || hp_err_text(err)[0] != '\0'));
    self->done = true;
    self->status = status;
}

static const hp_fetch_callbacks_t callbacks = {.on_head = on_head, .on_data = on_data, .on_done = on_done};

static void ask(reply_t *self, uint8_t asked, const hp_range_t *range, const uint8_t *reply, size_t size,
                size_t piece)
{
    hp_endpoint_t endpoint;
    *self = (reply_t){.holds = piece < size && asked & HOLDS, .fd = -1};
    hp_buf_init(&self->body, 1 << 20);
    hp_endpoint_member(&endpoint, fingerprint);
    create_client();
    now = self;
    self->fetch = hp_fetch_start(fetcher,
                                 &(hp_fetch_options_t){.endpoint = &endpoint,
                                                       .path = "/files/a",
                                                       .method = asked & ASKED_HEAD ? "HEAD" : NULL,
                                                       .ranged = asked & ASKED_RANGE,
                                                       .range = *range,
                                                       .body_max = asked & ASKED_LITTLE ? BODY_MAX : 0},
                                 &callbacks, self);
    for (int turns = 0; self->fd < 0 && !self->done && turns < TURNS_MAX; turns++)
        turn();
    promise(self->fd >= 0);
    send_reply(self, reply, size, piece);
    for (int turns = 0; !self->done && turns < TURNS_MAX; turns++)
        turn();
    promise(self->done);
    struct linger none = {.l_onoff = 1};
    setsockopt(self->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(self->fd);
    destroy_client();
}

/* ---- promises ---- */

static void check_reply(const reply_t *self, uint8_t asked, const hp_range_t *range)
{
    const hp_fetch_head_t *head = &self->head;
    size_t length = self->body.length;
    if (!self->has_head) {
        promise(self->status != 0 && length == 0);
        return;
    }
    if (head->ranged) {
        promise(asked & ASKED_RANGE && head->range.first == range->first && head->range.end <= range->end);
        promise(length <= head->range.end - head->range.first);
        promise(self->status != 0 || asked & ASKED_HEAD || length == head->range.end - head->range.first);
    }
    if (asked & ASKED_HEAD || head->status == 204 || head->status == 304)
        promise(length == 0);
    else if (head->content_length != HP_RANGE_UNKNOWN)
        promise(length <= head->content_length && (self->status != 0 || length == head->content_length));
    promise(!(asked & ASKED_LITTLE) || length <= BODY_MAX);
}

static void check_same(const reply_t *a, const reply_t *b)
{
    size_t common = HP_MIN(a->body.length, b->body.length);
    promise(a->status == b->status && a->has_head == b->has_head);
    promise(a->status != 0 || a->body.length == b->body.length);
    promise(common == 0 || memcmp(a->body.data, b->body.data, common) == 0);
    promise(a->head.status == b->head.status && a->head.content_length == b->head.content_length);
    promise(a->head.total == b->head.total && a->head.range.end == b->head.range.end);
    promise(strcmp(a->texts, b->texts) == 0);
}

/* libcurl 7 drops what is in its buffer behind a NUL at the start of a header line. */
static bool has_dropped(const uint8_t *reply, size_t size)
{
    for (size_t i = 1; i < size; i++)
        if (reply[i] == '\0' && reply[i - 1] == '\n')
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reply_t whole, pieces;
    if (size < 5)
        return 0;
    if (now == NULL)
        promise(uv_loop_init(&loop) == 0);
    hp_range_t range = {data[2], (uint64_t)data[2] + 1 + data[3]};
    size_t piece = data[1] % 64 + 1;
    ask(&whole, data[0], &range, data + 4, size - 4, size);
    check_reply(&whole, data[0], &range);
    ask(&pieces, data[0], &range, data + 4, size - 4, HP_MAX(piece, size / 32));
    check_reply(&pieces, data[0], &range);
    if (!has_dropped(data + 4, size - 4))
        check_same(&whole, &pieces);
    hp_buf_dispose(&whole.body);
    hp_buf_dispose(&pieces.body);
    return 0;
}
