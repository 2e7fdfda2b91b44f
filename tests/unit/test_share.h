/* A share with a real loop, a real store and a temporary folder, for the tests of server/share. */
#ifndef HP_TEST_SHARE_FIXTURE_H
#define HP_TEST_SHARE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/path.h"
#include "share/share.h"
#include "share/state.h"
#include "store/store.h"

#define WAIT_MS 20000 /* for anything; a test that comes near it has failed */

typedef struct fixture {
    uv_loop_t loop;
    char *top;    /* temporary; below it: */
    char *folder; /* shared */
    char *data;
    hp_store_t *store;
    hp_share_t *share;
    unsigned changes; /* calls of on_change */
    bool closed;
} fixture_t;

__attribute__((unused)) static void on_fixture_change(void *arg)
{
    ((fixture_t *)arg)->changes++;
}

__attribute__((unused)) static void on_fixture_closed(void *arg)
{
    ((fixture_t *)arg)->closed = true;
}

__attribute__((unused)) static void on_nothing(uv_timer_t *timer)
{
    (void)timer;
}

/* Runs the loop until check says true. */
#define WAIT_FOR(f, check)                                                                                   \
    do {                                                                                                     \
        uint64_t wait_end_ = hp_clock_ms() + WAIT_MS;                                                        \
        uv_timer_t wait_timer_; /* turns the loop now and then */                                            \
        uv_timer_init(&(f)->loop, &wait_timer_);                                                             \
        uv_timer_start(&wait_timer_, on_nothing, 5, 5);                                                      \
        while (!(check) && hp_clock_ms() < wait_end_)                                                        \
            uv_run(&(f)->loop, UV_RUN_ONCE);                                                                 \
        uv_close((uv_handle_t *)&wait_timer_, NULL);                                                         \
        uv_run(&(f)->loop, UV_RUN_NOWAIT);                                                                   \
        if (!(check))                                                                                        \
            fail_msg("waited in vain for %s", #check);                                                       \
    } while (0)

/* ---- life ---- */

__attribute__((unused)) static void open_share(fixture_t *f)
{
    hp_err_t err = {0};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    if (hp_store_create(&f->store, &f->loop, f->data, &err) != 0)
        fail_msg("store: %s", hp_err_text(&err));
    if (hp_share_create(&f->share, &f->loop, f->store, f->folder, &err) != 0)
        fail_msg("share: %s", hp_err_text(&err));
    hp_share_on_change(f->share, on_fixture_change, f);
    f->share->tuning.debounce = 10;
    f->share->tuning.change = 10;
    f->share->tuning.check = 50;
    f->share->tuning.retry = 100;
    f->share->tuning.again_least = 50;
}

__attribute__((unused)) static void close_share(fixture_t *f)
{
    f->closed = false;
    hp_share_destroy(f->share, on_fixture_closed, f);
    WAIT_FOR(f, f->closed);
    f->closed = false;
    hp_store_destroy(f->store, on_fixture_closed, f);
    WAIT_FOR(f, f->closed);
    while (uv_run(&f->loop, UV_RUN_DEFAULT) != 0)
        continue;
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

__attribute__((unused)) static bool is_idle(fixture_t *f)
{
    return !f->share->scanning;
}

__attribute__((unused)) static void start_share(fixture_t *f)
{
    hp_share_start(f->share);
    WAIT_FOR(f, is_idle(f));
}

__attribute__((unused)) static void restart_share(fixture_t *f)
{
    close_share(f);
    open_share(f);
    start_share(f);
}

__attribute__((unused)) static int make_fixture(void **state)
{
    fixture_t *f = hp_alloc(sizeof *f);
    const char *tmp = getenv("TMPDIR");
    f->top = hp_sprintf("%s/hostpair-share-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(f->top) == NULL)
        return -1;
    f->folder = hp_sprintf("%s/shared", f->top);
    f->data = hp_sprintf("%s/data", f->top);
    mkdir(f->folder, 0755);
    *state = f;
    return 0;
}

__attribute__((unused)) static int remove_one(const char *path, const struct stat *st, int kind,
                                              struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

__attribute__((unused)) static int drop_fixture(void **state)
{
    fixture_t *f = *state;
    nftw(f->top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f->top);
    free(f->folder);
    free(f->data);
    free(f);
    return 0;
}

/* ---- the disk ---- */

/* A path below the shared folder; of static storage, the last four stay. */
__attribute__((unused)) static const char *at(const fixture_t *f, const char *path)
{
    static char buffers[4][8192];
    static unsigned next;
    char *buffer = buffers[next++ % 4];
    snprintf(buffer, sizeof buffers[0], "%s/%s", f->folder, path);
    return buffer;
}

__attribute__((unused)) static void make_dir(const fixture_t *f, const char *path)
{
    if (mkdir(at(f, path), 0755) != 0)
        fail_msg("mkdir %s: %s", path, strerror(errno));
}

/* A file of size bytes that depend on seed. */
__attribute__((unused)) static void make_file(const fixture_t *f, const char *path, size_t size,
                                              unsigned seed)
{
    int fd = open(at(f, path), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        fail_msg("open %s: %s", path, strerror(errno));
    uint8_t *bytes = hp_alloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((uint32_t)(i + seed) * 2654435761u >> 24);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, bytes + done, size - done);
        assert_true(n > 0);
        done += (size_t)n;
    }
    free(bytes);
    close(fd);
}

/* The root of a file by a plain recursion over its bytes; "" for an empty one. */
__attribute__((unused)) static void plain_node(const uint8_t *bytes, uint64_t size, uint64_t from,
                                               uint64_t span, uint8_t *out)
{
    unsigned n;
    if (span == 16384) {
        memset(out, 0, 32);
        if (from < size)
            EVP_Digest(bytes + from, size - from < span ? size - from : span, out, &n, EVP_sha256(), NULL);
        return;
    }
    uint8_t pair[64];
    plain_node(bytes, size, from, span / 2, pair);
    plain_node(bytes, size, from + span / 2, span / 2, pair + 32);
    EVP_Digest(pair, 64, out, &n, EVP_sha256(), NULL);
}

__attribute__((unused)) static const char *root_on_disk(const fixture_t *f, const char *path)
{
    static char hex[65];
    int fd = open(at(f, path), O_RDONLY);
    struct stat st;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    uint8_t *bytes = hp_alloc((size_t)st.st_size), root[32];
    assert_int_equal(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
    close(fd);
    uint64_t span = 16384;
    while (span < (uint64_t)st.st_size)
        span *= 2;
    plain_node(bytes, (uint64_t)st.st_size, 0, span, root);
    hp_hex_encode(root, 32, hex);
    free(bytes);
    return st.st_size > 0 ? hex : "";
}

/* ---- rows ---- */

typedef struct listing {
    bool done;
    int status;
    size_t count;
    struct {
        char path[4200], root[65];
        uint64_t size;
        int64_t mtime_ms;
    } rows[64];
} listing_t;

__attribute__((unused)) static void on_listing(void *arg, int status, const hp_share_row_t *rows,
                                               size_t count)
{
    listing_t *list = arg;
    list->done = true;
    list->status = status;
    list->count = count;
    for (size_t i = 0; i < count && i < 64; i++) {
        snprintf(list->rows[i].path, sizeof list->rows[i].path, "%s", rows[i].path);
        snprintf(list->rows[i].root, sizeof list->rows[i].root, "%s", rows[i].root);
        list->rows[i].size = rows[i].size;
        list->rows[i].mtime_ms = rows[i].mtime_ms;
    }
}

/* Of static storage, until the next call. */
__attribute__((unused)) static const listing_t *list(fixture_t *f)
{
    static listing_t result;
    memset(&result, 0, sizeof result);
    hp_share_rows(f->share, NULL, 64, on_listing, &result);
    WAIT_FOR(f, result.done);
    assert_int_equal(result.status, 0);
    return &result;
}

/* All paths, one after the other with a space between. */
__attribute__((unused)) static const char *paths(fixture_t *f)
{
    static char text[8192];
    const listing_t *l = list(f);
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < l->count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "", l->rows[i].path);
    return text;
}

/* The listed root of a path; "" unhashed, NULL not listed. */
__attribute__((unused)) static const char *listed_root(fixture_t *f, const char *path)
{
    const listing_t *l = list(f);
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->rows[i].path, path) == 0)
            return l->rows[i].root;
    return NULL;
}

__attribute__((unused)) static bool lists(fixture_t *f, const char *want)
{
    return strcmp(paths(f), want) == 0;
}

__attribute__((unused)) static bool is_hashed(fixture_t *f, const char *path)
{
    const char *root = listed_root(f, path);
    return root != NULL && root[0] != '\0';
}

__attribute__((unused)) static bool all_hashed(fixture_t *f)
{
    return f->share->totals.hashed_bytes == f->share->totals.bytes;
}

/* ---- opening ---- */

typedef struct opened {
    bool done;
    int status;
    uint64_t size;
    char root[65];
    char text[64]; /* the first bytes */
} opened_t;

__attribute__((unused)) static void on_fixture_open(void *arg, int status, const hp_share_file_t *file)
{
    opened_t *o = arg;
    o->done = true;
    o->status = status;
    if ((status == 0) != (file != NULL))
        fail_msg("status %d with file %p", status, (const void *)file);
    if (file == NULL)
        return;
    o->size = (uint64_t)file->stat.st_size;
    snprintf(o->root, sizeof o->root, "%s", file->root);
    if (pread(file->fd, o->text, sizeof o->text - 1, 0) < 0)
        o->status = -errno;
    close(file->fd);
}

__attribute__((unused)) static opened_t open_file(fixture_t *f, const char *path)
{
    opened_t o = {0};
    hp_share_open(f->share, path, on_fixture_open, &o);
    assert_false(o.done);
    WAIT_FOR(f, o.done);
    return o;
}

__attribute__((unused)) static int open_status(fixture_t *f, const char *path)
{
    return open_file(f, path).status;
}

/* ---- whole layers ---- */

typedef void (*whole_layer_fn)(void *arg, int status, uint8_t *digests, size_t count);

typedef struct whole {
    whole_layer_fn done;
    void *arg;
    hp_layer_t *layer;
    uint8_t *digests;
    size_t count, got;
} whole_t;

__attribute__((unused)) static void end_whole(whole_t *self, int status)
{
    if (self->layer != NULL)
        hp_layer_close(self->layer);
    if (status != 0) {
        free(self->digests);
        self->digests = NULL;
        self->count = 0;
    }
    self->done(self->arg, status, self->digests, self->count);
    free(self);
}

__attribute__((unused)) static void on_whole_piece(void *arg, int status, const uint8_t *digests,
                                                   size_t count)
{
    whole_t *self = arg;
    if (status == 0)
        memcpy(self->digests + self->got * 32, digests, count * 32);
    self->got += count;
    if (status != 0 || self->got == self->count)
        end_whole(self, status);
    else
        hp_layer_next(self->layer, on_whole_piece, self);
}

__attribute__((unused)) static void on_whole_opened(void *arg, int status, hp_layer_t *layer, uint64_t count)
{
    whole_t *self = arg;
    self->layer = layer;
    if (status != 0) {
        end_whole(self, status);
        return;
    }
    self->count = (size_t)count;
    self->digests = hp_alloc_array(self->count, 32);
    hp_layer_next(layer, on_whole_piece, self);
}

/* All of a layer in one go: 32 bytes a chunk, for done to free(). */
__attribute__((unused)) static void read_whole_layer(hp_share_t *share, const char *root, uint64_t size,
                                                     uint64_t chunk, whole_layer_fn done, void *arg)
{
    whole_t *self = hp_alloc(sizeof *self);
    self->done = done;
    self->arg = arg;
    hp_layer_open(share, root, size, chunk, on_whole_opened, self);
}

/* ---- hashing ---- */

#define MIB ((size_t)1 << 20)

/* Nothing is hashed from here on. */
static inline void stop_hashing(fixture_t *f)
{
    f->share->tuning.settle = f->share->tuning.settle_coarse = 3600000;
}

#endif
