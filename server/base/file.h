/* Files and folders: what write(2) and mkdir(2) leave to their callers. */
#ifndef HP_BASE_FILE_H
#define HP_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Writes all of it at the offset, however many calls that takes. 0 or a negative errno; -ENOSPC also when the
 * kernel writes nothing and says no more. Blocks. */
int hp_write_all_at(int fd, const void *data, size_t length, uint64_t offset);

/* Puts a file of these bytes in place of what has that name: whoever reads it sees the old one or the new
 * one whole, and no link that stands there is followed. It is new every time, with this mode less the umask.
 * 0 or a negative errno, and then nothing has changed. Blocks. */
int hp_replace_file(const char *path, const void *data, size_t length, mode_t mode);

/* mkdir -p for a path of this machine (options, data folder). 0 or a negative errno. */
int hp_make_folder(const char *path, mode_t mode);

#endif
