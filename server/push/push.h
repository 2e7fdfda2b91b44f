/* Pushes: files of the share, or set aside (share/aside.h), that a person here wants to give to another host.
 * What is set aside is removed when its push is over. There are two kinds of hosts:
 *
 * hostpair (offer.c)   is made an offer (server/peer/PROTOCOL.md, "Giving files") that names paths; once
 *                      somebody there accepts, it fetches them as any other download. What this side does is
 *                      to offer, and to ask how it goes.
 * LocalSend (upload.c) is asked whether it wants the files, those of folders one by one, and is sent those
 *                      that it wants.
 *
 * A hostpair that is away is offered the files once it is back, and what it has accepted is waited for
 * without end; a device is given up after some minutes.
 *
 * Kept in memory: after a restart nothing is known of them here; what a hostpair accepted goes on there, and
 * an upload has ended.
 *
 * Invariants
 * 1. Loop thread only.
 * 2. At most HP_PUSHES_OPEN are open, and HP_PUSHES_KEPT that are over are remembered.
 * 3. A hostpair is sent nothing before it has proven its key, a device that speaks TLS nothing before it has
 *    shown the certificate that it announced. A device without TLS proves nothing. */
#ifndef HP_PUSH_PUSH_H
#define HP_PUSH_PUSH_H

#include <uv.h>

#include "base/err.h"
#include "base/send_limit.h"
#include "discovery/hosts.h"
#include "fetch/fetch.h"
#include "localsend/devices.h"
#include "share/share.h"

#define HP_PUSHES_OPEN     32
#define HP_PUSHES_KEPT     100
#define HP_PUSH_PATHS_MAX  1000
#define HP_PUSH_FILES_MAX  10000 /* to a device, with those of folders */
#define HP_PUSH_TOKEN_SIZE 65

/* state, its name in the API. The last four are its end. */
#define HP_PUSH_STATES(X)                                                                                    \
    X(CONNECTING, "connecting")                                                                              \
    X(ASKING, "asking")                                                                                      \
    X(SENDING, "sending")                                                                                    \
    X(DONE, "done")                                                                                          \
    X(DECLINED, "declined")                                                                                  \
    X(FAILED, "failed")                                                                                      \
    X(CANCELLED, "cancelled")
typedef enum {
#define X(name, text) HP_PUSH_##name,
    HP_PUSH_STATES(X)
#undef X
} hp_push_state_t;
const char *hp_push_state_name(hp_push_state_t state);

typedef struct hp_pushes hp_pushes_t;

/* Valid until the next return to the loop. */
typedef struct hp_push_info {
    int64_t id;
    const char *host;
    const char *const *paths;
    size_t count;
    bool aside; /* the paths are not in the share but set aside for the host */
    hp_push_state_t state;
    const char *reason;  /* why it ended so, or what it waits for, a sentence; "" */
    int code;            /* why it failed, where a program may want to know; 0 */
    size_t offered;      /* files, and folders that are offered whole; 0: not looked at yet */
    bool answered;       /* the other host has said which it takes */
    size_t taken;        /* how many of them; 0 until answered */
    uint64_t size;       /* of those that are wanted; folders that are offered whole do not count */
    uint64_t done_bytes; /* that the other host has */
    int64_t created_at, finished_at; /* wall ms; 0: not over */
} hp_push_info_t;

/* The fetcher, both registries, the share and the limit outlive it. limit: of what is uploaded; NULL: none.
 */
hp_pushes_t *hp_pushes_create(uv_loop_t *loop, hp_fetcher_t *fetcher, hp_hosts_t *hosts,
                              hp_devices_t *devices, hp_share_t *share, hp_send_limit_t *limit);
void hp_pushes_destroy(hp_pushes_t *self, void (*closed)(void *arg), void *arg);

/* Bytes of files that were uploaded to devices since the start. */
uint64_t hp_pushes_bytes_sent(const hp_pushes_t *self);

/* Something of this one has changed; it is forgotten when hp_pushes_get does not find it. */
typedef void hp_push_event_fn(void *arg, int64_t id);
void hp_pushes_on_event(hp_pushes_t *self, hp_push_event_fn *fn, void *arg);
void hp_pushes_off_event(hp_pushes_t *self, hp_push_event_fn *fn, void *arg);

/* Whether the host can be given files: 0, HP_E_NOT_FOUND or HP_E_CONFLICT, as hp_pushes_begin. */
int hp_pushes_check(const hp_pushes_t *self, const char *host, hp_err_t *err);

/* Files and folders by their paths in the share, or files that are set aside for the host; pin: NULL, or what
 * the other host asks for. 0 with the id; HP_E_NOT_FOUND: no such host; HP_E_CONFLICT: one that cannot be
 * given files, or files that are set aside for another; HP_E_INVALID, HP_E_BAD_NAME: the paths;
 * HP_E_TOO_MANY. A path that is not shared ends it as failed. */
int hp_pushes_begin(hp_pushes_t *self, const char *host, const char *const *paths, size_t count,
                    const char *pin, int64_t *id, hp_err_t *err);

/* Takes the offer back, and tells the other host. 0, HP_E_NOT_FOUND, HP_E_CONFLICT: it is over. */
int hp_pushes_cancel(hp_pushes_t *self, int64_t id, hp_err_t *err);

/* A device at this numeric address cancels what it receives in this session of its own. False: nothing. */
bool hp_pushes_cancelled_there(hp_pushes_t *self, const char *session, const char *address);

/* Newest first. */
size_t hp_pushes_count(const hp_pushes_t *self);
void hp_pushes_at(const hp_pushes_t *self, size_t index, hp_push_info_t *info);
bool hp_pushes_get(const hp_pushes_t *self, int64_t id, hp_push_info_t *info);

#endif
