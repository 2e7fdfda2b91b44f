/* Joins two connected stream sockets: what comes from one goes to the other, ends and resets as well. Loop
 * thread. */
#ifndef HP_TUNNEL_PUMP_H
#define HP_TUNNEL_PUMP_H

#include <uv.h>

#include "base/list.h"
#include "base/pending.h"

typedef struct hp_pump hp_pump_t;

/* Takes both descriptors, also on failure. ended runs once, later, unless hp_pump_destroy was called. 0 or a
 * negative code. */
int hp_pump_create(hp_pump_t **pump, uv_loop_t *loop, int a, int b, void (*ended)(void *arg, hp_pump_t *pump),
                   void *arg, hp_pending_t *pending);
/* Ends it with a reset on both sides; not after ended. */
void hp_pump_destroy(hp_pump_t *self);

/* For its owner's list. */
hp_link_t *hp_pump_link(hp_pump_t *self);
hp_pump_t *hp_pump_of(hp_link_t *link);

#endif
