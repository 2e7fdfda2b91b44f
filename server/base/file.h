/* Files and folders: what write(2) and mkdir(2) leave to their callers. */
#ifndef HP_BASE_FILE_H
#define HP_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Writes all of it at the offset, however many calls that takes. 0 or a negative errno; -ENOSPC also when the
 * kernel writes nothing and says no more. Blocks. */
int hp_write_all_at(int fd, const void *data, size_t length, uint64_t offset);

/* mkdir -p for a path of this machine (options, data folder). 0 or a negative errno. */
int hp_make_folder(const char *path, mode_t mode);

#endif
