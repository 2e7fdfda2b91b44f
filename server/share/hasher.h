/* The thread that hashes files: alone, at the lowest priority for processor and disk, so that it takes only
 * what nothing else wants.
 *
 * Invariants
 * 1. Its queue holds what the loop gave last; what was not begun by then is dropped (it is still unhashed in
 * the store and comes again).
 * 2. A large file stands back, with what is hashed of it, while smaller ones come first.
 * 3. A result's root belongs to bytes that had the given identity before the first read and after the last.
 */
#ifndef HP_SHARE_HASHER_H
#define HP_SHARE_HASHER_H

#include <uv.h>

#include "share/place.h"

typedef struct hp_hash_result {
    char *path;
    hp_shared_identity_t identity;
    int status; /* 0; HP_E_OTHER_VERSION: the bytes are, or became, others; HP_E_NOT_FOUND; or a negative
                   errno */
    uint8_t root[HP_SHARED_ROOT_SIZE];
    uint64_t chunk_size, count;
    uint8_t *digests; /* the layer at chunk_size */
    uint64_t ms;      /* since it was begun */
} hp_hash_result_t;
void hp_hash_result_dispose(hp_hash_result_t *result);

typedef struct hp_hasher hp_hasher_t;

/* ready is called on the loop when there are results, and when the queue has become empty. place must outlive
 * the hasher. */
int hp_hasher_create(hp_hasher_t **hasher, uv_loop_t *loop, const hp_place_t *place, void (*ready)(void *arg),
                     void *arg);

/* Ends at the next piece of a file; results that were not taken are dropped. */
void hp_hasher_destroy(hp_hasher_t *hasher, void (*closed)(void *arg), void *arg);

/* What to hash now, in this order; takes the rows over and leaves the struct empty. False when that is
 * nothing new: all of them are being hashed already, and there are no results. */
bool hp_hasher_give(hp_hasher_t *hasher, hp_shared_rows_t *rows);

/* Whether the queue is empty. A large file may still be under way. */
bool hp_hasher_is_hungry(hp_hasher_t *hasher);

/* The results so far, for the caller to dispose and free(); count 0 gives NULL. */
hp_hash_result_t *hp_hasher_take(hp_hasher_t *hasher, size_t *count);

#endif
