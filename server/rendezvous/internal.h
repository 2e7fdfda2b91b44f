/* What the files of server/rendezvous share. */
#ifndef HP_RENDEZVOUS_INTERNAL_H
#define HP_RENDEZVOUS_INTERNAL_H

#include "base/array.h"
#include "base/list.h"
#include "base/log.h"
#include "base/pending.h"
#include "db/group.h"
#include "identity/group_key.h"
#include "rendezvous/rendezvous.h"
#include "rendezvous/wire.h"

typedef struct member {
    hp_wire_member_t said;             /* what the hub says of it; the proof has been checked */
    int64_t list_revision;             /* of its newest list that was read */
    char list_etag[HP_LIST_ETAG_SIZE]; /* of that list; "" none was */
} member_t;

typedef struct hub {
    hp_link_t link;
    hp_rendezvous_t *owner;
    hp_hub_client_t *client;
    uint16_t stun_ports[HP_STUN_PORTS]; /* 0: not known yet */
    unsigned users;                     /* groups and orders */
    hp_log_gate_t log;                  /* what it says that is not so */
    bool closing;
} hub_t;

typedef struct group {
    hp_link_t link;
    hp_rendezvous_t *owner;
    hp_db_group_t row;
    hp_group_keys_t keys;
    hub_t *hub;
    HP_ARRAY(member_t) members;
    bool joined;       /* the hub has let this host in since it is connected */
    char problem[300]; /* why it has not, a sentence; "" */
    /* index.c */
    bool list_due, list_busy; /* the own list is to be left at the hub; that is under way */
    bool fetching;            /* a member's list is being fetched */
} group_t;

struct hp_rendezvous {
    hp_rendezvous_deps_t deps;
    hp_rendezvous_hooks_t hooks;
    hp_signalling_t signalling;
    hp_list_t groups, hubs, orders;
    size_t group_count;
    uv_timer_t list_timer,
        again_timer;      /* index.c: changes of the own list are collected; lists are tried again */
    hp_pending_t pending; /* hubs, orders, jobs and the timer */
    bool started, closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- rendezvous.c ---- */
/* The connection to a hub, shared; id "": whatever answers, which is then its id. */
hub_t *hp_hub_use(hp_rendezvous_t *self, const char *text, const char *id);
void hp_hub_unuse(hub_t *hub);
group_t *hp_group_find(const hp_rendezvous_t *self, int64_t id);
group_t *hp_group_by_gid(const hp_rendezvous_t *self, const uint8_t gid[16]);
/* In the list of groups, at its hub; takes a use of the hub. */
group_t *hp_group_add(hp_rendezvous_t *self, const hp_db_group_t *row, hub_t *hub);
/* Out of it; its members are in one group less. */
void hp_group_drop(group_t *group);
void hp_group_changed(group_t *group);
/* "/hub/v1/groups/<gid><rest>" */
#define HP_GROUP_PATH_SIZE 160
char *hp_group_path(const uint8_t gid[16], const char *rest, char out[HP_GROUP_PATH_SIZE]);

/* ---- members.c ---- */
/* Says to the hub that this host is a member, and learns who else is. */
void hp_group_join(group_t *group);
/* The body of that call; token NULL: none. */
json_t *hp_group_join_body(const hp_rendezvous_t *self, const hp_group_keys_t *keys, const char *token);
/* The hub's answer: 0, or HP_E_PROTOCOL. */
int hp_group_joined(group_t *group, const json_t *answer, hp_err_t *err);
void hp_group_on_event(hp_rendezvous_t *self, hub_t *hub, const char *event, const json_t *data);
/* All of its members are away, as far as is known: the hub is. */
void hp_group_lost(group_t *group);
/* A member by its host's id; NULL. */
member_t *hp_group_member(const group_t *group, const char *host);
/* Tells the hooks and the tunnel what a host is now, over all groups. */
void hp_member_tell(hp_rendezvous_t *self, const char *host);

/* ---- orders.c ---- */
void hp_orders_hub_changed(hp_rendezvous_t *self, hub_t *hub);
void hp_orders_cancel(hp_rendezvous_t *self);

/* ---- signals.c ---- */
void hp_signals_init(hp_rendezvous_t *self);
void hp_signals_on_event(hp_rendezvous_t *self, hub_t *hub, const char *event, const json_t *data);
/* A group with this host as a member whose hub is connected; NULL. */
group_t *hp_group_to(const hp_rendezvous_t *self, const char *host);

/* ---- index.c ---- */
void hp_group_index_init(hp_rendezvous_t *self);
void hp_group_index_close(hp_rendezvous_t *self);
/* The group has been joined, or its settings or lists have changed: leaves and fetches what is due. */
void hp_group_index_look(group_t *group);

#endif
