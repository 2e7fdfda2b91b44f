/* A pump joins two connected stream sockets: what comes from one goes to the other, through the kernel's
 * pipes; ends and resets as well. What was sent before a reset is passed on before the reset is. Loop thread.
 */
#ifndef HP_TUNNEL_PUMP_H
#define HP_TUNNEL_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/pending.h"

typedef struct hp_pump hp_pump_t;

/* All but ended may be NULL. */
typedef struct hp_pump_hooks {
    /* How many of want bytes may be carried now; 0: none until hp_pump_go is called. NULL: all. What was not
     * there to carry is given back. */
    size_t (*take)(void *arg, size_t want);
    void (*give_back)(void *arg, size_t bytes);
    void (*carried)(void *arg, size_t bytes);
    /* Both sockets have ended, or one failed, or the pump was cut: they are closed, and the pump is gone.
     * Once, and never inside a call of this header. */
    void (*ended)(void *arg);
    void *arg;
} hp_pump_hooks_t;

/* Takes both descriptors, also on failure. 0; else a negative code, and ended is not called. The pump counts
 * as one pending until ended has run. */
int hp_pump_create(hp_pump_t **pump, uv_loop_t *loop, const int fds[2], const hp_pump_hooks_t *hooks,
                   hp_pending_t *pending);
/* Ends it with a reset on both sides. */
void hp_pump_cut(hp_pump_t *self);

/* Whether one of its sockets has an address that this machine has no more. */
bool hp_pump_is_lost(const hp_pump_t *self);

/* Goes on after take gave 0. */
void hp_pump_go(hp_pump_t *self);
bool hp_pump_is_held(const hp_pump_t *self);
/* Loop ms: when a byte was carried last, or when it began. */
uint64_t hp_pump_moved_at(const hp_pump_t *self);

#endif
