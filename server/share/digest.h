/* Digests of whole files as other programs print them: MD5, SHA-1, SHA-256.
 *
 * A small file is waited for; of a large one the first call starts the work, and calls tell how far it is
 * until it is done. What was computed is remembered for as long as the file does not change. Loop thread;
 * files are read in the pool. */
#ifndef HP_SHARE_DIGEST_H
#define HP_SHARE_DIGEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/err.h"

typedef struct hp_digests hp_digests_t;

extern const char *const hp_digest_names[]; /* of the algorithms, by number; NULL at the end */

typedef struct hp_digest {
    char hex[65]; /* "": not known yet */
    uint64_t done_bytes, size;
} hp_digest_t;

/* HP_E_CONFLICT: the file changed meanwhile; HP_E_TOO_MANY; system codes. */
typedef void (*hp_digest_fn)(void *arg, int status, const hp_digest_t *digest, const hp_err_t *err);

hp_digests_t *hp_digests_create(uv_loop_t *loop);

/* Gives up what waits and what is being read: UV_ECANCELED. */
void hp_digests_stop(hp_digests_t *digests);

/* After stop. What is still being read keeps the memory until its callback has run. */
void hp_digests_destroy(hp_digests_t *digests);

/* The digest of the open file, which is closed in any case. done runs once, perhaps inside the call. */
void hp_digests_get(hp_digests_t *digests, int fd, const struct stat *st, int algorithm, hp_digest_fn done,
                    void *arg);

#endif
