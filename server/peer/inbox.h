/* What inbox.c and form.c share: senders of files that have no hostpair, or are other hosts. */
#ifndef HP_PEER_INBOX_H
#define HP_PEER_INBOX_H

#include "guest_page.h"
#include "internal.h"

/* Runs once: 0 when the transfer has left the state or the time is over, UV_ECANCELED when the client has
 * gone (or the peer closes). Never inside the call. */
typedef void (*hp_peer_waited_fn)(void *arg, int status);
void hp_peer_inbox_wait(hp_peer_t *peer, hp_http_request_t *request, int64_t id, hp_incoming_state_t state,
                        uint64_t ms, hp_peer_waited_fn fn, void *arg);

/* Makes the offer in the name of the request's sender. As hp_inbox_offer; Retry-After is set. */
int hp_peer_inbox_offer(hp_peer_t *peer, hp_http_request_t *request, hp_inbox_offer_t *offer, int64_t *id,
                        hp_err_t *err);

/* POST /hostpair/inbox with a form, form.c. */
void hp_peer_inbox_form(hp_peer_t *peer, hp_http_request_t *request);

/* guest.c: fills in the language and the version, and answers with the page. */
void hp_peer_guest_send(hp_http_request_t *request, int status, hp_guest_view_t *view);

#endif
