/* The way of the peer's requests to the index and the hash trees: only so many are on it at a time, the
 * others wait in the order of their coming, and whoever goes while it waits leaves the queue. So clients that
 * ask and go, in any number, leave neither work for the store's thread nor memory behind, and others' jobs
 * there are never far back.
 *
 * Loop thread. Counted: the peer holds one reference, everybody who is on the way another. */
#ifndef HP_PEER_GATE_H
#define HP_PEER_GATE_H

#include "http/http.h"
#include "share/share.h"

#define HP_GATE_WIDTH 8 /* at a time */

typedef struct hp_gate hp_gate_t;

hp_gate_t *hp_gate_create(hp_share_t *share);
void hp_gate_release(hp_gate_t *gate);

/* For a request that the caller holds until turn has run. turn is called once: status 0 when it is this
 * one's turn, which ends with exactly one hp_gate_leave; or UV_ECANCELED when the client has gone, with
 * nothing to leave. It may run inside the call. Takes the request's hp_http_on_gone. */
typedef void (*hp_gate_turn_fn)(void *arg, int status);
void hp_gate_enter(hp_gate_t *gate, hp_http_request_t *request, hp_gate_turn_fn turn, void *arg);
void hp_gate_leave(hp_gate_t *gate);

/* As hp_share_rows (folders: hp_share_folders), for a request that the caller holds until done has run:
 * enters for one reading and leaves again. done gets UV_ECANCELED when the client goes before its turn. */
void hp_gate_rows(hp_gate_t *gate, hp_http_request_t *request, bool folders, const char *after, size_t limit,
                  hp_share_rows_fn done, void *arg);

#endif
