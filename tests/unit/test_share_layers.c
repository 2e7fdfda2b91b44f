// libs: share store db os base
/* Layers of hash trees: right, at every chunk size, whole or in pieces, and never those of other bytes. */
#include "test_share.h"

#include "share/merkle.h"

typedef struct layer {
    bool done;
    int status;
    uint8_t *digests;
    size_t count;
} layer_t;

static void on_layer(void *arg, int status, uint8_t *digests, size_t count)
{
    *(layer_t *)arg = (layer_t){.done = true, .status = status, .digests = digests, .count = count};
}

static int layer_status(fixture_t *f, const char *root, uint64_t chunk)
{
    layer_t l = {0};
    read_whole_layer(f->share, root, 0, chunk, on_layer, &l);
    WAIT_FOR(f, l.done);
    free(l.digests);
    return l.status;
}

static uint8_t *read_file(const fixture_t *f, const char *path, size_t size)
{
    uint8_t *bytes = hp_alloc(size);
    int fd = open(at(f, path), O_RDONLY);
    assert_int_equal(pread(fd, bytes, size, 0), size);
    close(fd);
    return bytes;
}

static void assert_layer(fixture_t *f, const char *path, size_t size, uint64_t chunk)
{
    layer_t l = {0};
    read_whole_layer(f->share, root_on_disk(f, path), size, chunk, on_layer, &l);
    WAIT_FOR(f, l.done);
    assert_int_equal(l.status, 0);
    uint8_t *bytes = read_file(f, path, size), want[32];
    if (size <= chunk) {
        assert_int_equal(l.count, 1);
        hp_hex_decode(root_on_disk(f, path), want, 32);
        assert_memory_equal(l.digests, want, 32);
    } else {
        assert_int_equal(l.count, (size + chunk - 1) / chunk);
        for (size_t i = 0; i < l.count; i++) {
            plain_node(bytes, size, i * chunk, chunk, want);
            assert_memory_equal(l.digests + i * 32, want, 32);
        }
    }
    free(bytes);
    free(l.digests);
}

static void layers_are_given_at_every_chunk_size(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "small", 100000, 1);
    make_file(f, "large", 19 * MIB + 7, 2);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    for (uint64_t chunk = 16384; chunk <= 64 * MIB; chunk *= 2) {
        assert_layer(f, "small", 100000, chunk);
        assert_layer(f, "large", 19 * MIB + 7, chunk);
    }
    assert_layer(f, "large", 19 * MIB + 7, (uint64_t)1 << 62);
    close_share(f);
}

/* The two top nodes of a tree are a file of 64 bytes with the same root. */
static void a_twin_of_another_size_has_its_own_layer(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "large", 4 * MIB, 2);
    uint8_t *bytes = read_file(f, "large", 4 * MIB), nodes[64];
    plain_node(bytes, 4 * MIB, 0, 2 * MIB, nodes);
    plain_node(bytes, 4 * MIB, 2 * MIB, 2 * MIB, nodes + 32);
    free(bytes);
    int fd = open(at(f, "a twin"), O_WRONLY | O_CREAT | O_EXCL, 0644);
    assert_int_equal(write(fd, nodes, sizeof nodes), sizeof nodes);
    close(fd);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    char root[65];
    snprintf(root, sizeof root, "%s", root_on_disk(f, "large"));
    assert_string_equal(root, root_on_disk(f, "a twin"));
    assert_layer(f, "large", 4 * MIB, 2 * MIB);
    assert_layer(f, "large", 4 * MIB, 16384);
    assert_layer(f, "a twin", 64, 2 * MIB);
    assert_layer(f, "a twin", 64, 16384);
    /* Who does not say the size wants a layer, and the twin has none. */
    layer_t l = {0};
    read_whole_layer(f->share, root, 0, 2 * MIB, on_layer, &l);
    WAIT_FOR(f, l.done);
    assert_int_equal(l.count, 2);
    assert_memory_equal(l.digests, nodes, sizeof nodes);
    free(l.digests);
    l = (layer_t){0};
    read_whole_layer(f->share, root, 65, 2 * MIB, on_layer, &l);
    WAIT_FOR(f, l.done);
    assert_int_equal(l.status, HP_E_NOT_FOUND);
    close_share(f);
}

static void stored_layers_need_no_file(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 5 * MIB, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    stop_hashing(f);
    char root[65];
    snprintf(root, sizeof root, "%s", root_on_disk(f, "x"));
    f->share->tuning.debounce = 3600000; /* the index does not hear of the removal */
    unlink(at(f, "x"));
    assert_int_equal(layer_status(f, root, MIB), 0);
    assert_int_equal(layer_status(f, root, 2 * MIB), 0);
    assert_int_equal(layer_status(f, root, 16384), HP_E_NOT_FOUND);
    close_share(f);
}

static void bad_requests_for_layers_are_refused(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 5 * MIB, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    const char *root = root_on_disk(f, "x");
    static const uint64_t bad[] = {0, 1, 8192, 16383, 16385, 49152, UINT64_MAX};
    for (size_t i = 0; i < HP_COUNT(bad); i++)
        assert_int_equal(layer_status(f, root, bad[i]), HP_E_INVALID);
    char other[65];
    memset(other, '0', 64);
    other[64] = '\0';
    assert_int_equal(layer_status(f, other, MIB), HP_E_NOT_FOUND);
    assert_int_equal(layer_status(f, "", MIB), HP_E_NOT_FOUND);
    assert_int_equal(layer_status(f, "../../etc/passwd", MIB), HP_E_NOT_FOUND);
    close_share(f);
}

static void the_layer_of_changed_bytes_is_never_given(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 5 * MIB, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    stop_hashing(f);
    char root[65];
    snprintf(root, sizeof root, "%s", root_on_disk(f, "x"));
    make_file(f, "x", 5 * MIB, 2);
    assert_int_equal(layer_status(f, root, 16384), HP_E_NOT_FOUND);
    WAIT_FOR(f, !is_hashed(f, "x"));
    assert_int_equal(layer_status(f, root, MIB), HP_E_NOT_FOUND);
    close_share(f);
}

/* As if the hole were hashed, whatever its root may be. */
static const uint8_t hole_root[32] = {1, 2, 3};

static int set_hole_root(hp_db_t *db, void *arg, hp_err_t *err)
{
    static const uint8_t digests[5120 * 32];
    hp_shared_change_t change = {0};
    return hp_shared_set_root(db, arg, hole_root, MIB, digests, 5120, &change, err);
}

static void a_layer_that_does_not_lead_to_the_kept_one_is_not_given(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    stop_hashing(f);
    int fd = open(at(f, "hole"), O_WRONLY | O_CREAT, 0644);
    struct stat st;
    assert_int_equal(ftruncate(fd, (off_t)5 << 30), 0);
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    start_share(f);
    hp_shared_identity_t identity = hp_place_identity(&st);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, set_hole_root, &identity, NULL), 0);
    char root[65];
    hp_hex_encode(hole_root, 32, root);
    assert_int_equal(layer_status(f, root, 16384), HP_E_NOT_FOUND);
    assert_int_equal(layer_status(f, root, MIB), 0);
    assert_int_equal(layer_status(f, root, (uint64_t)1 << 40), 0);
    close_share(f);
}

/* ---- layers in pieces ---- */

typedef struct reader {
    bool opened, done;
    int status;
    hp_layer_t *layer;
    uint64_t count, got;
    size_t piece;            /* digests in the last one */
    const uint8_t *expected; /* every digest; NULL: anything */
    bool wrong;
} reader_t;

static void on_reader_opened(void *arg, int status, hp_layer_t *layer, uint64_t count)
{
    reader_t *r = arg;
    r->opened = true;
    r->status = status;
    r->layer = layer;
    r->count = count;
}

static void on_reader_piece(void *arg, int status, const uint8_t *digests, size_t count)
{
    reader_t *r = arg;
    r->done = true;
    r->status = status;
    r->piece = count;
    r->got += count;
    for (size_t i = 0; i < count && r->expected != NULL; i++)
        r->wrong = r->wrong || memcmp(digests + i * 32, r->expected, 32) != 0;
}

static void open_reader(fixture_t *f, reader_t *r, const char *root, uint64_t chunk)
{
    *r = (reader_t){0};
    hp_layer_open(f->share, root, 0, chunk, on_reader_opened, r);
    assert_false(r->opened);
    WAIT_FOR(f, r->opened);
}

static void begin_piece(reader_t *r)
{
    r->done = false;
    hp_layer_next(r->layer, on_reader_piece, r);
    assert_false(r->done);
}

typedef struct huge {
    hp_shared_identity_t identity;
    uint8_t digests[65536 * 32], root[32];
} huge_t;

static int set_huge_root(hp_db_t *db, void *arg, hp_err_t *err)
{
    const huge_t *huge = arg;
    hp_shared_change_t change = {0};
    return hp_shared_set_root(db, &huge->identity, huge->root, 16 * MIB, huge->digests, 65536, &change, err);
}

/* The node over zeros. */
static void zero_node(uint64_t chunk, uint8_t out[32])
{
    uint8_t *zeros = hp_alloc(chunk);
    hp_merkle_chunk_digest(zeros, chunk, chunk, (uint64_t)1 << 40, out);
    free(zeros);
}

/* A hole of 1 TiB has 64 Mi digests at the finest layer: 2 GiB. */
static void a_layer_of_a_huge_file_comes_in_small_pieces(void **state)
{
    fixture_t *f = *state;
    huge_t *huge = hp_alloc(sizeof *huge);
    const uint64_t size = (uint64_t)1 << 40;
    uint8_t leaf[32], gib[32];
    open_share(f);
    stop_hashing(f);
    int fd = open(at(f, "hole"), O_WRONLY | O_CREAT, 0644);
    struct stat st;
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    huge->identity = hp_place_identity(&st);
    for (size_t i = 0; i < 65536; i++)
        i == 0 ? zero_node(16 * MIB, huge->digests) : memcpy(huge->digests + i * 32, huge->digests, 32);
    assert_int_equal(hp_merkle_root_from_layer(huge->digests, 65536, 16 * MIB, size, huge->root), 0);
    assert_int_equal(hp_merkle_root_from_layer(huge->digests, 64, 16 * MIB, (uint64_t)1 << 30, gib), 0);
    zero_node(16384, leaf);
    start_share(f);
    assert_int_equal(hp_store_run_now(f->store, HP_STORE_WRITE, set_huge_root, huge, NULL), 0);
    char root[65];
    hp_hex_encode(huge->root, 32, root);

    static const struct {
        uint64_t chunk;
        size_t piece;
    } layers[] = {{16384, 2048}, {4 * MIB, 8}, {16 * MIB, 2048}, {32 * MIB, 2048}, {1024 * MIB, 1024}};
    for (size_t i = 0; i < HP_COUNT(layers); i++) {
        reader_t r;
        open_reader(f, &r, root, layers[i].chunk);
        assert_int_equal(r.status, 0);
        assert_int_equal(r.count, size / layers[i].chunk);
        uint8_t node[32];
        zero_node(HP_MIN(layers[i].chunk, 32 * MIB), node);
        r.expected = layers[i].chunk == 1024 * MIB ? gib : node;
        for (int k = 0; k < 2 && r.got < r.count; k++) {
            begin_piece(&r);
            WAIT_FOR(f, r.done);
            assert_int_equal(r.status, 0);
            assert_int_equal(r.piece, layers[i].piece);
            assert_false(r.wrong);
        }
        hp_layer_close(r.layer);
    }

    /* Many at once: each gets its turn. */
    enum { READERS = 30 };
    static reader_t readers[READERS];
    for (size_t i = 0; i < READERS; i++) {
        open_reader(f, &readers[i], root, 16384);
        readers[i].expected = leaf;
        begin_piece(&readers[i]);
    }
    for (size_t i = 0; i < READERS; i++) {
        WAIT_FOR(f, readers[i].done);
        assert_int_equal(readers[i].status, 0);
        assert_int_equal(readers[i].got, 2048);
        assert_false(readers[i].wrong);
        hp_layer_close(readers[i].layer);
    }
    close_share(f);
    free(huge);
}

static void a_layer_ends_where_the_file_changes(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 70 * MIB, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    char root[65];
    snprintf(root, sizeof root, "%s", root_on_disk(f, "x"));
    f->share->tuning.debounce = 3600000; /* the index does not hear of it */
    reader_t r;
    open_reader(f, &r, root, 16384);
    assert_int_equal(r.count, 70 * 64);
    begin_piece(&r);
    WAIT_FOR(f, r.done);
    assert_int_equal(r.piece, 2048);
    int fd = open(at(f, "x"), O_WRONLY);
    assert_int_equal(pwrite(fd, "y", 1, (off_t)(50 * MIB)), 1);
    close(fd);
    begin_piece(&r);
    WAIT_FOR(f, r.done);
    assert_int_equal(r.status, HP_E_NOT_FOUND);
    hp_layer_close(r.layer);
    close_share(f);
}

static void readers_are_told_when_the_share_ends(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 40 * MIB, 1);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    char root[65];
    snprintf(root, sizeof root, "%s", root_on_disk(f, "x"));
    static reader_t readers[20];
    for (size_t i = 0; i < HP_COUNT(readers); i++)
        open_reader(f, &readers[i], root, i % 2 == 0 ? 16384 : MIB);
    for (size_t i = 0; i + 1 < HP_COUNT(readers); i++)
        begin_piece(&readers[i]);
    f->closed = false;
    hp_share_destroy(f->share, on_fixture_closed, f);
    begin_piece(&readers[HP_COUNT(readers) - 1]);
    WAIT_FOR(f, f->closed);
    for (size_t i = 0; i < HP_COUNT(readers); i++) {
        assert_true(readers[i].done);
        assert_int_equal(readers[i].status, UV_ECANCELED);
        hp_layer_close(readers[i].layer);
    }
    f->closed = false;
    hp_store_destroy(f->store, on_fixture_closed, f);
    WAIT_FOR(f, f->closed);
    while (uv_run(&f->loop, UV_RUN_DEFAULT) != 0)
        continue;
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void many_requests_for_a_computed_layer_are_all_answered(void **state)
{
    fixture_t *f = *state;
    open_share(f);
    make_file(f, "x", 20 * MIB, 1);
    make_file(f, "y", 20 * MIB, 2);
    start_share(f);
    WAIT_FOR(f, all_hashed(f));
    char x[65], y[65];
    snprintf(x, sizeof x, "%s", root_on_disk(f, "x"));
    snprintf(y, sizeof y, "%s", root_on_disk(f, "y"));
    enum { REQUESTS = 80 };
    static layer_t layers[REQUESTS];
    memset(layers, 0, sizeof layers);
    for (size_t i = 0; i < REQUESTS; i++)
        read_whole_layer(f->share, i % 2 == 0 ? x : y, 0, i % 4 < 2 ? 16384 : 65536, on_layer, &layers[i]);
    for (size_t i = 0; i < REQUESTS; i++) {
        WAIT_FOR(f, layers[i].done);
        assert_int_equal(layers[i].status, 0);
        assert_int_equal(layers[i].count, 20 * MIB / (i % 4 < 2 ? 16384 : 65536));
        free(layers[i].digests);
    }
    close_share(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, drop_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(layers_are_given_at_every_chunk_size),
        TEST(a_twin_of_another_size_has_its_own_layer),
        TEST(stored_layers_need_no_file),
        TEST(bad_requests_for_layers_are_refused),
        TEST(the_layer_of_changed_bytes_is_never_given),
        TEST(a_layer_that_does_not_lead_to_the_kept_one_is_not_given),
        TEST(a_layer_of_a_huge_file_comes_in_small_pieces),
        TEST(a_layer_ends_where_the_file_changes),
        TEST(readers_are_told_when_the_share_ends),
        TEST(many_requests_for_a_computed_layer_are_all_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
