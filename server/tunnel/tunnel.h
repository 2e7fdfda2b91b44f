/* Connections to hosts in other networks: directly over UDP through both routers (QUIC, one stream for every
 * HTTP/1.1 connection), or relayed by a hub over TCP. The module above sees connected file descriptors.
 *
 * Invariants
 * 1. Loop thread only. Callbacks never run inside the call that caused them, except where stated.
 * 2. Every hp_remote_choose and hp_remote_dial is answered exactly once, also at teardown (UV_ECANCELED).
 * 3. A direct connection is to the host whose fingerprint it was dialled for, and shows this host's own: both
 * sides compare, nobody else gets as far as a stream. A relayed connection proves nothing by itself: TLS runs
 * inside it, end to end, and is the caller's.
 * 4. Datagrams from strangers make no state: QUIC's first packet counts only from an address that proved the
 * key of a session which is under way.
 * 5. Memory: send buffers of all streams come from one pool of HP_TUNNEL_POOL bytes; received bytes that
 * nobody has read are bounded by QUIC's windows.
 * 6. Without a remote host that is wanted there is no UDP socket and no packet. One is wanted while it has
 * connections, and HP_REMOTE_IDLE_MS longer.
 * 7. A hub that goes away changes nothing for connections that stand. */
#ifndef HP_TUNNEL_TUNNEL_H
#define HP_TUNNEL_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "identity/identity.h"
#include "path/who.h"
#include "tunnel/signalling.h"

#define HP_TUNNEL_POOL    ((size_t)24 << 20)
#define HP_TUNNEL_PORT    9002   /* UDP, the one that a router is asked to open */
#define HP_REMOTE_IDLE_MS 120000 /* without a connection for so long: no UDP any more */

typedef struct hp_tunnel hp_tunnel_t;
typedef struct hp_remote hp_remote_t;

typedef struct hp_tunnel_options {
    const hp_identity_t *identity; /* lives until the tunnel is closed */
    uint16_t port;                 /* UDP; 0 takes a free one. One that is taken is replaced by a free one */
    uint32_t idle_ms;              /* 0: HP_REMOTE_IDLE_MS */
    bool map_port;                 /* ask the router to open it (PCP, NAT-PMP, UPnP) */
    /* A connection of another host: fd is a connected stream socket that the callee owns. who names the host
     * where the way proves it; on a relayed connection id is "" and address that of the relay. */
    void (*on_stream)(void *arg, int fd, const hp_who_t *who);
    /* hp_remote_path or its reason has another value. */
    void (*on_path)(void *arg, hp_remote_t *remote);
    void *arg;
} hp_tunnel_options_t;

/* 0, or a negative code with a sentence in err: an identity that GnuTLS does not read. */
int hp_tunnel_create(hp_tunnel_t **tunnel, uv_loop_t *loop, const hp_tunnel_options_t *options,
                     hp_err_t *err);

/* Ends all connections, takes the router's port back, then calls closed. */
void hp_tunnel_destroy(hp_tunnel_t *tunnel, void (*closed)(void *arg), void *arg);

/* Addresses or routes of this machine changed: direct ways are looked for anew. */
void hp_tunnel_network_changed(hp_tunnel_t *tunnel);

/* ---- events of a hub ---- */

/* Another host offers, or answers an offer of this one. For a host that is not known as a remote one nothing
 * happens. */
void hp_tunnel_offered(hp_tunnel_t *tunnel, const char *from, const hp_offer_t *offer);
void hp_tunnel_offer_failed(hp_tunnel_t *tunnel, const char *to, const char *session, const hp_err_t *err);
void hp_tunnel_go(hp_tunnel_t *tunnel, const char *from, const hp_go_t *go);
/* The answer to relay(): at, or NULL with the reason in err (over quota, switched off, the host is away). */
void hp_tunnel_relay_answer(hp_tunnel_t *tunnel, uint64_t request, const hp_relay_at_t *at,
                            const hp_err_t *err);
/* Another host asked for a relay to this one. */
void hp_tunnel_relay_asked(hp_tunnel_t *tunnel, const char *from, const hp_relay_at_t *at);
/* The hub came or went. */
void hp_tunnel_signalling_changed(hp_tunnel_t *tunnel);
/* The hub says that a host is there which was away: it is not waited for any longer. Nothing for one that is
 * not known as a remote one. */
void hp_tunnel_back(hp_tunnel_t *tunnel, const char *id);

/* ---- remote hosts ---- */

/* The host with this fingerprint; made where there is none. A later call replaces its signalling. */
hp_remote_t *hp_tunnel_remote(hp_tunnel_t *tunnel, const uint8_t fingerprint[HP_FINGERPRINT_SIZE],
                              const hp_signalling_t *signalling);
/* NULL when there is none. */
hp_remote_t *hp_tunnel_find(hp_tunnel_t *tunnel, const char *id);
/* Forgets a host and ends its connections (it is no member any more). */
void hp_tunnel_forget(hp_tunnel_t *tunnel, const char *id);

typedef enum {
    HP_PATH_NONE,
    HP_PATH_LAN, /* direct, to an address of the own network */
    HP_PATH_DIRECT,
    HP_PATH_RELAYED,
} hp_path_t;

/* What a new connection would use now. reason: a sentence why it is no better, "" where there is none to say;
 * it lives until the next call of this module. */
hp_path_t hp_remote_path(const hp_remote_t *remote, const char **reason);
const char *hp_remote_id(const hp_remote_t *remote);

/* Finds a way and says which: at once where one stands; else a direct way is looked for, and what is not
 * found within HP_REMOTE_PATIENCE_MS is relayed for the time being. err is NULL, or says why there is no way.
 */
#define HP_REMOTE_PATIENCE_MS 400
typedef void (*hp_remote_chosen_fn)(void *arg, hp_way_t way, const hp_err_t *err);
void hp_remote_choose(hp_remote_t *remote, hp_remote_chosen_fn chosen, void *arg);

/* Connects fd, a connected stream socket that the tunnel owns from now on, to a connection at the far host
 * that goes this way (a HP_WAY_LAN is dialled as HP_WAY_DIRECT). HP_E_UNREACHABLE when the way is not there
 * any more: choose again. On failure fd is closed. */
typedef void (*hp_remote_dialled_fn)(void *arg, const hp_err_t *err);
void hp_remote_dial(hp_remote_t *remote, hp_way_t way, int fd, hp_remote_dialled_fn dialled, void *arg);

#endif
