/* Where a hub keeps what outlives it: groups, members, sealed lists and tags. An interface, so that a hub may
 * keep them in its own SQLite database or, where several hubs share them, in a database server.
 *
 * Invariants
 * 1. Loop thread. Every call answers through its done function exactly once, never inside the call, in any
 * order between calls; after destroy with UV_ECANCELED.
 * 2. What a call is given is copied; what done is given lives during the call.
 * 3. A change is durable when its done function runs with 0.
 *
 * Errors: HP_E_NOT_FOUND (group, member, list), HP_E_FORBIDDEN (credential), HP_E_TOO_MANY (a quota),
 * HP_E_CONFLICT (a piece that does not follow the one before it), and those of the database, each with a
 * sentence. */
#ifndef HP_HUB_BACKEND_H
#define HP_HUB_BACKEND_H

#include <uv.h>

#include "base/err.h"
#include "db/hub.h"

typedef struct hp_hub_backend hp_hub_backend_t;

typedef void (*hp_hub_done_fn)(void *arg, int status, const hp_err_t *err);
typedef void (*hp_hub_members_fn)(void *arg, int status, const hp_db_hub_member_t *members, size_t count,
                                  const hp_err_t *err);
/* data: one piece, from its offset; total: of the whole list. */
typedef void (*hp_hub_piece_fn)(void *arg, int status, const char *etag, uint64_t total, const void *data,
                                size_t length, const hp_err_t *err);
typedef void (*hp_hub_hosts_fn)(void *arg, int status, const char (*hosts)[33], size_t count,
                                const hp_err_t *err);
typedef void (*hp_hub_counts_fn)(void *arg, int status, const hp_db_hub_counts_t *counts,
                                 const hp_err_t *err);

struct hp_hub_backend {
    /* Lets a member in and gives all members of its group, itself included. */
    void (*join)(hp_hub_backend_t *self, const hp_db_hub_join_t *join, hp_hub_members_fn done, void *arg);
    void (*leave)(hp_hub_backend_t *self, const uint8_t gid[16], const char *host, hp_hub_done_fn done,
                  void *arg);
    /* Forgets the members that were not seen since before (wall ms). */
    void (*prune)(hp_hub_backend_t *self, int64_t before, hp_hub_done_fn done, void *arg);

    void (*put_piece)(hp_hub_backend_t *self, const hp_db_hub_piece_t *piece, hp_hub_done_fn done, void *arg);
    /* etag "": of whatever list is there. */
    void (*get_piece)(hp_hub_backend_t *self, const uint8_t gid[16], const char *host, const char *etag,
                      uint64_t offset, hp_hub_piece_fn done, void *arg);
    void (*remove_list)(hp_hub_backend_t *self, const uint8_t gid[16], const char *host, hp_hub_done_fn done,
                        void *arg);

    void (*tags)(hp_hub_backend_t *self, const hp_db_hub_tags_t *tags, hp_hub_done_fn done, void *arg);
    void (*have)(hp_hub_backend_t *self, const uint8_t gid[16], const uint8_t tag[16], unsigned limit,
                 hp_hub_hosts_fn done, void *arg);
    void (*counts)(hp_hub_backend_t *self, hp_hub_counts_fn done, void *arg);

    void (*destroy)(hp_hub_backend_t *self, void (*closed)(void *arg), void *arg);
};

/* In hostpair's own database in this folder, which no other process uses meanwhile. Blocks; for start-up. */
int hp_hub_backend_sqlite(hp_hub_backend_t **backend, uv_loop_t *loop, const char *folder, hp_err_t *err);

#endif
