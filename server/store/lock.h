/* The lock in the data folder: one hostpair a folder. It belongs to the open file, so the kernel lets go of
 * it when the process ends, however it ends; a lock file that is left behind means nothing. At start and end,
 * before and after the loop runs. */
#ifndef HP_STORE_LOCK_H
#define HP_STORE_LOCK_H

#include <stdbool.h>

#include "base/err.h"

#define HP_STORE_LOCK_FILE "hostpair.lock"

/* The descriptor that holds the lock, for the caller to close. HP_E_LOCKED names the process that holds it,
 * or a negative errno. *clean: the one before it called hp_store_lock_clean, or there was none. */
int hp_store_lock(const char *data_folder, bool *clean, hp_err_t *err);

/* The holder has closed the database in order: the next one is told so. */
void hp_store_lock_clean(int fd);

#endif
