/* Hash trees of files as BitTorrent v2 has them (BEP 52): the content identity of hostpair.
 *
 * The leaves are the SHA-256 digests of every 16 KiB of the file, the last of what is left; they are filled
 * up with zero digests to a power of two; a node is the SHA-256 of its two children. The top is the file's
 * root ("pieces root"). A file of at most one leaf has that leaf as its root; an empty file has no root.
 *
 * The layer at chunk size N (a power of two, at least 16 KiB) holds the nodes that cover N bytes each, as far
 * as the file goes; a last, short chunk is filled up with zero digests to the full height of a chunk. A file
 * of at most N bytes has a tree that is no higher than itself needs: its layer at N is its root alone,
 * whatever N.
 *
 * Chunk sizes passed in here must be valid (hp_merkle_chunk_valid); anything else is a mistake in the code
 * and aborts. Any thread; hashes, so not on the loop. */
#ifndef HP_SHARE_MERKLE_H
#define HP_SHARE_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "share/sha256.h"

#define HP_CHUNK_SIZE_MIN 1048576u /* of downloads and stored layers */
#define HP_CHUNKS_MAX     65536u

/* The chunk size of a download of size bytes: HP_CHUNK_SIZE_MIN, or the smallest power of two that gives at
 * most HP_CHUNKS_MAX chunks. */
uint64_t hp_chunk_size_for(uint64_t size);

/* Whether a layer can have this chunk size: a power of two, at least HP_LEAF_SIZE. */
bool hp_merkle_chunk_valid(uint64_t chunk_size);

/* Number of digests in the layer of a file of size bytes: 0 for an empty file, 1 up to one chunk. */
uint64_t hp_merkle_layer_count(uint64_t size, uint64_t chunk_size);

/* The digest that the layer of a file of file_size bytes has for one of its chunks: the chunk's bytes, all
 * chunk_size of them unless it is the last. length is at least 1. */
void hp_merkle_chunk_digest(const void *data, size_t length, uint64_t chunk_size, uint64_t file_size,
                            uint8_t out[HP_SHA256_SIZE]);

/* The root of a file from its whole layer. 0, or HP_E_INVALID when count is not the layer's count or the file
 * is empty. */
int hp_merkle_root_from_layer(const uint8_t *digests, uint64_t count, uint64_t chunk_size, uint64_t file_size,
                              uint8_t root[HP_SHA256_SIZE]);

/* Whether these bytes, which another host sent, are the whole layer of the file with this size and root. */
bool hp_merkle_layer_fits(const void *bytes, size_t length, uint64_t chunk_size, uint64_t file_size,
                          const uint8_t root[HP_SHA256_SIZE]);

/* The layer at the coarser chunk size `to` from the whole layer at `from`; out takes
 * hp_merkle_layer_count(file_size, to) digests and may be digests. 0, or HP_E_INVALID as above, or when `to`
 * is finer than `from`. */
int hp_merkle_fold_layer(const uint8_t *digests, uint64_t count, uint64_t from, uint64_t to,
                         uint64_t file_size, uint8_t *out);

/* The same for a run of nodes that begins where a chunk of `to` does and ends where one does, or at the
 * file's end: in place, digests has room for one more than count. Returns how many nodes are left. `to` is
 * not finer than `from`; above the file's root it goes no higher than that. */
uint64_t hp_merkle_fold_run(uint8_t *digests, uint64_t count, uint64_t from, uint64_t to, uint64_t file_size);

/* A tree that is built while the file goes by, from its start to its end, in memory of one layer. */
#define HP_MERKLE_HEIGHT_MAX 50 /* of the tree of 2^64 bytes over 16 KiB leaves */
typedef struct hp_merkle {
    uint64_t file_size, chunk_size, added;
    uint8_t *layer;  /* the layer at chunk_size, as far as it is known */
    uint64_t count;  /* of digests in it */
    unsigned height; /* of a chunk's node over the leaves */
    uint64_t filled; /* bit n: open[n] holds a node of height n that waits for its right neighbour */
    uint8_t open[HP_MERKLE_HEIGHT_MAX][HP_SHA256_SIZE];
} hp_merkle_t;

/* Allocates the whole layer. */
void hp_merkle_init(hp_merkle_t *self, uint64_t file_size, uint64_t chunk_size);
void hp_merkle_dispose(hp_merkle_t *self);

/* The next bytes; a multiple of HP_LEAF_SIZE, except at the end of the file. 0, or HP_E_INVALID when they go
 * past the end or lie crooked. */
int hp_merkle_add(hp_merkle_t *self, const void *data, size_t length);

/* After the last byte: closes the layer and gives the root. 0, or HP_E_INVALID when bytes are missing or the
 * file is empty. */
int hp_merkle_finish(hp_merkle_t *self, uint8_t root[HP_SHA256_SIZE]);

#endif
