/* HTTP for both listeners: requests in, replies out, on libh2o. No type of h2o leaves this folder.
 *
 * Invariants
 * 1. Loop thread only.
 * 2. A handler gets a request that it may answer at once or later: hp_http_request_t is counted, the handler's call holds one
 *    reference, work that outlives it takes its own (addref) and gives it back (release). Exactly one reply call a request; when the
 *    client has gone meanwhile, reply calls do nothing (and close what they were given), hp_http_gone() tells so.
 * 3. A request whose last reference goes without a reply is answered 500 and logged.
 * 4. Nothing is sent faster than the client reads: file replies are zero copy, streams ask for the next piece.
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

typedef struct hp_http_request hp_http_request_t;
typedef struct hp_http_listener hp_http_listener_t;

typedef void (*hp_http_handler_fn)(void *arg, hp_http_request_t *request);

typedef struct hp_http_options {
    const char *name;            /* "peer", "dashboard": for the log */
    const char *server;          /* Server field, e.g. "hostpair/0.1.0" */
    size_t body_max;             /* a longer request body gets 413 */
    unsigned connections_max;    /* in all; 0: what the descriptor limit leaves */
    unsigned per_address_max;    /* loopback exempt; 0: none */
    unsigned stuck_ms;           /* no byte moved in the middle of a request or reply: closed (30000) */
    unsigned idle_ms;            /* keep-alive without a request (60000) */
    hp_http_handler_fn handler;
    void *arg;
} hp_http_options_t;

/* Listens on address:port (numeric; "::" takes both families, falling back to 0.0.0.0 where there is no IPv6). port 0 takes a free one.
 * UV_EADDRINUSE and others with the words in err. */
int hp_http_listen(hp_http_listener_t **listener, uv_loop_t *loop, const char *address, uint16_t port,
                   const hp_http_options_t *options, hp_err_t *err);
uint16_t hp_http_port(const hp_http_listener_t *listener);

/* Serves a connected stream that came from elsewhere (a tunnel). The listener owns it from now on and closes it with free_fn(stream). */
void hp_http_serve_stream(hp_http_listener_t *listener, uv_stream_t *stream, void (*free_fn)(uv_stream_t *stream));

/* Stops accepting, ends every connection (replies under way are cut), then calls closed. */
void hp_http_destroy(hp_http_listener_t *listener, void (*closed)(void *arg), void *arg);

/* ---- requests ---- */

void hp_http_addref(hp_http_request_t *request);
void hp_http_release(hp_http_request_t *request);
bool hp_http_gone(const hp_http_request_t *request);
/* Called once when the client goes before the reply is complete; not called after it. */
void hp_http_on_gone(hp_http_request_t *request, void (*fn)(void *arg), void *arg);

const char *hp_http_method(const hp_http_request_t *request);
/* The path as sent, still percent-encoded, without the query; always starts with "/". An absolute-form target is reduced to its path. */
const char *hp_http_path(const hp_http_request_t *request);
/* A query parameter, decoded ("+" is a space); NULL when missing. Valid until the last release. */
const char *hp_http_query(hp_http_request_t *request, const char *name);
/* A header field's value; several fields of one name are joined with ", "; NULL when missing. */
const char *hp_http_header(hp_http_request_t *request, const char *name);
const void *hp_http_body(const hp_http_request_t *request, size_t *length);
/* The client's numeric address and port. */
const char *hp_http_client(const hp_http_request_t *request, uint16_t *port);
/* Whether Accept names this media type literally with a q above 0 (RFC 9110 section 12.5.1); wildcards do not count. */
bool hp_http_accepts(hp_http_request_t *request, const char *media_type);
/* The body as JSON: 0 with *json for the caller to json_decref(), or HP_E_BAD_JSON with the place in err. */
int hp_http_json(hp_http_request_t *request, json_t **json, hp_err_t *err);

/* ---- replies ---- */

/* Adds a field to the coming reply; name and value are copied. */
void hp_http_set_header(hp_http_request_t *request, const char *name, const char *value);

/* Content-Length: 0 (none for 204 and 304). */
void hp_http_reply_empty(hp_http_request_t *request, int status);
/* Copies the body. HEAD gets the fields only. */
void hp_http_reply(hp_http_request_t *request, int status, const char *content_type, const void *body, size_t length);
/* Takes the reference to json. Compact, "application/json". */
void hp_http_reply_json(hp_http_request_t *request, int status, json_t *json);
/* application/problem+json (RFC 9457): {"type","title","status","detail","code"}. err may be NULL. */
void hp_http_reply_problem(hp_http_request_t *request, int code, const hp_err_t *err);
/* 405 with Allow. */
void hp_http_reply_method(hp_http_request_t *request, const char *allow);
/* The same for the peer listener: a short text/plain sentence. */
void hp_http_reply_text_error(hp_http_request_t *request, int code, const char *text);

/* A file by every rule of RFC 9110 sections 13 and 14 (see DESIGN of the peer protocol): conditions, ranges, multipart, HEAD.
 * Takes fd (closed at the end, whatever happens). etag: quoted, strong; the validator of exactly these bytes. If the file changes
 * while it is sent (fstat differs at the end, or it is shorter), the connection is cut instead of completing the body. */
typedef struct hp_http_file {
    int fd;
    struct stat stat;
    const char *content_type;
    const char *etag;
    bool attachment; /* Content-Disposition: attachment */
    /* Optional throttle and accounting: asked before each piece how many bytes may go now (0: call again after hp_http_file_retry_ms). */
    size_t (*allowance)(void *arg, size_t want);
    void *allowance_arg;
} hp_http_file_t;
void hp_http_reply_file(hp_http_request_t *request, const hp_http_file_t *file);

/* A reply of unknown length (chunked) produced piece by piece. next is called whenever the client has taken the last piece; it answers,
 * then or later, with exactly one hp_http_stream_send. on_gone (see above) tells of a client that left. */
typedef struct hp_http_stream hp_http_stream_t;
typedef void (*hp_http_stream_next_fn)(void *arg, hp_http_stream_t *stream);
hp_http_stream_t *hp_http_reply_stream(hp_http_request_t *request, int status, const char *content_type,
                                       hp_http_stream_next_fn next, void *arg);
/* Copies data. last ends the reply; a stream ended with failed is cut so that the client sees it is incomplete. */
typedef enum { HP_STREAM_MORE, HP_STREAM_LAST, HP_STREAM_FAILED } hp_http_stream_state_t;
void hp_http_stream_send(hp_http_stream_t *stream, const void *data, size_t length, hp_http_stream_state_t state);

/* Server-sent events (HTML Living Standard section 9.2): a stream that is pushed to. Bytes wait in a bounded buffer;
 * a client that falls HP_EVENTS_BACKLOG bytes behind is cut and will reconnect. */
#define HP_EVENTS_BACKLOG (256 * 1024)
typedef struct hp_http_events hp_http_events_t;
/* on_close runs once when the client has gone or the listener goes; the handle is dead from then on. */
hp_http_events_t *hp_http_reply_events(hp_http_request_t *request, void (*on_close)(void *arg), void *arg);
void hp_http_events_send(hp_http_events_t *events, uint64_t id, const char *event, const char *data);
void hp_http_events_comment(hp_http_events_t *events);

/* ---- who is connected ---- */

typedef struct hp_http_connection {
    uint64_t id;
    char address[64];
    uint16_t port;
    int64_t since;         /* wall ms */
    uint64_t requests, bytes_sent, speed_bps;
    char path[256];        /* of the request under way or the last one, printable */
    char user_agent[128];  /* printable */
    bool active;           /* in the middle of a request or reply */
} hp_http_connection_t;

/* Fills out with at most max of the present connections; returns how many there are. */
size_t hp_http_connections(const hp_http_listener_t *listener, hp_http_connection_t *out, size_t max);
/* Ends one. 0 or HP_E_NOT_FOUND. */
int hp_http_disconnect(hp_http_listener_t *listener, uint64_t id);
/* Body bytes sent since the start. */
uint64_t hp_http_bytes_sent(const hp_http_listener_t *listener);

#endif
