/* Replies that the pool makes piece by piece while they are sent: archives of folders, and bundles of files.
 *
 * A reply is made in pieces of about HP_PIECE_BYTES, each by one job of the pool: it reads on where the job
 * before stopped and leaves what it wrote for the stream, which asks for the next piece when the client has
 * taken the last one. One piece is made ahead. So no thread ever waits for a client: one that stops reading
 * holds a piece in memory and what its kind holds, until it is cut for that.
 *
 * Invariants
 * 1. Loop thread, but for the kind's open and fill, which run in the pool, one at a time.
 * 2. So many replies are under way at most, in all and of one client; more get 503.
 * 3. What cannot go on as it began ends the connection in the middle: a reply that looks whole is whole.
 * 4. The kind's dispose runs exactly once for a reply that was started, last.
 */
#ifndef HP_PEER_PIECES_H
#define HP_PEER_PIECES_H

#include "archive/writer.h"
#include "base/buf.h"
#include "gate.h"

#define HP_PIECE_BYTES ((size_t)256 * 1024)  /* of a reply, at least, but for the last piece */
#define HP_PIECE_READ  ((size_t)1024 * 1024) /* of files, at most, in one job */
#define HP_PIECE_STEPS 1000u                 /* of one job, at most: files, folders, reads */

#define HP_PIECES_MEMORY ((size_t)256 * 1024 * 1024)

#define HP_PIECES_MAX        128u /* replies under way */
#define HP_PIECES_PER_CLIENT 32u  /* of one proven host, or one address for all others there */

/* All replies of a peer. Counted: the peer holds one reference, every reply under way another. */
typedef struct hp_pieces_all hp_pieces_all_t;
/* memory_max: bytes that the directories of all zips under way may take together; the one that would take
 * more ends there. 0: HP_PIECES_MEMORY. */
hp_pieces_all_t *hp_pieces_all_create(uv_loop_t *loop, hp_share_t *share, size_t memory_max);
void hp_pieces_all_release(hp_pieces_all_t *all);

typedef struct hp_pieces_kind {
    /* Pool, once, before the reply begins. 0, or the code that is answered, with the words in err. */
    int (*open)(void *arg, hp_err_t *err);
    /* Loop: adds what fields the reply has besides its type. */
    void (*begin)(void *arg, hp_http_request_t *request);
    /* Pool: adds bytes to the writer, as HP_PIECE_* say, and ends it after the last. 1: there are more; 0:
     * that was all; or a code with the words in err. */
    int (*fill)(void *arg, hp_archive_writer_t *writer, hp_err_t *err);
    /* Loop. */
    void (*dispose)(void *arg);
    const char *name; /* "tar", for the log */
} hp_pieces_kind_t;

/* Takes a place for the answer to a request. what: which folder it is, for the log; valid as long as arg.
 * NULL when there are too many: that is answered, and dispose has run. */
typedef struct hp_pieces hp_pieces_t;
hp_pieces_t *hp_pieces_create(hp_pieces_all_t *all, hp_http_request_t *request, hp_archive_format_t format,
                              const hp_pieces_kind_t *kind, void *arg, const char *what);
/* Then one of these, at once or later: answers by and by; refuses with a code; or gives the place back when
 * the client has gone. */
void hp_pieces_start(hp_pieces_t *pieces);
void hp_pieces_refuse(hp_pieces_t *pieces, int status, const hp_err_t *err);
/* Or: reads the request's body, which comes in pieces, into body, which is the kind's, then starts. A body
 * that is longer than body may be is refused. */
void hp_pieces_start_with_body(hp_pieces_t *pieces, hp_buf_t *body);
void hp_pieces_destroy(hp_pieces_t *pieces);

#endif
