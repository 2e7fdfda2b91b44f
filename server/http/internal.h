/* What the files of server/http share: the listener, its connections and their requests.
 *
 * Who owns what
 * 1. A connection's memory holds its uv_tcp_t and is freed in the close callback. h2o owns the h2o_socket_t
 * on top of it and closes both; on_close then clears `socket`.
 * 2. A request is counted by its holders (`refs`) and by h2o's pool (`req` is not NULL). When the pool goes,
 * because the reply is complete or the client has gone, `req` is cleared and the reply's `disposed` runs. The
 * last of both frees.
 * 3. A reply under way is in one of these states: `writing` (an h2o_send is outstanding: its completion
 * queues a turn), `queued` (waits for its turn), `waiting` (for the throttle's timer), or waits for a pool
 * job or its producer. Only in a turn, and never while `writing`, may it send. */
#ifndef HP_HTTP_INTERNAL_H
#define HP_HTTP_INTERNAL_H

#include <h2o.h>
#include <h2o/http1.h>

#include "base/pending.h"
#include "head.h"
#include "http.h"
#include "limits.h"

#include "secure/channel.h"

typedef struct hp_connection hp_connection_t;
typedef struct hp_secured hp_secured_t;

#define HP_CIPHER_BYTES ((size_t)64 * 1024) /* read from a client at a time */
#define HP_PLAIN_BYTES  ((size_t)16 * 1024) /* one record */
#define HP_HAND_BYTES   ((size_t)64 * 1024) /* encrypted at a time */

/* Sent of one reply in one turn while the speed is limited, so that all get their share. */
#define HP_LIMITED_BYTES ((size_t)32 * 1024)

typedef struct hp_reply_type {
    void (*turn)(hp_http_request_t *request); /* nothing is outstanding on the socket: send the next piece */
    void (*disposed)(hp_http_request_t *request); /* h2o has let go of the request: no more turns */
    bool pushed; /* nothing to send for a long time is normal, and a client that has half-closed has gone */
} hp_reply_type_t;

typedef struct hp_text hp_text_t;
typedef struct hp_pieces hp_pieces_t;

struct hp_http_request {
    h2o_generator_t generator;   /* first */
    h2o_req_t *req;              /* NULL once h2o has let go of it */
    hp_connection_t *connection; /* while req */
    unsigned refs;
    bool replied;  /* a reply call was made */
    bool finished; /* its last piece was handed to h2o */
    bool ended;    /* finished, or cut short: nothing more may be sent */
    bool writing;
    bool is_head;
    hp_head_t head;
    hp_text_t *texts; /* what accessors returned */
    void *body;
    size_t body_length;
    hp_pieces_t *pieces; /* pieces.c: of a body that comes in pieces; NULL */
    bool body_given;     /* hp_http_body_next has given all of one that did not */
    hp_who_t who;
    void (*gone)(void *arg);
    void *gone_arg;
    const hp_reply_type_t *type; /* of a reply that takes turns */
    void *reply;
    h2o_linklist_t link; /* in turns or in waiting */
};

struct hp_connection {
    uv_tcp_t tcp; /* the client's */
    hp_http_listener_t *listener;
    h2o_socket_t *socket;       /* h2o's; NULL until the first bytes, and once closed */
    hp_secured_t *secured;      /* NULL: plain */
    unsigned handles;           /* of libuv that are not closed yet; the last one frees */
    hp_http_request_t *request; /* under way */
    h2o_linklist_t all;         /* in connections or in dying */
    h2o_linklist_t idle;        /* linked while there is no request, longest first */
    hp_limits_key_t key, key_all;
    bool counted, counted_all; /* in the limits, by these keys */
    bool exempt;               /* from the limits */
    bool cut;
    bool marked;    /* for hp_http_disconnect_marked() */
    bool left;      /* the lists and the limits */
    size_t sockets; /* how many it holds */
    hp_who_t who;
    bool owner_known; /* the kernel was asked: owner, or owner_error */
    uid_t owner;
    int owner_error;
    uint64_t id;
    int64_t since; /* wall ms */
    uint64_t requests, bytes_sent;
    /* Kept by the sweep; times are the loop's, ms. */
    uint64_t quiet_since;   /* no request since */
    uint64_t begun_at;      /* a request is coming in since; 0: none */
    uint64_t moved_at;      /* a byte moved last */
    uint64_t moved;         /* bytes that had moved by then */
    uint64_t measured_sent; /* bytes_sent at the last measurement */
    uint64_t speed_bps;
    char path[256];
    char user_agent[128];
};

struct hp_http_listener {
    uv_loop_t *loop;
    hp_http_options_t options; /* texts owned */
    char *name, *server;
    uint16_t port;
    bool closing;
    uv_tcp_t tcp;
    uv_timer_t sweep, throttle;
    uv_idle_t idle;
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_linklist_t connections, idle_connections;
    h2o_linklist_t dying; /* connections that were cut and have not closed yet */
    h2o_linklist_t turns, waiting;
    h2o_linklist_t handshakes; /* with bytes to work off */
    hp_channel_sink_t sink;
    uint8_t *cipher, *plain, *hand; /* for one call each; NULL without TLS */
    h2o_linklist_t lingering;
    size_t linger_count;
    hp_limits_t limits;
    size_t connection_count;
    size_t sockets, sockets_max; /* of all connections */
    size_t busy_count, busy_max; /* requests under way; more get 503 */
    hp_pending_t pending;        /* connections, lingering sockets, pool jobs, tcp and idle */
    uint64_t next_id, bytes_sent, swept_at;
    hp_sender_t sender;  /* all replies together */
    uint64_t refused_at; /* when a refused connection was logged last */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* connection.c */
void hp_connection_accept(hp_http_listener_t *listener, uv_stream_t *server);
/* One more handle of libuv, one less. */
void hp_connection_addref(hp_connection_t *self);
void hp_connection_release(hp_connection_t *self);
int hp_connection_fd(const hp_connection_t *self); /* the client's socket; -1 once closed */
/* Closes that socket now; h2o has none, or one of its own. */
void hp_connection_close_tcp(hp_connection_t *self);
/* Counts the sockets of TLS, and a proven host as itself. False when there is no room for it. */
bool hp_connection_count_secured(hp_connection_t *self);
void hp_connection_log_refused(const hp_connection_t *self, const char *why);
/* Makes the end of what is sent so far look like a cut. */
void hp_connection_make_abrupt(hp_connection_t *self);
/* Ends it now; what the kernel still holds for the client is dropped. May run the disposal of its request at
 * once. */
void hp_connection_cut(hp_connection_t *self);
/* Ends an idle one: the client sees an orderly end. */
void hp_connection_end(hp_connection_t *self);
void hp_connection_became_idle(hp_connection_t *self);
void hp_connection_became_busy(hp_connection_t *self, hp_http_request_t *request);
void hp_connection_sent(hp_connection_t *self, size_t body_bytes);

/* sweep.c */
void hp_sweep_start(hp_http_listener_t *self);

/* linger.c */
/* Takes a duplicate of fd; does nothing when many linger already. */
void hp_linger_start(hp_http_listener_t *listener, int fd);
void hp_linger_end_all(hp_http_listener_t *listener);

/* refuse.c: requests that never reach the handler */
void hp_refuse_register(h2o_pathconf_t *pathconf);
void hp_refuse_request(hp_http_request_t *request, int status); /* and closes */
void hp_refuse_busy(hp_http_request_t *request);                /* 503, to be asked again */

/* Lets the client send on for a moment, unheard, when its connection ends with this request. */
void hp_refuse_linger(h2o_req_t *req, hp_connection_t *connection);

/* pieces.c: bodies that the handler takes piece by piece */
/* h2o refuses the request because of the length of its body, with this reply: whether the handler takes it in
 * pieces instead. Then the reply goes nowhere, and the handler is called. */
bool hp_pieces_take(h2o_req_t *req, hp_connection_t *connection, h2o_ostream_t **slot);
/* How much of the body has come; SIZE_MAX: nobody has asked for it. */
uint64_t hp_pieces_awaited(const hp_http_request_t *request);
void hp_pieces_dispose(hp_http_request_t *request);

/* request.c */
/* A request whose header section is at the start of the socket's input; calls the handler, or refuses it. */
hp_http_request_t *hp_request_create(h2o_req_t *req, hp_connection_t *connection, int *refused);
void hp_request_handle(hp_http_request_t *self, int refused);
/* Runs fn(data) when h2o lets go of the request: its reply is complete, or the connection closes. */
void hp_request_at_disposal(h2o_req_t *req, void (*fn)(void *data), void *data);
int hp_request_on_req(h2o_handler_t *handler, h2o_req_t *req);
/* The client has gone or is to go: ends the request in h2o unless a write is outstanding, whose failure ends
 * it then. */
void hp_request_abort(hp_http_request_t *self);

/* reply.c */
const char *hp_status_reason(int status);
/* Sets status and fields; length SIZE_MAX: unknown. NULL when the client has gone or the reply was given
 * before. */
h2o_req_t *hp_reply_begin(hp_http_request_t *self, int status, const char *content_type, uint64_t length);
/* The same for a reply whose body comes by and by. NULL also for HEAD, which this answers. */
h2o_req_t *hp_reply_begin_body(hp_http_request_t *self, int status, const char *content_type,
                               uint64_t length);
/* Starts a reply that takes turns. */
void hp_reply_start(hp_http_request_t *self, const hp_reply_type_t *type, void *reply);
/* One piece; nothing may be outstanding. After a state other than IN_PROGRESS the request may be gone on
 * return. */
void hp_reply_send(hp_http_request_t *self, const void *data, size_t length, h2o_send_state_t state);
/* A body of text that h2o's pool or the program holds until the request ends. */
void hp_reply_static(hp_http_request_t *self, int status, const char *content_type, const void *body,
                     size_t length);

/* turns.c */
void hp_turns_init(hp_http_listener_t *self);
void hp_turns_wake(hp_http_listener_t *self); /* there is something to do in the next turn of the loop */
void hp_turns_queue(hp_http_request_t *request);
void hp_turns_wait(hp_http_request_t *request); /* for HP_SEND_LIMIT_RETRY_MS */
void hp_turns_forget(hp_http_request_t *request);

#endif
