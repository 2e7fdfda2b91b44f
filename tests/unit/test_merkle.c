// libs: share os base
/* Hash trees against a plain recursive implementation that shares no code with ours, and against
 * libtorrent 2.0.8: the constants below come from torrents that it made of the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/path.h"
#include "share/merkle.h"

#define MIB   ((size_t)1 << 20)
#define BYTES (9 * MIB)

static uint8_t *bytes;

static int fill(void **state)
{
    (void)state;
    bytes = malloc(BYTES);
    for (size_t i = 0; bytes != NULL && i < BYTES; i++)
        bytes[i] = (uint8_t)((uint32_t)i * 2654435761u >> 24);
    return bytes == NULL;
}

static int empty(void **state)
{
    (void)state;
    free(bytes);
    return 0;
}

/* ---- the plain implementation ---- */

static void plain_digest(const void *data, size_t length, uint8_t *out)
{
    unsigned n;
    assert_int_equal(EVP_Digest(data, length, out, &n, EVP_sha256(), NULL), 1);
}

/* The node over span bytes from `from` (a power of two times 16 KiB) of a file of size bytes. */
static void plain_node(uint64_t size, uint64_t from, uint64_t span, uint8_t *out)
{
    if (span == HP_LEAF_SIZE) {
        memset(out, 0, 32);
        if (from < size)
            plain_digest(bytes + from, size - from < span ? size - from : span, out);
        return;
    }
    uint8_t pair[64];
    plain_node(size, from, span / 2, pair);
    plain_node(size, from + span / 2, span / 2, pair + 32);
    plain_digest(pair, 64, out);
}

static void plain_root(uint64_t size, uint8_t *out)
{
    uint64_t span = HP_LEAF_SIZE;
    while (span < size)
        span *= 2;
    plain_node(size, 0, span, out);
}

/* Returns the number of digests. */
static size_t plain_layer(uint64_t size, uint64_t chunk, uint8_t *out)
{
    if (size <= chunk) {
        plain_root(size, out);
        return 1;
    }
    size_t count = 0;
    for (uint64_t from = 0; from < size; from += chunk)
        plain_node(size, from, chunk, out + 32 * count++);
    return count;
}

/* ---- ours, all ways to a layer ---- */

static size_t layer_by_chunks(uint64_t size, uint64_t chunk, uint8_t *out)
{
    size_t count = 0;
    for (uint64_t from = 0; from < size; from += chunk)
        hp_merkle_chunk_digest(bytes + from, size - from < chunk ? size - from : chunk, chunk, size,
                               out + 32 * count++);
    return count;
}

static size_t layer_by_stream(uint64_t size, uint64_t chunk, size_t piece, uint8_t *out, uint8_t *root)
{
    hp_merkle_t tree;
    hp_merkle_init(&tree, size, chunk);
    for (uint64_t from = 0; from < size; from += piece)
        assert_int_equal(hp_merkle_add(&tree, bytes + from, size - from < piece ? size - from : piece), 0);
    assert_int_equal(hp_merkle_finish(&tree, root), 0);
    size_t count = tree.count;
    memcpy(out, tree.layer, count * 32);
    hp_merkle_dispose(&tree);
    return count;
}

static const uint64_t sizes[] = {1,           100,         16383,       16384,   16385,   32767,
                                 32768,       32769,       49152,       65536,   65537,   100000,
                                 MIB / 2,     MIB / 2 + 1, MIB - 1,     MIB,     MIB + 1, 2 * MIB,
                                 2 * MIB + 1, 3 * MIB + 5, 4 * MIB - 1, 4 * MIB, 5 * MIB, 8 * MIB + 16384};
static const uint64_t chunks[] = {16384,   32768,   65536,    MIB / 2,          MIB,
                                  2 * MIB, 4 * MIB, 16 * MIB, (uint64_t)1 << 40};

static void every_layer_of_every_size_matches_the_plain_tree(void **state)
{
    (void)state;
    static uint8_t want[600 * 32], have[600 * 32];
    uint8_t root[32], other[32];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        plain_root(sizes[s], root);
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            size_t count = plain_layer(sizes[s], chunks[c], want);
            assert_int_equal(hp_merkle_layer_count(sizes[s], chunks[c]), count);
            assert_int_equal(layer_by_chunks(sizes[s], chunks[c], have), count);
            assert_memory_equal(have, want, count * 32);
            assert_int_equal(hp_merkle_root_from_layer(want, count, chunks[c], sizes[s], other), 0);
            assert_memory_equal(other, root, 32);
            static const size_t pieces[] = {16384, 81920, MIB, 3 * MIB};
            for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
                memset(have, 0, sizeof have);
                assert_int_equal(layer_by_stream(sizes[s], chunks[c], pieces[p], have, other), count);
                assert_memory_equal(have, want, count * 32);
                assert_memory_equal(other, root, 32);
            }
        }
    }
}

static void a_finer_layer_folds_to_every_coarser_one(void **state)
{
    (void)state;
    static uint8_t fine[600 * 32], want[600 * 32], have[601 * 32];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (size_t from = 0; from < sizeof chunks / sizeof *chunks; from++) {
            size_t count = plain_layer(sizes[s], chunks[from], fine);
            for (size_t to = from; to < sizeof chunks / sizeof *chunks; to++) {
                size_t left = plain_layer(sizes[s], chunks[to], want);
                assert_int_equal(hp_merkle_fold_layer(fine, count, chunks[from], chunks[to], sizes[s], have),
                                 0);
                assert_memory_equal(have, want, left * 32);
            }
            memcpy(have, fine, count * 32); /* in place */
            assert_int_equal(
                hp_merkle_fold_layer(have, count, chunks[from], (uint64_t)1 << 40, sizes[s], have), 0);
            plain_root(sizes[s], want);
            assert_memory_equal(have, want, 32);
        }
    }
}

/* Made by libtorrent: size, root, the layer's last digest and the digest of the whole layer, at 16 KiB and at
 * 1 MiB; "" where the file has only one chunk and so no layer in a torrent. */
static const struct {
    uint64_t size;
    const char *root, *leaves_last, *leaves_all, *mib_last, *mib_all;
} libtorrent[] = {
    {1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "", "", "", ""},
    {16383, "fefe0b8c9dd5e32590241cb2fce06f56816d597062093f38fd990b95e7cd5a21", "", "", "", ""},
    {16384, "8d5a927da22402130e8b3197f1be29eba10ca80071426f10eed00cb5fa4c4cbb", "", "", "", ""},
    {16385, "2d66247c6787cceae3a9218e2d6f4099511b2e61ae0561a9757f5a7bd47a0d18",
     "7941cb07924fdc7b710e11d98d82850e89566e1c3cb980517ffe4b430f86dfd5",
     "2d66247c6787cceae3a9218e2d6f4099511b2e61ae0561a9757f5a7bd47a0d18", "", ""},
    {32769, "7cbe27e1e73cd8cc536f2e37488765cf69ccd329881eac6b65f3447f670b6518",
     "26e5bfe4b0686167e3e4e0aac40cbae03515171d375f91ea563c9c044e9c5cc7",
     "db4cdadf31f793aea16de059ab4cd4b79d991d383f7338d97a3b0664dc66f814", "", ""},
    {100000, "7810a6d39cd290110b79b510fabd4d6856998efb754045647061ba9b7485c60d",
     "4599d48f8daac5129af79bb7bc0ae172bc2baa4f0618c3714ab263b3b0766a34",
     "d45120a4f5f4f790338a6bbc2a3a108804db33312f427f55d6853d0d78fd3ac7", "", ""},
    {1048575, "05aa45f7634f5730a0be1b9ffafa67cd2ec859fe6015a367f35e1fd4e9962692",
     "ac0ea64b8ca8c595902a2878996382cf9e604f1a6a7def116efd1532d1f409ac",
     "30887bff7476d5b6b39de02f52f01494b267e56b4e3cd3adee1296530d563716", "", ""},
    {1048576, "e32fcf2492d253fd1763a9b8ac43dbbeb268d41374aa35ffe0cde8470fc1b077",
     "818b497ffad1397e3eb47139f5b2a37dc6cc1ae6885062ce2c9396ed8b70aa95",
     "f7f5436fe69f6fac3a3aa6b3fe80c66c48785368c597b0a04fe9edea1ef804d7", "", ""},
    {1048577, "d82f5c7dd40abb5909d4430f795370ceb911178742f9c7306bffae955fe94432",
     "8d36bbb3d6fbf24f38ba020d9ceeef5d4562f5f26629f66b076ff395c438695e",
     "bcf27544a64af42b94f35b3d5def36bce9f3b0de081669002268bd3f73b23a08",
     "aea6b6e3c7213bb2c81b20e65965ce6430d702e198943983bc789cbed263293b",
     "d82f5c7dd40abb5909d4430f795370ceb911178742f9c7306bffae955fe94432"},
    {3145733, "1c62a2435bb8a531f071acb79bae42323d058979b1e1b0f2b469abfc172f8f69",
     "0f3cbb84d7fead20332cb2bb68c9653c9a88a6cd05dd327947842e849331b1f0",
     "c32b12fb58b04a6527d530b13da93f3d4cd7c816edaed550bdaf6e2a1c0093bf",
     "4af109760c1d9beab376064cab154497d82027a3d29f90948d84bdf7dde6dcf1",
     "8db4a538f92b92cdea647434b9a8bac483d8ffc8ed9f53de0ba063b63c16a20a"},
    {8404992, "1be335ec3272339b7342ac2f4c73778384fe90d2ba9b0570805342bd8bf8219c",
     "d75f55026eca63e1aab3000233357868610b6401f4f40374fb46915e31d8d643",
     "30e385c63604f669c679193e5b5e809704b302c941d65aaa9f9d4697e81ed9b3",
     "74b0505c9e362545843e1fade5ff91364608be6883d08a366e4610c26f215244",
     "65c2f94aef883365f76144c08d9ffeb6fe0d866db857af8e7e50a213dfaff11c"},
};

static void assert_hex(const uint8_t *digest, const char *want)
{
    char have[65];
    hp_hex_encode(digest, 32, have);
    assert_string_equal(have, want);
}

static void check_layer(uint64_t size, uint64_t chunk, const char *root, const char *last, const char *all)
{
    static uint8_t layer[600 * 32];
    uint8_t digest[32];
    size_t count = layer_by_stream(size, chunk, MIB, layer, digest);
    assert_hex(digest, root);
    if (last[0] == '\0') {
        assert_int_equal(count, 1);
        assert_hex(layer, root);
        return;
    }
    assert_hex(layer + (count - 1) * 32, last);
    plain_digest(layer, count * 32, digest);
    assert_hex(digest, all);
}

static void roots_and_layers_are_those_of_libtorrent(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof libtorrent / sizeof *libtorrent; i++) {
        check_layer(libtorrent[i].size, HP_LEAF_SIZE, libtorrent[i].root, libtorrent[i].leaves_last,
                    libtorrent[i].leaves_all);
        check_layer(libtorrent[i].size, MIB, libtorrent[i].root, libtorrent[i].mib_last,
                    libtorrent[i].mib_all);
    }
}

static void an_empty_file_has_no_root(void **state)
{
    (void)state;
    uint8_t root[32], digest[32] = {0};
    hp_merkle_t tree;
    hp_merkle_init(&tree, 0, MIB);
    assert_int_equal(hp_merkle_add(&tree, bytes, 0), 0);
    assert_int_equal(hp_merkle_finish(&tree, root), HP_E_INVALID);
    assert_int_equal(tree.count, 0);
    hp_merkle_dispose(&tree);
    assert_int_equal(hp_merkle_layer_count(0, MIB), 0);
    assert_int_equal(hp_merkle_root_from_layer(digest, 0, MIB, 0, root), HP_E_INVALID);
    assert_int_equal(hp_merkle_root_from_layer(digest, 1, MIB, 0, root), HP_E_INVALID);
}

static void a_layer_of_the_wrong_length_is_refused(void **state)
{
    (void)state;
    uint8_t layer[8 * 32], root[32];
    size_t count = plain_layer(3 * MIB + 5, MIB, layer);
    assert_int_equal(count, 4);
    assert_int_equal(hp_merkle_root_from_layer(layer, 3, MIB, 3 * MIB + 5, root), HP_E_INVALID);
    assert_int_equal(hp_merkle_root_from_layer(layer, 5, MIB, 3 * MIB + 5, root), HP_E_INVALID);
    assert_int_equal(hp_merkle_root_from_layer(layer, 1, MIB, 3 * MIB + 5, root), HP_E_INVALID);
    assert_int_equal(hp_merkle_fold_layer(layer, 3, MIB, 2 * MIB, 3 * MIB + 5, layer), HP_E_INVALID);
    assert_int_equal(hp_merkle_fold_layer(layer, 4, MIB, MIB / 2, 3 * MIB + 5, layer), HP_E_INVALID);
}

static void only_the_whole_layer_of_a_root_fits_it(void **state)
{
    (void)state;
    const uint64_t size = 3 * MIB + 5;
    uint8_t layer[5 * 32] = {0}, root[32];
    plain_layer(size, MIB, layer);
    plain_root(size, root);
    assert_true(hp_merkle_layer_fits(layer, 4 * 32, MIB, size, root));
    assert_false(hp_merkle_layer_fits(layer, 3 * 32, MIB, size, root));
    assert_false(hp_merkle_layer_fits(layer, 5 * 32, MIB, size, root));
    assert_false(hp_merkle_layer_fits(layer, 4 * 32 + 1, MIB, size, root));
    assert_false(hp_merkle_layer_fits(layer, 0, MIB, size, root));
    assert_false(hp_merkle_layer_fits(layer, 4 * 32, 2 * MIB, size, root));
    assert_false(hp_merkle_layer_fits(root, 32, MIB, size, root));
    layer[4 * 32 - 1] ^= 1;
    assert_false(hp_merkle_layer_fits(layer, 4 * 32, MIB, size, root));
}

static void a_changed_byte_changes_the_root(void **state)
{
    (void)state;
    uint8_t layer[16 * 32], before[32], after[32];
    layer_by_stream(3 * MIB + 5, MIB, MIB, layer, before);
    static const size_t places[] = {0, MIB, 3 * MIB + 4};
    for (size_t i = 0; i < 3; i++) {
        bytes[places[i]] ^= 1;
        layer_by_stream(3 * MIB + 5, MIB, MIB, layer, after);
        bytes[places[i]] ^= 1;
        assert_memory_not_equal(before, after, 32);
    }
}

static void bytes_past_the_end_or_out_of_step_are_refused(void **state)
{
    (void)state;
    uint8_t root[32];
    hp_merkle_t tree;
    hp_merkle_init(&tree, 40000, MIB);
    assert_int_equal(hp_merkle_add(&tree, bytes, 100), HP_E_INVALID);
    assert_int_equal(hp_merkle_add(&tree, bytes, 16384), 0);
    assert_int_equal(hp_merkle_add(&tree, bytes, 40000), HP_E_INVALID);
    assert_int_equal(hp_merkle_finish(&tree, root), HP_E_INVALID);
    assert_int_equal(hp_merkle_add(&tree, bytes + 16384, 40000 - 16384), 0);
    assert_int_equal(hp_merkle_add(&tree, bytes, 1), HP_E_INVALID);
    assert_int_equal(hp_merkle_finish(&tree, root), 0);
    hp_merkle_dispose(&tree);
}

static void chunks_grow_when_a_file_would_have_more_than_65536(void **state)
{
    (void)state;
    const uint64_t gib = (uint64_t)1 << 30;
    assert_int_equal(hp_chunk_size_for(0), MIB);
    assert_int_equal(hp_chunk_size_for(1), MIB);
    assert_int_equal(hp_chunk_size_for(64 * gib), MIB);
    assert_int_equal(hp_chunk_size_for(64 * gib + 1), 2 * MIB);
    assert_int_equal(hp_chunk_size_for(128 * gib), 2 * MIB);
    assert_int_equal(hp_chunk_size_for(128 * gib + 1), 4 * MIB);
    assert_true(hp_chunk_size_for(UINT64_MAX) == (uint64_t)1 << 48);
}

static void only_powers_of_two_from_a_leaf_up_are_chunk_sizes(void **state)
{
    (void)state;
    assert_true(hp_merkle_chunk_valid(16384));
    assert_true(hp_merkle_chunk_valid((uint64_t)1 << 63));
    assert_false(hp_merkle_chunk_valid(0));
    assert_false(hp_merkle_chunk_valid(8192));
    assert_false(hp_merkle_chunk_valid(16385));
    assert_false(hp_merkle_chunk_valid(49152));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_of_every_size_matches_the_plain_tree),
        cmocka_unit_test(a_finer_layer_folds_to_every_coarser_one),
        cmocka_unit_test(roots_and_layers_are_those_of_libtorrent),
        cmocka_unit_test(an_empty_file_has_no_root),
        cmocka_unit_test(a_layer_of_the_wrong_length_is_refused),
        cmocka_unit_test(only_the_whole_layer_of_a_root_fits_it),
        cmocka_unit_test(a_changed_byte_changes_the_root),
        cmocka_unit_test(bytes_past_the_end_or_out_of_step_are_refused),
        cmocka_unit_test(chunks_grow_when_a_file_would_have_more_than_65536),
        cmocka_unit_test(only_powers_of_two_from_a_leaf_up_are_chunk_sizes),
    };
    return cmocka_run_group_tests(tests, fill, empty);
}
