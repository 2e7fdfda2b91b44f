#include "pieces.h"

#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "internal.h"
#include "pool/pool.h"

struct hp_pieces_all {
    uv_loop_t *loop;
    hp_gate_t *gate;  /* to the pool, so that others' work there is never far back */
    hp_list_t pieces; /* under way */
    unsigned references;
    size_t memory, memory_max; /* of the directories of all zips */
};

struct hp_pieces {
    hp_link_t link;
    hp_pieces_all_t *all;
    hp_http_request_t *request;
    hp_http_stream_t *stream; /* once the reply has begun */
    hp_archive_format_t format;
    const hp_pieces_kind_t *kind;
    void *arg;
    const char *what;
    hp_buf_t *body; /* that is being read; NULL */
    bool asked;     /* the stream waits for a piece */
    bool working;   /* a piece is being made */
    bool ready;     /* a piece is made */
    bool ended;     /* the stream is over */
    size_t memory;
    /* the pool's while a job runs, then the loop's */
    hp_archive_writer_t *writer;
    void *piece;
    size_t length;
    hp_http_stream_state_t state;
    hp_err_t err;
};

/* ---- all of them ---- */

hp_pieces_all_t *hp_pieces_all_create(uv_loop_t *loop, hp_share_t *share, size_t memory_max)
{
    hp_pieces_all_t *self = hp_alloc(sizeof *self);
    *self = (hp_pieces_all_t){.loop = loop,
                              .gate = hp_gate_create(share),
                              .references = 1,
                              .memory_max = memory_max != 0 ? memory_max : HP_PIECES_MEMORY};
    hp_list_init(&self->pieces);
    return self;
}

void hp_pieces_all_release(hp_pieces_all_t *self)
{
    if (--self->references > 0)
        return;
    hp_gate_release(self->gate);
    free(self);
}

static bool is_same_client(const hp_who_t *a, const hp_who_t *b)
{
    bool proven = a->id[0] != '\0' || b->id[0] != '\0';
    return proven ? strcmp(a->id, b->id) == 0 : hp_address_same_client(a->address, b->address);
}

static bool is_room_for(const hp_pieces_all_t *self, const hp_who_t *who)
{
    unsigned count = 0, of_client = 0;
    HP_LIST_EACH (link, &self->pieces) {
        count++;
        of_client += is_same_client(hp_http_who(HP_CONTAINER(link, hp_pieces_t, link)->request), who);
    }
    return count < HP_PIECES_MAX && of_client < HP_PIECES_PER_CLIENT;
}

void hp_pieces_destroy(hp_pieces_t *self)
{
    hp_pieces_all_t *all = self->all;
    all->memory -= self->memory;
    hp_link_remove(&self->link);
    hp_archive_writer_destroy(self->writer);
    self->kind->dispose(self->arg);
    hp_http_release(self->request);
    free(self->piece);
    free(self);
    hp_pieces_all_release(all);
}

/* ---- the pool ---- */

static int open_work(void *arg, hp_err_t *err)
{
    hp_pieces_t *self = arg;
    int rc = self->kind->open(self->arg, err);
    return rc != 0 ? rc : hp_archive_writer_create(&self->writer, self->format, err);
}

static int piece_work(void *arg, hp_err_t *err)
{
    hp_pieces_t *self = arg;
    (void)err; /* self->err */
    int rc = self->kind->fill(self->arg, self->writer, &self->err);
    self->piece = hp_archive_writer_take(self->writer, &self->length);
    self->state = rc < 0 ? HP_STREAM_FAILED : rc == 0 ? HP_STREAM_LAST : HP_STREAM_MORE;
    return 0;
}

/* ---- pieces for the stream ---- */

static void make_piece(hp_pieces_t *self);

/* self may be gone on return. */
static void give_piece(hp_pieces_t *self)
{
    hp_http_stream_t *stream = self->stream;
    void *piece = self->piece;
    size_t length = self->length;
    hp_http_stream_state_t state = self->state;
    self->piece = NULL;
    self->ready = self->asked = false;
    if (state == HP_STREAM_MORE && !hp_http_gone(self->request))
        make_piece(self);
    hp_http_stream_send_owned(stream, piece, length, state);
}

static void count_memory(hp_pieces_t *self)
{
    hp_pieces_all_t *all = self->all;
    size_t memory = hp_archive_writer_memory(self->writer);
    all->memory += memory - self->memory;
    self->memory = memory;
    if (all->memory > all->memory_max && self->state == HP_STREAM_MORE) {
        hp_err_set(&self->err, HP_E_TOO_LARGE, "the zips under way have too many files for the memory");
        self->state = HP_STREAM_FAILED;
    }
}

static void on_piece(void *arg, int status, const hp_err_t *err)
{
    hp_pieces_t *self = arg;
    (void)err;
    hp_gate_leave(self->all->gate);
    self->working = false;
    if (self->ended) {
        hp_pieces_destroy(self);
        return;
    }
    if (status != 0)
        self->state = HP_STREAM_FAILED;
    count_memory(self);
    if (self->state == HP_STREAM_FAILED && !hp_http_gone(self->request))
        hp_log(HP_LOG_WARN, "peer: cut the %s of \"%s\" for %s: %s", self->kind->name, self->what,
               hp_http_who(self->request)->address, hp_err_text(&self->err));
    self->ready = true;
    if (self->asked)
        give_piece(self);
}

static void on_turn(void *arg, int status)
{
    hp_pieces_t *self = arg;
    if (status == 0) {
        hp_pool_post(self->all->loop, NULL, piece_work, on_piece, self);
        return;
    }
    self->working = false;
    self->state = HP_STREAM_FAILED;
    self->ready = true;
    if (self->ended)
        hp_pieces_destroy(self);
    else if (self->asked)
        give_piece(self);
}

static void make_piece(hp_pieces_t *self)
{
    self->working = true;
    hp_gate_enter(self->all->gate, self->request, on_turn, self);
}

static void on_next(void *arg, hp_http_stream_t *stream)
{
    hp_pieces_t *self = arg;
    self->stream = stream;
    self->asked = true;
    if (self->ready)
        give_piece(self);
    else if (!self->working)
        make_piece(self);
}

static void on_end(void *arg)
{
    hp_pieces_t *self = arg;
    self->ended = true;
    if (!self->working)
        hp_pieces_destroy(self);
}

/* ---- the reply ---- */

void hp_pieces_refuse(hp_pieces_t *self, int status, const hp_err_t *err)
{
    bool asked_wrong = status == HP_E_BAD_JSON || status == HP_E_INVALID || status == HP_E_TOO_LARGE;
    if (!asked_wrong && status != HP_E_NOT_FOUND && status != UV_ECANCELED)
        hp_log(HP_LOG_WARN, "peer: there is no %s of \"%s\": %s", self->kind->name, self->what,
               hp_err_text(err));
    if (asked_wrong || (status == HP_E_NOT_FOUND && err != NULL && err->detail[0] != '\0'))
        hp_http_reply_text_error(self->request, status, hp_err_text(err));
    else
        hp_peer_refuse(self->request, status);
    hp_pieces_destroy(self);
}

static void on_opened(void *arg, int status, const hp_err_t *err)
{
    hp_pieces_t *self = arg;
    hp_gate_leave(self->all->gate);
    if (status != 0) {
        hp_pieces_refuse(self, status, err);
        return;
    }
    self->kind->begin(self->arg, self->request);
    hp_http_set_header(self->request, "Accept-Ranges", "none");
    hp_http_stream_t *stream =
        hp_http_reply_stream(self->request, 200, hp_archive_media_type(self->format), on_next, self);
    if (stream == NULL) {
        hp_pieces_destroy(self);
        return;
    }
    hp_http_stream_on_end(stream, on_end);
    hp_http_stream_set_limited(stream);
}

static void on_open_turn(void *arg, int status)
{
    hp_pieces_t *self = arg;
    if (status == 0)
        hp_pool_post(self->all->loop, NULL, open_work, on_opened, self);
    else
        hp_pieces_destroy(self);
}

hp_pieces_t *hp_pieces_create(hp_pieces_all_t *all, hp_http_request_t *request, hp_archive_format_t format,
                              const hp_pieces_kind_t *kind, void *arg, const char *what)
{
    if (!is_room_for(all, hp_http_who(request))) {
        hp_peer_refuse(request, HP_E_BUSY);
        kind->dispose(arg);
        return NULL;
    }
    hp_pieces_t *self = hp_alloc(sizeof *self);
    *self = (hp_pieces_t){
        .all = all, .request = request, .format = format, .kind = kind, .arg = arg, .what = what};
    hp_list_add(&all->pieces, &self->link);
    all->references++;
    hp_http_addref(request);
    return self;
}

void hp_pieces_start(hp_pieces_t *self)
{
    hp_gate_enter(self->all->gate, self->request, on_open_turn, self);
}

/* ---- the request's body ---- */

static void read_body(hp_pieces_t *self);

static void on_body(void *arg, void *data, size_t length, bool last)
{
    hp_pieces_t *self = arg;
    hp_err_t err = {0};
    int rc = length > 0 ? hp_buf_add(self->body, data, length) : 0;
    free(data);
    hp_http_on_gone(self->request, NULL, NULL);
    if (rc != 0) {
        hp_err_set(&err, HP_E_TOO_LARGE, "the body is longer than %zu bytes", self->body->max);
        hp_pieces_refuse(self, HP_E_TOO_LARGE, &err);
    } else if (last) {
        hp_pieces_start(self);
    } else {
        read_body(self);
    }
}

static void on_gone(void *arg)
{
    hp_pieces_destroy(arg);
}

static void read_body(hp_pieces_t *self)
{
    hp_http_on_gone(self->request, on_gone, self);
    hp_http_body_next(self->request, on_body, self);
}

void hp_pieces_start_with_body(hp_pieces_t *self, hp_buf_t *body)
{
    self->body = body;
    read_body(self);
}
