/* Files below a folder, opened so that no name, link or race can lead out of it: openat2(2) with
 * RESOLVE_BENEATH. Any thread; blocks on the disk, so never on the loop. */
#ifndef HP_OS_BENEATH_H
#define HP_OS_BENEATH_H

#include <stdbool.h>
#include <sys/types.h>

/* A link may be followed while it stays inside the folder (what is shared), or never (where downloads are
 * written). */
typedef enum { HP_BENEATH_LINKS, HP_BENEATH_NO_LINKS } hp_beneath_links_t;

/* Opens path below the folder; O_CLOEXEC is added. The descriptor, or a negative errno: -EXDEV or -ELOOP
 * where the path would leave, -ENOSYS where the kernel has no openat2. "" and "." mean the folder itself. */
int hp_beneath_open(int folder_fd, const char *path, int flags, mode_t mode, hp_beneath_links_t links);

/* A descriptor that only says where a file or folder is (for fstat, and to open what lies below it): that
 * takes no right to read it. No link is followed. The descriptor, or a negative errno. */
int hp_beneath_look(int folder_fd, const char *path);

/* Makes the folders of path ("a/b/c" makes all three; "" none), syncing each parent of a new one; the
 * descriptor of the last, or a negative errno. */
int hp_beneath_make_folders(int folder_fd, const char *path, mode_t mode);

#endif
