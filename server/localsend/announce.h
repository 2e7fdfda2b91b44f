/* Tells LocalSend devices of this host, and hears of them, by datagrams to their multicast group: when it
 * begins, when the interfaces change, and whenever a device asks. Loop thread. */
#ifndef HP_LOCALSEND_ANNOUNCE_H
#define HP_LOCALSEND_ANNOUNCE_H

#include <uv.h>

#include "base/err.h"
#include "localsend/message.h"

typedef struct hp_announce hp_announce_t;

typedef struct hp_announcer {
    const char *fingerprint; /* this host's; outlives it */
    json_t *(*describe)(void *arg, hp_localsend_say_t say);
    /* A device's datagram came from this address, which may be forged. */
    void (*heard)(void *arg, const hp_localsend_device_t *device, const char *address);
    void *arg;
} hp_announcer_t;

/* announcer is copied. A negative errno, with the words in err, where there is no such socket. */
int hp_announce_create(hp_announce_t **announce, uv_loop_t *loop, const hp_announcer_t *announcer,
                       hp_err_t *err);
/* As when it begins. */
void hp_announce_again(hp_announce_t *self);
void hp_announce_destroy(hp_announce_t *self, void (*closed)(void *arg), void *arg);

#endif
