/* What the files of server/peer share: one function an endpoint, each of which answers the request it is
 * given. */
#ifndef HP_PEER_INTERNAL_H
#define HP_PEER_INTERNAL_H

#include "base/list.h"
#include "gate.h"
#include "pairing/pairing.h"
#include "peer.h"
#include "pieces.h"

struct hp_peer {
    uv_loop_t *loop;
    hp_share_t *share;
    const hp_self_t *self;
    hp_hosts_t *hosts;            /* or NULL */
    hp_messages_t *messages;      /* or NULL */
    hp_pairings_t *pairings;      /* or NULL */
    hp_inbox_t *inbox;            /* or NULL */
    hp_doctor_t *doctor;          /* or NULL */
    hp_gate_t *index, *trees;     /* the ways to both: the index may be waited for, the first time */
    struct hp_peer_names *names;  /* names.c: GET /list as text */
    hp_pieces_all_t *pieces;      /* archives and bundles under way */
    struct hp_peer_dav *dav;      /* dav.c: answers to PROPFIND under way */
    hp_http_listener_t *listener; /* NULL once it has closed */
    unsigned timers;              /* that are open */
    hp_list_t waiters;            /* inbox.c: requests that wait for an answer to an offer */
    /* Further names for pages in a browser; or NULL. */
    const hp_strings_t *allow_hosts;
    hp_access_t access;
    bool plain_content; /* hosts are offered content in plain, if everyone is let in */
    bool (*is_trusted)(void *arg, const char *id);
    void *is_trusted_arg;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct hp_peer_names *hp_peer_names_create(hp_share_t *share);
void hp_peer_names_release(struct hp_peer_names *names);
struct hp_peer_dav *hp_peer_dav_create(uv_loop_t *loop, hp_share_t *share);
void hp_peer_dav_release(struct hp_peer_dav *dav);

/* A timer more or less; the last one lets a closing peer finish. */
void hp_peer_timer_opened(hp_peer_t *peer);
void hp_peer_timer_closed(hp_peer_t *peer);

void hp_peer_about(hp_peer_t *peer, hp_http_request_t *request);
void hp_peer_list(hp_peer_t *peer, hp_http_request_t *request);
void hp_peer_list_names(hp_peer_t *peer, hp_http_request_t *request);
/* root: the path's last segment, still encoded. */
void hp_peer_manifest(hp_peer_t *peer, hp_http_request_t *request, const char *root);
/* path: still encoded, without the leading "/". */
void hp_peer_file(hp_peer_t *peer, hp_http_request_t *request, const char *path);
/* The folder at path ("": all that is shared), as hp_peer_file's, or what the query names of it, in the
 * format that the query's "archive" says. */
void hp_peer_archive(hp_peer_t *peer, hp_http_request_t *request, const char *path);
/* The same of the query's "folder" (without: all that is shared), with the names in a form. */
void hp_peer_archive_form(hp_peer_t *peer, hp_http_request_t *request);
/* Every method but GET and HEAD, of the file or folder at path ("": all that is shared), as hp_peer_file's.
 * base: what comes before it in the URL, "/" or "/files/". */
void hp_peer_dav(hp_peer_t *peer, hp_http_request_t *request, const char *base, const char *path);
/* Several small files, named by the body, in one reply. */
void hp_peer_bundle(hp_peer_t *peer, hp_http_request_t *request);
/* path: as hp_peer_file's. */
void hp_peer_torrent(hp_peer_t *peer, hp_http_request_t *request, const char *path);
void hp_peer_message(hp_peer_t *peer, hp_http_request_t *request);
void hp_peer_pair(hp_peer_t *peer, hp_http_request_t *request);
void hp_peer_callback(hp_peer_t *peer, hp_http_request_t *request);
/* The port that the request says its sender listens on; 0: it does not say. */
uint16_t hp_peer_sender_port(hp_http_request_t *request);
/* rest: what follows "hostpair/inbox/" in the path; NULL: nothing. */
void hp_peer_inbox(hp_peer_t *peer, hp_http_request_t *request, const char *rest);
/* Whether the path is below hostpair/inbox, or that. */
bool hp_peer_inbox_is(const char *path, const char **rest);
bool hp_peer_takes_pieces(void *arg, const char *method, const char *path);
void hp_peer_inbox_event(void *arg, int64_t id);
void hp_peer_guest(hp_peer_t *peer, hp_http_request_t *request);
/* The same page where guests are not let in: to whoever asks for the front page, or else to browsers alone.
 * Whether the request is answered. */
bool hp_peer_guest_closed(hp_peer_t *peer, hp_http_request_t *request, bool front);
/* The same page with a sentence for people who open in a browser what gets this status. False for other
 * clients and other statuses, which nothing is answered to. */
bool hp_peer_guest_note(const hp_peer_t *peer, hp_http_request_t *request, int status);
/* The same (403) where no pages are shown under this name. */
bool hp_peer_guest_other_name(const hp_peer_t *peer, hp_http_request_t *request, const char *name);

/* Whether the access setting lets this request in; if not, it is answered. path: without its leading "/". */
bool hp_peer_lets_in(hp_peer_t *peer, hp_http_request_t *request, const char *path);

/* Whether the name in its Host field is one under which a page may be here; if not, it is answered. */
bool hp_peer_is_called_well(const hp_peer_t *peer, hp_http_request_t *request);

/* Adds the offer of content in plain to the coming reply, where the asker may have it. */
void hp_peer_offer_plain(const hp_peer_t *peer, hp_http_request_t *request);
/* Whether this request for a file may go on: false when a host asks for content in plain that is not offered,
 * which is answered. */
bool hp_peer_takes_plain(const hp_peer_t *peer, hp_http_request_t *request);

/* Whether a first segment of a URL's path never names a file. */
bool hp_peer_is_reserved(const char *segment);

/* Answers for a share's status that is not 0: browsers by a page, others by a line of text. */
void hp_peer_refuse(hp_http_request_t *request, int status);

/* The path in the shared folder that a URL's path names, malloced, without a slash at its end; as_folder: it
 * had one. NULL when it names none, or the folder itself: that is answered. */
char *hp_peer_take_path(hp_http_request_t *request, const char *encoded, bool *as_folder);

#endif
