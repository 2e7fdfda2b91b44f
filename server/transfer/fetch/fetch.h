/* HTTP requests to other hosts and to web servers: libcurl's multi interface on the libuv loop, with every reply checked before
 * a byte of it is passed on.
 *
 * Invariants
 * 1. Loop thread only. Callbacks never run inside hp_fetch_start, _cancel or _resume, and never after on_done.
 * 2. on_done runs exactly once for every started request, last; also for a cancelled one (UV_ECANCELED) and at teardown.
 * 3. on_head runs at most once, with the final header section (1xx and followed redirects are passed over), and only when the
 *    reply kept the rules below. on_data runs only after it.
 * 4. A reply's body is passed on as it stands on the wire: Accept-Encoding is identity, and these end the request with
 *    HP_E_PROTOCOL: a content coding, a transfer coding together with a Content-Length, differing or malformed Content-Lengths,
 *    a body that is shorter or longer than promised, on a ranged request a 206 without a well-formed Content-Range, with
 *    another first byte, past the asked end, or a length that differs from Content-Length, a multipart 206, a header section
 *    over HP_FETCH_HEAD_MAX bytes, a status below 200 that never ends.
 *    The status itself is the caller's to judge: 200 for a ranged request, 404, 416, 503 arrive in on_head.
 * 5. Memory: at most one curl buffer (512 KiB) a connection; while paused the socket is not read.
 * 6. A request with peer set goes straight to the address: no proxy, no redirect (a 3xx arrives in on_head), http only. Without it
 *    redirects are followed (at most 10, http and https only, never https to http), TLS is verified, the environment's proxies apply.
 */
#ifndef HP_FETCH_FETCH_H
#define HP_FETCH_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/range.h"

#define HP_FETCH_HEAD_MAX   65536
#define HP_FETCH_BUFFER     (512 * 1024)
#define HP_FETCH_CONNECT_MS 5000  /* default */
#define HP_FETCH_STALL_MS   15000 /* default: no byte for so long ends the request with HP_E_STALLED */

typedef struct hp_fetcher hp_fetcher_t;
typedef struct hp_fetch hp_fetch_t;

/* What the reply's header section says; valid during on_head only. Absent text fields are "". */
typedef struct hp_fetch_head {
    int status;
    uint64_t content_length; /* HP_RANGE_UNKNOWN when not given */
    bool ranged;             /* 206 with a single checked Content-Range */
    hp_range_t range;        /* half open; of the 206 */
    uint64_t total;          /* of Content-Range (206 and 416), HP_RANGE_UNKNOWN when "*" or not given */
    bool accept_ranges;      /* "Accept-Ranges: bytes" */
    const char *etag;        /* as sent, with quotes */
    bool etag_strong;
    const char *last_modified, *content_type, *content_disposition;
    int64_t date_ms;         /* Date, wall clock ms; -1 when missing or malformed */
    int retry_after_s;       /* -1 when missing; a date is turned into seconds from now; at most 3600 */
    const char *hostpair_id, *hostpair_name, *hostpair_root; /* raw field values */
    const char *url;         /* the effective one, after redirects */
    const char *address;     /* numeric address of the other side */
    uint16_t port;
    uint32_t wait_us;        /* from the request being sent to the first byte of the reply */
    bool reused;             /* on a connection that served an earlier request */
} hp_fetch_head_t;

#define HP_FETCH_HOLD 1 /* on_data: not taken; the same bytes come again after hp_fetch_resume */

typedef struct hp_fetch_callbacks {
    /* 0 to go on; a negative code ends the request, and on_done gets it. */
    int (*on_head)(void *arg, const hp_fetch_head_t *head);
    /* 0 taken, HP_FETCH_HOLD, or a negative code. May be NULL: the body is read and dropped. */
    int (*on_data)(void *arg, const uint8_t *data, size_t length);
    /* 0 when the whole reply arrived as promised. err has the words, naming the address. The hp_fetch_t is gone afterwards. */
    void (*on_done)(void *arg, int status, const hp_err_t *err);
} hp_fetch_callbacks_t;

typedef struct hp_fetch_options {
    const char *url;           /* http:// or https://, already percent-encoded; copied */
    const char *method;        /* NULL: GET. "HEAD", "POST" */
    const char *accept;        /* Accept field, NULL: any */
    const char *if_none_match; /* NULL or a tag */
    const char *if_range;      /* NULL or a strong tag */
    bool ranged;               /* send Range for [range.first, range.end) */
    hp_range_t range;
    const void *body;          /* POST: copied */
    size_t body_length;
    const char *content_type;  /* of the body */
    bool peer;
    bool fresh;                /* do not reuse a connection */
    uint64_t body_max;         /* a longer body ends the request with HP_E_TOO_LARGE; 0: no limit */
    unsigned connect_ms, stall_ms, total_ms; /* 0: the default; total_ms 0: none */
    const char *const *headers; /* further "Name: value" lines, NULL-terminated, or NULL */
} hp_fetch_options_t;

int hp_fetcher_create(hp_fetcher_t **fetcher, uv_loop_t *loop, hp_err_t *err);

/* Cancels what is under way (each on_done with UV_ECANCELED), closes all connections, then calls closed. */
void hp_fetcher_destroy(hp_fetcher_t *fetcher, void (*closed)(void *arg), void *arg);

/* Never fails at once: a bad URL arrives in on_done. callbacks must outlive the request; arg is the caller's. */
hp_fetch_t *hp_fetch_start(hp_fetcher_t *fetcher, const hp_fetch_options_t *options,
                           const hp_fetch_callbacks_t *callbacks, void *arg);

void hp_fetch_cancel(hp_fetch_t *fetch);

/* Takes on_data up again after HP_FETCH_HOLD. The stall clock does not run while held. */
void hp_fetch_resume(hp_fetch_t *fetch);

/* Small replies: collects a body of at most body_max (required) bytes and hands it over with the head's fields. done runs once; on failure
 * reply is NULL. The reply and its text are valid during the call only. */
typedef struct hp_fetch_reply {
    hp_fetch_head_t head;
    const char *body; /* with NUL */
    size_t length;
} hp_fetch_reply_t;
typedef void (*hp_fetch_reply_fn)(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err);
hp_fetch_t *hp_fetch_get(hp_fetcher_t *fetcher, const hp_fetch_options_t *options, hp_fetch_reply_fn done, void *arg);

/* Bytes of bodies received since the start, over all requests (speed and traffic figures). */
uint64_t hp_fetcher_bytes(const hp_fetcher_t *fetcher);

/* Where sockets come from: the one function that every connection is opened through. Replaced when a stream is to run through
 * something other than a TCP socket. NULL: socket(2). */
typedef int (*hp_fetch_socket_fn)(void *arg, int family, int type, int protocol);
void hp_fetcher_set_socket_fn(hp_fetcher_t *fetcher, hp_fetch_socket_fn fn, void *arg);

#endif
