/* A pump carries bytes between two sockets, both ways, through the kernel's pipes. Loop thread. */
#ifndef HP_HUB_PUMP_H
#define HP_HUB_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

typedef struct hp_pump hp_hub_pump_t;

typedef struct hp_hub_pump_hooks {
    /* How many of want bytes may be carried now; 0: none until hp_hub_pump_go is called. What is not carried
     * is given back. */
    size_t (*take)(void *arg, size_t want);
    void (*give_back)(void *arg, size_t bytes);
    void (*carried)(void *arg, size_t bytes);
    /* Both sides have ended, or one failed: the sockets are closed and the pump is gone after it. Once. */
    void (*ended)(void *arg);
    void *arg;
} hp_hub_pump_hooks_t;

/* Takes over two connected sockets (non-blocking). 0; else a system code with the sockets closed and ended
 * not called. */
int hp_hub_pump_create(hp_hub_pump_t **pump, uv_loop_t *loop, const int fds[2],
                       const hp_hub_pump_hooks_t *hooks);
/* Goes on after take gave 0. */
void hp_hub_pump_go(hp_hub_pump_t *pump);
bool hp_hub_pump_is_held(const hp_hub_pump_t *pump);
/* Loop ms: when a byte was carried last. */
uint64_t hp_hub_pump_moved_at(const hp_hub_pump_t *pump);
/* Cuts both connections; ended is called later. */
void hp_hub_pump_cut(hp_hub_pump_t *pump);

#endif
