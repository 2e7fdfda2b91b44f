/* Finds out why hosts are missing: looks at this machine, and at one other host from the name to the speed of
 * a file, and asks it to connect here, so that a one-way block is told from a two-way one. What it finds are
 * sentences with what to do (finding.h).
 *
 * Besides, it asks a known host now and then whether it can connect here: at the start, when the networks
 * have changed, and again while it cannot. Nobody else would tell: a host whose port is closed sees all
 * others.
 *
 * Invariants
 * 1. Loop thread only. What blocks (the machine's tools) runs in the pool, names are looked up in threads.
 * 2. At most HP_DOCTOR_OPEN looks are under way, and HP_DOCTOR_KEPT that are over are remembered.
 * 3. A host that asks to be called back is called at the address that it asks from and nowhere else, at most
 *    HP_CALLBACK_TIMES a minute, HP_CALLBACKS_OPEN at a time in all.
 * 4. Nothing is ever changed on this machine. */
#ifndef HP_DOCTOR_DOCTOR_H
#define HP_DOCTOR_DOCTOR_H

#include <jansson.h>
#include <uv.h>

#include "base/err.h"
#include "discovery/discovery.h"
#include "doctor/finding.h"
#include "fetch/fetch.h"
#include "path/who.h"

#define HP_DOCTOR_OPEN    4
#define HP_DOCTOR_KEPT    8
#define HP_CALLBACK_TIMES 6
#define HP_CALLBACKS_OPEN 8
#define HP_CALLBACK_PATH  "/hostpair/callback"

typedef struct hp_doctor hp_doctor_t;

typedef struct hp_doctor_deps {
    uv_loop_t *loop;
    hp_fetcher_t *fetcher;
    hp_hosts_t *hosts;
    hp_discovery_t *discovery;
    const hp_self_t *self;
    const char *address; /* where the peer listener listens */
} hp_doctor_deps_t;

/* The parts outlive it. */
hp_doctor_t *hp_doctor_create(const hp_doctor_deps_t *deps);
void hp_doctor_start(hp_doctor_t *doctor);
void hp_doctor_destroy(hp_doctor_t *doctor, void (*closed)(void *arg), void *arg);

/* ---- looks ---- */

typedef struct hp_doctor_look {
    int64_t id;
    const char *host; /* as it was given; "": this machine alone */
    bool running;
    int64_t started_at, finished_at; /* wall ms; 0: not over */
    const hp_findings_t *findings;
} hp_doctor_look_t;

/* host: NULL or "", the id of a known host, or an address or name as a person writes it. 0 with the number of
 * the look; HP_E_INVALID: the address; HP_E_TOO_MANY. */
int hp_doctor_begin(hp_doctor_t *doctor, const char *host, int64_t *id, hp_err_t *err);

/* Valid until the next return to the loop. Newest first. */
size_t hp_doctor_count(const hp_doctor_t *doctor);
void hp_doctor_at(const hp_doctor_t *doctor, size_t index, hp_doctor_look_t *out);
bool hp_doctor_get(const hp_doctor_t *doctor, int64_t id, hp_doctor_look_t *out);

/* Calls fn when something of a look has changed; with 0 when hp_doctor_blocked has. One listener; NULL none.
 */
void hp_doctor_on_event(hp_doctor_t *doctor, void (*fn)(void *arg, int64_t id), void *arg);

/* ---- whether others can connect here ---- */

/* The name of the host that was asked last and could not connect here, though it answers us; "" when one
 * could, or none was asked. */
const char *hp_doctor_blocked(const hp_doctor_t *doctor);
/* The networks have changed: asks anew. */
void hp_doctor_network_changed(hp_doctor_t *doctor);

/* ---- another host asks to be called back ---- */

/* done runs once: 0 with whether the connection was made (result: 0 or why not, as in tcp_check.h) and the id
 * of the host that answered there ("": it is no hostpair); HP_E_FORBIDDEN: not proven, or not of this
 * network; HP_E_TOO_MANY with in how many seconds it may ask again; HP_E_INVALID: the port. UV_ECANCELED. */
typedef struct hp_called_back {
    int result;
    unsigned ms;
    const char *id;
    unsigned retry_after_s;
} hp_called_back_t;
typedef void (*hp_callback_fn)(void *arg, int status, const hp_called_back_t *called, const hp_err_t *err);
void hp_doctor_call_back(hp_doctor_t *doctor, const hp_who_t *who, int64_t port, hp_callback_fn done,
                         void *arg);

/* ---- this machine, without a running hostpair (blocks; any thread) ---- */

/* What its packet filter does to hostpair's port. Added to findings. open: the command that opens the port
 * where it is closed, or may be; "". */
#define HP_DOCTOR_COMMAND_SIZE 400
void hp_doctor_look_at_filter(uint16_t port, hp_findings_t *findings, char open[HP_DOCTOR_COMMAND_SIZE]);
/* Its interfaces. */
void hp_doctor_look_at_interfaces(hp_findings_t *findings);

#endif
