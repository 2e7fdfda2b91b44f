/* Whether a file that stands here is the one that is wanted: it is hashed, and not fetched again. */
#ifndef HP_TRANSFER_SAME_H
#define HP_TRANSFER_SAME_H

#include "transfer/types.h"

typedef struct hp_same_file {
    const char *base, *path; /* copied */
    const char *root;        /* 64 hex digits, copied; NULL: of an empty file */
    int64_t size;            /* bytes */
    bool marks;              /* one that is the same gets these, as of hp_part_set_marks */
    int64_t mtime_ms;
    bool executable;
} hp_same_file_t;

/* status: 0; UV_ECANCELED when goes_on said no; a code of the disk that passes by itself (HP_E_NO_DISK, no
 * descriptors), with err. layer: of a file that is the same, count digests of 32 bytes in chunks of
 * hp_chunk_size_for(size); valid during the call. */
typedef void (*hp_same_fn)(void *arg, int status, bool same, const uint8_t *layer, uint64_t count,
                           const hp_err_t *err);

/* Loop. Hashes the file in the pool, in steps; between two of them goes_on(arg) is asked on the loop. Counts
 * in pending until done has returned; done is called once, never in here. A file that is not there, is of
 * another size, cannot be read or changes meanwhile is not the same. */
void hp_same_start(hp_transfer_t *transfer, hp_pending_t *pending, const hp_same_file_t *file,
                   bool (*goes_on)(void *arg), hp_same_fn done, void *arg);

#endif
