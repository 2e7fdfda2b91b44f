/* The hub: a server with a public address at which hosts of one group find each other when they share no
 * network. It tells members of each other, passes on what they need to connect, splices connections that
 * cannot be direct, tells hosts their own address (STUN), and keeps sealed file lists of members that are
 * away. It reads none of what it carries.
 *
 * Protocol: server/peer/PROTOCOL.md, part "Hub". One TCP port takes HTTPS, plain HTTP (health, metrics and a
 * page for people) and relay connections; UDP on the same port and the next one answers STUN. */
#ifndef HP_HUB_HUB_H
#define HP_HUB_HUB_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

typedef struct hp_hub hp_hub_t;

typedef struct hp_hub_options {
    const char *address;   /* numeric; "::" takes both families */
    uint16_t port;         /* 0 takes a free one whose successor is free for UDP as well */
    const char *data;      /* folder: identity.pem and the database */
    const char *advertise; /* NULL or "HOST[:PORT]": where members reach relays, when it is not where they
                              reach the hub */
    const char *token;     /* NULL: everybody may make groups; else who shows this */
    bool relay;
    uint64_t relay_limit_bps, relay_group_limit_bps; /* bytes/s in all, and of one group; 0: none */
    unsigned groups_per_address, members_per_group;  /* 0: HP_HUB_GROUPS, HP_HUB_MEMBERS */
} hp_hub_options_t;

#define HP_HUB_GROUPS  50   /* that one network address may make */
#define HP_HUB_MEMBERS 1000 /* of one group */

/* Opens the data folder, makes the identity at the first start, listens. Blocks; for start-up. What was
 * opened before a failure closes while the loop runs. */
int hp_hub_create(hp_hub_t **hub, uv_loop_t *loop, const hp_hub_options_t *options, hp_err_t *err);
uint16_t hp_hub_port(const hp_hub_t *hub);
/* 64 hex digits. */
const char *hp_hub_fingerprint(const hp_hub_t *hub);
/* Ends every connection, then calls closed on the loop. */
void hp_hub_destroy(hp_hub_t *hub, void (*closed)(void *arg), void *arg);

/* `hostpair hub ...`: reads its options, runs until SIGINT or SIGTERM. The exit status: 0; 1 it could not
 * start; 2 wrong use. argv[0] is "hub". */
int hp_hub_main(int argc, char **argv);

#endif
