/* Tells hosts their address as the internet sees it (STUN, RFC 8489) on two UDP ports, so that a host also
 * learns whether its router gives every destination the same one. An answer is never much longer than its
 * question, and one address gets at most HP_STUN_RATE a second, so that nobody can use it against others.
 * Loop thread. */
#ifndef HP_HUB_STUN_SERVER_H
#define HP_HUB_STUN_SERVER_H

#include <stdint.h>
#include <uv.h>

#include "base/err.h"

typedef struct hp_stun_server hp_stun_server_t;

#define HP_STUN_RATE 20 /* answers a second to one address; a /64 of IPv6 counts as one */

/* Binds address (numeric; "::" takes both families) at port and port + 1. UV_EADDRINUSE and others. */
int hp_stun_server_create(hp_stun_server_t **server, uv_loop_t *loop, const char *address, uint16_t port,
                          hp_err_t *err);
void hp_stun_server_destroy(hp_stun_server_t *server, void (*closed)(void *arg), void *arg);

typedef struct hp_stun_counts {
    uint64_t answered, refused; /* refused: what is no STUN, and what came too fast */
} hp_stun_counts_t;
hp_stun_counts_t hp_stun_server_counts(const hp_stun_server_t *server);

#endif
