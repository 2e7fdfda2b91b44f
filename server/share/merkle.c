#include "share/merkle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

/* Leaves hashed in one go; their digests stand on the stack. */
#define LEAVES_AT_ONCE 64

/* padding[n]: the root of a tree of height n whose leaves are all zero digests. */
static uint8_t padding[HP_MERKLE_HEIGHT_MAX + 1][HP_SHA256_SIZE];
static pthread_once_t padding_once = PTHREAD_ONCE_INIT;

static void padding_make(void)
{
    uint8_t pair[2 * HP_SHA256_SIZE];
    for (size_t n = 0; n < HP_MERKLE_HEIGHT_MAX; n++) {
        memcpy(pair, padding[n], HP_SHA256_SIZE);
        memcpy(pair + HP_SHA256_SIZE, padding[n], HP_SHA256_SIZE);
        hp_sha256_pairs(pair, 1, padding[n + 1]);
    }
}

static const uint8_t *padding_of(unsigned height)
{
    pthread_once(&padding_once, padding_make);
    return padding[height];
}

/* a / b, rounded up, for b > 0 and any a. */
static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

bool hp_merkle_chunk_valid(uint64_t chunk_size)
{
    return chunk_size >= HP_LEAF_SIZE && (chunk_size & (chunk_size - 1)) == 0;
}

/* How high a node that covers chunk_size bytes stands over the leaves. */
static unsigned height_of(uint64_t chunk_size)
{
    if (!hp_merkle_chunk_valid(chunk_size)) {
        fprintf(stderr, "hostpair: %llu is not a chunk size\n", (unsigned long long)chunk_size);
        abort();
    }
    return (unsigned)__builtin_ctzll(chunk_size / HP_LEAF_SIZE);
}

/* The height of the whole tree of a file that is not empty. */
static unsigned tree_height(uint64_t file_size)
{
    uint64_t leaves = divide_up(file_size, HP_LEAF_SIZE);
    return leaves <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(leaves - 1);
}

uint64_t hp_chunk_size_for(uint64_t size)
{
    uint64_t chunk = HP_CHUNK_SIZE_MIN;
    while (divide_up(size, chunk) > HP_CHUNKS_MAX)
        chunk *= 2;
    return chunk;
}

uint64_t hp_merkle_layer_count(uint64_t size, uint64_t chunk_size)
{
    return divide_up(size, chunk_size);
}

/* Replaces the nodes of one height, in place, by those above them, up to a height. digests has room for one
 * more than count. */
static uint64_t raise(uint8_t *digests, uint64_t count, unsigned from, unsigned to)
{
    for (unsigned height = from; height < to; height++) {
        if (count % 2 != 0)
            memcpy(digests + count++ * HP_SHA256_SIZE, padding_of(height), HP_SHA256_SIZE);
        count /= 2;
        hp_sha256_pairs(digests, count, digests);
    }
    return count;
}

void hp_merkle_chunk_digest(const void *data, size_t length, uint64_t chunk_size, uint64_t file_size,
                            uint8_t out[HP_SHA256_SIZE])
{
    uint8_t few[(LEAVES_AT_ONCE + 1) * HP_SHA256_SIZE];
    unsigned height = file_size <= chunk_size ? tree_height(file_size) : height_of(chunk_size);
    size_t leaves = (size_t)divide_up(length, HP_LEAF_SIZE);
    uint8_t *digests = leaves <= LEAVES_AT_ONCE ? few : hp_alloc_array(leaves + 1, HP_SHA256_SIZE);
    hp_sha256_blocks(data, length, digests);
    raise(digests, leaves, 0, height);
    memcpy(out, digests, HP_SHA256_SIZE);
    if (digests != few)
        free(digests);
}

int hp_merkle_root_from_layer(const uint8_t *digests, uint64_t count, uint64_t chunk_size, uint64_t file_size,
                              uint8_t root[HP_SHA256_SIZE])
{
    unsigned height = height_of(chunk_size);
    if (count == 0 || count != hp_merkle_layer_count(file_size, chunk_size))
        return HP_E_INVALID;
    if (count == 1) {
        memmove(root, digests, HP_SHA256_SIZE);
        return 0;
    }
    uint8_t *nodes = hp_alloc_array(count + 1, HP_SHA256_SIZE);
    memcpy(nodes, digests, count * HP_SHA256_SIZE);
    raise(nodes, count, height, tree_height(file_size));
    memcpy(root, nodes, HP_SHA256_SIZE);
    free(nodes);
    return 0;
}

bool hp_merkle_layer_fits(const void *bytes, size_t length, uint64_t chunk_size, uint64_t file_size,
                          const uint8_t root[HP_SHA256_SIZE])
{
    uint8_t found[HP_SHA256_SIZE];
    return length % HP_SHA256_SIZE == 0 &&
           hp_merkle_root_from_layer(bytes, length / HP_SHA256_SIZE, chunk_size, file_size, found) == 0 &&
           memcmp(found, root, sizeof found) == 0;
}

int hp_merkle_fold_layer(const uint8_t *digests, uint64_t count, uint64_t from, uint64_t to,
                         uint64_t file_size, uint8_t *out)
{
    unsigned low = height_of(from), high = height_of(to);
    if (high < low || count == 0 || count != hp_merkle_layer_count(file_size, from))
        return HP_E_INVALID;
    if (count == 1) { /* the root, in every layer from here up */
        memmove(out, digests, HP_SHA256_SIZE);
        return 0;
    }
    uint8_t *nodes = hp_alloc_array(count + 1, HP_SHA256_SIZE);
    memcpy(nodes, digests, count * HP_SHA256_SIZE);
    uint64_t left = raise(nodes, count, low, HP_MIN(high, tree_height(file_size)));
    memcpy(out, nodes, left * HP_SHA256_SIZE);
    free(nodes);
    return 0;
}

uint64_t hp_merkle_fold_run(uint8_t *digests, uint64_t count, uint64_t from, uint64_t to, uint64_t file_size)
{
    return raise(digests, count, height_of(from), HP_MIN(height_of(to), tree_height(file_size)));
}

/* ---- a tree while the file goes by ---- */

void hp_merkle_init(hp_merkle_t *self, uint64_t file_size, uint64_t chunk_size)
{
    self->file_size = file_size;
    self->chunk_size = chunk_size;
    self->added = self->count = self->filled = 0;
    self->height = height_of(chunk_size);
    if (file_size > 0 && file_size <= chunk_size)
        self->height = tree_height(file_size);
    self->layer = hp_alloc_array(hp_merkle_layer_count(file_size, chunk_size), HP_SHA256_SIZE);
}

void hp_merkle_dispose(hp_merkle_t *self)
{
    free(self->layer);
    self->layer = NULL;
}

static void join(const uint8_t *left, const uint8_t *right, uint8_t *out)
{
    uint8_t pair[2 * HP_SHA256_SIZE];
    memcpy(pair, left, HP_SHA256_SIZE);
    memcpy(pair + HP_SHA256_SIZE, right, HP_SHA256_SIZE);
    hp_sha256_pairs(pair, 1, out);
}

static void add_to_layer(hp_merkle_t *self, const uint8_t *node)
{
    memcpy(self->layer + self->count++ * HP_SHA256_SIZE, node, HP_SHA256_SIZE);
}

/* Adds a node of some height, which joins with the open one of its height, and so on up, like a carry in a
 * binary counter. */
static void add_node(hp_merkle_t *self, const uint8_t *digest, unsigned height)
{
    uint8_t node[HP_SHA256_SIZE];
    memcpy(node, digest, HP_SHA256_SIZE);
    for (; height < self->height && (self->filled >> height & 1) != 0; height++) {
        self->filled &= ~(UINT64_C(1) << height);
        join(self->open[height], node, node);
    }
    if (height == self->height) {
        add_to_layer(self, node);
        return;
    }
    memcpy(self->open[height], node, HP_SHA256_SIZE);
    self->filled |= UINT64_C(1) << height;
}

int hp_merkle_add(hp_merkle_t *self, const void *data, size_t length)
{
    uint64_t left = self->file_size - self->added;
    if (length > left || (length < left && length % HP_LEAF_SIZE != 0))
        return HP_E_INVALID;
    const uint8_t *p = data;
    uint8_t digests[(LEAVES_AT_ONCE + 1) * HP_SHA256_SIZE];
    const size_t group = (size_t)LEAVES_AT_ONCE * HP_LEAF_SIZE;
    const unsigned group_height = height_of(group);
    for (size_t n; length > 0; p += n, length -= n, self->added += n) {
        n = HP_MIN(length, group);
        hp_sha256_blocks(p, n, digests);
        if (n == group && self->added % group == 0 && self->height >= group_height) {
            raise(digests, LEAVES_AT_ONCE, 0, group_height); /* a whole subtree at once is cheaper */
            add_node(self, digests, group_height);
            continue;
        }
        for (size_t i = 0; i < divide_up(n, HP_LEAF_SIZE); i++)
            add_node(self, digests + i * HP_SHA256_SIZE, 0);
    }
    return 0;
}

int hp_merkle_finish(hp_merkle_t *self, uint8_t root[HP_SHA256_SIZE])
{
    if (self->added != self->file_size || self->file_size == 0)
        return HP_E_INVALID;
    if (self->filled !=
        0) { /* the last chunk is short: padding takes the place of what would come to the right */
        uint8_t node[HP_SHA256_SIZE];
        bool open = false;
        for (unsigned height = 0; height < self->height; height++) {
            bool here = (self->filled >> height & 1) != 0;
            if (open)
                join(here ? self->open[height] : node, here ? node : padding_of(height), node);
            else if (here)
                join(self->open[height], padding_of(height), node);
            open = open || here;
        }
        self->filled = 0;
        add_to_layer(self, node);
    }
    return hp_merkle_root_from_layer(self->layer, self->count, self->chunk_size, self->file_size, root);
}
