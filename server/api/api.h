/* The dashboard's side of hostpair: a listener that serves the embedded page and the REST API below /api/v1,
 * and the event feed that tells every open page what happens.
 *
 * Invariants
 * 1. Loop thread only; SQL runs in the store's thread, disk work in the pool.
 * 2. The parts in hp_api_deps_t outlive the API: it is created last and destroyed first. What it asked of
 * them may still call back after that; such a call only lets go of memory.
 */
#ifndef HP_API_API_H
#define HP_API_API_H

#include <uv.h>

#include "base/options.h"
#include "discovery/discovery.h"
#include "doctor/doctor.h"
#include "http/http.h"
#include "inbox/inbox.h"
#include "localsend/localsend.h"
#include "push/push.h"
#include "message/message.h"
#include "pairing/pairing.h"
#include "rendezvous/rendezvous.h"
#include "settings/settings.h"
#include "share/share.h"
#include "store/store.h"
#include "traffic/traffic.h"
#include "transfer/transfer.h"

typedef struct hp_api hp_api_t;

typedef struct hp_api_deps {
    uv_loop_t *loop;
    hp_store_t *store;
    hp_share_t *share;
    hp_discovery_t *discovery;
    hp_hosts_t *hosts;
    hp_transfer_t *transfer;
    hp_messages_t *messages;
    hp_pairings_t *pairings;
    hp_inbox_t *inbox;
    hp_pushes_t *pushes;
    hp_devices_t *devices;
    hp_localsend_t *localsend; /* NULL: there is none */
    hp_doctor_t *doctor;
    hp_traffic_t *traffic;
    hp_rendezvous_t *rendezvous;
    hp_http_listener_t *peer; /* for connections and bytes sent */
    const hp_options_t *options;
    hp_settings_t *settings; /* started already */
    const hp_self_t *self;
    unsigned descriptor_percent; /* as in hp_http_options_t */
} hp_api_deps_t;

/* Listens on address:port (see hp_http_listen) and subscribes to what the parts tell. An error code with the
 * words in err. */
int hp_api_create(hp_api_t **api, const hp_api_deps_t *deps, const char *address, uint16_t port,
                  hp_err_t *err);

/* Ends all connections and event streams, then calls closed. */
void hp_api_destroy(hp_api_t *api, void (*closed)(void *arg), void *arg);

uint16_t hp_api_port(const hp_api_t *api);

/* For hp_transfer_hooks_t and hp_share_on_change, which take one listener. api NULL: nothing happens.
 */
void hp_api_download_changed(hp_api_t *api, int64_t id);
void hp_api_download_removed(hp_api_t *api, int64_t id);
void hp_api_share_changed(hp_api_t *api);
void hp_api_group_changed(hp_api_t *api, int64_t id);
void hp_api_group_removed(hp_api_t *api, int64_t id);

#endif
