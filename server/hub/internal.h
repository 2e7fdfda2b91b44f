/* What the files of server/hub share. */
#ifndef HP_HUB_INTERNAL_H
#define HP_HUB_INTERNAL_H

#include "hub/backend.h"
#include "hub/door.h"
#include "hub/hub.h"
#include "hub/links.h"
#include "hub/presence.h"
#include "hub/relay.h"
#include "hub/stun_server.h"
#include "identity/identity.h"
#include "secure/secure.h"

#define HP_HUB_PIECE    ((size_t)512 * 1024)         /* bytes of a list in one request */
#define HP_HUB_LIST_MAX ((uint64_t)16 * 1024 * 1024) /* bytes of a member's sealed list */
#define HP_HUB_TAGS_MAX 200000                       /* of a member */
#define HP_HUB_TAGS     4096                         /* in one request */

struct hp_hub {
    uv_loop_t *loop;
    hp_hub_options_t options; /* its texts are the caller's */
    hp_identity_t *identity;
    hp_secure_t *secure;
    hp_hub_backend_t *backend;
    hp_presence_t *presence;
    hp_links_t *links;
    hp_hub_relay_t *relay;
    hp_stun_server_t *stun;
    hp_hub_door_t *door;
    hp_http_listener_t *listener; /* without a port of its own: the door gives it connections */
    uv_timer_t prune;
    char fingerprint[HP_FINGERPRINT_TEXT_SIZE];
    int64_t started_at;        /* wall ms */
    hp_db_hub_counts_t counts; /* as of counted_at, loop ms; 0: never */
    uint64_t counted_at;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* A request on its way through the backend. */
typedef struct hp_hub_op {
    hp_hub_t *hub;
    hp_http_request_t *request; /* held */
    uint8_t gid[16];
    char id[HP_PEER_ID_SIZE]; /* of whoever asks */
} hp_hub_op_t;

void *hp_hub_op_create(size_t size, hp_hub_t *hub, hp_http_request_t *request);
void hp_hub_op_destroy(void *op);

/* Answers with a problem where status is not 0. Whether it did. */
bool hp_hub_refused(hp_http_request_t *request, int status, const hp_err_t *err);

/* routes.c */
void hp_hub_on_request(void *arg, hp_http_request_t *request);

/* One call of the API each; gid and rest are the URL's variable parts: the group, and what stands behind it
 * ("" none). who is proven, and a member of the group but for members.c. */
typedef void hp_hub_call_fn(hp_hub_t *hub, hp_http_request_t *request, const uint8_t gid[16],
                            const char *rest);
hp_hub_call_fn hp_hub_put_member, hp_hub_delete_member;                  /* members.c */
hp_hub_call_fn hp_hub_get_events, hp_hub_post_links, hp_hub_post_relays; /* signals.c */
hp_hub_call_fn hp_hub_put_list, hp_hub_get_list, hp_hub_delete_list;     /* lists.c */
hp_hub_call_fn hp_hub_post_have, hp_hub_get_have;                        /* lists.c */
hp_hub_call_fn hp_hub_get_page, hp_hub_get_health, hp_hub_get_metrics;   /* page.c: for everybody */

#endif
