/* UDP sockets that carry many datagrams in one system call, and whose datagrams are never cut on the way. */
#ifndef HP_OS_UDP_H
#define HP_OS_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/sockaddr.h"

#define HP_UDP_TRAIN_MAX 65536 /* bytes of datagrams of one size in one call */

/* A socket of this family on this port (0: a free one) and all addresses, which never blocks. A datagram that
 * is too long for the path is lost, not cut in pieces. Returns the descriptor or a negative errno. */
int hp_udp_open_fd(int family, uint16_t port);

/* Asks that datagrams of one sender that arrive together are received together. Whether the kernel does so.
 */
bool hp_udp_ask_trains(int fd);

/* Sends length bytes to an address as datagrams of segment bytes, the last of which may be shorter. Returns 0
 * or a negative errno; -EIO where the kernel or the interface cannot take several at once. */
int hp_udp_send_train(int fd, const hp_sockaddr_t *to, const void *data, size_t length, size_t segment);

/* Receives one datagram, or several of one size, the last of which may be shorter: *segment is that size.
 * Returns the bytes or a negative errno. */
ssize_t hp_udp_receive_train(int fd, void *data, size_t size, hp_sockaddr_t *from, size_t *segment);

#endif
