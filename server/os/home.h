/* Folders that must be on the disk on which they were: the shared one, and those that downloads land in. A
 * disk that is not mounted leaves an empty folder in its place, or none; what is written there fills the
 * system's disk, and is out of sight when the other one is back.
 *
 * A folder on another disk than the data folder's is remembered by a marker, a small hidden file in it, and
 * by the id of its file system, for when somebody removes the marker. The marker goes with a folder that is
 * moved or copied, and with a disk that comes back as another device. Folders on the data folder's disk are
 * always there.
 *
 * One list for the process, in the data folder's file hostpair.disks. Any thread but the loop's while it
 * runs: everything blocks on the disk. Functions return a descriptor or 0, HP_E_NO_DISK when the disk is not
 * there, or a negative errno. */
#ifndef HP_OS_HOME_H
#define HP_OS_HOME_H

#include <stdbool.h>
#include <sys/types.h>

/* The marker's name is one of a part file: never listed, never served. */
#define HP_HOME_MARKER ".hostpair-disk.0.hostpair-part"

/* Reads the list. Until then every folder is taken as it is. */
void hp_home_init(const char *data_folder);

/* Remembers the disk of a folder that is used from now on, and makes the folder if it is missing; nothing is
 * made of one that is remembered and whose disk is not there. */
int hp_home_prepare(const char *folder, mode_t mode);

/* Remembers the disk of a folder that is there, and makes nothing. */
void hp_home_remember(const char *folder);

/* As hp_home_prepare, but a person says that the folder as it is now is the right one. */
int hp_home_adopt(const char *folder, mode_t mode);

/* Opens the folder with flags like open(2), O_DIRECTORY and O_CLOEXEC. One that was removed from its disk is
 * made anew where mode is not 0. */
int hp_home_open(const char *folder, int flags, mode_t mode);

/* Whether both are remembered as the same folder, wherever it is now. */
bool hp_home_is_same(const char *folder, const char *other);

#endif
