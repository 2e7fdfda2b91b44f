/* Tells LocalSend devices of this host, by datagrams to their multicast group: when it begins, when the
 * interfaces change, and whenever a device asks. Loop thread. */
#ifndef HP_LOCALSEND_ANNOUNCE_H
#define HP_LOCALSEND_ANNOUNCE_H

#include <uv.h>

#include "base/err.h"
#include "localsend/message.h"

typedef struct hp_announce hp_announce_t;

/* describe fills in who this host is now. A negative errno, with the words in err, where there is no such
 * socket. */
typedef void (*hp_announce_describe_fn)(void *arg, hp_localsend_self_t *self);
int hp_announce_create(hp_announce_t **announce, uv_loop_t *loop, hp_announce_describe_fn describe, void *arg,
                       hp_err_t *err);
void hp_announce_destroy(hp_announce_t *self, void (*closed)(void *arg), void *arg);

#endif
