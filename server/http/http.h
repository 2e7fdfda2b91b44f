/* HTTP for every listener: requests in, replies out, on libh2o. No type of h2o leaves this folder.
 *
 * Invariants
 * 1. Loop thread only.
 * 2. A handler gets a request that it may answer at once or later: hp_http_request_t is counted, the
 * handler's call holds one reference, work that outlives it takes its own (addref) and gives it back
 * (release). Exactly one reply call a request; when the client has gone meanwhile, reply calls do nothing
 * (and close what they were given), hp_http_gone() tells so.
 * 3. A request whose last reference goes without a reply is answered 500 and logged.
 * 4. Nothing is sent faster than the client reads: file replies are zero copy, streams ask for the next
 * piece.
 * 5. The text that an accessor returns lives until the last release, whether or not the client is still
 * there.
 * 6. Requests are framed strictly: folded fields, a missing or repeated Host (HTTP/1.1), and several fields
 * that frame the body are answered 400, a body in chunks 411, a header section over 64 KiB 431, a target over
 * 16 KiB 414, and the connection is closed.
 */
#ifndef HP_HTTP_HTTP_H
#define HP_HTTP_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/err.h"
#include "base/send_limit.h"
#include "path/who.h"

typedef struct hp_secure hp_secure_t; /* secure/secure.h */
typedef struct hp_http_request hp_http_request_t;
typedef struct hp_http_listener hp_http_listener_t;

typedef void (*hp_http_handler_fn)(void *arg, hp_http_request_t *request);

typedef struct hp_http_options {
    const char *name;   /* "peer", "dashboard": for the log */
    const char *server; /* Server field, e.g. "hostpair/0.1.0" */
    size_t body_max;    /* a longer request body gets 413 */
    /* Whether the handler takes the body of this request in pieces (hp_http_body_next), if it is longer than
     * body_max: there is no limit then. path: still percent-encoded. NULL: never. */
    bool (*takes_pieces)(void *arg, const char *method, const char *path);
    unsigned connections_max;    /* in all; 0: what the descriptor limit leaves. At the limit the longest idle
                                    one makes room */
    unsigned descriptor_percent; /* of the descriptors that the process may use for connections; the shares of
                                    all listeners together are at most 100. 0: all */
    unsigned per_address_max;    /* of a proven host, and of an address for all others there; loopback exempt;
                                    0: none; less where descriptors are few. One too many gets 503 */
    unsigned stuck_ms;           /* no byte moved in the middle of a request or reply: closed (0: 30000) */
    unsigned idle_ms;          /* keep-alive without a request (0: 60000); a sixth of it where a hub relays */
    const hp_secure_t *secure; /* TLS beside plain HTTP on the same port; NULL: plain alone. Outlives it */
    hp_send_limit_t *limit;    /* holds file replies and limited streams; NULL: none. Outlives it */
    bool problem_json;         /* what this folder refuses by itself gets problem+json, not plain text */
    hp_http_handler_fn handler;
    void *arg;
} hp_http_options_t;

/* Listens on address:port (numeric; "::" takes both families, falling back to 0.0.0.0 where there is no
 * IPv6). port 0 takes a free one; address NULL: none, it
 * serves what hp_http_serve_fd gives it. UV_EADDRINUSE and others with the words in err. Raises the soft
 * descriptor limit to the hard one and ignores SIGPIPE, for the whole process. */
int hp_http_listen(hp_http_listener_t **listener, uv_loop_t *loop, const char *address, uint16_t port,
                   const hp_http_options_t *options, hp_err_t *err);
uint16_t hp_http_port(const hp_http_listener_t *listener);

/* Serves a connected stream socket that came from elsewhere (a tunnel, a relay), and takes it over, also when
 * it cannot be served. An id in who is one that the way has proven: what follows is plain HTTP. Without an id
 * the client proves itself by TLS, and has to unless the way is LAN. An address in who stands where the
 * socket has none. */
void hp_http_serve_fd(hp_http_listener_t *listener, int fd, const hp_who_t *who);

/* Stops accepting, ends every connection (replies under way are cut), then calls closed. Requests that are
 * still held stay valid; their client is gone. */
void hp_http_destroy(hp_http_listener_t *listener, void (*closed)(void *arg), void *arg);

/* ---- requests ---- */

void hp_http_addref(hp_http_request_t *request);
void hp_http_release(hp_http_request_t *request);
bool hp_http_gone(const hp_http_request_t *request);
/* The `arg` of its listener's options; NULL once the client has gone. */
void *hp_http_arg(const hp_http_request_t *request);
/* Called once when the client goes before the reply is complete; not called after it. */
void hp_http_on_gone(hp_http_request_t *request, void (*fn)(void *arg), void *arg);

const char *hp_http_method(const hp_http_request_t *request);
/* The path as sent, still percent-encoded, without the query; always starts with "/". An absolute-form target
 * is reduced to its path. */
const char *hp_http_path(const hp_http_request_t *request);
/* The raw query without the "?"; NULL without one. */
const char *hp_http_query_text(const hp_http_request_t *request);
/* A query parameter, decoded ("+" is a space); NULL when missing or badly encoded. */
const char *hp_http_query(hp_http_request_t *request, const char *name);
/* A header field's value; several fields of one name are joined with ", "; NULL when missing. "Host" is the
 * authority of an absolute-form target where there is one. */
const char *hp_http_header(hp_http_request_t *request, const char *name);
/* The body, whole. The first call copies it, so that it may be used (in the pool as well) until the last
 * release. */
const void *hp_http_body(hp_http_request_t *request, size_t *length);
/* How long the body is that hp_http_body_next gives. */
uint64_t hp_http_body_length(const hp_http_request_t *request);
/* Asks for the next piece of the body, of at most HP_HTTP_PIECE bytes; only one is read ahead of that, so
 * that a request holds no more than two. fn runs once, perhaps inside the call, with data from malloc that it
 * takes (NULL for an empty body); last: there is no more. When the client goes first, fn does not run, and
 * on_gone does. A reply is not given while a piece is asked for. Works for every body; one that came in
 * pieces ends its connection with the reply. */
#define HP_HTTP_PIECE ((size_t)1024 * 1024)
typedef void (*hp_http_piece_fn)(void *arg, void *data, size_t length, bool last);
void hp_http_body_next(hp_http_request_t *request, hp_http_piece_fn fn, void *arg);
/* The client's numeric address and port. */
const char *hp_http_client(const hp_http_request_t *request, uint16_t *port);
/* The numeric address and the port that its connection came in at; false where that is no IP address, or the
 * connection has gone. */
bool hp_http_here(const hp_http_request_t *request, char address[64], uint16_t *port);
/* Who sent it. */
const hp_who_t *hp_http_who(const hp_http_request_t *request);
/* The user as whom the client runs, where it is a program of this machine. 0; -ENOENT: it is none, or has
 * gone; another negative errno: the kernel does not tell. The kernel is asked once a connection, by `asker`
 * (os/socket_owner.h). */
int hp_http_owner(const hp_http_request_t *request, int asker, uid_t *uid);
/* The round trip to the client as the kernel has measured it, microseconds; 0 unknown. */
uint32_t hp_http_rtt_us(const hp_http_request_t *request);
/* Whether Accept names this media type literally with a q above 0 (RFC 9110 section 12.5.1); wildcards do not
 * count. */
bool hp_http_accepts(hp_http_request_t *request, const char *media_type);
/* The body as JSON: 0 with *json for the caller to json_decref(), or HP_E_BAD_JSON with the place in err.
 * Text may hold a NUL ("\u0000"): json_string_length tells. */
int hp_http_json(hp_http_request_t *request, json_t **json, hp_err_t *err);

/* ---- replies ---- */

/* Adds a field to the coming reply; name and value are copied. */
void hp_http_set_header(hp_http_request_t *request, const char *name, const char *value);
/* Content-Disposition: attachment, under this name (UTF-8, or NULL for none) as RFC 6266 and RFC 8187 write
 * it. */
void hp_http_set_attachment(hp_http_request_t *request, const char *name);

/* Content-Length: 0 (none for 204 and 304). */
void hp_http_reply_empty(hp_http_request_t *request, int status);
/* Copies the body. HEAD gets the fields only. */
void hp_http_reply(hp_http_request_t *request, int status, const char *content_type, const void *body,
                   size_t length);
/* The same without the copy: body came from malloc and is freed here, whatever happens. */
void hp_http_reply_owned(hp_http_request_t *request, int status, const char *content_type, void *body,
                         size_t length);
/* Whether the request's If-None-Match holds etag: then a 304 with that ETag is the answer to a GET or HEAD.
 */
bool hp_http_not_modified(hp_http_request_t *request, const char *etag);
/* Takes the reference to json. Compact, "application/json". */
void hp_http_reply_json(hp_http_request_t *request, int status, json_t *json);
/* application/problem+json (RFC 9457): {"type","title","status","detail","code"}. err may be NULL. */
void hp_http_reply_problem(hp_http_request_t *request, int code, const hp_err_t *err);
/* 405 with Allow. */
void hp_http_reply_method(hp_http_request_t *request, const char *allow);
/* The same for the peer listener: a short text/plain sentence. */
void hp_http_reply_text_error(hp_http_request_t *request, int code, const char *text);

/* A file by every rule of RFC 9110 sections 13 and 14 (see server/peer/PROTOCOL.md): conditions, ranges,
 * multipart, HEAD. Takes fd (closed at the end, whatever happens) and copies the texts. If the file changes
 * while it is sent (its size, mtime or ctime differ before the last bytes, or it is shorter), the connection
 * is cut instead of completing the body. */
typedef struct hp_http_file {
    int fd;
    struct stat stat;
    const char *content_type;
    const char *etag; /* quoted; the validator of exactly these bytes. "W/" in front or NULL: ranges work,
                         If-Range never holds */
    bool attachment;  /* Content-Disposition: attachment */
    const char *file_name; /* for it, UTF-8; NULL: the client takes the last segment of the URL */
    bool growing;          /* the file is still written to: its changes are expected; needs allowance */
    bool loose; /* of a weak etag, which promises nothing: sent to its end while it is long enough */
    /* It may become longer while it is sent: the reply is cut only if it becomes shorter, or if the bytes
     * that were sent are others by the end (then they are read again). For replies with all of the file. */
    bool may_grow;
    /* Optional: how many bytes at offset may go now, at most want (0: asked again after
     * HP_SEND_LIMIT_RETRY_MS). Not called after the reply's end or the client's going. */
    size_t (*allowance)(void *arg, uint64_t offset, size_t want);
    void *allowance_arg;
} hp_http_file_t;
void hp_http_reply_file(hp_http_request_t *request, const hp_http_file_t *file);

/* A reply of unknown length (chunked; to an HTTP/1.0 client ended by closing) produced piece by piece. next
 * is called whenever the client has taken the last piece, never inside hp_http_reply_stream; it answers, then
 * or later, with exactly one hp_http_stream_send, also when the client has gone meanwhile. NULL when there is
 * nothing to produce: HEAD, or the client has gone already; neither next nor end is called then. */
typedef struct hp_http_stream hp_http_stream_t;
typedef void (*hp_http_stream_next_fn)(void *arg, hp_http_stream_t *stream);
hp_http_stream_t *hp_http_reply_stream(hp_http_request_t *request, int status, const char *content_type,
                                       hp_http_stream_next_fn next, void *arg);
/* The same with a Content-Length; exactly size bytes are to be sent, or FAILED. */
hp_http_stream_t *hp_http_reply_stream_sized(hp_http_request_t *request, int status, const char *content_type,
                                             size_t size, hp_http_stream_next_fn next, void *arg);
/* end runs exactly once, last: the reply is over or the client has gone, and nothing is asked any more. The
 * place to free arg. */
void hp_http_stream_on_end(hp_http_stream_t *stream, void (*end)(void *arg));
/* Copies data. last ends the reply; a stream ended with failed is cut so that the client sees it is
 * incomplete. */
typedef enum { HP_STREAM_MORE, HP_STREAM_LAST, HP_STREAM_FAILED } hp_http_stream_state_t;
void hp_http_stream_send(hp_http_stream_t *stream, const void *data, size_t length,
                         hp_http_stream_state_t state);
/* The same without the copy: data came from malloc and is freed later, whatever happens. */
void hp_http_stream_send_owned(hp_http_stream_t *stream, void *data, size_t length,
                               hp_http_stream_state_t state);
/* From now on its bytes count in the limit, as those of files do. */
void hp_http_stream_set_limited(hp_http_stream_t *stream);

/* Server-sent events (HTML Living Standard section 9.2): a stream that is pushed to. Bytes wait in a bounded
 * buffer; a client that falls HP_EVENTS_BACKLOG bytes behind is cut and will reconnect. */
#define HP_EVENTS_BACKLOG ((size_t)256 * 1024)
typedef struct hp_http_events hp_http_events_t;
/* on_close runs once when the client has gone or the listener goes; the handle is dead from then on. NULL
 * when there is nothing to push to: HEAD, or the client has gone already; on_close is not called then. The
 * head leaves with the first event or comment. */
hp_http_events_t *hp_http_reply_events(hp_http_request_t *request, void (*on_close)(void *arg), void *arg);
void hp_http_events_send(hp_http_events_t *events, uint64_t id, const char *event, const char *data);
void hp_http_events_comment(hp_http_events_t *events);

/* ---- who is connected ---- */

typedef struct hp_http_connection {
    uint64_t id;
    char address[64];
    uint16_t port;
    char host[HP_PEER_ID_SIZE]; /* its proven id; "" */
    bool encrypted;
    int64_t since; /* wall ms */
    uint64_t requests, bytes_sent, speed_bps;
    char path[256];       /* of the request under way or the last one, printable */
    char user_agent[128]; /* printable */
    bool active;          /* in the middle of a request or reply */
} hp_http_connection_t;

/* Fills out with at most max of the present connections, in the order of their ids; returns how many there
 * are. */
size_t hp_http_connections(const hp_http_listener_t *listener, hp_http_connection_t *out, size_t max);
/* Ends one. 0 or HP_E_NOT_FOUND. */
int hp_http_disconnect(hp_http_listener_t *listener, uint64_t id);
/* Ends all whose client fn is true for; returns how many there were. */
size_t hp_http_disconnect_if(hp_http_listener_t *listener, bool (*fn)(void *arg, const hp_who_t *who),
                             void *arg);
/* Marks the connection that the request came by, and ends all that are marked. */
void hp_http_mark(hp_http_request_t *request);
void hp_http_disconnect_marked(hp_http_listener_t *listener);
/* Body bytes sent since the start. */
uint64_t hp_http_bytes_sent(const hp_http_listener_t *listener);

#endif
