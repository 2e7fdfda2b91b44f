#include "hub/links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/path.h"
#include "hub/json.h"

#define LINK_MS  15000
#define SWEEP_MS 5000

typedef struct side {
    char host[HP_PEER_ID_SIZE];
    char mapping[16];
    json_t *candidates; /* NULL: has not offered yet */
} side_t;

typedef struct link {
    hp_link_t of_all;
    uint8_t gid[16], session[16];
    side_t sides[2];   /* the one that began first */
    uint64_t begun_at; /* loop ms */
} link_t;

struct hp_links {
    hp_presence_t *presence;
    uv_timer_t sweep;
    hp_list_t all;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void end_link(link_t *link)
{
    hp_link_remove(&link->of_all);
    for (size_t i = 0; i < 2; i++)
        json_decref(link->sides[i].candidates);
    free(link);
}

static link_t *find(const hp_links_t *self, const uint8_t gid[16], const uint8_t session[16])
{
    HP_LIST_EACH (at, &self->all) {
        link_t *link = HP_CONTAINER(at, link_t, of_all);
        if (memcmp(link->session, session, 16) == 0 && memcmp(link->gid, gid, 16) == 0)
            return link;
    }
    return NULL;
}

static size_t count_of(const hp_links_t *self, const char *host)
{
    size_t count = 0;
    HP_LIST_EACH (at, &self->all) {
        count += strcmp(HP_CONTAINER(at, link_t, of_all)->sides[0].host, host) == 0;
    }
    return count;
}

static void set_side(side_t *side, const char *host, const hp_link_offer_t *offer)
{
    snprintf(side->host, sizeof side->host, "%s", host);
    snprintf(side->mapping, sizeof side->mapping, "%s", offer->mapping);
    side->candidates = json_incref(offer->candidates);
}

static json_t *offer_json(const link_t *link)
{
    const side_t *from = &link->sides[0];
    return json_pack("{s:o,s:s,s:o,s:O,s:s}", "group", hp_hub_hex_json(link->gid, 16), "from", from->host,
                     "session", hp_hub_hex_json(link->session, 16), "candidates", from->candidates, "mapping",
                     from->mapping);
}

static json_t *go_json(const link_t *link, const side_t *other, const uint8_t key[32], unsigned wait_ms)
{
    return json_pack("{s:s,s:o,s:o,s:O,s:s,s:i}", "from", other->host, "session",
                     hp_hub_hex_json(link->session, 16), "key", hp_hub_hex_json(key, 32), "candidates",
                     other->candidates, "mapping", other->mapping, "wait_ms", (int)wait_ms);
}

/* Both have offered: they begin when the event has reached the one that is farther away. */
static int go(link_t *link, hp_hub_host_t *clients[2], hp_err_t *err)
{
    uint8_t key[32];
    unsigned way[2] = {hp_hub_host_rtt_ms(clients[0]) / 2, hp_hub_host_rtt_ms(clients[1]) / 2};
    unsigned longest = HP_MIN(HP_MAX(way[0], way[1]), 2000u);
    int rc = uv_random(NULL, NULL, key, sizeof key, 0, NULL);
    for (size_t i = 0; rc == 0 && i < 2; i++)
        hp_hub_host_send(clients[i], "go",
                         go_json(link, &link->sides[1 - i], key, longest - HP_MIN(way[i], longest)));
    end_link(link);
    return rc == 0 ? 0 : hp_err_set(err, rc, "no random numbers: %s", uv_strerror(rc));
}

static int begin(hp_links_t *self, hp_hub_host_t *from, hp_hub_host_t *to, const hp_link_offer_t *offer,
                 hp_err_t *err)
{
    if (count_of(self, hp_hub_host_id(from)) >= HP_LINKS_PER_CLIENT)
        return hp_err_set(err, HP_E_TOO_MANY, "this host has %d links under way already",
                          HP_LINKS_PER_CLIENT);
    link_t *link = hp_alloc(sizeof *link);
    memcpy(link->gid, offer->gid, sizeof link->gid);
    memcpy(link->session, offer->session, sizeof link->session);
    link->begun_at = uv_now(self->sweep.loop);
    set_side(&link->sides[0], hp_hub_host_id(from), offer);
    snprintf(link->sides[1].host, sizeof link->sides[1].host, "%s", offer->to);
    hp_list_add(&self->all, &link->of_all);
    int rc = hp_hub_host_send(to, "offer", offer_json(link));
    if (rc == 0)
        return 0;
    end_link(link);
    return hp_err_set(err, rc, "that member is away");
}

int hp_links_offer(hp_links_t *self, hp_hub_host_t *from, const hp_link_offer_t *offer, hp_err_t *err)
{
    hp_hub_host_t *to = hp_presence_member(self->presence, offer->gid, offer->to);
    if (to == NULL || to == from)
        return hp_err_set(err, HP_E_NOT_FOUND, "that member is away");
    link_t *link = find(self, offer->gid, offer->session);
    if (link == NULL)
        return begin(self, from, to, offer, err);
    if (strcmp(link->sides[1].host, hp_hub_host_id(from)) != 0 || strcmp(link->sides[0].host, offer->to) != 0)
        return hp_err_set(err, HP_E_CONFLICT, "that session is another one's");
    set_side(&link->sides[1], hp_hub_host_id(from), offer);
    return go(link, (hp_hub_host_t *[]){to, from}, err);
}

/* ---- life ---- */

static void on_sweep(uv_timer_t *timer)
{
    hp_links_t *self = timer->data;
    uint64_t now = uv_now(timer->loop);
    HP_LIST_EACH (at, &self->all) {
        link_t *link = HP_CONTAINER(at, link_t, of_all);
        if (now - link->begun_at > LINK_MS)
            end_link(link);
    }
}

hp_links_t *hp_links_create(uv_loop_t *loop, hp_presence_t *presence)
{
    hp_links_t *self = hp_alloc(sizeof *self);
    self->presence = presence;
    hp_list_init(&self->all);
    uv_timer_init(loop, &self->sweep);
    self->sweep.data = self;
    uv_timer_start(&self->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    return self;
}

static void on_closed(uv_handle_t *handle)
{
    hp_links_t *self = handle->data;
    void (*closed)(void *arg) = self->closed;
    void *arg = self->closed_arg;
    HP_LIST_EACH (at, &self->all) {
        end_link(HP_CONTAINER(at, link_t, of_all));
    }
    free(self);
    closed(arg);
}

void hp_links_destroy(hp_links_t *self, void (*closed)(void *arg), void *arg)
{
    self->closed = closed;
    self->closed_arg = arg;
    uv_close((uv_handle_t *)&self->sweep, on_closed);
}
