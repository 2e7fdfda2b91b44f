/* Which user a program on this machine runs as that has connected by TCP. The kernel is asked, which answers
 * at once. */
#ifndef HP_OS_SOCKET_OWNER_H
#define HP_OS_SOCKET_OWNER_H

#include <sys/types.h>

#include "base/sockaddr.h"

/* A descriptor to ask by, for one thread at a time; the caller closes it. Who keeps it needs no new one for a
 * question, so the owner is told from others even where the process has no descriptors left. Not inherited.
 * A negative errno when the kernel has none to give. */
int hp_os_socket_owner_open(void);

/* The owner of the socket whose own address is `local` and whose other end is `remote`: to ask about a
 * client, local is what getpeername says of the accepted socket and remote what getsockname says. IPv4, IPv6,
 * and IPv4 inside IPv6 on either side or both.
 *
 * `asker` is what hp_os_socket_owner_open returned; a failure of it is returned again. 0; -ENOENT when no
 * program of this machine (and network namespace) holds such a socket, as when the client has closed it;
 * another negative errno when the kernel cannot be asked. A user that this user namespace does not know is
 * the overflow user (65534). */
int hp_os_socket_owner(int asker, const hp_sockaddr_t *local, const hp_sockaddr_t *remote, uid_t *uid);

#endif
