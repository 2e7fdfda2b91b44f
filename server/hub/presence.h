/* Who is here: the hosts that are connected to the hub, the groups in which they are, and the events that
 * each is sent.
 *
 * Invariants
 * 1. Loop thread only; in memory only. What outlives the hub is in the backend.
 * 2. A client is one host by its proven id. It exists while it has an event stream, and CLIENT_KEPT_MS after
 * it was last heard of. Client and group pointers are valid until the next return to the loop.
 * 3. A member is online while its host has an event stream. Its group is told when that begins and ends. */
#ifndef HP_HUB_PRESENCE_H
#define HP_HUB_PRESENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "http/http.h"
#include "path/who.h"

typedef struct hp_presence hp_presence_t;
typedef struct hp_client hp_hub_host_t;
typedef struct hp_hub_group hp_hub_group_t;

#define HP_HUB_STREAMS_MAX                                                                                   \
    4 /* event streams of one host: more than one while a new one replaces a dead one */
#define HP_HUB_GROUPS_MAX 100 /* that one host is in */

hp_presence_t *hp_presence_create(uv_loop_t *loop);
/* After every stream has closed. */
void hp_presence_destroy(hp_presence_t *presence, void (*closed)(void *arg), void *arg);

/* The client that a proven who is; made when it is new. */
hp_hub_host_t *hp_presence_client(hp_presence_t *presence, const hp_who_t *who);
/* NULL where the host is not a member of the group that is here. */
hp_hub_host_t *hp_presence_member(hp_presence_t *presence, const uint8_t gid[16], const char *host);
const char *hp_hub_host_id(const hp_hub_host_t *client);

/* The client is a member of the group from now on; HP_E_TOO_MANY. Other members that are online are told. */
int hp_presence_join(hp_presence_t *presence, hp_hub_host_t *client, const uint8_t gid[16], const char *name,
                     const uint8_t proof[32]);
/* It is none any more; the others are told: removed says that it left for good. */
void hp_presence_leave(hp_presence_t *presence, hp_hub_host_t *client, const uint8_t gid[16]);
bool hp_presence_is_member(const hp_presence_t *presence, const hp_hub_host_t *client, const uint8_t gid[16]);
bool hp_presence_is_online(const hp_presence_t *presence, const uint8_t gid[16], const char *host);

/* The group that has members here; NULL. What a relay of it may still carry is kept at it. */
hp_hub_group_t *hp_presence_group(hp_presence_t *presence, const uint8_t gid[16]);

/* Answers with an event stream. HP_E_TOO_MANY: it has HP_HUB_STREAMS_MAX already. */
int hp_presence_stream(hp_presence_t *presence, hp_hub_host_t *client, hp_http_request_t *request);

/* Sends an event to a client's newest stream. Takes the reference to json. HP_E_NOT_FOUND: it has no stream.
 */
int hp_hub_host_send(hp_hub_host_t *client, const char *event, json_t *json);
/* The same to every member of a group that is online, but one (NULL: to all). */
void hp_presence_tell(hp_presence_t *presence, const uint8_t gid[16], const hp_hub_host_t *except,
                      const char *event, json_t *json);

/* The round trip to a client as the kernel measured it on its stream, ms; 0 unknown. */
unsigned hp_hub_host_rtt_ms(const hp_hub_host_t *client);

/* Whether the client may do one more thing of a kind that costs something; takes it off its allowance of
 * HP_HUB_CALLS a second, HP_HUB_CALLS_BURST at once. */
#define HP_HUB_CALLS       10
#define HP_HUB_CALLS_BURST 200
bool hp_hub_host_allows(hp_hub_host_t *client);

size_t hp_presence_clients(const hp_presence_t *presence);
size_t hp_presence_online(const hp_presence_t *presence);

#endif
