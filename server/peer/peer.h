/* The peer listener: what other hosts, and people with nothing but a browser, may ask of this one. GET and
 * HEAD, and what alone changes anything: POST /message, POST and DELETE /hostpair/pair, and what is below
 * /hostpair/inbox. A blocked host gets 403 for everything.
 *
 * Invariants
 * 1. Loop thread only. The share and self outlive the peer.
 * 2. A path is decoded once, segment by segment, and never normalised: a segment that decodes to something
 * with a "/" or a NUL in it names nothing.
 * 3. A file's ETag is strong only when no write could have gone unseen by it (see etag.h).
 */
#ifndef HP_PEER_PEER_H
#define HP_PEER_PEER_H

#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/options.h"
#include "discovery/hosts.h"
#include "http/http.h"
#include "inbox/inbox.h"
#include "message/message.h"
#include "share/share.h"

typedef struct hp_pairings hp_pairings_t; /* pairing/pairing.h */
typedef struct hp_doctor hp_doctor_t;     /* doctor/doctor.h */
typedef struct hp_peer hp_peer_t;

/* Who may ask this host for anything but who it is. */
typedef enum {
    HP_ACCESS_EVERYONE, /* hosts, and guests with a browser or curl */
    HP_ACCESS_HOSTS,    /* hosts that have proven their key */
    HP_ACCESS_PAIRED,   /* those that people have paired, and members of own groups */
} hp_access_t;

typedef struct hp_peer_options {
    const char *address;         /* numeric; "::" takes both families */
    uint16_t port;               /* 0 takes a free one */
    unsigned connections_max;    /* 0: what the descriptor limit leaves */
    unsigned descriptor_percent; /* as in hp_http_options_t */
    unsigned per_address_max;    /* 0: HP_PEER_PER_ADDRESS */
    const hp_secure_t *secure;   /* TLS beside plain HTTP; NULL: plain alone. Outlives the peer */
    unsigned stuck_ms, idle_ms;  /* 0: the defaults of http.h */
    hp_send_limit_t *limit;      /* as in hp_http_options_t */
    hp_hosts_t *hosts;       /* hears of hosts that look for others, knows who is blocked; NULL: nobody does.
                                Outlives the peer */
    hp_messages_t *messages; /* takes what other hosts send; NULL: nobody does. Outlives the peer */
    hp_pairings_t *pairings; /* takes part in pairings; NULL: nobody does. Outlives the peer */
    hp_inbox_t *inbox;       /* takes files that others send; NULL: nobody does. Outlives the peer */
    hp_doctor_t *doctor;     /* calls hosts back that ask for it; NULL: nobody does. Outlives the peer */
    const hp_strings_t *allow_hosts; /* further names for pages in a browser; NULL: none. Outlives the peer */
    /* Whether people trust the host of this id: it is paired, or a member of a group. NULL: nobody is. */
    bool (*is_trusted)(void *arg, const char *id);
    void *is_trusted_arg;
    size_t zip_memory; /* as hp_pieces_all_create's memory_max */
} hp_peer_options_t;

#define HP_PEER_PER_ADDRESS 1000

/* Listens from the call on. UV_EADDRINUSE and others with the words in err. */
int hp_peer_create(hp_peer_t **peer, uv_loop_t *loop, const hp_peer_options_t *options, hp_share_t *share,
                   const hp_self_t *self, hp_err_t *err);

/* Ends every connection, then calls closed. */
void hp_peer_destroy(hp_peer_t *peer, void (*closed)(void *arg), void *arg);

/* HP_ACCESS_EVERYONE at first. It takes effect at once: connections of those who are not let in any more are
 * cut, whatever they are in the middle of. */
void hp_peer_set_access(hp_peer_t *peer, hp_access_t access);
/* The same for what is_trusted says, which has changed. */
void hp_peer_check_access(hp_peer_t *peer);

/* Whether hosts are offered the content of files in plain, where everyone is let in; not at first. False
 * takes effect at once: connections by which hosts fetch content in plain are cut. */
void hp_peer_set_plain_content(hp_peer_t *peer, bool plain);

/* Which state of the list GET /list shows now; its ETag without the quotes. The host's id in it keeps the
 * tags of two databases apart. */
#define HP_PEER_TAG_SIZE (HP_HOST_ID_SIZE + 24)
void hp_peer_list_tag(const hp_peer_t *peer, char out[HP_PEER_TAG_SIZE]);

/* For the port, the connections, the bytes sent and streams that come from elsewhere. */
hp_http_listener_t *hp_peer_listener(const hp_peer_t *peer);

#endif
