/* Layers of hash trees for clients, piece by piece.
 *
 * The layer of a download's chunk size stands in the store (the kept layer). A reader of that layer gets runs
 * of it; a coarser one is folded from runs of it; a finer one is computed from runs of the file, and every
 * run is folded up to the kept layer and compared with it before it is given away. A file that has no kept
 * layer (of at most one chunk) is one run, which is compared with the root. So a reader costs a few hundred
 * bytes while it waits, and nothing has to be held from its start to its end.
 *
 * How many pieces are made at a time is limited, in two queues: those that only the store and some hashing
 * are needed for, and those that a file is read for, one at a time, so that a client that asks for many costs
 * the others little. A reader goes to the end of its queue after every piece. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "pool/pool.h"
#include "share/merkle.h"
#include "share/state.h"

#define PIECE_DIGESTS 2048     /* of a piece, as a rule: 64 KiB */
#define RUN_DIGESTS   65536    /* at most behind one piece: 2 MiB */
#define RUN_BYTES     33554432 /* of a file, read for one piece, as a rule */
#define READ_SIZE     1048576  /* read and hashed in one go */
#define STORED_MAX    4        /* pieces from the store that are made at a time */
#define READ_MAX      1        /* the same from files */

struct hp_layer {
    hp_layer_t *next; /* in its queue */
    hp_share_t *share;
    uint8_t root[HP_SHARED_ROOT_SIZE];
    uint64_t size, chunk;
    hp_shared_content_t content;
    uint64_t count, at; /* digests in all, and given away */
    int status;
    hp_place_t *place; /* while it is read from */
    hp_layer_open_fn opened;
    hp_layer_next_fn done;
    void *arg;
    uint8_t *digests;             /* the piece, piece of them when it is made */
    uint64_t piece;               /* digests in it */
    uint8_t *kept;                /* a run of the kept layer, NULL when it is not needed */
    uint64_t kept_at, kept_count; /* its place */
};

typedef struct hp_layer_queue {
    hp_layer_t *first, *last;
    unsigned active, max;
} queue_t;

struct hp_layers {
    queue_t stored, read;
};

static uint64_t file_size(const hp_layer_t *self)
{
    return self->content.file.identity.size;
}

/* ---- which piece comes next ---- */

static bool is_root_alone(const hp_layer_t *self)
{
    return self->chunk >= file_size(self);
}

/* Whether it has to be computed from the file. */
static bool is_finer(const hp_layer_t *self)
{
    return !is_root_alone(self) && (self->content.count == 0 || self->chunk < self->content.chunk_size);
}

/* How many digests of a finer layer have to be there to be compared with something. */
static uint64_t least_digests(const hp_layer_t *self)
{
    return self->content.count > 0 ? self->content.chunk_size / self->chunk : self->count;
}

/* Sets the next piece, and the run of the kept layer that it is made from or compared with. */
static void plan_piece(hp_layer_t *self)
{
    uint64_t most = PIECE_DIGESTS, kept = self->content.chunk_size;
    bool needs_kept = self->content.count > 0 && !is_root_alone(self);
    if (is_finer(self))
        most = HP_MAX(least_digests(self), HP_MIN(most, RUN_BYTES / self->chunk));
    else if (needs_kept)
        most = HP_MAX(HP_MIN(most, RUN_DIGESTS / (self->chunk / kept)), 1u);
    self->piece = HP_MIN(most, self->count - self->at);
    self->kept_at = self->kept_count = 0;
    if (!needs_kept)
        return;
    bool finer = self->chunk < kept;
    uint64_t ratio = finer ? kept / self->chunk : self->chunk / kept;
    self->kept_at = finer ? self->at / ratio : self->at * ratio;
    uint64_t wanted = finer ? (self->piece + ratio - 1) / ratio : self->piece * ratio;
    self->kept_count = HP_MIN(wanted, self->content.count - self->kept_at);
}

/* ---- the ends of a piece ---- */

static void start_pieces(hp_share_t *share, queue_t *queue);

static queue_t *queue_of(const hp_layer_t *self)
{
    return is_finer(self) ? &self->share->layers->read : &self->share->layers->stored;
}

/* Tells the reader, who may close the layer. */
static void deliver(hp_layer_t *self)
{
    hp_share_t *share = self->share;
    hp_layer_next_fn done = self->done;
    uint8_t *digests = self->digests;
    if (share->closing)
        self->status = UV_ECANCELED;
    free(self->kept);
    self->kept = self->digests = NULL;
    hp_place_release(self->place);
    self->place = NULL;
    self->done = NULL;
    if (self->status == 0)
        self->at += self->piece;
    done(self->arg, self->status, self->status == 0 ? digests : NULL,
         self->status == 0 ? (size_t)self->piece : 0);
    free(digests);
    hp_pending_drop(&share->pending);
}

static void finish_piece(hp_layer_t *self)
{
    hp_share_t *share = self->share;
    queue_t *queue = queue_of(self);
    if (self->status == HP_E_NOT_FOUND && is_finer(self) && !share->closing)
        hp_index_look(share->index, self->content.file.path, false); /* the index is behind */
    hp_pending_add(&share->pending);
    queue->active--;
    deliver(self);
    start_pieces(share, queue);
    hp_pending_drop(&share->pending);
}

/* ---- from the kept layer ---- */

static int fold_work(void *arg, hp_err_t *err)
{
    hp_layer_t *self = arg;
    (void)err; /* the code says it all */
    uint64_t left = hp_merkle_fold_run(self->kept, self->kept_count, self->content.chunk_size, self->chunk,
                                       file_size(self));
    if (left != self->piece)
        self->status = HP_E_NOT_FOUND; /* what is kept does not fit its file */
    else
        memcpy(self->digests, self->kept, self->piece * HP_SHARED_ROOT_SIZE);
    return self->status;
}

/* ---- from the file ---- */

static int check_identity(int fd, const hp_shared_identity_t *identity)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    hp_shared_identity_t now = hp_place_identity(&st);
    return memcmp(&now, identity, sizeof now) == 0 ? 0 : HP_E_NOT_FOUND;
}

static int open_file(const hp_layer_t *self, int *fd)
{
    struct stat st;
    hp_place_at_t at = HP_PLACE_NOWHERE;
    int rc = hp_place_open_file(self->place, &at, self->content.file.path, fd, &st);
    hp_place_leave(&at);
    return rc == HP_E_FORBIDDEN ? HP_E_NOT_FOUND : rc;
}

/* All of the bytes, or HP_E_NOT_FOUND when the file is shorter now. */
static int read_bytes(int fd, uint8_t *buffer, size_t length, uint64_t offset)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = pread(fd, buffer + done, length - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return HP_E_NOT_FOUND;
        done += (size_t)n;
    }
    return 0;
}

/* The piece's digests from the bytes under it. Where a chunk is more than what is read in one go, the nodes
 * of the steps are gathered first. */
static int hash_run(hp_layer_t *self, int fd)
{
    uint64_t size = file_size(self), offset = self->at * self->chunk;
    uint64_t end = HP_MIN(offset + self->piece * self->chunk, size);
    uint64_t step = HP_MIN(self->chunk, (uint64_t)READ_SIZE);
    size_t count = 0, room = (size_t)((end - offset + step - 1) / step) + 1;
    uint8_t *nodes = hp_alloc_array(room, HP_SHARED_ROOT_SIZE), *buffer = hp_alloc(READ_SIZE);
    uint8_t leaves[(READ_SIZE / HP_LEAF_SIZE + 1) * HP_SHARED_ROOT_SIZE];
    int rc = 0;
    while (offset < end && rc == 0) {
        size_t length = (size_t)HP_MIN(end - offset, (uint64_t)READ_SIZE);
        rc = atomic_load_explicit(&self->share->cancelled, memory_order_relaxed)
                 ? UV_ECANCELED
                 : read_bytes(fd, buffer, length, offset);
        if (rc != 0)
            break;
        hp_sha256_blocks(buffer, length, leaves);
        uint64_t left =
            hp_merkle_fold_run(leaves, (length + HP_LEAF_SIZE - 1) / HP_LEAF_SIZE, HP_LEAF_SIZE, step, size);
        memcpy(nodes + count * HP_SHARED_ROOT_SIZE, leaves, left * HP_SHARED_ROOT_SIZE);
        count += (size_t)left;
        offset += length;
    }
    if (rc == 0 && hp_merkle_fold_run(nodes, count, step, self->chunk, size) == self->piece)
        memcpy(self->digests, nodes, self->piece * HP_SHARED_ROOT_SIZE);
    else if (rc == 0)
        rc = HP_E_NOT_FOUND;
    free(buffer);
    free(nodes);
    return rc;
}

/* Whether the digests lead to the kept layer, or to the root where none is kept. */
static bool is_right(const hp_layer_t *self)
{
    const uint64_t whole = UINT64_C(1) << 62;
    uint64_t to = self->content.count > 0 ? self->content.chunk_size : whole;
    uint8_t *nodes = hp_alloc_array(self->piece + 1, HP_SHARED_ROOT_SIZE);
    memcpy(nodes, self->digests, self->piece * HP_SHARED_ROOT_SIZE);
    uint64_t left = hp_merkle_fold_run(nodes, self->piece, self->chunk, to, file_size(self));
    const uint8_t *expected = self->content.count > 0 ? self->kept : self->root;
    uint64_t expected_count = self->content.count > 0 ? self->kept_count : 1;
    bool right = left == expected_count && memcmp(nodes, expected, left * HP_SHARED_ROOT_SIZE) == 0;
    free(nodes);
    return right;
}

static int read_work(void *arg, hp_err_t *err)
{
    hp_layer_t *self = arg;
    (void)err; /* the code says it all */
    int fd, rc = open_file(self, &fd);
    if (rc == 0) {
        rc = check_identity(fd, &self->content.file.identity);
        if (rc == 0)
            rc = hash_run(self, fd);
        close(fd);
    }
    if (rc == 0 && !is_right(self))
        rc = HP_E_NOT_FOUND;
    return rc;
}

/* ---- the way of a piece ---- */

static void on_worked(void *arg, int status, const hp_err_t *err)
{
    hp_layer_t *self = arg;
    (void)err;
    self->status = status;
    finish_piece(self);
}

static int kept_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_layer_t *self = arg;
    if (self->kept_count == 0)
        return 0;
    self->kept = hp_alloc_array(self->kept_count + 1, HP_SHARED_ROOT_SIZE); /* one more, for folding */
    return hp_shared_layer_read(db, self->root, self->kept_at, self->kept_count, self->kept, err);
}

static void on_kept(void *arg, int status, const hp_err_t *err)
{
    hp_layer_t *self = arg;
    (void)err; /* the caller gets the code */
    self->status = status;
    if (status != 0 || self->share->closing) {
        finish_piece(self);
        return;
    }
    self->digests = hp_alloc_array(self->piece, HP_SHARED_ROOT_SIZE);
    if (is_finer(self)) {
        self->place = hp_place_addref(self->share->place);
        hp_pool_post(self->share->loop, &self->share->pending, read_work, on_worked, self);
    } else if (is_root_alone(self)) {
        memcpy(self->digests, self->root, HP_SHARED_ROOT_SIZE);
        finish_piece(self);
    } else if (self->chunk == self->content.chunk_size) {
        memcpy(self->digests, self->kept, self->piece * HP_SHARED_ROOT_SIZE);
        finish_piece(self);
    } else {
        hp_pool_post(self->share->loop, &self->share->pending, fold_work, on_worked, self);
    }
}

static void start_pieces(hp_share_t *share, queue_t *queue)
{
    while (queue->first != NULL && (queue->active < queue->max || share->closing)) {
        hp_layer_t *layer = queue->first;
        queue->first = layer->next;
        layer->next = NULL;
        if (queue->first == NULL)
            queue->last = NULL;
        if (share->closing) {
            deliver(layer);
            continue;
        }
        queue->active++;
        hp_store_post(share->store, HP_STORE_READ, kept_work, on_kept, layer);
    }
}

void hp_layer_next(hp_layer_t *self, hp_layer_next_fn done, void *arg)
{
    hp_share_t *share = self->share;
    queue_t *queue = queue_of(self);
    self->done = done;
    self->arg = arg;
    self->status = 0;
    plan_piece(self);
    hp_pending_add(&share->pending);
    if (share->closing) { /* the store's answer ends it */
        queue->active++;
        hp_store_post(share->store, HP_STORE_READ, kept_work, on_kept, self);
        return;
    }
    if (queue->last != NULL)
        queue->last->next = self;
    else
        queue->first = self;
    queue->last = self;
    start_pieces(share, queue);
}

/* ---- life ---- */

static int find_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    hp_layer_t *self = arg;
    return self->status == 0 ? hp_shared_find(db, self->root, self->size, &self->content, err) : self->status;
}

static void on_found(void *arg, int status, const hp_err_t *err)
{
    hp_layer_t *self = arg;
    hp_share_t *share = self->share;
    (void)err; /* the caller gets the code */
    if (share->closing)
        status = UV_ECANCELED;
    if (status == 0) {
        self->count = is_root_alone(self) ? 1 : hp_merkle_layer_count(file_size(self), self->chunk);
        if (is_finer(self) && least_digests(self) > RUN_DIGESTS)
            status = HP_E_INVALID;
    }
    self->opened(self->arg, status, status == 0 ? self : NULL, self->count);
    if (status != 0)
        hp_layer_close(self);
    hp_pending_drop(&share->pending);
}

void hp_layer_open(hp_share_t *share, const char *root, uint64_t size, uint64_t chunk, hp_layer_open_fn done,
                   void *arg)
{
    hp_layer_t *self = hp_alloc(sizeof *self);
    self->share = share;
    self->size = size;
    self->chunk = chunk;
    self->opened = done;
    self->arg = arg;
    if (!hp_merkle_chunk_valid(chunk))
        self->status = HP_E_INVALID;
    else if (hp_hex_decode(root, self->root, HP_SHARED_ROOT_SIZE) != 0)
        self->status = HP_E_NOT_FOUND;
    hp_pending_add(&share->pending);
    hp_store_post(share->store, HP_STORE_READ, find_work, on_found, self);
}

void hp_layer_close(hp_layer_t *self)
{
    hp_shared_content_dispose(&self->content);
    free(self);
}

hp_layers_t *hp_layers_create(void)
{
    hp_layers_t *self = hp_alloc(sizeof *self);
    self->stored.max = STORED_MAX;
    self->read.max = READ_MAX;
    return self;
}

void hp_layers_free(hp_layers_t *self)
{
    free(self);
}
