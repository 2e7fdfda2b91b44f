/* The hub's TCP port: takes connections, looks at their first bytes without reading them, and passes them on:
 * those that begin with HP_HUB_RELAY_PREFIX to the relay, all others to the HTTP listener (TLS or plain). One
 * that sends nothing is closed after DOOR_MS. Loop thread. */
#ifndef HP_HUB_DOOR_H
#define HP_HUB_DOOR_H

#include <stdint.h>
#include <uv.h>

#include "base/err.h"

typedef struct hp_hub_door hp_hub_door_t;

typedef struct hp_hub_door_hooks {
    void (*relay)(void *arg, int fd); /* each takes the descriptor */
    void (*http)(void *arg, int fd);
    void *arg;
} hp_hub_door_hooks_t;

/* Listens on a numeric address; "::" takes both families, falling back to 0.0.0.0 where there is no IPv6.
 * UV_EADDRINUSE and others, with the words in err. */
int hp_hub_door_create(hp_hub_door_t **door, uv_loop_t *loop, const char *address, uint16_t port,
                       const hp_hub_door_hooks_t *hooks, hp_err_t *err);
uint16_t hp_hub_door_port(const hp_hub_door_t *door);
void hp_hub_door_destroy(hp_hub_door_t *door, void (*closed)(void *arg), void *arg);

#endif
