/* GET /list as text: the names in the folder, as they are now.
 *
 * All who ask while the folder is being read share the next reading, and a reading that says what the last
 * one said shares its text: however many clients take their time over the list, it is in memory once for each
 * state of the folder that one of them still reads. Those, too, are bounded. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PIECE ((size_t)16 * 1024) /* bytes that are copied for a client at a time */
#define PINNED_MAX                                                                                           \
    ((size_t)64 * 1024 * 1024) /* bytes of texts that clients still read, besides the newest                 \
                                */

static const char type[] = "text/plain; charset=utf-8";

typedef struct {
    unsigned references;
    struct hp_peer_names *owner;
    char *data;
    size_t length;
} text_t;

typedef struct asker {
    struct asker *next, **link;
    hp_http_request_t *request;
} asker_t;

/* Counted: the peer holds one reference, a reading another, and every text that is still read. */
struct hp_peer_names {
    hp_share_t *share;
    unsigned references;
    bool reading, closed;      /* closed: the peer has gone, and every client with it */
    asker_t *served, *waiting; /* by the present reading, and by the next */
    text_t *newest;            /* or NULL */
    size_t bytes;              /* of all texts */
};

struct hp_peer_names *hp_peer_names_create(hp_share_t *share)
{
    struct hp_peer_names *self = hp_alloc(sizeof *self);
    *self = (struct hp_peer_names){.share = share, .references = 1};
    return self;
}

static void drop(struct hp_peer_names *self)
{
    if (--self->references == 0)
        free(self);
}

static void text_release(text_t *text)
{
    if (--text->references > 0)
        return;
    struct hp_peer_names *owner = text->owner;
    owner->bytes -= text->length;
    free(text->data);
    free(text);
    drop(owner);
}

void hp_peer_names_release(struct hp_peer_names *self)
{
    text_t *newest = self->newest;
    self->closed = true;
    self->newest = NULL;
    if (newest != NULL)
        text_release(newest);
    drop(self);
}

/* Takes data. The text that says it, with a reference for the caller. */
static text_t *share_text(struct hp_peer_names *self, char *data, size_t length)
{
    text_t *newest = self->newest;
    if (newest != NULL && newest->length == length && memcmp(newest->data, data, length) == 0) {
        free(data);
        newest->references++;
        return newest;
    }
    if (newest != NULL)
        text_release(newest);
    text_t *text = hp_alloc(sizeof *text);
    *text = (text_t){.references = 2, .owner = self, .data = data, .length = length};
    self->newest = text;
    self->references++;
    self->bytes += length;
    return text;
}

/* ---- one reply ---- */

typedef struct {
    text_t *text;
    size_t sent;
} reply_t;

static void on_next(void *arg, hp_http_stream_t *stream)
{
    reply_t *reply = arg;
    const char *piece = reply->text->data + reply->sent;
    size_t length = HP_MIN(reply->text->length - reply->sent, PIECE);
    reply->sent += length;
    hp_http_stream_send(stream, piece, length,
                        reply->sent == reply->text->length ? HP_STREAM_LAST : HP_STREAM_MORE);
}

static void on_end(void *arg)
{
    reply_t *reply = arg;
    text_release(reply->text);
    free(reply);
}

static void answer(hp_http_request_t *request, text_t *text)
{
    if (text->length <= PIECE) {
        hp_http_reply(request, 200, type, text->data, text->length);
        return;
    }
    reply_t *reply = hp_alloc(sizeof *reply);
    reply->text = text;
    text->references++;
    hp_http_stream_t *stream = hp_http_reply_stream_sized(request, 200, type, text->length, on_next, reply);
    if (stream != NULL)
        hp_http_stream_on_end(stream, on_end);
    else
        on_end(reply);
}

/* ---- reading ---- */

static void read_names(struct hp_peer_names *self);

static void put(asker_t **list, asker_t *asker)
{
    asker->next = *list;
    asker->link = list;
    if (asker->next != NULL)
        asker->next->link = &asker->next;
    *list = asker;
}

static void take(asker_t *asker)
{
    *asker->link = asker->next;
    if (asker->next != NULL)
        asker->next->link = asker->link;
    hp_http_on_gone(asker->request, NULL, NULL);
}

/* Also for one that goes while it waits. */
static void forget(void *arg)
{
    asker_t *asker = arg;
    take(asker);
    hp_http_release(asker->request);
    free(asker);
}

static void on_names(void *arg, int status, char *data, size_t length)
{
    struct hp_peer_names *self = arg;
    text_t *text = NULL;
    self->reading = false;
    if (self->closed)
        free(data);
    else if (status == 0)
        text = share_text(self, data, length);
    while (self->served != NULL) {
        asker_t *asker = self->served;
        if (text != NULL)
            answer(asker->request, text);
        else
            hp_peer_refuse(asker->request, status);
        forget(asker);
    }
    if (text != NULL)
        text_release(text);
    if (self->waiting != NULL)
        read_names(self);
    drop(self);
}

static void read_names(struct hp_peer_names *self)
{
    self->reading = true;
    self->references++;
    while (self->waiting != NULL) {
        asker_t *asker = self->waiting;
        take(asker);
        put(&self->served, asker);
        hp_http_on_gone(asker->request, forget, asker);
    }
    hp_share_names(self->share, on_names, self);
}

void hp_peer_list_names(hp_peer_t *peer, hp_http_request_t *request)
{
    struct hp_peer_names *self = peer->names;
    size_t newest = self->newest != NULL ? self->newest->length : 0;
    if (self->bytes - newest > PINNED_MAX) {
        hp_peer_refuse(request, HP_E_BUSY);
        return;
    }
    asker_t *asker = hp_alloc(sizeof *asker);
    asker->request = request;
    hp_http_addref(request);
    put(&self->waiting, asker);
    hp_http_on_gone(request, forget, asker);
    if (!self->reading)
        read_names(self);
}
