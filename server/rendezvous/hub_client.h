/* The connection to one hub: its event stream, which is kept open and opened again when it ends, and calls to
 * its API.
 *
 * Invariants
 * 1. Loop thread only. Callbacks never run inside the call that caused them.
 * 2. Only a hub with the right id is spoken to: the invite has named it, TLS proves it.
 * 3. The stream is opened again after a pause that grows (with jitter, so that many hosts do not come back
 * together), and at once when the network has changed.
 * 4. The hub's name is looked up anew for every attempt.
 * 5. A stream that stands only as far as this host knows is given up as soon as a call fails for want of the
 * hub, or TCP gets no answer. */
#ifndef HP_RENDEZVOUS_HUB_CLIENT_H
#define HP_RENDEZVOUS_HUB_CLIENT_H

#include <jansson.h>
#include <uv.h>

#include "base/err.h"
#include "fetch/fetch.h"
#include "rendezvous/invite.h"

typedef struct hp_hub_client hp_hub_client_t;

/* state, its name in the API */
#define HP_HUB_STATES(X)                                                                                     \
    X(CONNECTING, "connecting")                                                                              \
    X(CONNECTED, "connected")                                                                                \
    X(UNREACHABLE, "unreachable")
typedef enum {
#define X(name, text) HP_HUB_##name,
    HP_HUB_STATES(X)
#undef X
} hp_hub_state_t;
const char *hp_hub_state_name(hp_hub_state_t state);

typedef struct hp_hub_client_hooks {
    /* The state or its reason has changed. When it is CONNECTED, what the hub knows of this host may be gone:
     * join again. */
    void (*changed)(void *arg);
    void (*event)(void *arg, const char *event, const json_t *data);
    void *arg;
} hp_hub_client_hooks_t;

/* hub: "host:port" as hp_invite_hub_parse makes it; id: 32 hex digits, or "": that of whoever answers first.
 * Texts are copied. */
hp_hub_client_t *hp_hub_client_create(uv_loop_t *loop, hp_fetcher_t *fetcher, const char *hub, const char *id,
                                      const hp_hub_client_hooks_t *hooks);
void hp_hub_client_start(hp_hub_client_t *client);
/* Calls under way end with UV_ECANCELED; then closed is called. */
void hp_hub_client_destroy(hp_hub_client_t *client, void (*closed)(void *arg), void *arg);

/* The network of this machine has changed: tries at once. */
void hp_hub_client_network_changed(hp_hub_client_t *client);

hp_hub_state_t hp_hub_client_state(const hp_hub_client_t *client);
const char *hp_hub_client_reason(const hp_hub_client_t *client); /* why it is not connected, a sentence; "" */
const char *hp_hub_client_hub(const hp_hub_client_t *client);
const char *hp_hub_client_id(const hp_hub_client_t *client);
/* The numeric address at which the hub answers, without a port; "" while it is not connected. */
const char *hp_hub_client_address(const hp_hub_client_t *client);

/* Something was to come by the stream, and did not: a router may have forgotten the connection. It is opened
 * anew, unless that was done a moment ago. reason: a sentence for people. */
void hp_hub_client_doubt(hp_hub_client_t *client, const char *reason);

/* One call. path: below the hub's root, "/hub/v1/...". The answer's JSON (NULL where there is none) lives
 * during done. An answer that is no success gives HP_E_STATUS or the code that its problem names
 * (HP_E_FORBIDDEN, HP_E_NOT_FOUND, HP_E_TOO_MANY, HP_E_CONFLICT), with the hub's sentence. done may be NULL.
 */
typedef struct hp_hub_call {
    const char *method, *path;
    json_t *json;     /* the body; the reference is taken. NULL: data */
    const void *data; /* copied */
    size_t length;
    const char *header; /* one more "Name: value" line, or NULL */
    size_t answer_max;  /* bytes; 0: 4 MiB */
    bool raw;           /* the answer is not JSON: done gets it as it is */
} hp_hub_call_t;
typedef void (*hp_hub_answer_fn)(void *arg, int status, const json_t *json, const void *data, size_t length,
                                 const hp_err_t *err);
void hp_hub_client_call(hp_hub_client_t *client, const hp_hub_call_t *call, hp_hub_answer_fn done, void *arg);

#endif
