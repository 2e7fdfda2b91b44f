/* The LocalSend devices of this network: those that announced themselves, registered here or answered when
 * this host registered there (registers.h), and then answered a question at their address.
 *
 * What says that there is a device (a datagram, a register, its answer) is only a hint, and its sender may be
 * forged: a device is known once GET /api/localsend/v2/info at the address answers, over TLS with the
 * certificate whose SHA-256 was announced as the fingerprint. It is asked again every HP_DEVICE_ASK_MS; after
 * two questions without an answer it is away, and HP_DEVICE_KEPT_MS later it is forgotten. Nothing is stored.
 *
 * Invariants
 * 1. Loop thread. Pointers to devices are valid until the next return to the loop.
 * 2. At most HP_DEVICES_MAX are known, HP_DEVICES_PER_ADDRESS of them at one address; no more than 8 hints
 * are being followed at a time, and 10 in 10 s from one address. What is too much is passed over.
 * 3. Over plain HTTP a device proves nothing: it is whoever answers at that address and port.
 * 4. Texts of devices are bounded, printable and still untrusted. */
#ifndef HP_LOCALSEND_DEVICES_H
#define HP_LOCALSEND_DEVICES_H

#include "discovery/hosts.h"
#include "fetch/fetch.h"
#include "localsend/message.h"

#define HP_DEVICES_MAX         64
#define HP_DEVICES_PER_ADDRESS 4
#define HP_DEVICE_ASK_MS       30000
#define HP_DEVICE_KEPT_MS      600000

typedef struct hp_devices hp_devices_t;

typedef struct hp_device {
    char id[HP_HOST_ID_SIZE]; /* "localsend-" and 32 hex digits */
    hp_localsend_device_t about;
    hp_endpoint_t at; /* its address and port; the scheme is PLAIN whatever the device speaks */
    bool online;
    int64_t last_seen; /* wall ms */
} hp_device_t;

/* fetcher and self outlive it; self is read at every use. certificate: this host's, DER. */
hp_devices_t *hp_devices_create(uv_loop_t *loop, hp_fetcher_t *fetcher, const hp_self_t *self,
                                const uint8_t *certificate, size_t length);
void hp_devices_destroy(hp_devices_t *self, void (*closed)(void *arg), void *arg);

/* How this host describes itself to devices. */
json_t *hp_devices_describe_self(const hp_devices_t *self, hp_localsend_say_t say);
/* SHA-256 of this host's certificate, in hex, as the app writes it. */
const char *hp_devices_own_fingerprint(const hp_devices_t *self);

/* A device said this from this numeric address. */
void hp_devices_heard(hp_devices_t *self, const hp_localsend_device_t *about, const char *address);
/* All are forgotten: LocalSend was switched off. */
void hp_devices_clear(hp_devices_t *self);
/* 0, or HP_E_NOT_FOUND. It comes back when it is heard of again. */
int hp_devices_forget(hp_devices_t *self, const char *id);

size_t hp_devices_count(const hp_devices_t *self);
const hp_device_t *hp_devices_at(const hp_devices_t *self, size_t index); /* in the order of their finding */
const hp_device_t *hp_devices_find(const hp_devices_t *self, const char *id); /* NULL: none */

/* One is new, has changed, or is gone (hp_devices_find does not find it). */
typedef void hp_device_event_fn(void *arg, const char *id);
void hp_devices_on_event(hp_devices_t *self, hp_device_event_fn *fn, void *arg);
void hp_devices_off_event(hp_devices_t *self, hp_device_event_fn *fn, void *arg);

/* A request to a device: url is freed by the caller; options gets what a device needs (no proxy, its
 * certificate). path: below /api/localsend/v2/, with its query. about lives as long as options is used. */
char *hp_device_url(const hp_localsend_device_t *about, const hp_endpoint_t *at, const char *path);
void hp_device_set_options(const hp_localsend_device_t *about, const char *url, hp_fetch_options_t *options);

#endif
