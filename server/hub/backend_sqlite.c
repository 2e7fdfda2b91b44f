/* The backend in the hub's own database: every call is one job of the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "hub/backend.h"
#include "store/store.h"

#define HAVE_MAX 100 /* hosts of one content */

typedef struct {
    hp_hub_backend_t backend; /* first */
    hp_store_t *store;
    void (*closed)(void *arg);
    void *closed_arg;
} sqlite_t;

/* One call on its way through the store; each kind uses what it needs. */
typedef struct {
    union {
        hp_db_hub_join_t join;
        hp_db_hub_piece_t piece;
        hp_db_hub_tags_t tags;
        hp_db_hub_counts_t counts;
        int64_t before;
        struct {
            uint8_t gid[16];
            char host[33];
            uint8_t tag[16];
            unsigned limit;
        } of;
    } in;
    char etag[HP_DB_HUB_ETAG_SIZE];
    char *text; /* owned: a copy of what the call points to */
    void *data; /* owned: what was read */
    size_t count, capacity;
    uint64_t total;
    union {
        hp_hub_done_fn done;
        hp_hub_members_fn members;
        hp_hub_piece_fn piece;
        hp_hub_hosts_fn hosts;
        hp_hub_counts_fn counts;
    } answer;
    void *arg;
} call_t;

static hp_store_t *store_of(hp_hub_backend_t *backend)
{
    return ((sqlite_t *)backend)->store;
}

static call_t *call_create(void *arg)
{
    call_t *call = hp_alloc(sizeof *call);
    call->arg = arg;
    return call;
}

static void call_destroy(call_t *call)
{
    free(call->text);
    free(call->data);
    free(call);
}

static void on_done(void *arg, int status, const hp_err_t *err)
{
    call_t *call = arg;
    if (call->answer.done != NULL)
        call->answer.done(call->arg, status, err);
    call_destroy(call);
}

static void set_of(call_t *call, const uint8_t gid[16], const char *host)
{
    memcpy(call->in.of.gid, gid, 16);
    snprintf(call->in.of.host, sizeof call->in.of.host, "%s", host);
}

/* Room for one more element of size bytes in call->data. */
static void *push(call_t *call, size_t size)
{
    if (call->count == call->capacity) {
        call->capacity = HP_MAX(call->capacity * 2, (size_t)16);
        call->data = hp_realloc(call->data, call->capacity * size);
    }
    return (char *)call->data + size * call->count++;
}

/* ---- joining and leaving ---- */

static void add_member(void *arg, const hp_db_hub_member_t *member)
{
    *(hp_db_hub_member_t *)push(arg, sizeof *member) = *member;
}

static int work_join(hp_db_t *db, void *arg, hp_err_t *err)
{
    call_t *call = arg;
    call->count = 0;
    int rc = hp_db_hub_join(db, &call->in.join, err);
    return rc == 0 ? hp_db_hub_members(db, call->in.join.gid, add_member, call, err) : rc;
}

static void on_joined(void *arg, int status, const hp_err_t *err)
{
    call_t *call = arg;
    call->answer.members(call->arg, status, call->data, status == 0 ? call->count : 0, err);
    call_destroy(call);
}

static void join(hp_hub_backend_t *self, const hp_db_hub_join_t *join, hp_hub_members_fn done, void *arg)
{
    call_t *call = call_create(arg);
    call->in.join = *join;
    call->in.join.creator = call->text = hp_strdup(join->creator);
    call->answer.members = done;
    hp_store_post(store_of(self), HP_STORE_WRITE_SYNCED, work_join, on_joined, call);
}

static int work_leave(hp_db_t *db, void *arg, hp_err_t *err)
{
    call_t *call = arg;
    return hp_db_hub_leave(db, call->in.of.gid, call->in.of.host, err);
}

static void leave(hp_hub_backend_t *self, const uint8_t gid[16], const char *host, hp_hub_done_fn done,
                  void *arg)
{
    call_t *call = call_create(arg);
    set_of(call, gid, host);
    call->answer.done = done;
    hp_store_post(store_of(self), HP_STORE_WRITE_SYNCED, work_leave, on_done, call);
}

static int work_prune(hp_db_t *db, void *arg, hp_err_t *err)
{
    call_t *call = arg;
    return hp_db_hub_prune(db, call->in.before, err);
}

static void prune(hp_hub_backend_t *self, int64_t before, hp_hub_done_fn done, void *arg)
{
    call_t *call = call_create(arg);
    call->in.before = before;
    call->answer.done = done;
    hp_store_post(store_of(self), HP_STORE_WRITE, work_prune, on_done, call);
}

/* ---- lists ---- */

static int work_put_piece(hp_db_t *db, void *arg, hp_err_t *err)
{
    call_t *call = arg;
    return hp_db_hub_list_put(db, &call->in.piece, err);
}

static void put_piece(hp_hub_backend_t *self, const hp_db_hub_piece_t *piece, hp_hub_done_fn done, void *arg)
{
    call_t *call = call_create(arg);
    call->in.piece = *piece;
    call->in.piece.data = call->data = memcpy(hp_alloc(piece->length), piece->data, piece->length);
    call->answer.done = done;
    hp_store_post(store_of(self), HP_STORE_WRITE, work_put_piece, on_done, call);
}

static int work_get_piece(hp_db_t *db, void *arg, hp_err_t *err)
{
    call_t *call = arg;
    return hp_db_hub_list_piece(db, call->in.piece.gid, call->in.piece.host, call->etag,
                                call->in.piece.offset, &call->total, &call->data, &call->count, err);
}

static void on_piece(void *arg, int status, const hp_err_t *err)
{
    call_t *call = arg;
    call->answer.piece(call->arg, status, call->etag, call->total, call->data, status == 0 ? call->count : 0,
                       err);
    call_destroy(call);
}

static void get_piece(hp_hub_backend_t *self, const uint8_t gid[16], const char *host, const char *etag,
                      uint64_t offset, hp_hub_piece_fn done, void *arg)
{
    call_t *call = call_create(arg);
    memcpy(call->in.piece.gid, gid, 16);
    snprintf(call->in.piece.host, sizeof call->in.piece.host, "%s", host);
    snprintf(call->etag, sizeof call->etag, "%s", etag);
    call->in.piece.offset = offset;
    call->answer.piece = done;
    hp_store_post(store_of(self), HP_STORE_READ, work_get_piece, on_piece, call);
}

static int work_remove_list(hp_db_t *db, void *arg, hp_err_t *err)
{
    call_t *call = arg;
    return hp_db_hub_list_remove(db, call->in.of.gid, call->in.of.host, err);
}

static void remove_list(hp_hub_backend_t *self, const uint8_t gid[16], const char *host, hp_hub_done_fn done,
                        void *arg)
{
    call_t *call = call_create(arg);
    set_of(call, gid, host);
    call->answer.done = done;
    hp_store_post(store_of(self), HP_STORE_WRITE, work_remove_list, on_done, call);
}

/* ---- tags ---- */

static int work_tags(hp_db_t *db, void *arg, hp_err_t *err)
{
    call_t *call = arg;
    return hp_db_hub_tags(db, &call->in.tags, err);
}

static void tags(hp_hub_backend_t *self, const hp_db_hub_tags_t *tags, hp_hub_done_fn done, void *arg)
{
    call_t *call = call_create(arg);
    size_t added = tags->add_count * HP_DB_HUB_TAG, removed = tags->remove_count * HP_DB_HUB_TAG;
    uint8_t *copy = hp_alloc(added + removed);
    if (added > 0)
        memcpy(copy, tags->add, added);
    if (removed > 0)
        memcpy(copy + added, tags->remove, removed);
    call->in.tags = *tags;
    call->in.tags.add = call->data = copy;
    call->in.tags.remove = copy + added;
    call->answer.done = done;
    hp_store_post(store_of(self), HP_STORE_WRITE, work_tags, on_done, call);
}

static void add_host(void *arg, const char *host)
{
    call_t *call = arg;
    snprintf(push(call, 33), 33, "%s", host);
}

static int work_have(hp_db_t *db, void *arg, hp_err_t *err)
{
    call_t *call = arg;
    return hp_db_hub_have(db, call->in.of.gid, call->in.of.tag, call->in.of.limit, add_host, call, err);
}

static void on_have(void *arg, int status, const hp_err_t *err)
{
    call_t *call = arg;
    call->answer.hosts(call->arg, status, call->data, status == 0 ? call->count : 0, err);
    call_destroy(call);
}

static void have(hp_hub_backend_t *self, const uint8_t gid[16], const uint8_t tag[16], unsigned limit,
                 hp_hub_hosts_fn done, void *arg)
{
    call_t *call = call_create(arg);
    set_of(call, gid, "");
    memcpy(call->in.of.tag, tag, 16);
    call->in.of.limit = HP_MIN(limit, (unsigned)HAVE_MAX);
    call->answer.hosts = done;
    hp_store_post(store_of(self), HP_STORE_READ, work_have, on_have, call);
}

static int work_counts(hp_db_t *db, void *arg, hp_err_t *err)
{
    call_t *call = arg;
    return hp_db_hub_counts(db, &call->in.counts, err);
}

static void on_counts(void *arg, int status, const hp_err_t *err)
{
    call_t *call = arg;
    call->answer.counts(call->arg, status, &call->in.counts, err);
    call_destroy(call);
}

static void counts(hp_hub_backend_t *self, hp_hub_counts_fn done, void *arg)
{
    call_t *call = call_create(arg);
    call->answer.counts = done;
    hp_store_post(store_of(self), HP_STORE_READ, work_counts, on_counts, call);
}

/* ---- life ---- */

static void on_store_closed(void *arg)
{
    sqlite_t *self = arg;
    void (*closed)(void *arg) = self->closed;
    void *closed_arg = self->closed_arg;
    free(self);
    closed(closed_arg);
}

static void destroy(hp_hub_backend_t *backend, void (*closed)(void *arg), void *arg)
{
    sqlite_t *self = (sqlite_t *)backend;
    self->closed = closed;
    self->closed_arg = arg;
    hp_store_destroy(self->store, on_store_closed, self);
}

int hp_hub_backend_sqlite(hp_hub_backend_t **backend, uv_loop_t *loop, const char *folder, hp_err_t *err)
{
    hp_store_t *store;
    int rc = hp_store_create(&store, loop, folder, err);
    if (rc != 0)
        return rc;
    sqlite_t *self = hp_alloc(sizeof *self);
    self->store = store;
    self->backend = (hp_hub_backend_t){.join = join,
                                       .leave = leave,
                                       .prune = prune,
                                       .put_piece = put_piece,
                                       .get_piece = get_piece,
                                       .remove_list = remove_list,
                                       .tags = tags,
                                       .have = have,
                                       .counts = counts,
                                       .destroy = destroy};
    *backend = &self->backend;
    return 0;
}
