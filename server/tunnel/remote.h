/* What the files of the tunnel share: one remote host, and the tunnel that holds them all. See tunnel.h. */
#ifndef HP_TUNNEL_REMOTE_H
#define HP_TUNNEL_REMOTE_H

#include "base/list.h"
#include "base/log.h"
#include "tunnel/gather.h"
#include "tunnel/portmap.h"
#include "tunnel/punch.h"
#include "tunnel/quic.h"
#include "tunnel/reach.h"
#include "tunnel/relay.h"
#include "tunnel/tunnel.h"
#include "tunnel/unproven.h"

/* A socket for each family; NULL where there is none. */
typedef struct hp_ports {
    hp_udp_t *v4, *v6;
} hp_ports_t;

struct hp_remote {
    hp_link_t link;
    hp_tunnel_t *tunnel;
    char id[HP_PEER_ID_SIZE];
    uint8_t fingerprint[HP_FINGERPRINT_SIZE];
    hp_signalling_t signalling;
    hp_reach_t reach;
    hp_ports_t ports; /* of the try that is under way */
    bool gathering, punching, forgotten;
    hp_gather_t gather;
    hp_punch_t punch;
    uint64_t gather_due, punch_due; /* ns */
    hp_quic_conn_t *conn;           /* the direct way that stands */
    hp_quic_conn_t *next;           /* one that shakes hands */
    hp_pending_t conns;   /* connections whose end is still to be told, these two and earlier ones */
    bool near;            /* conn stays in the own network */
    uint64_t wanted_at;   /* ms */
    unsigned offers;      /* of the other host, since offers_from */
    uint64_t offers_from; /* ms */
    hp_list_t choosers, dials, relays, relayed;
    uint64_t relay_again_at; /* ms: a relay was refused, and is not asked for before */
    char relay_reason[200];
    hp_path_t told_path;
    char told_reason[200];
};

struct hp_tunnel {
    uv_loop_t *loop;
    hp_tunnel_options_t options;
    char id[HP_PEER_ID_SIZE];
    hp_quic_t *quic;
    hp_ports_t kept; /* on the port that the router is asked to open; open while a remote host is wanted */
    hp_portmap_t *portmap;
    hp_unproven_t *unproven;
    hp_log_gate_t log; /* what hubs make this host say */
    hp_list_t remotes;
    hp_list_t answers; /* callbacks that are due: never inside the call that caused them */
    hp_list_t asked;   /* relays that other hosts asked for */
    uv_timer_t timer;
    uint64_t next_request;
    bool closing;
    hp_pending_t pending; /* everything that libuv or the pool has not let go of */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* tunnel.c */
void hp_tunnel_arm(hp_tunnel_t *self); /* what is due is done in the next turn of the loop */
/* References to a pair of sockets: those that are kept, or new ones. */
hp_ports_t hp_tunnel_take_ports(hp_tunnel_t *self, bool fresh);
void hp_ports_release(hp_ports_t *ports);

/* remote.c */
hp_remote_t *hp_remote_create(hp_tunnel_t *tunnel, const uint8_t fingerprint[HP_FINGERPRINT_SIZE],
                              const hp_signalling_t *signalling);
/* Ends all that it has; freed when its last connection is told of. */
void hp_remote_destroy(hp_remote_t *self);
/* Does what is due and returns when to come again, ns. */
uint64_t hp_remote_run(hp_remote_t *self, uint64_t now);
/* A STUN message on one of its sockets. Whether it was for this host. */
bool hp_remote_stun(hp_remote_t *self, hp_udp_t *udp, const hp_stun_t *stun, const hp_sockaddr_t *from);
/* Whether the first packet of a QUIC connection may come from here. */
bool hp_remote_accepts(hp_remote_t *self, hp_udp_t *udp, const hp_sockaddr_t *from, hp_quic_peer_t *peer);
void hp_remote_made(hp_remote_t *self, hp_quic_conn_t *conn);
void hp_remote_tell_path(hp_remote_t *self);
/* The connection that new streams go by, or NULL. */
hp_quic_conn_t *hp_remote_direct(const hp_remote_t *self);
/* Whether an offer of the other host may be looked at: it cannot keep this one busy with them. */
bool hp_remote_takes_offer(hp_remote_t *self, uint64_t now_ms);
bool hp_remote_is_idle(const hp_remote_t *self);

/* dial.c */
void hp_remote_serve_choosers(hp_remote_t *self, uint64_t now_ms);
uint64_t hp_remote_choosers_due(const hp_remote_t *self); /* ms */
bool hp_remote_can_relay(const hp_remote_t *self, uint64_t now_ms);
/* Ends all choosers, dials and relayed connections. */
void hp_remote_end_dials(hp_remote_t *self);
/* Ends relayed connections from an address that this machine has no more. */
void hp_remote_end_lost(hp_remote_t *self);
/* Runs the callbacks that are due. */
void hp_tunnel_answer(hp_tunnel_t *self);
void hp_tunnel_end_asked(hp_tunnel_t *self);

#endif
