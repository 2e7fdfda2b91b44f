/* One connection to a relay of a hub: "HOSTPAIR-RELAY/1 <token>\r\n", answered by "OK\r\n" when the other
 * host has come, and raw bytes from then on. Loop thread. */
#ifndef HP_TUNNEL_RELAY_H
#define HP_TUNNEL_RELAY_H

#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "base/pending.h"
#include "tunnel/signalling.h"

#define HP_RELAY_MS 10000 /* for the relay to answer */

typedef struct hp_relay {
    hp_link_t link; /* its owner's list; taken out when it ends */
    uv_poll_t poll;
    uv_timer_t timer;
    int fd;
    int phase;
    hp_pending_t handles;
    char line[64], answer[4];
    size_t sent, length, got;
    hp_sockaddr_t address;
    void (*done)(void *arg, const struct hp_relay *self, int fd, const hp_err_t *err);
    void *arg;
    hp_pending_t *pending;
} hp_relay_t;

/* fd: the caller's from then on, with bytes of the other host that came early still in it; -1 with err. Runs
 * once, later, and not after hp_relay_cancel. */
typedef void (*hp_relay_done_fn)(void *arg, const hp_relay_t *self, int fd, const hp_err_t *err);

hp_relay_t *hp_relay_dial(uv_loop_t *loop, const hp_relay_at_t *at, hp_relay_done_fn done, void *arg,
                          hp_pending_t *pending);
void hp_relay_cancel(hp_relay_t *self);

#endif
