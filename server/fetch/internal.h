/* What the fetcher's sources share: the fetcher, one request, and the sockets of curl. Curl's types stop
 * here.
 *
 * Curl must not be called from its own callbacks, and callers may call hp_fetch_* from theirs. So everything
 * that was asked for is put on the fetcher's to-do list, which an idle handle works off at the next turn of
 * the loop; finished transfers are collected after each call of curl. */
#ifndef HP_FETCH_INTERNAL_H
#define HP_FETCH_INTERNAL_H

#include <curl/curl.h>
#include <uv.h>

#include "base/pending.h"
#include "fetch/fetch.h"
#include "fetch/parser.h"
#include "secure/secure.h"

#define HP_FETCH_EASY_KEPT 64 /* unused curl handles kept for the next requests */

typedef struct hp_fetch_socket hp_fetch_socket_t;
typedef struct hp_fetch_members hp_fetch_members_t; /* member.c */
typedef struct hp_fetch_choice hp_fetch_choice_t;

struct hp_fetcher {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t curl_timer;  /* the next time-out inside curl */
    uv_timer_t watch_timer; /* the next stall or total time-out of ours */
    uv_idle_t idle;         /* active while there is something to do at the next turn */
    uv_check_t check;       /* active while requests seem to have stalled */
    uint64_t watch_at;      /* when watch_timer fires; UINT64_MAX: not armed */
    bool timer_due;         /* curl asked for a call at once */
    uint64_t calls;         /* of curl, which may deliver data */
    bool destroying;
    hp_pending_t pending; /* handles */
    void (*closed)(void *arg);
    void *closed_arg;

    hp_fetch_t *first, *last;           /* all requests, in the order they were started */
    hp_fetch_t *todo_first, *todo_last; /* those with work to do */
    hp_fetch_socket_t **sockets;        /* by descriptor */
    size_t socket_slots;
    hp_fetch_socket_t *all_sockets;      /* newest first */
    const hp_secure_t *secure;           /* NULL: no TLS to other hosts */
    CURL *easies[2][HP_FETCH_EASY_KEPT]; /* [1]: those that are set up for TLS to other hosts */
    unsigned easy_count[2];
    uint64_t bytes;
    hp_fetch_members_t *members; /* NULL: members of groups cannot be reached */
};

struct hp_fetch {
    hp_fetcher_t *fetcher;
    hp_fetch_t *next, *previous;
    hp_fetch_t *todo_next;
    const hp_fetch_callbacks_t *callbacks;
    void *arg;

    /* the options, copied */
    char *url, *method, *body, *origin;
    bool has_certificate; /* of a URL, for its origin only */
    bool any_certificate; /* the same */
    uint8_t certificate[32];
    bool left;             /* its origin, by a redirect */
    hp_secure_seen_t seen; /* the certificate of the server that is asked now, where it speaks TLS */
    char *user, *password; /* of a URL, for its origin only; NULL none */
    uint64_t body_length;
    size_t (*send)(void *arg, void *into, size_t size); /* NULL: body is the whole */
    void *send_arg;
    bool sends; /* bytes of the body were asked for */
    bool direct;
    bool peer; /* an endpoint was given */
    hp_endpoint_t endpoint;
    bool tls;     /* to another host, with this host's certificate */
    hp_way_t way; /* to a MEMBER, once it is chosen */
    bool way_chosen;
    hp_fetch_choice_t *choice; /* it waits for a way */
    char *path;                /* of an endpoint */
    bool fresh, head_request;
    uint64_t body_max;
    unsigned connect_ms, stall_ms, first_ms, total_ms, alive_s;
    struct curl_slist *headers, *own_headers; /* for every origin; the caller's, for the first origin only */
    struct curl_slist *sent;                  /* both, as curl has them */

    /* what is to be done with it at the next turn */
    bool queued, start_wanted, resume_wanted, cancel_wanted;

    CURL *easy;
    bool added;     /* to the multi handle */
    bool connected; /* a connection is there; the stall clock runs */
    bool held;      /* on_data said so */
    bool resting;   /* had its share of this turn, goes on at the next */
    bool silent;    /* the stall clock has run out, and the loop has not turned since */
    bool stale;     /* the kept connection had bytes waiting: once more on another */
    bool new_socket;
    bool redirected; /* the present reply is a redirect that is followed */
    bool retried;
    bool http2; /* the server speaks nothing else */
    unsigned redirects, stale_tries;
    uint64_t burst_call, burst; /* body bytes in the present call of curl */
    uint64_t received, skipped; /* body bytes passed on; of a redirect's body */
    uint64_t started_ms, heard_ms, asked_ns;
    uint32_t wait_us;
    uint16_t port;
    bool greeted; /* the other side took a connection for TLS */
    bool proven;  /* who the other side of the connection is */
    uint8_t fingerprint[HP_FINGERPRINT_SIZE];
    int status; /* why it ends, as a callback of ours decided; 0: curl decides */
    hp_err_t err;
    char where[300]; /* host:port, for words */
    char address[64];
    char curl_words[CURL_ERROR_SIZE];
    hp_fetch_parser_t parser;
};

/* ---- fetch.c ---- */

/* Calls the idle handle at the next turn. */
void hp_fetcher_kick(hp_fetcher_t *self);
/* Lets curl work on a socket (CURL_SOCKET_TIMEOUT: on its time-outs), then ends what is finished. */
void hp_fetcher_act(hp_fetcher_t *self, curl_socket_t fd, int flags);
/* Takes a transfer up again at the next turn. */
void hp_fetch_rest(hp_fetch_t *fetch);
/* Ends the transfers that curl has finished. Never inside curl. */
void hp_fetcher_collect(hp_fetcher_t *self);
/* A time-out of this request has come nearer. */
void hp_fetcher_watch(hp_fetcher_t *self, hp_fetch_t *fetch);
/* Hands it to curl, or ends it, at the next turn. */
void hp_fetch_start_now(hp_fetch_t *fetch);
/* Its on_done, then it is gone. */
void hp_fetch_finish(hp_fetch_t *fetch, int status);

/* ---- request.c ---- */

/* Copies and checks the options: 0 or HP_E_INVALID, in fetch->err. */
int hp_fetch_prepare(hp_fetch_t *fetch, const hp_fetch_options_t *options);
/* Makes the URL of a MEMBER, when its way is chosen: 0 or an error, in fetch->err. */
int hp_fetch_set_member_url(hp_fetch_t *fetch);
/* 0 or HP_E_INVALID, in fetch->err. The caller's header fields do not go to another origin. */
int hp_fetch_set_url(hp_fetch_t *fetch, const char *url);
/* Hands the request to curl. */
int hp_fetch_send(hp_fetch_t *fetch);
/* The same request once more: true, or false with *status when curl does not take it. */
bool hp_fetch_send_again(hp_fetch_t *fetch, int *status);
void hp_fetch_dispose(hp_fetch_t *fetch);

/* ---- reply.c: callbacks of curl ---- */

int hp_fetch_on_connected(void *fetch, char *remote, char *local, int remote_port, int local_port);
size_t hp_fetch_on_header(char *line, size_t size, size_t count, void *fetch);
size_t hp_fetch_on_body(char *data, size_t size, size_t count, void *fetch);
size_t hp_fetch_on_send(char *into, size_t size, size_t count, void *fetch);

/* ---- end.c ---- */

/* What the end of the transfer means: true when it was started once more, else *status is the end (words in
 * fetch->err). */
bool hp_fetch_ended(hp_fetch_t *fetch, CURLcode code, int *status);

/* ---- tls.c: connections to other hosts ---- */

/* What is the same for every request over TLS. */
void hp_fetch_tls_set_up(hp_fetcher_t *fetcher, CURL *easy);
/* Has only connections to the expected host used again. */
void hp_fetch_tls_set_expected(hp_fetch_t *fetch);
/* Before the request leaves: who the other side is. 0; HP_E_WRONG_KEY or HP_E_TLS, with words in err;
 * HP_FETCH_TLS_ANOTHER when the connection is a kept one that cannot be used. */
#define HP_FETCH_TLS_ANOTHER 1
int hp_fetch_tls_check(hp_fetch_t *fetch);
/* Has the certificates of web servers noted in fetch->seen. */
void hp_fetch_tls_watch(CURL *easy);
/* A web server's certificate is not trusted: HP_E_CERTIFICATE with its SHA-256 at the end of the words, where
 * it is that of the URL's own origin. */
int hp_fetch_tls_distrust(hp_fetch_t *fetch, const char *words);
/* The same of a URL's server whose certificate is known: 0, or HP_E_TLS. */
int hp_fetch_tls_check_certificate(hp_fetch_t *fetch);
/* What it means that no TLS connection came about: HP_E_NOT_TLS or HP_E_TLS. */
int hp_fetch_tls_judge(hp_fetch_t *fetch, CURLcode code);

/* ---- member.c ---- */

/* Asks for a way; hp_fetch_start_now follows, unless hp_fetch_unchoose comes before. */
void hp_fetch_choose(hp_fetch_t *fetch);
void hp_fetch_unchoose(hp_fetch_t *fetch);
/* The base of a member's URL. Returns out. */
char *hp_fetch_member_base(const hp_endpoint_t *endpoint, hp_way_t way, char out[HP_ENDPOINT_URL_SIZE]);
/* A socket whose connection leads to the member, and where curl has to connect it. -1 with errno. */
int hp_fetch_member_socket(hp_fetch_t *fetch, struct curl_sockaddr *address);
void hp_fetch_members_dispose(hp_fetcher_t *fetcher);

/* ---- sockets.c ---- */

/* Sets curl's callbacks for sockets and time-outs. */
void hp_fetch_sockets_init(hp_fetcher_t *self);
void hp_fetch_sockets_dispose(hp_fetcher_t *self); /* after curl's end */
curl_socket_t hp_fetch_socket_open(void *fetch, curlsocktype purpose, struct curl_sockaddr *address);
int hp_fetch_socket_close(void *fetcher, curl_socket_t fd);
/* Whether bytes wait on the connection between these two ends before anything was asked on it. */
bool hp_fetch_socket_is_stale(hp_fetcher_t *self, bool is_new, const char *remote, int remote_port,
                              int local_port);

#endif
