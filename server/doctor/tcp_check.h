/* Whether a TCP connection to a place can be made, and if not, in which way it fails: that tells a closed
 * port from packets that are dropped on the way. The connection is closed at once. Loop thread. */
#ifndef HP_DOCTOR_TCP_CHECK_H
#define HP_DOCTOR_TCP_CHECK_H

#include <uv.h>

#include "path/endpoint.h"

#define HP_TCP_CHECK_MS 3000

typedef struct hp_tcp_check hp_tcp_check_t;

/* done runs once, never inside the call: 0 with how long it took; UV_ETIMEDOUT after HP_TCP_CHECK_MS,
 * UV_ECONNREFUSED, UV_EHOSTUNREACH or another code of the system; UV_ECANCELED. at is no MEMBER. */
typedef void (*hp_tcp_check_fn)(void *arg, int status, unsigned ms);
hp_tcp_check_t *hp_tcp_check_start(uv_loop_t *loop, const hp_endpoint_t *at, hp_tcp_check_fn done, void *arg);
void hp_tcp_check_cancel(hp_tcp_check_t *reach);

#endif
