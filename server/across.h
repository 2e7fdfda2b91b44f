/* What reaches across networks, put together: the tunnel, the groups, and how both are tied to the other
 * parts. The hosts are told of members, the HTTP client reaches them through the tunnel, and what comes out
 * of the tunnel goes to the peer listener. Loop thread. */
#ifndef HP_ACROSS_H
#define HP_ACROSS_H

#include "discovery/hosts.h"
#include "fetch/fetch.h"
#include "http/http.h"
#include "rendezvous/rendezvous.h"
#include "share/share.h"
#include "store/store.h"
#include "tunnel/tunnel.h"

typedef struct hp_across hp_across_t;

typedef struct hp_across_deps {
    uv_loop_t *loop;
    hp_store_t *store;
    hp_fetcher_t *fetcher;
    hp_hosts_t *hosts;
    hp_share_t *share;
    const hp_identity_t *identity;
    const hp_self_t *self;
    bool map_port; /* ask the router to open a port */
    /* A group has changed, or is gone. */
    void (*changed)(void *arg, int64_t group);
    void (*removed)(void *arg, int64_t group);
    /* A host is in no group of ours any more: what it was let in for by that ends. */
    void (*member_gone)(void *arg);
    void *arg;
} hp_across_deps_t;

/* Loads the groups (blocks; start-up). What deps names outlives it, but for the listener. */
int hp_across_create(hp_across_t **across, const hp_across_deps_t *deps, hp_err_t *err);
hp_rendezvous_t *hp_across_rendezvous(const hp_across_t *across);
/* From now on members are looked for, and connections of theirs are served by the listener. */
void hp_across_start(hp_across_t *across, hp_http_listener_t *listener);
/* The listener is being closed: what comes is not served any more. */
void hp_across_stop(hp_across_t *across);
void hp_across_destroy(hp_across_t *across, void (*closed)(void *arg), void *arg);

/* The addresses of this machine have changed; this host's name has; what it offers has. */
void hp_across_network_changed(hp_across_t *across);
void hp_across_name_changed(hp_across_t *across);
void hp_across_list_changed(hp_across_t *across);

#endif
