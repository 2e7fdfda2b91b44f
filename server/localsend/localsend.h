/* LocalSend (protocol 2.1): phones and computers with that app find this host and send it files, which go
 * into the inbox as any others do.
 *
 * Invariants
 * 1. Loop thread.
 * 2. It listens on TCP and UDP 53317 only while it is switched on. Where another program (such as LocalSend
 *    itself) has the port, it tries again until that one has gone. Nothing else of hostpair can be reached
 *    there.
 * 3. TCP speaks TLS with this host's certificate, and plain HTTP to those who begin with it.
 * 4. A device proves nothing: what it may do is what the inbox lets anybody do.
 */
#ifndef HP_LOCALSEND_LOCALSEND_H
#define HP_LOCALSEND_LOCALSEND_H

#include <stdbool.h>
#include <uv.h>

#include "base/send_limit.h"
#include "discovery/hosts.h"
#include "inbox/inbox.h"
#include "localsend/devices.h"
#include "share/share.h"

typedef struct hp_secure hp_secure_t; /* secure/secure.h */
typedef struct hp_localsend hp_localsend_t;

/* All outlive it. */
typedef struct hp_localsend_deps {
    uv_loop_t *loop;
    hp_hosts_t *hosts;
    hp_inbox_t *inbox;
    hp_devices_t *devices;
    hp_fetcher_t *fetcher;
    hp_share_t *share;
    const hp_secure_t *secure;
    hp_send_limit_t *limit; /* http/http.h */
    const char *address;    /* where to listen; one of a single interface: nothing is announced */
    bool announces;
    unsigned descriptor_percent; /* http/http.h */
    /* A device at this address cancels what it receives from here in this session; false: nothing is. */
    bool (*cancelled)(void *arg, const char *session, const char *address);
    /* Whether the share is for everybody who asks. */
    bool (*is_open)(void *arg);
    void *arg;
} hp_localsend_deps_t;

/* Switched off. */
hp_localsend_t *hp_localsend_create(const hp_localsend_deps_t *deps);

/* Switches it on or off. Why it cannot be on is logged, and tried again every 15 s. */
void hp_localsend_set(hp_localsend_t *self, bool on);

/* Why it cannot be on although it is wanted, a sentence for people; "": it is on, or is not wanted. Valid
 * until the next turn of the loop. */
const char *hp_localsend_trouble(const hp_localsend_t *self);

/* Asks the devices to tell of themselves: a person looks for them. */
void hp_localsend_look(hp_localsend_t *self);

/* Whether it is on, and makes itself known to devices. */
bool hp_localsend_looks(const hp_localsend_t *self);
/* Something accepts connections at LocalSend's port of this numeric address: this host registers there. */
void hp_localsend_try(hp_localsend_t *self, const char *address);

/* Transfers that run are cut; the inbox keeps what has come. */
void hp_localsend_destroy(hp_localsend_t *self, void (*closed)(void *arg), void *arg);

#endif
