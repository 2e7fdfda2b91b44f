/* How the bytes of a file reach the client.
 *
 * Three ways, taken in turns with the other replies (turns.c) and never while h2o has a write outstanding:
 *
 * - Zero copy: sendfile(2) from the page cache to the socket, for a piece of the file with more than
 * ZERO_COPY_MIN bytes to go. The pages are probed first; what is not cached is read by the pool, WARM_WINDOW
 * at a time, the next window while this one is sent. When the socket is full, one piece goes by hand: h2o
 * waits until the socket takes it, and its completion is the sign to go on.
 * - Encrypted: over TLS that cannot be; what is cached is read, encrypted and written to the socket, in
 * pieces. When the socket is full, the rest of a piece waits, and its leaving is the sign to go on.
 * - By hand: read into a buffer (in the pool, if the bytes are not cached) and passed to h2o. The head of the
 * reply leaves with the first piece, so a small file is one write; multipart texts and the last bytes go this
 * way too.
 *
 * The last bytes are held back until the file was found unchanged: a client that has the whole body has the
 * bytes that the ETag names. If it has changed, or is shorter, the connection is cut instead.
 *
 * A file that may grow is hashed while it is sent. If it has changed by the end, the pool reads the same
 * bytes again and compares the hashes: each byte was the same before and after the last one was read, so what
 * was sent stood in the file at one moment, whatever else was done to it. This leaves out zero copy. */
#include "send.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "identity/digest.h"
#include "os/disk.h"
#include "os/pages.h"
#include "secured.h"

#define ZERO_COPY_MIN ((size_t)64 * 1024)       /* bytes; less goes by hand */
#define TURN_BYTES    ((size_t)1024 * 1024)     /* by zero copy in one turn */
#define CIPHER_BYTES  ((size_t)256 * 1024)      /* encrypted in one turn */
#define HAND_BYTES    ((size_t)64 * 1024)       /* by hand in one turn */
#define POOL_BYTES    ((size_t)256 * 1024)      /* by hand, where only the pool can read */
#define FULL_BYTES    ((size_t)4 * 1024)        /* by hand when the socket is full */
#define TAIL_BYTES    ((size_t)16 * 1024)       /* held back from zero copy */
#define WARM_WINDOW   ((size_t)4 * 1024 * 1024) /* bytes the pool reads ahead */

typedef enum { JOB_READ, JOB_WARM, JOB_COMPARE } job_t;

typedef struct {
    hp_http_request_t *request; /* NULL once it is over */
    hp_http_listener_t *listener;
    struct stat stat;
    size_t (*allowance)(void *arg, uint64_t offset, size_t want);
    void *allowance_arg;
    hp_plan_t plan;
    size_t piece; /* the present one */
    uint64_t at;  /* its next byte */
    char *hand;
    size_t hand_length, hand_capacity;
    uint64_t warm_end; /* cached up to there, as far as known */
    /* the pool's */
    uv_work_t work;
    uint64_t job_first, job_end;
    ssize_t job_result;
    job_t job;
    hp_pages_kind_t pages;
    int fd;
    atomic_bool gone;  /* nobody waits for the job any more */
    int failed;        /* an error, for the next turn */
    bool working;      /* a job runs */
    bool ended;        /* the file, before the piece did; for the next turn */
    bool begun;        /* the head of the reply has left */
    bool cold;         /* the pages were not cached the last time */
    bool growing;      /* the file is still written to */
    hp_digest_t *sent; /* of the bytes sent, where the file may grow; NULL */
    bool compared;     /* they still stand in the file */
    bool loose;        /* it may be */
    bool no_sendfile;  /* the file system has none */
} sender_t;

typedef enum { STEP_AGAIN, STEP_WAITS, STEP_BY_HAND, STEP_BROKEN } step_t;

static void destroy(sender_t *self)
{
    close(self->fd);
    free(self->hand);
    hp_digest_destroy(self->sent);
    hp_plan_dispose(&self->plan);
    free(self);
}

static void on_disposed(hp_http_request_t *request)
{
    sender_t *self = request->reply;
    self->request = NULL;
    atomic_store(&self->gone, true);
    if (!self->working)
        destroy(self);
}

/* self is gone on return. A client that has gone is no news: each one that is broken off would be a line. */
static void cut(sender_t *self, const char *why)
{
    hp_connection_t *connection = self->request->connection;
    bool left = self->failed == -EPIPE || self->failed == -ECONNRESET;
    hp_log(left ? HP_LOG_DEBUG : HP_LOG_WARN, "%s: cut the reply to %s for %s: %s", self->listener->name,
           connection->who.address, connection->path, why);
    hp_reply_send(self->request, NULL, 0, H2O_SEND_STATE_ERROR);
}

/* ---- the pool ---- */

/* Whether the file still begins with the bytes that were sent: 0 if so. */
static int compare(sender_t *self)
{
    uint64_t size = (uint64_t)self->stat.st_size;
    uint8_t sent[32], now[32];
    uint8_t *piece = hp_alloc(POOL_BYTES);
    hp_digest_t *digest = hp_digest_create();
    int rc = 0;
    for (uint64_t at = 0; at < size && rc == 0;) {
        ssize_t n = pread(self->fd, piece, (size_t)HP_MIN(POOL_BYTES, size - at), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || atomic_load(&self->gone))
            rc = n < 0 ? -errno : HP_E_OTHER_VERSION;
        else
            hp_digest_add(digest, piece, (size_t)n);
        at += n > 0 ? (uint64_t)n : 0;
    }
    hp_digest_end(digest, now);
    hp_digest_end(self->sent, sent);
    hp_digest_destroy(digest);
    free(piece);
    return rc == 0 && memcmp(sent, now, sizeof now) != 0 ? HP_E_OTHER_VERSION : rc;
}

static void on_work(uv_work_t *work)
{
    sender_t *self = HP_CONTAINER(work, sender_t, work);
    if (self->job == JOB_WARM) {
        self->job_result = hp_pages_warm(self->fd, self->job_first, self->job_end, WARM_WINDOW);
        return;
    }
    if (self->job == JOB_COMPARE) {
        self->job_result = compare(self);
        return;
    }
    ssize_t n;
    do
        n = pread(self->fd, self->hand, self->job_end - self->job_first, (off_t)self->job_first);
    while (n < 0 && errno == EINTR);
    self->job_result = n >= 0 ? n : -errno;
}

/* These bytes of the file are on their way. */
static void note_sent(sender_t *self, const void *data, size_t length)
{
    if (self->sent != NULL)
        hp_digest_add(self->sent, data, length);
}

static void advance(sender_t *self, uint64_t bytes)
{
    self->at += bytes;
    if (self->at < self->plan.pieces[self->piece].end)
        return;
    if (++self->piece < self->plan.count) {
        self->at = self->plan.pieces[self->piece].first;
        self->warm_end = self->at;
    }
}

static void on_worked(uv_work_t *work, int status)
{
    sender_t *self = HP_CONTAINER(work, sender_t, work);
    hp_http_listener_t *listener = self->listener;
    self->working = false;
    if (self->request == NULL) {
        destroy(self);
    } else {
        if (status != 0 || self->job_result < 0) {
            self->failed = status != 0 ? status : (int)self->job_result;
        } else if (self->job == JOB_WARM) {
            if (self->warm_end == self->job_first)
                self->warm_end = self->job_end;
        } else if (self->job == JOB_COMPARE) {
            self->compared = true;
        } else {
            self->ended = self->job_result == 0;
            self->hand_length = (size_t)self->job_result;
            hp_sender_take(&self->listener->sender, self->hand_length);
            note_sent(self, self->hand, self->hand_length);
            advance(self, self->hand_length);
        }
        hp_turns_queue(self->request);
    }
    hp_pending_drop(&listener->pending);
}

static void start_job(sender_t *self, job_t job, uint64_t first, uint64_t end)
{
    self->job = job;
    self->job_first = first;
    self->job_end = end;
    self->working = true;
    hp_pending_add(&self->listener->pending);
    uv_queue_work(self->listener->loop, &self->work, on_work, on_worked);
}

/* ---- how much may go ---- */

static size_t allow(sender_t *self, size_t want)
{
    if (hp_sender_is_limited(&self->listener->sender))
        want = HP_MIN(want, HP_LIMITED_BYTES);
    if (self->allowance != NULL)
        want = HP_MIN(want, self->allowance(self->allowance_arg, self->at, want));
    return want > 0 ? hp_sender_take(&self->listener->sender, want) : 0;
}

/* The end of the bytes from `at` on that can be sent without waiting for the disk, at most `end`. */
static uint64_t ready_until(sender_t *self, uint64_t end)
{
    if (self->pages == HP_PAGES_MEMORY)
        return end;
    uint64_t last = self->plan.pieces[self->piece].end;
    self->warm_end = HP_MAX(self->warm_end, self->at);
    if (!self->working && self->warm_end < end) {
        self->warm_end = hp_pages_cached(self->fd, self->warm_end, end);
        self->cold |= self->warm_end < end;
    }
    if (!self->working && self->cold && self->warm_end < last && self->warm_end - self->at < WARM_WINDOW) {
        uint64_t window = HP_MIN(last, self->warm_end + WARM_WINDOW);
        self->warm_end = hp_pages_cached(self->fd, self->warm_end, window);
        self->cold = self->warm_end < window;
        if (self->cold)
            start_job(self, JOB_WARM, self->warm_end, HP_MIN(last, self->warm_end + WARM_WINDOW));
    }
    return HP_MIN(end, self->warm_end);
}

/* ---- the three ways ---- */

static step_t send_zero_copy(sender_t *self)
{
    int socket_fd = hp_connection_fd(self->request->connection);
    uint64_t stop = self->plan.pieces[self->piece].end - TAIL_BYTES;
    for (size_t left = TURN_BYTES; left > 0 && self->at < stop;) {
        uint64_t ready = ready_until(self, HP_MIN(stop, self->at + left));
        if (ready == self->at)
            return STEP_WAITS; /* for the job */
        size_t want = allow(self, ready - self->at);
        if (want == 0) {
            hp_turns_wait(self->request);
            return STEP_WAITS;
        }
        ssize_t n = hp_pages_send(socket_fd, self->fd, self->at, want);
        hp_sender_give_back(&self->listener->sender, n > 0 ? want - (size_t)n : want);
        if (n > 0) {
            hp_connection_sent(self->request->connection, (size_t)n);
            advance(self, (uint64_t)n);
            if ((size_t)n < want)
                return STEP_BY_HAND; /* full */
            left -= (size_t)n;
            if (hp_sender_is_limited(&self->listener->sender))
                return STEP_AGAIN;
        } else if (n == 0) {
            return STEP_BROKEN;
        } else if (n == -EAGAIN) {
            return STEP_BY_HAND;
        } else if (n == -EOPNOTSUPP) {
            self->no_sendfile = true;
            return STEP_BY_HAND;
        } else if (n != -EINTR) {
            self->failed = (int)n;
            return STEP_BROKEN;
        }
    }
    return STEP_AGAIN;
}

/* STEP_WAITS also when the connection was cut, and self has gone with it. */
static step_t send_encrypted(sender_t *self)
{
    hp_connection_t *connection = self->request->connection;
    uint64_t stop = self->plan.pieces[self->piece].end - TAIL_BYTES;
    uint8_t *piece = self->listener->hand;
    if (!hp_secured_is_clear(connection))
        return STEP_WAITS;
    for (size_t done = 0; done < CIPHER_BYTES && self->at < stop;) {
        uint64_t ready = HP_MIN(stop, self->at + HP_HAND_BYTES);
        if (self->cold) /* else the read itself tells */
            ready = ready_until(self, ready);
        if (ready == self->at)
            return STEP_WAITS; /* for the job */
        size_t want = allow(self, ready - self->at);
        if (want == 0) {
            hp_turns_wait(self->request);
            return STEP_WAITS;
        }
        ssize_t n = hp_pages_read(self->fd, self->pages, piece, want, self->at);
        hp_sender_give_back(&self->listener->sender, n > 0 ? want - (size_t)n : want);
        if (n == -EAGAIN) {
            if (self->cold)
                return STEP_BY_HAND; /* the pages have gone since they were probed: a job reads them */
            self->cold = true;
            self->warm_end = self->at;
            continue;
        }
        if (n <= 0) {
            self->failed = (int)n;
            return STEP_BROKEN;
        }
        bool limited = hp_sender_is_limited(&self->listener->sender);
        done += (size_t)n;
        note_sent(self, piece, (size_t)n);
        advance(self, (uint64_t)n);
        hp_connection_sent(connection, (size_t)n);
        if (!hp_secured_send(connection, piece, (size_t)n))
            return STEP_WAITS;
        if (limited)
            return STEP_AGAIN;
    }
    return STEP_AGAIN;
}

static void reserve_hand(sender_t *self, size_t capacity)
{
    if (capacity > self->hand_capacity) {
        self->hand = hp_realloc(self->hand, capacity);
        self->hand_capacity = capacity;
    }
}

/* Fills the buffer with at most max bytes: texts and pieces of the file as they follow each other. */
static step_t fill_hand(sender_t *self, size_t max)
{
    reserve_hand(self, max);
    while (self->hand_length < max && self->piece < self->plan.count) {
        const hp_piece_t *piece = &self->plan.pieces[self->piece];
        size_t want = (size_t)HP_MIN(max - self->hand_length, piece->end - self->at);
        if (piece->text != NULL) {
            memcpy(self->hand + self->hand_length, piece->text + self->at, want);
        } else {
            size_t allowed = allow(self, want);
            ssize_t n = allowed == 0 ? 0
                                     : hp_pages_read(self->fd, self->pages, self->hand + self->hand_length,
                                                     allowed, self->at);
            if (allowed == 0 || n == -EAGAIN) {
                hp_sender_give_back(&self->listener->sender, allowed);
                if (self->hand_length > 0)
                    break;
                if (allowed == 0)
                    hp_turns_wait(self->request);
                else if (!self->working) /* else the job that reads ahead is waited for */
                    start_job(self, JOB_READ, self->at, self->at + allowed);
                return STEP_WAITS;
            }
            if (n <= 0) {
                self->failed = (int)n;
                return STEP_BROKEN;
            }
            hp_sender_give_back(&self->listener->sender, allowed - (size_t)n);
            want = (size_t)n;
            note_sent(self, self->hand + self->hand_length, want);
        }
        self->hand_length += want;
        advance(self, want);
    }
    return STEP_BY_HAND;
}

static void send_hand(sender_t *self)
{
    bool last = self->piece == self->plan.count;
    if (last && !self->growing && !self->loose && !self->compared &&
        !hp_disk_is_unchanged(self->fd, &self->stat)) {
        if (self->sent == NULL)
            cut(self, "the file has changed");
        else if (!self->working) /* else the job that reads ahead is waited for */
            start_job(self, JOB_COMPARE, 0, (uint64_t)self->stat.st_size);
        return;
    }
    size_t length = self->hand_length;
    self->hand_length = 0;
    self->begun = true;
    hp_reply_send(self->request, self->hand, length,
                  last ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static void on_turn(hp_http_request_t *request)
{
    sender_t *self = request->reply;
    step_t step = STEP_BY_HAND;
    size_t by_hand = HAND_BYTES;
    if (self->failed != 0 || self->ended) {
        step = STEP_BROKEN;
    } else if (self->hand_length == 0) {
        const hp_piece_t *piece = &self->plan.pieces[self->piece];
        if (self->pages == HP_PAGES_UNKNOWN)
            by_hand = POOL_BYTES;
        else if (self->begun && self->request->connection->secured != NULL && piece->text == NULL &&
                 piece->end - self->at > ZERO_COPY_MIN) {
            step = send_encrypted(self);
        } else if (self->begun && !self->no_sendfile && piece->text == NULL &&
                   piece->end - self->at > ZERO_COPY_MIN) {
            step = send_zero_copy(self);
            by_hand = FULL_BYTES;
        }
        if (step == STEP_BY_HAND)
            step = fill_hand(self, (size_t)HP_MIN(by_hand, self->plan.length));
    }
    switch (step) {
    case STEP_AGAIN:
        hp_turns_queue(request);
        break;
    case STEP_WAITS:
        break;
    case STEP_BY_HAND:
        send_hand(self);
        break;
    case STEP_BROKEN:
        cut(self, self->failed != 0 ? hp_err_sentence(self->failed) : "the file has become shorter");
        break;
    }
}

void hp_send_file(hp_http_request_t *request, int status, const char *content_type,
                  const hp_http_file_t *file, hp_plan_t *plan)
{
    static const hp_reply_type_t type = {.turn = on_turn, .disposed = on_disposed};
    sender_t *self = hp_alloc(sizeof *self);
    self->request = request;
    self->listener = request->connection->listener;
    self->fd = file->fd;
    self->stat = file->stat;
    self->growing = file->growing;
    self->loose = file->loose;
    if (file->may_grow && status == 200) {
        self->sent = hp_digest_create();
        self->no_sendfile = true;
    }
    self->allowance = file->allowance;
    self->allowance_arg = file->allowance_arg;
    self->pages = hp_pages_kind(file->fd);
    self->plan = *plan;
    self->at = self->warm_end = plan->pieces[0].first;
    hp_reply_begin(request, status, content_type, plan->length);
    hp_reply_start(request, &type, self);
    on_turn(request);
}
