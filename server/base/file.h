/* Descriptors of files: what read(2) and write(2) leave to their callers. */
#ifndef HP_BASE_FILE_H
#define HP_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Writes all of it at the offset, however many calls that takes. 0 or a negative errno; -ENOSPC also when the
 * kernel writes nothing and says no more. Blocks. */
int hp_write_all_at(int fd, const void *data, size_t length, uint64_t offset);

#endif
