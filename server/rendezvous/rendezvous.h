/* The groups that this host is in. Each has a secret, which every member knows, and a hub, at which the
 * members find each other. This module joins, keeps the connection to each hub, checks who is a member,
 * passes the hub's signals on to the tunnel, and leaves and fetches file lists.
 *
 * Invariants
 * 1. Loop thread only. Callbacks never run inside the call that caused them.
 * 2. A hub is not believed: a member counts only when its proof fits its fingerprint, which only who knows
 * the secret can have made; the member's key is proven again on every connection to it.
 * 3. Groups, members and the revisions of lists outlive the process. A hub that is away changes nothing for
 * connections that stand, and members stay known.
 * 4. Two groups of one hub share a connection to it. */
#ifndef HP_RENDEZVOUS_RENDEZVOUS_H
#define HP_RENDEZVOUS_RENDEZVOUS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "fetch/fetch.h"
#include "identity/identity.h"
#include "rendezvous/hub_client.h"
#include "rendezvous/invite.h"
#include "store/store.h"
#include "tunnel/tunnel.h"

typedef struct hp_rendezvous hp_rendezvous_t;

#define HP_GROUP_NAME_SIZE 256

typedef struct hp_rendezvous_hooks {
    /* A member of at least one group: when it becomes one, and when online (the hub has it connected) or its
     * name changes. */
    void (*member)(void *arg, const uint8_t fingerprint[HP_FINGERPRINT_SIZE], const char *name, bool online);
    /* It is in no group of ours any more. */
    void (*member_gone)(void *arg, const char *id);
    /* What hp_rendezvous_group() says of a group is another thing now; it is gone. */
    void (*changed)(void *arg, int64_t group);
    void (*removed)(void *arg, int64_t group);
    /* The list that this host offers, as GET /list gives it in JSON lines: calls ready once, later, with text
     * that the callee frees, or NULL when there is none to give now. */
    void (*own_list)(void *arg, void (*ready)(void *ready_arg, char *text, size_t length), void *ready_arg);
    /* A member has left this list at the hub; text (JSON lines) is the callee's to free. Calls taken once,
     * later. */
    void (*list)(void *arg, const char *id, char *text, size_t length,
                 void (*taken)(void *taken_arg, int status, const hp_err_t *err), void *taken_arg);
    void *arg;
} hp_rendezvous_hooks_t;

typedef struct hp_rendezvous_deps {
    uv_loop_t *loop;
    hp_store_t *store;
    hp_fetcher_t *fetcher;
    hp_tunnel_t *tunnel;
    const hp_identity_t *identity;
    const char *name; /* of this host; read at every use */
} hp_rendezvous_deps_t;

/* Loads the groups from the store (blocks; start-up). What deps names outlives it. */
int hp_rendezvous_create(hp_rendezvous_t **rendezvous, const hp_rendezvous_deps_t *deps, hp_err_t *err);
/* Tells of every member that is known, and connects to the hubs. */
void hp_rendezvous_start(hp_rendezvous_t *rendezvous, const hp_rendezvous_hooks_t *hooks);
void hp_rendezvous_destroy(hp_rendezvous_t *rendezvous, void (*closed)(void *arg), void *arg);

/* The network of this machine has changed; this host's name has; its list has. */
void hp_rendezvous_network_changed(hp_rendezvous_t *rendezvous);
void hp_rendezvous_name_changed(hp_rendezvous_t *rendezvous);
void hp_rendezvous_list_changed(hp_rendezvous_t *rendezvous);

/* ---- for people ---- */

typedef struct hp_group_info {
    int64_t id;
    const char *name, *hub; /* hub: host:port */
    hp_hub_state_t state;
    const char *reason; /* why it is not connected, a sentence; "" */
    bool publish;
    size_t member_count; /* without this host */
} hp_group_info_t;

size_t hp_rendezvous_count(const hp_rendezvous_t *rendezvous);
/* By position, oldest first; by id: HP_E_NOT_FOUND. Texts are valid until the next return to the loop. */
void hp_rendezvous_at(const hp_rendezvous_t *rendezvous, size_t index, hp_group_info_t *info);
int hp_rendezvous_group(const hp_rendezvous_t *rendezvous, int64_t id, hp_group_info_t *info);
/* The id of a group's index-th member; NULL past the end. */
const char *hp_rendezvous_member(const hp_rendezvous_t *rendezvous, int64_t id, size_t index);
/* The invite of a group: HP_E_NOT_FOUND. Who has it is a member. */
int hp_rendezvous_invite(const hp_rendezvous_t *rendezvous, int64_t id, char text[HP_INVITE_SIZE]);

/* done runs once: 0 with the group's id when the hub has let this host in and the group is on the disk;
 * HP_E_INVALID (hub, invite, name), HP_E_EXISTS (in it already), HP_E_UNREACHABLE (the hub), HP_E_WRONG_KEY
 * (another hub answers than the invite names), HP_E_FORBIDDEN (the hub wants a token, or another one),
 * HP_E_TOO_MANY, and errors of the store. */
typedef void (*hp_group_done_fn)(void *arg, int status, int64_t id, const hp_err_t *err);

/* A new group at a hub whose key is taken as it is found; from then on only that one is spoken to. token may
 * be NULL. */
void hp_rendezvous_create_group(hp_rendezvous_t *rendezvous, const char *hub, const char *name,
                                const char *token, hp_group_done_fn done, void *arg);
/* name NULL: the hub's. */
void hp_rendezvous_join(hp_rendezvous_t *rendezvous, const char *invite, const char *name,
                        hp_group_done_fn done, void *arg);
/* NULL leaves a value as it is. HP_E_NOT_FOUND, HP_E_INVALID. */
void hp_rendezvous_change(hp_rendezvous_t *rendezvous, int64_t id, const char *name, const bool *publish,
                          hp_group_done_fn done, void *arg);
/* The group is gone for this host at once; the hub is told as soon as it can be. HP_E_NOT_FOUND. */
void hp_rendezvous_leave(hp_rendezvous_t *rendezvous, int64_t id, hp_group_done_fn done, void *arg);
/* Another secret: whoever knows only the old one is out, and others need the new invite. Needs the hub:
 * HP_E_UNREACHABLE. */
void hp_rendezvous_renew(hp_rendezvous_t *rendezvous, int64_t id, hp_group_done_fn done, void *arg);

#endif
