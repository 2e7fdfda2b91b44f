/* What was kept of cancelled downloads: their part files, which wait for the next order of the same content.
 * Loop. */
#ifndef HP_TRANSFER_CANCELLED_H
#define HP_TRANSFER_CANCELLED_H

#include "transfer/transfer.h"

/* each runs for each of them, newest first, its info valid during the call; then done. Not inside the call;
 * also at teardown. */
void hp_transfer_kept(hp_transfer_t *transfer, void (*each)(void *arg, const hp_download_info_t *info),
                      void (*done)(void *arg, int status, const hp_err_t *err), void *arg);

/* Removes the part files and forgets them. done runs once: 0 or HP_E_NOT_FOUND. */
void hp_transfer_remove_kept(hp_transfer_t *transfer, int64_t id, hp_download_fn done, void *arg);

#endif
