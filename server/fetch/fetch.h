/* HTTP requests to other hosts and to web servers: libcurl's multi interface on the libuv loop, with every
 * reply checked before a byte of it is passed on. HTTP/1.1 and 1.0; HTTP/2 with a URL's server that speaks
 * nothing else.
 *
 * Invariants
 * 1. Loop thread only. Callbacks never run inside hp_fetch_start, _cancel or _resume, and never after
 *    on_done.
 * 2. on_done runs exactly once for every started request, last; also for a cancelled one (UV_ECANCELED) and
 *    at teardown.
 * 3. on_head runs at most once, with the final header section (1xx and followed redirects are passed over),
 *    and only when the reply kept the rules below. on_data runs only after it. After hp_fetch_cancel only
 *    on_done runs.
 * 4. A reply's body is passed on as it stands on the wire: Accept-Encoding is identity, and these end the
 *    request with HP_E_PROTOCOL before on_head: no HTTP/1.0 or 1.1 status line; status 101; a malformed
 *    header field (folded, a bare CR, a NUL, no token before the colon); a content coding on a 2xx (but the
 *    one that a URL's name ends with, .tar.gz: the server means the file by it); a
 *       transfer coding other than chunked, or with a Content-Length, or in HTTP/1.0; a malformed or second
 *    Content-Length; a second Content-Range; a 206 that was not asked for; a 206 without a well-formed
 *    Content-Range, with another first byte, past the asked end, in multipart, in chunks, or whose Content-
 *    Length differs; all header sections together (1xx, final, trailer) over HP_FETCH_HEAD_MAX bytes. A 200
 *    to a ranged request whose length is not given ends it with HP_E_NO_RANGES: ask for the whole instead.
 *    Else the status is the caller's to judge: 200 for a ranged request, 404, 416, 503 arrive in on_head.
 * 5. Never more bytes than promised are passed on; what follows them is dropped with its connection. A
 *    connection that ends before the promised end (also inside the header section or before the last chunk)
 *    ends the request with UV_ECONNRESET: a lie and a lost network look the same.
 * 6. Memory: at most two buffers of HP_FETCH_BUFFER bytes a connection; while held the socket is not read.
 * 7. A request with an endpoint goes straight to that address: no proxy, no redirect (a 3xx arrives in
 *    on_head), and only what the endpoint's scheme says. One with a URL follows redirects of GET and HEAD (at
 *    most 10, http and https only, never https to http, options.headers and the URL's user and
 *    password only to the same origin, cookies as servers set them on the way), TLS is verified, the
 * environment's proxies and SSL_CERT_FILE apply.
 * 8. An endpoint with the scheme TLS is spoken to in TLS 1.3 with this host's certificate. Where the endpoint
 *    expects a host, its key is compared before a byte of the request leaves, on a kept connection as well:
 *    another key ends the request with HP_E_WRONG_KEY. Without an expectation on_head says who it was.
 * 9. A kept connection that dies before the first byte of the reply, or on which bytes wait that nobody
 *    asked for, is replaced by a new one without the caller noticing. At most HP_FETCH_KEPT idle
 *    connections are kept.
 *
 * Errors besides these: HP_E_INVALID (URL or options), HP_E_NO_NAME (of a URL), HP_E_UNREACHABLE (refused,
 * no answer within connect_ms), HP_E_STALLED, HP_E_TIMEOUT (total_ms), HP_E_TLS, HP_E_NOT_TLS (it can be
 * connected to, and what comes, or does not come, is no TLS), HP_E_WRONG_KEY, HP_E_TOO_LARGE (body_max),
 * HP_E_REDIRECT (too many, https to http, no URL).
 */
#ifndef HP_FETCH_FETCH_H
#define HP_FETCH_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/range.h"
#include "path/connector.h"
#include "path/endpoint.h"

#define HP_FETCH_HEAD_MAX 65536
#define HP_FETCH_BUFFER   131072 /* bytes read at a time at most; more is no faster */
#define HP_FETCH_BURST                                                                                       \
    2097152 /* bytes that a transfer passes on in one go; two goes a turn of the loop at most */
#define HP_FETCH_CONNECT_MS 5000  /* default */
#define HP_FETCH_STALL_MS   15000 /* default: no byte for so long ends the request with HP_E_STALLED */
#define HP_FETCH_KEPT       512   /* idle connections */

typedef struct hp_secure hp_secure_t; /* secure/secure.h */
typedef struct hp_fetcher hp_fetcher_t;
typedef struct hp_fetch hp_fetch_t;

/* What the reply's header section says; valid during on_head only. Absent text fields are "". */
typedef struct hp_fetch_head {
    int status;
    uint64_t content_length; /* HP_RANGE_UNKNOWN when not given */
    bool ranged;             /* 206 with a single checked Content-Range */
    hp_range_t range;        /* half open; of the 206 */
    bool ends_by_close; /* no length and no chunks: the body ends with the connection, so nobody can tell a
                           cut from an end */
    uint64_t total;     /* of Content-Range (206 and 416), HP_RANGE_UNKNOWN when "*" or not given */
    bool accept_ranges; /* "Accept-Ranges: bytes" */
    const char *etag;   /* as sent, with quotes */
    bool etag_strong;
    const char *last_modified, *content_type, *content_disposition;
    int64_t date_ms;   /* Date, wall clock ms; -1 when missing or malformed */
    int retry_after_s; /* -1 when missing; a date is turned into seconds from now; at most 3600 */
    const char *hostpair_id, *hostpair_name, *hostpair_root, *hostpair_content; /* raw field values */
    const char *url;     /* the effective one, after redirects */
    const char *address; /* numeric address of the other side; "" for a MEMBER */
    uint16_t port;
    bool proven;                              /* TLS showed who the other side is */
    uint8_t fingerprint[HP_FINGERPRINT_SIZE]; /* of its key; zero while proven is false */
    uint32_t wait_us;                         /* from the request being sent to the first byte of the reply */
    bool reused;                              /* on a connection that served an earlier request */
} hp_fetch_head_t;

#define HP_FETCH_SEND_FAILED SIZE_MAX

#define HP_FETCH_HOLD 1 /* on_data: not taken; the same bytes come again after hp_fetch_resume */

typedef struct hp_fetch_callbacks {
    /* 0 to go on; a negative code ends the request, and on_done gets it. */
    int (*on_head)(void *arg, const hp_fetch_head_t *head);
    /* 0 taken, HP_FETCH_HOLD, or a negative code. May be NULL: the body is read and dropped. */
    int (*on_data)(void *arg, const uint8_t *data, size_t length);
    /* 0 when the whole reply arrived as promised. err has the words, naming the address. The hp_fetch_t is
     * gone afterwards. */
    void (*on_done)(void *arg, int status, const hp_err_t *err);
} hp_fetch_callbacks_t;

typedef struct hp_fetch_options {
    /* Either another host and a path ("/list", already percent-encoded), or the URL of a web server (http://
     * or https://, already percent-encoded). */
    const hp_endpoint_t *endpoint;
    const char *path;
    const char *url;
    const char *method;        /* NULL: GET. "HEAD", "POST", "PUT", "DELETE" */
    const char *accept;        /* Accept field, NULL: any */
    const char *if_none_match; /* NULL or a tag */
    const char *if_range;      /* NULL or a strong tag */
    bool ranged;               /* send Range for [range.first, range.end) */
    hp_range_t range;          /* end HP_RANGE_UNKNOWN: to the end of the file */
    const void *body;          /* of POST and PUT: copied */
    uint64_t body_length;
    /* Instead of body: what has body_length bytes and is asked for them piece by piece, when they can leave.
     * Copies at most size of them to into and returns how many; 0: there are none yet, hp_fetch_resume tells
     * when there are; HP_FETCH_SEND_FAILED ends the request with HP_E_DISK. A request of which a byte was
     * asked for is not sent once more on another connection: it ends with UV_ECONNRESET. */
    size_t (*send)(void *arg, void *into, size_t size);
    void *send_arg;
    const char *content_type; /* of the body */
    bool fresh;               /* do not reuse a connection */
    uint64_t body_max;        /* a longer body ends the request with HP_E_TOO_LARGE; 0: no limit */
    unsigned connect_ms, stall_ms, total_ms; /* 0: the default; total_ms 0: none */
    unsigned first_ms; /* the same as stall_ms, before the first byte of the reply; 0: as stall_ms */
    unsigned alive_s; /* TCP asks the other side after so long without a byte, and ends the connection when no
                         answer comes (keep-alive, RFC 9293 section 3.8.4); 0: it does not ask */
    bool direct;      /* of a URL: straight to its server, without a proxy, and no redirect is followed */
    const char *certificate; /* of a URL: SHA-256, in hex, of the certificate that its server must show,
                                whoever    has signed it; NULL: verified as usual */
    bool any_certificate;    /* of a URL with https: whoever answers; only what everybody may know is said */
    const char *const *headers; /* further "Name: value" lines, NULL-terminated, or NULL */
} hp_fetch_options_t;

int hp_fetcher_create(hp_fetcher_t **fetcher, uv_loop_t *loop, hp_err_t *err);

/* Cancels what is under way (each on_done with UV_ECANCELED), closes all connections, then calls closed. All
 * of it happens on the loop, after the call; requests that an on_done starts meanwhile are cancelled as well.
 */
void hp_fetcher_destroy(hp_fetcher_t *fetcher, void (*closed)(void *arg), void *arg);

/* Makes endpoints with the scheme TLS work. secure outlives the fetcher. */
void hp_fetcher_set_secure(hp_fetcher_t *fetcher, const hp_secure_t *secure);

/* Never fails at once: a bad URL arrives in on_done. callbacks must outlive the request; arg is the caller's.
 * options and its text are copied. */
hp_fetch_t *hp_fetch_start(hp_fetcher_t *fetcher, const hp_fetch_options_t *options,
                           const hp_fetch_callbacks_t *callbacks, void *arg);

/* on_done comes with UV_ECANCELED. Not after on_done. */
void hp_fetch_cancel(hp_fetch_t *fetch);

/* Takes on_data up again after HP_FETCH_HOLD. The stall clock does not run while held. */
void hp_fetch_resume(hp_fetch_t *fetch);

/* Addresses of this machine have changed: connections from one that is gone end (UV_ECONNRESET) instead of
 * being waited for. */
void hp_fetcher_network_changed(hp_fetcher_t *fetcher);

/* Small replies: collects a body of at most body_max (required) bytes and hands it over with the head's
 * fields. done runs once; on failure reply is NULL. The reply and its text are valid during the call only. */
typedef struct hp_fetch_reply {
    hp_fetch_head_t head;
    const char *body; /* with NUL */
    size_t length;
} hp_fetch_reply_t;
typedef void (*hp_fetch_reply_fn)(void *arg, int status, const hp_fetch_reply_t *reply, const hp_err_t *err);
hp_fetch_t *hp_fetch_get(hp_fetcher_t *fetcher, const hp_fetch_options_t *options, hp_fetch_reply_fn done,
                         void *arg);

/* Bytes of bodies received since the start, over all requests (speed and traffic figures). */
uint64_t hp_fetcher_bytes(const hp_fetcher_t *fetcher);

/* How members of groups are reached (endpoints with the scheme MEMBER); without it they are not. connector is
 * copied. 0, or a system code when there is no socket for it. */
int hp_fetcher_set_connector(hp_fetcher_t *fetcher, const hp_connector_t *connector, hp_err_t *err);
/* The connector is not asked any more: members cannot be reached. */
void hp_fetcher_drop_connector(hp_fetcher_t *fetcher);

#endif
