// libs: share base
/* The layer of a file's hash tree that another host sends: it is taken when it is the whole layer of the root
 * that was asked for, and no lie is. The input says the size of a file and of its chunks, the digests of the
 * layer, and how the layer is changed on its way. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "share/merkle.h"

#include "promise.h"

#define COUNT_MAX 64 /* digests of a layer here */
#define BYTES_MAX (3 * HP_LEAF_SIZE)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the tree as BEP 52 describes it, node by node ---- */

typedef struct {
    const uint8_t *digests;
    uint64_t count;
    unsigned height; /* of the digests over the leaves */
} layer_t;

static unsigned height_of(uint64_t chunk_size)
{
    unsigned height = 0;
    for (; chunk_size > HP_LEAF_SIZE; chunk_size /= 2)
        height++;
    return height;
}

static unsigned tree_height(uint64_t size)
{
    unsigned height = 0;
    for (uint64_t leaves = (size - 1) / HP_LEAF_SIZE; leaves > 0; leaves /= 2)
        height++;
    return height;
}

static void padding(unsigned height, uint8_t out[HP_SHA256_SIZE])
{
    uint8_t pair[2 * HP_SHA256_SIZE];
    memset(out, 0, HP_SHA256_SIZE);
    for (; height > 0; height--) {
        memcpy(pair, out, HP_SHA256_SIZE);
        memcpy(pair + HP_SHA256_SIZE, out, HP_SHA256_SIZE);
        hp_sha256(pair, sizeof pair, out);
    }
}

/* The index-th node of a height that is not below the layer's. */
static void node(const layer_t *layer, unsigned height, uint64_t index, uint8_t out[HP_SHA256_SIZE])
{
    uint64_t first = index << (height - layer->height);
    uint8_t pair[2 * HP_SHA256_SIZE];
    if (first >= layer->count) {
        padding(height, out);
    } else if (height == layer->height) {
        memcpy(out, layer->digests + index * HP_SHA256_SIZE, HP_SHA256_SIZE);
    } else {
        node(layer, height - 1, 2 * index, pair);
        node(layer, height - 1, 2 * index + 1, pair + HP_SHA256_SIZE);
        hp_sha256(pair, sizeof pair, out);
    }
}

/* ---- promises ---- */

/* The coarser layers of the same tree are the nodes of their heights, and have its root. */
static void check_folds(const layer_t *layer, uint64_t from, uint64_t size, const uint8_t *root)
{
    uint8_t coarse[(COUNT_MAX + 1) * HP_SHA256_SIZE], run[sizeof coarse], wanted[HP_SHA256_SIZE];
    for (uint64_t to = from; to <= from << 7; to *= 2) {
        uint64_t count = hp_merkle_layer_count(size, to);
        promise(hp_merkle_fold_layer(layer->digests, layer->count, from, to, size, coarse) == 0);
        promise(hp_merkle_layer_fits(coarse, count * HP_SHA256_SIZE, to, size, root));
        memcpy(run, layer->digests, layer->count * HP_SHA256_SIZE);
        promise(hp_merkle_fold_run(run, layer->count, from, to, size) == count);
        promise(memcmp(run, coarse, count * HP_SHA256_SIZE) == 0);
        for (uint64_t i = 0; count > 1 && i < count; i++) {
            node(layer, height_of(to), i, wanted);
            promise(memcmp(wanted, coarse + i * HP_SHA256_SIZE, sizeof wanted) == 0);
        }
    }
}

/* What comes is the layer with some bytes changed, and longer or shorter. */
static void check_reply(const layer_t *layer, uint64_t chunk_size, uint64_t size, const uint8_t *root,
                        const uint8_t *changes, size_t changed, int longer)
{
    size_t length = layer->count * HP_SHA256_SIZE;
    size_t comes = longer < 0 && (size_t)-longer > length ? 0 : (size_t)((int64_t)length + longer);
    uint8_t *reply = hp_alloc(comes); /* exactly as long, so that a read past its end shows */
    memcpy(reply, layer->digests, HP_MIN(length, comes));
    for (size_t i = 0; i + 1 < changed && comes > 0; i += 2)
        reply[changes[i] * 8u % comes] ^= changes[i + 1];
    bool same = comes == length && memcmp(reply, layer->digests, length) == 0;
    promise(hp_merkle_layer_fits(reply, comes, chunk_size, size, root) == same);
    free(reply);
}

/* Bytes that go by make the tree that their chunks make. */
static void check_bytes(const uint8_t *data, size_t size, uint64_t chunk_size)
{
    uint8_t bytes[BYTES_MAX], layer[3 * HP_SHA256_SIZE], root[HP_SHA256_SIZE];
    size_t length = 1 + (size_t)(data[0] << 8 | data[size - 1]) % BYTES_MAX, count = 0;
    hp_merkle_t tree;
    for (size_t i = 0; i < length; i += size)
        memcpy(bytes + i, data, HP_MIN(size, length - i));
    for (size_t i = 0; i < length; i += chunk_size)
        hp_merkle_chunk_digest(bytes + i, HP_MIN(chunk_size, length - i), chunk_size, length,
                               layer + count++ * HP_SHA256_SIZE);
    hp_merkle_init(&tree, length, chunk_size);
    for (size_t i = 0; i < length; i += HP_LEAF_SIZE)
        promise(hp_merkle_add(&tree, bytes + i, HP_MIN((size_t)HP_LEAF_SIZE, length - i)) == 0);
    promise(hp_merkle_add(&tree, bytes, 1) != 0); /* past the end */
    promise(hp_merkle_finish(&tree, root) == 0 && tree.count == count);
    promise(memcmp(tree.layer, layer, count * HP_SHA256_SIZE) == 0);
    promise(hp_merkle_layer_fits(layer, count * HP_SHA256_SIZE, chunk_size, length, root));
    hp_merkle_dispose(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t digests[COUNT_MAX * HP_SHA256_SIZE] = {0}, root[HP_SHA256_SIZE], wrong[HP_SHA256_SIZE];
    uint16_t part;
    if (size < 8)
        return 0;
    layer_t layer = {.digests = digests, .count = 1 + data[0] % COUNT_MAX};
    uint64_t chunk_size = (uint64_t)HP_LEAF_SIZE << data[1] % 41; /* up to 2^54 */
    memcpy(&part, data + 2, sizeof part);
    uint64_t file = (layer.count - 1) * chunk_size + 1 + chunk_size / 65536 * part + part % HP_LEAF_SIZE;
    int longer = data[4] & 1 ? (int8_t)data[5] : 0;
    size_t changed = HP_MIN((size_t)(data[6] & 15), size - 8), given = size - 8 - changed;
    if (hp_merkle_layer_count(file, chunk_size) != layer.count)
        return 0;
    layer.height = layer.count == 1 ? 0 : height_of(chunk_size);
    memcpy(digests, data + 8 + changed, HP_MIN(given, sizeof digests));
    if (layer.count == 1)
        memcpy(root, digests, sizeof root);
    else
        node(&layer, tree_height(file), 0, root);
    promise(hp_merkle_layer_fits(digests, layer.count * HP_SHA256_SIZE, chunk_size, file, root));
    check_folds(&layer, chunk_size, file, root);
    check_reply(&layer, chunk_size, file, root, data + 8, changed, longer);
    memcpy(wrong, root, sizeof wrong);
    wrong[data[7] % HP_SHA256_SIZE] ^= 1;
    promise(!hp_merkle_layer_fits(digests, layer.count * HP_SHA256_SIZE, chunk_size, file, wrong));
    promise(!hp_merkle_layer_fits(digests, 0, chunk_size, 0, root)); /* an empty file has none */
    check_bytes(data, size, (uint64_t)HP_LEAF_SIZE << data[1] % 3);
    return 0;
}
