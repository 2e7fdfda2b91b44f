/* The page cache under a file that is served: whether bytes can be had without waiting for the disk. */
#ifndef HP_OS_PAGES_H
#define HP_OS_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum {
    HP_PAGES_PROBE,   /* the file system tells: reads with RWF_NOWAIT work */
    HP_PAGES_MEMORY,  /* it lives in memory: never a wait */
    HP_PAGES_UNKNOWN, /* it cannot tell: every read may wait, so all belong in the pool */
} hp_pages_kind_t;

/* One or two system calls that never wait. */
hp_pages_kind_t hp_pages_kind(int fd);

/* The end of the run of bytes from first on, at most to end, that are cached; first when none are. Looks at
 * one byte every 128 KiB, the unit in which the kernel reads ahead, and at the last one. Never waits. */
uint64_t hp_pages_cached(int fd, uint64_t first, uint64_t end);

/* Reads what is cached: bytes, 0 at the end of the file, -EAGAIN when it would have to wait, or another
 * negative errno. Never waits. */
ssize_t hp_pages_read(int fd, hp_pages_kind_t kind, void *data, size_t length, uint64_t offset);

/* Sends from the page cache to a socket that does not block, without copying: bytes, 0 at the end of the
 * file, -EAGAIN when the socket is full, -EOPNOTSUPP where that cannot be done with this file, or another
 * negative errno. May wait for the disk where bytes are not cached. */
ssize_t hp_pages_send(int socket, int fd, uint64_t offset, size_t length);

/* Brings [first, end) into the page cache, and has the disk begin with the bytes ahead of it. Waits: for the
 * pool. 0 or a negative errno. */
int hp_pages_warm(int fd, uint64_t first, uint64_t end, uint64_t ahead);

#endif
