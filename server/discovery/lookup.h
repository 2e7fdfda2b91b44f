/* Looks names up, off the loop and out of libuv's pool: a name server that does not answer holds a look-up
 * for half a minute, and must hold nothing else, nor the end of the process. Each runs in a thread of its
 * own, LOOKUPS_MAX at a time.
 *
 * Loop thread. done runs once for every look-up, never inside the call; at the end with UV_ECANCELED, while
 * the thread may go on and is forgotten. */
#ifndef HP_DISCOVERY_LOOKUP_H
#define HP_DISCOVERY_LOOKUP_H

#include <uv.h>

#include "base/err.h"
#include "base/sockaddr.h"

#define HP_LOOKUP_ADDRESSES 8 /* of one name; further ones are left out */

typedef struct hp_lookups hp_lookups_t;

hp_lookups_t *hp_lookups_create(uv_loop_t *loop);
void hp_lookups_destroy(hp_lookups_t *lookups, void (*closed)(void *arg), void *arg);

/* 0 with addresses; HP_E_NO_NAME, HP_E_TOO_MANY, with words that name the host. */
typedef void (*hp_lookup_fn)(void *arg, int status, const hp_sockaddr_t *addresses, size_t count,
                             const hp_err_t *err);
void hp_lookup(hp_lookups_t *lookups, const char *name, uint16_t port, hp_lookup_fn done, void *arg);

#endif
