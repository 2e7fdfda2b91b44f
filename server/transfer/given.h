/* Which host gave how much of a download: from the record of its chunks, which a restart leaves. Loop thread.
 */
#ifndef HP_TRANSFER_GIVEN_H
#define HP_TRANSFER_GIVEN_H

#include "transfer/transfer.h"

typedef struct hp_given {
    char *host; /* NULL: not on record */
    int64_t bytes;
} hp_given_t;

/* The one that gave most comes first; given is valid during the call. HP_E_NOT_FOUND. done runs once,
 * perhaps inside the call. */
typedef void (*hp_given_fn)(void *arg, int status, const hp_given_t *given, size_t count,
                            const hp_err_t *err);
void hp_transfer_given(hp_transfer_t *transfer, int64_t id, hp_given_fn done, void *arg);

#endif
