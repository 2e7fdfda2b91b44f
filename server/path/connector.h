/* How the HTTP client reaches a MEMBER, which has no address: the interface between it (server/fetch) and
 * whoever knows the ways there are (server/tunnel, put in place by server/across.c). Loop thread. */
#ifndef HP_PATH_CONNECTOR_H
#define HP_PATH_CONNECTOR_H

#include "base/err.h"
#include "path/who.h"

/* err NULL: connections go this way now. Called once, never inside choose. */
typedef void (*hp_connector_chosen_fn)(void *arg, hp_way_t way, const hp_err_t *err);

typedef struct hp_connector {
    /* Finds a way to the host with this id; takes as long as it takes to find one, or to know that there is
     * none. 0; HP_E_NOT_FOUND when the host is not known here: chosen is not called then. */
    int (*choose)(void *arg, const char *id, hp_connector_chosen_fn chosen, void *chosen_arg);
    /* Connects fd, a connected stream socket that the callee owns, to an HTTP connection of that host. Inside
     * a DIRECT one the host is proven and HTTP is plain; inside a RELAYED one nothing is proven and TLS
     * follows. When it fails, fd is closed. */
    void (*dial)(void *arg, const char *id, hp_way_t way, int fd);
    void *arg;
} hp_connector_t;

#endif
