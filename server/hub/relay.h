/* The relay: joins two TCP connections of members that cannot connect directly. Bytes pass through the
 * kernel's pipes (splice(2)) and are encrypted between the two hosts, so that the relay reads nothing. Loop
 * thread.
 *
 * Each side is given a token of its own and connects: "HOSTPAIR-RELAY/1 <32 hex digits>\r\n". When both are
 * there, each gets "OK\r\n", and from then on the bytes of the other. A token counts once and for
 * HP_HUB_RELAY_WAIT_MS; what is wrong ends the connection without an answer. */
#ifndef HP_HUB_RELAY_H
#define HP_HUB_RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

typedef struct hp_relay hp_hub_relay_t;

#define HP_HUB_RELAY_PREFIX     "HOSTPAIR-RELAY/1 "
#define HP_HUB_RELAY_TOKEN_SIZE 33 /* 32 hex digits and a NUL */
#define HP_HUB_RELAY_WAIT_MS    10000

typedef struct hp_hub_relay_limits {
    uint64_t bps, group_bps; /* bytes/s in all, and of one group, both ways together; 0: none */
    size_t pairs_max;        /* 0: what the descriptor limit allows */
} hp_hub_relay_limits_t;

hp_hub_relay_t *hp_hub_relay_create(uv_loop_t *loop, const hp_hub_relay_limits_t *limits);
void hp_hub_relay_destroy(hp_hub_relay_t *relay, void (*closed)(void *arg), void *arg);

/* Two tokens for two members of a group. HP_E_TOO_MANY: there are as many pairs as the limits allow. */
int hp_hub_relay_open(hp_hub_relay_t *relay, const uint8_t gid[16], char tokens[2][HP_HUB_RELAY_TOKEN_SIZE],
                      hp_err_t *err);

/* Takes over a connection that has begun with HP_HUB_RELAY_PREFIX or a part of it; nothing was read from it
 * yet.
 */
void hp_hub_relay_accept(hp_hub_relay_t *relay, int fd);

typedef struct hp_hub_relay_counts {
    size_t waiting, running; /* pairs */
    uint64_t bytes, pairs;   /* carried since the start */
} hp_hub_relay_counts_t;
hp_hub_relay_counts_t hp_hub_relay_counts(const hp_hub_relay_t *relay);

/* One line of a relay connection: 0 with the token, HP_E_BUSY when more bytes are to come, HP_E_INVALID.
 * Pure. */
#define HP_HUB_RELAY_LINE (sizeof HP_HUB_RELAY_PREFIX - 1 + 32 + 2)
int hp_hub_relay_line(const char *data, size_t length, char token[HP_HUB_RELAY_TOKEN_SIZE]);

#endif
