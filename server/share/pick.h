/* Files that are offered, opened one after another by their paths: for bundles.
 *
 * Invariants
 * 1. Made and destroyed on the loop; hp_pick_open runs in the pool, in one thread at a time.
 * 2. The share does not end before its picks.
 */
#ifndef HP_SHARE_PICK_H
#define HP_SHARE_PICK_H

#include "share/share.h"

typedef struct hp_pick hp_pick_t;

hp_pick_t *hp_pick_create(hp_share_t *share);
void hp_pick_destroy(hp_pick_t *pick);

/* Opens a file by its path in the folder (not yet checked), as hp_share_open does, without its root. 0 with
 * *fd, which is the caller's to close, and *st; else a code as there, or UV_ECANCELED when the share ends. */
int hp_pick_open(hp_pick_t *pick, const char *path, int *fd, struct stat *st);

#endif
