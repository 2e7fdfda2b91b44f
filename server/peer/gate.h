/* The way of the peer's requests to the index: only so many read it at a time, the others wait in the order
 * of their coming, and whoever goes while it waits leaves the queue. So clients that ask and go, in any
 * number, leave neither work for the store's thread nor memory behind, and others' jobs there are never far
 * back.
 *
 * Loop thread. Counted: the peer holds one reference, every read under way another. */
#ifndef HP_PEER_GATE_H
#define HP_PEER_GATE_H

#include "http/http.h"
#include "share/share.h"

#define HP_GATE_READS 8 /* at a time */

typedef struct hp_gate hp_gate_t;

hp_gate_t *hp_gate_create(hp_share_t *share);
void hp_gate_release(hp_gate_t *gate);

/* As hp_share_rows, for a request that the caller holds until done has run. It is called once, never inside
 * the call; with UV_ECANCELED when the client goes meanwhile. Takes the request's hp_http_on_gone. */
void hp_gate_rows(hp_gate_t *gate, hp_http_request_t *request, const char *after, size_t limit,
                  hp_share_rows_fn done, void *arg);

#endif
