/* The parts of hostpair and how they are put together: built from the bottom up, told of each other, taken
 * down in reverse. The parts know each other only as the layers allow; what goes sideways (a host came back:
 * its downloads go on) goes through here. Loop thread. */
#ifndef HP_APP_H
#define HP_APP_H

#include "across.h"
#include "api/api.h"
#include "identity/identity.h"
#include "localsend/localsend.h"
#include "peer/peer.h"

#define HP_APP_PORT_TRIES 10 /* a default port that is taken: the next free one of so many in all */

typedef struct hp_app {
    uv_loop_t *loop;
    const hp_options_t *options;
    hp_self_t self;
    hp_store_t *store;
    hp_identity_t *identity;
    hp_secure_t *secure;
    hp_settings_t *settings;
    hp_fetcher_t *fetcher;
    hp_send_limit_t send_limit;
    hp_share_t *share;
    hp_transfer_t *transfer;
    hp_hosts_t *hosts;
    hp_messages_t *messages;
    hp_inbox_t *inbox;
    hp_devices_t *devices;
    hp_pushes_t *pushes;
    hp_localsend_t *localsend;
    hp_pairings_t *pairings;
    hp_discovery_t *discovery;
    hp_doctor_t *doctor;
    hp_across_t *across;
    hp_peer_t *peer;
    hp_traffic_t *traffic;
    hp_api_t *api;
    bool noted;         /* the note for commands lies in the data folder */
    const char *ending; /* the part that is being ended; NULL before */
    void (*closed)(void *arg);
    void *closed_arg;
} hp_app_t;

/* Builds all parts and listens; the caller has set loop and options, the rest is zero. Blocks. After a
 * failure what was built is still there: destroy it all the same. */
int hp_app_build(hp_app_t *app, hp_err_t *err);

/* Everything goes from now on. */
void hp_app_start(hp_app_t *app);

/* Ends one part after the other, the uppermost first, then calls closed. Progress is committed. */
void hp_app_destroy(hp_app_t *app, void (*closed)(void *arg), void *arg);

#endif
