/* Links: two members that want to connect directly exchange their candidates through the hub, which then
 * tells both to begin at the same moment. Loop thread; in memory only.
 *
 * A link is known by its session, which the side that begins has chosen. offer() by one side sends an `offer`
 * event to the other; when the other has offered its own candidates for that session, both get `go`:
 *
 *     offer {"group","from","session","candidates","mapping"}
 *     go    {"session","key","candidates","mapping","wait_ms"}    of the other side; key is the same for both
 *
 * A packet that comes before the other side's own has left can spoil the port at a Linux router, so wait_ms
 * evens out how long the event takes to each. A session that is not answered within LINK_MS is forgotten. */
#ifndef HP_HUB_LINKS_H
#define HP_HUB_LINKS_H

#include "hub/presence.h"

typedef struct hp_links hp_links_t;

#define HP_LINKS_PER_CLIENT 64 /* sessions of one host that are open at a time */

typedef struct hp_link_offer {
    uint8_t gid[16];
    uint8_t session[16];
    const char *to;      /* the other member's id */
    const char *mapping; /* "fixed", "varying" or "blocked": what the side's network does with ports */
    json_t *candidates;  /* borrowed; checked by hp_hub_check_candidates */
} hp_link_offer_t;

hp_links_t *hp_links_create(uv_loop_t *loop, hp_presence_t *presence);
void hp_links_destroy(hp_links_t *links, void (*closed)(void *arg), void *arg);

/* HP_E_NOT_FOUND: the other is no member, or away. HP_E_CONFLICT: the session is somebody else's, or this
 * side has offered already. HP_E_TOO_MANY. */
int hp_links_offer(hp_links_t *links, hp_hub_host_t *from, const hp_link_offer_t *offer, hp_err_t *err);

#endif
