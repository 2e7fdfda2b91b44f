/* Where a file lands when the disk does not take its name: NTFS and FAT refuse "a:b.txt", which other file
 * systems allow. */
#ifndef HP_BASE_LANDING_H
#define HP_BASE_LANDING_H

#include <stdbool.h>

#include "base/path.h"

/* path below base with each name as it is, or as hp_path_portable() writes it where base's file system
 * refuses it. Whether that is another path. Only names that some file system refuses are asked about, by
 * making an empty file of that name in a folder of its own for a moment; where nothing can be asked (base is
 * not there, is full or must not be written), all are as they are. The same path leads to the same one again.
 * Blocks: any thread but the loop's. */
bool hp_landing_path(const char *base, const char *path, char out[HP_PATH_MAX + 1]);

#endif
