/* Layers of hash trees for clients. The layer of a download's chunk size stands in the store, and coarser
 * ones are folded from it. A finer one is computed from the file: one file at a time, a piece of it at a
 * time, so that a client that asks for many costs the others little; and it is given away only when it leads
 * to the root that was asked for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "share/merkle.h"
#include "share/state.h"

#define DIGESTS_MAX 262144   /* of a layer that is computed: 8 MiB, 4 GiB of file at 16 KiB a chunk */
#define WAITING_MAX 64       /* requests for layers that have to be computed */
#define READ_SIZE   1048576  /* read and hashed in one go */
#define PIECE       16777216 /* in one trip to the pool */

typedef struct request {
    struct request *next;
    hp_share_t *share;
    uv_work_t work;
    uint64_t size, chunk;
    hp_share_layer_fn done;
    void *arg;
    int status;
    uint8_t root[HP_SHARED_ROOT_SIZE];
    hp_shared_content_t content;
    uint8_t *digests; /* the answer */
    uint64_t count;
} request_t;

/* A file that is being read for all requests of the same layer. */
struct hp_layers {
    hp_share_t *share;
    request_t *first, *last; /* waiting, and at the front those being served */
    size_t waiting;
    bool working;
    uv_work_t work;
    hp_merkle_t tree;
    int fd;
    int status;
    bool over;
    uint8_t *buffer;
};

static void answer(request_t *self)
{
    hp_share_t *share = self->share;
    if (share->closing)
        self->status = UV_ECANCELED;
    if (self->status != 0) {
        free(self->digests);
        self->digests = NULL;
        self->count = 0;
    }
    self->done(self->arg, self->status, self->digests, (size_t)self->count);
    hp_shared_content_dispose(&self->content);
    free(self);
    hp_share_let_go(share);
}

/* ---- finer layers: reading the file ---- */

static void free_reading(hp_layers_t *self)
{
    hp_merkle_dispose(&self->tree);
    if (self->fd >= 0)
        close(self->fd);
    free(self->buffer);
    self->buffer = NULL;
    self->fd = -1;
}

static int check_identity(int fd, const hp_shared_identity_t *identity)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    hp_shared_identity_t now = hp_place_identity(&st);
    return memcmp(&now, identity, sizeof now) == 0 ? 0 : HP_E_NOT_FOUND;
}

static int begin_reading(hp_layers_t *self, const request_t *request)
{
    const hp_shared_row_t *file = &request->content.file;
    struct stat st;
    int folder = hp_place_open(&self->share->place);
    if (folder < 0)
        return folder;
    int rc = hp_place_open_file(&self->share->place, folder, file->path, &self->fd, &st);
    close(folder);
    if (rc == 0)
        rc = check_identity(self->fd, &file->identity);
    if (rc != 0)
        return rc == HP_E_FORBIDDEN ? HP_E_NOT_FOUND : rc;
    hp_merkle_init(&self->tree, file->identity.size, request->chunk);
    self->buffer = hp_alloc(READ_SIZE);
    return 0;
}

static ssize_t read_some(hp_layers_t *self)
{
    size_t done = 0;
    while (done < READ_SIZE) {
        ssize_t n = pread(self->fd, self->buffer + done, READ_SIZE - done, (off_t)(self->tree.added + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int read_piece(hp_layers_t *self)
{
    for (size_t done = 0; done < PIECE && self->tree.added < self->tree.file_size; done += READ_SIZE) {
        if (atomic_load_explicit(&self->share->cancelled, memory_order_relaxed))
            return UV_ECANCELED;
        ssize_t n = read_some(self);
        uint64_t left = self->tree.file_size - self->tree.added;
        if (n < 0)
            return (int)n;
        if (((uint64_t)n < left && n < READ_SIZE) || hp_merkle_add(&self->tree, self->buffer, (size_t)n) != 0)
            return HP_E_NOT_FOUND; /* the file has changed its size */
    }
    return 0;
}

static void read_work(uv_work_t *work)
{
    hp_layers_t *self = work->data;
    const request_t *request = self->first;
    uint8_t root[HP_SHARED_ROOT_SIZE];
    int rc = self->buffer == NULL ? begin_reading(self, request) : 0;
    if (rc == 0)
        rc = read_piece(self);
    self->over = rc != 0 || self->tree.added == self->tree.file_size;
    if (rc == 0 && self->over)
        rc = check_identity(self->fd, &request->content.file.identity);
    if (rc == 0 && self->over &&
        (hp_merkle_finish(&self->tree, root) != 0 || memcmp(root, request->root, sizeof root) != 0))
        rc = HP_E_NOT_FOUND;
    self->status = rc;
}

static void on_read(uv_work_t *work, int status);

static void go_on_reading(hp_layers_t *self)
{
    if (self->first == NULL)
        return;
    self->working = true;
    hp_share_hold(self->share);
    uv_queue_work(self->share->loop, &self->work, read_work, on_read);
}

static bool same_layer(const request_t *a, const request_t *b)
{
    return a->chunk == b->chunk && a->content.file.identity.size == b->content.file.identity.size &&
           memcmp(a->root, b->root, sizeof a->root) == 0;
}

/* Gives the request what was read, and takes it out of the count. */
static void answer_read(hp_layers_t *self, request_t *request)
{
    self->waiting--;
    request->status = self->status;
    if (self->status == 0) {
        request->count = self->tree.count;
        request->digests = hp_alloc_array(request->count, HP_SHARED_ROOT_SIZE);
        memcpy(request->digests, self->tree.layer, request->count * HP_SHARED_ROOT_SIZE);
    }
    answer(request);
}

/* Answers the first request, for which the file was read, and all that ask for the same layer. */
static void answer_first(hp_layers_t *self)
{
    request_t *first = self->first, **link = &first->next;
    self->last = NULL;
    while (*link != NULL) {
        request_t *request = *link;
        if (same_layer(request, first)) {
            *link = request->next;
            answer_read(self, request);
        } else {
            self->last = request;
            link = &request->next;
        }
    }
    self->first = first->next;
    answer_read(self, first);
    free_reading(self);
}

static void on_read(uv_work_t *work, int status)
{
    hp_layers_t *self = work->data;
    hp_share_t *share = self->share;
    self->working = false;
    if (status != 0) {
        self->status = status;
        self->over = true;
    }
    if (share->closing)
        self->over = true;
    if (self->over) {
        if (self->status == HP_E_NOT_FOUND && !share->closing)
            hp_index_look(share->index, self->first->content.file.path, false); /* the index is behind */
        answer_first(self);
    }
    if (share->closing)
        while (self->first != NULL)
            answer_first(self);
    if (!self->working)
        go_on_reading(self);
    hp_share_let_go(share);
}

static void read_file(request_t *request)
{
    hp_layers_t *self = request->share->layers;
    if (hp_merkle_layer_count(request->content.file.identity.size, request->chunk) > DIGESTS_MAX)
        request->status = HP_E_INVALID;
    else if (self->waiting >= WAITING_MAX)
        request->status = HP_E_BUSY;
    if (request->status != 0) {
        answer(request);
        return;
    }
    if (self->last != NULL)
        self->last->next = request;
    else
        self->first = request;
    self->last = request;
    self->waiting++;
    if (!self->working)
        go_on_reading(self);
}

/* ---- coarser layers: folding what is stored ---- */

static void fold_work(uv_work_t *work)
{
    request_t *self = work->data;
    const hp_shared_content_t *content = &self->content;
    uint64_t size = content->file.identity.size;
    self->count = hp_merkle_layer_count(size, self->chunk);
    self->digests = hp_alloc_array(self->count, HP_SHARED_ROOT_SIZE);
    if (hp_merkle_fold_layer(content->digests, content->count, content->chunk_size, self->chunk, size,
                             self->digests) != 0)
        self->status = HP_E_NOT_FOUND; /* what is stored does not fit its file */
}

static void on_folded(uv_work_t *work, int status)
{
    request_t *self = work->data;
    if (status != 0)
        self->status = status;
    answer(self);
}

/* ---- requests ---- */

static int find_work(hp_db_t *db, void *arg, hp_err_t *err)
{
    request_t *self = arg;
    return self->status == 0 ? hp_shared_find(db, self->root, self->size, &self->content, err) : self->status;
}

static void on_found(void *arg, int status, const hp_err_t *err)
{
    request_t *self = arg;
    hp_shared_content_t *content = &self->content;
    (void)err; /* the caller gets the code */
    self->status = status;
    if (status != 0 || self->share->closing) {
        answer(self);
        return;
    }
    if (self->chunk >= content->file.identity.size) {
        self->digests = hp_alloc(HP_SHARED_ROOT_SIZE);
        memcpy(self->digests, self->root, HP_SHARED_ROOT_SIZE);
        self->count = 1;
        answer(self);
    } else if (content->count > 0 && self->chunk == content->chunk_size) {
        self->digests = content->digests;
        self->count = content->count;
        content->digests = NULL;
        answer(self);
    } else if (content->count > 0 && self->chunk > content->chunk_size) {
        uv_queue_work(self->share->loop, &self->work, fold_work, on_folded);
    } else {
        read_file(self);
    }
}

void hp_share_layer(hp_share_t *share, const char *root, uint64_t size, uint64_t chunk,
                    hp_share_layer_fn done, void *arg)
{
    request_t *self = hp_alloc(sizeof *self);
    self->share = share;
    self->size = size;
    self->chunk = chunk;
    self->done = done;
    self->arg = arg;
    self->work.data = self;
    if (!hp_merkle_chunk_valid(chunk))
        self->status = HP_E_INVALID;
    else if (hp_hex_decode(root, self->root, HP_SHARED_ROOT_SIZE) != 0)
        self->status = HP_E_NOT_FOUND;
    hp_share_hold(share);
    hp_store_post(share->store, HP_STORE_READ, find_work, on_found, self);
}

hp_layers_t *hp_layers_create(hp_share_t *share)
{
    hp_layers_t *self = hp_alloc(sizeof *self);
    self->share = share;
    self->work.data = self;
    self->fd = -1;
    return self;
}

void hp_layers_free(hp_layers_t *self)
{
    free_reading(self);
    free(self);
}
