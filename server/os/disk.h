/* What hostpair asks of the disk beyond POSIX, or in a way that differs between systems: files without a
 * name, names that replace nothing, room that is reserved, and when bytes are on the disk. All of it blocks:
 * pool threads. Functions return 0 or a negative errno unless they say otherwise. */
#ifndef HP_OS_DISK_H
#define HP_OS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A new file in the folder, for reading and writing, that has no name: gone with its last descriptor unless
 * hp_disk_link gives it one. The descriptor, or -EOPNOTSUPP where there is no such thing. */
int hp_disk_open_unnamed(int folder, mode_t mode);

/* Gives a file its first name. -EEXIST when something has it. */
int hp_disk_link(int fd, int folder, const char *name);

/* Renames within the folder, but never over something: -EEXIST then. Repeated after a crash in the middle it
 * ends what was begun. Where the file system can neither do that nor link (FAT, exFAT), others see a file
 * with the old name in it under the new one for a moment. */
int hp_disk_rename_new(int folder, const char *from, const char *to);

/* Makes the file as long as size, with room on the disk for all of it, or sparse where the file system cannot
 * reserve. After a failure it is as long as before and holds nothing of the disk that it did not hold. */
int hp_disk_reserve(int fd, uint64_t size);

/* Makes these bytes of a file, which end before its end, zeros that are not written but known to be such; the
 * room that is reserved for them stays. -EOPNOTSUPP where the file system cannot. */
int hp_disk_zero(int fd, uint64_t offset, uint64_t length);

/* Gives back the room of what was never written or made zeros by hp_disk_zero, and reads as zeros; the file
 * stays as long as it is. Only after hp_disk_sync_data, and only on file systems that are known to do that
 * well. A hint. */
void hp_disk_release_zeros(int fd);

/* A second descriptor of an open file, for writing past the page cache in blocks; -EOPNOTSUPP on file systems
 * that are not known to do that well. */
int hp_disk_open_direct(int fd);

/* Whether every byte that was written takes room on this file system (st_blocks): a file with less has been
 * shortened in between. */
bool hp_disk_counts_every_block(int fd);

/* Waits until a file's bytes are on the disk; a folder's names; everything of the file system that holds fd.
 */
int hp_disk_sync_data(int fd);
int hp_disk_sync_folder(int fd);
int hp_disk_sync_all(int fd);

/* Whether hp_disk_sync_all tells of every write that failed: not on older kernels, nor on every file system.
 */
bool hp_disk_syncs_all_well(int fd);

/* Has the disk begin to write the file's bytes, without waiting. A hint. */
void hp_disk_begin_sync(int fd);

/* Reads without leaving in the page cache what was not there before, where the system can. *passing is true
 * before the first call, and false afterwards when it cannot. Bytes, 0 at the end, or a negative errno. */
ssize_t hp_disk_read_passing(int fd, void *data, size_t length, uint64_t offset, bool *passing);

/* Takes these bytes out of the page cache. A hint. */
void hp_disk_uncache(int fd, uint64_t offset, uint64_t length);

/* When a file was made, ns since 1970; 0 where its file system does not say. name: in the folder that fd is,
 * no link is followed; "": fd itself. */
int64_t hp_disk_born_ns(int fd, const char *name);

/* Lets everybody run the file who may read it, but for those whom the umask names. A hint. */
void hp_disk_set_executable(int fd);

/* Whether size and times are those of `before`. Does not ask the server of a network file system. */
bool hp_disk_is_unchanged(int fd, const struct stat *before);

/* The name of a file system that other machines or programs change without this one hearing of it, and whose
 * files they may not share as memory: "NFS"; NULL for that of a disk of this machine. */
const char *hp_disk_remote_name(int fd);
bool hp_disk_is_remote(int fd); /* whether it has such a name */

/* Bytes of the longest file that the file system takes: 4 GiB less one on FAT; UINT64_MAX where hostpair
 * knows of no limit. */
uint64_t hp_disk_file_max(int fd);

/* The id of the file system that holds fd, the same whenever it is mounted; "" where it has none. */
#define HP_DISK_ID_SIZE 40
void hp_disk_id(int fd, char out[HP_DISK_ID_SIZE]);

/* The absolute path that an open file or folder has now. */
int hp_disk_path_of(int fd, char *out, size_t size);

#endif
