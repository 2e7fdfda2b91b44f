/* What part.c and part_small.c share: the steps that each file goes through. */
#ifndef HP_TRANSFER_PART_STEPS_H
#define HP_TRANSFER_PART_STEPS_H

#include "transfer/part.h"

#define HP_PART_CANDIDATES 10000 /* names tried before giving up */
#define HP_PART_MODE       0666  /* of a file, less the umask */

/* Sets err to what failed with the path, and gives code, or HP_E_NO_SPACE where that is what it means. */
int hp_part_fail(hp_err_t *err, int code, const char *verb, const char *path);
/* The folder of path below base; make: with all that is missing. The descriptor, or a negative code. */
int hp_part_open_folder(const char *base, const char *path, bool make, hp_err_t *err);
int hp_part_sync_folder(int fd, const char *path, hp_err_t *err);

#endif
